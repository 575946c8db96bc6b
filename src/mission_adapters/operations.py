"""
The named operations of a unit of work. Their decisions are taken inside the flush, on current rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.accounts.organizations import Organization
    from mission_core.agents.model import Agent
    from mission_core.boards.model import Board
    from mission_core.ids import RunId, TaskId, TaskNumber
    from mission_core.ports import Versioned
    from mission_core.tasks.ports import Agrees, Decide, Ending, Wanted


@frozen(kw_only=True)
class ClaimNextOf:
    """
    Ask a decision for the claimable tasks in queue order, until it takes one.
    """

    wanted: Wanted
    decide: Decide
    at: datetime
    agrees: Agrees | None = None


@frozen(kw_only=True)
class ClaimOf:
    """
    Ask a decision about one task.
    """

    task: TaskId | TaskNumber
    decide: Decide


@frozen(kw_only=True)
class ExpireDueOf:
    """
    Ask a decision about each task whose lease has ended.
    """

    decide: Decide
    at: datetime
    limit: int


@frozen(kw_only=True)
class HeartbeatOf:
    """
    Ask a decision about a run and its task.
    """

    run: RunId
    decide: Decide


@frozen(kw_only=True)
class TakeBackOf:
    """
    Ask a decision about each unfinished task of an agent.
    """

    agent: Agent
    decide: Decide
    limit: int
    last: bool


@frozen(kw_only=True)
class DissolveOf:
    """
    Delete a board with everything on it, or move that to the board *heir*.
    """

    board: Board
    heir: Board | None
    end: Ending
    at: datetime


@frozen(kw_only=True)
class EndOf:
    """
    Delete an organization with every row that belongs to it or refers to it.
    """

    organization: Organization
    relied_on: tuple[Versioned, ...] = ()
    since: int | None = None


Operation = ClaimNextOf | ClaimOf | ExpireDueOf | HeartbeatOf | TakeBackOf | DissolveOf | EndOf
