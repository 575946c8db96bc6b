"""
How the server is, in the Fleet API, and the document that describes it.
"""

import re
from typing import Any, get_args

import attrs
import pytest
from attrs import evolve
from msgspec import UNSET

from mission_adapters.testing import ManualClock
from mission_core.errors import StoreFailed
from mission_http.fleet import payloads, system_status
from mission_http.platform.field_annotations import bare_type
from mission_http.platform.json_schemas import declared_fields
from mission_http.platform.shapes import is_payload
from mission_http.settings import ProviderSubscription
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver, fleet_over, refusal


class DeadReads:
    """
    Reads of a store that does not answer.
    """

    async def ready(self) -> None:
        raise StoreFailed("gone")


async def test_anyone_may_ask_for_health(fleet: FleetDriver, clock: ManualClock) -> None:
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


async def test_anyone_may_ask_for_the_status_of_health(fleet: FleetDriver) -> None:
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
async def test_other_actions_need_a_key(fleet: FleetDriver, action: str, fields: set[str]) -> None:
    assert fields == (await fleet.got("GET", f"/status?action={action}")).keys()
    answer = await fleet.call("GET", f"/status?action={action}", key=None)
    assert (401, "Unauthorized") == refusal(answer)


@pytest.mark.every_store
async def test_the_dashboard_counts_what_the_store_keeps(fleet: FleetDriver, store_url: str) -> None:
    await fleet.agent("ada")
    await fleet.agent("bob")
    await fleet.got("POST", "/agents/ada/heartbeat")
    await fleet.task()
    await fleet.task(status="done")
    await fleet.task(status="done")
    kept = (await fleet.got("GET", "/status?action=dashboard"))["db"]

    assert {"total": 3, "byStatus": {"done": 2, "inbox": 1}} == kept["tasks"]
    assert {"total": 2, "byStatus": {"idle": 1, "offline": 1}} == kept["agents"]
    assert {"day": 2, "week": 2, "loginFailures": 0} == kept["audit"]
    assert kept["activities"]["day"] >= 3 + 2 + 2
    assert (kept["dbSizeBytes"] > 0) is (store_url != "memory://")
    assert ({"unread": 0}, {"active": 0, "recentDay": 0}, None, 0) == tuple(
        kept[name] for name in ("notifications", "pipelines", "backup", "webhookCount")
    )


async def test_days_go_by_on_the_dashboard(fleet: FleetDriver, clock: ManualClock) -> None:
    await fleet.agent()
    clock.advance(days=2)
    await fleet.task()
    later = (await fleet.got("GET", "/status?action=dashboard"))["db"]

    assert ({"day": 0, "week": 1, "loginFailures": 0}, {"day": 1}) == (later["audit"], later["activities"])


async def test_models_are_told_with_their_price(fleet: FleetDriver) -> None:
    models = (await fleet.got("GET", "/status?action=models"))["models"]

    assert {
        "alias": "sonnet", "name": "anthropic/claude-sonnet-4-6", "provider": "anthropic",
        "description": "For most work", "costPerMTok": {"input": 3, "output": 15},
    } in models  # fmt: skip
    assert 15 == len({model["alias"] for model in models})


async def test_capabilities_tell_what_is_subscribed(world: World) -> None:
    plans = {
        "anthropic": ProviderSubscription("max", "MC_ANTHROPIC_SUBSCRIPTION"),
        "openai": ProviderSubscription("pro", "X"),
    }
    async with fleet_over(world.ports, world.me, world.board.number, subscriptions=plans) as fleet:
        told = await fleet.got("GET", "/status?action=capabilities")

    assert {"type": "max", "provider": "anthropic"} == told["subscription"]
    assert {"provider": "openai", "type": "pro", "source": "X"} == told["subscriptions"]["openai"]


async def test_the_index_lists_every_operation(fleet: FleetDriver) -> None:
    document = (await fleet.call("GET", "/docs", key=None)).json
    answer = await fleet.call("GET", "/index")
    listed = {
        (re.sub(r":(\w+)", r"{\1}", each["path"]), method.lower())
        for each in answer.json["endpoints"]
        for method in each["methods"]
    }

    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == listed
    assert ("1.3.0", len(answer.json["endpoints"])) == (answer.json["version"], answer.json["total_endpoints"])
    assert "public, s-maxage=300, stale-while-revalidate=600" == answer.headers["cache-control"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer.json["generated_at"])
    assert {"Auth", "Tasks", "Projects", "Agents", "Tokens", "Search", "Settings"} <= {
        each["tag"] for each in answer.json["endpoints"]
    }
    assert {"/api/docs", "/api/events"} <= {answer.json["docs"]["openapi"], answer.json["event_stream"]["path"]}


