"""
A served instance whose tasks and board are edited without a pause while work on them is handed in.

    python -m tests.contract.test_contention sqlite:////tmp/file.db   # prints how many of 100 completions are refused
"""

import http.client
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from tests.contract.server_process import Server, served

pytestmark = pytest.mark.real_time

HOLDERS, EDITORS, COMPLETIONS = 4, 4, 100


@define
class Client:
    """
    One connection to a server that is kept.
    """

    connection: http.client.HTTPConnection
    key: str

    def call(self, method: str, path: str, body: object, **more: str) -> tuple[int, dict[str, Any]]:
        headers = {"x-api-key": self.key, "content-type": "application/json", **more}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())


@define
class Contention:
    """
    Holders and editors of the same tasks, and what they were answered: (who, status) and how often. Half of the holders
    claim and complete, the others poll the queue and write the status.
    """

    server: Server
    key: str
    project: int
    answers: Counter[tuple[str, int]] = field(factory=Counter)
    refusals: list[str] = field(factory=list)
    held: list[int] = field(factory=list)
    over: threading.Event = field(factory=threading.Event)

    def run(self) -> None:
        editors = [self.edit_tags, self.edit_board] * (EDITORS // 2)
        holders = [partial((self.hold, self.poll)[n % 2], f"holder-{n}") for n in range(HOLDERS)]
        started = [threading.Thread(target=self.connected, args=(each,)) for each in (*editors, *holders)]
        for thread in started:
            thread.start()
        for thread in started[EDITORS:]:
            thread.join()
        self.over.set()
        for thread in started[:EDITORS]:
            thread.join()

    def connected(self, part: Callable[[Client], None]) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)) as connection:
            part(Client(connection, self.key))

    def edit_tags(self, client: Client) -> None:
        count = 0
        while not self.over.is_set():
            for task in self.held[-1:] + self.held[:1]:
                count += 1
                status, _ = client.call("PUT", f"/api/tasks/{task}", {"tags": [f"tag-{count}"]})
                self.answers["tags", status] += 1

    def edit_board(self, client: Client) -> None:
        count = 0
        while not self.over.is_set():
            count += 1
            status, _ = client.call("PATCH", f"/api/projects/{self.project}", {"description": f"text {count}"})
            self.answers["board", status] += 1

    def hold(self, name: str, client: Client) -> None:
        for _ in range(COMPLETIONS // HOLDERS):
            status, claimed = client.call("POST", "/api/tasks/claim", {"agent": name, "project_id": self.project})
            assert status == 200, claimed
            task, lease = claimed["task"]["id"], claimed["lease"]["lease"]
            self.held.append(task)
            client.call("POST", f"/api/tasks/{task}/lease/heartbeat", {"lease": lease, "progress": {"at": "half"}})
            body = {"lease": lease, "resolution": "said"}
            self.hand_in("complete", task, *client.call("POST", f"/api/tasks/{task}/complete", body))

    def poll(self, name: str, client: Client) -> None:
        for _ in range(COMPLETIONS // HOLDERS):
            status, polled = client.call("GET", f"/api/tasks/queue?agent={name}", None)
            assert (200, True) == (status, polled["task"] is not None), polled
            task = polled["task"]["id"]
            self.held.append(task)
            body = {"status": "review", "resolution": "said"}
            self.hand_in("review", task, *client.call("PUT", f"/api/tasks/{task}", body, **{"x-agent-name": name}))

    def hand_in(self, how: str, task: int, status: int, answer: dict[str, Any]) -> None:
        self.held.remove(task)
        self.answers[how, status] += 1
        if status != 200:
            self.refusals.append(str(answer))


def contended(url: str, folder: Path) -> Contention:
    """
    The answers of a hundred completions among four editors.
    """
    with served(url, folder) as server:
        key = server.credential("API_KEY")
        made = server.call("POST", "/api/projects", {"name": "Contended"}, **{"x-api-key": key})
        contention = Contention(server, key, made["project"]["id"])
        for number in range(COMPLETIONS):
            body = {"title": f"Task {number}", "project_id": contention.project}
            server.call("POST", "/api/tasks", body, **{"x-api-key": key})
        contention.run()
        return contention


def test_editors_of_other_fields_refuse_no_completion(database_url: str, tmp_path: Path) -> None:
    """
    Four editors without a pause, of the tags of what is in hand and of its board's description; nothing is refused.
    """
    found = contended(database_url, tmp_path)

    assert [] == found.refusals
    assert [COMPLETIONS // 2] * 2 == [found.answers[how, 200] for how in ("complete", "review")]
    assert found.answers["tags", 200] + found.answers["board", 200] > COMPLETIONS // 4


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        began = time.perf_counter()
        print(sorted(contended(sys.argv[1], Path(temporary)).answers.items()), f"{time.perf_counter() - began:.1f} s")
