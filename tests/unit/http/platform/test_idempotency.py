import pytest

from tests.unit.http.platform.sample_app import ask

BODY = b'{"title": "x"}'


async def once(app, path="/api/things", body=BODY, **headers):
    return (await ask(app, "POST", path, body, **headers)).json["once"]


async def test_a_request_without_a_key_asks_for_nothing(app):
    assert None is await once(app)


async def test_a_repeat_is_equal_in_all_parts(app):
    assert await once(app, idempotency_key="k 1") == await once(app, idempotency_key="k 1")


async def test_key_operation_and_digest_are_told_apart(app):
    key, operation, digest = await once(app, idempotency_key="k")

    assert ("k", "POST /api/things", 64) == (key, operation, len(digest))


@pytest.mark.parametrize(("path", "body"), [("/api/things?x", BODY), ("/api/things", b'{"title": "y"}')])
async def test_another_body_or_query_has_another_digest(app, path, body):
    assert await once(app, idempotency_key="k") != await once(app, path, body, idempotency_key="k")


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "caf\xe9", "a\tb"])
async def test_an_unfit_key_is_refused(app, key):
    answer = await ask(app, "POST", "/api/v1/things", BODY, idempotency_key=key)

    assert (422, ["header", "Idempotency-Key"]) == (answer.status, answer.json["detail"][0]["loc"])
