"""
Finding a text in the Fleet API, and the words of its activities.
"""

import json

import pytest

from mission_core.agents.use_cases import CreateAgent, create_agent
from mission_core.values import JsonText
from mission_http.fleet.activities import ACTIVITY_WORDINGS, description_of, wording_of
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver, refusal, wrong_fields

pytestmark = pytest.mark.every_store


async def test_what_is_found_is_told_with_where_it_stands(fleet: FleetDriver) -> None:
    agent, _ = await fleet.agent("shipper")
    task = await fleet.task("Write", description=f"{'a' * 60}ship{'b' * 100}", assigned_to="carl")
    titled = await fleet.task("Ship it")
    answer = await fleet.got("GET", "/search?q=%20SHIP%20&limit=50")
    tasks = [each for each in answer["results"] if each["type"] == "task"]
    (found,) = (each for each in answer["results"] if each["type"] == "agent")

    assert "SHIP" == answer["query"]
    assert [2, 2] == [each["relevance"] for each in answer["results"][:2]]
    assert {
        "type": "task", "id": titled["id"], "title": "Ship it", "subtitle": "inbox",
        "created_at": titled["created_at"], "relevance": 2,
    } == tasks[0]  # fmt: skip
    assert {
        "type": "task", "id": task["id"], "title": "Write", "subtitle": "assigned · carl",
        "excerpt": f"...{'a' * 40}ship{'b' * 80}...", "created_at": task["created_at"], "relevance": 1,
    } == tasks[1]  # fmt: skip
    assert (agent["id"], "shipper", "coder", 2) == (found["id"], found["title"], found["subtitle"], found["relevance"])


async def test_activities_are_found_by_their_words_and_their_actor(fleet: FleetDriver) -> None:
    task = await fleet.task("Unheard of")
    await fleet.got("PUT", f"/tasks/{task['id']}", {"status": "in_progress"})
    made = await fleet.got("GET", "/search?q=task:%20unheard&type=activity")
    moved = await fleet.got("GET", "/search?q=moved%20from%20inbox&type=activities")
    by = await fleet.got("GET", "/search?q=api&type=activity")

    assert (1, "Created task: Unheard of", "api", 1) == (
        made["count"], *(made["results"][0][name] for name in ("title", "subtitle", "relevance"))
    )  # fmt: skip
    assert ["Task moved from inbox to in_progress"] == [each["title"] for each in moved["results"]]
    assert by["count"] >= 2


async def test_the_count_is_of_all_and_the_best_are_told(fleet: FleetDriver) -> None:
    for n in range(5):
        await fleet.task(f"needle {n}")
    await fleet.task("hay", description="needle")
    answer = await fleet.got("GET", "/search?q=needle&type=task&limit=2")
    nothing = await fleet.got("GET", "/search?q=needle&type=task&limit=0")

    assert (6, ["needle 4", "needle 3"]) == (answer["count"], [each["title"] for each in answer["results"]])
    assert (6, []) == (nothing["count"], nothing["results"])


@pytest.mark.parametrize(("kind", "types"), [
    ("task", {"task"}), ("tasks", {"task"}), ("agent", {"agent"}), ("agents", {"agent"}), ("activity", {"activity"}),
    ("audit", set()), ("message", set()), ("webhook", set()), ("pipeline", set()),
    ("all", {"task", "agent", "activity"}),
])  # fmt: skip
async def test_one_type_can_be_asked_for(fleet: FleetDriver, kind: str, types: set[str]) -> None:
    await fleet.agent("common")
    await fleet.task("common")
    answer = await fleet.got("GET", f"/search?q=common&type={kind}")

    assert types == {each["type"] for each in answer["results"]}
    assert (answer["count"] > 0) is bool(types)


@pytest.mark.parametrize("query", ["", "?q=", "?q=a", "?q=%20a%20"])
async def test_a_short_text_is_refused(fleet: FleetDriver, query: str) -> None:
    assert (400, "Query must be at least 2 characters") == refusal(await fleet.call("GET", f"/search{query}"))


async def test_every_wrong_parameter_is_named(fleet: FleetDriver) -> None:
    answer = await fleet.call("GET", f"/search?q={'a' * 501}&type=dance&limit=many")

    assert ["q", "type", "limit"] == wrong_fields(answer)


async def test_an_agents_key_finds_its_own_tasks(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    await fleet.task("secret work", assigned_to="bob")
    await fleet.task("own work", assigned_to="Ada")
    admin = await fleet.key("ada", "admin")
    own = await fleet.got("GET", "/search?q=work&type=task", key=token)

    assert (1, ["own work"]) == (own["count"], [each["title"] for each in own["results"]])
    assert 2 == (await fleet.got("GET", "/search?q=work&type=task", key=admin))["count"]


async def test_who_is_confined_to_a_board_finds_nothing_of_others(fleet: FleetDriver, world: World) -> None:
    other = await world.another_board()
    made = await create_agent(world.ports, world.me, CreateAgent(name="far", board=other.id))
    await world.agent("far too", board=world.board.id)
    for board in (world.board, other):
        await world.task("far away", board=board.id, assignee="far")
    found = await fleet.got("GET", "/search?q=far", key=made.token)

    assert [("task", "far away"), ("agent", "far")] == [(each["type"], each["title"]) for each in found["results"]]


def described(kind: str, **data) -> str:
    """
    The description of an event of that kind.
    """
    return description_of(kind, JsonText(json.dumps(data)) if data else None)


@pytest.mark.parametrize(
    ("kind", "data", "type", "description"),
    [
        ("task.created", {"title": "{a} %s"}, "task_created", "Created task: {a} %s"),
        ("task.updated", {"changed": ["due_at", "title"]}, "task_updated", "Task updated: due_at, title"),
        ("task.moved", {"was": "inbox", "status": "done"}, "task_updated", "Task moved from inbox to done"),
        ("task.assigned", {"assignee": "ada"}, "task_assigned", "Task assigned to ada"),
        ("task.assigned", {"assignee": None}, "task_assigned", "Task unassigned"),
        ("task.commented", {"parent": None}, "comment_added", "Added comment to task"),
        ("task.commented", {"parent": "x", "title": "T"}, "comment_added", "Replied to comment on task: T"),
        ("task.deleted", {}, "task_deleted", "Deleted task: ..."),
        ("agent.status_changed", {"name": "a", "was": "idle", "status": "busy"}, "agent_status_change",
         "a went from idle to busy"),
        ("no.such_kind", {"a": 1}, "no_such_kind", "no such kind"),
    ],
)  # fmt: skip
def test_an_entry_reads_as_an_activity(kind: str, data: dict, type: str, description: str) -> None:
    """
    Also one whose payload was erased, and one of a kind that has no words of its own.
    """
    assert (type, description) == (wording_of(kind).type, described(kind, **data))


def test_no_wording_fails_for_want_of_data() -> None:
    """
    An erased entry still reads as something.
    """
    for kind in ACTIVITY_WORDINGS:
        assert described(kind)
