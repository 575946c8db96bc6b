"""
What an agent did, as the Fleet API tells it: attribution and diagnostics.
"""

from typing import Any

import pytest

from mission_adapters.testing import ManualClock
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.tasks.comment_creation import AddComment, add_comment
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver, refusal, without

pytestmark = pytest.mark.every_store

NOT_YOURS = {
    "attribution": (403, "Forbidden: attribution is self-scope by default. Admin can use ?privileged=1 override."),
    "diagnostics": (403, "Diagnostics are self-scoped. Use privileged=1 with admin role for cross-agent access."),
}
BOTH = pytest.mark.parametrize("what", ["attribution", "diagnostics"])
NO_TOKENS = {"input_tokens": 0, "output_tokens": 0, "requests": 0, "total_cost": 0, "unpriced_tokens": 0}


async def seen(fleet: FleetDriver, what: str, query: str = "", name: str = "ada") -> Any:
    """
    What an admin is told.
    """
    return await fleet.got("GET", f"/agents/{name}/{what}?privileged=1&{query}")


async def works(fleet: FleetDriver, token: str, task: int, how: str = "complete", **fields: Any) -> None:
    """
    The agent takes a task and is done with it.
    """
    claimed = await fleet.got("POST", f"/tasks/{task}/claim", {}, key=token)
    await fleet.got("POST", f"/tasks/{task}/{how}", {"lease": claimed["lease"]["lease"], **fields}, key=token)


@BOTH
async def test_what_an_agent_did_is_its_own_business(fleet: FleetDriver, what: str) -> None:
    """
    And that of admins who say that they mean to look.
    """
    ada, token = await fleet.agent("ada")
    await fleet.agent("bob")
    path = f"/agents/{ada['id']}/{what}"
    bobs, viewers = await fleet.key("bob", "admin"), await fleet.key("bob", "viewer")

    assert 200 == (await fleet.call("GET", path, key=token)).status
    assert 200 == (await fleet.call("GET", f"/agents/ADA/{what}", key=await fleet.key("ada", "viewer"))).status
    assert NOT_YOURS[what] == refusal(await fleet.call("GET", path))
    assert 200 == (await fleet.call("GET", path + "?privileged=1")).status
    assert 200 == (await fleet.call("GET", path, x_agent_name="Ada")).status
    assert NOT_YOURS[what] == refusal(await fleet.call("GET", path + "?privileged=true"))
    assert 200 == (await fleet.call("GET", path + "?privileged=1", key=bobs)).status
    assert NOT_YOURS[what] == refusal(await fleet.call("GET", path, key=bobs))
    assert NOT_YOURS[what] == refusal(await fleet.call("GET", path + "?privileged=1", key=viewers))
    for nobody in ("nobody", "999999", "a\0", f"{ada['id']}.0"):
        assert (404, "Agent not found") == refusal(await fleet.call("GET", f"/agents/{nobody}/{what}", key=token))


@BOTH
async def test_an_agent_of_another_board_is_nobodys_business(fleet: FleetDriver, world: World, what: str) -> None:
    """
    Whoever is confined to a board is told no more than that.
    """
    await fleet.agent("ada")
    lea = await world.agent("lea", board=world.board.id)
    key = await fleet.key(str(lea.number), "operator")

    assert NOT_YOURS[what] == refusal(await fleet.call("GET", f"/agents/ada/{what}", key=key))
    assert 200 == (await fleet.call("GET", f"/agents/lea/{what}", key=key)).status


