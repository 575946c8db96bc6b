import pytest

from tests.unit.http.platform.sample_app import ask


async def test_a_version_is_a_strong_quoted_tag(app):
    answer = await ask(app, "GET", "/api/things/5")

    assert '"7"' == answer.headers["etag"]


@pytest.mark.parametrize("sent", ['"7"', ' "7" ', '"3", "7"', 'W/"9", "7"', '"a,b","7"'])
async def test_the_current_version_matches(app, sent):
    answer = await ask(app, "PUT", "/api/things/5", if_match=sent)

    assert (200, 7) == (answer.status, answer.json["expects"])


@pytest.mark.parametrize("sent", ["*", None])
async def test_any_version_will_do_when_none_is_named(app, sent):
    answer = await ask(app, "PUT", "/api/things/5", **({"if_match": sent} if sent else {}))

    assert (200, None) == (answer.status, answer.json["expects"])


@pytest.mark.parametrize("sent", ['"6"', 'W/"7"', '"seven"', '"07"', '""', '"' + "9" * 40 + '"'])
async def test_other_and_weak_tags_match_nothing(app, sent):
    answer = await ask(app, "PUT", "/api/things/5", if_match=sent)

    assert 412 == answer.status


@pytest.mark.parametrize("sent", ["7", '"7', "", '"7" "8"', '*, "7"', 'w/"7"'])
async def test_what_is_no_list_of_tags_is_refused(app, sent):
    plain, kind = [await ask(app, "PUT", path, if_match=sent) for path in ("/api/things/5", "/api/v1/things/5")]

    assert (400, 422) == (plain.status, kind.status)
    assert ["header", "If-Match"] == kind.json["detail"][0]["loc"]
