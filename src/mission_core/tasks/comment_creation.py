"""
Comments: adding one to a task, and finding whom it mentions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import TYPE_CHECKING

from mission_core.accounts.members import BoardPermission, accessible_boards
from mission_core.accounts.model import AgentPrincipal, Principal, Role, SystemPrincipal, readable_boards, require_role
from mission_core.boards.grants import GRANTS
from mission_core.entity_changes import evolve
from mission_core.errors import Denied
from mission_core.events.model import Event
from mission_core.ids import BoardId, CommentId, CommentNumber, TaskId, TaskNumber
from mission_core.lazy_attrs import frozen
from mission_core.tasks.comments import COMMENTS, Comment, CommentNotFound
from mission_core.tasks.events import TaskAssigned
from mission_core.tasks.mentions import (
    Mentionable,
    MentionStyle,
    UnknownMentions,
    handle_keys_in,
    handles_in,
    index_by_handle,
    is_mentioned,
    mentioned_by_handle,
    mentioned_by_name,
    names_in,
)
from mission_core.tasks.model import REVIEW_STATUSES, Status, Task
from mission_core.tasks.runs import Assignee
from mission_core.tasks.task_access import get_for_write
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.ports import Ports, UnitOfWork


class LeadCommentDenied(Denied):
    """
    A board's lead may only comment on tasks in review, tasks it is mentioned on, and tasks it created.
    """

    code = "lead_holds_back"
    says = "Board leads can only comment during review, when mentioned, or on tasks they created."


@frozen(kw_only=True)
class AddComment:
    """
    Comment on a task, or with *parent* reply to a comment.

    With *own* an agent may only comment on its own tasks. With *restrict_lead* a board's lead may only comment where
    `LeadCommentDenied` allows. With *assign_first_mention* an unassigned task is assigned to the first agent mentioned.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    own: bool = False
    restrict_lead: bool = False
    content: str
    parent: CommentId | CommentNumber | None = None
    mention_style: MentionStyle = MentionStyle.NAMES
    assign_first_mention: bool = False