async def test_the_index_tells_who_may_do_what(fleet: FleetDriver) -> None:
    endpoints = (await fleet.got("GET", "/index"))["endpoints"]
    task = {each["auth"]: each for each in endpoints if each["path"] == "/api/tasks/:id"}

    assert {"viewer": ["GET"], "operator": ["PUT", "DELETE"]} == {who: each["methods"] for who, each in task.items()}
    assert ("Tasks", "Get a task") == (task["viewer"]["tag"], task["viewer"]["description"])
    assert {"public", "edge", "viewer", "operator", "admin"} == {each["auth"] for each in endpoints}


async def test_anything_like_a_key_opens_the_index(fleet: FleetDriver) -> None:
    assert 200 == (await fleet.call("GET", "/index", key="mca_" + "0" * 48)).status
    assert (401, "Unauthorized") == refusal(await fleet.call("GET", "/index", key=None))


async def test_status_without_an_action_is_an_overview(fleet: FleetDriver) -> None:
    assert "memory" in await fleet.got("GET", "/status")


async def test_an_unknown_action_is_refused(fleet: FleetDriver) -> None:
    assert (400, "Invalid action") == refusal(await fleet.call("GET", "/status?action=dance"))


async def test_anyone_may_read_the_document(fleet: FleetDriver) -> None:
    answer = await fleet.call("GET", "/docs", key=None)

    assert (200, "public, max-age=3600") == (answer.status, answer.headers["cache-control"])
    assert ("Mission Control API", "1.3.0", "3.1.0") == (
        answer.json["info"]["title"], answer.json["info"]["version"], answer.json["openapi"],
    )  # fmt: skip
    assert {"/api/agents", "/api/tasks", "/api/projects", "/api/tasks/claim"} <= answer.json["paths"].keys()


async def test_every_operation_says_who_may_call_it_and_how_it_refuses(fleet: FleetDriver) -> None:
    document = (await fleet.call("GET", "/docs", key=None)).json
    operations = [each for path in document["paths"].values() for each in path.values()]

    assert len(operations) == len({each["operationId"] for each in operations})
    for each in operations:
        assert each["operationId"].startswith("fleet_")
        assert each["summary"]
        if "security" in each:
            assert {"401", "403"} <= each["responses"].keys(), each["operationId"]


async def test_answers_have_the_fields_that_the_document_tells(fleet: FleetDriver) -> None:
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
        system_status.HealthPayload: await fleet.got("GET", "/health"),
    }
    for payload, answer in told.items():
        fits(answer, payload, payload.__name__)


def fits(value: Any, kind: Any, where: str) -> None:
    """
    Every field that is sent is told, and every field that must be there is.
    """
    kind = bare_type(kind)
    choices = [choice for choice in (get_args(kind) or [kind]) if attrs.has(choice) or is_payload(choice)]
    if isinstance(value, list):
        for each in value:
            fits(each, get_args(kind)[0], where)
    elif isinstance(value, dict) and choices:
        told = {one.name: one.type for one in declared_fields(choices[0])}
        required = {one.name for one in declared_fields(choices[0]) if one.default is not UNSET}
        assert required <= value.keys() <= told.keys(), (where, required ^ value.keys())
        for name, each in value.items():
            fits(each, told[name], f"{where}.{name}")


async def test_every_address_that_an_answer_announces_is_served(fleet: FleetDriver) -> None:
    """
    By the index, and by what a tool is told when it connects.
    """
    index = await fleet.got("GET", "/index")
    connected = await fleet.got("POST", "/connect", {"tool_name": "cli", "agent_name": "ada"})
    addresses = [index["event_stream"]["path"], *index["docs"].values()]
    addresses += [value for name, value in connected.items() if name.endswith("_url")]
    routes = fleet.app.documents.dialects
    served = {dialect.path_of(endpoint) for dialect in routes for endpoint in dialect.endpoints}

    assert 7 <= len(addresses)
    for each in addresses:
        found = [path for path in served if re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), each)]
        assert found, each


async def test_there_are_no_knowledge_files(fleet: FleetDriver) -> None:
    assert {"roots": [], "tree": []} == await fleet.got("GET", "/docs/tree")
    assert {"query": "x", "results": [], "count": 0} == await fleet.got("GET", "/docs/search?query=x")
    assert 400 == (await fleet.call("GET", "/docs/search")).status
    assert [400, 403] == [(await fleet.call("GET", f"/docs/content{each}")).status for each in ("", "?path=a.md")]
