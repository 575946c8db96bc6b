"""
The select statement of the read model `TaskRow`, and the queries for the dependencies, tags and custom fields in it.
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
"""The fields of `TaskRow` that the statement selects. The last three are read by separate statements if needed."""
ID, BOARD, DEPENDS_ON, TAG_IDS = (FIELDS.index(name) for name in ("id", "board", "depends_on", "tag_ids"))
ANY_FIELD: Final = len(FIELDS)
"""The index of the extra column that tells whether the organization has custom fields."""
_any_field: Final = exists().where(custom_fields.c.organization == _own).label("any_field")
_rows: Final = select(
    *(_elsewhere[name] if name in _elsewhere else tasks.c[name] for name in FIELDS), _any_field
).select_from(tasks.join(boards, boards.c.id == tasks.c.board))
ROWS: Final[Select[Any]] = _rows.where(tasks.c.organization == _own)
ROWS_OF_A_BOARD: Final[Select[Any]] = _rows.where(boards.c.organization == _own)
"""The same rows, for queries about one board. Filtered by the task's organization, a planner without statistics could
choose the organization's index on status instead of the board's."""
DEPENDENCIES: Final = Statement(
    select(dependencies.c.task, tasks.c.id, tasks.c.number, tasks.c.status)
    .join(tasks, tasks.c.id == dependencies.c.depends_on)
    .where(among(dependencies.c.task, "tasks", Ids()))
)
NAMED_TAGS: Final = Statement(select(*tags.c).where(tags.c.organization == _own, among(tags.c.id, "tags", Ids())))


def shown(dialect: str, organization: OrganizationId, found: list[Any]) -> Steps[list[TaskRow]]:
    """
    Complete selected rows with their dependencies, tags and custom fields, which are read only if there are any.
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
    Return the dependencies of each of these tasks, by task id and dependency id.
    """
    waits_for: dict[bytes, dict[bytes, Dependency]] = defaultdict(dict)
    if waiting:
        for task, id, number, status in (yield DEPENDENCIES(dialect, tasks=waiting)):
            waits_for[task][id] = Dependency(id, number, status == Status.DONE.value)
    return waits_for


def tags_of(dialect: str, organization: OrganizationId, named: Iterable[bytes | None]) -> Steps[dict[bytes, Tag]]:
    """
    Return the tags in these lists of concatenated ids, by id.
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
    Return the custom fields of each board.
    """
    rows = yield rows_where(CUSTOM_FIELDS)(dialect, organization=organization.bytes)
    return by_board(SHELVES[CUSTOM_FIELDS].entity_from(row) for row in rows)


def in_order(ids: bytes, known: Mapping[bytes, T]) -> tuple[T, ...]:
    """
    Return the known values of a list of concatenated ids, in its order.
    """
    return tuple(known[id] for id in _each(ids) if id in known)


def _each(ids: bytes) -> Iterable[bytes]:
    return (ids[at : at + 16] for at in range(0, len(ids), 16))
