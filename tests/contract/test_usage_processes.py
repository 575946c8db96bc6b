"""
Twenty agents in sixteen processes that report usage in four ways, while the server is killed twice.

They post tokens, send heartbeats, export telemetry, and embed the core over the same database. What each of them was
acknowledged is counted outside, and priced by this module.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from tests.contract.polling import polled
from tests.contract.server_process import Server, served
from tests.contract.usage_worker import REPORTS

pytestmark = pytest.mark.real_time
ROOT = Path(__file__).parents[2]
AGENTS_OF_WAY, KILLS, TASKS = 5, 2, 100
LEAST = 4 * AGENTS_OF_WAY * REPORTS
PRICES = '[[price]]\nmodel = "nickel"\ninput = 0.037\noutput = 0.083\n'
INPUT, OUTPUT, LIMIT, PER_RUN = 37, 83, 1_000_000_000, 60_000_000
"""Nano-dollars: the prices of a token, and the amounts of the budget. A run spends less than it reserves."""
SECRET = "a secret that the server shares with programs that embed the core"
PATIENCE = 60.0


@define
class Workers:
    """
    Worker processes and what they print.
    """

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(factory=list)

    def start(self, **terms: Any) -> None:
        command = [sys.executable, "-m", "tests.contract.usage_worker", json.dumps(terms)]
        told = self.folder / f"{len(self.processes)}.told"
        with told.open("wb") as out, (self.folder / "errors").open("ab") as errors:
            self.processes.append(subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=errors))

    def acknowledged(self) -> list[dict[str, Any]]:
        """
        The reports that were acknowledged. The last line of a worker may not be written yet.
        """
        texts = [each.read_text() for each in self.folder.glob("*.told")]
        return [json.loads(line) for text in texts for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def errors(self) -> str:
        return (self.folder / "errors").read_text()


@contextmanager
def workers_in(folder: Path) -> Iterator[Workers]:
    """
    Worker processes, killed at the end.
    """
    workers = Workers(folder)
    try:
        yield workers
    finally:
        for process in workers.processes:
            process.kill()
            process.wait()


def test_all_usage_is_counted_once_whatever_dies(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The ledger, its sums, the budgets and both APIs agree with the count outside, and a hard budget of a board never
    has more reserved and spent than its limit.
    """
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES)
    monkeypatch.setenv("MC_PRICES_FILE", str(prices))
    monkeypatch.setenv("AUTH_SECRET", SECRET)
    monkeypatch.setenv("API_KEY", SECRET)
    with served(database_url, tmp_path) as server, workers_in(tmp_path) as workers:
        key = {"x-api-key": SECRET}
        embedded = {"database_url": database_url, "secret": SECRET, "prices": str(prices)}
        cap = _board_and_budgets(server, key)
        _start_workers(server, key, workers, embedded)
        amounts = _amounts_while_they_work(server, key, cap, workers)
        for process in workers.processes:
            assert 0 == process.wait(timeout=PATIENCE), workers.errors()
        _check(server, key, workers)
        rebuilt = subprocess.run(server.arguments("usage", "rebuild"), capture_output=True, text=True, check=True)

    assert max(amounts) <= LIMIT
    assert " 0 sums of " in rebuilt.stdout


def _board_and_budgets(server: Server, key: dict[str, str]) -> int:
    """
    Create a board with tasks and a hard budget, and a budget that only announces. Return the number of the former.
    """
    gates = {"require_approval_for_done": False}
    project = server.call("POST", "/api/projects", {"name": "Capped", "gates": gates}, **key)["project"]["id"]
    for nth in range(TASKS):
        server.call("POST", "/api/tasks", {"title": f"task {nth}", "project_id": project}, **key)
    terms = {"period": "once", "unknown_prices": "stop"}
    cap = {"name": "cap", "scope": "board", "project_id": project, "limit": 1.00, "per_run": 0.06, **terms}
    server.call("POST", "/api/budgets", {"name": "everything", "limit": 1000, "hard": False, **terms}, **key)
    return int(server.call("POST", "/api/budgets", cap, **key)["budget"]["id"])


