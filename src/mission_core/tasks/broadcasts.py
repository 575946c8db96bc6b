"""
Broadcasts: a message to all agents that follow a task.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mission_core.accounts.model import Principal, Role, require_role
from mission_core.boards.model import require_grant
from mission_core.ids import TaskId, TaskNumber
from mission_core.lazy_attrs import frozen
from mission_core.tasks.comments import COMMENTS, LONGEST_COMMENT, Comment
from mission_core.tasks.events import TaskBroadcast
from mission_core.tasks.mentions import Mentionable, index_by_handle, mentioned_by_handle
from mission_core.tasks.model import Task
from mission_core.tasks.task_access import get_for_write
from mission_core.use_case import use_case
from mission_core.values import checked_text, name_key

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork
    from mission_core.tasks.queries import RunRow


@frozen(kw_only=True)
class BroadcastTask:
    """
    Send a message to all agents that follow a task, or to the named ones.
    """

    task: TaskId | TaskNumber
    own: bool = False
    message: str
    to: tuple[str, ...] | None = None


@frozen
class BroadcastResult:
    """
    The agents that a message reached, and those it did not reach.
    """

    sent: tuple[str, ...]
    skipped: tuple[str, ...]


def followers_of(
    task: Task, *, runs: Iterable[RunRow], comments: Iterable[Comment], described: Iterable[Mentionable]
) -> tuple[str, ...]:
    """
    Return the names of everybody who follows a task: its creator, assignee, workers and commenters, and everybody
    mentioned in its description or comments. Names that differ only in case count once.
    """
    names = [task.creator_name]
    names += [task.assignee.name] if task.assignee else []
    names += [run.by for run in runs]
    names += [each.recipient for each in described]
    for comment in comments:
        names += [comment.author, *comment.mentions]
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(name_key(name), name)
    return tuple(found.values())


@use_case
async def broadcast_task(ports: Ports, principal: Principal, cmd: BroadcastTask) -> BroadcastResult:
    """
    Record a message to the followers of a task. This server has no connection to agents, so it skips them all. Without
    recipients nothing is recorded.

    Raises:
        TaskNotFound: If there is no such task for this principal.
        NotYourTask: If the agent may only write to its own tasks, and this is not one of them.
        BoardReadOnly: If the principal may not write to its board.
    """
    require_role(principal, Role.OPERATOR)
    message = checked_text("message", cmd.message, least=1, most=LONGEST_COMMENT)
    async with ports.unit(principal) as unit:
        task = await get_for_write(unit, principal, cmd.task, own=cmd.own)
        require_grant(principal, task.board)
        skipped = await _recipients(ports, unit, principal, task, cmd.to)
        if skipped:
            unit.rely_on(task)
            unit.record(
                TaskBroadcast(
                    task=task.id, author=principal.display, message=message, sent=(), skipped=skipped,
                    at=ports.clock.now(),
                )
            )  # fmt: skip
            unit.result(task.id)
            await unit.commit()
    return BroadcastResult((), skipped)


@use_case
async def repeat_broadcast(ports: Ports, principal: Principal, cmd: BroadcastTask) -> BroadcastResult:
    """
    Return the answer to a repeated broadcast, without recording the message again.
    """
    async with ports.unit(principal) as unit:
        task = await get_for_write(unit, principal, cmd.task, own=cmd.own)
        return BroadcastResult((), await _recipients(ports, unit, principal, task, cmd.to))


async def _recipients(
    ports: Ports, unit: UnitOfWork, principal: Principal, task: Task, to: tuple[str, ...] | None
) -> tuple[str, ...]:
    """
    Return the agents that a message is for, without its author.
    """
    reads = ports.reads
    agents = await reads.agents.names(principal)
    if to is None:
        known = index_by_handle(await reads.members.every(principal), agents)
        to = followers_of(
            task,
            runs=await reads.tasks.runs(principal, task.id),
            comments=await unit.repository(COMMENTS).every(task=task.id),
            described=mentioned_by_handle(task.description or "", known)[0],
        )
    meant = {name_key(name) for name in to} - {name_key(principal.display)}
    return tuple(agent.name for agent in agents if name_key(agent.name) in meant)
