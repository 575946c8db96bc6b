"""
Webhooks of a board: addresses to which other systems send payloads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import Attribute, asdict, field, frozen
from attrs.validators import optional

from mission_core.accounts.model import Principal, Role, require_no_agent_below_admin, require_role
from mission_core.accounts.ports import DecryptionFailed
from mission_core.agents.model import Agent, AgentNotFound
from mission_core.boards.model import Board, BoardDenied
from mission_core.entity_changes import require_version, with_changes
from mission_core.errors import Denied, Invalid, InvalidField, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import AgentId, BoardId, OrganizationId, WebhookId, WebhookNumber
from mission_core.kinds import Kind
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


class WebhookDisabled(Denied):
    """
    The webhook is disabled and takes no payloads.
    """

    says = "Webhook is disabled."


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

    def edit(self, changes: Mapping[str, Any], *, at: datetime) -> tuple[BoardWebhook, WebhookUpdated]:
        """
        The webhook with these fields changed, and the event that names them.

        Raises:
            InvalidField: If a value is invalid.
        """
        after, changed = with_changes(self, changes, at=at)
        return after, WebhookUpdated(webhook=self.id, board=self.board, changed=changed, at=at)

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


@frozen(kw_only=True)
class WebhookCreated(Event):
    """
    A webhook was created for a board.
    """

    kind = "webhook.created"
    subject_field = "webhook"

    webhook: WebhookId
    board: BoardId
    number: int


@frozen(kw_only=True)
class WebhookUpdated(Event):
    """
    Fields of a webhook were changed. The event has their names only, so it reveals no secret.
    """

    kind = "webhook.updated"
    subject_field = "webhook"

    webhook: WebhookId
    board: BoardId
    changed: tuple[str, ...]


@frozen(kw_only=True)
class WebhookDeleted(Event):
    """
    A webhook was deleted with its payloads.
    """

    kind = "webhook.deleted"
    subject_field = "webhook"

    webhook: WebhookId
    board: BoardId
    number: int


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


@use_case
async def create_board_webhook(ports: Ports, principal: Principal, cmd: CreateBoardWebhook) -> BoardWebhook:
    """
    Create a webhook for a board.

    Raises:
        BoardNotFound: If there is no such board for this principal.
        InvalidField: If a value is invalid.
        RoleTooLow: If the principal is a viewer or an agent.
        WebhookAgentElsewhere: If the agent is not on the board.
    """
    require_role(principal, Role.OPERATOR)
    require_no_agent_below_admin(principal)
    now, id = ports.clock.now(), WebhookId(ports.ids.new())
    async with ports.unit(principal) as unit:
        board = await unit.boards.get(cmd.board)
        unit.rely_on(board)
        await _check_agent(unit, cmd.agent, board.id)
        (number,) = await ports.numbers.next((principal.organization, "webhook"))
        webhook = unit.repository(BOARD_WEBHOOKS).add(
            BoardWebhook(
                id=id,
                number=WebhookNumber(number),
                organization=principal.organization,
                board=board.id,
                agent=cmd.agent,
                description=cmd.description.strip(),
                enabled=cmd.enabled,
                secret=encrypted_secret(ports, cmd.secret, id),
                signature_header=header_name_from(cmd.signature_header or ""),
                created_at=now,
                updated_at=now,
            )
        )
        unit.record(WebhookCreated(webhook=id, board=board.id, number=number, at=now))
        unit.result(id)
        await unit.commit()
    return webhook


@use_case
async def update_board_webhook(ports: Ports, principal: Principal, cmd: UpdateBoardWebhook) -> BoardWebhook:
    """
    Change the named fields of a webhook. If nothing changes, nothing is written or logged.

    Raises:
        InvalidField: If a value is invalid.
        RoleTooLow: If the principal is a viewer or an agent.
        VersionMismatch: If the caller expected another version.
        WebhookAgentElsewhere: If the agent is not on the board.
        WebhookNotFound: If the board has no such webhook.
    """
    require_role(principal, Role.OPERATOR)
    require_no_agent_below_admin(principal)
    async with ports.unit(principal) as unit:
        before = await _get_webhook(unit, cmd)
        webhook, updated = before.edit(await _changes(ports, unit, cmd, before), at=ports.clock.now())
        if not updated.changed:
            return before
        webhook = unit.repository(BOARD_WEBHOOKS).save(webhook)
        unit.record(updated)
        unit.result(webhook.id)
        await unit.commit()
    return webhook


@use_case
async def delete_board_webhook(ports: Ports, principal: Principal, cmd: DeleteBoardWebhook) -> BoardWebhook:
    """
    Delete a webhook with its payloads. The memory entries that tell the board about them are kept.

    Raises:
        RoleTooLow: If the principal is a viewer or an agent.
        VersionMismatch: If the caller expected another version.
        WebhookNotFound: If the board has no such webhook.
    """
    require_role(principal, Role.OPERATOR)
    require_no_agent_below_admin(principal)
    async with ports.unit(principal) as unit:
        webhook = await _get_webhook(unit, cmd)
        unit.repository(BOARD_WEBHOOKS).remove(webhook)
        unit.record(
            WebhookDeleted(webhook=webhook.id, board=webhook.board, number=webhook.number, at=ports.clock.now())
        )
        await unit.commit()
    return webhook


async def _get_webhook(unit: UnitOfWork, cmd: UpdateBoardWebhook | DeleteBoardWebhook) -> BoardWebhook:
    webhook = await unit.repository(BOARD_WEBHOOKS).get(cmd.webhook)
    if webhook.board != cmd.on:
        raise WebhookNotFound
    return require_version(webhook, cmd.expects)


async def _changes(ports: Ports, unit: UnitOfWork, cmd: UpdateBoardWebhook, before: BoardWebhook) -> dict[str, Any]:
    given = asdict(cmd, recurse=False)
    changes = {
        name: given[name]
        for name in ("description", "enabled", "agent", "secret", "signature_header")
        if given[name] is not ABSENT
    }
    if "description" in changes:
        changes["description"] = changes["description"].strip()
    if "signature_header" in changes:
        changes["signature_header"] = header_name_from(changes["signature_header"] or "")
    if "secret" in changes:
        changes["secret"] = encrypted_secret(ports, changes["secret"], before.id, before=before.secret)
    if changes.get("agent") != before.agent:
        await _check_agent(unit, changes.get("agent"), before.board)
    return changes


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
