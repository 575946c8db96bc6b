"""
Read port for agents and their keys. It returns rows without building entities.

Ids are 16 bytes, times are microseconds since 1970, JSON columns are text.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mission_core.accounts.model import AgentPrincipal, readable_boards
from mission_core.agents.model import OFFLINE_AFTER, derived_status
from mission_core.ids import AgentId, AgentNumber, BoardId
from mission_core.lazy_attrs import frozen
from mission_core.projections import Projection
from mission_core.values import JsonText, micros

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from mission_core.accounts.model import Principal
    from mission_core.values import PageOfRows, PageRequest


class AgentTaskCounts(NamedTuple):
    """
    The number of tasks that are assigned to an agent's name: of all, and of some statuses.
    """

    total: int = 0
    assigned: int = 0
    in_progress: int = 0
    quality_review: int = 0
    done: int = 0


class AgentRow(NamedTuple):
    """
    An agent and its presence as stored. Its derived status depends on the time of reading; only a list that shows it
    has it, and likewise the numbers of tasks.
    """

    id: bytes
    number: int
    board: bytes | None
    name: str
    role: str
    lead: int
    main: int
    config: JsonText
    session_key: str | None
    soul: str | None
    working_memory: str
    runtime_type: str | None
    source: str
    workspace_path: str | None
    hidden: int
    heartbeat_config: JsonText | None
    identity_profile: JsonText | None
    identity_template: str | None
    created_at: int
    updated_at: int
    reported: str
    last_seen_at: int | None
    activity: str | None
    version: int
    status: str = ""
    tasks: AgentTaskCounts = AgentTaskCounts()


SILENCE: Final = OFFLINE_AFTER // timedelta(microseconds=1)
STORED_AGENT_FIELDS: Final = AgentRow._fields[:-2]
STORED_AGENTS: Final = Projection(render=lambda row: row, fields=frozenset(STORED_AGENT_FIELDS))
"""Agent rows without what only lists show."""


class AgentNameRow(NamedTuple):
    """
    The names by which an agent can be mentioned, and its board, if it works on one only.
    """

    name: str
    role: str
    lead: int
    config: JsonText
    board: BoardId | None = None


class ApiKeyRow(NamedTuple):
    """
    A key without its secret and digest.
    """

    number: int
    name: str
    prefix: str
    scopes: JsonText
    created_by: str | None
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None
    created_at: int
    updated_at: int


class ToolConnectionRow(NamedTuple):
    """
    A tool's connection, with its agent and the agent's presence as stored.
    """

    id: bytes
    number: int
    tool_name: str
    tool_version: str | None
    live: int
    metadata: JsonText | None
    last_heartbeat_at: int | None
    created_at: int
    updated_at: int
    version: int
    agent_number: int
    agent_name: str
    agent_role: str
    reported: str
    last_seen_at: int | None


def status_of_row(row: AgentRow | ToolConnectionRow, *, at: datetime, as_made: bool) -> str:
    """
    The status at the time *at* of an agent that was read. With *as_made* an agent that was never seen has the status it
    was created with, and `offline` instead of `provisioning`.
    """
    seen = row.last_seen_at
    silent = seen is not None and micros(at) - seen > SILENCE
    return derived_status(row.reported, seen=seen is not None, silent=silent, as_made=as_made)


@frozen(kw_only=True)
class AgentFilter:
    """
    A filter for a list of agents. *status* is the status derived at the time *at*. With *as_made* an agent that was
    never seen has the status it was created with, and `offline` instead of `provisioning`.
    """

    status: str | None = None
    role: str | None = None
    board: BoardId | None = None
    hidden: bool = False
    as_made: bool = False
    at: datetime


def boards_of_nameable_agents(principal: Principal) -> frozenset[BoardId] | None:
    """
    The boards whose agents the principal may address by name; None for all. An agent may address agents of every board,
    since names belong to the organization; a person may address those they can see.
    """
    return None if isinstance(principal, AgentPrincipal) else readable_boards(principal)


class AgentReads(Protocol):
    """
    Reads the agents of the principal's organization that are on boards granted to it.
    """

    async def get(self, principal: Principal, agent: AgentId | AgentNumber | str) -> AgentRow:
        """
        The agent by id, number or name (ignoring case).

        Raises:
            AgentNotFound: If this organization has none.
            BoardDenied: If its board is not granted to the principal.
        """

    async def several(self, principal: Principal, agents: Collection[AgentId]) -> list[AgentRow]:
        """
        The agents with these ids that the principal may see, in any order, in one query.
        """

    async def page(
        self, principal: Principal, wanted: AgentFilter, page: PageRequest, shown: Projection = STORED_AGENTS
    ) -> PageOfRows:
        """
        A page of agent rows, newest first (by number, descending), each rendered by the projection.
        """

    async def names(
        self, principal: Principal, *, board: BoardId | None = None, handles: Collection[str] | None = None
    ) -> list[AgentNameRow]:
        """
        The names of all agents, or of those on one board, by number, as far as the principal may address them
        (`boards_of_nameable_agents`). Agents that have none of the *handles* may be left out.
        """

    async def session_keys(self, principal: Principal, names: Collection[str]) -> dict[str, str]:
        """
        The session keys of the agents with these names that the principal may see and that have one, by the keys of
        their names, in one query.
        """

    async def keys(self, principal: Principal, agent: AgentId) -> list[ApiKeyRow]:
        """
        The agent's keys, newest first. The list is empty if the principal may not see the agent.
        """

    async def connections(self, principal: Principal, page: PageRequest) -> PageOfRows:
        """
        A page of tool connections with their agents, newest first (by number, descending).
        """
