"""
The entity loader of a unit of work in SQL: it loads committed entities that a principal may see, one statement each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from attrs import frozen
from sqlalchemy import Executable, case, func, select

from mission_adapters.sql.agent_reads import keys_of
from mission_adapters.sql.grants import border_of, border_of_boards, granted, within
from mission_adapters.sql.loads import a_board, a_key, a_run, a_task, an_agent, one, selected
from mission_adapters.sql.plain_reads import SqlRowReads
from mission_adapters.sql.session import Ask, Session, Steps
from mission_adapters.sql.statements import Ids, Numbers, Statement, Texts, among, shaped, value
from mission_adapters.sql.tables import agents, api_keys, boards, dependencies, runs, tasks
from mission_adapters.sql.tasks import link_from
from mission_core.accounts.model import ApiKey, ApiKeyNotFound, Principal, boards_seen, boards_written, sees
from mission_core.agents.model import Agent, AgentNotFound
from mission_core.boards.model import GENERAL, Board, BoardNotFound, BoardStatus
from mission_core.tasks.model import Task, TaskNotFound
from mission_core.tasks.runs import Pair, Run, RunNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    from mission_core.kinds import Kind, P
    from mission_core.tasks.ports import Link

T = TypeVar("T")
_own: Final = value("organization")

TAKEN: Final = Statement(
    select(
        func.max(case((boards.c.handle == value("handle", str), 1), else_=0)),
        func.max(case((boards.c.ticket_prefix == value("prefix", str), 1), else_=0)),
    ).where(
        boards.c.organization == _own,
        (boards.c.handle == value("handle", str)) | (boards.c.ticket_prefix == value("prefix", str)),
    )
)
IN_GROUP: Final = Statement(
    selected(Board)[0].where(boards.c.organization == _own, boards.c.group == value("group")).order_by(boards.c.number)
)
KNOWN: Final = Statement(
    select(agents.c.name_key).where(agents.c.organization == _own, among(agents.c.name_key, "names", Texts()))
)
ON_BOARDS: Final = Statement(
    selected(Agent)[0]
    .where(agents.c.organization == _own, among(agents.c.board, "boards", Ids()))
    .order_by(agents.c.number)
)
MAIN: Final = Statement(
    selected(Agent)[0].where(agents.c.organization == _own, agents.c.main == 1).order_by(agents.c.number).limit(1)
)
_on_board: Final = (agents.c.organization == _own, agents.c.board == value("board"))
LEAD: Final = Statement(selected(Agent)[0].where(*_on_board, agents.c.lead == 1).order_by(agents.c.number).limit(1))
WORKERS: Final = Statement(select(func.count()).select_from(agents).where(*_on_board, agents.c.lead == 0))
DEPENDENTS: Final = Statement(
    selected(Task)[0]
    .join(dependencies, dependencies.c.task == tasks.c.id)
    .where(dependencies.c.depends_on == value("task"))
)
"""It filters neither by organization nor in an order. Without statistics a planner would then scan the organization's
tasks instead of the few dependencies."""
NUMBERED: Final = Statement(
    selected(Task)[0].where(tasks.c.organization == _own, among(tasks.c.number, "numbers", Numbers()))
)
LAST_RUN: Final = Statement(
    selected(Run)[0]
    .where(
        runs.c.task == value("task"),
        runs.c.organization == _own,
        runs.c.holder_principal == value("principal", str),
        runs.c.holder_name == value("name", str),
        runs.c.holder_instance.is_not_distinct_from(value("instance", str)),
    )
    .order_by(runs.c.fence.desc())
    .limit(1)
)
LINK: Final = (tasks.c.id, tasks.c.board, tasks.c.status, tasks.c.depends_on, tasks.c.version)


@shaped
def _first_active(*board_filters: str) -> Executable:
    found = selected(Board)[0].where(boards.c.organization == _own, boards.c.status == BoardStatus.ACTIVE.value)
    found = found.where(*within(boards.c.id, board_filters))
    return found.order_by(case((boards.c.handle == GENERAL, 0), else_=1), boards.c.number).limit(1)


def _upstream() -> Statement:
    named = select(tasks.c.id).where(tasks.c.organization == _own, among(tasks.c.id, "tasks", Ids()))
    above = named.cte("above", recursive=True)
    above = above.union(select(dependencies.c.depends_on).join(above, above.c.id == dependencies.c.task))
    return Statement(select(*LINK).join(above, above.c.id == tasks.c.id).where(tasks.c.organization == _own))


UPSTREAM: Final = _upstream()


@frozen
class SqlSource:
    """
    Loads committed entities for units of work.
    """

    session: Session
    plain: SqlRowReads

    async def board(self, principal: Principal, board: BoardId | BoardNumber) -> Board:
        found = await self._first(self._one(Board, principal, board), a_board)
        return granted(principal, found, found.id if found else None, BoardNotFound)

    async def board_by_handle(self, principal: Principal, handle: str) -> Board | None:
        ask = one(Board, self.session.dialect, principal.organization, handle, by="handle")
        found = await self._first(ask, a_board)
        return found if found and sees(principal, found.id) else None

    async def first_active_board(self, principal: Principal) -> Board | None:
        given = border_of_boards(boards_written(principal))
        ask = _first_active(*given)(self.session.dialect, organization=principal.organization.bytes, **given)
        return await self._first(ask, a_board)

    async def boards_of(self, principal: Principal, group: GroupId) -> list[Board]:
        ask = IN_GROUP(self.session.dialect, organization=principal.organization.bytes, group=group.bytes)
        return [a_board(row) for row in await self._rows(ask)]

    async def names_taken(self, principal: Principal, *, handle: str, ticket_prefix: str) -> tuple[bool, bool]:
        own = principal.organization.bytes
        rows = await self._rows(TAKEN(self.session.dialect, organization=own, handle=handle, prefix=ticket_prefix))
        return bool(rows[0][0]), bool(rows[0][1])

    async def agent(self, principal: Principal, agent: AgentId | AgentNumber) -> Agent:
        found = await self._first(self._one(Agent, principal, agent), an_agent)
        return granted(principal, found, found.board if found else None, AgentNotFound)

    async def agent_by_name(self, principal: Principal, name_key: str) -> Agent | None:
        ask = one(Agent, self.session.dialect, principal.organization, name_key, by="name_key")
        return await self._first(ask, an_agent)

    async def names_known(self, principal: Principal, name_keys: tuple[str, ...]) -> set[str]:
        own = principal.organization.bytes
        rows = await self._rows(KNOWN(self.session.dialect, organization=own, names=name_keys))
        return {name_key for (name_key,) in rows}

    async def agents_of(self, principal: Principal, boards: tuple[BoardId, ...]) -> list[Agent]:
        own = principal.organization.bytes
        ask = ON_BOARDS(self.session.dialect, organization=own, boards=[each.bytes for each in boards])
        return [an_agent(row) for row in await self._rows(ask)]

    async def main_agent(self, principal: Principal) -> Agent | None:
        return await self._first(MAIN(self.session.dialect, organization=principal.organization.bytes), an_agent)

    async def lead_of(self, principal: Principal, board: BoardId) -> Agent | None:
        ask = LEAD(self.session.dialect, organization=principal.organization.bytes, board=board.bytes)
        return await self._first(ask, an_agent)

    async def workers_of(self, principal: Principal, board: BoardId) -> int:
        ask = WORKERS(self.session.dialect, organization=principal.organization.bytes, board=board.bytes)
        return int((await self._rows(ask))[0][0])

    async def key(self, principal: Principal, key: ApiKeyId | ApiKeyNumber) -> ApiKey:
        found = await self._first(self._one(ApiKey, principal, key), a_key)
        if found is None:
            raise ApiKeyNotFound
        if boards_seen(principal) is not None:
            await self.agent(principal, found.agent)
        return found

    async def keys_of(self, principal: Principal, agent: AgentId) -> list[ApiKey]:
        given = border_of(principal)
        ask = keys_of(tuple(api_keys.c), *given)(
            self.session.dialect, organization=principal.organization.bytes, agent=agent.bytes, **given
        )
        return [a_key(row) for row in await self._rows(ask)]

    async def task(self, principal: Principal, task: TaskId | TaskNumber) -> Task:
        found = await self._first(self._one(Task, principal, task), a_task)
        return granted(principal, found, found.board if found else None, TaskNotFound)

    async def tasks_numbered(self, principal: Principal, tasks: tuple[TaskNumber, ...]) -> list[Task]:
        ask = NUMBERED(self.session.dialect, organization=principal.organization.bytes, numbers=tasks)
        found = [a_task(row) for row in await self._rows(ask)]
        return [granted(principal, each, each.board, TaskNotFound) for each in found]

    async def upstream(self, principal: Principal, tasks: tuple[TaskId, ...]) -> list[Link]:
        own = principal.organization.bytes
        rows = await self._rows(UPSTREAM(self.session.dialect, organization=own, tasks=[each.bytes for each in tasks]))
        names = [column.name for column in LINK]
        return [link_from(dict(zip(names, row, strict=True))) for row in rows]

    async def dependents(self, principal: Principal, task: TaskId) -> list[Task]:
        found = map(a_task, await self._rows(DEPENDENTS(self.session.dialect, task=task.bytes)))
        own = [each for each in found if each.organization == principal.organization]
        return sorted(own, key=lambda each: each.number)

    async def run(self, principal: Principal, run: RunId) -> Run:
        found = await self._first(self._one(Run, principal, run), a_run)
        return granted(principal, found, found.board if found else None, RunNotFound)

    async def last_run(self, principal: Principal, task: TaskId, holder: Pair) -> Run | None:
        ask = LAST_RUN(
            self.session.dialect, task=task.bytes, organization=principal.organization.bytes,
            principal=holder.principal, name=holder.name, instance=holder.instance,
        )  # fmt: skip
        return await self._first(ask, a_run)

    async def row(self, principal: Principal, kind: Kind[P], key: UUID | int) -> P:
        return await self.plain.get(principal, kind, key)

    async def row_of(self, principal: Principal, kind: Kind[P], equal: Mapping[str, Any], *, newest: bool) -> P | None:
        return await self.plain.first(principal, kind, equal, newest=newest)

    async def rows(self, principal: Principal, kind: Kind[P], equal: Mapping[str, Any]) -> list[P]:
        return await self.plain.every(principal, kind, **equal)

    def _one(self, kind: type, principal: Principal, key: UUID | int) -> Ask:
        return one(kind, self.session.dialect, principal.organization, key)

    async def _rows(self, ask: Ask) -> list[Any]:
        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield ask
            return rows

        return await self.session.read(steps)

    async def _first(self, ask: Ask, make: Callable[[Any], T]) -> T | None:
        rows = await self._rows(ask)
        return make(rows[0]) if rows else None
