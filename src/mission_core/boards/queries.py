"""
Read port for boards. It returns rows without building entities.

Ids are 16 bytes, times are microseconds since 1970, JSON columns are text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mission_core.ids import BoardId, BoardNumber
from mission_core.lazy_attrs import field_names, frozen
from mission_core.values import JsonText

if TYPE_CHECKING:
    from uuid import UUID

    from mission_core.accounts.model import Principal
    from mission_core.values import PageOfRows, PageRequest


class BoardRow(NamedTuple):
    """
    A board with the last ticket number that was drawn and its number of tasks.
    """

    id: bytes
    number: int
    organization: bytes
    name: str
    slug: str
    handle: str
    ticket_prefix: str
    description: str | None
    status: str
    require_approval_for_done: int
    require_review_before_done: int
    comment_required_for_review: int
    block_status_changes_with_pending_approval: int
    only_lead_can_change_status: int
    gateway: bytes | None
    group: bytes | None
    board_type: str
    objective: str | None
    success_metrics: JsonText | None
    target_date: int | None
    goal_confirmed: int
    goal_source: str | None
    max_agents: int
    github_repo: str | None
    github_sync_enabled: int
    github_labels_initialized: int
    github_default_branch: str
    deadline: int | None
    color: str | None
    created_at: int
    updated_at: int
    version: int
    ticket_counter: int
    task_count: int


@frozen(kw_only=True)
class BoardFilter:
    """
    A filter for a list of boards, and its order: by name, ignoring case (then newest first), or newest first.
    """

    archived: bool = False
    gateway: UUID | None = None
    group: UUID | None = None
    by_name: bool = True
    empty_general: bool = True
    """Whether the general board is included if it has neither tasks nor agents."""

    @property
    def values(self) -> dict[str, Any]:
        """
        The values that boards must have, by field.
        """
        named = ((name, getattr(self, name)) for name in _FILTERED_FIELDS)
        return {name: value for name, value in named if value is not None}


_FILTERED_FIELDS = tuple(name for name in field_names(BoardFilter) if name in BoardRow._fields)


class BoardReads(Protocol):
    """
    Reads the boards that a principal may see.
    """

    async def get(self, principal: Principal, board: BoardId | BoardNumber) -> BoardRow:
        """
        Raises:
            BoardNotFound: If this organization has none.
            BoardDenied: If it is not granted to the principal.
        """

    async def check(self, principal: Principal, board: BoardId | BoardNumber) -> BoardId:
        """
        The board's id, if the principal may see the board. It reads less than `get`.

        Raises:
            BoardNotFound: If this organization has none.
            BoardDenied: If it is not granted to the principal.
        """

    async def page(self, principal: Principal, wanted: BoardFilter, page: PageRequest | None = None) -> PageOfRows:
        """
        A page of board rows, or all of them without *page*.
        """
