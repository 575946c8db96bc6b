"""
What the core asks for: the bundle of ports, the unit of work, and the ports that every area shares.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar
from uuid import UUID

from attrs import define, evolve, frozen

from mission_core.errors import Conflict

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.accounts.model import Principal
    from mission_core.accounts.organizations import Organization, Organizations
    from mission_core.accounts.ports import (
        ApiKeys,
        CodeExchange,
        Credentials,
        Directory,
        Passwords,
        Secrets,
        TokenVerifier,
        Vault,
    )
    from mission_core.accounts.queries import MemberReads
    from mission_core.accounts.users import Provider
    from mission_core.agents.ports import Agents
    from mission_core.agents.queries import AgentReads
    from mission_core.approvals.queries import ApprovalReads
    from mission_core.boards.ports import Boards
    from mission_core.boards.queries import BoardReads
    from mission_core.events.model import Fact
    from mission_core.events.ports import Log
    from mission_core.kinds import Kind, P, RowReads, Rows
    from mission_core.reports.conduct import ConductReads
    from mission_core.reports.queries import ReportReads
    from mission_core.tasks.overviews import Overviews
    from mission_core.tasks.ports import Gates, Runs, Tasks
    from mission_core.tasks.queries import TaskReads
    from mission_core.use_case import Backoff

C = TypeVar("C")
R = TypeVar("R")
REMEMBERED: Final = timedelta(hours=24)
"""How long an idempotency key is kept."""


class Clock(Protocol):
    """
    Tells the moment.
    """

    def now(self) -> datetime:
        """
        The present moment, aware, in UTC.
        """


class IdFactory(Protocol):
    """
    Makes ids.
    """

    def new(self) -> UUID:
        """
        A UUID of version 7 that was never given out.
        """


class Numbers(Protocol):
    """
    Draws the short numbers that people point at.
    """

    async def draw(self, *scopes: tuple[UUID, str]) -> tuple[int, ...]:
        """
        The next number of each scope (an organization and a kind, or a board and `ticket`), in one step: growing,
        never given out again, with gaps only after failures. The draw alone need not be durable.
        """

    async def reach(self, *scopes: tuple[UUID, str, int]) -> None:
        """
        From now on give out only numbers beyond these: each scope's, with the last number that was brought along.
        """


class Versioned(Protocol):
    """
    A row that can be relied on: the entity's class names its kind, the id and version its state.
    """

    @property
    def id(self) -> UUID:
        """
        Which row.
        """

    @property
    def version(self) -> int:
        """
        The version that was read.
        """


@frozen(kw_only=True)
class Once:
    """
    An idempotency key: whose, for which operation, with which body. The same key with another body is refused.

    Args:
        whose: Who came with it, where the work is done as somebody else; the unit's principal otherwise.
    """

    key: str
    operation: str
    body_digest: bytes
    whose: Principal | None = None


@define
class AlreadyDone(Conflict):
    """
    An idempotency key was used before, and this was its result. `perform` answers with it.
    """

    result: UUID

    def __str__(self) -> str:
        return "this idempotency key was used before"


class UnitOfWork(Protocol):
    """
    One all-or-nothing change on behalf of one principal, over repositories that are scoped to it.

    Reads see the last committed state. Writes are remembered, and `commit` flushes them as one transaction. After a
    write only `get` is allowed; it answers from the unit's own writes first. Leaving without `commit` undoes all.

    What belongs to a board is written only for a principal that may write on it, on the board where it was as on that
    where it shall be: each `add`, `save` and `remove`, and whatever else changes a row, may raise `BoardReadOnly` or
    `BoardDenied`.
    """

    @property
    def organizations(self) -> Organizations:
        """
        The end of the organization.
        """

    @property
    def boards(self) -> Boards:
        """
        The organization's boards.
        """

    @property
    def agents(self) -> Agents:
        """
        The organization's agents.
        """

    @property
    def keys(self) -> ApiKeys:
        """
        The organization's API keys.
        """

    @property
    def tasks(self) -> Tasks:
        """
        The organization's tasks.
        """

    @property
    def runs(self) -> Runs:
        """
        The organization's runs.
        """

    @property
    def gates(self) -> Gates:
        """
        What stands between work and done.
        """

    def rows(self, kind: Kind[P]) -> Rows[P]:
        """
        The organization's plain rows of this kind.
        """

    @property
    def everywhere(self) -> UnitOfWork:
        """
        The same unit over repositories that no grants confine: for what follows of itself from a change that the
        principal may make, on whatever board that is. It is not committed by itself.
        """

    def record(self, *facts: Fact) -> None:
        """
        Remember facts for the log; they get the principal as their actor.
        """

    def rely_on(self, *entities: Versioned, bump: bool = False) -> None:
        """
        The decision rests on these rows without saving them: the flush checks that their versions still stand, and
        with *bump* raises them, so that two such decisions exclude each other.
        """

    def result(self, id: UUID) -> None:
        """
        Say which entity is the result, for the idempotency key the unit was opened with.
        """

    async def commit(self) -> Any:
        """
        Flush all that was remembered as one durable transaction. Readers of the log are woken afterwards.

        Returns:
            What the last named operation changed, if there was one.

        Raises:
            StaleWrite: If a row that was saved, removed or relied on has another version by now.
            Conflict: A uniqueness refusal of an area.
            StoreFailed: If the store itself gave up and undid everything.
            StoreBusy: If other changes were in the way for too long.
            OutcomeUnknown: If it failed when nobody can tell whether it was kept.
        """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...


class OpenUnit(Protocol):
    """
    Opens units of work.
    """

    def __call__(self, principal: Principal, *, once: Once | None = None) -> UnitOfWork:
        """
        A unit for this principal. With *once*, its commit also keeps the key with the unit's result.

        Raises (from the unit's `commit`):
            AlreadyDone: If the key was used before; the refusal carries the first result.
        """


class Reads(Protocol):
    """
    The read models, scoped by principal like everything else.
    """

    @property
    def tasks(self) -> TaskReads:
        """
        Tasks and runs.
        """

    @property
    def agents(self) -> AgentReads:
        """
        Agents and keys.
        """

    @property
    def boards(self) -> BoardReads:
        """
        Boards.
        """

    @property
    def overviews(self) -> Overviews:
        """
        Whole boards, and the foremost tasks of several.
        """

    @property
    def members(self) -> MemberReads:
        """
        The people of the organization.
        """

    @property
    def rows(self) -> RowReads:
        """
        Plain rows of every kind.
        """

    @property
    def reports(self) -> ReportReads:
        """
        What reports are made of.
        """

    @property
    def conduct(self) -> ConductReads:
        """
        What agents did.
        """

    @property
    def approvals(self) -> ApprovalReads:
        """
        What plain rows do not tell of approvals.
        """

    async def organization(self, principal: Principal) -> Organization:
        """
        The principal's own organization.
        """

    async def once(self, principal: Principal, once: Once, *, since: datetime) -> UUID | None:
        """
        The result that this key of the principal was kept with after *since*, if it was used.

        Raises:
            KeyReused: If it was used for another body.
        """

    async def ready(self) -> None:
        """
        Return if the store answers and takes changes; it takes seconds at most.

        Raises:
            StoreFailed: If it does not.
        """


@frozen(kw_only=True)
class Ports:
    """
    All that a use case may ask for. Passed first and by hand.
    """

    unit: OpenUnit
    reads: Reads
    log: Log
    credentials: Credentials
    numbers: Numbers
    clock: Clock
    ids: IdFactory
    secrets: Secrets
    passwords: Passwords
    vault: Vault
    verifiers: Mapping[Provider, TokenVerifier] = {}
    """Whose word about people counts besides this server's own, by the provider."""
    codes: CodeExchange | None = None
    directories: Mapping[Provider, Directory] = {}
    """Who keeps the people it vouches for in a place that can be asked about them."""
    backoff: Backoff | None = None
    """The wait between two tries of a use case; none by default."""


async def perform(
    use_case: Callable[[Ports, Principal, C], Awaitable[R]],
    ports: Ports,
    principal: Principal,
    command: C,
    *,
    once: Once | None,
    again: Callable[[Ports, Principal, UUID], Awaitable[R]],
) -> R:
    """
    Run a use case under an idempotency key, if there is one: its work is done a single time, and a repeat, or the loser
    of a race, gets what *again* makes of the first result.

    Raises:
        KeyReused: If the key was used for another body.
    """
    if once is None:
        return await use_case(ports, principal, command)
    once = evolve(once, whose=once.whose or principal)
    first = await ports.reads.once(principal, once, since=ports.clock.now() - REMEMBERED)
    if first is not None:
        return await again(ports, principal, first)
    try:
        return await use_case(evolve(ports, unit=partial(ports.unit, once=once)), principal, command)
    except AlreadyDone as done:
        return await again(ports, principal, done.result)
