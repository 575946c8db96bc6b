"""
The positions of rows in the lock order of a flush: the rows that a unit of work changes or relies on, and the place of
each in the order in which every flush locks rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from operator import attrgetter, itemgetter
from typing import Any, Final
from uuid import UUID

from mission_adapters.kind_registry import position_of
from mission_adapters.row_parts import ROW_PARTS
from mission_adapters.sql.row_writes import ENTITY_MAPPINGS
from mission_adapters.write_buffer import RowWrite, WriteBuffer
from mission_core.accounts.model import ApiKey
from mission_core.agents.model import Agent
from mission_core.errors import StaleWrite
from mission_core.tasks.model import Task


class LockPositions(dict[type, int]):
    """
    The positions of entity classes and of parts of rows in the lock order.
    """

    def __missing__(self, entity: type) -> int:
        whole = ROW_PARTS[entity][0] if entity in ROW_PARTS else entity
        position = self[entity] = position_of(whole)
        return position


LOCK_POSITION: Final = LockPositions()
POSITION_AND_ID: Final = itemgetter(0, 1)
DEPENDENCIES: Final = attrgetter("depends_on")
MARKS: Final = attrgetter("tag_and_field_ids")


def existing_rows(buffer: WriteBuffer) -> list[tuple[int, UUID, Any]]:
    """
    Return the changes to existing rows in lock order, each with the row's place in it and its id.

    Raises:
        StaleWrite: If the unit relies on another version of a row than it writes.
    """
    writes = buffer.writes
    found: list[tuple[int, UUID, Any]] = []
    for id, write in writes.items():
        if write.before is not None:
            found.append((LOCK_POSITION[type(write.before)], id, write))
    # Before the shared locks on the same rows: two flushes that share a lock and then both write would deadlock.
    for id, agent in buffer.presence.items():
        if id not in writes or writes[id].before is not None:
            found.append((LOCK_POSITION[Agent], id, agent))
    for id, at in buffer.used_keys.items():
        found.append((LOCK_POSITION[ApiKey], id, at))
    for reliance in buffer.read_dependencies.values():
        id = reliance.id
        if id not in writes:
            found.append((LOCK_POSITION[reliance.kind], id, reliance))
            continue
        before = writes[id].before
        if before is None:
            continue
        part_of = ROW_PARTS[reliance.kind][1] if reliance.kind in ROW_PARTS else None
        if (part_of(before) if part_of else before).version != reliance.version:
            raise StaleWrite(ENTITY_MAPPINGS[reliance.kind].name, id)
    if len(found) > 1:
        found.sort(key=POSITION_AND_ID)
    return found


def writes_in_lock_order(buffer: WriteBuffer) -> list[RowWrite]:
    """
    Return the writes of rows, those of new rows included, in lock order.
    """
    writes = list(buffer.writes.values())
    if len(writes) > 1:
        writes.sort(key=_lock_position)
    return writes


def _lock_position(write: RowWrite) -> tuple[int, UUID]:
    shape = write.after or write.before
    return LOCK_POSITION[type(shape)], shape.id


def link_changes(
    writes: Iterable[RowWrite], name: str, ids_of: Callable[[Task], Collection[UUID]]
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
        if was == now or not (was or now):
            continue
        gone += [{"task": shape.id.bytes, name: each.bytes} for each in was if each not in now]
        come += [{"task": shape.id.bytes, name: each.bytes} for each in now if each not in was]
    return gone, come
