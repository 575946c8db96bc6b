"""
Members with grants at work, on every store: what they are handed out, what they carry from board to board, what follows
of itself on boards that they may not write on, and what belongs to groups.
"""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve, frozen

from mission_core.accounts.members import BoardPermission
from mission_core.accounts.model import MemberPrincipal, Role
from mission_core.accounts.user_admin import CreateUser, create_user
from mission_core.agents.heartbeat_intervals import SetHeartbeatInterval, set_heartbeat_interval
from mission_core.agents.model import Agent
from mission_core.agents.organization_creation import MAIN_AGENT_NAME
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import CreateAgent, RegisterAgent, create_agent, register_agent
from mission_core.boards.assignments import BOARD_ASSIGNMENTS, AssignAgent, assign_agent
from mission_core.boards.board_access import BoardAccess, SetBoardAccess, set_board_access
from mission_core.boards.custom_field_use_cases import CreateField, create_field
from mission_core.boards.custom_fields import CUSTOM_FIELDS
from mission_core.boards.groups import (
    GROUPS,
    BoardGroup,
    CreateGroup,
    DeleteGroup,
    UpdateGroup,
    create_group,
    delete_group,
    update_group,
)
from mission_core.boards.model import Board, BoardDenied, BoardReadOnly
from mission_core.boards.tags import CreateTag, create_tag
from mission_core.boards.use_cases import CreateBoard, UpdateBoard, create_board, update_board
from mission_core.conversations.memory_entries import GROUP_MEMORY
from mission_core.conversations.use_cases import WriteGroupMemory, write_group_memory
from mission_core.errors import RoleTooLow
from mission_core.ids import AssignmentId, MemberId, TaskId, UserId, UserNumber
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.tasks.comment_creation import AddComment, add_comment, mentionable_by_handle
from mission_core.tasks.events import DependencyToggled
from mission_core.tasks.leases import ClaimNext, claim_next
from mission_core.tasks.mentions import MentionStyle, UnknownMentions
from mission_core.tasks.model import Status, Task
from mission_core.tasks.queue_polls import (
    PollQueue,
    PollReason,
    RenewImplicitLeases,
    peek_queue,
    poll_queue,
    renew_implicit_leases,
)
from mission_core.tasks.runs import IMPLICIT_LEASE_RENEWAL_INTERVAL, LeaseTerms
from mission_core.tasks.use_cases import CreateTask, DeleteTask, UpdateTask, create_task, delete_task, update_task
from mission_core.values import PageRequest
from tests.contract.conftest import World


@frozen
class Desk:
    """
    An organization with three boards beside the general one, and members with grants on them.
    """

    world: World
    mine: Board
    shown: Board
    hidden: Board

    def member(self, *writes: Board, reads: tuple[Board, ...] = (), role: Role = Role.ADMIN) -> MemberPrincipal:
        """
        A member who may write on these boards, and see those.
        """
        written = frozenset(each.id for each in writes)
        return MemberPrincipal(
            organization=self.world.me.organization, user=UserId(self.world.board.id), number=UserNumber(7),
            member=MemberId(self.world.board.id), name="mia", display="Mia", role=role,
            reads=written | {each.id for each in reads}, writes=written,
        )  # fmt: skip

    async def task(self, board: Board, title: str = "Ship it", **fields: Any) -> Task:
        """
        A new task on a board.
        """
        return await self.world.task(title, board=board.id, **fields)

    async def do(self, use_case: Any, command: Any, by: MemberPrincipal | None = None) -> Any:
        """
        Let a member do something: one who may write on one board and see another.
        """
        return await use_case(self.world.ports, by or self.member(self.mine, reads=(self.shown,)), command)

    async def carry(self, task: Task, to: Board) -> None:
        """
        Take a task to another board, with what it depends on left behind.
        """
        await update_task(self.world.ports, self.world.me, UpdateTask(task=task.id, board=to.id))

    async def group_of(self, *boards: Board) -> BoardGroup:
        """
        A new group of these boards.
        """
        group = await create_group(self.world.ports, self.world.me, CreateGroup(name="Group"))
        for board in boards:
            await update_board(self.world.ports, self.world.me, UpdateBoard(board=board.id, group=group.id))
        return group


@pytest.fixture
async def desk(world: World) -> Desk:
    """
    Three boards: to write on, to see, and neither.
    """
    return Desk(world, world.board, await world.another_board("Shown"), await world.another_board("Hidden"))


