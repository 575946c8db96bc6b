"""
The select statement of the read model `TaskRow`, and the queries for the dependencies, tags and custom fields in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import ColumnElement, Select, case, exists, func, not_, null, select

from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.json_objects import JsonColumn, column, json_object
from mission_adapters.sql.kind_tables import MAPPINGS, select_rows
from mission_adapters.sql.statements import IdArray, Statement, in_array, parameter
from mission_adapters.sql.tables import boards, dependencies, tasks
from mission_adapters.sql.task_contexts import ASSIGNEE_AGENT, TaskContext, assignee_agent
from mission_core.boards.custom_fields import CUSTOM_FIELDS, CustomField, fields_by_board
from mission_core.boards.tags import TAGS, Tag
from mission_core.projections import WHOLE_ROWS, Projection
from mission_core.tasks.comments import COMMENTS
from mission_core.tasks.model import Status
from mission_core.tasks.queries import Dependency, TaskRow
from mission_core.tasks.rows import join_ids, task_row

if TYPE_CHECKING:
    from mission_core.ids import OrganizationId
    from mission_core.tasks.model import Task

T = TypeVar("T")
tags, custom_fields, comments = (MAPPINGS[kind].table for kind in (TAGS, CUSTOM_FIELDS, COMMENTS))
_organization: Final = parameter("organization")
_joined_columns: Final[dict[str, ColumnElement[Any]]] = {
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
SELECTED_FIELDS: Final = TaskRow._fields[:-3]
"""The fields of `TaskRow` that the statement selects. The last three are read by separate statements if needed."""
REQUIRED_FIELDS: Final = frozenset({"id", "number", "board", "depends_on", "tag_ids"})
"""The fields that are needed to read the last three, and to find a row."""
ID, BOARD, DEPENDS_ON, TAG_IDS = (SELECTED_FIELDS.index(name) for name in ("id", "board", "depends_on", "tag_ids"))
HAS_FIELDS_COLUMN: Final = len(SELECTED_FIELDS)
"""The index of the extra column that tells whether the organization has custom fields."""
_has_custom_fields: Final = exists().where(custom_fields.c.organization == _organization).label("any_field")
_with_boards: Final = tasks.join(boards, boards.c.id == tasks.c.board)


def select_task_rows(shown: Projection = WHOLE_ROWS) -> Select[Any]:
    """
    Select the columns of task rows. Fields that are not shown are null.
    """
    wanted = None if shown.fields is None else shown.fields | REQUIRED_FIELDS

    def selected(name: str) -> ColumnElement[Any]:
        if wanted is not None and name not in wanted:
            return null().label(name)
        return _joined_columns[name] if name in _joined_columns else tasks.c[name]

    asked = _has_custom_fields if wanted is None or "fields" in wanted else null().label("any_field")
    return select(*map(selected, SELECTED_FIELDS), asked).select_from(_with_boards)


def select_task_json(shown: Projection) -> Select[Any]:
    """
    Select the number of each task, and its JSON object or null if it must be rendered. For SQLite only. If all tasks
    must be rendered, because the organization has custom fields, it finds none.
    """
    found = select(tasks.c.number, json_object(shown.members, _json_fields)).select_from(_with_boards)
    if any("fields" in each.while_empty for each in shown.members):
        found = found.where(not_(exists().where(custom_fields.c.organization == _organization)))
    return found


ROWS: Final[Select[Any]] = select_task_rows().where(tasks.c.organization == _organization)
_json_fields: Final[dict[str, JsonColumn]] = {
    **{each.name: column(each) for each in tasks.c},
    **{name: column(each) for name, each in _joined_columns.items()},
    "assignee_agent": assignee_agent,
    "ticket_reference": lambda convert: convert(
        case((tasks.c.ticket.is_not(None), boards.c.ticket_prefix + func.printf("-%03d", tasks.c.ticket)))
    ),
}
DEPENDENCIES: Final = Statement(
    select(dependencies.c.task, tasks.c.id, tasks.c.number, tasks.c.status)
    .join(tasks, tasks.c.id == dependencies.c.depends_on)
    .where(in_array(dependencies.c.task, "tasks", IdArray()))
)
NAMED_TAGS: Final = Statement(
    select(*tags.c).where(tags.c.organization == _organization, in_array(tags.c.id, "tags", IdArray()))
)


_make_task_row: Final[Callable[[tuple[Any, ...]], TaskRow]] = partial(tuple.__new__, TaskRow)
"""Makes a row of all its values, faster than `TaskRow._make`."""


def task_rows_of(
    dialect: str, organization: OrganizationId, found: list[Any], shown: Projection = WHOLE_ROWS
) -> Steps[list[TaskRow]]:
    """
    Complete selected rows with their dependencies, tags and custom fields. They are read only if they are shown and
    there are any.
    """
    if not found:
        return []
    waiting = [row[ID] for row in found if row[DEPENDS_ON]] if shown.shows("dependencies") else []
    waits_for = (yield from read_dependencies(dialect, waiting)) if waiting else {}
    # The sets of tags are few, because many tasks have the same tags.
    lists_of_tags = {row[TAG_IDS] for row in found if row[TAG_IDS]} if shown.shows("tagged") else set()
    tagged = {}
    if lists_of_tags:
        known = yield from read_tags(dialect, organization, lists_of_tags)
        tagged = {ids: in_order(ids, known) for ids in lists_of_tags}
    asked = (yield from read_custom_fields(dialect, organization)) if found[0][HAS_FIELDS_COLUMN] else {}
    return [
        _make_task_row(
            (
                *row[:HAS_FIELDS_COLUMN],
                in_order(row[DEPENDS_ON], waits_for[row[ID]]) if row[ID] in waits_for else (),
                tagged.get(row[TAG_IDS], ()),
                asked.get(row[BOARD], ()),
            )
        )
        for row in found
    ]


def row_of_committed(
    dialect: str, organization: OrganizationId, task: Task, context: TaskContext, shown: Projection
) -> Steps[TaskRow]:
    """
    Return the row of a task from its entity and context, with those of its dependencies, tags and custom fields that
    are shown. They are read only if there are any.
    """
    id, tag_ids = task.id.bytes, join_ids(task.tag_ids)
    waits_for: tuple[Dependency, ...] = ()
    tagged: tuple[Tag, ...] = ()
    fields: tuple[CustomField, ...] = ()
    if task.depends_on and shown.shows("dependencies"):
        found = yield from read_dependencies(dialect, [id])
        waits_for = in_order(join_ids(task.depends_on), found[id])
    if tag_ids and shown.shows("tagged"):
        known = yield from read_tags(dialect, organization, [tag_ids])
        tagged = in_order(tag_ids, known)
    if context.has_fields and shown.shows("fields"):
        asked = yield from read_custom_fields(dialect, organization)
        fields = asked.get(task.board.bytes, ())
    row: TaskRow = task_row(
        task, board_number=context.board_number, board_name=context.board_name, ticket_prefix=context.ticket_prefix,
        comment_count=0, dependencies=waits_for, tagged=tagged, fields=fields,
    )  # fmt: skip
    same = row.assignee_agent == context.assignee_agent
    return row if same else row._replace(assignee_agent=context.assignee_agent)


def read_dependencies(dialect: str, waiting: list[bytes]) -> Steps[dict[bytes, dict[bytes, Dependency]]]:
    """
    Return the dependencies of each of these tasks, by task id and dependency id.
    """
    waits_for: dict[bytes, dict[bytes, Dependency]] = defaultdict(dict)
    for task, id, number, status in (yield DEPENDENCIES(dialect, tasks=waiting)):
        waits_for[task][id] = Dependency(id, number, status == Status.DONE.value)
    return waits_for


def read_tags(dialect: str, organization: OrganizationId, named: Iterable[bytes | None]) -> Steps[dict[bytes, Tag]]:
    """
    Return the tags in these lists of concatenated ids, by id.
    """
    known: dict[bytes, Tag] = {}
    ids = {id for joined in named if joined for id in _split_ids(joined)}
    if ids:
        for row in (yield NAMED_TAGS(dialect, organization=organization.bytes, tags=sorted(ids))):
            tag: Tag = MAPPINGS[TAGS].rows.entity_from(row)
            known[tag.id.bytes] = tag
    return known


def read_custom_fields(dialect: str, organization: OrganizationId) -> Steps[dict[bytes, tuple[CustomField, ...]]]:
    """
    Return the custom fields of each board.
    """
    rows = yield select_rows(CUSTOM_FIELDS)(dialect, organization=organization.bytes)
    return fields_by_board(MAPPINGS[CUSTOM_FIELDS].rows.entity_from(row) for row in rows)


def in_order(ids: bytes, known: Mapping[bytes, T]) -> tuple[T, ...]:
    """
    Return the known values of a list of concatenated ids, in its order.
    """
    return tuple(known[id] for id in _split_ids(ids) if id in known)


def _split_ids(ids: bytes) -> Iterable[bytes]:
    return (ids[at : at + 16] for at in range(0, len(ids), 16))
