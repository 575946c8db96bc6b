"""
Number sequences in SQL: one row per scope and kind holds the last number given out.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from attrs import field
from sqlalchemy import Executable
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.statements import cached_statement, parameter
from mission_adapters.sql.tables import numbers
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from uuid import UUID

    Scopes = Sequence[tuple[UUID, str]]

LARGEST_DRAW: Final = 8
"""The number of callers for which one statement draws at most, so that there are few statements to prepare."""


@cached_statement
def draw_numbers(dialect: str, scopes: int) -> Executable:
    """
    Raise this many sequences, each by the amount in its parameter, and return them.
    """
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(numbers)
    rows = [
        {column.name: parameter(f"{column.name}{place}", column.type.python_type) for column in numbers.c}
        for place in range(scopes)
    ]
    drawn: Any = insert.values(rows).on_conflict_do_update(
        index_elements=[numbers.c.scope, numbers.c.kind], set_={"value": numbers.c.value + insert.excluded.value}
    )
    returned: Executable = drawn.returning(*numbers.c)
    return returned


@cached_statement
def _raise_numbers(dialect: str) -> Executable:
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(numbers)
    brought: Any = insert.values({column.name: parameter(column.name, column.type.python_type) for column in numbers.c})
    ahead: Executable = brought.on_conflict_do_update(
        index_elements=[numbers.c.scope, numbers.c.kind],
        set_={"value": insert.excluded.value},
        where=numbers.c.value < insert.excluded.value,
    )
    return ahead


@define(eq=False, repr=False)
class SqlNumberSequences:
    """
    Draws the short numbers of entities. A draw is not made durable by itself: the commit of the numbered entity is.

    On PostgreSQL the callers that come during a draw wait for it, and the next one is for all of them. The SQLite
    session itself runs the writes that wait together.
    """

    session: DatabaseSession
    _is_drawing: bool = field(default=False, init=False)
    _waiting: list[tuple[Scopes, asyncio.Future[tuple[int, ...]]]] = field(factory=list, init=False)
    _draw_for_waiting: asyncio.Task[None] | None = field(default=None, init=False)

    async def next(self, *scopes: tuple[UUID, str]) -> tuple[int, ...]:
        """
        Return the next number of each scope.
        """
        if self.session.dialect == "sqlite":
            return (await self._draw([scopes]))[0]
        if self._is_drawing:
            drawn: asyncio.Future[tuple[int, ...]] = asyncio.get_running_loop().create_future()
            self._waiting.append((scopes, drawn))
            return await drawn
        self._is_drawing = True
        try:
            return (await self._draw([scopes]))[0]
        finally:
            self._draw_next()

    def _draw_next(self) -> None:
        self._is_drawing = bool(self._waiting)
        if self._waiting:
            some, self._waiting = self._waiting[:LARGEST_DRAW], self._waiting[LARGEST_DRAW:]
            self._draw_for_waiting = asyncio.get_running_loop().create_task(self._draw_for(some))

    async def _draw_for(self, some: Sequence[tuple[Scopes, asyncio.Future[tuple[int, ...]]]]) -> None:
        try:
            numbers_drawn = await self._draw([scopes for scopes, _ in some])
        except Exception as error:
            for _, drawn in some:
                if not drawn.done():
                    drawn.set_exception(error)
        else:
            for (_, drawn), given in zip(some, numbers_drawn, strict=True):
                if not drawn.done():  # else its caller was cancelled
                    drawn.set_result(given)
        finally:
            self._draw_next()

    async def _draw(self, callers: Sequence[Scopes]) -> list[tuple[int, ...]]:
        """
        Draw the numbers of several callers with one statement.
        """
        dialect = self.session.dialect
        wanted = sorted(Counter((scope.bytes, kind) for scope, kind in chain.from_iterable(callers)).items())
        given: dict[str, Any] = {}
        for place, ((scope, kind), amount) in enumerate(wanted):
            given |= {f"scope{place}": scope, f"kind{place}": kind, f"value{place}": amount}

        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield draw_numbers(dialect, len(wanted))(dialect, **given)._replace(single=True)
            return rows

        last = {(scope, kind): value for scope, kind, value in await self.session.write(steps, durable=False)}
        ahead = {key: last[key] - amount for key, amount in wanted}
        drawn: list[tuple[int, ...]] = []
        for scopes in callers:
            own: list[int] = []
            for scope_id, kind in scopes:
                ahead[scope_id.bytes, kind] += 1
                own.append(ahead[scope_id.bytes, kind])
            drawn.append(tuple(own))
        return drawn

    async def advance_to(self, *scopes: tuple[UUID, str, int]) -> None:
        """
        Raise the sequences so that they give out only numbers above these.
        """
        dialect = self.session.dialect

        def steps() -> Steps[None]:
            for scope, kind, number in sorted(scopes, key=lambda each: (each[0].bytes, each[1])):
                yield _raise_numbers(dialect).count(dialect, scope=scope.bytes, kind=kind, value=number)

        await self.session.write(steps)
