"""
The token ledger: entries that say which tokens were used for what, and what they cost.

The ledger is append-only. The cost of an entry is computed once, when it is recorded, and never again. A correction
adds two entries: one that reverses the wrong one, and one that replaces it. So the sums over all entries are always
right.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from attrs import field
from attrs.validators import optional

from mission_core.entity_changes import evolve
from mission_core.errors import Conflict, Denied, InvalidField, NotFound, StaleWrite
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import AgentId, BoardId, OrganizationId, RunId, TaskId, UsageId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import define, frozen
from mission_core.usage.amounts import LONGEST_MODEL, LONGEST_PROVIDER, PriceBasis
from mission_core.usage.counters import COUNTS, USAGE_ENTRIES
from mission_core.values import MAX_INTEGER, text, utc_moment, whole_number

if TYPE_CHECKING:
    from attrs import Attribute

LONGEST_REPORT_ID: Final = 255
LONGEST_SESSION: Final = 512
LONGEST_NAME: Final = 100
LONGEST_OPERATION: Final = 100
LONGEST_DURATION: Final = 604_800_000
"""The longest duration of a request in milliseconds: a week."""
MAX_CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far a reported time may be in the future."""
OLDEST_USE: Final = timedelta(days=400)
"""How far a reported time may be in the past."""
OLDEST_USE_OF_AGENTS: Final = timedelta(days=7)
"""How far it may be in the past if an agent's key below admin reports it, so that an agent cannot spend in periods of
budgets that are long over."""


NO_ENTRY: Final = UUID(int=0)


class UsageNotFound(NotFound):
    """
    This organization has no such entry in its token ledger.
    """

    says = "there is no such usage entry"


class UsageOfAnotherAgent(Denied):
    """
    Only an admin may report the tokens of another agent.
    """

    says = "only an admin's key may report the tokens of another agent; report your own"


class UsageOfAnotherTask(Denied):
    """
    Only an admin may report tokens for a task that the caller does not hold and never held.
    """

    says = "you do not hold this task and never held it; only an admin's key may report tokens for it"


class UsageOfAnotherBoard(Denied):
    """
    Only an admin may choose the board that tokens are reported for.
    """

    says = "only an admin's key may name a board; leave it out, and the board of the task or agent counts"


class ReportIdReused(Conflict):
    """
    The caller used this report id before, with other content.
    """

    says = "you used this report id for another report; use a new id for a new report"


class UsageVoided(Conflict):
    """
    The entry was voided, so it cannot be corrected.
    """

    says = "this entry was voided; report the tokens again instead of correcting it"


class UsageIsCarryOver(Conflict):
    """
    The entry stands for many old ones, so it cannot be corrected.
    """

    says = "this entry stands for old ones that are not kept; they cannot be corrected any more"


class UsageIsReversal(Conflict):
    """
    The entry reverses another one, so it cannot be corrected itself.
    """

    says = "this entry reverses another one; correct the entry that replaced it"


class UsageRebuildSuperseded(Conflict):
    """
    Another rebuild of the sums of this token ledger began, so this one stopped.
    """

    says = "another rebuild of the sums of this token ledger began and goes on; this one has stopped"


@define
class ReportRaced(StaleWrite):
    """
    Another request recorded the same report, or corrected the same entry, at the same time.
    """

    kind: str = "usage entry"
    id: UUID = NO_ENTRY
    remembered: bool = False


_session_text: Final = text(most=LONGEST_SESSION)


def _session(instance: object, attribute: Attribute[Any], value: str) -> None:
    _session_text(instance, attribute, value)
    if len(value.encode()) > LONGEST_SESSION:  # it is part of a key, which PostgreSQL limits
        raise InvalidField(attribute.name, f"must have at most {LONGEST_SESSION} bytes in UTF-8", value)


_sum: Final = whole_number(-MAX_INTEGER)
_money: Final = optional(_sum)


