"""
The named operations of a unit of work. Their decision functions are called inside the flush, with current rows.
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
    Claim the next task: call `decide` with the claimable tasks in queue order, until it returns a change.
    """

    wanted: Wanted
    decide: Decide
    at: datetime
    agrees: Agrees | None = None


@frozen(kw_only=True)
class ClaimOf:
    """
    Claim one task: call `decide` with its current row.
    """

    task: TaskId | TaskNumber
    decide: Decide


@frozen(kw_only=True)
class ExpireDueOf:
    """
    Expire leases: call `decide` for each task whose lease has ended, for at most *limit* of them.
    """

    decide: Decide
    at: datetime
    limit: int


@frozen(kw_only=True)
class HeartbeatOf:
    """
    Renew a lease: call `decide` with a run and its task.
    """

    run: RunId
    decide: Decide


@frozen(kw_only=True)
class TakeBackOf:
    """
    Free an agent's unfinished tasks: call `decide` for each of them.
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
