"""
What reports are made of, on every store.
"""

import re
from datetime import timedelta

import pytest
from attrs import evolve

from mission_adapters.sql.migrations import migrate
from mission_adapters.sql.postgres_pool import PLANNER_SETTINGS
from mission_adapters.sql.report_reads import _select_workloads
from mission_core.agents.use_cases import RecordAgentHeartbeat, record_agent_heartbeat
from mission_core.boards.groups import CreateGroup, create_group
from mission_core.errors import Conflict
from mission_core.ids import TaskId
from mission_core.reports.queries import (
    AgentWorkload,
    BucketCount,
    DoneTaskGroup,
    DurationCount,
    HourRange,
    MinuteCount,
    MinuteRange,
    ReportCounts,
    ReportScope,
    StatusCount,
)
from mission_core.tasks.heartbeats import Heartbeat, heartbeat
from mission_core.tasks.leases import CompleteTask, FailTask, complete_task, expire_leases, fail_task
from mission_core.tasks.model import Status
from mission_core.tasks.operator_orders import GiveOrder, give_order
from mission_core.tasks.runs import Failure, FailureReason, OrderKind, Outcome, TaskResult
from mission_core.tasks.use_cases import DeleteTask, UpdateTask, delete_task, update_task
from mission_core.values import EPOCH, micros
from tests.contract.schemas import asked

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def reads(world):
    """
    The reads for reports, at the beginning of an hour.
    """
    now = world.clock.now()
    world.clock.advance(hours=1, seconds=-(micros(now) % 3_600_000_000) / 1e6)
    return world.ports.reads.reports


async def move(world, task, status):
    """
    Move a task.
    """
    return await update_task(world.ports, world.me, UpdateTask(task=task.id, status=status))


async def counts(world, scope=None, *, by=None, back=HOUR, split=timedelta(0), each=1, minutes=True):
    """
    What was counted, without what comes to nothing.
    """
    now = world.clock.now()
    window = MinuteRange(now - HOUR, now - 5 * MINUTE) if minutes else None
    found = await world.ports.reads.reports.counts(
        by or world.me, scope or ReportScope(), HourRange(now - back, now - split, each), window
    )
    return ReportCounts(
        sorted(found.status_counts),
        sorted(each for each in found.bucket_counts if each.amount),
        sorted(each for each in found.minute_counts if each.amount),
        found.oldest,
    )


async def metrics(world, *, since, scope=None):
    """
    The figures of board metrics with this split.
    """
    hours = HourRange(since - HOUR, since)
    return await world.ports.reads.reports.board_metrics(world.me, scope or ReportScope(), hours, limit=9)


def happened(found, *whats, late=None):
    """
    How often each of these was counted.
    """
    amounts = dict.fromkeys(whats, 0)
    for each in found.bucket_counts:
        if each.what in amounts and late in (None, each.late):
            amounts[each.what] += each.amount
    return amounts


async def test_tasks_are_counted_by_status_and_priority(world, reads):
    """
    As they stand now, and not as they stood.
    """
    first = await world.task("a", priority="high")
    await world.task("b")
    await world.task("c")
    await move(world, first, Status.DONE)
    found = await counts(world)

    assert [StatusCount("done", "high", 1), StatusCount("inbox", "medium", 2)] == found.status_counts


async def test_a_task_stands_in_the_hour_in_which_it_came_there(world, reads):
    """
    What nobody has begun, in the hour in which it was made.
    """
    task, parked = await world.task("a"), await world.task("b")
    world.clock.advance(hours=1)
    await move(world, task, Status.IN_PROGRESS)
    await move(world, parked, Status.BACKLOG)
    hour = micros(world.clock.now()) // 3_600_000_000
    found = await counts(world)

    assert BucketCount(False, hour - 1, "backlog", 1, 1) in found.bucket_counts
    assert BucketCount(True, hour, "in_progress", 1, 1) in found.bucket_counts
    assert {"inbox": 0, "backlog": 1} == happened(found, "inbox", "backlog")


