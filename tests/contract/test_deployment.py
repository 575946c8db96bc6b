"""
The samples of the deployment page: nginx, systemd, Docker and several servers.
"""

import json
import re
import shutil
import socketserver
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.contract.nginx import CERTIFICATES, NAME, PROGRAM, Nginx, around, certify, nginx
from tests.contract.server_commands import run, serving
from tests.documentation import ROOT, environment, sample, samples

pytestmark = pytest.mark.real_time

PAGE = "docs/deployment.md"
KEY = "an-api-key-of-the-deployment"
CLIENT = "127.0.0.2"
"""Another loopback address than the proxy's, so that the log tells them apart. Linux has all of 127.0.0.0/8."""
FORGED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Real-IP": "6.6.6.6",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": NAME,
    "X-Forwarded-Server": NAME,
    "X-Original-Host": NAME,
    "Forwarded": f"for=6.6.6.6;host={NAME}",
}

with_nginx = pytest.mark.skipif(PROGRAM is None, reason="nginx is not installed")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more than one loopback address")
with_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


@contextmanager
def served_as_documented(folder: Path) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """
    A server with the settings of the page, except the data directory.
    """
    settings = environment(PAGE, "## Settings") | {
        "MISSION_CONTROL_DATA_DIR": str(folder / "data"), "API_KEY": KEY, "LOG_FORMAT": "json",
    }  # fmt: skip
    with serving(cwd=folder, **settings) as (port, server):
        yield port, server


@contextmanager
def proxied(folder: Path) -> Iterator[Nginx]:
    """
    The nginx of the page in front of that server.
    """
    with served_as_documented(folder) as (port, _), nginx(folder, port) as proxy:
        yield proxy


@with_nginx
@on_linux
def test_nginx_tells_the_server_who_calls_and_how(tmp_path: Path) -> None:
    """
    The address of the client and https, whatever the client itself claims.
    """
    with served_as_documented(tmp_path) as (port, server), nginx(tmp_path, port) as proxy:
        with closing(proxy.connection(source=CLIENT)) as connection:
            connection.request("GET", "/api/tasks", headers={"x-api-key": KEY, **FORGED})
            answer = connection.getresponse()
            body = json.loads(answer.read())
        server.terminate()
        _, logged = server.communicate()
    requests = [each for each in map(json.loads, logged.splitlines()) if each["event"] == "request"]

    assert (200, []) == (answer.status, body["tasks"])
    assert "max-age=63072000" == answer.headers["strict-transport-security"]
    assert [CLIENT] == [each["client"] for each in requests]
    assert [] == [each for each in map(json.loads, logged.splitlines()) if each["level"] == "warning"]


@with_nginx
def test_nginx_passes_no_forged_host_on(tmp_path: Path) -> None:
    """
    A request under another name is refused, although it claims the right one in every header that proxies set.
    """
    with proxied(tmp_path) as proxy, closing(proxy.connection()) as connection:
        connection.request("GET", "/healthz", headers={"Host": "evil.example", **FORGED})
        refused = connection.getresponse()
        told = refused.read()

    assert 403 == refused.status
    assert b"evil.example" in told


@with_nginx
def test_nginx_sends_http_to_https(tmp_path: Path) -> None:
    """
    With the same path.
    """
    with proxied(tmp_path) as proxy, closing(HTTPConnection("127.0.0.1", proxy.http, timeout=30)) as connection:
        connection.request("GET", "/docs?a=b", headers={"Host": NAME})
        answer = connection.getresponse()
        answer.read()

    assert (301, f"https://{NAME}/docs?a=b") == (answer.status, answer.headers["location"])


@with_nginx
@pytest.mark.parametrize(("megabytes", "by"), [(2, "application/json"), (9, "text/html")])
def test_the_server_refuses_a_large_body_and_nginx_a_huge_one(megabytes: int, by: str, tmp_path: Path) -> None:
    """
    So that a client of the API gets an answer in its shape.
    """
    with proxied(tmp_path) as proxy, closing(proxy.connection()) as connection:
        body = json.dumps({"title": "x" * megabytes * 1024 * 1024})
        connection.request("POST", "/api/tasks", body, headers={"x-api-key": KEY})
        answer = connection.getresponse()
        answer.read()

    assert (413, by) == (answer.status, answer.headers.get_content_type())


@with_nginx
def test_nginx_passes_a_stream_on_event_by_event(tmp_path: Path) -> None:
    """
    The client has the first event before the server sends the second.
    """
    with streaming() as (port, received), nginx(tmp_path, port) as proxy, closing(proxy.connection()) as connection:
        connection.request("GET", "/api/events")
        answer = connection.getresponse()
        first = answer.readline()
        received.set()
        rest = answer.read()

    assert (b"data: 1\n", b"\ndata: 2\n\n") == (first, rest)


