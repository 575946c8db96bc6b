"""
The scopes of agents' keys, over the whole table of operations: a key without a role does what they name, to what is its
own, and nothing else.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from attrs import frozen

from mission_core.accounts.key_scopes import INCLUDED_SCOPES
from mission_core.accounts.model import SCOPES
from mission_core.agents.use_cases import CreateKey, create_key
from mission_core.ids import AgentId, TaskNumber
from mission_core.tasks.use_cases import UpdateTask, update_task
from mission_http.platform.endpoints import Dialect, Endpoint
from tests.contract.conftest import World
from tests.contract.fleet_driver import KEY, FleetDriver, refusal
from tests.contract.populated_app import OPERATIONS, PopulatedApp, operation_id, populated_app
from tests.unit.http.platform.sample_app import Answer, ask

Operation = tuple[Dialect, Endpoint]
OWN = [scope for scope in SCOPES if scope.startswith("agent:")]
CLOSED = [each for each in OPERATIONS if not each[1].who.public]
SCOPED = [each for each in CLOSED if each[1].scope is not None]
FOR_AGENTS = [each for each in CLOSED if each[0].name == "Fleet" or each[1].who.name != "user"]
BODIES: dict[str, Any] = {
    "fleet_updateAgentSoul": {"soul_content": "x"}, "fleet_updateAgentMemory": {"working_memory": "x"},
    "fleet_addTaskComment": {"content": "x"}, "fleet_broadcastTask": {"message": "x"},
    "fleet_completeTask": {"lease": "x"}, "fleet_failTask": {"lease": "x", "reason": "timeout"},
    "fleet_releaseTask": {"lease": "x"}, "fleet_updateTask": {"title": "x"},
    "fleet_adoptResult": {"run_id": "01900000-0000-7000-8000-000000000000", "lease": "x"},
    "fleet_sendAgentMessage": {"to": "lea", "message": "x"},
}  # fmt: skip


@frozen
class Scoped:
    """
    One of everything, a key for each scope of its agent, and another agent with a task.
    """

    everything: PopulatedApp
    keys: dict[str, str]
    others_agent: str
    others_task: str

    async def call(self, operation: Operation, key: str, **instead: str) -> Answer:
        dialect, endpoint = operation
        body = BODIES.get(endpoint.operation_id or "", {}) if endpoint.takes is not None else None
        raw = b"" if body is None else json.dumps(body).encode()
        sent = {"x-api-key": key} if dialect.name == "Fleet" else {"x-agent-token": key}
        path = self.everything.path(operation, **instead)
        return await ask(self.everything.app, endpoint.method, path, raw, key=None, **sent)


@pytest.fixture
async def scoped(world: World) -> AsyncIterator[Scoped]:
    async with populated_app(world) as everything:
        agent = AgentId(await _id_of(world, "lea"))
        task = TaskNumber(int(everything.known["tasks/id"]))
        await update_task(world.ports, world.me, UpdateTask(task=task, assignee="lea"))
        keys = {}
        for scope in OWN:
            _, keys[scope] = await create_key(world.ports, world.me, CreateKey(agent=agent, scopes=(scope,)))
        other = await world.agent("bob", board=world.board.id)
        others = await world.task("Of somebody else", assignee="bob")
        yield Scoped(everything, keys, str(other.number), str(others.number))


async def _id_of(world: World, name: str) -> Any:
    async with world.ports.unit(world.me) as unit:
        found = await unit.agents.find(name)
        assert found is not None
        return found.id


def allows(scope: str, operation: Operation) -> bool:
    needed = operation[1].scope
    return needed is not None and (needed == scope or needed in INCLUDED_SCOPES.get(scope, ()))


def refused(answer: Answer) -> bool:
    """
    Whether somebody may not do this at all, whatever it is done to.
    """
    said = ("permits only what its scopes name", "Requires admin role or higher", "Admin access required")
    return 403 == answer.status and any(each in answer.body.decode() for each in said)


@pytest.mark.parametrize("store_url", ["memory"], indirect=True)  # no store knows of scopes
@pytest.mark.parametrize("operation", FOR_AGENTS, ids=operation_id)
async def test_a_key_without_a_role_does_what_its_scope_names_and_nothing_else(
    scoped: Scoped, operation: Operation
) -> None:
    """
    With each scope: what names it is let in, whatever comes of it; all else is refused, and changes nothing.
    """
    for scope, key in scoped.keys.items():
        before = await scoped.everything.head()
        answer = await scoped.call(operation, key)
        if allows(scope, operation):
            assert not refused(answer), (scope, answer.body)
        else:
            assert refused(answer), (scope, answer.body)
            assert before == await scoped.everything.head()


@pytest.mark.parametrize("store_url", ["memory"], indirect=True)
@pytest.mark.parametrize("role", ["", "viewer"])
@pytest.mark.parametrize(
    "operation", [each for each in SCOPED if "{id}" in each[1].path and "lease/" not in each[1].path], ids=operation_id
)
async def test_what_a_scope_lets_in_is_its_own_alone(
    scoped: Scoped, world: World, operation: Operation, role: str
) -> None:
    """
    Of another agent it reads and writes nothing, whether the key has no role or is lifted above one.
    """
    assert operation[1].scope is not None
    scopes = tuple(filter(None, (role, operation[1].scope)))
    _, key = await create_key(world.ports, world.me, CreateKey(agent="lea", scopes=scopes))
    number = scoped.others_agent if "/agents/" in operation[1].path else scoped.others_task
    before = await scoped.everything.head()
    answer = await scoped.call(operation, key, id=number)
    may_look = role == "viewer" and operation[1].operation_id in ("fleet_getAgent", "fleet_getAgentSoul")

    assert answer.status in ((200,) if may_look else (403, 404, 409)), answer.body
    assert before == await scoped.everything.head()


async def test_the_document_tells_the_scope(fleet: FleetDriver) -> None:
    paths = (await fleet.got("GET", "/docs"))["paths"]

    assert "agent:heartbeat" == paths["/api/agents/{id}/heartbeat"]["post"]["x-scope"]
    assert "agent:self" == paths["/api/tasks/queue"]["get"]["x-scope"]
    assert "x-scope" not in paths["/api/projects"]["get"]


@pytest.mark.parametrize(
    ("scopes", "status"),
    [(("viewer",), 403), (("viewer", "agent:heartbeat"), 200), (("viewer", "agent:self"), 200),
     (("agent:heartbeat",), 200), (("agent:messages",), 403), (("operator",), 200)],
)  # fmt: skip
async def test_a_scope_lifts_a_viewer_to_its_own_heartbeat(
    fleet: FleetDriver, scopes: tuple[str, ...], status: int
) -> None:
    """
    And not to another's.
    """
    await fleet.agent("ada")
    await fleet.agent("bob")
    key = await fleet.key("ada", *scopes)

    assert status == (await fleet.call("POST", "/agents/ada/heartbeat", key=key)).status
    assert 403 == (await fleet.call("POST", "/agents/bob/heartbeat", key=key)).status


async def test_the_usual_keys_read_as_ever(fleet: FleetDriver) -> None:
    """
    What is made without naming scopes, and what comes with an agent.
    """
    _, token = await fleet.agent("ada")
    made = await fleet.got("POST", "/agents/ada/keys", {}, 201)
    task = await fleet.task(assigned_to="ada")
    for key in (token, made["api_key"]):
        for path in ("/tasks", f"/tasks/{task['id']}", "/agents", "/agents/ada", "/projects", "/agents/ada/soul"):
            assert 200 == (await fleet.call("GET", path, key=key)).status, path


async def test_an_agent_works_with_a_key_for_itself_alone(fleet: FleetDriver) -> None:
    """
    From the queue to the end, without seeing anything else.
    """
    await fleet.agent("ada")
    key = await fleet.key("ada", "agent:self")
    mine, others = await fleet.task(assigned_to="ada"), await fleet.task("Of another", assigned_to="bob")
    claimed = await fleet.got("POST", "/tasks/claim", {}, key=key)
    done = await fleet.got("POST", f"/tasks/{mine['id']}/complete", {"lease": claimed["lease"]["lease"]}, key=key)
    told = await fleet.got("GET", "/tasks", key=key)

    assert "done" == done["task"]["status"]
    assert [mine["id"]] == [each["id"] for each in told["tasks"]]
    for path in (f"/tasks/{others['id']}", "/agents", "/projects", "/search?q=x", "/status"):
        assert 403 == (await fleet.call("GET", path, key=key)).status, path
    assert 403 == (await fleet.call("POST", "/tasks", {"title": "x"}, key=key)).status


async def test_a_key_that_may_not_is_told_what_it_needs(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    key = await fleet.key("ada", "agent:messages")
    _, said = refusal(await fleet.call("POST", "/agents/ada/heartbeat", key=key))
    _, without = refusal(await fleet.call("GET", "/projects", key=key))

    assert "agent:heartbeat" in said
    assert "a role" in without
    assert (403, "Admin access required") == refusal(await fleet.call("GET", "/auth/users", key=key))
    assert 200 == (await fleet.call("GET", "/auth/users", key=KEY)).status
