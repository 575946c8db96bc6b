"""
Settings of an organization, on every store.
"""

import asyncio

import pytest
from attrs import evolve

from mission_core.accounts.model import Role
from mission_core.accounts.organization_settings import (
    SETTINGS,
    ChangeSettings,
    ResetSetting,
    SettingNotFound,
    change_settings,
    reset_setting,
)
from mission_core.errors import InvalidField, RoleTooLow, VersionMismatch
from tests.contract.conftest import World


async def change(world: World, **values: str) -> tuple[str, ...]:
    """
    Set these values.
    """
    return await change_settings(world.ports, world.me, ChangeSettings(values=values))


async def values(world: World) -> dict[str, str]:
    """
    All that is set.
    """
    return {each.key: each.value for each in await world.ports.reads.entities.every(world.me, SETTINGS)}


async def test_settings_are_made_and_changed(world: World, elsewhere: World) -> None:
    """
    By whom and when is kept with them; another organization has its own.
    """
    await change(elsewhere, a="theirs")
    await change(world, a="1", b="2")
    world.clock.advance(seconds=5)

    assert ("b", "c") == await change(world, b="two", c="3")
    assert {"a": "1", "b": "two", "c": "3"} == await values(world)
    (b,) = [each for each in await world.ports.reads.entities.every(world.me, SETTINGS) if each.key == "b"]
    assert ("system", world.clock.now(), 1) == (b.updated_by, b.updated_at, b.version)
    assert {"a": "theirs"} == await values(elsewhere)


async def test_a_fact_names_keys_and_no_values(world: World) -> None:
    """
    A value may be a secret.
    """
    await change(world, token="hush")
    await reset_setting(world.ports, world.me, ResetSetting(key="token"))
    changed, reset = (await world.ports.log.read(world.me.organization, limit=100))[-2:]

    assert ("settings.changed", "settings.reset") == (changed.kind, reset.kind)
    assert "token" in changed.payload
    assert "token" in reset.payload
    assert "hush" not in changed.payload + reset.payload + repr(ChangeSettings(values={"token": "hush"}))


async def test_nothing_set_is_no_fact(world: World) -> None:
    """
    It is no change.
    """
    before = await world.event_kinds()

    assert () == await change(world)
    assert before == await world.event_kinds()


async def test_what_is_reset_is_not_set(world: World) -> None:
    """
    A second time there is nothing to reset.
    """
    await change(world, a="1")
    was = await reset_setting(world.ports, world.me, ResetSetting(key="a"))

    assert "1" == was.value
    assert {} == await values(world)
    with pytest.raises(SettingNotFound):
        await reset_setting(world.ports, world.me, ResetSetting(key="a"))


async def test_a_setting_of_another_version_stays(world: World) -> None:
    """
    Whoever would reset it read another.
    """
    await change(world, a="1")
    with pytest.raises(VersionMismatch):
        await reset_setting(world.ports, world.me, ResetSetting(key="a", expects=3))

    assert {"a": "1"} == await values(world)


async def test_settings_are_an_admins(world: World) -> None:
    """
    To change and to reset.
    """
    operator = evolve(world.me, role=Role.OPERATOR)
    with pytest.raises(RoleTooLow):
        await change_settings(world.ports, operator, ChangeSettings(values={"a": "1"}))
    with pytest.raises(RoleTooLow):
        await reset_setting(world.ports, operator, ResetSetting(key="a"))


@pytest.mark.parametrize(("key", "value"), [("", "x"), ("k" * 201, "x"), ("k", "x" * 100_001), ("k", "\x00")])
async def test_one_that_cannot_be_kept_keeps_all_from_being_set(world: World, key: str, value: str) -> None:
    """
    All or none.
    """
    with pytest.raises(InvalidField):
        await change_settings(world.ports, world.me, ChangeSettings(values={"fine": "1", key: value}))

    assert {} == await values(world)


async def test_set_by_two_at_once_the_later_value_stays(world: World) -> None:
    """
    And neither is refused.
    """
    await asyncio.gather(change(world, a="1"), change(world, a="2"))

    assert (await values(world))["a"] in ("1", "2")
    assert 2 == (await world.event_kinds()).count("settings.changed")
