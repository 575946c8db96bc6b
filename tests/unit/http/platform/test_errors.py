import logging

import pytest
from attrs import evolve

from mission_core.errors import Exhausted, Invalid, NotFound, StoreFailed
from mission_http.app import create_app
from tests.unit.http.platform.sample_app import KIND, PLAIN, ThingNotFound, ask, wire


async def test_a_refusal_is_rendered_by_its_dialect(app):
    plain, kind = [
        await ask(app, "GET", path, x_request_id="r1") for path in ("/api/things/none", "/api/v1/things/none")
    ]

    assert (404, {"error": "Thing not found"}) == (plain.status, plain.json)
    assert (404, {"detail": "Thing not found", "request_id": "r1"}) == (kind.status, kind.json)


def test_a_status_is_found_along_the_ancestors():
    class Nameless(ThingNotFound):
        pass

    kinds = (Nameless, NotFound, StoreFailed, Exhausted, Invalid, ValueError)

    assert [404, 404, 507, 507, 400, 500] == [PLAIN.status_of(kind) for kind in kinds]
    assert [404, 404, 503, 503, 422, 500] == [KIND.status_of(kind) for kind in kinds]


@pytest.mark.parametrize("path", ["/api/broken", "/api/v1/broken"])
async def test_the_unexpected_is_told_without_its_reason_and_logged_with_it(app, path, caplog):
    answer = await ask(app, "GET", path, x_request_id="r1")

    assert 500 == answer.status
    assert "Internal Server Error" in answer.json.values()
    assert {"x-request-id": "r1", "x-frame-options": "DENY"}.items() <= answer.headers.items()
    assert "r1" in caplog.text
    assert "ZeroDivisionError: the secret is 42" in caplog.text


async def test_a_failure_in_mid_stream_breaks_the_connection_and_is_logged(app, caplog):
    with pytest.raises(ZeroDivisionError):
        await ask(app, "GET", "/api/stream", x_request_id="r1")

    assert "too late" in caplog.text


async def test_an_error_that_cannot_be_rendered_is_still_answered(caplog):
    def speechless(*_):
        raise LookupError("no words")

    app = create_app(wire, [evolve(KIND, render=speechless)])
    answer = await ask(app, "GET", "/api/v1/nothing")

    assert (500, b"Internal Server Error") == (answer.status, answer.body)
    assert "no words" in caplog.text


async def test_the_edge_is_asked_before_anything_is_told(app):
    unknown, wrong, options = [
        await ask(app, method, path, key=None)
        for method, path in (("GET", "/api/nothing"), ("DELETE", "/api/things"), ("OPTIONS", "/api/things"))
    ]

    assert [401, 401, 401] == [unknown.status, wrong.status, options.status]


async def test_a_public_endpoint_asks_for_nobody(app):
    answer = await ask(app, "GET", "/api/things/special", key=None)

    assert 200 == answer.status


async def test_a_client_that_leaves_is_not_answered(app, caplog):
    caplog.set_level(logging.INFO)
    sent = []
    scope = {
        "type": "http", "method": "POST", "path": "/api/v1/things", "query_string": b"", "headers": [],
    }  # fmt: skip

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)

    assert ([], "") == (sent, caplog.text)