async def test_work_is_handed_out_from_boards_that_may_be_written_on(desk: Desk) -> None:
    """
    In the queue's order, over as many of them as there are; what is only seen, or not even that, is left alone.
    """
    for board in (desk.hidden, desk.shown):
        await desk.task(board, priority="critical")
    another = await desk.world.another_board("Another")
    second, first = await desk.task(desk.mine), await desk.task(another, priority="high")
    last, third = await desk.task(another, priority="low"), await desk.task(desk.mine, assignee="ada")
    nobody, one = desk.member(reads=(desk.mine,)), desk.member(desk.mine, reads=(desk.shown, another))
    two = desk.member(desk.mine, another, reads=(desk.shown,))
    taken = [await desk.do(claim_next, ClaimNext(agent="ada"), by) for by in (nobody, two, one, two, one, two, two)]

    assert [None, first.id, second.id, third.id, None, last.id, None] == [each and each.task.id for each in taken]


async def test_polls_hand_out_the_same(desk: Desk) -> None:
    """
    To somebody with grants who asks for an agent.
    """
    await desk.task(desk.shown, priority="critical")
    task = await desk.task(desk.mine)
    polled = await desk.do(poll_queue, PollQueue(agent="ada"))

    assert (PollReason.ASSIGNED, task.id) == (polled.reason, polled.task)
    assert PollReason.CONTINUE is (await desk.do(peek_queue, PollQueue(agent="ada"))).reason
    assert PollReason.NOTHING is (await desk.do(poll_queue, PollQueue(agent="bob"))).reason


async def test_what_ran_out_is_noticed_everywhere_and_handed_out_where_it_may_be(desk: Desk) -> None:
    """
    Whoever claims puts back what nobody holds any more, on whatever board that is.
    """
    terms = LeaseTerms(term=timedelta(minutes=1), delay=timedelta(0))
    tasks = [await desk.task(board) for board in (desk.hidden, desk.shown, desk.mine)]
    for task in tasks:
        await desk.world.claim(task, agent="ada", terms=terms)
    desk.world.clock.advance(minutes=2)
    taken = [await desk.do(claim_next, ClaimNext(agent="bob")) for _ in range(2)]

    assert [tasks[2].id, None] == [each and each.task.id for each in taken]
    assert [Status.INBOX, Status.INBOX, Status.IN_PROGRESS] == [(await desk.world.fresh(each)).status for each in tasks]


async def test_a_lease_where_nothing_may_be_written_any_more_is_left_to_run_out(desk: Desk) -> None:
    """
    And fails no request of its pair.
    """
    task = await desk.task(desk.shown)
    await desk.do(poll_queue, PollQueue(agent="ada"), desk.member(desk.shown))
    desk.world.clock.advance(seconds=IMPLICIT_LEASE_RENEWAL_INTERVAL.total_seconds())

    assert 0 == (await desk.do(renew_implicit_leases, RenewImplicitLeases(agent="ada"))).count
    assert 1 == (await desk.do(renew_implicit_leases, RenewImplicitLeases(agent="ada"), desk.member(desk.shown))).count
    assert (PollReason.CONTINUE, task.id) == (
        (polled := await desk.do(poll_queue, PollQueue(agent="ada"))).reason, polled.task,
    )  # fmt: skip


async def test_work_is_carried_between_boards_that_may_be_written_on(desk: Desk) -> None:
    """
    Both where it was and where it shall be.
    """
    third = await desk.world.another_board("Third")
    member = desk.member(desk.mine, third, reads=(desk.shown,))
    task, theirs = await desk.task(desk.mine), await desk.task(desk.shown)
    tickets = (await desk.world.ports.reads.boards.get(desk.world.me, desk.shown.id)).ticket_counter
    moved = await desk.do(update_task, UpdateTask(task=task.id, board=third.id), member)

    assert third.id == moved.board
    for moves, refusal in (
        (UpdateTask(task=task.id, board=desk.shown.id), BoardReadOnly),
        (UpdateTask(task=task.id, board=desk.hidden.id), BoardDenied),
        (UpdateTask(task=theirs.id, board=desk.mine.id), BoardReadOnly),
    ):
        with pytest.raises(refusal):
            await desk.do(update_task, moves, member)
    assert tickets == (await desk.world.ports.reads.boards.get(desk.world.me, desk.shown.id)).ticket_counter


