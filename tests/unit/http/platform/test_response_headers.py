import re

import pytest

from mission_http.platform.response_headers import SecurityHeaders
from tests.unit.http.platform.sample_app import EVERYWHERE, ask, sample_app


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
async def test_a_sent_request_id_is_on_every_response(app, method, path):
    answer = await ask(app, method, path, x_request_id="  one id, with spaces ")

    assert "one id, with spaces" == answer.headers["x-request-id"]


@pytest.mark.parametrize("sent", ["", "   ", "x" * 129, "caf\xe9", "a\tb", "a\x7f"])
async def test_an_unfit_request_id_is_replaced(app, sent):
    answer = await ask(app, "GET", "/healthz", x_request_id=sent)

    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


async def test_generated_request_ids_differ(app):
    ids = {(await ask(app, "GET", "/healthz")).headers["x-request-id"] for _ in range(20)}

    assert 20 == len(ids)


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
async def test_security_headers_are_on_every_response(app, method, path):
    answer = await ask(app, method, path)

    assert {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "strict-origin-when-cross-origin",
    }.items() <= answer.headers.items()


async def test_a_dialect_adds_headers_of_its_own(app):
    plain, kind = [await ask(app, "GET", f"{prefix}/things/5") for prefix in ("/api", "/api/v1")]

    assert ("camera=()", "default-src 'self'") == (
        plain.headers["permissions-policy"],
        plain.headers["content-security-policy"],
    )
    assert {"permissions-policy", "content-security-policy"}.isdisjoint(kind.headers)


@pytest.mark.parametrize(("value", "shown"), [("usb=()", ("usb=()", "usb=()")), (" ", (None, None))])
async def test_settings_beat_the_dialect_and_blank_switches_off(value, shown):
    app = sample_app(SecurityHeaders(permissions_policy=value))
    answers = [await ask(app, "GET", path) for path in ("/api/things/special", "/healthz")]

    assert shown == tuple(answer.headers.get("permissions-policy") for answer in answers)


@pytest.mark.parametrize(
    ("security", "scheme", "sent"),
    [
        (SecurityHeaders(), "https", None),
        (SecurityHeaders(strict_transport_security="max-age=1"), "https", "max-age=1"),
        (SecurityHeaders(strict_transport_security="max-age=1"), "http", None),
        (SecurityHeaders(strict_transport_security="max-age=1", hsts_anywhere=True), "http", "max-age=1"),
        (SecurityHeaders(strict_transport_security="", hsts_anywhere=True), "http", None),
    ],
)
async def test_strict_transport_security_is_sent_where_it_is_heeded_or_wanted(security, scheme, sent):
    answer = await ask(sample_app(security), "GET", "/healthz", scheme=scheme)

    assert sent == answer.headers.get("strict-transport-security")


async def test_a_header_is_never_sent_twice(app):
    answer = await ask(app, "GET", "/docs")
    names = [name for name, _ in answer.raw_headers]

    assert len(names) == len(set(names))
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
