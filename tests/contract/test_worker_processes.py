"""
A served instance with real work, real agents as processes, and real kills.

One task for each module of the standard library found on this machine: parse it and count its functions, classes and
lines. Twenty agent processes, ten in each dialect, do all of it while a third of them and twice the server are killed
with SIGKILL.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import define, field

from tests.contract.polling import polled
from tests.contract.server_process import Server, served
from tests.contract.worker_process.worker import counts_of

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).parents[2]
AGENTS, KILLED, RESTARTS = 20, 7, 2
PATIENCE = 240.0


def modules() -> list[str]:
    """
    The modules of the standard library, tests left out, that this Python can parse.
    """
    library = Path(sysconfig.get_path("stdlib"))
    files = (path for path in library.rglob("*.py") if not {"site-packages", "test", "tests"} & set(path.parts))
    return sorted(str(path) for path in files if parses(path))


def parses(path: Path) -> bool:
    try:
        counts_of(str(path))
    except (SyntaxError, ValueError):
        return False
    return True


@define
class Fleet:
    """
    The agents' processes and their journals.
    """

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(factory=list)

    def add(self, base: str, dialect: str, token: str, board: str) -> None:
        index = len(self.processes)
        worker = [sys.executable, "-m", "tests.contract.worker_process.worker"]
        self.journal(index).touch()  # a kill may come before the first breath
        command = [*worker, base, dialect, token, board, str(self.journal(index)), str(index)]
        with (self.folder / f"{index}.err").open("wb") as complaints:
            self.processes.append(subprocess.Popen(command, cwd=ROOT, stderr=complaints))

    def journal(self, index: int) -> Path:
        return self.folder / f"{index}.journal"

    def acknowledged(self) -> list[tuple[int, int]]:
        """
        What the server said was finished, as (task, fence). A journal's last line may be torn by a kill.
        """
        found = []
        for index in range(len(self.processes)):
            for line in self.journal(index).read_text().splitlines(keepends=True):
                if line.endswith("\n"):
                    entry = json.loads(line)
                    found.append((entry["task"], entry["fence"]))
        return found

    def complaints(self) -> str:
        return "".join((self.folder / f"{i}.err").read_text() for i in range(len(self.processes)))

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


def test_all_work_is_done_exactly_once_whatever_dies(database_url: str, tmp_path: Path) -> None:
    """
    Kills of agents and of the server lose nothing that was acknowledged and finish nothing twice.
    """
    paths = modules()
    with served(database_url, tmp_path) as server:
        key = {"x-api-key": server.credential("API_KEY")}
        board = _board_without_gates(server, key)
        _create_tasks(server, key, board, paths)
        fleet = Fleet(tmp_path)
        try:
            _hire(server, key, board, fleet)
            _kill_while_they_work(server, key, fleet, len(paths))
            rows = _finished(server, key, board, fleet, len(paths))
        finally:
            fleet.stop()
        runs = {row["id"]: server.call("GET", f"/api/tasks/{row['id']}/runs", **key)["runs"] for row in rows}
        server.kill()
        verified = subprocess.run(server.arguments("audit", "verify"), capture_output=True, text=True)

    totals = Counter[str]()
    for row in rows:
        totals.update(row["output"])
    expected = Counter[str]()
    for path in paths:
        expected.update(counts_of(path))
    accepted = Counter(
        (number, run["fence"]) for number, history in runs.items() for run in history if run["state"] == "completed"
    )

    assert sorted(paths) == sorted(row["description"] for row in rows)
    assert expected == totals
    assert {1} == set(accepted.values())
    assert sorted(runs) == sorted(number for number, _ in accepted)
    assert set(fleet.acknowledged()) <= set(accepted)
    assert "" == fleet.complaints()
    assert (0, True) == (verified.returncode, "sound" in verified.stdout), verified.stdout + verified.stderr


def _board_without_gates(server: Server, key: dict[str, str]) -> tuple[int, str]:
    """
    The board's number and its id in the other dialect.
    """
    gates = {"require_approval_for_done": False}
    project = server.call("POST", "/api/projects", {"name": "Library", "gates": gates}, **key)["project"]
    boards = server.call("GET", "/api/v1/boards", authorization=f"Bearer {key['x-api-key']}")["items"]
    (twin,) = [each["id"] for each in boards if each["name"] == "Library"]
    return project["id"], twin


def _create_tasks(server: Server, key: dict[str, str], board: tuple[int, str], paths: list[str]) -> None:
    bearer = {"authorization": f"Bearer {key['x-api-key']}"}
    for index, path in enumerate(paths):
        body = {"title": Path(path).stem, "description": path, "priority": ("low", "medium", "high")[index % 3]}
        if index % 2:
            server.call("POST", "/api/tasks", body | {"project_id": board[0]}, **key)
        else:
            server.call("POST", f"/api/v1/boards/{board[1]}/tasks", body, **bearer)


def _hire(server: Server, key: dict[str, str], board: tuple[int, str], fleet: Fleet) -> None:
    bearer = {"authorization": f"Bearer {key['x-api-key']}"}
    for index in range(AGENTS):
        if index % 2:
            made = server.call("POST", "/api/agents", {"name": f"fleet-{index}", "role": "coder"}, **key)
            fleet.add(server.base, "fleet", str(made["agent_token"]), str(board[0]))
        else:
            made = server.call("POST", "/api/v1/agents", {"name": f"boards-{index}", "board_id": board[1]}, **bearer)
            fleet.add(server.base, "boards", str(made["agent_token"]), board[1])


def _kill_while_they_work(server: Server, key: dict[str, str], fleet: Fleet, total: int) -> None:
    """
    Kill at random moments of the progress: agents one by one, and the server twice.
    """
    dice = random.Random()
    victims = dice.sample(fleet.processes, KILLED)
    moments = [(dice.uniform(0.02, 0.8), victim) for victim in victims]
    moments += [(dice.uniform(0.1, 0.8), None) for _ in range(RESTARTS)]
    for share, victim in sorted(moments, key=lambda moment: moment[0]):
        _wait_until_done(server, key, lambda done, least=share * total: done >= least, fleet)
        if victim is not None:
            victim.send_signal(signal.SIGKILL)
        else:
            server.kill()
            server.start()


def _done(server: Server, key: dict[str, str]) -> int:
    return int(str(server.call("GET", "/api/tasks?status=done&limit=1", **key)["total"]))


def _finished(
    server: Server, key: dict[str, str], board: tuple[int, str], fleet: Fleet, total: int
) -> list[dict[str, object]]:
    _wait_until_done(server, key, lambda done: done == total, fleet)
    rows: list[dict[str, object]] = []
    while page := server.call("GET", f"/api/tasks?status=done&limit=200&offset={len(rows)}", **key)["tasks"]:
        rows += page
    return rows


def _wait_until_done(server: Server, key: dict[str, str], enough: Callable[[int], bool], fleet: Fleet) -> None:
    done = polled(lambda: _done(server, key), enough, PATIENCE)
    assert enough(done), f"{done} tasks got done in {PATIENCE} s\n{fleet.complaints()}"


def test_stopping_finishes_what_is_in_flight_and_exits_with_0(tmp_path: Path) -> None:
    """
    SIGTERM is a good end.
    """
    with served(f"sqlite:///{tmp_path / 'stop.db'}", tmp_path) as server:
        assert 0 == server.stop(signal.SIGTERM)


def test_serving_with_nothing_set_answers_within_three_seconds(tmp_path: Path) -> None:
    """
    An empty environment and an empty directory are enough, and the terminal says where it listens and how to get in.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "mission_http.main", "serve", "--port", str(port)],
        cwd=tmp_path, env={}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(5)]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:
            answer = json.load(response)
        took = time.monotonic() - began
        process.send_signal(signal.SIGTERM)

    assert {"ok": True} == answer
    assert f"listens on http://127.0.0.1:{port}" in told[0]
    assert any("API_KEY" in line for line in told)
    assert any("LOCAL_AUTH_TOKEN" in line for line in told)
    assert took < 3.0
    assert 0o700 == os.stat(tmp_path / ".data").st_mode & 0o777
    assert 0o600 == os.stat(tmp_path / ".data" / ".auto-generated").st_mode & 0o777
