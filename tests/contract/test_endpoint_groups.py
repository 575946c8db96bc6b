"""
Groups of endpoints, whose modules are imported when a request first needs them.
"""

import re
import subprocess
import sys

import pytest

from mission_http.boards.dialect import boards_dialect
from mission_http.fleet.dialect import fleet_dialect
from mission_http.otlp.dialect import otlp_dialect
from mission_http.platform.endpoints import EndpointGroup
from mission_http.platform.routes import RouteTree
from mission_http.wiring import decode_telemetry
from tests.contract.populated_app import DIALECTS, OPERATIONS, SETTINGS

GROUPS = [part for dialect in DIALECTS for part in dialect.endpoints.parts if isinstance(part, EndpointGroup)]


def shape_of(path: str) -> str:
    return re.sub(r"{\w+}", "{}", path)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.source)
def test_a_group_names_where_its_paths_begin(group: EndpointGroup) -> None:
    """
    No endpoint lies elsewhere, where it would not be found, and no path is named for nothing.
    """
    paths = {shape_of(path) for path in group.paths}
    found = [
        {path for path in paths if f"{shape_of(endpoint.path)}/".startswith(f"{path}/")} for endpoint in group.endpoints
    ]

    assert set() not in found
    assert paths == set().union(*found)
    assert not any(endpoint.rooted for endpoint in group.endpoints)


def test_each_operation_is_found_by_the_first_request() -> None:
    """
    Whichever operation is needed first, its path has all its methods and is no other operation's.
    """
    for dialect, endpoint in OPERATIONS:
        tree = RouteTree.of(
            (fleet_dialect(SETTINGS), boards_dialect(SETTINGS), otlp_dialect(SETTINGS, decode_telemetry))
        )
        path = dialect.path_of(endpoint)
        place = tree.find(re.sub(r"{\w+}", "7", path))
        methods = {one.method for other, one in OPERATIONS if shape_of(other.path_of(one)) == shape_of(path)}

        assert place is not None
        assert methods == set(place.routes)
        assert {path} <= {dialect.path_of(route.endpoint) for route in place.routes.values()}


def test_dialects_are_made_without_the_modules_of_their_groups() -> None:
    program = (
        "import sys; from mission_http.settings import settings_from; from pathlib import Path\n"
        "from mission_http.boards.dialect import boards_dialect; from mission_http.fleet.dialect import fleet_dialect\n"
        "settings = settings_from({}, data_dir=Path('/nowhere'), in_use=False)\n"
        "made = boards_dialect(settings), fleet_dialect(settings)\n"
        "print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert set() == {group.source.partition(":")[0] for group in GROUPS} & set(run.stdout.split())
