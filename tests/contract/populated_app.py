"""
All dialects in one application over a store, with one of everything made, and a caller for each operation.

What may be called is read off the endpoint tables, so whatever is added joins the tests without an edit.
"""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

from attrs import define, evolve, field, frozen

from mission_core.accounts.organizations import built_in_gateway
from mission_core.accounts.profiles import ensure_local_user
from mission_core.agents.use_cases import secret_digest
from mission_core.ports import Ports
from mission_http.app import MissionApp, create_app
from mission_http.boards.dialect import boards_dialect
from mission_http.fleet.dialect import fleet_dialect
from mission_http.otlp.dialect import otlp_dialect
from mission_http.platform.endpoints import Dialect, Endpoint
from mission_http.wiring import ServerSecretCredentials, decode_telemetry
from tests.contract.boards_driver import TOKEN, run_lifespan
from tests.contract.browser import make_person
from tests.contract.conftest import World, make_world
from tests.contract.fleet_driver import fleet_settings
from tests.contract.openapi_check import checked_against_openapi
from tests.unit.http.platform.sample_app import Answer, ask

SETTINGS = fleet_settings(local_auth_token=TOKEN)
DIALECTS = (fleet_dialect(SETTINGS), boards_dialect(SETTINGS), otlp_dialect(SETTINGS, decode_telemetry))
OPERATIONS: list[tuple[Dialect, Endpoint]] = [
    (dialect, endpoint) for dialect in DIALECTS for endpoint in dialect.endpoints
]
KEY = "the-key-of-everything-looks-like-a-made-one"
"""An organization's. It is not the environment's, of which a store keeps one when it is replaced."""
UNKNOWN_ID = "0195a000-0000-7000-8000-00000000dead"
"""A well-formed id of nothing."""
QUERIES: dict[str | None, str] = {
    "fleet_exportData": "?type=tasks",
    "fleet_listNotifications": "?recipient=ada",
}
"""What operations need in the query, by their ids."""


def operation_id(operation: tuple[Dialect, Endpoint]) -> str:
    """
    How a test calls an operation.
    """
    dialect, endpoint = operation
    return f"{endpoint.method} {dialect.path_of(endpoint)}"


@frozen
class PopulatedApp:
    """
    One of everything, and how to call any operation on it.

    *known* holds the ids that paths name: by the segment before a parameter and its name, or by its name alone.
    """

    app: MissionApp
    world: World
    lead: str
    known: dict[str, str] = field(factory=dict)

    async def call(
        self, operation: tuple[Dialect, Endpoint], *, path: str | None = None, method: str | None = None,
        raw: bytes = b"", **headers: str,
    ) -> Answer:  # fmt: skip
        """
        Call an operation as somebody who may; the answer must be as the document tells.
        """
        path = path if path is not None else self.path(operation) + QUERIES.get(operation[1].operation_id, "")
        method = method or operation[1].method
        answer = await ask(self.app, method, path, raw, key=None, **{**self.caller(operation), **headers})
        return checked_against_openapi(self.app, method, path, answer)

    def caller(self, operation: tuple[Dialect, Endpoint]) -> dict[str, str]:
        """
        The headers of somebody who may call this operation.
        """
        dialect, endpoint = operation
        if dialect.name == "Fleet":
            return {"x-api-key": KEY}
        return {"x-agent-token": self.lead} if endpoint.who.name == "agent" else {"authorization": f"Bearer {TOKEN}"}

    def path(self, operation: tuple[Dialect, Endpoint], **instead: str) -> str:
        """
        The path of an operation on what is known, with other segments where some are given.
        """
        dialect, endpoint = operation
        found = dialect.path_of(endpoint)
        for before, name in parameters_of(operation):
            segment = instead.get(name) or self.known.get(f"{before}/{name}") or self.known.get(name) or UNKNOWN_ID
            found = found.replace(f"{{{name}}}", segment, 1)
        return found

    async def head(self) -> int:
        """
        How much has happened.
        """
        return (await self.world.ports.log.head(self.world.me.organization)).position


def parameters_of(operation: tuple[Dialect, Endpoint]) -> list[tuple[str, str]]:
    """
    The parameters of an operation's path, each with the segment before it.
    """
    dialect, endpoint = operation
    return re.findall(r"([^/]*)/{(\w+)}", dialect.path_of(endpoint))


