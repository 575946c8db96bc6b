"""
Memory entries of boards and board groups.

An entry with the tag `chat` is a chat message. Entries cannot be changed or deleted; they are deleted with their board
or group.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from attrs import Attribute, field, frozen
from attrs.validators import optional

from mission_core.boards.groups import BoardGroup
from mission_core.boards.model import Board
from mission_core.errors import InvalidField, NotFound
from mission_core.events.model import Fact
from mission_core.field_types import typed
from mission_core.ids import BoardId, GroupId, MemoryId, MemoryNumber, OrganizationId
from mission_core.kinds import Kind
from mission_core.tasks.mentions import names_in
from mission_core.values import aware, checked_text, text

LONGEST_ENTRY: Final = 1_000_000
LONGEST_SOURCE: Final = 20_000
"""As long as the longest name of a person."""
LONGEST_TAG: Final = 200
MOST_TAGS: Final = 100
CHAT: Final = "chat"
"""The tag of chat messages."""
BROADCAST: Final = "broadcast"
EVERYBODY: Final = "all"
"""The name that mentions everybody in a group."""


class EntryNotFound(NotFound):
    """
    There is no such entry.
    """

    def __str__(self) -> str:
        return "Memory entry not found"


def _tags_kept(instance: object, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    if len(value) > MOST_TAGS:
        raise InvalidField(attribute.name, f"must have at most {MOST_TAGS} items", len(value))
    for tag in value:
        checked_text(attribute.name, tag, most=LONGEST_TAG)


def _says_something(instance: object, attribute: Attribute[Any], value: str) -> None:
    if not checked_text(attribute.name, value, most=LONGEST_ENTRY).strip():
        raise InvalidField(attribute.name, "must have at least 1 character", value)


@frozen(kw_only=True, field_transformer=typed)
class BoardEntry:
    """
    An entry in a board's memory. *source* is a free text that says who wrote it or where it is from.
    """

    id: MemoryId
    number: MemoryNumber
    organization: OrganizationId
    board: BoardId
    content: str = field(validator=_says_something)
    tags: tuple[str, ...] | None = field(default=None, validator=optional(_tags_kept))
    source: str | None = field(default=None, validator=optional(text(most=LONGEST_SOURCE)))
    chat: bool = False
    created_at: datetime = field(validator=aware)
    version: int = 0

    def written(self) -> BoardEntryWritten:
        """
        The event of its creation.
        """
        return BoardEntryWritten(
            entry=self.id, board=self.board, chat=self.chat, tags=self.tags, source=self.source,
            length=len(self.content), at=self.created_at,
        )  # fmt: skip


@frozen(kw_only=True, field_transformer=typed)
class GroupEntry:
    """
    An entry in the memory that the boards of a group share.
    """

    id: MemoryId
    number: MemoryNumber
    organization: OrganizationId
    group: GroupId
    content: str = field(validator=_says_something)
    tags: tuple[str, ...] | None = field(default=None, validator=optional(_tags_kept))
    source: str | None = field(default=None, validator=optional(text(most=LONGEST_SOURCE)))
    chat: bool = False
    created_at: datetime = field(validator=aware)
    version: int = 0

    def written(self) -> GroupEntryWritten:
        """
        The event of its creation.
        """
        return GroupEntryWritten(
            entry=self.id, group=self.group, chat=self.chat, tags=self.tags, source=self.source,
            length=len(self.content), at=self.created_at,
        )  # fmt: skip


BOARD_MEMORY: Final = Kind(
    entity=BoardEntry,
    name="board_memory",
    missing=EntryNotFound,
    found_by=(("board",), ("board", "chat")),
    goes_with={"board": Board},
)
GROUP_MEMORY: Final = Kind(
    entity=GroupEntry,
    name="group_memory",
    missing=EntryNotFound,
    found_by=(("group",), ("group", "chat")),
    goes_with={"group": BoardGroup},
)


@frozen(kw_only=True)
class BoardEntryWritten(Fact):
    """
    An entry was added to a board's memory. The event has its length, not its text, which is deleted with the board.
    """

    kind = "board.memory_written"
    about = "entry"

    entry: MemoryId
    board: BoardId
    chat: bool
    tags: tuple[str, ...] | None
    source: str | None
    length: int


@frozen(kw_only=True)
class GroupEntryWritten(Fact):
    """
    An entry was added to a group's memory. The event has its length, not its text, which is deleted with the group.
    """

    kind = "group.memory_written"
    about = "entry"

    entry: MemoryId
    group: GroupId
    chat: bool
    tags: tuple[str, ...] | None
    source: str | None
    length: int


def is_chat(tags: Sequence[str] | None) -> bool:
    """
    Whether an entry with these tags is chat.
    """
    return CHAT in (tags or ())


def is_for_others(content: str, tags: Sequence[str] | None) -> bool:
    """
    Whether a group's entry is addressed to readers: it is chat, a broadcast, or mentions everybody.
    """
    return is_chat(tags) or BROADCAST in (tags or ()) or EVERYBODY in names_in(content)
