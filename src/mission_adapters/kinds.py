"""
Every kind of plain row that the stores keep.
"""

from __future__ import annotations

from typing import Any, Final

from mission_core.accounts.members import MEMBERS
from mission_core.accounts.server_keys import SERVER_KEYS
from mission_core.accounts.sessions import SESSIONS
from mission_core.accounts.settings import SETTINGS
from mission_core.accounts.users import USERS
from mission_core.agents.connections import CONNECTIONS
from mission_core.agents.onboarding import ONBOARDINGS
from mission_core.automation.board_webhooks import BOARD_WEBHOOKS
from mission_core.automation.payloads import PAYLOADS
from mission_core.boards.custom_fields import CUSTOM_FIELDS
from mission_core.boards.grants import GRANTS
from mission_core.boards.groups import GROUPS
from mission_core.boards.staff import STAFF
from mission_core.boards.tags import TAGS
from mission_core.conversations.entries import BOARD_MEMORY, GROUP_MEMORY
from mission_core.kinds import Kind
from mission_core.tasks.comments import COMMENTS

KINDS: Final[tuple[Kind[Any], ...]] = (
    USERS, MEMBERS, GRANTS, SESSIONS, SERVER_KEYS, SETTINGS, CUSTOM_FIELDS, TAGS, GROUPS, STAFF, ONBOARDINGS,
    CONNECTIONS, COMMENTS,
    BOARD_MEMORY, GROUP_MEMORY, BOARD_WEBHOOKS, PAYLOADS,
)  # fmt: skip
"""In the order in which flushes lock their rows."""
KIND_OF: Final[dict[type, Kind[Any]]] = {kind.entity: kind for kind in KINDS}
