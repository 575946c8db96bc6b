"""
Secrets of every kind, made at a server process: what is kept of them is no secret, and none is told twice, logged or
listed.
"""

import asyncio
import json
import sqlite3
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest
from attrs import define, field

from tests.contract.server_commands import ended, run, serving
from tests.local_clerk import SECRET, LocalClerk, clerk_user, local_clerk

pytestmark = pytest.mark.real_time

API_KEY = "an-api-key-that-only-the-environment-has-0123456789"
LOCAL = "a-local-token-that-only-the-environment-has-0123456789-0123456789"
AUTH_SECRET = "an-auth-secret-that-only-the-environment-has"
PASSWORDS = ("a password of the first admin", "another password, of a colleague", "a wrong password that was tried")
HOOK = "what a webhook is signed with"
GIVEN = {"API_KEY": API_KEY, "LOCAL_AUTH_TOKEN": LOCAL, "AUTH_SECRET": AUTH_SECRET}


@define
class Client:
    """
    Calls the server, and remembers every secret and every answer.
    """

    port: int
    secrets: dict[str, str] = field(factory=dict)
    answers: list[str] = field(factory=list)

    def call(self, method: str, path: str, body: Any = None, *, told: tuple[str, ...] = (), **headers: str) -> Any:
        """
        The answer. The fields that are *told* in it are secrets, shown this once.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        request.add_header("content-type", "application/json")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                text, cookies = response.read().decode(), response.headers.get_all("set-cookie") or []
        except urllib.error.HTTPError as refusal:
            text, cookies = refusal.read().decode(), refusal.headers.get_all("set-cookie") or []
        answer = json.loads(text) if text.startswith(("{", "[")) else {}
        for name in told:
            secret = find_in(answer, name)
            self.secrets[f"{name} of {path}"] = secret
            text = text.replace(secret, "")
        for cookie in cookies:
            value = cookie.partition("=")[2].partition(";")[0]
            if value:
                self.secrets[f"cookie of {path}"] = value
                self.secrets[f"session of {path}"] = value.rpartition(".")[0]
        self.answers.append(text)
        return answer


def find_in(answer: Any, name: str) -> str:
    """
    The text of this name, however deep it stands.
    """
    if isinstance(answer, dict):
        if isinstance(answer.get(name), str):
            return str(answer[name])
        answer = list(answer.values())
    found = [find_in(each, name) for each in answer] if isinstance(answer, list) else []
    return next((each for each in found if each), "")


def make_every_secret(client: Client) -> dict[str, str]:
    """
    One of each kind, and wrong ones too; the headers of somebody who may read everything.
    """
    key, me = {"x_api_key": API_KEY}, {"authorization": f"Bearer {LOCAL}"}
    admin, colleague, wrong = PASSWORDS
    client.call("POST", "/api/setup", {"username": "root", "password": admin})
    client.call("POST", "/api/auth/login", {"username": "root", "password": wrong})
    client.call("POST", "/api/auth/login", {"username": wrong, "password": wrong})
    client.call("POST", "/api/auth/login", {"username": "root", "password": admin})
    client.call("POST", "/api/auth/users", {"username": "lea", "password": colleague, "email": "lea@x.example"}, **key)
    client.call("POST", "/api/agents", {"name": "ada", "role": "coder"}, told=("agent_token",), **key)
    client.call("POST", "/api/agents/ada/keys", {"scopes": ["operator"]}, told=("api_key",), **key)
    board = client.call("POST", "/api/v1/boards", {"name": "One", "slug": "one", "description": "One"}, **me)["id"]
    body = {"name": "bob", "board_id": board}
    token = client.call("POST", "/api/v1/agents", body, told=("agent_token",), **me)["agent_token"]
    client.call("POST", "/api/tasks", {"title": "Work", "assigned_to": "ada"}, **key)
    client.call("POST", "/api/tasks/claim", {"agent": "ada"}, told=("lease",), **key)
    hook = {"description": "In", "secret": HOOK}
    made = client.call("POST", f"/api/v1/boards/{board}/webhooks", hook, **me)
    signed = {"x_hub_signature_256": "sha256=" + "ab" * 32, "authorization": "Bearer of-somebody-elses-system"}
    client.call("POST", f"/api/v1/boards/{board}/webhooks/{made['id']}", {"x": 1}, **signed)
    client.call("GET", f"/api/tasks?api_key={client.secrets['api_key of /api/agents/ada/keys']}", x_agent_token=token)
    client.call("GET", "/api/v1/agent/boards", x_agent_token="mca_" + "1234567890ab" * 4)
    rotated = client.call("POST", "/api/tokens/rotate", {}, told=("key",), **key)["key"]
    client.secrets |= {"API_KEY": API_KEY, "LOCAL_AUTH_TOKEN": LOCAL, "AUTH_SECRET": AUTH_SECRET, "webhook": HOOK}
    client.secrets |= {f"password {n}": each for n, each in enumerate(PASSWORDS)}
    return {"x_api_key": rotated, **me}


def read_everything(client: Client, headers: dict[str, str]) -> None:
    """
    Whatever can be read without knowing an id, of both dialects.
    """
    document = client.call("GET", "/openapi.json")
    ids = {"/api/agents/{id}": "ada", "/api/tasks/{id}": "1"}
    for path, methods in document["paths"].items():
        for before, segment in ids.items():
            path = path.replace(before, before.replace("{id}", segment))
        is_stream = "text/event-stream" in json.dumps(methods.get("get"))
        if "get" in methods and "{" not in path and not is_stream:
            alone = (
                {"x_api_key": headers["x_api_key"]}
                if "/v1/" not in path
                else {"authorization": headers["authorization"]}
            )
            client.call("GET", path, **alone)


def files_below(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_no_secret_is_kept_logged_or_told_again(tmp_path: Path) -> None:
    """
    In its own words or as others write bytes: not in the database or beside it, not in the log, not in any answer.
    """
    unlimited = {"MC_DISABLE_RATE_LIMIT": "1", "RATE_LIMIT_LOGIN": "0", "RATE_LIMIT_IDENTITY": "0"}
    with serving(cwd=tmp_path, LOG_FORMAT="json", LOG_LEVEL="DEBUG", **GIVEN, **unlimited) as (port, server):
        client = Client(port)
        read_everything(client, make_every_secret(client))
        log = msgspec.json.encode(ended(server))
    with sqlite3.connect(next(tmp_path.rglob("mission-control.db"))) as database:
        rows = database.execute("SELECT count(*) FROM users").fetchone()
    kept = files_below(tmp_path)

    assert rows > (1,)
    assert len(client.secrets) > 12
    assert all(len(secret) > 12 for secret in client.secrets.values()), client.secrets
    for name, secret in client.secrets.items():
        assert secret.encode() not in log, name
        assert [] == [file for file, content in kept.items() if secret.encode() in content], name
        assert [] == [text[:300] for text in client.answers if secret in text], name


async def test_the_secret_of_clerk_is_shown_to_clerk_alone(tmp_path: Path) -> None:
    """
    Neither kept, logged nor told, whether Clerk answers or not; `doctor` does not show it either.
    """
    async with local_clerk(people={"user_ada": clerk_user("ada@x.example")}) as clerk:
        environment = {"AUTH_MODE": "clerk", "CLERK_SECRET_KEY": SECRET, "CLERK_API_URL": clerk.url}
        answers, log = await asyncio.to_thread(asked_of_a_server, tmp_path, clerk, environment)
        doctor = await asyncio.to_thread(run, "doctor", "--json", cwd=tmp_path, **environment)

    assert ["ada@x.example", None] == [json.loads(text)["email"] for text in answers[:2]]
    assert "Failed to delete account from Clerk" in answers[2]
    assert [1, 1] == [log.count(each) for each in ("clerk_unreachable", "clerk_deletion_failed")], log
    assert ["GET user_ada", "GET user_bob", "DELETE user_ada"] == clerk.calls
    for text in (*answers, log, doctor.stdout, doctor.stderr):
        assert SECRET not in text
    assert [] == [file for file, content in files_below(tmp_path).items() if SECRET.encode() in content]


def asked_of_a_server(folder: Path, clerk: LocalClerk, environment: dict[str, str]) -> tuple[list[str], str]:
    """
    What a server answers somebody whom Clerk tells of, somebody when it does not, and somebody who would go; its log.
    """
    with serving(cwd=folder, LOG_FORMAT="json", LOG_LEVEL="DEBUG", **environment) as (port, server):
        client, now = Client(port), int(time.time())
        for method, name, status in (("GET", "ada", None), ("GET", "bob", 500), ("DELETE", "ada", 500)):
            clerk.status = status
            token = clerk.token({"iss": "https://x.example", "sub": f"user_{name}", "iat": now, "exp": now + 600})
            client.call(method, "/api/v1/users/me", authorization=f"Bearer {token}")
        return client.answers, json.dumps(ended(server))