async def test_the_cycle_of_a_done_task_begins_with_the_first_work_on_it(world, reads):
    """
    Also when it went back and was taken again, and whatever became of it in between.
    """
    task = await world.task()
    await move(world, task, Status.IN_PROGRESS)
    world.clock.advance(minutes=10)
    await move(world, task, Status.INBOX)
    world.clock.advance(minutes=10)
    lease = await world.claim(task)
    world.clock.advance(minutes=4)
    await complete_task(world.ports, world.me, CompleteTask(task=task.id, lease=lease.lease))
    late = await world.task()
    await move(world, late, Status.DONE)
    found = await counts(world)

    assert {"done": 2, "cycles": 1, "cycle_seconds": 24 * 60} == happened(found, "done", "cycles", "cycle_seconds")
    assert 24 * 60 == (await metrics(world, since=world.clock.now() - HOUR)).median_cycle
    assert (await metrics(world, since=world.clock.now() + MINUTE)).median_cycle is None


@pytest.mark.parametrize(("seconds", "expected"), [((4,), 4), ((9, 1), 5), ((2, 1, 9), 2), ((1, 2, 8, 3), 2.5)])
async def test_of_two_cycle_times_in_the_middle_the_mean_is_the_median(world, reads, seconds, expected):
    """
    Only the time range and the boards of the report count.
    """
    other = await world.another_board()
    since = world.clock.now() + HOUR
    for length, board in (*((each, world.board) for each in seconds), (70, other)):
        world.clock.advance(hours=1)
        task = await world.task(board=board.id)
        await move(world, task, Status.IN_PROGRESS)
        world.clock.advance(seconds=length)
        await move(world, task, Status.DONE)
    found = await metrics(world, since=since, scope=ReportScope(board=world.board.id))

    assert expected == found.median_cycle


async def test_what_is_undone_is_counted_no_longer(world, reads):
    """
    Reopened, moved to another board, or deleted.
    """
    other = await world.another_board()
    tasks = [await world.task(status=Status.IN_PROGRESS) for _ in range(3)]
    for task in tasks:
        await move(world, task, Status.DONE)
    await move(world, tasks[0], Status.INBOX)
    await update_task(world.ports, world.me, UpdateTask(task=tasks[1].id, board=other.id))
    await delete_task(world.ports, world.me, DeleteTask(task=tasks[2].id))
    here, there = (
        await counts(world, ReportScope(board=world.board.id)),
        await counts(world, ReportScope(board=other.id)),
    )

    assert {"done": 0, "cycles": 0, "inbox": 1} == happened(here, "done", "cycles", "inbox")
    assert {"done": 1, "cycles": 1, "inbox": 0} == happened(there, "done", "cycles", "inbox")
    assert [MinuteCount("done", 1, 1)] == [each for each in there.minute_counts if each.what == "done"]


async def test_what_is_refused_is_not_counted(world, reads):
    """
    A unit that lost a race leaves every count as it was.
    """
    task = await world.task()
    before = await counts(world)
    async with world.ports.unit(world.me) as slow:
        stale = await slow.tasks.get(task.id)
        await update_task(world.ports, world.me, UpdateTask(task=task.id, title="faster"))
        moved, fact = stale.move(Status.DONE, at=world.clock.now())
        slow.tasks.save(moved)
        slow.tasks.add(evolve(task, id=TaskId(world.ports.ids.new()), number=task.number))
        slow.record(fact, fact)
        with pytest.raises(Conflict):
            await slow.commit()
    after = await counts(world)

    assert before.status_counts == after.status_counts
    assert {"task.updated": 1, "task.moved": 0, "done": 0, "inbox": 1} == happened(
        after, "task.updated", "task.moved", "done", "inbox"
    )


