"""
Operations on reported runs: records that clients keep of what their agents did, with tokens and evaluations.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import SELF
from mission_core.boards.model import BoardDenied
from mission_core.errors import KeyReused, VersionMismatch
from mission_core.ids import ReportedRunId
from mission_core.usage.amounts import LONGEST_MODEL, LONGEST_PROVIDER, MAX_DOLLARS, MAX_TOKENS, NANOS_PER_DOLLAR
from mission_core.usage.counters import COUNTS
from mission_core.usage.model import LONGEST_NAME, UsageOfAnotherAgent, UsageOfAnotherTask
from mission_core.usage.reported_run_queries import ReportedRunFilter
from mission_core.usage.reported_run_use_cases import (
    EvaluateReportedRun,
    ReportRun,
    UpdateReportedRun,
    evaluate_reported_run,
    report_run,
    update_reported_run,
)
from mission_core.usage.reported_runs import (
    HIGHEST_SCORE,
    LONGEST_DETAIL,
    LONGEST_ERROR,
    LONGEST_KEY,
    LONGEST_LABEL,
    LONGEST_TIME,
    MOST_NAMES,
    REPORTED_RUNS,
    ReportedRun,
    ReportedRunIdTaken,
    ReportedRunNotFound,
    RunEvaluation,
    RunOfAnotherReporter,
    RunProvenance,
    TokensOfRun,
    run_hash_of,
)
from mission_core.values import ABSENT, Absent, JsonText, PageRequest
from mission_http.fleet.access import OPERATOR, VIEWER
from mission_http.fleet.bodies import BooleanOrBit, JsonObjectText, json_text
from mission_http.fleet.errors import RUN_PROTOCOL_HEADERS, InvalidRequest
from mission_http.fleet.reported_run_payloads import (
    LeaderboardEntryPayload,
    LeaderboardPayload,
    ReportedRunListPayload,
    ReportedRunPayload,
    RunProvenancePayload,
    RunReportedPayload,
)
from mission_http.fleet.wire import command_arguments
from mission_http.platform.bodies import body_of, fields_named, object_body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, etag_of, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import (
    Body,
    CustomCheck,
    Length,
    NumberRange,
    Query,
    SchemaOverride,
    TextPattern,
    WireName,
)
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once, read_row_again
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of

MOST_LISTED: Final = 200
RUN_REQUIRED: Final = ("agent_id", "status", "started_at")
EVALUATION_REQUIRED: Final = ("pass", "score")
RUN_NAMES: Final = {
    "agent_id": "agent_label", "id": "key", "task_id": "task_label", "parent_run_id": "parent",
    "tools_available": "tools", "started_at": "started_text", "ended_at": "ended_text", "cost": "", "provenance": "",
    "eval": "",
}  # fmt: skip
"""The core's names of fields of runs, where they differ; empty for those that are more than a value."""
COST_FIELDS: Final = {name: f"cost.{name}" for name in COUNTS}
"""The fields of a body with counts of tokens, by the names of the core."""


def moment_of_iso(told: str) -> datetime:
    """
    Parse a date or time in ISO 8601. A time without a zone is in UTC.
    """
    try:
        found = datetime.fromisoformat(told)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a date or time in ISO 8601") from None


def iso_text(told: str) -> str:
    """
    Check that a text is a date or time in ISO 8601, and keep it as it is.
    """
    moment_of_iso(told)
    return told


Label = Annotated[str, Length(0, LONGEST_LABEL)]
RequiredLabel = Annotated[str, Length(1, LONGEST_LABEL)]
Model = Annotated[str, Length(1, LONGEST_MODEL)]
Provider = Annotated[str, Length(1, LONGEST_PROVIDER)]
IsoTime = Annotated[str, Length(1, LONGEST_TIME), CustomCheck(iso_text)]
Names = Annotated[list[Label], Length(0, MOST_NAMES)]
LongText = Annotated[str, Length(0, LONGEST_ERROR)]
Milliseconds = Annotated[int, NumberRange(0)]
Count = Annotated[int, NumberRange(0, MAX_TOKENS)]
Dollars = Annotated[float, NumberRange(0, MAX_DOLLARS)]
Steps = Annotated[list[Any], CustomCheck(json_text), SchemaOverride({"type": "array", "items": {}})]
RunKey = Annotated[str, Length(1, LONGEST_KEY), TextPattern("(?!stream$)[^/]+", "must hold no / and not be `stream`")]


