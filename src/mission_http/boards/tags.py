"""
Operations on tags: for admins to change them, and for all on a board to read them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.boards.tags import (
    DEFAULT_TAG_COLOR,
    MAX_TAG_NAME_LENGTH,
    TAGS,
    CreateTag,
    DeleteTag,
    Tag,
    TagNotFound,
    TagSlugTaken,
    UpdateTag,
    color_from,
    sorted_by_name,
)
from mission_core.boards.tags import create_tag as make_tag
from mission_core.boards.tags import delete_tag as remove_tag
from mission_core.boards.tags import update_tag as change_tag
from mission_core.errors import VersionMismatch
from mission_core.ids import TagId
from mission_core.values import ABSENT, Absent
from mission_http.boards.access import AGENT, USER, board_in_path, path_id, require_admin, row_not_found_first
from mission_http.boards.agent_hints import BOARD_AGENT_TAGS, agent_hints
from mission_http.boards.payloads import LimitOffsetPage, OkResponse, PageQuery, TagRef, sent_fields, stripped
from mission_http.boards.responses import page_response, versioned_response
from mission_http.boards.wire import naive, tag_ref
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import CustomCheck, Length
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once, read_row_again
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of

Name = Annotated[str, CustomCheck(stripped), Length(1, MAX_TAG_NAME_LENGTH)]
Color = Annotated[str, CustomCheck(color_from)]


@frozen(kw_only=True)
class TagRead:
    id: UUID
    organization_id: UUID
    name: str
    slug: str
    color: str
    description: str | None
    task_count: int
    created_at: datetime
    updated_at: datetime
    version: int


@frozen(kw_only=True)
class TagCreate:
    name: Name
    slug: str | None = None
    color: Color = DEFAULT_TAG_COLOR
    description: str | None = None

    def command(self) -> CreateTag:
        return CreateTag(name=self.name, slug=self.slug, color=self.color, description=self.description)


@frozen(kw_only=True)
class TagUpdate:
    name: Name | Absent = ABSENT
    slug: str | Absent | None = ABSENT
    color: Color | Absent = ABSENT
    description: str | Absent | None = ABSENT

    def __attrs_post_init__(self) -> None:
        if not sent_fields(self):
            raise ValueError("At least one field is required")

    def command(self, tag: TagId, *, expects: int | None) -> UpdateTag:
        return UpdateTag(tag=tag, expects=expects, **sent_fields(self))


async def list_tags(request: Request) -> Response:
    """
    List the tags of the organization, sorted by name, each with its number of tasks.
    """
    principal, query = principal_of(request), query_of(request, PageQuery)
    tags = sorted_by_name(await ports_of(request).reads.entities.every(principal, TAGS))
    shown = tags[query.offset : query.offset + query.limit]
    counts = await _counts(request, shown)
    return page_response(shown, len(tags), query, lambda tag: tag_from(tag, counts.get(tag.id, 0)))


async def create_tag(request: Request) -> Response:
    """
    Create a tag.

    Without a slug, one is derived from the name.
    """
    require_admin(request)
    body = await body_of(request, TagCreate)
    return await _answer(request, await perform_once(request, make_tag, body.command(), _again))


async def get_tag(request: Request) -> Response:
    """
    Read a tag.
    """
    tag = await ports_of(request).reads.entities.get(principal_of(request), TAGS, path_id(request, "tag_id"))
    return await _answer(request, tag)


async def update_tag(request: Request) -> Response:
    """
    Change the named fields of a tag.

    Every task that has it shows the change. A slug of null or blank is derived from the name again.
    """
    principal, id = require_admin(request), TagId(path_id(request, "tag_id"))
    async with row_not_found_first(request, TAGS, id):
        body = await body_of(request, TagUpdate)
        command = body.command(id, expects=expected_version_of(request))
        tag = await change_tag(ports_of(request), principal, command)
    return await _answer(request, tag)


async def delete_tag(request: Request) -> Response:
    """
    Delete a tag, and remove it from every task.
    """
    principal, id = require_admin(request), TagId(path_id(request, "tag_id"))
    async with row_not_found_first(request, TAGS, id):
        await remove_tag(ports_of(request), principal, DeleteTag(tag=id, expects=expected_version_of(request)))
    return json_response({"ok": True})


async def list_board_tags(request: Request) -> Response:
    """
    List the tags that tasks of the board may have: all tags of the organization, sorted by name.
    """
    await board_in_path(request)
    tags = await ports_of(request).reads.entities.every(principal_of(request), TAGS)
    return json_response([tag_ref(tag) for tag in sorted_by_name(tags)])


def tag_from(tag: Tag, count: int) -> dict[str, Any]:
    """
    A tag as `TagRead`.
    """
    return {
        "id": str(tag.id),
        "organization_id": str(tag.organization),
        "name": tag.name,
        "slug": tag.slug,
        "color": tag.color,
        "description": tag.description,
        "task_count": count,
        "created_at": naive(tag.created_at),
        "updated_at": naive(tag.updated_at),
        "version": tag.version,
    }


async def _answer(request: Request, tag: Tag) -> Response:
    return versioned_response(tag_from(tag, (await _counts(request, [tag])).get(tag.id, 0)))


async def _counts(request: Request, tags: list[Tag]) -> dict[TagId, int]:
    return await ports_of(request).reads.tasks.count_by_tag(principal_of(request), [tag.id for tag in tags])


_again = read_row_again(TAGS)
ENDPOINTS = [
    Endpoint(
        "GET", "/tags", list_tags, query=PageQuery, gives=LimitOffsetPage[TagRead], who=USER, tags=("tags",)
    ),
    Endpoint(
        "POST", "/tags", create_tag, takes=TagCreate, gives=TagRead, who=USER, tags=("tags",),
        headers=(IDEMPOTENCY_KEY,), refuses=(TagSlugTaken,),
    ),
    Endpoint("GET", "/tags/{tag_id}", get_tag, gives=TagRead, who=USER, tags=("tags",), refuses=(TagNotFound,)),
    Endpoint(
        "PATCH", "/tags/{tag_id}", update_tag, takes=TagUpdate, gives=TagRead, who=USER, tags=("tags",),
        headers=(IF_MATCH,), refuses=(TagNotFound, TagSlugTaken, VersionMismatch),
    ),
    Endpoint(
        "DELETE", "/tags/{tag_id}", delete_tag, gives=OkResponse, who=USER, tags=("tags",),
        headers=(IF_MATCH,), refuses=(TagNotFound, VersionMismatch),
    ),
    Endpoint(
        "GET", "/agent/boards/{board_id}/tags", list_board_tags, gives=list[TagRef], who=AGENT,
        tags=BOARD_AGENT_TAGS, refuses=(BoardNotFound, BoardDenied),
        operation_id="list_tags_api_v1_agent_boards__board_id__tags_get",
        extra=agent_hints(
            "agent_board_tag_discovery", ["You want to know which tags tasks may have, and their ids."],
            unless=["You want the tags of a task: list the tasks."],
        ),
    ),
]  # fmt: skip
