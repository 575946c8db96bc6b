"""
The flush of a unit of work as one PostgreSQL statement, a WITH of data-changing terms, which needs no transaction
around it and so a third of the round trips or less.

First it locks, checks and writes the rows of entities, in the lock order of every flush. Then it appends to the log,
which locks the head row, and writes the queue and the counters. The order follows from the references between the
terms: the function `append_entries` is given the log if each term before has found its row, and what comes after reads
its result. If a row has another version, or there is no head row yet, the entries get no position, and all is undone.
The unit is then flushed in a transaction, which finds out why.

The statement sees a snapshot from before it waited for locks. A row that it names by its key it sees as it is after the
wait, but not the rows that another flush has inserted meanwhile. So the tasks that depend on a finished one are changed
by a function, whose statement has a snapshot of its own, and a unit that counts dependencies needs a transaction. The
head row is changed by a function, too: PostgreSQL would evaluate the whole statement again after a wait for that row.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    Delete,
    Executable,
    Select,
    Table,
    TableValuedAlias,
    Update,
    bindparam,
    case,
    cast,
    delete,
    exists,
    false,
    func,
    insert,
    literal_column,
    null,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from mission_adapters.budgeted_rows import budgeted_rows
from mission_adapters.counter_registry import budget_amounts, counted_entities
from mission_adapters.row_parts import whole_row
from mission_adapters.sql.columns import INTEGER, TYPES
from mission_adapters.sql.constraint_refusals import refusal_of_constraint
from mission_adapters.sql.counters import counter_rows, insert_or_add
from mission_adapters.sql.database_session import BoundStatement, ConstraintViolated, Steps
from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.lock_positions import MARKS, existing_rows, link_changes, writes_in_lock_order
from mission_adapters.sql.row_writes import (
    ENTITY_MAPPINGS,
    RETURNED_COLUMNS,
    changed_columns,
    has_version,
    version_parameters,
)
from mission_adapters.sql.statement_batch import ChangeStatement
from mission_adapters.sql.statements import IdArray, Statement, in_array, parameter
from mission_adapters.sql.tables import dependencies, heads, marks, queue
from mission_adapters.sql.task_contexts import CONTEXT_COLUMNS
from mission_adapters.sql.task_decisions import FlushResults
from mission_adapters.sql.task_queue import (
    change_open_dependencies,
    insert_into_queue,
    queue_statements,
)
from mission_adapters.write_buffer import ReadDependency, RowWrite, WriteBuffer
from mission_core.agents.model import Agent
from mission_core.events.counters import CountedChanges
from mission_core.events.model import digest_of_payload, envelope_after_position
from mission_core.tasks.counters import boards_of_tasks
from mission_core.tasks.model import Task
from mission_core.values import micros

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mission_core.events.counters import Counters

SHAPES: Final = 512
"""The number of compiled statements that are kept."""
LARGEST_ENTITIES: Final = 8
"""The largest number of entity rows that one statement locks or writes."""
NOT_APPENDED: Final = "events.position"
"""The constraint that a combined flush violates if a row has another version, or there is no head row yet."""
ONE: Final[ColumnElement[int]] = literal_column("1")
HEAD_IS_LOCKED: Final[ColumnElement[bool]] = literal_column("(SELECT count(*) FROM appended) = 1")
ENTRY_COLUMNS: Final = {
    "kind": str, "at": int, "subject": bytes, "payload": str, "payload_digest": bytes, "envelope": str
}  # fmt: skip
"""The values of each new entry, besides the actor: those of its columns, and its envelope after the position."""
TermShape = tuple["Callable[..., Any]", tuple[Any, ...]]


class NotCombined(Exception):
    """
    A combined flush did not find the rows as it expects them, and has changed nothing.
    """


class Term(NamedTuple):
    """
    A term of a combined flush.

    Args:
        factory: The function that builds the term's statement.
        arguments: The arguments of that function.
        parameters: The parameters of the statement.
    """

    factory: Callable[..., Any]
    arguments: tuple[Any, ...]
    parameters: dict[str, Any]


def combined_flush(
    buffer: WriteBuffer,
    *,
    at: datetime,
    guards: Sequence[Term] = (),
    has_budgets: bool = False,
    postings: Sequence[tuple[Any, ...]] | None = None,
) -> Callable[[], Steps[FlushResults]] | None:
    """
    Return the steps of a unit's flush in one statement, or None if the unit needs a transaction. They raise
    `NotCombined` if they changed nothing, and the unit needs a transaction after all.

    Args:
        guards: Terms that come before those of entities. Like them, each must find or write one row.
        has_budgets: Whether the organization is known to have budgets.
        postings: The rows that the unit adds to the amounts of budgets, if the head row is locked and the budgets were
            read. Without them the statement is right only if the organization has no budgets.
    """
    if buffer.operations or buffer.idempotency_key or buffer.presence or buffer.used_keys or not buffer.events:
        return None
    writes = writes_in_lock_order(buffer)
    tasks = [each for each in writes if isinstance(each.after, Task)]
    if len(tasks) > 1 or any(map(_needs_transaction, writes)) or buffer.remembered_unchecked():
        return None
    rows = budgeted_rows(writes)
    # The end of a run matters to budgets of time alone.
    only_ends = has_budgets and not (rows.started or rows.entries)
    if rows.budgets or rows.changes_prices or (has_budgets and rows and not only_ends):
        return None
    if only_ends and rows:
        guards = [*guards, Term(_no_time_budgets, (), {"budgets_of": buffer.principal.organization.bytes})]
    entities = [*guards, *_entity_terms(buffer, writes)]
    if rows.entries and buffer.price_changes is not None:  # the last one, because it locks the head row
        taken = {"prices_of": buffer.principal.organization.bytes, "price_changes": buffer.price_changes}
        entities.append(Term(_same_prices, (), taken))
    rest = _terms_under_head(buffer, tasks, at)
    if rest is not None and postings:
        rest.append(_amounts_term(budget_amounts(), postings))
    if rest is None or len(entities) > LARGEST_ENTITIES:
        return None
    given = _entry_parameters(buffer)
    for term in (*entities, *rest):
        given |= term.parameters
    shape = (tuple([each[:2] for each in some]) for some in (entities, rest))
    without_budgets = bool(rows) and postings is None and not only_ends
    statement = _combined_statement(*shape, without_budgets)("postgresql", **given)._replace(single=True)
    return partial(_steps, statement, buffer, [each.after for each in tasks], at)


def _needs_transaction(write: RowWrite) -> bool:
    before, after = write.before, write.after
    if after is None:
        return True
    if isinstance(after, Agent):
        return before is not None and before.name != after.name
    # The snapshot does not have the dependencies that the statement itself inserts, and so cannot count them.
    return isinstance(after, Task) and after.depends_on != (before.depends_on if before else ())


def _steps(statement: BoundStatement, buffer: WriteBuffer, tasks: Iterable[Task], at: datetime) -> Steps[FlushResults]:
    try:
        (row,) = yield statement
    except ConstraintViolated as violated:
        if violated.constraint == NOT_APPENDED:
            raise NotCombined from violated
        raise refusal_of_constraint(violated.constraint, buffer) from violated
    results = FlushResults(at, appended=range(row[-1] + 1 - len(buffer.events), row[-1] + 1))
    for task in tasks:
        results.keep_context(task, row[: len(CONTEXT_COLUMNS)])
    return results


def _entity_terms(buffer: WriteBuffer, writes: Iterable[RowWrite]) -> list[Term]:
    """
    Return the terms that lock, check, change and insert the rows of entities, in this order. Each returns one row if
    it finds what it expects.
    """
    terms: list[Term] = []
    for _, id, what in existing_rows(buffer):
        place = len(terms)
        match what:
            case ReadDependency(kind=kind, version=version, bump=False):
                terms.append(Term(_lock_shared, (kind, place), version_parameters(kind, id, version, place)))
            case ReadDependency(kind=kind, version=version):
                values = {"version": version + 1}
                table = ENTITY_MAPPINGS[kind].table
                terms.append(_update_term(table, place, id.bytes, version, values, returned=False))
            case RowWrite(before=before, after=after):
                table = ENTITY_MAPPINGS[type(after)].table
                values = changed_columns(before, after)
                returned = table in RETURNED_COLUMNS
                whole = whole_row(before) if id in buffer.remembered else None
                part = None if whole is None else type(whole)
                term = _update_term(table, place, id.bytes, before.version, values, returned=returned, whole=part)
                if whole is not None:
                    term.parameters.update(version_parameters(type(whole), id, whole.version, place))
                terms.append(term)
    for task in buffer.without_dependents:
        terms.append(Term(_no_dependents, (len(terms),), {f"depended_on_{len(terms)}": task.bytes}))
    for write in writes:
        if write.before is None:
            mapping, place = ENTITY_MAPPINGS[type(write.after)], len(terms)
            given = {f"{name}_{place}": each for name, each in mapping.rows.row_from(write.after).items()}
            terms.append(Term(_insert_row, (mapping.table, place), given))
    return terms


def _update_term(
    table: Table,
    place: int,
    id: bytes,
    version: int,
    values: dict[str, Any],
    *,
    returned: bool,
    whole: type | None = None,
) -> Term:
    given = {f"{name}_{place}": each for name, each in values.items()}
    return Term(
        _update_row,
        (table, place, tuple(values), returned, whole),
        {f"key_{place}": id, f"was_{place}": version, **given},
    )


def _terms_under_head(buffer: WriteBuffer, tasks: list[RowWrite], at: datetime) -> list[Term] | None:
    """
    Return the terms that run while the head row is locked, or None if some change rows that are not named by a key.
    """
    terms: list[Term] = []
    gone, come = link_changes(tasks, "mark", MARKS)
    for factory, links in ((_delete_marks, gone), (_insert_marks, come)):
        if links:
            given = {"marked": links[0]["task"], f"{factory.__name__}_ids": [each["mark"] for each in links]}
            terms.append(Term(factory, (), given))
    for factory, arguments, given in queue_statements(tasks):
        if factory is change_open_dependencies:
            terms.append(Term(_change_dependents, arguments, {"dependency": given["task"]}))
        elif arguments and arguments[-1] is True:
            return None  # the open dependencies are counted
        elif factory is insert_into_queue:
            terms.append(Term(_insert_into_queue, (), {f"queue_{name}": each for name, each in given.items()}))
        else:
            terms.append(Term(_change_queue, (factory, *arguments), given))
    states = [(write.before, write.after) for write in tasks]
    places = buffer.boards_of_tasks | boards_of_tasks(write.after for write in tasks)
    entities = counted_entities(buffer.writes.values())
    changes = CountedChanges(buffer.principal.organization, buffer.events, states, places, micros(at), entities)
    for counters, rows in counter_rows(changes):
        terms.append(_amounts_term(counters, rows))
    return terms


def _amounts_term(counters: Counters, rows: Iterable[tuple[Any, ...]]) -> Term:
    return Term(_add_amounts, (counters,), _arrays(counters.name, _own_columns(counters), rows))


def _entry_parameters(buffer: WriteBuffer) -> dict[str, Any]:
    """
    Return the parameters of the entries: their log and actor, and one array for each of the other columns.
    """
    actor, rows = buffer.principal.actor, []
    for fact in buffer.events:
        payload = fact.payload()
        envelope = envelope_after_position(fact.kind, fact.at, actor, fact.subject)
        rows.append((fact.kind, micros(fact.at), fact.subject.bytes, payload, digest_of_payload(payload), envelope))
    return {
        "log": buffer.principal.organization.bytes,
        "actor_kind": actor.kind,
        "actor_id": actor.id.bytes if actor.id else None,
        "actor_name": actor.name,
        **_arrays("entry", ENTRY_COLUMNS, rows),
    }


def _own_columns(counters: Counters) -> dict[str, type]:
    """
    Return the columns without the organization, which is the same in all rows.
    """
    return {name: type for name, type in counters.columns.items() if name != "organization"}


def _arrays(prefix: str, columns: Mapping[str, type], rows: Iterable[tuple[Any, ...]]) -> dict[str, Any]:
    """
    Return the values of each column as one parameter: an array, but that of integers as text, because the driver takes
    long for each element.
    """
    return {
        f"{prefix}_{name}": f"{{{','.join(map(str, values))}}}" if type is int else values
        for (name, type), values in zip(columns.items(), zip(*rows, strict=True), strict=True)
    }


# The terms of entities. Each has names of its own for its parameters.


def _lock_shared(kind: type, place: int) -> Executable:
    return select(ONE).where(*has_version(kind, place)).with_for_update(read=True)


def _no_dependents(place: int) -> Executable:
    dependents = exists().where(dependencies.c.depends_on == parameter(f"depended_on_{place}"))
    return select(ONE).where(~dependents)


def _no_time_budgets() -> Executable:
    from mission_core.usage.budgets import BUDGETS, BudgetMeasure  # few organizations have budgets

    budgets = MAPPINGS[BUDGETS].table
    of_time = budgets.c.organization == parameter("budgets_of"), budgets.c.measure == BudgetMeasure.TIME.value
    return select(ONE).where(~exists().where(*of_time))


def _same_prices() -> Executable:
    # Without the lock it would be the number of the statement's snapshot, and others may change prices meanwhile.
    same = heads.c.organization == parameter("prices_of"), heads.c.price_changes == parameter("price_changes", int)
    return select(ONE).where(*same).with_for_update()


def _update_row(
    table: Table, place: int, columns: tuple[str, ...], returned: bool, whole: type | None
) -> ChangeStatement:
    values = {name: parameter(f"{name}_{place}", table.c[name].type.python_type) for name in columns}
    nothing_else = has_version(whole, place) if whole else ()
    unchanged = table.c.id == parameter(f"key_{place}"), table.c.version == parameter(f"was_{place}", int)
    return (
        update(table)
        .where(*unchanged, *nothing_else)
        .values(values)
        .returning(*(RETURNED_COLUMNS[table] if returned else (ONE,)))
    )


def _insert_row(table: Table, place: int) -> ChangeStatement:
    values = {each.name: parameter(f"{each.name}_{place}", each.type.python_type) for each in table.c}
    return insert(table).values(values).returning(*RETURNED_COLUMNS.get(table, (ONE,)))


# The terms under the head row.


def _delete_marks() -> ChangeStatement:
    of_task = marks.c.task == parameter("marked"), in_array(marks.c.mark, "_delete_marks_ids", IdArray())
    return delete(marks).where(*of_task, HEAD_IS_LOCKED)


def _insert_marks() -> ChangeStatement:
    rows = _rows({"mark": ("_insert_marks_ids", bytes)})
    given = select(parameter("marked"), rows.c.mark).where(HEAD_IS_LOCKED)
    return insert(marks).from_select(["task", "mark"], given)


def _insert_into_queue() -> ChangeStatement:
    values = {each.name: parameter(f"queue_{each.name}", each.type.python_type) for each in queue.c}
    return insert(queue).from_select(list(values), select(*values.values()).where(HEAD_IS_LOCKED))


def _append_entries(log: ColumnElement[Any], without_budgets: bool) -> ColumnElement[int]:
    actor = parameter("actor_kind", str), parameter("actor_id"), parameter("actor_name", str)
    entries = _arrays_of((f"entry_{name}", type) for name, type in ENTRY_COLUMNS.items())
    return func.append_entries(log, true() if without_budgets else false(), *actor, *entries)


def _change_dependents(by: int) -> Select[Any]:
    changed = func.change_open_dependencies(parameter("dependency"), literal_column(f"{by}"))
    return select(changed.label("changed")).where(HEAD_IS_LOCKED)


def _change_queue(factory: Callable[..., Update | Delete], *arguments: Any) -> ChangeStatement:
    return factory(*arguments).where(HEAD_IS_LOCKED)


def _add_amounts(counters: Counters) -> ChangeStatement:
    rows = _rows({name: (f"{counters.name}_{name}", type) for name, type in _own_columns(counters).items()})
    return insert_or_add("postgresql", counters, select(parameter("log"), *rows.c).where(HEAD_IS_LOCKED))


def _rows(columns: dict[str, tuple[str, type]]) -> TableValuedAlias:
    """
    Return rows that are given by a parameter for each column, which is an array.
    """
    return func.unnest(*_arrays_of(columns.values())).table_valued(*columns, name="given").render_derived()


def _arrays_of(columns: Iterable[tuple[str, type]]) -> Iterable[ColumnElement[Any]]:
    """
    Return the parameters with these names, which are arrays of these types (`_arrays`).
    """
    for name, type in columns:
        if type is int:
            yield cast(parameter(name, str), ARRAY(INTEGER))
        else:
            yield bindparam(name, type_=ARRAY(TYPES[type]), required=False)


@lru_cache(SHAPES)
def _combined_statement(
    entities: tuple[TermShape, ...], rest: tuple[TermShape, ...], without_budgets: bool
) -> Statement:
    """
    Combine terms into one statement. With *without_budgets* it is right only if the organization has no budgets.
    """
    terms = [_entity_term(factory(*arguments), place) for place, (factory, arguments) in enumerate(entities)]
    # CASE evaluates its conditions in their order, and so locks the rows in theirs.
    checks = [(select(func.count()).select_from(term).scalar_subquery() != ONE, null()) for term in terms]
    log = case(*checks, else_=parameter("log")) if checks else parameter("log")
    appended = select(_append_entries(log, without_budgets).label("position")).cte("appended")
    terms.append(appended)
    terms += [factory(*arguments).cte(f"changed_{place}") for place, (factory, arguments) in enumerate(rest)]
    # Subqueries in the list of columns run after the head row is locked; a join would not keep the order of the locks.
    read = [select(each).scalar_subquery() for term in terms if term.name.startswith("written") for each in term.c]
    # A term that is a SELECT runs only if it is read.
    read += [select(func.count(term.c.changed)).scalar_subquery() for term in terms if "changed" in term.c]
    return Statement(select(*read, appended.c.position).add_cte(*terms))


def _entity_term(statement: Any, place: int) -> CTE:
    returned = getattr(statement, "_returning", ())
    term: CTE = statement.cte(f"{'written' if len(returned) > 1 else 'entity'}_{place}")
    return term