class RunCostBody(Body):
    input_tokens: Count | Absent = ABSENT
    output_tokens: Count | Absent = ABSENT
    cache_read_tokens: Count | Absent | None = ABSENT
    cache_write_tokens: Count | Absent | None = ABSENT
    cost_usd: Dollars | Absent | None = ABSENT
    model: Model | Absent | None = ABSENT

    def tokens(self) -> dict[str, Any]:
        """
        The values that were sent, by the names of the core.
        """
        found = command_arguments(self, {"cost_usd": ""}, frozenset())
        if not isinstance(self.cost_usd, Absent):
            found["reported_cost"] = None if self.cost_usd is None else round(self.cost_usd * NANOS_PER_DOLLAR)
        return found


class RunProvenanceBody(Body):
    run_hash: RequiredLabel | None = None
    parent_run_hash: Label | None = None
    lineage: Names | None = None
    model_version: Label | None = None
    config_hash: Label | None = None
    runtime: Label | None = None
    signed_by: Label | None = None
    signature: LongText | None = None
    created_at: Annotated[str, Length(0, LONGEST_TIME)] | None = None


class RunEvaluationBody(Body):
    passed: Annotated[BooleanOrBit, WireName("pass")]
    score: Annotated[float, NumberRange(-HIGHEST_SCORE, HIGHEST_SCORE)]
    task_type: Label | None = None
    eval_layer: Label | None = None
    detail: Annotated[str, Length(0, LONGEST_DETAIL)] | None = None
    metrics: JsonObjectText | None = None
    benchmark_id: Label | None = None

    def evaluation(self) -> RunEvaluation:
        """
        The evaluation.
        """
        return RunEvaluation(
            passed=self.passed, score=self.score, task_type=self.task_type, layer=self.eval_layer, detail=self.detail,
            metrics=None if self.metrics is None else JsonText(str(self.metrics)), benchmark=self.benchmark_id,
        )  # fmt: skip


class ReportRunBody(Body):
    agent_id: Annotated[int, NumberRange(0)] | RequiredLabel
    status: RequiredLabel
    started_at: IsoTime
    id: RunKey | None = None
    agent_name: Annotated[str, Length(1, LONGEST_NAME)] | None = None
    task_id: Annotated[int, NumberRange(0)] | Label | None = None
    model: Model | None = None
    provider: Provider | None = None
    runtime: Label | None = None
    runtime_version: Label | None = None
    trigger: Label | None = None
    parent_run_id: Label | None = None
    outcome: Label | None = None
    ended_at: IsoTime | None = None
    duration_ms: Milliseconds | None = None
    steps: Steps | None = None
    tools_available: Names | None = None
    cost: RunCostBody | None = None
    provenance: RunProvenanceBody | None = None
    eval: RunEvaluationBody | None = None
    error: LongText | None = None
    git_branch: Label | None = None
    git_commit: Label | None = None
    tags: Names | None = None
    metadata: JsonObjectText | None = None

    def command(self) -> ReportRun:
        """
        The command.
        """
        sent = command_arguments(self, RUN_NAMES, frozenset())
        given = {name: value for name, value in sent.items() if value is not None}
        given |= {name: str(given[name]) for name in ("agent_label", "task_label") if name in given}
        given |= {"ended_at": moment_of_iso(self.ended_at)} if self.ended_at is not None else {}
        given |= {"tokens": TokensOfRun(**self.cost.tokens())} if self.cost is not None else {}
        given |= {"evaluation": self.eval.evaluation()} if self.eval is not None else {}
        provenance = self._provenance(given["agent_label"], given.get("tools", ()))
        return ReportRun(started_at=moment_of_iso(self.started_at), provenance=provenance, **given)

    def _provenance(self, agent: str, tools: tuple[str, ...]) -> RunProvenance:
        told = self.provenance or RunProvenanceBody()
        computed = run_hash_of(
            agent=agent, model=self.model, tools=tools, config=told.config_hash, trigger=self.trigger
        )
        return RunProvenance(
            run_hash=told.run_hash or computed, parent_run_hash=told.parent_run_hash, lineage=tuple(told.lineage or ()),
            model_version=told.model_version, config_hash=told.config_hash, runtime=told.runtime,
            signed_by=told.signed_by, signature=told.signature, created_at=told.created_at,
        )  # fmt: skip


