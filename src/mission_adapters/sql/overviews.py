"""
The read models of board overviews in SQL.

A whole board is read in one session call. Tasks that the caller has cached at their present version are not read
again. The first tasks of several boards are read in one statement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from sqlalchemy import Executable, case, cast, func, literal, select, union_all

from mission_adapters.sql.approval_reads import asked_on
from mission_adapters.sql.board_reads import one_board
from mission_adapters.sql.columns import INTEGER
from mission_adapters.sql.grants import granted
from mission_adapters.sql.session import Session, Steps
from mission_adapters.sql.statements import Ids, Statement, Texts, among, shaped, value
from mission_adapters.sql.tables import agents, tallies, tasks
from mission_adapters.sql.task_rows import ROWS, dependencies_of, fields_of, in_order, shown, tags_of
from mission_core.accounts.model import sees
from mission_core.agents.queries import AgentRow
from mission_core.boards.model import BoardNotFound
from mission_core.boards.queries import BoardRow
from mission_core.ids import BoardId
from mission_core.tasks.overviews import (
    Around,
    Asked,
    BoardView,
    Foremost,
    Known,
    Order,
    in_turn,
    needed,
    stamps_of,
)

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.tasks.queries import TaskRow

Given = dict[str, Any]
_own: Final = value("organization")
AT_ONCE: Final = 50
"""The number of boards that one statement covers at most."""
AGENTS: Final = Statement(
    select(*(literal("").label(name) if name == "working_memory" else agents.c[name] for name in AgentRow._fields))
    .where(agents.c.organization == _own, agents.c.board == value("board"))
    .order_by(agents.c.number.desc())
)
GLIMPSES: Final = Statement(
    select(tasks.c.id, tasks.c.version, tasks.c.assignee_key, tasks.c.depends_on, tasks.c.tag_ids)
    .where(tasks.c.board == value("board"))
    .order_by(tasks.c.number.desc())
)
NAMED: Final = Statement(
    select(agents.c.name_key, agents.c.id).where(
        agents.c.organization == _own, among(agents.c.name_key, "names", Texts())
    )
)
WHOLE: Final = Statement(ROWS.where(among(tasks.c.id, "tasks", Ids())))
COUNTS: Final = Statement(
    select(tallies.c.board, tallies.c.status, cast(func.sum(tallies.c.amount), INTEGER))
    .where(tallies.c.organization == _own, among(tallies.c.board, "boards", Ids()))
    .group_by(tallies.c.board, tallies.c.status)
    .having(func.sum(tallies.c.amount) > 0)
)


@shaped
def _first(order: Order, boards: int) -> Executable:
    """
    Select the first tasks of each of *boards* boards, in the statuses given for that board.
    """
    turn = case(*(
        (tasks.c.status.in_([status.value for status in together]), place) for place, together in enumerate(order)
    ))  # fmt: skip
    parts = []
    for nth in range(boards):
        found = ROWS.where(tasks.c.board == value(f"board{nth}"), among(tasks.c.status, f"statuses{nth}", Texts()))
        found = found.order_by(
            turn, tasks.c.rank, tasks.c.updated_at.desc(), tasks.c.created_at.desc(), tasks.c.number.desc()
        )
        parts.append(select(found.limit(value("limit", int)).subquery()))
    return union_all(*parts) if boards > 1 else parts[0]


@frozen
class SqlOverviews:
    """
    Reads whole boards, and the first tasks of several boards.
    """

    session: Session

    async def board(self, principal: Principal, board: BoardId, known: Known) -> BoardView:
        """
        Return a board with all its tasks. Tasks that are *known* are returned by id only.
        """
        dialect = self.session.dialect
        return await self.session.read(lambda: _view(dialect, principal, board, known))

    async def foremost(
        self, principal: Principal, boards: Sequence[BoardId], order: Order, *, limit: int
    ) -> Mapping[BoardId, Foremost]:
        """
        Return the task counts and the first *limit* tasks of each board.
        """
        dialect = self.session.dialect
        return await self.session.read(lambda: _foremost(dialect, principal, boards, order, limit))


def _view(dialect: str, principal: Principal, board: BoardId, known: Known) -> Steps[BoardView]:
    own: Given = {"organization": principal.organization.bytes}
    found = yield one_board("id")(dialect, id=board.bytes, **own)
    row = granted(principal, BoardRow._make(found[0]) if found else None, board, BoardNotFound)
    agent_rows = yield AGENTS(dialect, board=board.bytes, **own)
    approvals = yield from asked_on(dialect, principal.organization.bytes, board.bytes)
    order, unknown = yield from _looked_over(dialect, principal, board, known, approvals)
    rows: dict[bytes, TaskRow] = {}
    if unknown:
        read = yield from shown(dialect, principal.organization, (yield WHOLE(dialect, tasks=unknown, **own)))
        rows = {row.id: row for row in read if row.board == board.bytes}
        if len(rows) < len(unknown):  # some were deleted after their ids were read
            gone = {*unknown} - rows.keys()
            order = [id for id in order if id not in gone]
    return BoardView(row, [AgentRow._make(each) for each in agent_rows], order, rows, approvals)


def _looked_over(
    dialect: str, principal: Principal, board: BoardId, known: Known, approvals: Mapping[bytes, Asked]
) -> Steps[tuple[list[bytes], list[bytes]]]:
    """
    Return the ids of all tasks of the board, newest first, and the ids of those that the caller does not know.
    """
    found = yield GLIMPSES(dialect, board=board.bytes)
    if not found:
        return [], []
    names = {row[2] for row in found if row[2] is not None}
    agents_named: list[Any] = []
    if names:
        agents_named = yield NAMED(dialect, organization=principal.organization.bytes, names=sorted(names))
    waits_for = yield from dependencies_of(dialect, [row[0] for row in found if row[3]])
    tags = yield from tags_of(dialect, principal.organization, (row[4] for row in found))
    by_board = yield from fields_of(dialect, principal.organization)
    fields = stamps_of(by_board.get(board.bytes, ()))
    alone = Around(None, (), (), fields)
    by_name = {None: alone} | {name: alone._replace(assignee_agent=id) for name, id in agents_named}
    order, unknown = [], []
    for id, version, name, depends_on, tag_ids in found:
        context = by_name.get(name, alone)
        if depends_on or tag_ids:
            context = context._replace(
                dependencies=in_order(depends_on, waits_for[id]) if depends_on else (),
                tags=stamps_of(in_order(tag_ids, tags)) if tag_ids else (),
            )
        if id in approvals:
            context = context._replace(asked=approvals[id])
        order.append(id)
        if not known(id, version, context):
            unknown.append(id)
    return order, unknown


def _foremost(
    dialect: str, principal: Principal, boards: Sequence[BoardId], order: Order, limit: int
) -> Steps[Mapping[BoardId, Foremost]]:
    own: Given = {"organization": principal.organization.bytes}
    boards = [each for each in boards if sees(principal, each)]
    counts: dict[bytes, dict[str, int]] = defaultdict(dict)
    for board, status, amount in (yield COUNTS(dialect, boards=[each.bytes for each in boards], **own)):
        counts[board][status] = amount
    selected = [(each.bytes, needed(counts[each.bytes], order, limit=limit)) for each in boards]
    selected = [(board, statuses) for board, statuses in selected if statuses]
    found: dict[bytes, list[TaskRow]] = defaultdict(list)
    for start in range(0, len(selected), AT_ONCE):
        some = selected[start : start + AT_ONCE]
        given: Given = {"limit": limit}
        for nth, (board, statuses) in enumerate(some):
            given |= {f"board{nth}": board, f"statuses{nth}": statuses}
        rows = yield from shown(
            dialect, principal.organization, (yield _first(order, len(some))(dialect, **own, **given))
        )
        for row in rows:
            found[row.board].append(row)
    return {each: Foremost(counts[each.bytes], in_turn(found[each.bytes], order)) for each in boards}
