"""
The parts of rows whose versions a unit of work can rely on (`rely_on`) instead of the version of the whole row.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from mission_core.agents.model import Agent, AgentPlacement
from mission_core.boards.model import Board, GatesVersion
from mission_core.tasks.model import Task, TaskWorkVersion

if TYPE_CHECKING:
    from mission_core.ports import RowPart

ROW_PARTS: Final[dict[type, tuple[type, Callable[[Any], RowPart]]]] = {
    GatesVersion: (Board, attrgetter("gates_to_rely_on")),
    AgentPlacement: (Agent, attrgetter("placement")),
    TaskWorkVersion: (Task, attrgetter("work_version")),
}
"""The entity of each part, and the part of it."""
