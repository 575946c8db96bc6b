"""
Requesting approvals and deciding about them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from mission_core.accounts.model import AgentPrincipal, Principal, Role, require_role
from mission_core.approvals.model import (
    APPROVAL_LINKS,
    APPROVALS,
    MOST_TASKS_PER_APPROVAL,
    AgentsCannotDecide,
    Approval,
    ApprovalAlreadyPending,
    ApprovalLink,
    ApprovalNotFound,
    ApprovalRequested,
    ApprovalStatus,
    ApprovalTasksNotFound,
    digest_of,
)
from mission_core.boards.model import Board, BoardDenied, require_grant
from mission_core.entity_changes import require_version
from mission_core.errors import InvalidField
from mission_core.events.model import Actor
from mission_core.ids import AgentId, ApprovalId, ApprovalLinkId, ApprovalNumber, BoardId, TaskId
from mission_core.lazy_attrs import frozen
from mission_core.tasks.model import Task, TaskNotFound
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, JsonText

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from mission_core.ports import Ports, UnitOfWork

EMBEDDED = "mission_core"
"""The channel of a decision made by a program that embeds the core."""


@frozen(kw_only=True)
class RequestApproval:
    """
    Request approval of an action, for tasks of a board. An agent requests for itself, and its request is pending. A
    person may request for an *agent*, and give a *status* that was decided elsewhere.
    """

    board: BoardId
    action: str
    confidence: float
    tasks: tuple[TaskId, ...] = ()
    arguments: JsonText | None = None
    scores: JsonText | None = None
    agent: AgentId | None = None
    status: ApprovalStatus = ApprovalStatus.PENDING
    through: str = EMBEDDED


@frozen(kw_only=True)
class DecideApproval:
    """
    Decide about an approval. The status pending takes the decision back. Without a *status* nothing changes.
    """

    approval: ApprovalId
    on: BoardId | None = None
    status: ApprovalStatus | Absent = ABSENT
    reason: str | None = None
    through: str = EMBEDDED
    expects: int | None = None


@use_case
async def request_approval(ports: Ports, principal: Principal, cmd: RequestApproval) -> Approval:
    """
    Request an approval. Each of its tasks can have only one pending approval.

    Raises:
        BoardNotFound: If there is no such board for this principal.
        BoardReadOnly: If the principal may only read the board.
        ApprovalTasksNotFound: If the board lacks a named task.
        AgentNotFound: If there is no such agent.
        ApprovalAlreadyPending: If an approval is pending for one of the tasks.
        InvalidField: If a field is invalid.
    """
    require_role(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        board = await unit.boards.get(cmd.board)
        require_grant(principal, board.id)  # before a number is drawn
        agent = await _requested_agent(unit, principal, cmd.agent)
        tasks = await _tasks_on(unit, board, cmd.tasks)
        approval, requested = await _new_approval(ports, principal, cmd, agent, tasks, at=now)
        unit.record(requested)
        if cmd.status is not ApprovalStatus.PENDING and not isinstance(principal, AgentPrincipal):
            approval, decided = approval.decide(cmd.status, by=_displayed_actor(principal), through=cmd.through, at=now)
            unit.record(decided)
        if approval.pending:
            await _check_none_pending(unit, approval, tasks)
        unit.rely_on(board)  # it may not be deleted meanwhile
        unit.rely_on(*tasks, bump=True)  # a concurrent move of one must see the approval
        unit.repository(APPROVALS).add(approval)
        for place, task in enumerate(tasks):
            id = ApprovalLinkId(ports.ids.new())
            unit.repository(APPROVAL_LINKS).add(
                ApprovalLink.of(approval, task.id, id=id, place=place, fence=task.fence)
            )
        unit.result(approval.id)
        await unit.commit()
    return approval


@use_case
async def decide_approval(ports: Ports, principal: Principal, cmd: DecideApproval) -> Approval:
    """
    Decide about an approval. Repeating the same decision changes nothing.

    Raises:
        AgentsCannotDecide: If the principal is an agent.
        ApprovalNotFound: If there is no such approval (on that board) for this principal.
        BoardReadOnly: If the principal may only read the board.
        VersionMismatch: If the caller expected another version.
        ApprovalAlreadyDecided: If it was decided differently before, and not taken back.
        ApprovalAlreadyPending: If it would be pending again, and another approval is pending for one of its tasks.
    """
    require_role(principal, Role.OPERATOR)
    if isinstance(principal, AgentPrincipal):
        raise AgentsCannotDecide
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        approval = await unit.repository(APPROVALS).get(cmd.approval)
        if cmd.on is not None and approval.board != cmd.on:
            raise ApprovalNotFound
        require_grant(principal, approval.board)
        require_version(approval, cmd.expects)
        if isinstance(cmd.status, Absent) or cmd.status is approval.status:
            return approval
        links = await unit.repository(APPROVAL_LINKS).every(approval=approval.id)
        unit.rely_on(await unit.boards.get(approval.board))  # a concurrent deletion then waits at the board's row
        if cmd.status is ApprovalStatus.PENDING:
            approval, reopened = approval.reopen(by=_displayed_actor(principal), at=now)
            tasks = await _tasks_of_links(unit, links)
            await _check_none_pending(unit, approval, tasks)
            unit.rely_on(*tasks, bump=True)
            unit.record(reopened)
        else:
            approval, decided = approval.decide(
                cmd.status, by=_displayed_actor(principal), through=cmd.through, reason=cmd.reason, at=now
            )
            unit.record(decided)
        approval = unit.repository(APPROVALS).save(approval)
        for link in links:
            unit.repository(APPROVAL_LINKS).save(link.with_status_of(approval))
        unit.result(approval.id)
        await unit.commit()
    return approval


def _displayed_actor(principal: Principal) -> Actor:
    """
    Return the principal's actor under its display name.
    """
    return evolve(principal.actor, name=principal.display)


async def _new_approval(
    ports: Ports,
    principal: Principal,
    cmd: RequestApproval,
    agent: AgentId | None,
    tasks: list[Task],
    *,
    at: datetime,
) -> tuple[Approval, ApprovalRequested]:
    """
    Return a new pending approval and its event.
    """
    (number,) = await ports.numbers.next((principal.organization, "approval"))
    asker = _displayed_actor(principal)
    approval = Approval(
        id=ApprovalId(ports.ids.new()),
        number=ApprovalNumber(number),
        organization=principal.organization,
        board=cmd.board,
        action=cmd.action,
        arguments=cmd.arguments,
        confidence=cmd.confidence,
        scores=cmd.scores,
        agent=agent,
        digest=digest_of(cmd.action, cmd.arguments, ((task.id, task.fence) for task in tasks)),
        asker=asker.name,
        asker_kind=asker.kind,
        asker_id=asker.id,
        created_at=at,
    )
    return approval, ApprovalRequested(
        approval=approval.id, number=number, board=cmd.board, action=cmd.action, confidence=cmd.confidence,
        tasks=tuple(task.id for task in tasks), digest=approval.digest.hex(), at=at,
    )  # fmt: skip


async def _requested_agent(unit: UnitOfWork, principal: Principal, named: AgentId | None) -> AgentId | None:
    """
    Return the agent that will do the action. An agent requests for itself.
    """
    if isinstance(principal, AgentPrincipal):
        named = principal.agent
    if named is None:
        return None
    agent = await unit.agents.get_unscoped(named)
    unit.rely_on(agent)
    return agent.id


async def _tasks_on(unit: UnitOfWork, board: Board, named: tuple[TaskId, ...]) -> list[Task]:
    """
    Return the tasks with these ids, each once.

    Raises:
        ApprovalTasksNotFound: If the board lacks one of them.
        InvalidField: If there are too many.
    """
    wanted = tuple(dict.fromkeys(named))
    if len(wanted) > MOST_TASKS_PER_APPROVAL:
        raise InvalidField("tasks", f"must have at most {MOST_TASKS_PER_APPROVAL} entries", len(wanted))
    found = {id: await _task_on(unit, board.id, id) for id in wanted}
    if missing := tuple(id for id, task in found.items() if task is None):
        raise ApprovalTasksNotFound(missing)
    return [task for task in found.values() if task is not None]


async def _task_on(unit: UnitOfWork, board: BoardId, id: TaskId) -> Task | None:
    try:
        task = await unit.tasks.get(id)
    except (TaskNotFound, BoardDenied):  # do not reveal tasks of other boards
        return None
    return task if task.board == board else None


async def _tasks_of_links(unit: UnitOfWork, links: Iterable[ApprovalLink]) -> list[Task]:
    """
    Return the linked tasks that are still on the board.
    """
    tasks = [await _task_on(unit, link.board, link.task) for link in links]
    return [task for task in tasks if task is not None]


async def _check_none_pending(unit: UnitOfWork, approval: Approval, tasks: Iterable[Task]) -> None:
    """
    Check that none of these tasks has another pending approval.

    Raises:
        ApprovalAlreadyPending: If another approval of the board is pending for one of these tasks.
    """
    conflicts = []
    for task in tasks:
        link = await unit.repository(APPROVAL_LINKS).find(board=approval.board, pending_for=task.id)
        if link is not None and link.approval != approval.id:
            conflicts.append((task.id, link.approval))
    if conflicts:
        raise ApprovalAlreadyPending(tuple(sorted(conflicts)))
