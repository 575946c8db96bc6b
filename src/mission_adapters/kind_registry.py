"""
All kinds of entities and all counters that the stores keep with generic code, the order in which rows are locked, and
the rows that cascade or lose a reference when another row is deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, get_args, get_type_hints

from mission_core.accounts.access_requests import ACCESS_REQUESTS
from mission_core.accounts.invites import INVITES
from mission_core.accounts.members import MEMBERS
from mission_core.accounts.model import ApiKey
from mission_core.accounts.organization_settings import SETTINGS
from mission_core.accounts.organizations import ORGANIZATIONS
from mission_core.accounts.server_keys import SERVER_KEYS
from mission_core.accounts.sessions import SESSIONS
from mission_core.accounts.users import USERS
from mission_core.agents.model import Agent, AgentPlacement
from mission_core.agents.onboarding import ONBOARDINGS
from mission_core.agents.tool_connections import CONNECTIONS
from mission_core.approvals.model import APPROVAL_LINKS, APPROVALS
from mission_core.automation.board_webhooks import BOARD_WEBHOOKS
from mission_core.automation.webhook_payloads import PAYLOADS
from mission_core.boards.assignments import BOARD_ASSIGNMENTS
from mission_core.boards.custom_fields import CUSTOM_FIELDS
from mission_core.boards.grants import GRANTS, INVITE_GRANTS
from mission_core.boards.groups import GROUPS
from mission_core.boards.model import Board, GatesVersion
from mission_core.boards.tags import TAGS
from mission_core.conversations.memory_entries import BOARD_MEMORY, GROUP_MEMORY
from mission_core.events.counters import Counters
from mission_core.ids import OrganizationId
from mission_core.kinds import Kind
from mission_core.reports.hourly_counters import HOURLY_COUNTS
from mission_core.tasks.comments import COMMENTS
from mission_core.tasks.counters import TASK_COUNTS, WORKLOADS
from mission_core.tasks.late_results import LATE_RESULTS
from mission_core.tasks.model import Task, TaskWorkVersion
from mission_core.tasks.runs import Run

if TYPE_CHECKING:
    from mission_core.ports import RowPart

KINDS: Final[tuple[Kind[Any], ...]] = (
    ORGANIZATIONS, USERS, MEMBERS, INVITES, GRANTS, INVITE_GRANTS, SESSIONS, SERVER_KEYS, ACCESS_REQUESTS, SETTINGS,
    CUSTOM_FIELDS, TAGS, GROUPS, BOARD_ASSIGNMENTS, ONBOARDINGS, CONNECTIONS, COMMENTS, LATE_RESULTS, APPROVALS,
    APPROVAL_LINKS,
    BOARD_MEMORY, GROUP_MEMORY, BOARD_WEBHOOKS, PAYLOADS,
)  # fmt: skip
COUNTERS: Final[tuple[Counters, ...]] = (TASK_COUNTS, WORKLOADS, HOURLY_COUNTS)
LOCK_ORDER: Final[tuple[type, ...]] = (Board, Agent, ApiKey, Task, Run, *(kind.entity for kind in KINDS))
"""The order in which every flush locks rows: by table in this order, then by id."""
ROW_PARTS: Final[dict[type, tuple[type, Callable[[Any], RowPart]]]] = {
    GatesVersion: (Board, attrgetter("gates_to_rely_on")),
    AgentPlacement: (Agent, attrgetter("placement")),
    TaskWorkVersion: (Task, attrgetter("work_version")),
}
"""The parts of rows that a unit can rely on instead of the row: the entity, and the part of it."""
KIND_OF: Final[dict[type, Kind[Any]]] = {kind.entity: kind for kind in KINDS}


def _organization_references(kind: Kind[Any]) -> dict[str, bool]:
    """
    The fields of a shared kind that refer to an organization, and whether each may be None.
    """
    hints = {name: hint for name, hint in get_type_hints(kind.entity).items() if name not in ("id", "organization")}
    return {
        name: NoneType in get_args(hint) for name, hint in hints.items() if OrganizationId in (hint, *get_args(hint))
    }


ORGANIZATION_REFERENCES: Final[dict[Kind[Any], dict[str, bool]]] = {
    kind: names for kind in KINDS if kind.shared and (names := _organization_references(kind))
}
"""
The fields by which rows of the whole deployment refer to an organization. When the organization is deleted, a field
that may be None is cleared; else the row is deleted.
"""


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
