"""
Usage that programs tell by OpenTelemetry: spans, log events and counters, each a report to the token ledger.

A program often tells one request several times: as a span, as a log event and in its counters. For one session and
model only the best kind of telemetry feeds the ledger. When a better kind comes later, the entries of the worse one are
reversed. A record that comes again is not counted again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from attrs import field

from mission_core.accounts.model import Principal, Role, identity_of, require_role
from mission_core.entity_changes import evolve
from mission_core.errors import Invalid, InvalidField
from mission_core.field_types import check_fields
from mission_core.ids import TelemetrySourceId, UsageId
from mission_core.lazy_attrs import define, frozen
from mission_core.usage.amounts import MAX_TOKENS
from mission_core.usage.counters import COUNTS
from mission_core.usage.model import UsageEntry, UsageVoided
from mission_core.usage.telemetry_sources import TELEMETRY_SOURCES, TelemetrySource
from mission_core.usage.use_cases import (
    MOST_REPORTS,
    UsageOutcome,
    UsageReport,
    add_reports,
    current_entry,
    ledger_of,
)
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

MOST_READINGS: Final = 64
"""The largest number of sequences of a counter that are remembered: the ones that were read last."""
RELEASE: Final = re.compile(r"(?:[-@]\d{8}|-\d{4}-\d{2}-\d{2}|-latest|\[\d+[km]\])+$")
"""What a model's name may end with in one kind of telemetry and not in another."""


class TelemetryKind(IntEnum):
    """
    The kinds of telemetry, from the worst to the best. A product's own counters and events tell more than the general
    ones, which the same product may send beside them.
    """

    GENERAL_COUNTER = 1
    PRODUCT_COUNTER = 2
    GENERAL_EVENT = 3
    PRODUCT_EVENT = 4
    SPAN = 5


class TelemetrySignal(IntEnum):
    """
    The signals of OpenTelemetry.
    """

    TRACES = 1
    METRICS = 2
    LOGS = 3


@frozen(kw_only=True)
class CounterReading:
    """
    The value of a counter of tokens.

    Args:
        name: What it counts, such as `input`.
        counts: The counts of a report that its tokens belong to.
        since: When the counter began at 0, in nanoseconds since 1970; 0 if that is unknown.
    """

    name: str
    counts: tuple[str, ...]
    value: int
    since: int


@frozen(kw_only=True)
class TelemetryRecord:
    """
    Usage that was told once: by a span, an event, or a counter at one time.

    Args:
        report: The report, without a report id. That of a counter has no counts.
        kind: The kind of telemetry.
        producer: The identity of the process that told it.
        key: The identity of the record. A record with the same key is the same one.
        points: The number of spans, events or data points that it was made of.
        readings: The values of counters.
        stream: The identity of a counter whose values grow from its start; None if each value is counted from the last.
        read_at: When the counter was read, in nanoseconds since 1970.
    """

    report: UsageReport
    kind: TelemetryKind
    producer: str
    key: str
    points: int = 1
    readings: tuple[CounterReading, ...] = ()
    stream: str | None = None
    read_at: int = 0


class RejectedTelemetry(NamedTuple):
    """
    Spans, events or data points that tell of tokens and cannot be read, with the reason.
    """

    points: int
    reason: str


@frozen
class TelemetryBatch:
    """
    The usage in one request. Telemetry that tells of no tokens is in neither list.
    """

    records: tuple[TelemetryRecord, ...] = ()
    rejected: tuple[RejectedTelemetry, ...] = ()


@define
class MalformedTelemetry(Invalid):
    """
    The body is not a request of the OpenTelemetry protocol.
    """

    reason: str

    says = "the body is not an export request of the OpenTelemetry protocol: {self.reason}"


@define
class TelemetryEncodingMissing(Invalid):
    """
    This server lacks the extra that reads protobuf.
    """

    advice: str

    says = "this server cannot read protobuf: {self.advice}; or set OTEL_EXPORTER_OTLP_PROTOCOL=http/json"


class TelemetryDecoder(Protocol):
    """
    Finds the reports of used tokens in the body of an OpenTelemetry export request.
    """

    def __call__(self, signal: TelemetrySignal, body: bytes, *, is_json: bool) -> TelemetryBatch:
        """
        The usage in a body.

        Raises:
            MalformedTelemetry: If it is no such request.
            TelemetryEncodingMissing: If this server cannot read protobuf.
        """


