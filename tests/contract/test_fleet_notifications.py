"""
Notifications in the Fleet API: who is told what, and what recipients do with it.
"""

import asyncio
from typing import Any

import pytest
from attrs import evolve

from mission_adapters.testing import ManualClock
from mission_core.conversations import notification_use_cases
from mission_core.conversations.notification_use_cases import (
    DeleteNotifications,
    MarkNotificationsRead,
    delete_notifications,
    mark_notifications_read,
)
from mission_core.conversations.notifications import make_notifications
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver, refusal
from tests.contract.stream_client import opened


async def told(fleet: FleetDriver, recipient: str, **more: Any) -> list[tuple[str, str]]:
    """
    The types and titles of a recipient's notifications, oldest first.
    """
    found = await fleet.got("GET", f"/notifications?recipient={recipient}", **more)
    return [(each["type"], each["title"]) for each in reversed(found["notifications"])]


ASSIGNED = ("assignment", "Task Assigned")
MENTIONED = ("mention", "You were mentioned in a task description")
CALLED = ("mention", "You were mentioned")
COMMENTED = ("comment", "New comment on a subscribed task")
MOVED = ("status_change", "Task Status Updated")


@pytest.mark.every_store
async def test_whoever_is_concerned_by_a_task_is_told(fleet: FleetDriver) -> None:
    """
    The assignee of the assignment, the former one of a new status, and whoever is newly mentioned in a description. An
    agent is not told of a status that it set itself.
    """
    (_, ada), _ = await fleet.agent("ada"), await fleet.agent("bob")
    task = await fleet.task(assigned_to="ada", description="Look, @bob")
    await fleet.got("PUT", f"/tasks/{task['id']}", {"status": "review"}, key=ada)
    await fleet.got("PUT", f"/tasks/{task['id']}", {"status": "inbox", "assigned_to": "bob"})
    await fleet.got("PUT", f"/tasks/{task['id']}", {"description": "Look, @bob and @ada"})

    assert [ASSIGNED, MOVED, MENTIONED] == await told(fleet, "ada")
    assert [MENTIONED, ASSIGNED] == await told(fleet, "bob")


async def test_a_comment_is_told_to_all_followers_but_its_author(fleet: FleetDriver) -> None:
    (_, ada), *_ = [await fleet.agent(name) for name in ("ada", "bob", "cleo", "dan")]
    task = await fleet.task(assigned_to="ada", description="With @dan.")
    await fleet.got("POST", f"/tasks/{task['id']}/comments", {"content": "One, @bob"}, 201, key=ada)
    await fleet.got("POST", f"/tasks/{task['id']}/comments", {"content": "x" * 300}, 201)

    assert [ASSIGNED, COMMENTED] == await told(fleet, "ada")
    assert [CALLED, COMMENTED] == await told(fleet, "BOB")
    assert [] == await told(fleet, "cleo")
    assert [MENTIONED, COMMENTED, COMMENTED] == await told(fleet, "dan")
    assert [COMMENTED] == await told(fleet, "API+Access")


async def test_a_notification_shows_what_it_is_about(fleet: FleetDriver, clock: ManualClock) -> None:
    await fleet.agent("ada")
    task = await fleet.task(assigned_to="ada")
    made = await fleet.got("POST", f"/tasks/{task['id']}/comments", {"content": "x" * 300}, 201)
    await fleet.got("POST", "/chat/messages", {"content": "y" * 300, "to": "ada"}, 201)
    found = await fleet.got("GET", "/notifications?recipient=ada&limit=2")
    (chat, comment), first = found["notifications"], found["notifications"][0]["id"]
    (about_task,) = (await fleet.got("GET", "/notifications?recipient=ada&offset=2"))["notifications"]

    assert (3, 1, 2, 3) == (found["total"], found["page"], found["limit"], found["unreadCount"])
    assert ("chat_message", "Message from API Access", "y" * 200, "message", None) == (
        chat["type"], chat["title"], chat["message"], chat["source_type"], chat["source"],
    )  # fmt: skip
    assert ("x" * 100, made["comment"]["id"]) == (comment["message"], comment["source_id"])
    assert {
        "type": "comment", "id": made["comment"]["id"], "content": "x" * 300, "task_id": task["id"],
        "task_title": "Ship it", "content_preview": "x" * 200,
    } == comment["source"]  # fmt: skip
    assert {
        "id": first - 2, "recipient": "ada", "type": "assignment", "title": "Task Assigned",
        "message": "api assigned you Ship it", "source_type": "task", "source_id": task["id"], "read": False,
        "read_at": None, "delivered_at": None, "created_at": int(clock.now().timestamp()), "workspace_id": 1,
        "source": {"type": "task", "id": task["id"], "title": "Ship it", "status": "assigned"},
    } == about_task  # fmt: skip


