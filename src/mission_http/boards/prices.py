"""
Operations on prices of models that the organization sets.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from mission_core.accounts.model import BoardAgentConfined
from mission_core.boards.model import BoardDenied
from mission_core.usage.price_overrides import (
    PRICE_OVERRIDES,
    CreatePriceOverride,
    DeletePriceOverride,
    PriceOverride,
    TooManyPriceOverrides,
    UpdatePriceOverride,
    create_price_override,
    delete_price_override,
    require_price_reader,
    update_price_override,
)
from mission_core.values import ABSENT, Absent
from mission_http.boards.resources import Resource
from mission_http.boards.wire import BoardsPayload
from mission_http.platform.price_amounts import ChangedPrice, NewPrice, dollars_of, told_prices
from mission_http.platform.shapes import Of


class PriceCreate(NewPrice):
    since: datetime | None = None
    until: datetime | None = None


class PriceUpdate(ChangedPrice):
    since: datetime | Absent | None = ABSENT
    until: datetime | Absent | None = ABSENT


class PriceRead(BoardsPayload[PriceOverride]):
    id: UUID
    organization_id: Annotated[UUID, Of("organization")]
    number: int
    model: str
    provider: str | None
    since: datetime | None
    until: datetime | None
    input: Annotated[float, Of("input", dollars_of)]
    output: Annotated[float, Of("output", dollars_of)]
    cache_read: Annotated[float | None, Of("cache_read", dollars_of)]
    cache_write: Annotated[float | None, Of("cache_write", dollars_of)]
    reasoning: Annotated[float | None, Of("reasoning", dollars_of)]
    input_audio: Annotated[float | None, Of("input_audio", dollars_of)]
    output_audio: Annotated[float | None, Of("output_audio", dollars_of)]
    batch: int
    created_at: datetime
    updated_at: datetime
    version: int


def _creation(**given: Any) -> CreatePriceOverride:
    return CreatePriceOverride(**told_prices(given))


def _change(**given: Any) -> UpdatePriceOverride:
    return UpdatePriceOverride(**told_prices(given))


PRICE_RESOURCE: Final = Resource(
    kind=PRICE_OVERRIDES, noun="price", key="price", path="/prices", parameter="price_id", tag="usage",
    gives=PriceRead, order=lambda price: price.number, require=require_price_reader,
    denies=(BoardAgentConfined, BoardDenied),
)  # fmt: skip
ENDPOINTS = [
    PRICE_RESOURCE.list(
        "List the prices of models that the organization has set, oldest first.\n\n"
        "Of several that fit a report the last one counts. They come before the prices of the operator's file and of "
        "the package `genai-prices`."
    ),
    PRICE_RESOURCE.create(
        _creation, create_price_override,
        "Set the price of a model, in dollars per million tokens.\n\n"
        "It applies to what is reported from now on, also if it was used earlier. No cost that was computed changes.",
        takes=PriceCreate, refuses=(TooManyPriceOverrides,),
    ),
    PRICE_RESOURCE.read("Read a price."),
    PRICE_RESOURCE.change(
        _change, update_price_override,
        "Change the named fields of a price.\n\nNo cost that was computed changes.", takes=PriceUpdate,
    ),
    PRICE_RESOURCE.delete(
        DeletePriceOverride, delete_price_override, "Delete a price. No cost that was computed changes."
    ),
]  # fmt: skip
