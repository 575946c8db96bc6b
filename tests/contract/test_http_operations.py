"""
What every operation of both dialects has in common, read off the endpoint tables.
"""

import pytest

from mission_http.platform.endpoints import Dialect, Endpoint
from mission_http.platform.field_annotations import fields_of, union_members, wire_name
from tests.contract.populated_app import OPERATIONS, operation_id

Operation = tuple[Dialect, Endpoint]

UNREPEATABLE = {
    "POST /api/auth/login": "each time is another session",
    "POST /api/auth/google": "each time is another session",
    "POST /api/auth/google/disconnect": "who is disconnected is told so",
    "POST /api/auth/access-requests": "the last decision counts, once or again",
    "POST /api/tokens/batch": "each report has an id of its own",
    "POST /api/v1/usage/batch": "each report has an id of its own",
    **dict.fromkeys(
        ("POST /v1/traces", "POST /v1/metrics", "POST /v1/logs"), "each span, event and data point has an identity"
    ),
    "POST /api/notifications": "a notification is read or dismissed, once or again",
    "POST /api/auth/logout": "a session is ended, once or again",
    "POST /api/auth/users": "nothing is kept of a password but its hash, and no two users have one name",
    "POST /api/setup": "there is one first admin",
}
"""What is posted without a key, and why."""
UNVERSIONED = {
    "PATCH /api/auth/me": "signing in makes another version, and the password is guarded by itself",
    "PUT /api/auth/users": "signing in makes another version, and a membership is another row",
    "DELETE /api/auth/users": "signing in makes another version, and a membership is another row",
    "DELETE /api/agents/{id}/keys": "a key is ended once, and has nothing else to change",
    "PUT /api/notifications": "notifications are read, once or again",
    "DELETE /api/notifications": "nothing of a notification changes but whether it was read",
    "PATCH /api/chat/messages/{id}": "a message is read, once or again",
    "DELETE /api/chat/messages/{id}": "nothing of a message changes but whether it was read",
    "PATCH /api/chat/session-prefs": "the last name or colour counts, once or again",
    "DELETE /api/connect": "a connection is ended, once or again",
    "DELETE /api/projects/{id}/agents": "somebody is assigned or not, once or again",
    "PATCH /api/agents/{id}/soul": "it reads templates, and changes nothing",
    "PUT /api/agents/{id}/files": "there is no folder to write to",
    "PUT /api/settings": "many settings at once have many versions",
    "PUT /api/tasks": "many tasks at once have many versions",
    "DELETE /api/v1/users/me": "whoever deletes themselves leaves nothing that somebody else could have changed",
    "DELETE /api/v1/organizations/me": "whatever was changed in it goes with it",
    "DELETE /api/v1/organizations/me/invites/{invite_id}": "an invite is taken back, once or again",
    "PATCH /api/v1/organizations/me/active": "it chooses, and changes nothing",
}
"""Changes that no version guards, and why."""
OTHERWISE = {
    "GET /api/chat/conversations": "in the order of their last messages",
    "GET /api/v1/activity": "an activity has no number",
    "GET /api/v1/activity/task-comments": "an activity has no number",
    "GET /api/v1/boards": "in the order of names",
    "GET /api/v1/budgets": "in the order of scopes",
    "GET /api/v1/prices": "there are 200 at most",
    "GET /api/v1/usage": "in the order of use",
    "GET /api/v1/gateways": "there is one",
    "GET /api/v1/board-groups": "in the order of names",
    "GET /api/v1/organizations/me/members": "in the order of addresses",
    "GET /api/v1/organizations/me/invites": "an invite has no number",
    "GET /api/v1/tags": "in the order of names",
}
"""Lists that have no place after a number, and why."""

of_operations = pytest.mark.parametrize("operation", OPERATIONS, ids=operation_id)


@of_operations
def test_bodies_and_queries_have_readers(operation: Operation) -> None:
    """
    A server builds a reader when the first request needs it, so a mistake in a class is found here.
    """
    dialect, endpoint = operation
    for shape in union_members(endpoint.takes) if endpoint.takes is not None else ():
        assert callable(dialect.converter.get_structure_hook(shape))
    if endpoint.query is not None:
        assert callable(dialect.query_converter.get_structure_hook(endpoint.query))


def headers_of(operation: Operation) -> set[str]:
    """
    The headers that an operation reads.
    """
    return {header.name for header in operation[1].headers}


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each[1].method == "POST"], ids=operation_id)
def test_every_post_can_be_repeated_under_a_key(operation: Operation) -> None:
    """
    So a client that lost the answer may ask again. But for those that tell why not.
    """
    assert ("Idempotency-Key" in headers_of(operation)) is not (operation_id(operation) in UNREPEATABLE)


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each[1].method in ("PUT", "PATCH", "DELETE")], ids=operation_id
)
def test_every_change_can_name_the_version_it_was_made_from(operation: Operation) -> None:
    """
    But for those that tell why not.
    """
    assert ("If-Match" in headers_of(operation)) is not (operation_id(operation) in UNVERSIONED)


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each[1].query is not None], ids=operation_id)
def test_every_page_can_go_on_after_the_last_one_seen(operation: Operation) -> None:
    """
    But for those in another order than that of numbers.
    """
    query = operation[1].query
    assert query is not None
    names = {wire_name(field) for field in fields_of(query)}

    if "offset" in names:
        assert ("after" in names) is not (operation_id(operation) in OTHERWISE)


@of_operations
def test_every_operation_says_what_it_does(operation: Operation) -> None:
    """
    In a summary, under a tag, and with what it answers.
    """
    endpoint = operation[1]

    assert endpoint.summary
    assert endpoint.tags or not endpoint.listed
    assert endpoint.gives is not None or endpoint.media_types or not endpoint.listed


def test_no_two_operations_have_one_name() -> None:
    """
    Agents and generated clients choose by it.
    """
    names = [each[1].operation_id for each in OPERATIONS if each[1].operation_id]

    assert len(names) == len(set(names))


def test_what_is_excused_is_there() -> None:
    """
    No excuse outlives its operation.
    """
    assert {*UNREPEATABLE, *UNVERSIONED, *OTHERWISE} <= {operation_id(operation) for operation in OPERATIONS}
