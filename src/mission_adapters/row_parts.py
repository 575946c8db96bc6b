"""
The parts of rows whose versions a unit of work can rely on (`rely_on`) instead of the version of the whole row, and
whole rows: their versions with what these do not count.

The version of a whole row also has the time of its last change. After a database has lost its last commits, as in a
failover to a standby that did not have them, another change may get the same version number.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import UUID

from mission_core.agents.model import Agent, AgentPlacement
from mission_core.boards.model import Board, GatesVersion
from mission_core.lazy_attrs import frozen
from mission_core.tasks.model import Task, TaskWorkVersion
from mission_core.tasks.runs import Run
from mission_core.values import micros

if TYPE_CHECKING:
    from mission_core.ports import RowPart

UNVERSIONED_AGENT_COLUMNS: Final = ("reported", "last_seen_at", "activity")
UNVERSIONED_RUN_COLUMNS: Final = ("expires_at", "heartbeat_at", "progress")


@frozen
class WholeBoard:
    """
    A board with the time of its last change.
    """

    id: UUID
    version: tuple[Any, ...]

    @classmethod
    def of(cls, board: Board) -> Self:
        """
        Return the whole of this board.
        """
        return cls(board.id, (board.version, micros(board.updated_at)))


@frozen
class WholeAgent:
    """
    An agent with what its version does not count: its presence.
    """

    id: UUID
    version: tuple[Any, ...]

    @classmethod
    def of(cls, agent: Agent) -> Self:
        """
        Return the whole of this agent.
        """
        presence = agent.presence
        seen_at = None if presence.last_seen_at is None else micros(presence.last_seen_at)
        changed_at = micros(agent.updated_at)
        return cls(agent.id, (agent.version, changed_at, presence.reported, seen_at, presence.activity))


@frozen
class WholeTask:
    """
    A task with what its version does not count: its late results, and the agent with the assignee's name.
    """

    id: UUID
    version: tuple[Any, ...]

    @classmethod
    def of(cls, task: Task) -> Self:
        """
        Return the whole of this task.
        """
        agent = None if task.assignee is None or task.assignee.agent is None else task.assignee.agent.bytes
        return cls(task.id, (task.version, micros(task.updated_at), task.late_results, agent))


@frozen
class WholeRun:
    """
    A run with what its version does not count: its lease and progress.
    """

    id: UUID
    version: tuple[Any, ...]

    @classmethod
    def of(cls, run: Run) -> Self:
        """
        Return the whole of this run.
        """
        ended_at = None if run.ended_at is None else micros(run.ended_at)
        return cls(run.id, (run.version, ended_at, micros(run.expires_at), micros(run.heartbeat_at), run.progress))


def whole_row(row: Any) -> RowPart:
    """
    Return what is unchanged only if no column of the row has changed.
    """
    if isinstance(row, Task):
        return WholeTask.of(row)
    if isinstance(row, Agent):
        return WholeAgent.of(row)
    return WholeRun.of(row) if isinstance(row, Run) else WholeBoard.of(row)


ROW_PARTS: Final[dict[type, tuple[type, Callable[[Any], RowPart]]]] = {
    GatesVersion: (Board, attrgetter("gates_to_rely_on")),
    AgentPlacement: (Agent, attrgetter("placement")),
    TaskWorkVersion: (Task, attrgetter("work_version")),
    WholeBoard: (Board, WholeBoard.of),
    WholeAgent: (Agent, WholeAgent.of),
    WholeTask: (Task, WholeTask.of),
    WholeRun: (Run, WholeRun.of),
}
"""The entity of each part, and the part of it."""
