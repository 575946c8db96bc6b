"""
Bodies and responses of the operations on leases.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from mission_core.ids import BoardId, OrderId, RunId, TaskId
from mission_core.tasks.explanations import Explanation
from mission_core.tasks.heartbeats import Heartbeat, HeartbeatResult
from mission_core.tasks.late_result_adoption import AdoptLateResult
from mission_core.tasks.late_results import NOTICE, LateResult
from mission_core.tasks.leases import ClaimNext, ClaimResult, ClaimTask, CompleteTask, FailTask, ReleaseTask
from mission_core.tasks.operator_orders import GiveOrder
from mission_core.tasks.queries import RunRow
from mission_core.tasks.runs import FAILURE_BY_CODE, Failure, LeaseTerms, OrderKind, Outcome, RunState, TaskResult
from mission_http.boards.payloads import MaybeObject, TaskRead, none_if_blank
from mission_http.boards.wire import BoardsPayload, JsonObject, lease_heartbeat_seconds, maybe_json
from mission_http.platform.field_annotations import Body, CustomCheck, Length, NumberRange
from mission_http.platform.shapes import Fixed, Given, Of, Payload

NoteText = Annotated[str | None, Length(0, 5000)]
FailureReasonCode = Literal[
    "transient", "rate_limited", "timeout", "crashed", "tool_failed", "unclear", "access_missing", "impossible",
    "refused",
]  # fmt: skip


class TaskClaim(Body):
    agent: Annotated[str | None, Length(0, 100), CustomCheck(none_if_blank)] = None
    lease_seconds: Annotated[int, NumberRange(1, 86_400)] = 300

    @property
    def terms(self) -> LeaseTerms:
        return LeaseTerms(term=timedelta(seconds=self.lease_seconds))

    def next_command(self, board: BoardId) -> ClaimNext:
        return ClaimNext(agent=self.agent, board=board, terms=self.terms)

    def command(self, task: TaskId, *, on: BoardId, expects: int | None) -> ClaimTask:
        return ClaimTask(task=task, on=on, agent=self.agent, terms=self.terms, expects=expects)


class LeaseRead(BoardsPayload[ClaimResult]):
    run_id: Annotated[UUID, Of("run.id")]
    lease: str
    fence: Annotated[int, Of("run.fence")]
    attempt: Annotated[int, Of("run.attempt")]
    expires_at: Annotated[datetime, Of("run.expires_at")]
    heartbeat_seconds: Annotated[int, Of("run", lease_heartbeat_seconds)]


class LateResultRead(BoardsPayload[LateResult]):
    """
    A result, or a failure with its reason, that was sent after the lease had ended. It did not change the task.
    """

    run_id: Annotated[UUID, Of("run")]
    fence: int
    agent: Annotated[str, Of("by")]
    notice: Annotated[str, Fixed(NOTICE)]
    outcome: Annotated[str | None, Of("result")]
    resolution: str | None
    output: MaybeObject
    reason: Annotated[str | None, Of("failure")]
    message: str | None
    received_at: datetime
    adopted_at: datetime | None


class TaskClaimedPayload(Payload):
    task: TaskRead | None
    lease: LeaseRead | None
    late_results: list[LateResultRead]


class LeaseHeartbeat(Body):
    lease: str
    progress: JsonObject | None = None
    acknowledges: UUID | None = None
    waiting_for: Annotated[str | None, Length(1, 5000)] = None
    wait_seconds: Annotated[int, NumberRange(1, 2_592_000)] = 86_400

    def command(self, task: TaskId, *, on: BoardId, expects: int | None) -> Heartbeat:
        return Heartbeat(
            task=task,
            on=on,
            lease=self.lease,
            progress=maybe_json(self.progress),
            acknowledges=OrderId(self.acknowledges) if self.acknowledges else None,
            waiting_for=self.waiting_for,
            wait=timedelta(seconds=self.wait_seconds),
            expects=expects,
        )


class OrderRead(BoardsPayload[HeartbeatResult]):
    id: Annotated[UUID | None, Of("order.id")]
    kind: Annotated[Literal["continue", "pause", "cancel", "steer", "budget_reached"], Of("instruction")]
    message: Annotated[str | None, Of("message")]


class LeaseBeat(BoardsPayload[HeartbeatResult]):
    order: Annotated[OrderRead, Of()]
    state: Annotated[RunState, Of("run.state")]
    expires_at: Annotated[datetime, Of("run.expires_at")]
    heartbeat_seconds: Annotated[int, Of("run", lease_heartbeat_seconds)]
    late_results: list[LateResultRead]


class TaskComplete(Body):
    lease: str
    outcome: Literal["success", "failed", "partial", "abandoned"] = "success"
    resolution: NoteText = None
    output: JsonObject | None = None

    def command(self, task: TaskId, *, on: BoardId, expects: int | None) -> CompleteTask:
        outcome = Outcome(result=TaskResult(self.outcome), resolution=self.resolution, output=maybe_json(self.output))
        return CompleteTask(task=task, on=on, lease=self.lease, outcome=outcome, expects=expects)


class TaskFail(Body):
    lease: str
    reason: FailureReasonCode
    message: NoteText = None

    def command(self, task: TaskId, *, on: BoardId, expects: int | None) -> FailTask:
        failure = Failure(reason=FAILURE_BY_CODE[self.reason], message=self.message)
        return FailTask(task=task, on=on, lease=self.lease, failure=failure, expects=expects)


class TaskAdopt(Body):
    run_id: UUID
    lease: str | None = None

    def command(self, task: TaskId, *, on: BoardId, expects: int | None) -> AdoptLateResult:
        return AdoptLateResult(task=task, on=on, run=RunId(self.run_id), lease=self.lease, expects=expects)


class TaskRelease(Body):
    lease: str
    note: NoteText = None

    def command(self, task: TaskId, *, on: BoardId, expects: int | None) -> ReleaseTask:
        return ReleaseTask(task=task, on=on, lease=self.lease, note=self.note, expects=expects)


class TaskOrder(Body):
    kind: OrderKind
    message: NoteText = None
    to: Annotated[str | None, Length(0, 100), CustomCheck(none_if_blank)] = None

    def command(self, task: TaskId, *, on: BoardId, expects: int | None) -> GiveOrder:
        return GiveOrder(task=task, on=on, kind=self.kind, message=self.message, to=self.to, expects=expects)


class TaskExplanation(BoardsPayload[Explanation]):
    state: str
    since: datetime
    why: str
    next: str
    late_results: list[LateResultRead]


class RunRead(BoardsPayload[RunRow]):
    run_id: Annotated[UUID, Of("id")]
    task_id: Annotated[UUID, Of("task")]
    fence: int
    attempt: int
    agent: Annotated[str, Of("by")]
    state: RunState
    claimed_at: datetime
    expires_at: datetime
    heartbeat_at: datetime
    progress: MaybeObject
    paused: bool
    waiting_for: str | None
    resumes_at: datetime | None
    ended_at: datetime | None
    outcome: Annotated[str | None, Of("result")]
    resolution: str | None
    output: MaybeObject
    reason: Annotated[str | None, Of("failure")]
    message: str | None
    note: str | None
    late_result: Annotated[LateResultRead | None, Given()]
