"""
What the read models answer, on every store.
"""

from datetime import timedelta
from uuid import UUID

import pytest

from mission_core.agents.queries import AgentFilter
from mission_core.agents.use_cases import (
    CreateKey,
    RecordAgentHeartbeat,
    RevokeKey,
    create_key,
    record_agent_heartbeat,
    revoke_key,
)
from mission_core.boards.groups import CreateGroup, create_group
from mission_core.boards.model import GENERAL_HANDLE, BoardStatus
from mission_core.boards.queries import BoardFilter
from mission_core.boards.use_cases import UpdateBoard, update_board
from mission_core.ids import BoardId
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.tasks.explanations import TaskState, explain_task
from mission_core.tasks.heartbeats import Heartbeat, heartbeat
from mission_core.tasks.leases import CompleteTask, FailTask, complete_task, fail_task
from mission_core.tasks.model import Status
from mission_core.tasks.queries import Dependency, TaskFilter
from mission_core.tasks.runs import Failure, FailureReason, LeaseTerms, Outcome
from mission_core.tasks.use_cases import DeleteTask, UpdateTask, delete_task, update_task
from mission_core.values import PageRequest, canonical, micros


async def titles(world, wanted=None, **paged):
    """
    The titles of a page of tasks, and the total.
    """
    rows, total = await world.ports.reads.tasks.page(world.me, wanted or TaskFilter(), PageRequest(**paged))
    return [row.title for row in rows], total


async def test_a_page_is_newest_first_and_its_total_counts_all(world):
    """
    Whatever part of the list is asked for.
    """
    for title in "abcde":
        await world.task(title)

    assert (["e", "d", "c", "b", "a"], 5) == await titles(world)
    assert (["d", "c"], 5) == await titles(world, limit=2, offset=1)
    assert (["a"], 5) == await titles(world, limit=2, offset=4)
    assert ([], 5) == await titles(world, limit=2, offset=9)
    assert ([], 5) == await titles(world, limit=0)


async def test_a_page_after_a_row_goes_on_below_it(world):
    """
    Also when that row is gone by now, and the total stays that of all.
    """
    tasks = [await world.task(title) for title in "abcde"]
    after = await titles(world, limit=2, after=tasks[3].number)
    await delete_task(world.ports, world.me, DeleteTask(task=tasks[3].id))

    assert (["c", "b"], 5) == after
    assert (["c", "b"], 4) == await titles(world, limit=2, after=tasks[3].number)
    assert (["b", "a"], 4) == await titles(world, limit=2, offset=1, after=tasks[3].number)


async def test_every_filter_holds_and_the_total_counts_what_they_leave(world):
    """
    Alone and together.
    """
    other, ada = await world.another_board(), await world.agent("Ada")
    await world.task("inbox")
    await world.task("ada's", assignee="ADA")
    await world.task("bob's", assignee="bob", priority="high")
    await world.task("elsewhere", board=other.id, status=Status.REVIEW, assignee="ada")

    assert (["inbox"], 1) == await titles(world, TaskFilter(statuses=(Status.INBOX,)))
    assert (["elsewhere", "inbox"], 2) == await titles(world, TaskFilter(statuses=(Status.INBOX, Status.REVIEW)))
    assert ([], 0) == await titles(world, TaskFilter(statuses=()))
    assert (["elsewhere"], 1) == await titles(world, TaskFilter(board=other.id))
    assert (["elsewhere"], 1) == await titles(world, TaskFilter(board=other.number))
    assert ([], 0) == await titles(world, TaskFilter(board=other.number + 100))
    assert (["elsewhere", "ada's"], 2) == await titles(world, TaskFilter(assignee="aDA"))
    assert (["elsewhere", "ada's"], 2) == await titles(world, TaskFilter(assignee_agent=ada.id))
    assert ([], 0) == await titles(world, TaskFilter(assignee_agent=world.ports.ids.new()))
    assert (["inbox"], 1) == await titles(world, TaskFilter(unassigned=True))
    assert (["bob's"], 1) == await titles(world, TaskFilter(priority="high"))
    assert (["ada's"], 1) == await titles(world, TaskFilter(assignee="ada", board=world.board.id))
    assert (["elsewhere"], 2) == await titles(world, TaskFilter(assignee="ada"), limit=1)


