"""
The repositories of a unit of work, for any store. They load committed rows and buffer writes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from attrs import define, field, frozen

from mission_adapters.belonging import boards_in, is_confined
from mission_adapters.operations import ClaimNextOf, ClaimOf, DissolveOf, EndOf, ExpireDueOf, HeartbeatOf, TakeBackOf
from mission_adapters.remembered import Remembered, Write
from mission_core.accounts.model import ApiKey, Principal, System, boards_written
from mission_core.agents.model import Agent
from mission_core.boards.model import Board, require_grant
from mission_core.changes import evolve
from mission_core.kinds import Kind, Plain
from mission_core.tasks.model import Task
from mission_core.tasks.runs import Run
from mission_core.values import name_key

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.source import Source
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
    from mission_core.tasks.ports import Agrees, Candidate, Change, Decide, Ending, Link, Wanted
    from mission_core.tasks.runs import Pair

E = TypeVar("E", bound=Plain)
logger = logging.getLogger("mission_adapters")


@define
class Kept(Generic[E]):
    """
    The base of all repositories: it buffers the writes that the principal may make, and answers from the buffer first.
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
        Require that the principal may write these rows. Every write calls this with the row before and after the
        change.

        Raises:
            BoardReadOnly: If the principal may only read a board of one of the rows.
            BoardDenied: If it may not even read it.
        """
        if boards_written(self.principal) is not None:
            for row in rows:
                if is_confined(type(row)):
                    require_grant(self.principal, *boards_in(row, self.remembered))

    def _written(self, key: UUID | int) -> E | None:
        """
        The row as this unit wrote it, or None.

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
        Buffer the insert of a new row.
        """
        self._may_write(row)
        self.remembered.writes[row.id] = Write(before=None, after=row)
        return row

    def save(self, row: E) -> E:
        """
        Buffer the change of a row, and return the row with its next version.
        """
        known = self.remembered.writes.get(row.id)
        before = known.before if known else self.remembered.loaded[row.id]
        self._may_write(*(each for each in (before, row) if each is not None))
        if known and known.before is None:
            self.remembered.writes[row.id] = Write(before=None, after=row)
            return row
        again = known is not None and known.after.version == row.version
        if isinstance(row, Board | Task):
            after = cast("E", row.next_version(before))
        else:
            after = row if again else cast("E", evolve(cast(Any, row), version=row.version + 1))
        self.remembered.writes[row.id] = Write(before=before, after=after)
        return after

    def _remove(self, row: E) -> None:
        known = self.remembered.writes.get(row.id)
        if known and known.before is None:  # it was never stored
            del self.remembered.writes[row.id]
            return
        before = self.remembered.loaded.get(row.id, row)
        self._may_write(before)
        self.remembered.writes[row.id] = Write(before=before, after=None)


class KeptBoards(Kept[Board]):
    """
    The board repository of a unit.
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
        return await self.source.names_taken(self.principal, handle=handle, ticket_prefix=ticket_prefix)

    async def of_group(self, group: GroupId) -> list[Board]:
        return [self._seen(each) for each in await self.source.boards_of(self.principal, group)]

    def dissolve(self, board: Board, end: Ending, *, heir: Board | None = None, at: datetime) -> None:
        self._may_write(board, *([heir] if heir else []))
        self.remembered.operations.append(DissolveOf(board=board, heir=heir, end=end, at=at))


@frozen
class KeptOrganizations:
    """
    The deletion of organizations in a unit.
    """

    remembered: Remembered

    def dissolve(self, organization: Organization, *relied_on: Versioned, since: int | None = None) -> None:
        self.remembered.operations.append(EndOf(organization=organization, relied_on=relied_on, since=since))


class KeptAgents(Kept[Agent]):
    """
    The agent repository of a unit.
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
    The API key repository of a unit.
    """

    async def get(self, key: ApiKeyId | ApiKeyNumber) -> ApiKey:
        return self._written(key) or self._seen(await self.source.key(self.principal, key))

    async def list_of(self, agent: AgentId) -> list[ApiKey]:
        return [self._seen(key) for key in await self.source.keys_of(self.principal, agent)]

    def used(self, key: ApiKeyId, *, at: datetime) -> None:
        self.remembered.used[key] = at


class KeptTasks(Kept[Task]):
    """
    The task repository of a unit.
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

    def save(self, row: Task, *, onto_edits: bool = False) -> Task:
        after = super().save(row)
        written = self.remembered.writes[row.id]
        if written.before is not None:
            self.remembered.writes[row.id] = evolve(written, onto_edits=onto_edits)
        return after

    def remove(self, task: Task) -> None:
        self._remove(task)

    def claim_next(self, wanted: Wanted, decide: Decide, *, at: datetime, agrees: Agrees | None = None) -> None:
        self.remembered.operations.append(ClaimNextOf(wanted=wanted, decide=decide, at=at, agrees=agrees))

    def claim(self, task: TaskId | TaskNumber, decide: Decide) -> None:
        self.remembered.operations.append(ClaimOf(task=task, decide=decide))

    def expire_due(self, decide: Decide, *, at: datetime, limit: int = 16) -> None:
        self.remembered.operations.append(ExpireDueOf(decide=sparing(decide), at=at, limit=limit))

    def take_back(self, agent: Agent, decide: Decide, *, limit: int, last: bool = False) -> None:
        self._may_write(agent)
        self.remembered.operations.append(TakeBackOf(agent=agent, decide=decide, limit=limit, last=last))


def sparing(decide: Decide) -> Decide:
    """
    A decision function that logs exceptions and returns None for them, so that one failing task does not stop the
    others.
    """

    def spared(candidate: Candidate) -> Change | None:
        try:
            return decide(candidate)
        except Exception:
            logger.exception("expiry_failed organization=%s task=%s", candidate.task.organization, candidate.task.id)
            return None

    return spared


class KeptRuns(Kept[Run]):
    """
    The run repository of a unit.
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
    The repository of the entities of one kind in a unit.
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