@pytest.mark.parametrize(
    ("query", "attribution", "diagnostics"),
    [
        ("hours=x", "Invalid hours. Expected integer 1..720.", "hours must be an integer between 1 and 720"),
        ("hours=1.5", "Invalid hours. Expected integer 1..720.", "hours must be an integer between 1 and 720"),
        ("hours=0", "Invalid hours. Expected integer 1..720.", "hours must be between 1 and 720"),
        ("hours=721", "Invalid hours. Expected integer 1..720.", "hours must be between 1 and 720"),
        ("hours=9999999999999", "Invalid hours. Expected integer 1..720.", "hours must be between 1 and 720"),
        ("section=no,%20nor", "Invalid section value(s): no, nor", "Invalid section value(s): no, nor"),
        (
            "section=,", "Invalid section. Expected one or more of identity,audit,mutations,cost.",
            "section must include at least one valid value",
        ),
    ],
)  # fmt: skip
async def test_a_look_back_that_cannot_be_meant_is_refused(
    fleet: FleetDriver, query: str, attribution: str, diagnostics: str
) -> None:
    """
    In the words of each operation.
    """
    await fleet.agent()

    for what, said in {"attribution": attribution, "diagnostics": diagnostics}.items():
        assert (400, said) == refusal(await fleet.call("GET", f"/agents/ada/{what}?privileged=1&{query}"))


@pytest.mark.parametrize(
    ("what", "sections"),
    [
        ("attribution", {"identity", "audit", "mutations", "cost"}),
        ("diagnostics", {"summary", "tasks", "errors", "activity", "trends", "tokens"}),
    ],
)
async def test_all_sections_are_told_or_those_that_are_wanted(
    fleet: FleetDriver, clock: ManualClock, what: str, sections: set[str]
) -> None:
    """
    Over a day, or as long as one asks.
    """
    await fleet.agent()
    whole, two = await seen(fleet, what, "hours=&section="), await seen(fleet, what, "hours=720")
    until = int(clock.now().timestamp())

    assert sections <= whole.keys()
    assert {"hours": 24, "since": until - 86_400, "until": until} == whole["timeframe"]
    assert 720 == two["timeframe"]["hours"]
    for section in sections:
        asked = await seen(fleet, what, f"section={section}, {section},")
        assert {section} == asked.keys() & sections
        assert whole[section] == asked[section]


async def test_attribution_tells_who_an_agent_is(fleet: FleetDriver, clock: ManualClock) -> None:
    """
    Never what its session is reached by.
    """
    made, token = await fleet.agent(session_key="secret", soul_content="x", config={"b": 1, "a": 2})
    for status in ("assigned", "in_progress", "done", "review"):
        await fleet.task(assigned_to="ADA", status=status)
    await fleet.got("GET", "/agents/ada/heartbeat", key=token)
    told = await seen(fleet, "attribution", "section=identity,cost")

    assert ("ada", "privileged") == (told["agent_name"], told["access_scope"])
    assert {
        "id": made["id"], "name": "ada", "role": "coder", "status": "idle", "last_seen": int(clock.now().timestamp()),
        "last_activity": "Heartbeat check", "created_at": made["created_at"], "session_key": "***", "has_soul": True,
        "config_keys": ["a", "b"],
        "lifetime_stats": {"tasks_total": 4, "tasks_completed": 1, "tasks_active": 2, "comments_authored": 0},
    } == told["identity"]  # fmt: skip
    assert {"by_model": [], "total": NO_TOKENS, "daily_trend": []} == told["cost"]


