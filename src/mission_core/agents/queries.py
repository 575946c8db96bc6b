"""
Reading agents and their keys: plain rows, without building entities.

Ids are 16 bytes, moments microseconds since 1970, JSON columns their text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from attrs import frozen

from mission_core.accounts.model import AgentPrincipal, boards_seen
from mission_core.ids import AgentId, AgentNumber, BoardId
from mission_core.values import JsonText

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.accounts.model import Principal
    from mission_core.values import Listed, Page


class AgentRow(NamedTuple):
    """
    An agent and its presence as stored; what is derived of it depends on the moment.
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


class NameRow(NamedTuple):
    """
    What an agent may be called by, and its board, if it is at work on one alone.
    """

    name: str
    role: str
    lead: int
    config: JsonText
    board: BoardId | None = None


class KeyRow(NamedTuple):
    """
    A key as people may see it: never its secret or digest.
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


class ConnectionRow(NamedTuple):
    """
    A tool's connection, and its agent with its presence as stored.
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


@frozen(kw_only=True)
class AgentFilter:
    """
    Which agents are wanted. *status* is the derived one at the moment *at*; with *as_made* an agent that was never
    seen has the status it was made with (offline for one that is being provisioned).
    """

    status: str | None = None
    role: str | None = None
    board: BoardId | None = None
    hidden: bool = False
    as_made: bool = False
    at: datetime


def boards_named(principal: Principal) -> frozenset[BoardId] | None:
    """
    The boards whose agents the principal may know by name; None for all. Agents call each other across boards, for
    names belong to the organization; a person calls whom they may see.
    """
    return None if isinstance(principal, AgentPrincipal) else boards_seen(principal)


class AgentReads(Protocol):
    """
    Reads agents as far as a principal may see them: its organization's, those of the boards that are granted to it.
    """

    async def get(self, principal: Principal, agent: AgentId | AgentNumber | str) -> AgentRow:
        """
        By id, number or name (whatever its case).

        Raises:
            AgentNotFound: If this organization has none.
            BoardDenied: If its board is not granted to the principal.
        """

    async def page(self, principal: Principal, wanted: AgentFilter, page: Page) -> Listed:
        """
        Agent rows, newest first (by number, falling).
        """

    async def names(self, principal: Principal, *, board: BoardId | None = None) -> list[NameRow]:
        """
        What agents are called, all or those of one board, by number: for whom the principal may know by name
        (`boards_named`).
        """

    async def keys(self, principal: Principal, agent: AgentId) -> list[KeyRow]:
        """
        The agent's keys, newest first; none of one that the principal may not see.
        """

    async def connections(self, principal: Principal, page: Page) -> Listed:
        """
        The connections of tools, with their agents, newest first (by number, falling).
        """
