"""
Text search in tasks and agents. Each statement scans every row that the principal may see.

A trigram index would avoid the scan, but it makes each task write a tenth slower, does not serve texts of two
characters, and is not available on every PostgreSQL server.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Executable, Table, case, func, or_, select

from mission_adapters.sql.grants import WITHIN
from mission_adapters.sql.statements import shaped, value
from mission_adapters.sql.tables import agents, tasks
from mission_core.reports.queries import FoundAgent, FoundTask

FIELDS_OF_TASKS: Final = FoundTask._fields
FIELDS_OF_AGENTS: Final = FoundAgent._fields
ESCAPE: Final = "!"
BORDERS: Final = {
    **{(table.name, name): condition(table.c.board) for table in (tasks, agents) for name, condition in WITHIN.items()},
    ("tasks", "name"): tasks.c.assignee_key == value("name", str),
}


def pattern(text: str) -> str:
    """
    Return the LIKE pattern for columns that contain a text.
    """
    for special in (ESCAPE, "%", "_"):
        text = text.replace(special, ESCAPE + special)
    return f"%{text}%"


def _holds(dialect: str, column: Column[Any]) -> ColumnElement[bool]:
    """
    Return the condition that a column contains the text, ignoring the case of A to Z. LIKE does that on SQLite, and
    lower() on PostgreSQL because the columns have the collation "C".
    """
    wanted = value("text", str)
    if dialect == "postgresql":
        return func.lower(column).like(func.lower(wanted), escape=ESCAPE)
    return column.like(wanted, escape=ESCAPE)


def _found(
    dialect: str, table: Table, title: str, others: Iterable[str], fields: Iterable[str], *board_filters: str
) -> Any:
    in_title = _holds(dialect, table.c[title])
    hits = (
        select(table.c.id, table.c.number, case((in_title, 2), else_=1).label("relevance"))
        .where(
            table.c.organization == value("organization"),
            *(BORDERS[table.name, name] for name in board_filters),
            or_(in_title, *(_holds(dialect, table.c[name]) for name in others)),
        )
        .cte("hits")
    )
    line = (hits.c.relevance.desc(), hits.c.number.desc())
    best = select(hits).order_by(*line).limit(value("most", int)).subquery("best")
    total = select(func.count()).select_from(hits).scalar_subquery()
    shown = (best.c.relevance if name == "relevance" else table.c[name] for name in fields)
    return (
        select(*shown, total)
        .select_from(best.join(table, table.c.id == best.c.id))
        .order_by(best.c.relevance.desc(), best.c.number.desc())
    )


@shaped
def found_tasks(dialect: str, *board_filters: str) -> Executable:
    """
    Select the most relevant tasks that contain a text, each with the number of all matches.
    """
    found: Executable = _found(dialect, tasks, "title", ("description", "assignee"), FIELDS_OF_TASKS, *board_filters)
    return found


@shaped
def found_agents(dialect: str, *board_filters: str) -> Executable:
    """
    Select the most relevant agents that contain a text, each with the number of all matches.
    """
    found: Executable = _found(dialect, agents, "name", ("role", "activity"), FIELDS_OF_AGENTS, *board_filters)
    return found
