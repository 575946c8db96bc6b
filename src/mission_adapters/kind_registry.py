"""
All kinds of entities that the stores keep with generic code, the order in which rows are locked, and the rows that
cascade or lose a reference when another row is deleted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from typing import Any, Final

from mission_adapters.write_buffer import ENTITIES_WITHOUT_KIND
from mission_core.kinds import Kind, kind_of


class KindRegistry:
    """
    Kinds by the places of their declarations (`module:NAME`), in their order.

    Whoever iterates over them imports all of them. A program that asks for none but its own imports only those.
    """

    def __init__(self, *places: str) -> None:
        self.places = tuple(place.partition(":")[::2] for place in places)

    @cached_property
    def _kinds(self) -> tuple[Kind[Any], ...]:
        return tuple(getattr(import_module(module), name) for module, name in self.places)

    def __iter__(self) -> Iterator[Kind[Any]]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self.places)

    def position(self, kind: Kind[Any]) -> int:
        """
        The position of a kind, which is declared in the module of its entity. It imports no other kind.
        """
        declared = vars(sys.modules[kind.entity.__module__])
        place = next(name for name, value in declared.items() if value is kind)
        return self.places.index((kind.entity.__module__, place))


KINDS: Final = KindRegistry(
    "mission_core.accounts.organizations:ORGANIZATIONS",
    "mission_core.accounts.users:USERS",
    "mission_core.accounts.members:MEMBERS",
    "mission_core.accounts.invites:INVITES",
    "mission_core.boards.grants:GRANTS",
    "mission_core.boards.grants:INVITE_GRANTS",
    "mission_core.accounts.sessions:SESSIONS",
    "mission_core.accounts.server_keys:SERVER_KEYS",
    "mission_core.accounts.access_requests:ACCESS_REQUESTS",
    "mission_core.accounts.organization_settings:SETTINGS",
    "mission_core.boards.custom_fields:CUSTOM_FIELDS",
    "mission_core.boards.tags:TAGS",
    "mission_core.boards.groups:GROUPS",
    "mission_core.boards.assignments:BOARD_ASSIGNMENTS",
    "mission_core.agents.onboarding:ONBOARDINGS",
    "mission_core.agents.tool_connections:CONNECTIONS",
    "mission_core.tasks.comments:COMMENTS",
    "mission_core.tasks.late_results:LATE_RESULTS",
    "mission_core.approvals.model:APPROVALS",
    "mission_core.approvals.model:APPROVAL_LINKS",
    "mission_core.conversations.memory_entries:BOARD_MEMORY",
    "mission_core.conversations.memory_entries:GROUP_MEMORY",
    "mission_core.conversations.chat_messages:CHAT_MESSAGES",
    "mission_core.conversations.notifications:NOTIFICATIONS",
    "mission_core.automation.board_webhooks:BOARD_WEBHOOKS",
    "mission_core.automation.webhook_payloads:PAYLOADS",
    "mission_core.usage.model:USAGE",
    "mission_core.usage.telemetry_sources:TELEMETRY_SOURCES",
    "mission_core.usage.budgets:BUDGETS",
    "mission_core.usage.reported_runs:REPORTED_RUNS",
    "mission_core.usage.price_overrides:PRICE_OVERRIDES",
)


def lock_order() -> tuple[type, ...]:
    """
    The order in which every flush locks rows: by table in this order, then by id.
    """
    return (*ENTITIES_WITHOUT_KIND, *(kind.entity for kind in KINDS))


def position_of(entity: type) -> int:
    """
    The position of an entity class in the lock order.
    """
    kind = kind_of(entity)
    if kind is None:
        return ENTITIES_WITHOUT_KIND.index(entity)
    return len(ENTITIES_WITHOUT_KIND) + KINDS.position(kind)


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