async def test_many_changes_at_once_are_all_counted(world, reads):
    """
    More than one statement takes.
    """
    now = world.clock.now()
    async with world.ports.unit(world.me) as unit:
        tasks = [await world.task() for _ in range(40)]
        for hours, task in enumerate(tasks):
            found = await unit.tasks.get(task.id)
            done, fact = evolve(found, completed_at=now - hours * HOUR).move(Status.DONE, at=now)
            unit.tasks.save(done)
            unit.record(fact)
        await unit.commit()
    found = await counts(world, back=100 * HOUR)

    assert {"done": 40, "inbox": 0, "task.moved": 40} == happened(found, "done", "inbox", "task.moved")
    assert 40 == len([each for each in found.bucket_counts if each.what == "done"])


async def test_facts_are_counted_where_their_task_is(world, reads):
    """
    What concerns no task belongs to no board.
    """
    other = await world.another_board()
    task = await world.task()
    lease = await world.claim(task)
    await give_order(world.ports, world.me, GiveOrder(task=task.id, kind=OrderKind.PAUSE))
    beat = await heartbeat(world.ports, world.me, Heartbeat(task=task.id, lease=lease.lease))
    heard = Heartbeat(task=task.id, lease=lease.lease, acknowledges=beat.order.id)
    await heartbeat(world.ports, world.me, heard)
    await fail_task(
        world.ports, world.me,
        FailTask(task=task.id, lease=lease.lease, failure=Failure(reason=FailureReason.CRASHED)),
    )  # fmt: skip
    here, there = (
        await counts(world, ReportScope(board=world.board.id)),
        await counts(world, ReportScope(board=other.id)),
    )
    whole = await counts(world)
    kinds = ("task.created", "task.claimed", "run.ordered", "run.acknowledged", "run.failed", "board.created")

    assert {**dict.fromkeys(kinds, 1), "board.created": 0} == happened(here, *kinds)
    assert dict.fromkeys(kinds, 0) == happened(there, *kinds)
    assert {**dict.fromkeys(kinds, 1), "board.created": 0} == happened(
        evolved(whole, [each for each in whole.bucket_counts if each.placed]), *kinds
    )


def evolved(found, happened):
    """
    The counts with only these.
    """
    return found._replace(bucket_counts=happened)


async def test_a_lease_that_runs_out_is_counted_as_such(world, reads):
    """
    On the board of its task, whoever finds out.
    """
    task = await world.task()
    await world.claim(task)
    world.clock.advance(minutes=20)
    await expire_leases(world.ports, world.me)

    assert {"run.expired": 1} == happened(await counts(world, ReportScope(board=world.board.id)), "run.expired")


async def test_the_last_hour_is_known_by_the_minute(world, reads):
    """
    The minute in which a window begins belongs to it; what is older than an hour does not.
    """
    first = await world.task("a")
    world.clock.advance(minutes=50)
    await world.task("b")
    world.clock.advance(minutes=5)
    await world.task("c")
    at = (await counts(world)).minute_counts
    world.clock.advance(minutes=1)
    later = (await counts(world)).minute_counts
    world.clock.advance(minutes=5)
    much_later = await counts(world)

    assert MinuteCount("task.created", 3, 2) in at
    assert MinuteCount("task.created", 3, 1) in later
    assert MinuteCount("task.created", 2, 0) in much_later.minute_counts
    assert micros(first.created_at) == much_later.oldest


async def test_minutes_that_come_round_begin_anew(world, reads):
    """
    An hour and some minutes later the same place counts another minute.
    """
    await world.task()
    await world.task()
    world.clock.advance(minutes=64)
    await world.task()

    assert MinuteCount("task.created", 1, 1) in (await counts(world)).minute_counts
    assert {"task.created": 3} == happened(await counts(world, back=2 * HOUR), "task.created")


async def test_what_was_done_at_another_time_counts_in_its_hour_and_in_no_minute(world, reads):
    """
    Work that is recorded afterwards, and a moment that has not come.
    """
    now = world.clock.now()
    await world.task(status=Status.DONE, completed_at=now - 2 * HOUR)
    await world.task(status=Status.DONE, completed_at=now + 20 * HOUR)
    found = await counts(world, back=3 * HOUR)

    assert {"done": 1} == happened(found, "done", late=False)
    assert [] == [each for each in found.minute_counts if each.what == "done"]
    assert EPOCH + next(each.bucket for each in found.bucket_counts if each.what == "done") * HOUR == now - 2 * HOUR


