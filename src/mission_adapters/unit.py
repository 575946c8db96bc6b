"""
The unit of work that all stores share. It buffers writes, answers reads from the buffer first, and hands all changes to
the store at commit. A store provides a `Source` to load from and a `flush`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

from mission_adapters.remembered import Remembered
from mission_adapters.repositories import (
    KeptAgents,
    KeptBoards,
    KeptKeys,
    KeptOrganizations,
    KeptPlain,
    KeptRuns,
    KeptTasks,
)
from mission_core.accounts.model import ApiKey, ApiKeyNotFound, Principal, System
from mission_core.agents.model import Agent, AgentNotFound
from mission_core.approvals.gates import ApprovalGates
from mission_core.boards.model import Board, BoardNotFound
from mission_core.reports.pulse import places_of
from mission_core.tasks.model import Task, TaskNotFound
from mission_core.tasks.ports import Link
from mission_core.tasks.runs import Run, RunNotFound

if TYPE_CHECKING:
    from uuid import UUID

    from mission_adapters.source import Source
    from mission_core.events.model import Fact
    from mission_core.kinds import Kind, P
    from mission_core.ports import Once, Versioned


class Store(Protocol):
    """
    The parts of a store that a unit of work uses.
    """

    @property
    def source(self) -> Source:
        """
        Loads committed rows.
        """

    async def flush(self, remembered: Remembered) -> Any:
        """
        Apply all changes of a unit or none, as `UnitOfWork.commit` promises.
        """


class Unit:
    """
    An atomic change on behalf of one principal.
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
        wide._done = True  # only the original unit commits
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
