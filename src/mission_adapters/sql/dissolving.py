"""
Deletion of a board in SQL: its agents, tasks and other rows are deleted or moved to another board, by set-based
statements.

The board, its agents, their keys and its tasks are locked first, each table in the order of ids, and then the
organization's head row. The queue and the counters change while the head row is locked. The tasks change last, because
the other statements find their rows through them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Executable, Select, Table, delete, func, select, union_all, update
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.kinds import forgetting, going_with
from mission_adapters.operations import DissolveOf
from mission_adapters.sql.deciding import Done, offer
from mission_adapters.sql.loads import TASK, a_task
from mission_adapters.sql.mapping import id_from
from mission_adapters.sql.parts import Change, Part
from mission_adapters.sql.plain import SHELVES, forgotten_in, going
from mission_adapters.sql.pulses import added_up
from mission_adapters.sql.rows import lock_row
from mission_adapters.sql.session import Steps
from mission_adapters.sql.statements import Ids, Statement, among, shaped, value
from mission_adapters.sql.tables import (
    agents,
    api_keys,
    boards,
    dependencies,
    marks,
    numbers,
    pulses,
    queue,
    runs,
    tasks,
    unfinished,
)
from mission_adapters.sql.tallies import COUNTED
from mission_core.agents.model import Agent
from mission_core.boards.model import Board
from mission_core.ids import TaskId
from mission_core.tasks.model import Task
from mission_core.tasks.ports import Bereft, Candidate
from mission_core.tasks.ports import Change as Decided
from mission_core.values import micros

if TYPE_CHECKING:
    from mission_core.kinds import Kind

# These parameter names occur nowhere else in a flush, because statements of a flush may be combined into one.
_board: Final = value("dissolved")
_heir: Final = value("heir")
_at: Final = value("dissolved_at", int)
_owner: Final = value("owner")
_agents: Final = select(agents.c.id).where(agents.c.board == _board)
_tasks: Final = select(tasks.c.id).where(tasks.c.board == _board)
_ids: Final[dict[type, Any]] = {Board: _board, Agent: _agents, Task: _tasks}


def _held(found: Select[Any], column: Any) -> Statement:
    """
    Return a statement that locks all rows of a select and counts them.
    """
    return Statement(select(func.count()).select_from(found.order_by(column).with_for_update().subquery("held")))


HOLD_AGENTS: Final = _held(_agents, agents.c.id)
HOLD_KEYS: Final = _held(select(api_keys.c.id).where(api_keys.c.agent.in_(_agents)), api_keys.c.id)
HOLD_TASKS: Final = _held(_tasks, tasks.c.id)

_gone: Final = tasks.alias("gone")
WAITED_FOR: Final = Statement(
    select(dependencies.c.task, dependencies.c.depends_on)
    .select_from(
        dependencies.join(_gone, _gone.c.id == dependencies.c.depends_on).join(tasks, tasks.c.id == dependencies.c.task)
    )
    .where(_gone.c.board == _board, tasks.c.board != _board)
)
UNMANNED: Final = Statement(
    select(tasks.c.id).where(
        tasks.c.organization == _owner,
        tasks.c.assignee_key.in_(select(agents.c.name_key).where(agents.c.board == _board)),
        tasks.c.board != _board,
        unfinished,
    )
)
BEREFT: Final = Statement(
    select(*TASK)
    .where(among(tasks.c.id, "bereft", Ids()), tasks.c.board != _board)
    .order_by(tasks.c.id)
    .with_for_update(of=tasks)
)

_labels: Final = union_all(
    *(
        select(mapping.table.c.id).where(mapping.table.c.organization == _owner)
        for kind, mapping in SHELVES.items()
        if kind.carried
    )
)
REMOVALS: Final = tuple(
    Statement(each)
    for each in (
        delete(runs).where(runs.c.task.in_(_tasks)),
        delete(marks).where(marks.c.mark.in_(_labels), marks.c.task.in_(_tasks)),
        delete(dependencies).where(dependencies.c.task.in_(_tasks)),
        delete(dependencies).where(dependencies.c.depends_on.in_(_tasks)),
        delete(api_keys).where(api_keys.c.agent.in_(_agents)),
        delete(agents).where(agents.c.board == _board),
    )
)
_over: Final[dict[str, Any]] = {"board": _heir, "updated_at": _at}
HAND_OVERS: Final = tuple(
    Statement(each)
    for each in (
        update(runs).where(runs.c.task.in_(_tasks)).values(board=_heir),
        update(agents).where(agents.c.board == _board).values(**_over, lead=0, version=agents.c.version + 1),
    )
)
LAST: Final = (
    Statement(delete(numbers).where(numbers.c.scope == _board)),
    Statement(delete(boards).where(boards.c.id == _board)),
)


def dissolve(dialect: str, operation: DissolveOf, results: Done) -> Steps[None]:
    """
    Delete a board, with its agents and tasks or after they have moved to another board.

    Raises:
        StaleWrite: If the version of the board has changed.
    """
    board, target = operation.board, operation.heir
    given: dict[str, Any] = {"dissolved": board.id.bytes, "owner": board.organization.bytes}
    yield from lock_row(dialect, Board, board.id, board.version, exclusive=True)
    ((agent_count,),) = yield HOLD_AGENTS(dialect, **given)
    yield HOLD_KEYS(dialect, **given)
    ((task_count,),) = yield HOLD_TASKS(dialect, **given)
    if target is None:
        yield from _bereave(dialect, operation, given, results)
        removed: tuple[type, ...] = (Board, Agent, Task)
        changes = REMOVALS
    else:
        given |= {"heir": target.id.bytes, "dissolved_at": micros(operation.at)}
        removed, changes = (Board,), HAND_OVERS
    for kind in going_with(*removed):
        yield _with_board(kind, *removed).count(dialect, **given)
    for kind, name, entity in forgetting(*removed):
        yield _forgotten(kind, name, entity).count(dialect, **given)
    for change in (*changes, *LAST):
        yield change.count(dialect, **given)
    results.parts += _under_the_head(dialect, handed_over=target is not None, given=given)
    results.facts += operation.end.told(tasks=task_count, agents=agent_count)


def _bereave(dialect: str, operation: DissolveOf, given: dict[str, Any], results: Done) -> Steps[None]:
    """
    Update the tasks of other boards that depend on a deleted task or are assigned to a deleted agent.
    """
    removed_dependencies: dict[bytes, set[TaskId]] = defaultdict(set)
    for task, depends_on in (yield WAITED_FOR(dialect, **given)):
        removed_dependencies[task].add(id_from(depends_on))
    unassigned = {row[0] for row in (yield UNMANNED(dialect, **given))}
    if not (removed_dependencies or unassigned):
        return
    for row in (yield BEREFT(dialect, **given, bereft=[*removed_dependencies.keys() | unassigned])):
        task = a_task(row)
        depends_on = frozenset(removed_dependencies[task.id.bytes])
        decide = partial(_bereaved, operation, depends_on, task.id.bytes in unassigned)
        yield from offer(dialect, task, decide, results)


def _bereaved(
    operation: DissolveOf, depends_on: frozenset[TaskId], unassigned: bool, candidate: Candidate
) -> Decided | None:
    return operation.end.bereave(Bereft(candidate=candidate, depends_on=depends_on, unmanned=unassigned))


@shaped
def _with_board(kind: Kind[Any], *entities: type) -> Executable:
    return delete(SHELVES[kind].table).where(going(kind, {entity: _ids[entity] for entity in entities}))


@shaped
def _forgotten(kind: Kind[Any], name: str, entity: type) -> Executable:
    return forgotten_in(kind, name, _ids[entity])


def _under_the_head(dialect: str, *, handed_over: bool, given: dict[str, Any]) -> Iterable[Part]:
    if handed_over:
        yield Part(_queue_goes_over, (), given)
        for table, _ in COUNTED:
            yield Part(_count_goes_over, (dialect, table), given)
        yield Part(_pulses_go_over, (dialect,), given)
    else:
        yield Part(_queue_goes, (), given)
    for table, _ in COUNTED:
        yield Part(_count_goes, (table,), given)
    yield Part(_pulses_go, (), given)
    yield Part(_tasks_go_over if handed_over else _tasks_go, (), given)


def _queue_goes() -> Change:
    return delete(queue).where(queue.c.task.in_(_tasks))


def _queue_goes_over() -> Change:
    return update(queue).where(queue.c.task.in_(_tasks)).values(board=_heir)


def _count_goes(table: Table) -> Change:
    return delete(table).where(table.c.organization == _owner, table.c.board == _board)


def _count_goes_over(dialect: str, table: Table) -> Change:
    """
    Add the board's counters to those of the target board.
    """
    make = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    cells = select(*(_heir if column.name == "board" else column for column in table.c)).where(
        table.c.organization == _owner, table.c.board == _board
    )
    more = {"amount": table.c.amount + make.excluded.amount}
    counted: Change = make.from_select([column.name for column in table.c], cells).on_conflict_do_update(
        index_elements=table.primary_key.columns, set_=more
    )
    return counted


def _pulses_go() -> Change:
    return delete(pulses).where(pulses.c.organization == _owner, pulses.c.place == _board)


def _pulses_go_over(dialect: str) -> Change:
    """
    Add the board's hourly counters to those of the target board.
    """
    make = (postgresql if dialect == "postgresql" else sqlite).insert(pulses)
    cells = select(*(_heir if column.name == "place" else column for column in pulses.c)).where(
        pulses.c.organization == _owner, pulses.c.place == _board
    )
    counted: Change = make.from_select([column.name for column in pulses.c], cells).on_conflict_do_update(
        index_elements=pulses.primary_key.columns, set_=added_up(make.excluded)
    )
    return counted


def _tasks_go() -> Change:
    return delete(tasks).where(tasks.c.board == _board)


def _tasks_go_over() -> Change:
    return update(tasks).where(tasks.c.board == _board).values(**_over, version=tasks.c.version + 1)
