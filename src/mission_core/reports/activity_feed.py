"""
The activity feed: the entries of the event log, newest first, as far as a principal may see them.

In the rows, ids are 16 bytes, times are microseconds since 1970, and payloads are JSON text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mission_core.accounts.model import AgentPrincipal, Role, readable_boards
from mission_core.lazy_attrs import frozen
from mission_core.values import JsonText

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ids import AgentId, BoardId
    from mission_core.values import PageOfRows, PageRequest

KINDS_FOR_ADMINS: Final = (
    "access.", "data.", "invite.", "key.", "member.", "organization.", "server_key.", "settings.", "user.",
)  # fmt: skip
"""The beginnings of the kinds of entries that only admins of all boards may see."""
AUDITED_KINDS: Final = (
    "access.asked", "access.given", "access.refused", "data.exported", "organization.dissolved", "organization.founded",
    "organization.updated", "server_key.rotated", "settings.changed", "settings.reset", "user.created", "user.deleted",
    "user.password_changed", "user.sign_in_failed", "user.signed_in", "user.signed_out", "user.updated",
)  # fmt: skip
"""The kinds of entries in the audit log. A store has an index of them."""


class FeedRow(NamedTuple):
    """
    An entry of the log, with the task or the agent that it is about, if that still exists.
    """

    position: int
    kind: str
    at: int
    actor_kind: str
    actor_id: bytes | None
    actor_name: str
    subject: bytes
    payload: JsonText | None
    digest: bytes
    task_number: int | None
    task_title: str | None
    task_status: str | None
    task_board: bytes | None
    agent_number: int | None
    agent_name: str | None
    agent_role: str | None
    agent_board: bytes | None


@frozen(kw_only=True)
class FeedFilter:
    """
    The filter of a feed. An entry must match every value that is set.

    Args:
        kinds: The kinds of entries.
        actor: The name of the actor.
        board: The board of the task that the entry is about.
        by: The agent that made the entries.
        beyond: The position in the log after which the entries are.
        through: The position of the last entry.
        audited: Whether only entries of the kinds in `AUDITED_KINDS` are wanted.
    """

    kinds: tuple[str, ...] | None = None
    actor: str | None = None
    by: AgentId | None = None
    beyond: int | None = None
    board: BoardId | None = None
    through: int | None = None
    audited: bool = False


@frozen(kw_only=True)
class FeedScope:
    """
    The part of the log that a principal may see.

    Args:
        own: The agent whose own entries alone are seen.
        boards: The boards of the tasks and agents that entries must be about; None for all entries.
        for_admins: Whether entries of the kinds in `KINDS_FOR_ADMINS` are seen.
    """

    own: AgentId | None = None
    boards: frozenset[BoardId] | None = None
    for_admins: bool = False


def feed_scope_of(principal: Principal) -> FeedScope:
    """
    Return the part of the log that a principal may see: all of it as an admin of all boards, an agent below admin its
    own entries, and everybody else the entries about what they may see.
    """
    if isinstance(principal, AgentPrincipal) and principal.role is not Role.ADMIN:
        return FeedScope(own=principal.agent)
    boards = readable_boards(principal)
    return FeedScope(boards=boards, for_admins=boards is None and principal.role is Role.ADMIN)


class FeedCount(NamedTuple):
    """
    The number of entries of a kind by an actor in an hour since 1970.
    """

    kind: str
    actor: str
    hour: int
    amount: int


class ActivityFeedReads(Protocol):
    """
    Reads the activity feed, limited to what a principal may see (`feed_scope_of`).
    """

    async def page(self, principal: Principal, wanted: FeedFilter, page: PageRequest) -> PageOfRows:
        """
        A page of the entries as `FeedRow`, newest first (by position), and the number of all. To count all entries
        costs little without a filter and for who sees all of the log; otherwise it is linear in the log, or for audited
        entries in their number.
        """

    async def entries(self, principal: Principal, wanted: FeedFilter, *, limit: int) -> list[FeedRow]:
        """
        The newest of the entries, without their number.
        """

    async def counts(self, principal: Principal, wanted: FeedFilter) -> list[FeedCount]:
        """
        The numbers of the entries by kind, actor and hour.
        """
