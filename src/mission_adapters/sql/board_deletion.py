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

from attrs import evolve
from sqlalchemy import ColumnElement, Executable, Select, delete, func, select, union_all, update

from mission_adapters.counter_registry import COUNTERS
from mission_adapters.decision_operations import DeleteBoardOperation
from mission_adapters.kind_registry import kinds_cascading_from, nullable_references_to
from mission_adapters.sql.approval_holds import approval_links
from mission_adapters.sql.counters import COUNTER_TABLES, insert_or_add
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.entity_queries import RUN_COLUMNS, TASK_COLUMNS
from mission_adapters.sql.kind_tables import MAPPINGS, clear_references, removed_with
from mission_adapters.sql.row_writes import lock_row
from mission_adapters.sql.statement_batch import BatchedStatement, ChangeStatement
from mission_adapters.sql.statements import IdArray, Statement, cached_statement, in_array, parameter
from mission_adapters.sql.tables import (
    agents,
    alive,
    api_keys,
    boards,
    dependencies,
    marks,
    numbers,
    queue,
    runs,
    tasks,
    unfinished,
)
from mission_adapters.sql.task_decisions import FlushResults, decide_task
from mission_core.agents.model import Agent
from mission_core.boards.model import Board
from mission_core.ids import TaskId
from mission_core.row_mapping import uuid_of_bytes
from mission_core.tasks.model import Task
from mission_core.tasks.ports import Candidate, OrphanedTask
from mission_core.tasks.ports import TaskChange as Decided
from mission_core.tasks.rows import RUN_ROWS, TASK_ROWS
from mission_core.values import micros

if TYPE_CHECKING:
    from mission_core.events.counters import Counters
    from mission_core.kinds import Kind

# These parameter names occur nowhere else in a flush, because statements of a flush may be combined into one.
_board: Final = parameter("dissolved")
_reassign_to: Final = parameter("reassign_to")
_at: Final = parameter("dissolved_at", int)
_organization: Final = parameter("owner")
_agents: Final = select(agents.c.id).where(agents.c.board == _board)
_tasks: Final = select(tasks.c.id).where(tasks.c.board == _board)
_deleted_ids: Final[dict[type, Any]] = {Board: _board, Agent: _agents, Task: _tasks}


def _lock_statement(found: Select[Any], column: Any) -> Statement:
    """
    Return a statement that locks all rows of a select and counts them.
    """
    return Statement(select(func.count()).select_from(found.order_by(column).with_for_update().subquery("held")))


LOCK_AGENTS: Final = _lock_statement(_agents, agents.c.id)
LOCK_KEYS: Final = _lock_statement(select(api_keys.c.id).where(api_keys.c.agent.in_(_agents)), api_keys.c.id)
LOCK_TASKS: Final = _lock_statement(_tasks, tasks.c.id)

_deleted_tasks: Final = tasks.alias("gone")
DEPENDENCIES_OF_OTHER_BOARDS: Final = Statement(
    select(dependencies.c.task, dependencies.c.depends_on)
    .select_from(
        dependencies.join(_deleted_tasks, _deleted_tasks.c.id == dependencies.c.depends_on).join(
            tasks, tasks.c.id == dependencies.c.task
        )
    )
    .where(_deleted_tasks.c.board == _board, tasks.c.board != _board)
)
ASSIGNED_ON_OTHER_BOARDS: Final = Statement(
    select(tasks.c.id).where(
        tasks.c.organization == _organization,
        tasks.c.assignee_key.in_(select(agents.c.name_key).where(agents.c.board == _board)),
        tasks.c.board != _board,
        unfinished,
    )
)
ORPHANED_TASKS: Final = Statement(
    select(*TASK_COLUMNS)
    .where(in_array(tasks.c.id, "orphans", IdArray()), tasks.c.board != _board)
    .order_by(tasks.c.id)
    .with_for_update(of=tasks)
)

PENDING_TASK: Final = Statement(
    select(approval_links.c.task)
    .select_from(approval_links.join(tasks, tasks.c.id == approval_links.c.pending_for))
    .where(
        approval_links.c.organization == _organization,
        approval_links.c.board == _board,
        approval_links.c.pending_for.is_not(None),
        tasks.c.board == _board,
    )
    .limit(1)
)

LIVE_RUNS: Final = Statement(select(*RUN_COLUMNS).where(runs.c.task.in_(_tasks), alive))

_mark_ids: Final = union_all(
    *(
        select(mapping.table.c.id).where(mapping.table.c.organization == _organization)
        for kind, mapping in MAPPINGS.items()
        if kind.held_by_tasks
    )
)
DELETES: Final = tuple(
    Statement(each)
    for each in (
        delete(runs).where(runs.c.task.in_(_tasks)),
        delete(marks).where(marks.c.mark.in_(_mark_ids), marks.c.task.in_(_tasks)),
        delete(dependencies).where(dependencies.c.task.in_(_tasks)),
        delete(dependencies).where(dependencies.c.depends_on.in_(_tasks)),
        delete(api_keys).where(api_keys.c.agent.in_(_agents)),
        delete(agents).where(agents.c.board == _board),
    )
)
_reassigned_columns: Final[dict[str, Any]] = {"board": _reassign_to, "updated_at": _at}
REASSIGNMENTS: Final = tuple(
    Statement(each)
    for each in (
        update(runs).where(runs.c.task.in_(_tasks)).values(board=_reassign_to, version=runs.c.version + 1),
        update(agents)
        .where(agents.c.board == _board)
        .values(**_reassigned_columns, lead=0, version=agents.c.version + 1),
    )
)
FINAL_DELETES: Final = (
    Statement(delete(numbers).where(numbers.c.scope == _board)),
    Statement(delete(boards).where(boards.c.id == _board)),
)


