"""
The event streams of the Fleet API: framing, resuming, filters and authority.
"""

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from mission_core.events.live_readers import LiveLogs
from mission_http.platform.stream_cursors import StreamCursors, StreamPosition
from mission_http.platform.stream_limits import StreamLimits
from tests.contract.conftest import World, make_world
from tests.contract.fleet_driver import KEY, FleetDriver, fleet_over, fleet_settings, without
from tests.contract.stream_client import OpenStream, opened

EVENTS = "/api/events"
OWN = {"x-api-key": KEY}


def told(events: list[dict]) -> list[tuple[str, object]]:
    """
    The types of events, with the id or name that each has.
    """
    return [(event["type"], event["data"].get("id", event["data"].get("name"))) for event in events]


async def test_a_stream_shows_what_happens_as_reads_show_it(fleet: FleetDriver) -> None:
    """
    The first frame says that the stream is connected; then come the events, with the same payloads as reads.
    """
    async with opened(fleet.app, EVENTS, **OWN) as stream:
        first = await stream.event()
        task = await fleet.task("Ship it")
        events = await stream.events(2)

    assert (200, "text/event-stream; charset=utf-8") == (stream.status, stream.headers["content-type"])
    assert "no-cache, no-transform" == stream.headers["cache-control"]
    assert ("connected", None) == (first["type"], first["data"])
    assert [("task.created", task["id"]), "activity.created"] == [told(events)[0], events[1]["type"]]
    assert (await fleet.got("GET", f"/tasks/{task['id']}"))["task"] == events[0]["data"]
    assert ("task_created", "task", task["id"], "Created task: Ship it") == tuple(
        events[1]["data"][name] for name in ("type", "entity_type", "entity_id", "description")
    )


async def test_every_change_of_a_task_agent_and_run_has_its_event(fleet: FleetDriver) -> None:
    """
    Changes are told by the types of the API, in the order of the log.
    """
    types = (
        "task.created,task.status_changed,task.deleted,agent.created,agent.updated,agent.deleted,connection.created,"
        "run.created,run.completed,run.eval_attached,audit.security"
    )
    async with opened(fleet.app, f"{EVENTS}?types={types}", **OWN) as stream:
        await stream.event()
        task = await fleet.task()
        await fleet.got("PUT", f"/tasks/{task['id']}", {"status": "assigned"})
        agent, _ = await fleet.agent("ada")
        await fleet.got("PUT", f"/agents/{agent['id']}", {"role": "tester"})
        await fleet.got("POST", "/connect", {"agent_name": "ada", "tool_name": "cli"})
        run = {"agent_id": "ada", "status": "running", "started_at": "2026-01-01T00:00:00Z", "id": "r-1"}
        await fleet.got("POST", "/v1/runs", run, 201)
        await fleet.got("PATCH", "/v1/runs/r-1", {"status": "completed"})
        await fleet.got("PUT", "/v1/runs/r-1/eval", {"pass": True, "score": 1})
        events = await stream.events(8)
    async with opened(fleet.app, f"{EVENTS}?types={types}", **OWN) as stream:
        await stream.event()
        await fleet.got("DELETE", f"/tasks/{task['id']}")
        await fleet.got("DELETE", f"/agents/{agent['id']}")
        gone = await stream.events(2)

    assert ["task.created", "task.status_changed", "agent.created", "agent.updated", "connection.created"] == [
        event["type"] for event in events[:5]
    ]
    assert ["run.created", "run.completed", "run.eval_attached"] == [event["type"] for event in events[5:]]
    assert {1} == {event["data"]["workspace_id"] for event in events + gone}
    assert [("task.deleted", task["id"]), ("agent.deleted", agent["id"])] == told(gone)


async def test_a_stream_of_runs_names_the_event(fleet: FleetDriver) -> None:
    """
    The stream of runs has the run as data, and its change as the name of the event.
    """
    async with opened(fleet.app, "/api/v1/runs/stream", **OWN) as stream:
        run = {"agent_id": "ada", "status": "running", "started_at": "2026-01-01T00:00:00Z", "id": "r-1"}
        await fleet.got("POST", "/v1/runs", run, 201)
        await fleet.got("PATCH", "/v1/runs/r-1", {"status": "completed"})
        await stream.block()
        blocks = [await stream.block() for _ in range(2)]

    assert ["run.created", "run.completed"] == [block["event"] for block in blocks if block]
    assert "0.1.0" == stream.headers["x-agent-run-protocol"]


