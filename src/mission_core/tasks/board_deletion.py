"""
Deletion of a board, either with its tasks and agents, or after these move to the general board.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

from attrs import field

from mission_core.accounts.model import Principal, Role, readable_boards, require_no_agent_below_admin, require_role
from mission_core.boards.custom_field_use_cases import remove_board_from_fields
from mission_core.boards.model import (
    GENERAL_HANDLE,
    Board,
    BoardDeleted,
    BoardDenied,
    BoardNotFound,
    GeneralBoardNotDeletable,
)
from mission_core.entity_changes import evolve, require_version
from mission_core.events.model import Event
from mission_core.ids import BoardId, BoardNumber, TaskId
from mission_core.lazy_attrs import frozen
from mission_core.tasks.agent_deletion import freed_change
from mission_core.tasks.events import TaskUpdated
from mission_core.tasks.model import GateClosed
from mission_core.tasks.ports import OrphanedTask, TaskChange
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
        GeneralBoardNotDeletable: If it is the general board.
        RoleTooLow: If the principal may not write, is an agent below admin, or is no admin while the general board has
            gates that this board lacks.
        GateClosed: If its tasks would leave it while an approval of one is pending, and it blocks status changes
            meanwhile.
        VersionMismatch: If the caller expected another version.
    """
    require_role(principal, Role.OPERATOR)
    require_no_agent_below_admin(principal)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        board = require_version(await unit.boards.get(cmd.board), cmd.expects)
        if board.handle == GENERAL_HANDLE:
            raise GeneralBoardNotDeletable
        reassign_to = None
        if cmd.hand_over:
            reassign_to = await unit.boards.find_handle(GENERAL_HANDLE)
            if reassign_to is None:
                raise BoardDenied if readable_boards(principal) is not None else BoardNotFound
            if board.gates.is_weaker_than(reassign_to.gates):  # the board's tasks never met those gates
                require_role(principal, Role.ADMIN)  # who may also change the gates of both, which judges nothing anew
            unit.rely_on(reassign_to.gates_to_rely_on)
        await remove_board_from_fields(unit, board.id)
        unit.boards.delete_with_contents(
            board, BoardDeletionCascade(board, reassign_to, at=now), reassign_to=reassign_to, at=now
        )
        await unit.commit()
    return board


@frozen
class BoardDeletionCascade:
    """
    The effects of deleting a board: tasks of other boards lose their dependencies on its tasks, and unfinished tasks
    that its agents have on other boards are freed.
    """

    board: Board
    reassign_to: Board | None = None
    at: datetime = field(kw_only=True)

    @property
    def keeps_pending(self) -> bool:
        return self.reassign_to is not None and self.board.gates.block_status_changes_with_pending_approval

    def refuse_departure(self, task: TaskId) -> NoReturn:
        raise GateClosed("block_status_changes_with_pending_approval", task)

    def update_orphan(self, orphan: OrphanedTask) -> TaskChange | None:
        change = (freed_change(orphan.candidate, at=self.at) if orphan.loses_assignee else None) or TaskChange()
        if not orphan.depends_on:
            return change if change.task else None
        task = change.task or orphan.candidate.task
        left = tuple(each for each in task.depends_on if each not in orphan.depends_on)
        updated = TaskUpdated(task=task.id, board=task.board, title=task.title, changed=("depends_on",), at=self.at)
        return evolve(change, task=evolve(task, depends_on=left, updated_at=self.at), events=(*change.events, updated))

    def events(self, *, tasks: int, agents: int) -> tuple[Event, ...]:
        deleted = BoardDeleted(
            board=self.board.id, number=self.board.number, name=self.board.name, tasks=tasks, agents=agents,
            handed_to=self.reassign_to.id if self.reassign_to else None, at=self.at,
        )  # fmt: skip
        return (deleted,)
