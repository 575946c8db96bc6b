"""
Export of the audit log, tasks and activities as CSV or JSON. Rows are read and sent in batches, so an export of any
size takes little memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mission_core.accounts.data_exports import RecordDataExport, record_data_export
from mission_core.lazy_attrs import frozen
from mission_core.reports.activity_feed import FeedFilter
from mission_core.tasks.queries import TaskFilter
from mission_core.values import PageRequest
from mission_http.fleet.access import ADMIN
from mission_http.fleet.activity_list import FeedItemPayload, agent_statuses_of, positions_between
from mission_http.fleet.audit_log import AuditEventPayload, audit_events_of
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.payloads import TaskPayload
from mission_http.fleet.wire import iso_of
from mission_http.platform.csv_texts import csv_lines
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import NumberRange, Query
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Payload

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports

BATCH_SIZE: Final = 500
MEDIA_TYPES: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


class ExportQuery(Query):
    type: str | None = None
    format: str = "csv"
    since: Annotated[int | None, NumberRange(0)] = None
    until: Annotated[int | None, NumberRange(0)] = None
    limit: Annotated[int | None, NumberRange(0)] = None


class ExportPayload(Payload):
    type: Literal["audit", "tasks", "activities", "pipelines"]
    exported_at: str
    data: list[AuditEventPayload | TaskPayload | FeedItemPayload]
    count: int


Batches = AsyncIterator[Sequence[Payload]]


@frozen
class ExportedType:
    """
    A type of data that can be exported: the name of its file, its columns in CSV, and the function that reads it.
    """

    file: str
    columns: tuple[str, ...]
    read: Callable[[Ports, Principal, ExportQuery], Batches]


async def _audit(ports: Ports, principal: Principal, query: ExportQuery) -> Batches:
    async for rows in _entries(ports, principal, query, audited=True):
        yield await audit_events_of(ports, principal, rows)


async def _activities(ports: Ports, principal: Principal, query: ExportQuery) -> Batches:
    async for rows in _entries(ports, principal, query, audited=False):
        statuses = await agent_statuses_of(ports, principal, rows)
        yield [FeedItemPayload.of(row, agent_statuses=statuses) for row in rows]


async def _entries(
    ports: Ports, principal: Principal, query: ExportQuery, *, audited: bool
) -> AsyncIterator[list[Any]]:
    beyond, through = await positions_between(ports, principal, query.since, query.until)
    wanted = FeedFilter(beyond=beyond, through=through, audited=audited)
    while rows := await ports.reads.activity_feed.entries(principal, wanted, limit=BATCH_SIZE):
        yield rows
        wanted = evolve(wanted, through=rows[-1].position - 1)


async def _tasks(ports: Ports, principal: Principal, query: ExportQuery) -> Batches:
    page = PageRequest(limit=BATCH_SIZE)
    while rows := (await ports.reads.tasks.page(principal, TaskFilter(), page)).rows:
        shown = [TaskPayload.of(row) for row in rows]
        yield [each for each in shown if _is_between(each.created_at, query)]
        page = PageRequest(limit=BATCH_SIZE, after=rows[-1].number)


def _is_between(at: int, query: ExportQuery) -> bool:
    return (query.since is None or at >= query.since) and (query.until is None or at <= query.until)


async def _nothing(ports: Ports, principal: Principal, query: ExportQuery) -> Batches:
    return
    yield []


EXPORTED_TYPES: Final = {
    "audit": ExportedType(
        "audit-log",
        ("id", "action", "actor", "actor_id", "target_type", "target_id", "detail", "ip_address", "user_agent",
         "workspace_id", "created_at"),
        _audit,
    ),
    "tasks": ExportedType(
        "tasks",
        ("id", "title", "description", "status", "priority", "assigned_to", "created_by", "created_at", "updated_at",
         "due_date", "estimated_hours", "actual_hours", "tags"),
        _tasks,
    ),
    "activities": ExportedType(
        "activities", ("id", "type", "entity_type", "entity_id", "actor", "description", "data", "created_at"),
        _activities,
    ),
    "pipelines": ExportedType(  # this server has no pipelines
        "pipeline-runs",
        ("id", "pipeline_id", "pipeline_name", "status", "current_step", "steps_snapshot", "started_at", "completed_at",
         "triggered_by", "created_at"),
        _nothing,
    ),
}  # fmt: skip


async def export_data(request: Request) -> Response:
    """
    Export the audit log, tasks or activities, newest first, as CSV or with `format=json` as JSON.

    All rows are sent, or the newest `limit`. A text that a spreadsheet would take for a formula has an apostrophe
    before it in CSV.
    """
    query, ports, principal = query_of(request, ExportQuery), ports_of(request), principal_of(request)
    exported = EXPORTED_TYPES.get(query.type or "")
    if exported is None or query.type is None:
        raise InvalidRequest(f"type required: {', '.join(EXPORTED_TYPES)}")
    format = "csv" if query.format == "csv" else "json"
    if request.method == "HEAD":
        return Response(media_type=MEDIA_TYPES[format])
    rows = _limited(exported.read(ports, principal, query), query.limit)
    first = await anext(rows, None)  # so that a failure of the first read is an error response
    await record_data_export(ports, principal, RecordDataExport(what=query.type, format=format))
    now = ports.clock.now()
    disposition = f"attachment; filename={exported.file}-{now:%Y-%m-%d}.{format}"
    chunks = (
        _csv_chunks(exported.columns, first, rows) if format == "csv"
        else _json_chunks(query.type, iso_of(now), first, rows)
    )  # fmt: skip
    return StreamingResponse(chunks, media_type=MEDIA_TYPES[format], headers={"content-disposition": disposition})


async def _limited(batches: Batches, limit: int | None) -> Batches:
    left = limit
    async for rows in batches:
        if left is not None:
            rows, left = rows[:left], left - len(rows[:left])
        yield rows
        if left == 0:
            return


async def _csv_chunks(columns: Sequence[str], first: Sequence[Payload] | None, rest: Batches) -> AsyncIterator[bytes]:
    yield csv_lines([columns])
    async for rows in _with_first(first, rest):
        told = msgspec.json.decode(msgspec.json.encode(rows))  # payloads may have parts that are JSON already
        yield csv_lines([row.get(column) for column in columns] for row in told)


async def _json_chunks(
    type: str, exported_at: str, first: Sequence[Payload] | None, rest: Batches
) -> AsyncIterator[bytes]:
    opening = msgspec.json.encode({"type": type, "exported_at": exported_at})
    yield opening[:-1] + b',"data":['
    count = 0
    async for rows in _with_first(first, rest):
        if rows:
            yield (b"," if count else b"") + msgspec.json.encode(rows)[1:-1]
            count += len(rows)
    yield b'],"count":%d}' % count


async def _with_first(first: Sequence[Payload] | None, rest: Batches) -> Batches:
    if first is not None:
        yield first
    async for rows in rest:
        yield rows


ENDPOINTS = [
    Endpoint(
        "GET", "/export", export_data, query=ExportQuery, gives=ExportPayload, media_types=("text/csv",), who=ADMIN,
        changes=True, limits=("heavy",), tags=("Activities",), operation_id="fleet_exportData",
    ),
]  # fmt: skip
