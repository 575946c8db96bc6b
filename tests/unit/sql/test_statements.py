import json
import re
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from mission_adapters.sql.agent_reads import select_names, select_names_of_handles
from mission_adapters.sql.agent_reads import select_page as select_page_of_agents
from mission_adapters.sql.agent_row_query import select_agent_rows
from mission_adapters.sql.board_deletion import PENDING_TASK
from mission_adapters.sql.entity_loader import DEPENDENTS, TASKS_BY_NUMBER
from mission_adapters.sql.migrations import NEW_SQLITE_DATABASE
from mission_adapters.sql.queue_candidates import select_candidate
from mission_adapters.sql.row_writes import select_versions
from mission_adapters.sql.snapshots import AGENTS_OF_BOARD
from mission_adapters.sql.statements import IdArray, Statement, TextArray, in_array, parameter
from mission_adapters.sql.tables import tasks
from mission_adapters.sql.task_reads import select_page
from mission_adapters.sql.task_row_query import DEPENDENCIES, select_task_json, select_task_rows
from mission_adapters.sql.tasks_in_progress import select_tasks_in_progress
from mission_adapters.sql.usage_reads import count_entries, select_sums
from mission_adapters.testing import strategies as some
from mission_core.agents.queries import STORED_AGENTS
from mission_core.projections import WHOLE_ROWS
from mission_core.tasks.model import Task
from mission_core.usage.counters import ALL_TIME, USAGE_DETAILS, USAGE_TASKS
from mission_core.usage.queries import RollupCells
from mission_http.boards.payloads import TaskRead
from mission_http.platform.projections import projection_of


def test_values_come_in_the_order_of_the_driver() -> None:
    """
    Whatever order they were named in, and with those the statement brings itself.
    """
    found = select(tasks.c.id).where(tasks.c.number > parameter("after", int), tasks.c.status == "done")
    asked = Statement(found.limit(parameter("most", int)))

    assert [7, "done", 3, 0] == asked("sqlite", most=3, after=7).values  # it always says how many to skip
    assert [7, "done", 3] == asked("postgresql", most=3, after=7).values
    assert "$3" in asked("postgresql", most=3, after=7).text
    assert 4 == asked("sqlite", most=3, after=7).text.count("?")


def test_a_statement_is_compiled_once_for_each_dialect() -> None:
    """
    Asking again costs no compilation.
    """
    asked = Statement(select(tasks.c.id).where(tasks.c.number == parameter("number", int)))

    assert asked("sqlite", number=1).text is asked("sqlite", number=2).text
    assert asked("postgresql", number=1).text is asked("postgresql", number=2).text


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_many_values_are_one_parameter(dialect: str) -> None:
    """
    So that one text serves lists of every length.
    """
    both = in_array(tasks.c.id, "ids", IdArray()), in_array(tasks.c.status, "kinds", TextArray())
    asked = Statement(select(tasks.c.id).where(*both))
    none, two = asked(dialect, ids=[], kinds=[]), asked(dialect, ids=[b"a" * 16, b"b" * 16], kinds=["x", "y"])

    assert none.text is two.text
    assert 2 == len(none.values) == len(two.values)


@given(st.lists(some.ids, max_size=20, unique=True), st.lists(some.ids, max_size=5), some.names, st.lists(some.names))
def test_sqlite_finds_what_is_among_many_values(kept, others, name, names) -> None:
    """
    Ids travel as one run of bytes, texts as JSON.
    """
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE tasks (id BLOB PRIMARY KEY, title TEXT)")
    connection.executemany("INSERT INTO tasks VALUES (?, ?)", [(each.bytes, name) for each in kept])
    wanted = [*kept[::2], *others]
    by_id = Statement(select(tasks.c.id).where(in_array(tasks.c.id, "ids", IdArray())))
    by_title = Statement(select(tasks.c.id).where(in_array(tasks.c.title, "titles", TextArray())))

    found = connection.execute(*by_id("sqlite", ids=[each.bytes for each in wanted])[:2]).fetchall()
    named = connection.execute(*by_title("sqlite", titles=names)[:2]).fetchall()
    connection.close()

    assert {each.bytes for each in {*wanted} & {*kept}} == {id for (id,) in found}
    assert (len(kept) if name in names else 0) == len(named)
    assert json.dumps(names) == by_title("sqlite", titles=names).values[0]


