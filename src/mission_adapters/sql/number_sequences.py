"""
Number sequences in SQL: one row per scope and kind holds the last number given out.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from attrs import frozen
from sqlalchemy import Executable
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.statements import cached_statement, parameter
from mission_adapters.sql.tables import numbers

if TYPE_CHECKING:
    from uuid import UUID


@cached_statement
def _draw_numbers(dialect: str, scopes: int) -> Executable:
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


@frozen
class SqlNumberSequences:
    """
    Draws the short numbers of entities. A draw is not made durable by itself: the commit of the numbered entity is.
    """

    session: DatabaseSession

    async def next(self, *scopes: tuple[UUID, str]) -> tuple[int, ...]:
        """
        Return the next number of each scope.
        """
        dialect = self.session.dialect
        wanted = sorted(Counter((scope.bytes, kind) for scope, kind in scopes).items())
        given: dict[str, Any] = {}
        for place, ((scope, kind), amount) in enumerate(wanted):
            given |= {f"scope{place}": scope, f"kind{place}": kind, f"value{place}": amount}

        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield _draw_numbers(dialect, len(wanted))(dialect, **given)._replace(single=True)
            return rows

        last = {(scope, kind): value for scope, kind, value in await self.session.write(steps, durable=False)}
        ahead = {key: last[key] - amount for key, amount in wanted}
        drawn: list[int] = []
        for scope_id, kind in scopes:
            ahead[scope_id.bytes, kind] += 1
            drawn.append(ahead[scope_id.bytes, kind])
        return tuple(drawn)

    async def advance_to(self, *scopes: tuple[UUID, str, int]) -> None:
        """
        Raise the sequences so that they give out only numbers above these.
        """
        dialect = self.session.dialect

        def steps() -> Steps[None]:
            for scope, kind, number in sorted(scopes, key=lambda each: (each[0].bytes, each[1])):
                yield _raise_numbers(dialect).count(dialect, scope=scope.bytes, kind=kind, value=number)

        await self.session.write(steps)
