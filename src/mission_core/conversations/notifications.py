"""
Notifications: what people and agents are told about tasks, comments and messages that concern them.

A reader of the log makes them, so a write is not slowed down. Recipients are names, as they are in tasks and comments.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from attrs import field
from attrs.validators import optional

from mission_core.accounts.model import (
    AgentPrincipal,
    Principal,
    Role,
    SystemPrincipal,
    may_read_board,
    readable_boards,
)
from mission_core.boards.model import Board
from mission_core.conversations.chat_messages import CHAT_MESSAGES, ChatMessageNotFound
from mission_core.errors import Conflict, Denied, NotFound
from mission_core.events.model import Event
from mission_core.events.readers import Reader, handle_new_entries
from mission_core.field_types import with_type_validators
from mission_core.ids import (
    BoardId,
    ChatMessageId,
    CommentId,
    NotificationId,
    NotificationNumber,
    OrganizationId,
    TaskId,
)
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.tasks.broadcasts import followers_of
from mission_core.tasks.comment_creation import mentionable_by_handle
from mission_core.tasks.comments import COMMENTS, Comment
from mission_core.tasks.mentions import handle_keys_in, handles_in, mentioned_by_handle
from mission_core.tasks.model import Task, TaskNotFound
from mission_core.use_case import use_case
from mission_core.values import name_key, text, utc_moment

if TYPE_CHECKING:
    from mission_core.events.model import Entry
    from mission_core.ports import Ports, UnitOfWork

LONGEST_TITLE: Final = 500
LONGEST_MESSAGE: Final = 20_000
LONGEST_RECIPIENT: Final = 200
COMMENT_PREVIEW: Final = 100
CHAT_PREVIEW: Final = 200


class NotificationNotFound(NotFound):
    """
    There is no such notification.
    """

    says = "Notification not found"


class NotificationRepeated(Conflict):
    """
    The notifications of an entry of the log have been made already.
    """

    says = "the notifications of this entry have been made already"


class NotYourNotifications(Denied):
    """
    Agents below admin and users with grants on some boards have access to their own notifications only.
    """

    says = "these are the notifications of another recipient"


@frozen(kw_only=True, field_transformer=with_type_validators)
class Notification:
    """
    A notification to *recipient*. *source* is the id of what it is about, of the type *source_type*, and
    *source_number* its number. *position* is the position of the entry of the log that caused it, if one did.
    """

    id: NotificationId
    number: NotificationNumber
    organization: OrganizationId
    board: BoardId | None = None
    recipient: str = field(validator=text(least=1, most=LONGEST_RECIPIENT))
    recipient_key: str
    type: str = field(validator=text(least=1, most=100))
    title: str = field(validator=text(most=LONGEST_TITLE))
    message: str = field(validator=text(most=LONGEST_MESSAGE))
    source_type: str | None = None
    source: UUID | None = None
    source_number: int | None = None
    position: int | None = None
    read_at: datetime | None = field(default=None, validator=optional(utc_moment))
    delivered_at: datetime | None = field(default=None, validator=optional(utc_moment))
    created_at: datetime = field(validator=utc_moment)
    version: int = 0


NOTIFICATIONS: Final = Kind(
    entity=Notification,
    name="notifications",
    missing=NotificationNotFound,
    unique={("position", "recipient_key", "type"): NotificationRepeated},
    indexed_by=(("recipient_key",), ("recipient_key", "read_at")),
    cascades_from={"board": Board},
)


@frozen(kw_only=True, eq=False, repr=False)
class NotificationCreated(Event):
    """
    A notification was made. The event has no text, which can be deleted.
    """

    kind = "notification.created"

    notification: NotificationId
    number: int
    board: BoardId | None
    recipient: str
    type: str
    source_type: str | None


@frozen
class NotificationDraft:
    """
    A notification that an event causes, before it is kept.
    """

    recipient: str
    type: str
    title: str
    message: str
    source_type: str
    source: UUID
    source_number: int


@frozen(kw_only=True)
class NotifiedTask:
    """
    The facts about a task that its notifications tell.

    Args:
        assignee: The assignee before the event.
        followers: The names of everybody who follows the task.
    """

    id: TaskId
    number: int
    title: str
    assignee: str | None = None
    followers: tuple[str, ...] = ()


def task_notifications(kind: str, told: Mapping[str, Any], actor: str, task: NotifiedTask) -> list[NotificationDraft]:
    """
    Return the notifications that an event about a task causes.

    A mention in a description notifies everybody mentioned but the actor. An assignment notifies the new assignee, and
    a new status the assignee, unless they set it themselves.
    """

    def about(recipient: str, type: str, title: str, message: str) -> NotificationDraft:
        return NotificationDraft(recipient, type, title, message, "task", task.id, task.number)

    drafts = []
    if kind in ("task.created", "task.updated"):
        drafts += [
            about(name, "mention", "You were mentioned in a task description", f"{actor} mentioned you in {task.title}")
            for name in told.get("mentions", ())
            if name_key(name) != name_key(actor)
        ]
    if kind in ("task.created", "task.assigned") and told.get("assignee"):
        drafts.append(about(told["assignee"], "assignment", "Task Assigned", f"{actor} assigned you {task.title}"))
    if kind == "task.moved" and task.assignee is not None and name_key(task.assignee) != name_key(actor):
        message = f"{task.title}: from {told['was']} to {told['status']}"
        drafts.append(about(task.assignee, "status_change", "Task Status Updated", message))
    return drafts


def may_notify(kind: str, told: Mapping[str, Any]) -> bool:
    """
    Whether an event can cause notifications, as far as its payload tells.
    """
    if kind not in ("task.created", "task.updated", "task.assigned"):
        return True
    return bool(told.get("mentions") or told.get("assignee"))


def comment_notifications(
    told: Mapping[str, Any], task: NotifiedTask, comment: CommentId, number: int
) -> list[NotificationDraft]:
    """
    Return the notifications that a comment causes: to everybody who follows the task or is mentioned, but for its
    author.
    """
    mentioned = {name_key(name): name for name in told["mentions"]}
    recipients = mentioned | {name_key(name): name for name in task.followers}
    recipients.pop(name_key(told["author"]), None)
    return [
        NotificationDraft(
            name,
            "mention" if key in mentioned else "comment",
            "You were mentioned" if key in mentioned else "New comment on a subscribed task",
            told["message"][:COMMENT_PREVIEW],
            "comment",
            comment,
            number,
        )
        for key, name in recipients.items()
    ]


TASK_KINDS: Final = frozenset({"task.created", "task.updated", "task.assigned", "task.moved"})
READER: Final = Reader(name="notifications", kinds=TASK_KINDS | {"task.commented", "chat.message_sent"})


@use_case
async def make_notifications(ports: Ports, organization: OrganizationId) -> None:
    """
    Make the notifications of the entries of the log that came since the last call. Each entry's are made once, however
    many processes do this.
    """
    maker = SystemPrincipal(organization=organization, name="notifications", display="Notifications")

    async def handle(entries: Sequence[Entry]) -> None:
        payloads = [(each, json.loads(each.payload)) for each in entries if each.payload is not None]
        former = {(each.subject, each.at): told["was"] for each, told in payloads if each.kind == "task.assigned"}
        for entry, told in payloads:
            if may_notify(entry.kind, told):
                await _notify(ports, maker, entry, told, former)

    await handle_new_entries(ports.log, organization, READER, handle)


async def _notify(
    ports: Ports,
    maker: SystemPrincipal,
    entry: Entry,
    told: Mapping[str, Any],
    former: Mapping[tuple[UUID, datetime], str | None],
) -> None:
    """
    Make the notifications of an entry, unless they have been made. *former* holds the assignees that a task had before
    it got another one, by the task and the time.
    """
    async with ports.unit(maker) as unit:
        if await unit.repository(NOTIFICATIONS).find(position=entry.position) is not None:
            return
        board, drafts = await _drafts(ports, unit, maker, entry, told, former)
        if not drafts:
            return
        now = ports.clock.now()
        numbers = await ports.numbers.next(*((maker.organization, "notification") for _ in drafts))
        for draft, number in zip(drafts, numbers, strict=True):
            notification = Notification(
                id=NotificationId(ports.ids.new()),
                number=NotificationNumber(number),
                organization=maker.organization,
                board=board,
                recipient=draft.recipient[:LONGEST_RECIPIENT],
                recipient_key=name_key(draft.recipient),
                type=draft.type,
                title=draft.title,
                message=draft.message[:LONGEST_MESSAGE],
                source_type=draft.source_type,
                source=draft.source,
                source_number=draft.source_number,
                position=entry.position,
                created_at=entry.at,
            )
            unit.repository(NOTIFICATIONS).add(notification)
            unit.record(NotificationCreated.of(notification, at=now))
        try:
            await unit.commit()
        except NotificationRepeated:
            return  # another process made them at the same time


async def _drafts(
    ports: Ports,
    unit: UnitOfWork,
    maker: SystemPrincipal,
    entry: Entry,
    told: Mapping[str, Any],
    former: Mapping[tuple[UUID, datetime], str | None],
) -> tuple[BoardId | None, list[NotificationDraft]]:
    """
    Return the notifications of an entry with their board. What was deleted since notifies nobody.
    """
    if entry.kind == "chat.message_sent":
        return None, await _chat_notifications(unit, entry)
    try:
        task = await unit.tasks.get(TaskId(entry.subject))
    except TaskNotFound:
        return None, []
    if entry.kind in TASK_KINDS:
        now_assigned = task.assignee.name if task.assignee else None
        assignee = former.get((entry.subject, entry.at), now_assigned)
        notified = NotifiedTask(id=task.id, number=task.number, title=task.title, assignee=assignee)
        return task.board, task_notifications(entry.kind, told, entry.actor.name, notified)
    comments = await unit.repository(COMMENTS).every(task=task.id)
    number = next((each.number for each in comments if str(each.id) == told["comment"]), None)
    if number is None:
        return None, []
    followers = await _followers(ports, maker, task, comments)
    notified = NotifiedTask(id=task.id, number=task.number, title=task.title, followers=followers)
    return task.board, comment_notifications(told, notified, CommentId(UUID(told["comment"])), number)


async def _followers(ports: Ports, maker: SystemPrincipal, task: Task, comments: Sequence[Comment]) -> tuple[str, ...]:
    text = task.description or ""
    known = await mentionable_by_handle(ports, maker, handle_keys_in(text)) if handles_in(text) else {}
    return followers_of(
        task,
        runs=await ports.reads.tasks.runs(maker, task.id),
        comments=comments,
        described=mentioned_by_handle(text, known)[0],
    )


async def _chat_notifications(unit: UnitOfWork, entry: Entry) -> list[NotificationDraft]:
    try:
        message = await unit.repository(CHAT_MESSAGES).get(ChatMessageId(entry.subject))
    except ChatMessageNotFound:
        return []
    if message.recipient is None:
        return []
    return [
        NotificationDraft(
            message.recipient,
            "chat_message",
            f"Message from {message.sender_name}",
            message.content[:CHAT_PREVIEW],
            "message",
            message.id,
            message.number,
        )
    ]


def own_recipient_of(principal: Principal) -> str | None:
    """
    The key of the only recipient whose notifications a principal may access, or None if it may access those of all:
    agents below admin and whoever is limited to some boards have only their own.
    """
    is_agent = isinstance(principal, AgentPrincipal) and principal.role is not Role.ADMIN
    return name_key(principal.name) if is_agent or readable_boards(principal) is not None else None


def require_recipient(principal: Principal, recipient_key: str) -> None:
    """
    Require access to the notifications of a recipient.

    Raises:
        NotYourNotifications: If the principal has access only to its own, and they are another's.
    """
    if own_recipient_of(principal) not in (None, recipient_key):
        raise NotYourNotifications


def may_read_notification(notification: Notification, principal: Principal) -> bool:
    """
    Whether the principal sees the notification: it is one of its own, or those of all are, and its board is granted.
    """
    own = own_recipient_of(principal) in (None, notification.recipient_key)
    return own and may_read_board(principal, notification.board)
