"""
Use cases that create and change boards.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from attrs import asdict, evolve, field, fields

from mission_core.accounts.model import Principal, Role, require_no_agent_below_admin, require_role
from mission_core.boards.assignments import AlreadyAssigned, replace_assignments
from mission_core.boards.groups import require_joinable_group
from mission_core.boards.model import (
    Board,
    BoardCreated,
    BoardStatus,
    GateSet,
    HandleTaken,
    TicketPrefixTaken,
    handle_from,
    prefix_from,
    require_gates_not_weakened,
    require_grant,
)
from mission_core.entity_changes import require_version
from mission_core.errors import InvalidField, StaleWrite
from mission_core.ids import BoardId, BoardNumber, GroupId
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, JsonText

if TYPE_CHECKING:
    from mission_core.ports import Ports


@frozen(kw_only=True)
class CreateBoard:
    """
    Create a board. A given handle or ticket prefix must be free; a derived one gets the board's number as a suffix if
    it is taken.
    """

    name: str
    slug: str | None = None
    handle: str | None = None
    ticket_prefix: str | None = None
    description: str | None = None
    gates: GateSet = GateSet()
    group: GroupId | None = None
    board_type: str = "goal"
    objective: str | None = None
    success_metrics: JsonText | None = None
    target_date: datetime | None = None
    goal_confirmed: bool = False
    goal_source: str | None = None
    max_agents: int = 1
    github_repo: str | None = None
    deadline: datetime | None = None
    color: str | None = None


@frozen(kw_only=True)
class UpdateBoard:
    """
    Change the named fields of a board. *gates* names the gates to change. *assigned_agents* replaces the agents
    assigned to it.
    """

    board: BoardId | BoardNumber
    expects: int | None = None
    name: str | Absent = ABSENT
    slug: str | Absent = ABSENT
    ticket_prefix: str | Absent = ABSENT
    description: str | Absent | None = ABSENT
    status: BoardStatus | Absent = ABSENT
    gates: dict[str, bool] = field(factory=dict)
    group: GroupId | Absent | None = ABSENT
    board_type: str | Absent = ABSENT
    objective: str | Absent | None = ABSENT
    success_metrics: JsonText | Absent | None = ABSENT
    target_date: datetime | Absent | None = ABSENT
    goal_confirmed: bool | Absent = ABSENT
    goal_source: str | Absent | None = ABSENT
    max_agents: int | Absent = ABSENT
    github_repo: str | Absent | None = ABSENT
    github_sync_enabled: bool | Absent = ABSENT
    github_labels_initialized: bool | Absent = ABSENT
    github_default_branch: str | Absent = ABSENT
    deadline: datetime | Absent | None = ABSENT
    color: str | Absent | None = ABSENT
    assigned_agents: tuple[str, ...] | Absent = ABSENT


SPECIAL_FIELDS = frozenset({"board", "expects", "gates", "assigned_agents"})
"""Fields of the command that are not simply written to the board."""


@use_case
async def create_board(ports: Ports, principal: Principal, cmd: CreateBoard) -> Board:
    """
    Create a board.

    Raises:
        BoardDenied: If the principal may write on some boards only.
        WeakerGates: If an agent below admin creates one with gates weaker than the default.
        HandleTaken: If the given handle or prefix belongs to another board.
        GroupNotFound: If there is no such group to join.
        InvalidField: If no handle or prefix can be derived from the given one.
    """
    require_role(principal, Role.OPERATOR)
    require_grant(principal, None)
    require_gates_not_weakened(principal, cmd.gates, GateSet())
    now = ports.clock.now()
    (number,) = await ports.numbers.next((principal.organization, "board"))
    async with ports.unit(principal) as unit:
        handle, prefix = _handle_and_prefix(cmd, number)
        handle_taken, prefix_taken = await unit.boards.names_taken(handle=handle, ticket_prefix=prefix)
        if handle_taken and cmd.handle:
            raise HandleTaken
        if prefix_taken and cmd.ticket_prefix:
            raise TicketPrefixTaken
        await require_joinable_group(unit, principal, cmd.group)
        own = {a: getattr(cmd, a) for a in _COPIED_FIELDS}
        board = unit.boards.add(
            Board(
                id=BoardId(ports.ids.new()),
                number=BoardNumber(number),
                organization=principal.organization,
                slug=cmd.slug if cmd.slug is not None else handle,
                handle=f"{handle}-{number}" if handle_taken else handle,
                ticket_prefix=f"{prefix}{number}" if prefix_taken else prefix,
                created_at=now,
                updated_at=now,
                **own,
            )
        )
        if board.goal_confirmed:
            board.check_goal()
        unit.record(BoardCreated.of(board, at=now))
        unit.result(board.id)
        await unit.commit()
    return board


_COPIED_FIELDS = tuple(
    each.name for each in fields(CreateBoard) if each.name not in {"slug", "handle", "ticket_prefix"}
)


def _handle_and_prefix(cmd: CreateBoard, number: int) -> tuple[str, str]:
    """
    The handle and the ticket prefix: as given, else derived from slug or name, else from the number.
    """
    if cmd.handle:
        handle = handle_from(cmd.handle)
    else:
        handle = _first_usable(handle_from, cmd.slug, cmd.name) or f"board-{number}"
    if cmd.ticket_prefix:
        return handle, prefix_from(cmd.ticket_prefix)
    return handle, _first_usable(partial(prefix_from, most=5), cmd.name, cmd.slug) or f"B{number}"


def _first_usable(make: Callable[[str], str], *names: str | None) -> str | None:
    """
    The first result of *make* for one of *names* that it accepts, or None.
    """
    for name in names:
        with suppress(InvalidField):
            if name:
                return make(name)
    return None


@use_case
async def update_board(ports: Ports, principal: Principal, cmd: UpdateBoard) -> Board:
    """
    Change the named fields of a board. If nothing changes, nothing is written or logged.

    Raises:
        BoardNotFound: If there is no such board for this principal.
        RoleTooLow: If an agent changes gates.
        TicketPrefixTaken: If another board has the ticket prefix.
        GroupNotFound: If there is no such group to join.
        BoardDenied: If the principal may not write on it, or on no board of the group that it joins.
        AgentsUnknown: If agents are assigned that do not exist.
        GoalIncomplete: If it becomes a goal board without objective or metrics.
        VersionMismatch: If the caller expected another version.
    """
    require_role(principal, Role.OPERATOR)
    if cmd.gates:
        require_no_agent_below_admin(principal)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        board = require_version(await unit.boards.get(cmd.board), cmd.expects)
        changes = {
            name: value
            for name, value in asdict(cmd, recurse=False).items()
            if name not in SPECIAL_FIELDS and value is not ABSENT
        }
        if "ticket_prefix" in changes:
            changes["ticket_prefix"] = prefix_from(str(changes["ticket_prefix"]))
        if cmd.gates:
            changes["gates"] = evolve(board.gates, **cmd.gates)
        if cmd.group != board.group:
            await require_joinable_group(unit, principal, cmd.group)
        board, updated = board.edit(changes, at=now)
        if "board_type" in changes:
            board.check_goal()
        restaffed = not isinstance(cmd.assigned_agents, Absent) and await replace_assignments(
            ports, unit, board, cmd.assigned_agents, at=now
        )
        if not updated.changed and not restaffed:
            require_grant(principal, board.id)
            return board
        if updated.changed:
            board = unit.boards.save(board)
            unit.record(updated)
        else:
            unit.rely_on(board)
        unit.result(board.id)
        try:
            await unit.commit()
        except AlreadyAssigned:
            raise StaleWrite("board", board.id) from None  # by a concurrent request
    return board
