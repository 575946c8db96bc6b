"""
Who is assigned to a board, by name: the agent need not exist yet.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from mission_core.accounts.model import Principal, Role, require
from mission_core.boards.model import Board
from mission_core.errors import Conflict, Invalid, NotFound, StaleWrite
from mission_core.events.model import Fact
from mission_core.field_types import typed
from mission_core.ids import AssignmentId, AssignmentNumber, BoardId, BoardNumber, OrganizationId
from mission_core.kinds import Kind
from mission_core.use_case import use_case
from mission_core.values import aware, name_key, text

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

MEMBER: Final = "member"


class NotAssigned(NotFound):
    """
    Nobody of this name is assigned to the board.
    """

    def __str__(self) -> str:
        return "this agent is not assigned to the board"


class AlreadyAssigned(Conflict):
    """
    Somebody of this name is assigned to the board.
    """

    def __str__(self) -> str:
        return "this agent is assigned to the board already"


@define
class AgentsUnknown(Invalid):
    """
    Names that no agent of the organization has.
    """

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"there are no agents named {', '.join(self.names)}"


@frozen(kw_only=True, field_transformer=typed)
class Assignment:
    """
    An agent's place on a board, and its role there. Of one name, whatever its case, a board has one.
    """

    id: AssignmentId
    number: AssignmentNumber
    organization: OrganizationId
    board: BoardId
    agent_name: str = field(validator=text(least=1, most=100))
    name_key: str
    role: str = field(default=MEMBER, validator=text(least=1, most=100))
    assigned_at: datetime = field(validator=aware)
    version: int = 0


STAFF: Final = Kind(
    entity=Assignment,
    name="assignments",
    missing=NotAssigned,
    unique={("board", "name_key"): AlreadyAssigned},
    found_by=(("board",), ("name_key",)),
    goes_with={"board": Board},
)


@frozen(kw_only=True)
class AgentAssigned(Fact):
    """
    An agent was assigned to a board.
    """

    kind = "board.agent_assigned"
    about = "board"

    board: BoardId
    agent_name: str
    role: str


@frozen(kw_only=True)
class AgentUnassigned(Fact):
    """
    An agent is assigned to a board no longer.
    """

    kind = "board.agent_unassigned"
    about = "board"

    board: BoardId
    agent_name: str


@frozen(kw_only=True)
class AssignAgent:
    """
    Assign an agent to a board. Who is assigned already keeps the role it has.
    """

    board: BoardId | BoardNumber
    agent_name: str
    role: str = MEMBER


@frozen(kw_only=True)
class UnassignAgent:
    """
    Assign an agent to a board no longer, if it was.
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
    require(principal, Role.OPERATOR)
    async with ports.unit(principal) as unit:
        board = await unit.boards.get(cmd.board)
        unit.rely_on(board)
        unit.result(board.id)
        if await unit.rows(STAFF).find(board=board.id, name_key=name_key(cmd.agent_name)) is None:
            await _join(ports, unit, board, (cmd.agent_name,), role=cmd.role, at=ports.clock.now())
        try:
            await unit.commit()
        except AlreadyAssigned:
            raise StaleWrite("board", board.id) from None  # by somebody else in this very moment
    return board


@use_case
async def unassign_agent(ports: Ports, principal: Principal, cmd: UnassignAgent) -> Board:
    """
    Assign an agent to a board no longer.

    Raises:
        BoardNotFound: If there is no such board for this principal.
    """
    require(principal, Role.OPERATOR)
    async with ports.unit(principal) as unit:
        board = await unit.boards.get(cmd.board)
        found = await unit.rows(STAFF).find(board=board.id, name_key=name_key(cmd.agent_name))
        if found is not None:
            _leave(unit, found, at=ports.clock.now())
            await unit.commit()
    return board


async def staff_board(ports: Ports, unit: UnitOfWork, board: Board, names: tuple[str, ...], *, at: datetime) -> bool:
    """
    Assign these agents to a board and nobody else, and tell whether that changed anything. Who stays keeps its role.

    Raises:
        AgentsUnknown: If there are no agents of these names.
    """
    unknown = await unit.agents.unknown(names)
    if unknown:
        raise AgentsUnknown(unknown)
    present = {each.name_key: each for each in await unit.rows(STAFF).every(board=board.id)}
    wanted = {name_key(name): name for name in names}
    leaving = [assignment for key, assignment in present.items() if key not in wanted]
    joining = [name for key, name in wanted.items() if key not in present]
    for assignment in leaving:
        _leave(unit, assignment, at=at)
    await _join(ports, unit, board, joining, role=MEMBER, at=at)
    return bool(leaving or joining)


async def _join(
    ports: Ports, unit: UnitOfWork, board: Board, names: list[str] | tuple[str, ...], *, role: str, at: datetime
) -> None:
    if not names:
        return
    numbers = await ports.numbers.draw(*[(board.organization, "assignment")] * len(names))
    for number, name in zip(numbers, names, strict=True):
        unit.rows(STAFF).add(
            Assignment(
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


def _leave(unit: UnitOfWork, assignment: Assignment, *, at: datetime) -> None:
    unit.rows(STAFF).remove(assignment)
    unit.record(AgentUnassigned(board=assignment.board, agent_name=assignment.agent_name, at=at))
