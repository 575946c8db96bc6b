"""
Boards and their gates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from attrs import asdict, field
from attrs.validators import optional

from mission_core.accounts.model import (
    AgentPrincipal,
    Principal,
    Role,
    may_read_board,
    may_write_board,
    writable_boards,
)
from mission_core.entity_changes import evolve, with_changes
from mission_core.errors import Conflict, Denied, Invalid, InvalidField, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import BoardId, BoardNumber, GroupId, OrganizationId
from mission_core.lazy_attrs import frozen
from mission_core.values import EMPTY_OBJECT, JsonText, json_object, name_key, text, utc_moment, whole_number

GENERAL_HANDLE: Final = "general"
"""The handle of the board that every organization is created with."""


class BoardStatus(StrEnum):
    """
    The status of a board: an archived board takes no new tasks.
    """

    ACTIVE = "active"
    ARCHIVED = "archived"


@frozen(kw_only=True, field_transformer=with_type_validators)
class GateSet:
    """
    The five gates of a board: rules that apply to every change of its tasks, through either dialect.
    """

    require_approval_for_done: bool = True
    require_review_before_done: bool = False
    comment_required_for_review: bool = False
    block_status_changes_with_pending_approval: bool = False
    only_lead_can_change_status: bool = False

    def is_weaker_than(self, other: GateSet) -> bool:
        """
        Whether the other set has a gate that this one lacks, which makes this one weaker.
        """
        own, others = asdict(self), asdict(other)
        return any(others[rule] and not own[rule] for rule in others)


class WeakerGates(Denied):
    """
    An agent below admin tried to weaken the gates: by moving a task to a board with weaker ones, or by creating such a
    board.
    """

    says = (
        "an agent key below admin can neither move a task to a board with weaker gates nor create a board with "
        "gates weaker than the default; ask an admin"
    )


@frozen
class GatesVersion:
    """
    The version of a board's gates as they were read. A decision relies on it instead of the whole board; *version* is
    the board's `gates_version`.
    """

    id: BoardId
    version: int


class BoardNotFound(NotFound):
    """
    This organization has no such board.
    """

    says = "Board not found"


class BoardDenied(Denied):
    """
    The board is not granted to the principal.
    """

    says = "Board access denied"


class BoardReadOnly(BoardDenied):
    """
    The principal may read the board but not write on it.
    """


def require_grant(principal: Principal, *boards: BoardId | None) -> None:
    """
    Require that the principal may write on one of these boards. None stands for what belongs to no board. Something
    that belongs to several boards, such as a group, takes a grant on one of them.

    Raises:
        BoardReadOnly: If the principal may only read one of them.
        BoardDenied: If it may read none of them.
    """
    if writable_boards(principal) is not None and not any(may_write_board(principal, each) for each in boards):
        raise BoardReadOnly if any(may_read_board(principal, each) for each in boards) else BoardDenied


def require_gates_not_weakened(principal: Principal, gates: GateSet, least: GateSet) -> None:
    """
    Refuse an agent below admin that would weaken the gates.

    Raises:
        WeakerGates: If the principal is one, and *gates* lack a gate of *least*.
    """
    if isinstance(principal, AgentPrincipal) and principal.role is not Role.ADMIN and gates.is_weaker_than(least):
        raise WeakerGates


class HandleTaken(Conflict):
    """
    Another board of the organization has this handle or ticket prefix.
    """

    says = "another board has this slug or ticket prefix; choose another"


class TicketPrefixTaken(HandleTaken):
    """
    Another board of the organization has this ticket prefix.
    """

    code = "prefix_taken"
    says = "another board has this ticket prefix; choose another"


class GeneralBoardProtected(Invalid):
    """
    The general board takes the tasks that name no board, so it cannot be archived.
    """

    code = "general_stays"
    says = "the general board cannot be archived: it takes the tasks that name no board"


class GeneralBoardNotDeletable(GeneralBoardProtected):
    """
    The general board takes the tasks that name no board, so it cannot be deleted.
    """

    code = "general_not_deleted"
    says = "the general board cannot be deleted: it takes the tasks that name no board"


class GoalIncomplete(Invalid):
    """
    A confirmed goal needs an objective and success metrics.
    """

    says = "a confirmed goal board needs an objective and success metrics"


@frozen(kw_only=True, field_transformer=with_type_validators)
class Board:
    """
    A board. *handle* is unique in the organization and identifies the board in ticket lists; *slug* is free text.

    *gates_version* rises with a change of the gates only.
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
    target_date: datetime | None = field(default=None, validator=optional(utc_moment))
    goal_confirmed: bool = False
    goal_source: str | None = field(default=None, validator=optional(text(most=200)))
    max_agents: int = field(default=1, validator=whole_number(0, 1_000_000))
    github_repo: str | None = field(default=None, validator=optional(text(most=200)))
    github_sync_enabled: bool = False
    github_labels_initialized: bool = False
    github_default_branch: str = field(default="main", validator=text(least=1, most=255))
    deadline: datetime | None = field(default=None, validator=optional(utc_moment))
    color: str | None = field(default=None, validator=optional(text(most=32)))
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    version: int = 0
    gates_version: int = 0

    @property
    def name_key(self) -> str:
        """
        The name in the form that lists are sorted by.
        """
        return name_key(self.name)

    @property
    def gates_to_rely_on(self) -> GatesVersion:
        """
        The version of the gates, for a decision that relies on them.
        """
        return GatesVersion(self.id, self.gates_version)

    def next_version(self, before: Board) -> Board:
        """
        The board with its next version, given the board as it was read.
        """
        changed = self.gates != before.gates
        return evolve(self, version=before.version + 1, gates_version=before.gates_version + changed)

    def edit(self, changes: Mapping[str, Any], *, at: datetime) -> tuple[Board, BoardUpdated]:
        """
        The board with these fields changed, and the event that names them.

        Raises:
            GeneralBoardProtected: If it is the general board and would be archived.
            InvalidField: If a value is invalid.
        """
        if self.handle == GENERAL_HANDLE and changes.get("status") is BoardStatus.ARCHIVED:
            raise GeneralBoardProtected
        after, changed = with_changes(self, changes, at=at)
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
    Derive a handle from a name: lower case, with each run of characters other than a-z and 0-9 as one hyphen, at most
    *most* characters.

    Raises:
        InvalidField: If no character is left.
    """
    handle = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:most].strip("-")
    if not handle:
        raise InvalidField("slug", "needs a letter from a to z or a digit", name)
    return handle


def prefix_from(name: str, *, most: int = 12) -> str:
    """
    Derive a ticket prefix from a name: its letters and digits in upper case, at most *most* characters.

    Raises:
        InvalidField: If no character is left.
    """
    prefix = re.sub(r"[^A-Z0-9]", "", name.upper())[:most]
    if not prefix:
        raise InvalidField("ticket_prefix", "needs a letter from a to z or a digit", name)
    return prefix


@frozen(kw_only=True, eq=False, repr=False)
class BoardCreated(Event):
    """
    A board was created.
    """

    kind = "board.created"

    board: BoardId
    number: int
    name: str


@frozen(kw_only=True, eq=False, repr=False)
class BoardUpdated(Event):
    """
    Fields of a board changed.
    """

    kind = "board.updated"

    board: BoardId
    changed: tuple[str, ...]


@frozen(kw_only=True, eq=False, repr=False)
class BoardDeleted(Event):
    """
    A board was deleted, along with its tasks and agents. If *handed_to* is set, they were moved to that board instead.
    """

    kind = "board.deleted"

    board: BoardId
    number: int
    name: str
    tasks: int
    agents: int
    handed_to: BoardId | None
