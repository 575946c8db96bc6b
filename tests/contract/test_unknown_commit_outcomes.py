"""
Changes of which nobody can tell whether they were kept: the database goes away while it commits.
"""

import resource
import urllib.error
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from tests.contract.database_relay import relay_to
from tests.contract.server_process import Server, served

pytestmark = pytest.mark.real_time

UNKNOWN, NOTHING = "not known whether the change was kept", "nothing was changed"


@define
class Client:
    """
    A client of one dialect, that counts and makes tasks.
    """

    server: Server
    dialect: str
    key: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.key = self.server.credential("API_KEY")
        self.call("POST", "/api/tasks", {"title": "Plan it"})  # the Boards API shows no general board that is empty

    @property
    def path(self) -> str:
        if self.dialect == "fleet":
            return "/api/tasks"
        return f"/api/v1/boards/{self.call('GET', '/api/v1/boards')[1]['items'][0]['id']}/tasks"

    def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        try:
            return 200, self.server.call(method, path, body, authorization=f"Bearer {self.key}", **headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, (error.read().decode(), error.headers)

    def made(self) -> Any:
        """
        The id of a new task.
        """
        answer = self.call("POST", self.path, {"title": "Ship it"})[1]
        return answer["task"]["id"] if self.dialect == "fleet" else answer["id"]

    def count(self) -> int:
        total: int = self.call("GET", self.path)[1]["total"]
        return total


@pytest.mark.parametrize("dialect", ["fleet", "boards"])
def test_a_connection_that_is_lost_during_the_commit(fresh_postgres: str, tmp_path: Path, dialect: str) -> None:
    """
    The answer says that it is not known, and nothing repeats the change; with its Idempotency-Key it can be repeated,
    and is made once. A read meanwhile says that the store cannot be reached, and nothing of changes.
    """
    with relay_to(fresh_postgres) as relay, served(relay.url, tmp_path) as server:
        client = Client(server, dialect)
        path, before = client.path, client.count()
        relay.cut_at_commit_of(b"Ship it")
        made = (path, {"title": "Ship it"})
        status, (text, headers) = client.call("POST", *made, **{"Idempotency-Key": "once"})
        read = client.call("GET", path)
        relay.mend()
        kept = client.count()
        client.call("POST", *made, **{"Idempotency-Key": "once"})

        assert (503, True, False) == (status, UNKNOWN in text, NOTHING in text)
        assert headers["retry-after"] is None
        assert (503, True, False) == (read[0], "cannot be reached" in read[1][0], NOTHING in read[1][0])
        assert (before + 1, before + 1) == (kept, client.count())


@pytest.mark.parametrize("dialect", ["fleet", "boards"])
def test_a_disk_that_fails_during_the_commit(tmp_path: Path, dialect: str) -> None:
    """
    SQLite may find what it could not commit in its log after a crash. Until the disk takes changes again, reads are
    served and the server is not ready.
    """
    with served(f"sqlite:///{tmp_path / 'it.db'}", tmp_path) as server:
        assert server.process is not None
        client, log = Client(server, dialect), tmp_path / "it.db-wal"
        path, pid = client.path, server.process.pid
        change = ("PATCH" if dialect == "boards" else "PUT", f"{path}/{client.made()}", {"title": "Ship it soon"})
        unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (log.stat().st_size, unlimited[1]))
        status, (text, _) = client.call(*change)
        unready = [client.call("GET", "/readyz")[0] for _ in range(2)]
        read = client.call("GET", path)[0]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)

        assert (503, True, False) == (status, UNKNOWN in text, NOTHING in text)
        assert [503, 503] == unready
        assert 200 == read
        assert (200, {"ok": True}) == client.call("GET", "/readyz")
        assert 200 == client.call(*change)[0]
