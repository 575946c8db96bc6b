"""
Use cases that receive and read the payloads of webhooks.

Anybody who knows the address of a webhook may send to it. If the webhook has a secret, the payload must be signed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from attrs import field

from mission_core.accounts.model import Principal, Role, SystemPrincipal
from mission_core.automation.board_webhooks import BOARD_WEBHOOKS, BoardWebhook, WebhookNotFound
from mission_core.automation.webhook_payloads import (
    MAX_HEADER_LENGTH,
    PAYLOADS,
    PayloadNotFound,
    PayloadReceived,
    WebhookPayload,
    json_from_body,
    kept_headers,
    payload_message,
    storable,
)
from mission_core.automation.webhook_signatures import check_signature, signature_in
from mission_core.boards.model import BoardDenied
from mission_core.conversations.memory_entries import BOARD_MEMORY, BoardMemoryEntry
from mission_core.ids import BoardId, MemoryId, MemoryNumber, PayloadId, PayloadNumber, WebhookId
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.ports import Ports

WEBHOOK_SOURCE: Final = "webhook"


@frozen(kw_only=True)
class ReceivePayload:
    """
    Store a payload that was sent to a webhook. *payload_address* returns the address where it can be read.
    """

    board: BoardId
    webhook: WebhookId
    body: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    source_ip: str | None = None
    payload_address: Callable[[WebhookPayload], str]

    @property
    def headers_by_name(self) -> dict[str, str]:
        """
        The headers by lower-case name; of repeated headers the first.
        """
        return {name.lower(): value for name, value in reversed(self.headers)}


async def webhook_sender(ports: Ports, board: BoardId, webhook: WebhookId) -> SystemPrincipal:
    """
    The principal as which an unauthenticated sender to this webhook acts.

    Raises:
        WebhookDisabled: If it is disabled.
        WebhookNotFound: If the board does not exist or has no such webhook.
    """
    organization = await ports.credentials.organization_of(board)
    if organization is None:
        raise WebhookNotFound
    sender = SystemPrincipal(
        organization=organization, name=f"{WEBHOOK_SOURCE}:{webhook}", display="Webhook", role=Role.OPERATOR
    )
    found = await ports.reads.entities.get(sender, BOARD_WEBHOOKS, webhook)
    if found.board != board:
        raise WebhookNotFound
    found.check_enabled()
    return sender


@use_case
async def receive_payload(ports: Ports, principal: Principal, cmd: ReceivePayload) -> WebhookPayload:
    """
    Store a payload, and announce it with an entry in the board's memory. Both are one change.

    Raises:
        DecryptionFailed: If the webhook's secret cannot be decrypted.
        SignatureMissing: If it is not signed and the webhook has a secret.
        SignatureInvalid: If the signature is not made with the webhook's secret.
        WebhookDisabled: If the webhook is disabled.
        WebhookNotFound: If the board has no such webhook.
    """
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        board = await unit.boards.get(cmd.board)
        webhook = await unit.repository(BOARD_WEBHOOKS).get(cmd.webhook)
        if webhook.board != board.id:
            raise WebhookNotFound
        webhook.check_enabled()
        _check_signature(ports, webhook, cmd)
        unit.rely_on(board, webhook)  # deleting a board deletes payloads before webhooks
        payload, number = await _payload_from(ports, webhook, cmd, at=now)
        entry = BoardMemoryEntry(
            id=MemoryId(ports.ids.new()),
            number=number,
            organization=board.organization,
            board=board.id,
            content=payload_message(webhook, payload, inspect=cmd.payload_address(payload)),
            tags=(WEBHOOK_SOURCE, f"{WEBHOOK_SOURCE}:{webhook.id}", f"payload:{payload.id}"),
            source=WEBHOOK_SOURCE,
            created_at=now,
        )
        unit.repository(PAYLOADS).add(payload)
        unit.repository(BOARD_MEMORY).add(entry)
        unit.record(
            PayloadReceived(webhook=webhook.id, board=board.id, received=payload.id, length=len(cmd.body), at=now),
            entry.written_event(),
        )
        unit.result(payload.id)
        await unit.commit()
    return payload


async def get_payload(
    ports: Ports, principal: Principal, board: BoardId, webhook: WebhookId, payload: PayloadId
) -> WebhookPayload:
    """
    Read a payload of a webhook of this board.

    Raises:
        BoardDenied: If the board is not granted to the principal.
        BoardNotFound: If there is no such board for this principal.
        PayloadNotFound: If the webhook has no such payload.
        WebhookNotFound: If the board has no such webhook.
    """
    await get_webhook(ports, principal, board, webhook)
    try:
        found = await ports.reads.entities.get(principal, PAYLOADS, payload)
    except BoardDenied:
        raise PayloadNotFound from None  # it belongs to another board
    if found.webhook != webhook:
        raise PayloadNotFound
    return found


async def get_webhook(ports: Ports, principal: Principal, board: BoardId, webhook: WebhookId) -> BoardWebhook:
    """
    Read a webhook of this board.

    Raises:
        BoardDenied: If the board is not granted to the principal.
        BoardNotFound: If there is no such board for this principal.
        WebhookNotFound: If the board has no such webhook.
    """
    await ports.reads.boards.check(principal, board)
    try:
        found = await ports.reads.entities.get(principal, BOARD_WEBHOOKS, webhook)
    except BoardDenied:
        raise WebhookNotFound from None  # it is on another board
    if found.board != board:
        raise WebhookNotFound
    return found


def _check_signature(ports: Ports, webhook: BoardWebhook, cmd: ReceivePayload) -> None:
    if webhook.secret is None:
        return
    signature = signature_in(cmd.headers_by_name, webhook.signature_header)
    check_signature(ports.vault.decrypt(webhook.secret, about=webhook.id), cmd.body, signature)


async def _payload_from(
    ports: Ports, webhook: BoardWebhook, cmd: ReceivePayload, *, at: datetime
) -> tuple[WebhookPayload, MemoryNumber]:
    """
    The payload, and the number of the memory entry that announces it.
    """
    own = webhook.organization
    number, remembered = await ports.numbers.next((own, "payload"), (own, "board_memory"))
    sent_as = cmd.headers_by_name.get("content-type")
    kept_as = None if sent_as is None else storable(sent_as)[:MAX_HEADER_LENGTH]
    payload = WebhookPayload(
        id=PayloadId(ports.ids.new()),
        number=PayloadNumber(number),
        organization=own,
        board=webhook.board,
        webhook=webhook.id,
        payload=json_from_body(cmd.body, sent_as),
        headers=kept_headers(cmd.headers, signature_header=webhook.signature_header),
        source_ip=cmd.source_ip,
        content_type=kept_as,
        received_at=at,
    )
    return payload, MemoryNumber(remembered)