@frozen(kw_only=True)
class RecordTelemetry:
    """
    Record usage that was told by telemetry, in one transaction.

    Args:
        records: Instances of `TelemetryRecord`. Their reports are checked one by one, so that one refuses no other.
    """

    records: tuple[Any, ...]


@use_case
async def record_telemetry(ports: Ports, principal: Principal, cmd: RecordTelemetry) -> list[UsageOutcome]:
    """
    Record usage that was told by telemetry. Each record has an outcome: its entry, a refusal, or neither if it adds
    nothing, because a better kind of telemetry tells the same or because a counter did not grow.

    Raises:
        InvalidField: If there are too many records, or something else is among them.
        RoleTooLow: If the principal may not write.
    """
    if not 1 <= len(cmd.records) <= MOST_REPORTS:
        raise InvalidField("records", f"must have 1 to {MOST_REPORTS} entries")
    for each in cmd.records:
        if not isinstance(each, TelemetryRecord):
            raise InvalidField("records", "must hold nothing but records of telemetry", each)
        check_fields(each)
    require_role(principal, Role.OPERATOR)
    async with ports.unit(principal) as unit:
        recording = Recording(ports, unit, principal, identity_of(principal))
        outcomes = await recording.record(cmd.records)
        if recording.changed:
            await unit.commit()
    return outcomes


@define
class Recording:
    """
    The recording of one batch in a unit of work. All reads come before the first write.
    """

    ports: Ports
    unit: UnitOfWork
    principal: Principal
    reporter: str
    sources: dict[str, TelemetrySource | None] = field(factory=dict, init=False)
    sequences: dict[str, dict[str, list[int]]] = field(factory=dict, init=False)
    changed: bool = field(default=False, init=False)

    async def record(self, records: Sequence[TelemetryRecord]) -> list[UsageOutcome]:
        """
        Record these, and return the outcome of each.
        """
        best: dict[str, int] = {}
        for record in records:
            for key in source_keys(record):
                found = await self._source(key)
                best[key] = max(best.get(key, found.kind if found else 0), record.kind)
        outcomes = [UsageOutcome()] * len(records)
        reports: dict[int, UsageReport] = {}
        for place, record in enumerate(records):
            if record.kind < best[own_key(record)]:
                continue
            try:
                counts = await self._counts(record)
            except InvalidField as refusal:
                outcomes[place] = UsageOutcome(refusal=refusal)
                continue
            if counts is not None:
                reports[place] = evolve(record.report, report_id=report_id_of(record), **counts)
        replaced = {key: await self._entries_of(key) for key, kind in best.items() if self._is_raised(key, kind)}
        made = await add_reports(self.ports, self.unit, self.principal, list(reports.values()))
        outcomes_by_place = dict(zip(reports, made, strict=True))
        for place, outcome in outcomes_by_place.items():
            outcomes[place] = outcome
        fed = [records[place] for place, outcome in outcomes_by_place.items() if outcome.entry is not None]
        new = [records[place] for place, each in outcomes_by_place.items() if each.entry and not each.repeated]
        self.changed = bool(new)
        if new:
            self._save_kinds(fed, replaced)
            self._save_readings(new)
        return outcomes

    async def _source(self, key: str) -> TelemetrySource | None:
        if key not in self.sources:
            repository = self.unit.repository(TELEMETRY_SOURCES)
            self.sources[key] = await repository.find(reporter=self.reporter, key=key)
        return self.sources[key]

    def _is_raised(self, key: str, kind: int) -> bool:
        source = self.sources[key]
        return source is not None and kind > source.kind

    async def _entries_of(self, key: str) -> list[UsageEntry]:
        """
        The entries that count now of what a source told so far.
        """
        source = self.sources[key]
        assert source is not None
        prefix = f"otlp:{source.kind}:{key}:"
        found = []
        for entry, is_reversed in await self.ports.reads.usage.reported_below(self.principal, self.reporter, prefix):
            try:
                found.append(await current_entry(self.unit, entry.id) if is_reversed else entry)
            except UsageVoided:
                continue
        return found

    async def _counts(self, record: TelemetryRecord) -> dict[str, Any] | None:
        """
        The counts that a record adds; None if it adds nothing.
        """
        if not record.readings:
            return {}
        counts: dict[str, int] = dict.fromkeys(COUNTS, 0)
        for reading in record.readings:
            if not 0 <= reading.value <= MAX_TOKENS:
                raise InvalidField(reading.name, f"must be from 0 to {MAX_TOKENS}", reading.value)
        last = None if record.stream is None else await self._last_readings(record.stream)
        for reading in record.readings:
            grown = reading.value if last is None else _growth(last, reading, record.read_at)
            for name in reading.counts:
                counts[name] += grown
        return counts if any(counts.values()) else None

    async def _last_readings(self, stream: str) -> dict[str, list[int]]:
        if stream not in self.sequences:
            source = await self._source(stream)
            self.sequences[stream] = json.loads(source.readings) if source and source.readings else {}
        return self.sequences[stream]

    def _save_kinds(self, fed: Iterable[TelemetryRecord], replaced: dict[str, list[UsageEntry]]) -> None:
        """
        Keep the best kind of each source, and reverse the entries of the kinds that it replaces.
        """
        best: dict[str, int] = {}
        own = set()
        for record in fed:
            own.add(own_key(record))
            for key in source_keys(record):
                best[key] = max(best.get(key, 0), record.kind)
        now, ledger = self.ports.clock.now(), ledger_of(self.unit.without_grants)
        for key, kind in best.items():
            source = self.sources[key]
            if source is None or kind > source.kind:
                self._save(key, kind=int(kind))
                for entry in replaced.get(key, ()):
                    ledger.add(entry.reversal(UsageId(self.ports.ids.new()), reporter=self.reporter, at=now))
            elif key in own and kind < TelemetryKind.SPAN:
                self.unit.rely_on(source)  # nobody may raise it meanwhile

    def _save_readings(self, new: Iterable[TelemetryRecord]) -> None:
        for stream in dict.fromkeys(each.stream for each in new if each.stream is not None):
            latest = sorted(self.sequences[stream].items(), key=lambda each: each[1][0])[-MOST_READINGS:]
            self._save(stream, readings=json.dumps(dict(latest)))

    def _save(self, key: str, **values: Any) -> None:
        source, now, repository = self.sources[key], self.ports.clock.now(), self.unit.repository(TELEMETRY_SOURCES)
        if source is not None:
            repository.save(evolve(source, updated_at=now, **values))
            return
        id = TelemetrySourceId(self.ports.ids.new())
        organization = self.principal.organization
        repository.add(
            TelemetrySource(
                id=id, organization=organization, reporter=self.reporter, key=key, updated_at=now, **values
            )
        )  # fmt: skip