@contextmanager
def streaming() -> Iterator[tuple[int, threading.Event]]:
    """
    A server that streams two events: the second one when it is told that the first was received.
    """
    received = threading.Event()

    class Stream(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            start = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            self.request.sendall(start + b"data: 1\n\n")
            in_time = received.wait(timeout=30)
            self.request.sendall(b"data: 2\n\n" if in_time else b"data: too late\n\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Stream) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], received
        finally:
            received.set()
            server.shutdown()
            thread.join()


@with_nginx
def test_the_upstream_of_several_servers_fits_into_the_configuration(tmp_path: Path) -> None:
    """
    In the place of the one server's.
    """
    one, several = (sample(PAGE, heading, "nginx") for heading in ("## Behind nginx", "## Several servers"))
    upstream = re.compile(r"upstream mission_control \{.*?\n\}\n", re.DOTALL)
    config = upstream.sub(several, one)
    (tmp_path / "mission-control.conf").write_text(config.replace(CERTIFICATES, str(tmp_path)))
    certify(tmp_path)
    (tmp_path / "nginx.conf").write_text(around(tmp_path))
    assert PROGRAM is not None
    done = subprocess.run([PROGRAM, "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf"], capture_output=True)

    assert one != config
    assert 0 == done.returncode, done.stderr


@with_systemd
def test_systemd_takes_the_unit_as_it_stands(tmp_path: Path) -> None:
    """
    Every key and value of it is known, and it runs `serve` without further arguments.
    """
    unit = sample(PAGE, "## With systemd", "ini")
    (program,) = re.findall(r"^ExecStart=(\S+) serve$", unit, re.MULTILINE)
    file = tmp_path / "mission-control.service"
    file.write_text(unit.replace(program, sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, timeout=60)

    assert (0, "") == (done.returncode, done.stderr)


def test_the_unit_fits_its_settings_and_the_installation() -> None:
    """
    The data directory of the settings is the one that systemd makes, and the program is where pip puts it.
    """
    unit = sample(PAGE, "## With systemd", "ini")
    set_up = samples(PAGE, "## With systemd", "sh")[0]
    settings = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)

    assert f"/var/lib/{settings['StateDirectory']}" == environment(PAGE, "## Settings")["MISSION_CONTROL_DATA_DIR"]
    assert f"python3 -m venv {settings['ExecStart'].partition('/bin/')[0]}\n" in set_up
    assert f" {settings['User']}\n" in set_up


def test_the_image_has_what_the_distribution_is_built_from() -> None:
    """
    `.dockerignore` lets through what the metadata names.
    """
    ignore = sample(PAGE, "## With Docker", "gitignore").split()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    built_from = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert ["*", *sorted({f"!{each.partition('/')[0]}" for each in built_from | set(packages)})] == ignore


def test_the_image_serves_and_finds_itself_healthy(tmp_path: Path) -> None:
    """
    With the command and the health check of the sample, on another port.
    """
    dockerfile = sample(PAGE, "## With Docker", "dockerfile").replace("\\\n", " ")
    health, command = (json.loads(each) for each in re.findall(r"CMD (\[.*\])$", dockerfile, re.MULTILINE))
    assert ["mission-control", "serve"] == command[:2]
    with serving(*command[2:], cwd=tmp_path) as (port, _):
        check = [each.replace(":8000/", f":{port}/") for each in health]
        healthy = subprocess.run([sys.executable, *check[1:]], capture_output=True, text=True, timeout=60)
    gone = subprocess.run([sys.executable, *check[1:]], capture_output=True, text=True, timeout=60)

    assert health != check
    assert (0, "") == (healthy.returncode, healthy.stderr)
    assert 0 != gone.returncode


@pytest.mark.parametrize("heading", ["## With systemd", "## With Docker"])
def test_the_commands_of_the_page_exist(heading: str, tmp_path: Path) -> None:
    """
    Each call of `mission-control` in the shell samples and each variable in them.
    """
    shell = " ".join(samples(PAGE, heading, "sh")).replace("\\\n", " ")
    commands = set(re.findall(r"mission-control (doctor|token|serve)\b", shell))
    variables = set(re.findall(r"--env (\w+)=", shell))

    assert commands
    assert variables <= set(environment(PAGE, "## Settings"))
    for each in commands:
        assert 0 == run(each, "--help", cwd=tmp_path).returncode