async def test_attribution_tells_what_an_agent_did(fleet: FleetDriver, clock: ManualClock) -> None:
    """
    By its own key, or noted in its name; the latest first; and nothing that others did.
    """
    _, token = await fleet.agent()
    clock.advance(hours=30)
    before = await seen(fleet, "attribution")
    task = await fleet.got("POST", "/tasks", {"title": "Mine", "assigned_to": "ada"}, 201, key=token)
    await fleet.got("PUT", f"/tasks/{task['task']['id']}", {"priority": "high"}, key=token)
    await fleet.task("Not mine", assigned_to="ada")
    await fleet.got("GET", "/agents/ada/heartbeat")
    await fleet.got("PUT", "/agents/ada/memory", {"working_memory": "x"})
    await fleet.got("POST", "/agents/ada/hide")
    told = await fleet.got("GET", "/agents/ada/attribution", key=token)

    assert (0, {}, []) == (
        before["audit"]["total_activities"], before["audit"]["by_type"], before["audit"]["activities"],
    )  # fmt: skip
    assert "self" == told["access_scope"]
    number = task["task"]["id"]
    ada = (await fleet.got("GET", "/agents/ada"))["agent"]["id"]
    assert [
        ("agent_memory_updated", "agent", ada, "Working memory updated for ada"),
        ("agent_status_change", "agent", ada, "ada went from online to idle"),
        ("task_updated", "task", number, "Task updated: priority"),
        ("task_created", "task", number, "Created task: Mine"),
        ("agent_status_change", "agent", ada, "ada went from provisioning to online"),
    ] == [
        (each["type"], each["entity_type"], each["entity_id"], each["description"])
        for each in told["audit"]["activities"]
    ]
    assert {
        "agent_memory_updated": 1, "agent_status_change": 2, "task_created": 1, "task_updated": 1,
    } == told["audit"]["by_type"]  # fmt: skip
    assert 5 == told["audit"]["total_activities"]
    assert told["audit"]["activities"][2:4] == told["mutations"]["task_mutations"]
    assert ["high", "Mine"] == [
        (await fleet.got("GET", f"/tasks/{number}"))["task"]["priority"],
        told["audit"]["activities"][3]["data"]["title"],
    ]
    assert {"task_mutations_count": 2, "comments_count": 0, "status_changes_count": 4} == told["mutations"]["summary"]
    assert ["agent_config_updated", "agent_memory_updated", *["agent_status_change"] * 2] == [
        each["type"] for each in told["mutations"]["status_changes"]
    ]


async def test_attribution_tells_what_an_agent_said(fleet: FleetDriver, world: World, clock: ManualClock) -> None:
    """
    With the task it was said on; of before only how often.
    """
    await fleet.agent("bob")
    ada = await world.principal("ada")
    task = await fleet.task("Talk", assigned_to="ada")
    await add_comment(world.ports, ada, AddComment(task=task["id"], content="old"))
    clock.advance(hours=25)
    await add_comment(world.ports, ada, AddComment(task=task["id"], content="x" * 99 + "@bob y"))
    await add_comment(world.ports, world.me, AddComment(task=task["id"], content="by somebody else"))
    told = await seen(fleet, "attribution")

    (said,) = told["mutations"]["comments"]
    assert 2 == told["identity"]["lifetime_stats"]["comments_authored"]
    assert {
        "task_id": task["id"], "task_title": "Talk", "content": "x" * 99 + "@bob y", "content_preview": "x" * 99 + "@",
        "mentions": [], "created_at": int(clock.now().timestamp()),
    } == without(said, "id")  # fmt: skip


async def test_an_agent_that_registered_itself_did_that_itself(fleet: FleetDriver) -> None:
    """
    Whatever key it showed; it is audited, too.
    """
    made = await fleet.got("POST", "/agents/register", {"name": "eve"}, 201)
    told = await fleet.got("GET", "/agents/eve/attribution", key=made["agent_token"])

    (entry,) = told["audit"]["audit_log_entries"]
    assert ("agent_self_register", "eve", True) == (entry["action"], entry["actor"], entry["detail"]["registered"])
    assert ["agent_created"] == [each["type"] for each in told["audit"]["activities"]]


