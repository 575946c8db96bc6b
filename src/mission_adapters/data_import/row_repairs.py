"""
Repair of imported rows: optional values that are not valid are corrected or left out, and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from mission_core.errors import Invalid, Refusal
from mission_core.values import UNSTORABLE

Row = Mapping[str, Any]
AddToReport = Callable[[str], None]
ROW_ERRORS: Final = (Invalid, ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError, RecursionError)
"""The exceptions that are raised if no entity can be made from a row."""
REQUIRED_COLUMNS: Final = frozenset(
    {
        "id", "key", "role", "username", "name", "key_hash", "expires_at", "revoked_at", "is_approved", "secret",
        "slug", "connection_id", "tool_name", "agent_id", "agent_name", "task_id", "board_id", "board_group_id",
        "webhook_id",
        "organization_id", "organization_member_id", "organization_invite_id", "clerk_user_id", "user_id",
        "invited_email",
        "all_boards_read", "all_boards_write", "can_read", "can_write", "approval_id", "approval", "task", "place",
        "field_key", "value", "content", "message", "model", "input_tokens", "output_tokens", "used_at",
    }
)  # fmt: skip
"""Columns that must not be left out: they identify the row, or limit what it permits."""
REQUIRED_TIMES: Final = frozenset({"created_at", "updated_at", "assigned_at", "received_at"})
"""Required times."""
TIME_COLUMNS: Final = REQUIRED_TIMES | {
    "due_date", "due_at", "deadline", "target_date", "last_seen", "last_seen_at", "last_heartbeat", "completed_at",
    "in_progress_at", "previous_in_progress_at", "github_synced_at", "last_used_at", "last_login_at", "resolved_at",
    "accepted_at",
}  # fmt: skip
MAX_SECONDS: Final = 10**11
"""A larger number is in milliseconds: in seconds it would be after the year 5138."""
MAX_MILLISECONDS: Final = 10**14
"""A larger number is in microseconds."""


class InvalidRow(ValueError):
    """
    A row, or a value of it, cannot be imported. The text says why.
    """


def reason_text(reason: BaseException) -> str:
    """
    The reason as a text for the report.
    """
    return str(reason) if isinstance(reason, Refusal | InvalidRow) else "one of its values is not valid"


def make_entity(row: Row, make: Callable[[Row], Any], tell: AddToReport, *, at: datetime) -> Any:
    """
    The entity for a row. Optional values that are not valid are left out.

    Raises:
        ROW_ERRORS: If it is not valid even without them.
    """
    row = repaired_row(row, tell, at=at)
    try:
        return make(row)
    except ROW_ERRORS as error:
        reason = error
    side = {
        name: None for name, value in row.items() if name not in REQUIRED_COLUMNS | REQUIRED_TIMES and value is not None
    }
    standing = {**row, **side}
    try:
        made = make(standing)
    except ROW_ERRORS:
        raise reason from None  # this one may complain of a value that was left out here
    for name in side:
        try:
            made = make({**standing, name: row[name]})
        except ROW_ERRORS as reason:
            why = f" ({reason})" if isinstance(reason, Refusal | InvalidRow) else ""
            tell(f"{name} is not valid{why}; it is left out")
        else:
            standing[name] = row[name]
    return made


def repaired_row(row: Row, tell: AddToReport, *, at: datetime) -> Row:
    """
    The row with text that can be stored and times that a datetime can hold. A missing creation time becomes *at*.
    """
    found = dict(row)
    for name, value in row.items():
        if isinstance(value, bytes):
            found[name] = value = value.decode(errors="replace")
            tell(f"{name} was bytes; it is read as text")
        if isinstance(value, str) and UNSTORABLE.search(value):
            found[name] = value = UNSTORABLE.sub("", value)
            tell(f"{name} had NUL characters or lone surrogates, which are left out")
        if name in TIME_COLUMNS and value is not None and name not in REQUIRED_COLUMNS:
            found[name] = _repaired_time(name, value, tell)
    made = next((found[name] for name in ("created_at", "updated_at") if found.get(name) is not None), at)
    for name in REQUIRED_TIMES & found.keys():
        if found[name] is None:
            found[name] = made
            if name != "updated_at" and row[name] is None:
                tell(f"it had no {name}; another time is used")
    return found


def utc_datetime_from(value: Any) -> datetime:
    """
    A datetime in UTC, from a datetime or from seconds.

    Raises:
        InvalidRow: If the value is out of range.
    """
    try:
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return datetime.fromtimestamp(float(value), UTC)
    except ROW_ERRORS:
        raise InvalidRow("it is not a time of the years 1 to 9999") from None


def _repaired_time(name: str, value: Any, tell: AddToReport) -> datetime | None:
    if isinstance(value, int | float) and abs(value) >= MAX_SECONDS:
        value /= 1000 if abs(value) < MAX_MILLISECONDS else 1_000_000
        tell(f"{name} was in milliseconds or microseconds; it is converted")
    try:
        return utc_datetime_from(value)
    except InvalidRow:
        told = "another time is used" if name in REQUIRED_TIMES else "it is left out"
        tell(f"{name} is not a time of the years 1 to 9999; {told}")
        return None
