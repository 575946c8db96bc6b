"""
Payloads of reported runs, and of the leaderboard of evaluated ones. Costs are in dollars.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, UnsetType

from mission_core.usage.reported_run_queries import EvaluatedRuns
from mission_core.usage.reported_runs import ReportedRun, RunEvaluation
from mission_http.fleet.token_payloads import dollars
from mission_http.fleet.wire import WORKSPACE_NUMBER, FleetPayload, iso_of
from mission_http.platform.field_annotations import WireName
from mission_http.platform.shapes import Computed, Fixed, Of, Payload


def _provenance_time(run: ReportedRun) -> str:
    return run.provenance.created_at or iso_of(run.created_at)


def _evaluation(run: ReportedRun) -> Any:  # it is rendered here, because it may be left out
    return UNSET if run.evaluation is None else RunEvaluationPayload.of(run.evaluation)


def _mean_dollars(runs: EvaluatedRuns) -> float | None:
    mean = runs.mean_cost
    return None if mean is None else dollars(round(mean))


def _pass_rate(runs: EvaluatedRuns) -> float:
    return runs.passed / runs.runs


class RunCostPayload(FleetPayload[ReportedRun]):
    input_tokens: Annotated[int, Of("tokens.input_tokens")]
    output_tokens: Annotated[int, Of("tokens.output_tokens")]
    cache_read_tokens: Annotated[int | None, Of("tokens.cache_read_tokens")]
    cache_write_tokens: Annotated[int | None, Of("tokens.cache_write_tokens")]
    cost_usd: Annotated[float | None, Of("cost", dollars)]
    model: Annotated[str | None, Of("tokens.model")]
    reported_cost_usd: Annotated[float | None, Of("tokens.reported_cost", dollars)]
    unpriced_tokens: int


class RunProvenancePayload(FleetPayload[ReportedRun]):
    run_hash: Annotated[str, Of("provenance.run_hash")]
    parent_run_hash: Annotated[str | None, Of("provenance.parent_run_hash")]
    lineage: Annotated[list[str], Of("provenance.lineage")]
    model_version: Annotated[str | None, Of("provenance.model_version")]
    config_hash: Annotated[str | None, Of("provenance.config_hash")]
    runtime: Annotated[str | None, Of("provenance.runtime")]
    signed_by: Annotated[str | None, Of("provenance.signed_by")]
    signature: Annotated[str | None, Of("provenance.signature")]
    created_at: Annotated[str, Computed(_provenance_time)]


class RunEvaluationPayload(FleetPayload[RunEvaluation], rename={"passed": "pass"}):
    task_type: str | None
    eval_layer: Annotated[str | None, Of("layer")]
    passed: Annotated[bool, WireName("pass")]
    score: float
    detail: str | None
    metrics: dict[str, Any] | None
    benchmark_id: Annotated[str | None, Of("benchmark")]


class ReportedRunPayload(FleetPayload[ReportedRun]):
    id: Annotated[str, Of("key")]
    agent_id: Annotated[str, Of("agent_label")]
    agent_name: str | None
    model: str | None
    provider: str | None
    runtime: str
    runtime_version: str | None
    trigger: str | None
    parent_run_id: Annotated[str | None, Of("parent")]
    task_id: Annotated[str | None, Of("task_label")]
    status: str
    outcome: str | None
    started_at: Annotated[str, Of("started_text")]
    ended_at: Annotated[str | None, Of("ended_text")]
    duration_ms: int | None
    steps: list[Any]
    tools_available: Annotated[list[str], Of("tools")]
    cost: Annotated[RunCostPayload, Of("")]
    provenance: Annotated[RunProvenancePayload, Of("")]
    error: str | None
    git_branch: str | None
    git_commit: str | None
    workspace_id: Annotated[str, Fixed(str(WORKSPACE_NUMBER))]
    tags: list[str]
    metadata: dict[str, Any]
    number: int
    version: int
    eval: Annotated[RunEvaluationPayload | UnsetType, Computed(_evaluation)] = UNSET


class ReportedRunListPayload(Payload):
    runs: list[ReportedRunPayload]
    total: int


class RunReportedPayload(Payload):
    id: str
    run_hash: str


class LeaderboardEntryPayload(FleetPayload[EvaluatedRuns]):
    agent_name: str
    model: str
    runtime: str
    avg_score: Annotated[float, Of("score")]
    pass_rate: Annotated[float, Computed(_pass_rate)]
    avg_cost_usd: Annotated[float | None, Computed(_mean_dollars)]
    run_count: Annotated[int, Of("runs")]
    priced_run_count: Annotated[int, Of("priced")]
    unpriced_tokens: int


class LeaderboardPayload(Payload):
    entries: list[LeaderboardEntryPayload]