@use_case
async def add_comment(ports: Ports, principal: Principal, cmd: AddComment) -> Comment:
    """
    Add a comment to a task.

    Raises:
        TaskNotFound: If there is no such task (on that board) for this principal.
        NotYourTask: If the agent may only write to its own tasks, and this is not one of them.
        LeadCommentDenied: If the board's lead may not comment on the task.
        CommentNotFound: If the task has no comment *parent*.
        UnknownMentions: If it mentions a handle that nobody has.
    """
    require_role(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        task = await get_for_write(unit, principal, cmd.task, on=cmd.on, own=cmd.own)
        if cmd.restrict_lead:
            await _check_lead_may_comment(unit, principal, task)
        parent = None if cmd.parent is None else await _parent_comment(unit, task, cmd.parent)
        callees = await new_mentions(ports, principal, cmd.content, cmd.mention_style, on=task.board)
        comment = await new_comment(ports, principal, task, cmd.content, callees, parent=parent, at=now)
        assignee = next((each.recipient for each in callees if each.kind == "agent"), None)
        if cmd.assign_first_mention and assignee is not None and task.assignee is None:
            comment = evolve(comment, assigned=assignee)
            task, facts = _assigned_to(task, assignee, at=now)
            unit.tasks.save(task)
            unit.record(*facts)
        else:
            unit.rely_on(task)
        unit.repository(COMMENTS).add(comment)
        unit.record(comment.commented_event())
        unit.result(comment.id)
        await unit.commit()
    return comment


async def _check_lead_may_comment(unit: UnitOfWork, principal: Principal, task: Task) -> None:
    if not (isinstance(principal, AgentPrincipal) and principal.lead):
        return
    if task.status in REVIEW_STATUSES or task.creator.id == principal.agent:
        return
    comments = await unit.repository(COMMENTS).every(task=task.id)
    if not any(
        principal.name in each.mentions or is_mentioned(names_in(each.content), principal.name, lead=True)
        for each in comments
    ):
        raise LeadCommentDenied


async def _parent_comment(unit: UnitOfWork, task: Task, key: CommentId | CommentNumber) -> CommentId:
    parent = await unit.without_grants.repository(COMMENTS).get(key)
    if parent.task != task.id:
        raise CommentNotFound
    return parent.id


def _assigned_to(task: Task, name: str, *, at: datetime) -> tuple[Task, tuple[Event, ...]]:
    """
    Assign an unassigned task to this agent. From the inbox it moves to assigned.
    """
    assigned = TaskAssigned(task=task.id, was=None, was_agent=None, assignee=name, agent=None, at=at)
    given = evolve(task, assignee=Assignee(name), updated_at=at)
    if task.status is not Status.INBOX:
        return given, (assigned,)
    given, moved = given.move(Status.ASSIGNED, at=at)
    return given, (moved, assigned)


async def mentionable_by_handle(
    ports: Ports, principal: Principal, handles: Collection[str] | None = None
) -> dict[str, Mentionable]:
    """
    Return all people and agents that the principal can mention, by each of their handles: those who may read a board
    that the principal sees. Agents that have none of the *handles* may be left out.
    """
    reads, seen = ports.reads, readable_boards(principal)
    people, agents = await reads.members.every(principal), await reads.agents.names(principal, handles=handles)
    if seen is not None:
        given = defaultdict(list)
        for each in await reads.entities.every(SystemPrincipal(organization=principal.organization), GRANTS):
            given[each.member].append(BoardPermission(each.on_board, each.can_read, each.can_write))
        readable = {each.member.id: accessible_boards(each.member, given[each.member.id])[0] for each in people}
        people = [each for each in people if (boards := readable[each.member.id]) is None or boards & seen]
        agents = [each for each in agents if each.board is None or each.board in seen]
    return index_by_handle(people, agents)


async def new_mentions(
    ports: Ports,
    principal: Principal,
    text: str | None,
    calling: MentionStyle,
    *,
    on: BoardId,
    already: str | None = None,
) -> tuple[Mentionable, ...]:
    """
    Return the people and agents that a text mentions and the text *already* there did not. A text without mentions
    costs no query.

    Raises:
        UnknownMentions: If it mentions a handle that nobody has.
    """
    if not text or text == already:
        return ()
    if calling is MentionStyle.NAMES:
        if not names_in(text):
            return ()
        agents = await ports.reads.agents.names(principal, board=on)
        found, before = mentioned_by_name(text, agents), mentioned_by_name(already or "", agents)
    else:
        if not handles_in(text):
            return ()
        known = await mentionable_by_handle(ports, principal, handle_keys_in(text, already or ""))
        (found, missing), (before, _) = mentioned_by_handle(text, known), mentioned_by_handle(already or "", known)
        if missing:
            raise UnknownMentions(missing)
    return tuple(each for each in found if each.recipient not in {one.recipient for one in before})


async def new_comment(
    ports: Ports,
    principal: Principal,
    task: Task,
    text: str,
    callees: tuple[Mentionable, ...],
    *,
    parent: CommentId | None = None,
    at: datetime,
) -> Comment:
    """
    Return a new comment by the principal. The caller stores it.
    """
    (number,) = await ports.numbers.next((principal.organization, "comment"))
    actor = principal.actor
    return Comment(
        id=CommentId(ports.ids.new()),
        number=CommentNumber(number),
        organization=principal.organization,
        task=task.id,
        author=principal.display,
        author_kind=actor.kind,
        author_id=actor.id,
        content=text,
        parent=parent,
        mentions=tuple(each.recipient for each in callees),
        created_at=at,
    )


async def has_commented_since_start(unit: UnitOfWork, task: Task, by: Assignee | None) -> bool:
    """
    Whether the assignee's latest comment on the task is not empty and newer than the start of the work.
    """
    if by is None or task.started_at is None:
        return False
    agent = await unit.agents.find(by.name)
    own = {"author_id": agent.id} if agent else {"author": by.name}
    latest = await unit.repository(COMMENTS).find(newest=True, task=task.id, **own)
    return latest is not None and latest.created_at >= task.started_at and bool(latest.content.strip())
