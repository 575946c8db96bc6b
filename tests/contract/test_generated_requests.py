"""
Whatever is sent to whatever operation: it is taken, or refused in the dialect's own shape with a status that the
document tells; and what is refused has changed nothing.
"""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from mission_core.conversations.chat_use_cases import SendChatMessage, send_chat_message
from mission_core.ports import Ports
from mission_http.platform.endpoints import MEGABYTE, Dialect, Endpoint
from mission_http.platform.field_annotations import fields_of, wire_name
from tests.contract.generated_requests import names_in
from tests.contract.populated_app import (
    OPERATIONS,
    UNKNOWN_ID,
    PopulatedApp,
    SharedApp,
    operation_id,
    parameters_of,
    wrong_locations,
)

Operation = tuple[Dialect, Endpoint]

SEGMENTS = ("0", "-5", "9" * 40, "1e999", "0x10", "%00", "é", " ", "nobody-is-called-so", "..", "0195a000", "a" * 3000)
WORDS = ("", " ", "\0", "-1", "0", "1e9", "9" * 40, "x", "null", "a" * 5000, "2026-13-45", "%ff", ",", "\U0001f600")
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 2**63, 2**70, 1e308, "", " ", "x", "\0", "x" * 30_000, "2026-13-45", [], [None],
    [2**70, "x"], {}, {"\0": 1}, {"a": {"b": [2**70]}}, "0195a000-0000-7000-8000-000000000000",
)  # fmt: skip
BODIES = {
    "nothing": b"",
    "half an object": b'{"title": ',
    "no JSON": b"title=x",
    "no text": b"\xff\xfe",
    "not a number": b'{"title": NaN}',
    "a lone surrogate": b'{"title": "\\ud800", "name": "\\udfff"}',
    "a name that is a lone surrogate": b'{"\\ud800": 1}',
    "NUL": b'{"title": "\\u0000", "name": "\\u0000", "content": "\\u0000", "message": "\\u0000"}',
    "a huge number": b'{"title": ' + b"9" * 5000 + b', "priority": 1e99999}',
    "a deep list": b"[" * 50_000 + b"]" * 50_000,
    "deep objects": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "a list": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "the same name twice": b'{"title": 1, "title": 2}',
}
UNREADABLE = {"half an object", "no JSON", "no text", "not a number", "a deep list", "deep objects"}
FORGIVING = {"fleet_triggerAgentHeartbeat"}
"""Operations to which a body that cannot be read is no body: an agent that garbles its report is still alive."""
HEADERS = {
    "if-match": ("7", '"', '"' + "9" * 60 + '"', "\xff", ""),
    "idempotency-key": ("", "x" * 256, "\x01", "é"),
    "x-request-id": ("x" * 500, "\x7f", ""),
    "content-type": ("text/plain", "application/x-www-form-urlencoded", "\xff", ""),
    "content-encoding": ("gzip", "identity", "\xff"),
    "content-length": ("-1", "x", "99999999999999999999"),
    "x-agent-name": ("\xff", " ", "x" * 500),
    "x-agent-instance": ("\xff", "", "x" * 500),
    "x-agent-token": ("\xff", "x" * 5000),
    "x-api-key": ("\xff", "x" * 5000),
    "authorization": ("Bearer", "Bearer \xff", "Basic x", "Bearer " + "x" * 5000),
    "accept": ("\xff", "text/html"),
    "last-event-id": ("x", "9" * 40),
}  # fmt: skip

of_operations = pytest.mark.parametrize("operation", OPERATIONS, ids=operation_id)
on_databases = pytest.mark.parametrize("store_url", ["sqlite", "postgres"], indirect=True, scope="session")
"""For values that a store may get: no server serves the memory store."""
READING = [each for each in OPERATIONS if each[1].takes is not None and each[1].operation_id not in FORGIVING]
taking_bodies = pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each[1].takes is not None], ids=operation_id
)


@pytest.fixture(scope="module")
async def shared(ports: Ports) -> AsyncIterator[SharedApp]:
    """
    Both dialects over the store, for all tests of this module.
    """
    shared = SharedApp(ports)
    yield shared
    await shared.open.aclose()


@pytest.fixture
async def everything(shared: SharedApp) -> PopulatedApp:
    """
    Both dialects over the store, with one of everything.
    """
    return await shared.unchanged()


async def test_every_path_leads_to_something(everything: PopulatedApp) -> None:
    """
    Or else whatever is sent would be refused before anybody looked at it.
    """
    assert not [operation_id(each) for each in OPERATIONS if UNKNOWN_ID in everything.path(each)]


