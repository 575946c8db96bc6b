"""
Twenty worker processes, a budget of half a dollar, and two servers over one database, of which nothing is mocked.

Each worker claims tasks, reports five cents with each heartbeat, and stops a run when it is told. One is killed in the
middle of a run.
"""

import subprocess
import sys
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from tests.contract.polling import polled
from tests.contract.server_process import Server, served

pytestmark = pytest.mark.real_time
WORKERS, CENTS = 20, 10_000_000
CAP, PER_RUN = 50 * CENTS, 5 * CENTS
PRICES = '[[price]]\nmodel = "nickel"\ninput = 50.0\noutput = 0.0\n'
"""A thousand tokens cost five cents."""
PATIENCE = 60.0


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_budget_holds_against_twenty_workers(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Nothing is reserved in the end, a run that was killed keeps what it reported, and no more is spent than the limit
    and one report of each run that was live. A raised limit lets work go on.
    """
    prices, data = tmp_path / "prices.toml", tmp_path / "data"
    prices.write_text(PRICES)
    data.mkdir()
    monkeypatch.setenv("MC_PRICES_FILE", str(prices))
    url = f"sqlite:///{tmp_path}/mission.db" if kind == "sqlite" else request.getfixturevalue("fresh_postgres")
    with served(url, data) as first, served(url, data) as second:
        key = {"x-api-key": first.credential("API_KEY")}
        terms = {"limit": 0.50, "per_run": 0.05, "period": "once", "unknown_prices": "stop"}
        budget = first.call("POST", "/api/budgets", {"name": "cap", **terms}, **key)["budget"]
        for nth in range(2 * WORKERS):
            first.call("POST", "/api/tasks", {"title": f"task {nth}"}, **key)

        reported = run_workers([first, second], key["x-api-key"])
        spent = until_nothing_is_reserved(second, budget["id"], key)

        assert spent == reported * PER_RUN
        assert CAP - PER_RUN < spent <= CAP + PER_RUN * (CAP // PER_RUN)
        assert first.call("POST", "/api/tasks/claim", {"agent": "late"}, **key)["task"] is None
        with pytest.raises(urllib.error.HTTPError) as refused:
            second.call("POST", f"/api/tasks/{2 * WORKERS}/claim", {"agent": "late"}, **key)
        with refused.value as answer:
            assert 402 == answer.code
        raised = {"limit": spent / 1_000_000_000 + 0.05}
        first.call("PATCH", f"/api/budgets/{budget['id']}", raised, **key)
        assert second.call("POST", "/api/tasks/claim", {"agent": "late"}, **key)["task"] is not None
        assert first.call("POST", "/api/tasks/claim", {"agent": "later"}, **key)["task"] is None


def run_workers(servers: list[Server], key: str) -> int:
    """
    Run the workers until they end, and kill the first one after its first report. Return the number of reports.
    """
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.contract.budget_worker"]

    def started(nth: int, *more: str) -> subprocess.Popen[str]:
        given = (servers[nth % 2].base, key, f"worker-{nth}", *more)
        return subprocess.Popen([*command, *given], cwd=root, stdout=subprocess.PIPE, text=True)

    killed = started(0, "waits")
    assert killed.stdout is not None
    counts = [int(killed.stdout.readline())]
    workers = [started(nth) for nth in range(1, WORKERS)]
    killed.kill()
    killed.communicate()
    for each in workers:
        told, _ = each.communicate(timeout=PATIENCE)
        assert 0 == each.returncode
        counts.append(int(told.split()[-1]) if told else 0)
    return sum(counts)


def until_nothing_is_reserved(server: Server, budget: int, key: dict[str, str]) -> int:
    """
    Wait for the lease of the killed worker to expire. Return the nano-dollars that are spent.
    """

    def account() -> dict[str, Any]:
        found: dict[str, Any] = server.call("GET", f"/api/budgets/{budget}", **key)["budget"]
        return found

    found = polled(account, lambda each: each["reserved"] == 0, PATIENCE)
    assert 0 == found["reserved"]
    return int(found["spent_nano"])
