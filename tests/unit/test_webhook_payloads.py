"""
What came in by a webhook: as it is kept, shown and told of.
"""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.automation.board_webhooks import BoardWebhook, header_name_from
from mission_core.automation.webhook_payloads import (
    DATA_BEGIN,
    DATA_END,
    DATA_MARKER,
    MAX_JSON_DEPTH,
    MAX_PREVIEW_LENGTH,
    WebhookPayload,
    json_from_body,
    kept_headers,
    payload_message,
    truncated,
    without_markers,
)
from mission_core.errors import InvalidField
from mission_core.values import UNSTORABLE, JsonText

AT = datetime(2026, 1, 1, tzinfo=UTC)
content_types = st.none() | st.sampled_from(["application/json", "Application/JSON; charset=x", "text/plain", ""])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
"""Any JSON value, whether stores can hold its texts or not."""
lookalikes = st.text("-—BEGINDbegin end_EXTERNALexternal DATAdata\n\u200b", max_size=80)
bodies = (
    st.binary(max_size=200)
    | st.text(max_size=80).map(lambda words: words.encode("utf-8", "surrogatepass"))
    | anything.map(lambda value: json.dumps(value).encode())
    | st.sampled_from([b"[NaN]", b"{", b"1e999", b"9" * 5000, b'["\\ud800\\u0000"]', b'{"\\u0000": 1}'])
)


def kept(body, content_type=None):
    return json.loads(json_from_body(body, content_type))


@given(bodies, content_types)
def test_whatever_comes_in_can_be_kept(body, content_type):
    """
    As JSON without what some store cannot hold.
    """
    form = json_from_body(body, content_type)
    json.loads(form, parse_constant=pytest.fail)

    assert not UNSTORABLE.search(form)
    assert "\\u0000" not in form.replace("\\\\", "")
    assert not UNSTORABLE.search(str(json.loads(form)))


@given(some.json_values | st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([None, ", ", ",\n"]))
def test_json_that_is_called_so_is_kept_as_what_it_is(value, separator):
    """
    However it was written.
    """
    body = json.dumps(value, separators=separator and (separator, ":"), ensure_ascii=separator is None).encode()

    assert value == kept(body, "application/json; charset=utf-8")


objects = st.dictionaries(some.texts(most=10), some.json_values)


@given(objects | st.lists(some.json_values) | some.texts() | st.booleans())
def test_what_looks_like_json_is_kept_as_what_it_is(value):
    """
    Whatever it is called.
    """
    assert value == kept(json.dumps(value).encode(), "text/plain")


@given(some.texts(least=1).filter(lambda words: words[0] not in '{["' and words not in ("true", "false")))
def test_other_text_is_kept_as_text(words):
    """
    Also where it could be a number, or null.
    """
    assert words == kept(words.encode(), "text/plain")


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"", None, {}),
        (b"", "application/json", {}),
        (b"null", "application/json", None),
        (b"null", None, "null"),
        (b"7", "application/vnd.x+json", "7"),
        (b" {}", None, " {}"),
        (b" {}", "application/json", {}),
        (b'\xef\xbb\xbf{"a": 1}', "application/json", {"a": 1}),
        (b"{nope", "application/json", "{nope"),
        (b"[NaN]", None, "[NaN]"),
        (b"[1e999]", None, "[1e999]"),
        (b"\xff\xfe", None, "\ufffd\ufffd"),
        (b"a\0b", None, "a\ufffdb"),
        (b'{"a\\u0000": "\\ud800"}', None, {"a\ufffd": "\ufffd"}),
        (
            b"[" * (MAX_JSON_DEPTH + 1) + b"]" * (MAX_JSON_DEPTH + 1),
            None,
            json.loads("[" * (MAX_JSON_DEPTH + 1) + "]" * (MAX_JSON_DEPTH + 1)),
        ),
        (
            b"[" * (MAX_JSON_DEPTH + 2) + b"]" * (MAX_JSON_DEPTH + 2),
            None,
            "[" * (MAX_JSON_DEPTH + 2) + "]" * (MAX_JSON_DEPTH + 2),
        ),
        (b"[" * 100_000, "application/json", "[" * 100_000),
        (b"9" * 5000, "application/json", "9" * 5000),
    ],
)
def test_a_body_is_kept_as_what_it_is_taken_for(body, content_type, expected):
    """
    As JSON where it is some, else as its text.
    """
    assert expected == kept(body, content_type)


def test_the_fields_of_a_payload_stay_in_order():
    """
    As the sender wrote them.
    """
    assert '{"z":1,"a":[2,{"y":3,"b":"é"}]}' == json_from_body('{"z": 1, "a": [2, {"y": 3, "b": "é"}]}'.encode(), None)


payloads = some.json_values.map(lambda value: json_from_body(json.dumps(value).encode(), "application/json"))


@given(payloads, st.integers(1, 60))
def test_a_payload_is_cut_to_its_length(payload, most):
    """
    What is not longer stays what it is; of what is longer the beginning is left, and three dots where they fit.
    """
    value = json.loads(payload)
    told = value if isinstance(value, str) else json.dumps(value)
    shown = json.loads(truncated(payload, most))
    if len(told) <= most:
        assert value == shown
    else:
        assert most == len(shown)
        assert shown == (told[:most] if most <= 3 else f"{told[: most - 3]}...")


