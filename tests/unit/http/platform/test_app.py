from contextlib import asynccontextmanager

import pytest
from attrs import evolve, frozen
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from mission_http.app import create_app
from mission_http.platform.endpoints import Endpoint
from tests.unit.http.platform.sample import KIND, PLAIN, ask, health, sample_app, wire


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


def test_it_can_be_mounted_below_another_path(app):
    with TestClient(app, root_path="/mission") as client:
        bodies = [client.get(path).json() for path in ("/mission/healthz", "/healthz")]

    assert [{"ok": True}, {"ok": True}] == bodies


def test_a_body_class_that_cannot_be_read_stops_the_start():
    @frozen
    class Odd:
        value: complex

    with pytest.raises(Exception, match="complex"):
        create_app(wire, [evolve(KIND, endpoints=[Endpoint("POST", "/odd", health, takes=Odd)])])