async def test_a_row_tells_all_of_its_task(world):
    """
    With what lists show of its board, assignee and dependencies.
    """
    now = world.clock.now()
    first, second = await world.task("first", status=Status.DONE), await world.task("second")
    ada = await world.agent("ada")
    task = await world.task(
        "Grüße 👩‍🚀", description="all", priority="odd", due_at=now, not_before=now, estimated_hours=3,
        tags=("a", "ü"), metadata=canonical({"b": [1, None], "a": "ü"}), depends_on=(second.id, first.id),
        status=Status.BACKLOG, assignee="Ada", feedback_rating=4, max_attempts=9,
    )  # fmt: skip
    row = await world.ports.reads.tasks.get(world.me, task.number)
    (listed, *_), _ = await world.ports.reads.tasks.page(world.me, TaskFilter(), PageRequest())

    assert row == listed == await world.ports.reads.tasks.get(world.me, task.id)
    assert (task.id.bytes, task.number, task.ticket) == (row.id, row.number, row.ticket)
    board = world.board
    assert (board.id.bytes, board.number, "Work", "WORK") == row[2:6]
    assert ("Grüße 👩‍🚀", "all", "backlog", "odd") == (row.title, row.description, row.status, row.priority)
    assert ("Ada", ada.id.bytes) == (row.assignee, row.assignee_agent)
    assert ("system", None, "System") == (row.creator_kind, row.creator_id, row.creator_name)
    assert (micros(now), micros(now)) == (row.due_at, row.not_before)
    assert (3.0, float, None) == (row.estimated_hours, type(row.estimated_hours), row.actual_hours)
    assert ('["a","ü"]', '{"a":"ü","b":[1,null]}') == (row.tags, row.metadata)
    assert second.id.bytes + first.id.bytes == row.depends_on
    assert (
        Dependency(second.id.bytes, second.number, False),
        Dependency(first.id.bytes, first.number, True),
    ) == row.dependencies
    assert (4, 0, 0, 0, 0, 9) == (
        row.feedback_rating, row.retry_count, row.recorded, row.fence, row.attempts, row.max_attempts,
    )  # fmt: skip
    assert (micros(now),) * 3 == (row.created_at, row.updated_at, row.moved_at)
    assert (None, None, 0) == (row.started_at, row.completed_at, row.version)
    assert all(isinstance(value, bytes | str | int | float | tuple | None) for value in row)
    assert not any(isinstance(value, bool) for value in row)


async def test_runs_are_told_latest_first(world):
    """
    Each with how it ended.
    """
    task = await world.task()
    first = await world.claim(task, terms=LeaseTerms(delay=timedelta(seconds=1)))
    await heartbeat(
        world.ports, world.me, Heartbeat(task=task.id, lease=first.lease, progress=canonical({"percent": 5}))
    )
    broken = Failure(reason=FailureReason.CRASHED, message="boom")
    await fail_task(world.ports, world.me, FailTask(task=task.id, lease=first.lease, failure=broken))
    world.clock.advance(minutes=1)
    second = await world.claim(task, agent="bob")
    outcome = Outcome(resolution="done", output=canonical({"n": 1}))
    await complete_task(world.ports, world.me, CompleteTask(task=task.id, lease=second.lease, outcome=outcome))
    rows = await world.ports.reads.tasks.runs(world.me, task.number)
    latest, earlier = rows

    assert (second.run.id.bytes, task.id.bytes, 2, 2, "bob", "completed") == latest[:6]
    assert ("success", "done", '{"n":1}', None, None) == (
        latest.result, latest.resolution, latest.output, latest.failure, latest.message,
    )  # fmt: skip
    assert ("ada", "failed", '{"percent":5}') == (earlier.by, earlier.state, earlier.progress)
    assert (None, "crashed", "boom", 0) == (earlier.result, earlier.failure, earlier.message, earlier.paused)
    assert micros(first.run.claimed_at) == earlier.claimed_at == earlier.ended_at
    assert (micros(second.run.expires_at), None) == (latest.expires_at, latest.note)


async def test_what_waits_for_an_agent_is_by_priority_then_age(world):
    """
    Only what is assigned or under way, whatever the case of the name.
    """
    await world.task("low", priority="low", assignee="ada")
    await world.task("first", assignee="ADA")
    await world.task("second", assignee="ada", status=Status.IN_PROGRESS)
    await world.task("urgent", assignee="ada", priority="critical")
    await world.task("in review", assignee="ada", status=Status.REVIEW)
    await world.task("bob's", assignee="bob")
    reads = world.ports.reads.tasks
    rows = await reads.open_of_assignee(world.me, "Ada", limit=3)

    assert ["urgent", "first", "second"] == [row.title for row in rows]
    assert 4 == len(await reads.open_of_assignee(world.me, "Ada", limit=50))
    assert {("ada", "assigned"): 3, ("ada", "in_progress"): 1, ("ada", "review"): 1} == await reads.count_by_status(
        world.me, ("ADA", "nobody")
    )
    assert {} == await reads.count_by_status(world.me, ())