async def test_hours_come_in_buckets_before_and_after_the_split(world, reads):
    """
    Of so many hours as asked, or all together.
    """
    start = world.clock.now()
    for _ in range(4):
        await world.task()
        world.clock.advance(hours=1)
    asked = {"back": world.clock.now() - start, "split": 2 * HOUR, "minutes": False}
    apart = [each for each in (await counts(world, **asked)).bucket_counts if each.what == "task.created"]
    together = [each for each in (await counts(world, **asked, each=None)).bucket_counts if each.what == "task.created"]
    days = (await counts(world, **asked, each=24)).bucket_counts

    first = micros(start) // 3_600_000_000
    assert [(False, first, 1), (False, first + 1, 1), (True, first + 2, 1), (True, first + 3, 1)] == [
        (each.late, each.bucket, each.amount) for each in apart
    ]
    assert [(False, 0, 2), (True, 0, 2)] == [(each.late, each.bucket, each.amount) for each in together]
    assert {(first + hour) // 24 for hour in range(4)} == {each.bucket for each in days if each.what == "task.created"}


async def test_a_scope_leaves_out_other_boards_and_organizations(world, elsewhere, reads):
    """
    A group holds the boards that name it; an unknown one holds none, and a board outside of it is not in it.
    """
    group = (await create_group(world.ports, world.me, CreateGroup(name="G"))).id
    grouped = await world.another_board("Grouped", group=group)
    await world.task("a")
    await world.task("b", board=grouped.id)
    await elsewhere.task("c")

    async def standing(**scope):
        return sum(each.amount for each in (await counts(world, ReportScope(**scope))).status_counts)

    assert 2 == await standing()
    assert 1 == await standing(group=group)
    assert 0 == await standing(group=world.ports.ids.new())
    assert 1 == await standing(board=grouped.id, group=group)
    assert 0 == await standing(board=world.board.id, group=group)
    assert 0 == await standing(board=elsewhere.board.id)


async def test_who_is_confined_to_a_board_is_told_of_that_board(world, reads):
    """
    In counts, staff, finished work and finds.
    """
    other = await world.another_board()
    bob = await world.principal("bob", board=other.id)
    await world.agent("ada", board=world.board.id)
    for board in (world.board, other):
        await world.task("work", board=board.id, status=Status.DONE, assignee="bob")
        await world.task("open", board=board.id, assignee="bob")
    await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent="ada"))
    await record_agent_heartbeat(world.ports, bob, RecordAgentHeartbeat(agent="bob"))
    now = world.clock.now()
    found = await counts(world, by=bob)

    assert [StatusCount("assigned", "medium", 1), StatusCount("done", "medium", 1)] == found.status_counts
    assert {"task.created": 2, "board.created": 0} == happened(found, "task.created", "board.created")
    assert ([AgentWorkload("bob", "online", 1, 0)], 1) == await reads.agent_workloads(bob, at=now)
    assert {"online": 1} == (await reads.overview(bob, HourRange(now, now), at=now)).agents
    assert [1] == [each.amount for each in (await reads.done_task_groups(bob, since=EPOCH, errors=9)).groups]
    assert [1] == [each.amount for each in await reads.durations(bob, since=EPOCH, split=now, until=now + MINUTE)]
    assert 1 == (await reads.find_tasks(bob, "WORK", limit=9)).total
    assert ["bob"] == [each.name for each in (await reads.find_agents(bob, "", limit=9)).rows]


