"""
Memory entries of boards and board groups.

An entry with the tag `chat` is a chat message. Entries cannot be changed or deleted; they are deleted with their board
or group.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from attrs import Attribute, field
from attrs.validators import optional

from mission_core.boards.groups import BoardGroup
from mission_core.boards.model import Board
from mission_core.errors import InvalidField, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import BoardId, GroupId, MemoryId, MemoryNumber, OrganizationId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.tasks.mentions import names_in
from mission_core.values import checked_text, text, utc_moment

MAX_ENTRY_LENGTH: Final = 1_000_000
MAX_SOURCE_LENGTH: Final = 20_000
"""As long as the longest name of a person."""
MAX_TAG_LENGTH: Final = 200
MAX_TAGS: Final = 100
CHAT_TAG: Final = "chat"
"""The tag of chat messages."""
BROADCAST_TAG: Final = "broadcast"
MENTION_ALL: Final = "all"
"""The name that mentions everybody in a group."""


class MemoryEntryNotFound(NotFound):
    """
    There is no such entry.
    """

    code = "entry_not_found"
    says = "Memory entry not found"


def _tags_kept(instance: object, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    if len(value) > MAX_TAGS:
        raise InvalidField(attribute.name, f"must have at most {MAX_TAGS} items", len(value))
    for tag in value:
        checked_text(attribute.name, tag, most=MAX_TAG_LENGTH)


def _not_blank(instance: object, attribute: Attribute[Any], value: str) -> None:
    if not checked_text(attribute.name, value, most=MAX_ENTRY_LENGTH).strip():
        raise InvalidField(attribute.name, "must have at least 1 character", value)


@frozen(kw_only=True, field_transformer=with_type_validators)
class BoardMemoryEntry:
    """
    An entry in a board's memory. *source* is a free text that says who wrote it or where it is from.
    """

    id: MemoryId
    number: MemoryNumber
    organization: OrganizationId
    board: BoardId
    content: str = field(validator=_not_blank)
    tags: tuple[str, ...] | None = field(default=None, validator=optional(_tags_kept))
    source: str | None = field(default=None, validator=optional(text(most=MAX_SOURCE_LENGTH)))
    chat: bool = False
    created_at: datetime = field(validator=utc_moment)
    version: int = 0

    def written_event(self) -> BoardMemoryWritten:
        """
        The event that records the creation of the entry.
        """
        return BoardMemoryWritten.of(self, length=len(self.content), at=self.created_at)


@frozen(kw_only=True, field_transformer=with_type_validators)
class GroupMemoryEntry:
    """
    An entry in the memory that the boards of a group share.
    """

    id: MemoryId
    number: MemoryNumber
    organization: OrganizationId
    group: GroupId
    content: str = field(validator=_not_blank)
    tags: tuple[str, ...] | None = field(default=None, validator=optional(_tags_kept))
    source: str | None = field(default=None, validator=optional(text(most=MAX_SOURCE_LENGTH)))
    chat: bool = False
    created_at: datetime = field(validator=utc_moment)
    version: int = 0

    def written_event(self) -> GroupMemoryWritten:
        """
        The event that records the creation of the entry.
        """
        return GroupMemoryWritten.of(self, length=len(self.content), at=self.created_at)


BOARD_MEMORY: Final = Kind(
    entity=BoardMemoryEntry,
    name="board_memory",
    missing=MemoryEntryNotFound,
    indexed_by=(("board",), ("board", "chat")),
    cascades_from={"board": Board},
)
GROUP_MEMORY: Final = Kind(
    entity=GroupMemoryEntry,
    name="group_memory",
    missing=MemoryEntryNotFound,
    indexed_by=(("group",), ("group", "chat")),
    cascades_from={"group": BoardGroup},
)


@frozen(kw_only=True, eq=False, repr=False)
class BoardMemoryWritten(Event):
    """
    An entry was added to a board's memory. The event has its length, not its text, which is deleted with the board.
    """

    kind = "board.memory_written"

    entry: MemoryId
    board: BoardId
    chat: bool
    tags: tuple[str, ...] | None
    source: str | None
    length: int


@frozen(kw_only=True, eq=False, repr=False)
class GroupMemoryWritten(Event):
    """
    An entry was added to a group's memory. The event has its length, not its text, which is deleted with the group.
    """

    kind = "group.memory_written"

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
    return CHAT_TAG in (tags or ())


def is_addressed(content: str, tags: Sequence[str] | None) -> bool:
    """
    Whether a group's entry is addressed to readers: it is chat, a broadcast, or mentions everybody.
    """
    return is_chat(tags) or BROADCAST_TAG in (tags or ()) or MENTION_ALL in names_in(content)
