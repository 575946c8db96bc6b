"""
Access requests of people who signed in with Google, and their review by admins.
"""

from __future__ import annotations

from typing import Annotated, Literal

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
from mission_http.fleet.wire import FleetPayload, UnixSeconds
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, Length, NumberRange, Query
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Of, Payload


class AccessRequestsQuery(Query):
    status: str = "all"


class ReviewBody(Body):
    request_id: Annotated[int, NumberRange(1)] | Absent = ABSENT
    id: Annotated[int, NumberRange(1)] | Absent = ABSENT
    """The name of `request_id` in the first version of the document."""
    action: Literal["approve", "reject"]
    role: Literal["viewer", "operator", "admin"] = "viewer"
    note: Annotated[str, Length(0, LONGEST_NOTE)] | Absent = ABSENT


class AccessRequestPayload(FleetPayload[AccessRequest]):
    id: Annotated[int, Of("number")]
    provider: str
    email: str
    provider_user_id: Annotated[str, Of("subject")]
    display_name: Annotated[str | None, Of("name")]
    avatar_url: Annotated[str | None, Of("picture")]
    status: Literal["pending", "approved", "rejected"]
    requested_at: UnixSeconds
    last_attempt_at: UnixSeconds
    attempt_count: Annotated[int, Of("attempts")]
    reviewed_by: str | None
    reviewed_at: UnixSeconds | None
    review_note: Annotated[str | None, Of("note")]
    approved_user_id: Annotated[int | None, Of("approved_user")]


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
    return json_response(AccessRequestListPayload(requests=[AccessRequestPayload.of(each) for each in found]))


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
    user = UNSET if let_in is None else await member_user_payload(ports, principal, *let_in)
    return json_response(ReviewedPayload(ok=True, success=True, user=user))


ENDPOINTS = [
    Endpoint(
        "GET", "/auth/access-requests", list_requests, query=AccessRequestsQuery, gives=AccessRequestListPayload,
        who=USER_LIST_ADMIN, refuses=(NotDefaultOrganizationAdmin,), operation_id="fleet_listAccessRequests",
    ),
    Endpoint(
        "POST", "/auth/access-requests", review, takes=ReviewBody, gives=ReviewedPayload, who=USER_CHANGE_ADMIN,
        refuses=(AccessRequestNotFound, NotDefaultOrganizationAdmin, OwnerAboveAdmin, LastOwnerRequired),
        limits=("identity:access-requests",), operation_id="fleet_handleAccessRequest",
    ),
]  # fmt: skip
