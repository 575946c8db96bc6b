"""
What a task waits for, as writes of it need to know.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mission_core.changes import evolve
from mission_core.errors import InvalidField
from mission_core.events.model import Fact
from mission_core.ids import TaskId, TaskNumber
from mission_core.tasks.facts import DependencyToggled
from mission_core.tasks.model import (
    MOST_DEPENDENCIES,
    DependencyCycle,
    DependencyNotFound,
    DependsOnItself,
    Status,
    Task,
    TaskNotFound,
)

if TYPE_CHECKING:
    from mission_core.ports import UnitOfWork


async def depending(unit: UnitOfWork, task: Task, named: tuple[TaskId | TaskNumber, ...]) -> Task:
    """
    The task with these dependencies, relying on every task that the check for cycles visited.

    Raises:
        DependsOnItself: If it names itself.
        DependencyNotFound: If its board lacks a named one.
        DependencyCycle: If it would wait for itself.
    """
    wanted = tuple(dict.fromkeys([await _id_of(unit, each) for each in named]))
    if wanted == task.depends_on:
        return task
    if task.id in wanted:
        raise DependsOnItself
    if len(wanted) > MOST_DEPENDENCIES:
        raise InvalidField("depends_on", f"must have at most {MOST_DEPENDENCIES} entries", len(wanted))
    links = await unit.tasks.upstream(wanted)
    here = {link.id for link in links if link.board == task.board}
    kept = set(task.depends_on)
    missing = tuple(each for each in wanted if each not in here and each not in kept)
    if missing:
        raise DependencyNotFound(missing)
    if any(task.id in link.depends_on for link in links):
        raise DependencyCycle
    unit.rely_on(*links)
    if not at_rest(task):  # whoever reopens one of these sends back what waits for it, and must see this task
        unit.rely_on(*(link for link in links if link.id in wanted and link.status is Status.DONE), bump=True)
    return evolve(task, depends_on=wanted)


async def _id_of(unit: UnitOfWork, named: TaskId | TaskNumber) -> TaskId:
    if not isinstance(named, int):
        return named
    try:
        return (await unit.tasks.get(named)).id
    except TaskNotFound:
        raise DependencyNotFound((named,)) from None


def at_rest(task: Task) -> bool:
    """
    Whether nobody is to work on it yet: what it waits for may be taken up again, and it stays as it is.
    """
    return task.status is Status.BACKLOG or (task.status is Status.INBOX and task.assignee is None)


def toggled(dependent: Task, on: Task, *, at: datetime) -> DependencyToggled:
    """
    What *dependent* is told when what it waits for was done, or taken up again.
    """
    done = on.status is Status.DONE
    return DependencyToggled(
        task=dependent.id, board=dependent.board, dependency=on.id, title=on.title, done=done, at=at
    )


async def told_of_finishing(unit: UnitOfWork, task: Task, *, at: datetime) -> list[Fact]:
    """
    What those that wait for the task are told, now that it is done.
    """
    if task.status is not Status.DONE:
        return []
    waiting = await unit.tasks.dependents(task.id)
    return [toggled(each, task, at=at) for each in waiting if each.status is not Status.DONE]


async def open_dependencies(unit: UnitOfWork, task: Task) -> tuple[TaskId, ...]:
    """
    The dependencies that are not done, relied on.
    """
    if not task.depends_on:
        return ()
    links = {link.id: link for link in await unit.tasks.upstream(task.depends_on)}
    unit.rely_on(*(links[each] for each in task.depends_on if each in links))
    return tuple(each for each in task.depends_on if each not in links or links[each].status is not Status.DONE)