class UpdateRunBody(Body):
    status: RequiredLabel | Absent = ABSENT
    outcome: Label | Absent | None = ABSENT
    ended_at: IsoTime | Absent | None = ABSENT
    duration_ms: Milliseconds | Absent | None = ABSENT
    error: LongText | Absent | None = ABSENT
    model: Model | Absent | None = ABSENT
    provider: Provider | Absent | None = ABSENT
    git_branch: Label | Absent | None = ABSENT
    git_commit: Label | Absent | None = ABSENT
    steps: Steps | Absent = ABSENT
    cost: RunCostBody | Absent | None = ABSENT
    tags: Names | Absent = ABSENT
    metadata: JsonObjectText | Absent = ABSENT

    def command(self, run: ReportedRunId, *, expects: int | None) -> UpdateReportedRun:
        """
        The command.
        """
        given = command_arguments(self, {"ended_at": "ended_text", "cost": ""}, frozenset())
        if "ended_text" in given:
            given["ended_at"] = None if self.ended_at is None else moment_of_iso(str(self.ended_at))
        if isinstance(self.cost, RunCostBody):
            tokens = self.cost.tokens()
            given |= {"tokens_model": tokens.pop("model")} if "model" in tokens else {}
            given |= tokens
        return UpdateReportedRun(run=run, expects=expects, **given)


class RunListQuery(Query):
    agent_id: str | None = None
    status: str | None = None
    since: Annotated[str, CustomCheck(iso_text)] | None = None
    task_id: str | None = None
    limit: Annotated[int, NumberRange(0)] = 50
    offset: Annotated[int, NumberRange(0)] = 0
    after: Annotated[int | None, NumberRange(0)] = None


class LeaderboardQuery(Query):
    benchmark_id: str | None = None
    limit: Annotated[int, NumberRange(0)] = 50


async def list_runs(request: Request) -> Response:
    """
    List reported runs, the newest record first.

    A member with grants sees the runs of those projects.
    """
    query = query_of(request, RunListQuery)
    wanted = ReportedRunFilter(
        agent_label=query.agent_id, task_label=query.task_id, status=query.status,
        since=None if query.since is None else moment_of_iso(query.since),
    )  # fmt: skip
    page = PageRequest(limit=min(query.limit, MOST_LISTED), offset=query.offset, after=query.after)
    found = await ports_of(request).reads.reported_runs.page(principal_of(request), page, wanted)
    runs = [ReportedRunPayload.of(each) for each in found.rows]
    return json_response(ReportedRunListPayload(runs=runs, total=found.total), headers=RUN_PROTOCOL_HEADERS)


async def create_run(request: Request) -> Response:
    """
    Report a run of an agent.

    It is a record of its own: it may name a task, and changes no lease. `agent_id` is the number or name of an agent,
    or any other name. An agent reports for itself, on tasks that it holds or held; an admin's key for any agent. The
    tokens in `cost` are counted once in the token ledger, at the price of the model when the run ended, or else when it
    started. `cost_usd` is kept as reported, and never counted. Cached tokens are part of the input.
    """
    await _require(request, RUN_REQUIRED)
    body = await body_of(request, ReportRunBody)
    time = "started_at" if body.ended_at is None else "ended_at"
    with fields_named({**COST_FIELDS, "used_at": time}):
        run = await perform_once(request, report_run, body.command(), read_row_again(REPORTED_RUNS))
    reported = RunReportedPayload(id=run.key, run_hash=run.provenance.run_hash)
    return json_response(reported, 201, RUN_PROTOCOL_HEADERS)


async def read_run(request: Request) -> Response:
    """
    Read a reported run.
    """
    return _run_response(await _run_in(request))


async def update_run(request: Request) -> Response:
    """
    Change the named fields of a reported run.

    Counts that `cost` leaves out stay as they are. If the tokens, the model or the provider change, the run's entry in
    the token ledger is reversed and replaced, at the price of the time of use. Only an admin, the run's agent, or
    whoever reported it may change it.
    """
    body, run = await body_of(request, UpdateRunBody), await _run_in(request)
    time = "started_at" if run.ended_at is None and not isinstance(body.ended_at, str) else "ended_at"
    with fields_named({**COST_FIELDS, "used_at": time}):
        command = body.command(run.id, expects=expected_version_of(request))
        return _run_response(await update_reported_run(ports_of(request), principal_of(request), command))