async def test_agents_are_made_and_moved_on_boards_that_may_be_written_on(desk: Desk) -> None:
    """
    And on no other, nor on none, where everybody would meet them.
    """
    ada = await desk.world.agent("ada", board=desk.mine.id)
    olga = await desk.world.agent("olga")
    for use_case, command, refusal in (
        (create_agent, CreateAgent(name="new"), BoardDenied),
        (create_agent, CreateAgent(name="new", board=desk.shown.id), BoardReadOnly),
        (register_agent, RegisterAgent(name="new"), BoardDenied),
        (register_agent, RegisterAgent(name="olga"), BoardDenied),
        (update_agent, UpdateAgent(agent=ada.id, board=None), BoardDenied),
        (update_agent, UpdateAgent(agent=ada.id, board=desk.shown.id), BoardReadOnly),
        (update_agent, UpdateAgent(agent=olga.id, board=desk.mine.id), BoardDenied),
    ):
        with pytest.raises(BoardDenied) as refused:
            await desk.do(use_case, command)
        assert refusal is refused.type, command


async def test_work_without_a_board_goes_where_it_may(desk: Desk) -> None:
    """
    To the general board if that may be written on, else to the first that may; without any it is denied.
    """
    async with desk.world.ports.unit(desk.world.me) as unit:
        general = await unit.boards.find_handle("general")
    assert general is not None
    for member, board in (
        (desk.member(desk.shown, general), general),
        (desk.member(desk.hidden, desk.shown, reads=(general, desk.mine)), desk.shown),
    ):
        assert board.id == (await desk.do(create_task, CreateTask(title="Anywhere"), member)).board
    with pytest.raises(BoardDenied):
        await desk.do(create_task, CreateTask(title="Nowhere"), desk.member(reads=(general,), role=Role.OPERATOR))


async def test_boards_are_made_by_who_may_write_on_all(desk: Desk) -> None:
    """
    Whoever makes one without a grant on it could not see it.
    """
    member = desk.member(desk.mine)
    for each in (member, evolve(member, reads=None)):
        with pytest.raises(BoardDenied):
            await desk.do(create_board, CreateBoard(name="New"), each)

    assert "New" == (await desk.do(create_board, CreateBoard(name="New"), evolve(member, reads=None, writes=None))).name


async def test_what_belongs_to_no_board_is_a_matter_of_roles(desk: Desk) -> None:
    """
    An admin with grants on one board makes tags of the organization.
    """
    assert "one" == (await desk.do(create_tag, CreateTag(name="one"))).slug


async def test_finishing_and_reopening_reach_those_who_wait_on_any_board(desk: Desk) -> None:
    """
    They are told, and go back to the inbox, with the lease on them ended.
    """
    first = await desk.task(desk.mine)
    waiting = await desk.task(desk.mine, depends_on=(first.id,))
    await desk.carry(waiting, desk.hidden)
    await desk.do(update_task, UpdateTask(task=first.id, status=Status.DONE))
    claimed = await desk.world.claim(waiting, agent="eve")
    assert claimed is not None
    told = [kind for kind in await desk.world.event_kinds() if kind == DependencyToggled.kind]
    reopened = await desk.do(update_task, UpdateTask(task=first.id, status=Status.INBOX))
    rested = await desk.world.fresh(waiting)
    ended = (await desk.world.ports.reads.tasks.runs(desk.world.me, waiting.id))[0]

    assert Status.INBOX is reopened.status
    assert (Status.INBOX, None, None) == (rested.status, rested.assignee, rested.run)
    assert "revoked" == ended.state
    assert 1 == len(told)


async def test_a_removed_task_is_waited_for_no_more_on_any_board(desk: Desk) -> None:
    """
    Also where its remover may not write.
    """
    first = await desk.task(desk.mine)
    waiting = [await desk.task(desk.mine, depends_on=(first.id,)) for _ in range(2)]
    for task, board in zip(waiting, (desk.hidden, desk.shown), strict=True):
        await desk.carry(task, board)
    await desk.do(delete_task, DeleteTask(task=first.id))

    assert [(), ()] == [(await desk.world.fresh(each)).depends_on for each in waiting]


async def test_an_agents_new_name_goes_along_to_all_boards(desk: Desk) -> None:
    """
    To the tasks it is assigned to, and to its places on other boards.
    """
    ada = await desk.world.agent("ada", board=desk.mine.id)
    task = await desk.task(desk.hidden, assignee="ada")
    for board in (desk.hidden, desk.shown):
        await assign_agent(desk.world.ports, desk.world.me, AssignAgent(board=board.id, agent_name="ada"))
    await desk.do(update_agent, UpdateAgent(agent=ada.id, name="adele"))
    renamed = await desk.world.fresh(task)
    staff = await desk.world.ports.reads.entities.every(desk.world.me, BOARD_ASSIGNMENTS)
    assert renamed.assignee is not None

    assert "adele" == renamed.assignee.name
    assert ["adele", "adele"] == [row.agent_name for row in staff]


