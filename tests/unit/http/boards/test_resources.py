"""
The bodies that a resource derives from commands.
"""

from attrs import NOTHING, fields

from mission_core.values import ABSENT
from mission_http.boards.groups import ENDPOINTS

TAKES = {(each.method, each.path): each.takes for each in ENDPOINTS}


def test_a_body_has_the_fields_of_its_command_that_neither_path_nor_headers_give() -> None:
    create, change = TAKES["POST", "/board-groups"], TAKES["PATCH", "/board-groups/{group_id}"]

    assert ("BoardGroupCreate", "BoardGroupUpdate") == (create.__name__, change.__name__)
    assert {"name": NOTHING, "slug": "", "description": None} == {each.name: each.default for each in fields(create)}
    assert dict.fromkeys(("name", "slug", "description"), ABSENT) == {
        each.name: each.default for each in fields(change)
    }
