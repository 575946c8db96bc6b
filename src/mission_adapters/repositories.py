"""
The repositories of a unit of work, for any store. They load committed rows and buffer writes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from attrs import field

from mission_adapters.board_scope import boards_of_row, is_limited_by_grants
from mission_adapters.decision_operations import (
    ClaimNextOperation,
    ClaimOperation,
    DeleteBoardOperation,
    DeleteOrganizationOperation,
    ExpireLeasesOperation,
    FreeAssignedOperation,
    LeaseHeartbeatOperation,
)
from mission_adapters.write_buffer import RowWrite, WriteBuffer
from mission_core.accounts.model import ApiKey, Principal, SystemPrincipal, writable_boards
from mission_core.agents.model import Agent
from mission_core.boards.model import Board, require_grant
from mission_core.entity_changes import evolve
from mission_core.kinds import Entity, Kind
from mission_core.lazy_attrs import define, frozen
from mission_core.tasks.model import Task
from mission_core.tasks.runs import Run
from mission_core.values import name_key

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.entity_loader import EntityLoader
    from mission_core.accounts.organizations import Organization
    from mission_core.errors import NotFound
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
    from mission_core.ports import Versioned
    from mission_core.tasks.ports import (
        Candidate,
        CapacityCheck,
        ClaimFilter,
        Decide,
        DeletionCascade,
        DependencyNode,
        TaskChange,
    )
    from mission_core.tasks.runs import ImplicitHolder

E = TypeVar("E", bound=Entity)
logger = logging.getLogger("mission_adapters")


@define
class BufferedRepository(Generic[E]):
    """
    The base of all repositories: it buffers the writes that the principal may make, and answers from the buffer first.
    """

    buffer: WriteBuffer
    loader: EntityLoader
    principal: Principal
    kind: type[E]
    missing: type[NotFound]

    def _remember_loaded(self, row: E) -> E:
        self.buffer.loaded.setdefault(row.id, row)
        if self.buffer.memory is not None:
            self.buffer.memory.remember(row, agent_is_read=True)
        return row

    def _known(self, key: UUID | int | str) -> E | None:
        """
        The row as this unit wrote it, or as the store remembers it; None if it must be read.

        Raises:
            NotFound: If this unit removed it.
        """
        return self._buffered(key) or self.buffer.remembered_row(self.kind, self.principal, key)

    def _require_writable(self, *rows: Any) -> None:
        """
        Require that the principal may write these rows. Every write calls this with the row before and after the
        change.

        Raises:
            BoardReadOnly: If the principal may only read a board of one of the rows.
            BoardDenied: If it may not even read it.
        """
        if writable_boards(self.principal) is not None:
            for row in rows:
                if is_limited_by_grants(type(row)):
                    require_grant(self.principal, *boards_of_row(row, self.buffer))

    def _buffered(self, key: UUID | int | str) -> E | None:
        """
        The row as this unit wrote it, or None.

        Raises:
            NotFound: If this unit removed it.
        """
        for id, write in self.buffer.writes.items():
            shape = write.after or write.before
            names = (id, getattr(shape, "number", None), getattr(shape, "name_key", None))
            if isinstance(shape, self.kind) and key in names:
                if write.after is None:
                    raise self.missing
                return shape
        return None

    def add(self, row: E) -> E:
        """
        Buffer the insert of a new row.
        """
        self._require_writable(row)
        self.buffer.writes[row.id] = RowWrite(before=None, after=row)
        return row

    def save(self, row: E) -> E:
        """
        Buffer the change of a row, and return the row with its next version.
        """
        return self._save(row)

    def _save(self, row: E, *, merges_edits: bool = False) -> E:
        known = self.buffer.writes.get(row.id)
        before = known.before if known else self.buffer.loaded[row.id]
        if before is None:
            self._require_writable(row)
            self.buffer.writes[row.id] = RowWrite(before=None, after=row)
            return row
        self._require_writable(before, row)
        after: Any = row
        if isinstance(row, Board | Task):
            after = row.next_version(before)
        elif known is None or known.after.version != row.version:
            after = evolve(after, version=after.version + 1)
        self.buffer.writes[row.id] = RowWrite(before=before, after=after, merges_edits=merges_edits)
        saved: E = after
        return saved

    def _remove(self, row: E) -> None:
        known = self.buffer.writes.get(row.id)
        if known and known.before is None:  # it was never stored
            del self.buffer.writes[row.id]
            return
        before = self.buffer.loaded.get(row.id, row)
        self._require_writable(before)
        self.buffer.writes[row.id] = RowWrite(before=before, after=None)


class BufferedBoardRepository(BufferedRepository[Board]):
    """
    The board repository of a unit of work, which buffers writes until the commit.
    """

    async def get(self, board: BoardId | BoardNumber) -> Board:
        return self._known(board) or self._remember_loaded(await self.loader.board(self.principal, board))

    async def find_handle(self, handle: str) -> Board | None:
        found = await self.loader.board_by_handle(self.principal, handle)
        return self._remember_loaded(found) if found else None

    async def first_active(self) -> Board | None:
        found = await self.loader.first_active_board(self.principal)
        return self._remember_loaded(found) if found else None

    async def names_taken(self, *, handle: str, ticket_prefix: str) -> tuple[bool, bool]:
        return await self.loader.names_taken(self.principal, handle=handle, ticket_prefix=ticket_prefix)

    async def of_group(self, group: GroupId) -> list[Board]:
        return [self._remember_loaded(each) for each in await self.loader.boards_of(self.principal, group)]

    def delete_with_contents(
        self, board: Board, end: DeletionCascade, *, reassign_to: Board | None = None, at: datetime
    ) -> None:
        self._require_writable(board, *([reassign_to] if reassign_to else []))
        self.buffer.operations.append(DeleteBoardOperation(board=board, reassign_to=reassign_to, cascade=end, at=at))


@frozen
class BufferedOrganizationDeletion:
    """
    Deletes an organization when its unit of work commits.
    """

    buffer: WriteBuffer

    def delete(self, organization: Organization, *relied_on: Versioned, since: int | None = None) -> None:
        self.buffer.operations.append(
            DeleteOrganizationOperation(organization=organization, relied_on=relied_on, since=since)
        )


class BufferedAgentRepository(BufferedRepository[Agent]):
    """
    The agent repository of a unit of work, which buffers writes until the commit.
    """

    async def get(self, agent: AgentId | AgentNumber | str) -> Agent:
        key = name_key(agent) if isinstance(agent, str) else agent
        return self._known(key) or self._remember_loaded(await self.loader.agent(self.principal, key))

    async def get_unscoped(self, agent: AgentId) -> Agent:
        anybody = SystemPrincipal(organization=self.principal.organization)
        return self._buffered(agent) or self._remember_loaded(await self.loader.agent(anybody, agent))

    async def find(self, name: str) -> Agent | None:
        found = await self.loader.agent_by_name(self.principal, name_key(name))
        return self._remember_loaded(found) if found else None

    async def unknown_names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        known = await self.loader.names_known(self.principal, tuple(map(name_key, names)))
        return tuple(name for name in names if name_key(name) not in known)

    async def of_boards(self, boards: tuple[BoardId, ...]) -> list[Agent]:
        return [self._remember_loaded(each) for each in await self.loader.agents_of(self.principal, boards)]

    async def main(self) -> Agent | None:
        found = await self.loader.main_agent(self.principal)
        return self._remember_loaded(found) if found else None

    async def lead(self, board: BoardId) -> Agent | None:
        found = await self.loader.lead_of_board(self.principal, board)
        return self._remember_loaded(found) if found else None

    async def count_workers(self, board: BoardId) -> int:
        return await self.loader.worker_count(self.principal, board)

    def remove(self, agent: Agent) -> None:
        self._remove(agent)

    def save_presence(self, agent: Agent) -> None:
        self._require_writable(agent)
        self.buffer.presence[agent.id] = agent


class BufferedApiKeyRepository(BufferedRepository[ApiKey]):
    """
    The API key repository of a unit of work, which buffers writes until the commit.
    """

    async def get(self, key: ApiKeyId | ApiKeyNumber) -> ApiKey:
        return self._buffered(key) or self._remember_loaded(await self.loader.api_key(self.principal, key))

    async def list_of(self, agent: AgentId) -> list[ApiKey]:
        return [self._remember_loaded(key) for key in await self.loader.api_keys_of(self.principal, agent)]

    def record_use(self, key: ApiKeyId, *, at: datetime) -> None:
        self.buffer.used_keys[key] = at


class BufferedTaskRepository(BufferedRepository[Task]):
    """
    The task repository of a unit of work, which buffers writes until the commit.
    """

    async def get(self, task: TaskId | TaskNumber) -> Task:
        return self._known(task) or self._remember_loaded(await self.loader.task(self.principal, task))

    async def dependency_closure(self, tasks: tuple[TaskId, ...]) -> list[DependencyNode]:
        return await self.loader.dependency_closure(self.principal, tasks)

    async def get_many(self, tasks: tuple[TaskNumber, ...]) -> list[Task]:
        return [self._remember_loaded(each) for each in await self.loader.tasks_numbered(self.principal, tasks)]

    async def dependents(self, task: TaskId, *, assume_none: bool = False) -> list[Task]:
        if assume_none and self.buffer.may_assume_no_dependents(task):
            return []
        found = await self.loader.dependents(self.principal, task)
        if self.buffer.memory is not None:
            self.buffer.memory.note_dependents(task, bool(found))
        writes = self.buffer.writes
        return [writes[each.id].after if each.id in writes else self._remember_loaded(each) for each in found]

    def save(self, row: Task, *, onto_edits: bool = False) -> Task:
        # What a unit returns must not show an outdated row, so a remembered one is read instead of being merged.
        return self._save(row, merges_edits=onto_edits and row.id not in self.buffer.remembered)

    def remove(self, task: Task) -> None:
        self._remove(task)

    def claim_next(
        self, wanted: ClaimFilter, decide: Decide, *, at: datetime, agrees: CapacityCheck | None = None
    ) -> None:
        self.buffer.operations.append(ClaimNextOperation(wanted=wanted, decide=decide, at=at, capacity_check=agrees))

    def claim(self, task: TaskId | TaskNumber, decide: Decide) -> None:
        self.buffer.operations.append(ClaimOperation(task=task, decide=decide))

    def expire_due(self, decide: Decide, *, at: datetime, limit: int = 16) -> None:
        self.buffer.operations.append(ExpireLeasesOperation(decide=with_failures_logged(decide), at=at, limit=limit))

    def free_assigned(self, agent: Agent, decide: Decide, *, limit: int, last: bool = False) -> None:
        self._require_writable(agent)
        self.buffer.operations.append(FreeAssignedOperation(agent=agent, decide=decide, limit=limit, last=last))


def with_failures_logged(decide: Decide) -> Decide:
    """
    A decision function that logs exceptions and returns None for them, so that one failing task does not stop the
    others.
    """

    def spared(candidate: Candidate) -> TaskChange | None:
        try:
            return decide(candidate)
        except Exception:
            logger.exception("expiry_failed organization=%s task=%s", candidate.task.organization, candidate.task.id)
            return None

    return spared


class BufferedRunRepository(BufferedRepository[Run]):
    """
    The run repository of a unit of work, which buffers writes until the commit.
    """

    async def get(self, run: RunId) -> Run:
        return self._known(run) or self._remember_loaded(await self.loader.run(self.principal, run))

    async def last_of(self, task: TaskId, holder: ImplicitHolder) -> Run | None:
        found = await self.loader.last_run(self.principal, task, holder)
        return self._remember_loaded(found) if found else None

    def heartbeat(self, run: RunId, decide: Decide) -> None:
        self.buffer.operations.append(LeaseHeartbeatOperation(run=run, decide=decide))


@define
class BufferedEntityRepository(BufferedRepository[E]):
    """
    The repository of one kind of entities in a unit of work, which buffers writes until the commit.
    """

    kind_declaration: Kind[E] = field(kw_only=True)

    async def get(self, key: UUID | int) -> E:
        return self._buffered(key) or self._remember_loaded(
            await self.loader.entity(self.principal, self.kind_declaration, key)
        )

    async def numbered(self, numbers: Collection[int]) -> list[E]:
        found = await self.loader.entities_numbered(self.principal, self.kind_declaration, numbers)
        return [self._remember_loaded(row) for row in found]

    async def find(self, *, newest: bool = False, **equal: Any) -> E | None:
        found = await self.loader.find_entity(self.principal, self.kind_declaration, equal, newest=newest)
        return self._remember_loaded(found) if found else None

    async def every(self, **equal: Any) -> list[E]:
        found = await self.loader.entities(self.principal, self.kind_declaration, equal)
        return [self._remember_loaded(row) for row in found]

    def remove(self, row: E) -> None:
        self._remove(row)