async def test_what_a_removed_agent_had_in_hand_goes_back_on_all_boards(desk: Desk) -> None:
    """
    It is the agent's remover who must be granted the agent.
    """
    ada = await desk.world.agent("ada", board=desk.mine.id)
    task = await desk.task(desk.hidden)
    await desk.world.claim(task, agent="ada")
    await desk.do(delete_agent, DeleteAgent(agent=ada.id))
    back = await desk.world.fresh(task)

    assert (Status.INBOX, None) == (back.status, back.assignee)


async def test_a_board_is_removed_by_who_may_write_on_it(desk: Desk) -> None:
    """
    And what waits for its tasks elsewhere does not any more, nor does a field ask for it. Whoever hands its work over
    must be granted the general board, too.
    """
    first = await desk.task(desk.mine)
    waiting = await desk.task(desk.mine, depends_on=(first.id,))
    await desk.carry(waiting, desk.hidden)
    bound = CreateField(field_key="asked", boards=(desk.mine.id, desk.hidden.id))
    await create_field(desk.world.ports, desk.world.me, bound)
    for board, hand_over, refusal in (
        (desk.shown, False, BoardReadOnly),
        (desk.hidden, False, BoardDenied),
        (desk.mine, True, BoardDenied),
    ):
        with pytest.raises(BoardDenied) as refused:
            await desk.do(delete_board, DeleteBoard(board=board.id, hand_over=hand_over))
        assert refusal is refused.type
    await desk.do(delete_board, DeleteBoard(board=desk.mine.id))
    (field,) = await desk.world.ports.reads.entities.every(desk.world.me, CUSTOM_FIELDS)

    assert () == (await desk.world.fresh(waiting)).depends_on
    assert (desk.hidden.id,) == field.boards


async def test_only_who_may_be_seen_is_called(desk: Desk) -> None:
    """
    A handle of somebody on a board that is not granted is nobody's.
    """
    for name, board in (("ada", desk.mine.id), ("sam", desk.shown.id), ("hal", desk.hidden.id), ("olga", None)):
        await desk.world.agent(name, board=board)
    task = await desk.task(desk.mine)
    said = await desk.do(add_comment, AddComment(task=task.id, content="@ada @sam", mention_style=MentionStyle.HANDLES))

    assert ("ada", "sam") == said.mentions
    for name in ("hal", "olga"):
        with pytest.raises(UnknownMentions):
            await desk.do(add_comment, AddComment(task=task.id, content=f"@{name}", mention_style=MentionStyle.HANDLES))


async def test_who_can_be_called_is_who_may_read_the_boards_that_the_caller_sees(desk: Desk) -> None:
    """
    An agent of one board learns of nobody else; an agent of no board learns of everybody.
    """
    world, people = desk.world, {}
    for name, board in (("ada", desk.mine.id), ("hal", desk.hidden.id), ("olga", None)):
        await world.agent(name, board=board)
    for name, every, granted in (("i", True, ()), ("b", False, (desk.mine,)), ("e", False, (desk.hidden,))):
        people[name] = f"{name}-{uuid4()}"
        made = await create_user(world.ports, world.me, CreateUser(username=people[name], password="correct horse 9"))
        access = BoardAccess(
            all_boards_read=every, boards=tuple(BoardPermission(board.id, True, False) for board in granted)
        )
        await set_board_access(world.ports, world.me, SetBoardAccess(member=made.member.id, access=access))
    callers = await world.principal("bob", board=desk.mine.id), await world.principal("eva")
    known, all_known = [
        {each.recipient for each in (await mentionable_by_handle(world.ports, caller)).values()} for caller in callers
    ]

    assert {"ada", "bob", "olga", "eva", people["i"], people["b"]} == known - {MAIN_AGENT_NAME}
    assert {"hal", people["e"]} == all_known - known


async def test_a_group_is_for_who_may_see_one_of_its_boards(desk: Desk) -> None:
    """
    With all that its boards are to remember.
    """
    reads, group = desk.world.ports.reads.entities, await desk.group_of(desk.shown, desk.hidden)
    await write_group_memory(desk.world.ports, desk.world.me, WriteGroupMemory(group=group.id, content="all"))
    for member, seen in ((desk.member(reads=(desk.shown,)), 1), (desk.member(desk.mine), 0)):
        assert seen == len(await reads.every(member, GROUPS))
        assert seen == (await reads.page(member, GROUP_MEMORY, PageRequest(), group=group.id)).total
    assert group.id == (await reads.get(desk.member(reads=(desk.shown,)), GROUPS, group.id)).id
    with pytest.raises(BoardDenied):
        await reads.get(desk.member(desk.mine), GROUPS, group.id)


