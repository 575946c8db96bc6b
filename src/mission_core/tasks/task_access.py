"""
Task access: reading the task that a command names, and checking that the principal may write to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.accounts.model import AgentPrincipal, Principal, Role
from mission_core.entity_changes import require_version
from mission_core.tasks.model import NotYourTask, Task, TaskNotFound
from mission_core.values import name_key

if TYPE_CHECKING:
    from mission_core.ids import BoardId, TaskId, TaskNumber
    from mission_core.ports import UnitOfWork


async def get_for_write(
    unit: UnitOfWork,
    principal: Principal,
    task: TaskId | TaskNumber,
    *,
    on: BoardId | None = None,
    own: bool = False,
    expects: int | None = None,
) -> Task:
    """
    Return the task that a principal wants to write to.

    Raises:
        TaskNotFound: If there is no such task (on that board) for this principal.
        NotYourTask: If with *own* the agent may only write to its own tasks, and this is not one of them.
        VersionMismatch: If the caller expected another version.
    """
    found = await get_on_board(unit, task, on)
    check_write(principal, found, own=own, expects=expects)
    return found


async def get_on_board(unit: UnitOfWork, task: TaskId | TaskNumber, on: BoardId | None) -> Task:
    """
    Return the task. If a board is given, the task must be on it.

    Raises:
        TaskNotFound: If there is no such task (on that board) for this principal.
    """
    found = await unit.tasks.get(task)
    if on is not None and found.board != on:
        raise TaskNotFound
    return found


def check_write(principal: Principal, task: Task, *, own: bool, expects: int | None) -> None:
    """
    Check that the principal may write to the task, at the version it expects.

    Raises:
        NotYourTask: If with *own* the agent may only write to its own tasks, and this is not one of them.
        VersionMismatch: If the caller expected another version.
    """
    if own:
        check_own_task(principal, task.assignee.name if task.assignee else None)
    require_version(task, expects)


def check_own_task(principal: Principal, assignee: str | None) -> None:
    """
    Check that an agent below admin only writes to tasks assigned to it.

    Raises:
        NotYourTask: If the task is not assigned to the agent.
    """
    restricted = isinstance(principal, AgentPrincipal) and principal.role is not Role.ADMIN
    if restricted and (assignee is None or name_key(assignee) != name_key(principal.display)):
        raise NotYourTask
