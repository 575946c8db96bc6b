"""
Access requests of people who signed in with Google, and their review by admins.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from attrs import frozen
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.access_requests import (
    LONGEST_NOTE,
    AccessRequest,
    AccessRequestNotFound,
    NotDefaultOrganizationAdmin,
)
from mission_core.accounts.google_sign_in import ReviewAccessRequest, list_access_requests, review_access_request
from mission_core.accounts.model import Role
from mission_core.accounts.ownership_rules import LastOwnerRequired, OwnerAboveAdmin
from mission_core.values import ABSENT, Absent
from mission_http.fleet.access import USER_CHANGE_ADMIN, USER_LIST_ADMIN
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.user_payloads import UserPayload, member_user_payload
from mission_http.fleet.wire import seconds_of
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Length, NumberRange
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Payload

TAGS: Final = ("Users",)


@frozen(kw_only=True)
class AccessRequestsQuery:
    status: str = "all"


@frozen(kw_only=True)
class ReviewBody:
    request_id: Annotated[int, NumberRange(1)] | Absent = ABSENT
    id: Annotated[int, NumberRange(1)] | Absent = ABSENT
    """The name of `request_id` in the first version of the document."""
    action: Literal["approve", "reject"]
    role: Literal["viewer", "operator", "admin"] = "viewer"
    note: Annotated[str, Length(0, LONGEST_NOTE)] | Absent = ABSENT


class AccessRequestPayload(Payload):
    id: int
    provider: str
    email: str
    provider_user_id: str
    display_name: str | None
    avatar_url: str | None
    status: Literal["pending", "approved", "rejected"]
    requested_at: int
    last_attempt_at: int
    attempt_count: int
    reviewed_by: str | None
    reviewed_at: int | None
    review_note: str | None
    approved_user_id: int | None


class AccessRequestListPayload(Payload):
    requests: list[AccessRequestPayload]


class ReviewedPayload(Payload):
    ok: bool
    success: bool
    user: UserPayload | UnsetType = UNSET


async def list_requests(request: Request) -> Response:
    """
    List access requests, pending ones first, then the newest first.
    """
    status = query_of(request, AccessRequestsQuery).status
    found = await list_access_requests(ports_of(request), principal_of(request), None if status == "all" else status)
    return json_response({"requests": [_access_request_payload(each) for each in found]})


async def review(request: Request) -> Response:
    """
    Approve or reject an access request.

    Approval creates a user, unless a user with the same Google account exists, or an unused one that was created for
    Google with this e-mail address. An equal e-mail address alone never gives access to another person's account.
    """
    body = await body_of(request, ReviewBody)
    number = body.id if isinstance(body.request_id, Absent) else body.request_id
    if isinstance(number, Absent):
        raise InvalidRequest("Validation failed", ("request_id: Field required",))
    command = ReviewAccessRequest(
        request=number, approve=body.action == "approve", role=Role(body.role),
        note=None if isinstance(body.note, Absent) else body.note,
    )  # fmt: skip
    ports, principal = ports_of(request), principal_of(request)
    let_in = await review_access_request(ports, principal, command)
    answer: dict[str, Any] = {"ok": True, "success": True}
    if let_in is not None:
        answer["user"] = await member_user_payload(ports, principal, *let_in)
    return json_response(answer)


def _access_request_payload(row: AccessRequest) -> AccessRequestPayload:
    return AccessRequestPayload(
        id=row.number, provider=row.provider.value, email=row.email, provider_user_id=row.subject,
        display_name=row.name, avatar_url=row.picture, status=row.status.value,
        requested_at=seconds_of(row.requested_at), last_attempt_at=seconds_of(row.last_attempt_at),
        attempt_count=row.attempts, reviewed_by=row.reviewed_by,
        reviewed_at=seconds_of(row.reviewed_at) if row.reviewed_at else None, review_note=row.note,
        approved_user_id=row.approved_user,
    )  # fmt: skip


ENDPOINTS = [
    Endpoint(
        "GET", "/auth/access-requests", list_requests, query=AccessRequestsQuery, gives=AccessRequestListPayload,
        who=USER_LIST_ADMIN, refuses=(NotDefaultOrganizationAdmin,), operation_id="fleet_listAccessRequests", tags=TAGS,
    ),
    Endpoint(
        "POST", "/auth/access-requests", review, takes=ReviewBody, gives=ReviewedPayload, who=USER_CHANGE_ADMIN,
        refuses=(AccessRequestNotFound, NotDefaultOrganizationAdmin, OwnerAboveAdmin, LastOwnerRequired),
        limits=("identity:access-requests",),
        operation_id="fleet_handleAccessRequest", tags=TAGS,
    ),
]  # fmt: skip
