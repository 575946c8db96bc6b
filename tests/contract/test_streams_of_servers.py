"""
Event streams of two server processes on one database: clients resume on the other one, and revocations count on both.
"""

import json
import signal
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.server_process import Server, served

pytestmark = pytest.mark.real_time


class Client:
    """
    A client of the stream of created tasks, which resumes on whatever server it is told.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.last: str | None = None
        self.seen: list[int] = []
        self.end: Any = None

    def follow(self, server: Server, until: int | None = None, opened: threading.Event | None = None) -> None:
        """
        Follow a stream until it ends, or until so many events have come.
        """
        headers = {"x-api-key": self.key, **({"last-event-id": self.last} if self.last else {})}
        request = urllib.request.Request(f"{server.base}/api/events?types=task.created", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                for block in blocks(response):
                    self.last = block.get("id", self.last)
                    data = json.loads(block.get("data", "{}"))
                    if data.get("type") == "connected" and opened is not None:
                        opened.set()
                    if data.get("type") == "task.created":
                        self.seen.append(data["data"]["id"])
                    if data.get("type") == "stream.ended":
                        self.end = data["data"]["reason"]
                    if until is not None and len(self.seen) >= until:
                        return
        except (ConnectionError, OSError, ValueError):
            self.end = "lost"


def blocks(response: Any) -> Iterator[dict[str, str]]:
    """
    The blocks of lines of a stream, by field.
    """
    lines: dict[str, str] = {}
    for raw in response:
        line = raw.decode().rstrip("\r\n")
        if line:
            name, _, value = line.partition(": ")
            lines[name] = value
        else:
            yield lines
            lines = {}


def following(client: Client, server: Server) -> threading.Thread:
    """
    A thread in which the client follows a stream, once that is open.
    """
    opened = threading.Event()
    thread = threading.Thread(target=client.follow, args=(server,), kwargs={"opened": opened})
    thread.start()
    assert opened.wait(20)
    return thread


def created(server: Server, key: str, amount: int) -> list[int]:
    """
    The numbers of new tasks.
    """
    return [
        int(server.call("POST", "/api/tasks", {"title": f"{each}"}, **{"x-api-key": key})["task"]["id"])
        for each in range(amount)
    ]


def test_a_client_of_a_killed_server_resumes_on_the_other_one(database_url: str, tmp_path: Path) -> None:
    """
    With the whole sequence. A revoked key ends a stream on the other server, too, and a server that is stopped says so.
    """
    with served(database_url, tmp_path) as first, served(database_url, tmp_path) as second:
        key = first.credential("API_KEY")
        client = Client(key)
        thread = following(client, first)
        tasks = created(second, key, 3)
        while len(client.seen) < 3:
            thread.join(0.01)
        first.kill()
        thread.join(20)
        tasks += created(second, key, 3)
        client.follow(second, until=6)

        assert tasks == client.seen

        first.start()
        second.call("POST", "/api/agents", {"name": "ada", "role": "coder"}, **{"x-api-key": key})
        path = "/api/agents/ada/keys"
        made = second.call("POST", path, {"scopes": ["admin"]}, **{"x-api-key": key})
        revoked, stopped = Client(made["api_key"]), Client(key)
        threads = following(revoked, first), following(stopped, first)
        second.call("DELETE", path, {"key_id": made["key"]["id"]}, **{"x-api-key": key})
        created(second, key, 1)
        threads[0].join(20)
        while not stopped.seen:
            threads[1].join(0.01)
        assert 0 == first.stop(signal.SIGTERM)
        threads[1].join(20)

        assert (([], "access_changed"), "server_stopping") == ((revoked.seen, revoked.end), stopped.end)
