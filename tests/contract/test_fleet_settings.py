"""
Settings in the Fleet API.
"""

from typing import Any

import pytest

from tests.contract.fleet_driver import FleetDriver, refusal, wrong_fields


async def listed(fleet: FleetDriver) -> dict[str, Any]:
    """
    All settings by their keys.
    """
    return {each["key"]: each for each in (await fleet.got("GET", "/settings"))["settings"]}


async def test_what_clients_know_is_listed_with_its_default(fleet: FleetDriver) -> None:
    """
    And grouped by category.
    """
    answer = await fleet.got("GET", "/settings")
    by_key = {each["key"]: each for each in answer["settings"]}

    assert {
        "key": "general.site_name", "value": "Mission Control", "description": "Name of this installation",
        "category": "general", "updated_by": None, "updated_at": None, "is_default": True,
    } == by_key["general.site_name"]  # fmt: skip
    assert {"retention", "gateway", "chat", "general", "onboarding"} == answer["grouped"].keys()
    assert answer["settings"] == [each for group in ("retention", "gateway", "chat") for each in answer["grouped"][
        group]] + answer["grouped"]["general"] + answer["grouped"]["onboarding"]  # fmt: skip


@pytest.mark.every_store
@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_what_is_set_is_listed_as_text(fleet: FleetDriver, clock: Any, method: str) -> None:
    """
    Under any key, whatever it was sent as.
    """
    values = {"general.site_name": "Ours", "z": 5, "n": 1.0, "f": 0.5, "t": True, "nothing": None, "o": {"b": [1]}}
    changed = await fleet.got(method, "/settings", {"settings": values})
    found = await listed(fleet)

    assert {"updated": list(values), "count": len(values)} == changed
    assert ["Ours", "5", "1", "0.5", "true", "null", '{"b":[1]}'] == [found[key]["value"] for key in values]
    assert {
        "key": "z", "value": "5", "description": None, "category": "custom", "updated_by": "api",
        "updated_at": int(clock.now().timestamp()), "is_default": False, "version": 0,
    } == found["z"]  # fmt: skip
    assert ("general", False) == (found["general.site_name"]["category"], found["general.site_name"]["is_default"])


async def test_a_setting_is_set_back(fleet: FleetDriver) -> None:
    """
    To its default, if it has one; a second time there is nothing to set back.
    """
    await fleet.got("PUT", "/settings", {"settings": {"general.site_name": "Ours", "x": "1"}})
    stale = await fleet.call("DELETE", "/settings", {"key": "x"}, if_match='"5"')

    assert 412 == stale.status
    assert {"reset": "x", "default_value": None} == await fleet.got("DELETE", "/settings", {"key": "x"})
    assert {"reset": "general.site_name", "default_value": "Mission Control"} == await fleet.got(
        "DELETE", "/settings", {"key": "general.site_name"}
    )
    again = await fleet.call("DELETE", "/settings", {"key": "x"})
    assert (404, "Setting not found or already at default") == refusal(again)
    assert "x" not in await listed(fleet)


async def test_what_is_to_be_set_back_is_named(fleet: FleetDriver) -> None:
    """
    By a key.
    """
    for raw in (b"", b"{", b"[]"):
        assert (400, "Request body required") == refusal(await fleet.call("DELETE", "/settings", raw=raw))
    for body in ({}, {"key": 5}, {"key": ""}):
        assert (400, "key parameter required") == refusal(await fleet.call("DELETE", "/settings", body))


async def test_a_wrong_setting_is_named_and_none_is_set(fleet: FleetDriver) -> None:
    """
    By its key.
    """
    sent = {"fine": "1", "": "x", "k" * 201: "x", "long": "x" * 100_001, "nul": "\x00"}
    answer = await fleet.call("PUT", "/settings", {"settings": sent})

    assert sorted(["settings.", "settings." + "k" * 201, "settings.long", "settings.nul"]) == sorted(
        wrong_fields(answer)
    )
    assert "fine" not in await listed(fleet)
    for body in ({}, {"settings": 5}, {"settings": None}):
        assert ["settings"] == wrong_fields(await fleet.call("PUT", "/settings", body))


async def test_a_repeated_post_is_answered_alike(fleet: FleetDriver) -> None:
    """
    And sets nothing again.
    """
    body = {"settings": {"x": "1"}}
    first = await fleet.call("POST", "/settings", body, idempotency_key="k")
    await fleet.got("PUT", "/settings", {"settings": {"x": "2"}})
    again = await fleet.call("POST", "/settings", body, idempotency_key="k")

    assert (200, first.json) == (again.status, again.json)
    assert "2" == (await listed(fleet))["x"]["value"]


async def test_settings_are_an_admins(fleet: FleetDriver) -> None:
    """
    Even to see them.
    """
    await fleet.agent("ada")
    key = await fleet.key("ada", "operator")
    for method, body in (("GET", None), ("PUT", {"settings": {}}), ("POST", {"settings": {}}), ("DELETE", {})):
        answer = await fleet.call(method, "/settings", body, key=key)
        assert (403, "Requires admin role or higher") == refusal(answer)
