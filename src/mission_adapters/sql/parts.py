"""
Batches of independent statements, run one by one or, on PostgreSQL, combined into one statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import CTE, ColumnElement, Delete, Executable, Insert, Update, literal_column, select

from mission_adapters.sql.session import Steps
from mission_adapters.sql.statements import shaped

Change = Insert | Update | Delete
Family = Callable[..., Change]
"""A function that builds a statement from the arguments in `Part.shape`."""
NOTHING: Final[ColumnElement[int]] = literal_column("1")


class Part(NamedTuple):
    """
    A data-changing statement in a batch.

    Two parts of a flush never change the same row, and a parameter name has the same value in all parts.

    Args:
        family: The function that builds the statement.
        shape: The arguments of that function.
        given: The parameters of the statement.
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
    Combine the parts into one statement with a CTE each. It returns the rows of the part that returns any.
    """
    terms: list[CTE] = [family(*shape).cte(f"part_{place}") for place, (family, shape) in enumerate(parts)]
    rows = next((select(*term.c) for term in terms if len(term.c)), select(NOTHING))
    return rows.add_cte(*terms)


def done_in_turn(dialect: str, parts: Iterable[Part]) -> Steps[list[Any]]:
    """
    Run the parts one after the other.

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
    Run the parts as one PostgreSQL statement.

    Returns:
        The rows of the part that returns any.
    """
    given: dict[str, Any] = {}
    for part in parts:
        given |= part.given
    statement = _together(*((family, shape) for family, shape, _ in parts))
    rows: list[Any] = yield statement(dialect, **given)
    return rows if any(_single(family, shape).returns for family, shape, _ in parts) else []
