"""
Operations on notifications.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import MESSAGES
from mission_core.agents.model import AgentNotFound
from mission_core.conversations.notification_use_cases import (
    DeleteNotifications,
    DismissNotification,
    MarkNotificationsRead,
    SendNotification,
    count_deliveries,
    delete_notifications,
    dismiss_notification,
    list_notifications,
    mark_notifications_read,
    send_notification,
    undelivered_notifications,
)
from mission_core.conversations.notifications import (
    LONGEST_MESSAGE,
    LONGEST_TITLE,
    NOTIFICATIONS,
    Notification,
    NotificationNotFound,
    NotYourNotifications,
    require_recipient,
)
from mission_core.errors import KeyReused
from mission_core.ids import NotificationNumber, TaskId
from mission_core.projections import Projection
from mission_core.tasks.comments import COMMENTS
from mission_core.tasks.queries import TaskRow
from mission_core.values import PageRequest, name_key
from mission_http.fleet.access import ADMIN, OPERATOR, VIEWER
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.wire import (
    MAX_UNIX_SECONDS,
    WORKSPACE_NUMBER,
    FleetPayload,
    UnixSeconds,
    moment_of,
    page_number,
)
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, Length, NumberRange, Query, SchemaOverride
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once, read_row_again
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Fixed, Given, Of, Payload

MOST_LISTED: Final = 500
MOST_NUMBERS: Final = 1000
PREVIEW: Final = 200
TRUE: Final = ("true", "1")
NO_HOST: Final = "Command failed: this server has no tool that reaches sessions on a host"
TASK_ROWS: Final = Projection(render=lambda row: row, fields=frozenset({"id", "number", "title", "status"}))

Numbers = Annotated[list[Annotated[int, NumberRange(1)]], Length(0, MOST_NUMBERS)]


class NotificationQuery(Query):
    recipient: str = ""
    unread_only: str | None = None
    unread: str | None = None
    type: str | None = None
    limit: Annotated[int, NumberRange(0)] = 50
    offset: Annotated[int, NumberRange(0)] = 0
    after: Annotated[int | None, NumberRange(0)] = None


class MarkReadBody(Body):
    ids: Numbers | None = None
    recipient: str | None = None
    markAllRead: bool = False


class DeleteNotificationsBody(Body):
    ids: Numbers | None = None
    recipient: str | None = None
    olderThan: Annotated[int, NumberRange(0, MAX_UNIX_SECONDS)] | None = None


class NotificationActionBody(Body):
    """
    `mark-delivered` returns the notifications of *agent* that were delivered just now. `mark_read` and `dismiss` change
    the notification *id*, and `mark_all_read` all of *recipient*.
    """

    action: Literal["mark-delivered", "mark_read", "mark_all_read", "dismiss"]
    agent: Annotated[str, Length(1, says="Agent name is required")] | None = None
    id: Annotated[int, NumberRange(1)] | None = None
    recipient: Annotated[str, Length(1, says="Recipient is required")] | None = None


class DeliverBody(Body):
    """
    With *title* and *message*, *agent* is notified. Otherwise the pending notifications are delivered.
    """

    agent_filter: str | None = None
    limit: Annotated[int, NumberRange(0)] = 50
    dry_run: bool = False
    agent: Annotated[str, Length(1, says="Agent name is required")] | None = None
    title: Annotated[str, Length(1, LONGEST_TITLE)] | None = None
    message: Annotated[str, Length(1, LONGEST_MESSAGE)] | None = None
    type: Annotated[str, Length(1, 100)] = "message"


class DeliveryQuery(Query):
    agent: str | None = None


class NotificationSourcePayload(Payload):
    type: Literal["task", "comment"]
    id: int
    title: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    content: str | UnsetType = UNSET
    task_id: int | UnsetType = UNSET
    task_title: str | UnsetType = UNSET
    content_preview: str | UnsetType = UNSET


def read_flag(notification: Notification) -> bool:
    """
    Whether the notification was read.
    """
    return notification.read_at is not None


class PlainNotificationPayload(FleetPayload[Notification]):
    id: Annotated[int, Of("number")]
    recipient: str
    type: str
    title: str
    message: str
    source_type: str | None
    source_id: Annotated[int | None, Of("source_number")]
    read: Annotated[bool, Of("", read_flag)]
    read_at: UnixSeconds | None
    delivered_at: UnixSeconds | None
    created_at: UnixSeconds
    workspace_id: Annotated[int, Fixed(WORKSPACE_NUMBER)]


class NotificationPayload(PlainNotificationPayload):
    source: Annotated[NotificationSourcePayload | None, Given()]


class NotificationListPayload(Payload):
    notifications: list[NotificationPayload]
    total: int
    page: int | None
    limit: int
    unreadCount: int


class MarkedReadPayload(Payload):
    success: bool
    markedAsRead: int


class DeletedNotificationsPayload(Payload):
    success: bool
    deleted: int


class NotificationActionPayload(Payload):
    success: bool
    delivered: int | UnsetType = UNSET
    notifications: list[PlainNotificationPayload] | UnsetType = UNSET


class DeliveryPayload(Payload):
    notification_id: int
    recipient: str
    session_key: str | None
    status: Literal["dry_run"]
    message: str


class DeliveryErrorPayload(Payload):
    notification_id: int
    recipient: str
    error: str


class DeliveredPayload(Payload):
    status: Literal["success"] | UnsetType = UNSET
    success: bool | UnsetType = UNSET
    message: str | UnsetType = UNSET
    processed: int | UnsetType = UNSET
    total_processed: int | UnsetType = UNSET
    delivered: int | UnsetType = UNSET
    errors: Annotated[
        int | list[DeliveryErrorPayload] | UnsetType,
        SchemaOverride({"anyOf": [{"type": "integer"}, {"type": "array", "items": {}}]}),
    ] = UNSET
    dry_run: bool | UnsetType = UNSET
    delivery_results: list[DeliveryPayload] | UnsetType = UNSET
    error_details: list[DeliveryErrorPayload] | UnsetType = UNSET


class DeliveryStatisticsPayload(Payload):
    total: int
    delivered: int
    undelivered: int
    delivery_rate: int


class PendingPayload(Payload):
    recipient: str
    session_key: str | None
    pending_count: int


class DeliveryStatusPayload(Payload):
    statistics: DeliveryStatisticsPayload
    agents_with_pending: list[PendingPayload]
    recent_deliveries: Annotated[list[Any], SchemaOverride({"type": "array", "items": {"type": "object"}})]
    agent_filter: str | None


async def list_of_recipient(request: Request) -> Response:
    """
    List the notifications of a recipient, newest first, each with what it is about. Those of what has just happened are
    made first.

    Agents below admin and users with grants on some projects list only their own.
    """
    query = query_of(request, NotificationQuery)
    if not query.recipient:
        raise InvalidRequest("Recipient is required")
    limit = min(query.limit, MOST_LISTED)
    found = await list_notifications(
        ports_of(request),
        principal_of(request),
        query.recipient,
        PageRequest(limit=limit, offset=query.offset, after=query.after),
        type=query.type or None,
        unread=query.unread_only in TRUE or query.unread in TRUE,
        make_due=request.method != "HEAD",
    )
    sources = await _sources(request, found.rows)
    return json_response(
        NotificationListPayload(
            notifications=[
                NotificationPayload.of(each, source=None if each.source is None else sources.get(each.source))
                for each in found.rows
            ],
            total=found.total,
            page=page_number(query.offset, limit),
            limit=limit,
            unreadCount=found.unread,
        )
    )


async def _sources(request: Request, rows: Sequence[Notification]) -> dict[UUID, NotificationSourcePayload]:
    """
    Read the tasks and comments that notifications are about, as far as the caller may see them.
    """
    reads, principal = ports_of(request).reads, principal_of(request)
    comments = []
    if ids := {each.source for each in rows if each.source_type == "comment" and each.source is not None}:
        comments = await reads.entities.several(principal, COMMENTS, ids)
    wanted = {TaskId(each.source) for each in rows if each.source_type == "task" and each.source is not None}
    wanted |= {each.task for each in comments}
    tasks: dict[UUID, TaskRow] = {}
    if wanted:
        tasks = {UUID(bytes=row.id): row for row in await reads.tasks.several(principal, list(wanted), TASK_ROWS)}
    found = {
        id: NotificationSourcePayload(type="task", id=row.number, title=row.title, status=row.status)
        for id, row in tasks.items()
    }
    for comment in comments:
        task = tasks.get(comment.task)
        if task is not None:
            found[comment.id] = NotificationSourcePayload(
                type="comment",
                id=comment.number,
                content=comment.content,
                task_id=task.number,
                task_title=task.title,
                content_preview=comment.content[:PREVIEW],
            )
    return found


async def mark_read(request: Request) -> Response:
    """
    Mark notifications as read: those with these ids, or all of a recipient.
    """
    body = await body_of(request, MarkReadBody)
    if body.recipient and body.markAllRead:
        command = MarkNotificationsRead(recipient=body.recipient)
    elif body.ids is not None:
        command = MarkNotificationsRead(numbers=_numbers(body.ids))
    else:
        raise InvalidRequest("Either provide ids array or recipient with markAllRead=true")
    marked = await mark_notifications_read(ports_of(request), principal_of(request), command)
    return json_response(MarkedReadPayload(success=True, markedAsRead=marked))


async def delete_several(request: Request) -> Response:
    """
    Delete notifications: those with these ids, or those of a recipient that are older than a time.
    """
    body = await body_of(request, DeleteNotificationsBody)
    if body.ids is not None:
        command = DeleteNotifications(numbers=_numbers(body.ids))
    elif body.recipient and body.olderThan is not None:
        command = DeleteNotifications(recipient=body.recipient, before=moment_of(body.olderThan))
    else:
        raise InvalidRequest("Either provide ids array or recipient with olderThan timestamp")
    deleted = await delete_notifications(ports_of(request), principal_of(request), command)
    return json_response(DeletedNotificationsPayload(success=True, deleted=deleted))


async def act(request: Request) -> Response:
    """
    Mark a notification or all of a recipient as read, dismiss one, or list those that were delivered just now.
    """
    body = await body_of(request, NotificationActionBody)
    ports, principal = ports_of(request), principal_of(request)
    if body.action == "mark-delivered":
        if body.agent is None:
            raise InvalidRequest("Agent name is required")
        require_recipient(principal, name_key(body.agent))
        answer = NotificationActionPayload(success=True, delivered=0, notifications=[])
        return json_response(answer)  # a server without a host delivers none
    if body.action == "mark_all_read":
        if body.recipient is None:
            raise InvalidRequest("Recipient is required")
        await mark_notifications_read(ports, principal, MarkNotificationsRead(recipient=body.recipient))
    elif body.id is None:
        raise InvalidRequest("id is required")
    elif body.action == "mark_read":
        await mark_notifications_read(ports, principal, MarkNotificationsRead(numbers=_numbers([body.id])))
    else:
        await dismiss_notification(ports, principal, DismissNotification(number=NotificationNumber(body.id)))
    return json_response(NotificationActionPayload(success=True))


async def deliver(request: Request) -> Response:
    """
    Deliver the pending notifications to the sessions of their agents, or notify an agent.

    Delivery needs a host tool, which this server does not have, so each is an error and stays pending.
    """
    body = await body_of(request, DeliverBody)
    ports, principal = ports_of(request), principal_of(request)
    if body.agent is not None and body.title is not None and body.message is not None:
        command = SendNotification(agent=body.agent, title=body.title, message=body.message, type=body.type)
        await perform_once(request, send_notification, command, read_row_again(NOTIFICATIONS))
        return json_response(DeliveredPayload(success=True))
    limit = min(body.limit, MOST_LISTED)
    rows = await undelivered_notifications(ports, principal, body.agent_filter, limit=limit)
    if not rows:
        return json_response(
            DeliveredPayload(
                status="success", message="No undelivered notifications found", processed=0, delivered=0, errors=[]
            )
        )
    sessions = await ports.reads.agents.session_keys(principal, {each.recipient for each in rows})
    results, errors = [], []
    for each in rows:
        if body.dry_run:
            results.append(
                DeliveryPayload(
                    notification_id=each.number, recipient=each.recipient, session_key=sessions.get(each.recipient_key),
                    status="dry_run", message=f"{each.title}: {each.message}",
                )
            )  # fmt: skip
        else:
            errors.append(DeliveryErrorPayload(notification_id=each.number, recipient=each.recipient, error=NO_HOST))
    return json_response(
        DeliveredPayload(
            status="success", message=f"Processed {len(rows)} notifications", total_processed=len(rows),
            delivered=len(results), errors=len(errors), dry_run=body.dry_run, delivery_results=results,
            error_details=errors,
        )
    )  # fmt: skip


async def delivery_status(request: Request) -> Response:
    """
    Count the notifications that were delivered and those that were not, and list whose are pending. Those of what has
    just happened are made first.
    """
    query, ports, principal = query_of(request, DeliveryQuery), ports_of(request), principal_of(request)
    make_due = request.method != "HEAD"
    total, undelivered, pending = await count_deliveries(ports, principal, query.agent, make_due=make_due)
    sessions = await ports.reads.agents.session_keys(principal, {each.recipient for each in pending})
    delivered = total - undelivered
    return json_response(
        DeliveryStatusPayload(
            statistics=DeliveryStatisticsPayload(
                total=total, delivered=delivered, undelivered=undelivered,
                delivery_rate=round(100 * delivered / total) if total else 0,
            ),
            agents_with_pending=[
                PendingPayload(
                    recipient=each.recipient, session_key=sessions.get(name_key(each.recipient)),
                    pending_count=each.pending,
                )
                for each in pending
            ],
            recent_deliveries=[],
            agent_filter=query.agent,
        )
    )  # fmt: skip


def _numbers(ids: Sequence[int]) -> tuple[NotificationNumber, ...]:
    return tuple(NotificationNumber(each) for each in ids)


ENDPOINTS = [
    Endpoint(
        "GET", "/notifications", list_of_recipient, query=NotificationQuery, gives=NotificationListPayload, who=VIEWER,
        changes=True, refuses=(NotYourNotifications,), scope=MESSAGES, operation_id="fleet_listNotifications",
    ),
    Endpoint(
        "PUT", "/notifications", mark_read, takes=MarkReadBody, gives=MarkedReadPayload, who=OPERATOR,
        refuses=(NotYourNotifications,), limits=("mutation",), scope=MESSAGES,
        operation_id="fleet_markNotificationsRead",
    ),
    Endpoint(
        "DELETE", "/notifications", delete_several, takes=DeleteNotificationsBody, gives=DeletedNotificationsPayload,
        who=ADMIN, refuses=(NotYourNotifications,), limits=("mutation",), operation_id="fleet_deleteNotifications",
    ),
    Endpoint(
        "POST", "/notifications", act, takes=NotificationActionBody, gives=NotificationActionPayload, who=OPERATOR,
        refuses=(NotYourNotifications, NotificationNotFound), limits=("mutation",), scope=MESSAGES,
        operation_id="fleet_notificationAction",
    ),
    Endpoint(
        "POST", "/notifications/deliver", deliver, takes=DeliverBody, gives=DeliveredPayload, who=OPERATOR,
        headers=(IDEMPOTENCY_KEY,), refuses=(NotYourNotifications, AgentNotFound, KeyReused), scope=MESSAGES,
        operation_id="fleet_deliverNotification",
    ),
    Endpoint(
        "GET", "/notifications/deliver", delivery_status, query=DeliveryQuery, gives=DeliveryStatusPayload, who=VIEWER,
        changes=True, refuses=(NotYourNotifications,), scope=MESSAGES, operation_id="fleet_getDeliveryStatus",
    ),
]  # fmt: skip