async def test_what_changes_something_says_so(everything: PopulatedApp) -> None:
    """
    By its method or by itself, for pages of other sites may make a browser ask for all the rest. Asking for the head of
    an answer changes nothing.
    """
    changed, world = set(), everything.world
    for operation in [each for each in OPERATIONS if each[1].method == "GET"]:
        moved, statuses = [], []
        due = SendChatMessage(content="One is notified of it", recipient="one")
        await send_chat_message(world.ports, world.me, due)
        for method in ("HEAD", "GET"):
            before = await everything.head()
            answer = await everything.call(operation, method=method, x_agent_name="ada")
            moved.append(before != await everything.head())
            statuses.append(answer.status)
        changed |= {operation_id(operation)} if moved[1] else set()

        assert not moved[0], operation_id(operation)
        assert statuses[0] == statuses[1], operation_id(operation)
    assert {operation_id(each) for each in OPERATIONS if each[1].changes} == changed


async def understood(everything: PopulatedApp, operation: Operation, **sent: Any) -> Any:
    """
    The answer, which must be one that the document tells; a refusal must have changed nothing, and say something.
    """
    before = await everything.head()
    answer = await everything.call(operation, **sent)

    assert answer.status < 500 or answer.status == 502, (sent, answer.body)
    if answer.status >= 400:
        assert before == await everything.head(), (sent, answer.body)
        assert any(answer.json.get(name) for name in ("error", "detail", "message")), (sent, answer.body)
    return answer


@on_databases
@pytest.mark.parametrize("operation", [each for each in OPERATIONS if parameters_of(each)], ids=operation_id)
async def test_a_malformed_path_is_refused(everything: PopulatedApp, operation: Operation) -> None:
    """
    Each parameter by itself, by name where the dialect has only one way to spell it.
    """
    dialect = operation[0]
    for _, name in parameters_of(operation):
        for segment in SEGMENTS:
            path = everything.path(operation, **{name: quote(segment, safe="%")})
            answer = await understood(everything, operation, path=path, raw=b"{}")

            assert 400 <= answer.status < 500 or dialect.name == "Fleet", (path, answer.body)


@on_databases
@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each[1].query is not None], ids=operation_id)
async def test_any_query_is_taken_or_refused(everything: PopulatedApp, operation: Operation) -> None:
    """
    Each parameter by itself, sent twice, or cut short; a refusal names it.
    """
    query = operation[1].query
    assert query is not None
    for name in map(wire_name, fields_of(query)):
        for word in WORDS:
            sent = f"{name}={quote(word.encode('utf-8', 'surrogatepass'))}"
            answer = await understood(everything, operation, path=f"{everything.path(operation)}?{sent}&{sent}")
            places = list(wrong_locations(answer))

            assert not places or name in places, (sent, answer.body)
    await understood(everything, operation, path=f"{everything.path(operation)}?&=&%&a=%zz&" + "b=1&" * 300)


@on_databases
@of_operations
async def test_any_header_is_taken_or_refused(everything: PopulatedApp, operation: Operation) -> None:
    """
    Also those that nobody reads.
    """
    raw = b"{}" if operation[1].takes is not None else b""
    for name, values in HEADERS.items():
        for value in values:
            await understood(everything, operation, raw=raw, **{name: value})


@pytest.mark.one_store
@of_operations
async def test_any_bytes_are_taken_or_refused(everything: PopulatedApp, operation: Operation) -> None:
    """
    What is no JSON is refused wherever a body is read, whatever else is wrong.
    """
    for what, raw in BODIES.items():
        answer = await understood(everything, operation, raw=raw)

        if what in UNREADABLE and operation in READING:
            assert 400 <= answer.status < 500, (what, answer.body)


@pytest.mark.one_store
@pytest.mark.parametrize("operation", READING, ids=operation_id)
async def test_a_body_that_is_too_large_is_refused(everything: PopulatedApp, operation: Operation) -> None:
    """
    Before it is read as anything.
    """
    answer = await understood(everything, operation, raw=b'{"x": "' + b"x" * MEGABYTE + b'"}')

    assert 413 == answer.status, answer.body


@on_databases
@taking_bodies
async def test_any_value_of_a_field_is_taken_or_refused(everything: PopulatedApp, operation: Operation) -> None:
    """
    Each field by itself; a refusal of fields names this one, or those that are missing.
    """
    names = names_in(operation[1].takes)
    known = {*names, *wrong_locations(await understood(everything, operation, raw=b"{}"))}
    for name in names:
        for value in VALUES:
            answer = await understood(everything, operation, raw=json.dumps({name: value}).encode())

            assert set(wrong_locations(answer)) <= known, (name, value, answer.body)


@pytest.mark.one_store
@taking_bodies
async def test_every_wrong_field_is_named(everything: PopulatedApp, operation: Operation) -> None:
    """
    Fields that are refused one by one are all named when they come together.
    """
    wrong = {}
    for name in names_in(operation[1].takes):
        for value in ({"no": [{"such": "thing"}]}, [[["nothing"]]]):
            answer = await understood(everything, operation, raw=json.dumps({name: value}).encode())
            if name in wrong_locations(answer):
                wrong[name] = value
    answer = await understood(everything, operation, raw=json.dumps(wrong).encode())

    assert set(wrong) <= set(wrong_locations(answer)), answer.body
