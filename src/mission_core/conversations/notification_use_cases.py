"""
Use cases of notifications: list them, mark them as read, delete them, and send one to an agent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mission_core.accounts.model import Principal, Role, require_role
from mission_core.conversations.notifications import (
    NOTIFICATIONS,
    Notification,
    NotificationCreated,
    NotificationNotFound,
    make_notifications,
    own_recipient_of,
    require_recipient,
)
from mission_core.entity_changes import evolve
from mission_core.events.model import Event
from mission_core.ids import NotificationId, NotificationNumber
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import PageOfRows, PageRequest, name_key

if TYPE_CHECKING:
    from mission_core.conversations.notification_queries import PendingNotifications
    from mission_core.ports import Ports, UnitOfWork

CHANGED_AT_ONCE: Final = 500
"""The number of a recipient's notifications that one transaction marks as read or deletes."""


@frozen(kw_only=True, eq=False, repr=False)
class NotificationRead(Event):
    """
    A notification was marked as read.
    """

    kind = "notification.read"

    notification: NotificationId
    number: int
    recipient: str


@frozen(kw_only=True, eq=False, repr=False)
class NotificationDeleted(Event):
    """
    A notification was deleted.
    """

    kind = "notification.deleted"

    notification: NotificationId
    number: int
    recipient: str


@frozen(kw_only=True)
class MarkNotificationsRead:
    """
    Mark notifications as read: the numbered ones, or all of a recipient.
    """

    numbers: tuple[NotificationNumber, ...] = ()
    recipient: str | None = None


@frozen(kw_only=True)
class DeleteNotifications:
    """
    Delete notifications: the numbered ones, or those of a recipient that were made before a time.
    """

    numbers: tuple[NotificationNumber, ...] = ()
    recipient: str | None = None
    before: datetime | None = None


@frozen(kw_only=True)
class DismissNotification:
    """
    Delete one notification, as its recipient does.
    """

    number: NotificationNumber


@frozen(kw_only=True)
class SendNotification:
    """
    Notify an agent.
    """

    agent: str
    title: str
    message: str
    type: str = "message"


class NotificationPage(NamedTuple):
    """
    A page of notifications, the count of all that match, and the count of the recipient's unread ones.
    """

    rows: list[Notification]
    total: int
    unread: int


class DeliveryCounts(NamedTuple):
    """
    The counts of all notifications and of the undelivered ones, of one or of all recipients, and the *pending* ones of
    each recipient.
    """

    total: int
    undelivered: int
    pending: list[PendingNotifications]


async def list_notifications(
    ports: Ports,
    principal: Principal,
    recipient: str,
    page: PageRequest,
    *,
    type: str | None = None,
    unread: bool = False,
    make_due: bool = True,
) -> NotificationPage:
    """
    List the notifications of a recipient, newest first. Those of what has just happened are among them, unless
    *make_due* is False, with which nothing is written.

    Raises:
        NotYourNotifications: If the principal has access only to its own.
    """
    key = name_key(recipient)
    require_recipient(principal, key)
    if make_due:
        await make_notifications(ports, principal.organization)
    reads, of = ports.reads.entities, {"recipient_key": key}
    wanted: dict[str, Any] = of | ({} if type is None else {"type": type}) | ({"read_at": None} if unread else {})
    found = await reads.page(principal, NOTIFICATIONS, page, newest=True, **wanted)
    no_rows = PageRequest(limit=0)
    unread_count = (await reads.page(principal, NOTIFICATIONS, no_rows, newest=True, read_at=None, **of)).total
    return NotificationPage(found.rows, found.total, unread_count)


async def unread_notifications(ports: Ports, principal: Principal, recipient: str, *, limit: int) -> PageOfRows:
    """
    Return the newest unread notifications of a recipient, with the count of all of them. Those of what happened in the
    last seconds may be missing. There are none of another recipient for a principal that has access only to its own.
    """
    key = name_key(recipient)
    if own_recipient_of(principal) not in (None, key):
        return PageOfRows([], 0)
    page = PageRequest(limit=limit)
    return await ports.reads.entities.page(principal, NOTIFICATIONS, page, newest=True, recipient_key=key, read_at=None)


async def undelivered_notifications(
    ports: Ports, principal: Principal, recipient: str | None, *, limit: int
) -> list[Notification]:
    """
    Return the oldest undelivered notifications of a recipient, or of all whose notifications the principal may access.

    Raises:
        NotYourNotifications: If the principal has access only to its own.
    """
    of = _of_recipient(principal, recipient)
    await make_notifications(ports, principal.organization)
    page = PageRequest(limit=limit)
    found = await ports.reads.entities.page(principal, NOTIFICATIONS, page, delivered_at=None, **of)
    return found.rows


async def count_deliveries(
    ports: Ports, principal: Principal, recipient: str | None, *, make_due: bool = True
) -> DeliveryCounts:
    """
    Count the notifications of a recipient, or of all whose notifications the principal may access. The pending ones are
    counted for every recipient in either case, and *make_due* is as in `list_notifications`.

    Raises:
        NotYourNotifications: If the principal has access only to its own.
    """
    of, reads = _of_recipient(principal, recipient), ports.reads
    if make_due:
        await make_notifications(ports, principal.organization)
    total = (await reads.entities.page(principal, NOTIFICATIONS, PageRequest(limit=0), **of)).total
    pending = await reads.notifications.pending(principal, own_recipient_of(principal))
    wanted = of.get("recipient_key")
    undelivered = sum(each.pending for each in pending if wanted in (None, name_key(each.recipient)))
    return DeliveryCounts(total, undelivered, pending)


