"""
All kinds of entities that the stores keep with generic code, the order in which rows are locked, and the rows that
cascade or lose a reference when another row is deleted.
"""

from __future__ import annotations

from typing import Any, Final

from mission_adapters.write_buffer import ENTITIES_WITHOUT_KIND
from mission_core.accounts.access_requests import ACCESS_REQUESTS
from mission_core.accounts.invites import INVITES
from mission_core.accounts.members import MEMBERS
from mission_core.accounts.organization_settings import SETTINGS
from mission_core.accounts.organizations import ORGANIZATIONS
from mission_core.accounts.server_keys import SERVER_KEYS
from mission_core.accounts.sessions import SESSIONS
from mission_core.accounts.users import USERS
from mission_core.agents.onboarding import ONBOARDINGS
from mission_core.agents.tool_connections import CONNECTIONS
from mission_core.approvals.model import APPROVAL_LINKS, APPROVALS
from mission_core.automation.board_webhooks import BOARD_WEBHOOKS
from mission_core.automation.webhook_payloads import PAYLOADS
from mission_core.boards.assignments import BOARD_ASSIGNMENTS
from mission_core.boards.custom_fields import CUSTOM_FIELDS
from mission_core.boards.grants import GRANTS, INVITE_GRANTS
from mission_core.boards.groups import GROUPS
from mission_core.boards.tags import TAGS
from mission_core.conversations.memory_entries import BOARD_MEMORY, GROUP_MEMORY
from mission_core.kinds import Kind
from mission_core.tasks.comments import COMMENTS
from mission_core.tasks.late_results import LATE_RESULTS
from mission_core.usage.model import USAGE

KINDS: Final[tuple[Kind[Any], ...]] = (
    ORGANIZATIONS, USERS, MEMBERS, INVITES, GRANTS, INVITE_GRANTS, SESSIONS, SERVER_KEYS, ACCESS_REQUESTS, SETTINGS,
    CUSTOM_FIELDS, TAGS, GROUPS, BOARD_ASSIGNMENTS, ONBOARDINGS, CONNECTIONS, COMMENTS, LATE_RESULTS, APPROVALS,
    APPROVAL_LINKS,
    BOARD_MEMORY, GROUP_MEMORY, BOARD_WEBHOOKS, PAYLOADS, USAGE,
)  # fmt: skip
LOCK_ORDER: Final[tuple[type, ...]] = (*ENTITIES_WITHOUT_KIND, *(kind.entity for kind in KINDS))
"""The order in which every flush locks rows: by table in this order, then by id."""


def kinds_cascading_from(*entities: type) -> tuple[Kind[Any], ...]:
    """
    The kinds whose rows cascade from these entities, directly or through other kinds. Each kind comes before those it
    depends on.
    """
    going: list[Kind[Any]] = []
    for entity in entities:
        for kind in KINDS:
            if entity in kind.cascades_from.values() and entity is not kind.entity:
                going += [each for each in (*kinds_cascading_from(kind.entity), kind) if each not in going]
    return tuple(going)


def nullable_references_to(*entities: type) -> tuple[tuple[Kind[Any], str, type], ...]:
    """
    The kinds that keep a nullable reference to one of these entities, each with the field that holds it.
    """
    return tuple(
        (kind, name, entity)
        for kind in KINDS
        for name, entity in kind.nulled_on_removal_of.items()
        if entity in entities
    )
