"""
Reported runs: records that a client keeps of what an agent did from a start to an end, with its steps, tokens and
evaluation. They may name a task, and never touch its lease.
"""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from attrs import field
from attrs.validators import optional

from mission_core.entity_changes import evolve
from mission_core.errors import Conflict, Denied, InvalidField, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import AgentId, BoardId, OrganizationId, ReportedRunId, ReportedRunNumber, TaskId, UsageId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.row_mapping import EMPTY_LIST, NestedValue
from mission_core.usage.amounts import LONGEST_MODEL, LONGEST_PROVIDER, MAX_COST, MAX_TOKENS
from mission_core.usage.model import LONGEST_NAME, ReportRaced
from mission_core.values import (
    EMPTY_OBJECT,
    JsonText,
    checked_json,
    json_object,
    number_between,
    text,
    utc_moment,
    whole_number,
)

if TYPE_CHECKING:
    from attrs import Attribute

    from mission_core.usage.model import UsageEntry

LONGEST_KEY: Final = 128
LONGEST_LABEL: Final = 200
LONGEST_TIME: Final = 64
LONGEST_ERROR: Final = 20_000
LONGEST_DETAIL: Final = 20_000
MOST_NAMES: Final = 1_000
"""The largest number of tools or tags of one run."""
HIGHEST_SCORE: Final = 1_000_000_000
DEFAULT_RUNTIME: Final = "mission-control"
UNKNOWN_MODEL: Final = "unknown"
"""The model of tokens whose reporter named none."""
RUN_OPERATION: Final = "agent_run"
"""The operation of ledger entries for the tokens of a run."""


class ReportedRunNotFound(NotFound):
    """
    This organization has no such run.
    """

    says = "Run not found"


class ReportedRunIdTaken(Conflict):
    """
    Another run of the organization has this id.
    """

    says = "another run has this id; send another one, or PATCH that run"


class RunOfAnotherReporter(Denied):
    """
    Only an admin, the run's own agent, or whoever reported a run may change it.
    """

    says = "only an admin, the run's agent, or the key that reported this run may change it"