async def test_a_client_resumes_after_the_last_event_that_it_received(fleet: FleetDriver) -> None:
    """
    With `Last-Event-ID`, which goes before `last_event_id`, nothing is missed and nothing comes twice.
    """
    async with opened(fleet.app, EVENTS, **OWN) as stream:
        await stream.event()
        beginning = stream.last_id
        tasks = [await fleet.task(f"{number}") for number in range(3)]
        seen = await stream.events(3)  # the last one is the first of two events about one change
        last = stream.last_id
    async with opened(fleet.app, f"{EVENTS}?last_event_id={beginning}", **OWN, last_event_id=str(last)) as stream:
        await stream.event()
        rest = await stream.events(3)
    async with opened(fleet.app, f"{EVENTS}?last_event_id={beginning}", **OWN) as stream:
        await stream.event()
        all_events = await stream.events(6)

    assert all_events == seen + rest
    assert [task["id"] for task in tasks] == [one["data"]["id"] for one in all_events if one["type"] == "task.created"]


@pytest.mark.parametrize("cursor", ["x", "A" * 36, "AAAAAAAAAAMAAAAz2C-dHnuh16IGxstMNjgt"])
async def test_a_cursor_that_is_not_of_this_stream_is_refused(fleet: FleetDriver, cursor: str) -> None:
    """
    A malformed or foreign cursor is a 400, also one of another stream of this organization.
    """
    async with opened(fleet.app, "/api/v1/runs/stream", **OWN) as other:
        await other.block()
    for wrong in (cursor, str(other.last_id)):
        async with opened(fleet.app, EVENTS, **OWN, last_event_id=wrong) as stream:
            assert 400 == stream.status, wrong


async def test_a_cursor_that_the_log_does_not_have_is_gone(fleet: FleetDriver, world: World) -> None:
    """
    A cursor after the end of a restored log is a 410, which says what to do.
    """
    cursors = StreamCursors(fleet_settings().key_for("event streams"), "fleet/events")
    cursor = cursors.cursor(world.me.organization, StreamPosition(10**6))
    async with opened(fleet.app, EVENTS, **OWN, last_event_id=cursor) as gone:
        assert (410, "cursor_gone") == (gone.status, gone.json["code"])


async def test_types_filter_the_events_and_unknown_ones_are_refused(fleet: FleetDriver) -> None:
    """
    `types` names the wanted events; an unknown one is a 400 that names it.
    """
    async with opened(fleet.app, f"{EVENTS}?types=activity.created", **OWN) as stream:
        await stream.event()
        await fleet.task()
        event = await stream.event()
    async with opened(fleet.app, f"{EVENTS}?types=task.created,task.melted", **OWN) as refused:
        assert (400, True) == (refused.status, "task.melted" in refused.body.decode())

    assert "activity.created" == event["type"]


async def test_an_agent_below_admin_sees_only_its_own_tasks(fleet: FleetDriver) -> None:
    """
    As in the list of tasks.
    """
    _, token = await fleet.agent("ada")
    path = f"{EVENTS}?types=task.created,activity.created"
    async with opened(fleet.app, path, **{"x-api-key": token}) as stream:
        await stream.event()
        await fleet.task("Somebody else's")
        own = await fleet.task("Mine", assigned_to="ada")
        made = (await fleet.got("POST", "/tasks", {"title": "By me", "assigned_to": "ada"}, 201, key=token))["task"]
        events = await stream.events(3)
        activities = (await fleet.got("GET", "/activities?type=task_created", key=token))["activities"]

        assert [("task.created", own["id"]), ("task.created", made["id"])] == told(events[:2])
        assert activities == [without(events[2]["data"], "workspace_id") | {"entity": activities[0]["entity"]}]


async def test_a_revoked_key_ends_the_stream_before_the_next_event(fleet: FleetDriver) -> None:
    """
    Nothing after the revocation is sent, and the last event says why.
    """
    agent, _ = await fleet.agent("ada")
    token = await fleet.key("ada", "viewer", "admin")
    keys = (await fleet.got("GET", f"/agents/{agent['id']}/keys"))["keys"]
    async with opened(fleet.app, EVENTS, **{"x-api-key": token}) as stream:
        await stream.event()
        await fleet.got("DELETE", f"/agents/{agent['id']}/keys", {"key_id": max(key["id"] for key in keys)})
        await fleet.task("Secret")
        events = await ended(stream)
    async with opened(fleet.app, EVENTS, **{"x-api-key": token}) as refused:
        assert 401 == refused.status

    assert [{"type": "stream.ended", "data": {"reason": "access_changed"}}] == events


async def ended(stream: OpenStream) -> list[dict]:
    """
    The events up to the end of the stream.
    """
    events = []
    while (event := await stream.event()) is not None:
        events.append(event)
    return events


