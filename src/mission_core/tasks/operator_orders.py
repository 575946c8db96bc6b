"""
Orders: an operator pauses, resumes, cancels, steers or steals the work on a task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.accounts.model import AgentPrincipal, Principal, Role, require_role
from mission_core.entity_changes import evolve
from mission_core.errors import InvalidField
from mission_core.ids import BoardId, OrderId, TaskId, TaskNumber
from mission_core.lazy_attrs import frozen
from mission_core.tasks.leases import check_expected
from mission_core.tasks.model import Status, Task
from mission_core.tasks.runs import Assignee, NoLiveLease, Order, OrderKind, Run, RunState
from mission_core.tasks.task_access import check_own_task
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork


@frozen(kw_only=True)
class GiveOrder:
    """
    Give an order to the worker of a task. *to* is the next assignee of stolen work.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    kind: OrderKind
    message: str | None = None
    to: str | None = None
    expects: int | None = None


@use_case
async def give_order(ports: Ports, principal: Principal, cmd: GiveOrder) -> Task:
    """
    Give an order to the worker of a task. A steal ends the run at once. A resume or cancel ends a suspension at once,
    and a cancel ends an implicit lease. Any other order is repeated in the answers to heartbeats until the worker
    acknowledges it.

    Raises:
        TaskNotFound: If there is no such task for this principal.
        NoLiveLease: If the task has no live lease.
        OrderNotDeliverable: If the lease is implicit, so the worker sends no heartbeats.
        NotYourTask: If an agent that is no lead gives an order to another agent.
        VersionMismatch: If the caller expected another version.
    """
    require_role(principal, Role.OPERATOR)
    if cmd.kind is OrderKind.STEER and not cmd.message:
        raise InvalidField("message", "is required to steer", cmd.message)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        task = await unit.tasks.get(cmd.task)
        check_expected(task, cmd.on, cmd.expects)
        run = await unit.runs.get(task.run) if task.run else None
        if run is None or not run.is_live(at=now):
            raise NoLiveLease(task.id)
        if not (isinstance(principal, AgentPrincipal) and principal.lead):
            check_own_task(principal, run.by.name)
        order = Order(id=OrderId(ports.ids.new()), kind=cmd.kind, message=cmd.message, by=principal.actor.name, at=now)
        task = _apply_order(unit, task, run, order, cmd.to)
        unit.result(task.id)
        await unit.commit()
    return task


def _apply_order(unit: UnitOfWork, task: Task, run: Run, order: Order, to: str | None) -> Task:
    if order.kind is OrderKind.STEAL:
        ended, revoked = run.revoke(order.message or "an operator took it", at=order.at)
        freed = evolve(task, run=None, assignee=Assignee(to) if to else None, fence=task.fence + 1)
        moved, fact = freed.move(freed.idle_status(), at=order.at)
        unit.runs.save(ended)
        unit.record(revoked, fact)
        return unit.tasks.save(evolve(moved, attempts=max(task.attempts - 1, 0)))
    if order.kind is OrderKind.CANCEL and run.is_implicit:
        ended, revoked = run.revoke(order.message or "an operator cancelled it", at=order.at)
        parked, fact = evolve(task.without_run(ended), fence=task.fence + 1).move(Status.BACKLOG, at=order.at)
        unit.runs.save(ended)
        unit.record(revoked, fact)
        return unit.tasks.save(parked)
    if order.kind in (OrderKind.RESUME, OrderKind.CANCEL) and run.state is RunState.SUSPENDED:
        running, resumed = run.resume(at=order.at)
        moved, fact = task.move(Status.IN_PROGRESS, at=order.at)
        if order.kind is OrderKind.CANCEL or order.message:
            told = order if order.kind is OrderKind.CANCEL else evolve(order, kind=OrderKind.STEER)
            running, given = running.with_order(told)
            unit.record(given)
        unit.runs.save(running)
        unit.record(resumed, fact)
        return unit.tasks.save(moved)
    ordered, given = run.with_order(order)
    unit.runs.save(ordered)
    unit.rely_on(task)
    unit.record(given)
    return task
