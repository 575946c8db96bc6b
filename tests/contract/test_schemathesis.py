"""
The served document and a server that was never told about each other's tests: schemathesis makes requests from the one
and sends them to the other.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.server_process import Server, served
from tests.example_counts import max_examples

pytestmark = pytest.mark.real_time

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "missing_required_header",
)
# What a gateway must do is answered with 502 while none is there, and the document says so. Moments of the Boards API
# name no zone, as its clients expect, though its schemas call them date-times: other formats are checked elsewhere.
CONFIG = """
seed = 20260101
color = false
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 502]
[checks.response_schema_conformance]
validate-formats = false
[generation]
deterministic = true
database = "none"
[parameters]
"""
PARTS = {
    "fleet": ("--include-path-regex", "^/api/(?!v1/|tokens/rotate)"),
    "runs": ("--include-path-regex", "^/api/v1/(runs|evals)"),
    "boards": ("--include-path-regex", "^/(api/v1/(?!agent/|runs|evals)|health|readyz)"),
    "agents": ("--include-path-regex", "^/api/v1/agent/"),
}
STREAMS = "(/events|/stream)$"
"""The operations that answer without end."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """
    A server over SQLite.
    """
    folder = tmp_path_factory.mktemp("served")
    with served(f"sqlite:///{folder / 'mission.db'}", folder) as server:
        yield server


@pytest.mark.parametrize("part", PARTS)
def test_no_request_made_from_the_document_surprises_the_server(server: Server, part: str, tmp_path: Path) -> None:
    """
    No mistake of the server, and no answer that the document does not tell, on a board, a task and an agent that exist.
    """
    caller = {"authorization": f"Bearer {server.credential('LOCAL_AUTH_TOKEN')}"}
    new = {"name": f"Board of {part}", "slug": part, "description": "One", "require_approval_for_done": False}
    board = server.call("POST", "/api/v1/boards", new, **caller)["id"]
    task = server.call("POST", f"/api/v1/boards/{board}/tasks", {"title": "Ship it"}, **caller)["id"]
    agent = server.call("POST", "/api/v1/agents", {"name": f"ada of {part}", "board_id": board}, **caller)
    if part in ("fleet", "runs"):
        caller = {"x-api-key": server.credential("API_KEY")}
    if part == "agents":
        caller = {"x-agent-token": str(agent["agent_token"])}
    known = {"path.board_id": board, "path.task_id": task, "path.agent_id": agent["id"], "path.id": 1}
    config = CONFIG + "".join(f"{json.dumps(name)} = {json.dumps(value)}\n" for name, value in known.items())
    (tmp_path / "schemathesis.toml").write_text(config)
    headers = [f"--header={name}: {value}" for name, value in caller.items()]
    run = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(tmp_path / "schemathesis.toml"), "run",
            f"{server.base}/openapi.json", *PARTS[part], "--exclude-path-regex", STREAMS, *headers,
            "--checks", ",".join(CHECKS),
            "--phases", "coverage,fuzzing", "--max-examples", str(max_examples(6)), "--workers", "1", "--warnings",
            "off",
            "--continue-on-failure",
        ],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip

    assert 0 == run.returncode, run.stdout[-20_000:] + run.stderr