def delete_board(dialect: str, operation: DeleteBoardOperation, results: FlushResults) -> Steps[None]:
    """
    Delete a board, with its agents and tasks or after they have moved to another board.

    Raises:
        StaleWrite: If the version of the board has changed.
        GateClosed: If its tasks would move while an approval of one is pending, and it keeps such tasks.
    """
    board, target = operation.board, operation.reassign_to
    given: dict[str, Any] = {"dissolved": board.id.bytes, "owner": board.organization.bytes}
    yield from lock_row(dialect, Board, board.id, board.version, exclusive=True)
    ((agent_count,),) = yield LOCK_AGENTS(dialect, **given)
    yield LOCK_KEYS(dialect, **given)
    ((task_count,),) = yield LOCK_TASKS(dialect, **given)
    if operation.cascade.keeps_pending:
        for (held,) in (yield PENDING_TASK(dialect, **given)):
            operation.cascade.refuse_departure(uuid_of_bytes(held))
    if target is None:
        yield from _update_orphans(dialect, operation, given, results)
        live = map(RUN_ROWS.entity_from, (yield LIVE_RUNS(dialect, **given)))
        results.deleted_runs += [evolve(run, ended_at=operation.at) for run in live]
        removed: tuple[type, ...] = (Board, Agent, Task)
        changes = DELETES
    else:
        given |= {"reassign_to": target.id.bytes, "dissolved_at": micros(operation.at)}
        removed, changes = (Board,), REASSIGNMENTS
    for kind in kinds_cascading_from(*removed):
        yield _delete_dependent_rows(kind, *removed).count(dialect, **given)
    for kind, name, entity in nullable_references_to(*removed):
        yield _clear_reference(kind, name, entity).count(dialect, **given)
    for change in (*changes, *FINAL_DELETES):
        yield change.count(dialect, **given)
    results.head_statements += _head_statements(dialect, handed_over=target is not None, given=given)
    results.facts += operation.cascade.events(tasks=task_count, agents=agent_count)


def _update_orphans(
    dialect: str, operation: DeleteBoardOperation, given: dict[str, Any], results: FlushResults
) -> Steps[None]:
    """
    Update the tasks of other boards that depend on a deleted task or are assigned to a deleted agent.
    """
    removed_dependencies: dict[bytes, set[TaskId]] = defaultdict(set)
    for task, depends_on in (yield DEPENDENCIES_OF_OTHER_BOARDS(dialect, **given)):
        removed_dependencies[task].add(uuid_of_bytes(depends_on))
    unassigned = {row[0] for row in (yield ASSIGNED_ON_OTHER_BOARDS(dialect, **given))}
    if not (removed_dependencies or unassigned):
        return
    for row in (yield ORPHANED_TASKS(dialect, **given, orphans=[*removed_dependencies.keys() | unassigned])):
        task = TASK_ROWS.entity_from(row)
        depends_on = frozenset(removed_dependencies[task.id.bytes])
        decide = partial(_orphan_change, operation, depends_on, task.id.bytes in unassigned)
        yield from decide_task(dialect, task, decide, results)


def _orphan_change(
    operation: DeleteBoardOperation, depends_on: frozenset[TaskId], unassigned: bool, candidate: Candidate
) -> Decided | None:
    return operation.cascade.update_orphan(
        OrphanedTask(candidate=candidate, depends_on=depends_on, loses_assignee=unassigned)
    )


@cached_statement
def _delete_dependent_rows(kind: Kind[Any], *entities: type) -> Executable:
    return delete(MAPPINGS[kind].table).where(removed_with(kind, {entity: _deleted_ids[entity] for entity in entities}))


@cached_statement
def _clear_reference(kind: Kind[Any], name: str, entity: type) -> Executable:
    return clear_references(kind, name, _deleted_ids[entity])


def _head_statements(dialect: str, *, handed_over: bool, given: dict[str, Any]) -> Iterable[BatchedStatement]:
    if handed_over:
        yield BatchedStatement(_move_queue, (), given)
        for counters in COUNTERS:
            yield BatchedStatement(_move_counters, (dialect, counters), given)
    else:
        yield BatchedStatement(_delete_from_queue, (), given)
    for counters in COUNTERS:
        yield BatchedStatement(_delete_counters, (counters,), given)
    yield BatchedStatement(_move_tasks if handed_over else _delete_tasks, (), given)


def _delete_from_queue() -> ChangeStatement:
    return delete(queue).where(queue.c.task.in_(_tasks))


def _move_queue() -> ChangeStatement:
    return update(queue).where(queue.c.task.in_(_tasks)).values(board=_reassign_to)


def _of_board(counters: Counters) -> tuple[ColumnElement[bool], ...]:
    columns = COUNTER_TABLES[counters].c
    return columns.organization == _organization, columns[str(counters.board)] == _board


def _delete_counters(counters: Counters) -> ChangeStatement:
    return delete(COUNTER_TABLES[counters]).where(*_of_board(counters))


def _move_counters(dialect: str, counters: Counters) -> ChangeStatement:
    """
    Add the board's counters to those of the target board.
    """
    columns = COUNTER_TABLES[counters].c
    moved = (_reassign_to if column.name == counters.board else column for column in columns)
    return insert_or_add(dialect, counters, select(*moved).where(*_of_board(counters)))


def _delete_tasks() -> ChangeStatement:
    return delete(tasks).where(tasks.c.board == _board)


def _move_tasks() -> ChangeStatement:
    return update(tasks).where(tasks.c.board == _board).values(**_reassigned_columns, version=tasks.c.version + 1)
