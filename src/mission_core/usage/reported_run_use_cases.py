"""
Use cases of reported runs: report one, change it, and evaluate it. The tokens of a run are an entry of the token
ledger; a change of them corrects it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from attrs import fields

from mission_core.accounts.model import AgentPrincipal, Principal, Role, identity_of, require_role
from mission_core.agents.model import AgentNotFound
from mission_core.entity_changes import evolve, require_version, with_changes
from mission_core.ids import AgentId, AgentNumber, ReportedRunId, ReportedRunNumber, TaskId, TaskNumber
from mission_core.lazy_attrs import frozen
from mission_core.row_mapping import EMPTY_LIST
from mission_core.usage.attribution import Attributor
from mission_core.usage.model import LONGEST_NAME, USAGE
from mission_core.usage.reported_runs import (
    DEFAULT_RUNTIME,
    NO_TOKENS,
    REPORTED_RUNS,
    RUN_OPERATION,
    ReportedRun,
    ReportedRunCreated,
    ReportedRunEvaluated,
    ReportedRunUpdated,
    RunEvaluation,
    RunOfAnotherReporter,
    RunProvenance,
    TokensOfRun,
)
from mission_core.usage.use_cases import CorrectUsage, UsageReport, add_correction, add_reports
from mission_core.use_case import use_case
from mission_core.values import ABSENT, EMPTY_OBJECT, Absent, JsonText

if TYPE_CHECKING:
    from mission_core.agents.model import Agent
    from mission_core.ports import Ports, UnitOfWork
    from mission_core.usage.model import UsageEntry

CORRECTED_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reported_cost")


@frozen(kw_only=True)
class ReportRun:
    """
    Report a run.

    Args:
        agent_label: The number, name or id of an agent, or any other name. An agent's own key need not name it.
        agent_name: The name of the agent, if *agent_label* is none.
        task_label: The number or id of a task. What names no task is kept, and stands for none.
        key: The caller's own id of the run.
    """

    agent_label: str
    status: str
    started_at: datetime
    started_text: str
    provenance: RunProvenance
    key: str | None = None
    agent_name: str | None = None
    task_label: str | None = None
    outcome: str | None = None
    model: str | None = None
    provider: str | None = None
    runtime: str = DEFAULT_RUNTIME
    runtime_version: str | None = None
    trigger: str | None = None
    parent: str | None = None
    ended_at: datetime | None = None
    ended_text: str | None = None
    duration_ms: int | None = None
    steps: JsonText = EMPTY_LIST
    tools: tuple[str, ...] = ()
    tokens: TokensOfRun = NO_TOKENS
    evaluation: RunEvaluation | None = None
    error: str | None = None
    git_branch: str | None = None
    git_commit: str | None = None
    tags: tuple[str, ...] = ()
    metadata: JsonText = EMPTY_OBJECT


@frozen(kw_only=True)
class UpdateReportedRun:
    """
    Change the named fields of a reported run. A change of its tokens, model or provider corrects its entry in the token
    ledger.
    """

    run: ReportedRunId
    expects: int | None = None
    status: str | Absent = ABSENT
    outcome: str | Absent | None = ABSENT
    model: str | Absent | None = ABSENT
    provider: str | Absent | None = ABSENT
    ended_at: datetime | Absent | None = ABSENT
    ended_text: str | Absent | None = ABSENT
    duration_ms: int | Absent | None = ABSENT
    steps: JsonText | Absent = ABSENT
    error: str | Absent | None = ABSENT
    git_branch: str | Absent | None = ABSENT
    git_commit: str | Absent | None = ABSENT
    tags: tuple[str, ...] | Absent = ABSENT
    metadata: JsonText | Absent = ABSENT
    input_tokens: int | Absent = ABSENT
    output_tokens: int | Absent = ABSENT
    cache_read_tokens: int | Absent | None = ABSENT
    cache_write_tokens: int | Absent | None = ABSENT
    tokens_model: str | Absent | None = ABSENT
    reported_cost: int | Absent | None = ABSENT


@frozen(kw_only=True)
class EvaluateReportedRun:
    """
    Set the evaluation of a reported run.
    """

    run: ReportedRunId
    evaluation: RunEvaluation
    expects: int | None = None


@use_case
async def report_run(ports: Ports, principal: Principal, cmd: ReportRun) -> ReportedRun:
    """
    Keep a run that a client reports, and record its tokens in the ledger. No lease changes, whatever task it names.

    Raises:
        InvalidField: If a value is out of its range.
        RoleTooLow: If the principal may not write.
        ReportedRunIdTaken: If another run has its key.
        UsageOfAnotherAgent: If somebody else than an admin names another agent.
        UsageOfAnotherTask: If somebody else than an admin names a task that they never held.
    """
    require_role(principal, Role.OPERATOR)
    now, id = ports.clock.now(), ReportedRunId(ports.ids.new())
    given = {each.name: getattr(cmd, each.name) for each in fields(ReportRun)}
    given |= {"key": cmd.key or str(id), "agent_name": (cmd.agent_name or cmd.agent_label)[:LONGEST_NAME]}
    (number,) = await ports.numbers.next((principal.organization, "reported_run"))
    run = ReportedRun(
        id=id, number=ReportedRunNumber(number), organization=principal.organization,
        reporter=identity_of(principal), created_at=now, updated_at=now, **given,
    )  # fmt: skip
    async with ports.unit(principal) as unit:
        if run.tokens.any:
            entry = await _recorded(ports, unit, principal, run)
            run = evolve(run, board=entry.board, task=entry.task, agent=entry.agent, agent_name=entry.agent_name)
            run = run.with_entry(entry)
        else:
            to = await Attributor(ports, unit, principal).attribute(await _report_of(unit, run), now=now)
            task = to.task.id if to.task else None
            run = evolve(run, board=to.board, task=task, agent=to.agent, agent_name=to.agent_name)
        unit.repository(REPORTED_RUNS).add(run)
        unit.record(ReportedRunCreated.of(run, at=now))
        unit.result(run.id)
        await unit.commit()
    return run


@use_case
async def update_reported_run(ports: Ports, principal: Principal, cmd: UpdateReportedRun) -> ReportedRun:
    """
    Change the named fields of a reported run. If its tokens, model or provider change, its entry in the ledger is
    reversed and replaced, at the price of the time of use; without an entry, one is recorded. If nothing changes,
    nothing is written.

    Raises:
        InvalidField: If a value is out of its range.
        RoleTooLow: If the principal may not write.
        ReportedRunNotFound: If there is no such run.
        VersionMismatch: If the caller expected another version.
        RunOfAnotherReporter: If the principal is neither an admin, nor the run's agent, nor its reporter.
    """
    require_role(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        before = await unit.repository(REPORTED_RUNS).get(cmd.run)
        _require_own(principal, before)
        require_version(before, cmd.expects)
        names = (each.name for each in fields(UpdateReportedRun) if each.name not in ("run", "expects"))
        told = {name: value for name in names if (value := getattr(cmd, name)) is not ABSENT}
        counts: dict[str, Any] = {name: told.pop(name) for name in CORRECTED_TOKENS if name in told}
        counts |= {"model": told.pop("tokens_model")} if "tokens_model" in told else {}
        after, changed = with_changes(before, told | {"tokens": evolve(before.tokens, **counts)}, at=now)
        if not changed:
            return before
        if {"tokens", "model", "provider"} & set(changed) and (after.usage is not None or after.tokens.any):
            after = after.with_entry(await _counted(ports, unit, principal, before, after))
        after = unit.repository(REPORTED_RUNS).save(after)
        unit.record(ReportedRunUpdated.of(after, at=now, changed=changed))
        unit.result(after.id)
        await unit.commit()
    return after


@use_case
async def evaluate_reported_run(ports: Ports, principal: Principal, cmd: EvaluateReportedRun) -> ReportedRun:
    """
    Set the evaluation of a reported run, in place of an earlier one. If it is the same, nothing is written.

    Raises:
        RoleTooLow: If the principal may not write.
        ReportedRunNotFound: If there is no such run.
        VersionMismatch: If the caller expected another version.
    """
    require_role(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        before = require_version(await unit.repository(REPORTED_RUNS).get(cmd.run), cmd.expects)
        after, changed = with_changes(before, {"evaluation": cmd.evaluation}, at=now)
        if not changed:
            return before
        after = unit.repository(REPORTED_RUNS).save(after)
        given = {"score": cmd.evaluation.score, "passed": cmd.evaluation.passed}
        unit.record(ReportedRunEvaluated.of(after, at=now, **given))
        unit.result(after.id)
        await unit.commit()
    return after


def _require_own(principal: Principal, run: ReportedRun) -> None:
    own = isinstance(principal, AgentPrincipal) and principal.agent == run.agent
    if not own and principal.role is not Role.ADMIN and run.reporter != identity_of(principal):
        raise RunOfAnotherReporter


async def _counted(
    ports: Ports, unit: UnitOfWork, principal: Principal, before: ReportedRun, after: ReportedRun
) -> UsageEntry:
    """
    The ledger's entry of a run after its tokens, model or provider changed.
    """
    if after.usage is None:
        return await _recorded(ports, unit, principal, after)
    entry = await unit.repository(USAGE).get(after.usage)
    new = {name: getattr(after.tokens, name) for name in CORRECTED_TOKENS}
    new |= {name: new[name] or 0 for name in ("cache_read_tokens", "cache_write_tokens")}
    if (after.model_used, after.provider) != (before.model_used, before.provider):
        new |= {"model": after.model_used, "provider": after.provider}
    correction = CorrectUsage(usage=entry.id, reason=f"run {after.key} was changed", **new)
    return await add_correction(ports, unit, principal, entry, correction)


async def _recorded(ports: Ports, unit: UnitOfWork, principal: Principal, run: ReportedRun) -> UsageEntry:
    """
    The new entry of the ledger for the tokens of a run.
    """
    (outcome,) = await add_reports(ports, unit, principal, [await _report_of(unit, run)])
    if outcome.refusal is not None:
        raise outcome.refusal
    assert outcome.entry is not None
    return outcome.entry


async def _report_of(unit: UnitOfWork, run: ReportedRun) -> UsageReport:
    """
    The report of a run's tokens, used when it ended, or else when it started.
    """
    agent, task = await _agent_of(unit, run), _id_or_number(run.task_label or "")
    return UsageReport(
        model=run.model_used, provider=run.provider, input_tokens=run.tokens.input_tokens,
        output_tokens=run.tokens.output_tokens, cache_read_tokens=run.tokens.cache_read_tokens or 0,
        cache_write_tokens=run.tokens.cache_write_tokens or 0, reported_cost=run.tokens.reported_cost,
        used_at=run.ended_at or run.started_at, agent=agent.id if agent else None, label=run.agent_name,
        task=TaskId(task) if isinstance(task, UUID) else None if task is None else TaskNumber(task),
        drops_unknown_task=True, session=run.key, operation=RUN_OPERATION,
    )  # fmt: skip


async def _agent_of(unit: UnitOfWork, run: ReportedRun) -> Agent | None:
    """
    The agent that a run names, by its number or id, or else by its name.
    """
    key = _id_or_number(run.agent_label)
    if key is not None:
        try:
            return await unit.agents.get(AgentId(key) if isinstance(key, UUID) else AgentNumber(key))
        except AgentNotFound:
            pass
    return await unit.agents.find(run.agent_label) or await unit.agents.find(run.agent_name)


def _id_or_number(told: str) -> UUID | int | None:
    if told.isascii() and told.isdecimal() and len(told) < 19:
        return int(told)
    try:
        return UUID(told)
    except ValueError:
        return None
