"""
The flush of a unit of work: its steps in one order for both databases.

A flush takes its idempotency key first, then runs the operations that decide on locked rows, then writes rows in lock
order (by table, then by id). Last it locks the organization's head row and writes the queue, the counters and the log.
Because of this order two flushes do not deadlock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from attrs import evolve
from sqlalchemy import Executable, Table, delete, exists, insert, update

from mission_adapters.kinds import KIND_OF, LOCK_ORDER, forgetting, going_with
from mission_adapters.remembered import Reliance, Remembered, Write
from mission_adapters.sql.agents import presence_from
from mission_adapters.sql.deciding import Done
from mission_adapters.sql.loads import a_task, one
from mission_adapters.sql.log import appended, lock_head
from mission_adapters.sql.once import settle_key, take_key
from mission_adapters.sql.operations import operate
from mission_adapters.sql.parts import done_in_turn, done_together
from mission_adapters.sql.plain import TAKEN as TAKEN_PLAIN
from mission_adapters.sql.plain import drop_with, forget
from mission_adapters.sql.pulses import pulsed
from mission_adapters.sql.queue import requeued
from mission_adapters.sql.renaming import rename_queue, rename_work
from mission_adapters.sql.rows import KEPT, bump_row, delete_of, insert_row, lock_row, share_rows, update_row
from mission_adapters.sql.session import Ask, Steps, Violated
from mission_adapters.sql.statements import Statement, shaped, value
from mission_adapters.sql.tables import agents, api_keys, dependencies, marks, runs, tasks
from mission_adapters.sql.tallies import tallied
from mission_core.accounts.model import ApiKey
from mission_core.agents.model import Agent, AgentNameTaken, SessionKeyTaken
from mission_core.boards.model import Board, BoardGates, HandleTaken, PrefixTaken
from mission_core.errors import Conflict, StaleWrite
from mission_core.reports.pulse import places_of
from mission_core.tasks.model import Task
from mission_core.values import micros

TAKEN: Final[dict[str, Callable[[], Conflict]]] = {
    "uq_boards_organization_handle": HandleTaken,
    "uq_boards_organization_ticket_prefix": PrefixTaken,
    "uq_agents_organization_name_key": AgentNameTaken,
    "uq_agents_organization_session_key": SessionKeyTaken,
    **TAKEN_PLAIN,
}
"""The refusal for each unique constraint, by the constraint's name."""
PLACE: Final = {kind: place for place, kind in enumerate(LOCK_ORDER)} | {BoardGates: LOCK_ORDER.index(Board)}

HEARD: Final = Statement(
    update(agents)
    .where(
        agents.c.id == value("key"),
        agents.c.organization == value("organization"),
        agents.c.last_seen_at.is_(None) | (agents.c.last_seen_at <= value("last_seen_at", int)),
    )
    .values({name: value(name, agents.c[name].type.python_type) for name in KEPT[Agent].beside})
)
USED: Final = Statement(
    update(api_keys)
    .where(
        api_keys.c.id == value("key"),
        api_keys.c.last_used_at.is_(None) | (api_keys.c.last_used_at <= value("last_used_at", int)),
    )
    .values(last_used_at=value("last_used_at", int))
)
WAIT_NO_MORE: Final = Statement(
    delete(dependencies).where(dependencies.c.task == value("task"), dependencies.c.depends_on == value("depends_on"))
)
WAIT: Final = Statement(insert(dependencies))
DROP: Final = Statement(delete(marks).where(marks.c.task == value("task"), marks.c.mark == value("mark")))
CARRY: Final = Statement(insert(marks))
DROP_EVERYWHERE: Final = Statement(delete(marks).where(marks.c.mark == value("key")))
DELETE_KEYS: Final = Statement(delete(api_keys).where(api_keys.c.agent == value("agent")))
DELETE_RUNS: Final = Statement(delete(runs).where(runs.c.task == value("task")))
DELETE_TASK: Final = Statement(
    delete(tasks).where(tasks.c.id == value("key"), ~exists().where(dependencies.c.depends_on == value("key")))
)


def flush(buffer: Remembered, dialect: str, *, at: datetime) -> Steps[Any]:
    """
    Write the buffered changes of a unit.

    Returns:
        The change that the last operation made, or None.

    Raises:
        StaleWrite: If the version of a saved, removed or relied-on row has changed.
        Conflict: If a unique constraint is violated.
        AlreadyDone: If the unit's idempotency key was used before.
    """
    results = Done()
    try:
        yield from take_key(dialect, buffer, at=at)
        for operation in buffer.operations:
            yield from operate(dialect, buffer.principal, operation, results)
        yield from _touch(dialect, buffer)
        yield from _remove_and_add(dialect, buffer)
        yield from settle_key(dialect, buffer, buffer.result or results.result)
        yield from _under_the_head(dialect, buffer, results, at=at)
    except Violated as violated:
        raise _refusal(violated.constraint, buffer) from violated
    return results.answer


