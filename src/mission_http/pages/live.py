"""
The event stream of the page: it names the panels that have changed, which the browser then reads again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import SystemPrincipal
from mission_core.ids import BoardId, TaskId
from mission_core.projections import Projection
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
BOARDS_OF_TASKS: Final = Projection(
    render=lambda row: (UUID(bytes=row.id), BoardId(UUID(bytes=row.board))), fields=frozenset({"id", "board"})
)
ALL_PANELS: Final = ("board", "approvals", "agents", "usage", "activity")


async def render_panels(ports: Ports, organization: OrganizationId, entries: Sequence[Entry]) -> list[StreamEvent]:
    """
    Return the names of the panels that some entries change, once for each board.
    """
    boards = await _boards_of_tasks(ports, organization, entries)
    seen: set[tuple[str, BoardId | None]] = set()
    events = []
    for entry in reversed(entries):  # an event has the position of the last entry that it stands for
        board = boards.get(entry.subject) or _told_board(entry)
        for panel in PANELS.get(_word(entry), ("activity",)):
            if (panel, board) not in seen:
                seen.add((panel, board))
                events.append(StreamEvent(position=entry.position, name=panel, data=b"", board=board))
    return events[::-1]


async def _boards_of_tasks(
    ports: Ports, organization: OrganizationId, entries: Sequence[Entry]
) -> dict[UUID, BoardId]:
    """
    Read the boards of the tasks that entries are about. Few entries about runs tell them.
    """
    ids = {TaskId(entry.subject) for entry in entries if _word(entry) in ("task", "run")}
    everyone = SystemPrincipal(organization=organization)
    return dict(await ports.reads.tasks.several(everyone, ids, BOARDS_OF_TASKS)) if ids else {}


def _word(entry: Entry) -> str:
    return entry.kind.partition(".")[0]


def _told_board(entry: Entry) -> BoardId | None:
    told: dict[str, Any] = {} if entry.payload is None else msgspec.json.decode(entry.payload)
    named = str(entry.subject) if _word(entry) == "board" else told.get("board")
    return BoardId(UUID(named)) if named else None


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
        shown = request.query_params.get("board")
        wants = partial(_is_on_page, shown)
        return EventStreamResponse(StreamClient(request, stream, None, wants))

    return follow


def _is_on_page(shown: str | None, event: StreamEvent) -> bool:
    """
    Whether a page sees the change: only the tasks of the board with the id *shown* are on it.
    """
    return event.name != "board" or event.board is None or event.board.hex == shown


def _frame(name: str, data: bytes, cursor: str) -> bytes:
    return b"event: %b\ndata: \n\n" % name.encode()


def _ending(reason: str) -> bytes:
    return b"event: ended\ndata: %b\n\n" % reason.encode()
