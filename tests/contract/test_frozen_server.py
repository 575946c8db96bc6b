"""
A server process that is frozen inside a transaction, beside another one on the same PostgreSQL.

`MISSION_FROZEN_SECONDS=60` keeps it frozen for longer than the other one needs to recover; `-s` prints the figures.
"""

import asyncio
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import asyncpg
import pytest
from attrs import define, field, frozen

from tests.contract.server_process import Server, served

pytestmark = pytest.mark.real_time

FROZEN: Final = float(os.environ.get("MISSION_FROZEN_SECONDS", "0"))
RECOVERY: Final = 15.0
"""After how many seconds all writes must be served again."""
HELD: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query_start < clock_timestamp() - interval '1 s'
"""


@frozen
class Answer:
    """
    One request: when it was sent, how long it took, and what came back.
    """

    sent: float
    took: float
    status: int
    retry_after: str | None

    @property
    def made(self) -> bool:
        return self.status in (200, 201)


@define
class Load:
    """
    Clients that send one request after the other until they are told to stop.
    """

    server: Server
    key: str
    board: str
    keyed: bool = False
    """Whether each write has a key of its own. So it holds locks from one statement to the next."""
    answers: dict[str, list[Answer]] = field(factory=dict)
    over: threading.Event = field(factory=threading.Event)

    def ask(self, kind: str, method: str, path: str, pause: float) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        answers = self.answers.setdefault(kind, [])
        body = json.dumps({"title": "Ship it"}) if method == "POST" else None
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        while not self.over.wait(pause):
            if self.keyed:
                headers["idempotency-key"] = str(uuid4())
            sent = time.monotonic()
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                response.read()
                status, retry_after = response.status, response.getheader("retry-after")
            except OSError:
                connection.close()
                status, retry_after = 0, None
            answers.append(Answer(sent, time.monotonic() - sent, status, retry_after))
        connection.close()

    def served(self, *, after: float) -> int:
        """
        How many writes that were sent later than a second after this moment were made.
        """
        return sum(each.sent > after + 1 and each.made for each in list(self.answers["writes"]))

    @contextmanager
    def running(self, *, writers: int, readers: int) -> Iterator[None]:
        wishes = [
            *[("writes", "POST", "/api/tasks", 0.01), ("writes", "POST", self.board, 0.01)] * (writers // 2),
            *[("reads", "GET", "/api/tasks?limit=5", 0.02)] * readers,
            *[("probes", "GET", "/readyz", 0.1)] * min(readers, 1),
        ]
        threads = [threading.Thread(target=self.ask, args=wish, daemon=True) for wish in wishes]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join(timeout=120)


@contextmanager
def frozen_in_a_transaction(server: Server, database_url: str) -> Iterator[float]:
    """
    The server as a process that sleeps while others wait for what its transaction has locked; since when it does.
    """
    assert server.process is not None
    for _ in range(20):
        server.process.send_signal(signal.SIGSTOP)
        since = time.monotonic()
        try:
            if asyncio.run(held(database_url)):
                yield since
                return
        finally:
            server.process.send_signal(signal.SIGCONT)
        time.sleep(0.2)
    raise AssertionError("it was never caught with a lock")


async def held(database_url: str) -> bool:
    """
    Whether somebody has waited for a lock for more than a second.
    """
    connection = await asyncpg.connect(database_url)
    try:
        await asyncio.sleep(1.3)
        return bool(await connection.fetchval(HELD))
    finally:
        await connection.close()


def test_a_frozen_server_keeps_others_from_no_read_and_from_writing_for_seconds_only(
    fresh_postgres: str, tmp_path: Path
) -> None:
    """
    Reads and probes are served all the time. A write that cannot be made is refused within seconds and told when to
    come back, and after 15 seconds at most every write is made, however long the other sleeps.
    """
    with served(fresh_postgres, tmp_path) as sleeper, served(fresh_postgres, tmp_path) as other:
        key = sleeper.credential("API_KEY")
        other.call("POST", "/api/tasks", {"title": "Plan it"}, authorization=f"Bearer {key}")
        [board] = other.call("GET", "/api/v1/boards", authorization=f"Bearer {key}")["items"]
        where = f"/api/v1/boards/{board['id']}/tasks"
        load = Load(other, key, where)
        with (
            Load(sleeper, key, where, keyed=True).running(writers=8, readers=0),
            load.running(writers=12, readers=6),
            frozen_in_a_transaction(sleeper, fresh_postgres) as since,
        ):
            until = since + max(FROZEN, RECOVERY + 1)
            while time.monotonic() < until and (load.served(after=since) < 100 or time.monotonic() < since + FROZEN):
                time.sleep(0.2)
    told = {kind: [each for each in answers if since < each.sent + each.took] for kind, answers in load.answers.items()}
    for kind, answers in told.items():
        kinds = {status: sum(each.status == status for each in answers) for status in {each.status for each in answers}}
        print(f"{kind}: {kinds}, longest wait {max(each.took for each in answers):.2f} s")
    bad = [each for each in told["writes"] if not each.made]
    print(f"last refused write sent after {max((each.sent - since for each in bad), default=0):.2f} s")

    assert 100 <= load.served(after=since)
    assert {200} == {each.status for each in told["reads"]} == {each.status for each in told["probes"]}
    assert max(each.took for kind in ("reads", "probes") for each in told[kind]) < 3
    assert {(503, True)} >= {(each.status, each.retry_after is not None) for each in bad}
    assert max(each.took for each in told["writes"]) < RECOVERY
    assert max((each.sent - since for each in bad), default=0) < RECOVERY
