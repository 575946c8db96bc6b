"""
No input to the Boards API gets a 500.
"""

import json
from typing import Any

import pytest
from attrs import fields
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mission_http.boards.agent_payloads import AgentCreate
from mission_http.boards.lease_payloads import (
    LeaseHeartbeat,
    TaskClaim,
    TaskComplete,
    TaskFail,
    TaskOrder,
    TaskRelease,
)
from mission_http.boards.payloads import BoardCreate, BoardUpdate, TaskCreate, TaskUpdate
from tests.contract.boards_driver import Boards

SHAPES = {
    ("POST", "/api/v1/boards"): BoardCreate,
    ("PATCH", "/api/v1/boards/{board}"): BoardUpdate,
    ("POST", "/api/v1/agents"): AgentCreate,
    ("POST", "{tasks}"): TaskCreate,
    ("PATCH", "{tasks}/{task}"): TaskUpdate,
    ("POST", "{tasks}/claim"): TaskClaim,
    ("POST", "{tasks}/{task}/claim"): TaskClaim,
    ("POST", "{tasks}/{task}/lease/heartbeat"): LeaseHeartbeat,
    ("POST", "{tasks}/{task}/complete"): TaskComplete,
    ("POST", "{tasks}/{task}/fail"): TaskFail,
    ("POST", "{tasks}/{task}/release"): TaskRelease,
    ("POST", "{tasks}/{task}/orders"): TaskOrder,
}
WORDS = ("inbox", "in_progress", "review", "done", "pause", "steal", "transient", "2027-01-01", "", " ", "ada", "\x00")
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(WORDS)
    | st.uuids().map(str)
    | st.datetimes().map(lambda moment: moment.isoformat())
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))
QUERIES = ("limit", "offset", "status", "assigned_agent_id", "unassigned", "gateway_id", "board_group_id", "board_id")


def bodies(shape: type) -> st.SearchStrategy[Any]:
    """
    Bodies with some of the fields, of any value.
    """
    optional = {field.name: VALUES for field in fields(shape)}
    return st.fixed_dictionaries({}, optional=optional) | VALUES


@pytest.fixture
async def place(boards: Boards) -> dict[str, str]:
    """
    A task under way, and how its paths are spelled.
    """
    task = (await boards.task())["id"]
    lease = (await boards.got("POST", f"{boards.tasks}/claim", {"agent": "ada"}))["lease"]["lease"]
    return {"board": str(boards.board), "tasks": boards.tasks, "task": task, "lease": lease}


CALLS = st.one_of([st.tuples(st.just(place), bodies(shape)) for place, shape in SHAPES.items()])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(call=CALLS, leased=st.booleans())
async def test_any_body_is_taken_or_refused(boards, place, call, leased):
    (method, path), body = call
    if leased and isinstance(body, dict):
        body = body | {"lease": place["lease"]}
    answer = await boards.call(method, path.format(**place), raw=json.dumps(body).encode())

    assert answer.status < 500, answer.body


@pytest.mark.parametrize("path", ["/api/v1/boards", "{tasks}", "/api/v1/agents", "{tasks}/{task}/runs"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.sampled_from(QUERIES), max_size=3), value=st.text(max_size=10) | st.integers().map(str))
async def test_any_query_is_taken_or_refused(boards, place, path, names, value):
    query = "&".join(f"{name}={value}" for name in names).encode("utf-8", "replace").decode("latin-1")
    answer = await boards.call("GET", f"{path.format(**place)}?{query}".replace("#", ""))

    assert answer.status < 500, answer.body


@pytest.mark.parametrize("name", ["authorization", "x-agent-token", "if-match", "idempotency-key", "content-type"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(max_codepoint=255), max_size=20))
async def test_any_header_is_taken_or_refused(boards, name, value):
    answer = await boards.call("POST", boards.tasks, {"title": "T"}, **{name: value})

    assert answer.status < 500, answer.body
