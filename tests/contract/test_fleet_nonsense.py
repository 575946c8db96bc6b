"""
No input of the Fleet API is answered with a mistake of the server.
"""

from typing import Any

import pytest

from mission_http.fleet.dialect import fleet_dialect
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.shapes import fields_of, wire_name
from tests.contract.fleet_driver import Fleet, a_setting

VALUES: list[Any] = [
    None, True, 0, -1, 1, 1.5, 2**31, 2**63, 2**70, 1e308, "", " ", "x", "1", "\0", "é" * 300, "x" * 30_000,
    "0195a000-0000-7000-8000-000000000000", "\u2028\U0001f600\u202e", [], [None], ["x", "x"], [1, 1], [2**70], {},
    {"a": "\0"}, {"\0": 1}, {"a": {"b": [2**70, 1e308]}}, [[[]]],
]  # fmt: skip
SEGMENTS = ["1", "0", "x", "\0", "9" * 40, "-5", "1e999", "0x10", "é", " 1", "0195a000-0000-7000-8000-000000000000"]
ENDPOINTS = [each for each in fleet_dialect(a_setting()).endpoints if "docs" not in each.path]
NEEDED = {"title": "t", "name": "n", "role": "coder", "lease": "l", "reason": "crashed", "kind": "pause"}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.operation_id)
async def test_nonsense_is_refused(fleet: Fleet, endpoint: Endpoint) -> None:
    await fleet.agent("x")
    task = await fleet.task()
    for segment in [*SEGMENTS, str(task["id"])]:
        await understood(fleet, endpoint, segment, {})
    names = names_of(endpoint.takes)
    fit = {name: value for name, value in NEEDED.items() if name in names}
    for segment in (str(task["id"]), str(fleet.project), "x"):
        for value in VALUES:
            await understood(fleet, endpoint, segment, value)
            for name in names:
                await understood(fleet, endpoint, segment, fit | {name: value})


@pytest.mark.parametrize(
    "endpoint", [each for each in ENDPOINTS if each.query is not None], ids=lambda each: each.operation_id
)
async def test_nonsense_in_a_query_is_refused(fleet: Fleet, endpoint: Endpoint) -> None:
    values = ["", "%00", "-1", "9" * 40, "x", "%ff", "1e9", "%F0%9F%98%80", "a" * 5000]
    for name in names_of(endpoint.query):
        for value in values:
            answer = await fleet.call("GET", f"{endpoint.path}?{name}={value}")
            assert answer.status < 500, (name, value, answer.body)


def names_of(shape: type | None) -> list[str]:
    return [wire_name(one) for one in fields_of(shape)] if shape else []


async def understood(fleet: Fleet, endpoint: Endpoint, segment: str, body: Any) -> None:
    path = endpoint.path.replace("{id}", segment)
    for header in ({}, {"idempotency_key": "k", "if_match": '"9999999999999999"', "x_agent_name": "é" * 200}):
        answer = await fleet.call(endpoint.method, path, body, **header)
        assert answer.status < 500, (path, body, header, answer.body)
