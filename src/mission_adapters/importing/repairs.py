"""
Repairs of rows on their way in: what a row can stand without is mended or left out, and told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from mission_core.errors import Invalid, Refusal
from mission_core.values import UNSTORABLE

Row = Mapping[str, Any]
Tell = Callable[[str], None]
WRONG: Final = (Invalid, ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError, RecursionError)
"""What is raised where something cannot be made of a row."""
KEPT: Final = frozenset(
    {
        "id", "key", "role", "username", "name", "key_hash", "expires_at", "revoked_at", "is_approved", "secret",
        "slug", "connection_id", "agent_id", "agent_name", "task_id", "board_id", "board_group_id", "webhook_id",
        "organization_id", "organization_member_id", "organization_invite_id", "clerk_user_id", "user_id",
        "invited_email",
        "all_boards_read", "all_boards_write", "can_read", "can_write", "approval_id", "approval", "task", "place",
        "field_key", "value", "content", "message",
    }
)  # fmt: skip
"""Columns without which a row is another one, or would let somebody do more than it did."""
MADE: Final = frozenset({"created_at", "updated_at", "assigned_at", "received_at"})
"""Moments that a row cannot do without."""
MOMENTS: Final = MADE | {
    "due_date", "due_at", "deadline", "target_date", "last_seen", "last_seen_at", "last_heartbeat", "completed_at",
    "in_progress_at", "previous_in_progress_at", "github_synced_at", "last_used_at", "last_login_at", "resolved_at",
    "accepted_at",
}  # fmt: skip
SECONDS: Final = 10**11
"""What is more is no number of seconds that anybody meant (the year 5138), but one of milliseconds."""
MILLISECONDS: Final = 10**14


class Unfit(ValueError):
    """
    A row that cannot stand, with the reason in words.
    """


def said(reason: BaseException) -> str:
    """
    A reason in words, as a report tells it.
    """
    return str(reason) if isinstance(reason, Refusal | Unfit) else "a value of it cannot be understood"


def made_of(row: Row, make: Callable[[Row], Any], tell: Tell, *, at: datetime) -> Any:
    """
    The entity that can be made of a row: of all of it, or of as much of it as can be understood.

    Raises:
        WRONG: If it cannot stand, even with nothing but what it is.
    """
    row = mended(row, tell, at=at)
    try:
        return make(row)
    except WRONG:
        side = {name: None for name, value in row.items() if name not in KEPT | MADE and value is not None}
        standing = {**row, **side}
        made = make(standing)
    for name in side:
        try:
            made = make({**standing, name: row[name]})
        except WRONG as reason:
            why = f" ({reason})" if isinstance(reason, Refusal | Unfit) else ""
            tell(f"{name} cannot be understood{why}; it is left out")
        else:
            standing[name] = row[name]
    return made


def mended(row: Row, tell: Tell, *, at: datetime) -> Row:
    """
    The row with text that can be kept, and with moments that a calendar holds. Where it does not say when it was made,
    that is now.
    """
    found = dict(row)
    for name, value in row.items():
        if isinstance(value, bytes):
            found[name] = value = value.decode(errors="replace")
            tell(f"{name} was bytes; it is read as text")
        if isinstance(value, str) and UNSTORABLE.search(value):
            found[name] = value = UNSTORABLE.sub("", value)
            tell(f"{name} held NUL or lone surrogates, which are left out")
        if name in MOMENTS and value is not None and name not in KEPT:
            found[name] = _moment(name, value, tell)
    made = next((found[name] for name in ("created_at", "updated_at") if found.get(name) is not None), at)
    for name in MADE & found.keys():
        if found[name] is None:
            found[name] = made
            if name != "updated_at" and row[name] is None:
                tell(f"it had no {name}; it has another moment there")
    return found


def moment_from(value: Any) -> datetime:
    """
    A moment in UTC, of a datetime or of seconds.

    Raises:
        Unfit: If no calendar holds it.
    """
    try:
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return datetime.fromtimestamp(float(value), UTC)
    except WRONG:
        raise Unfit("it is no moment of the years 1 to 9999") from None


def _moment(name: str, value: Any, tell: Tell) -> datetime | None:
    if isinstance(value, int | float) and abs(value) >= SECONDS:
        value /= 1000 if abs(value) < MILLISECONDS else 1_000_000
        tell(f"{name} was in milliseconds or less; it is read as such")
    try:
        return moment_from(value)
    except Unfit:
        told = "another moment stands for it" if name in MADE else "it is left out"
        tell(f"{name} is no moment of the years 1 to 9999; {told}")
        return None