def _names(instance: object, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    if not isinstance(value, tuple) or len(value) > MOST_NAMES:
        raise InvalidField(attribute.name, f"must be a list of at most {MOST_NAMES} texts")
    for each in value:
        text(most=LONGEST_LABEL)(instance, attribute, each)


def _json_list(instance: object, attribute: Attribute[Any], value: JsonText) -> None:
    checked_json(attribute.name, value)
    if not value.lstrip().startswith("["):
        raise InvalidField(attribute.name, "must be a JSON list as text", value)


_label: Final = optional(text(most=LONGEST_LABEL))
_count: Final = whole_number(0, MAX_TOKENS)


@frozen(kw_only=True, field_transformer=with_type_validators)
class TokensOfRun:
    """
    The tokens of a run as its reporter told them. A count of the cache is None if it was not told.

    Args:
        model: The model that used the tokens, if it is not that of the run.
        reported_cost: The cost in nano-dollars that the reporter told. It is kept, and never counted.
    """

    input_tokens: int = field(default=0, validator=_count)
    output_tokens: int = field(default=0, validator=_count)
    cache_read_tokens: int | None = field(default=None, validator=optional(_count))
    cache_write_tokens: int | None = field(default=None, validator=optional(_count))
    model: str | None = field(default=None, validator=optional(text(least=1, most=LONGEST_MODEL)))
    reported_cost: int | None = field(default=None, validator=optional(whole_number(0, MAX_COST)))

    @property
    def any(self) -> bool:
        """
        Whether there are tokens at all.
        """
        return bool(self.input_tokens or self.output_tokens or self.cache_read_tokens or self.cache_write_tokens)


NO_TOKENS: Final = TokensOfRun()


@frozen(kw_only=True, field_transformer=with_type_validators)
class RunProvenance:
    """
    The configuration that a run came from, as its reporter told it. A signature is kept, and not verified.

    Args:
        created_at: The time that the reporter told for it.
    """

    run_hash: str = field(validator=text(least=1, most=LONGEST_LABEL))
    parent_run_hash: str | None = field(default=None, validator=_label)
    lineage: tuple[str, ...] = field(default=(), validator=_names)
    model_version: str | None = field(default=None, validator=_label)
    config_hash: str | None = field(default=None, validator=_label)
    runtime: str | None = field(default=None, validator=_label)
    signed_by: str | None = field(default=None, validator=_label)
    signature: str | None = field(default=None, validator=optional(text(most=LONGEST_ERROR)))
    created_at: str | None = field(default=None, validator=optional(text(most=LONGEST_TIME)))


@frozen(kw_only=True, field_transformer=with_type_validators)
class RunEvaluation:
    """
    The evaluation of a run.
    """

    score: float = field(validator=number_between(-HIGHEST_SCORE, HIGHEST_SCORE))
    passed: bool
    task_type: str | None = field(default=None, validator=_label)
    layer: str | None = field(default=None, validator=_label)
    detail: str | None = field(default=None, validator=optional(text(most=LONGEST_DETAIL)))
    metrics: JsonText | None = field(default=None, validator=optional(json_object))
    benchmark: str | None = field(default=None, validator=_label)


@frozen(kw_only=True, field_transformer=with_type_validators)
class ReportedRun:
    """
    A run that a client reported.

    Args:
        key: The id that clients know it by: their own, or else that of the record.
        reporter: The identity of the principal who reported it.
        agent_label: The agent as the reporter named it. *agent* is the agent of the organization that this stands for.
        agent_name: The name of the agent when it was reported, or the name that was told.
        task_label: The task as the reporter named it. *task* is the task of the organization that this stands for.
        parent: The id of the run that started this one, as it was told.
        started_at: *started_text* as a time.
        started_text, ended_text: The times as the reporter wrote them.
        usage: The entry of the token ledger with its tokens; None if it told none.
        cost: The billed cost of that entry in nano-dollars; None if it is unknown.
        unpriced_tokens: The tokens of that entry whose price is unknown.
    """

    id: ReportedRunId
    number: ReportedRunNumber
    organization: OrganizationId
    key: str = field(validator=text(least=1, most=LONGEST_KEY))
    reporter: str = field(validator=text(least=1, most=LONGEST_LABEL))
    board: BoardId | None = None
    task: TaskId | None = None
    task_label: str | None = field(default=None, validator=_label)
    agent: AgentId | None = None
    agent_label: str = field(validator=text(least=1, most=LONGEST_LABEL))
    agent_name: str = field(validator=text(least=1, most=LONGEST_NAME))
    status: str = field(validator=text(least=1, most=LONGEST_LABEL))
    outcome: str | None = field(default=None, validator=_label)
    model: str | None = field(default=None, validator=optional(text(least=1, most=LONGEST_MODEL)))
    provider: str | None = field(default=None, validator=optional(text(least=1, most=LONGEST_PROVIDER)))
    runtime: str = field(default=DEFAULT_RUNTIME, validator=text(most=LONGEST_LABEL))
    runtime_version: str | None = field(default=None, validator=_label)
    trigger: str | None = field(default=None, validator=_label)
    parent: str | None = field(default=None, validator=_label)
    started_at: datetime = field(validator=utc_moment)
    started_text: str = field(validator=text(least=1, most=LONGEST_TIME))
    ended_at: datetime | None = field(default=None, validator=optional(utc_moment))
    ended_text: str | None = field(default=None, validator=optional(text(most=LONGEST_TIME)))
    duration_ms: int | None = field(default=None, validator=optional(whole_number(0)))
    steps: JsonText = field(default=EMPTY_LIST, validator=_json_list)
    tools: tuple[str, ...] = field(default=(), validator=_names)
    tokens: TokensOfRun = NO_TOKENS
    usage: UsageId | None = None
    cost: int | None = field(default=None, validator=optional(whole_number(-MAX_COST, MAX_COST)))
    unpriced_tokens: int = 0
    provenance: RunProvenance
    evaluation: RunEvaluation | None = None
    error: str | None = field(default=None, validator=optional(text(most=LONGEST_ERROR)))
    git_branch: str | None = field(default=None, validator=_label)
    git_commit: str | None = field(default=None, validator=_label)
    tags: tuple[str, ...] = field(default=(), validator=_names)
    metadata: JsonText = field(default=EMPTY_OBJECT, validator=json_object)
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    version: int = 0

    @property
    def model_used(self) -> str:
        """
        The model that used the tokens.
        """
        return self.tokens.model or self.model or UNKNOWN_MODEL

    def with_entry(self, entry: UsageEntry) -> ReportedRun:
        """
        The run whose tokens are counted by this entry of the ledger now. If the entry takes the former one back, none
        are counted.
        """
        if entry.reverses is not None:
            none = {"input_tokens": 0, "output_tokens": 0, "cache_read_tokens": None, "cache_write_tokens": None}
            tokens = evolve(self.tokens, **none)
            return evolve(
                self, tokens=tokens, usage=None, cost=None, unpriced_tokens=0, updated_at=entry.recorded_at
            )  # fmt: skip
        cached = {
            name: count for name in ("cache_read_tokens", "cache_write_tokens")
            if (count := getattr(entry, name)) or getattr(self.tokens, name) is not None
        }  # fmt: skip
        tokens = evolve(
            self.tokens, input_tokens=entry.input_tokens, output_tokens=entry.output_tokens,
            model=self.tokens.model if entry.model == self.model_used else entry.model,
            reported_cost=entry.reported_cost, **cached,
        )  # fmt: skip
        return evolve(
            self, tokens=tokens, usage=entry.id, cost=entry.cost, unpriced_tokens=entry.unpriced_tokens,
            updated_at=entry.recorded_at,
        )  # fmt: skip


REPORTED_RUNS: Final = Kind(
    entity=ReportedRun,
    name="reported_runs",
    missing=ReportedRunNotFound,
    unique={("key",): ReportedRunIdTaken, ("usage",): ReportRaced},
    indexed_by=(("agent_label",), ("task_label",), ("status",)),
    nested={
        "tokens": NestedValue(TokensOfRun, columns={"model": "tokens_model"}),
        "provenance": NestedValue(RunProvenance, "provenance_"),
        "evaluation": NestedValue(RunEvaluation, "evaluation_", null=None),
    },
)


def run_hash_of(
    *, agent: str, model: str | None, tools: tuple[str, ...], config: str | None, trigger: str | None
) -> str:
    """
    The hash of a run's configuration: SHA-256 of the agent, the model, the sorted tools as a JSON list, the hash of the
    configuration and the trigger, with `|` between them.
    """
    ordered = sorted(tools, key=lambda each: each.encode("utf-16-be"))  # as other programs of this protocol sort texts
    listed = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False)
    return sha256("|".join((agent, model or "", listed, config or "", trigger or "")).encode()).hexdigest()


@frozen(kw_only=True, eq=False, repr=False)
class ReportedRunCreated(Event):
    """
    A client reported a run.
    """

    kind = "reported_run.created"

    reported_run: ReportedRunId
    key: str
    agent_name: str
    status: str


@frozen(kw_only=True, eq=False, repr=False)
class ReportedRunUpdated(Event):
    """
    A client changed a run that it had reported.
    """

    kind = "reported_run.updated"

    reported_run: ReportedRunId
    key: str
    status: str
    changed: tuple[str, ...]


@frozen(kw_only=True, eq=False, repr=False)
class ReportedRunEvaluated(Event):
    """
    A reported run was evaluated.
    """

    kind = "reported_run.evaluated"

    reported_run: ReportedRunId
    key: str
    score: float
    passed: bool
