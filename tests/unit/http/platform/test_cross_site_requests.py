"""
What makes a request one of another site's.
"""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import Request

from mission_http.network_settings import NetworkSettings, parse_origin
from mission_http.platform.cross_site_requests import foreign_origin, has_session_cookie

FRONTING = NetworkSettings(origins=("https://app.example.com",), base_url="https://base.example.com")
latin = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"))


def requested(*headers):
    raw = [(name, value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw, "client": ("8.8.8.8", 1)})


@given(origin=latin, host=latin, cookie=latin)
@example(origin="https://[", host="[", cookie="=")
@example(origin="https://here:port", host="here:port", cookie="mc-session")
def test_any_origin_is_ours_or_foreign(origin, host, cookie):
    """
    What is nobody's is foreign; none at all is not.
    """
    request = requested((b"origin", origin), (b"host", host), (b"cookie", cookie))
    found = foreign_origin(request, FRONTING)

    assert found in (None, origin.strip())
    assert has_session_cookie(request) in (True, False)
    if parse_origin(origin) is None and "//" not in origin and origin.strip():
        assert found == origin.strip()


@pytest.mark.parametrize(
    ("origins", "found"),
    [
        ([], None),
        (["", " "], None),
        (["https://here"], None),
        (["https://here", "https://base.example.com"], None),
        (["https://here", "https://evil.example"], "https://evil.example"),
        (["https://app.example.com:8443"], "https://app.example.com:8443"),
        (["http://app.example.com"], "http://app.example.com"),
    ],
)
def test_every_origin_must_be_ours(origins, found):
    """
    By its host; one that the operator named by all of it.
    """
    headers = [(b"origin", each) for each in origins]

    assert found == foreign_origin(requested((b"host", "here:8000"), *headers), FRONTING)


@pytest.mark.parametrize(
    ("told", "origins", "found"),
    [
        (["cross-site"], [], "unknown (Sec-Fetch-Site: cross-site)"),
        ([" Same-Site"], [" "], "unknown (Sec-Fetch-Site: same-site)"),
        (["none", "cross-site"], [], "unknown (Sec-Fetch-Site: cross-site)"),
        (["same-origin"], [], None),
        (["none"], [], None),
        (["", "nonsense"], [], None),
        (["cross-site"], ["https://app.example.com"], None),
        (["same-site"], ["https://here:9000"], None),
        (["same-origin"], ["https://evil.example"], "https://evil.example"),
    ],
)
def test_where_there_is_no_origin_the_browser_tells_whether_it_is_another(told, origins, found):
    """
    Where there is one, it decides.
    """
    headers = [(b"sec-fetch-site", each) for each in told] + [(b"origin", each) for each in origins]

    assert found == foreign_origin(requested((b"host", "here:8000"), *headers), FRONTING)


def test_no_origin_is_ours_for_having_no_host():
    """
    Neither has a request that names none.
    """
    assert "file://" == foreign_origin(requested((b"origin", "file://"), (b"host", "")), NetworkSettings())


@pytest.mark.parametrize(
    ("cookie", "carries"),
    [
        ("mc-session=x", True), ("a=b; __Host-mc-session=x; c=d", True), ("mc-session=", True), ("a=mc-session", False),
        ("my-mc-session=x", False), ("", False),
    ],
)  # fmt: skip
def test_a_session_is_known_by_its_name(cookie, carries):
    """
    Whatever it is worth: a browser sent it by itself.
    """
    assert carries is has_session_cookie(requested((b"cookie", cookie)))