@pytest.mark.parametrize(
    ("asked", "given_values"),
    [
        (select_versions(Task), {"keys": [bytes(16), bytes(16)]}),
        (DEPENDENCIES, {"tasks": [bytes(16)]}),
        (TASKS_BY_NUMBER, {"organization": bytes(16), "numbers": [1, 2]}),
        (select_tasks_in_progress(), {"organization": bytes(16), "name": "ada"}),
        (select_tasks_in_progress("own_board"), {"organization": bytes(16), "name": "ada", "own_board": bytes(16)}),
        (
            select_tasks_in_progress("own_boards"),
            {"organization": bytes(16), "name": "ada", "own_boards": [bytes(16)] * 3},
        ),
    ],
)
def test_one_of_many_is_found_through_an_index(asked: Statement, given_values: dict[str, Any]) -> None:
    """
    SQLite reads no table from end to end to find rows by many ids.
    """
    plan = planned(asked, given_values)

    assert [] == [step for step in plan if step.startswith(("SCAN tasks", "SCAN dependencies"))]
    assert [step for step in plan if step.startswith(("SEARCH tasks", "SEARCH dependencies"))]


@pytest.mark.parametrize("board_filters", [(), ("own_board",), ("own_boards",)])
def test_the_tasks_in_progress_of_a_name_are_found_without_reading_those_of_others(
    board_filters: tuple[str, ...],
) -> None:
    """
    Each poll of the queue asks for them.
    """
    given = {"organization": bytes(16), "name": "ada", "own_board": bytes(16), "own_boards": [bytes(16)] * 3}
    plan = planned(select_tasks_in_progress(*board_filters), given)

    assert "SEARCH tasks USING INDEX ix_tasks_in_progress (organization=? AND assignee_key=?)" in plan


def test_a_claim_reads_no_task_in_progress() -> None:
    """
    Whether its name has any is told by the counters.
    """
    texts = {"nobody": "", "mine": "ada", "claims": "claims of ada"}
    plan = planned(select_candidate(False, "", False), {"organization": bytes(16), "at": 0, "first": 8, **texts})

    assert ["SEARCH tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)"] == [each for each in plan if "tasks" in each]


def test_those_who_wait_are_found_by_what_they_wait_for() -> None:
    """
    And not among all tasks of the organization: each completion asks for them.
    """
    plan = planned(DEPENDENTS, {"task": bytes(16)})

    assert [
        "SEARCH dependencies USING INDEX ix_dependencies_depends_on (depends_on=?)",
        "SEARCH tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)",
    ] == [step.replace("COVERING ", "") for step in plan[:2]]


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (("own_board",), "ix_tasks_board_number (board=?)"),
        (("own_board", "status"), "ix_tasks_board_status_number (board=? AND status=?)"),
        (("board", "status"), "ix_tasks_board_status_number (board=? AND status=?)"),
        (("own_boards",), "ix_tasks_board_number (board=?)"),
        (("own_boards", "status"), "ix_tasks_board_status_number (board=? AND status=?)"),
        (("status",), "ix_tasks_organization_status_number (organization=? AND status=?)"),
        (("priority",), "ix_tasks_organization_priority_number (organization=? AND priority=?)"),
        (("own_board", "name"), "ix_tasks_organization_assignee_key_number (organization=? AND assignee_key=?)"),
    ],
)
def test_a_page_of_tasks_goes_by_the_index_that_says_most(filters: tuple[str, ...], index: str) -> None:
    """
    In its order: of one board or several those of a board, for who sees all that of the organization.
    """
    some = {"own_board": bytes(16), "board": bytes(16), "own_boards": [bytes(16)], "status": "inbox", "name": "ada"}
    some |= {"priority": "high"}
    limits = {"organization": bytes(16), "limit": 50, "offset": 0, "reach": 50}
    for selected, shown in ((select_task_rows, WHOLE_ROWS), (select_task_json, projection_of(TaskRead))):
        for first in (None, 50):
            plan = planned(select_page("sqlite", selected, shown, first, *filters), some | limits)

            assert any(index in step for step in plan if step.startswith("SEARCH tasks")), plan


