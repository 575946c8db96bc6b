"""
Claims on PostgreSQL without a transaction: one statement reads the first ready task of the queue. Another claims it, if
the task, the gates of its board and the number of claims under the name are unchanged.

Claims at the same time would meet at the head of the queue. So only one claim of an organization is made in this way at
a time. All others are decided on locked rows (`decision_operations`), as is one that needs more, or finds something
changed; and so are the claims of the organization for some time after it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from attrs import field
from sqlalchemy import Executable, literal_column
from sqlalchemy.dialects.postgresql import insert

from mission_adapters.sql.combined_claims import combined_claim, needs_candidate_only
from mission_adapters.sql.combined_flush import NotCombined, Term
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.decision_operations import claimed_boards, require_capacity
from mission_adapters.sql.queue_candidates import QueueCandidate, claim_sequence, read_candidate
from mission_adapters.sql.row_writes import check_remembered
from mission_adapters.sql.statements import parameter
from mission_adapters.sql.tables import numbers
from mission_adapters.sql.task_decisions import FlushResults
from mission_adapters.sql.tasks_in_progress import read_tasks_in_progress
from mission_core.boards.model import GatesVersion
from mission_core.errors import Conflict
from mission_core.lazy_attrs import define
from mission_core.tasks.ports import Candidate

if TYPE_CHECKING:
    from datetime import datetime

    from mission_adapters.decision_operations import ClaimNextOperation
    from mission_adapters.sql.database_session import DatabaseSession
    from mission_adapters.write_buffer import WriteBuffer
    from mission_core.ids import OrganizationId
    from mission_core.tasks.ports import TaskInProgress

LOCKING_PERIOD: Final = 5.0
"""The seconds for which claims are decided on locked rows after one that had to be."""


class NotOptimistic(Exception):
    """
    A claim must be decided on locked rows. Nothing has changed.
    """


@define(eq=False)
class OptimisticClaims:
    """
    The claims that this process makes without a transaction.
    """

    session: DatabaseSession
    _under_way: set[OrganizationId] = field(factory=set, init=False)
    """The organizations with such a claim that has found its task."""
    _locking_until: dict[OrganizationId, float] = field(factory=dict, init=False)
    """The time of the event loop until which the claims of an organization are decided on locked rows."""

    async def claim(self, buffer: WriteBuffer, operation: ClaimNextOperation, *, at: datetime) -> FlushResults:
        """
        Claim the next task, if one is ready.

        Raises:
            NotOptimistic: If the claim must be decided on locked rows.
        """
        now, organization = asyncio.get_running_loop().time, buffer.principal.organization
        if now() < self._locking_until.get(organization, 0.0):
            raise NotOptimistic
        try:
            return await self._claim(buffer, operation, at=at)
        except NotOptimistic:
            self._locking_until[organization] = now() + LOCKING_PERIOD
            raise

    async def _claim(self, buffer: WriteBuffer, operation: ClaimNextOperation, *, at: datetime) -> FlushResults:
        dialect, principal, name_key = self.session.dialect, buffer.principal, operation.wanted.name_key
        boards = claimed_boards(principal, operation.wanted)

        def steps() -> Steps[QueueCandidate]:
            return read_candidate(dialect, principal, operation, boards, single=True)

        # The lock of the task ends with the statement, so it need not be made durable.
        candidate = await self.session.write(steps, durable=False)
        if candidate.has_expired or candidate.ready or candidate.has_budgets:
            raise NotOptimistic
        in_hand: list[TaskInProgress] = []
        if operation.capacity_check is not None and candidate.has_work:
            # They are read after the number of claims, which the statement of the claim compares.
            in_hand = await self.session.read(lambda: read_tasks_in_progress(dialect, principal, name_key))
        require_capacity(operation, in_hand)
        if candidate.task is None:
            await self.session.read(lambda: check_remembered(dialect, buffer.remembered.values()))
            return FlushResults(at)
        if principal.organization in self._under_way or not needs_candidate_only(candidate, boards):
            raise NotOptimistic
        self._under_way.add(principal.organization)
        try:
            return await self._write(buffer, operation, candidate, at=at)
        finally:
            self._under_way.discard(principal.organization)

    async def _write(
        self, buffer: WriteBuffer, operation: ClaimNextOperation, candidate: QueueCandidate, *, at: datetime
    ) -> FlushResults:
        principal, task = buffer.principal, candidate.task
        assert task is not None
        change = operation.decide(Candidate(task=task, run=None))
        guards = [] if operation.capacity_check is None else [_claim_counted(buffer, operation, candidate)]
        relied = (*buffer.remembered.values(), GatesVersion(task.board, candidate.gates_version))
        claim = None
        if change is not None:
            claim = combined_claim(principal, candidate, change, at=at, relied=relied, guards=guards)
        if claim is None:
            raise NotOptimistic
        try:
            return await self.session.write(claim, wakes=principal.organization)
        except (NotCombined, Conflict) as changed:
            raise NotOptimistic from changed


def _claim_counted(buffer: WriteBuffer, operation: ClaimNextOperation, candidate: QueueCandidate) -> Term:
    known = candidate.claims or 0
    given: dict[str, Any] = {
        "claimant_scope": buffer.principal.organization.bytes,
        "claimant": claim_sequence(operation.wanted.name_key),
        "claims_known": known,
        "claims": known + 1,
    }
    return Term(_count_claim, (), given)


def _count_claim() -> Executable:
    """
    Count a claim under a name, if there was no other since the number was read.
    """
    counted = insert(numbers).values(
        scope=parameter("claimant_scope"), kind=parameter("claimant", str), value=parameter("claims", int)
    )
    unchanged: Executable = counted.on_conflict_do_update(
        index_elements=[numbers.c.scope, numbers.c.kind],
        set_={"value": counted.excluded.value},
        where=numbers.c.value == parameter("claims_known", int),
    ).returning(literal_column("1"))
    return unchanged
