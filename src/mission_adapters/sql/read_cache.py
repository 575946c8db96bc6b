"""
A cache of values that were read from a database, each valid until a commit of any process changes what it was read
from.

Why no value outlives a commit: each state of a SQLite database in WAL mode has its own header of the WAL index, because
a commit makes the log longer, and a log that starts again has another random salt. Each commit, of any process, has
changed the header before it returns. So as long as the header is the same, nothing was committed.

1. A value is only returned while the header equals `valid_at`, so in the database state for which the value is known.
2. A value is kept only if the header equalled `valid_at` before its read began, and its columns were not written since.
   The read saw that state or a later one. A later one is not `valid_at`, so the value is not returned until rule 3 has
   carried `valid_at` over the commits between.
3. `valid_at` advances over a commit of this process alone. The writer notes the header while it holds the write lock,
   and after the commit. If no other connection has committed in between (`PRAGMA data_version`), then that commit is
   the only difference, and values stay whose columns it did not write.
4. After any other change of the header, all values are dropped.

A header that is noted too early, or read while it changes, costs a query and nothing else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from attrs import Factory, field
from sqlalchemy import Column, Table
from sqlalchemy.sql import visitors

from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from collections.abc import Collection

    from mission_adapters.sql.statements import Statement

V = TypeVar("V")
EVERYTHING: Final = "*"
"""The name for all columns of all tables."""
CACHE_SIZE: Final = 4096
"""The most values of one kind, of which the least recently used one makes room."""


def columns_read(statements: Iterable[Statement], *, without: Collection[str] = ()) -> frozenset[str]:
    """
    Return the columns from which statements read, as `table.column`, and their tables, for rows that come and go.

    Args:
        without: Columns whose changes the caller does not need to see.
    """
    found = {EVERYTHING}
    for statement in statements:
        core: Any = statement.core
        for each in visitors.iterate(core):
            if isinstance(each, Column) and isinstance(each.table, Table):
                found |= {each.table.name, f"{each.table.name}.{each.name}"}
    return frozenset(found.difference(without))


def cached_reads(columns: Callable[[], frozenset[str]]) -> Any:
    """
    Return the default of an attribute that is a cache of values from these columns, of the object's `session`.

    Args:
        columns: Returns the columns (`columns_read`). It is not called before something is read.
    """
    return Factory(lambda reads: reads.session.cache.of(columns), takes_self=True)


@define(eq=False)
class ReadCache:
    """
    The caches of one database, for values of different columns. All methods are called on the event loop.

    Args:
        header: Returns the header of the WAL index. None means that it is not known, and then nothing is kept.
        is_writing: Whether a write of this process is under way whose end `committed` will tell.
        valid_at: The header at which all kept values are valid.
    """

    header: Callable[[], bytes | None] = lambda: None
    is_writing: Callable[[], bool] = lambda: False
    valid_at: bytes | None = None
    parts: list[CachedReads[Any]] = field(factory=list)

    def of(self, columns: Callable[[], frozenset[str]]) -> CachedReads[Any]:
        """
        Return an empty cache of values that are read from these columns (`columns_read`).
        """
        part: CachedReads[Any] = CachedReads(self, columns)
        self.parts.append(part)
        return part

    def is_current(self) -> bool:
        """
        Whether nothing was committed since `valid_at`. If nothing else can tell, the caches are emptied and valid now.
        """
        now = self.header()
        if now is None:
            return False
        if now == self.valid_at:
            return True
        if self.is_writing():  # probably it is this write, so the values may stay
            return False
        self._drop_all()
        self.valid_at = now
        return True

    def committed(self, before: bytes | None, after: bytes | None, written: Collection[str]) -> None:
        """
        Keep the values that a write of this process did not change.

        Args:
            before: The header before the write, while it held the write lock.
            after: The header after its commit and before any other commit; None if that is not certain.
            written: The columns it wrote.
        """
        if before is None or after is None or before != self.valid_at:
            self._drop_all()
        else:
            for part in self.parts:
                if part.is_used and not part.columns().isdisjoint(written):
                    part.drop()
        self.valid_at = after

    def _drop_all(self) -> None:
        for part in self.parts:
            part.drop()


@define(eq=False)
class CachedReads(Generic[V]):
    """
    Values by key that were read from the same columns. The least recently used one makes room for a new one.

    Args:
        is_used: Whether anything was ever read. Until then there is nothing to drop.
    """

    cache: ReadCache
    columns: Callable[[], frozenset[str]]
    values: OrderedDict[Hashable, V] = field(factory=OrderedDict)
    drops: int = 0
    is_used: bool = False

    def find(self, key: Hashable) -> V | None:
        """
        Return the value that a read would return now, or None if it is not known.
        """
        if not self.cache.is_current():
            return None
        value = self.values.get(key)
        if value is not None:
            self.values.move_to_end(key)
        return value

    async def read(self, key: Hashable, read: Callable[[], Awaitable[V | None]]) -> V | None:
        """
        Read a value from the database and keep it. The absence of a value, None, is not kept.
        """
        self.is_used = True
        drops = self.drops if self.cache.is_current() else None
        value = await read()
        if value is not None and drops == self.drops:
            self.values[key] = value
            self.values.move_to_end(key)
            if len(self.values) > CACHE_SIZE:
                self.values.popitem(last=False)
        return value

    def drop(self) -> None:
        """
        Drop all values, and those whose read is under way.
        """
        self.values.clear()
        self.drops += 1
