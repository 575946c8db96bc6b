"""
Drawing short numbers: one row for each scope and kind, counted up in a step of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.sql.session import Session, Steps
from mission_adapters.sql.statements import DIALECTS, Statement
from mission_adapters.sql.tables import numbers

if TYPE_CHECKING:
    from uuid import UUID


def _drawing(dialect: str) -> Statement:
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(numbers)
    drawn = insert.on_conflict_do_update(
        index_elements=[numbers.c.scope, numbers.c.kind], set_={"value": numbers.c.value + 1}
    )
    return Statement(drawn.returning(numbers.c.value))


DRAW: Final = {dialect: _drawing(dialect) for dialect in DIALECTS}


@frozen
class SqlNumbers:
    """
    Draws numbers. A draw need not be durable by itself: the commit of what it numbers follows it.
    """

    session: Session

    async def draw(self, *scopes: tuple[UUID, str]) -> tuple[int, ...]:
        """
        The next number of each scope.
        """
        dialect = self.session.dialect

        def steps() -> Steps[tuple[int, ...]]:
            drawn: dict[int, int] = {}
            for place, (scope, kind) in sorted(enumerate(scopes), key=lambda each: each[1]):
                rows = yield DRAW[dialect](dialect, scope=scope.bytes, kind=kind, value=1)
                drawn[place] = rows[0][0]
            return tuple(drawn[place] for place in range(len(scopes)))

        return await self.session.write(steps, durable=False)
