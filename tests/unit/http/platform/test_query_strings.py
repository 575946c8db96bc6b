import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.http.platform.sample_app import ask, sample_app

SAMPLE = sample_app()


async def test_parameters_are_read_by_their_types(app):
    answer = await ask(app, "GET", "/api/things?limit=10&done=true&tag=a&tag=b%20c&unknown=1")

    assert {"limit": 10, "done": True, "tag": ["a", "b c"]} == answer.json


async def test_of_a_parameter_sent_twice_the_last_counts(app):
    answer = await ask(app, "GET", "/api/things?limit=10&limit=20")

    assert 20 == answer.json["limit"]


async def test_defaults_stand_where_nothing_is_sent(app):
    answer = await ask(app, "GET", "/api/things")

    assert {"limit": 50, "done": None, "tag": []} == answer.json


async def test_every_wrong_parameter_is_reported(app):
    answer = await ask(app, "GET", "/api/v1/things?limit=201&done=perhaps")

    assert [
        ("less_than_equal", ["query", "limit"], "201"),
        ("bool_parsing", ["query", "done"], "perhaps"),
    ] == [(one["type"], one["loc"], one["input"]) for one in answer.json["detail"]]


@pytest.mark.parametrize("sent", ["", "abc", "1.5", "-1", "1" * 5000, "٣"])
async def test_a_limit_that_is_none_is_a_wrong_parameter(app, sent):
    answers = [await ask(app, "GET", f"{path}?limit={sent}") for path in ("/api/things", "/api/v1/things")]

    assert [400, 422] == [answer.status for answer in answers]


@given(st.text(st.characters(codec="latin-1")), st.sampled_from(["/api/things", "/api/v1/things"]))
async def test_no_query_is_the_servers_fault(query, path):
    """
    Whatever follows the question mark, the answer is a success or says what is wrong with it.
    """
    answer = await ask(SAMPLE, "GET", f"{path}?{query.encode('latin-1').decode('latin-1')}")

    assert answer.status < 500


async def test_too_many_parameters_are_refused(app):
    answer = await ask(app, "GET", "/api/things?" + "&".join(["tag=x"] * 201))

    assert 400 == answer.status