async def evaluate_run(request: Request) -> Response:
    """
    Set the evaluation of a reported run, in place of an earlier one.
    """
    await _require(request, EVALUATION_REQUIRED)
    body, run = await body_of(request, RunEvaluationBody), await _run_in(request)
    command = EvaluateReportedRun(run=run.id, evaluation=body.evaluation(), expects=expected_version_of(request))
    return _run_response(await evaluate_reported_run(ports_of(request), principal_of(request), command))


async def read_run_provenance(request: Request) -> Response:
    """
    Read the configuration that a reported run came from.

    If none was sent, `run_hash` is the SHA-256 of `agent_id|model|tools_available|config_hash|trigger`, where the tools
    are a sorted JSON list. A signature is kept, and not verified.
    """
    return json_response(RunProvenancePayload.of(await _run_in(request)), headers=RUN_PROTOCOL_HEADERS)


async def read_leaderboard(request: Request) -> Response:
    """
    Read the means over the evaluated runs by agent, model and runtime, the highest mean score first.

    `avg_cost_usd` is the mean over the runs with a known cost, and null if there are none.
    """
    query, reads = query_of(request, LeaderboardQuery), ports_of(request).reads.reported_runs
    found = await reads.leaderboard(principal_of(request), query.limit, query.benchmark_id)
    entries = [LeaderboardEntryPayload.of(each) for each in found]
    return json_response(LeaderboardPayload(entries=entries), headers=RUN_PROTOCOL_HEADERS)


async def _require(request: Request, names: tuple[str, ...]) -> None:
    """
    Require that the body has these fields.
    """
    body = await object_body_of(request)
    missing = tuple(f"{name}: Field required" for name in names if body.get(name) in (None, ""))
    if missing:
        raise InvalidRequest(f"Missing required fields: {', '.join(names)}", missing)


async def _run_in(request: Request) -> ReportedRun:
    """
    Read the run whose id is in the path.
    """
    reads, key = ports_of(request).reads.entities, request.path_params["run_id"]
    found = await reads.every(principal_of(request), REPORTED_RUNS, key=key)
    if not found:
        raise ReportedRunNotFound
    return found[0]


def _run_response(run: ReportedRun) -> Response:
    headers = {**RUN_PROTOCOL_HEADERS, "etag": etag_of(run.version)}
    return json_response(ReportedRunPayload.of(run), headers=headers)


ENDPOINTS = [
    Endpoint(
        "GET", "/v1/runs", list_runs, query=RunListQuery, gives=ReportedRunListPayload, who=VIEWER,
        operation_id="fleet_listRuns",
    ),
    Endpoint(
        "POST", "/v1/runs", create_run, takes=ReportRunBody, gives=RunReportedPayload, status=201, who=OPERATOR,
        scope=SELF, headers=(IDEMPOTENCY_KEY,),
        refuses=(
            BoardDenied, InvalidRequest, KeyReused, ReportedRunIdTaken, UsageOfAnotherAgent, UsageOfAnotherTask,
        ),
        operation_id="fleet_createRun",
    ),
    Endpoint(
        "GET", "/v1/runs/{run_id}", read_run, gives=ReportedRunPayload, who=VIEWER, refuses=(ReportedRunNotFound,),
        operation_id="fleet_getRun",
    ),
    Endpoint(
        "PATCH", "/v1/runs/{run_id}", update_run, takes=UpdateRunBody, gives=ReportedRunPayload, who=OPERATOR,
        scope=SELF, headers=(IF_MATCH,),
        refuses=(BoardDenied, ReportedRunNotFound, RunOfAnotherReporter, UsageOfAnotherAgent, VersionMismatch),
        operation_id="fleet_updateRun",
    ),
    Endpoint(
        "PUT", "/v1/runs/{run_id}/eval", evaluate_run, takes=RunEvaluationBody, gives=ReportedRunPayload, who=OPERATOR,
        headers=(IF_MATCH,), refuses=(BoardDenied, InvalidRequest, ReportedRunNotFound, VersionMismatch),
        operation_id="fleet_evaluateRun",
    ),
    Endpoint(
        "GET", "/v1/runs/{run_id}/provenance", read_run_provenance, gives=RunProvenancePayload, who=VIEWER,
        refuses=(ReportedRunNotFound,), operation_id="fleet_getRunProvenance",
    ),
    Endpoint(
        "GET", "/v1/evals/leaderboard", read_leaderboard, query=LeaderboardQuery, gives=LeaderboardPayload, who=VIEWER,
        operation_id="fleet_getLeaderboard",
    ),
]  # fmt: skip
