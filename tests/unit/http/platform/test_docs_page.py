import re
from importlib.resources import files

import pytest

from mission_http.platform.docs_page import FILES, LIBRARY, PAGE, START, VERSION, render_docs_page
from tests.unit.http.platform.sample_app import ask

FOLDER = files("mission_http") / "swagger_ui"


async def test_the_page_loads_its_own_files_and_nothing_else(app):
    """
    By links that are relative, each of which is served.
    """
    page = await ask(app, "GET", "/docs", key=None)
    loaded = re.findall(rb'(?:src|href)="([^"]*)"', page.body)
    answers = [await ask(app, "GET", f"/{path.decode()}", key=None) for path in loaded]

    assert "text/html; charset=utf-8" == page.headers["content-type"]
    assert {*FILES, "/openapi.json"} == {f"/{path.decode()}" for path in loaded}
    assert [200] * 5 == [answer.status for answer in answers]
    assert b"http" not in re.sub(rb"\s*<meta[^>]*>", b"", page.body)


async def test_the_policy_of_the_page_allows_its_own_files_alone(app):
    """
    The page has no script, style or handler of its own for which it would need more.
    """
    page = await ask(app, "GET", "/docs", key=None)
    policy = dict(each.strip().split(" ", 1) for each in page.headers["content-security-policy"].split(";"))

    assert ["'none'"] * 4 == [policy[name] for name in ("default-src", "base-uri", "form-action", "frame-ancestors")]
    assert ["'self'"] * 3 == [policy[name] for name in ("script-src", "style-src", "connect-src")]
    assert "'self' data:" == policy["img-src"]
    assert not re.search(rb"<style|<script>|<script [^>]*>[^<]|\s(?:style|on\w+)=", page.body)


@pytest.mark.parametrize("path", FILES)
async def test_a_file_of_the_page_is_kept_by_browsers(app, path):
    """
    For good if its path has the version; else until the next look, which is answered with 304.
    """
    first = await ask(app, "GET", path, key=None)
    again = await ask(app, "GET", path, key=None, if_none_match=f'"other", W/{first.headers["etag"]}')
    other = await ask(app, "GET", path, key=None, if_none_match='"other"')

    assert (200, 304, 200) == (first.status, again.status, other.status)
    assert first.body == (FOLDER / FILES[path].name).read_bytes() == other.body
    assert b"" == again.body
    assert first.headers["etag"] == again.headers["etag"]
    assert (VERSION in path) == ("immutable" in first.headers["cache-control"])
    assert first.headers["content-type"].startswith(FILES[path].media_type)


def test_swagger_ui_is_of_the_version_in_the_paths_and_has_its_licence_beside_it():
    names = {entry.name for entry in FOLDER.iterdir()}

    assert f'PACKAGE_VERSION:"{VERSION}"' in (FOLDER / LIBRARY.name).read_text()
    assert {"LICENSE", "NOTICE", f"{LIBRARY.name}.LICENSE.txt"} == names - {file.name for file in FILES.values()}


def test_swagger_ui_asks_no_other_host_to_judge_the_document():
    start = (FOLDER / START.name).read_text()

    assert "validatorUrl: null" in start
    assert "https:" not in start


def test_the_title_is_text():
    assert b"<title>A &lt;b&gt; &amp; C</title>" in render_docs_page("A <b> & C")
    assert "{title}" in PAGE
