import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_http.platform.bodies import MAX_JSON_NESTING, parse_json
from mission_http.platform.errors import BodyMalformed
from tests.unit.http.platform.sample_app import ThingBody, ask, sample_app

WRONG = {
    "title": "",
    "count": 10,
    "color": "green",
    "status": "lost",
    "owner": "abc",
    "tags": ["", 3],
    "parts": [{"size": "big"}],
    "slug": "Not Kebab",
    "from": "bad",
}


def body(**fields: object) -> bytes:
    return json.dumps({"title": "x", **fields}).encode()


async def test_every_wrong_field_is_reported_with_its_place(app):
    answer = await ask(app, "POST", "/api/v1/things", json.dumps(WRONG).encode())

    assert 422 == answer.status
    assert [
        ("string_too_short", ["body", "title"]),
        ("less_than_equal", ["body", "count"]),
        ("enum", ["body", "color"]),
        ("literal_error", ["body", "status"]),
        ("uuid_parsing", ["body", "owner"]),
        ("string_too_short", ["body", "tags", 0]),
        ("string_type", ["body", "tags", 1]),
        ("missing", ["body", "parts", 0, "name"]),
        ("int_parsing", ["body", "parts", 0, "size"]),
        ("string_pattern_mismatch", ["body", "slug"]),
        ("value_error", ["body", "from"]),
    ] == [(one["type"], one["loc"]) for one in answer.json["detail"]]


async def test_a_dialect_may_say_the_same_in_dots(app):
    answer = await ask(app, "POST", "/api/things", b'{"tags": [1], "slug": "Not Kebab"}')

    assert 400 == answer.status
    assert {
        "error": "Validation failed",
        "details": [
            "title: Title is required",
            "tags.0: Input should be a valid string",
            "slug: slug must be kebab-case",
        ],
    } == answer.json


async def test_a_mistake_of_the_whole_body_stands_at_its_root(app):
    plain, kind = [await ask(app, "POST", path, body(done=True, count=9)) for path in ("/api/things", "/api/v1/things")]

    assert [": Value error, nine cannot be done"] == plain.json["details"]
    assert ["body"] == kind.json["detail"][0]["loc"]


async def test_a_missing_field_shows_the_object_it_is_missing_from(app):
    answer = await ask(app, "POST", "/api/v1/sealed", b'{"nam": 1}')

    assert [
        {"type": "missing", "loc": ["body", "name"], "msg": "Field required", "input": {"nam": 1}},
        {"type": "extra_forbidden", "loc": ["body", "nam"], "msg": "Extra inputs are not permitted", "input": 1},
    ] == answer.json["detail"]


@pytest.mark.parametrize(("sent", "kept"), [({}, "absent"), ({"note": None}, None), ({"note": "n"}, "n")])
async def test_absent_null_and_value_stay_three_things(app, sent, kept):
    answer = await ask(app, "POST", "/api/things", body(**sent))

    assert kept == answer.json["note"]


async def test_unknown_fields_are_ignored(app):
    answer = await ask(app, "POST", "/api/things", body(unheard=1))

    assert 200 == answer.status


async def test_null_is_no_value_of_a_merely_optional_field(app):
    answer = await ask(app, "POST", "/api/things", body(done=None))

    assert ["done: Input should be a valid boolean"] == answer.json["details"]


@pytest.mark.parametrize("sent", [{"count": "3"}, {"done": 1}, {"due_at": "2026-01-01"}, {"ratio": "0.5"}])
async def test_leniency_is_the_dialects(app, sent):
    answers = [await ask(app, "POST", path, body(**sent)) for path in ("/api/things", "/api/v1/things")]

    assert [400, 200] == [answer.status for answer in answers]


@pytest.mark.parametrize("sent", [b"[]", b"null", b'"x"', b"3"])
async def test_only_an_object_is_a_body(app, sent):
    answer = await ask(app, "POST", "/api/v1/things", sent)

    assert ("model_attributes_type", ["body"]) == tuple(answer.json["detail"][0][key] for key in ("type", "loc"))


