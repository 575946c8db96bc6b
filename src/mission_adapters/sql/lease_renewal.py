"""
The renewal of a lease by one statement, without reading its run: the heartbeat is decided on the remembered run and
task, and the statement changes the run only if neither has changed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Executable, func, literal_column

from mission_adapters.decision_operations import LeaseHeartbeatOperation
from mission_adapters.row_memory import RowMemory
from mission_adapters.row_parts import WholeTask
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.event_log import HAS_BUDGETS
from mission_adapters.sql.row_writes import update_of
from mission_adapters.sql.statements import Statement, cached_statement
from mission_adapters.write_buffer import ReadDependency, WriteBuffer
from mission_core.accounts.model import may_write_board
from mission_core.tasks.model import Task
from mission_core.tasks.ports import Budgets, Candidate, Decide, TaskChange
from mission_core.tasks.runs import Run


class LeaseRenewal(NamedTuple):
    """
    A heartbeat that changes nothing but the lease of a remembered run.
    """

    memory: RowMemory
    task: Task
    run: Run
    renewed: Run
    change: TaskChange
    has_budgets: bool


class RememberedHeartbeat(NamedTuple):
    """
    A heartbeat that can be decided on remembered rows.
    """

    memory: RowMemory
    task: Task
    run: Run
    decide: Decide

    def renewal(self, budgets: Budgets | None = None) -> LeaseRenewal | None:
        """
        Return the renewal, if nothing but the lease changes. None means that it must be decided on locked rows.

        Args:
            budgets: The budgets of the organization, if they were read. Otherwise it must have none.
        """
        memory, task, run, decide = self
        try:
            change = decide(Candidate(task=task, run=run, budgets=budgets))
        except Exception:  # an outdated row may be the reason: it is decided again on locked rows
            return None
        if change is None or change.heartbeat is None or change.task or change.run or change.new_run:
            return None
        if change.late_result or change.events:
            return None
        return LeaseRenewal(memory, task, run, change.heartbeat, change, budgets is not None)


def remembered_heartbeat_of(buffer: WriteBuffer) -> RememberedHeartbeat | None:
    """
    Return the heartbeat, if the unit does nothing else and the store remembers the rows. None means that it must be
    decided on locked rows.
    """
    memory, principal = buffer.memory, buffer.principal
    if memory is None or len(buffer.operations) != 1 or not isinstance(buffer.operations[0], LeaseHeartbeatOperation):
        return None
    if buffer.writes or buffer.events or buffer.read_dependencies or buffer.presence or buffer.used_keys:
        return None
    operation = buffer.operations[0]
    run = memory.find(Run, principal, operation.run)
    task = None if run is None else memory.find(Task, principal, run.task)
    if run is None or task is None or buffer.idempotency_key or buffer.remembered:
        return None
    # The number of open dependencies is not remembered.
    if task.depends_on or not may_write_board(principal, task.board):
        return None
    return RememberedHeartbeat(memory, task, run, operation.decide)


def renew_lease(dialect: str, renewal: LeaseRenewal) -> Steps[bool]:
    """
    Renew the lease, if neither the run nor its task has changed, and the organization has no budgets but those that
    the heartbeat was decided with. Return whether it was renewed.
    """
    task, run, renewed = renewal.task, renewal.run, renewal.renewed
    whole = WholeTask.of(task)
    relied = [ReadDependency(WholeTask, whole.id, whole.version, bump=False)]
    statement, given = update_of(run, renewed, relied, remembered=True)
    if not renewal.has_budgets:
        statement = _without_budgets(statement)
        given["organization"] = run.organization.bytes
    return bool((yield statement.count(dialect, **given)._replace(single=True)))


@cached_statement
def _without_budgets(statement: Statement) -> Executable:
    """
    Run an update only if the organization has no budgets.
    """
    update: Any = statement.core
    made: Executable = update.where(func.coalesce(HAS_BUDGETS, literal_column("0")) == literal_column("0"))
    return made
