"""
The operations of the page, besides the page itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_http.pages.actions import decide, move_task
from mission_http.pages.dialect import READER, WRITER
from mission_http.pages.live import stream_handler
from mission_http.pages.panels import (
    activity_panel,
    agents_panel,
    approvals_panel,
    board_panel,
    sign_in_form,
    usage_panel,
)
from mission_http.pages.rendering import STATIC_FILES, static_file
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.errors import TooManyStreams

if TYPE_CHECKING:
    from mission_http.settings import Settings


def page_endpoints(settings: Settings) -> list[Endpoint]:
    """
    The operations of the page.
    """
    return [
        Endpoint("GET", "/sign-in", sign_in_form, listed=False),
        Endpoint("GET", "/boards/{board}", board_panel, who=READER, listed=False),
        Endpoint("POST", "/boards/{board}/tasks", move_task, who=WRITER, listed=False),
        Endpoint("GET", "/agents", agents_panel, who=READER, listed=False),
        Endpoint("GET", "/approvals", approvals_panel, who=READER, listed=False),
        Endpoint("POST", "/approvals/{approval}", decide, who=WRITER, listed=False),
        Endpoint("GET", "/activity", activity_panel, who=READER, listed=False),
        Endpoint("GET", "/usage", usage_panel, who=READER, listed=False),
        Endpoint("GET", "/stream", stream_handler(settings), who=READER, refuses=(TooManyStreams,), listed=False),
        *(Endpoint("GET", f"/static/{name}", static_file, listed=False) for name in STATIC_FILES),
    ]
