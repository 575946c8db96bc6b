"""
Use cases of the token ledger: reports of used tokens, and corrections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from mission_core.accounts.model import (
    AgentPrincipal,
    Principal,
    Role,
    identity_of,
    require_organization_admin,
    require_role,
)
from mission_core.entity_changes import evolve
from mission_core.errors import Denied, Invalid, InvalidField, NotFound, Refusal
from mission_core.field_types import check_fields
from mission_core.ids import AgentId, AgentNumber, BoardId, BoardNumber, TaskId, TaskNumber, UsageId
from mission_core.lazy_attrs import frozen
from mission_core.usage.amounts import MAX_COST, PriceBasis, provider_in
from mission_core.usage.attribution import Attributor
from mission_core.usage.carry_overs import CARRIER
from mission_core.usage.counters import COUNTS
from mission_core.usage.model import (
    MAX_CLOCK_SKEW,
    OLDEST_USE,
    OLDEST_USE_OF_AGENTS,
    USAGE,
    ReportIdReused,
    UsageCorrected,
    UsageEntry,
    UsageIsCarryOver,
    UsageIsReversal,
    UsageVoided,
)
from mission_core.usage.prices import LayeredPrices, NoPrices, PriceQuery, Quote, TokenCounts
from mission_core.usage.reported_runs import REPORTED_RUNS, RUN_OPERATION
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, value_or

if TYPE_CHECKING:
    from mission_core.kinds import EntityRepository
    from mission_core.ports import Ports, UnitOfWork

UNPRICED: Final = {
    "unpriced_requests": 1, "list_cost": None, "cost": None, "price_source": None, "price_version": None,
    "basis": PriceBasis.UNKNOWN,
}  # fmt: skip
"""The values of an entry without a price."""
COUNTS_OF: Final = attrgetter(*COUNTS)
MOST_REPORTS: Final = 1000
"""The largest number of reports in one call."""
LONGEST_REASON: Final = 500


@frozen(kw_only=True)
class UsageReport:
    """
    A report of the tokens that one request, or several, used.

    Args:
        input_tokens: The tokens of input, with those that were read from the cache or written to it.
        output_tokens: The tokens of output, with those of reasoning.
        report_id: The caller's own id of this report. A repeated report with the same id is not counted again.
        used_at: When the tokens were used; now if it is left out.
        agent: The agent that used the tokens. An agent's own key need not name it.
        label: A name for tokens that no agent of the organization used. The name of an agent stands for that agent.
        task: The task that the tokens were used for.
        board: The board, if it is not that of the task or the agent.
        fence: The fence of the agent's lease on the task, if it is not the latest one.
        reported_cost: The cost as the caller knows it, in nano-dollars. It is kept and never counted.
        subscription: Whether a subscription pays for it.
        batch: Whether it was processed in a batch.
        drops_unknown_task: Whether a task that does not exist is left out, instead of being refused.
    """

    model: str
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    provider: str | None = None
    report_id: str | None = None
    used_at: datetime | None = None
    agent: AgentId | AgentNumber | str | None = None
    label: str | None = None
    task: TaskId | TaskNumber | None = None
    board: BoardId | BoardNumber | None = None
    fence: int | None = None
    session: str = ""
    operation: str = "chat_completion"
    duration_ms: int | None = None
    reported_cost: int | None = None
    subscription: bool = False
    batch: bool = False
    drops_unknown_task: bool = False


@frozen(kw_only=True)
class RecordUsage:
    """
    Record one report.
    """

    report: UsageReport


@frozen(kw_only=True)
class RecordUsageBatch:
    """
    Record several reports in one transaction.

    Args:
        reports: Instances of `UsageReport`. Their values are checked one by one, so that one refuses no other.
    """

    reports: tuple[Any, ...]


@frozen(kw_only=True)
class CorrectUsage:
    """
    Correct an entry of the ledger: the named values replace those of the entry. The cost is computed with the prices of
    now, as of the time of use. With *void* the entry is only taken back.
    """

    usage: UsageId
    reason: str
    void: bool = False
    model: str | Absent = ABSENT
    provider: str | Absent | None = ABSENT
    input_tokens: int | Absent = ABSENT
    output_tokens: int | Absent = ABSENT
    cache_read_tokens: int | Absent = ABSENT
    cache_write_tokens: int | Absent = ABSENT
    reasoning_tokens: int | Absent = ABSENT
    input_audio_tokens: int | Absent = ABSENT
    output_audio_tokens: int | Absent = ABSENT
    reported_cost: int | Absent | None = ABSENT
    subscription: bool | Absent = ABSENT
    batch: bool | Absent = ABSENT


@frozen
class UsageOutcome:
    """
    The result of one report: its entry, or the reason why it was refused. With *repeated*, the entry is that of an
    earlier report with the same id.
    """

    entry: UsageEntry | None = None
    refusal: Refusal | None = None
    repeated: bool = False

    @property
    def status(self) -> Literal["recorded", "repeated", "refused"]:
        """
        The result in one word.
        """
        if self.refusal is not None:
            return "refused"
        return "repeated" if self.repeated else "recorded"


@use_case
async def record_usage(ports: Ports, principal: Principal, cmd: RecordUsage) -> UsageEntry:
    """
    Record the tokens of one report in the ledger, at the price of the time of use.

    An agent reports for itself, on tasks that it holds or held; an admin for everybody. A report that comes after the
    lease was lost is accepted and marked as late.

    Raises:
        InvalidField: If a value is out of its range.
        RoleTooLow: If the principal may not write.
        AgentNotFound: If the named agent does not exist.
        TaskNotFound: If the task does not exist.
        BoardNotFound: If the board does not exist.
        UsageOfAnotherAgent: If somebody else than an admin names another agent.
        UsageOfAnotherTask: If somebody else than an admin names a task that they never held.
        UsageOfAnotherBoard: If somebody else than an admin names another board.
        ReportIdReused: If the report id was used for another report.
    """
    (outcome,) = await _record(ports, principal, (cmd.report,))
    if outcome.refusal is not None:
        raise outcome.refusal
    assert outcome.entry is not None
    return outcome.entry


@use_case
async def record_usage_batch(ports: Ports, principal: Principal, cmd: RecordUsageBatch) -> list[UsageOutcome]:
    """
    Record several reports in one transaction. Each one that `record_usage` would refuse is left out, and its outcome
    has the reason; all others are recorded.

    Raises:
        InvalidField: If there are too many reports.
        RoleTooLow: If the principal may not write.
    """
    if not 1 <= len(cmd.reports) <= MOST_REPORTS:
        raise InvalidField("reports", f"must have 1 to {MOST_REPORTS} entries; send the others in further calls")
    return await _record(ports, principal, cmd.reports)


async def _record(ports: Ports, principal: Principal, reports: Sequence[UsageReport]) -> list[UsageOutcome]:
    require_role(principal, Role.OPERATOR)
    async with ports.unit(principal) as unit:
        outcomes = await add_reports(ports, unit, principal, reports)
        new = next((each.entry for each in outcomes if each.entry is not None and not each.repeated), None)
        if new is not None:
            unit.result(new.id)
            await unit.commit()
    return outcomes


async def add_reports(
    ports: Ports, unit: UnitOfWork, principal: Principal, reports: Sequence[UsageReport]
) -> list[UsageOutcome]:
    """
    Add the entries of these reports to the ledger when the unit commits, and return the outcome of each.
    """
    reporter, now = identity_of(principal), ports.clock.now()
    outcomes: dict[int, UsageOutcome] = {}
    drafts: dict[int, UsageDraft] = {}
    told = (each.report_id for each in reports if isinstance(each, UsageReport))
    ids = {each for each in told if isinstance(each, str)}
    known = await ports.reads.usage.reported(principal, reporter, ids) if ids else {}
    attributor = Attributor(ports, unit, principal)
    for place, report in enumerate(reports):
        try:
            drafts[place] = await _draft_of(attributor, report, reporter, now=now)
        except (Invalid, NotFound, Denied) as refusal:
            outcomes[place] = UsageOutcome(refusal=refusal)
    quotes = await _quotes_of(ports, unit, [each.query for each in drafts.values()])
    for (place, draft), quote in zip(drafts.items(), quotes, strict=True):
        outcomes[place] = outcome = _outcome_of(draft, quote, known, ports.subscribed_providers)
        if outcome.entry is None or outcome.repeated:
            continue
        try:
            entry = ledger_of(unit).add(outcome.entry)
        except Denied as refusal:
            outcomes[place] = UsageOutcome(refusal=refusal)
        else:
            if entry.report_id is not None:
                known[entry.report_id] = entry
    return [outcomes[place] for place in range(len(reports))]


def ledger_of(unit: UnitOfWork) -> EntityRepository[UsageEntry]:
    """
    Return the repository of the ledger's entries.
    """
    return unit.repository(USAGE)


class UsageDraft(NamedTuple):
    """
    An entry that a report makes: its values without those that its price tells, and the query for the price.
    """

    values: dict[str, Any]
    query: PriceQuery


async def _draft_of(attributor: Attributor, report: UsageReport, reporter: str, *, now: datetime) -> UsageDraft:
    """
    Check a report, and return its entry before it is priced.
    """
    if not isinstance(report, UsageReport):
        raise InvalidField("reports", "must hold nothing but reports", report)
    check_fields(report)
    told = dict(zip(COUNTS, COUNTS_OF(report), strict=True))
    counts = TokenCounts(**told)
    at = report.used_at or now
    if at > now + MAX_CLOCK_SKEW:
        raise InvalidField("used_at", "is in the future", at)
    _check_age(attributor, now - at, at)
    if report.reported_cost is not None and not 0 <= report.reported_cost <= MAX_COST:
        raise InvalidField("reported_cost", f"must be from 0 to {MAX_COST} nano-dollars", report.reported_cost)
    to = await attributor.attribute(report, now=now)
    values = dict(
        told, id=UsageId(attributor.ports.ids.new()), organization=attributor.principal.organization,
        reporter=reporter, report_id=report.report_id, at=at, recorded_at=now, board=to.board,
        task=to.task.id if to.task else None, task_number=to.task.number if to.task else None, run=to.run,
        late=to.late, agent=to.agent, agent_name=to.agent_name, session=report.session, operation=report.operation,
        duration_ms=report.duration_ms, provider=report.provider, model=report.model,
        reported_cost=report.reported_cost, subscription=report.subscription, batch=report.batch,
        unconfirmed_subscription=report.subscription and not attributor.is_admin,
    )  # fmt: skip
    query = PriceQuery(model=report.model, provider=report.provider, counts=counts, at=at, batch=report.batch)
    return UsageDraft(values, query)


def _check_age(attributor: Attributor, age: timedelta, at: datetime) -> None:
    """
    Raises:
        InvalidField: If the tokens were used too long ago.
    """
    by_agent = isinstance(attributor.principal, AgentPrincipal) and not attributor.is_admin
    oldest = OLDEST_USE_OF_AGENTS if by_agent else OLDEST_USE
    if age > oldest:
        raise InvalidField("used_at", f"is more than {oldest.days} days ago", at)
    kept = attributor.ports.usage_kept_for
    if kept is not None and age > kept:  # an entry of that time may have been folded, and would be counted twice
        raise InvalidField("used_at", f"is more than {kept.days} days ago, and older entries are folded", at)


async def _quotes_of(ports: Ports, unit: UnitOfWork, queries: Sequence[PriceQuery]) -> list[Quote | None]:
    """
    Return the quotes of the organization's own prices, else those of the server's.
    """
    prices, overrides = ports.prices or NoPrices(), unit.price_overrides
    book = prices if overrides is None else LayeredPrices((overrides, prices))
    return await book.quotes(queries)


def _outcome_of(
    draft: UsageDraft, quote: Quote | None, known: dict[str, UsageEntry], subscribed: frozenset[str]
) -> UsageOutcome:
    """
    Return the outcome of a checked report: its priced entry, or that of an earlier report with the same id.
    """
    report_id = draft.values["report_id"]
    first = known.get(report_id) if report_id is not None else None
    try:
        if first is None:
            return UsageOutcome(
                UsageEntry(**draft.values | _price_values(draft.query, quote, draft.values, subscribed))
            )
        repeats = _repeats(UsageEntry(**draft.values), first)
    except InvalidField as refusal:
        return UsageOutcome(refusal=refusal)
    return UsageOutcome(first, repeated=True) if repeats else UsageOutcome(refusal=ReportIdReused())


COMPARED: Final = ("model", "session", "operation", "duration_ms", "reported_cost", "batch", *COUNTS)
"""The fields that reports with the same id must share."""


def _repeats(draft: UsageEntry, first: UsageEntry) -> bool:
    """
    Whether a report says what this entry says. What it leaves out may have been filled in from the prices, and its
    agent may have another name since, or its task may be deleted.
    """
    told = [name for name in ("provider", "task") if getattr(draft, name) is not None]
    told += ["subscription"] if draft.subscription else []
    told += ["at"] if draft.at != draft.recorded_at else []
    told += ["agent"] if draft.agent and first.agent else ["agent_name"]
    return all(getattr(draft, name) == getattr(first, name) for name in (*COMPARED, *told))


def _price_values(
    query: PriceQuery, quote: Quote | None, told: Mapping[str, Any], subscribed: frozenset[str]
) -> dict[str, Any]:
    """
    Return the values of an entry that its price tells. Without a quote the cost is unknown, and all its tokens are
    unpriced.

    Args:
        told: What was reported of the entry.
        subscribed: The providers that a subscription pays for.

    Raises:
        InvalidField: If it costs more than one report may.
    """
    provider = query.provider or (quote.provider if quote else None) or provider_in(query.model)
    confirmed = (provider or "").lower() in subscribed
    covered = told["subscription"] or confirmed
    unconfirmed = told["unconfirmed_subscription"] and not confirmed
    values = {"provider": provider, "subscription": covered, "unconfirmed_subscription": unconfirmed}
    if quote is None:
        return values | UNPRICED | {"unpriced_tokens": query.counts.total}
    if quote.cost > MAX_COST:
        raise InvalidField("input_tokens", "and output_tokens cost more than one report may; report the parts alone")
    return values | {
        "unpriced_tokens": 0, "unpriced_requests": 0, "list_cost": quote.cost, "cost": 0 if covered else quote.cost,
        "price_source": quote.source, "price_version": quote.version, "basis": quote.basis,
    }  # fmt: skip


async def repeat_usage(ports: Ports, principal: Principal, usage: Any) -> UsageEntry:
    """
    Return the entry of a repeated report.
    """
    return await ports.reads.entities.get(principal, USAGE, usage)


@use_case
async def correct_usage(ports: Ports, principal: Principal, cmd: CorrectUsage) -> UsageEntry:
    """
    Correct an entry of the ledger, or what replaced it. Two entries are added: one reverses it, and one replaces it.

    Returns:
        The entry that replaces it, or with *void* the one that reverses it.

    Raises:
        RoleTooLow: If the principal is no admin.
        UsageNotFound: If there is no such entry.
        UsageIsReversal: If the entry reverses another one.
        UsageIsCarryOver: If the entry stands for old ones.
        UsageVoided: If it was voided.
        InvalidField: If a value is out of its range.
    """
    require_organization_admin(principal)
    if not 1 <= len(cmd.reason) <= LONGEST_REASON:
        raise InvalidField("reason", f"must have 1 to {LONGEST_REASON} characters", cmd.reason)
    async with ports.unit(principal) as unit:
        entry = await current_entry(unit, cmd.usage)
        run = await unit.repository(REPORTED_RUNS).find(usage=entry.id) if entry.operation == RUN_OPERATION else None
        shown = await add_correction(ports, unit, principal, entry, cmd)
        if run is not None:
            unit.repository(REPORTED_RUNS).save(run.with_entry(shown))
        unit.result(shown.id)
        await unit.commit()
    return shown


async def add_correction(
    ports: Ports, unit: UnitOfWork, principal: Principal, entry: UsageEntry, cmd: CorrectUsage
) -> UsageEntry:
    """
    Correct an entry that stands when the unit commits, with the event of it. Return the entry that replaces it, or with
    *void* the one that reverses it.
    """
    reporter, now, ledger = identity_of(principal), ports.clock.now(), ledger_of(unit)
    shown = reversal = ledger.add(entry.reversal(UsageId(ports.ids.new()), reporter=reporter, at=now))
    if not cmd.void:
        shown = ledger.add(await _replacement(ports, unit, entry, cmd, reporter, now=now))
    replacement = None if shown is reversal else shown.id
    unit.record(UsageCorrected(usage=entry.id, replacement=replacement, reason=cmd.reason, at=now))
    return shown


async def current_entry(unit: UnitOfWork, usage: UsageId) -> UsageEntry:
    """
    Return the entry that stands for this one now: itself, or the last one that replaced it.
    """
    entry = await unit.repository(USAGE).get(usage)
    if entry.reverses is not None:
        raise UsageIsReversal
    if entry.reporter == CARRIER:
        raise UsageIsCarryOver
    while await unit.repository(USAGE).find(reverses=entry.id) is not None:
        # In this order: a correction that is committed between the two reads would look like a void in the other one.
        following = await unit.repository(USAGE).find(corrects=entry.id)
        if following is None:
            raise UsageVoided
        entry = following
    return entry


async def _replacement(
    ports: Ports, unit: UnitOfWork, entry: UsageEntry, cmd: CorrectUsage, reporter: str, *, now: datetime
) -> UsageEntry:
    names = ("model", "provider", *COUNTS, "reported_cost", "subscription", "batch")
    given = {name: value_or(getattr(cmd, name), getattr(entry, name)) for name in names}
    given["unconfirmed_subscription"] = entry.unconfirmed_subscription and cmd.subscription is ABSENT
    if cmd.model is not ABSENT and cmd.provider is ABSENT:
        given["provider"] = None
    subscribed = ports.subscribed_providers
    if cmd.subscription is False:
        subscribed = frozenset()
    elif cmd.subscription is ABSENT and (entry.provider or "").lower() in subscribed:
        given["subscription"] = False  # the plan of its provider may have covered it, and covers the other one or not
    counts = TokenCounts(**{name: given[name] for name in COUNTS})
    if given["reported_cost"] is not None and not 0 <= given["reported_cost"] <= MAX_COST:
        raise InvalidField("reported_cost", f"must be from 0 to {MAX_COST} nano-dollars", given["reported_cost"])
    query = PriceQuery(
        model=given["model"], provider=given["provider"], counts=counts, at=entry.at, batch=given["batch"]
    )
    (quote,) = await _quotes_of(ports, unit, [query])
    return evolve(
        entry, id=UsageId(ports.ids.new()), reporter=reporter, report_id=None, corrects=entry.id, recorded_at=now,
        version=0, **given | _price_values(query, quote, given, subscribed),
    )  # fmt: skip
