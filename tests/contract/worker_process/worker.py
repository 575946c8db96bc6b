"""
An agent as a process of its own: takes a task, parses the module it names, hands in the counts, and so on until it is
told to stop. It survives a server that goes away: every request is repeated until it is answered.

    python -m tests.contract.worker_process.worker <base> <fleet|boards> <token> <board> <journal> <seed>

What the server acknowledged as finished is written to the journal, one JSON line each, after the answer.
"""

import ast
import http.client
import json
import os
import random
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

LEASE_SECONDS = 4


def counts_of(path: str) -> dict[str, int]:
    """
    The functions, classes and lines of a module.
    """
    source = Path(path).read_bytes()
    nodes = list(ast.walk(ast.parse(source)))
    return {
        "functions": sum(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) for node in nodes),
        "classes": sum(isinstance(node, ast.ClassDef) for node in nodes),
        "lines": source.count(b"\n"),
    }


class Caller:
    """
    Sends JSON to the server until somebody answers.
    """

    def __init__(self, base: str, dialect: str, token: str) -> None:
        self.address = urlsplit(base).netloc
        self.header = "X-Agent-Token" if dialect == "boards" else "x-api-key"
        self.token = token
        self.connection: http.client.HTTPConnection | None = None
        self.pause = threading.Event()

    def post(self, path: str, body: dict[str, object], key: str | None = None) -> tuple[int, dict[str, object]]:
        return self.send("POST", path, body, key)

    def send(
        self, method: str, path: str, body: dict[str, object] | None = None, key: str | None = None
    ) -> tuple[int, dict[str, object]]:
        headers = {self.header: self.token, "content-type": "application/json"}
        if key:
            headers["idempotency-key"] = key
        while True:
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection(self.address, timeout=30)
                self.connection.request(method, path, None if body is None else json.dumps(body), headers)
                response = self.connection.getresponse()
                content = response.read()
                if response.status < 500:
                    return response.status, json.loads(content)
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                pass
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            self.pause.wait(0.1)  # the server is away; there is nothing to wait for but time


def main() -> None:
    base, dialect, token, board, journal, seed = sys.argv[1:]
    caller, dice = Caller(base, dialect, token), random.Random(seed)
    tasks = "/api/tasks" if dialect == "fleet" else f"/api/v1/agent/boards/{board}/tasks"
    wish: dict[str, object] = {"lease_seconds": LEASE_SECONDS}
    if dialect == "fleet":
        wish["project_id"] = int(board)
    with open(journal, "a", buffering=1) as acknowledged:
        while True:
            status, claimed = caller.post(f"{tasks}/claim", wish, key=f"{os.getpid()}-{dice.getrandbits(64)}")
            task, lease = claimed.get("task"), claimed.get("lease")
            if status != 200:
                raise SystemExit(f"claiming answered {status}: {claimed}")
            if not isinstance(task, dict) or not isinstance(lease, dict):
                caller.pause.wait(0.2)  # nothing to do just now
                continue
            place, secret = f"{tasks}/{task['id']}", lease["lease"]
            if dice.random() < 0.2:
                caller.post(f"{place}/lease/heartbeat", {"lease": secret, "progress": {"at": "parsing"}})
            done = {"lease": secret, "output": counts_of(str(task["description"]))}
            status, answer = caller.post(f"{place}/complete", done)
            if status == 200:
                acknowledged.write(json.dumps({"task": task["number"], "fence": lease["fence"]}) + "\n")
            elif status != 409:
                raise SystemExit(f"completing answered {status}: {answer}")


if __name__ == "__main__":
    main()
