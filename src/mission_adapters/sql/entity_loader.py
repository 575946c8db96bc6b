"""
The entity loader of a unit of work in SQL: it loads committed entities that a principal may see, one statement each.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from attrs import field
from sqlalchemy import Executable, case, func, select

from mission_adapters.sql.agent_reads import select_keys
from mission_adapters.sql.board_visibility import board_filter_for, board_filter_of, on_boards, require_visible
from mission_adapters.sql.database_session import BoundStatement, DatabaseSession, Steps
from mission_adapters.sql.entity_queries import (
    columns_of_entity,
    select_entities,
    select_entity,
)
from mission_adapters.sql.entity_reads import SqlEntityReads
from mission_adapters.sql.read_cache import CachedReads, cached_reads, columns_read
from mission_adapters.sql.statements import (
    IdArray,
    IntegerArray,
    Statement,
    TextArray,
    cached_statement,
    in_array,
    parameter,
)
from mission_adapters.sql.tables import agents, boards, dependencies, runs, tasks
from mission_core.accounts.model import (
    ApiKey,
    ApiKeyNotFound,
    Principal,
    may_read_board,
    readable_boards,
    writable_boards,
)
from mission_core.accounts.rows import API_KEY_ROWS
from mission_core.agents.model import Agent, AgentNotFound
from mission_core.agents.rows import AGENT_ROWS
from mission_core.boards.model import GENERAL_HANDLE, Board, BoardNotFound, BoardStatus
from mission_core.boards.rows import BOARD_ROWS
from mission_core.lazy_attrs import frozen
from mission_core.row_mapping import uuid_of_bytes
from mission_core.tasks.model import Status, Task, TaskNotFound
from mission_core.tasks.ports import DependencyNode
from mission_core.tasks.rows import RUN_ROWS, TASK_ROWS, split_ids
from mission_core.tasks.runs import ImplicitHolder, Run, RunNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from mission_core.ids import (
        AgentId,
        AgentNumber,
        ApiKeyId,
        ApiKeyNumber,
        BoardId,
        BoardNumber,
        GroupId,
        OrganizationId,
        RunId,
        TaskId,
        TaskNumber,
    )
    from mission_core.kinds import EntityT, Kind

T = TypeVar("T")
_organization: Final = parameter("organization")

NAMES_TAKEN: Final = Statement(
    select(
        func.max(case((boards.c.handle == parameter("handle", str), 1), else_=0)),
        func.max(case((boards.c.ticket_prefix == parameter("prefix", str), 1), else_=0)),
    ).where(
        boards.c.organization == _organization,
        (boards.c.handle == parameter("handle", str)) | (boards.c.ticket_prefix == parameter("prefix", str)),
    )
)
BOARDS_OF_GROUP: Final = Statement(
    select_entities(Board)[0]
    .where(boards.c.organization == _organization, boards.c.group == parameter("group"))
    .order_by(boards.c.number)
)
KNOWN_NAMES: Final = Statement(
    select(agents.c.name_key).where(
        agents.c.organization == _organization, in_array(agents.c.name_key, "names", TextArray())
    )
)
AGENTS_OF_BOARDS: Final = Statement(
    select_entities(Agent)[0]
    .where(agents.c.organization == _organization, in_array(agents.c.board, "boards", IdArray()))
    .order_by(agents.c.number)
)
MAIN_AGENT: Final = Statement(
    select_entities(Agent)[0]
    .where(agents.c.organization == _organization, agents.c.main == 1)
    .order_by(agents.c.number)
    .limit(1)
)
_on_board: Final = (agents.c.organization == _organization, agents.c.board == parameter("board"))
LEAD_OF_BOARD: Final = Statement(
    select_entities(Agent)[0].where(*_on_board, agents.c.lead == 1).order_by(agents.c.number).limit(1)
)
WORKER_COUNT: Final = Statement(select(func.count()).select_from(agents).where(*_on_board, agents.c.lead == 0))
DEPENDENTS: Final = Statement(
    select_entities(Task)[0]
    .join(dependencies, dependencies.c.task == tasks.c.id)
    .where(dependencies.c.depends_on == parameter("task"))
)
"""It filters neither by organization nor in an order. Without statistics a planner would then scan the organization's
tasks instead of the few dependencies."""
TASKS_BY_NUMBER: Final = Statement(
    select_entities(Task)[0].where(
        tasks.c.organization == _organization, in_array(tasks.c.number, "numbers", IntegerArray())
    )
)
LAST_RUN: Final = Statement(
    select_entities(Run)[0]
    .where(
        runs.c.task == parameter("task"),
        runs.c.organization == _organization,
        runs.c.holder_principal == parameter("principal", str),
        runs.c.holder_name == parameter("name", str),
        runs.c.holder_instance.is_not_distinct_from(parameter("instance", str)),
    )
    .order_by(runs.c.fence.desc())
    .limit(1)
)


@cached_statement
def _select_first_active(*board_filters: str) -> Executable:
    found = select_entities(Board)[0].where(
        boards.c.organization == _organization, boards.c.status == BoardStatus.ACTIVE.value
    )
    found = found.where(*on_boards(boards.c.id, board_filters))
    return found.order_by(case((boards.c.handle == GENERAL_HANDLE, 0), else_=1), boards.c.number).limit(1)


@cache
def board_columns() -> frozenset[str]:
    """
    Return the columns from which the first active board is read.
    """
    return columns_read([_select_first_active()])


def _upstream_statement() -> Statement:
    named = select(tasks.c.id).where(tasks.c.organization == _organization, in_array(tasks.c.id, "tasks", IdArray()))
    above = named.cte("above", recursive=True)
    above = above.union(select(dependencies.c.depends_on).join(above, above.c.id == dependencies.c.task))
    return Statement(
        select(tasks.c.id, tasks.c.board, tasks.c.status, tasks.c.depends_on, tasks.c.version, tasks.c.edits)
        .join(above, above.c.id == tasks.c.id)
        .where(tasks.c.organization == _organization)
    )


UPSTREAM: Final = _upstream_statement()


@frozen(eq=False, repr=False)
class SqlEntityLoader:
    """
    Loads committed entities for units of work.
    """

    session: DatabaseSession
    entity_reads: SqlEntityReads
    _first_active: CachedReads[Board] = field(init=False, default=cached_reads(board_columns))

    async def board(self, principal: Principal, board: BoardId | BoardNumber) -> Board:
        found = await self._first(self._one(Board, principal, board), BOARD_ROWS.entity_from)
        return require_visible(principal, found, found.id if found else None, BoardNotFound)

    async def board_by_handle(self, principal: Principal, handle: str) -> Board | None:
        ask = select_entity(Board, self.session.dialect, principal.organization, handle, by="handle")
        found = await self._first(ask, BOARD_ROWS.entity_from)
        return found if found and may_read_board(principal, found.id) else None

    async def first_active_board(self, principal: Principal) -> Board | None:
        key = principal.organization, writable_boards(principal)
        known = self._first_active.find(key)
        return known or await self._first_active.read(key, partial(self._read_first_active, *key))

    async def _read_first_active(
        self, organization: OrganizationId, granted: frozenset[BoardId] | None
    ) -> Board | None:
        given = board_filter_for(granted)
        ask = _select_first_active(*given)(self.session.dialect, organization=organization.bytes, **given)
        return await self._first(ask, BOARD_ROWS.entity_from)

    async def boards_of(self, principal: Principal, group: GroupId) -> list[Board]:
        ask = BOARDS_OF_GROUP(self.session.dialect, organization=principal.organization.bytes, group=group.bytes)
        return [BOARD_ROWS.entity_from(row) for row in await self._rows(ask)]

    async def names_taken(self, principal: Principal, *, handle: str, ticket_prefix: str) -> tuple[bool, bool]:
        own = principal.organization.bytes
        rows = await self._rows(
            NAMES_TAKEN(self.session.dialect, organization=own, handle=handle, prefix=ticket_prefix)
        )
        return bool(rows[0][0]), bool(rows[0][1])

    async def agent(self, principal: Principal, agent: AgentId | AgentNumber | str) -> Agent:
        by = "name_key" if isinstance(agent, str) else ""
        ask = select_entity(Agent, self.session.dialect, principal.organization, agent, by=by)
        found = await self._first(ask, AGENT_ROWS.entity_from)
        return require_visible(principal, found, found.board if found else None, AgentNotFound)

    async def agent_by_name(self, principal: Principal, name_key: str) -> Agent | None:
        ask = select_entity(Agent, self.session.dialect, principal.organization, name_key, by="name_key")
        return await self._first(ask, AGENT_ROWS.entity_from)

    async def names_known(self, principal: Principal, name_keys: tuple[str, ...]) -> set[str]:
        own = principal.organization.bytes
        rows = await self._rows(KNOWN_NAMES(self.session.dialect, organization=own, names=name_keys))
        return {name_key for (name_key,) in rows}

    async def agents_of(self, principal: Principal, boards: tuple[BoardId, ...]) -> list[Agent]:
        own = principal.organization.bytes
        ask = AGENTS_OF_BOARDS(self.session.dialect, organization=own, boards=[each.bytes for each in boards])
        return [AGENT_ROWS.entity_from(row) for row in await self._rows(ask)]

    async def main_agent(self, principal: Principal) -> Agent | None:
        return await self._first(
            MAIN_AGENT(self.session.dialect, organization=principal.organization.bytes), AGENT_ROWS.entity_from
        )

    async def lead_of_board(self, principal: Principal, board: BoardId) -> Agent | None:
        ask = LEAD_OF_BOARD(self.session.dialect, organization=principal.organization.bytes, board=board.bytes)
        return await self._first(ask, AGENT_ROWS.entity_from)

    async def worker_count(self, principal: Principal, board: BoardId) -> int:
        ask = WORKER_COUNT(self.session.dialect, organization=principal.organization.bytes, board=board.bytes)
        return int((await self._rows(ask))[0][0])

    async def api_key(self, principal: Principal, key: ApiKeyId | ApiKeyNumber) -> ApiKey:
        found = await self._first(self._one(ApiKey, principal, key), API_KEY_ROWS.entity_from)
        if found is None:
            raise ApiKeyNotFound
        if readable_boards(principal) is not None:
            await self.agent(principal, found.agent)
        return found

    async def api_keys_of(self, principal: Principal, agent: AgentId) -> list[ApiKey]:
        given = board_filter_of(principal)
        ask = select_keys(columns_of_entity(ApiKey), *given)(
            self.session.dialect, organization=principal.organization.bytes, agent=agent.bytes, **given
        )
        return [API_KEY_ROWS.entity_from(row) for row in await self._rows(ask)]

    async def task(self, principal: Principal, task: TaskId | TaskNumber) -> Task:
        found = await self._first(self._one(Task, principal, task), TASK_ROWS.entity_from)
        return require_visible(principal, found, found.board if found else None, TaskNotFound)

    async def tasks_numbered(self, principal: Principal, tasks: tuple[TaskNumber, ...]) -> list[Task]:
        ask = TASKS_BY_NUMBER(self.session.dialect, organization=principal.organization.bytes, numbers=tasks)
        found = [TASK_ROWS.entity_from(row) for row in await self._rows(ask)]
        return [require_visible(principal, each, each.board, TaskNotFound) for each in found]

    async def dependency_closure(self, principal: Principal, tasks: tuple[TaskId, ...]) -> list[DependencyNode]:
        own = principal.organization.bytes
        rows = await self._rows(UPSTREAM(self.session.dialect, organization=own, tasks=[each.bytes for each in tasks]))
        return [
            DependencyNode(
                id=uuid_of_bytes(id),
                board=uuid_of_bytes(board),
                status=Status(status),
                depends_on=split_ids(depends_on),
                version=version,
                edits=edits,
            )
            for id, board, status, depends_on, version, edits in rows
        ]

    async def dependents(self, principal: Principal, task: TaskId) -> list[Task]:
        found = map(TASK_ROWS.entity_from, await self._rows(DEPENDENTS(self.session.dialect, task=task.bytes)))
        own = [each for each in found if each.organization == principal.organization]
        return sorted(own, key=lambda each: each.number)

    async def run(self, principal: Principal, run: RunId) -> Run:
        found = await self._first(self._one(Run, principal, run), RUN_ROWS.entity_from)
        return require_visible(principal, found, found.board if found else None, RunNotFound)

    async def last_run(self, principal: Principal, task: TaskId, holder: ImplicitHolder) -> Run | None:
        ask = LAST_RUN(
            self.session.dialect, task=task.bytes, organization=principal.organization.bytes,
            principal=holder.principal, name=holder.name, instance=holder.instance,
        )  # fmt: skip
        return await self._first(ask, RUN_ROWS.entity_from)

    async def entity(self, principal: Principal, kind: Kind[EntityT], key: UUID | int) -> EntityT:
        return await self.entity_reads.get(principal, kind, key)

    async def entities_numbered(
        self, principal: Principal, kind: Kind[EntityT], numbers: Collection[int]
    ) -> list[EntityT]:
        return await self.entity_reads.numbered(principal, kind, numbers)

    async def find_entity(
        self, principal: Principal, kind: Kind[EntityT], equal: Mapping[str, Any], *, newest: bool
    ) -> EntityT | None:
        return await self.entity_reads.first(principal, kind, equal, newest=newest)

    async def entities(self, principal: Principal, kind: Kind[EntityT], equal: Mapping[str, Any]) -> list[EntityT]:
        return await self.entity_reads.every(principal, kind, **equal)

    def _one(self, kind: type, principal: Principal, key: UUID | int) -> BoundStatement:
        return select_entity(kind, self.session.dialect, principal.organization, key)

    async def _rows(self, ask: BoundStatement) -> list[Any]:
        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield ask
            return rows

        return await self.session.read(steps)

    async def _first(self, ask: BoundStatement, make: Callable[[Any], T]) -> T | None:
        rows = await self._rows(ask)
        return make(rows[0]) if rows else None