async def test_staff_is_told_with_what_is_before_it(world, reads):
    """
    Those who are built in are not told, and those who are offline are counted only.
    """
    await world.agent("Bob")
    ada = await world.agent("ada", board=world.board.id)
    eve = await world.agent("Eve")
    await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=eve.id, status="idle"))
    world.clock.advance(minutes=10)
    await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=ada.id, status="busy"))
    await world.task(assignee="ADA")
    await world.task(assignee="ada", status=Status.IN_PROGRESS)
    await world.task(assignee="ada", status=Status.REVIEW)
    await world.task(assignee="bob")
    now = world.clock.now()
    told = AgentWorkload("ada", "busy", 1, 1)
    there, total = await reads.agent_workloads(world.me, at=now)

    assert (3, [told, AgentWorkload("Eve", "idle", 0, 0)]) == (total, sorted(there, key=lambda each: each.status))
    assert ([told], 3) == await reads.agent_workloads(world.me, at=now + MICROSECOND)
    assert ([], 3) == await reads.agent_workloads(world.me, at=now + HOUR)


async def test_an_overview_counts_agents_by_their_status(world, reads):
    """
    An agent that was never seen is as it was made. Those who are built in are not counted.
    """
    await world.task()
    await world.agent("Bob")
    ada, eve = await world.agent("ada"), await world.agent("Eve")
    await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=eve.id, status="idle"))
    world.clock.advance(minutes=10)
    await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=ada.id, status="busy"))
    now = world.clock.now()
    hours = HourRange(now - HOUR, now)

    assert {"offline": 1, "idle": 1, "busy": 1} == (await reads.overview(world.me, hours, at=now)).agents
    assert {"offline": 2, "busy": 1} == (await reads.overview(world.me, hours, at=now + MICROSECOND)).agents
    assert [StatusCount("inbox", "medium", 1)] == (await reads.overview(world.me, hours, at=now)).counts.status_counts


async def test_an_agent_is_active_on_its_board_since_it_was_last_seen(world, reads):
    """
    An agent without a board is active on none.
    """
    for name, board in (("ada", world.board.id), ("Bob", None), ("Eve", world.board.id)):
        agent = await world.agent(name, board=board)
        if name != "Eve":
            await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=agent.id))
    other, now = await world.another_board(), world.clock.now()

    assert 1 == (await metrics(world, since=now)).active_agents
    assert 1 == (await metrics(world, since=now, scope=ReportScope(board=world.board.id))).active_agents
    assert 0 == (await metrics(world, since=now, scope=ReportScope(board=other.id))).active_agents
    assert 0 == (await metrics(world, since=now + MICROSECOND)).active_agents


async def test_finished_work_comes_in_groups_with_its_errors(world, reads):
    """
    Of each assignee, priority and result. What was done before it was made has no time that could be told.
    """
    made = {"status": Status.DONE, "assignee": "ada"}
    await world.task(**made, result=TaskResult.FAILED, error_message="boom", retry_count=2)
    await world.task(**made, result=TaskResult.FAILED, error_message="boom")
    await world.task(**made, completed_at=world.clock.now() - HOUR, error_message="bang")
    task = await world.task(priority="high", max_attempts=9)
    for _ in range(2):
        lease = await world.claim(task, agent="bob")
        failed = FailTask(task=task.id, lease=lease.lease, failure=Failure(reason=FailureReason.CRASHED))
        await fail_task(world.ports, world.me, failed)
        world.clock.advance(minutes=30)
    lease = await world.claim(task, agent="bob")
    outcome = Outcome(result=TaskResult.SUCCESS)
    await complete_task(world.ports, world.me, CompleteTask(task=task.id, lease=lease.lease, outcome=outcome))
    found = await reads.done_task_groups(world.me, since=EPOCH, errors=9)

    assert {
        DoneTaskGroup("ada", "medium", "failed", 2, 2, 2, 0),
        DoneTaskGroup("ada", "medium", None, 1, 0, 0, 0),
        DoneTaskGroup("bob", "high", "success", 1, 2, 1, 3600),
    } == {*found.groups}
    assert [("boom", 2), ("bang", 1)] == found.errors
    assert [("boom", 2)] == (await reads.done_task_groups(world.me, since=EPOCH, errors=1)).errors
    assert 1 == len((await reads.done_task_groups(world.me, since=world.clock.now(), errors=9)).groups)


