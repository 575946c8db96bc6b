"""
Request bodies of the lease operations: claim, heartbeat, complete, fail, release, adopt and order.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from attrs import frozen

from mission_core.ids import BoardId, OrderId, RunId, TaskId, TaskNumber
from mission_core.tasks.heartbeats import Heartbeat
from mission_core.tasks.late_result_adoption import AdoptLateResult
from mission_core.tasks.leases import ClaimNext, ClaimTask, CompleteTask, FailTask, ReleaseTask
from mission_core.tasks.operator_orders import GiveOrder
from mission_core.tasks.runs import FAILURE_BY_CODE, Failure, LeaseTerms, OrderKind, Outcome, TaskResult
from mission_core.values import JsonText, json_text
from mission_http.fleet.bodies import EntityNumber, JsonObjectText, stripped_text
from mission_http.platform.field_annotations import CustomCheck, Length, NumberRange

LongText = Annotated[str, Length(0, 5000)]
AgentName = Annotated[str, CustomCheck(stripped_text), Length(0, 100)]
FailureReasonName = Literal[
    "transient", "rate_limited", "timeout", "crashed", "tool_failed", "unclear", "access_missing", "impossible",
    "refused",
]  # fmt: skip


@frozen(kw_only=True)
class ClaimBody:
    """
    A claim: the agent, optionally the project, and the length of the lease.
    """

    agent: AgentName | None = None
    project_id: EntityNumber | None = None
    lease_seconds: Annotated[int, NumberRange(1, 86_400)] = 300

    @property
    def terms(self) -> LeaseTerms:
        return LeaseTerms(term=timedelta(seconds=self.lease_seconds))

    def next(self, *, board: BoardId | None, label: str | None) -> ClaimNext:
        return ClaimNext(agent=self.agent or label, board=board, terms=self.terms)

    def of(
        self, task: TaskId | TaskNumber, *, board: BoardId | None, label: str | None, expects: int | None
    ) -> ClaimTask:
        return ClaimTask(task=task, on=board, agent=self.agent or label, terms=self.terms, expects=expects)


@frozen(kw_only=True)
class LeaseHeartbeatBody:
    lease: str
    progress: JsonObjectText | None = None
    acknowledges: UUID | None = None
    waiting_for: Annotated[str, Length(1, 5000)] | None = None
    wait_seconds: Annotated[int, NumberRange(1, 2_592_000)] = 86_400

    def of(self, task: TaskId | TaskNumber, *, expects: int | None) -> Heartbeat:
        return Heartbeat(
            task=task,
            lease=self.lease,
            progress=_text(self.progress),
            acknowledges=OrderId(self.acknowledges) if self.acknowledges else None,
            waiting_for=self.waiting_for,
            wait=timedelta(seconds=self.wait_seconds),
            expects=expects,
        )


@frozen(kw_only=True)
class CompleteBody:
    lease: str
    outcome: TaskResult = TaskResult.SUCCESS
    resolution: LongText | None = None
    output: JsonObjectText | None = None

    def of(self, task: TaskId | TaskNumber, *, expects: int | None) -> CompleteTask:
        outcome = Outcome(result=self.outcome, resolution=self.resolution, output=_text(self.output))
        return CompleteTask(task=task, lease=self.lease, outcome=outcome, expects=expects)


@frozen(kw_only=True)
class FailBody:
    lease: str
    reason: FailureReasonName
    message: LongText | None = None

    def of(self, task: TaskId | TaskNumber, *, expects: int | None) -> FailTask:
        failure = Failure(reason=FAILURE_BY_CODE[self.reason], message=self.message)
        return FailTask(task=task, lease=self.lease, failure=failure, expects=expects)


@frozen(kw_only=True)
class ReleaseBody:
    lease: str
    note: LongText | None = None

    def of(self, task: TaskId | TaskNumber, *, expects: int | None) -> ReleaseTask:
        return ReleaseTask(task=task, lease=self.lease, note=self.note, expects=expects)


@frozen(kw_only=True)
class AdoptBody:
    """
    The run whose late result completes the task, and the lease of the current holder; an operator sends no lease.
    """

    run_id: UUID
    lease: str | None = None

    def of(self, task: TaskId | TaskNumber, *, expects: int | None) -> AdoptLateResult:
        return AdoptLateResult(task=task, run=RunId(self.run_id), lease=self.lease, expects=expects)


@frozen(kw_only=True)
class OrderBody:
    kind: OrderKind
    message: LongText | None = None
    to: AgentName | None = None

    def of(self, task: TaskId | TaskNumber, *, expects: int | None) -> GiveOrder:
        return GiveOrder(task=task, kind=self.kind, message=self.message, to=self.to or None, expects=expects)


def _text(value: dict[str, Any] | None) -> JsonText | None:
    return None if value is None else json_text(value)
