"""
Two organizations on one store, and two boards of one organization: whatever one's ids and names are put into, in
whatever operation, the other's words do not come back, nothing of it changes, and it makes no difference whether it is
there at all.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from attrs import evolve, field, frozen

from mission_adapters.board_scope import has_board
from mission_adapters.kind_registry import KINDS
from mission_core.accounts.profiles import local_user_of
from mission_core.agents.tool_connections import CONNECTIONS
from mission_core.agents.use_cases import secret_digest
from mission_core.boards.groups import GROUPS
from mission_core.conversations.memory_entries import GROUP_MEMORY
from mission_core.ids import AgentId, BoardId, GroupId, TaskId
from mission_core.tasks.comments import COMMENTS
from mission_http.app import create_app
from mission_http.platform.endpoints import Dialect, Endpoint
from mission_http.platform.field_annotations import fields_of, wire_name
from mission_http.wiring import ServerSecretCredentials
from tests.contract.boards_driver import TOKEN, run_lifespan
from tests.contract.conftest import World
from tests.contract.granted_boards import nothing_known
from tests.contract.populated_app import (
    DIALECTS,
    KEY,
    OPERATIONS,
    UNKNOWN_ID,
    PopulatedApp,
    operation_id,
    parameters_of,
    populated_app,
)
from tests.contract.test_generated_requests import names_in
from tests.unit.http.platform.sample_app import Answer, ask

Operation = tuple[Dialect, Endpoint]

SAID = "zebrafish"
"""What can be searched for, in every text of the other side."""
MARK = "9f3a7c51d2"
"""What stands beside it, and is never sent but as a part of a name."""
TEXT = f"{SAID} {MARK}"
NAME = f"{SAID}-{MARK}"
NOBODYS = f"{SAID}-0000000000"
"""A name like that, of nothing."""
AHEAD = 5
"""So many rows come before each that is planted, so that its number is none of the side that asks."""
NOTHING = 60
"""A number of nothing."""

of_operations = pytest.mark.parametrize("operation", OPERATIONS, ids=operation_id)


@frozen
class Planted:
    """
    A side that nobody else may see: one of everything with the mark in every text, the ids and numbers of its rows, and
    how it looks to somebody who may.
    """

    side: PopulatedApp
    ids: dict[str, str] = field(factory=dict)
    numbers: dict[str, int] = field(factory=dict)

    async def do(self, method: str, path: str, body: Any = None, *, agent: str | None = None) -> Any:
        """
        What the side does itself; it must succeed.
        """
        headers = {"x-api-key": KEY} if not path.startswith("/api/v1") else {"authorization": f"Bearer {TOKEN}"}
        if agent is not None:
            headers = {"x-agent-token": agent}
        raw = b"" if body is None else json.dumps(body).encode()
        answer = await ask(self.side.app, method, path, raw, key=None, **headers)
        assert 200 <= answer.status < 300, (method, path, answer.body)
        return answer.json if answer.body else None

    async def picture(self) -> list[tuple[int, str]]:
        """
        All that people can read of the side, and how much has happened there.
        """
        read = [
            await self.side.call(each, path=self.side.path(each, **self.instead(each)))
            for each in OPERATIONS
            if each[1].method == "GET" and each[1].who.name != "agent" and each[1].operation_id not in POLLS
        ]
        return [*((answer.status, lasting(answer)) for answer in read), (await self.side.head(), "")]

    def instead(self, operation: Operation) -> dict[str, str]:
        """
        What its rows are called in the paths of this operation.
        """
        fleet = operation[0].name == "Fleet"
        return {
            name: str(self.numbers[before]) if fleet else self.ids[name]
            for before, name in parameters_of(operation)
            if (before in self.numbers if fleet else name in self.ids)
        }


VOLATILE = re.compile(r'"(request_id|timestamp|generated_at|uptime)":[^,}]*')
POLLS = {
    "fleet_pollTaskQueue",
    "fleet_getAgentHeartbeat",
    "fleet_getSystemStatus",
    "fleet_getHealth",
    "fleet_getOpenApiSpec",
}
"""What changes as it is read, or is about the machine."""
OPEN = {"POST /api/v1/boards/{board_id}/webhooks/{webhook_id}"}
"""What whoever has the whole address may send to, wherever they are from."""


def lasting(answer: Answer) -> str:
    """
    An answer's body without what differs from one request to the next.
    """
    body = answer.body.decode()
    return VOLATILE.sub("", body)


async def planted_in(side: PopulatedApp) -> Planted:
    """
    One of everything, marked, through the operations that make it.
    """
    here = await planted_on_a_board(side)
    do, board = here.do, here.ids["board_id"]
    invited = {"invited_email": f"{NAME}@example.org", "role": NAME, "board_access": [{"board_id": board}]}
    here.ids["invite_id"] = (await do("POST", "/api/v1/organizations/me/invites", invited))["id"]
    here.ids["member_id"] = (await do("GET", "/api/v1/organizations/me/member"))["id"]
    here.ids["organization_id"] = (await do("GET", "/api/v1/organizations/me"))["id"]
    tag = await do("POST", "/api/v1/tags", {"name": TEXT, "description": TEXT})
    here.ids["tag_id"] = tag["id"]
    a_field = {"field_key": "marked", "label": TEXT, "field_type": "text", "board_ids": [board]}
    kept = await do("POST", "/api/v1/organizations/me/custom-fields", a_field)
    here.ids["task_custom_field_definition_id"] = kept["id"]
    await do("PATCH", "/api/v1/users/me", {"name": TEXT, "preferred_name": TEXT, "notes": TEXT})
    space = await do("POST", "/api/workspaces", {"name": TEXT, "slug": f"{NAME}-{uuid4()}", "brand": TEXT})
    here.numbers["workspaces"] = space["workspace"]["id"]
    return here


async def planted_on_a_board(side: PopulatedApp) -> Planted:
    """
    A board, and one of all that belongs to boards on it.
    """
    here = Planted(side)
    do = here.do
    for turn in range(AHEAD):
        made = await do("POST", "/api/projects", {"name": f"{NAME}-{turn}", "ticket_prefix": f"ZF{turn}"})
        await do("POST", "/api/agents", {"name": f"{NAME}-{turn}", "role": "coder"})
    number = made["project"]["id"]
    boards = (await do("GET", "/api/v1/boards"))["items"]
    board = next(each["id"] for each in boards if each["name"] == f"{NAME}-{AHEAD - 1}")
    here.ids["board_id"] = board
    for _ in range(AHEAD):
        await do("POST", f"/api/v1/boards/{board}/tasks", {"title": TEXT})
    on_board = f"/api/v1/boards/{board}"
    await do("PATCH", on_board, {"name": NAME, "description": TEXT, "objective": TEXT, "success_metrics": {"x": TEXT}})
    made = await do("POST", "/api/v1/agents", {"name": NAME, "board_id": board, "identity_template": TEXT})
    here.ids["agent_id"] = made["id"]
    agents = (await do("GET", "/api/agents?limit=200"))["agents"]
    here.numbers["agents"] = agent = next(each["id"] for each in agents if each["name"] == NAME)
    await do("PUT", f"/api/agents/{agent}/soul", {"soul_content": TEXT})
    await do("PUT", f"/api/agents/{agent}/memory", {"working_memory": TEXT})
    await do("PUT", "/api/agents", {"name": NAME, "last_activity": TEXT, "session_key": NAME, "config": {"x": TEXT}})
    connected = await do(
        "POST", "/api/connect", {"tool_name": TEXT, "agent_name": NAME, "agent_role": TEXT, "metadata": {"x": TEXT}}
    )
    here.ids["connection_id"] = connected["connection_id"]
    here.numbers["projects"] = number
    await do("PATCH", f"/api/projects/{number}", {"github_repo": f"{SAID}/{MARK}"})
    await do("POST", f"/api/projects/{number}/agents", {"agent_name": NAME, "role": TEXT})
    group = await do("POST", "/api/v1/board-groups", {"name": TEXT, "slug": NAME, "description": TEXT})
    here.ids["group_id"] = group["id"]
    await do("PATCH", on_board, {"board_group_id": group["id"]})
    marked = {"content": TEXT, "tags": [NAME, "chat"], "source": TEXT}
    for place in (f"{on_board}/memory", f"{on_board}/group-memory"):
        await do("POST", place, marked)
    webhook = await do("POST", f"{on_board}/webhooks", {"description": TEXT, "agent_id": made["id"]})
    here.ids["webhook_id"] = webhook["id"]
    came = await do("POST", webhook["endpoint_path"], {"x": TEXT})
    here.ids["payload_id"] = came["payload_id"]
    task = await do("POST", f"{on_board}/tasks", {"title": TEXT, "description": TEXT, "assigned_agent_id": made["id"]})
    here.ids["task_id"] = task["id"]
    told = await do("POST", f"{on_board}/tasks/{task['id']}/comments", {"message": f"@{NAME} {TEXT}"})
    here.ids["comment_id"] = told["id"]
    listed = (await do("GET", f"/api/tasks?limit=200&project_id={number}"))["tasks"]
    here.numbers["tasks"] = max(each["id"] for each in listed)
    here.numbers["comments"] = (await do("GET", f"/api/tasks/{here.numbers['tasks']}/comments"))["comments"][0]["id"]
    await do("PUT", f"/api/tasks/{here.numbers['tasks']}", {"error_message": TEXT, "metadata": {"x": TEXT}})
    asked = {"action_type": TEXT, "confidence": 1, "payload": {"reason": TEXT}, "task_ids": [task["id"]]}
    approval = await do("POST", f"{on_board}/approvals", asked)
    here.ids["approval_id"] = approval["id"]
    await do("PATCH", f"{on_board}/approvals/{approval['id']}", {"status": "rejected", "reason": TEXT})
    await do("POST", f"{on_board}/approvals", asked)
    await do("POST", f"{on_board}/onboarding/start", {})
    return here


@pytest.fixture
async def asking(world: World) -> AsyncIterator[PopulatedApp]:
    """
    The side that asks.
    """
    async with populated_app(world) as made:
        yield made


@pytest.fixture
async def other(elsewhere: World) -> AsyncIterator[Planted]:
    """
    Another organization, which is marked.
    """
    async with populated_app(elsewhere) as made:
        yield await planted_in(made)


Words = list[tuple[str, str]]
"""What names the other side, each with what names nothing in its place."""


@frozen
class Try:
    """
    A request that names the other side, and in which words. A number alone may be anything: it is sent, and its answer
    is compared with no other.
    """

    path: str
    body: Any
    words: Words

    @property
    def control(self) -> "Try":
        """
        The same that names nothing.
        """
        path, body = self.path, json.dumps(self.body)
        for there, nothing in self.words:
            path = path.replace(quote(there), quote(nothing))
            body = body.replace(json.dumps(there), json.dumps(nothing))
        return Try(path, json.loads(body), [])


def words_of(planted: Planted) -> Words:
    """
    What the rows of the other side are called.
    """
    ids = [(id, nothing_like(id)) for id in planted.ids.values()]
    return [*ids, *((str(number), str(NOTHING)) for number in planted.numbers.values()), (NAME, NOBODYS)]


def nothing_like(id: str) -> str:
    """
    An id of nothing that begins alike: the Fleet's clients may send words for numbers, which are none at all if they
    begin with a letter.
    """
    return UNKNOWN_ID if id[0].isdigit() else f"f{UNKNOWN_ID[1:]}"


def asked_by(endpoint: Endpoint) -> list[str]:
    """
    The parameters of an operation's query, but those that only cut what is found into pages.
    """
    names = map(wire_name, fields_of(endpoint.query)) if endpoint.query else ()
    return [name for name in names if name not in ("limit", "offset", "after")]


def tries(operation: Operation, asking: PopulatedApp, planted: Planted) -> Iterator[Try]:
    """
    Each way in which a request of this operation can name the other side: in its path, all at once and each by itself,
    in its query and in a field of its body.
    """
    endpoint, serial = operation[1], count(1)

    def own() -> dict[str, Any]:
        fields = names_in(endpoint.takes) if endpoint.takes is not None else []
        given = {name: OWN[name] for name in fields if name in OWN}
        return {name: f"x-{next(serial):06}" if value == "x" else value for name, value in given.items()}

    instead = planted.instead(operation)
    together = [list(instead)] if len(instead) > 1 and operation_id(operation) not in OPEN else []
    for names in [[name] for name in instead] + together:
        named_there = [instead[name] for name in names]
        words = [(each, str(NOTHING) if each.isdigit() else nothing_like(each)) for each in named_there]
        yield Try(asking.path(operation, **{name: instead[name] for name in names}), own(), words)
    path = asking.path(operation)
    for name in asked_by(endpoint):
        for there, nothing in [*words_of(planted), (SAID, "zebrafisk")]:
            yield Try(f"{path}?{name}={quote(there)}", own(), [] if there.isdigit() else [(there, nothing)])
    for name in names_in(endpoint.takes) if endpoint.takes is not None else ():
        for there, nothing in words_of(planted):
            word = int(there) if there.isdigit() else there
            for value in (word, [word]):
                yield Try(path, own() | {name: value}, [] if there.isdigit() else [(there, nothing)])


OWN: dict[str, Any] = {
    "title": "x", "name": "x", "message": "x", "content": "x", "status": "idle", "agent": "x", "agent_name": "x",
    "tool_name": "x", "question": "x", "options": [{"id": "1", "label": "x"}], "answer": "x", "board_type": "general",
    "field_key": "x", "label": "x", "slug": "x", "run": UNKNOWN_ID, "token": "x",
    "settings": {"general.site_name": "x"},
    "action_type": "x", "confidence": 1, "lead_reasoning": "x",
}  # fmt: skip
"""What operations must have, where they have such a field."""


def check_alike(one: Try, answer: Answer, control: Answer, *, reads: bool) -> None:
    """
    What the other side has is refused like what nobody has, and what can be read is the same.
    """
    told, alike = lasting(answer), lasting(control)
    for there, nothing in one.words:
        told, alike = told.replace(there, nothing), alike.replace(there, nothing)
    if one.words and (control.status in (400, 404, 422) or reads):
        assert (control.status, alike) == (answer.status, told), one


@pytest.mark.parametrize("store_url", ["memory", "sqlite"], indirect=True)  # PostgreSQL runs SQLite's statements
@of_operations
async def test_another_organization_might_as_well_not_be_there(
    asking: PopulatedApp, other: Planted, operation: Operation
) -> None:
    """
    Its ids, numbers and names, in paths, queries and bodies, are those of nothing.
    """
    before, sent = await other.picture(), False
    for one in tries(operation, asking, other):
        answer, control = [
            await asking.call(
                operation, path=each.path, raw=json.dumps(each.body).encode() if operation[1].takes else b""
            )
            for each in (one, one.control)
        ]
        sent = sent or NAME in one.path or NAME in str(one.body)  # what was said once may be shown again
        told = answer.body.decode().replace(NAME, "") if sent else answer.body.decode()

        assert MARK not in told, (one, told)
        check_alike(one, answer, control, reads=operation[1].method == "GET" and operation[1].operation_id not in POLLS)

    assert before == await other.picture()


@pytest.fixture
async def hidden(asking: PopulatedApp) -> Planted:
    """
    Another board of the organization that asks, which is marked.
    """
    return await planted_on_a_board(asking)


@pytest.fixture
async def granted(asking: PopulatedApp, hidden: Planted) -> AsyncIterator[PopulatedApp]:
    """
    The side that asks, as an admin who is granted its one board, through either dialect; and as that board's lead.
    """
    world = asking.world
    owner = await world.ports.credentials.member(local_user_of(world.me.organization))
    assert owner is not None
    member = evolve(owner, reads=frozenset({world.board.id}), writes=frozenset({world.board.id}))
    known = {secret_digest(KEY): member, secret_digest(TOKEN): member}
    ports = evolve(world.ports, credentials=ServerSecretCredentials(world.ports.credentials, known))
    app = create_app(partial(nullcontext, ports), DIALECTS)
    async with run_lifespan(app):
        yield evolve(asking, app=app)


async def looks(planted: Planted) -> list[Any]:
    """
    All that belongs to the board of a side, as its organization's owner sees it.
    """
    world, board = planted.side.world, BoardId(UUID(planted.ids["board_id"]))
    reads, me = world.ports.reads, world.me
    view = await reads.snapshots.board(me, board, nothing_known)
    names = [row.name for row in view.agents]
    rows = [await reads.entities.every(me, kind, board=board) for kind in KINDS if has_board(kind.entity)]
    rows += [await reads.entities.every(me, COMMENTS, task=TaskId(UUID(bytes=task))) for task in view.tasks]
    rows += [await reads.entities.every(me, CONNECTIONS, agent=AgentId(UUID(bytes=row.id))) for row in view.agents]
    group = GroupId(UUID(planted.ids["group_id"]))
    return [
        view, rows, await reads.entities.get(me, GROUPS, group),
        await reads.entities.every(me, GROUP_MEMORY, group=group),
        await reads.tasks.count_by_status(me, tuple(names)),
        [await reads.tasks.runs(me, TaskId(UUID(bytes=each))) for each in view.tasks],
    ]  # fmt: skip


ENDING = {"DELETE /api/v1/organizations/me"}
"""What ends everything there is in the organization, for whoever owns it."""


@pytest.mark.parametrize("store_url", ["memory", "sqlite"], indirect=True)  # PostgreSQL runs SQLite's statements
@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if operation_id(each) not in ENDING], ids=operation_id
)
async def test_nothing_of_a_board_comes_to_who_is_granted_another(
    granted: PopulatedApp, hidden: Planted, operation: Operation
) -> None:
    """
    Nor can they change anything of it, whatever names it in paths, queries and bodies.
    """
    before, sent = await looks(hidden), False
    for one in tries(operation, granted, hidden):
        answer = await granted.call(
            operation, path=one.path, raw=json.dumps(one.body).encode() if operation[1].takes else b""
        )
        sent = sent or NAME in one.path or NAME in str(one.body)  # what was said once may be shown again
        told = answer.body.decode().replace(NAME, "") if sent else answer.body.decode()

        assert MARK not in told, (one, told)

    assert before == await looks(hidden)