def _growth(last: dict[str, list[int]], reading: CounterReading, read_at: int) -> int:
    """
    The growth of a counter since its last reading, which this one replaces. A counter that began again, or that is
    smaller than before, grew from 0.
    """
    sequence = f"{reading.name}@{reading.since}"
    known = last.get(sequence)
    if known is not None and read_at <= known[0]:
        return 0
    last[sequence] = [read_at, reading.value]
    return reading.value - known[1] if known is not None and reading.value >= known[1] else reading.value


def own_key(record: TelemetryRecord) -> str:
    """
    The key of the session and model that a record tells of. A process without sessions is one session.
    """
    return source_keys(record)[0]


def source_keys(record: TelemetryRecord) -> tuple[str, ...]:
    """
    The keys of the sources that a record belongs to: its session, and its process, whose records without a session tell
    the same.
    """
    return _source_keys(record.report.session, record.producer, record.report.model)


@lru_cache
def _source_keys(session: str, producer: str, model: str) -> tuple[str, ...]:
    model = RELEASE.sub("", model.lower())
    process = digest_of("process", producer, model)
    return (digest_of("session", session, model), process) if session else (process,)


def report_id_of(record: TelemetryRecord) -> str:
    """
    The report id of a record. It begins with its kind and source, so that the entries of a source can be found.
    """
    return f"otlp:{int(record.kind)}:{own_key(record)}:{record.key}"


def digest_of(*parts: object) -> str:
    """
    A digest of these values, 32 characters long.
    """
    told = json.dumps(parts, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
    return sha256(told).hexdigest()[:32]
