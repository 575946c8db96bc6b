"""
How the server is, in the Fleet API, and the document that describes it.
"""

import re
from typing import Any, get_args

import attrs
import pytest
from attrs import evolve
from msgspec import UnsetType

from mission_adapters.clocks import ManualClock
from mission_core.errors import StoreFailed
from mission_http.fleet import payloads
from mission_http.platform.shapes import fields_of
from tests.contract.conftest import World
from tests.contract.fleet_driver import Fleet, fleet_over, refusal


class DeadReads:
    """
    Reads of a store that does not answer.
    """

    async def ping(self) -> None:
        raise StoreFailed("gone")


async def test_anyone_may_ask_for_health(fleet: Fleet, clock: ManualClock) -> None:
    answer = await fleet.call("GET", "/health", key=None)

    assert 200 == answer.status
    assert {"status": "ok", "db": "ok", "ts": clock.now().strftime("%Y-%m-%dT%H:%M:%S.") + "000Z"} == {
        **answer.json, "ts": re.sub(r"\.\d{3}Z", ".000Z", answer.json["ts"]),
    }  # fmt: skip


async def test_health_really_asks_the_store(world: World) -> None:
    ports: Any = evolve(world.ports, reads=DeadReads())
    async with fleet_over(ports, world.me, world.board.number) as fleet:
        answer = await fleet.call("GET", "/health", key=None)
        status = await fleet.got("GET", "/status?action=health", key=None)

    assert (503, "degraded", "error") == (answer.status, answer.json["status"], answer.json["db"])
    assert "unhealthy" == status["checks"][0]["status"]


async def test_anyone_may_ask_for_the_status_of_health(fleet: Fleet) -> None:
    answer = await fleet.got("GET", "/status?action=health", key=None)

    names = ["Database", "Process Memory", "Gateway", "Disk Space", "Memory Usage"]
    assert {"status", "version", "uptime", "checks", "timestamp"} == answer.keys()
    assert names == [check["name"] for check in answer["checks"]]
    assert "healthy" == answer["checks"][0]["status"]


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("overview", {"timestamp", "uptime", "memory", "disk", "sessions", "processes"}),
        ("dashboard", {"timestamp", "uptime", "memory", "disk", "sessions", "processes", "db"}),
        ("gateway", {"running", "port", "pid", "uptime", "version", "connections", "port_listening"}),
        ("models", {"models"}),
        (
            "capabilities",
            {
                "gateway", "openclawHome", "claudeHome", "claudeSessions", "hermesInstalled", "hermesSessions",
                "subscription", "subscriptions", "processUser", "interfaceMode", "dashboardRegistration", "isDocker",
            },
        ),
    ],
)  # fmt: skip
async def test_other_actions_need_a_key(fleet: Fleet, action: str, fields: set[str]) -> None:
    assert fields == (await fleet.got("GET", f"/status?action={action}")).keys()
    answer = await fleet.call("GET", f"/status?action={action}", key=None)
    assert (401, "Unauthorized") == refusal(answer)


async def test_status_without_an_action_is_an_overview(fleet: Fleet) -> None:
    assert "memory" in await fleet.got("GET", "/status")


async def test_an_unknown_action_is_refused(fleet: Fleet) -> None:
    assert (400, "Invalid action") == refusal(await fleet.call("GET", "/status?action=dance"))


async def test_anyone_may_read_the_document(fleet: Fleet) -> None:
    answer = await fleet.call("GET", "/docs", key=None)

    assert (200, "public, max-age=3600") == (answer.status, answer.headers["cache-control"])
    assert ("Mission Control API", "1.3.0", "3.1.0") == (
        answer.json["info"]["title"], answer.json["info"]["version"], answer.json["openapi"],
    )  # fmt: skip
    assert {"/api/agents", "/api/tasks", "/api/projects", "/api/tasks/claim"} <= answer.json["paths"].keys()


async def test_every_operation_says_who_may_call_it_and_how_it_refuses(fleet: Fleet) -> None:
    document = (await fleet.call("GET", "/docs", key=None)).json
    operations = [each for path in document["paths"].values() for each in path.values()]

    assert len(operations) == len({each["operationId"] for each in operations})
    for each in operations:
        assert each["operationId"].startswith("fleet_")
        assert each["summary"]
        if "security" in each:
            assert {"401", "403"} <= each["responses"].keys(), each["operationId"]


async def test_answers_have_the_fields_that_the_document_tells(fleet: Fleet) -> None:
    made, token = await fleet.agent("ada")
    task = await fleet.task(metadata={"path": "x", "implementation_repo": "y"})
    claimed = await fleet.got("POST", f"/tasks/{task['id']}/claim", {"agent": "ada"})
    lease = claimed["lease"]["lease"]
    place = f"/tasks/{task['id']}"
    key = await fleet.got("POST", "/agents/ada/keys", {}, 201)

    told = {
        payloads.TaskListPayload: await fleet.got("GET", "/tasks"),
        payloads.TaskAnswerPayload: await fleet.got("GET", place),
        payloads.ClaimPayload: claimed,
        payloads.BeatPayload: await fleet.got("POST", f"{place}/lease/heartbeat", {"lease": lease}),
        payloads.ExplanationPayload: await fleet.got("GET", f"{place}/explain"),
        payloads.RunListPayload: await fleet.got("GET", f"{place}/runs"),
        payloads.MadeAgentPayload: {"agent": made, "agent_token": token},
        payloads.AgentListPayload: await fleet.got("GET", "/agents"),
        payloads.AgentAnswerPayload: await fleet.got("GET", "/agents/ada"),
        payloads.RegistrationPayload: await fleet.got("POST", "/agents/register", {"name": "new"}, 201),
        payloads.AgentHeartbeatPayload: await fleet.got("POST", "/agents/ada/heartbeat"),
        payloads.MadeKeyPayload: key,
        payloads.KeyListPayload: await fleet.got("GET", "/agents/ada/keys"),
        payloads.RevokedKeyPayload: await fleet.got("DELETE", "/agents/ada/keys", {"key_id": key["key"]["id"]}),
        payloads.ProjectListPayload: await fleet.got("GET", "/projects"),
        payloads.ProjectAnswerPayload: await fleet.got("GET", f"/projects/{fleet.project}"),
        payloads.SuccessPayload: await fleet.got("DELETE", place),
        payloads.HealthPayload: await fleet.got("GET", "/health"),
    }
    for payload, answer in told.items():
        fits(answer, payload, payload.__name__)


def fits(value: Any, kind: Any, where: str) -> None:
    """
    Every field that is sent is told, and every field that must be there is.
    """
    choices = [choice for choice in get_args(kind) if attrs.has(choice)] if not attrs.has(kind) else [kind]
    if isinstance(value, list):
        for each in value:
            fits(each, get_args(kind)[0], where)
    elif isinstance(value, dict) and choices:
        told = {one.name: one.type for one in fields_of(choices[0])}
        required = {one.name for one in fields_of(choices[0]) if UnsetType not in get_args(one.type)}
        assert required <= value.keys() <= told.keys(), (where, required ^ value.keys())
        for name, each in value.items():
            fits(each, told[name], f"{where}.{name}")
