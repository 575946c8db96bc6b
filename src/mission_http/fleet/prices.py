"""
Operations on prices of models that the workspace sets.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import BoardAgentConfined
from mission_core.boards.model import BoardDenied
from mission_core.entity_changes import field_values
from mission_core.errors import KeyReused, VersionMismatch
from mission_core.usage.price_overrides import (
    PRICE_OVERRIDES,
    CreatePriceOverride,
    DeletePriceOverride,
    PriceOverride,
    PriceOverrideNotFound,
    TooManyPriceOverrides,
    UpdatePriceOverride,
    create_price_override,
    delete_price_override,
    get_price_override,
    list_price_overrides,
    update_price_override,
)
from mission_core.values import ABSENT, Absent
from mission_http.fleet.access import ADMIN, VIEWER
from mission_http.fleet.path_parameters import price_in
from mission_http.fleet.payloads import SuccessPayload
from mission_http.fleet.wire import FleetPayload, UnixSeconds, moment_of
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, etag_of, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, NumberRange
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once, read_row_again
from mission_http.platform.json_responses import json_response
from mission_http.platform.price_amounts import ChangedPrice, NewPrice, dollars_of, told_prices
from mission_http.platform.shapes import Of, Payload

YEAR_9999: Final = 253_402_300_799
"""The last second of the year 9999."""
Seconds = Annotated[int, NumberRange(0, YEAR_9999)]


class PriceBody(NewPrice):
    since: Seconds | None = None
    until: Seconds | None = None


class UpdatePriceBody(ChangedPrice):
    since: Seconds | Absent | None = ABSENT
    until: Seconds | Absent | None = ABSENT


class PricePayload(FleetPayload[PriceOverride]):
    id: Annotated[int, Of("number")]
    model: str
    provider: str | None
    since: UnixSeconds | None
    until: UnixSeconds | None
    input: Annotated[float, Of("input", dollars_of)]
    output: Annotated[float, Of("output", dollars_of)]
    cache_read: Annotated[float | None, Of("cache_read", dollars_of)]
    cache_write: Annotated[float | None, Of("cache_write", dollars_of)]
    reasoning: Annotated[float | None, Of("reasoning", dollars_of)]
    input_audio: Annotated[float | None, Of("input_audio", dollars_of)]
    output_audio: Annotated[float | None, Of("output_audio", dollars_of)]
    batch: int
    created_at: UnixSeconds
    updated_at: UnixSeconds
    version: int


class PriceAnswerPayload(Payload):
    price: PricePayload


class PriceListPayload(Payload):
    prices: list[PricePayload]
    total: int


def _told(body: Body) -> dict[str, Any]:
    told = told_prices(dict(field_values(body)))
    return told | {name: moment_of(told[name]) for name in ("since", "until") if told.get(name) is not None}


def _response(price: PriceOverride, status: int = 200) -> Response:
    return json_response(PriceAnswerPayload(price=PricePayload.of(price)), status, {"etag": etag_of(price.version)})


async def list_all_prices(request: Request) -> Response:
    """
    List the prices of models that the workspace has set, oldest first.

    Of several that fit a report the last one counts. They come before the prices of the operator's file and of the
    package `genai-prices`.
    """
    found = await list_price_overrides(ports_of(request), principal_of(request))
    return json_response(PriceListPayload(prices=[PricePayload.of(each) for each in found], total=len(found)))


async def add_price(request: Request) -> Response:
    """
    Set the price of a model, in dollars per million tokens.

    It applies to what is reported from now on, also if it was used earlier. No cost that was computed changes.
    """
    command = CreatePriceOverride(**_told(await body_of(request, PriceBody)))
    price = await perform_once(request, create_price_override, command, read_row_again(PRICE_OVERRIDES))
    return _response(price, 201)


async def read_price(request: Request) -> Response:
    """
    Get a price.
    """
    return _response(await get_price_override(ports_of(request), principal_of(request), price_in(request)))


async def change_price(request: Request) -> Response:
    """
    Update a price.

    Fields that are not sent stay as they are. No cost that was computed changes.
    """
    key, told = price_in(request), _told(await body_of(request, UpdatePriceBody))
    command = UpdatePriceOverride(price=key, expects=expected_version_of(request), **told)
    return _response(await update_price_override(ports_of(request), principal_of(request), command))


async def remove_price(request: Request) -> Response:
    """
    Delete a price. No cost that was computed changes.
    """
    command = DeletePriceOverride(price=price_in(request), expects=expected_version_of(request))
    await delete_price_override(ports_of(request), principal_of(request), command)
    return json_response(SuccessPayload(success=True))


ENDPOINTS = [
    Endpoint(
        "GET", "/prices", list_all_prices, gives=PriceListPayload, who=VIEWER,
        refuses=(BoardAgentConfined, BoardDenied), operation_id="fleet_listPrices",
    ),
    Endpoint(
        "POST", "/prices", add_price, takes=PriceBody, gives=PriceAnswerPayload, status=201, who=ADMIN,
        headers=(IDEMPOTENCY_KEY,), refuses=(KeyReused, TooManyPriceOverrides), operation_id="fleet_createPrice",
    ),
    Endpoint(
        "GET", "/prices/{id}", read_price, gives=PriceAnswerPayload, who=VIEWER,
        refuses=(BoardAgentConfined, BoardDenied, PriceOverrideNotFound), operation_id="fleet_getPrice",
    ),
    Endpoint(
        "PATCH", "/prices/{id}", change_price, takes=UpdatePriceBody, gives=PriceAnswerPayload, who=ADMIN,
        headers=(IF_MATCH,), refuses=(PriceOverrideNotFound, VersionMismatch), operation_id="fleet_updatePrice",
    ),
    Endpoint(
        "DELETE", "/prices/{id}", remove_price, gives=SuccessPayload, who=ADMIN, headers=(IF_MATCH,),
        refuses=(PriceOverrideNotFound, VersionMismatch), operation_id="fleet_deletePrice",
    ),
]  # fmt: skip
