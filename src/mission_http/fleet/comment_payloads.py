"""
Request bodies and responses for comments, mentions, broadcasts and branches of tasks.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from attrs import frozen
from msgspec import UNSET, UnsetType

from mission_core.tasks.comments import Comment
from mission_core.values import ABSENT, Absent
from mission_http.fleet.wire import WORKSPACE_NUMBER, FleetPayload, UnixSeconds
from mission_http.platform.field_annotations import CustomCheck, Length, SchemaOverride
from mission_http.platform.shapes import Fixed, Given, Of, Payload

_digits: Final = re.compile(r"\s*(-?\d{1,9})", re.ASCII)


@frozen(kw_only=True)
class CommentBody:
    """
    A new comment. *author* is accepted for old clients and ignored: the author is the caller.
    """

    content: Annotated[str, Length(1, says="Comment content is required")]
    parent_id: int | Absent | None = ABSENT
    author: str | Absent = ABSENT


class CommentPayload(FleetPayload[Comment]):
    id: Annotated[int, Of("number")]
    task_id: Annotated[int, Given()]
    author: str
    content: str
    created_at: UnixSeconds
    parent_id: Annotated[int | None, Given()]
    mentions: list[str]
    workspace_id: Annotated[int, Fixed(WORKSPACE_NUMBER)]
    replies: Annotated[list[CommentPayload], Given()]


class CommentListPayload(Payload):
    comments: list[CommentPayload]
    total: int


class MadeCommentPayload(Payload):
    comment: CommentPayload
    auto_assigned_to: str | UnsetType = UNSET


def mention_limit(value: str) -> int:
    """
    Parse the number that a text begins with, clamped to 1 to 200; 25 if there is none.
    """
    found = _digits.match(value)
    return min(max(int(found[1]), 1), 200) if found else 25


@frozen(kw_only=True)
class MentionQuery:
    q: str = ""
    type: Literal["user", "agent"] | None = None
    limit: Annotated[
        Any,
        CustomCheck(mention_limit),
        SchemaOverride({"type": "integer", "minimum": 1, "maximum": 200, "default": 25}),
    ] = 25


class CalleePayload(Payload):
    handle: str
    recipient: str
    type: Literal["user", "agent"]
    display: str
    role: str | UnsetType = UNSET


class CalleeListPayload(Payload):
    mentions: list[CalleePayload]
    total: int
    q: str


@frozen(kw_only=True)
class BroadcastBody:
    """
    The request body as documented. The handler validates it itself, with the original API's error texts.
    """

    message: Annotated[str, Length(1)]
    agents: list[str] | Absent = ABSENT


class BroadcastPayload(Payload):
    sent: int
    skipped: int
    delivered_to: list[str]


@frozen(kw_only=True)
class BranchBody:
    """
    An action on a task's branch. Without one, the branch is returned, or created if there is none.
    """

    action: Literal["create-pr"] | Absent = ABSENT
    title: str | Absent = ABSENT
    body: str | Absent = ABSENT
    base: str | Absent = ABSENT


class BranchPayload(Payload):
    branch: str | None
    pr_number: int | None
    pr_state: str | None
    repo: str | None


class BranchUrlPayload(Payload):
    branch: str
    url: str
