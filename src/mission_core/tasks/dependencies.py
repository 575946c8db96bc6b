"""
Dependencies between tasks: checks, and events for dependent tasks.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mission_core.entity_changes import evolve
from mission_core.errors import InvalidField
from mission_core.events.model import Event
from mission_core.ids import TaskId, TaskNumber
from mission_core.tasks.events import DependencyToggled
from mission_core.tasks.model import (
    MOST_DEPENDENCIES,
    DependencyCycle,
    DependencyNotFound,
    SelfDependency,
    Status,
    Task,
    TaskNotFound,
)

if TYPE_CHECKING:
    from mission_core.ports import UnitOfWork


async def with_dependencies(unit: UnitOfWork, task: Task, named: tuple[TaskId | TaskNumber, ...]) -> Task:
    """
    Return the task with these dependencies. The unit relies on every task that the check for cycles visited.

    Raises:
        SelfDependency: If the task names itself.
        DependencyNotFound: If a named task is not on its board.
        DependencyCycle: If the dependencies would close a cycle.
    """
    wanted = tuple(dict.fromkeys([await _id_of(unit, each) for each in named]))
    if wanted == task.depends_on:
        return task
    if task.id in wanted:
        raise SelfDependency
    if len(wanted) > MOST_DEPENDENCIES:
        raise InvalidField("depends_on", f"must have at most {MOST_DEPENDENCIES} entries", len(wanted))
    links = await unit.tasks.dependency_closure(wanted)
    here = {link.id for link in links if link.board == task.board}
    kept = set(task.depends_on)
    missing = tuple(each for each in wanted if each not in here and each not in kept)
    if missing:
        raise DependencyNotFound(missing)
    if any(task.id in link.depends_on for link in links):
        raise DependencyCycle
    unit.rely_on(*links)
    if not is_not_started(task):  # a concurrent reopening must see this task, to send it back
        unit.rely_on(*(link for link in links if link.id in wanted and link.status is Status.DONE), bump=True)
    return evolve(task, depends_on=wanted)


async def _id_of(unit: UnitOfWork, named: TaskId | TaskNumber) -> TaskId:
    if not isinstance(named, int):
        return named
    try:
        return (await unit.tasks.get(named)).id
    except TaskNotFound:
        raise DependencyNotFound((named,)) from None


def is_not_started(task: Task) -> bool:
    """
    Whether the task is in the backlog, or unassigned in the inbox. Such a task stays as it is when one of its
    dependencies is reopened.
    """
    return task.status is Status.BACKLOG or (task.status is Status.INBOX and task.assignee is None)


def dependency_toggled(dependent: Task, on: Task, *, at: datetime) -> DependencyToggled:
    """
    Return the event for *dependent* that its dependency was done or reopened.
    """
    done = on.status is Status.DONE
    return DependencyToggled(
        task=dependent.id, board=dependent.board, dependency=on.id, title=on.title, done=done, at=at
    )


async def completion_events(unit: UnitOfWork, task: Task, *, at: datetime) -> list[Event]:
    """
    Return the events for the dependents of a task that is done.
    """
    if task.status is not Status.DONE:
        return []
    waiting = await unit.tasks.dependents(task.id, assume_none=True)
    return [dependency_toggled(each, task, at=at) for each in waiting if each.status is not Status.DONE]


async def open_dependencies(unit: UnitOfWork, task: Task) -> tuple[TaskId, ...]:
    """
    Return the dependencies that are not done. The unit relies on all dependencies, but not on their details.
    """
    if not task.depends_on:
        return ()
    links = {link.id: link for link in await unit.tasks.dependency_closure(task.depends_on)}
    unit.rely_on(*(links[each].work_version for each in task.depends_on if each in links))
    return tuple(each for each in task.depends_on if each not in links or links[each].status is not Status.DONE)