@use_case
async def mark_notifications_read(ports: Ports, principal: Principal, cmd: MarkNotificationsRead) -> int:
    """
    Mark notifications as read. Those that were read, and those of others, stay as they are.

    Returns:
        The number of those that were unread.

    Raises:
        RoleTooLow: If the principal is a viewer.
        NotYourNotifications: If the principal has access only to its own.
    """
    require_role(principal, Role.OPERATOR)
    if cmd.recipient is None:
        return await _mark_read(ports, principal, cmd.numbers)
    return sum([
        await _mark_read(ports, principal, numbers)
        async for numbers in _numbers_of(ports, principal, cmd.recipient, unread=True)
    ])  # fmt: skip


@use_case
async def delete_notifications(ports: Ports, principal: Principal, cmd: DeleteNotifications) -> int:
    """
    Delete notifications.

    Returns:
        The number of those that were deleted.

    Raises:
        RoleTooLow: If the principal is no admin.
        NotYourNotifications: If the principal has access only to its own.
    """
    require_role(principal, Role.ADMIN)
    if cmd.recipient is None or cmd.before is None:
        return len(await _remove(ports, principal, cmd.numbers))
    return sum([
        len(await _remove(ports, principal, numbers))
        async for numbers in _numbers_of(ports, principal, cmd.recipient, before=cmd.before)
    ])  # fmt: skip


@use_case
async def dismiss_notification(ports: Ports, principal: Principal, cmd: DismissNotification) -> Notification:
    """
    Delete one notification.

    Raises:
        RoleTooLow: If the principal is a viewer.
        NotificationNotFound: If there is no such notification for this principal.
    """
    require_role(principal, Role.OPERATOR)
    removed = await _remove(ports, principal, (cmd.number,))
    if not removed:
        raise NotificationNotFound
    return removed[0]


@use_case
async def send_notification(ports: Ports, principal: Principal, cmd: SendNotification) -> Notification:
    """
    Notify an agent.

    Raises:
        RoleTooLow: If the principal is a viewer.
        AgentNotFound: If there is no such agent.
        InvalidField: If a text is too long or cannot be stored.
    """
    require_role(principal, Role.OPERATOR)
    now = ports.clock.now()
    row = await ports.reads.agents.get(principal, cmd.agent)
    async with ports.unit(principal) as unit:
        (number,) = await ports.numbers.next((principal.organization, "notification"))
        notification = Notification(
            id=NotificationId(ports.ids.new()),
            number=NotificationNumber(number),
            organization=principal.organization,
            recipient=row.name,
            recipient_key=name_key(row.name),
            type=cmd.type,
            title=cmd.title,
            message=cmd.message,
            created_at=now,
        )
        unit.without_grants.repository(NOTIFICATIONS).add(notification)
        unit.record(NotificationCreated.of(notification, at=now))
        unit.result(notification.id)
        await unit.commit()
    return notification


def _of_recipient(principal: Principal, recipient: str | None) -> dict[str, Any]:
    """
    Return the condition of the notifications of a recipient, or without one, of those that the principal may access.

    Raises:
        NotYourNotifications: If the principal has access only to its own.
    """
    key = name_key(recipient) if recipient else own_recipient_of(principal)
    if key is None:
        return {}
    require_recipient(principal, key)
    return {"recipient_key": key}


async def _numbers_of(
    ports: Ports, principal: Principal, recipient: str, *, before: datetime | None = None, unread: bool = False
) -> AsyncIterator[Sequence[NotificationNumber]]:
    """
    Yield the numbers of a recipient's notifications in batches, so that each is changed by a small transaction. Those
    of a batch must have been deleted or marked as read when the next one is asked for.
    """
    key, reads = name_key(recipient), ports.reads.notifications
    require_recipient(principal, key)
    await make_notifications(ports, principal.organization)
    while numbers := await reads.numbers(principal, key, before=before, unread=unread, limit=CHANGED_AT_ONCE):
        yield numbers
        if len(numbers) < CHANGED_AT_ONCE:
            return


async def _mark_read(ports: Ports, principal: Principal, numbers: Sequence[NotificationNumber]) -> int:
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        unread = [each for each in await _numbered(unit, principal, numbers) if each.read_at is None]
        for each in unread:
            # A recipient may only read the board that the notification is about.
            unit.without_grants.repository(NOTIFICATIONS).save(evolve(each, read_at=now))
            unit.record(NotificationRead.of(each, at=now))
        if unread:
            await unit.commit()
    return len(unread)


async def _remove(ports: Ports, principal: Principal, numbers: Sequence[NotificationNumber]) -> list[Notification]:
    async with ports.unit(principal) as unit:
        rows = await _numbered(unit, principal, numbers)
        for each in rows:
            unit.without_grants.repository(NOTIFICATIONS).remove(each)
            unit.record(NotificationDeleted.of(each, at=ports.clock.now()))
        if rows:
            await unit.commit()
    return rows


async def _numbered(
    unit: UnitOfWork, principal: Principal, numbers: Sequence[NotificationNumber]
) -> list[Notification]:
    """
    Return those of the numbered notifications that the principal has access to.
    """
    own, found = own_recipient_of(principal), await unit.repository(NOTIFICATIONS).numbered(numbers)
    return [each for each in found if own in (None, each.recipient_key)]
