"""
The ports of the core: the unit of work, the read models, and the ports that all areas share.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar
from uuid import UUID

from attrs import evolve

from mission_core.errors import Conflict
from mission_core.lazy_attrs import define, frozen

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.accounts.model import Principal
    from mission_core.accounts.organizations import Organization, OrganizationDeletion
    from mission_core.accounts.ports import (
        ApiKeyRepository,
        CodeExchange,
        CredentialStore,
        PasswordHasher,
        ProviderDirectory,
        SecretEncryption,
        Secrets,
        TokenVerifier,
    )
    from mission_core.accounts.queries import MemberReads
    from mission_core.accounts.users import IdentityProvider
    from mission_core.agents.ports import AgentRepository
    from mission_core.agents.queries import AgentReads
    from mission_core.approvals.queries import ApprovalReads
    from mission_core.boards.ports import BoardRepository
    from mission_core.boards.queries import BoardReads
    from mission_core.conversations.chat_queries import ChatReads
    from mission_core.conversations.notification_queries import NotificationReads
    from mission_core.events.model import Event
    from mission_core.events.ports import EventLog
    from mission_core.ids import OrganizationId
    from mission_core.kinds import EntityReads, EntityRepository, EntityT, Kind
    from mission_core.reports.activity_feed import ActivityFeedReads
    from mission_core.reports.agent_activity import AgentActivityReads
    from mission_core.reports.queries import ReportReads
    from mission_core.reports.server_figures import ServerReads
    from mission_core.tasks.ports import Gates, RunRepository, TaskRepository
    from mission_core.tasks.queries import TaskReads
    from mission_core.tasks.snapshots import SnapshotReads
    from mission_core.usage.prices import PriceBook
    from mission_core.usage.queries import UsageReads, UsageRebuild
    from mission_core.usage.reported_run_queries import ReportedRunReads
    from mission_core.use_case import Backoff

C = TypeVar("C")
R = TypeVar("R")
IDEMPOTENCY_KEY_LIFETIME: Final = timedelta(hours=24)
"""The time for which an idempotency key is kept."""


class Clock(Protocol):
    """
    Tells the current time.
    """

    def now(self) -> datetime:
        """
        The current time as an aware datetime in UTC.
        """


class IdFactory(Protocol):
    """
    Generates ids.
    """

    def new(self) -> UUID:
        """
        A new version 7 UUID.
        """


class NumberSequences(Protocol):
    """
    Generates the short sequential numbers that people refer to.
    """

    async def next(self, *scopes: tuple[UUID, str]) -> tuple[int, ...]:
        """
        The next number of each scope (an organization and a kind, or a board and `ticket`), in one operation. Numbers
        grow, are never reused, and have gaps only after failures. The draw itself need not be durable.
        """

    async def advance_to(self, *scopes: tuple[UUID, str, int]) -> None:
        """
        Continue each scope after the given number, for example the last number of imported rows.
        """


class Versioned(Protocol):
    """
    A row that a decision can depend on: its class names the kind, its id and version name the state.
    """

    @property
    def id(self) -> UUID:
        """
        The row's id.
        """

    @property
    def version(self) -> int:
        """
        The version that was read.
        """


class RowPart(Protocol):
    """
    A part of a row that a decision can depend on instead of the row: its class names the part.
    """

    @property
    def id(self) -> UUID:
        """
        The row's id.
        """

    @property
    def version(self) -> object:
        """
        The version of this part, or the values that must not have changed.
        """


@frozen(kw_only=True)
class IdempotencyKey:
    """
    An idempotency key with the principal, the operation and the request body that it was used for. The same key with
    another body is refused.

    Args:
        principal: The principal who sent the key, if the work is done as another one; otherwise the unit's principal.
    """

    key: str
    operation: str
    body_digest: bytes
    principal: Principal | None = None


@define(repr=False)
class AlreadyDone(Conflict):
    """
    The idempotency key was used before; *result* is the id of the first result. `perform` catches this error and
    returns that result.
    """

    result: UUID

    says = "this idempotency key was used before"


class UnitOfWork(Protocol):
    """
    An atomic change on behalf of one principal, through repositories that are limited to that principal.

    Reads return the last committed state. Writes are buffered, and `commit` flushes them as one transaction. After a
    write only `get` is allowed; it returns the unit's own writes first. Leaving the unit without `commit` discards all
    writes.

    Rows of a board are written only for a principal with write access to that board, both before and after the change.
    Each `add`, `save`, `remove` and every other write may raise `BoardReadOnly` or `BoardDenied`.
    """

    @property
    def organization_deletion(self) -> OrganizationDeletion:
        """
        The port that deletes the organization.
        """

    @property
    def boards(self) -> BoardRepository:
        """
        The repository of the organization's boards.
        """

    @property
    def agents(self) -> AgentRepository:
        """
        The repository of the organization's agents.
        """

    @property
    def keys(self) -> ApiKeyRepository:
        """
        The repository of the organization's API keys.
        """

    @property
    def tasks(self) -> TaskRepository:
        """
        The repository of the organization's tasks.
        """

    @property
    def runs(self) -> RunRepository:
        """
        The repository of the organization's runs.
        """

    @property
    def gates(self) -> Gates:
        """
        The approval gates that tasks must pass before they are done.
        """

    @property
    def price_overrides(self) -> PriceBook | None:
        """
        The prices that the organization sets, as the store remembers them; None if it knows of none. If they have
        changed, the commit of an entry of the token ledger fails with `StaleWrite`, and the next unit knows the change.
        """

    def repository(self, kind: Kind[EntityT]) -> EntityRepository[EntityT]:
        """
        The repository of this kind of entities.
        """

    @property
    def without_grants(self) -> UnitOfWork:
        """
        The same unit with repositories that ignore board grants, for the necessary consequences of a permitted change
        on any board. It is committed with the unit.
        """

    def record(self, *facts: Event) -> None:
        """
        Add events to the log when the unit commits, with the principal as their actor.
        """

    def rely_on(self, *rows: Versioned | RowPart, bump: bool = False) -> None:
        """
        Make the commit depend on rows, or parts of rows, that the unit does not save: it fails if their versions have
        changed. With *bump*, which is for whole rows, it also raises the versions of the rows, so that two such
        decisions exclude each other.
        """

    def result(self, id: UUID) -> None:
        """
        Set the id of the result that is kept with the unit's idempotency key.
        """

    async def commit(self) -> Any:
        """
        Flush all buffered writes as one durable transaction, then wake the readers of the log.

        Returns:
            The result of the last operation that ran inside the flush, such as a claim; None without one.

        Raises:
            StaleWrite: If a row that was saved, removed or relied on has another version now.
            Conflict: If a unique field is taken; each area has its own errors.
            StoreFailed: If the store failed and rolled everything back.
            StoreBusy: If other transactions blocked the commit for too long.
            OutcomeUnknown: If the store failed and it is not known whether the commit happened.
        """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...


class UnitOfWorkFactory(Protocol):
    """
    Opens units of work.
    """

    def __call__(self, principal: Principal, *, once: IdempotencyKey | None = None) -> UnitOfWork:
        """
        A unit for this principal. With *once*, its commit also stores the idempotency key with the unit's result.

        Raises (from the unit's `commit`):
            AlreadyDone: If the key was used before; the error carries the first result.
        """


class Reads(Protocol):
    """
    The read models. Each read is limited to what its principal may see, except those of `server`.
    """

    @property
    def tasks(self) -> TaskReads:
        """
        The read model of tasks and runs.
        """

    @property
    def agents(self) -> AgentReads:
        """
        The read model of agents and keys.
        """

    @property
    def boards(self) -> BoardReads:
        """
        The read model of boards.
        """

    @property
    def snapshots(self) -> SnapshotReads:
        """
        The read model of board snapshots, and of the first tasks of several boards.
        """

    @property
    def members(self) -> MemberReads:
        """
        The read model of the organization's members.
        """

    @property
    def entities(self) -> EntityReads:
        """
        The read model of entities of every kind.
        """

    @property
    def reports(self) -> ReportReads:
        """
        The read model of reports.
        """

    @property
    def activity_feed(self) -> ActivityFeedReads:
        """
        The read model of the activity feed.
        """

    @property
    def agent_activity(self) -> AgentActivityReads:
        """
        The read model of agent activity.
        """

    @property
    def approvals(self) -> ApprovalReads:
        """
        The read model of approvals.
        """

    @property
    def usage(self) -> UsageReads:
        """
        The read model of the token ledger.
        """

    @property
    def reported_runs(self) -> ReportedRunReads:
        """
        The read model of reported runs.
        """

    @property
    def chat(self) -> ChatReads:
        """
        The read model of chat messages.
        """

    @property
    def notifications(self) -> NotificationReads:
        """
        The read model of notifications.
        """

    @property
    def server(self) -> ServerReads:
        """
        The figures of the whole server, for its operator.
        """

    async def organization(self, principal: Principal) -> Organization:
        """
        The principal's organization.
        """

    async def idempotent_result(self, principal: Principal, once: IdempotencyKey, *, since: datetime) -> UUID | None:
        """
        The id of the result that was kept with this idempotency key after *since*, or None if the key was not used.

        Raises:
            KeyReused: If it was used for another body.
        """

    async def ready(self) -> None:
        """
        Return if the store answers and accepts writes. The check takes a few seconds at most.

        Raises:
            StoreFailed: If it does not.
        """


class Housekeeping(Protocol):
    """
    Keeps the store small and fast, in steps that hold no lock for long. The lease sweeper calls it in each round.
    """

    async def delete_expired(self, *, at: datetime, limit: int) -> bool:
        """
        Delete the idempotency keys and sessions that no longer count at *at*: up to *limit* of each, oldest first.

        Returns:
            Whether more may be left.
        """

    async def index_tasks(self, organization: OrganizationId, *, limit: int) -> bool:
        """
        Add *limit* of the organization's tasks to the index of text search, and of its agents, if the store has one and
        it lacks so many.
        A search finds the same before and after.

        Returns:
            Whether the next ones can follow at once.
        """

    async def fold_usage(
        self, organization: OrganizationId, *, since: datetime | None, before: datetime, at: datetime
    ) -> datetime | None:
        """
        Replace entries of the token ledger by carry-overs, in one transaction at the time *at*: the oldest ones that
        were used from *since* on, in a quarter of an hour that ends by *before*, and recorded before that. No sum
        changes.

        Returns:
            The time from which the next ones follow; None if there are none.
        """

    async def rebuild_usage(self, organization: OrganizationId) -> UsageRebuild:
        """
        Correct the sums of the organization's token ledger by its entries, while entries may be added. A rebuild that
        was interrupted has made no sum wrong, and is run again.

        Raises:
            UsageRebuildSuperseded: If another rebuild began meanwhile.
        """


@frozen(kw_only=True, repr=False)
class Ports:
    """
    All ports that a use case may need. Every use case takes it as its first argument.
    """

    unit: UnitOfWorkFactory
    reads: Reads
    log: EventLog
    credentials: CredentialStore
    numbers: NumberSequences
    housekeeping: Housekeeping
    clock: Clock
    ids: IdFactory
    secrets: Secrets
    passwords: PasswordHasher
    vault: SecretEncryption
    verifiers: Mapping[IdentityProvider, TokenVerifier] = {}
    """The token verifier of each external identity provider."""
    codes: CodeExchange | None = None
    directories: Mapping[IdentityProvider, ProviderDirectory] = {}
    """The user directory of each identity provider that has one."""
    backoff: Backoff | None = None
    """The wait between two tries of a use case; None means no wait."""
    prices: PriceBook | None = None
    """The prices of models; None means that no price is known."""
    subscribed_providers: frozenset[str] = frozenset()
    """The model providers, in lower case, that a subscription pays for."""
    usage_kept_for: timedelta | None = None
    """The time after which entries of the token ledger are folded; None for never. Older ones cannot be reported."""


def perform(
    use_case: Callable[[Ports, Principal, C], Awaitable[R]],
    ports: Ports,
    principal: Principal,
    command: C,
    *,
    once: IdempotencyKey | None,
    again: Callable[[Ports, Principal, UUID], Awaitable[R]],
) -> Awaitable[R]:
    """
    Run a use case under an idempotency key, if there is one. The work is done once; a repeated request, or the loser of
    a race, gets the result of *again* for the first result's id.

    Raises:
        KeyReused: If the key was used for another body.
    """
    if once is None:
        return use_case(ports, principal, command)
    return _perform_once(use_case, ports, principal, command, once, again)


async def _perform_once(
    use_case: Callable[[Ports, Principal, C], Awaitable[R]],
    ports: Ports,
    principal: Principal,
    command: C,
    once: IdempotencyKey,
    again: Callable[[Ports, Principal, UUID], Awaitable[R]],
) -> R:
    once = evolve(once, principal=once.principal or principal)
    first = await ports.reads.idempotent_result(principal, once, since=ports.clock.now() - IDEMPOTENCY_KEY_LIFETIME)
    if first is not None:
        return await again(ports, principal, first)
    try:
        return await use_case(evolve(ports, unit=partial(ports.unit, once=once)), principal, command)
    except AlreadyDone as done:
        return await again(ports, principal, done.result)
