"""
The renewal of a lease by one statement, without reading its run: the heartbeat is decided on the remembered run and
task, and the statement changes the run only if neither has changed.
"""

from __future__ import annotations

from typing import NamedTuple

from mission_adapters.decision_operations import LeaseHeartbeatOperation
from mission_adapters.row_memory import RowMemory
from mission_adapters.row_parts import WholeTask
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.row_writes import update_of
from mission_adapters.write_buffer import ReadDependency, WriteBuffer
from mission_core.accounts.model import may_write_board
from mission_core.tasks.model import Task
from mission_core.tasks.ports import Candidate, TaskChange
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


def lease_renewal_of(buffer: WriteBuffer) -> LeaseRenewal | None:
    """
    Return the renewal, if the unit does nothing else and the store remembers the rows. None means that the heartbeat
    must be decided on locked rows.
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
    try:
        change = operation.decide(Candidate(task=task, run=run))
    except Exception:  # an outdated row may be the reason: it is decided again on locked rows
        return None
    if change is None or change.heartbeat is None or change.task or change.run or change.new_run or change.late_result:
        return None
    return None if change.events else LeaseRenewal(memory, task, run, change.heartbeat, change)


def renew_lease(dialect: str, renewal: LeaseRenewal) -> Steps[bool]:
    """
    Renew the lease, if neither the run nor its task has changed. Return whether it was renewed.
    """
    task, run, renewed = renewal.task, renewal.run, renewal.renewed
    whole = WholeTask.of(task)
    relied = [ReadDependency(WholeTask, whole.id, whole.version, bump=False)]
    statement, given = update_of(run, renewed, relied, remembered=True)
    return bool((yield statement.count(dialect, **given)._replace(single=True)))
