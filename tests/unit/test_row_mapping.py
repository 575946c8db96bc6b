"""
The generated mapping of entities to rows.
"""

from typing import Any

import pytest
from attrs import fields
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.agents.rows import AGENT_ROWS
from mission_core.boards.rows import BOARD_ROWS
from mission_core.entity_changes import evolve
from mission_core.row_mapping import RowMapping
from mission_core.tasks.rows import RUN_ROWS, TASK_ROWS

ENTITIES = {
    "tasks": (TASK_ROWS, some.tasks()),
    "runs": (RUN_ROWS, some.runs()),
    "boards": (BOARD_ROWS, some.boards()),
    "agents": (AGENT_ROWS, some.agents()),
}


def differing_columns(rows: RowMapping[Any], before: Any, after: Any) -> dict[str, Any]:
    was, now = rows.row_from(before), rows.row_from(after)
    return {name: value for name, value in now.items() if was[name] != value and name not in rows.separate}


@pytest.mark.parametrize("name", ENTITIES)
@given(data=st.data())
def test_the_changes_between_two_states_are_the_columns_that_differ(name: str, data: st.DataObject) -> None:
    rows, entities = ENTITIES[name]
    before, other = data.draw(entities), data.draw(entities)
    taken = data.draw(st.sets(st.sampled_from([each.name for each in fields(type(before))])))
    copied = evolve(before, **{field: getattr(other, field) for field in taken})

    assert {} == rows.changes(before, before)
    for after in (other, copied):
        assert differing_columns(rows, before, after) == rows.changes(before, after)