@pytest.mark.parametrize(
    ("sent", "offset"),
    [
        (b"{", 1), (b'{"a":1} x', 8), (b"{'a':1}", 1), (b'{"a":NaN}', 5), (b'{"a":1e999}', 0),
        (b'"\xff"', 0), (b"1" * 1000 + b"x", 1000), (b"\xef\xbb\xbf{", 1), (b"\xef\xbb\xbf" * 600, 0), (b"[" * 1500, 0),
    ],
)  # fmt: skip
async def test_what_is_no_json_is_malformed_with_its_place(app, sent, offset):
    plain, kind = [await ask(app, "POST", path, sent) for path in ("/api/things", "/api/v1/things")]

    assert (400, {"error": "Invalid request body"}) == (plain.status, plain.json)
    assert (422, "json_invalid") == (kind.status, kind.json["detail"][0]["type"])
    assert kind.json["detail"][0]["loc"][1] >= offset


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_json_may_nest_only_so_deep(opening):
    closing = b"]" if opening == b"[" else b"}"
    parse_json(opening * MAX_JSON_NESTING + b"1" + closing * MAX_JSON_NESTING)

    with pytest.raises(BodyMalformed, match="nested deeper"):
        parse_json(opening * (MAX_JSON_NESTING + 1) + b"1" + closing * (MAX_JSON_NESTING + 1))


def test_many_brackets_side_by_side_are_not_deep():
    assert [[]] * 1000 == parse_json(b"[" + b",".join([b"[]"] * 1000) + b"]")


async def test_a_missing_body_is_refused_where_one_is_required(app):
    plain, kind = [await ask(app, "POST", path) for path in ("/api/things", "/api/v1/things")]

    assert (400, "Invalid request body") == (plain.status, plain.json["error"])
    assert (422, "missing", ["body"]) == (kind.status, kind.json["detail"][0]["type"], kind.json["detail"][0]["loc"])


@pytest.mark.parametrize(("sent", "name"), [(b"", "nobody"), (b'{"name":"me"}', "me")])
async def test_a_body_may_be_left_out_where_none_is_required(app, sent, name):
    answer = await ask(app, "POST", "/api/v1/touched", sent, content_type="application/json")

    assert {"name": name} == answer.json


async def test_malformed_json_beats_authentication_where_the_dialect_says_so(app):
    answers = [await ask(app, "POST", path, b"{", key="wrong") for path in ("/api/things", "/api/v1/things")]

    assert [401, 422] == [answer.status for answer in answers]


@pytest.mark.parametrize("sent", [b"", b'{"title": 3}'])
async def test_authentication_beats_wrong_fields_and_missing_bodies(app, sent):
    answers = [await ask(app, "POST", path, sent, key="wrong") for path in ("/api/things", "/api/v1/things")]

    assert [401, 401] == [answer.status for answer in answers]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_other_content_types_are_text_where_the_dialect_says_so(app, kind):
    plain, kind_ = [
        await ask(app, "POST", path, body(), content_type=kind) for path in ("/api/things", "/api/v1/things")
    ]

    assert (200, 422) == (plain.status, kind_.status)
    assert ("model_attributes_type", '{"title": "x"}') == tuple(
        kind_.json["detail"][0][key] for key in ("type", "input")
    )


@pytest.mark.parametrize("kind", ["application/json", "Application/Problem+JSON; charset=utf-8", ""])
async def test_json_is_json_by_any_of_its_names(app, kind):
    answer = await ask(app, "POST", "/api/v1/things", body(), content_type=kind)

    assert 200 == answer.status


@pytest.mark.parametrize("length", [None, "2", "nonsense", "-1", "99999999", "9" * 5000])
@pytest.mark.parametrize(("path", "says"), [("/api/things", {"error"}), ("/api/v1/things", {"detail", "request_id"})])
async def test_a_body_beyond_the_limit_is_refused_as_it_comes(app, path, says, length):
    """
    Whatever was announced, in the manner of the dialect.
    """
    announced = {} if length is None else {"content_length": length}
    answer = await ask(app, "POST", path, [b" " * 1500] * 3, **announced)

    assert (413, says) == (answer.status, answer.json.keys())


