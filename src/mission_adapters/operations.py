"""
The named operations of a unit: what is decided inside the flush, on rows that are fresh there.
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
    Offer the queue to a decision.
    """

    wanted: Wanted
    decide: Decide
    at: datetime
    agrees: Agrees | None = None


@frozen(kw_only=True)
class ClaimOf:
    """
    Offer one task to a decision.
    """

    task: TaskId | TaskNumber
    decide: Decide


@frozen(kw_only=True)
class ExpireDueOf:
    """
    Offer tasks whose lease ran out to a decision.
    """

    decide: Decide
    at: datetime
    limit: int


@frozen(kw_only=True)
class HeartbeatOf:
    """
    Offer a run and its task to a decision.
    """

    run: RunId
    decide: Decide


@frozen(kw_only=True)
class TakeBackOf:
    """
    Offer what an agent has in hand to a decision.
    """

    agent: Agent
    decide: Decide
    limit: int
    last: bool


@frozen(kw_only=True)
class DissolveOf:
    """
    Remove a board with all that hangs on it, or hand that over to its heir.
    """

    board: Board
    heir: Board | None
    end: Ending
    at: datetime


@frozen(kw_only=True)
class EndOf:
    """
    Remove an organization with every row that is its own, names it or hangs on one that does.
    """

    organization: Organization
    relied_on: tuple[Versioned, ...] = ()
    since: int | None = None


Operation = ClaimNextOf | ClaimOf | ExpireDueOf | HeartbeatOf | TakeBackOf | DissolveOf | EndOf
