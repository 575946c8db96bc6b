"""
The flush of a unit of work: its steps in one order for both databases.

A flush takes its idempotency key first, then runs the operations of the unit, such as a claim, then writes rows in lock
order (by table, then by id). Last it locks the organization's head row and writes the queue, the counters and the log.
Because of this order two flushes do not deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from attrs import evolve
from sqlalchemy import Executable, Table, delete, exists, insert, literal_column, select, update

from mission_adapters.counter_registry import counted_entities
from mission_adapters.kind_registry import kinds_cascading_from, nullable_references_to
from mission_adapters.row_parts import WholeAgent
from mission_adapters.sql.agent_rename import rename_assigned_tasks, rename_queue_and_workloads
from mission_adapters.sql.budget_postings import budget_postings
from mission_adapters.sql.combined_claims import next_claim_of
from mission_adapters.sql.constraint_refusals import refusal_of_constraint
from mission_adapters.sql.counters import counter_statements
from mission_adapters.sql.database_session import ConstraintViolated, Steps
from mission_adapters.sql.decision_operations import run_operations
from mission_adapters.sql.entity_queries import select_entity
from mission_adapters.sql.event_log import (
    KnownHeads,
    append_statements,
    chained,
    insert_statements,
    lock_head,
    move_head,
)
from mission_adapters.sql.idempotency_keys import store_result, take_key
from mission_adapters.sql.kind_tables import clear_reference, delete_removed_with
from mission_adapters.sql.lock_positions import DEPENDENCIES, MARKS, existing_rows, link_changes, writes_in_lock_order
from mission_adapters.sql.row_writes import (
    ENTITY_MAPPINGS,
    bump_row,
    check_remembered,
    delete_statement,
    has_version,
    insert_row,
    insert_statement,
    lock_row,
    require_unchanged,
    update_row,
    version_parameters,
)
from mission_adapters.sql.statement_batch import run_in_turn, run_together
from mission_adapters.sql.statements import IdArray, Statement, cached_statement, in_array, parameter
from mission_adapters.sql.tables import agents, api_keys, dependencies, marks, runs, tasks
from mission_adapters.sql.task_decisions import FlushResults
from mission_adapters.sql.task_queue import queue_statements
from mission_adapters.write_buffer import ReadDependency, RowWrite, WriteBuffer
from mission_core.agents.model import Agent
from mission_core.agents.rows import AGENT_ROWS, presence_columns
from mission_core.boards.model import Board
from mission_core.errors import StaleWrite
from mission_core.events.counters import CountedChanges
from mission_core.kinds import kind_of
from mission_core.lazy_attrs import frozen
from mission_core.row_mapping import uuid_of_bytes
from mission_core.tasks.counters import boards_of_tasks
from mission_core.tasks.model import Task
from mission_core.tasks.rows import TASK_ROWS
from mission_core.values import micros

FOLDED_CHECKS: Final = 4
"""The number of checks that one statement holds at most."""

UPDATE_KEY_USE: Final = Statement(
    update(api_keys)
    .where(
        api_keys.c.id == parameter("key"),
        api_keys.c.last_used_at.is_(None) | (api_keys.c.last_used_at <= parameter("last_used_at", int)),
    )
    .values(last_used_at=parameter("last_used_at", int))
)
DELETE_DEPENDENCY: Final = Statement(
    delete(dependencies).where(
        dependencies.c.task == parameter("task"), dependencies.c.depends_on == parameter("depends_on")
    )
)
SELECT_DEPENDENT: Final = Statement(
    select(dependencies.c.depends_on)
    .where(in_array(dependencies.c.depends_on, "depended_on", IdArray()))
    .limit(literal_column("1"))
)
INSERT_DEPENDENCY: Final = Statement(insert(dependencies))
DELETE_MARK: Final = Statement(
    delete(marks).where(marks.c.task == parameter("task"), marks.c.mark == parameter("mark"))
)
INSERT_MARK: Final = Statement(insert(marks))
DELETE_MARKS: Final = Statement(delete(marks).where(marks.c.mark == parameter("key")))
DELETE_KEYS: Final = Statement(delete(api_keys).where(api_keys.c.agent == parameter("agent")))
DELETE_RUNS: Final = Statement(delete(runs).where(runs.c.task == parameter("task")))
DELETE_TASK: Final = Statement(
    delete(tasks).where(tasks.c.id == parameter("key"), ~exists().where(dependencies.c.depends_on == parameter("key")))
)


@frozen
class FoldedChecks:
    """
    The checks of rows that a unit only relies on, folded into the statement of one of its writes.
    """

    write: RowWrite | None = None
    relied: Sequence[ReadDependency] = ()

    def of(self, write: RowWrite) -> Sequence[ReadDependency]:
        """
        Return the checks that belong to the statement of this write.
        """
        return self.relied if write is self.write else ()


NOTHING_FOLDED: Final = FoldedChecks()


def flush(buffer: WriteBuffer, dialect: str, heads: KnownHeads, *, at: datetime) -> Steps[FlushResults]:
    """
    Write the buffered changes of a unit of work.

    Args:
        heads: The heads that this process knows, for SQLite.

    Returns:
        The results. Their answer is that of the last operation that ran inside the flush, such as a claim.

    Raises:
        StaleWrite: If a row that the unit saves, removes or relies on (`rely_on`) has another version now.
        Conflict: If a unique constraint is violated.
        AlreadyDone: If the unit's idempotency key was used before.
    """
    results = FlushResults(at)
    try:
        key = buffer.idempotency_key
        if key is not None:
            yield from take_key(dialect, buffer, key, at=at)
        unchecked = buffer.remembered_unchecked()
        if buffer.operations:
            yield from _run_operations(dialect, buffer, unchecked, results, at=at)
        else:
            if unchecked:
                yield from check_remembered(dialect, unchecked)
            if buffer.without_dependents:
                yield from _require_no_dependents(dialect, buffer.without_dependents)
        folded = NOTHING_FOLDED
        touched = existing_rows(buffer)
        if touched:
            folded = _folded_checks(buffer, touched) if dialect == "sqlite" else NOTHING_FOLDED
            yield from _change_existing_rows(dialect, buffer, touched, folded, results)
        if buffer.writes:
            yield from _delete_and_insert_rows(dialect, buffer, folded, results)
        if key is not None:
            yield from store_result(dialect, buffer, key, buffer.result or results.result)
        yield from _write_under_head(dialect, buffer, results, heads, at=at)
    except ConstraintViolated as violated:
        raise refusal_of_constraint(violated.constraint, buffer) from violated
    return results


def _run_operations(
    dialect: str, buffer: WriteBuffer, unchecked: Sequence[Any], results: FlushResults, *, at: datetime
) -> Steps[None]:
    """
    Check the remembered rows that nothing later checks, then run the operations of the unit.
    """
    is_claim = next_claim_of(buffer) is not None
    if is_claim and dialect == "sqlite":
        results.relied = [ReadDependency(Board, row.id, row.version, bump=False) for row in unchecked]
    else:
        yield from check_remembered(dialect, unchecked)
    yield from _require_no_dependents(dialect, buffer.without_dependents)
    # On PostgreSQL a claim on locked rows is one statement, if the unit does nothing else.
    combined_at = at if is_claim and dialect == "postgresql" else None
    yield from run_operations(dialect, buffer.principal, buffer.operations, results, combined_at=combined_at)
    yield from require_unchanged(dialect, results.relied)


def _require_no_dependents(dialect: str, tasks: Sequence[UUID]) -> Steps[None]:
    """
    Check that no task depends on one of these.

    Raises:
        StaleWrite: If one does.
    """
    if tasks and (found := (yield SELECT_DEPENDENT(dialect, depended_on=[each.bytes for each in tasks]))):
        raise StaleWrite("task", uuid_of_bytes(found[0][0]))


def _folded_checks(buffer: WriteBuffer, touched: Sequence[tuple[int, UUID, Any]]) -> FoldedChecks:
    """
    Fold the checks of a unit into its first update, or else its first insert, if it has one that can hold them. This is
    for SQLite, where a row needs no lock, since no other flush runs at the same time.
    """
    relied = [each[2] for each in touched if _is_only_relied_on(each)]
    if not 0 < len(relied) <= FOLDED_CHECKS:
        return NOTHING_FOLDED
    first: RowWrite | None = None
    for write in writes_in_lock_order(buffer):
        if write.after is None:
            return NOTHING_FOLDED  # a delete has refusals of its own, which come after those of the checks
        if first is None or (first.before is None and write.before is not None):
            first = write
    return NOTHING_FOLDED if first is None else FoldedChecks(first, relied)


def _is_only_relied_on(touched: tuple[int, UUID, Any]) -> bool:
    what = touched[2]
    return isinstance(what, ReadDependency) and not what.bump


def _change_existing_rows(
    dialect: str,
    buffer: WriteBuffer,
    touched: Sequence[tuple[int, UUID, Any]],
    folded: FoldedChecks,
    results: FlushResults,
) -> Steps[None]:
    """
    Lock, check and change existing rows in lock order.
    """
    for relied, group in groupby(touched, key=_is_only_relied_on):
        if relied:
            if not folded.relied:
                yield from require_unchanged(dialect, (what for _, _, what in group))
            continue
        for _, id, what in group:
            match what:
                case Agent():
                    known = None if id in buffer.writes else buffer.remembered.get(id)
                    alone = len(touched) == 1 and _writes_only_presence(buffer)
                    yield from _save_presence(dialect, what, known, alone=alone)
                case datetime():
                    yield UPDATE_KEY_USE.count(dialect, key=id.bytes, last_used_at=micros(what))
                case ReadDependency():
                    yield from bump_row(dialect, what.kind, id, what.version)
                case RowWrite(before=before, after=None):
                    yield from lock_row(dialect, type(before), id, before.version, exclusive=True)
                case RowWrite(before=before, after=after, merges_edits=True):
                    yield from _update_with_edits(dialect, buffer, what, folded.of(what), results)
                case RowWrite(before=before, after=after):
                    remembered = id in buffer.remembered
                    written = yield from update_row(dialect, before, after, folded.of(what), remembered=remembered)
                    results.keep_context(after, written)
                    if isinstance(after, Agent) and before.name != after.name:
                        yield from rename_assigned_tasks(dialect, before, after)


def _update_with_edits(
    dialect: str, buffer: WriteBuffer, write: RowWrite, relied: Sequence[ReadDependency], results: FlushResults
) -> Steps[None]:
    """
    Update a task. If others have edited it since it was read, lock it, read it again and apply the change to that.
    """
    try:
        remembered = write.before.id in buffer.remembered
        written = yield from update_row(dialect, write.before, write.after, relied, remembered=remembered)
    except StaleWrite as stale:
        if stale.id != write.before.id:
            raise
        found = yield select_entity(Task, dialect, write.before.organization, write.before.id, locked=True)
        if not found:
            raise
        write = buffer.writes[write.before.id] = write.merged_onto(TASK_ROWS.entity_from(found[0]))
        written = yield from update_row(dialect, write.before, write.after)
    results.keep_context(write.after, written)


@cached_statement
def update_presence(unchanged: bool) -> Executable:
    """
    Update the presence of an agent, unless a later one is stored. With *unchanged*, nothing else of the row may have
    changed either.
    """
    return (
        update(agents)
        .where(
            agents.c.id == parameter("key"),
            agents.c.organization == parameter("organization"),
            agents.c.last_seen_at.is_(None) | (agents.c.last_seen_at <= parameter("last_seen_at", int)),
            *(has_version(WholeAgent, 0) if unchanged else ()),
        )
        .values({name: parameter(name, agents.c[name].type.python_type) for name in AGENT_ROWS.separate})
    )


def _save_presence(dialect: str, agent: Agent, remembered: Agent | None, *, alone: bool) -> Steps[None]:
    """
    Update the presence of an agent.

    Raises:
        StaleWrite: If the agent was *remembered*, and has changed.
    """
    given = {"key": agent.id.bytes, "organization": agent.organization.bytes, **presence_columns(agent)}
    if remembered is not None:
        whole = WholeAgent.of(remembered)
        given |= version_parameters(WholeAgent, whole.id, whole.version)
    ask = update_presence(remembered is not None).count(dialect, **given)
    if not (yield ask._replace(single=True) if alone else ask) and remembered is not None:
        raise StaleWrite("agent", agent.id)


def _writes_only_presence(buffer: WriteBuffer) -> bool:
    return not (buffer.idempotency_key or buffer.operations or buffer.events)


def _delete_and_insert_rows(
    dialect: str, buffer: WriteBuffer, folded: FoldedChecks, results: FlushResults
) -> Steps[None]:
    writes = writes_in_lock_order(buffer)
    gone, come = link_changes(writes, "depends_on", DEPENDENCIES)
    dropped, taken = link_changes(writes, "mark", MARKS)
    if gone:
        yield DELETE_DEPENDENCY.many(dialect, gone)
    if dropped:
        yield DELETE_MARK.many(dialect, dropped)
    for write in writes:
        if write.after is None:
            yield from _delete_row(dialect, write.before)
    together = _inserted_together(writes, folded) if len(writes) > 1 else []
    batched = set(map(id, together))
    for entity, rows in groupby(together, key=lambda each: type(each.after)):
        mapping = ENTITY_MAPPINGS[entity]
        yield insert_statement(mapping.table).many(dialect, [mapping.rows.row_from(each.after) for each in rows])
    for write in writes:
        if write.before is None and write.after is not None and id(write) not in batched:
            heard = buffer.presence.get(write.after.id)
            row = evolve(write.after, presence=heard.presence) if heard else write.after
            results.keep_context(row, (yield from insert_row(dialect, row, folded.of(write))))
    if come:
        yield INSERT_DEPENDENCY.many(dialect, come)
    if taken:
        yield INSERT_MARK.many(dialect, taken)


def _inserted_together(writes: Sequence[RowWrite], folded: FoldedChecks) -> list[RowWrite]:
    """
    Return the writes of new rows of counted kinds, if there are several: a batch of them is one statement.
    """
    new = [each for each in writes if each.before is None and each.after is not None and not folded.of(each)]
    alike = [each for each in new if (kind := kind_of(type(each.after))) is not None and kind.counted]
    return alike if len(alike) > 1 else []


def _delete_row(dialect: str, row: Any) -> Steps[None]:
    for kind in kinds_cascading_from(type(row)):
        yield delete_removed_with(kind, type(row)).count(dialect, owner=row.organization.bytes, key=row.id.bytes)
    for kind, name, _ in nullable_references_to(type(row)):
        yield clear_reference(kind, name).count(dialect, owner=row.organization.bytes, key=row.id.bytes)
    if isinstance(row, Agent):
        yield DELETE_KEYS.count(dialect, agent=row.id.bytes)
    if isinstance(row, Task):
        yield DELETE_RUNS.count(dialect, task=row.id.bytes)
        # The task is locked, so every unit that made another task depend on it has committed and is visible here.
        if not (yield DELETE_TASK.count(dialect, key=row.id.bytes)):
            raise StaleWrite("task", row.id)
        return
    plain, table = kind_of(type(row)), ENTITY_MAPPINGS[type(row)].table
    if plain is not None and plain.in_use is not None:
        # The row is locked here, too: every unit that put it on a task has committed.
        if not (yield delete_unused(table).count(dialect, key=row.id.bytes)):
            raise plain.in_use
        return
    if plain is not None and plain.held_by_tasks:
        yield DELETE_MARKS.count(dialect, key=row.id.bytes)
    yield delete_statement(table).count(dialect, key=row.id.bytes)


@cached_statement
def delete_unused(table: Table) -> Executable:
    """
    Delete a row that no task refers to.
    """
    return delete(table).where(table.c.id == parameter("key"), ~exists().where(marks.c.mark == parameter("key")))


def _write_under_head(
    dialect: str, buffer: WriteBuffer, results: FlushResults, heads: KnownHeads, *, at: datetime
) -> Steps[None]:
    """
    Lock the organization's head row and update the queue, the counters and the log. On PostgreSQL this is one
    statement, unless it could change a row twice.

    Raises:
        BudgetReached: If a new run has no room in a hard budget.
        StaleWrite: If a claimed task depends on a task that was reopened since the claim was decided.
    """
    postings = yield from budget_postings(dialect, buffer, results, heads)
    tasks_changed = _task_writes(buffer, results)
    facts = [*results.facts, *buffer.events, *postings.events]
    entities = counted_entities(buffer.writes.values())
    if not (facts or tasks_changed or entities or results.head_statements or postings.statements):
        return
    owner, actor = buffer.principal.organization, buffer.principal.actor
    states = [(write.before, write.after) for write in tasks_changed]
    places = {**buffer.boards_of_tasks, **results.boards_of_tasks}
    places |= boards_of_tasks([write.after or write.before for write in tasks_changed])
    parts = [
        *results.head_statements,
        *postings.statements,
        # On PostgreSQL another flush may have added a dependent since the check.
        *queue_statements(tasks_changed, without_dependents=buffer.without_dependents if dialect == "sqlite" else ()),
        *counter_statements(dialect, CountedChanges(owner, facts, states, places, micros(at), entities)),
    ]
    if not facts and not parts:
        return
    if dialect == "sqlite" and facts:
        parts += insert_statements((yield from move_head(dialect, owner, actor, facts, heads, postings.head)))
    else:
        head = results.head = results.head or (yield from lock_head(dialect, owner))
        parts += append_statements(chained(owner, actor, facts, head), head, postings.head)
        results.appended = range(head.position + 1, head.position + 1 + len(facts))
    for write in buffer.writes.values():
        if isinstance(write.after, Agent) and write.before and write.before.name_key != write.after.name_key:
            yield from rename_queue_and_workloads(dialect, write.before, write.after)
    together = dialect == "postgresql" and len(tasks_changed) < 2 and len(parts) > 1
    left = yield from (run_together if together else run_in_turn)(dialect, parts)
    if results.claimed and any(open_dependencies for (open_dependencies,) in left):
        raise StaleWrite("task", results.claimed[0].id)


def _task_writes(buffer: WriteBuffer, results: FlushResults) -> list[RowWrite]:
    """
    Return the changes of tasks, folded into one write per task.
    """
    if not results.writes:
        return [write for write in buffer.writes.values() if isinstance(write.after or write.before, Task)]
    folded: dict[UUID, RowWrite] = {}
    for write in (*results.writes, *buffer.writes.values()):
        shape = write.after or write.before
        if isinstance(shape, Task):
            first = folded.get(shape.id, write)
            folded[shape.id] = RowWrite(before=first.before, after=write.after)
    return list(folded.values())
