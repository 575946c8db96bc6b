"""
Prices of an organization in both APIs. The laws of resources check those of the Boards API, too.
"""

from typing import Any

import pytest

from tests.contract.boards_driver import BoardsDriver
from tests.contract.fleet_driver import FleetDriver

PRICE = {"model": "Ours*", "provider": "our-gpus", "input": 0.2, "output": 0.000000001, "cache_read": 0.02}
LEFT_OUT = {"cache_write": None, "reasoning": None, "input_audio": None, "output_audio": None, "batch": 100}


async def test_a_price_of_the_fleet_api_is_made_read_changed_and_deleted(fleet: FleetDriver) -> None:
    """
    Under its number, with times in Unix seconds and dollars as they were sent.
    """
    made = await fleet.call("POST", "/prices", PRICE | {"since": 1_700_000_000})
    price = made.json["price"]
    path = f"/prices/{price['id']}"
    changed = await fleet.call("PATCH", path, {"until": 1_800_000_000, "cache_read": None, "batch": 50})
    listed = await fleet.got("GET", "/prices")

    assert (201, '"0"') == (made.status, made.headers["etag"])
    assert PRICE | LEFT_OUT | {"since": 1_700_000_000, "until": None} == {
        name: value for name, value in price.items() if name not in ("id", "created_at", "updated_at", "version")
    }
    assert '"1"' == changed.headers["etag"]
    assert {"until": 1_800_000_000, "cache_read": None, "batch": 50, "version": 1}.items() <= changed.json[
        "price"
    ].items()
    assert ({"prices": [changed.json["price"]], "total": 1}, changed.json) == (listed, await fleet.got("GET", path))

    assert {"success": True} == await fleet.got("DELETE", path)
    for method in ("GET", "PATCH", "DELETE"):
        assert 404 == (await fleet.call(method, path, {} if method == "PATCH" else None)).status


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"input": -1}, "input"), ({"output": 5001}, "output"), ({"model": ""}, "model"), ({"batch": 101}, "batch"),
        ({"since": 5, "until": 5}, "until"), ({"cache_read": "x"}, "cache_read"),
    ],
)  # fmt: skip
async def test_a_wrong_price_is_refused_by_its_field(fleet: FleetDriver, wrong: dict[str, Any], name: str) -> None:
    answer = await fleet.call("POST", "/prices", PRICE | wrong)

    assert 400 == answer.status
    assert name in str(answer.json)
    assert 0 == (await fleet.got("GET", "/prices"))["total"]


async def test_a_time_in_the_boards_api_is_shown_as_it_was_sent(boards: BoardsDriver) -> None:
    sent = PRICE | {"since": "2026-01-01T02:00:00+02:00", "until": "2026-07-01T00:00:00Z"}
    made = await boards.got("POST", "/api/v1/prices", sent)
    again = await boards.got("PATCH", f"/api/v1/prices/{made['id']}", {"since": made["since"], "until": made["until"]})

    assert ("2026-01-01T00:00:00", "2026-07-01T00:00:00") == (made["since"], made["until"])
    assert PRICE.items() <= made.items()
    assert made == again


async def test_a_report_is_priced_by_it(boards: BoardsDriver) -> None:
    """
    The entry tells the price and its version.
    """
    price = await boards.got("POST", "/api/v1/prices", PRICE)
    used = {"model": "our-gpus/ours-7b", "input_tokens": 1000, "output_tokens": 0}
    entry = await boards.got("POST", "/api/v1/usage", used)

    assert (200_000, "override", f"{price['id']}@0") == tuple(
        entry[name] for name in ("cost_nano", "price_source", "price_version")
    )


async def test_agents_keys_read_prices_and_only_admins_set_them(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    price = (await fleet.got("POST", "/prices", PRICE, 201))["price"]

    assert 1 == (await fleet.got("GET", "/prices", key=token))["total"]
    for method, path, body in (
        ("POST", "/prices", PRICE), ("PATCH", f"/prices/{price['id']}", {"input": 0}),
        ("DELETE", f"/prices/{price['id']}", None),
    ):  # fmt: skip
        assert 403 == (await fleet.call(method, path, body, key=token)).status
    assert [price] == (await fleet.got("GET", "/prices"))["prices"]
