"""
The select statements of the read model `AgentRow`: rows, and the JSON objects of a list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Select, case, cast, func, literal, null, select, true

from mission_adapters.sql.board_visibility import on_boards
from mission_adapters.sql.columns import INTEGER
from mission_adapters.sql.json_objects import JsonColumn, column, json_object
from mission_adapters.sql.statements import parameter
from mission_adapters.sql.tables import agents, workloads
from mission_core.agents.model import LIFECYCLE_STATUSES, OFFLINE, OFFLINE_AFTER, PROVISIONING
from mission_core.agents.queries import STORED_AGENT_FIELDS, AgentRow, AgentTaskCounts
from mission_core.projections import JsonMember, Projection
from mission_core.values import micros

if TYPE_CHECKING:
    from datetime import datetime


def _derived_status(unseen: Any) -> ColumnElement[Any]:
    return case(  # the same rule as Presence.status
        (agents.c.reported.in_(sorted(LIFECYCLE_STATUSES)), agents.c.reported),
        (agents.c.last_seen_at.is_(None), unseen),
        (agents.c.last_seen_at < parameter("silent_since", int), OFFLINE),
        else_=agents.c.reported,
    )


STATUS: Final = _derived_status(literal(PROVISIONING))
"""The status derived from an agent's presence. It has the parameter `silent_since`."""
STATUS_AS_MADE: Final = _derived_status(case((agents.c.reported == PROVISIONING, OFFLINE), else_=agents.c.reported))
"""The status, where an agent that was never seen has the one it was created with."""


def silent_since(at: datetime) -> int:
    """
    Return the time before which the last heartbeat of an agent that is offline at the time *at* was.
    """
    return micros(at - OFFLINE_AFTER)


def _own_tasks(board_filters: Iterable[str]) -> Iterable[ColumnElement[bool]]:
    own = workloads.c.organization == agents.c.organization, workloads.c.assignee_key == agents.c.name_key
    return (*own, *on_boards(workloads.c.board, board_filters))


def _amount(*conditions: ColumnElement[bool]) -> ColumnElement[Any]:
    counted = case((conditions[0], workloads.c.amount)) if conditions else workloads.c.amount
    return cast(func.coalesce(func.sum(counted), 0), INTEGER)


_task_counts: Final[dict[str, ColumnElement[Any]]] = {
    name: (_amount() if name == "total" else _amount(workloads.c.status == name)).label(name)
    for name in AgentTaskCounts._fields
}
"""The sums over an agent's workload, by the fields of `AgentTaskCounts`."""


def _shows_more_than_stored(shown: Projection) -> bool:
    return shown.fields is None or not shown.fields.issubset(STORED_AGENT_FIELDS)


def select_agent_rows(dialect: str, as_made: bool, shown: Projection, *board_filters: str) -> Select[Any]:
    """
    Select the columns of agent rows. Fields that are not shown are null, or left out if only lists show them. Tasks are
    counted on the boards that pass the board filters.
    """
    wanted = AgentRow._fields if shown.fields is None else {*shown.fields, "number"}
    columns = [agents.c[name] if name in wanted else null().label(name) for name in STORED_AGENT_FIELDS]
    if not _shows_more_than_stored(shown):
        return select(*columns)
    columns.append((STATUS_AS_MADE if as_made else STATUS).label("status"))
    if dialect == "postgresql":
        of_agent = (
            select(*_task_counts.values()).where(*_own_tasks(board_filters)).correlate(agents).lateral("of_agent")
        )
        return select(*columns, *of_agent.c).select_from(agents.join(of_agent, true()))
    counts = (select(each).where(*_own_tasks(board_filters)).scalar_subquery() for each in _task_counts.values())
    return select(*columns, *counts)


def agent_rows_of(found: Iterable[Any], shown: Projection) -> list[AgentRow]:
    """
    Return the rows that were selected for the projection. Further columns are left out.
    """
    stored = len(STORED_AGENT_FIELDS)
    if not _shows_more_than_stored(shown):
        return [AgentRow(*row[:stored]) for row in found]
    counts, end = stored + 1, stored + 1 + len(_task_counts)
    return [AgentRow._make((*row[:counts], AgentTaskCounts._make(row[counts:end]))) for row in found]


def select_agent_json(_: str, as_made: bool, shown: Projection, *board_filters: str) -> Select[Any]:
    """
    Select the number of each agent, and its JSON object or null if it must be rendered. For SQLite only.
    """

    def tasks(members: Iterable[JsonMember]) -> ColumnElement[Any]:
        found = json_object(members, {name: column(each) for name, each in _task_counts.items()})
        return select(found).where(*_own_tasks(board_filters)).scalar_subquery()

    status = column(STATUS_AS_MADE if as_made else STATUS)
    fields: dict[str, JsonColumn] = {each.name: column(each) for each in agents.c}
    return select(agents.c.number, json_object(shown.members, {**fields, "status": status, "tasks": tasks}))
