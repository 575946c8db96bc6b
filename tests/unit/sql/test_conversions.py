from uuid import UUID

import pytest
from attrs import evolve, fields_dict
from hypothesis import given, settings
from hypothesis import strategies as st

from mission_adapters.sql import event_log, tables
from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.testing import strategies as some
from mission_core.accounts.rows import API_KEY_ROWS
from mission_core.agents.rows import AGENT_ROWS
from mission_core.boards.model import GateSet
from mission_core.boards.rows import BOARD_ROWS
from mission_core.events.model import Actor, Entry
from mission_core.row_mapping import trusted_constructor
from mission_core.tasks.model import Task
from mission_core.tasks.rows import RUN_ROWS, TASK_ROWS
from mission_core.tasks.runs import Run
from tests.example_counts import max_examples

gate_sets = st.builds(GateSet, **{name: st.booleans() for name in fields_dict(GateSet)})
task_ids = st.lists(some.ids, max_size=4, unique=True).map(tuple)


@pytest.mark.parametrize(
    ("rows", "table", "entities"),
    [
        (BOARD_ROWS, tables.boards, some.boards(gates=gate_sets, version=some.counts)),
        (AGENT_ROWS, tables.agents, some.agents(version=some.counts)),
        (API_KEY_ROWS, tables.api_keys, some.keys(version=some.counts)),
        (TASK_ROWS, tables.tasks, some.tasks(depends_on=task_ids, run=some.maybe(some.ids), version=some.counts)),
        (RUN_ROWS, tables.runs, some.runs(version=some.counts)),
        *((each.rows, each.table, some.entities[each.kind.entity](version=some.counts)) for each in MAPPINGS.values()),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
@settings(max_examples=max_examples(25))  # each store keeps and reads entities in tests of its own
@given(data=st.data())
def test_an_entity_comes_back_as_it_was(rows, table, entities, data) -> None:
    """
    Nothing of it is lost in its row but the agent behind a task's assignee, which is looked up. The row has every
    column of the table, with values that both drivers take as they are.
    """
    entity = data.draw(entities)
    row = rows.row_from(entity)

    assert entity == rows.entity_from([*row.values(), *(None for _ in rows.looked_up)])
    assert set(table.c.keys()) == row.keys()
    for column in table.c:
        assert isinstance(row[column.name], column.type.python_type) or (column.nullable and row[column.name] is None)


@given(some.tasks(assignee=some.assignees), some.ids)
def test_a_task_gets_the_agent_its_row_was_joined_with(task: Task, agent: UUID) -> None:
    """
    Who is behind a name is what the database says now.
    """
    loaded = TASK_ROWS.entity_from([*TASK_ROWS.row_from(task).values(), agent.bytes])

    assert loaded.assignee is not None
    assert agent == loaded.assignee.agent


@given(some.runs())
def test_a_run_keeps_the_agent_that_made_it(run: Run) -> None:
    """
    Its name may belong to another agent now.
    """
    assert run.by.agent == RUN_ROWS.entity_from(RUN_ROWS.row_from(run).values()).by.agent


def test_every_kind_of_plain_row_has_a_strategy() -> None:
    """
    So whatever is added joins the tests below, and those of the stores.
    """
    assert {kind.entity for kind in MAPPINGS} == set(some.entities)


@given(some.events, some.ids, some.actors, some.numbers, st.binary(min_size=32, max_size=32))
def test_an_entry_comes_back_as_it_was(fact, organization, actor: Actor, position: int, previous: bytes) -> None:
    """
    The log keeps the very text that was hashed.
    """
    entry = Entry.of(fact, organization=organization, actor=actor, position=position, previous=previous)

    row = zip(event_log.COLUMNS, event_log.entry_row(entry), strict=True)

    assert entry == event_log.entry_of_row(dict(row))


@given(some.tasks())
def test_a_trusted_constructor_makes_what_the_real_one_makes(task: Task) -> None:
    """
    Every slot is filled, so it can be compared, evolved and hashed like any other.
    """
    made = trusted_constructor(Task)(**{name: getattr(task, name) for name in Task.__slots__ if name != "__weakref__"})

    assert evolve(task, title="x") == evolve(made, title="x")
    assert hash(task) == hash(made)
