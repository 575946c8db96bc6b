"""
The keys of an agent in the Fleet API.
"""

from typing import Any

import pytest

from mission_adapters.testing import ManualClock
from tests.contract.fleet_driver import FleetDriver, refusal, without


@pytest.mark.every_store
async def test_a_key_is_shown_once_and_listed_without_its_secret(fleet: FleetDriver) -> None:
    ada, _ = await fleet.agent("ada")
    made = await fleet.got("POST", "/agents/ada/keys", {"name": " ci ", "scopes": ["operator", "x", "operator"]}, 201)
    listed = await fleet.got("GET", f"/agents/{ada['id']}/keys")
    key = made["key"]

    assert ("ci", ["operator"], made["api_key"][:12], None) == (
        key["name"], key["scopes"], key["key_prefix"], key["expires_at"],
    )  # fmt: skip
    assert (4 + 48, "mca_") == (len(made["api_key"]), made["api_key"][:4])
    assert {"id": ada["id"], "name": "ada"} == listed["agent"]
    assert key | {
        "created_by": "api", "revoked_at": None, "last_used_at": None, "updated_at": key["created_at"],
    } == listed["keys"][0]  # fmt: skip
    assert ["ci", "agent token"] == [each["name"] for each in listed["keys"]]


async def test_a_key_has_defaults(fleet: FleetDriver) -> None:
    await fleet.agent("ada")

    for body in (None, {}, {"scopes": []}, {"scopes": ["x", 5]}, {"scopes": "admin"}):
        key = (await fleet.got("POST", "/agents/ada/keys", body, 201))["key"]
        assert ("default", ["viewer", "agent:self"]) == (key["name"], key["scopes"])


async def test_a_repeat_does_not_show_the_secret_again(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    first, second = [await fleet.call("POST", "/agents/ada/keys", {}, idempotency_key="k") for _ in range(2)]

    assert (201, without(first.json, "api_key")) == (second.status, second.json)


async def test_a_key_ends_when_it_was_said_to(fleet: FleetDriver, clock: ManualClock) -> None:
    await fleet.agent("ada")
    soon = int(clock.now().timestamp()) + 60
    made = [
        await fleet.got("POST", "/agents/ada/keys", body, 201)
        for body in ({"expires_at": soon}, {"expires_in_days": 0.001})
    ]
    clock.advance(seconds=100)

    assert soon == made[0]["key"]["expires_at"]
    for each in made:
        answer = await fleet.call("GET", "/tasks", key=each["api_key"])
        assert (401, "Authentication required") == refusal(answer)


async def test_a_key_that_expired_before_it_was_made_opens_nothing(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    made = await fleet.got("POST", "/agents/ada/keys", {"expires_at": 5}, 201)
    answer = await fleet.call("GET", "/tasks", key=made["api_key"])

    assert (5, 401) == (made["key"]["expires_at"], answer.status)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": " "}, "name is required"), ({"name": 5}, "name is required"),
        ({"expires_at": 0}, "expires_at must be a future unix timestamp"),
        ({"expires_at": "x"}, "expires_at must be a future unix timestamp"),
        ({"expires_at": 10**15}, "expires_at must be a future unix timestamp"),
        ({"expires_in_days": 0}, "expires_in_days must be between 1 and 3650"),
        ({"expires_in_days": 3651}, "expires_in_days must be between 1 and 3650"),
        ({"expires_in_days": True}, "expires_in_days must be between 1 and 3650"),
    ],
)  # fmt: skip
async def test_a_key_that_cannot_be_meant_is_refused(fleet: FleetDriver, body: Any, said: str) -> None:
    await fleet.agent("ada")

    assert (400, said) == refusal(await fleet.call("POST", "/agents/ada/keys", body))


async def test_a_revoked_key_is_refused_from_then_on(fleet: FleetDriver, clock: ManualClock) -> None:
    await fleet.agent("ada")
    made = await fleet.got("POST", "/agents/ada/keys", {"scopes": ["operator"]}, 201)
    body = {"key_id": made["key"]["id"]}
    revoked = await fleet.got("DELETE", "/agents/ada/keys", body)

    assert {"success": True, **body, "revoked_at": int(clock.now().timestamp())} == revoked
    assert (401, "Authentication required") == refusal(await fleet.call("GET", "/tasks", key=made["api_key"]))
    answer = await fleet.call("DELETE", "/agents/ada/keys", body)
    assert (404, "Active key not found for this agent") == refusal(answer)


async def test_a_key_of_another_agent_is_not_found(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    await fleet.agent("bob")
    made = await fleet.got("POST", "/agents/ada/keys", {}, 201)
    answer = await fleet.call("DELETE", "/agents/bob/keys", {"key_id": made["key"]["id"]})

    assert (404, "Active key not found for this agent") == refusal(answer)


async def test_revoking_needs_the_number_of_a_key(fleet: FleetDriver) -> None:
    await fleet.agent("ada")

    for body in ({}, {"key_id": 0}, {"key_id": "1"}, {"key_id": True}, {"key_id": 2**70}, []):
        answer = await fleet.call("DELETE", "/agents/ada/keys", body)
        assert (400, "key_id must be a positive integer") == refusal(answer)
    malformed = await fleet.call("DELETE", "/agents/ada/keys", raw=b"{")
    assert (400, "Invalid request body") == (malformed.status, malformed.json["error"])


async def test_only_a_path_of_digits_is_a_number(fleet: FleetDriver) -> None:
    await fleet.agent("1e3")
    ada, _ = await fleet.agent("ada")

    assert "1e3" == (await fleet.got("GET", "/agents/1e3/keys"))["agent"]["name"]
    assert "ada" == (await fleet.got("GET", f"/agents/{ada['id']}/keys"))["agent"]["name"]
    for method, body in (("GET", None), ("POST", {}), ("DELETE", {"key_id": 1})):
        assert (404, "Agent not found") == refusal(await fleet.call(method, "/agents/nobody/keys", body))


async def test_keys_are_for_admins(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")

    for method in ("GET", "POST", "DELETE"):
        answer = await fleet.call(method, "/agents/ada/keys", raw=b"{", key=token)
        assert (403, "Requires admin role or higher") == refusal(answer)
