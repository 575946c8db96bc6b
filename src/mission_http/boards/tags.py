"""
Operations on tags: for admins to change them, and for all on a board to read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

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
    TagSlugTaken,
    UpdateTag,
    color_from,
    create_tag,
    delete_tag,
    name_order,
    update_tag,
)
from mission_core.values import ABSENT, Absent
from mission_http.boards.access import AGENT, board_in_path
from mission_http.boards.agent_hints import BOARD_AGENT_TAGS, agent_hints
from mission_http.boards.payloads import TagRef, sent_fields, stripped
from mission_http.boards.resources import Resource
from mission_http.boards.wire import BoardsPayload
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, CustomCheck, Length
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Given, Of

Name = Annotated[str, CustomCheck(stripped), Length(1, MAX_TAG_NAME_LENGTH)]
Color = Annotated[str, CustomCheck(color_from)]


class TagRead(BoardsPayload[Tag]):
    id: UUID
    organization_id: Annotated[UUID, Of("organization")]
    name: str
    slug: str
    color: str
    description: str | None
    task_count: Annotated[int, Given()]
    created_at: datetime
    updated_at: datetime
    version: int


class TagCreate(Body):
    name: Name
    slug: str | None = None
    color: Color = DEFAULT_TAG_COLOR
    description: str | None = None


class TagUpdate(Body):
    name: Name | Absent = ABSENT
    slug: str | Absent | None = ABSENT
    color: Color | Absent = ABSENT
    description: str | Absent | None = ABSENT

    def __attrs_post_init__(self) -> None:
        if not sent_fields(self):
            raise ValueError("At least one field is required")


async def _with_task_counts(request: Request, tags: Sequence[Tag]) -> list[TagRead]:
    counts = await ports_of(request).reads.tasks.count_by_tag(principal_of(request), [tag.id for tag in tags])
    return [TagRead.of(tag, task_count=counts.get(tag.id, 0)) for tag in tags]


async def list_board_tags(request: Request) -> Response:
    """
    List the tags that tasks of the board may have: all tags of the organization, sorted by name.
    """
    await board_in_path(request)
    tags = await ports_of(request).reads.entities.every(principal_of(request), TAGS)
    return json_response([TagRef.of(tag) for tag in sorted(tags, key=name_order)])


TAG_RESOURCE: Final = Resource(
    kind=TAGS, noun="tag", key="tag", path="/tags", parameter="tag_id", tag="tags", gives=TagRead,
    show=_with_task_counts, order=name_order,
)  # fmt: skip
ENDPOINTS = [
    TAG_RESOURCE.list("List the tags of the organization, sorted by name, each with its number of tasks."),
    TAG_RESOURCE.create(
        CreateTag, create_tag, "Create a tag.\n\nWithout a slug, one is derived from the name.", takes=TagCreate,
        refuses=(TagSlugTaken,),
    ),
    TAG_RESOURCE.read("Read a tag."),
    TAG_RESOURCE.change(
        UpdateTag, update_tag,
        "Change the named fields of a tag.\n\n"
        "Every task that has it shows the change. A slug of null or blank is derived from the name again.",
        takes=TagUpdate, refuses=(TagSlugTaken,),
    ),
    TAG_RESOURCE.delete(DeleteTag, delete_tag, "Delete a tag, and remove it from every task."),
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
