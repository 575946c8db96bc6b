"""
Moving many tasks at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from mission_core.accounts.model import Principal, Role, require
from mission_core.ids import TaskNumber
from mission_core.tasks.model import Status, Task
from mission_core.tasks.reach import own_tasks_only
from mission_core.tasks.use_cases import UpdateTask, carried_out

if TYPE_CHECKING:
    from mission_core.ports import Ports


@frozen(kw_only=True)
class MoveTasks:
    """
    Give these tasks these statuses, one after another. With *own* an agent's key reaches its own tasks only.
    """

    moves: tuple[tuple[TaskNumber, Status], ...]
    own: bool = False


@frozen
class Moved:
    """
    The tasks that came to another status, and the numbers that no task has.
    """

    tasks: tuple[Task, ...]
    missing: tuple[TaskNumber, ...]


async def move_tasks(ports: Ports, principal: Principal, cmd: MoveTasks) -> Moved:
    """
    Move many tasks, each as an update of its own would, all of them or none. Numbers that no task has are passed over.

    Raises:
        NotYourTask: If an agent's key reaches its own tasks only, and one is none of them.
        GateClosed: If a gate keeps one of them from moving.
    """
    require(principal, Role.OPERATOR)
    now = ports.clock.now()
    numbers = tuple(dict.fromkeys(number for number, _ in cmd.moves))
    async with ports.unit(principal) as unit:
        first = {task.number: task for task in await unit.tasks.several(numbers)}
        if cmd.own:
            for task in first.values():
                own_tasks_only(principal, task.assignee.name if task.assignee else None)
        latest = dict(first)
        for number, status in cmd.moves:
            before = latest.get(number)
            if before is not None:
                asked = UpdateTask(task=before.id, status=status)
                changed = await carried_out(unit, principal, before, before, asked, at=now)
                latest |= {task.number: task for task in changed}
        if latest != first:
            await unit.commit()
    moved = tuple(latest[number] for number in first if latest[number].status is not first[number].status)
    return Moved(moved, tuple(number for number in numbers if number not in first))
