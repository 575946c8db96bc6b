"""
Bulk update: changing the status of many tasks at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.accounts.model import Principal, Role, require_role
from mission_core.ids import TaskNumber
from mission_core.lazy_attrs import frozen
from mission_core.tasks.lease_ownership import lease_ownership_of, task_writer_of
from mission_core.tasks.model import Status, Task
from mission_core.tasks.task_access import check_write
from mission_core.tasks.update_effects import apply_update
from mission_core.tasks.use_cases import UpdateTask
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.ports import Ports


@frozen(kw_only=True)
class MoveTasks:
    """
    Set the statuses of these tasks, in this order. With *own* an agent may only move its own tasks. *agent* and
    *instance* mean the same as in `UpdateTask`.
    """

    moves: tuple[tuple[TaskNumber, Status], ...]
    own: bool = False
    agent: str | None = None
    instance: str | None = None


@frozen
class MovedTasks:
    """
    The tasks whose status changed, and the numbers that no task has.
    """

    tasks: tuple[Task, ...]
    missing: tuple[TaskNumber, ...]


@use_case
async def move_tasks(ports: Ports, principal: Principal, cmd: MoveTasks) -> MovedTasks:
    """
    Change the status of many tasks, all or none, each under the rules of a single update. Numbers that no task has are
    skipped.

    Raises:
        NotYourTask: If the agent may only write to its own tasks, and one is not.
        GateClosed: If a gate refuses one of the moves.
        LeaseHeldByAnother: If somebody else holds one of them, and the caller may not end the lease.
        LeaseRequired: If the caller holds one under an explicit lease.
        NotClaimable: If an agent begins a task that is blocked or delayed.
    """
    require_role(principal, Role.OPERATOR)
    now, writer = ports.clock.now(), task_writer_of(principal, cmd.agent, cmd.instance)
    numbers = tuple(dict.fromkeys(number for number, _ in cmd.moves))
    async with ports.unit(principal) as unit:
        first = {task.number: task for task in await unit.tasks.get_many(numbers)}
        latest = dict(first)
        renewed = False
        for number, status in cmd.moves:
            found = latest.get(number)
            if found is not None:
                asked = UpdateTask(task=found.id, status=status)
                ownership = await lease_ownership_of(unit, writer, found, asked, at=now, ids=ports.ids)
                check_write(principal, first[number], own=cmd.own and not ownership.is_returning, expects=None)
                before = await ownership.retake_expired(unit)
                changed = await apply_update(unit, ownership, before, before, asked, at=now)
                latest |= {task.number: task for task in changed}
                renewed |= ownership.renew(unit, latest[number])
        if renewed or latest != first:
            await unit.commit()
        for number in {number for number, task in latest.items() if task is not first.get(number)}:
            latest[number] = await unit.tasks.get(latest[number].id)  # with the edits of others that the commit merged
    there = [number for number in dict.fromkeys(numbers) if number in first]
    moved = tuple(latest[number] for number in there if latest[number].status is not first[number].status)
    return MovedTasks(moved, tuple(number for number in numbers if number not in first))