def _refusal(constraint: str, buffer: Remembered) -> Conflict:
    """
    Return the refusal for a violated constraint. A duplicate id is a stale write: another unit inserted the row first,
    and the next attempt will read it.
    """
    kind = next((kind for kind, each in KEPT.items() if constraint == f"pk_{each.table.name}"), None)
    if kind is None:
        return TAKEN.get(constraint, Conflict)()
    added = (id for id, write in buffer.writes.items() if isinstance(write.after, kind) and write.before is None)
    return StaleWrite(KEPT[kind].name, next(added, buffer.principal.organization))


def _touch(dialect: str, buffer: Remembered) -> Steps[None]:
    """
    Lock, check and change existing rows in lock order. Neighbouring rows that the unit only relies on share one
    statement.
    """
    touched = sorted(_touched(buffer), key=lambda each: each[:2])
    for together, group in groupby(touched, key=lambda each: _shared(each[2])):
        if together is not None:
            yield from share_rows(dialect, together, [(id, row.version) for _, id, row in group])
            continue
        for _, id, what in group:
            match what:
                case Agent():
                    yield _heard(dialect, what, alone=len(touched) == 1 and _only_heard(buffer))
                case datetime():
                    yield USED.count(dialect, key=id.bytes, last_used_at=micros(what))
                case Reliance():
                    yield from bump_row(dialect, what.kind, id, what.version)
                case Write(before=before, after=None):
                    yield from lock_row(dialect, type(before), id, before.version, exclusive=True)
                case Write(before=before, after=after, onto_edits=True):
                    yield from _update_edited(dialect, buffer, what)
                case Write(before=before, after=after):
                    yield from update_row(dialect, before, after)
                    if isinstance(after, Agent) and before.name != after.name:
                        yield from rename_work(dialect, before, after)


def _update_edited(dialect: str, buffer: Remembered, write: Write) -> Steps[None]:
    """
    Update a task. If others have edited it since it was read, lock it, read it again and apply the change to that.
    """
    try:
        yield from update_row(dialect, write.before, write.after)
    except StaleWrite:
        found = yield one(Task, dialect, write.before.organization, write.before.id, locked=True)
        if not found:
            raise
        write = buffer.writes[write.before.id] = write.onto(a_task(found[0]))
        yield from update_row(dialect, write.before, write.after)


def _shared(what: Any) -> type | None:
    return what.kind if isinstance(what, Reliance) and not what.bump else None


def _touched(buffer: Remembered) -> Iterable[tuple[int, UUID, Any]]:
    """
    Return the changes to existing rows, each with the row's place in the lock order and its id.

    Raises:
        StaleWrite: If the unit relies on another version of a row than it writes.
    """
    writes = buffer.writes
    for id, write in writes.items():
        if write.before is not None:
            yield PLACE[type(write.before)], id, write
    # Before the shared locks on the same rows: two flushes that share a lock and then both write would deadlock.
    for id, agent in buffer.presence.items():
        if id not in writes or writes[id].before is not None:
            yield PLACE[Agent], id, agent
    for id, at in buffer.used.items():
        yield PLACE[ApiKey], id, at
    for (_, id), reliance in buffer.reliances.items():
        if id not in writes:
            yield PLACE[reliance.kind], id, reliance
            continue
        before, kept = writes[id].before, KEPT[reliance.kind]
        if before is not None and getattr(before, kept.version) != reliance.version:
            raise StaleWrite(KEPT[reliance.kind].name, id)


def _heard(dialect: str, agent: Agent, *, alone: bool) -> Ask:
    presence = presence_from(agent.presence)
    ask = HEARD.count(dialect, key=agent.id.bytes, organization=agent.organization.bytes, **presence)
    return ask._replace(alone=alone)


def _only_heard(buffer: Remembered) -> bool:
    return not (buffer.once or buffer.operations or buffer.facts)


def _remove_and_add(dialect: str, buffer: Remembered) -> Steps[None]:
    writes = sorted(buffer.writes.values(), key=_place_of)
    gone, come = _links(writes, "depends_on", lambda task: task.depends_on)
    dropped, taken = _links(writes, "mark", lambda task: task.carries)
    if gone:
        yield WAIT_NO_MORE.many(dialect, gone)
    if dropped:
        yield DROP.many(dialect, dropped)
    for write in writes:
        if write.after is None:
            yield from _remove(dialect, write.before)
    for write in writes:
        if write.before is None and write.after is not None:
            heard = buffer.presence.get(write.after.id)
            yield from insert_row(dialect, evolve(write.after, presence=heard.presence) if heard else write.after)
    if come:
        yield WAIT.many(dialect, come)
    if taken:
        yield CARRY.many(dialect, taken)