STATES = [
    (TaskState.CLAIMABLE, {}),
    (TaskState.BLOCKED, {"assignee": "ada"}),  # which nobody registered
    (TaskState.HELD, {"status": Status.IN_PROGRESS}),
    (TaskState.PARKED, {"status": Status.BACKLOG}),
    (TaskState.WAITING, {"status": Status.AWAITING_OWNER}),
    (TaskState.WAITING, {"status": Status.REVIEW}),
    (TaskState.WAITING, {"status": Status.QUALITY_REVIEW}),
    (TaskState.FINISHED, {"status": Status.DONE}),
    (TaskState.FINISHED, {"status": Status.FAILED}),
]


@pytest.mark.parametrize(("state", "fields"), STATES)
async def test_where_a_task_stands_is_explained(world, state, fields):
    """
    By its status.
    """
    task = await world.task(**fields)

    assert state is (await explain_task(world.ports, world.me, task.id)).state


async def test_where_a_task_stands_is_explained_by_what_it_waits_for(world):
    """
    A dependency, a moment, a worker, a person, and nothing once the lease ran out.
    """
    now = world.clock.now()
    first = await world.task("first")
    blocked = await world.task("blocked", depends_on=(first.id,))
    resting = await world.task("resting", not_before=now + timedelta(minutes=1))
    claimed = await world.claim(first, terms=LeaseTerms(term=timedelta(minutes=1), delay=timedelta(minutes=1)))
    asked = await world.claim(await world.task("asked"), agent="bob")
    await heartbeat(world.ports, world.me, Heartbeat(task=asked.task.id, lease=asked.lease, waiting_for="a person"))

    async def states():
        explained = [await explain_task(world.ports, world.me, each.id) for each in (first, blocked, resting)]
        return [each.state for each in explained]

    assert [TaskState.LEASED, TaskState.BLOCKED, TaskState.WAITING] == await states()
    assert TaskState.WAITING is (await explain_task(world.ports, world.me, asked.task.id)).state
    world.clock.advance(minutes=1)
    assert [TaskState.WAITING, TaskState.BLOCKED, TaskState.CLAIMABLE] == await states()
    world.clock.advance(minutes=1)
    assert [TaskState.CLAIMABLE, TaskState.BLOCKED, TaskState.CLAIMABLE] == await states()
    reading = await world.ports.reads.tasks.explanation_input(world.me, blocked.number)
    assert (blocked.id, None, [first.id]) == (reading.task.id, reading.run, [each.id for each in reading.blocked_by])
    assert claimed.run.id == (await world.ports.reads.tasks.explanation_input(world.me, first.id)).run.id


async def test_boards_are_listed_by_name_or_newest_first(world):
    """
    Whatever the case of the name; archived ones only when asked for.
    """
    zebra, apple = await world.another_board("zebra"), await world.another_board("Apple")
    again, umlaut = await world.another_board("ZEBRA"), await world.another_board("Äpfel")
    await update_board(world.ports, world.me, UpdateBoard(board=apple.id, status=BoardStatus.ARCHIVED))
    reads, me = world.ports.reads.boards, world.me

    async def names(wanted, page=None):
        rows, total = await reads.page(me, wanted, page)
        return [row.name for row in rows], total

    assert (["General", "Work", "ZEBRA", "zebra", "Äpfel"], 5) == await names(BoardFilter())
    assert (["Apple", "General", "Work", "ZEBRA", "zebra", "Äpfel"], 6) == await names(BoardFilter(archived=True))
    assert (["Äpfel", "ZEBRA", "zebra", "Work", "General"], 5) == await names(BoardFilter(by_name=False))
    assert (["Work", "ZEBRA"], 5) == await names(BoardFilter(), PageRequest(limit=2, offset=1))
    assert (["zebra", "Work"], 5) == await names(BoardFilter(by_name=False), PageRequest(limit=2, after=again.number))
    assert ([], 0) == await names(BoardFilter(group=world.ports.ids.new()))
    assert (zebra.number, again.number) < (again.number, umlaut.number)


async def test_the_general_board_is_left_out_while_it_is_empty(world):
    """
    It is empty without tasks and agents.
    """
    reads, wanted = world.ports.reads.boards, BoardFilter(empty_general=False)
    (general,) = [row for row in (await reads.page(world.me, BoardFilter())).rows if row.handle == GENERAL_HANDLE]

    async def names():
        rows, total = await reads.page(world.me, wanted, PageRequest())
        return [row.name for row in rows], total

    assert (["Work"], 1) == await names()
    agent = await world.agent("ada", board=BoardId(UUID(bytes=general.id)))
    assert (["General", "Work"], 2) == await names()
    await delete_agent(world.ports, world.me, DeleteAgent(agent=agent.id))
    assert (["Work"], 1) == await names()
    await world.task(board=BoardId(UUID(bytes=general.id)))
    assert (["General", "Work"], 2) == await names()