async def test_how_long_work_took_is_told_in_seconds_before_and_after_the_split(world, reads):
    """
    What was done before it was made took no time.
    """
    tasks = [await world.task(error_message="x" if n else "") for n in range(3)]
    start = world.clock.now()
    for task in tasks:
        world.clock.advance(seconds=2.5)
        await move(world, task, Status.DONE)
    await world.task(status=Status.DONE, completed_at=start, retry_count=1)
    split, until = start + timedelta(seconds=5), start + timedelta(seconds=7.5)
    await world.task(status=Status.DONE, result=TaskResult.PARTIAL, completed_at=split)

    assert {
        DurationCount(False, 0, 1, 1), DurationCount(False, 2, 1, 0), DurationCount(True, 5, 1, 1),
        DurationCount(True, 0, 1, 1),
    } == {*await reads.durations(world.me, since=start, split=split, until=until)}  # fmt: skip


async def titles(world, text, **more):
    """
    The titles of tasks that hold a text, and how many there are.
    """
    found = await world.ports.reads.reports.find_tasks(world.me, text, **({"limit": 9} | more))
    return [(each.title, each.relevance) for each in found.rows], found.total


async def test_a_text_is_found_wherever_it_stands(world, elsewhere):
    """
    In the title before elsewhere, the newest first; whatever the case of A to Z, and of no other letter.
    """
    await world.task("old ship")
    await world.task("b", description="it is SHIPPED")
    await world.task("c", assignee="shipper")
    await world.task("Ship it")
    await world.task("ÄRGER")
    await elsewhere.task("ship")

    assert ([("Ship it", 2), ("old ship", 2), ("c", 1), ("b", 1)], 4) == await titles(world, "sHip")
    assert ([("Ship it", 2)], 4) == await titles(world, "ship", limit=1)
    assert ([("c", 1)], 1) == await titles(world, "ship", assignee="Shipper")
    assert ([("ÄRGER", 2)], 1) == await titles(world, "Ärger")
    assert ([], 0) == await titles(world, "ärger")
    assert ([], 0) == await titles(world, "nowhere")


@pytest.mark.parametrize("text", ["%", "_", "!", "\\", "'", "50%_", "[a]", "*"])
async def test_no_character_has_a_meaning_of_its_own(world, text):
    """
    What databases know as a pattern is found as it is.
    """
    await world.task(f"a {text} b")
    await world.task("plain")

    assert ([(f"a {text} b", 2)], 1) == await titles(world, text)


async def test_agents_are_found_too(world):
    """
    By name, role and what they were last heard doing.
    """
    await world.agent("Reviewer")
    bob = await world.agent("bob", role="peer review")
    await world.agent("carl", role="coder")
    await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=bob.id, activity="Reviewing all"))
    found = await world.ports.reads.reports.find_agents(world.me, "review", limit=9)

    assert 2 == found.total
    assert [("Reviewer", None, 2), ("bob", "Reviewing all", 1)] == [
        (each.name, each.activity, each.relevance) for each in found.rows
    ]


async def test_the_size_is_told_in_bytes(world, store_url):
    """
    Memory takes none.
    """
    now = world.clock.now()
    size = (await world.ports.reads.reports.overview(world.me, HourRange(now, now), at=now)).size

    assert (size > 0) is (store_url != "memory://")


def test_postgres_seeks_the_tasks_of_each_agent(fresh_postgres):
    """
    Our planner settings leave it no hash join, so it would read the sums of all assignees again for each agent.
    """
    migrate(fresh_postgres)
    ask = _select_workloads()("postgresql", organization=b"", silent_since=0)
    settings = "; ".join(f"SET {name} = {value}" for name, value in PLANNER_SETTINGS.items())
    values = ", ".join("''" if isinstance(each, bytes) else f"'{each}'" for each in ask.values)
    script = f"{settings}; PREPARE reading AS {ask.text}"
    (plan,) = asked(fresh_postgres, f"EXPLAIN EXECUTE reading({values})", script=script)
    lines = [line.strip() for (line,) in plan]

    assert 2 == sum(bool(re.search("Index Cond: .*assignee_key = agents.*name_key", line)) for line in lines), lines
