"""
Memory of boards and board groups: entries that they keep, some of which are chat.
"""

from typing import TYPE_CHECKING

from mission_core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from mission_core.conversations.memory_entries import (
        BoardMemoryEntry as BoardMemoryEntry,
        BoardMemoryWritten as BoardMemoryWritten,
        GroupMemoryEntry as GroupMemoryEntry,
        GroupMemoryWritten as GroupMemoryWritten,
        MemoryEntryNotFound as MemoryEntryNotFound,
    )
    from mission_core.conversations.use_cases import (
        BoardNotInGroup as BoardNotInGroup,
        GroupOfBoard as GroupOfBoard,
        WriteBoardMemory as WriteBoardMemory,
        WriteGroupMemory as WriteGroupMemory,
        group_memory_of_board as group_memory_of_board,
        write_board_memory as write_board_memory,
        write_group_memory as write_group_memory,
    )
else:
    __getattr__, __dir__ = lazy_exports(__name__)
