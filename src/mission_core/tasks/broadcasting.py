"""
A message to all agents that follow a task.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from attrs import frozen

from mission_core.accounts.model import Principal, Role, require
from mission_core.boards.model import require_grant
from mission_core.ids import TaskId, TaskNumber
from mission_core.tasks.comments import COMMENTS, LONGEST_COMMENT, Comment
from mission_core.tasks.facts import TaskBroadcast
from mission_core.tasks.mentions import Callee, called_by_handle, handles_of
from mission_core.tasks.model import Task
from mission_core.tasks.reach import task_for
from mission_core.use_case import use_case
from mission_core.values import checked_text, name_key

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork
    from mission_core.tasks.queries import RunRow


@frozen(kw_only=True)
class BroadcastTask:
    """
    Send a message to all agents that follow a task, or to those that are named.
    """

    task: TaskId | TaskNumber
    own: bool = False
    message: str
    to: tuple[str, ...] | None = None


@frozen
class Broadcast:
    """
    Which agents a message reached, and which it did not.
    """

    sent: tuple[str, ...]
    skipped: tuple[str, ...]


def followers_of(
    task: Task, *, runs: Iterable[RunRow], comments: Iterable[Comment], described: Iterable[Callee]
) -> tuple[str, ...]:
    """
    The names of all who follow a task: whoever made it, has it, worked on it, commented on it, or is called in its
    description or a comment. Each once, whatever its case.
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
async def broadcast_task(ports: Ports, principal: Principal, cmd: BroadcastTask) -> Broadcast:
    """
    Tell the log that a message was meant for those who follow a task. No agent is in reach of this server, so it
    skips them all; where there are none, nothing is told.

    Raises:
        TaskNotFound: If there is no such task for this principal.
        NotYourTask: If an agent's key reaches its own tasks only, and this is none of them.
        BoardReadOnly: If the principal may not write on its board.
    """
    require(principal, Role.OPERATOR)
    message = checked_text("message", cmd.message, least=1, most=LONGEST_COMMENT)
    async with ports.unit(principal) as unit:
        task = await task_for(unit, principal, cmd.task, own=cmd.own)
        require_grant(principal, task.board)
        skipped = await _meant(ports, unit, principal, task, cmd.to)
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
    return Broadcast((), skipped)


@use_case
async def broadcast_again(ports: Ports, principal: Principal, cmd: BroadcastTask) -> Broadcast:
    """
    What a broadcast answers to a repeat of it: whom it means, without telling them again.
    """
    async with ports.unit(principal) as unit:
        task = await task_for(unit, principal, cmd.task, own=cmd.own)
        return Broadcast((), await _meant(ports, unit, principal, task, cmd.to))


async def _meant(
    ports: Ports, unit: UnitOfWork, principal: Principal, task: Task, to: tuple[str, ...] | None
) -> tuple[str, ...]:
    """
    The agents that a message is for; never its author.
    """
    reads = ports.reads
    agents = await reads.agents.names(principal)
    if to is None:
        known = handles_of(await reads.members.every(principal), agents)
        to = followers_of(
            task,
            runs=await reads.tasks.runs(principal, task.id),
            comments=await unit.rows(COMMENTS).every(task=task.id),
            described=called_by_handle(task.description or "", known)[0],
        )
    meant = {name_key(name) for name in to} - {name_key(principal.display)}
    return tuple(agent.name for agent in agents if name_key(agent.name) in meant)
