"""
The live page, as a browser shows it.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from attrs import frozen

from tests.contract.chromium import Tab, complaints_of, hosts_of, opened, with_chromium
from tests.contract.server_commands import serving

pytestmark = pytest.mark.real_time

PASSWORD = "correct horse battery"
ENVIRONMENT = {"API_KEY": "page-key", "AUTH_USER": "admin", "AUTH_PASS": PASSWORD, "MC_DISABLE_RATE_LIMIT": "1"}
FILL = "document.querySelector('[name=username]').value = 'admin', document.querySelector('[name=password]').value = {}"
HOSTILE = "<img src=x onerror=alert(1)>"


@frozen
class Site:
    """
    A served page.
    """

    base: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """
        Call an API as another client.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"x-api-key": "page-key", "authorization": "Bearer page-key", "content-type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.base + path, data, headers, method=method)) as answer:
            return json.load(answer)

    def sign_in(self, tab: Tab, password: str = PASSWORD) -> None:
        """
        Fill in the form.
        """
        tab.send("Page.navigate", url=f"{self.base}/")
        tab.wait_for("document.readyState == 'complete' && document.querySelector('[name=password]')")
        tab.evaluate(FILL.format(json.dumps(password)))
        tab.click("button")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(cwd=tmp_path_factory.mktemp("site"), **ENVIRONMENT) as (port, _):
        yield Site(f"http://127.0.0.1:{port}")


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    with opened(tmp_path / "profile") as tab:
        yield tab


def column_of(number: int) -> str:
    """
    JavaScript that finds the title of the column in which a task is.
    """
    return f"document.getElementById('task-{number}')?.closest('.column').getAttribute('aria-label')"


@with_chromium
def test_somebody_signs_in_sees_what_others_do_and_acts(site: Site, tab: Tab) -> None:
    """
    A task of another client appears by itself and is moved, an approval is decided by one key, and what agents write is
    shown as text. Nothing breaks the policy of the page, and no other host is asked.
    """
    site.sign_in(tab, "wrong horse battery")
    tab.wait_for("document.getElementById('message').textContent.includes('Invalid')")
    site.sign_in(tab)
    tab.wait_for("document.getElementById('connection')?.dataset.state == 'live'")
    tab.wait_for("document.querySelector('.column')")
    task = site.call("POST", "/api/tasks", {"title": HOSTILE, "assigned_to": "ada"})["task"]
    tab.wait_for(f"{column_of(task['id'])} == 'Inbox'")

    assert HOSTILE == tab.evaluate(f"document.querySelector('#task-{task['id']} .title').textContent")
    assert tab.evaluate("document.querySelector('main img') == null")
    tab.evaluate(
        f"(list => (list.value = 'in_progress', list.dispatchEvent(new Event('change', {{bubbles: true}}))))"
        f"(document.querySelector('#task-{task['id']} select'))"
    )
    tab.wait_for(f"{column_of(task['id'])} == 'In progress'")
    assert "in_progress" == site.call("GET", f"/api/tasks/{task['id']}")["task"]["status"]
    (board,) = site.call("GET", "/api/v1/boards")["items"]
    approvals = f"/api/v1/boards/{board['id']}/approvals"
    fields = {"action_type": "deploy", "confidence": 90, "lead_reasoning": "tested", "payload": {"reason": HOSTILE}}
    asked = site.call("POST", approvals, fields)
    tab.wait_for("document.querySelector('.approval')")
    tab.evaluate(
        "(found => (found.focus(), found.dispatchEvent(new KeyboardEvent('keydown', {key: 'a', bubbles: true}))))"
        "(document.querySelector('.approval'))"
    )
    tab.wait_for("!document.querySelector('.approval')")
    (decided,) = site.call("GET", approvals)["items"]
    assert (asked["id"], "approved") == (decided["id"], decided["status"])
    tab.wait_for("document.querySelector('.feed').textContent.includes('Approval approved')")
    assert [] == [each for each in complaints_of(tab) if "401" not in json.dumps(each)]
    assert {urlsplit(site.base).netloc} == hosts_of(tab)


@with_chromium
def test_a_card_is_dragged_to_another_column(site: Site, tab: Tab) -> None:
    """
    Within its column it keeps its status.
    """
    task = site.call("POST", "/api/tasks", {"title": "drag me", "assigned_to": "ada", "status": "in_progress"})["task"]
    site.call("PUT", f"/api/tasks/{task['id']}", {"status": "awaiting_owner"})
    site.sign_in(tab)
    tab.wait_for(f"{column_of(task['id'])} == 'In progress'")
    drag = f"""(to => {{
        const sent = (name, target) => target.dispatchEvent(new DragEvent(name, {{bubbles: true}}));
        sent("dragstart", document.getElementById("task-{task["id"]}"));
        sent("drop", document.querySelector(`.column[aria-label="${{to}}"]`));
        return document.querySelector("#task-{task["id"]} select").value;
    }})"""

    assert "awaiting_owner" == tab.evaluate(f"{drag}('In progress')")
    tab.evaluate(f"{drag}('Inbox')")
    tab.wait_for(f"{column_of(task['id'])} == 'Inbox'")