@pytest.mark.every_store
async def test_notifications_are_made_once_however_often_the_log_is_read(
    fleet: FleetDriver, world: World, clock: ManualClock
) -> None:
    """
    Also by several processes at once, and by one that died before its cursor advanced.
    """
    ports, organization = world.ports, world.me.organization
    forgetful = evolve(ports, log=ForgetfulLog(ports.log))
    task = await fleet.task(assigned_to="ada")
    await fleet.got("PUT", f"/tasks/{task['id']}", {"status": "review"})
    await asyncio.gather(*(make_notifications(forgetful, organization) for _ in range(3)))
    clock.advance(seconds=5)
    await fleet.got("PUT", f"/tasks/{task['id']}", {"assigned_to": "bob"})
    await make_notifications(forgetful, organization)
    made = [each.kind for each in await ports.log.read(organization)].count("notification.created")

    assert [ASSIGNED, MOVED] == await told(fleet, "ada")
    assert [ASSIGNED] == await told(fleet, "bob")
    assert 3 == made


class ForgetfulLog:
    """
    A log whose cursors are lost.
    """

    def __init__(self, log: Any) -> None:
        self.log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    async def cursor(self, organization: Any, reader: str) -> None:
        return None


@pytest.mark.every_store
async def test_notifications_are_marked_as_read(fleet: FleetDriver, clock: ManualClock) -> None:
    for _ in range(3):
        await fleet.task(assigned_to="ada")
    rows = (await fleet.got("GET", "/notifications?recipient=ada"))["notifications"]
    ids = [rows[0]["id"], rows[0]["id"], 999]

    assert {"success": True, "markedAsRead": 1} == await fleet.got("PUT", "/notifications", {"ids": ids})
    assert {"success": True, "markedAsRead": 0} == await fleet.got("PUT", "/notifications", {"ids": ids})
    for query in ("unread_only=true", "unread=true"):
        unread = await fleet.got("GET", f"/notifications?recipient=ada&{query}&type=assignment")
        assert (2, 2) == (unread["total"], unread["unreadCount"])
    every = {"recipient": "ADA", "markAllRead": True, "ids": []}
    assert {"success": True, "markedAsRead": 2} == await fleet.got("PUT", "/notifications", every)
    (read, *_) = (await fleet.got("GET", "/notifications?recipient=ada"))["notifications"]
    assert (True, int(clock.now().timestamp())) == (read["read"], read["read_at"])


@pytest.mark.every_store
async def test_an_admin_deletes_notifications(fleet: FleetDriver, clock: ManualClock) -> None:
    _, ada = await fleet.agent("ada")
    for _ in range(3):
        await fleet.task(assigned_to="ada")
        clock.advance(seconds=10)
    rows = (await fleet.got("GET", "/notifications?recipient=ada"))["notifications"]
    older = {"recipient": "ADA", "olderThan": rows[0]["created_at"]}

    assert 403 == (await fleet.call("DELETE", "/notifications", older, key=ada)).status
    assert {"success": True, "deleted": 2} == await fleet.got("DELETE", "/notifications", older)
    assert {"success": True, "deleted": 1} == await fleet.got("DELETE", "/notifications", {"ids": [rows[0]["id"]]})
    assert [] == await told(fleet, "ada")


