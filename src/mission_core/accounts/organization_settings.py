"""
Settings of an organization: text values by key. The code that reads a setting defines its meaning and default.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import evolve, field

from mission_core.accounts.model import Principal, require_organization_admin
from mission_core.entity_changes import require_version
from mission_core.errors import Conflict, NotFound, StaleWrite
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import OrganizationId, SettingId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import text, utc_moment

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

LONGEST_KEY: Final = 200
LONGEST_VALUE: Final = 100_000


class SettingNotFound(NotFound):
    """
    The setting has no value.
    """

    says = "Setting not found or already at default"


class SettingTaken(Conflict):
    """
    Another request set a value for this key first.
    """

    says = "another request set this setting first; repeat the request"


@frozen(kw_only=True, field_transformer=with_type_validators)
class Setting:
    """
    The value of a setting. It may be a secret, so no event contains it.
    """

    id: SettingId
    organization: OrganizationId
    key: str = field(validator=text(least=1, most=LONGEST_KEY))
    value: str = field(validator=text(most=LONGEST_VALUE), repr=False)
    updated_by: str
    updated_at: datetime = field(validator=utc_moment)
    version: int = 0


SETTINGS: Final = Kind(entity=Setting, name="settings", missing=SettingNotFound, unique={("key",): SettingTaken})


@frozen(kw_only=True, eq=False, repr=False)
class SettingsChanged(Event):
    """
    Settings got values.
    """

    kind = "settings.changed"

    organization: OrganizationId
    keys: tuple[str, ...]


@frozen(kw_only=True, eq=False, repr=False)
class SettingReset(Event):
    """
    A setting was removed, so that its default applies.
    """

    kind = "settings.reset"

    organization: OrganizationId
    key: str


@frozen(kw_only=True)
class ChangeSettings:
    """
    Set the values of settings, all or none.
    """

    values: Mapping[str, str] = field(repr=False)


@frozen(kw_only=True)
class ResetSetting:
    """
    Remove a setting, so that its default applies.
    """

    key: str
    expects: int | None = None


async def settings_of(ports: Ports, principal: Principal) -> list[Setting]:
    """
    The settings that have a value.

    Raises:
        RoleTooLow: If the principal is no admin.
        BoardAgentConfined: If the principal is an agent of one board.
    """
    require_organization_admin(principal)
    return await ports.reads.entities.every(principal, SETTINGS)


@use_case
async def change_settings(ports: Ports, principal: Principal, cmd: ChangeSettings) -> tuple[str, ...]:
    """
    Set the values of settings. Unchanged values are not written and cause no event.

    Returns:
        The given keys.

    Raises:
        RoleTooLow: If the principal is no admin.
        BoardAgentConfined: If the principal is an agent of one board.
        InvalidField: If a key or value is too long or cannot be stored.
    """
    require_organization_admin(principal)
    async with ports.unit(principal) as unit:
        known = {each.key: each for each in await unit.repository(SETTINGS).every()}
        new = {key: value for key, value in cmd.values.items() if key not in known or known[key].value != value}
        if new:
            unit.result(principal.organization)
            await commit_settings(ports, principal, unit, known, new)
    return tuple(cmd.values)


async def commit_settings(
    ports: Ports, principal: Principal, unit: UnitOfWork, known: Mapping[str, Setting], new: Mapping[str, str]
) -> None:
    """
    Commit *new* values of settings, each in place of the *known* setting with its key, if there is one.

    Raises:
        StaleWrite: If another request set one of them since.
    """
    now, rows = ports.clock.now(), unit.repository(SETTINGS)
    for key, value in new.items():
        if key in known:
            rows.save(evolve(known[key], value=value, updated_by=principal.actor.name, updated_at=now))
        else:
            rows.add(
                Setting(
                    id=SettingId(ports.ids.new()), organization=principal.organization, key=key, value=value,
                    updated_by=principal.actor.name, updated_at=now,
                )
            )  # fmt: skip
    unit.record(SettingsChanged(organization=principal.organization, keys=tuple(new), at=now))
    try:
        await unit.commit()
    except SettingTaken:
        raise StaleWrite("setting", principal.organization) from None  # another request set it at the same time


@use_case
async def reset_setting(ports: Ports, principal: Principal, cmd: ResetSetting) -> Setting:
    """
    Remove a setting, so that its default applies.

    Returns:
        The removed setting.

    Raises:
        RoleTooLow: If the principal is no admin.
        BoardAgentConfined: If the principal is an agent of one board.
        SettingNotFound: If the setting has no value.
        VersionMismatch: If the caller expected another version.
    """
    require_organization_admin(principal)
    async with ports.unit(principal) as unit:
        rows = unit.repository(SETTINGS)
        found = await rows.find(key=cmd.key)
        if found is None:
            raise SettingNotFound
        require_version(found, cmd.expects)
        rows.remove(found)
        unit.record(SettingReset(organization=principal.organization, key=cmd.key, at=ports.clock.now()))
        await unit.commit()
    return found
