"""
Grants on boards, on every store: who may see some boards sees, counts and finds what there is on these, as if there
were no other; and changes what is on those they may write on.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve

from mission_adapters.board_scope import is_limited_by_grants
from mission_adapters.kind_registry import KINDS
from mission_core.accounts.model import Role
from mission_core.agents.queries import AgentFilter
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import (
    CreateKey,
    RecordAgentHeartbeat,
    create_key,
    record_agent_heartbeat,
    register_agent,
)
from mission_core.boards.assignments import AssignAgent, assign_agent
from mission_core.boards.groups import DeleteGroup, delete_group
from mission_core.boards.model import BoardDenied, BoardReadOnly
from mission_core.boards.queries import BoardFilter
from mission_core.boards.use_cases import UpdateBoard, update_board
from mission_core.errors import Refusal, RoleTooLow
from mission_core.reports.agent_activity import HourlyEventCount
from mission_core.reports.hourly_counters import hour_of
from mission_core.reports.queries import BucketCount, MinuteCount, ReportCounts, ReportScope, StatusCount
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.tasks.comment_creation import AddComment, add_comment
from mission_core.tasks.model import Status
from mission_core.tasks.queries import TaskFilter
from mission_core.tasks.use_cases import DeleteTask, UpdateTask, delete_task, update_task
from mission_core.usage.model import USAGE
from mission_core.usage.queries import UsageFilter, UsageWindow
from mission_core.usage.reported_runs import REPORTED_RUNS
from mission_core.usage.use_cases import RecordUsage, UsageReport, record_usage
from mission_core.values import PageOfRows, PageRequest, moment
from tests.contract.board_writes import BY_NAME, COMMANDS_ON_BOARDS, NOT_ON_ONE_BOARD, writing_use_cases
from tests.contract.conftest import World
from tests.contract.granted_boards import (
    PORTS,
    REPORTED,
    SEARCHED_WORD,
    SHARED,
    GrantedBoards,
    PopulatedBoard,
    ReadCall,
    make_granted_boards,
    methods_of,
    read_calls,
    results_of,
    without_the_main_agent,
)

OF_THE_LEDGER = (USAGE, REPORTED_RUNS)
"""What is kept when its board is gone."""


@pytest.fixture
async def many(world: World) -> GrantedBoards:
    """
    Three boards, each with one of everything.
    """
    return await make_granted_boards(world)


async def test_every_read_port_is_asked(many: GrantedBoards) -> None:
    """
    A new one joins by its name.
    """
    reads = many.world.ports.reads
    named = {name for name in dir(reads) if not name.startswith("_") and methods_in(getattr(reads, name))}

    assert {*PORTS, "server"} == named  # the figures of the whole server are the operator's
    assert all(methods_of(many, port) for port in PORTS)


def methods_in(port: Any) -> bool:
    """
    Whether it is a port of its own.
    """
    return type(port).__name__.endswith(("Reads", "Overviews"))


@pytest.mark.parametrize("granted", [1, 2])
async def test_who_may_see_some_boards_learns_nothing_of_another(many: GrantedBoards, granted: int) -> None:
    """
    Whatever is asked: it makes no difference what is on the other boards, nor whether they are there at all.
    """
    member = many.member(*many.places[:granted])
    asked = list(read_calls(many))
    before = await results_of(many, member, *asked)
    for place in many.places[granted:]:
        await live_on(many, place)
    changed = await results_of(many, member, *asked)
    await delete_board(many.world.ports, many.world.me, DeleteBoard(board=many.other.board.id))
    gone = await results_of(many, member, *asked)

    assert {} == unlike(unrefused(before), unrefused(changed))
    assert {} == unlike(unrefused(before), unrefused(gone))


async def live_on(many: GrantedBoards, place: PopulatedBoard) -> None:
    """
    Let a lot happen on a board.
    """
    world = evolve(many.world, board=place.board)
    ports, me, (first, later, held, done, _) = world.ports, world.me, place.tasks
    await world.task(
        f"{SEARCHED_WORD} more", assignee=SHARED, priority="high", tag_ids=(many.tag.id,), description=SEARCHED_WORD
    )
    await world.agent(f"eve {SEARCHED_WORD} {place.board.number}", board=place.board.id)
    await update_task(ports, me, UpdateTask(task=first.id, status=Status.DONE))
    await update_task(ports, me, UpdateTask(task=held.id, title="Otherwise"))
    await add_comment(ports, me, AddComment(task=later.id, content=SEARCHED_WORD))
    await delete_task(ports, me, DeleteTask(task=done.id))
    await create_key(ports, me, CreateKey(agent=place.worker.id))
    await record_agent_heartbeat(
        ports, me, RecordAgentHeartbeat(agent=place.worker.id, status="idle", activity="Other")
    )
    await update_agent(ports, me, UpdateAgent(agent=place.worker.id, name=f"adele {place.board.number}"))
    await assign_agent(ports, me, AssignAgent(board=place.board.id, agent_name="eve"))
    for report in (UsageReport(task=later.id, **REPORTED), UsageReport(board=place.board.id, label=SHARED, **REPORTED)):
        await record_usage(ports, me, RecordUsage(report=report))
    await update_board(ports, me, UpdateBoard(board=place.board.id, name="Renamed"))


def unlike(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """
    What is answered otherwise.
    """
    return {asked: (each, other[asked]) for asked, each in one.items() if each != other[asked]}


def unrefused(told: Mapping[str, Any]) -> dict[str, Any]:
    """
    What was answered, with all refusals alike: what is denied may be gone in the meantime.
    """
    return {asked: Refusal if isinstance(each, type) else each for asked, each in told.items()}


@pytest.mark.parametrize("granted", [1, 2])
async def test_who_may_see_some_boards_is_told_all_that_is_on_them(many: GrantedBoards, granted: int) -> None:
    """
    Just what somebody is told who may see everything, once there is nothing else.
    """
    seen, others = many.places[:granted], many.places[granted:]
    member, owner = many.member(*seen), many.world.me
    # What is said belongs to no board, and the log keeps the entries about what is deleted.
    asked = [each for each in read_calls(many) if each.port not in ("activity_feed", "chat")]
    told = await results_of(many, member, *asked)
    counted = {str(each): await counts_of(many, each, seen) for each in asked if "hours" in each.given}
    for place in others:
        await delete_board(many.world.ports, owner, DeleteBoard(board=place.board.id))
    await delete_group(many.world.ports, owner, DeleteGroup(group=many.secluded.id))
    expected = await results_of(many, owner, *asked)
    for each in asked:
        if str(each) in counted:
            expected[str(each)] = with_counts(expected[str(each)], counted[str(each)])
        if each.port == "agent_activity":
            expected[str(each)] = deeds_of(each, told, expected)
        if each.port in ("usage", "reported_runs") or each.given.get("kind") in OF_THE_LEDGER:
            expected[str(each)] = await kept_of(many, each, seen, expected[str(each)])

    expected = {name: without_the_main_agent(each) for name, each in expected.items()}

    assert {} == unlike(unrefused(expected), unrefused(told))


async def counts_of(many: GrantedBoards, asked: ReadCall, seen: tuple[PopulatedBoard, ...]) -> ReportCounts:
    """
    What is counted on the boards that are seen: the sum of them, as told to somebody who may see everything. What
    concerns no board is not counted.
    """
    scope, reads = asked.given.get("scope", ReportScope()), many.world.ports.reads.reports
    of_time = {name: asked.given[name] for name in ("hours", "minutes") if name in asked.given}
    boards = [
        place.board.id
        for place in seen
        if scope.board in (None, place.board.id) and scope.group in (None, place.board.group)
    ]
    each = [await reads.counts(many.world.me, ReportScope(board=board), **of_time) for board in boards]
    return ReportCounts(
        summed(StatusCount, 2, [row for one in each for row in one.status_counts]),
        summed(BucketCount, 3, [row for one in each for row in one.bucket_counts]),
        summed(MinuteCount, 1, [row for one in each for row in one.minute_counts]),
        min((one.oldest for one in each if one.oldest is not None), default=None),
    )


def with_counts(answer: Any, counts: ReportCounts) -> Any:
    """
    An answer that is counts or has them, with others.
    """
    return counts if isinstance(answer, ReportCounts) else answer._replace(counts=counts)


def summed(make: Any, names: int, rows: list[Any]) -> list[Any]:
    """
    The rows with the amounts of those added that are about the same.
    """
    sums: dict[Any, list[int]] = {}
    for row in rows:
        about, amounts = row[:names], row[names:]
        sums[about] = [sum(each) for each in zip(sums.get(about, [0] * len(amounts)), amounts, strict=True)]
    return sorted((make(*about, *amounts) for about, amounts in sums.items()), key=repr)


def deeds_of(asked: ReadCall, told: dict[str, Any], all_told: dict[str, Any]) -> Any:
    """
    What is told of an agent: of all that is told to somebody who may see everything, what is about something that is
    there. How much that is, is counted of what was told.
    """
    if asked.method in ("work", "said"):
        return all_told[str(asked)]
    agent, since = asked.given["agent"], asked.given["since"]
    if asked.method == "event_counts":
        deeds = told[
            str(ReadCall("agent_activity", "entries_by", {"agent": agent, "since": since, "kinds": None, "limit": 100}))
        ]
        split = asked.given["split"]
        moments = [(moment(each.at), each.kind) for each in deeds]
        counted = Counter((at >= split, hour_of(at), kind) for at, kind in moments)
        return sorted((HourlyEventCount(*cell, amount) for cell, amount in counted.items()), key=repr)
    whole = all_told[str(evolve(asked, given=asked.given | {"limit": 100}))]
    return [each for each in whole if each.number is not None][: asked.given["limit"]]


async def kept_of(many: GrantedBoards, asked: ReadCall, seen: tuple[PopulatedBoard, ...], told: Any) -> Any:
    """
    What is told of the ledger to somebody who may see everything, without the boards that are not seen. Their entries
    are kept although the boards are gone.
    """
    ledger, owner, boards = many.world.ports.reads.usage, many.world.me, {place.board.id for place in seen}
    if asked.method == "sums":
        return [each for each in told if each.key[asked.given["by"].index("board")] in boards]
    if asked.method == "leaderboard":
        return [each for each in told if each.agent_name in {place.worker.name for place in seen}]
    if asked.method == "page":
        reads, given = many.world.ports.reads, asked.given | {"page": PageRequest(limit=1000)}
        rows = [row for row in (await getattr(reads, asked.port).page(owner, **given)).rows if row.board in boards]
        page, ahead = asked.given["page"], -1 if asked.given.get("newest", True) else 1
        after = [row for row in rows if page.after is None or (row.number - page.after) * ahead > 0]
        return PageOfRows(after[page.offset : page.offset + page.limit], len(rows))
    if asked.method in ("entries", "last_used", "session_counts"):
        window, wanted = asked.given.get("window", UsageWindow()), asked.given.get("wanted", UsageFilter())
        rows = (await ledger.entries(owner, window, PageRequest(limit=1000), wanted)).rows
        rows = [each for each in rows if each.board in boards]
        if asked.method == "session_counts":
            return Counter(name for name, _ in {(each.agent_name, each.session) for each in rows})
        if asked.method == "last_used":
            return {each.agent_name: each.at for each in rows[::-1] if each.agent_name in asked.given["names"]}
        page = asked.given["page"]
        return PageOfRows(rows[page.offset : page.offset + page.limit], len(rows))
    if asked.port == "usage":
        return told
    if asked.method == "every":
        return [each for each in told if each.board in boards]
    return told if told.board in boards else asked.given["kind"].missing


async def test_who_may_see_no_board_is_told_nothing(many: GrantedBoards) -> None:
    """
    Of what belongs to boards: every list is empty, every sum nothing, and what is asked for by its name is denied.
    """
    asked = [
        each
        for each in read_calls(many)
        if each.port != "members" and (each.port != "entities" or is_limited_by_grants(each.given["kind"].entity))
    ]
    told = await results_of(many, many.member(), *asked)

    assert {} == {name: each for name, each in told.items() if each is not BoardDenied and something_in(each)}


def something_in(told: Any) -> bool:
    """
    Whether there is anything in an answer.
    """
    if isinstance(told, dict):
        return any(map(something_in, told.values()))
    if isinstance(told, list | tuple):
        return any(map(something_in, told))
    return bool(told)


async def test_grants_on_all_boards_show_no_row_of_no_board(many: GrantedBoards) -> None:
    """
    For they are grants on boards.
    """
    olga = await many.world.agent("olga")
    member, reads = many.member(*many.places), many.world.ports.reads
    with pytest.raises(BoardDenied):
        await reads.agents.get(member, olga.id)
    names = {row.name for row in await reads.agents.names(member)}

    assert {"olga", "Gateway Agent"}.isdisjoint(names)
    assert many.general.worker.name in names


# Writing.


async def looks(many: GrantedBoards) -> Any:
    """
    How everything looks to somebody who may see all, and how much has happened.
    """
    reads, me = many.world.ports.reads, many.world.me
    rows = [await reads.entities.every(me, kind) for kind in KINDS if is_limited_by_grants(kind.entity)]
    everybody = AgentFilter(hidden=True, at=many.world.clock.now())
    tasks = await reads.tasks.page(me, TaskFilter(), PageRequest(limit=1000))
    listed = [
        tasks,
        *[await reads.tasks.runs(me, row.number) for row in tasks.rows],
        await reads.agents.page(me, everybody, PageRequest(limit=1000)),
        await reads.boards.page(me, BoardFilter(archived=True)),
        *[await reads.agents.keys(me, place.worker.id) for place in many.places],
    ]
    return rows, listed, await many.world.ports.log.head(me.organization)


async def test_every_use_case_that_changes_something_is_asked_for() -> None:
    """
    On a board, or known to concern none.
    """
    assert writing_use_cases() == {*BY_NAME} | NOT_ON_ONE_BOARD


async def test_nothing_changes_on_a_board_that_is_granted_for_reading_only(many: GrantedBoards) -> None:
    """
    Whatever is asked for is refused as such, and leaves no trace.
    """
    member = many.member(many.general, many.work, writes=[many.general])
    for use_case, wish in COMMANDS_ON_BOARDS:
        command = await wish(many, many.work)
        before = await looks(many)
        with pytest.raises(BoardReadOnly):
            await use_case(many.world.ports, member, command)

        assert before == await looks(many), command


@pytest.mark.one_store
async def test_a_viewer_changes_nothing(many: GrantedBoards) -> None:
    """
    Every use case requires a role above viewer, except those by which the Fleet's agents report themselves.
    """
    viewer = evolve(many.member(many.general, many.work), role=Role.VIEWER, reads=None, writes=None)
    for use_case, wish in COMMANDS_ON_BOARDS:
        if use_case in (register_agent, record_agent_heartbeat):
            continue
        command = await wish(many, many.work)
        before = await looks(many)
        with pytest.raises(RoleTooLow):
            await use_case(many.world.ports, viewer, command)

        assert before == await looks(many), command


async def test_nothing_changes_on_a_board_that_is_not_granted(many: GrantedBoards) -> None:
    """
    And it is not even told that it could be seen.
    """
    member = many.member(many.general, many.work, writes=[many.general, many.work])
    for use_case, wish in COMMANDS_ON_BOARDS:
        command = await wish(many, many.other)
        before = await looks(many)
        with pytest.raises(BoardDenied) as refused:
            await use_case(many.world.ports, member, command)

        assert BoardDenied is refused.type, command
        assert before == await looks(many), command


@pytest.mark.parametrize("granted", ["some", "all"])
async def test_what_is_asked_for_on_a_board_that_is_granted_for_writing_is_done(
    many: GrantedBoards, granted: str
) -> None:
    """
    By somebody who may write on it and see others, as by somebody who may see and write on all.
    """
    member = many.member(many.general, many.work, writes=[many.work])
    if granted == "all":
        member = evolve(member, reads=None, writes=None)
    for use_case, wish in COMMANDS_ON_BOARDS:
        command = await wish(many, many.work)
        before = await looks(many)
        await use_case(many.world.ports, member, command)

        assert before != await looks(many), command
