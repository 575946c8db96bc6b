"""
The read model of board snapshots in SQL.

A whole board is read in one session call. Tasks that the caller has cached at their present version are not read
again. The first tasks of several boards are read in one statement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Executable, case, literal, select, union_all

from mission_adapters.sql.approval_reads import count_approvals
from mission_adapters.sql.board_reads import select_board
from mission_adapters.sql.board_visibility import require_visible
from mission_adapters.sql.counters import totals
from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.statements import IdArray, Statement, TextArray, cached_statement, in_array, parameter
from mission_adapters.sql.tables import agents, tallies, tasks
from mission_adapters.sql.task_row_query import (
    ROWS,
    in_order,
    read_custom_fields,
    read_dependencies,
    read_tags,
    task_rows_of,
)
from mission_core.accounts.model import may_read_board
from mission_core.agents.queries import STORED_AGENT_FIELDS, AgentRow
from mission_core.boards.model import BoardNotFound
from mission_core.boards.queries import BoardRow
from mission_core.ids import BoardId
from mission_core.lazy_attrs import frozen
from mission_core.tasks.snapshots import (
    NO_APPROVALS,
    ApprovalCounts,
    BoardView,
    IsCached,
    StatusOrder,
    TaskSurroundings,
    TopTasks,
    sorted_by_status,
    statuses_needed,
    versions_of,
)

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.tasks.queries import TaskRow

Parameters = dict[str, Any]
_organization: Final = parameter("organization")
BOARDS_PER_STATEMENT: Final = 50
"""The number of boards that one statement covers at most."""
AGENTS_OF_BOARD: Final = Statement(
    select(*(literal("").label(name) if name == "working_memory" else agents.c[name] for name in STORED_AGENT_FIELDS))
    .where(agents.c.organization == _organization, agents.c.board == parameter("board"))
    .order_by(agents.c.number.desc())
)
TASK_VERSIONS: Final = Statement(
    select(tasks.c.id, tasks.c.version, tasks.c.assignee_key, tasks.c.depends_on, tasks.c.tag_ids)
    .where(tasks.c.board == parameter("board"))
    .order_by(tasks.c.number.desc())
)
AGENTS_BY_NAME: Final = Statement(
    select(agents.c.name_key, agents.c.id).where(
        agents.c.organization == _organization, in_array(agents.c.name_key, "names", TextArray())
    )
)
TASKS_BY_ID: Final = Statement(ROWS.where(in_array(tasks.c.id, "tasks", IdArray())))
STATUS_COUNTS: Final = Statement(totals(tallies, ("board", "status"), in_array(tallies.c.board, "boards", IdArray())))


@cached_statement
def _select_top_tasks(order: StatusOrder, boards: int) -> Executable:
    """
    Select the first tasks of each of *boards* boards, in the statuses given for that board.
    """
    turn = case(*(
        (tasks.c.status.in_([status.value for status in together]), place) for place, together in enumerate(order)
    ))  # fmt: skip
    parts = []
    for nth in range(boards):
        found = ROWS.where(
            tasks.c.board == parameter(f"board{nth}"), in_array(tasks.c.status, f"statuses{nth}", TextArray())
        )
        found = found.order_by(
            turn, tasks.c.rank, tasks.c.updated_at.desc(), tasks.c.created_at.desc(), tasks.c.number.desc()
        )
        parts.append(select(found.limit(parameter("limit", int)).subquery()))
    return union_all(*parts) if boards > 1 else parts[0]


@frozen(eq=False, repr=False)
class SqlSnapshotReads:
    """
    Reads whole boards, and the first tasks of several boards.
    """

    session: DatabaseSession

    async def board(self, principal: Principal, board: BoardId, known: IsCached) -> BoardView:
        """
        Return a board with all its tasks. Tasks that are *known* are returned by id only.
        """
        dialect = self.session.dialect
        return await self.session.read(lambda: _read_board(dialect, principal, board, known))

    async def top_tasks(
        self, principal: Principal, boards: Sequence[BoardId], order: StatusOrder, *, limit: int
    ) -> Mapping[BoardId, TopTasks]:
        """
        Return the task counts and the first *limit* tasks of each board.
        """
        dialect = self.session.dialect
        return await self.session.read(lambda: _read_top_tasks(dialect, principal, boards, order, limit))


def _read_board(dialect: str, principal: Principal, board: BoardId, known: IsCached) -> Steps[BoardView]:
    own: Parameters = {"organization": principal.organization.bytes}
    found = yield select_board("id")(dialect, id=board.bytes, **own)
    row = require_visible(principal, BoardRow._make(found[0]) if found else None, board, BoardNotFound)
    agent_rows = yield AGENTS_OF_BOARD(dialect, board=board.bytes, **own)
    approvals = yield from count_approvals(dialect, principal.organization.bytes, board.bytes)
    order, unknown = yield from _find_unknown_tasks(dialect, principal, board, known, approvals)
    rows: dict[bytes, TaskRow] = {}
    if unknown:
        read = yield from task_rows_of(
            dialect, principal.organization, (yield TASKS_BY_ID(dialect, tasks=unknown, **own))
        )
        rows = {row.id: row for row in read if row.board == board.bytes}
        if len(rows) < len(unknown):  # some were deleted after their ids were read
            gone = {*unknown} - rows.keys()
            order = [id for id in order if id not in gone]
    return BoardView(row, [AgentRow(*each) for each in agent_rows], order, rows, approvals)


def _find_unknown_tasks(
    dialect: str, principal: Principal, board: BoardId, known: IsCached, approvals: Mapping[bytes, ApprovalCounts]
) -> Steps[tuple[list[bytes], list[bytes]]]:
    """
    Return the ids of all tasks of the board, newest first, and the ids of those that the caller does not know.
    """
    found = yield TASK_VERSIONS(dialect, board=board.bytes)
    if not found:
        return [], []
    names = {row[2] for row in found if row[2] is not None}
    agents_named: list[Any] = []
    if names:
        agents_named = yield AGENTS_BY_NAME(dialect, organization=principal.organization.bytes, names=sorted(names))
    waiting = [row[0] for row in found if row[3]]
    waits_for = (yield from read_dependencies(dialect, waiting)) if waiting else {}
    lists_of_tags = {row[4] for row in found if row[4]}  # few, because many tasks have the same tags
    tags = yield from read_tags(dialect, principal.organization, lists_of_tags)
    tagged = {ids: versions_of(in_order(ids, tags)) for ids in lists_of_tags}
    by_board = yield from read_custom_fields(dialect, principal.organization)
    fields = versions_of(by_board.get(board.bytes, ()))
    alone = TaskSurroundings(None, (), (), fields)
    by_name = {name: TaskSurroundings(id, (), (), fields) for name, id in agents_named}
    order, unknown = [], []
    for id, version, name, depends_on, tag_ids in found:
        context = by_name.get(name, alone)
        if depends_on or tag_ids or id in approvals:
            context = TaskSurroundings(
                context.assignee_agent,
                in_order(depends_on, waits_for[id]) if depends_on else (),
                tagged.get(tag_ids, ()),
                fields,
                approvals.get(id, NO_APPROVALS),
            )
        order.append(id)
        if not known(id, version, context):
            unknown.append(id)
    return order, unknown


def _read_top_tasks(
    dialect: str, principal: Principal, boards: Sequence[BoardId], order: StatusOrder, limit: int
) -> Steps[Mapping[BoardId, TopTasks]]:
    own: Parameters = {"organization": principal.organization.bytes}
    boards = [each for each in boards if may_read_board(principal, each)]
    counts: dict[bytes, dict[str, int]] = defaultdict(dict)
    for board, status, amount in (yield STATUS_COUNTS(dialect, boards=[each.bytes for each in boards], **own)):
        counts[board][status] = amount
    selected = [(each.bytes, statuses_needed(counts[each.bytes], order, limit=limit)) for each in boards]
    selected = [(board, statuses) for board, statuses in selected if statuses]
    found: dict[bytes, list[TaskRow]] = defaultdict(list)
    for start in range(0, len(selected), BOARDS_PER_STATEMENT):
        some = selected[start : start + BOARDS_PER_STATEMENT]
        given: Parameters = {"limit": limit}
        for nth, (board, statuses) in enumerate(some):
            given |= {f"board{nth}": board, f"statuses{nth}": statuses}
        rows = yield from task_rows_of(
            dialect, principal.organization, (yield _select_top_tasks(order, len(some))(dialect, **own, **given))
        )
        for row in rows:
            found[row.board].append(row)
    return {each: TopTasks(counts[each.bytes], sorted_by_status(found[each.bytes], order)) for each in boards}
