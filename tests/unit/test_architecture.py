import re
import tomllib
from itertools import chain, pairwise
from pathlib import Path

import pytest

from tests import architecture
from tests.architecture import AREAS, imports_in

SRC = Path(__file__).parents[2] / "src"
PYPROJECT = SRC.parent / "pyproject.toml"
CALLED = {"argon2-cffi": "argon2"}
"""How distributions are imported whose name is another."""


def planted(src: Path, modules: dict[str, str]) -> Path:
    """
    A source tree of these files, in proper packages.
    """
    for path, source in modules.items():
        file = src / path
        file.parent.mkdir(parents=True, exist_ok=True)
        for folder in file.relative_to(src).parents[:-1]:
            (src / folder / "__init__.py").touch()
        file.write_text(source)
    return src


def test_imports_point_inward():
    """
    http → core ← adapters, only the wiring knows everybody, and the dialects do not know each other.
    """
    assert [] == architecture.pointing_outward(imports_in(SRC))


def test_an_area_loads_earlier_areas_only():
    """
    Each area of the core can be understood without the ones after it.
    """
    assert [] == architecture.out_of_order(imports_in(SRC))


def test_every_package_of_the_core_has_its_place_in_the_order():
    """
    A new area is checked like the others.
    """
    packages = {folder.parent.name for folder in (SRC / "mission_core").glob("*/__init__.py")}

    assert {"events"} <= packages <= set(AREAS)


def test_what_the_extras_install_is_used():
    """
    Nobody downloads what no module imports.
    """
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    named = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    packages = {re.match(r"[\w-]+", requirement)[0] for requirement in named} - {project["name"]}
    packages = {CALLED.get(each, each) for each in packages}
    imported = {one.of.partition(".")[0] for one in imports_in(SRC)}

    assert set() == packages - imported


def test_the_core_names_nothing_foreign():
    """
    The core is written in the standard library and attrs.
    """
    assert [] == architecture.foreign_to_the_core(imports_in(SRC))


def test_the_core_loads_nothing_foreign():
    """
    A fresh interpreter that imports all of the core has loaded no adapter and no other library.
    """
    assert [] == architecture.loaded_by_the_core(SRC)


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("mission_core/a.py", "from mission_http import app", "mission_core.a:1 imports mission_http.app"),
        ("mission_core/a.py", "import mission_adapters.ids", "mission_core.a:1 imports mission_adapters.ids"),
        ("mission_core/a.py", "def b():\n    import_module('mission_http')", "mission_core.a:2 imports mission_http"),
        ("mission_core/a.py", "if TYPE_CHECKING:\n    import mission_http", "mission_core.a:2 imports mission_http"),
        ("mission_adapters/a.py", "import mission_http", "mission_adapters.a:1 imports mission_http"),
        ("mission_http/app.py", "from mission_adapters import sql", "mission_http.app:1 imports mission_adapters.sql"),
        ("mission_http/fleet/a.py", "from ..boards import b", "mission_http.fleet.a:1 imports mission_http.boards.b"),
        ("mission_http/boards/__init__.py", "from .. import fleet", "mission_http.boards:1 imports mission_http.fleet"),
    ],
)
def test_an_import_that_points_outward_is_reported(tmp_path, module, source, complaint):
    """
    Absolute or relative, at the top or in a function, and for types too.
    """
    src = planted(tmp_path, {module: source})

    assert [complaint] == architecture.pointing_outward(imports_in(src))


@pytest.mark.parametrize("module", ["mission_http/wiring.py", "mission_http/main.py"])
def test_the_wiring_may_know_the_adapters(tmp_path, module):
    """
    Somebody must put the parts together.
    """
    src = planted(tmp_path, {module: "import mission_adapters.memory"})

    assert [] == architecture.pointing_outward(imports_in(src))


@pytest.mark.parametrize(("earlier", "later"), [*pairwise(AREAS)])
def test_loading_a_later_area_is_reported(tmp_path, earlier, later):
    """
    The order holds between every two neighbours; an earlier area may be loaded.
    """
    modules = {
        f"mission_core/{earlier}/model.py": f"from ..{later}.model import x",
        f"mission_core/{later}/model.py": f"from mission_core import {earlier}",
    }
    complaint = f"mission_core.{earlier}.model:1 imports mission_core.{later}.model.x and so the later area {later}"

    assert [complaint] == architecture.out_of_order(imports_in(planted(tmp_path, modules)))


def test_loading_a_later_area_through_shared_ports_is_reported(tmp_path):
    """
    A detour over a module that all areas share is no way around the order.
    """
    modules = {
        "mission_core/ports.py": "from .tasks.ports import TaskRepository",
        "mission_core/events/model.py": "from mission_core.ports import Ports",
    }
    complaint = "mission_core.events.model:1 imports mission_core.ports.Ports and so the later area tasks"

    assert [complaint] == architecture.out_of_order(imports_in(planted(tmp_path, modules)))


def test_a_later_area_may_be_named_for_types(tmp_path):
    """
    Types are read by people and checkers and load nothing; what stands after `else` does.
    """
    modules = {
        "mission_core/ports.py": "if TYPE_CHECKING:\n    from .tasks.ports import TaskRepository",
        "mission_core/events/model.py": "from ..ports import Ports\nif typing.TYPE_CHECKING:\n    from .. import tasks",
        "mission_core/events/ports.py": "if TYPE_CHECKING:\n    pass\nelse:\n    import mission_core.tasks",
    }
    complaint = "mission_core.events.ports:4 imports mission_core.tasks and so the later area tasks"

    assert [complaint] == architecture.out_of_order(imports_in(planted(tmp_path, modules)))


def test_a_foreign_name_in_the_core_is_reported(tmp_path):
    """
    The standard library, attrs and the core itself are not foreign.
    """
    modules = {"mission_core/a.py": "import json, attr, attrs, mission_core.b\nfrom cattrs import structure"}
    complaint = "mission_core.a:2 imports cattrs.structure"

    assert [complaint] == architecture.foreign_to_the_core(imports_in(planted(tmp_path, modules)))


def test_a_foreign_library_that_the_core_loads_is_reported(tmp_path):
    """
    Also where no name in the source gives it away.
    """
    modules = {
        "mission_core/tasks/model.py": "import attrs, json\n__import__('CATTRS'.lower())",
        "mission_core/tasks/ports.py": "import mission_adapters.memory",
        "mission_adapters/memory.py": "",
    }

    assert {"cattrs", "mission_adapters"} <= set(architecture.loaded_by_the_core(planted(tmp_path, modules)))


def test_whatever_commits_in_the_core_runs_again_after_a_lost_race():
    """
    No use case depends on its caller for that.
    """
    assert [] == architecture.not_repeated(SRC)


def test_a_use_case_that_is_not_repeated_is_reported(tmp_path):
    """
    Also where it commits through a helper; a step of one that is repeated is none.
    """
    source = """
async def _kept(unit): await unit.commit()
async def bare(ports):
    async with ports.unit(ME) as unit: await _kept(unit)
async def _step(ports):
    async with ports.unit(ME) as unit: await unit.commit()
@use_case
async def whole(ports): await _step(ports)
"""

    assert ["mission_core.a.bare"] == architecture.not_repeated(planted(tmp_path, {"mission_core/a.py": source}))
