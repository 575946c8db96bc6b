"""
The unit of work that every store shares: it remembers writes, answers from them first, and hands them to the store
in one piece. A store lends it a `Source` to load from and a way to flush.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, cast
from uuid import UUID

from attrs import define, evolve, field, frozen

from mission_adapters.belonging import boards_in, is_confined
from mission_adapters.kinds import KINDS
from mission_core.accounts.model import ApiKey, ApiKeyNotFound, Principal, System, boards_written
from mission_core.accounts.organizations import Organization
from mission_core.agents.model import Agent, AgentNotFound
from mission_core.approvals.gates import ApprovalGates
from mission_core.boards.model import Board, BoardNotFound, require_grant
from mission_core.kinds import Kind, P, Plain
from mission_core.reports.pulse import places_of
from mission_core.tasks.model import Task, TaskNotFound
from mission_core.tasks.ports import Agrees, Decide, Ending, Link, Wanted
from mission_core.tasks.runs import Pair, Run, RunNotFound
from mission_core.values import name_key

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.errors import NotFound
    from mission_core.events.model import Fact
    from mission_core.ids import (
        AgentId,
        AgentNumber,
        ApiKeyId,
        ApiKeyNumber,
        BoardId,
        BoardNumber,
        GroupId,
        RunId,
        TaskId,
        TaskNumber,
    )
    from mission_core.ports import Once, Versioned

E = TypeVar("E", bound=Plain)


class Source(Protocol):
    """
    Loads what is committed, scoped to a principal; what may not be seen is refused as the repositories promise.
    """

    async def board(self, principal: Principal, board: BoardId | BoardNumber) -> Board: ...
    async def board_by_handle(self, principal: Principal, handle: str) -> Board | None: ...
    async def first_active_board(self, principal: Principal) -> Board | None: ...
    async def names_taken(self, principal: Principal, *, handle: str, ticket_prefix: str) -> tuple[bool, bool]: ...
    async def boards_of(self, principal: Principal, group: GroupId) -> list[Board]: ...
    async def agent(self, principal: Principal, agent: AgentId | AgentNumber) -> Agent: ...
    async def agent_by_name(self, principal: Principal, name_key: str) -> Agent | None: ...
    async def names_known(self, principal: Principal, name_keys: tuple[str, ...]) -> set[str]: ...
    async def agents_of(self, principal: Principal, boards: tuple[BoardId, ...]) -> list[Agent]: ...
    async def main_agent(self, principal: Principal) -> Agent | None: ...
    async def lead_of(self, principal: Principal, board: BoardId) -> Agent | None: ...
    async def workers_of(self, principal: Principal, board: BoardId) -> int: ...
    async def key(self, principal: Principal, key: ApiKeyId | ApiKeyNumber) -> ApiKey: ...
    async def keys_of(self, principal: Principal, agent: AgentId) -> list[ApiKey]: ...
    async def task(self, principal: Principal, task: TaskId | TaskNumber) -> Task: ...
    async def tasks_numbered(self, principal: Principal, tasks: tuple[TaskNumber, ...]) -> list[Task]: ...
    async def upstream(self, principal: Principal, tasks: tuple[TaskId, ...]) -> list[Link]: ...
    async def dependents(self, principal: Principal, task: TaskId) -> list[Task]: ...
    async def run(self, principal: Principal, run: RunId) -> Run: ...
    async def last_run(self, principal: Principal, task: TaskId, holder: Pair) -> Run | None: ...
    async def row(self, principal: Principal, kind: Kind[P], key: UUID | int) -> P: ...
    async def row_of(
        self, principal: Principal, kind: Kind[P], equal: Mapping[str, Any], *, newest: bool
    ) -> P | None: ...
    async def rows(self, principal: Principal, kind: Kind[P], equal: Mapping[str, Any]) -> list[P]: ...


@frozen(kw_only=True)
class Write:
    """
    What a unit made of one row: *before* as it was loaded (None for a new one), *after* as it shall be (None for a
    removed one).
    """

    before: Any
    after: Any


@frozen
class Reliance:
    """
    A row whose version must still stand, and is raised with *bump*.
    """

    kind: type
    id: UUID
    version: int
    bump: bool


@frozen(kw_only=True)
class ClaimNextOf:
    """
    Offer the queue to a decision.
    """

    wanted: Wanted
    decide: Decide
    at: datetime
    agrees: Agrees | None = None


@frozen(kw_only=True)
class ClaimOf:
    """
    Offer one task to a decision.
    """

    task: TaskId | TaskNumber
    decide: Decide


@frozen(kw_only=True)
class ExpireDueOf:
    """
    Offer tasks whose lease ran out to a decision.
    """

    decide: Decide
    at: datetime
    limit: int


@frozen(kw_only=True)
class HeartbeatOf:
    """
    Offer a run and its task to a decision.
    """

    run: RunId
    decide: Decide


@frozen(kw_only=True)
class TakeBackOf:
    """
    Offer what an agent has in hand to a decision.
    """

    agent: Agent
    decide: Decide
    limit: int
    last: bool


@frozen(kw_only=True)
class DissolveOf:
    """
    Remove a board with all that hangs on it, or hand that over to its heir.
    """

    board: Board
    heir: Board | None
    end: Ending
    at: datetime


@frozen(kw_only=True)
class EndOf:
    """
    Remove an organization with every row that is its own, names it or hangs on one that does.
    """

    organization: Organization
    relied_on: tuple[Versioned, ...] = ()
    since: int | None = None


Operation = ClaimNextOf | ClaimOf | ExpireDueOf | HeartbeatOf | TakeBackOf | DissolveOf | EndOf


@define
class Remembered:
    """
    All that one unit wants to change, folded to one write per row, for its principal.
    """

    principal: Principal
    once: Once | None = None
    writes: dict[UUID, Write] = field(factory=dict)
    reliances: dict[UUID, Reliance] = field(factory=dict)
    presence: dict[UUID, Agent] = field(factory=dict)
    used: dict[UUID, datetime] = field(factory=dict)
    facts: list[Fact] = field(factory=list)
    places: dict[UUID, UUID] = field(factory=dict)
    """The boards of the tasks that were looked at."""
    operations: list[Operation] = field(factory=list)
    result: UUID | None = None
    loaded: dict[UUID, Any] = field(factory=dict)
    """The rows that were loaded, each as it was first."""

    def row(self, entity: type, id: UUID) -> Any | None:
        """
        The row of this id as the unit wrote it, or as it was loaded or removed; if it was any of that.
        """
        write = self.writes.get(id)
        return (write.after or write.before) if write else self.loaded.get(id)

    def boards(self) -> Iterable[Board]:
        """
        The boards that were loaded.
        """
        return [row for row in self.loaded.values() if isinstance(row, Board)]

    def relies(self, kind: type, row: Versioned, *, bump: bool) -> None:
        """
        Remember that a decision rests on *row*. A row that is relied on twice keeps the first version it had, and one
        that the unit has written is relied on already.
        """
        if row.id in self.writes:
            return
        known = self.reliances.get(row.id)
        version = known.version if known else row.version
        self.reliances[row.id] = Reliance(kind, row.id, version, bump or (known.bump if known else False))


class Store(Protocol):
    """
    What a unit needs of its store.
    """

    @property
    def source(self) -> Source:
        """
        What is committed.
        """

    async def flush(self, remembered: Remembered) -> Any:
        """
        Make all of it so, or nothing; as `UnitOfWork.commit` promises.
        """


@define
class Kept(Generic[E]):
    """
    What every repository does with its kind of row: remember writes that its principal may make, and answer from them
    first.
    """

    remembered: Remembered
    source: Source
    principal: Principal
    kind: type[E]
    missing: type[NotFound]

    def _seen(self, row: E) -> E:
        self.remembered.loaded.setdefault(row.id, row)
        return row

    def _may_write(self, *rows: Any) -> None:
        """
        Every write comes by here, with the row as it was and as it shall be.

        Raises:
            BoardReadOnly: If the principal may only see what one of the rows belongs to.
            BoardDenied: If it may not even see it.
        """
        if boards_written(self.principal) is not None:
            for row in rows:
                if is_confined(type(row)):
                    require_grant(self.principal, *boards_in(row, self.remembered))

    def _written(self, key: UUID | int) -> E | None:
        """
        The row as this unit wrote it, if it did.

        Raises:
            NotFound: If this unit removed it.
        """
        for id, write in self.remembered.writes.items():
            shape = write.after or write.before
            if isinstance(shape, self.kind) and (id == key or getattr(shape, "number", None) == key):
                if write.after is None:
                    raise self.missing
                return shape
        return None

    def add(self, row: E) -> E:
        """
        Remember a new row.
        """
        self._may_write(row)
        self.remembered.writes[row.id] = Write(before=None, after=row)
        return row

    def save(self, row: E) -> E:
        """
        Remember the change; the answer carries the row's next version.
        """
        known = self.remembered.writes.get(row.id)
        before = known.before if known else self.remembered.loaded[row.id]
        self._may_write(*(each for each in (before, row) if each is not None))
        if known and known.before is None:
            self.remembered.writes[row.id] = Write(before=None, after=row)
            return row
        again = known is not None and known.after.version == row.version
        after = row if again else cast("E", evolve(cast(Any, row), version=row.version + 1))
        self.remembered.writes[row.id] = Write(before=before, after=after)
        return after

    def _remove(self, row: E) -> None:
        known = self.remembered.writes.get(row.id)
        if known and known.before is None:  # it was never there
            del self.remembered.writes[row.id]
            return
        before = self.remembered.loaded.get(row.id, row)
        self._may_write(before)
        self.remembered.writes[row.id] = Write(before=before, after=None)


class KeptBoards(Kept[Board]):
    """
    The boards of a unit.
    """

    async def get(self, board: BoardId | BoardNumber) -> Board:
        return self._written(board) or self._seen(await self.source.board(self.principal, board))

    async def find_handle(self, handle: str) -> Board | None:
        found = await self.source.board_by_handle(self.principal, handle)
        return self._seen(found) if found else None

    async def first_active(self) -> Board | None:
        found = await self.source.first_active_board(self.principal)
        return self._seen(found) if found else None

    async def taken(self, *, handle: str, ticket_prefix: str) -> tuple[bool, bool]:
        return await self.source.names_taken(
            self.principal, handle=handle, ticket_prefix=ticket_prefix
        )

    async def of_group(self, group: GroupId) -> list[Board]:
        return [self._seen(each) for each in await self.source.boards_of(self.principal, group)]

    def dissolve(self, board: Board, end: Ending, *, heir: Board | None = None, at: datetime) -> None:
        self._may_write(board, *([heir] if heir else []))
        self.remembered.operations.append(DissolveOf(board=board, heir=heir, end=end, at=at))


@frozen
class KeptOrganizations:
    """
    The end of organizations, in a unit.
    """

    remembered: Remembered

    def dissolve(self, organization: Organization, *relied_on: Versioned, since: int | None = None) -> None:
        self.remembered.operations.append(EndOf(organization=organization, relied_on=relied_on, since=since))


class KeptAgents(Kept[Agent]):
    """
    The agents of a unit.
    """

    async def get(self, agent: AgentId | AgentNumber) -> Agent:
        return self._written(agent) or self._seen(await self.source.agent(self.principal, agent))

    async def anywhere(self, agent: AgentId) -> Agent:
        anybody = System(organization=self.principal.organization)
        return self._written(agent) or self._seen(await self.source.agent(anybody, agent))

    async def find(self, name: str) -> Agent | None:
        found = await self.source.agent_by_name(self.principal, name_key(name))
        return self._seen(found) if found else None

    async def unknown(self, names: tuple[str, ...]) -> tuple[str, ...]:
        known = await self.source.names_known(self.principal, tuple(map(name_key, names)))
        return tuple(name for name in names if name_key(name) not in known)

    async def of_boards(self, boards: tuple[BoardId, ...]) -> list[Agent]:
        return [self._seen(each) for each in await self.source.agents_of(self.principal, boards)]

    async def main(self) -> Agent | None:
        found = await self.source.main_agent(self.principal)
        return self._seen(found) if found else None

    async def lead(self, board: BoardId) -> Agent | None:
        found = await self.source.lead_of(self.principal, board)
        return self._seen(found) if found else None

    async def count_workers(self, board: BoardId) -> int:
        return await self.source.workers_of(self.principal, board)

    def remove(self, agent: Agent) -> None:
        self._remove(agent)

    def seen(self, agent: Agent) -> None:
        self._may_write(agent)
        self.remembered.presence[agent.id] = agent


class KeptKeys(Kept[ApiKey]):
    """
    The API keys of a unit.
    """

    async def get(self, key: ApiKeyId | ApiKeyNumber) -> ApiKey:
        return self._written(key) or self._seen(await self.source.key(self.principal, key))

    async def list_of(self, agent: AgentId) -> list[ApiKey]:
        return [self._seen(key) for key in await self.source.keys_of(self.principal, agent)]

    def used(self, key: ApiKeyId, *, at: datetime) -> None:
        self.remembered.used[key] = at


class KeptTasks(Kept[Task]):
    """
    The tasks of a unit.
    """

    async def get(self, task: TaskId | TaskNumber) -> Task:
        return self._written(task) or self._seen(await self.source.task(self.principal, task))

    async def upstream(self, tasks: tuple[TaskId, ...]) -> list[Link]:
        return await self.source.upstream(self.principal, tasks)

    async def several(self, tasks: tuple[TaskNumber, ...]) -> list[Task]:
        return [self._seen(each) for each in await self.source.tasks_numbered(self.principal, tasks)]

    async def dependents(self, task: TaskId) -> list[Task]:
        found = await self.source.dependents(self.principal, task)
        writes = self.remembered.writes
        return [writes[each.id].after if each.id in writes else self._seen(each) for each in found]

    def remove(self, task: Task) -> None:
        self._remove(task)

    def claim_next(self, wanted: Wanted, decide: Decide, *, at: datetime, agrees: Agrees | None = None) -> None:
        self.remembered.operations.append(ClaimNextOf(wanted=wanted, decide=decide, at=at, agrees=agrees))

    def claim(self, task: TaskId | TaskNumber, decide: Decide) -> None:
        self.remembered.operations.append(ClaimOf(task=task, decide=decide))

    def expire_due(self, decide: Decide, *, at: datetime, limit: int = 16) -> None:
        self.remembered.operations.append(ExpireDueOf(decide=decide, at=at, limit=limit))

    def take_back(self, agent: Agent, decide: Decide, *, limit: int, last: bool = False) -> None:
        self._may_write(agent)
        self.remembered.operations.append(TakeBackOf(agent=agent, decide=decide, limit=limit, last=last))


class KeptRuns(Kept[Run]):
    """
    The runs of a unit.
    """

    async def get(self, run: RunId) -> Run:
        return self._written(run) or self._seen(await self.source.run(self.principal, run))

    async def last_of(self, task: TaskId, holder: Pair) -> Run | None:
        found = await self.source.last_run(self.principal, task, holder)
        return self._seen(found) if found else None

    def heartbeat(self, run: RunId, decide: Decide) -> None:
        self.remembered.operations.append(HeartbeatOf(run=run, decide=decide))


@define
class KeptPlain(Kept[E]):
    """
    The plain rows of one kind of a unit.
    """

    plain: Kind[E] = field(kw_only=True)

    async def get(self, key: UUID | int) -> E:
        return self._written(key) or self._seen(await self.source.row(self.principal, self.plain, key))

    async def find(self, *, newest: bool = False, **equal: Any) -> E | None:
        found = await self.source.row_of(self.principal, self.plain, equal, newest=newest)
        return self._seen(found) if found else None

    async def every(self, **equal: Any) -> list[E]:
        found = await self.source.rows(self.principal, self.plain, equal)
        return [self._seen(row) for row in found]

    def remove(self, row: E) -> None:
        self._remove(row)


class Unit:
    """
    One all-or-nothing change on behalf of one principal.
    """

    __slots__ = (
        "_done", "_kept", "_plain", "agents", "boards", "gates", "keys", "organizations", "remembered", "runs", "store",
        "tasks",
    )  # fmt: skip

    def __init__(self, store: Store, principal: Principal, once: Once | None = None) -> None:
        self._begin(store, Remembered(principal, once), principal)

    def _begin(self, store: Store, remembered: Remembered, principal: Principal) -> None:
        self.store, self.remembered = store, remembered
        self._kept = (remembered, store.source, principal)
        self.organizations = KeptOrganizations(remembered)
        self.boards = KeptBoards(*self._kept, Board, BoardNotFound)
        self.agents = KeptAgents(*self._kept, Agent, AgentNotFound)
        self.keys = KeptKeys(*self._kept, ApiKey, ApiKeyNotFound)
        self.tasks = KeptTasks(*self._kept, Task, TaskNotFound)
        self.runs = KeptRuns(*self._kept, Run, RunNotFound)
        self.gates = ApprovalGates(self)
        self._plain: dict[Kind[Any], KeptPlain[Any]] = {}
        self._done = False

    @property
    def everywhere(self) -> Unit:
        wide = object.__new__(type(self))
        wide._begin(self.store, self.remembered, System(organization=self.remembered.principal.organization))
        wide._done = True  # it is the unit itself that commits
        return wide

    def rows(self, kind: Kind[P]) -> KeptPlain[P]:
        if kind not in self._plain:
            self._plain[kind] = KeptPlain(*self._kept, kind.entity, kind.missing, plain=kind)
        return self._plain[kind]

    def record(self, *facts: Fact) -> None:
        self.remembered.facts.extend(facts)

    def rely_on(self, *entities: Versioned, bump: bool = False) -> None:
        for each in entities:
            kind = Task if isinstance(each, Link) else type(each)
            self.remembered.relies(kind, each, bump=bump)

    def result(self, id: UUID) -> None:
        self.remembered.result = id

    async def commit(self) -> Any:
        if self._done:
            raise RuntimeError("a unit commits once")
        self._done = True
        if self.remembered.facts:
            self.remembered.places = places_of(self.remembered.loaded.values())
        return await self.store.flush(self.remembered)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._done = True


LOCK_ORDER: Sequence[type] = (Board, Agent, ApiKey, Task, Run, *(kind.entity for kind in KINDS))
"""The order in which every flush locks rows: by table in this order, then by id."""


def going_with(*entities: type) -> tuple[Kind[Any], ...]:
    """
    The kinds of plain rows that go with these entities, or with rows that do; each before those it goes with.
    """
    going: list[Kind[Any]] = []
    for entity in entities:
        for kind in KINDS:
            if entity in kind.goes_with.values() and entity is not kind.entity:
                going += [each for each in (*going_with(kind.entity), kind) if each not in going]
    return tuple(going)


def forgetting(*entities: type) -> tuple[tuple[Kind[Any], str, type], ...]:
    """
    The kinds of plain rows that forget one of these entities, each with the field that names it.
    """
    return tuple(
        (kind, name, entity) for kind in KINDS for name, entity in kind.forgets.items() if entity in entities
    )
