"""
Webhooks of a board: addresses to which other systems send payloads.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import Attribute, field
from attrs.validators import optional

from mission_core.accounts.model import Principal, Role, require_no_agent_below_admin, require_role
from mission_core.accounts.ports import DecryptionFailed
from mission_core.agents.model import Agent, AgentNotFound
from mission_core.automation.webhook_refusals import WebhookDisabled
from mission_core.boards.model import Board, BoardDenied
from mission_core.errors import Invalid, InvalidField, NotFound
from mission_core.field_types import with_type_validators
from mission_core.ids import AgentId, BoardId, OrganizationId, WebhookId, WebhookNumber
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.records import Draft, Records, record_events
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, Encrypted, checked_text, text, utc_moment

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

MAX_DESCRIPTION_LENGTH: Final = 20_000
MAX_SECRET_LENGTH: Final = 1000
HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")


class WebhookNotFound(NotFound):
    """
    The board has no such webhook.
    """

    says = "Webhook not found"


class WebhookAgentNotOnBoard(Invalid):
    """
    The agent of a webhook must belong to the webhook's board.
    """

    code = "webhook_agent_elsewhere"
    says = "agent_id must reference an agent on this board."


def header_name_from(words: str) -> str | None:
    """
    Parse the name of a header; a blank one is None.

    Raises:
        InvalidField: If it is not a valid header name.
    """
    name = words.strip()
    if name and not HEADER_NAME.fullmatch(name):
        raise InvalidField("signature_header", "must be a valid HTTP header name (ASCII token characters only)", words)
    return name or None


def _header_name(instance: object, attribute: Attribute[Any], value: str) -> None:
    if header_name_from(value) != value:
        raise InvalidField(attribute.name, "must be a header name", value)


@frozen(kw_only=True, field_transformer=with_type_validators)
class BoardWebhook:
    """
    A webhook of a board. *description* is the instruction that goes with each payload. *agent* is the agent that
    handles it; without one it is the board's lead.

    With a *secret*, which is stored encrypted, payloads must be signed; the signature is in the header
    *signature_header*, if that is set.
    """

    id: WebhookId
    number: WebhookNumber
    organization: OrganizationId
    board: BoardId
    agent: AgentId | None = None
    description: str = field(validator=text(least=1, most=MAX_DESCRIPTION_LENGTH))
    enabled: bool = True
    secret: Encrypted | None = field(default=None, repr=False)
    signature_header: str | None = field(default=None, validator=optional(_header_name))
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    version: int = 0

    def check_enabled(self) -> None:
        """
        Raises:
            WebhookDisabled: If it is disabled.
        """
        if not self.enabled:
            raise WebhookDisabled


BOARD_WEBHOOKS: Final = Kind(
    entity=BoardWebhook,
    name="board_webhooks",
    missing=WebhookNotFound,
    indexed_by=(("board",),),
    cascades_from={"board": Board},
    nulled_on_removal_of={"agent": Agent},
)
WebhookCreated, WebhookUpdated, WebhookDeleted = record_events(
    "webhook", subject="webhook", logs=("board", "number"), logs_change=("board",)
)


@frozen(kw_only=True)
class CreateBoardWebhook:
    """
    Create a webhook for a board. A blank secret or header name means none.
    """

    board: BoardId
    description: str
    enabled: bool = True
    agent: AgentId | None = None
    secret: str | None = field(default=None, repr=False)
    signature_header: str | None = None


@frozen(kw_only=True)
class UpdateBoardWebhook:
    """
    Change the named fields of a webhook of this board.
    """

    webhook: WebhookId
    on: BoardId
    expects: int | None = None
    description: str | Absent = ABSENT
    enabled: bool | Absent = ABSENT
    agent: AgentId | Absent | None = ABSENT
    secret: str | Absent | None = field(default=ABSENT, repr=False)
    signature_header: str | Absent | None = ABSENT


@frozen(kw_only=True)
class DeleteBoardWebhook:
    """
    Delete a webhook of this board.
    """

    webhook: WebhookId
    on: BoardId
    expects: int | None = None


def _require_webhook_editor(principal: Principal) -> None:
    require_role(principal, Role.OPERATOR)
    require_no_agent_below_admin(principal)


async def _normalize(draft: Draft[BoardWebhook]) -> None:
    given, before, unit = draft.given, draft.before, draft.unit
    if before is None:
        unit.rely_on(await unit.boards.get(given["board"]))
    if "agent" in given and not (before and before.agent == given["agent"]):
        await _check_agent(unit, given["agent"], draft.value("board"))
    if "description" in given:
        given["description"] = given["description"].strip()
    if "signature_header" in given:
        given["signature_header"] = header_name_from(given["signature_header"] or "")
    if "secret" in given:
        present = before.secret if before else None
        given["secret"] = encrypted_secret(draft.ports, given["secret"], WebhookId(draft.id), before=present)


WEBHOOK_RECORDS: Final = Records(
    kind=BOARD_WEBHOOKS,
    noun="webhook",
    events=(WebhookCreated, WebhookUpdated, WebhookDeleted),
    require=_require_webhook_editor,
    prepare=_normalize,
)


@use_case
async def create_board_webhook(ports: Ports, principal: Principal, cmd: CreateBoardWebhook) -> BoardWebhook:
    """
    Create a webhook for a board.

    Raises:
        BoardNotFound: If there is no such board for this principal.
        InvalidField: If a value is invalid.
        RoleTooLow: If the principal is a viewer or an agent.
        WebhookAgentNotOnBoard: If the agent is not on the board.
    """
    return await WEBHOOK_RECORDS.create(ports, principal, cmd)


@use_case
async def update_board_webhook(ports: Ports, principal: Principal, cmd: UpdateBoardWebhook) -> BoardWebhook:
    """
    Change the named fields of a webhook. If nothing changes, nothing is written or logged.

    Raises:
        InvalidField: If a value is invalid.
        RoleTooLow: If the principal is a viewer or an agent.
        VersionMismatch: If the caller expected another version.
        WebhookAgentNotOnBoard: If the agent is not on the board.
        WebhookNotFound: If the board has no such webhook.
    """
    return await WEBHOOK_RECORDS.change(ports, principal, cmd.webhook, cmd, check=_board_check(cmd.on))


@use_case
async def delete_board_webhook(ports: Ports, principal: Principal, cmd: DeleteBoardWebhook) -> BoardWebhook:
    """
    Delete a webhook with its payloads. The memory entries that tell the board about them are kept.

    Raises:
        RoleTooLow: If the principal is a viewer or an agent.
        VersionMismatch: If the caller expected another version.
        WebhookNotFound: If the board has no such webhook.
    """
    return await WEBHOOK_RECORDS.remove(ports, principal, cmd.webhook, cmd, check=_board_check(cmd.on))


def _board_check(board: BoardId) -> Callable[[UnitOfWork, BoardWebhook], Awaitable[None]]:
    async def check(unit: UnitOfWork, webhook: BoardWebhook) -> None:
        if webhook.board != board:
            raise WebhookNotFound

    return check


async def _check_agent(unit: UnitOfWork, agent: AgentId | None, board: BoardId) -> None:
    if agent is None:
        return
    try:
        found = await unit.agents.get(agent)
    except (AgentNotFound, BoardDenied):
        raise WebhookAgentNotOnBoard from None
    if found.board != board:
        raise WebhookAgentNotOnBoard
    unit.rely_on(found)


def encrypted_secret(
    ports: Ports, secret: str | None, webhook: WebhookId, *, before: Encrypted | None = None
) -> Encrypted | None:
    """
    Encrypt a webhook's secret. The same secret as *before* keeps its old ciphertext, and a blank one is None.

    Raises:
        InvalidField: If it is too long or contains characters that cannot be stored.
    """
    plain = (secret or "").strip()
    if not plain:
        return None
    checked_text("secret", plain, most=MAX_SECRET_LENGTH)
    if before is not None:
        with suppress(DecryptionFailed):  # it was encrypted with an old key; encrypt it with the present one
            if ports.vault.decrypt(before, about=webhook) == plain:
                return before
    return ports.vault.encrypt(plain, about=webhook)
