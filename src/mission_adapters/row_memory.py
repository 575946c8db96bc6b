"""
The memory of a store: the boards, agents, tasks and runs that its units of work read or wrote last.

A remembered row may be outdated, because another process can have changed it. So what a unit of work decides on it
counts only once the row is known to be still the same; see `BufferedUnitOfWork`.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from attrs import field, fields

from mission_core.accounts.model import may_read_board
from mission_core.agents.model import Agent
from mission_core.boards.model import Board
from mission_core.entity_changes import evolve
from mission_core.lazy_attrs import define
from mission_core.tasks.model import Task
from mission_core.tasks.runs import Run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from mission_core.accounts.model import Principal

REMEMBERED_KINDS: Final = frozenset({Board, Agent, Task, Run})
"""The entities that most writes begin with."""
LONGEST_TEXTS: Final = 10_000
"""The greatest length that the texts of a remembered row have together, so that a memory stays small."""
TEXT_TYPES: Final = frozenset({"str", "str | None", "JsonText", "JsonText | None"})


@cache
def _texts_of(kind: Any) -> Callable[[Any], tuple[str | None, ...]]:
    """
    Return the function that returns the values of all text fields of a row of this class.
    """
    return attrgetter(*(each.name for each in fields(kind) if each.type in TEXT_TYPES))


@define(eq=False)
class RowMemory:
    """
    The rows of one store that were used last, at most *size* of them, with at most *characters* of text.

    Args:
        are_unchanged: Reads whether the stored rows are still the same as these, in every column.
    """

    are_unchanged: Callable[[Collection[Any]], Awaitable[bool]]
    size: int = 8192
    characters: int = 8_000_000
    _characters: int = field(default=0, init=False)
    _rows: OrderedDict[tuple[type, UUID], Any] = field(factory=OrderedDict, init=False)
    _ids: dict[tuple[type, UUID, int | str], UUID] = field(factory=dict, init=False)
    """The ids by class, organization, and number or name key of an agent."""
    _has_dependents: OrderedDict[UUID, bool] = field(factory=OrderedDict, init=False)
    """Whether other tasks depend on a task, as this store knows of those it has added or read."""

    def find(self, kind: type, principal: Principal, key: UUID | int | str) -> Any | None:
        """
        The remembered row with this id, number or name key, if the principal may see it.
        """
        id = key if isinstance(key, UUID) else self._ids.get((kind, principal.organization, key))
        row = None if id is None else self._rows.get((kind, id))
        own = principal.organization
        if row is None or (row.organization is not own and row.organization != own):
            return None
        if not may_read_board(principal, row.id if kind is Board else row.board):
            return None
        self._rows.move_to_end((kind, row.id))
        return row

    def remember(self, row: Any, *, agent_is_read: bool = False) -> None:
        """
        Remember a committed row, unless a later version of it is known.

        Args:
            agent_is_read: Whether the store was asked for the agent with the assignee's name.
        """
        kind = type(row)
        if kind not in REMEMBERED_KINDS:
            return
        known = self._rows.get((kind, row.id))
        if known is not None:
            if known.version > row.version:
                return
            if kind is Board and known == row:  # one that was not read anew
                self._rows.move_to_end((kind, row.id))
                return
            self.forget(known)
        # An agent with the assignee's name may exist, which a read would tell.
        may_have_agent = kind is Task and row.assignee and row.assignee.agent is None and not agent_is_read
        length = _text_length(row)
        if may_have_agent or length > LONGEST_TEXTS:
            return
        # A copy, because a store may know by its identity which entity a commit wrote.
        self._rows[kind, row.id] = evolve(row)
        for name in _names_of(row):
            self._ids[kind, row.organization, name] = row.id
        self._characters += length
        while len(self._rows) > self.size or self._characters > self.characters:
            self.forget(next(iter(self._rows.values())))

    def note_dependents(self, task: UUID, exist: bool) -> None:
        """
        Remember whether other tasks depend on this one.
        """
        self._has_dependents.pop(task, None)
        self._has_dependents[task] = exist
        if len(self._has_dependents) > self.size:
            self._has_dependents.popitem(last=False)

    def has_dependents(self, task: UUID) -> bool | None:
        """
        Whether other tasks depend on this one, or None if that is not known.
        """
        return self._has_dependents.get(task)

    def forget_ids(self, ids: Iterable[UUID]) -> None:
        """
        Forget the rows with these ids.
        """
        for id in ids:
            self.forget(*(row for kind in REMEMBERED_KINDS if (row := self._rows.get((kind, id))) is not None))

    def forget_task(self, task: UUID) -> None:
        """
        Forget a task.
        """
        known = self._rows.get((Task, task))
        if known is not None:
            self.forget(known)

    def forget_assigned(self, agent: Agent) -> None:
        """
        Forget the tasks that are assigned to this agent, by its id or by its name alone.
        """
        for row in list(self._rows.values()):
            assignee = row.assignee if isinstance(row, Task) else None
            if assignee is None:
                continue
            by_name = assignee.agent is None and row.organization == agent.organization
            if assignee.agent == agent.id or (by_name and assignee.key == agent.name_key):
                self.forget(row)

    def forget(self, *rows: Any) -> None:
        """
        Forget rows.
        """
        for row in rows:
            kind = type(row)
            known = self._rows.pop((kind, row.id), None)
            if known is None:
                continue
            self._characters -= _text_length(known)
            for name in _names_of(known):
                if self._ids.get((kind, known.organization, name)) == known.id:
                    del self._ids[kind, known.organization, name]


def _names_of(row: Any) -> tuple[int | str, ...]:
    """
    The number of a row, and the name key of an agent.
    """
    if isinstance(row, Run):
        return ()
    return (row.number, row.name_key) if isinstance(row, Agent) else (row.number,)


def _text_length(row: Any) -> int:
    """
    The length of the texts of a row together.
    """
    kind: Any = type(row)
    texts = _texts_of(kind)(row)
    if isinstance(row, Run) and row.outcome is not None:
        texts += (row.outcome.resolution, row.outcome.output)
    return sum(map(len, filter(None, texts)))
