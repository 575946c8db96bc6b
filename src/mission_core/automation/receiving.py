"""
Taking in what others send to a board's webhook. The address is all that it takes to send, and a signature where the
webhook has a secret.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from mission_core.accounts.model import Principal, Role, System
from mission_core.automation.board_webhooks import BOARD_WEBHOOKS, BoardWebhook, WebhookNotFound
from mission_core.automation.payloads import (
    LONGEST_HEADER,
    PAYLOADS,
    PayloadNotFound,
    PayloadReceived,
    WebhookPayload,
    kept_headers,
    storable,
    stored_form,
    telling,
)
from mission_core.automation.signatures import check_signature, signature_in
from mission_core.boards.model import BoardDenied
from mission_core.conversations.entries import BOARD_MEMORY, BoardEntry
from mission_core.ids import BoardId, MemoryId, MemoryNumber, PayloadId, PayloadNumber, WebhookId
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.ports import Ports

SOURCE: Final = "webhook"


@frozen(kw_only=True)
class ReceivePayload:
    """
    Take in what was sent to a webhook. *inspect* says where all of a payload can be read.
    """

    board: BoardId
    webhook: WebhookId
    body: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    source_ip: str | None = None
    inspect: Callable[[WebhookPayload], str]

    @property
    def by_name(self) -> dict[str, str]:
        """
        The headers, their names in small letters; of several by one name the first.
        """
        return {name.lower(): value for name, value in reversed(self.headers)}


async def sender_to(ports: Ports, board: BoardId, webhook: WebhookId) -> System:
    """
    Whoever sends to a webhook, as the organization knows them.

    Raises:
        WebhookDisabled: If it takes nothing for now.
        WebhookNotFound: If there is no such webhook on such a board, whichever of them is missing.
    """
    organization = await ports.credentials.organization_of(board)
    if organization is None:
        raise WebhookNotFound
    sender = System(
        organization=organization, name=f"{SOURCE}:{webhook}", display="Webhook", role=Role.OPERATOR
    )
    found = await ports.reads.rows.get(sender, BOARD_WEBHOOKS, webhook)
    if found.board != board:
        raise WebhookNotFound
    found.check_enabled()
    return sender


@use_case
async def receive_payload(ports: Ports, principal: Principal, cmd: ReceivePayload) -> WebhookPayload:
    """
    Keep what was sent, and let the board remember that it came; all at once.

    Raises:
        SealBroken: If the webhook's secret cannot be read.
        SignatureMissing: If it must be signed and is not.
        SignatureWrong: If it is not signed with the webhook's secret.
        WebhookDisabled: If the webhook takes nothing for now.
        WebhookNotFound: If the board has no such webhook.
    """
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        board = await unit.boards.get(cmd.board)
        webhook = await unit.rows(BOARD_WEBHOOKS).get(cmd.webhook)
        if webhook.board != board.id:
            raise WebhookNotFound
        webhook.check_enabled()
        _check_sender(ports, webhook, cmd)
        unit.rely_on(board, webhook)  # a board that goes takes payloads along before it takes webhooks
        payload, number = await _payload_from(ports, webhook, cmd, at=now)
        entry = BoardEntry(
            id=MemoryId(ports.ids.new()),
            number=number,
            organization=board.organization,
            board=board.id,
            content=telling(webhook, payload, inspect=cmd.inspect(payload)),
            tags=(SOURCE, f"{SOURCE}:{webhook.id}", f"payload:{payload.id}"),
            source=SOURCE,
            created_at=now,
        )
        unit.rows(PAYLOADS).add(payload)
        unit.rows(BOARD_MEMORY).add(entry)
        unit.record(
            PayloadReceived(
                webhook=webhook.id, board=board.id, received=payload.id, length=len(cmd.body), at=now
            ),
            entry.written(),
        )
        unit.result(payload.id)
        await unit.commit()
    return payload


async def payload_on(
    ports: Ports, principal: Principal, board: BoardId, webhook: WebhookId, payload: PayloadId
) -> WebhookPayload:
    """
    What came in by a webhook of this board.

    Raises:
        BoardDenied: If the board is not granted to the principal.
        BoardNotFound: If there is no such board for this principal.
        PayloadNotFound: If nothing like that came in there.
        WebhookNotFound: If the board has no such webhook.
    """
    await webhook_on(ports, principal, board, webhook)
    try:
        found = await ports.reads.rows.get(principal, PAYLOADS, payload)
    except BoardDenied:
        raise PayloadNotFound from None  # it came in on another board
    if found.webhook != webhook:
        raise PayloadNotFound
    return found


async def webhook_on(ports: Ports, principal: Principal, board: BoardId, webhook: WebhookId) -> BoardWebhook:
    """
    A webhook of this board.

    Raises:
        BoardDenied: If the board is not granted to the principal.
        BoardNotFound: If there is no such board for this principal.
        WebhookNotFound: If the board has no such webhook.
    """
    await ports.reads.boards.check(principal, board)
    try:
        found = await ports.reads.rows.get(principal, BOARD_WEBHOOKS, webhook)
    except BoardDenied:
        raise WebhookNotFound from None  # it is on another board
    if found.board != board:
        raise WebhookNotFound
    return found


def _check_sender(ports: Ports, webhook: BoardWebhook, cmd: ReceivePayload) -> None:
    if webhook.secret is None:
        return
    signature = signature_in(cmd.by_name, webhook.signature_header)
    check_signature(ports.vault.open(webhook.secret, about=webhook.id), cmd.body, signature)


async def _payload_from(
    ports: Ports, webhook: BoardWebhook, cmd: ReceivePayload, *, at: datetime
) -> tuple[WebhookPayload, MemoryNumber]:
    """
    The payload, and the number of what is to be remembered of it.
    """
    own = webhook.organization
    number, remembered = await ports.numbers.draw((own, "payload"), (own, "board_memory"))
    sent_as = cmd.by_name.get("content-type")
    kept_as = None if sent_as is None else storable(sent_as)[:LONGEST_HEADER]
    payload = WebhookPayload(
        id=PayloadId(ports.ids.new()),
        number=PayloadNumber(number),
        organization=own,
        board=webhook.board,
        webhook=webhook.id,
        payload=stored_form(cmd.body, sent_as),
        headers=kept_headers(cmd.headers, signature_header=webhook.signature_header),
        source_ip=cmd.source_ip,
        content_type=kept_as,
        received_at=at,
    )
    return payload, MemoryNumber(remembered)