@pytest.mark.parametrize("filters", [(), ("hidden",), ("role",), ("hidden", "role")])
def test_a_page_of_agents_goes_by_number_and_its_total_is_kept(filters: tuple[str, ...]) -> None:
    """
    Without reading the rows of other pages.
    """
    given = {"organization": bytes(16), "limit": 50, "offset": 0, "hidden": 0, "role": "agent"}
    plan = planned(select_page_of_agents("sqlite", select_agent_rows, True, STORED_AGENTS, False, *filters), given)
    (found,) = (step for step in plan if step.startswith("SEARCH agents"))

    assert any("SEARCH agent_counts USING PRIMARY KEY (organization=?" in step for step in plan), plan
    assert not any("ORDER BY" in step for step in plan), plan
    assert "COVERING" not in found


@pytest.mark.parametrize("filters", [("board",), ("own_board",), ("hidden", "own_board")])
def test_agents_of_a_board_are_found_without_reading_those_of_others(filters: tuple[str, ...]) -> None:
    """
    For a page, its total, the names and the snapshot of the board.
    """
    given = {"organization": bytes(16), "limit": 50, "offset": 0, "hidden": 0, "silent_since": 0}
    given |= {"board": bytes(16), "own_board": bytes(16)}
    asked = [
        select_page_of_agents("sqlite", select_agent_rows, True, STORED_AGENTS, False, *filters),
        select_names(*filters),
        AGENTS_OF_BOARD,
    ]
    plans = [step for each in asked for step in planned(each, given) if step.startswith("SEARCH agent")]

    assert ["agents", "agent_counts", "agents", "agents"] == [step.split()[1] for step in plans]
    assert all("(organization=? AND board=?" in step for step in plans), plans


def test_agents_with_a_handle_are_found_without_reading_the_others() -> None:
    plan = planned(select_names_of_handles("sqlite"), {"organization": b"o" * 16, "handles": ["ada"]})
    reads = [step.partition(" USING ")[2] for step in plan if re.match(r"(SCAN|SEARCH) agents\b", step)]

    assert [
        "INDEX sqlite_autoindex_agents_1 (id=?)",
        "INDEX sqlite_autoindex_agents_2 (organization=? AND name_key=?)",
        "INDEX ix_agents_dashed_name (organization=? AND <expr>=?)",
        "INDEX ix_agents_other_handles (organization=?)",
    ] == reads


def test_a_pending_task_of_a_board_is_found_without_reading_the_links_of_others() -> None:
    plan = planned(PENDING_TASK, {"owner": b"o" * 16, "dissolved": b"b" * 16})

    assert any(step.startswith("SEARCH approval_links USING") for step in plan), plan


@pytest.mark.parametrize("names", [(), ("model",), ("board", "since"), ("own_board", "task", "until")])
def test_a_list_of_the_ledger_is_counted_without_reading_each_entry(names: tuple[str, ...]) -> None:
    cells = RollupCells(USAGE_TASKS, 1 if {"since", "until"} & {*names} else ALL_TIME)
    given = dict.fromkeys(names, b"b" * 16) | {"organization": b"o" * 16, "first_slot": 1, "end_slot": 2}
    plan = planned(count_entries(cells, names), given)

    assert any("usage_entries USING INDEX ix_usage_entries_not_one_request (organization=?" in each for each in plan)


@pytest.mark.parametrize(("hours", "names"), [(ALL_TIME, ()), (24, ("since",)), (1, ("own_board", "since", "until"))])
def test_the_cells_of_a_session_are_found_without_reading_those_of_others(hours: int, names: tuple[str, ...]) -> None:
    sums = select_sums("sqlite", RollupCells(USAGE_DETAILS, hours), ("agent_name",), ("sessions", *names), False)
    given = dict.fromkeys(names, 1) | {"organization": b"o" * 16, "sessions": ["one"]}

    assert "ix_usage_details_organization_session_hours_slot (organization=? AND session=? AND hours=?" in " ".join(
        planned(sums, given)
    )


def planned(asked: Statement, given_values: dict[str, Any]) -> list[str]:
    """
    How SQLite would run it in a new database, which has no statistics.
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(NEW_SQLITE_DATABASE.read_text("utf-8"))
        ask = asked("sqlite", **given_values)
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {ask.text}", ask.values)]
