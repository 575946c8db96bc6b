"""
The usage of tokens that spans, events and counters of OpenTelemetry tell, by the semantic conventions for generative AI
and in the spellings of coding agents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import isfinite
from typing import Any, Final
from uuid import UUID

from attrs import field

from mission_adapters.otlp.items import Attributes, EventItem, Item, PointItem, Scalar, SpanItem
from mission_core.errors import InvalidField
from mission_core.ids import AgentId, AgentNumber, BoardId, BoardNumber, TaskId, TaskNumber
from mission_core.lazy_attrs import frozen
from mission_core.usage.amounts import MAX_COST, NANOS_PER_DOLLAR
from mission_core.usage.counters import COUNTS
from mission_core.usage.model import LONGEST_DURATION
from mission_core.usage.telemetry import (
    CounterReading,
    RejectedTelemetry,
    TelemetryBatch,
    TelemetryKind,
    TelemetryRecord,
    TelemetrySignal,
    digest_of,
)
from mission_core.usage.use_cases import UsageReport
from mission_core.values import moment

NANOS_PER_DAY: Final = 86_400 * 10**9
LATEST: Final = 253_402_300_799 * 10**9
"""The last second of the year 9999, in nanoseconds since 1970."""
AGENT: Final = "mission.agent"
TASK: Final = "mission.task"
BOARD: Final = "mission.board"
"""The attributes that name the agent, task and board, of a resource or of the span, event or data point itself."""
MODELS: Final = ("gen_ai.response.model", "gen_ai.request.model", "model")
SESSIONS: Final = ("session.id", "gen_ai.conversation.id", "conversation.id", "thread.id")
NO_COUNTS: Final = dict.fromkeys(COUNTS, 0)
MORE_INPUT: Final = "more_input"
INSTANCES: Final = ("service.instance.id", "process.pid")
PROCESSES: Final = ("service.namespace", "service.name", "host.id", "host.name", "container.id", *INSTANCES)
PROVIDERS: Final = {
    "aws.bedrock": "aws", "aws_bedrock": "aws", "az.ai.inference": "azure", "az.ai.openai": "azure",
    "azure.ai.inference": "azure", "azure.ai.openai": "azure", "gcp.gemini": "google", "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google", "mistral_ai": "mistral", "x_ai": "x-ai",
}  # fmt: skip
"""Providers as price tables call them, by their names in the semantic conventions."""
NO_INFERENCE: Final = frozenset(
    {"create_agent", "invoke_agent", "invoke_workflow", "execute_tool", "plan", "retrieval", "evaluate"}
)
"""Operations whose spans sum up the tokens of the requests within them."""


@frozen(kw_only=True)
class Spelling:
    """
    The attributes in which a producer tells the tokens of a request. The first that is set counts.

    Args:
        cache_apart: Whether the input is told without the tokens that were read from the cache or written to it; None
            if it is so only where the cached ones would otherwise exceed the input.
        reasoning_apart: Whether the output is told without the tokens of reasoning.
        more_input: Further input that is in none of the other counts.
    """

    input: tuple[str, ...]
    output: tuple[str, ...]
    cache_read: tuple[str, ...] = ()
    cache_write: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    input_audio: tuple[str, ...] = ()
    output_audio: tuple[str, ...] = ()
    more_input: tuple[str, ...] = ()
    cache_apart: bool | None = False
    reasoning_apart: bool = False
    _places: tuple[tuple[str, str], ...] = field(init=False)
    """The attributes that tell counts, each with the name of the count, in their order."""

    @_places.default
    def _attributes_of_counts(self) -> tuple[tuple[str, str], ...]:
        names = {
            "input_tokens": self.input, "output_tokens": self.output, "cache_read_tokens": self.cache_read,
            "cache_write_tokens": self.cache_write, "reasoning_tokens": self.reasoning,
            "input_audio_tokens": self.input_audio, "output_audio_tokens": self.output_audio,
            MORE_INPUT: self.more_input,
        }  # fmt: skip
        return tuple((name, count) for count, spelled in names.items() for name in spelled)

    def is_told_by(self, attributes: Attributes) -> bool:
        """
        Whether there are tokens in this spelling.
        """
        return not attributes.keys().isdisjoint((*self.input, *self.output))

    def counts_in(self, attributes: Attributes) -> dict[str, Any]:
        """
        The counts of a report.

        Raises:
            InvalidField: If one is not a whole number.
        """
        told: dict[str, int] = {}
        for name, count in self._places:
            if name in attributes and count not in told:
                told[count] = _whole(name, attributes[name])
        more_input, counts = told.pop(MORE_INPUT, 0), NO_COUNTS | told
        cached = counts["cache_read_tokens"] + counts["cache_write_tokens"]
        if self.cache_apart or (self.cache_apart is None and cached > counts["input_tokens"]):
            counts["input_tokens"] += cached
        counts["input_tokens"] += more_input
        if self.reasoning_apart or counts["reasoning_tokens"] > counts["output_tokens"]:
            counts["output_tokens"] += counts["reasoning_tokens"]
        return counts


GEN_AI: Final = Spelling(
    input=("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    output=("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    cache_read=(
        "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.cached_tokens",
    ),
    cache_write=(
        "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",
    ),
    reasoning=(
        "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
    ),
    input_audio=("gen_ai.usage.details.input_audio_tokens",),
    output_audio=("gen_ai.usage.details.output_audio_tokens",),
    cache_apart=None,
)  # fmt: skip
CLAUDE_CODE: Final = Spelling(
    input=("input_tokens",), output=("output_tokens",), cache_read=("cache_read_tokens",),
    cache_write=("cache_creation_tokens",), cache_apart=True,
)  # fmt: skip
CODEX: Final = Spelling(
    input=("input_token_count",), output=("output_token_count",), cache_read=("cached_token_count",),
    reasoning=("reasoning_token_count",),
)  # fmt: skip
GEMINI_CLI: Final = Spelling(
    input=("input_token_count",), output=("output_token_count",), cache_read=("cached_content_token_count",),
    reasoning=("thoughts_token_count",), more_input=("tool_token_count",), reasoning_apart=True,
)  # fmt: skip

CLAUDE_CODE_SPAN: Final = "claude_code.llm_request"
EVENTS: Final[Mapping[str, tuple[TelemetryKind, Spelling]]] = {
    "claude_code.api_request": (TelemetryKind.PRODUCT_EVENT, CLAUDE_CODE),
    "codex.sse_event": (TelemetryKind.PRODUCT_EVENT, CODEX),
    "gemini_cli.api_response": (TelemetryKind.PRODUCT_EVENT, GEMINI_CLI),
    "gen_ai.client.inference.operation.details": (TelemetryKind.GENERAL_EVENT, GEN_AI),
}
"""The events that tell of tokens."""
CODEX_PREFIX: Final = "codex"
"""The beginning of the service names of Codex. Its spans of requests name no model, and its events tell the same."""


@frozen
class TokenCounter:
    """
    A counter, or a histogram whose sums are counted.

    Args:
        type_of: The attribute that says which tokens are counted.
        counts: The counts of a report that they belong to, by the value of that attribute.
    """

    kind: TelemetryKind
    type_of: str
    counts: Mapping[str, tuple[str, ...]]


COUNTERS: Final[Mapping[str, TokenCounter]] = {
    "claude_code.token.usage": TokenCounter(
        TelemetryKind.PRODUCT_COUNTER, "type",
        {
            "input": ("input_tokens",), "output": ("output_tokens",),
            "cacheRead": ("input_tokens", "cache_read_tokens"),
            "cacheCreation": ("input_tokens", "cache_write_tokens"),
        },
    ),
    "gemini_cli.token.usage": TokenCounter(
        TelemetryKind.PRODUCT_COUNTER, "type",
        {
            "input": ("input_tokens",), "output": ("output_tokens",), "cache": ("cache_read_tokens",),
            "thought": ("output_tokens", "reasoning_tokens"), "tool": ("input_tokens",),
        },
    ),
    "codex.turn.token_usage": TokenCounter(
        TelemetryKind.PRODUCT_COUNTER, "token_type",
        {
            "input": ("input_tokens",), "output": ("output_tokens",), "cached_input": ("cache_read_tokens",),
            "reasoning_output": ("reasoning_tokens",),
        },
    ),
    "gen_ai.client.token.usage": TokenCounter(
        TelemetryKind.GENERAL_COUNTER, "gen_ai.token.type",
        {
            "input": ("input_tokens",), "prompt": ("input_tokens",), "output": ("output_tokens",),
            "completion": ("output_tokens",),
        },
    ),
}  # fmt: skip
"""The counters that tell of tokens."""


def usage_in(signal: TelemetrySignal, items: Iterable[Item]) -> TelemetryBatch:
    """
    Return the usage that the spans, events or data points of a request tell.
    """
    found: list[tuple[Item, TelemetryRecord]] = []
    rejected: list[RejectedTelemetry] = []
    for group in _groups(items) if signal is TelemetrySignal.METRICS else ((item,) for item in items):
        try:
            record = _record_of(group)
        except InvalidField as refusal:
            rejected.append(RejectedTelemetry(len(group), str(refusal)))
            continue
        if record is not None:
            found.append((group[0], record))
    return TelemetryBatch(tuple(_without_outer_spans(found)), tuple(rejected))


def _without_outer_spans(found: Sequence[tuple[Item, TelemetryRecord]]) -> Iterator[TelemetryRecord]:
    """
    Leave out each span whose children tell the same tokens: a framework and the client that it calls may have a span
    each for one request.
    """
    inner: dict[tuple[str, str], tuple[int, int]] = {}
    for item, record in found:
        if isinstance(item, SpanItem) and item.parent:
            input, output = inner.get((item.trace, item.parent), (0, 0))
            inner[item.trace, item.parent] = input + record.report.input_tokens, output + record.report.output_tokens
    for item, record in found:
        tokens = record.report.input_tokens, record.report.output_tokens
        if not isinstance(item, SpanItem) or inner.get((item.trace, item.span)) != tokens:
            yield record


def _groups(items: Iterable[Item]) -> list[tuple[Item, ...]]:
    """
    Group the data points of one counter at one time, which tell of several types of tokens.
    """
    found: dict[tuple[str, int, bool], list[Item]] = {}
    for each in items:
        if isinstance(each, PointItem) and _is_counted(each):
            found.setdefault((_stream_of(each), each.at, each.is_delta), []).append(each)
    return [tuple(group) for _, group in sorted(found.items())]


def _record_of(group: tuple[Item, ...]) -> TelemetryRecord | None:
    first = group[0]
    if isinstance(first, SpanItem):
        return _record_of_span(first)
    if isinstance(first, EventItem):
        return _record_of_event(first)
    return _record_of_points([each for each in group if isinstance(each, PointItem)])


def _record_of_span(span: SpanItem) -> TelemetryRecord | None:
    own = span.attributes
    spelling = CLAUDE_CODE if span.name == CLAUDE_CODE_SPAN and CLAUDE_CODE.is_told_by(own) else GEN_AI
    if own.get("gen_ai.operation.name") in NO_INFERENCE or not spelling.is_told_by(own):
        return None
    if _model_in(own) is None and _text_in(span.resource, "service.name").startswith(CODEX_PREFIX):
        return None
    if not span.trace or not span.span:
        raise InvalidField("span_id", "is missing")
    at = span.ended_at or span.began_at
    took = (span.ended_at - span.began_at) // 1_000_000 if span.began_at and span.ended_at else None
    report = _report(span.resource, own, at, took, spelling.counts_in(own))
    producer = _producer(span.resource, at)
    return TelemetryRecord(
        report=report, kind=TelemetryKind.SPAN, producer=producer, key=digest_of(span.trace, span.span)
    )  # fmt: skip


def _record_of_event(event: EventItem) -> TelemetryRecord | None:
    own = event.attributes
    name = event.body if event.body in EVENTS else event.name or _text_in(own, "event.name")
    if name not in EVENTS and f"claude_code.{name}" in EVENTS and _text_in(event.resource, "service.name") in (
        "claude-code", "claude_code",
    ):  # fmt: skip
        name = f"claude_code.{name}"
    if name not in EVENTS:
        return None
    kind, spelling = EVENTS[name]
    if own.get("gen_ai.operation.name") in NO_INFERENCE or not spelling.is_told_by(own):
        return None
    if name.startswith(CODEX_PREFIX) and own.get("event.kind") != "response.completed":
        return None
    took = own.get("duration_ms")
    duration = round(took) if isinstance(took, int | float) and isfinite(took) else None
    report = _report(event.resource, own, event.at, duration, spelling.counts_in(own))
    key = digest_of(event.resource, own, event.body, event.trace, event.span, event.at)
    return TelemetryRecord(report=report, kind=kind, producer=_producer(event.resource, event.at), key=key)


def _is_counted(point: PointItem) -> bool:
    counter = COUNTERS.get(point.metric)
    return counter is not None and point.attributes.get(counter.type_of) in counter.counts


def _stream_of(point: PointItem) -> str:
    """
    The identity of a counter of all types of tokens.
    """
    type_of = COUNTERS[point.metric].type_of
    return digest_of(
        point.resource, point.metric, {name: each for name, each in point.attributes.items() if name != type_of}
    )  # fmt: skip


def _record_of_points(points: Sequence[PointItem]) -> TelemetryRecord:
    """
    The record of the data points of one counter at one time.
    """
    first = points[0]
    counter, stream = COUNTERS[first.metric], _stream_of(first)
    readings = tuple(
        CounterReading(
            name=(name := _text_in(each.attributes, counter.type_of)), counts=counter.counts[name],
            value=_whole(f"{each.metric} of {name}", each.value), since=each.since,
        )
        for each in points
    )  # fmt: skip
    since = min(each.since or each.at for each in points)
    key = digest_of(stream, first.at, first.is_delta, sorted((each.name, each.since) for each in readings))
    return TelemetryRecord(
        report=_report(first.resource, first.attributes, first.at, None, NO_COUNTS), kind=counter.kind,
        producer=_producer(first.resource, since), key=key, points=len(points), readings=readings,
        stream=None if first.is_delta else stream, read_at=first.at,
    )  # fmt: skip


def _producer(resource: Attributes, at: int) -> str:
    """
    The identity of a process. One that does not tell it apart from its earlier ones counts as another one each day.
    """
    known = tuple((name, resource[name]) for name in PROCESSES if name in resource)
    day = None if any(name in resource for name in INSTANCES) else at // NANOS_PER_DAY
    return _digest_of_producer(known, day)


@lru_cache
def _digest_of_producer(known: tuple[tuple[str, Scalar], ...], day: int | None) -> str:
    return digest_of(known, day)


def _report(
    resource: Attributes, own: Attributes, at: int, duration: int | None, counts: Mapping[str, Any]
) -> UsageReport:
    """
    A report with these counts.

    Raises:
        InvalidField: If the model is missing, or an attribute is not valid.
    """
    model = _model_in(own)
    if model is None:
        raise InvalidField("gen_ai.request.model", "is missing beside the tokens")
    if not 0 <= at <= LATEST:
        raise InvalidField("time", "is out of range", at)
    provider = _text_in(own, "gen_ai.provider.name") or _text_in(own, "gen_ai.system")
    names = {name: _text_in(own, name) or _text_in(resource, name) for name in (AGENT, TASK, BOARD)}
    session = next((found for name in SESSIONS if (found := _text_in(own, name) or _text_in(resource, name))), "")
    return UsageReport(
        model=model, **counts, provider=PROVIDERS.get(provider.lower(), provider) or None,
        used_at=moment(at // 1000) if at else None, session=session, agent=_agent(names[AGENT]),
        task=_task(names[TASK]), board=_board(names[BOARD]),
        operation=_text_in(own, "gen_ai.operation.name") or "chat_completion",
        duration_ms=duration if duration is not None and 0 <= duration <= LONGEST_DURATION else None,
        reported_cost=_cost_in(own),
    )  # fmt: skip


def _model_in(own: Attributes) -> str | None:
    return next((found for name in MODELS if (found := _text_in(own, name))), None)


def _text_in(attributes: Attributes, name: str) -> str:
    found = attributes.get(name)
    return "" if found is None or isinstance(found, bool) else str(found).strip()


def _whole(name: str, value: Scalar) -> int:
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidField(name, "is not a whole number of tokens", value)
    return value


def _cost_in(own: Attributes) -> int | None:
    """
    The cost that the producer told, in nano-dollars. Like every told cost it is kept, and not counted.
    """
    told = own.get("cost_usd", own.get("gen_ai.usage.cost"))
    try:
        dollars = float(told) if isinstance(told, str | int | float) else None
    except ValueError:
        return None
    if dollars is None or not isfinite(dollars) or not 0 <= dollars <= MAX_COST / NANOS_PER_DOLLAR:
        return None
    return round(dollars * NANOS_PER_DOLLAR)


def _agent(told: str) -> AgentId | AgentNumber | str | None:
    found = _id_or_number(told)
    if found is None:
        return told or None
    return AgentId(found) if isinstance(found, UUID) else AgentNumber(found)


def _task(told: str) -> TaskId | TaskNumber | None:
    found = _named(TASK, told)
    return TaskId(found) if isinstance(found, UUID) else None if found is None else TaskNumber(found)


def _board(told: str) -> BoardId | BoardNumber | None:
    found = _named(BOARD, told)
    return BoardId(found) if isinstance(found, UUID) else None if found is None else BoardNumber(found)


def _named(name: str, told: str) -> UUID | int | None:
    found = _id_or_number(told)
    if told and found is None:
        raise InvalidField(name, "is neither an id nor a number", told)
    return found


def _id_or_number(told: str) -> UUID | int | None:
    if not told:
        return None
    if told.isascii() and told.isdecimal() and len(told) < 19:
        return int(told)
    try:
        return UUID(told)
    except ValueError:
        return None
