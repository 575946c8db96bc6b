"""
Parts of a flush that need no answer of each other, so that they may be asked one by one or, on PostgreSQL, all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import CTE, ColumnElement, Delete, Executable, Insert, Update, literal_column, select

from mission_adapters.sql.session import Steps
from mission_adapters.sql.statements import shaped

Change = Insert | Update | Delete
Family = Callable[..., Change]
NOTHING: Final[ColumnElement[int]] = literal_column("1")


class Part(NamedTuple):
    """
    A change of rows: what makes its statement, of which shape, and its values. No two parts of a flush change the same
    row, and values of one name are the same in all parts.
    """

    family: Family
    shape: tuple[Any, ...]
    given: dict[str, Any]


@shaped
def _single(family: Family, shape: tuple[Any, ...]) -> Executable:
    return family(*shape)


@shaped
def _together(*parts: tuple[Family, tuple[Any, ...]]) -> Executable:
    """
    One statement that does all parts. Its rows are those of the part that returns any.
    """
    terms: list[CTE] = [family(*shape).cte(f"part_{place}") for place, (family, shape) in enumerate(parts)]
    rows = next((select(*term.c) for term in terms if len(term.c)), select(NOTHING))
    return rows.add_cte(*terms)


def done_in_turn(dialect: str, parts: Iterable[Part]) -> Steps[list[Any]]:
    """
    Do the parts one after the other.

    Returns:
        The rows of the parts that return any.
    """
    answers: list[Any] = []
    for family, shape, given in parts:
        statement = _single(family, shape)
        if statement.returns:
            answers += yield statement(dialect, **given)
        else:
            yield statement.count(dialect, **given)
    return answers


def done_together(dialect: str, parts: Iterable[Part]) -> Steps[list[Any]]:
    """
    Do the parts in one statement, on PostgreSQL.

    Returns:
        The rows of the part that returns any.
    """
    given: dict[str, Any] = {}
    for part in parts:
        given |= part.given
    statement = _together(*((family, shape) for family, shape, _ in parts))
    rows: list[Any] = yield statement(dialect, **given)
    return rows if any(_single(family, shape).returns for family, shape, _ in parts) else []
