"""
Responses: one resource with its version as an entity tag, or a page of resources.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

from mission_core.tasks.model import Task
from mission_core.values import PageOfRows, PageRequest
from mission_http.boards.payloads import LimitOffsetPage, NumberedPageQuery, PageQuery, TaskRead
from mission_http.platform.etags import etag_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.projections import projection_of


class VersionedPayload(Protocol):
    """
    A payload that has the version of its resource.
    """

    @property
    def version(self) -> int: ...


def versioned_response(shown: VersionedPayload) -> Response:
    """
    A response with one resource, and its version as the entity tag.
    """
    return json_response(shown, headers={"etag": etag_of(shown.version)})


def wanted_page(query: PageQuery) -> PageRequest:
    after = query.after if isinstance(query, NumberedPageQuery) else None
    return PageRequest(limit=query.limit, offset=query.offset, after=after)


def page_response(
    rows: Sequence[Any], total: int, query: PageQuery, shown: Callable[[Any], Any] | None = None
) -> Response:
    """
    A response with a page of rows, each rendered by *shown* unless they are rendered already.
    """
    items = list(rows) if shown is None else [shown(row) for row in rows]
    return json_response(LimitOffsetPage(items=items, total=total, limit=query.limit, offset=query.offset))


def listed_response(listed: PageOfRows, query: PageQuery, shown: Callable[[Any], Any] | None = None) -> Response:
    return page_response(listed.rows, listed.total, query, shown)


async def task_payload(request: Request, task: Task) -> TaskRead:
    """
    A task that was just written, as it was committed.
    """
    shown: TaskRead = await ports_of(request).reads.tasks.committed(
        principal_of(request), task, projection_of(TaskRead)
    )
    return shown
