"""
The memory store. It keeps everything in dictionaries. A flush contains no await, so it is atomic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from attrs import fields, frozen

from mission_adapters.clocks import SystemClock
from mission_adapters.kinds import KIND_OF, KINDS, LOCK_ORDER
from mission_adapters.memory.agents import AgentTable, MemoryAgentReads
from mission_adapters.memory.api_keys import KeyTable
from mission_adapters.memory.approvals import MemoryApprovalReads
from mission_adapters.memory.boards import BoardTable, MemoryBoardReads
from mission_adapters.memory.conduct_reads import MemoryConductReads
from mission_adapters.memory.credential_store import MemoryCredentials
from mission_adapters.memory.events import MemoryLog
from mission_adapters.memory.idempotency_keys import UsedKeys
from mission_adapters.memory.interleaving import Interleaving
from mission_adapters.memory.member_reads import MemoryMemberReads
from mission_adapters.memory.numbers import MemoryNumbers
from mission_adapters.memory.overviews import MemoryOverviews
from mission_adapters.memory.plain import MemoryRowReads, PlainTable
from mission_adapters.memory.pulses import MemoryPulses
from mission_adapters.memory.report_reads import MemoryReportReads
from mission_adapters.memory.runs import RunTable
from mission_adapters.memory.source import MemorySource
from mission_adapters.memory.tables import Journal, Table
from mission_adapters.memory.task_reads import MemoryTaskReads
from mission_adapters.memory.tasks import TaskTable
from mission_adapters.memory.work import Desk
from mission_adapters.remembered import Remembered, Write
from mission_adapters.unit import Unit
from mission_core.accounts.model import ApiKey
from mission_core.agents.connections import CONNECTIONS
from mission_core.agents.model import Agent
from mission_core.approvals.model import APPROVAL_LINKS
from mission_core.boards.model import Board, BoardGates
from mission_core.changes import evolve
from mission_core.errors import StaleWrite
from mission_core.reports.pulse import counted, places_of
from mission_core.tasks.comments import COMMENTS
from mission_core.tasks.model import Task
from mission_core.tasks.runs import Assignee, Run

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.source import Source
    from mission_core.accounts.model import Principal
    from mission_core.accounts.organizations import Organization
    from mission_core.events.model import Fact
    from mission_core.ports import Clock, Once


@frozen
class MemoryReads:
    """
    The read ports of the memory store.
    """

    boards: MemoryBoardReads
    agents: MemoryAgentReads
    tasks: MemoryTaskReads
    used: UsedKeys
    members: MemoryMemberReads
    rows: MemoryRowReads
    credentials: MemoryCredentials
    reports: MemoryReportReads
    conduct: MemoryConductReads
    overviews: MemoryOverviews
    approvals: MemoryApprovalReads

    async def organization(self, principal: Principal) -> Organization:
        """
        The principal's organization.
        """
        return self.credentials.by_id(principal.organization)

    async def once(self, principal: Principal, once: Once, *, since: datetime) -> UUID | None:
        """
        The result stored for this idempotency key of the principal after *since*, or None.
        """
        return self.used.find(principal, once, since=since)

    async def ready(self) -> None:
        """
        Return at once: memory is always available.
        """


class MemoryStore:
    """
    Keeps everything for as long as the process lives.

    Args:
        interleave: A random seed. With it, every read of a unit and every commit first yields to other tasks, as with a
            database, so that lost races show in tests.
    """

    def __init__(self, clock: Clock | None = None, *, interleave: int | None = None) -> None:
        self.clock = clock or SystemClock()
        self.interleaving = None if interleave is None else Interleaving(interleave)
        self.journal = journal = Journal()
        self.log = MemoryLog(journal)
        self.numbers = MemoryNumbers()
        self.used = UsedKeys(journal)
        self.pulses = MemoryPulses(journal)
        boards, agents, keys, runs = BoardTable(journal), AgentTable(journal), KeyTable(journal), RunTable(journal)
        tasks = TaskTable(journal, agents)
        self.tables: dict[type, Table[Any]] = {Board: boards, Agent: agents, ApiKey: keys, Task: tasks, Run: runs}
        self.plain = {kind: PlainTable(journal, kind, self.tables) for kind in KINDS}
        self.tables |= {kind.entity: table for kind, table in self.plain.items()}
        self.boards, self.agents, self.keys, self.tasks, self.runs = boards, agents, keys, tasks, runs
        self.source: Source = MemorySource(boards, agents, keys, tasks, runs, self.plain)
        self.credentials = MemoryCredentials(keys, agents, self.plain, boards, journal)
        board_reads = MemoryBoardReads(boards, tasks, agents, self.numbers)
        task_reads = MemoryTaskReads(boards, agents, tasks, runs, self.plain)
        self.reads = MemoryReads(
            board_reads,
            MemoryAgentReads(agents, keys, self.plain[CONNECTIONS]),
            task_reads,
            self.used,
            MemoryMemberReads(self.plain),
            MemoryRowReads(self.plain),
            self.credentials,
            MemoryReportReads(boards, agents, tasks, self.pulses, self.plain),
            MemoryConductReads(self.log, agents, tasks, self.plain[COMMENTS]),
            MemoryOverviews(board_reads, agents, task_reads, self.plain[APPROVAL_LINKS]),
            MemoryApprovalReads(tasks, self.plain[APPROVAL_LINKS]),
        )
        if self.interleaving is not None:
            over = self.interleaving.over
            self.source, self.credentials, self.numbers = over(self.source), over(self.credentials), over(self.numbers)
            self.reads = MemoryReads(*(over(getattr(self.reads, each.name)) for each in fields(MemoryReads)))

    def unit(self, principal: Principal, *, once: Once | None = None) -> Unit:
        """
        A unit of work for this principal.
        """
        return Unit(self, principal, once)

    async def flush(self, remembered: Remembered) -> Any:
        """
        Apply all changes of a unit or none, as `UnitOfWork.commit` promises.
        """
        if self.interleaving is not None:
            await self.interleaving.pause()
        try:
            answer = self._made(remembered)
        except BaseException:
            self.journal.undo()
            raise
        finally:
            self.tasks.touched.clear()
        self.journal.forget()
        self.log.wake(remembered.principal.organization)
        return answer

    def _made(self, remembered: Remembered) -> Any:
        principal, once, now = remembered.principal, remembered.once, self.clock.now()
        if once is not None:
            self.used.check(principal, once, at=now)
        desk = Desk(principal, self)
        answers = [desk.perform(operation) for operation in remembered.operations]
        self._check(remembered)
        for write in _in_order(remembered):
            self._write(write)
        for agent in remembered.presence.values():
            self.agents.present(agent)
        for key, at in remembered.used.items():
            self.keys.use(key, at=at)
        result = remembered.result or next((change.result for change in desk.made if change.result), None)
        if once is not None and result is not None:
            self.used.keep(principal, once, result, at=now)
        facts = [*(fact for change in desk.made for fact in change.facts), *remembered.facts]
        self._count(remembered, desk, facts, at=now)
        if not facts:
            return answers[-1] if answers else None
        self.credentials.by_id(principal.organization)  # raises if the organization was deleted meanwhile
        self.log.record(principal.organization, principal.actor, facts)
        return answers[-1] if answers else None

    def _count(self, remembered: Remembered, desk: Desk, facts: list[Fact], *, at: datetime) -> None:
        own = remembered.principal.organization
        changes = [(before, self.tasks.rows.get(id)) for id, before in self.tasks.touched.items()]
        decided = (run for change in desk.made for run in (change.new_run, change.run, change.beat))
        places = remembered.places | places_of((*decided, *(after or before for before, after in changes)))
        self.pulses.count(own, counted(facts, changes, own=own, places=places, at=at))

    def _check(self, remembered: Remembered) -> None:
        """
        Require that the written rows and the read dependencies have their expected versions.

        Raises:
            StaleWrite: If one of them has changed.
        """
        for id, write in remembered.writes.items():
            fresh = self.tasks.rows.get(id) if write.onto_edits else None
            if fresh is not None and fresh.version != write.before.version:
                remembered.writes[id] = write.onto(self.tasks.resolved(fresh))
            elif write.before is not None:
                self.tables[type(write.before)].expect(write.before.id, write.before.version)
        for reliance in remembered.reliances.values():
            written = remembered.writes.get(reliance.id)
            if written is not None and written.before is None:
                continue
            if reliance.kind is BoardGates:
                board = self.boards.rows.get(reliance.id)
                if board is None or board.gates_as_read.version != reliance.version:
                    raise StaleWrite("board", reliance.id)
                continue
            row = self.tables[reliance.kind].expect(reliance.id, reliance.version)
            if reliance.bump and written is None:
                self.tables[reliance.kind].put(evolve(row, version=row.version + 1))

    def _write(self, write: Write) -> None:
        before, after = write.before, write.after
        if after is None:
            if before is not None:
                self.remove(before)
                self._nobody_waits(before)
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
        for task in list(self.tasks.each(self.tasks.of_name.of((was.organization, was.name_key)))):
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
        for kind, table in self.plain.items():
            for name in (name for name, entity in kind.goes_with.items() if entity is type(row)):
                for going in table.naming(name, row):
                    self.remove(going)
            for name in (name for name, entity in kind.forgets.items() if entity is type(row)):
                for left in table.naming(name, row):
                    table.put(evolve(left, **{name: None}, version=left.version + 1))
        own = KIND_OF.get(type(row))
        if own is not None and own.in_use is not None and self.tasks.carrying.count(row.id):
            raise own.in_use
        if row.id in self.tables[type(row)].rows:  # a cascade may reach it twice
            self.tables[type(row)].drop(row.id)

    def _nobody_waits(self, row: Any) -> None:
        if isinstance(row, Task) and self.tasks.dependents.count(row.id):
            raise StaleWrite("task", row.id)  # a dependency on it was added since it was read


def _in_order(remembered: Remembered) -> list[Write]:
    """
    The writes in lock order, deletions last: rows that refer to a deleted row are changed before it goes.
    """

    def place(write: Write) -> tuple[bool, int, UUID]:
        row = write.after or write.before
        return write.after is None, LOCK_ORDER.index(type(row)), cast("UUID", row.id)

    return sorted((write for write in remembered.writes.values() if write.after or write.before), key=place)
