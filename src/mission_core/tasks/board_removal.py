"""
Deletion of a board, either with its tasks and agents, or after these move to the general board.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from attrs import field, frozen

from mission_core.accounts.model import Principal, Role, boards_seen, require, require_no_agent
from mission_core.boards.defining import unbind_fields
from mission_core.boards.model import GENERAL, Board, BoardDeleted, BoardDenied, BoardNotFound, GeneralNotDeleted
from mission_core.changes import evolve
from mission_core.errors import VersionMismatch
from mission_core.events.model import Fact
from mission_core.ids import BoardId, BoardNumber
from mission_core.tasks.facts import TaskUpdated
from mission_core.tasks.leaving import given_back
from mission_core.tasks.ports import Bereft, Change
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.ports import Ports


@frozen(kw_only=True)
class DeleteBoard:
    """
    Delete a board with its tasks and agents. With *hand_over* these move to the general board and keep their ticket
    numbers.
    """

    board: BoardId | BoardNumber
    expects: int | None = None
    hand_over: bool = False


@use_case
async def delete_board(ports: Ports, principal: Principal, cmd: DeleteBoard) -> Board:
    """
    Delete a board. The leases of its tasks end, and tasks of other boards lose their dependencies on them. With
    *hand_over* its tasks keep their leases; its lead does not become lead of the general board.

    Raises:
        BoardNotFound: If there is no such board for this principal.
        BoardDenied: If the principal may not write to it, or not to the general board that takes over.
        GeneralNotDeleted: If it is the general board.
        RoleTooLow: If the principal may not write, is an agent, or is no admin while the general board has gates that
            this board lacks.
        VersionMismatch: If the caller expected another version.
    """
    require(principal, Role.OPERATOR)
    require_no_agent(principal)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        board = await unit.boards.get(cmd.board)
        if cmd.expects is not None and cmd.expects != board.version:
            raise VersionMismatch(cmd.expects, board.version)
        if board.handle == GENERAL:
            raise GeneralNotDeleted
        heir = None
        if cmd.hand_over:
            heir = await unit.boards.find_handle(GENERAL)
            if heir is None:
                raise BoardDenied if boards_seen(principal) is not None else BoardNotFound
            if board.gates.lacks(heir.gates):  # the board's tasks never met those gates
                require(principal, Role.ADMIN)
        await unbind_fields(unit, board.id)
        unit.boards.dissolve(board, BoardEnd(board, heir, at=now), heir=heir, at=now)
        await unit.commit()
    return board


@frozen
class BoardEnd:
    """
    The effects of deleting a board: tasks of other boards lose their dependencies on its tasks, and unfinished tasks
    that its agents have on other boards are freed.
    """

    board: Board
    heir: Board | None = None
    at: datetime = field(kw_only=True)

    def bereave(self, bereft: Bereft) -> Change | None:
        change = (given_back(bereft.candidate, at=self.at) if bereft.unmanned else None) or Change()
        if not bereft.depends_on:
            return change if change.task else None
        task = change.task or bereft.candidate.task
        left = tuple(each for each in task.depends_on if each not in bereft.depends_on)
        updated = TaskUpdated(task=task.id, board=task.board, title=task.title, changed=("depends_on",), at=self.at)
        return evolve(change, task=evolve(task, depends_on=left, updated_at=self.at), facts=(*change.facts, updated))

    def told(self, *, tasks: int, agents: int) -> tuple[Fact, ...]:
        deleted = BoardDeleted(
            board=self.board.id, number=self.board.number, name=self.board.name, tasks=tasks, agents=agents,
            handed_to=self.heir.id if self.heir else None, at=self.at,
        )  # fmt: skip
        return (deleted,)
