"""
The unit of work that all stores share. It buffers writes, answers reads from the buffer first, and hands all changes to
the store at commit. A store provides an `EntityLoader` and a `flush`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

from mission_adapters.repositories import (
    BufferedAgentRepository,
    BufferedApiKeyRepository,
    BufferedBoardRepository,
    BufferedEntityRepository,
    BufferedOrganizationDeletion,
    BufferedRunRepository,
    BufferedTaskRepository,
)
from mission_adapters.write_buffer import WriteBuffer
from mission_core.accounts.model import ApiKey, ApiKeyNotFound, Principal, SystemPrincipal
from mission_core.agents.model import Agent, AgentNotFound
from mission_core.approvals.gates import ApprovalGates
from mission_core.boards.model import Board, BoardNotFound
from mission_core.errors import StaleWrite, StoreFailed
from mission_core.tasks.counters import boards_of_tasks
from mission_core.tasks.model import Task, TaskNotFound
from mission_core.tasks.ports import DependencyNode, TaskChange
from mission_core.tasks.runs import Run, RunNotFound

if TYPE_CHECKING:
    from uuid import UUID

    from mission_adapters.entity_loader import EntityLoader
    from mission_adapters.row_memory import RowMemory
    from mission_core.events.model import Event
    from mission_core.ids import OrganizationId
    from mission_core.kinds import EntityT, Kind
    from mission_core.ports import IdempotencyKey, RowPart, Versioned
    from mission_core.usage.price_overrides import PriceOverrides


class UnitStore(Protocol):
    """
    The parts of a store that a unit of work uses.
    """

    @property
    def loader(self) -> EntityLoader:
        """
        Loads committed rows.
        """

    @property
    def memory(self) -> RowMemory | None:
        """
        The rows that the store remembers, or None if it reads every row.
        """

    def price_overrides(self, organization: OrganizationId) -> PriceOverrides | None:
        """
        The price overrides that the store knows of, or None.
        """

    async def flush(self, buffer: WriteBuffer) -> Any:
        """
        Apply all changes of a unit or none, as `UnitOfWork.commit` promises.
        """


class BufferedUnitOfWork:
    """
    An atomic change on behalf of one principal.

    In the first try of a use case, `get` of boards, agents, tasks and runs may answer with rows that the store
    remembers. The commit of such a unit fails unless all of these rows are unchanged. If the unit ends in another way,
    with an error or without a commit, the rows are compared with the stored ones. If one has changed, the rows are
    forgotten and the use case is repeated with rows that are read.
    """

    __slots__ = (
        "_committed", "_done", "_gates", "_kept", "_plain", "agents", "boards", "buffer", "keys", "runs", "store",
        "tasks",
    )  # fmt: skip

    def __init__(self, store: UnitStore, principal: Principal, once: IdempotencyKey | None = None) -> None:
        self._begin(store, WriteBuffer(principal, once, memory=store.memory), principal)

    def _begin(self, store: UnitStore, buffer: WriteBuffer, principal: Principal) -> None:
        self.store, self.buffer = store, buffer
        self._kept = (buffer, store.loader, principal)
        self.boards = BufferedBoardRepository(*self._kept, Board, BoardNotFound)
        self.agents = BufferedAgentRepository(*self._kept, Agent, AgentNotFound)
        self.keys = BufferedApiKeyRepository(*self._kept, ApiKey, ApiKeyNotFound)
        self.tasks = BufferedTaskRepository(*self._kept, Task, TaskNotFound)
        self.runs = BufferedRunRepository(*self._kept, Run, RunNotFound)
        self._gates: ApprovalGates | None = None
        self._plain: dict[Kind[Any], BufferedEntityRepository[Any]] = {}
        self._done = self._committed = False

    @property
    def organization_deletion(self) -> BufferedOrganizationDeletion:
        return BufferedOrganizationDeletion(self.buffer)

    @property
    def gates(self) -> ApprovalGates:
        if self._gates is None:
            self._gates = ApprovalGates(self)
        return self._gates

    @property
    def without_grants(self) -> BufferedUnitOfWork:
        wide = object.__new__(type(self))
        wide._begin(self.store, self.buffer, SystemPrincipal(organization=self.buffer.principal.organization))
        wide._done = True  # only the original unit commits
        return wide

    @property
    def price_overrides(self) -> PriceOverrides | None:
        found = self.store.price_overrides(self.buffer.principal.organization)
        self.buffer.price_changes = 0 if found is None else found.changes
        return found

    def repository(self, kind: Kind[EntityT]) -> BufferedEntityRepository[EntityT]:
        if kind not in self._plain:
            self._plain[kind] = BufferedEntityRepository(*self._kept, kind.entity, kind.missing, kind_declaration=kind)
        return self._plain[kind]

    def record(self, *facts: Event) -> None:
        self.buffer.events.extend(facts)

    def rely_on(self, *rows: Versioned | RowPart, bump: bool = False) -> None:
        for each in rows:
            kind = Task if isinstance(each, DependencyNode) else type(each)
            self.buffer.add_read_dependency(kind, each, bump=bump)

    def result(self, id: UUID) -> None:
        self.buffer.result = id

    async def commit(self) -> Any:
        if self._done:
            raise RuntimeError("a unit commits once")
        self._done = True
        if self.buffer.events:
            self.buffer.boards_of_tasks = boards_of_tasks(self.buffer.loaded.values())
        if self.buffer.remembered:
            self.buffer.rely_on_remembered()
        answer = await self.store.flush(self.buffer)
        self._committed = True
        if self.buffer.memory is not None:
            self.buffer.remember_written()
            if isinstance(answer, TaskChange) and all(each is not answer for each in self.buffer.changes):
                self.buffer.changes.append(answer)
            self.buffer.remember_changes()
        return answer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._done = True
        self._gates = None  # they refer to the unit, which would have to wait for the garbage collector
        error, remembered, memory = exc[1], self.buffer.remembered, self.buffer.memory
        assumed = self.buffer.without_dependents if isinstance(error, StaleWrite) else []
        if not (remembered or assumed) or self._committed or memory is None:
            return
        if isinstance(error, StoreFailed) or (isinstance(error, BaseException) and not isinstance(error, Exception)):
            return
        if not isinstance(error, StaleWrite) and await memory.are_unchanged(remembered.values()):
            return
        memory.forget(*remembered.values())
        for each in assumed:
            memory.note_dependents(each, True)
        outdated = next(((type(row).__name__.lower(), row.id) for row in remembered.values()), None)
        name, id = outdated or ("task", assumed[0])
        raise StaleWrite(name, id, remembered=True)
