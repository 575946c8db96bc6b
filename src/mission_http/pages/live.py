"""
The event stream of the page: it names the panels that have changed, which the browser then reads again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mission_core.ids import BoardId
from mission_http.fleet.event_stream import FRAMING
from mission_http.fleet.event_stream import KINDS as FLEET_KINDS
from mission_http.platform.event_streams import EventStream, EventStreamResponse, StreamClient, StreamEvent
from mission_http.platform.stream_cursors import StreamCursors

if TYPE_CHECKING:
    from mission_core.events.model import Entry
    from mission_core.ids import OrganizationId
    from mission_core.ports import Ports
    from mission_http.settings import Settings

PANELS: Final = {
    "task": ("board", "activity"),
    "run": ("board", "activity"),
    "approval": ("approvals", "activity"),
    "agent": ("agents", "activity"),
    "board": ("board", "activity"),
}
"""The panels that an entry of the log changes, by the first word of its kind; all others change the activity feed."""
ALL_PANELS: Final = ("board", "approvals", "agents", "usage", "activity")


async def render_panels(ports: Ports, organization: OrganizationId, entries: Sequence[Entry]) -> list[StreamEvent]:
    """
    Return the names of the panels that some entries change, once for each board.
    """
    seen: set[tuple[str, UUID | None]] = set()
    events = []
    for entry in reversed(entries):  # the last entry of each panel, so that a client that resumes misses none
        told: dict[str, Any] = {} if entry.payload is None else msgspec.json.decode(entry.payload)
        word = entry.kind.partition(".")[0]
        named = str(entry.subject) if word == "board" else told.get("board")
        board = BoardId(UUID(named)) if named else None
        for panel in PANELS.get(word, ("activity",)):
            if (panel, board) not in seen:
                seen.add((panel, board))
                events.append(StreamEvent(position=entry.position, name=panel, data=b"", board=board))
    return events[::-1]


def stream_handler(settings: Settings) -> Callable[[Request], Any]:
    """
    The handler of the stream.
    """
    stream = EventStream(
        cursors=StreamCursors(settings.key_for("event streams"), "page"), kinds=FLEET_KINDS, render=render_panels,
        framing=FRAMING._replace(
            event=_frame, opening=lambda _: b"".join(_frame(panel, b"", "") for panel in ALL_PANELS), ending=_ending,
            cursor=lambda _: b"",
        ),
    )  # fmt: skip

    async def follow(request: Request) -> Response:
        """
        Stream the names of the panels that change, as server-sent events. The stream begins with all of them.
        """
        return EventStreamResponse(StreamClient(request, stream, None))

    return follow


def _frame(name: str, data: bytes, cursor: str) -> bytes:
    return b"event: %b\ndata: \n\n" % name.encode()


def _ending(reason: str) -> bytes:
    return b"event: ended\ndata: %b\n\n" % reason.encode()
