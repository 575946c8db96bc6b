"""
The activity feed: what is in it, for whom, on every store; and the activities of the Fleet API.
"""

from uuid import uuid4

from attrs import evolve

from mission_adapters.testing.world import World
from mission_core.accounts.model import AgentPrincipal, MemberPrincipal, Role
from mission_core.ids import AgentId, MemberId, UserId, UserNumber
from mission_core.reports.activity_feed import FeedFilter, FeedRow
from mission_core.tasks.use_cases import DeleteTask, UpdateTask, delete_task, update_task
from mission_core.values import PageRequest
from tests.contract.fleet_driver import FleetDriver


async def feed(world: World, principal=None, *, limit: int = 50, offset: int = 0, **wanted: object) -> list[FeedRow]:
    """
    A page of the feed, whose total says how much there is.
    """
    page = PageRequest(limit=limit, offset=offset)
    found = await world.ports.reads.activity_feed.page(principal or world.me, FeedFilter(**wanted), page)
    every = await world.ports.reads.activity_feed.page(
        principal or world.me, FeedFilter(**wanted), PageRequest(limit=500)
    )
    assert found.total == every.total == len(every.rows)
    counts = await world.ports.reads.activity_feed.counts(principal or world.me, FeedFilter(**wanted))
    assert found.total == sum(each.amount for each in counts)
    return found.rows


async def test_a_feed_has_the_newest_entries_first_with_what_they_are_about(world: World) -> None:
    """
    Also if that is gone.
    """
    task, gone = await world.task("ship it"), await world.task("drop it")
    await update_task(world.ports, world.me, UpdateTask(task=task.id, title="ship it now"))
    await delete_task(world.ports, world.me, DeleteTask(task=gone.id))
    rows = await feed(world, limit=3)

    assert ["task.deleted", "task.updated", "task.created"] == [row.kind for row in rows]
    assert [None, "ship it now", None] == [row.task_title for row in rows]
    assert rows[1:] == (await feed(world, limit=4, offset=1))[:2]
    assert ["task.deleted"] == [row.kind for row in await feed(world, kinds=("task.deleted",))]
    assert [] == await feed(world, actor="nobody")
    assert rows == (await feed(world, actor=world.me.name))[:3]
    assert [] == await feed(world, beyond=rows[0].position)
    assert [rows[0].position] == [row.position for row in await feed(world, beyond=rows[1].position)]


async def test_everybody_sees_the_entries_about_what_they_may_see(world: World) -> None:
    """
    An agent sees its own alone, and only admins of all boards see those about people and keys.
    """
    other = await world.another_board()
    here, there = await world.task("here"), await world.task("there", board=other.id)
    ada = await world.principal("ada")
    assert isinstance(ada, AgentPrincipal)
    await update_task(world.ports, evolve(ada, role=Role.OPERATOR), UpdateTask(task=here.id, description="done soon"))
    reader = MemberPrincipal(
        organization=world.me.organization, user=UserId(uuid4()), number=UserNumber(9), member=MemberId(uuid4()),
        name="eve", display="Eve", role=Role.ADMIN, reads=frozenset({other.id}), writes=frozenset(),
    )  # fmt: skip

    assert {there.id.bytes} == {row.subject for row in await feed(world, reader) if row.kind.startswith("task.")}
    assert [("task.updated", here.id.bytes)] == [
        (row.kind, row.subject) for row in await feed(world, evolve(ada, role=Role.OPERATOR))
    ]
    assert [] == await feed(world, evolve(ada, role=Role.VIEWER, agent=AgentId(world.ports.ids.new())))
    assert {here.id.bytes} == {row.subject for row in await feed(world, by=ada.agent)}
    viewer = evolve(world.me, role=Role.VIEWER)
    assert "key.made" in {row.kind for row in await feed(world)}
    assert "key.made" not in {row.kind for row in await feed(world, viewer)}
    assert len(await feed(world, viewer)) < len(await feed(world))


async def test_activities_are_listed_with_their_entities(fleet: FleetDriver) -> None:
    """
    By type, actor and moment; `stats` has their numbers.
    """
    task, (agent, _) = await fleet.task(), await fleet.agent()
    found = await fleet.got("GET", "/activities?limit=2")
    assert [2, True] == [len(found["activities"]), found["hasMore"]]
    rest = await fleet.got("GET", f"/activities?limit={found['total'] - 2}&after={found['activities'][-1]['id']}")
    assert [found["total"] - 2, False] == [len(rest["activities"]), rest["hasMore"]]
    (made,) = (await fleet.got("GET", "/activities?type=task_created,task_deleted&limit=1"))["activities"]
    told = {name: made[name] for name in ("type", "entity_type", "entity_id", "actor", "description", "entity")}
    assert told == {
        "type": "task_created", "entity_type": "task", "entity_id": task["id"], "actor": "api",
        "description": "Created task: Ship it",
        "entity": {"type": "task", "id": task["id"], "title": "Ship it", "status": "inbox"},
    }  # fmt: skip
    (hired,) = (await fleet.got("GET", "/activities?entity_type=agent&limit=1"))["activities"]
    assert ("agent", agent["id"]) == (hired["entity_type"], hired["entity_id"])
    assert {"type": "agent"} | {name: agent[name] for name in ("id", "name", "role", "status")} == hired["entity"]
    assert 0 == (await fleet.got("GET", f"/activities?since={made['created_at'] + 3600}"))["total"]
    assert found["total"] == (await fleet.got("GET", f"/activities?since={made['created_at'] - 3600}"))["total"]
    stats = await fleet.got("GET", "/activities?stats=true&hours=24")
    assert "24 hours" == stats["timeframe"]
    assert found["total"] == sum(each["count"] for each in stats["timeline"])
    assert {"type": "task_created", "count": 1} in stats["activityByType"]
    assert "api" in {each["actor"] for each in stats["topActors"]}
    assert 400 == (await fleet.call("GET", "/activities?limit=x")).status
