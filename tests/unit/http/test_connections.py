"""
Connections between their requests.
"""

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from mission_http.connection_limits import ConnectionLimits
from mission_http.connections import ConnectionSupervisor, HttpConnection
from tests.unit.http.platform.sample_app import sample_app
from tests.unit.http.transports import Transport

REQUEST = b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n"


@pytest.mark.parametrize("requests", [1, 2])
async def test_an_idle_connection_is_closed_after_five_seconds(requests: int) -> None:
    """
    After its last response.
    """
    app, state, transport = sample_app(), ServerState(), Transport()
    config = uvicorn.Config(app, ws="none", log_config=None, access_log=False)
    made: Any = transport
    connection = HttpConnection(config, state, {}, supervisor=ConnectionSupervisor(ConnectionLimits(), app.error_app))
    connection.connection_made(made)
    connection.data_received(REQUEST * requests)
    while state.tasks:
        await asyncio.wait(state.tasks)
    now, closed = asyncio.get_running_loop().time(), []
    for seconds in (4.9, 5.1):
        connection.enforce_deadlines(now + seconds, ConnectionLimits())
        closed.append(transport.closed)

    assert requests == transport.written.count(b"HTTP/1.1 200 OK") == state.total_requests
    assert [False, True] == closed
    assert (0, connection.idle_since) == connection.eviction_rank(now)
