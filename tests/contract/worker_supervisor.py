"""
A server with several worker processes, for tests: its log as it is written, and requests that tell who answered.
"""

import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

PATIENCE = 60.0
UNLIMITED = {"MC_DISABLE_RATE_LIMIT": "1"}
KEY = "an-api-key-of-the-workers"


@define(eq=False)
class Log:
    """
    The lines of a log in JSON, read while they are written, and of other text on the same stream.
    """

    lines: list[dict[str, Any]] = field(factory=list)
    plain: list[str] = field(factory=list)
    ended: threading.Event = field(factory=threading.Event)
    changed: threading.Condition = field(factory=threading.Condition)

    def read(self, source: Iterator[str]) -> None:
        for line in source:
            with self.changed:
                if line.startswith("{"):
                    self.lines.append(json.loads(line))
                else:
                    self.plain.append(line)
                self.changed.notify_all()
        self.ended.set()

    def of(self, event: str, **facts: object) -> list[dict[str, Any]]:
        return [each for each in self.lines if {"event": event, **facts}.items() <= each.items()]

    def wait_for(self, event: str, count: int = 1, **facts: object) -> list[dict[str, Any]]:
        """
        Wait until so many lines tell this event.
        """
        with self.changed:
            told = self.changed.wait_for(lambda: len(self.of(event, **facts)) >= count, PATIENCE)
            assert told, (event, count, facts, self.lines, self.plain)
            return self.of(event, **facts)

    def wait_for_end(self) -> None:
        """
        Wait until every process that writes to the log has ended.
        """
        assert self.ended.wait(PATIENCE), self.lines


@define(eq=False)
class WorkerServer:
    """
    A supervisor with its workers.
    """

    process: subprocess.Popen[str]
    port: int
    log: Log
    opened: list["Connection"] = field(factory=list)

    def pid_of(self, worker: int) -> int:
        """
        The process that has served last under this number.
        """
        pid: int = self.log.of("worker_ready", worker=worker)[-1]["pid"]
        return pid

    def connection(self) -> "Connection":
        """
        A new connection, which is closed with the server.
        """
        made = Connection(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE), self.log)
        self.opened.append(made)
        return made

    def hang_up(self) -> None:
        """
        Close all connections.
        """
        while self.opened:
            self.opened.pop().http.close()

    def connections_to_each(self, workers: int) -> dict[int, "Connection"]:
        """
        An open connection to each worker, by its number.
        """
        found = dict[int, Connection]()
        while len(found) < workers:  # all stay open, and the next one goes to a worker that has fewer
            made = self.connection()
            found.setdefault(made.worker(), made)
        return found


@define(eq=False)
class Connection:
    """
    A connection that is kept alive.
    """

    http: http.client.HTTPConnection
    log: Log

    def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        headers = {"x-api-key": KEY} if not headers else {name.replace("_", "-"): it for name, it in headers.items()}
        told = None if body is None else json.dumps(body)
        self.http.request(method, path, told, {**headers, "content-type": "application/json"})
        answer = self.http.getresponse()
        return answer.status, json.loads(answer.read() or b"null")

    def worker(self) -> int:
        """
        The number of the worker at the other end, which its log tells.
        """
        name = os.urandom(8).hex()
        self.http.request("GET", "/api/tasks?limit=1", headers={"x-api-key": KEY, "x-request-id": name})
        self.http.getresponse().read()
        [line] = self.log.wait_for("request", request_id=name)
        worker: int = line["worker"]
        return worker


@contextmanager
def served_by_workers(
    database_url: str, folder: Path, *, workers: int = 2, **environment: str
) -> Iterator[WorkerServer]:
    """
    A server with so many workers, all of which are ready.
    """
    command = [sys.executable, "-m", "mission_http.main", "serve", "--port", "0", "--workers", str(workers)]
    settings = {"DATABASE_URL": database_url, "LOG_FORMAT": "json", "API_KEY": KEY, **UNLIMITED, **environment}
    with subprocess.Popen(
        command, cwd=folder, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        log = Log()
        reader = threading.Thread(target=log.read, args=(process.stderr,))
        reader.start()
        try:
            port = process.stdout.readline().rpartition(":")[2]
            assert port, (log.lines, log.plain)
            log.wait_for("worker_ready", workers)
            server = WorkerServer(process, int(port), log)
            yield server
            server.hang_up()
        finally:
            process.kill()  # the workers end with it
            reader.join()
