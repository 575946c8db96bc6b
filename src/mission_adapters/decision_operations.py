"""
Operations of a unit of work that run inside its flush: claims, lease expiry, heartbeats, reassignment and deletion.

Most have a decision function of the core, which is called with the current rows and returns the changes to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.accounts.organizations import Organization
    from mission_core.agents.model import Agent
    from mission_core.boards.model import Board
    from mission_core.ids import RunId, TaskId, TaskNumber
    from mission_core.ports import Versioned
    from mission_core.tasks.ports import CapacityCheck, ClaimFilter, Decide, DeletionCascade


@frozen(kw_only=True)
class ClaimNextOperation:
    """
    Claim the next task: call `decide` with the claimable tasks in queue order, until it returns a change.
    """

    wanted: ClaimFilter
    decide: Decide
    at: datetime
    capacity_check: CapacityCheck | None = None


@frozen(kw_only=True)
class ClaimOperation:
    """
    Claim one task: call `decide` with its current row.
    """

    task: TaskId | TaskNumber
    decide: Decide


@frozen(kw_only=True)
class ExpireLeasesOperation:
    """
    Expire leases: call `decide` for each task whose lease has ended, for at most *limit* of them.
    """

    decide: Decide
    at: datetime
    limit: int


@frozen(kw_only=True)
class LeaseHeartbeatOperation:
    """
    Renew a lease: call `decide` with a run and its task.
    """

    run: RunId
    decide: Decide


@frozen(kw_only=True)
class FreeAssignedOperation:
    """
    Free an agent's unfinished tasks: call `decide` for each of them.
    """

    agent: Agent
    decide: Decide
    limit: int
    last: bool


@frozen(kw_only=True)
class DeleteBoardOperation:
    """
    Delete a board with everything on it, or move that to the board *reassign_to*.
    """

    board: Board
    reassign_to: Board | None
    cascade: DeletionCascade
    at: datetime


@frozen(kw_only=True)
class DeleteOrganizationOperation:
    """
    Delete an organization with every row that belongs to it or refers to it.
    """

    organization: Organization
    relied_on: tuple[Versioned, ...] = ()
    since: int | None = None


Operation = (
    ClaimNextOperation
    | ClaimOperation
    | ExpireLeasesOperation
    | LeaseHeartbeatOperation
    | FreeAssignedOperation
    | DeleteBoardOperation
    | DeleteOrganizationOperation
)
