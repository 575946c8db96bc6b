"""
The contract of concurrent use cases: of two decisions that exclude each other, at most one is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve

from mission_adapters.testing.concurrent_writes import BOTH_ORDERS, UseCaseCall, at_once, in_turn, kinds
from mission_adapters.testing.contracts.base import StoreContract
from mission_adapters.testing.world import World
from mission_core.accounts.model import AgentPrincipal, Principal, Role, SystemPrincipal
from mission_core.agents.model import Agent, TooManyAgents
from mission_core.agents.organization_creation import ensure_organization
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import (
    CreateAgent,
    CreateKey,
    RegisterAgent,
    create_agent,
    create_key,
    register_agent,
)
from mission_core.approvals.model import APPROVAL_LINKS, APPROVALS, Approval, ApprovalAlreadyDecided, ApprovalStatus
from mission_core.approvals.use_cases import DecideApproval, RequestApproval, decide_approval, request_approval
from mission_core.boards.model import GENERAL_HANDLE, Board, GateSet
from mission_core.boards.queries import BoardFilter
from mission_core.boards.use_cases import UpdateBoard, update_board
from mission_core.errors import StaleWrite
from mission_core.ids import ApprovalId
from mission_core.lazy_attrs import frozen
from mission_core.ports import Ports
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.tasks.bulk_update import MoveTasks, move_tasks
from mission_core.tasks.comment_creation import AddComment, add_comment
from mission_core.tasks.comments import COMMENTS
from mission_core.tasks.heartbeats import Heartbeat, heartbeat
from mission_core.tasks.late_result_adoption import AdoptLateResult, adopt_result
from mission_core.tasks.leases import (
    ClaimNext,
    ClaimResult,
    ClaimTask,
    CompleteTask,
    FailTask,
    ReleaseTask,
    claim_next,
    claim_task,
    complete_task,
    fail_task,
    release_task,
)
from mission_core.tasks.model import BlockedByDependencies, DependencyCycle, GateClosed, NotClaimable, Status, Task
from mission_core.tasks.runs import Assignee, Failure, FailureReason, LeaseLost, Outcome
from mission_core.tasks.team_rules import AssigneeOnAnotherBoard, OnlyLeadMovesTasks
from mission_core.tasks.use_cases import (
    CreateTask,
    DeleteTask,
    UpdateMode,
    UpdateTask,
    create_task,
    delete_task,
    update_task,
)
from mission_core.values import JsonText


def dependency_update(task: Task, *others: Task) -> UseCaseCall:
    """
    A call that makes the task depend on others.
    """
    return update_task, UpdateTask(task=task.id, depends_on=tuple(other.id for other in others))


BLOCKED_WHILE_PENDING = GateSet(require_approval_for_done=False, block_status_changes_with_pending_approval=True)


def approval_request(world: World, *tasks: Task, board: Board | None = None, **fields: Any) -> UseCaseCall:
    """
    A call that requests an approval of the tasks.
    """
    ids, place = tuple(task.id for task in tasks), (board or world.board).id
    return request_approval, RequestApproval(board=place, action="x", confidence=1, tasks=ids, **fields)


def approval_decision(approval: Approval, status: str) -> UseCaseCall:
    """
    A call that decides an approval.
    """
    return decide_approval, DecideApproval(approval=approval.id, status=ApprovalStatus(status))


async def perform_call(world: World, call: UseCaseCall) -> Any:
    """
    Perform the call, and return its answer.
    """
    use_case, command = call
    return await use_case(world.ports, world.me, command)


async def pending_approvals_of(world: World, task: Task) -> list[ApprovalId]:
    """
    The ids of the task's pending approvals.
    """
    links = await world.ports.reads.entities.every(world.me, APPROVAL_LINKS, task=task.id)
    return [link.approval for link in links if link.status is ApprovalStatus.PENDING]


def status_change(task: Task) -> UseCaseCall:
    return update_task, UpdateTask(task=task.id, status=Status.REVIEW)


def task_claim(task: Task) -> UseCaseCall:
    return claim_task, ClaimTask(task=task.id, agent="ada")


def next_claim(task: Task) -> UseCaseCall:
    return claim_next, ClaimNext(agent="ada")


PENDING_EVENTS = {False: "approval.requested", True: "approval.reopened"}


@frozen
class Team:
    """
    A board with a review gate and a lead, a worker, and a task for the worker that has a dependency and a dependent.
    """

    lead: Agent
    worker: AgentPrincipal
    before: Task
    task: Task
    after: Task

    def unrelated_edits(self) -> tuple[UseCaseCall, ...]:
        """
        Edits of the task, its board, its agents and its neighbours that no decision about the task depends on.
        """
        return (
            (update_task, UpdateTask(task=self.task.id, title="Say it", priority="high", tags=("loud",))),
            (update_board, UpdateBoard(board=self.task.board, description="Where things are said")),
            *((update_agent, UpdateAgent(agent=each, soul="calm")) for each in (self.lead.id, self.worker.agent)),
            *((update_task, UpdateTask(task=each.id, title="Beside it")) for each in (self.before, self.after)),
        )


async def create_team(world: World) -> Team:
    """
    Create a team on a new board.
    """
    gates = GateSet(require_approval_for_done=False, require_review_before_done=True)
    board = await world.another_board("team", gates=gates)
    before = await world.task("before", board=board.id, status=Status.DONE)
    task = await world.task("it", board=board.id, depends_on=(before.id,))
    after = await world.task("after", board=board.id, depends_on=(task.id,))
    lead, worker = await world.agent("lea", board=board.id, lead=True), await world.principal("ada", board=board.id)
    return Team(lead, worker, before, task, after)


def run_end(how: str, claimed: ClaimResult, **more: Any) -> UseCaseCall:
    """
    A call that ends the run, without the repetition after a conflict.
    """
    task, lease = claimed.task.id, claimed.lease
    commands: dict[str, Callable[[], Any]] = {
        "complete": lambda: CompleteTask(task=task, lease=lease, outcome=Outcome(resolution="said"), **more),
        "fail": lambda: FailTask(task=task, lease=lease, failure=Failure(reason=FailureReason.TRANSIENT), **more),
        "release": lambda: ReleaseTask(task=task, lease=lease, note="later", **more),
    }
    use_case: Any = {"complete": complete_task, "fail": fail_task, "release": release_task}[how]
    return use_case.__wrapped__, commands[how]()


def as_worker(worker: AgentPrincipal, use_case: Any, command: Any) -> UseCaseCall:
    """
    A call as the worker, without the repetition after a conflict.
    """
    return lambda ports, principal, command: getattr(use_case, "__wrapped__", use_case)(ports, worker, command), command


async def start_work(world: World, team: Team, how: str) -> UseCaseCall:
    """
    Start work on the team's task in the given way, and return the call that ends it.
    """
    task, worker = team.task.id, team.worker
    if how in ("complete", "fail", "release"):
        return as_worker(worker, *run_end(how, await claim_task(world.ports, worker, ClaimTask(task=task))))
    if how in ("adopt", "adopt as an operator"):
        late = await claim_task(world.ports, worker, ClaimTask(task=task))
        world.clock.advance(minutes=6)
        held = await claim_task(world.ports, world.me, ClaimTask(task=task, agent="bob"))
        with pytest.raises(LeaseLost):
            await complete_task(world.ports, worker, CompleteTask(task=task, lease=late.lease))
        lease = held.lease if how == "adopt" else None
        adopt: Any = adopt_result
        return adopt.__wrapped__, AdoptLateResult(task=task, run=late.run.id, lease=lease)
    mode = UpdateMode.TEAM if how == "review on a team" else UpdateMode.PLAIN
    await update_task(world.ports, worker, UpdateTask(task=task, status=Status.IN_PROGRESS, mode=mode))
    status = Status(how.partition(" ")[0])
    if how.endswith("of many"):
        return as_worker(worker, move_tasks, MoveTasks(moves=((team.task.number, status),)))
    return as_worker(worker, update_task, UpdateTask(task=task, status=status, mode=mode))


RUN_ENDS = (
    "complete", "fail", "release", "adopt", "adopt as an operator", "review", "failed", "inbox", "review of many",
    "review on a team",
)  # fmt: skip


class ConcurrentDecisionsContract(StoreContract):
    """
    The contract of `UnitOfWork` for use cases that run at the same time and depend on rows that the other one changes.
    A subclass provides the fixture `ports` of `StoreContract`.
    """

    async def test_two_concurrent_updates_do_not_close_a_cycle_of_two_tasks(self, world: World) -> None:
        """
        If two concurrent updates together close a dependency cycle, one succeeds and the other raises
        `DependencyCycle`.
        """
        a, b = [await world.task(title) for title in "ab"]
        answers = await at_once(world, dependency_update(a, b), dependency_update(b, a))

        assert ["DependencyCycle", "Task"] == kinds(answers)
        assert 1 == len([task for task in (a, b) if (await world.fresh(task)).depends_on])

    async def test_two_concurrent_updates_do_not_close_a_cycle_of_four_tasks(self, world: World) -> None:
        """
        If two concurrent updates close a cycle through other tasks, one raises `DependencyCycle`.
        """
        a, b, c, d = [await world.task(title) for title in "abcd"]
        await update_task(world.ports, world.me, dependency_update(b, c)[1])
        await update_task(world.ports, world.me, dependency_update(d, a)[1])
        answers = await at_once(world, dependency_update(a, b), dependency_update(c, d))

        assert ["DependencyCycle", "Task"] == kinds(answers)

    async def test_four_concurrent_updates_do_not_close_a_cycle_of_four_tasks(self, world: World) -> None:
        """
        Four concurrent updates that together close a cycle do not all succeed.
        """
        tasks = [await world.task(title) for title in "abcd"]
        answers = await at_once(world, *(dependency_update(task, tasks[(i + 1) % 4]) for i, task in enumerate(tasks)))
        fresh = [await world.fresh(task) for task in tasks]

        assert any(isinstance(answer, DependencyCycle | StaleWrite) for answer in answers)
        assert any(not task.depends_on for task in fresh)

    async def test_an_update_that_closes_a_dependency_cycle_is_refused(self, world: World) -> None:
        """
        An update that closes a direct or an indirect dependency cycle raises `DependencyCycle`.
        """
        a, b, c = [await world.task(title) for title in "abc"]
        await update_task(world.ports, world.me, dependency_update(a, b)[1])
        await update_task(world.ports, world.me, dependency_update(b, c)[1])
        for task in (b, c):
            with pytest.raises(DependencyCycle):
                await update_task(world.ports, world.me, dependency_update(task, a)[1])

    @BOTH_ORDERS
    async def test_a_dependency_on_a_concurrently_completed_task_does_not_block(self, world: World, last: bool) -> None:
        """
        A dependency that is added while the other task is completed leaves the dependent claimable, in either order.
        """
        upstream = await world.task("upstream")
        claimed = await world.claimed(upstream)
        dependent = await world.task("dependent")
        complete = complete_task, CompleteTask(task=upstream.id, lease=claimed.lease)
        answers = await at_once(world, dependency_update(dependent, upstream), complete, last=last)

        assert ["Task", "Task"] == kinds(answers)
        assert dependent.id == (await world.claimed(agent="bob")).task.id

    @BOTH_ORDERS
    async def test_a_dependency_on_a_concurrently_reopened_task_blocks(self, world: World, last: bool) -> None:
        """
        A dependency that is added while the other task is reopened blocks the dependent, in either order.
        """
        upstream = await world.task("upstream", status=Status.DONE)
        dependent = await world.task("dependent")
        reopen = update_task, UpdateTask(task=upstream.id, status=Status.BACKLOG)
        answers = await at_once(world, dependency_update(dependent, upstream), reopen, last=last)

        assert ["Task", "Task"] == kinds(answers)
        assert await world.claim() is None

    @BOTH_ORDERS
    async def test_reopening_returns_only_dependents_committed_before_it_to_the_inbox(
        self, world: World, last: bool
    ) -> None:
        """
        Reopening a task returns its dependents to the inbox if their dependency was committed before, and not if it was
        committed after.
        """
        upstream = await world.task("upstream", status=Status.DONE)
        dependent = await world.task("dependent", status=Status.IN_PROGRESS)
        reopen = update_task, UpdateTask(task=upstream.id, status=Status.INBOX)
        answers = await at_once(world, dependency_update(dependent, upstream), reopen, last=last)
        entries = await world.ports.log.read(world.me.organization)
        told = [entry for entry in entries if entry.kind == "task.updated"]
        sent_back = (await world.fresh(dependent)).status is Status.INBOX

        assert ["Task", "Task"] == kinds(answers)
        assert sent_back is (told[-1].subject == upstream.id)

    @BOTH_ORDERS
    async def test_a_task_created_with_a_concurrently_finished_dependency_is_claimable(
        self, world: World, last: bool
    ) -> None:
        """
        A task that is created while its dependency is finished is claimable, in either order.
        """
        upstream = await world.task("upstream", status=Status.IN_PROGRESS)
        create = create_task, CreateTask(title="dependent", board=world.board.id, depends_on=(upstream.id,))
        finish = update_task, UpdateTask(task=upstream.id, status=Status.DONE)
        answers = await at_once(world, create, finish, last=last)

        assert ["Task", "Task"] == kinds(answers)
        assert "dependent" == (await world.claimed()).task.title

    async def test_a_claim_with_a_concurrently_reopened_dependency_is_refused_or_revoked(self, world: World) -> None:
        """
        A claim of a task whose dependency is being reopened is refused or revoked, in either order.
        """
        upstream = await world.task("upstream", status=Status.DONE)
        dependent = await world.task("dependent", depends_on=(upstream.id,))
        reopen = update_task, UpdateTask(task=upstream.id, status=Status.BACKLOG)
        claim = claim_task, ClaimTask(task=dependent.id, agent="ada")
        for calls in ((reopen, claim), (claim, reopen)):
            answers = await at_once(world, *calls)
            fresh = await world.fresh(dependent)

            assert {"Task"} <= set(kinds(answers)) <= {"Task", "ClaimResult", "NotClaimable"}
            assert (Status.INBOX, None) == (fresh.status, fresh.run)
            await update_task(world.ports, world.me, UpdateTask(task=upstream.id, status=Status.DONE))

    @BOTH_ORDERS
    async def test_a_dependency_on_a_concurrently_deleted_task_is_refused_or_removed(
        self, world: World, last: bool
    ) -> None:
        """
        A dependency on a task that is being deleted is refused or removed, in either order.
        """
        upstream, dependent = await world.task("upstream"), await world.task("dependent")
        remove = delete_task, DeleteTask(task=upstream.id)
        answers = await at_once(world, dependency_update(dependent, upstream), remove, last=last)
        fresh = await world.fresh(dependent)

        assert {"Task", "DependencyNotFound"} >= set(kinds(answers))
        assert () == fresh.depends_on
        assert dependent.id == (await world.claimed()).task.id

    @BOTH_ORDERS
    async def test_an_assigned_task_created_with_a_concurrently_reopened_dependency_is_refused_or_blocked(
        self, world: World, last: bool
    ) -> None:
        """
        A task that is created with an assignee while its dependency is reopened is refused with `BlockedByDependencies`
        or blocked.
        """
        upstream = await world.task("upstream", status=Status.DONE)
        create = create_task, CreateTask(title="d", board=world.board.id, assignee="ada", depends_on=(upstream.id,))
        reopen = update_task, UpdateTask(task=upstream.id, status=Status.BACKLOG)
        answers = await at_once(world, create, reopen, last=last)

        assert isinstance(answers[0], BlockedByDependencies | Task)
        assert not isinstance(answers[1], Exception)
        assert await world.claim(agent="ada") is None

    @BOTH_ORDERS
    async def test_reopening_unassigns_only_dependents_committed_before_it(self, world: World, last: bool) -> None:
        """
        Reopening a task removes the assignee of a dependent whose dependency was committed before, and not of one whose
        dependency was committed after.
        """
        upstream = await world.task("upstream", status=Status.DONE)
        dependent = await world.task("dependent", assignee="ada")
        reopen = update_task, UpdateTask(task=upstream.id, status=Status.INBOX)
        answers = await at_once(world, dependency_update(dependent, upstream), reopen, last=last)
        entries = await world.ports.log.read(world.me.organization)
        told = [entry for entry in entries if entry.kind == "task.updated"]
        sent_back = (await world.fresh(dependent)).assignee is None

        assert ["Task", "Task"] == kinds(answers)
        assert sent_back is (told[-1].subject == upstream.id)

    @BOTH_ORDERS
    async def test_an_assignment_is_committed_before_its_agent_leaves_the_board_or_refused(
        self, world: World, last: bool
    ) -> None:
        """
        A task is assigned to an agent before the agent leaves the board, or the assignment raises
        `AssigneeOnAnotherBoard`.
        """
        agent, task = await world.agent(board=world.board.id), await world.task()
        leave = update_agent, UpdateAgent(agent=agent.id, board=(await world.another_board()).id)
        assign = update_task, UpdateTask(task=task.id, assignee=agent.id, mode=UpdateMode.TEAM)
        answers = await at_once(world, assign, leave, last=last)
        recorded = [kind for kind in await world.event_kinds() if kind in ("task.assigned", "agent.updated")]
        expected = (
            ["agent.updated"] if isinstance(answers[0], AssigneeOnAnotherBoard) else ["task.assigned", "agent.updated"]
        )

        assert not isinstance(answers[1], Exception)
        assert expected == recorded

    @BOTH_ORDERS
    async def test_a_review_is_not_assigned_to_a_lead_that_concurrently_left_the_board(
        self, world: World, last: bool
    ) -> None:
        """
        A task that enters review is assigned to the board's lead only if that is committed before the lead leaves the
        board.
        """
        lead, task = await world.agent("lea", board=world.board.id, lead=True), await world.task()
        leave = update_agent, UpdateAgent(agent=lead.id, board=(await world.another_board()).id)
        submit = update_task, UpdateTask(task=task.id, status=Status.REVIEW, mode=UpdateMode.TEAM)
        await at_once(world, submit, leave, last=last)
        recorded = [kind for kind in await world.event_kinds() if kind in ("task.moved", "agent.updated")]
        assigned = (await world.fresh(task)).assignee is not None

        assert assigned is (recorded == ["task.moved", "agent.updated"])

    @BOTH_ORDERS
    async def test_a_completion_is_not_assigned_to_a_lead_that_concurrently_left_the_board(
        self, world: World, last: bool
    ) -> None:
        """
        A completion that goes to review is assigned to the board's lead, or stays with its worker if the lead left
        first.
        """
        board = await world.another_board(gates=GateSet())
        lead, task = await world.agent("lea", board=board.id, lead=True), await world.task(board=board.id)
        claimed = await world.claimed(task)
        leave = update_agent, UpdateAgent(agent=lead.id, board=world.board.id)
        complete = complete_task, CompleteTask(task=task.id, lease=claimed.lease)
        answers = await in_turn(world, complete, leave, last=last)
        done = await world.fresh(task)

        assert ["Agent", "Task"] == kinds(answers)
        assert done.assignee is not None
        assert (Status.REVIEW, "ada" if last else "lea") == (done.status, done.assignee.name)

    @BOTH_ORDERS
    @pytest.mark.parametrize("mode", list(UpdateMode))
    async def test_starting_a_task_with_a_concurrently_reopened_dependency_is_refused_or_undone(
        self, world: World, mode: UpdateMode, last: bool
    ) -> None:
        """
        Starting a task whose dependency is being reopened is refused, or the task is returned to the inbox.
        """
        upstream = await world.task("upstream", status=Status.DONE)
        task, worker = await world.task(depends_on=(upstream.id,)), await world.principal(board=world.board.id)

        async def begin(ports: Ports, principal: Principal, command: UpdateTask) -> Task:
            return await update_task(ports, worker, command)

        reopen = update_task, UpdateTask(task=upstream.id, status=Status.BACKLOG)
        begun = begin, UpdateTask(task=task.id, status=Status.IN_PROGRESS, mode=mode)
        answers = await in_turn(world, begun, reopen, last=last)

        assert isinstance(answers[0], BlockedByDependencies | NotClaimable if last else Task)
        assert (Status.INBOX, None) == (lambda each: (each.status, each.run))(await world.fresh(task))

    @BOTH_ORDERS
    async def test_a_workers_status_change_is_refused_once_the_board_restricts_it_to_leads(
        self, world: World, last: bool
    ) -> None:
        """
        A worker's change of status is committed before the board restricts status changes to leads, or raises
        `OnlyLeadMovesTasks`.
        """
        worker, task = await world.principal(board=world.board.id), await world.task(assignee="ada")
        rule = update_board, UpdateBoard(board=world.board.id, gates={"only_lead_can_change_status": True})

        async def move(ports: Ports, principal: Principal, command: UpdateTask) -> Task:
            return await update_task(ports, worker, command)

        answers = await at_once(world, (move, UpdateTask(task=task.id, status=Status.DONE)), rule, last=last)
        recorded = [kind for kind in await world.event_kinds() if kind in ("task.moved", "board.updated")]

        expected = ["board.updated"] if isinstance(answers[0], OnlyLeadMovesTasks) else ["task.moved", "board.updated"]

        assert expected == recorded

    async def test_concurrent_agent_creations_do_not_exceed_the_boards_limit(self, world: World) -> None:
        """
        If a board has room for one agent, one of two concurrent creations raises `TooManyAgents`.
        """
        board = await world.another_board(max_agents=1)
        lead = await world.principal("lead", board=board.id, lead=True)
        create = [(create_agent, CreateAgent(name=name, board=board.id)) for name in ("ada", "bob")]
        answers = await at_once(world, *create, me=lead)

        assert ["AgentWithToken", "TooManyAgents"] == kinds(answers)
        with pytest.raises(TooManyAgents):
            await create_agent(world.ports, lead, CreateAgent(name="eve", board=board.id))

    @BOTH_ORDERS
    async def test_a_concurrently_added_approval_gate_refuses_a_later_completion(
        self, world: World, last: bool
    ) -> None:
        """
        A task is finished before its board gets an approval gate, or the update raises `GateClosed`.
        """
        task = await world.task()
        finish = update_task, UpdateTask(task=task.id, status=Status.DONE)
        close = update_board, UpdateBoard(board=world.board.id, gates={"require_approval_for_done": True})
        answers = await at_once(world, finish, close, last=last)
        fresh = await world.fresh(task)

        assert not isinstance(answers[1], Exception)
        assert isinstance(answers[0], GateClosed) is (fresh.status is not Status.DONE)

    async def test_concurrent_edits_of_different_fields_are_both_stored(self, world: World) -> None:
        """
        Concurrent edits of different fields of a task are both stored; the slower use case is repeated.
        """
        task = await world.task()
        title = update_task, UpdateTask(task=task.id, title="new title")
        priority = update_task, UpdateTask(task=task.id, priority="critical")
        answers = await at_once(world, title, priority)
        fresh = await world.fresh(task)

        assert ["Task", "Task"] == kinds(answers)
        assert ("new title", "critical", task.version + 2) == (fresh.title, fresh.priority, fresh.version)

    async def test_concurrent_registrations_of_a_name_return_one_agent(self, world: World) -> None:
        """
        If two registrations of a name are concurrent, one creates the agent and the other returns it.
        """
        answers = await at_once(world, *((register_agent, RegisterAgent(name=name)) for name in ("ada", "Ada")))

        assert [False, True] == sorted(answer.new for answer in answers)
        assert answers[0].agent.id == answers[1].agent.id

    async def test_concurrent_calls_of_ensure_organization_create_one_organization(self, ports: Ports) -> None:
        """
        Concurrent calls of `ensure_organization` create one organization with one board and one main agent.
        """
        slug = f"test-{uuid4()}"
        founded = await asyncio.gather(*(ensure_organization(ports, slug=slug) for _ in range(6)))
        me = SystemPrincipal(organization=founded[0].id)
        boards, total = await ports.reads.boards.page(me, BoardFilter())
        async with ports.unit(me) as unit:
            main = await unit.agents.main()

        assert {founded[0]} == set(founded)
        assert (1, "general", "TASK") == (total, boards[0].handle, boards[0].ticket_prefix)
        assert main is not None
        assert (True, True, "Gateway Agent") == (main.main, main.hidden, main.name)
        assert GateSet() == GateSet(require_approval_for_done=bool(boards[0].require_approval_for_done))

    @BOTH_ORDERS
    async def test_a_comment_on_a_concurrently_deleted_task_is_deleted_or_refused(
        self, world: World, last: bool
    ) -> None:
        """
        A comment on a task that is being deleted is deleted with it or raises `TaskNotFound`.
        """
        task = await world.task()
        comment = add_comment, AddComment(task=task.id, content="Hello")
        answers = await at_once(world, comment, (delete_task, DeleteTask(task=task.id)), last=last)

        assert {"Task", "Comment", "TaskNotFound"} >= set(kinds(answers))
        assert [] == await world.ports.reads.entities.every(world.me, COMMENTS)

    async def test_the_first_of_two_concurrent_mentions_assigns_the_task(self, world: World) -> None:
        """
        If two concurrent comments assign a task by a mention, only the first one assigns it.
        """
        for name in ("ada", "bob"):
            await world.agent(name, board=world.board.id)
        task = await world.task()
        comments = [AddComment(task=task.id, content=text, assign_first_mention=True) for text in ("@ada", "@bob")]
        answers = await at_once(world, *((add_comment, each) for each in comments))

        assigned = (await world.fresh(task)).assignee

        assert assigned is not None
        assert [assigned.name] == [each.assigned for each in answers if each.assigned]

    @BOTH_ORDERS
    async def test_a_task_edit_and_a_concurrent_renaming_of_its_assignee_are_both_stored(
        self, world: World, last: bool
    ) -> None:
        """
        An edit of a task and the renaming of its assignee are both stored, in either order, and the task is claimable
        under the new name.
        """
        ada = await world.agent("ada")
        task = await world.task(assignee="ada")
        answers = await at_once(
            world,
            (update_task, UpdateTask(task=task.id, title="two", priority="high")),
            (update_agent, UpdateAgent(agent=ada.id, name="grace")),
            last=last,
        )
        fresh = await world.fresh(task)

        assert ["Agent", "Task"] == kinds(answers)
        assert ("two", Assignee("grace", ada.id)) == (fresh.title, fresh.assignee)
        assert task.id == (await world.claimed(agent="grace")).task.id

    async def test_concurrent_renamings_to_one_name_rename_one_agent(self, world: World) -> None:
        """
        If two agents are concurrently renamed to the same name, one update raises `AgentNameTaken`.
        """
        agents = [await world.agent(name) for name in ("ada", "bob")]
        answers = await at_once(world, *((update_agent, UpdateAgent(agent=each.id, name="Grace")) for each in agents))

        assert ["Agent", "AgentNameTaken"] == kinds(answers)

    @BOTH_ORDERS
    async def test_a_completion_by_a_concurrently_deleted_agent_is_accepted_or_returns_the_task_to_the_inbox(
        self, world: World, last: bool
    ) -> None:
        """
        A completion by an agent that is being deleted is accepted, or raises `LeaseLost` and returns the task to the
        inbox.
        """
        await world.agent("ada")
        claimed = await world.claimed(await world.task())
        complete = complete_task, CompleteTask(task=claimed.task.id, lease=claimed.lease)
        answers = await at_once(world, complete, (delete_agent, DeleteAgent(agent="ada")), last=last)
        fresh = await world.fresh(claimed.task)

        assert kinds(answers) in (["Agent", "Task"], ["Agent", "LeaseLost"])
        assert (Status.DONE if "Task" in kinds(answers) else Status.INBOX) is fresh.status
        assert fresh.run is None

    @BOTH_ORDERS
    async def test_an_api_key_of_a_concurrently_deleted_agent_is_deleted_or_refused(
        self, world: World, last: bool
    ) -> None:
        """
        An API key that is created while its agent is deleted is deleted with it or raises `AgentNotFound`.
        """
        ada = await world.agent("ada")
        answers = await at_once(
            world, (create_key, CreateKey(agent=ada.id)), (delete_agent, DeleteAgent(agent=ada.id)), last=last
        )

        assert kinds(answers) in (["Agent", "tuple"], ["Agent", "AgentNotFound"])
        assert [] == await world.ports.reads.agents.keys(world.me, ada.id)

    @BOTH_ORDERS
    async def test_one_of_two_concurrent_approval_requests_for_a_task_is_refused(
        self, world: World, last: bool
    ) -> None:
        """
        If two requests for approval of the same task are concurrent, one raises `ApprovalAlreadyPending`.
        """
        a, b, c = [await world.task(title) for title in "abc"]
        answers = await at_once(world, approval_request(world, a, b), approval_request(world, b, c), last=last)

        assert ["Approval", "ApprovalAlreadyPending"] == kinds(answers)
        assert 1 == len(await pending_approvals_of(world, b))

    @BOTH_ORDERS
    async def test_reopening_an_approval_and_a_concurrent_request_leave_one_pending(
        self, world: World, last: bool
    ) -> None:
        """
        If an approval is reopened and another one is requested for the same task, one of both raises
        `ApprovalAlreadyPending`.
        """
        task = await world.task()
        first = await perform_call(world, approval_request(world, task, status=ApprovalStatus.REJECTED))
        answers = await at_once(world, approval_decision(first, "pending"), approval_request(world, task), last=last)

        assert ["Approval", "ApprovalAlreadyPending"] == kinds(answers)
        assert 1 == len(await pending_approvals_of(world, task))

    async def test_one_of_two_concurrent_decisions_about_an_approval_is_refused(self, world: World) -> None:
        """
        If two decisions about an approval are concurrent, one raises `ApprovalAlreadyDecided` with the status of the
        other.
        """
        approval = await perform_call(world, approval_request(world, await world.task()))
        answers = await at_once(world, approval_decision(approval, "approved"), approval_decision(approval, "rejected"))
        (stands,) = await world.ports.reads.entities.every(world.me, APPROVALS)
        (told,) = [answer for answer in answers if isinstance(answer, ApprovalAlreadyDecided)]

        assert ["Approval", "ApprovalAlreadyDecided"] == kinds(answers)
        assert stands.status is told.status

    @BOTH_ORDERS
    @pytest.mark.parametrize("taking", [status_change, task_claim, next_claim])
    @pytest.mark.parametrize("again", [False, True])
    async def test_a_concurrently_pending_approval_blocks_later_moves_and_claims(
        self, world: World, taking: Any, again: bool, last: bool
    ) -> None:
        """
        On a board that blocks tasks with a pending approval, a task moves or is claimed before the approval is pending,
        or not at all.
        """
        board = await world.another_board(gates=BLOCKED_WHILE_PENDING)
        task = await world.task(board=board.id)
        ask = approval_request(world, task, board=board)
        if again:
            ask = approval_decision(
                await perform_call(world, approval_request(world, task, board=board, status=ApprovalStatus.APPROVED)),
                "pending",
            )
        await at_once(world, taking(task), ask, last=last)
        recorded = [
            kind for kind in await world.event_kinds() if kind in ("task.moved", "task.claimed", PENDING_EVENTS[again])
        ]
        moved = (await world.fresh(task)).status is not Status.INBOX

        assert 1 == len(await pending_approvals_of(world, task))
        assert recorded[-1] == PENDING_EVENTS[again]
        assert moved is (len(recorded) > 1)

    @BOTH_ORDERS
    async def test_a_concurrently_pending_approval_blocks_a_later_completion(self, world: World, last: bool) -> None:
        """
        On a board that blocks tasks with a pending approval, a completion is committed before the approval is pending
        or raises `GateClosed`.
        """
        board = await world.another_board(gates=BLOCKED_WHILE_PENDING)
        claimed = await world.claimed(await world.task(board=board.id))
        complete = complete_task, CompleteTask(task=claimed.task.id, lease=claimed.lease)
        answers = await at_once(world, complete, approval_request(world, claimed.task, board=board), last=last)
        recorded = [kind for kind in await world.event_kinds() if kind in ("task.moved", "approval.requested")]

        assert kinds(answers) in (["Approval", "GateClosed"], ["Approval", "Task"])
        assert ("GateClosed" in kinds(answers)) is (recorded == ["approval.requested"])
        assert "approval.requested" == recorded[-1]

    @BOTH_ORDERS
    async def test_a_concurrently_reopened_approval_closes_the_gate(self, world: World, last: bool) -> None:
        """
        A task is finished on an approval before the approval is reopened, or the update raises `GateClosed`.
        """
        board = await world.another_board(gates=GateSet())
        task = await world.task(board=board.id)
        approval = await perform_call(world, approval_request(world, task, board=board, status=ApprovalStatus.APPROVED))
        finish = update_task, UpdateTask(task=task.id, status=Status.DONE)
        answers = await at_once(world, finish, approval_decision(approval, "pending"), last=last)
        recorded = [kind for kind in await world.event_kinds() if kind in ("approval.used", "approval.reopened")]

        assert not isinstance(answers[1], Exception)
        assert isinstance(answers[0], GateClosed) is (recorded == ["approval.reopened"])
        assert "approval.reopened" == recorded[-1]

    @BOTH_ORDERS
    async def test_a_completion_with_a_concurrent_approval_is_done_or_in_review(self, world: World, last: bool) -> None:
        """
        A completion uses an approval that is committed before it and sets the task to done; otherwise the task is in
        review.
        """
        board = await world.another_board(gates=GateSet())
        claimed = await world.claimed(await world.task(board=board.id))
        approval = await perform_call(world, approval_request(world, claimed.task, board=board))
        complete = complete_task, CompleteTask(task=claimed.task.id, lease=claimed.lease)
        answers = await at_once(world, complete, approval_decision(approval, "approved"), last=last)
        (link,) = await world.ports.reads.entities.every(world.me, APPROVAL_LINKS)

        assert ["Approval", "Task"] == kinds(answers)
        assert (answers[0].status is Status.DONE) is (link.used_at is not None)

    @BOTH_ORDERS
    async def test_an_approval_of_a_concurrently_deleted_task_is_deleted_or_refused(
        self, world: World, last: bool
    ) -> None:
        """
        An approval of a task that is being deleted is deleted with it or raises `ApprovalTasksNotFound`.
        """
        task = await world.task()
        answers = await at_once(
            world, approval_request(world, task), (delete_task, DeleteTask(task=task.id)), last=last
        )
        rows = world.ports.reads.entities

        assert kinds(answers) in (["Approval", "Task"], ["ApprovalTasksNotFound", "Task"])
        assert ([], []) == (await rows.every(world.me, APPROVALS), await rows.every(world.me, APPROVAL_LINKS))

    async def test_an_approval_is_deleted_with_the_last_of_its_tasks(self, world: World) -> None:
        """
        An approval is deleted with the last of its tasks, also if they are deleted concurrently.
        """
        tasks = [await world.task(title) for title in "ab"]
        await perform_call(world, approval_request(world, *tasks))
        answers = await at_once(world, *((delete_task, DeleteTask(task=task.id)) for task in tasks))

        assert ["Task", "Task"] == kinds(answers)
        assert [] == await world.ports.reads.entities.every(world.me, APPROVALS)

    @BOTH_ORDERS
    async def test_approvals_on_a_concurrently_deleted_board_leave_no_rows(self, world: World, last: bool) -> None:
        """
        Requests for approval and decisions on a board that is being deleted leave no rows.
        """
        board = await world.another_board()
        task = await world.task(board=board.id)
        approval = await perform_call(world, approval_request(world, task, board=board))
        more = await world.task(board=board.id)
        remove = delete_board, DeleteBoard(board=board.id)
        calls = (
            remove,
            approval_decision(approval, "approved"),
            approval_request(world, more, board=board),
            approval_request(world, board=board),
        )
        answers = await at_once(world, *calls, last=last)
        rows = world.ports.reads.entities

        assert {"Board", "Approval", "ApprovalNotFound", "BoardNotFound"} >= set(kinds(answers))
        assert ([], []) == (await rows.every(world.me, APPROVALS), await rows.every(world.me, APPROVAL_LINKS))

    @BOTH_ORDERS
    async def test_a_concurrently_pending_approval_blocks_a_board_deletion_with_a_hand_over(
        self, world: World, last: bool
    ) -> None:
        """
        Deleting a board with a hand-over of its tasks raises `GateClosed` while an approval of one of them is pending
        and the board blocks such tasks.
        """
        board = await world.another_board(gates=BLOCKED_WHILE_PENDING)
        task = await world.task(board=board.id)
        hand_over = delete_board, DeleteBoard(board=board.id, hand_over=True)
        approval, deleted = await in_turn(world, approval_request(world, task, board=board), hand_over, last=last)
        if not last:
            with pytest.raises(GateClosed):
                await perform_call(world, hand_over)
            await perform_call(world, approval_decision(approval, "rejected"))
            await perform_call(world, hand_over)

        expected = ["BoardNotFound", "Board"] if last else ["Approval", "GateClosed"]

        assert expected == [type(each).__name__ for each in (approval, deleted)]
        assert board.id != (await world.fresh(task)).board

    @BOTH_ORDERS
    async def test_a_hand_over_is_committed_before_its_target_board_gets_more_gates_or_refused(
        self, world: World, last: bool
    ) -> None:
        """
        An operator's deletion of a board with a hand-over is committed before the target board gets more gates, or
        raises `RoleTooLow`.
        """
        board = await world.another_board(gates=GateSet())
        async with world.ports.unit(world.me) as unit:
            general = await unit.boards.find_handle(GENERAL_HANDLE)
        assert general is not None
        more = update_board, UpdateBoard(board=general.id, gates={"require_review_before_done": True})
        hand_over = delete_board, DeleteBoard(board=board.id, hand_over=True)
        answers = await in_turn(world, hand_over, more, me=evolve(world.me, role=Role.OPERATOR), last=last)

        assert ["RoleTooLow" if last else "Board", "Board"] == [type(each).__name__ for each in answers]

    @pytest.mark.parametrize("how", RUN_ENDS)
    async def test_the_end_of_a_run_does_not_conflict_with_unrelated_edits(self, world: World, how: str) -> None:
        """
        The end of a run does not conflict with concurrent edits that its decision does not depend on, and returns the
        task with these edits.
        """
        team = await create_team(world)
        end = await start_work(world, team, how)
        was = await world.fresh(team.task)
        *_, ended = answers = await in_turn(world, *team.unrelated_edits(), end)
        fresh = await world.fresh(team.task)

        assert [] == [each for each in answers if isinstance(each, Exception)]
        assert ("Say it", "high", ("loud",)) == (fresh.title, fresh.priority, fresh.tags)
        assert fresh == (ended.tasks[0] if how == "review of many" else ended)
        assert fresh.status is not Status.IN_PROGRESS
        assert (2 + was.version, 1 + was.edits) == (fresh.version, fresh.edits)

    async def test_a_heartbeat_does_not_conflict_with_unrelated_edits(self, world: World) -> None:
        """
        A heartbeat does not conflict with concurrent edits, and its progress is stored.
        """
        team = await create_team(world)
        held = await claim_task(world.ports, team.worker, ClaimTask(task=team.task.id))
        beat = Heartbeat(task=team.task.id, lease=held.lease, progress=JsonText('{"percent":50}'))
        *edited, beaten = await in_turn(world, *team.unrelated_edits(), as_worker(team.worker, heartbeat, beat))

        assert [] == [each for each in edited if isinstance(each, Exception)]
        assert '{"percent":50}' == beaten.run.progress

    @pytest.mark.parametrize("how", ["complete", "fail", "release"])
    async def test_the_end_of_a_run_with_an_expected_version_conflicts_with_any_edit(
        self, world: World, how: str
    ) -> None:
        """
        The end of a run that expects a version raises `StaleWrite` after any edit of the task.
        """
        claimed = await world.claimed(await world.task("Say hello"))
        edit = update_task, UpdateTask(task=claimed.task.id, title="Say it")
        answers = await in_turn(world, edit, run_end(how, claimed, expects=claimed.task.version))

        assert ["StaleWrite", "Task"] == kinds(answers)

    async def test_a_completion_conflicts_with_changes_of_its_gates_or_approvals(self, world: World) -> None:
        """
        A completion raises `StaleWrite` if the board's gates or the task's approvals changed since it was decided, so
        that `perform` repeats it.
        """
        first, second = [await world.claimed(await world.task(title)) for title in "ab"]
        gated = UpdateBoard(board=world.board.id, description="Guarded", gates={"require_approval_for_done": True})
        by_gates = await in_turn(world, (update_board, gated), run_end("complete", first))
        asked = RequestApproval(board=world.board.id, action="finish", confidence=0.5, tasks=(second.task.id,))
        by_approval = await in_turn(world, (request_approval, asked), run_end("complete", second))

        assert ["Board", "StaleWrite"] == kinds(by_gates)
        assert "StaleWrite" == type(by_approval[-1]).__name__
