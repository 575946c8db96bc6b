"""
Tasks as the rows that reads give: the one statement they are selected by, and what is shown with them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import ColumnElement, Select, exists, func, select

from mission_adapters.sql.loads import ASSIGNEE_AGENT
from mission_adapters.sql.plain import SHELVES, rows_where
from mission_adapters.sql.session import Steps
from mission_adapters.sql.statements import Ids, Statement, among, value
from mission_adapters.sql.tables import boards, dependencies, tasks
from mission_core.boards.custom_fields import CUSTOM_FIELDS, CustomField, by_board
from mission_core.boards.tags import TAGS, Tag
from mission_core.tasks.comments import COMMENTS
from mission_core.tasks.model import Status
from mission_core.tasks.queries import Dependency, TaskRow

if TYPE_CHECKING:
    from mission_core.ids import OrganizationId

T = TypeVar("T")
tags, custom_fields, comments = (SHELVES[kind].table for kind in (TAGS, CUSTOM_FIELDS, COMMENTS))
_own: Final = value("organization")
_elsewhere: Final[dict[str, ColumnElement[Any]]] = {
    "board_number": boards.c.number,
    "board_name": boards.c.name,
    "ticket_prefix": boards.c.ticket_prefix,
    "assignee_agent": ASSIGNEE_AGENT,
    "comment_count": select(func.count())
    .select_from(comments)
    .where(comments.c.organization == tasks.c.organization, comments.c.task == tasks.c.id)
    .scalar_subquery()
    .label("comment_count"),
}
FIELDS: Final = TaskRow._fields[:-3]
"""What the statement selects, in the order of the row's fields; the rest is asked for where there is any."""
ID, BOARD, DEPENDS_ON, TAG_IDS = (FIELDS.index(name) for name in ("id", "board", "depends_on", "tag_ids"))
ANY_FIELD: Final = len(FIELDS)
"""Whether the organization has custom fields stands behind them."""
_any_field: Final = exists().where(custom_fields.c.organization == _own).label("any_field")
_rows: Final = select(
    *(_elsewhere[name] if name in _elsewhere else tasks.c[name] for name in FIELDS), _any_field
).select_from(tasks.join(boards, boards.c.id == tasks.c.board))
ROWS: Final[Select[Any]] = _rows.where(tasks.c.organization == _own)
ROWS_OF_A_BOARD: Final[Select[Any]] = _rows.where(boards.c.organization == _own)
"""The same where one board is named: a planner without statistics could take the organization's index of a status for
as good as the board's."""
DEPENDENCIES: Final = Statement(
    select(dependencies.c.task, tasks.c.id, tasks.c.number, tasks.c.status)
    .join(tasks, tasks.c.id == dependencies.c.depends_on)
    .where(among(dependencies.c.task, "tasks", Ids()))
)
NAMED_TAGS: Final = Statement(
    select(*tags.c).where(tags.c.organization == _own, among(tags.c.id, "tags", Ids()))
)


def shown(dialect: str, organization: OrganizationId, found: list[Any]) -> Steps[list[TaskRow]]:
    """
    The rows with their dependencies, tags and custom fields, which are asked for only if there are any.
    """
    if not found:
        return []
    waits_for = yield from dependencies_of(dialect, [row[ID] for row in found if row[DEPENDS_ON]])
    known = yield from tags_of(dialect, organization, (row[TAG_IDS] for row in found))
    asked = (yield from fields_of(dialect, organization)) if found[0][ANY_FIELD] else {}
    return [
        TaskRow._make(
            (
                *row[:ANY_FIELD],
                in_order(row[DEPENDS_ON], waits_for[row[ID]]) if row[DEPENDS_ON] else (),
                in_order(row[TAG_IDS], known) if row[TAG_IDS] else (),
                asked.get(row[BOARD], ()),
            )
        )
        for row in found
    ]


def dependencies_of(dialect: str, waiting: list[bytes]) -> Steps[dict[bytes, dict[bytes, Dependency]]]:
    """
    What each of these tasks waits for, by its id.
    """
    waits_for: dict[bytes, dict[bytes, Dependency]] = defaultdict(dict)
    if waiting:
        for task, id, number, status in (yield DEPENDENCIES(dialect, tasks=waiting)):
            waits_for[task][id] = Dependency(id, number, status == Status.DONE.value)
    return waits_for


def tags_of(
    dialect: str, organization: OrganizationId, named: Iterable[bytes | None]
) -> Steps[dict[bytes, Tag]]:
    """
    The tags that are named by joined ids, by their ids.
    """
    known: dict[bytes, Tag] = {}
    ids = {id for joined in named if joined for id in _each(joined)}
    if ids:
        for row in (yield NAMED_TAGS(dialect, organization=organization.bytes, tags=sorted(ids))):
            tag: Tag = SHELVES[TAGS].entity_from(row)
            known[tag.id.bytes] = tag
    return known


def fields_of(dialect: str, organization: OrganizationId) -> Steps[dict[bytes, tuple[CustomField, ...]]]:
    """
    What is asked of the tasks of each board.
    """
    rows = yield rows_where(CUSTOM_FIELDS)(dialect, organization=organization.bytes)
    return by_board(SHELVES[CUSTOM_FIELDS].entity_from(row) for row in rows)


def in_order(ids: bytes, known: Mapping[bytes, T]) -> tuple[T, ...]:
    """
    What is known by these joined ids, in their order.
    """
    return tuple(known[id] for id in _each(ids) if id in known)


def _each(ids: bytes) -> Iterable[bytes]:
    return (ids[at : at + 16] for at in range(0, len(ids), 16))