async def test_boards_are_found_by_group_and_gateway(world):
    """
    Filters hold together.
    """
    group = (await create_group(world.ports, world.me, CreateGroup(name="Group"))).id
    board = await world.another_board("grouped", group=group)
    reads = world.ports.reads.boards

    assert [board.id.bytes] == [row.id for row in (await reads.page(world.me, BoardFilter(group=group))).rows]
    assert 0 == (await reads.page(world.me, BoardFilter(group=group, gateway=group))).total


async def test_a_board_row_counts_its_tickets_and_tasks(world):
    """
    Tickets as they were drawn, tasks as they are there.
    """
    tasks = [await world.task(title) for title in "abc"]
    await delete_task(world.ports, world.me, DeleteTask(task=tasks[0].id))
    row = await world.ports.reads.boards.get(world.me, world.board.number)

    assert (3, 2) == (row.ticket_counter, row.task_count)
    assert (0, 1, "active") == (row.require_approval_for_done, row.max_agents, row.status)
    assert row == await world.ports.reads.boards.get(world.me, world.board.id)
    assert world.board.id == await world.ports.reads.boards.check(world.me, world.board.number)
    assert isinstance(await world.ports.reads.boards.check(world.me, world.board.number), UUID)


async def test_agents_are_listed_newest_first_and_hidden_ones_when_asked_for(world):
    """
    By derived status, role and board.
    """
    at = world.clock.now()
    ada = await world.agent("ada", board=world.board.id)
    bob = await world.agent("Bob", role="reviewer")
    await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=ada.id, status="busy", activity="x"))
    reads, me = world.ports.reads.agents, world.me

    async def names(page=None, **wanted):
        rows, total = await reads.page(me, AgentFilter(**({"at": at} | wanted)), page or PageRequest())
        return [row.name for row in rows], total

    assert (["Bob", "ada"], 2) == await names()
    assert (["Bob", "ada", "Gateway Agent"], 3) == await names(hidden=True)
    assert (["ada"], 1) == await names(board=world.board.id)
    assert (["Bob"], 1) == await names(role="reviewer")
    assert (["ada"], 2) == await names(PageRequest(limit=1, offset=1))
    assert (["ada"], 2) == await names(PageRequest(limit=1, after=bob.number))
    assert (["ada"], 1) == await names(status="busy")
    assert (["Bob"], 1) == await names(status="provisioning")
    assert (["Bob"], 1) == await names(status="offline", as_made=True)
    assert ([], 0) == await names(status="provisioning", as_made=True)
    assert (["ada"], 1) == await names(status="busy", at=at + timedelta(minutes=10))
    assert (["ada"], 1) == await names(status="offline", at=at + timedelta(minutes=10, microseconds=1))


async def test_an_agent_row_is_found_by_id_number_and_name(world):
    """
    With its presence.
    """
    ada = await world.agent("Ada", config=canonical({"a": 1}), session_key="s", soul="kind")
    await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent="ada", activity="x"))
    reads = world.ports.reads.agents
    row = await reads.get(world.me, "aDA")

    assert row == await reads.get(world.me, ada.id) == await reads.get(world.me, ada.number)
    assert (ada.id.bytes, ada.number, None, "Ada", "agent", 0, 0, '{"a":1}', "s", "kind") == row[:10]
    seen = micros(world.clock.now())
    assert ("online", seen, "x", 0) == (row.reported, row.last_seen_at, row.activity, row.version)


async def test_keys_are_told_newest_first_without_their_secrets(world):
    """
    With when they end and ended.
    """
    ada = await world.agent()
    key, secret = await create_key(world.ports, world.me, CreateKey(agent="ada", name="ci", lifetime=timedelta(days=1)))
    await revoke_key(world.ports, world.me, RevokeKey(agent="ada", key=key.number))
    rows = await world.ports.reads.agents.keys(world.me, ada.id)

    assert ["ci", "agent token"] == [row.name for row in rows]
    assert secret.startswith(rows[0].prefix)
    assert ('["viewer","agent:self"]', '["operator","agent:self"]') == (rows[0].scopes, rows[1].scopes)
    assert micros(world.clock.now()) == rows[0].revoked_at
    assert micros(key.expires_at) == rows[0].expires_at
    assert (None, None) == (rows[1].revoked_at, rows[1].expires_at)


async def test_the_store_gives_a_sign_of_life(world):
    """
    Whoever asks for it.
    """
    assert await world.ports.reads.ready() is None


async def test_reads_see_an_update_as_soon_as_it_is_committed(world):
    """
    And its next version.
    """
    task = await world.task()
    await update_task(world.ports, world.me, UpdateTask(task=task.id, title="new"))
    row = await world.ports.reads.tasks.get(world.me, task.id)

    assert ("new", 1) == (row.title, row.version)
