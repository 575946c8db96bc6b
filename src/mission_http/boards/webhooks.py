"""
Operations on the webhooks of a board and on the payloads that they received.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.ports import DecryptionFailed
from mission_core.automation.board_webhooks import (
    BOARD_WEBHOOKS,
    MAX_DESCRIPTION_LENGTH,
    MAX_SECRET_LENGTH,
    BoardWebhook,
    CreateBoardWebhook,
    DeleteBoardWebhook,
    UpdateBoardWebhook,
    WebhookAgentNotOnBoard,
    WebhookNotFound,
    header_name_from,
)
from mission_core.automation.board_webhooks import create_board_webhook as make_webhook
from mission_core.automation.board_webhooks import delete_board_webhook as remove_webhook
from mission_core.automation.board_webhooks import update_board_webhook as change_webhook
from mission_core.automation.webhook_ingestion import (
    ReceivePayload,
    get_payload,
    get_webhook,
    receive_payload,
    webhook_sender,
)
from mission_core.automation.webhook_payloads import PAYLOADS, PayloadNotFound, WebhookPayload, truncated
from mission_core.automation.webhook_refusals import WebhookDisabled
from mission_core.automation.webhook_signatures import SignatureInvalid, SignatureMissing
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.errors import Refusal, RoleTooLow, StoreFailed, VersionMismatch
from mission_core.ids import BoardId, PayloadId, WebhookId
from mission_core.lazy_attrs import define
from mission_core.ports import perform
from mission_core.values import ABSENT, Absent
from mission_http.boards.access import AGENT, USER, BoardPath, path_id
from mission_http.boards.agent_hints import BOARD_AGENT_TAGS, agent_hints
from mission_http.boards.payloads import LimitOffsetPage, NumberedPageQuery, OkResponse, sent_fields, stripped
from mission_http.boards.responses import listed_response, versioned_response, wanted_page
from mission_http.boards.wire import BoardsPayload, raw_json
from mission_http.platform.bodies import body_of, raw_body_of
from mission_http.platform.endpoints import PUBLIC, Endpoint, Handler
from mission_http.platform.errors import BodyTooLarge, EncodingUnsupported
from mission_http.platform.etags import IF_MATCH, expected_version_of
from mission_http.platform.exchange import exchange_of, ports_of, principal_of
from mission_http.platform.field_annotations import Body, CustomCheck, Length, NumberRange, Query, SchemaOverride
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, idempotency_key_of, perform_once, read_row_again
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Computed, Fixed, Of
from mission_http.settings import Settings

Description = Annotated[str, CustomCheck(stripped), Length(1, MAX_DESCRIPTION_LENGTH)]
Secret = Annotated[str | None, Length(0, MAX_SECRET_LENGTH)]
HeaderName = Annotated[str | None, CustomCheck(header_name_from)]
JSON_TYPES: Final = ("object", "array", "string", "integer", "number", "boolean", "null")
AnyJson = Annotated[Any, SchemaOverride({"anyOf": [{"type": each} for each in JSON_TYPES]})]


@define(repr=False)
class PayloadTooLarge(BodyTooLarge):
    """
    A payload sent to a webhook exceeds the maximum size.
    """

    says = "Payload exceeds maximum size of {self.limit} bytes."


def has_secret(webhook: BoardWebhook) -> bool:
    return webhook.secret is not None


def path_of_webhook(webhook: BoardWebhook) -> str:
    return f"/api/v1/boards/{webhook.board}/webhooks/{webhook.id}"


def url_of_webhook(webhook: BoardWebhook, endpoint_path: str, base_url: str | None) -> str | None:
    return None if base_url is None else base_url + endpoint_path


class BoardWebhookRead(BoardsPayload[BoardWebhook]):
    id: UUID
    board_id: Annotated[UUID, Of("board")]
    agent_id: Annotated[UUID | None, Of("agent")] = None
    description: str
    enabled: bool
    has_secret: Annotated[bool, Computed(has_secret)] = False
    signature_header: str | None = None
    endpoint_path: Annotated[str, Computed(path_of_webhook)]
    endpoint_url: Annotated[str | None, Computed(url_of_webhook)] = None
    created_at: datetime
    updated_at: datetime
    number: int
    version: int


class BoardWebhookCreate(Body):
    description: Description
    enabled: bool = True
    agent_id: UUID | None = None
    secret: Secret = None
    signature_header: HeaderName = None


class BoardWebhookUpdate(Body):
    description: Description | Absent = ABSENT
    enabled: bool | Absent = ABSENT
    agent_id: UUID | Absent | None = ABSENT
    secret: Secret | Absent = ABSENT
    signature_header: HeaderName | Absent = ABSENT


class BoardWebhookPayloadRead(BoardsPayload[WebhookPayload]):
    id: UUID
    board_id: Annotated[UUID, Of("board")]
    webhook_id: Annotated[UUID, Of("webhook")]
    payload: AnyJson = None
    headers: dict[str, str] | None = None
    source_ip: str | None = None
    content_type: str | None = None
    received_at: datetime
    number: int


class BoardWebhookIngestResponse(BoardsPayload[WebhookPayload]):
    ok: Annotated[bool, Fixed(True)] = True
    board_id: Annotated[UUID, Of("board")]
    webhook_id: Annotated[UUID, Of("webhook")]
    payload_id: Annotated[UUID, Of("id")]


class PayloadQuery(Query):
    max_chars: Annotated[int | None, NumberRange(1, 1_000_000)] = None


async def delete_board_webhook(request: Request) -> Response:
    """
    Delete a webhook with its payloads.

    The memory entries that tell the board about them are kept.
    """
    async with _webhook_in_path(request) as (board, webhook):
        command = DeleteBoardWebhook(webhook=webhook, on=board, expects=expected_version_of(request))
        await remove_webhook(ports_of(request), principal_of(request), command)
    return json_response(OkResponse())


async def list_board_webhook_payloads(request: Request) -> Response:
    """
    List the payloads of a webhook, newest first.
    """
    async with _webhook_in_path(request) as (board, webhook):
        query = query_of(request, NumberedPageQuery)
        ports, principal = ports_of(request), principal_of(request)
        await get_webhook(ports, principal, board, webhook)
        listed = await ports.reads.entities.page(principal, PAYLOADS, wanted_page(query), newest=True, webhook=webhook)
    return listed_response(listed, query, BoardWebhookPayloadRead.of)


async def get_board_webhook_payload(request: Request) -> Response:
    """
    Read a payload of a webhook.
    """
    return json_response(BoardWebhookPayloadRead.of(await _payload_in(request)))


async def get_webhook_payload(request: Request) -> Response:
    """
    Read a payload of a webhook of the board.

    If the payload is longer than `max_chars`, it is returned as text of that length, which ends with three dots.
    """
    payload = await _payload_in(request)
    query = query_of(request, PayloadQuery)
    shown = BoardWebhookPayloadRead.of(payload)
    if query.max_chars is not None:
        shown.payload = raw_json(truncated(payload.payload, query.max_chars))
    return json_response(shown)


async def list_board_webhooks(request: Request) -> Response:
    """
    List the webhooks of a board, newest first.
    """
    async with BoardPath.of(request) as place:
        query = query_of(request, NumberedPageQuery)
        await place.check()
        reads, principal, page = ports_of(request).reads, principal_of(request), wanted_page(query)
        listed = await reads.entities.page(principal, BOARD_WEBHOOKS, page, newest=True, board=place.board)
    return listed_response(listed, query, lambda webhook: _webhook_read(request, webhook))


async def create_board_webhook(request: Request) -> Response:
    """
    Create a webhook: an address of the board to which other systems send payloads.

    If it has a secret, it takes signed payloads only. The secret is never shown again.
    """
    async with BoardPath.of(request) as place:
        body = await body_of(request, BoardWebhookCreate)
        command = CreateBoardWebhook(board=place.board, **_core_names(body))
        return versioned_response(
            _webhook_read(request, await perform_once(request, make_webhook, command, _webhook_again))
        )


async def get_board_webhook(request: Request) -> Response:
    """
    Read a webhook of a board.
    """
    async with _webhook_in_path(request) as (board, webhook):
        return versioned_response(
            _webhook_read(request, await get_webhook(ports_of(request), principal_of(request), board, webhook))
        )


async def update_board_webhook(request: Request) -> Response:
    """
    Change the named fields of a webhook.

    Null removes the agent, the secret or the signature header.
    """
    async with _webhook_in_path(request) as (board, webhook):
        body = await body_of(request, BoardWebhookUpdate)
        expects = expected_version_of(request)
        command = UpdateBoardWebhook(webhook=webhook, on=board, expects=expects, **_core_names(body))
        return versioned_response(
            _webhook_read(request, await change_webhook(ports_of(request), principal_of(request), command))
        )


def ingestion_handler(max_payload_bytes: int) -> Handler:
    """
    The handler of payloads that are sent to webhooks, with their maximum size in bytes.
    """

    async def ingest_board_webhook(request: Request) -> Response:
        """
        Receive a payload for a webhook, and announce it to the board.

        The request needs no credential. If the webhook has a secret, the payload must be signed: the HMAC-SHA256 of the
        body, in hexadecimal digits, is in the header that the webhook names, or else in `X-Hub-Signature-256` or
        `X-Webhook-Signature`.
        """
        board, webhook = BoardId(path_id(request, "board_id")), WebhookId(path_id(request, "webhook_id"))
        ports = ports_of(request)
        sender = await webhook_sender(ports, board, webhook)
        try:
            body = await raw_body_of(request, limit=max_payload_bytes)
        except BodyTooLarge:
            raise PayloadTooLarge(max_payload_bytes) from None
        command = ReceivePayload(
            board=board, webhook=webhook, body=body, headers=tuple(request.headers.items()),
            source_ip=exchange_of(request).client, payload_address=payload_path,
        )  # fmt: skip
        payload = await perform(
            receive_payload, ports, sender, command, once=await idempotency_key_of(request), again=_payload_again
        )
        return json_response(BoardWebhookIngestResponse.of(payload), 202)

    return ingest_board_webhook


def _webhook_read(request: Request, webhook: BoardWebhook) -> BoardWebhookRead:
    return BoardWebhookRead.of(webhook, base_url=request.scope["app"].network.base_url)


def _core_names(body: BoardWebhookCreate | BoardWebhookUpdate) -> dict[str, Any]:
    """
    The fields of a body as those of a command.
    """
    given = sent_fields(body)
    if "agent_id" in given:
        given["agent"] = given.pop("agent_id")
    return given


def payload_path(payload: WebhookPayload) -> str:
    """
    The operation with which an agent reads a whole payload.
    """
    return f"GET /api/v1/agent/boards/{payload.board}/webhooks/{payload.webhook}/payloads/{payload.id}"


@asynccontextmanager
async def _webhook_in_path(request: Request) -> AsyncIterator[tuple[BoardId, WebhookId]]:
    """
    The board and webhook that the path names. As a context it answers any error with not found if they do not exist.
    """
    board, webhook = BoardId(path_id(request, "board_id")), WebhookId(path_id(request, "webhook_id"))
    try:
        yield board, webhook
    except StoreFailed:
        raise  # as in `BoardPath`
    except Refusal as refusal:
        await get_webhook(ports_of(request), principal_of(request), board, webhook)
        if isinstance(refusal, RoleTooLow):
            raise BoardDenied from None
        raise


async def _payload_in(request: Request) -> WebhookPayload:
    board, webhook, payload = (path_id(request, name) for name in ("board_id", "webhook_id", "payload_id"))
    return await get_payload(
        ports_of(request), principal_of(request), BoardId(board), WebhookId(webhook), PayloadId(payload)
    )


_webhook_again = read_row_again(BOARD_WEBHOOKS)
_payload_again = read_row_again(PAYLOADS)
WEBHOOKS: Final = "/boards/{board_id}/webhooks"
WEBHOOK: Final = WEBHOOKS + "/{webhook_id}"
PAYLOAD: Final = WEBHOOK + "/payloads/{payload_id}"
TAGGED: Final = ("board-webhooks",)
REFUSES: Final = (BoardNotFound, BoardDenied, WebhookNotFound)
ENDPOINTS: Final = (
    Endpoint(
        "GET", WEBHOOKS, list_board_webhooks, query=NumberedPageQuery, gives=LimitOffsetPage[BoardWebhookRead],
        who=USER, tags=TAGGED, refuses=(BoardNotFound, BoardDenied),
    ),
    Endpoint(
        "POST", WEBHOOKS, create_board_webhook, takes=BoardWebhookCreate, gives=BoardWebhookRead, who=USER,
        tags=TAGGED, headers=(IDEMPOTENCY_KEY,), refuses=(BoardNotFound, BoardDenied, WebhookAgentNotOnBoard),
    ),
    Endpoint("GET", WEBHOOK, get_board_webhook, gives=BoardWebhookRead, who=USER, tags=TAGGED, refuses=REFUSES),
    Endpoint(
        "PATCH", WEBHOOK, update_board_webhook, takes=BoardWebhookUpdate, gives=BoardWebhookRead, who=USER,
        tags=TAGGED, headers=(IF_MATCH,), refuses=(*REFUSES, WebhookAgentNotOnBoard, VersionMismatch),
    ),
    Endpoint(
        "DELETE", WEBHOOK, delete_board_webhook, gives=OkResponse, who=USER, tags=TAGGED, headers=(IF_MATCH,),
        refuses=(*REFUSES, VersionMismatch),
    ),
    Endpoint(
        "GET", WEBHOOK + "/payloads", list_board_webhook_payloads, query=NumberedPageQuery,
        gives=LimitOffsetPage[BoardWebhookPayloadRead], who=USER, tags=TAGGED, refuses=REFUSES,
    ),
    Endpoint(
        "GET", PAYLOAD, get_board_webhook_payload, gives=BoardWebhookPayloadRead, who=USER, tags=TAGGED,
        refuses=(*REFUSES, PayloadNotFound),
    ),
    Endpoint(
        "GET", "/agent" + PAYLOAD, get_webhook_payload, query=PayloadQuery, gives=BoardWebhookPayloadRead,
        who=AGENT, tags=BOARD_AGENT_TAGS, refuses=(*REFUSES, PayloadNotFound),
        extra=agent_hints(
            "agent_board_webhook_payload_read",
            ["An entry in your board's memory announces a payload, and its preview is not enough."],
            unless=["You look for new payloads: read the board's memory, which announces them."],
            needs=["Know the ids of webhook and payload: they are in the board's memory."],
        ),
    ),
)  # fmt: skip


def webhook_endpoints(settings: Settings) -> list[Endpoint]:
    """
    The operations on webhooks, with these settings.
    """
    return [
        *ENDPOINTS,
        Endpoint(
            "POST", WEBHOOK, ingestion_handler(settings.webhook_max_payload_bytes), gives=BoardWebhookIngestResponse,
            who=PUBLIC, status=202, tags=TAGGED, headers=(IDEMPOTENCY_KEY,), limits=("webhook-ingest",),
            refuses=(
                WebhookNotFound, WebhookDisabled, PayloadTooLarge, EncodingUnsupported, SignatureMissing,
                SignatureInvalid, DecryptionFailed,
            ),
        ),
    ]  # fmt: skip