def _place_of(write: Write) -> tuple[int, UUID]:
    shape = write.after or write.before
    return PLACE[type(shape)], shape.id


def _remove(dialect: str, row: Any) -> Steps[None]:
    for kind in going_with(type(row)):
        yield drop_with(kind, type(row)).count(dialect, owner=row.organization.bytes, key=row.id.bytes)
    for kind, name, _ in forgetting(type(row)):
        yield forget(kind, name).count(dialect, owner=row.organization.bytes, key=row.id.bytes)
    if isinstance(row, Agent):
        yield DELETE_KEYS.count(dialect, agent=row.id.bytes)
    if isinstance(row, Task):
        yield DELETE_RUNS.count(dialect, task=row.id.bytes)
        # The task is locked, so every unit that made another task depend on it has committed and is visible here.
        if not (yield DELETE_TASK.count(dialect, key=row.id.bytes)):
            raise StaleWrite("task", row.id)
        return
    plain, table = KIND_OF.get(type(row)), KEPT[type(row)].table
    if plain is not None and plain.in_use is not None:
        # The row is locked here, too: every unit that put it on a task has committed.
        if not (yield delete_unused(table).count(dialect, key=row.id.bytes)):
            raise plain.in_use
        return
    if plain is not None and plain.carried:
        yield DROP_EVERYWHERE.count(dialect, key=row.id.bytes)
    yield delete_of(table).count(dialect, key=row.id.bytes)


@shaped
def delete_unused(table: Table) -> Executable:
    """
    Delete a row that no task refers to.
    """
    return delete(table).where(table.c.id == value("key"), ~exists().where(marks.c.mark == value("key")))


def _links(
    writes: Iterable[Write], name: str, ids_of: Callable[[Task], Collection[UUID]]
) -> tuple[list[dict[str, bytes]], list[dict[str, bytes]]]:
    """
    Return the links between tasks and ids that the writes remove, and those that they add.
    """
    gone: list[dict[str, bytes]] = []
    come: list[dict[str, bytes]] = []
    for write in writes:
        shape = write.after or write.before
        if not isinstance(shape, Task):
            continue
        was = ids_of(write.before) if write.before else ()
        now = ids_of(write.after) if write.after else ()
        if was != now:
            gone += [{"task": shape.id.bytes, name: each.bytes} for each in was if each not in now]
            come += [{"task": shape.id.bytes, name: each.bytes} for each in now if each not in was]
    return gone, come


def _under_the_head(dialect: str, buffer: Remembered, results: Done, *, at: datetime) -> Steps[None]:
    """
    Lock the organization's head row and update the queue, the counters and the log. On PostgreSQL this is one
    statement, unless it could change a row twice.

    Raises:
        StaleWrite: If a claimed task depends on a task that was reopened since the claim was decided.
    """
    principal = buffer.principal
    tasks_changed = _tasks_of(buffer, results)
    facts = [*results.facts, *buffer.facts]
    places = buffer.places | results.places | places_of(write.after or write.before for write in tasks_changed)
    parts = [
        *results.parts,
        *requeued(tasks_changed),
        *tallied(dialect, tasks_changed),
        *pulsed(dialect, principal.organization, facts, tasks_changed, places, at=at),
    ]
    if not facts and not parts:
        return
    head = yield from lock_head(dialect, principal.organization)
    for write in buffer.writes.values():
        if isinstance(write.after, Agent) and write.before and write.before.name_key != write.after.name_key:
            yield from rename_queue(dialect, write.before, write.after)
    parts += appended(principal.organization, principal.actor, facts, head)
    together = dialect == "postgresql" and len(tasks_changed) < 2 and len(parts) > 1
    left = yield from (done_together if together else done_in_turn)(dialect, parts)
    if results.claimed and any(open_dependencies for (open_dependencies,) in left):
        raise StaleWrite("task", results.claimed[0].id)


def _tasks_of(buffer: Remembered, results: Done) -> list[Write]:
    """
    Return the changes of tasks, folded into one write per task.
    """
    folded: dict[UUID, Write] = {}
    for write in (*results.writes, *buffer.writes.values()):
        shape = write.after or write.before
        if isinstance(shape, Task):
            first = folded.get(shape.id, write)
            folded[shape.id] = Write(before=first.before, after=write.after)
    return list(folded.values())