header_names = st.sampled_from(
    ["X-Event", "x-event", "X-Delivery", "User-Agent", "Content-Type", "Accept", "Host", "X-Own-Name"]
)
headers = st.lists(st.tuples(header_names, st.text(max_size=20)))


@given(headers)
def test_of_the_headers_those_are_kept_that_tell_of_the_sender(given_headers):
    """
    In small letters, and several of one name together.
    """
    form = kept_headers(given_headers, signature_header="X-Own-Name")
    found = {} if form is None else json.loads(form)
    names = {name.lower() for name, _ in given_headers} - {"accept", "host", "x-own-name"}

    assert names == set(found)
    assert (form is None) is (not names)
    for name in names:
        values = [UNSTORABLE.sub("\ufffd", value) for sent, value in given_headers if sent.lower() == name]
        assert ", ".join(values) == found[name]


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "X-Api-Key", "X-Gitlab-Token", "X-Agent-Token", "X-Hub-Signature", "X-Hub-Signature-256",
        "X-Webhook-Signature", "X-Amz-Security-Token", "X-Auth", "X-Shopify-Hmac-Sha256", "X-Forwarded-Access-Token",
        "X-Secret", "X-Password", "X-Session-Id", "X-Goog-Iap-Jwt-Assertion", "X-Client-Cert", "X-Set-Cookie", "Cookie",
        "X-Twilio-Signature", "X-Otp", "X-Signed-By", "X-Credential", "X-MY-APIKEY",
    ],
)  # fmt: skip
def test_no_header_that_may_carry_a_secret_is_kept(name):
    """
    However it is spelled.
    """
    for spelled in (name, name.lower(), name.upper()):
        assert kept_headers([(spelled, "s3cr3t")]) is None


def told_of(payload, description="Look at it"):
    webhook = BoardWebhook(
        id=UUID(int=2), number=1, organization=UUID(int=3), board=UUID(int=4), description=description,
        created_at=AT, updated_at=AT,
    )  # fmt: skip
    came = WebhookPayload(
        id=UUID(int=5), number=1, organization=webhook.organization, board=webhook.board, webhook=webhook.id,
        payload=JsonText(payload), received_at=AT,
    )  # fmt: skip
    return payload_message(webhook, came, inspect="/there")


def test_a_board_is_told_which_payload_came_and_how_it_begins():
    """
    What is from outside stands between two marks, and what is to be done with it before them.
    """
    assert [
        "WEBHOOK PAYLOAD RECEIVED", f"Board ID: {UUID(int=4)}", f"Webhook ID: {UUID(int=2)}",
        f"Payload ID: {UUID(int=5)}", "Instruction: Look at it", "Inspect: /there", "", DATA_BEGIN, "Payload preview:",
        "{",
        '  "z": "\\u00e9",', '  "a": 1', "}", DATA_END,
    ] == told_of('{"z":"é","a":1}').split("\n")  # fmt: skip


@given(lookalikes | st.sampled_from([DATA_BEGIN, DATA_END, f"{DATA_END}\n{DATA_BEGIN}"]), lookalikes.filter(bool))
def test_nothing_from_outside_looks_like_a_mark(words, description):
    """
    The marks stand once each, the last one at the very end.
    """
    told = told_of(json.dumps({"x": words}), description)
    as_text = told_of(json.dumps(words), description)
    for each in (told, as_text):
        assert [DATA_BEGIN, DATA_END] == [line for line in each.split("\n") if DATA_MARKER.search(line)]
        assert each.endswith(f"\n{DATA_END}")


@given(st.text("ENDenBGI -_\nxternalEXTERNALdataDATA", max_size=60))
def test_taking_marks_away_leaves_none(words):
    """
    Nor makes one of what was none.
    """
    assert not DATA_MARKER.search(without_markers(words))
    assert without_markers(words) == without_markers(without_markers(words))


def test_a_long_payload_is_told_of_in_short():
    """
    All of it can be read where it says.
    """
    told = told_of(json.dumps("x" * 100_000))

    assert len(told) < MAX_PREVIEW_LENGTH + 500
    assert f"{'x' * (MAX_PREVIEW_LENGTH - 3)}...\n{DATA_END}" in told


@pytest.mark.parametrize(("words", "expected"), [("X-Sig", "X-Sig"), (" ~!# ", "~!#"), ("  ", None), ("", None)])
def test_a_header_is_called_by_a_token(words, expected):
    """
    Blanks around it do not count; nothing at all is no header.
    """
    assert expected == header_name_from(words)


@pytest.mark.parametrize("words", ["X Sig", "X:Sig", "é", "X\nSig", "(x)", "x" * 201])
def test_no_header_can_be_called_otherwise(words):
    """
    The refusal says what it must be.
    """
    with pytest.raises(InvalidField, match="signature_header must be a valid HTTP header name"):
        header_name_from(words)
