"""
The memory store. It keeps everything in dictionaries. A flush contains no await, so it is atomic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from mission_adapters.budgeted_rows import budgeted_rows
from mission_adapters.clocks import SystemClock
from mission_adapters.counter_registry import budget_amounts, counted_entities
from mission_adapters.memory.agents import AgentTable
from mission_adapters.memory.api_keys import ApiKeyTable
from mission_adapters.memory.boards import BoardTable
from mission_adapters.memory.counters import MemoryCounters
from mission_adapters.memory.credential_store import MemoryCredentialStore
from mission_adapters.memory.decision_operations import OperationRunner
from mission_adapters.memory.entity_loader import MemoryEntityLoader
from mission_adapters.memory.event_log import MemoryEventLog
from mission_adapters.memory.housekeeping import MemoryHousekeeping
from mission_adapters.memory.idempotency_keys import IdempotencyKeys
from mission_adapters.memory.kind_tables import EntityTables, KindTables
from mission_adapters.memory.number_sequences import MemoryNumberSequences
from mission_adapters.memory.reads import MemoryReads
from mission_adapters.memory.runs import RunTable
from mission_adapters.memory.tables import UndoLog
from mission_adapters.memory.tasks import TaskTable
from mission_adapters.row_parts import ROW_PARTS
from mission_adapters.unit_of_work import BufferedUnitOfWork
from mission_adapters.write_buffer import ENTITIES_WITHOUT_KIND, RowWrite, WriteBuffer
from mission_core.accounts.model import ApiKey, SystemPrincipal
from mission_core.agents.model import Agent
from mission_core.boards.model import Board
from mission_core.entity_changes import evolve
from mission_core.errors import StaleWrite
from mission_core.events.counters import CountedChanges
from mission_core.kinds import kind_of
from mission_core.tasks.counters import boards_of_tasks
from mission_core.tasks.model import Task
from mission_core.tasks.runs import Assignee, Run
from mission_core.usage.counters import PRICE_OVERRIDES_NAME
from mission_core.values import micros

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.entity_loader import EntityLoader
    from mission_adapters.memory.interleaving import Interleaving
    from mission_core.accounts.model import Principal
    from mission_core.events.model import Event
    from mission_core.ids import OrganizationId
    from mission_core.ports import Clock, IdempotencyKey
    from mission_core.usage.price_overrides import PriceOverrides


class MemoryStore:
    """
    Keeps everything for as long as the process lives.

    Args:
        interleave: A random seed. With it, every read of a unit and every commit first yields to other tasks, as with a
            database, so that lost races show in tests.
    """

    def __init__(self, clock: Clock | None = None, *, interleave: int | None = None) -> None:
        self.clock = clock or SystemClock()
        self.memory = None  # a read costs nothing here
        self.interleaving = None if interleave is None else _new_interleaving(interleave)
        self.journal = journal = UndoLog()
        self.log = MemoryEventLog(journal)
        self.numbers = MemoryNumberSequences()
        self.idempotency_keys = IdempotencyKeys(journal)
        self.counters = MemoryCounters(journal)
        self.price_changes: dict[OrganizationId, int] = {}
        """The number of changes of price overrides by organization."""
        boards, agents, keys, runs = BoardTable(journal), AgentTable(journal), ApiKeyTable(journal), RunTable(journal)
        tasks = TaskTable(journal, agents)
        self.tables = EntityTables(journal)
        self.tables |= {Board: boards, Agent: agents, ApiKey: keys, Task: tasks, Run: runs}
        self.kind_tables = KindTables(self.tables)
        self.boards, self.agents, self.keys, self.tasks, self.runs = boards, agents, keys, tasks, runs
        self.loader: EntityLoader = MemoryEntityLoader(boards, agents, keys, tasks, runs, self.kind_tables)
        self.credentials = MemoryCredentialStore(keys, agents, self.kind_tables, boards, journal)
        self.reads = MemoryReads(self)
        self.housekeeping = MemoryHousekeeping(self)
        if self.interleaving is not None:
            over = self.interleaving.over
            self.loader, self.credentials, self.numbers = over(self.loader), over(self.credentials), over(self.numbers)

    def unit(self, principal: Principal, *, once: IdempotencyKey | None = None) -> BufferedUnitOfWork:
        """
        A unit of work for this principal.
        """
        return BufferedUnitOfWork(self, principal, once)

    def price_overrides(self, organization: OrganizationId) -> PriceOverrides | None:
        """
        The price overrides of an organization; None if it never had one.
        """
        changes = self.price_changes.get(organization)
        if changes is None:
            return None
        from mission_core.usage.price_overrides import PRICE_OVERRIDES, PriceOverrides  # few organizations have some

        found = self.kind_tables[PRICE_OVERRIDES].matching(SystemPrincipal(organization=organization), {})
        return PriceOverrides(prices=tuple(found), changes=changes)

    async def flush(self, buffer: WriteBuffer) -> Any:
        """
        Apply all changes of a unit or none, as `UnitOfWork.commit` promises.
        """
        if self.interleaving is not None:
            await self.interleaving.pause()
        try:
            answer = self._apply(buffer)
        except BaseException:
            self.journal.undo()
            raise
        finally:
            self.tasks.changed.clear()
        self.journal.clear()
        self.log.wake(buffer.principal.organization)
        return answer

    def _apply(self, buffer: WriteBuffer) -> Any:
        principal, once, now = buffer.principal, buffer.idempotency_key, self.clock.now()
        if once is not None:
            self.idempotency_keys.check(principal, once, at=now)
        runner = OperationRunner(principal, self, now)
        answers = [runner.run(operation) for operation in buffer.operations]
        self._check(buffer)
        for write in _in_order(buffer):
            self._write(write)
        for agent in buffer.presence.values():
            self.agents.save_presence(agent)
        for key, at in buffer.used_keys.items():
            self.keys.record_use(key, at=at)
        result = buffer.result or next((change.result for change in runner.changes if change.result), None)
        if once is not None and result is not None:
            self.idempotency_keys.store(principal, once, result, at=now)
        facts = [*(fact for change in runner.changes for fact in change.events), *buffer.events]
        facts += self._post_to_budgets(buffer, runner)
        self._update_counters(buffer, runner, facts, at=now)
        if not facts:
            return answers[-1] if answers else None
        self.credentials.by_id(principal.organization)  # raises if the organization was deleted meanwhile
        self.log.record(principal.organization, principal.actor, facts)
        return answers[-1] if answers else None

    def _post_to_budgets(self, buffer: WriteBuffer, runner: OperationRunner) -> tuple[Event, ...]:
        """
        Post what this flush changes to the accounts of budgets, and return the events that follow.

        Raises:
            BudgetReached: If a new run has no room in a hard budget.
        """
        rows = budgeted_rows(buffer.writes.values(), runner.changes, runner.deleted_runs)
        if rows.changes_prices:  # if the flush fails after all, a report is only repeated in vain
            owner = buffer.principal.organization
            self.price_changes[owner] = self.price_changes.get(owner, 0) + 1
        book = runner.budgets if rows else None
        if book is None:
            return ()
        from mission_adapters.memory.budget_book import sum_ledger  # few organizations have budgets
        from mission_core.usage.budget_accounts import BudgetedChanges, post

        at = runner.at
        created = {each.id: sum_ledger(self, each, each.period_at(at)) for each in rows.created}
        changes = BudgetedChanges(
            entries=rows.entries, started=rows.started, ended=rows.ended, created=created, updated=rows.updated
        )
        postings = post(book, changes, at=at)
        self.counters.add(buffer.principal.organization, budget_amounts(), postings.amounts)
        return postings.events

    def _update_counters(
        self, buffer: WriteBuffer, runner: OperationRunner, facts: list[Event], *, at: datetime
    ) -> None:
        own = buffer.principal.organization
        changes = [(before, self.tasks.rows.get(id)) for id, before in self.tasks.changed.items()]
        decided = (run for change in runner.changes for run in (change.new_run, change.run, change.heartbeat))
        places = buffer.boards_of_tasks | boards_of_tasks((*decided, *(after or before for before, after in changes)))
        entities = counted_entities(buffer.writes.values())
        self.counters.count(CountedChanges(own, facts, changes, places, micros(at), entities))

    def _check(self, buffer: WriteBuffer) -> None:
        """
        Require that the written rows and the read dependencies have their expected versions.

        Raises:
            StaleWrite: If one of them has changed, or prices that the unit asked for.
        """
        owner = buffer.principal.organization
        if buffer.price_changes is not None and buffer.price_changes != self.price_changes.get(owner, 0):
            raise StaleWrite(PRICE_OVERRIDES_NAME, owner, remembered=True)
        for id, write in buffer.writes.items():
            fresh = self.tasks.rows.get(id) if write.merges_edits else None
            if fresh is not None and fresh.version != write.before.version:
                buffer.writes[id] = write.merged_onto(self.tasks.with_assignee_agent(fresh))
            elif write.before is not None:
                self.tables[type(write.before)].expect(write.before.id, write.before.version)
        for reliance in buffer.read_dependencies.values():
            written = buffer.writes.get(reliance.id)
            if written is not None and written.before is None:
                continue
            if reliance.kind in ROW_PARTS:
                entity, part_of = ROW_PARTS[reliance.kind]
                row = self.tables[entity].rows.get(reliance.id)
                if row is None or part_of(row).version != reliance.version:
                    raise StaleWrite(self.tables[entity].kind, reliance.id)
                continue
            row = self.tables[reliance.kind].expect(reliance.id, reliance.version)
            if reliance.bump and written is None:
                self.tables[reliance.kind].put(evolve(row, version=row.version + 1))

    def _write(self, write: RowWrite) -> None:
        before, after = write.before, write.after
        if after is None:
            if before is not None:
                self.remove(before)
                self._require_no_dependents(before)
        elif before is None:
            self.tables[type(after)].add(after)
        elif isinstance(after, Agent):
            self.agents.put(evolve(after, presence=self.agents.rows[after.id].presence))
            if before.name != after.name:
                self._rename(before, after)
        elif isinstance(after, ApiKey):
            self.keys.put(evolve(after, last_used_at=self.keys.rows[after.id].last_used_at))
        elif isinstance(after, Run):
            self.runs.save(before, after)
        elif isinstance(after, Task):
            self.tasks.put(evolve(after, late_results=self.tasks.rows[after.id].late_results))
        else:
            self.tables[type(after)].put(after)

    def _rename(self, was: Agent, now: Agent) -> None:
        """
        Change the assignee's name on an agent's tasks and their live runs.
        """
        for task in list(self.tasks.each(self.tasks.of_assignee.of((was.organization, was.name_key)))):
            self.tasks.put(evolve(task, assignee=Assignee(now.name), version=task.version + 1))
            if task.run is not None:
                self.runs.rename(task.run, was, now)

    def remove(self, row: Any) -> None:
        """
        Delete a row and the rows that cascade from it, and clear the references that are nullable.
        """
        if isinstance(row, Agent):
            for key in self.keys.of_agent.of(row.id):
                self.keys.drop(key)
        if isinstance(row, Task):
            for run in self.runs.of_task.of(row.id):
                self.runs.drop(run)
        for table in self.kind_tables.used():
            kind = table.kind_declaration
            for name in (name for name, entity in kind.cascades_from.items() if entity is type(row)):
                for going in table.referring_to(name, row):
                    self.remove(going)
            for name in (name for name, entity in kind.nulled_on_removal_of.items() if entity is type(row)):
                for left in table.referring_to(name, row):
                    table.put(evolve(left, **{name: None}, version=left.version + 1))
        own = kind_of(type(row))
        if own is not None and own.in_use is not None and self.tasks.with_tag_or_field.count(row.id):
            raise own.in_use
        if row.id in self.tables[type(row)].rows:  # a cascade may reach it twice
            self.tables[type(row)].drop(row.id)

    def _require_no_dependents(self, row: Any) -> None:
        if isinstance(row, Task) and self.tasks.dependents.count(row.id):
            raise StaleWrite("task", row.id)  # a dependency on it was added since it was read


def _new_interleaving(seed: int) -> Interleaving:
    from mission_adapters.memory.interleaving import Interleaving  # imports asyncio, which takes longer than the store

    return Interleaving(seed)


def _in_order(buffer: WriteBuffer) -> list[RowWrite]:
    """
    The writes in an order that does not depend on the unit, deletions last: rows that refer to a deleted row are
    changed before it goes.
    """

    def place(write: RowWrite) -> tuple[bool, int, UUID]:
        row = write.after or write.before
        entity = type(row)
        first = ENTITIES_WITHOUT_KIND
        position = first.index(entity) if entity in first else len(first)
        return write.after is None, position, cast("UUID", row.id)

    return sorted((write for write in buffer.writes.values() if write.after or write.before), key=place)
