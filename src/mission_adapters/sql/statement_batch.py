"""
Batches of independent statements, run one by one or, on PostgreSQL, combined into one statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import CTE, ColumnElement, Delete, Executable, Insert, Update, literal_column, select

from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.statements import cached_statement

ChangeStatement = Insert | Update | Delete
StatementFactory = Callable[..., ChangeStatement]
"""A function that builds a statement from the arguments in `BatchedStatement.arguments`."""
NOTHING: Final[ColumnElement[int]] = literal_column("1")


class BatchedStatement(NamedTuple):
    """
    A data-changing statement in a batch.

    Two parts of a flush never change the same row, and a parameter name has the same value in all parts.

    Args:
        factory: The function that builds the statement.
        arguments: The arguments of that function.
        parameters: The parameters of the statement.
    """

    factory: StatementFactory
    arguments: tuple[Any, ...]
    parameters: dict[str, Any]


@cached_statement
def _single_statement(factory: StatementFactory, arguments: tuple[Any, ...]) -> Executable:
    return factory(*arguments)


@cached_statement
def _combined_statement(*parts: tuple[StatementFactory, tuple[Any, ...]]) -> Executable:
    """
    Combine the parts into one statement with a CTE each. It returns the rows of the part that returns any.
    """
    terms: list[CTE] = [factory(*arguments).cte(f"part_{place}") for place, (factory, arguments) in enumerate(parts)]
    rows = next((select(*term.c) for term in terms if len(term.c)), select(NOTHING))
    return rows.add_cte(*terms)


def run_in_turn(dialect: str, parts: Iterable[BatchedStatement]) -> Steps[list[Any]]:
    """
    Run the parts one after the other.

    Returns:
        The rows of the parts that return any.
    """
    answers: list[Any] = []
    for factory, arguments, given in parts:
        statement = _single_statement(factory, arguments)
        if statement.returns:
            answers += yield statement(dialect, **given)
        else:
            yield statement.count(dialect, **given)
    return answers


def run_together(dialect: str, parts: Iterable[BatchedStatement]) -> Steps[list[Any]]:
    """
    Run the parts as one PostgreSQL statement.

    Returns:
        The rows of the part that returns any.
    """
    given: dict[str, Any] = {}
    for part in parts:
        given |= part.parameters
    statement = _combined_statement(*((factory, arguments) for factory, arguments, _ in parts))
    rows: list[Any] = yield statement(dialect, **given)
    return rows if any(_single_statement(factory, arguments).returns for factory, arguments, _ in parts) else []
