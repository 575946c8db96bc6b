"""
Boards and their gate sets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from attrs import asdict, field, frozen
from attrs.validators import optional

from mission_core.accounts.model import AgentPrincipal, Principal, Role, boards_written, sees, writes_on
from mission_core.changes import edited, evolve
from mission_core.errors import Conflict, Denied, Invalid, InvalidField, NotFound
from mission_core.events.model import Fact
from mission_core.field_types import typed
from mission_core.ids import BoardId, BoardNumber, GroupId, OrganizationId
from mission_core.values import EMPTY_OBJECT, JsonText, aware, json_object, text, whole

GENERAL: Final = "general"
"""The handle of the board every organization starts with."""


class BoardStatus(StrEnum):
    """
    Whether new work may come in.
    """

    ACTIVE = "active"
    ARCHIVED = "archived"


@frozen(kw_only=True, field_transformer=typed)
class GateSet:
    """
    The five rules a board's work meets, whoever made the board and through whichever dialect it is written.
    """

    require_approval_for_done: bool = True
    require_review_before_done: bool = False
    comment_required_for_review: bool = False
    block_status_changes_with_pending_approval: bool = False
    only_lead_can_change_status: bool = False

    def lacks(self, other: GateSet) -> bool:
        """
        Whether it leaves out a rule of the other set, and so is weaker than that.
        """
        own, others = asdict(self), asdict(other)
        return any(others[rule] and not own[rule] for rule in others)


class WeakerGates(Denied):
    """
    An agent below admin would lead work around the gates: onto a board with weaker ones, or onto one made for that.
    """

    def __str__(self) -> str:
        return (
            "an agent's key below admin neither moves work to a board with weaker gates, nor makes a board with gates "
            "weaker than the default; ask an admin"
        )


@frozen
class BoardGates:
    """
    The gate set of a board as it was read, to be relied on alone: *version* is the board's `gates_version`.
    """

    id: BoardId
    version: int


class BoardNotFound(NotFound):
    """
    This organization has no such board.
    """

    def __str__(self) -> str:
        return "Board not found"


class BoardDenied(Denied):
    """
    The board is not granted to the principal.
    """

    def __str__(self) -> str:
        return "Board access denied"


class BoardReadOnly(BoardDenied):
    """
    The principal may see the board, and change nothing on it.
    """


def require_grant(principal: Principal, *boards: BoardId | None) -> None:
    """
    The rule for every change of what belongs to a board, or, with None, to no board. Of what belongs to several, as a
    group does, a grant on one of them is enough.

    Raises:
        BoardReadOnly: If the principal may only see the board.
        BoardDenied: If it may not even see it.
    """
    if boards_written(principal) is not None and not any(writes_on(principal, each) for each in boards):
        raise BoardReadOnly if any(sees(principal, each) for each in boards) else BoardDenied


def check_gates_kept(principal: Principal, gates: GateSet, least: GateSet) -> None:
    """
    Keep agents below admin from weakening the gates that their work meets.

    Raises:
        WeakerGates: If the principal is one, and *gates* lack a rule of *least*.
    """
    if isinstance(principal, AgentPrincipal) and principal.role is not Role.ADMIN and gates.lacks(least):
        raise WeakerGates


class HandleTaken(Conflict):
    """
    Another board of the organization has this handle or ticket prefix.
    """

    def __str__(self) -> str:
        return "another board has this slug or ticket prefix; choose another"


class PrefixTaken(HandleTaken):
    """
    Another board of the organization has this ticket prefix.
    """

    def __str__(self) -> str:
        return "another board has this ticket prefix; choose another"


class GeneralStays(Invalid):
    """
    The general board is where work without a board goes.
    """

    def __str__(self) -> str:
        return "the general board cannot be archived: work that names no board goes there"


class GeneralNotDeleted(GeneralStays):
    """
    The general board cannot go.
    """

    def __str__(self) -> str:
        return "the general board cannot be deleted: work that names no board goes there"


class GoalIncomplete(Invalid):
    """
    A confirmed goal needs to say what it is and how success shows.
    """

    def __str__(self) -> str:
        return "a confirmed goal board needs an objective and success metrics"


@frozen(kw_only=True, field_transformer=typed)
class Board:
    """
    A board: *handle* is unique in the organization and stands in tickets' lists, *slug* is free text.

    *gates_version* is raised with *version*, but only where its gate set changes.
    """

    id: BoardId
    number: BoardNumber
    organization: OrganizationId
    name: str = field(validator=text(most=200))
    slug: str = field(default="", validator=text(most=200))
    handle: str = field(validator=text(least=1, most=80))
    ticket_prefix: str = field(validator=text(least=1, most=24))
    description: str | None = field(default=None, validator=optional(text(most=5000)))
    status: BoardStatus = BoardStatus.ACTIVE
    gates: GateSet = GateSet()
    gateway: UUID | None = None
    group: GroupId | None = None
    board_type: str = field(default="goal", validator=text(most=100))
    objective: str | None = field(default=None, validator=optional(text(most=20_000)))
    success_metrics: JsonText | None = field(default=None, validator=optional(json_object))
    target_date: datetime | None = field(default=None, validator=optional(aware))
    goal_confirmed: bool = False
    goal_source: str | None = field(default=None, validator=optional(text(most=200)))
    max_agents: int = field(default=1, validator=whole(0, 1_000_000))
    github_repo: str | None = field(default=None, validator=optional(text(most=200)))
    github_sync_enabled: bool = False
    github_labels_initialized: bool = False
    github_default_branch: str = field(default="main", validator=text(least=1, most=255))
    deadline: datetime | None = field(default=None, validator=optional(aware))
    color: str | None = field(default=None, validator=optional(text(most=32)))
    created_at: datetime = field(validator=aware)
    updated_at: datetime = field(validator=aware)
    version: int = 0
    gates_version: int = 0

    @property
    def gates_as_read(self) -> BoardGates:
        """
        What a decision under its gates relies on.
        """
        return BoardGates(self.id, self.gates_version)

    def next_version(self, before: Board) -> Board:
        """
        The board as it is saved, where it was read as *before*.
        """
        changed = self.gates != before.gates
        return evolve(self, version=before.version + 1, gates_version=before.gates_version + changed)

    def edit(self, changes: Mapping[str, Any], *, at: datetime) -> tuple[Board, BoardUpdated]:
        """
        The board with these fields changed, and which did.

        Raises:
            GeneralStays: If it is the general board and would be archived.
            InvalidField: If a value cannot be kept.
        """
        if self.handle == GENERAL and changes.get("status") is BoardStatus.ARCHIVED:
            raise GeneralStays
        after, changed = edited(self, changes, at=at)
        return after, BoardUpdated(board=self.id, changed=changed, at=at)

    def check_goal(self) -> None:
        """
        Raises:
            GoalIncomplete: If it is a goal board that lacks objective or metrics.
        """
        if self.board_type == "goal" and not (self.objective and self.success_metrics not in (None, EMPTY_OBJECT)):
            raise GoalIncomplete


def handle_from(name: str, *, most: int = 64) -> str:
    """
    The handle a name suggests: lower case, runs of other characters than a-z and 0-9 as one hyphen, *most* at the most.

    Raises:
        InvalidField: If nothing is left.
    """
    handle = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:most].strip("-")
    if not handle:
        raise InvalidField("slug", "needs a letter from a to z or a digit", name)
    return handle


def prefix_from(name: str, *, most: int = 12) -> str:
    """
    The ticket prefix a name suggests: its letters and digits in upper case, *most* at the most.

    Raises:
        InvalidField: If nothing is left.
    """
    prefix = re.sub(r"[^A-Z0-9]", "", name.upper())[:most]
    if not prefix:
        raise InvalidField("ticket_prefix", "needs a letter from a to z or a digit", name)
    return prefix


@frozen(kw_only=True)
class BoardCreated(Fact):
    """
    A board was made.
    """

    kind = "board.created"
    about = "board"

    board: BoardId
    number: int
    name: str


@frozen(kw_only=True)
class BoardUpdated(Fact):
    """
    Fields of a board changed.
    """

    kind = "board.updated"
    about = "board"

    board: BoardId
    changed: tuple[str, ...]


@frozen(kw_only=True)
class BoardDeleted(Fact):
    """
    A board was removed, and so many tasks and agents with it; or they were handed over to another board.
    """

    kind = "board.deleted"
    about = "board"

    board: BoardId
    number: int
    name: str
    tasks: int
    agents: int
    handed_to: BoardId | None