def _start_workers(server: Server, key: dict[str, str], workers: Workers, embedded: dict[str, Any]) -> None:
    workers.start(way="embedded", names=[f"embedded-{nth}" for nth in range(AGENTS_OF_WAY)], **embedded)
    for way in ("tokens", "heartbeat", "otlp"):
        for name in (f"{way}-{nth}" for nth in range(AGENTS_OF_WAY)):
            made = server.call("POST", "/api/agents", {"name": name, "role": "coder"}, **key)
            token, agent = made["agent_token"], made["agent"]["id"]
            workers.start(way=way, name=name, base=server.base, token=token, agent=agent)


def _amounts_while_they_work(server: Server, key: dict[str, str], cap: int, workers: Workers) -> list[int]:
    """
    Kill the server twice. Return what was spent and reserved of the budget again and again.
    """
    seen: list[int] = []

    def progress() -> int:
        budget = server.call("GET", f"/api/budgets/{cap}", **key)["budget"]
        seen.append(budget["spent_nano"] + budget["reserved_nano"])
        return len(workers.acknowledged())

    for part in range(1, KILLS + 2):
        least = LEAST * part // (KILLS + 1)
        reached = polled(progress, lambda told, least=least: told >= least or bool(workers.errors()), PATIENCE)
        assert reached >= least, f"{reached} reports in {PATIENCE} s\n{workers.errors()}"
        if part <= KILLS:
            server.kill()
            server.start()
    return seen


def _check(server: Server, key: dict[str, str], workers: Workers) -> None:
    """
    Compare all totals with what was acknowledged.
    """
    told = workers.acknowledged()
    costs = {each["name"]: 0 for each in told}
    for each in told:
        costs[each["name"]] += _cost(each)
    tokens = sum(sum(each["tokens"]) for each in told)
    on_board = sum(_cost(each) for each in told if each["for_task"])
    total = sum(costs.values())
    bearer = {"authorization": f"Bearer {key['x-api-key']}"}
    stats = server.call("GET", "/api/tokens?action=stats", **key)
    by_agent, by_board = (
        server.call("GET", f"/api/v1/usage/summary?group_by={group}", **bearer) for group in ("agent", "board")
    )
    budgets = [
        server.call("GET", "/api/budgets", **key)["budgets"], server.call("GET", "/api/v1/budgets", **bearer)["items"],
    ]  # fmt: skip

    assert (total, tokens) == (stats["summary"]["totalCostNano"], stats["summary"]["totalTokens"])
    assert costs == {name: each["totalCostNano"] for name, each in stats["agents"].items()}
    assert total == by_agent["total"]["cost_nano"]
    assert costs == {each["name"]: each["totals"]["cost_nano"] for each in by_agent["groups"]}
    assert {on_board, total - on_board} == {each["totals"]["cost_nano"] for each in by_board["groups"]}
    assert costs == _costs_of_entries(lambda path: server.call("GET", path, **bearer))
    for found in budgets:
        amounts = {each["name"]: (each["spent_nano"], each["reserved_nano"]) for each in found}
        assert {"cap": (on_board, 0), "everything": (total, 0)} == amounts
    assert LIMIT - PER_RUN < on_board <= LIMIT


def _cost(report: dict[str, Any]) -> int:
    input, output = report["tokens"]
    return int(input * INPUT + output * OUTPUT)


def _costs_of_entries(get: Callable[[str], dict[str, Any]]) -> dict[str, int]:
    """
    The sums over the entries of the ledger by the name of the agent.
    """
    costs: dict[str, int] = {}
    seen = 0
    while items := get(f"/api/v1/usage?limit=200&offset={seen}")["items"]:
        seen += len(items)
        for each in items:
            costs[each["agent_name"]] = costs.get(each["agent_name"], 0) + each["cost_nano"]
    return costs