async def test_diagnostics_tell_how_it_goes(fleet: FleetDriver, clock: ManualClock) -> None:
    """
    What was done and failed in the timeframe, and how all of its tasks stand.
    """
    made, token = await fleet.agent()
    done = [await fleet.task(title, priority="high") for title in ("first", "second")]
    failing = await fleet.task("failing", assigned_to="ada")
    await fleet.task("waiting", assigned_to="ada", priority="low")
    for task in done:
        await works(fleet, token, task["id"])
        clock.advance(minutes=90)
    await works(fleet, token, failing["id"], "fail", reason="impossible", message="no way")
    told = await seen(fleet, "diagnostics", "hours=48")

    until = int(clock.now().timestamp())
    assert {"id": made["id"], "name": "ada", "role": "coder", "status": "online"} == told["agent"]
    assert {
        "tasks_completed": 2, "tasks_total": 4, "error_count": 1,
    } == without(told["summary"], "activity_count", "error_rate_percent")  # fmt: skip
    count = told["summary"]["activity_count"]
    assert round(100 / count, 2) == told["summary"]["error_rate_percent"]
    assert {"done": 2, "failed": 1, "assigned": 1} == told["tasks"]["by_status"]
    assert {"high": 2, "medium": 1, "low": 1} == told["tasks"]["by_priority"]
    assert ["second", "first"] == [task["title"] for task in told["tasks"]["recent_completed"]]
    assert {"id", "title", "priority", "updated_at"} == told["tasks"]["recent_completed"][0].keys()
    assert 1.0 == told["tasks"]["throughput_per_day"]
    assert (1, [{"type": "task_dispatch_failed", "count": 1}]) == (told["errors"]["total"], told["errors"]["by_type"])
    assert ["Work failed under lease 1: impossible"] == [each["description"] for each in told["errors"]["recent"]]
    assert count == sum(each["count"] for each in told["activity"]["by_type"])
    hours = told["activity"]["timeline"]
    assert count == sum(each["count"] for each in hours)
    assert 3 == len(hours)
    assert sorted(each["timestamp"] for each in hours) == [each["timestamp"] for each in hours]
    assert all(each["timestamp"] % 3600 == 0 and each["hour"].endswith(":00:00.000Z") for each in hours)
    assert {
        "since": until - 48 * 3600, "until": until, "activities": count, "errors": 1, "tasks_completed": 2,
    } == told["trends"]["current_period"]  # fmt: skip
    assert {"activities_pct": 100, "errors_pct": 100, "tasks_completed_pct": 100} == told["trends"]["change"]
    assert {"by_model": [], "total": NO_TOKENS} == told["tokens"]


async def test_diagnostics_compare_with_the_time_before(fleet: FleetDriver, clock: ManualClock) -> None:
    """
    What fell or rose is told, and what that gives cause to look at.
    """
    _, token = await fleet.agent()
    for _ in range(3):
        await works(fleet, token, (await fleet.task())["id"])
    clock.advance(hours=24, seconds=1)
    told = (await seen(fleet, "diagnostics", "section=trends"))["trends"]

    assert (3, 0) == (told["previous_period"]["tasks_completed"], told["current_period"]["tasks_completed"])
    assert told["previous_period"]["until"] == told["current_period"]["since"]
    assert -100 == told["change"]["tasks_completed_pct"]
    assert ["warning", "info"] == [alert["level"] for alert in told["alerts"]]
    assert "No task was completed" in told["alerts"][0]["message"]


async def test_a_renamed_agent_did_what_it_did(fleet: FleetDriver, world: World) -> None:
    """
    The log knows it by more than its name.
    """
    _, token = await fleet.agent()
    await works(fleet, token, (await fleet.task())["id"])
    before = await seen(fleet, "diagnostics", "section=summary")
    await update_agent(world.ports, world.me, UpdateAgent(agent="ada", name="grace"))
    after = await seen(fleet, "diagnostics", "section=summary", name="grace")

    assert before["summary"] == after["summary"]
    assert 1 == after["summary"]["tasks_completed"]


async def test_what_an_agent_of_the_same_name_did_elsewhere_is_not_told(fleet: FleetDriver, elsewhere: World) -> None:
    """
    No row crosses an organization.
    """
    await fleet.agent()
    other = await elsewhere.principal("ada")
    await elsewhere.task("foreign", by=other, assignee="ada")
    told = await seen(fleet, "diagnostics", "section=summary")

    assert (0, 0) == (told["summary"]["tasks_total"], told["summary"]["activity_count"])
