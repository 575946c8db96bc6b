"""
What pages of other sites may do.
"""

import pytest

from mission_http.environment import SettingsError
from mission_http.network_settings import NetworkSettings
from tests.unit.http.platform.sample_app import ask, sample_app

APP, OTHER = "https://app.example.com", "https://evil.example"
ANSWERS = [
    ("GET", "/api/things/5", 200), ("GET", "/api/v1/things/5", 200), ("GET", "/api/things/none", 404),
    ("GET", "/api/v1/nowhere", 404), ("POST", "/api/v1/sealed", 422), ("POST", "/api/sealed", 400),
    ("GET", "/api/broken", 500), ("GET", "/api/v1/broken", 500), ("DELETE", "/api/v1/things", 405),
    ("GET", "/api/v1/things/", 308), ("GET", "/healthz", 200),
]  # fmt: skip


@pytest.fixture
def open_app():
    return sample_app(fronting=NetworkSettings(origins=(APP, "http://localhost:3000")))


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
async def test_a_named_origin_may_read_every_answer(open_app, method, path, status):
    """
    A refusal and a failure too, or the page would see nothing but a failure of the network.
    """
    open_app._ports = "ports"
    answer = await ask(open_app, method, path, origin=APP)
    exposed = answer.headers["access-control-expose-headers"]

    assert (status, APP, "true") == (
        answer.status,
        answer.headers["access-control-allow-origin"],
        answer.headers["access-control-allow-credentials"],
    )
    assert "Origin" in answer.headers["vary"]
    assert {"X-Total-Count", "X-Limit", "X-Offset", "X-Request-Id"} <= set(exposed.split(", "))


async def test_an_answer_without_a_key_may_be_read(open_app):
    answer = await ask(open_app, "GET", "/api/things", origin=APP, key=None)

    assert (401, APP) == (answer.status, answer.headers["access-control-allow-origin"])


@pytest.mark.parametrize("path", ["/api/things/5", "/api/v1/things/5"])
async def test_a_preflight_is_answered_without_a_key(open_app, path):
    """
    For ten minutes; whatever headers the page wants to send.
    """
    asked = {"access_control_request_method": "PATCH", "access_control_request_headers": "x-api-key, x-agent-token"}
    answer = await ask(open_app, "OPTIONS", path, origin=APP, key=None, **asked)

    assert (200, b"OK") == (answer.status, answer.body)
    assert {
        "access-control-allow-origin": APP,
        "access-control-allow-methods": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
        "access-control-allow-headers": "x-api-key, x-agent-token",
        "access-control-allow-credentials": "true",
        "access-control-max-age": "600",
    }.items() <= answer.headers.items()
    assert {"x-request-id", "x-content-type-options"} <= answer.headers.keys()


async def test_another_origin_is_told_nothing(open_app):
    """
    Its preflight is refused, and what is answered is not for it.
    """
    answer = await ask(open_app, "GET", "/api/v1/things/special", origin=OTHER)
    preflight = await ask(open_app, "OPTIONS", "/api/things", origin=OTHER, access_control_request_method="GET")

    assert (200, None) == (answer.status, answer.headers.get("access-control-allow-origin"))
    assert (400, b"Disallowed CORS origin", None) == (
        preflight.status,
        preflight.body,
        preflight.headers.get("access-control-allow-origin"),
    )


@pytest.mark.parametrize(("path", "status"), [("/api/things", 204), ("/api/v1/things", 405)])
async def test_there_are_no_other_sites_unless_named(app, path, status):
    """
    Then OPTIONS is what the dialect says it is.
    """
    answer = await ask(app, "OPTIONS", path, origin=APP, access_control_request_method="GET")

    assert status == answer.status
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_foreign_host_is_refused_first():
    """
    Also a preflight.
    """
    app = sample_app(fronting=NetworkSettings(origins=(APP,), allowed_hosts=("here",)))
    answer = await ask(app, "OPTIONS", "/api/things", origin=APP, host="there", access_control_request_method="GET")

    assert 403 == answer.status


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("", ()),
        (" https://App.Example.com/ ,, http://localhost:3000", (APP, "http://localhost:3000")),
        ("https://app.example.com:443,HTTP://a:80,http://a:443", (APP, "http://a", "http://a:443")),
        ("http://[::0:1]:3000,chrome-extension://abcdef", ("http://[::1]:3000", "chrome-extension://abcdef")),
    ],
)
def test_origins_are_read_as_browsers_write_them(given, read):
    """
    Small letters, no slash, and no port where it is the scheme's own.
    """
    assert read == NetworkSettings.of({"CORS_ORIGINS": given}).origins


@pytest.mark.parametrize(
    "given", ["*", "null", "app.example.com", "https://", "https://*.example.com", "https://app.example.com/path",
              "https://me:sesame@app.example.com", "https://app.example.com:port", "//app.example.com"],
)  # fmt: skip
def test_what_no_browser_would_send_stops_the_start(given):
    """
    Nothing could match it; and to let in every site, with its visitors' sessions, cannot be meant.
    """
    with pytest.raises(SettingsError, match=r"^CORS_ORIGINS: "):
        NetworkSettings.of({"CORS_ORIGINS": given})