async def test_an_expired_key_ends_the_stream(fleet: FleetDriver, world: World) -> None:
    """
    A timer ends the stream when the credential expires.
    """
    agent, _ = await fleet.agent("ada")
    lasts = world.clock.now() + timedelta(days=1)
    made = await fleet.got(
        "POST", f"/agents/{agent['id']}/keys", {"scopes": ["admin"], "expires_at": int(lasts.timestamp())}, 201
    )
    world.clock.advance(hours=23, minutes=59, seconds=59)
    async with opened(fleet.app, EVENTS, **{"x-api-key": made["api_key"]}) as stream:
        await stream.event()
        events = await ended(stream)

    assert [{"type": "stream.ended", "data": {"reason": "access_expired"}}] == events


async def test_streams_are_limited_for_each_caller(fleet: FleetDriver) -> None:
    """
    One more stream than allowed is a 429, and a closed one makes room.
    """
    fleet.app.event_streams.limits = StreamLimits(per_caller=1)
    async with opened(fleet.app, EVENTS, **OWN), opened(fleet.app, EVENTS, **OWN) as second:
        assert (429, "10") == (second.status, second.headers["retry-after"])
    async with opened(fleet.app, EVENTS, **OWN) as third:
        assert 200 == third.status

    assert not fleet.app.event_streams.counts


async def test_a_server_that_stops_ends_its_streams(fleet: FleetDriver) -> None:
    """
    With the reason, so that clients resume elsewhere.
    """
    async with opened(fleet.app, EVENTS, **OWN) as stream:
        await stream.event()
        fleet.app.event_streams.stop()

        assert [{"type": "stream.ended", "data": {"reason": "server_stopping"}}] == await ended(stream)
    async with opened(fleet.app, EVENTS, **OWN) as refused:
        assert 503 == refused.status


async def test_a_stream_that_opens_while_the_server_stops_is_refused(fleet: FleetDriver, ports) -> None:
    """
    It would hold the server.
    """
    streams = fleet.app.event_streams

    class StoppedLogs(LiveLogs):
        @asynccontextmanager
        async def reader(self, organization, *, after=None):
            async with super().reader(organization, after=after) as reader:
                streams.stop()
                yield reader

    streams.logs = StoppedLogs(ports.log)
    async with opened(fleet.app, EVENTS, **OWN) as refused:
        assert 503 == refused.status

    assert streams.stopping
    assert not streams.counts


async def test_events_of_another_organization_are_not_seen(fleet: FleetDriver, world: World, ports) -> None:
    """
    Neither its events nor its cursors are valid here.
    """
    other = await make_world(ports)
    async with fleet_over(ports, other.me, 1, auth_secret="") as elsewhere:
        async with opened(elsewhere.app, EVENTS, **OWN) as theirs:
            await theirs.event()
        async with opened(fleet.app, EVENTS, **OWN) as stream:
            await stream.event()
            await other.task("Theirs")
            await fleet.task("Ours")

            assert "Ours" == (await stream.event())["data"]["title"]
    async with opened(fleet.app, EVENTS, **OWN, last_event_id=str(theirs.last_id)) as refused:
        assert 400 == refused.status


async def test_chat_messages_are_streamed_to_those_who_may_read_them(fleet: FleetDriver) -> None:
    """
    With the text; an agent below admin sees its own, and messages to everybody.
    """
    _, token = await fleet.agent("ada")
    path = f"{EVENTS}?types=chat.message,chat.message.deleted"
    async with opened(fleet.app, path, **OWN) as all_of_them, opened(fleet.app, path, **{"x-api-key": token}) as own:
        for stream in (all_of_them, own):
            await stream.event()
        sent = {"from": "human", "conversation_id": "c-1"}
        await fleet.got("POST", "/chat/messages", {**sent, "content": "Psst", "to": "bob"}, 201)
        await fleet.got("POST", "/chat/messages", {**sent, "content": "Hello", "to": "ada"}, 201)
        seen = [event["data"]["content"] for event in await all_of_them.events(2)]

        assert (["Psst", "Hello"], "Hello") == (seen, (await own.event())["data"]["content"])


async def test_audit_events_are_for_admins(fleet: FleetDriver) -> None:
    """
    A viewer has none of them.
    """
    await fleet.agent("ada")
    viewer = {"x-api-key": await fleet.key("ada", "viewer")}
    path = f"{EVENTS}?types=audit.security,agent.created"
    async with opened(fleet.app, path, **viewer) as stream, opened(fleet.app, path, **OWN) as own:
        for each in (stream, own):
            await each.event()
        user = {"username": "newcomer", "password": "correct horse battery", "display_name": "New", "role": "viewer"}
        await fleet.got("POST", "/auth/users", user, 201)
        await fleet.agent("bob")

        assert ("audit.security", "agent.created") == ((await own.event())["type"], (await stream.event())["type"])
