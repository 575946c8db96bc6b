from uuid import UUID

import pytest
from attrs import evolve, fields_dict
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.sql import (
    agent_mapping,
    api_key_mapping,
    board_mapping,
    event_log,
    run_mapping,
    tables,
    task_mapping,
)
from mission_adapters.sql.conversions import trusted_constructor
from mission_adapters.sql.kind_tables import MAPPINGS
from mission_core.accounts.model import ApiKey
from mission_core.agents.model import Agent
from mission_core.boards.model import Board, GateSet
from mission_core.events.model import Actor, Entry
from mission_core.tasks.model import Task
from mission_core.tasks.runs import Run
from tests import strategies as some

gate_sets = st.builds(GateSet, **{name: st.booleans() for name in fields_dict(GateSet)})
task_ids = st.lists(some.ids, max_size=4, unique=True).map(tuple)


@given(some.boards(gates=gate_sets, version=some.counts))
def test_a_board_comes_back_as_it_was(board: Board) -> None:
    """
    Nothing of a board is lost in its row.
    """
    assert board == board_mapping.board_of_row(board_mapping.board_row(board))


@given(some.agents(version=some.counts))
def test_an_agent_comes_back_as_it_was(agent: Agent) -> None:
    """
    Nothing of an agent is lost in its row, its presence included.
    """
    assert agent == agent_mapping.agent_of_row(agent_mapping.agent_row(agent))


@given(some.keys(version=some.counts))
def test_a_key_comes_back_as_it_was(key: ApiKey) -> None:
    """
    Nothing of a key is lost in its row.
    """
    assert key == api_key_mapping.api_key_of_row(api_key_mapping.api_key_row(key))


@given(some.tasks(depends_on=task_ids, run=some.maybe(some.ids), version=some.counts))
def test_a_task_comes_back_as_it_was(task: Task) -> None:
    """
    Nothing of a task is lost in its row but the agent behind its assignee's name, which is looked up.
    """
    assert task == task_mapping.task_of_row(task_mapping.task_row(task))


@given(some.tasks(assignee=some.assignees), some.ids)
def test_a_task_gets_the_agent_its_row_was_joined_with(task: Task, agent: UUID) -> None:
    """
    Who is behind a name is what the database says now.
    """
    loaded = task_mapping.task_of_row(task_mapping.task_row(task) | {"assignee_agent": agent.bytes})

    assert loaded.assignee is not None
    assert agent == loaded.assignee.agent


@given(some.runs(version=some.counts))
def test_a_run_comes_back_as_it_was(run: Run) -> None:
    """
    Nothing of a run is lost in its row, the agent that made it included.
    """
    loaded = run_mapping.run_of_row(run_mapping.run_row(run))

    assert (run, run.by.agent) == (loaded, loaded.by.agent)


def test_every_kind_of_plain_row_has_a_strategy() -> None:
    """
    So whatever is added joins the tests below, and those of the stores.
    """
    assert {kind.entity for kind in MAPPINGS} == set(some.plain)


@pytest.mark.parametrize("shelf", MAPPINGS.values(), ids=lambda shelf: shelf.kind.name)
@given(data=st.data())
def test_a_plain_row_comes_back_as_it_was(shelf, data) -> None:
    """
    Nothing of it is lost in its row, and both drivers take the values as they are.
    """
    entity = data.draw(some.plain[shelf.kind.entity](version=some.counts))
    row = shelf.row_from(entity)

    assert entity == shelf.entity_from(row.values())
    assert [column.name for column in shelf.table.c] == list(row)
    for column in shelf.table.c:
        assert isinstance(row[column.name], column.type.python_type) or (column.nullable and row[column.name] is None)


@given(some.facts, some.ids, some.actors, some.numbers, st.binary(min_size=32, max_size=32))
def test_an_entry_comes_back_as_it_was(fact, organization, actor: Actor, position: int, previous: bytes) -> None:
    """
    The log keeps the very text that was hashed.
    """
    entry = Entry.of(fact, organization=organization, actor=actor, position=position, previous=previous)

    assert entry == event_log.entry_of_row(event_log.entry_row(entry))


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        (tables.boards, some.boards().map(board_mapping.board_row)),
        (tables.agents, some.agents().map(agent_mapping.agent_row)),
        (tables.api_keys, some.keys().map(api_key_mapping.api_key_row)),
        (tables.tasks, some.tasks().map(task_mapping.task_row)),
        (tables.runs, some.runs().map(run_mapping.run_row)),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
@given(data=st.data())
def test_a_row_has_every_column_of_its_table(table, rows, data) -> None:
    """
    In order, and with values that both drivers take as they are.
    """
    row = data.draw(rows)

    assert [column.name for column in table.c] == list(row)
    for column in table.c:
        value = row[column.name]
        assert isinstance(value, column.type.python_type) or (column.nullable and value is None)


@given(some.tasks())
def test_a_trusted_constructor_makes_what_the_real_one_makes(task: Task) -> None:
    """
    Every slot is filled, so it can be compared, evolved and hashed like any other.
    """
    made = trusted_constructor(Task)(**{name: getattr(task, name) for name in Task.__slots__ if name != "__weakref__"})

    assert evolve(task, title="x") == evolve(made, title="x")
    assert hash(task) == hash(made)