@frozen(kw_only=True, field_transformer=with_type_validators)
class UsageEntry:
    """
    An entry of the token ledger: one report of used tokens. Money is in nano-dollars.

    Args:
        reporter: The identity of the principal who reported it.
        report_id: The reporter's own id of the report. A report with the same id is not counted again.
        corrects: The entry that this one replaces.
        reverses: The entry that this one reverses. Its counts and amounts are those of that entry, negated.
        at: When the tokens were used.
        task_number: The number of the task. It stays when the task is deleted.
        run: The agent's run of the task.
        late: Whether the lease of that run was lost when the report came.
        agent_name: The name of the agent when it reported, or a name that is no agent's; empty if nobody was named.
        session: The reporter's name of the conversation.
        requests: 1, and -1 for an entry that reverses another one. A carry-over (`carry_overs.py`) has the sums of the
            old entries that it stands for, this one and all others.
        list_cost: The list price; None if it is unknown.
        cost: The billed cost: the list price, or nothing if a subscription covers it; None if the list price is
            unknown.
        reported_cost: The cost that the reporter told. It is kept, and never counted.
        unconfirmed_subscription: Whether only the reporter says that a subscription pays for it. A budget of money
            counts it at the list price.
        unpriced_tokens: The tokens of input and output, if their price is unknown; otherwise 0.
        unpriced_requests: As *requests*, if the price is unknown; otherwise 0.
    """

    id: UsageId
    organization: OrganizationId
    reporter: str = field(validator=text(least=1, most=200))
    report_id: str | None = field(default=None, validator=optional(text(least=1, most=LONGEST_REPORT_ID)))
    corrects: UsageId | None = None
    reverses: UsageId | None = None
    at: datetime = field(validator=utc_moment)
    recorded_at: datetime = field(validator=utc_moment)
    board: BoardId | None = None
    task: TaskId | None = None
    task_number: int | None = None
    run: RunId | None = None
    late: bool = False
    agent: AgentId | None = None
    agent_name: str = field(default="", validator=text(most=LONGEST_NAME))
    session: str = field(default="", validator=_session)
    operation: str = field(default="chat_completion", validator=text(least=1, most=LONGEST_OPERATION))
    duration_ms: int | None = field(default=None, validator=optional(whole_number(0, LONGEST_DURATION)))
    provider: str | None = field(default=None, validator=optional(text(least=1, most=LONGEST_PROVIDER)))
    model: str = field(validator=text(least=1, most=LONGEST_MODEL))
    requests: int = field(default=1, validator=_sum)
    input_tokens: int = field(validator=_sum)
    output_tokens: int = field(validator=_sum)
    cache_read_tokens: int = field(default=0, validator=_sum)
    cache_write_tokens: int = field(default=0, validator=_sum)
    reasoning_tokens: int = field(default=0, validator=_sum)
    input_audio_tokens: int = field(default=0, validator=_sum)
    output_audio_tokens: int = field(default=0, validator=_sum)
    unpriced_tokens: int = field(default=0, validator=_sum)
    unpriced_requests: int = field(default=0, validator=_sum)
    list_cost: int | None = field(default=None, validator=_money)
    cost: int | None = field(default=None, validator=_money)
    reported_cost: int | None = field(default=None, validator=_money)
    subscription: bool = False
    batch: bool = False
    unconfirmed_subscription: bool = False
    price_source: str | None = field(default=None, validator=optional(text(most=100)))
    price_version: str | None = field(default=None, validator=optional(text(most=100)))
    basis: PriceBasis = PriceBasis.UNKNOWN
    version: int = 0

    def reversal(self, id: UsageId, *, reporter: str, at: datetime) -> UsageEntry:
        """
        The entry that takes this one back, recorded at *at*. It is dated like this one, so that it is summed with it.
        """
        amounts = ("requests", *COUNTS, "unpriced_tokens", "unpriced_requests", "list_cost", "cost", "reported_cost")
        negated = {name: None if (value := getattr(self, name)) is None else -value for name in amounts}
        return evolve(
            self, id=id, reporter=reporter, report_id=None, corrects=None, reverses=self.id, recorded_at=at,
            version=0, **negated,
        )  # fmt: skip


USAGE: Final = Kind(
    entity=UsageEntry,
    name=USAGE_ENTRIES,
    counted=True,
    missing=UsageNotFound,
    unique={("reporter", "report_id"): ReportRaced, ("corrects",): ReportRaced, ("reverses",): ReportRaced},
)


@frozen(kw_only=True, eq=False, repr=False)
class UsageCorrected(Event):
    """
    An entry of the token ledger was corrected or voided.
    """

    kind = "usage.corrected"

    usage: UsageId
    replacement: UsageId | None
    reason: str