@pytest.mark.parametrize("length", ["99999999", "9" * 5000])
async def test_a_body_that_is_announced_beyond_the_limit_is_not_waited_for(app, length):
    answer = await ask(app, "POST", "/api/v1/things", b"{}", content_length=length)

    assert 413 == answer.status


async def test_a_body_may_come_in_pieces(app):
    whole = body(title="pieces")
    answer = await ask(app, "POST", "/api/things", [whole[:5], b"", whole[5:]])

    assert "pieces" == answer.json["title"]


async def test_a_wild_number_is_a_wrong_field(app):
    answer = await ask(app, "POST", "/api/v1/things", body(either=2**63, ratio=10**400))

    assert ["finite_number", "less_than_equal"] == [one["type"] for one in answer.json["detail"]]


@pytest.mark.parametrize("path", ["/api/things", "/api/v1/things"])
async def test_a_byte_order_mark_is_no_part_of_the_json(app, path):
    answer = await ask(app, "POST", path, b"\xef\xbb\xbf" + body(title="marked"))

    assert "marked" == answer.json["title"]


@pytest.mark.parametrize("encoding", ["gzip", "br, gzip", "x" * 500])
async def test_an_encoded_body_is_refused_and_told_as_such(app, encoding):
    """
    Before it is read.
    """
    plain, kind = [
        await ask(app, "POST", path, gzip.compress(body()), content_encoding=encoding)
        for path in ("/api/things", "/api/v1/things")
    ]

    assert [(415, "identity")] * 2 == [(each.status, each.headers["accept-encoding"]) for each in (plain, kind)]
    assert plain.json["error"] == kind.json["detail"]
    assert f"the encoding '{encoding[:40]}' of the body is not supported" in plain.json["error"]


async def test_a_body_may_say_that_it_is_not_encoded(app):
    answer = await ask(app, "POST", "/api/things", body(), content_encoding="Identity", transfer_encoding="chunked")

    assert 200 == answer.status


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        (b'{"title": "ab\\ud800c", "note": "\\ud801"}', ["title"]),
        (b'{"parts": [{}, {"name": "ab\\udfff"}]}', ["parts", 1, "name"]),
        (b'{"ab\\udfff": 1}', ["ab\\udfff"]), (b'{"title": "ab\xed\xa0\x80"}', ["title"]),
    ],
)  # fmt: skip
async def test_half_a_character_is_told_with_its_field(app, sent, place):
    plain, kind = [await ask(app, "POST", path, sent) for path in ("/api/things", "/api/v1/things")]
    said = plain.json["details"][0]

    assert [400, 422] == [plain.status, kind.status]
    assert ["body", *place] == kind.json["detail"][0]["loc"]
    assert said.startswith(f"{'.'.join(map(str, place))}: ")
    assert "must not hold U+D" in said
    assert "(character 2)" in said


async def test_text_that_no_store_can_hold_is_a_wrong_field(app):
    answer = await ask(app, "POST", "/api/things", body(title="a\0b"))

    assert ["title: Value error, must not hold NUL characters"] == answer.json["details"]


jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["1e999", "0x", "-", "٣"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
names = st.sampled_from([*ThingBody.__annotations__, "from"])
bodies = (
    st.binary()
    | jsons.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(names, jsons).map(lambda value: json.dumps(value).encode())
)
SAMPLE = sample_app()


@given(bodies, st.sampled_from(["/api/sealed", "/api/touched", "/api/v1/sealed", "/api/v1/touched"]))
async def test_no_bytes_are_the_servers_fault(sent, path):
    """
    Whatever the bytes of a body, the answer is a success or says what is wrong with them.
    """
    answer = await ask(SAMPLE, "POST", path, sent)

    assert answer.status < 500


@given(bodies, st.sampled_from(["/api/things", "/api/v1/things"]))
async def test_no_field_is_the_servers_fault(sent, path):
    """
    Whatever a field holds, the answer is a success or names it.
    """
    answer = await ask(SAMPLE, "POST", path, sent)

    assert answer.status < 500