@with_chromium
def test_the_page_goes_on_when_the_server_is_back(tmp_path: Path, tab: Tab) -> None:
    """
    It shows what happened meanwhile. A refused move is told, and the card is where it was.
    """
    with serving(cwd=tmp_path, **ENVIRONMENT) as (port, _):
        site = Site(f"http://127.0.0.1:{port}")
        task = site.call("POST", "/api/tasks", {"title": "one", "assigned_to": "ada"})["task"]
        site.sign_in(tab)
        tab.wait_for(f"{column_of(task['id'])} == 'Inbox'")
        tab.wait_for("document.getElementById('connection').dataset.state == 'live'")
    tab.wait_for("document.getElementById('connection').dataset.state == 'connecting'")
    with serving("--port", str(port), cwd=tmp_path, **ENVIRONMENT):
        site.call("PUT", f"/api/tasks/{task['id']}", {"status": "in_progress"})
        tab.wait_for("document.getElementById('connection').dataset.state == 'live'")
        tab.wait_for(f"{column_of(task['id'])} == 'In progress'")
        (board,) = site.call("GET", "/api/v1/boards")["items"]
        site.call("PATCH", f"/api/v1/boards/{board['id']}", {"block_status_changes_with_pending_approval": True})
        (found,) = site.call("GET", f"/api/v1/boards/{board['id']}/tasks")["items"]
        fields = {"action_type": "deploy", "confidence": 90, "lead_reasoning": "tested", "task_id": found["id"]}
        site.call("POST", f"/api/v1/boards/{board['id']}/approvals", fields)
        tab.evaluate(
            f"(list => (list.value = 'inbox', list.dispatchEvent(new Event('change', {{bubbles: true}}))))"
            f"(document.querySelector('#task-{task['id']} select'))"
        )
        tab.wait_for("document.getElementById('message').textContent.includes('approval')")
        assert "In progress" == tab.evaluate(column_of(task["id"]))


def test_the_page_belongs_to_who_signed_in(site: Site) -> None:
    """
    Everybody else is sent to the form; a change that another site's page sends is refused.
    """
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.build_opener(NoRedirect).open(f"{site.base}/")
    with refused.value as answer:
        assert (303, "/ui/sign-in") == (answer.code, answer.headers["location"])
    foreign = urllib.request.Request(f"{site.base}/ui/boards/{'0' * 32}/tasks", b"task=1&status=done", method="POST")
    for name, value in (("origin", "https://evil.example"), ("x-api-key", "page-key")):
        foreign.add_header(name, value)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(foreign)
    with refused.value as answer:
        assert 403 == answer.code
    for path, status in (("boards/x", 404), (f"boards/{'0' * 32}", 404), ("stream/x", 404)):
        request = urllib.request.Request(f"{site.base}/ui/{path}", headers={"x-api-key": "page-key"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        with refused.value as answer:
            assert status == answer.code


@pytest.mark.parametrize(
    ("path", "form", "status", "told"),
    [
        ("boards/{board}/tasks", "task=1&status=nope", 400, "status must be one of backlog"),
        ("boards/{board}/tasks", "task=one&status=done", 400, "task must be the number"),
        ("boards/{board}/tasks", f"task={10**18}&status=done", 400, "task must be the number"),
        ("boards/{board}/tasks", f"task={'9' * 5000}&status=done", 400, "task must be the number"),
        ("boards/{board}/tasks", "task=9&status=done", 404, "Task not found"),
        ("boards/{board}/tasks", "x=1&" * 30, 400, "at most 20 fields"),
        ("approvals/{board}", "decision=pending", 400, "decision must be one of approved, rejected"),
        ("approvals/{board}", "decision=approved&reason=%00", 400, "reason"),
        ("approvals/{board}", "decision=approved", 404, "Approval not found"),
        ("approvals/x", "decision=approved", 404, "nothing at this path"),
    ],
)
def test_a_form_without_sense_is_refused_with_the_reason(
    site: Site, path: str, form: str, status: int, told: str
) -> None:
    (board,) = site.call("GET", "/api/v1/boards")["items"]
    request = urllib.request.Request(f"{site.base}/ui/{path.format(board=board['id'])}", form.encode(), method="POST")
    request.add_header("x-api-key", "page-key")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value as answer:
        assert (status, True) == (answer.code, told in answer.read().decode())


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """
    Answers a redirection as it is.
    """

    def redirect_request(self, *args: Any) -> None:
        return None
