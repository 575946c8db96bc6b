"""
The write buffer of a unit of work: everything that its commit will change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import field

from mission_adapters.row_parts import ROW_PARTS, whole_row
from mission_core.accounts.model import ApiKey
from mission_core.agents.model import Agent
from mission_core.boards.model import Board
from mission_core.entity_changes import evolve
from mission_core.errors import StaleWrite
from mission_core.lazy_attrs import define, frozen
from mission_core.tasks.model import Task
from mission_core.tasks.runs import Run
from mission_core.use_case import may_use_remembered_rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.decision_operations import Operation
    from mission_adapters.row_memory import RowMemory
    from mission_core.accounts.model import Principal
    from mission_core.events.model import Event
    from mission_core.ids import AgentId
    from mission_core.ports import IdempotencyKey, RowPart, Versioned
    from mission_core.tasks.ports import TaskChange

ENTITIES_WITHOUT_KIND: Final = (Board, Agent, ApiKey, Task, Run)
"""The entities that no `Kind` declares, in the order in which a flush writes them. The entities of kinds follow."""


@frozen(kw_only=True)
class RowWrite:
    """
    The change of one row: *before* as it was loaded (None for a new row), *after* as it will be stored (None for a
    deleted row). With *merges_edits*, the write of a task is merged with edits that others committed meanwhile.
    """

    before: Any
    after: Any
    merges_edits: bool = False

    def merged_onto(self, fresh: Any) -> RowWrite:
        """
        The same change, applied to the current row.

        Raises:
            StaleWrite: If the row was changed so that the two changes conflict.
        """
        return RowWrite(before=fresh, after=self.after.merged_onto(self.before, fresh))


@frozen
class ReadDependency:
    """
    A read dependency: a row, or a part of one, that must still have this version at commit. With *bump*, the version of
    the row is raised then.
    """

    kind: type
    id: UUID
    version: Any
    bump: bool


@define
class WriteBuffer:
    """
    All changes of one unit of work, for its principal. Several writes of one row are merged into one.
    """

    principal: Principal
    idempotency_key: IdempotencyKey | None = None
    writes: dict[UUID, RowWrite] = field(factory=dict)
    read_dependencies: dict[tuple[type, UUID], ReadDependency] = field(factory=dict)
    presence: dict[UUID, Agent] = field(factory=dict)
    used_keys: dict[UUID, datetime] = field(factory=dict)
    events: list[Event] = field(factory=list)
    boards_of_tasks: dict[UUID, UUID] = field(factory=dict)
    """The boards of the loaded tasks, by task id."""
    operations: list[Operation] = field(factory=list)
    result: UUID | None = None
    loaded: dict[UUID, Any] = field(factory=dict)
    """The loaded rows by id, each as it was first loaded."""
    memory: RowMemory | None = None
    remembered: dict[UUID, Any] = field(factory=dict)
    """The rows that were not read, but remembered by the store. The flush must find that none of them has changed."""
    changes: list[TaskChange] = field(factory=list)
    """The changes that the operations have made, as the flush has written them."""
    without_dependents: list[UUID] = field(factory=list)
    """The tasks that are assumed to have no dependents. The flush must find that none of them has one."""
    assignee_agents: dict[UUID, AgentId | None] = field(factory=dict)
    """The agents with the names of assignees, by the ids of the written tasks, as the flush has read them."""
    price_changes: int | None = None
    """The number of changes of the price overrides by which the unit asked for prices; None if it did not ask. The
    flush of an entry of the token ledger must find that there are no more."""

    def entity(self, entity: type, id: UUID) -> Any | None:
        """
        The row with this id as the unit wrote, loaded or removed it, or None if it did none of these.
        """
        write = self.writes.get(id)
        return (write.after or write.before) if write else self.loaded.get(id)

    def remembered_row(self, kind: type, principal: Principal, key: UUID | int | str) -> Any | None:
        """
        The row with this id, number or name key as the store remembers it, if the principal may see it. None means that
        the row must be read.
        """
        if self.memory is None or not may_use_remembered_rows.get():
            return None
        row = self.memory.find(kind, principal, key)
        if row is None:
            return None
        if row.id in self.loaded:
            return self.remembered.get(row.id)
        self.remembered[row.id] = self.loaded[row.id] = row
        return row

    def may_assume_no_dependents(self, task: UUID) -> bool:
        """
        Assume that no task depends on this one, if the store remembers it so.
        """
        memory = self.memory
        if memory is None or not may_use_remembered_rows.get() or memory.has_dependents(task) is not False:
            return False
        self.without_dependents.append(task)
        return True

    def rely_on_remembered(self) -> None:
        """
        Rely on all remembered rows that no update checks. With operations they are checked before these instead
        (`remembered_unchecked`), because an operation may change or lock them.

        Raises:
            StaleWrite: If the unit relies on another version of a remembered row.
        """
        for id, row in self.remembered.items():
            kind = type(row)
            known = self.read_dependencies.get((kind, id))
            if known is not None and known.version != row.version:
                raise StaleWrite(kind.__name__.lower(), id)
            if self.operations or id in self.writes or id in self.presence or (known is not None and known.bump):
                continue
            if kind is Board:
                self._drop_unchanged_parts(kind, row)  # such as its gates
            if known is not None:
                del self.read_dependencies[kind, id]
            whole = whole_row(row)
            self.read_dependencies[type(whole), id] = ReadDependency(type(whole), id, whole.version, bump=False)

    def remembered_unchecked(self) -> list[Any]:
        """
        The remembered rows that the flush must check before its operations, because nothing later checks all of them.
        """
        found = []
        for id, row in self.remembered.items():
            write, relied = self.writes.get(id), self.read_dependencies.get((type(row), id))
            unwritten = bool(self.operations) or (relied is not None and relied.bump)
            if unwritten if write is None else write.after is None:
                found.append(row)
        return found

    def remember_written(self) -> None:
        """
        Let the store remember the rows as they were committed.
        """
        if self.memory is not None:
            for write in self.writes.values():
                if isinstance(write.after or write.before, Agent):
                    for agent in _with_another_name(write):
                        self.memory.forget_assigned(agent)
                if write.after is None:
                    self.memory.forget(write.before)
                    continue
                self.remember_committed(write.after)
                if isinstance(write.after, Task) and write.before is None:
                    self.memory.note_dependents(write.after.id, False)
            for write in self.writes.values():
                if isinstance(write.after, Task):
                    for each in write.after.depends_on:
                        self.memory.note_dependents(each, True)
            for id, agent in self.presence.items():
                if id not in self.writes:
                    self.memory.remember(agent)

    def remember_changes(self) -> None:
        """
        Let the store remember the tasks and runs that the operations have changed.
        """
        for change in self.changes:
            for row in (change.task, change.run, change.heartbeat, change.new_run):
                if row is not None:
                    self.remember_committed(row)
            if change.late_result is not None and self.memory is not None:
                self.memory.forget_task(change.late_result.task)  # which has counted it

    def remember_committed(self, row: Any) -> None:
        """
        Let the store remember a row as it was committed, a task with the agent of its assignee's name.
        """
        if self.memory is None:
            return
        is_read = isinstance(row, Task) and row.id in self.assignee_agents
        if is_read and row.assignee is not None and row.assignee.agent is None:
            row = evolve(row, assignee=evolve(row.assignee, agent=self.assignee_agents[row.id]))
        self.memory.remember(row, agent_is_read=is_read)

    def boards(self) -> Iterable[Board]:
        """
        The boards that the unit loaded.
        """
        return [row for row in self.loaded.values() if isinstance(row, Board)]

    def add_read_dependency(self, kind: type, row: Versioned | RowPart, *, bump: bool) -> None:
        """
        Add a read dependency on *row*. The first version that was read counts. A row that the unit has written needs
        none, and neither does a part of a row on which the unit relies as a whole.

        Raises:
            TypeError: If a part of a row shall be bumped, which has no version of its own to raise.
        """
        if bump and kind in ROW_PARTS:
            raise TypeError(f"only a whole {ROW_PARTS[kind][0].__name__} can be bumped")
        if self.writes and row.id in self.writes:
            return
        known = None
        if self.read_dependencies:  # most units rely on one row
            if kind in ROW_PARTS and (ROW_PARTS[kind][0], row.id) in self.read_dependencies:
                return
            self._drop_unchanged_parts(kind, row)
            known = self.read_dependencies.get((kind, row.id))
        version = known.version if known else row.version
        self.read_dependencies[kind, row.id] = ReadDependency(
            kind, row.id, version, bump or (known.bump if known else False)
        )

    def _drop_unchanged_parts(self, kind: type, row: Any) -> None:
        """
        Drop the dependencies on parts of a row that have not changed since, because the unit relies on all of it. A
        bump would change the version that a part is compared with.
        """
        for part, (entity, part_of) in ROW_PARTS.items():
            earlier = self.read_dependencies.get((part, row.id)) if entity is kind else None
            if earlier is not None and earlier.version == part_of(row).version:
                del self.read_dependencies[part, row.id]


def _with_another_name(write: RowWrite) -> Iterable[Agent]:
    """
    The states of an agent before and after its write, if it gets or loses a name.
    """
    before, after = write.before, write.after
    if before is not None and after is not None and before.name_key == after.name_key:
        return ()
    return tuple(each for each in (before, after) if each is not None)
