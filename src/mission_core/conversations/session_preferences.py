"""
Preferences of chat sessions: the name and colour under which an organization shows them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from mission_core.accounts.model import BoardAgentConfined, Principal, Role, board_of, require_role
from mission_core.accounts.organization_settings import SETTINGS, Setting, commit_settings
from mission_core.errors import Invalid
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, canonical

if TYPE_CHECKING:
    from mission_core.ports import Ports

SETTING_KEY: Final = "chat.session_prefs.v1"
"""The key of the setting that holds the preferences."""
LONGEST_NAME: Final = 80
COLORS: Final = ("slate", "blue", "green", "amber", "red", "purple", "pink", "teal")
_session: Final = re.compile(r"[A-Za-z0-9_-]{1,100}:[A-Za-z0-9._:-]{1,200}", re.ASCII)

SessionPreference = Mapping[str, str]
"""The `name` and `color` of a session, each only if it is set."""


class SessionKeyInvalid(Invalid):
    """
    The key of a session is a kind and an id, with a colon between them.
    """

    says = "Invalid key"


class SessionNameTooLong(Invalid):
    """
    The name of a session is too long.
    """

    says = f"name must be <= {LONGEST_NAME} chars"


class SessionColorInvalid(Invalid):
    """
    The colour of a session is none of the known ones.
    """

    says = "Invalid color"


@frozen(kw_only=True)
class SetSessionPreference:
    """
    Set the name or colour of a chat session. None or a blank text clears it.
    """

    key: str
    name: str | Absent | None = ABSENT
    color: str | Absent | None = ABSENT


async def list_session_preferences(ports: Ports, principal: Principal) -> dict[str, SessionPreference]:
    """
    Return the preferences of the organization's chat sessions, by the keys of the sessions.
    """
    for setting in await ports.reads.entities.every(principal, SETTINGS, key=SETTING_KEY):
        return _preferences_in(setting)
    return {}


@use_case
async def set_session_preference(
    ports: Ports, principal: Principal, cmd: SetSessionPreference
) -> SessionPreference | None:
    """
    Set the name or colour of a chat session.

    Returns:
        The preference of the session, or None if nothing is set.

    Raises:
        RoleTooLow: If the principal is a viewer.
        BoardAgentConfined: If the principal is an agent of one board.
        SessionKeyInvalid: If the key is not that of a session.
        SessionNameTooLong: If the name is too long.
        SessionColorInvalid: If the colour is unknown.
    """
    require_role(principal, Role.OPERATOR)
    if board_of(principal) is not None:
        raise BoardAgentConfined
    changed = _checked(cmd)
    async with ports.unit(principal) as unit:
        settings = {each.key: each for each in await unit.repository(SETTINGS).every(key=SETTING_KEY)}
        known = _preferences_in(settings[SETTING_KEY]) if settings else {}
        before = known.get(cmd.key, {})
        after = {name: value for name, value in ({**before, **changed}).items() if value}
        if after != before:
            others = {key: told for key, told in known.items() if key != cmd.key}
            value = canonical(others | ({cmd.key: after} if after else {}))
            await commit_settings(ports, principal, unit, settings, {SETTING_KEY: value})
    return after or None


def _checked(cmd: SetSessionPreference) -> dict[str, str]:
    """
    Return the values that are set, with empty texts for those that are cleared.
    """
    if not _session.fullmatch(cmd.key):
        raise SessionKeyInvalid
    changed: dict[str, str] = {}
    if not isinstance(cmd.name, Absent):
        changed["name"] = (cmd.name or "").strip()
        if len(changed["name"]) > LONGEST_NAME:
            raise SessionNameTooLong
    if not isinstance(cmd.color, Absent):
        changed["color"] = (cmd.color or "").strip().lower()
        if changed["color"] and changed["color"] not in COLORS:
            raise SessionColorInvalid
    return changed


def _preferences_in(setting: Setting) -> dict[str, SessionPreference]:
    found: dict[str, SessionPreference] = json.loads(setting.value)
    return found
