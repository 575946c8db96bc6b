"""
Board assignments: agents assigned to a board, by name. The agent need not exist yet.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import field

from mission_core.accounts.model import Principal, Role, require_role
from mission_core.boards.model import Board
from mission_core.errors import Conflict, Invalid, NotFound, StaleWrite
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import AssignmentId, AssignmentNumber, BoardId, BoardNumber, OrganizationId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import define, frozen
from mission_core.use_case import use_case
from mission_core.values import name_key, text, utc_moment

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

DEFAULT_ASSIGNMENT_ROLE: Final = "member"


class NotAssigned(NotFound):
    """
    The board has no assignment of this agent name.
    """

    says = "this agent is not assigned to the board"


class AlreadyAssigned(Conflict):
    """
    The board already has an assignment of this agent name.
    """

    says = "this agent is assigned to the board already"


@define(repr=False)
class AgentsUnknown(Invalid):
    """
    The organization has no agents of these names.
    """

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"there are no agents named {', '.join(self.names)}"


@frozen(kw_only=True, field_transformer=with_type_validators)
class BoardAssignment:
    """
    The assignment of an agent to a board, with its role there. A board has at most one assignment per name, ignoring
    case.
    """

    id: AssignmentId
    number: AssignmentNumber
    organization: OrganizationId
    board: BoardId
    agent_name: str = field(validator=text(least=1, most=100))
    name_key: str
    role: str = field(default=DEFAULT_ASSIGNMENT_ROLE, validator=text(least=1, most=100))
    assigned_at: datetime = field(validator=utc_moment)
    version: int = 0


BOARD_ASSIGNMENTS: Final = Kind(
    entity=BoardAssignment,
    name="assignments",
    missing=NotAssigned,
    unique={("board", "name_key"): AlreadyAssigned},
    indexed_by=(("board",), ("name_key",)),
    cascades_from={"board": Board},
)


@frozen(kw_only=True, eq=False, repr=False)
class AgentAssigned(Event):
    """
    An agent was assigned to a board.
    """

    kind = "board.agent_assigned"

    board: BoardId
    agent_name: str
    role: str


@frozen(kw_only=True, eq=False, repr=False)
class AgentUnassigned(Event):
    """
    An agent's assignment to a board was removed.
    """

    kind = "board.agent_unassigned"

    board: BoardId
    agent_name: str


@frozen(kw_only=True)
class AssignAgent:
    """
    Assign an agent to a board. An agent that is assigned already keeps its role.
    """

    board: BoardId | BoardNumber
    agent_name: str
    role: str = DEFAULT_ASSIGNMENT_ROLE


@frozen(kw_only=True)
class UnassignAgent:
    """
    Remove an agent's assignment to a board, if there is one.
    """

    board: BoardId | BoardNumber
    agent_name: str


@use_case
async def assign_agent(ports: Ports, principal: Principal, cmd: AssignAgent) -> Board:
    """
    Assign an agent to a board.

    Raises:
        BoardNotFound: If there is no such board for this principal.
    """
    require_role(principal, Role.OPERATOR)
    async with ports.unit(principal) as unit:
        board = await unit.boards.get(cmd.board)
        unit.rely_on(board)
        unit.result(board.id)
        if await unit.repository(BOARD_ASSIGNMENTS).find(board=board.id, name_key=name_key(cmd.agent_name)) is None:
            await _assign(ports, unit, board, (cmd.agent_name,), role=cmd.role, at=ports.clock.now())
        try:
            await unit.commit()
        except AlreadyAssigned:
            raise StaleWrite("board", board.id) from None  # by a concurrent request
    return board


@use_case
async def unassign_agent(ports: Ports, principal: Principal, cmd: UnassignAgent) -> Board:
    """
    Remove an agent's assignment to a board.

    Raises:
        BoardNotFound: If there is no such board for this principal.
    """
    require_role(principal, Role.OPERATOR)
    async with ports.unit(principal) as unit:
        board = await unit.boards.get(cmd.board)
        found = await unit.repository(BOARD_ASSIGNMENTS).find(board=board.id, name_key=name_key(cmd.agent_name))
        if found is not None:
            _unassign(unit, found, at=ports.clock.now())
            await unit.commit()
    return board


async def replace_assignments(
    ports: Ports, unit: UnitOfWork, board: Board, names: tuple[str, ...], *, at: datetime
) -> bool:
    """
    Replace the assignments of a board by these agents, and return whether that changed anything. An agent that was
    assigned before keeps its role.

    Raises:
        AgentsUnknown: If there are no agents of these names.
    """
    unknown = await unit.agents.unknown_names(names)
    if unknown:
        raise AgentsUnknown(unknown)
    present = {each.name_key: each for each in await unit.repository(BOARD_ASSIGNMENTS).every(board=board.id)}
    wanted = {name_key(name): name for name in names}
    leaving = [assignment for key, assignment in present.items() if key not in wanted]
    joining = [name for key, name in wanted.items() if key not in present]
    for assignment in leaving:
        _unassign(unit, assignment, at=at)
    await _assign(ports, unit, board, joining, role=DEFAULT_ASSIGNMENT_ROLE, at=at)
    return bool(leaving or joining)


async def _assign(
    ports: Ports, unit: UnitOfWork, board: Board, names: list[str] | tuple[str, ...], *, role: str, at: datetime
) -> None:
    if not names:
        return
    numbers = await ports.numbers.next(*[(board.organization, "assignment")] * len(names))
    for number, name in zip(numbers, names, strict=True):
        unit.repository(BOARD_ASSIGNMENTS).add(
            BoardAssignment(
                id=AssignmentId(ports.ids.new()),
                number=AssignmentNumber(number),
                organization=board.organization,
                board=board.id,
                agent_name=name,
                name_key=name_key(name),
                role=role,
                assigned_at=at,
            )
        )
        unit.record(AgentAssigned(board=board.id, agent_name=name, role=role, at=at))


def _unassign(unit: UnitOfWork, assignment: BoardAssignment, *, at: datetime) -> None:
    unit.repository(BOARD_ASSIGNMENTS).remove(assignment)
    unit.record(AgentUnassigned(board=assignment.board, agent_name=assignment.agent_name, at=at))
