"""
Direct connections in the Fleet API.
"""

from typing import Any
from uuid import UUID

import pytest

from tests.contract.fleet_driver import FleetDriver, refusal, without, wrong_fields


async def connected(fleet: FleetDriver, agent: str = "ada", **fields: Any) -> Any:
    """
    A new connection.
    """
    return await fleet.got("POST", "/connect", {"tool_name": "shell", "agent_name": agent, **fields})


async def test_a_connected_agent_is_told_where_to_go_on(fleet: FleetDriver) -> None:
    """
    A new one gets its key, this once.
    """
    first, second = await connected(fleet), await connected(fleet)
    agent = (await fleet.got("GET", "/agents/ada"))["agent"]
    number = agent["id"]

    assert ("online", "cli") == (agent["status"], agent["role"])
    assert {
        "agent_id": number, "agent_name": "ada", "status": "connected", "sse_url": "/api/events",
        "heartbeat_url": f"/api/agents/{number}/heartbeat", "token_report_url": "/api/tokens",
    } == without(second, "connection_id")  # fmt: skip
    assert "agent_token" in first
    assert 200 == (await fleet.call("GET", f"/agents/{number}/heartbeat", key=first["agent_token"])).status


@pytest.mark.every_store
async def test_connections_are_all_listed(fleet: FleetDriver, clock: Any) -> None:
    """
    Newest first, unless a part is asked for; a heartbeat is noted with the one it came through.
    """
    first = await connected(fleet, tool_version="1", agent_role="coder", metadata={"b": 1, "a": [None]})
    second = await connected(fleet)
    clock.advance(minutes=1)
    beat = await fleet.got("POST", "/agents/ada/heartbeat", {"connection_id": second["connection_id"]})
    newer, older = (await fleet.got("GET", "/connect"))["connections"]
    part = await fleet.got("GET", f"/connect?limit=5&after={newer['id']}")

    now = int(clock.now().timestamp())
    assert "HEARTBEAT_OK" == beat["status"]
    assert {
        "agent_id": first["agent_id"], "tool_name": "shell", "tool_version": "1", "status": "disconnected",
        "connection_id": first["connection_id"], "last_heartbeat": None, "metadata": '{"a":[null],"b":1}',
        "created_at": now - 60, "updated_at": now - 60, "workspace_id": 1, "agent_name": "ada",
        "agent_status": "idle", "agent_role": "coder",
    } == without(older, "id")  # fmt: skip
    assert ("connected", now, now, None) == (
        newer["status"], newer["last_heartbeat"], newer["updated_at"], newer["metadata"],
    )  # fmt: skip
    assert ([older], 2) == (part["connections"], part["total"])


async def test_a_connection_is_ended(fleet: FleetDriver) -> None:
    """
    Its agent is offline; a second time works as well.
    """
    id = (await connected(fleet))["connection_id"]
    for _ in range(2):
        ended = await fleet.got("DELETE", "/connect", {"connection_id": id})
        assert {"status": "disconnected", "connection_id": id} == ended

    assert "offline" == (await fleet.got("GET", "/agents/ada"))["agent"]["status"]


async def test_what_is_to_be_ended_is_named(fleet: FleetDriver) -> None:
    """
    By an id that a connection has.
    """
    for raw in (b"", b"{", b"5"):
        assert (400, "Invalid request body") == refusal(await fleet.call("DELETE", "/connect", raw=raw))
    for body in ({}, {"connection_id": 5}, {"connection_id": ""}):
        assert (400, "connection_id is required") == refusal(await fleet.call("DELETE", "/connect", body))
    for id in ("x", str(UUID(int=7))):
        answer = await fleet.call("DELETE", "/connect", {"connection_id": id})
        assert (404, "Connection not found") == refusal(answer)


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ({"tool_name": ""}, ["tool_name"]), ({"agent_name": ""}, ["agent_name"]),
        ({"tool_name": "x" * 101, "tool_version": "x" * 51}, ["tool_name", "tool_version"]),
        ({"agent_role": "x" * 101}, ["agent_role"]), ({"metadata": []}, ["metadata"]),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_named(fleet: FleetDriver, fields: Any, places: list[str]) -> None:
    """
    Every one.
    """
    body = {"tool_name": "shell", "agent_name": "ada"} | fields

    assert places == wrong_fields(await fleet.call("POST", "/connect", body))


async def test_a_repeat_connects_once(fleet: FleetDriver) -> None:
    """
    And shows no key again.
    """
    body = {"tool_name": "shell", "agent_name": "ada"}
    first, again = [await fleet.call("POST", "/connect", body, idempotency_key="k") for _ in range(2)]

    assert without(first.json, "agent_token") == again.json
    assert 1 == (await fleet.got("GET", "/connect"))["total"]


async def test_an_agents_key_speaks_for_itself_alone(fleet: FleetDriver) -> None:
    """
    As everywhere.
    """
    await fleet.agent("ada")
    await fleet.agent("bob")
    key, viewing = await fleet.key("ada", "operator"), await fleet.key("ada", "viewer")
    id = (await connected(fleet, "bob"))["connection_id"]
    said = "Access denied: agent key may only access its own agent."
    for method, body in (
        ("POST", {"tool_name": "shell", "agent_name": "bob"}), ("DELETE", {"connection_id": id}),
    ):  # fmt: skip
        assert (403, said) == refusal(await fleet.call(method, "/connect", body, key=key))
        assert 403 == (await fleet.call(method, "/connect", body, key=viewing)).status

    assert 200 == (await fleet.call("POST", "/connect", {"tool_name": "t", "agent_name": "ada"}, key=key)).status