@asynccontextmanager
async def populated_app(world: World) -> AsyncIterator[PopulatedApp]:
    """
    The application with all dialects and one of everything, up for as long as the context lasts.
    """
    key = evolve(world.me, name="api", display="API Access")
    user = await ensure_local_user(world.ports, world.me.organization, username=f"local-{world.me.organization}")
    ports = evolve(
        world.ports,
        credentials=ServerSecretCredentials(
            world.ports.credentials, {secret_digest(KEY): key, secret_digest(TOKEN): user}
        ),
    )

    @asynccontextmanager
    async def wire() -> AsyncIterator[Ports]:
        yield ports

    app = create_app(wire, DIALECTS)
    async with run_lifespan(app):
        lead = await world.agent("lea", board=world.board.id, lead=True)
        task = await world.task("One of everything")
        known = {
            "board_id": str(world.board.id), "task_id": str(task.id), "agent_id": str(lead.id),
            "tasks/id": str(task.number), "projects/id": str(world.board.number), "agents/id": str(lead.number),
        }  # fmt: skip
        field = {"field_key": "one", "label": "One", "board_ids": [known["board_id"]]}
        known["invite_id"] = await _create(app, "/organizations/me/invites", {"invited_email": "one@example.org"})
        known["member_id"] = str((await world.ports.reads.members.get(world.me, user)).member.id)
        known["gateway_id"] = str(built_in_gateway(world.me.organization))
        known["workspaces/id"] = str(await _workspace(app))
        known["tag_id"] = await _create(app, "/tags", {"name": "One"})
        known["group_id"] = await _create(app, "/board-groups", {"name": "One", "slug": "one"})
        known["task_custom_field_definition_id"] = await _create(app, "/organizations/me/custom-fields", field)
        asked = {"action_type": "one", "confidence": 50, "task_id": known["task_id"], "lead_reasoning": "One"}
        known["approval_id"] = await _create(app, f"/boards/{world.board.id}/approvals", asked)
        await _create(app, f"/boards/{world.board.id}/onboarding/start", {})
        await _create(app, f"/boards/{world.board.id}/memory", {"content": "One"})
        await _create(app, f"/board-groups/{known['group_id']}/memory", {"content": "One"})
        known["webhook_id"] = await _create(app, f"/boards/{world.board.id}/webhooks", {"description": "One"})
        path = f"/api/v1/boards/{world.board.id}/webhooks/{known['webhook_id']}"
        known["payload_id"] = (await ask(app, "POST", path, b'{"one": 1}', key=None)).json["payload_id"]
        used = {"model": "one", "input_tokens": 1, "output_tokens": 1, "task_id": known["task_id"]}
        known["usage_id"] = known["tokens/id"] = await _create(app, "/usage", used)
        limited = {"scope": "organization", "measure": "runs", "limit": 9, "period": "once", "hard": False}
        known["budget_id"] = known["budgets/id"] = await _create(app, "/budgets", {"name": "One", **limited})
        priced = {"model": "one", "input": 1, "output": 2}
        known["price_id"] = known["prices/id"] = await _create(app, "/prices", priced)
        ran = {"agent_id": "one", "status": "running", "started_at": "2030-01-01", "cost": {"input_tokens": 1}}
        known["run_id"] = (await ask(app, "POST", "/api/v1/runs", json.dumps(ran).encode(), key=KEY)).json["id"]
        sent = json.dumps({"content": "One", "to": "one", "conversation_id": "a2a:one"}).encode()
        known["messages/id"] = str((await ask(app, "POST", "/api/chat/messages", sent, key=KEY)).json["message"]["id"])
        await make_person(world, username=f"one-{world.me.organization}")
        token = await _token_of(app, lead.number)
        await ask(app, "POST", "/api/v1/agent/heartbeat", key=None, x_agent_token=token)  # later requests say no more
        yield PopulatedApp(app, world, token, known)


async def nothing_more(made: PopulatedApp) -> None:
    """
    Plant nothing beside the one of everything.
    """


@define
class SharedApp:
    """
    One of everything for many tests: it is made anew after a test that changed something, and not before.

    Args:
        plant: Adds to what was made.
        planted: What it returned.
    """

    ports: Ports
    plant: Callable[[PopulatedApp], Awaitable[Any]] = nothing_more
    planted: Any = None
    open: AsyncExitStack = field(factory=AsyncExitStack)
    made: PopulatedApp | None = None
    position: int = 0

    async def unchanged(self) -> PopulatedApp:
        """
        The application, as it was made.
        """
        made = self.made
        if made is None or self.position != await made.head():
            await self.open.aclose()
            made = self.made = await self.open.enter_async_context(populated_app(await make_world(self.ports)))
            self.planted = await self.plant(made)
            self.position = await made.head()
        return made


async def _create(app: MissionApp, path: str, body: Any) -> str:
    path = f"/api/v1{path}"
    made = await ask(app, "POST", path, json.dumps(body).encode(), key=None, authorization=f"Bearer {TOKEN}")
    assert 200 == made.status, made.body
    id: str = made.json["id"]
    return id


async def _workspace(app: MissionApp) -> int:
    body = json.dumps({"name": "One", "slug": f"one-{uuid4()}"}).encode()
    made = await ask(app, "POST", "/api/workspaces", body, key=KEY)
    assert 201 == made.status, made.body
    number: int = made.json["workspace"]["id"]
    return number


async def _token_of(app: MissionApp, agent: int) -> str:
    body = json.dumps({"scopes": ["operator"]}).encode()
    made = await ask(app, "POST", f"/api/agents/{agent}/keys", body, key=KEY)
    token: str = made.json["api_key"]
    return token


def wrong_locations(answer: Answer) -> Iterator[str]:
    """
    The names of the fields that a refusal calls wrong.
    """
    if answer.status < 400:
        return
    told = answer.json
    if isinstance(told.get("detail"), list):
        yield from (str(part) for each in told["detail"] for part in each["loc"][1:2])
    elif isinstance(told.get("details"), list):
        yield from (re.split(r"[.:]", str(each).removeprefix("body."), maxsplit=1)[0] for each in told["details"])