async def test_a_group_is_changed_by_who_may_write_on_one_of_its_boards(desk: Desk) -> None:
    """
    Its removal leaves all its boards alone, whoever may write on them.
    """
    group = await desk.group_of(desk.mine, desk.hidden)
    changes = (
        (update_group, UpdateGroup(group=group.id, name="New")),
        (write_group_memory, WriteGroupMemory(group=group.id, content="all")),
        (set_heartbeat_interval, SetHeartbeatInterval(group=group.id, every="5m")),
        (delete_group, DeleteGroup(group=group.id)),
    )
    for use_case, command in changes:
        for member, refusal in (
            (desk.member(desk.shown, reads=(desk.mine,)), BoardReadOnly),
            (desk.member(desk.shown), BoardDenied),
        ):
            with pytest.raises(BoardDenied) as refused:
                await desk.do(use_case, command, member)
            assert refusal is refused.type, command
    for use_case, command in changes:
        await desk.do(use_case, command)
    alone = [await desk.world.ports.reads.boards.get(desk.world.me, each.id) for each in (desk.mine, desk.hidden)]

    assert [None, None] == [row.group for row in alone]


async def test_a_board_joins_a_group_of_boards_that_may_be_written_on(desk: Desk) -> None:
    """
    For it is told what the group remembers then. A group without boards is for admins to fill.
    """
    for board, refusal in ((desk.shown, BoardReadOnly), (desk.hidden, BoardDenied)):
        group = await desk.group_of(board)
        with pytest.raises(BoardDenied) as refused:
            await desk.do(update_board, UpdateBoard(board=desk.mine.id, group=group.id))
        assert refusal is refused.type
    empty, another = await desk.group_of(), await desk.world.another_board("Another")
    joining = UpdateBoard(board=desk.mine.id, group=empty.id)
    with pytest.raises(RoleTooLow):
        await desk.do(update_board, joining, desk.member(desk.mine, role=Role.OPERATOR))
    both = desk.member(desk.mine, another)
    commands = [UpdateBoard(board=board.id, group=empty.id) for board in (desk.mine, another)]
    joined = [await desk.do(update_board, command, both) for command in commands]

    assert [empty.id, empty.id] == [board.group for board in joined]


async def test_how_often_agents_are_woken_is_set_on_boards_that_may_be_written_on(desk: Desk) -> None:
    """
    Of a group's agents those of the others stay as they are; a lead reaches all of its group.
    """
    ada, hal = [await desk.world.agent(f"on {board.name}", board=board.id) for board in (desk.mine, desk.hidden)]
    lead = await desk.world.principal("lea", board=desk.mine.id, lead=True)
    group = await desk.group_of(desk.mine, desk.hidden)
    by_member = await desk.do(set_heartbeat_interval, SetHeartbeatInterval(group=group.id, every="5m"))
    by_lead = await set_heartbeat_interval(desk.world.ports, lead, SetHeartbeatInterval(group=group.id, every="6m"))

    assert [ada.id] == ids(by_member.agents)
    assert [ada.id, hal.id] == ids(by_lead.agents)


def ids(agents: tuple[Agent, ...]) -> list[Any]:
    """
    Which agents.
    """
    return [agent.id for agent in agents]


async def test_a_unit_asks_for_the_grant_where_a_row_shall_be(desk: Desk) -> None:
    """
    Whatever it is, new or changed; and only the unit itself can be committed.
    """
    await assign_agent(desk.world.ports, desk.world.me, AssignAgent(board=desk.mine.id, agent_name="ada"))
    task, member = await desk.task(desk.mine), desk.member(desk.mine, reads=(desk.shown,))
    async with desk.world.ports.unit(member) as unit:
        (place,) = await unit.repository(BOARD_ASSIGNMENTS).every()
        await unit.tasks.get(task.id)
        new = evolve(task, id=TaskId(desk.world.ports.ids.new()))
        for board, refusal in ((desk.shown, BoardReadOnly), (desk.hidden, BoardDenied)):
            for write, row in (
                (unit.tasks.save, task), (unit.tasks.add, new), (unit.repository(BOARD_ASSIGNMENTS).save, place),
                (unit.repository(BOARD_ASSIGNMENTS).add, evolve(place, id=AssignmentId(desk.world.ports.ids.new()))),
            ):  # fmt: skip
                with pytest.raises(BoardDenied) as refused:
                    write(evolve(row, board=board.id))
                assert refusal is refused.type, row
        unit.without_grants.tasks.save(evolve(task, board=desk.hidden.id))
        with pytest.raises(RuntimeError):
            await unit.without_grants.commit()
        await unit.commit()

    assert desk.hidden.id == (await desk.world.fresh(task)).board
