"""
Responses: one resource with its version as an entity tag, or a page of resources.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mission_core.boards.custom_fields import CUSTOM_FIELDS, by_board
from mission_core.tasks.model import Task
from mission_core.values import Listed, Page
from mission_http.boards.entities import suffices, task_row
from mission_http.boards.payloads import NumberedQuery, PageQuery
from mission_http.boards.wire import task_from
from mission_http.platform.etags import etag_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.json import json_of


def one(shown: dict[str, Any]) -> Response:
    """
    A response with one resource, and its version as the entity tag.
    """
    return json_of(shown, headers={"etag": etag_of(shown["version"])})


def wanted_page(query: PageQuery) -> Page:
    after = query.after if isinstance(query, NumberedQuery) else None
    return Page(limit=query.limit, offset=query.offset, after=after)


def page_of(rows: Sequence[Any], total: int, query: PageQuery, shown: Callable[[Any], dict[str, Any]]) -> Response:
    """
    A response with a page of rows, each rendered by *shown*.
    """
    items = [shown(row) for row in rows]
    return json_of({"items": items, "total": total, "limit": query.limit, "offset": query.offset})


def page_from(listed: Listed, query: PageQuery, shown: Callable[[Any], dict[str, Any]]) -> Response:
    return page_of(listed.rows, listed.total, query, shown)


async def written(request: Request, task: Task) -> dict[str, Any]:
    """
    A task that was just written, as `TaskRead`. It is rendered from the entity if that suffices, else it is read back.
    """
    reads, principal = ports_of(request).reads, principal_of(request)
    if not suffices(task):
        return task_from(await reads.tasks.get(principal, task.id))
    fields = by_board(await reads.rows.every(principal, CUSTOM_FIELDS))
    return task_from(task_row(task, fields.get(task.board.bytes, ())))
