import re
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from mission_http.app import create_app
from mission_http.network_settings import NetworkSettings
from tests.unit.http.platform.sample_app import PLAIN, ask, sample_app


def test_ports_are_open_exactly_while_the_application_is_up():
    seen = []

    @asynccontextmanager
    async def wire():
        seen.append("opened")
        yield "ports"
        seen.append("closed")

    with TestClient(create_app(wire, [PLAIN])) as client:
        seen.append(client.get("/api/things/5", headers={"x-api-key": "sesame"}).json()["ports"])

    assert ["opened", "ports", "closed"] == seen


async def test_without_its_lifespan_the_application_says_what_is_missing(caplog):
    answer = await ask(sample_app(), "GET", "/api/things/5")

    assert 500 == answer.status
    assert "its lifespan was not started" in caplog.text


def test_a_wire_that_cannot_be_opened_stops_the_start():
    @asynccontextmanager
    async def broken():
        raise OSError("no disk")
        yield

    with pytest.raises(OSError, match="no disk"), TestClient(create_app(broken, [PLAIN])):
        pass


def test_websockets_are_closed():
    with (
        TestClient(sample_app()) as client,
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/api"),
    ):
        pass


def test_it_can_be_mounted_below_another_path():
    """
    All that leads anywhere leads below it, and so does a server that is told of a path.
    """
    inner = sample_app()
    outer = Starlette(routes=[Mount("/mission", inner)], lifespan=inner.lifespan)
    with TestClient(outer, follow_redirects=False) as client:
        _check_below("/mission", "/mission", client)
    with TestClient(sample_app(), root_path="/mission", follow_redirects=False) as client:
        _check_below("/mission", "/mission", client)


@pytest.mark.parametrize("kept", ["", "/mission"])
def test_it_can_be_served_below_another_path(kept):
    """
    Whether the proxy in front takes the path away or not.
    """
    fronting = NetworkSettings(base_url="https://example.org/mission")
    with TestClient(sample_app(fronting=fronting), follow_redirects=False) as client:
        _check_below(kept, "https://example.org/mission", client)


def _check_below(prefix, server, client):
    key = {"x-api-key": "sesame"}

    assert {"ok": True} == client.get(f"{prefix}/healthz").json()
    assert "special" == client.get(f"{prefix}/api/v1/things/special!", headers=key).json()["thing"].strip("!")
    assert "/mission/docs" == client.get(f"{prefix}/").headers["location"]
    assert "/mission/api/things?a=1" == client.post(f"{prefix}/api/things/?a=1").headers["location"]
    for path in ("/openapi.json", "/api/docs"):
        assert [{"url": server}] == client.get(f"{prefix}{path}", headers=key).json()["servers"]
    page = client.get(f"{prefix}/docs").text
    assert 'href="openapi.json"' in page
    for link in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert 200 == client.get(f"{prefix}/{link}").status_code
    assert 404 == client.get("/missionary/healthz").status_code
