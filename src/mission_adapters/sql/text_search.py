"""
Text search in tasks and agents. Each statement scans every row that the principal may see.

A trigram index would avoid the scan, but it makes each task write a tenth slower, does not serve texts of two
characters, and is not available on every PostgreSQL server.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Executable, Table, case, func, or_, select

from mission_adapters.sql.board_visibility import BOARD_FILTERS
from mission_adapters.sql.statements import cached_statement, parameter
from mission_adapters.sql.tables import agents, tasks
from mission_core.reports.queries import FoundAgent, FoundTask

TASK_FIELDS: Final = FoundTask._fields
AGENT_FIELDS: Final = FoundAgent._fields
ESCAPE: Final = "!"
FILTERS: Final = {
    **{
        (table.name, name): condition(table.c.board)
        for table in (tasks, agents)
        for name, condition in BOARD_FILTERS.items()
    },
    ("tasks", "name"): tasks.c.assignee_key == parameter("name", str),
}


def like_pattern(text: str) -> str:
    """
    Return the LIKE pattern for columns that contain a text.
    """
    for special in (ESCAPE, "%", "_"):
        text = text.replace(special, ESCAPE + special)
    return f"%{text}%"


def _contains_text(dialect: str, column: Column[Any]) -> ColumnElement[bool]:
    """
    Return the condition that a column contains the text, ignoring the case of A to Z. LIKE does that on SQLite, and
    lower() on PostgreSQL because the columns have the collation "C".
    """
    wanted = parameter("text", str)
    if dialect == "postgresql":
        return func.lower(column).like(func.lower(wanted), escape=ESCAPE)
    return column.like(wanted, escape=ESCAPE)


def _select_matches(
    dialect: str, table: Table, title: str, others: Iterable[str], fields: Iterable[str], *board_filters: str
) -> Any:
    in_title = _contains_text(dialect, table.c[title])
    hits = (
        select(table.c.id, table.c.number, case((in_title, 2), else_=1).label("relevance"))
        .where(
            table.c.organization == parameter("organization"),
            *(FILTERS[table.name, name] for name in board_filters),
            or_(in_title, *(_contains_text(dialect, table.c[name]) for name in others)),
        )
        .cte("hits")
    )
    line = (hits.c.relevance.desc(), hits.c.number.desc())
    best = select(hits).order_by(*line).limit(parameter("most", int)).subquery("best")
    total = select(func.count()).select_from(hits).scalar_subquery()
    shown = (best.c.relevance if name == "relevance" else table.c[name] for name in fields)
    return (
        select(*shown, total)
        .select_from(best.join(table, table.c.id == best.c.id))
        .order_by(best.c.relevance.desc(), best.c.number.desc())
    )


@cached_statement
def search_tasks(dialect: str, *board_filters: str) -> Executable:
    """
    Select the most relevant tasks that contain a text, each with the number of all matches.
    """
    found: Executable = _select_matches(
        dialect, tasks, "title", ("description", "assignee"), TASK_FIELDS, *board_filters
    )
    return found


@cached_statement
def search_agents(dialect: str, *board_filters: str) -> Executable:
    """
    Select the most relevant agents that contain a text, each with the number of all matches.
    """
    found: Executable = _select_matches(dialect, agents, "name", ("role", "activity"), AGENT_FIELDS, *board_filters)
    return found