async def test_all_of_a_recipient_are_changed_in_several_transactions(
    fleet: FleetDriver, world: World, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Also those that are due but have not been made yet.
    """
    monkeypatch.setattr(notification_use_cases, "CHANGED_AT_ONCE", 2)
    units: list[Any] = []
    ports = evolve(world.ports, unit=lambda who: units.append(who) or world.ports.unit(who))
    for _ in range(5):
        await fleet.task(assigned_to="ada")

    assert 5 == await mark_notifications_read(ports, world.me, MarkNotificationsRead(recipient="ada"))
    assert 3 == units.count(world.me)
    await fleet.task(assigned_to="ada")
    clock.advance(seconds=5)
    assert 6 == await delete_notifications(ports, world.me, DeleteNotifications(recipient="ada", before=clock.now()))


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("GET", "/notifications", None, "Recipient is required"),
        ("PUT", "/notifications", {"recipient": "ada"}, "Either provide ids array or recipient with markAllRead=true"),
        (
            "DELETE", "/notifications", {"recipient": "ada"},
            "Either provide ids array or recipient with olderThan timestamp",
        ),
        ("POST", "/notifications", {"action": "mark-delivered"}, "Agent name is required"),
    ],
)  # fmt: skip
async def test_a_request_without_a_target_is_refused(
    fleet: FleetDriver, method: str, path: str, body: Any, said: str
) -> None:
    assert (400, said) == refusal(await fleet.call(method, path, body))


async def test_the_documented_actions_change_notifications(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    for _ in range(3):
        await fleet.task(assigned_to="ada")
    rows = (await fleet.got("GET", "/notifications?recipient=ada"))["notifications"]
    await fleet.got("POST", "/notifications", {"action": "dismiss", "id": rows[0]["id"]})
    await fleet.got("POST", "/notifications", {"action": "mark_read", "id": rows[1]["id"]})
    after = await fleet.got("GET", "/notifications?recipient=ada")
    gone = await fleet.call("POST", "/notifications", {"action": "dismiss", "id": rows[0]["id"]})
    delivered = await fleet.got("POST", "/notifications", {"action": "mark-delivered", "agent": "ada"})
    await fleet.got("POST", "/notifications", {"action": "mark_all_read", "recipient": "ada"})
    sent = {"agent": "ada", "title": "Hi", "message": "Look", "type": "alert"}

    assert (2, 1) == (after["total"], after["unreadCount"])
    assert (404, "Notification not found") == refusal(gone)
    assert {"success": True, "delivered": 0, "notifications": []} == delivered
    assert 0 == (await fleet.got("GET", "/notifications?recipient=ada"))["unreadCount"]
    assert {"success": True} == await fleet.got("POST", "/notifications/deliver", sent)
    assert ("alert", "Hi") == (await told(fleet, "ada"))[-1]
    assert 404 == (await fleet.call("POST", "/notifications/deliver", sent | {"agent": "eve"})).status


@pytest.mark.every_store
async def test_a_server_without_a_host_delivers_nothing(fleet: FleetDriver) -> None:
    none = await fleet.got("POST", "/notifications/deliver", {})
    await fleet.agent("ada", session_key="agent:ada:main")
    task = await fleet.task(assigned_to="ada")
    await fleet.task(assigned_to="bob")
    dry = await fleet.got("POST", "/notifications/deliver", {"dry_run": True, "agent_filter": "ada"})
    real = await fleet.got("POST", "/notifications/deliver", {})
    await fleet.task(assigned_to="bob")
    status = await fleet.got("GET", "/notifications/deliver?agent=BOB")
    (result,) = dry["delivery_results"]

    assert {
        "status": "success", "message": "No undelivered notifications found", "processed": 0, "delivered": 0,
        "errors": [],
    } == none  # fmt: skip
    assert (1, 1, 0, True) == tuple(dry[name] for name in ("total_processed", "delivered", "errors", "dry_run"))
    assert ("ada", "agent:ada:main", "dry_run") == tuple(result[n] for n in ("recipient", "session_key", "status"))
    assert ("Processed 2 notifications", 2, 0, 2) == tuple(
        real[name] for name in ("message", "total_processed", "delivered", "errors")
    )
    assert ["ada", "bob"] == [each["recipient"] for each in real["error_details"]]
    assert {"total": 2, "delivered": 0, "undelivered": 2, "delivery_rate": 0} == status["statistics"]
    assert [("ada", "agent:ada:main", 1), ("bob", None, 2)] == [
        tuple(each.values()) for each in status["agents_with_pending"]
    ]
    assert ([], "BOB") == (status["recent_deliveries"], status["agent_filter"])
    assert task


async def test_an_agent_has_access_to_its_own_notifications_only(fleet: FleetDriver) -> None:
    (_, ada), _ = await fleet.agent("ada"), await fleet.agent("bob")
    for name in ("ada", "bob"):
        await fleet.task(assigned_to=name)
    (row,) = (await fleet.got("GET", "/notifications?recipient=bob"))["notifications"]
    denied = (403, "these are the notifications of another recipient")

    assert [ASSIGNED] == await told(fleet, "ADA", key=ada)
    assert denied == refusal(await fleet.call("GET", "/notifications?recipient=bob", key=ada))
    every = {"recipient": "bob", "markAllRead": True}
    assert denied == refusal(await fleet.call("PUT", "/notifications", every, key=ada))
    assert 0 == (await fleet.got("PUT", "/notifications", {"ids": [row["id"]]}, key=ada))["markedAsRead"]
    assert denied == refusal(await fleet.call("GET", "/notifications/deliver?agent=bob", key=ada))
    assert ["ada"] == [
        each["recipient"] for each in (await fleet.got("GET", "/notifications/deliver", key=ada))["agents_with_pending"]
    ]


async def test_a_stream_has_messages_and_notifications_of_those_who_may_see_them(
    fleet: FleetDriver, world: World
) -> None:
    (_, ada), (_, bob) = await fleet.agent("ada"), await fleet.agent("bob")
    target = "/api/events?types=chat.message,notification.created"
    async with (
        opened(fleet.app, target, **{"x-api-key": ada}) as hers,
        opened(fleet.app, target, **{"x-api-key": bob}) as his,
    ):
        for name in ("bob", "ada"):
            await fleet.got("POST", "/chat/messages", {"content": f"To {name}", "to": name}, 201)
        await make_notifications(world.ports, world.me.organization)
        seen = {}
        for name, stream in (("ada", hers), ("bob", his)):
            events = [await stream.event() for _ in range(3)]
            seen[name] = [str(each) for each in events]

    for name, other in (("ada", "bob"), ("bob", "ada")):
        assert "chat.message" in seen[name][1]
        assert "notification.created" in seen[name][2]
        assert not any(f"To {other}" in each for each in seen[name])


async def test_a_heartbeat_shows_the_newest_unread_notifications(fleet: FleetDriver, world: World) -> None:
    (agent, ada), heartbeat = await fleet.agent("ada"), "/agents/ada/heartbeat"
    for number in range(6):
        await fleet.got("POST", "/chat/messages", {"content": f"Message {number}", "to": "ada"}, 201)
    await fleet.task(assigned_to="ada")
    await make_notifications(world.ports, world.me.organization)
    found = await fleet.got("GET", heartbeat, key=ada)
    tasks, told = found["work_items"]
    await fleet.got("PUT", "/notifications", {"recipient": "ada", "markAllRead": True}, key=ada)
    after = await fleet.got("GET", heartbeat, key=ada)

    assert ("assigned_tasks", "notifications", 7, 8) == (
        tasks["type"],
        told["type"],
        told["count"],
        found["total_items"],
    )
    assert ["assignment", *["chat_message"] * 4] == [each["type"] for each in told["items"]]
    assert ["assigned_tasks"] == [each["type"] for each in after["work_items"]]
    assert agent["name"] == "ada"
