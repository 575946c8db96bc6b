"""
Two server processes on one database: what one has revoked, the other refuses from its very next request on.
"""

import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from tests.contract.server_process import Server, served

PASSWORD = "correct horse battery"
Headers = dict[str, str]


@define
class Pair:
    """
    Two servers. The first is told to change something, the second is asked.
    """

    first: Server
    second: Server
    key: Headers
    made: int = 0

    def tell(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return self.first.call(method, path, body, **self.key)

    def tell_boards(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return self.first.call(method, f"/api/v1{path}", body, authorization=f"Bearer {self.key['x-api-key']}")

    def agent(self) -> tuple[str, Headers]:
        """
        A new agent's name, and a key of its own.
        """
        self.made += 1
        name = f"agent-{self.made}"
        self.tell("POST", "/api/agents", {"name": name, "role": "coder"})
        made = self.tell("POST", f"/api/agents/{name}/keys", {"scopes": ["operator", "agent:self"]})
        return name, {"x-api-key": made["api_key"], "key-number": str(made["key"]["id"])}

    def board(self) -> tuple[int, str]:
        """
        The number of a new project, and the id of its board.
        """
        self.made += 1
        named = {"name": f"Project {self.made}", "ticket_prefix": f"P{self.made}"}
        project = self.tell("POST", "/api/projects", named)["project"]
        boards = self.tell_boards("GET", "/boards?limit=200")["items"]
        return project["id"], next(each["id"] for each in boards if each["name"] == project["name"])

    def board_agent(self, board: str) -> tuple[str, Headers]:
        """
        The id of a new agent of a board, and its token.
        """
        self.made += 1
        made = self.tell_boards("POST", "/agents", {"name": f"agent-{self.made}", "board_id": board})
        return made["id"], {"x-agent-token": made["agent_token"]}

    def person(self) -> tuple[int, Headers]:
        """
        A new operator's number, and the cookie they got from the first server.
        """
        self.made += 1
        name = {"username": f"person-{self.made}", "password": PASSWORD}
        user = self.tell("POST", "/api/auth/users", {**name, "display_name": name["username"], "role": "operator"})[
            "user"
        ]
        return user["id"], self.sign_in(name)

    def sign_in(self, name: dict[str, str]) -> Headers:
        request = urllib.request.Request(
            f"{self.first.base}/api/auth/login", json.dumps(name).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            (cookie,) = SimpleCookie(answer.headers["set-cookie"]).values()
        return {"cookie": f"{cookie.key}={cookie.value}"}

    def member(self) -> str:
        """
        The id of the person who was made last, as a member of the organization.
        """
        members = self.tell_boards("GET", "/organizations/me/members?limit=200")["items"]
        return str(next(each["id"] for each in members if each["user"]["name"] == f"person-{self.made}"))


def status(server: Server, method: str, path: str, body: Any = None, **headers: str) -> int:
    try:
        server.call(method, path, body, **headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    return 200


@define
class Case:
    """
    A request that the second server answers, until the first was told something.
    """

    headers: Headers
    revoke: Callable[[], object]
    method: str = "GET"
    path: str = "/api/tasks"
    body: Any = None
    refused: int = 401
    answers: list[int] = field(factory=list)

    def ask(self, server: Server) -> None:
        answer = status(server, self.method, self.path, self.body, **self.headers)
        self.answers.append(200 if answer == 201 else answer)


def revoked_key(pair: Pair) -> Case:
    name, headers = pair.agent()
    number = int(headers["key-number"])
    return Case(headers, lambda: pair.tell("DELETE", f"/api/agents/{name}/keys", {"key_id": number}))


def deleted_agent(pair: Pair) -> Case:
    name, headers = pair.agent()
    return Case(headers, lambda: pair.tell("DELETE", f"/api/agents/{name}"))


def suspended_user(pair: Pair) -> Case:
    user, cookie = pair.person()
    return Case(cookie, lambda: pair.tell("PUT", "/api/auth/users", {"id": user, "is_approved": False}))


def removed_user(pair: Pair) -> Case:
    user, cookie = pair.person()
    return Case(cookie, lambda: pair.tell("DELETE", "/api/auth/users", {"id": str(user)}))


def signed_out(pair: Pair) -> Case:
    _, cookie = pair.person()
    return Case(cookie, lambda: pair.first.call("POST", "/api/auth/logout", **cookie))


def lowered_role(pair: Pair) -> Case:
    user, cookie = pair.person()
    lower = {"id": user, "role": "viewer"}
    return Case(
        cookie, lambda: pair.tell("PUT", "/api/auth/users", lower), "POST", "/api/tasks", {"title": "Theirs"}, 403
    )


def withdrawn_grant(pair: Pair) -> Case:
    project, board = pair.board()
    _, cookie = pair.person()
    access = f"/organizations/me/members/{pair.member()}/access"
    granted = [{"board_id": board, "can_read": True, "can_write": False}]
    pair.tell_boards("PUT", access, {"board_access": granted})
    return Case(
        cookie,
        lambda: pair.tell_boards("PUT", access, {"board_access": []}),
        path=f"/api/projects/{project}",
        refused=403,
    )


def removed_member(pair: Pair) -> Case:
    _, cookie = pair.person()
    member = pair.member()
    return Case(cookie, lambda: pair.tell_boards("DELETE", f"/organizations/me/members/{member}"))


def changed_password(pair: Pair) -> Case:
    """
    Another session of the person who changes it.
    """
    _, cookie = pair.person()
    own = pair.sign_in({"username": f"person-{pair.made}", "password": PASSWORD})
    change = {"current_password": PASSWORD, "new_password": f"{PASSWORD} of another"}
    return Case(cookie, lambda: pair.first.call("PATCH", "/api/auth/me", change, **own))


def replaced_password(pair: Pair) -> Case:
    user, _ = pair.person()
    known = {"username": f"person-{pair.made}", "password": PASSWORD}
    replace = {"id": user, "password": f"{PASSWORD} of another"}
    return Case({}, lambda: pair.tell("PUT", "/api/auth/users", replace), "POST", "/api/auth/login", known)


def deleted_board_agent(pair: Pair) -> Case:
    _, board = pair.board()
    agent, token = pair.board_agent(board)
    path = f"/api/v1/agent/boards/{board}/tasks"
    return Case(token, lambda: pair.tell_boards("DELETE", f"/agents/{agent}"), path=path)


def moved_agent(pair: Pair) -> Case:
    """
    Its token is good for the other board from then on.
    """
    (_, board), (_, other) = pair.board(), pair.board()
    agent, token = pair.board_agent(board)
    path = f"/api/v1/agent/boards/{board}/tasks"
    return Case(
        token, lambda: pair.tell_boards("PATCH", f"/agents/{agent}", {"board_id": other}), path=path, refused=403
    )


def rotated_server_key(pair: Pair) -> Case:
    """
    The last case, because the servers' key is another one then.
    """

    def rotate() -> None:
        pair.key = {"x-api-key": pair.tell("POST", "/api/tokens/rotate")["key"]}

    return Case(dict(pair.key), rotate)


CASES = (
    revoked_key, deleted_agent, deleted_board_agent, moved_agent, suspended_user, removed_user, removed_member,
    signed_out, lowered_role, withdrawn_grant, changed_password, replaced_password, rotated_server_key,
    rotated_server_key,
)  # fmt: skip


@contextmanager
def pair_over(database_url: str, folder: Path) -> Iterator[Pair]:
    with served(database_url, folder) as first, served(database_url, folder) as second:
        yield Pair(first, second, {"x-api-key": first.credential("API_KEY")})


def test_the_first_request_after_a_revocation_is_refused_everywhere(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Whatever was revoked, on the server that was told and on the other, which had answered the same request before.
    """
    monkeypatch.setenv("RATE_LIMIT_LOGIN", "0")  # all people sign in from one address
    found, expected = [], []
    with pair_over(database_url, tmp_path) as pair:
        for make in CASES:
            case = make(pair)
            for _ in range(3):
                case.ask(pair.second)
            case.revoke()
            case.ask(pair.second)
            case.ask(pair.first)
            found.append((make.__name__, case.answers))
            expected.append((make.__name__, [200, 200, 200, case.refused, case.refused]))

    assert expected == found


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("checkpoint", ["PASSIVE", "TRUNCATE"])
def test_another_program_on_the_file_is_noticed(database_url: str, tmp_path: Path, checkpoint: str) -> None:
    """
    A key that a program revokes without a server is refused in the next answer, also after the log began anew.
    """
    with served(database_url, tmp_path) as server, sqlite3.connect(tmp_path / "work.db") as other:
        pair = Pair(server, server, {"x-api-key": server.credential("API_KEY")})
        _, headers = pair.agent()

        def revoke() -> None:
            other.execute("UPDATE api_keys SET revoked_at = 1 WHERE number = ?", (headers["key-number"],))
            other.commit()
            other.execute(f"PRAGMA wal_checkpoint({checkpoint})").fetchall()

        case = Case(headers, revoke)
        for _ in range(3):
            case.ask(server)
        case.revoke()
        case.ask(server)
    other.close()

    assert [200, 200, 200, 401] == case.answers
