"""
A worker process that reports five cents with each heartbeat, until it is told that a budget is reached.

`python -m tests.contract.budget_worker BASE KEY NAME [waits]`
"""

import json
import sys
import threading
import urllib.request
from typing import Any


def work(base: str, key: str, name: str, waits: bool) -> None:
    """
    Work until no task has room. Print the number of acknowledged reports after each.

    Args:
        waits: Whether to hold the lease after the first report, until the process is killed.
    """

    def call(path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"x-api-key": key, "content-type": "application/json"}
        request = urllib.request.Request(base + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    reported, claim = 0, {"agent": name, "lease_seconds": 2 if waits else 300}
    while (claimed := call("/api/tasks/claim", claim))["task"] is not None:
        task, lease, told = claimed["task"]["id"], claimed["lease"]["lease"], ""
        while told != "budget_reached":
            usage = {"model": "nickel", "sessionId": name, "inputTokens": 1000, "outputTokens": 0, "taskId": task}
            call("/api/tokens", usage)
            reported += 1
            print(reported, flush=True)
            if waits:
                threading.Event().wait()
            told = call(f"/api/tasks/{task}/lease/heartbeat", {"lease": lease})["order"]["kind"]
        call(f"/api/tasks/{task}/release", {"lease": lease})


if __name__ == "__main__":
    work(*sys.argv[1:4], waits=len(sys.argv) > 4)
