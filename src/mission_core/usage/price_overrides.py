"""
Price overrides: prices of models that an organization sets, which come before all other price books.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, cast

from attrs import field

from mission_core.accounts.model import BoardAgentConfined, Principal, board_of, readable_boards
from mission_core.boards.model import BoardDenied
from mission_core.errors import Conflict, NotFound
from mission_core.field_types import with_type_validators
from mission_core.ids import OrganizationId, PriceOverrideId, PriceOverrideNumber
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.records import Draft, Records, record_events
from mission_core.usage.counters import PRICE_OVERRIDES_NAME
from mission_core.usage.prices import ModelPrice, PriceList
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, utc_moment

if TYPE_CHECKING:
    from mission_core.ports import Ports

MOST_PRICE_OVERRIDES: Final = 200
"""The number of price overrides that an organization may have. Each report may be compared with all of them."""


class PriceOverrideNotFound(NotFound):
    """
    This organization has no such price override.
    """

    says = "there is no such price"


class TooManyPriceOverrides(Conflict):
    """
    The organization has as many price overrides as it may have.
    """

    says = f"an organization has at most {MOST_PRICE_OVERRIDES} prices; change or delete one of them"


@frozen(kw_only=True, field_transformer=with_type_validators)
class PriceOverride(ModelPrice):
    """
    A price of a model that an organization sets.
    """

    id: PriceOverrideId
    organization: OrganizationId
    number: PriceOverrideNumber
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    version: int = 0


PRICE_OVERRIDES: Final = Kind(entity=PriceOverride, name=PRICE_OVERRIDES_NAME, missing=PriceOverrideNotFound)


@frozen(kw_only=True)
class PriceOverrides(PriceList):
    """
    The price overrides of an organization, oldest first. The last that fits a request counts.

    Args:
        changes: The number of changes of the organization's price overrides until now.
    """

    version: str = ""
    source: str = "override"
    changes: int = 0

    def version_of(self, price: ModelPrice) -> str:
        """
        The id and the version of the override.
        """
        override = cast(PriceOverride, price)
        return f"{override.id}@{override.version}"


LOGGED: Final = ("model", "provider", "since", "until", "input", "output", "batch")
PriceOverrideCreated, PriceOverrideUpdated, PriceOverrideDeleted = record_events(
    "price_override", subject="price_override", logs=LOGGED, logs_change=LOGGED
)


@frozen(kw_only=True)
class CreatePriceOverride:
    """
    Set the price of a model. The fields are those of `ModelPrice`.
    """

    model: str
    provider: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    input_audio: int | None = None
    output_audio: int | None = None
    batch: int = 100


@frozen(kw_only=True)
class UpdatePriceOverride:
    """
    Change the named fields of a price override.
    """

    price: PriceOverrideId | PriceOverrideNumber
    expects: int | None = None
    model: str | Absent = ABSENT
    provider: str | Absent | None = ABSENT
    since: datetime | Absent | None = ABSENT
    until: datetime | Absent | None = ABSENT
    input: int | Absent = ABSENT
    output: int | Absent = ABSENT
    cache_read: int | Absent | None = ABSENT
    cache_write: int | Absent | None = ABSENT
    reasoning: int | Absent | None = ABSENT
    input_audio: int | Absent | None = ABSENT
    output_audio: int | Absent | None = ABSENT
    batch: int | Absent = ABSENT


@frozen(kw_only=True)
class DeletePriceOverride:
    """
    Delete a price override.
    """

    price: PriceOverrideId | PriceOverrideNumber
    expects: int | None = None


async def _require_room(draft: Draft[PriceOverride]) -> None:
    if draft.before is None and len(await draft.unit.repository(PRICE_OVERRIDES).every()) >= MOST_PRICE_OVERRIDES:
        raise TooManyPriceOverrides


RECORDS: Final = Records(
    kind=PRICE_OVERRIDES, noun="price_override",
    events=(PriceOverrideCreated, PriceOverrideUpdated, PriceOverrideDeleted), prepare=_require_room,
)  # fmt: skip


@use_case
async def create_price_override(ports: Ports, principal: Principal, cmd: CreatePriceOverride) -> PriceOverride:
    """
    Set the price of a model, for all reports from now on. No entry of the ledger changes.

    Raises:
        RoleTooLow: If the principal is no admin of all boards.
        InvalidField: If a value is out of its range.
        TooManyPriceOverrides: If the organization has as many as it may have.
    """
    return await RECORDS.create(ports, principal, cmd)


@use_case
async def update_price_override(ports: Ports, principal: Principal, cmd: UpdatePriceOverride) -> PriceOverride:
    """
    Change a price override, for all reports from now on. No entry of the ledger changes.

    Raises:
        RoleTooLow: If the principal is no admin of all boards.
        PriceOverrideNotFound: If there is no such price override.
        VersionMismatch: If the caller expected another version.
        InvalidField: If a value is out of its range.
    """
    return await RECORDS.change(ports, principal, cmd.price, cmd)


@use_case
async def delete_price_override(ports: Ports, principal: Principal, cmd: DeletePriceOverride) -> PriceOverride:
    """
    Delete a price override. The prices of the other books count from now on.

    Raises:
        RoleTooLow: If the principal is no admin of all boards.
        PriceOverrideNotFound: If there is no such price override.
        VersionMismatch: If the caller expected another version.
    """
    return await RECORDS.remove(ports, principal, cmd.price, cmd)


def require_price_reader(principal: Principal) -> None:
    """
    Require that the principal may read all boards. Prices tell what the whole organization pays.

    Raises:
        BoardAgentConfined: If it is an agent of one board.
        BoardDenied: If it is limited to some boards.
    """
    if board_of(principal) is not None:
        raise BoardAgentConfined
    if readable_boards(principal) is not None:
        raise BoardDenied


async def list_price_overrides(ports: Ports, principal: Principal) -> list[PriceOverride]:
    """
    Return the price overrides, oldest first.

    Raises:
        BoardAgentConfined, BoardDenied: If the principal may not read all boards.
    """
    require_price_reader(principal)
    return await ports.reads.entities.every(principal, PRICE_OVERRIDES)


async def get_price_override(
    ports: Ports, principal: Principal, key: PriceOverrideId | PriceOverrideNumber
) -> PriceOverride:
    """
    Return a price override.

    Raises:
        BoardAgentConfined, BoardDenied: If the principal may not read all boards.
        PriceOverrideNotFound: If there is no such price override.
    """
    require_price_reader(principal)
    return await ports.reads.entities.get(principal, PRICE_OVERRIDES, key)
