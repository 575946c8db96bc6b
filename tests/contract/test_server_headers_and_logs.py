"""
The edge of a server process: what it believes of those who call it, what it tells browsers, and what it logs.
"""

import http.client
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

from tests.contract.server_commands import ended, serving

pytestmark = pytest.mark.real_time

KEY = "mca_" + "0123456789abcdef" * 3
FORGED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Real-IP": "6.6.6.6",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "mission.example.com",
    "X-Forwarded-Port": "443",
    "Forwarded": "for=6.6.6.6;proto=https;host=mission.example.com",
}
PUBLIC = {"MC_ALLOWED_HOSTS": "mission.example.com", "BASE_URL": "https://mission.example.com", "LOG_FORMAT": "json"}
HSTS = "strict-transport-security"


@frozen
class Answered:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def asked(port: int, method: str, path: str, **headers: str) -> Answered:
    """
    The answer to a request with these headers, `Host` among them.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest(method, path, skip_host=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    answered = Answered(response.status, response.headers, response.read())
    connection.close()
    return answered


def test_nobody_becomes_another_by_saying_so(tmp_path: Path) -> None:
    """
    Not even who calls from this machine, where the server itself would believe everything.
    """
    with serving(cwd=tmp_path, LOG_FORMAT="json", MC_ALLOWED_HOSTS="mission.example.com") as (port, server):
        refused = asked(port, "GET", "/api/docs", Host="evil.example", **FORGED)
        asked(port, "GET", "/api/docs", Host="localhost", **FORGED)
        requests = [each for each in ended(server) if each["event"] == "request"]

    assert (403, b"evil.example") == (refused.status, refused.body.split(b'"')[1])
    assert [("127.0.0.1", 403), ("127.0.0.1", 200)] == [(each["client"], each["status"]) for each in requests]


def test_a_first_start_behind_a_proxy_is_https_to_browsers(tmp_path: Path) -> None:
    """
    By what the proxy tells of each request: who called it, by which name, and over https.
    """
    with serving(cwd=tmp_path, MC_TRUSTED_PROXIES="127.0.0.1", **PUBLIC) as (port, server):
        secure = asked(port, "GET", "/docs", Host=f"127.0.0.1:{port}", **FORGED)
        plain = asked(port, "GET", "/docs", Host="mission.example.com", X_Forwarded_For="9.9.9.9")
        told = ended(server)

    assert [200, 200] == [secure.status, plain.status]
    assert ["max-age=63072000", None] == [each.headers[HSTS] for each in (secure, plain)]
    assert ["6.6.6.6", "9.9.9.9"] == [each["client"] for each in told if each["event"] == "request"]
    assert [] == [each for each in told if each["level"] == "warning"]


@pytest.mark.parametrize(
    ("environment", "sent"),
    [({}, False), ({"MC_ENABLE_HSTS": "1"}, True), ({"MC_DISABLE_HSTS": "1"}, False)],
)
def test_a_first_start_over_http_keeps_browsers_on_http(
    environment: dict[str, str], sent: bool, tmp_path: Path
) -> None:
    """
    Unless it is told otherwise.
    """
    with serving(cwd=tmp_path, **environment) as (port, _):
        answers = [asked(port, "GET", path, Host="localhost", **FORGED) for path in ("/docs", "/api/tasks", "/healthz")]

    assert [200, 401, 200] == [answer.status for answer in answers]
    assert [sent] * 3 == [HSTS in answer.headers for answer in answers]
    assert all("nosniff" == answer.headers["x-content-type-options"] for answer in answers)
    assert "default-src 'none'" in answers[0].headers["content-security-policy"]
    assert "camera=(), microphone=(), geolocation=()" == answers[1].headers["permissions-policy"]


def test_secrets_stay_out_of_the_log(tmp_path: Path) -> None:
    """
    Wherever a caller puts them; and every line is one of JSON.
    """
    with serving(cwd=tmp_path, LOG_FORMAT="json", LOG_LEVEL="TRACE", API_KEY="open-sesame-open-sesame") as (
        port,
        server,
    ):
        for key in (KEY, "open-sesame-open-sesame"):
            headers = {"x_api_key": key, "cookie": f"mc-session={key}", "authorization": f"Bearer {key}"}
            asked(port, "GET", f"/api/tasks/{key}?token={key}", Host="localhost", x_request_id=key, **headers)
        server.terminate()
        _, told = server.communicate()
    requests = [each for each in map(json.loads, told.splitlines()) if each["event"] == "request"]

    assert ["/api/tasks/[secret]"] * 2 == [each["path"] for each in requests]
    assert ["[secret]"] * 2 == [each["request_id"] for each in requests]
    assert "sesame" not in told
    assert KEY not in told


def test_a_server_whose_log_nobody_reads_goes_on(tmp_path: Path) -> None:
    """
    A pipe takes 64 KiB, which is soon written.
    """
    with serving(cwd=tmp_path) as (port, _):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for _ in range(120):
            connection.request("GET", "/nowhere/" + "x" * 490, headers={"x-request-id": "y" * 128})
            answer = connection.getresponse()
            answer.read()
            assert 404 == answer.status
        connection.close()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LOG_LEVEL", "loud"), ("LOG_FORMAT", "xml"), ("REQUEST_LOG_SLOW_MS", "-1"), ("LOG_USE_UTC", "perhaps"),
        ("CORS_ORIGINS", "*"), ("MC_TRUSTED_PROXIES", "proxy"), ("BASE_URL", "here"), ("MC_ALLOW_ANY_HOST", "perhaps"),
        ("MC_MAX_CONNECTIONS", "many"),
    ],
)  # fmt: skip
def test_a_malformed_value_stops_the_start_in_one_line(variable: str, value: str, tmp_path: Path) -> None:
    """
    That begins with its name.
    """
    command = [sys.executable, "-m", "mission_http.main", "serve", "--port", "0"]
    done = subprocess.run(command, cwd=tmp_path, env={variable: value}, capture_output=True, text=True, timeout=60)

    assert (2, 1) == (done.returncode, len(done.stderr.splitlines())), done.stderr
    assert done.stderr.startswith(f"mission-control: {variable}: ")


def test_two_hosts_are_one_too_many_on_the_wire(tmp_path: Path) -> None:
    """
    As HTTP wants it.
    """
    with serving(cwd=tmp_path) as (port, _), socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(
            b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        )
        answer = connection.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 400 ")
