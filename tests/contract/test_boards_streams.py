"""
The event streams of the Boards API: framing, payloads, the parameter `since`, and authority.
"""

from datetime import timedelta
from typing import Any

import pytest

from mission_core.accounts.members import ADMIN, MEMBER, MEMBERS, Member
from mission_core.accounts.users import PasswordChanged
from mission_core.ids import MemberId
from tests.contract.boards_driver import TOKEN, BoardsDriver
from tests.contract.conftest import World
from tests.contract.stream_client import opened

OWN = {"authorization": f"Bearer {TOKEN}"}


def of_board(boards: BoardsDriver, what: str) -> str:
    return f"/api/v1/boards/{boards.board}/{what}/stream"


async def test_a_stream_of_tasks_has_activities_with_the_task_or_the_comment(boards: BoardsDriver) -> None:
    """
    In frames with CRLF, whose task is as reads show it.
    """
    async with opened(boards.app, of_board(boards, "tasks"), **OWN) as stream:
        task = await boards.got("POST", boards.tasks, {"title": "Ship it"})
        await boards.got("PATCH", f"{boards.tasks}/{task['id']}", {"status": "in_progress"})
        comment = await boards.got("POST", f"{boards.tasks}/{task['id']}/comments", {"message": "On it"})
        raw = stream.body
        events = await stream.events(4)
        await boards.got("DELETE", f"{boards.tasks}/{task['id']}")
        gone = [await stream.block() for _ in range(1)]

    assert (200, "no-store", "text/event-stream; charset=utf-8") == (
        stream.status, stream.headers["cache-control"], stream.headers["content-type"],
    )  # fmt: skip
    assert raw.count(b"\n") == raw.count(b"\r\n") > 0
    assert ["task.created", "task.status_changed", "task.updated", "task.comment"] == [each["type"] for each in events]
    assert "Task created: Ship it." == events[0]["activity"]["message"]
    assert task.keys() == events[0]["task"].keys()
    assert comment == events[3]["comment"]
    assert comment["id"] == events[3]["activity"]["id"]
    assert ["task.deleted"] == [block["event"] for block in gone if block]


async def test_approvals_memory_agents_and_comments_are_streamed(boards: BoardsDriver) -> None:
    """
    Each with the payload of its list.
    """
    memory, approvals = of_board(boards, "memory"), of_board(boards, "approvals")
    async with (
        opened(boards.app, f"{memory}?is_chat=true", **OWN) as chat,
        opened(boards.app, approvals, **OWN) as asked,
        opened(boards.app, "/api/v1/agents/stream", **OWN) as agents,
        opened(boards.app, f"/api/v1/activity/task-comments/stream?board_id={boards.board}", **OWN) as feed,
    ):
        place = f"/api/v1/boards/{boards.board}"
        await boards.got("POST", f"{place}/memory", {"content": "A note"})
        said = await boards.got("POST", f"{place}/memory", {"content": "Hello", "tags": ["chat"]})
        agent = await boards.got("POST", "/api/v1/agents", {"name": "ada", "board_id": str(boards.board)})
        task = await boards.got("POST", boards.tasks, {"title": "Ship it"})
        wanted = {"action_type": "deploy", "confidence": 50, "task_ids": [task["id"]], "lead_reasoning": "It is time"}
        approval = await boards.got("POST", f"{place}/approvals", wanted)
        comment = await boards.got("POST", f"{boards.tasks}/{task['id']}/comments", {"message": "On it"})
        shown = [await each.event() for each in (chat, asked, agents, feed)]

    assert {"memory": said} == shown[0]
    counts = {"task_id": task["id"], "approvals_count": 1, "approvals_pending_count": 1}
    assert {"approval": approval, "pending_approvals_count": 1, "task_counts": counts} == shown[1]
    assert agent["id"] == shown[2]["agent"]["id"]
    assert (comment["id"], "Ship it", task["id"]) == tuple(
        shown[3]["comment"][name] for name in ("id", "task_title", "task_id")
    )


async def test_group_memory_is_streamed_on_both_paths_until_the_board_leaves(boards: BoardsDriver) -> None:
    """
    Of the group by itself, and of a board's group.
    """
    group = await boards.got("POST", "/api/v1/board-groups", {"name": "Ops", "slug": "ops"})
    place = f"/api/v1/boards/{boards.board}"
    await boards.got("PATCH", place, {"board_group_id": group["id"]})
    async with (
        opened(boards.app, f"/api/v1/board-groups/{group['id']}/memory/stream", **OWN) as own,
        opened(boards.app, of_board(boards, "group-memory"), **OWN) as through_board,
    ):
        entry = await boards.got("POST", f"{place}/group-memory", {"content": "Ready"})
        shown = [await each.event() for each in (own, through_board)]
        await boards.got("PATCH", place, {"board_group_id": None})
        end = await through_board.event()

    assert [{"memory": entry}] * 2 == shown
    assert {"reason": "access_changed"} == end


@pytest.mark.parametrize("since", ["", "null", "yesterday", "%20"])
async def test_a_stream_begins_now_unless_since_is_a_time(boards: BoardsDriver, since: str) -> None:
    """
    Blank, `null` and unparsable times stand for now.
    """
    await boards.got("POST", boards.tasks, {"title": "Before"})
    async with opened(boards.app, f"{of_board(boards, 'tasks')}?since={since}", **OWN) as stream:
        await boards.got("POST", boards.tasks, {"title": "After"})

        assert "After" == (await stream.event())["task"]["title"]


async def test_since_begins_at_a_time_and_last_event_id_goes_before_it(boards: BoardsDriver, world: World) -> None:
    """
    The entries of that time are included.
    """
    path = of_board(boards, "tasks")
    for title in ("First", "Second", "Third"):
        world.clock.advance(hours=1)
        await boards.got("POST", boards.tasks, {"title": title})
    since = (world.clock.now() - timedelta(hours=1)).isoformat().replace("+", "%2B")
    async with opened(boards.app, f"{path}?since={since}", **OWN) as stream:
        titles = [(await stream.event())["task"]["title"]]
        first = stream.last_id
        titles.append((await stream.event())["task"]["title"])
    async with opened(boards.app, f"{path}?since=2020-01-01", **OWN, last_event_id=str(first)) as stream:
        resumed = (await stream.event())["task"]["title"]

    assert (["Second", "Third"], "Third") == (titles, resumed)


async def test_a_wrong_cursor_is_a_422_and_a_foreign_board_a_404(boards: BoardsDriver) -> None:
    """
    As errors of this API are.
    """
    async with opened(boards.app, of_board(boards, "tasks"), **OWN, last_event_id="x") as refused:
        assert (422, ["header", "Last-Event-ID"]) == (refused.status, refused.json["detail"][0]["loc"])
    async with opened(boards.app, f"/api/v1/boards/{'0' * 8}-0000-7000-8000-{'0' * 12}/tasks/stream", **OWN) as unknown:
        assert 404 == unknown.status


async def test_an_agent_sees_its_own_board_until_it_is_deleted(boards: BoardsDriver) -> None:
    """
    A stream of an agent ends with the agent, before anything later is sent.
    """
    made: Any = await boards.got("POST", "/api/v1/agents", {"name": "ada", "board_id": str(boards.board)})
    key = {"x-agent-token": made["agent_token"]}
    other = await boards.got("POST", "/api/v1/boards", {"name": "Other", "slug": "other", "description": "One"})
    async with opened(boards.app, f"/api/v1/boards/{other['id']}/tasks/stream", **key) as denied:
        assert 403 == denied.status
    async with opened(boards.app, of_board(boards, "tasks"), **key) as stream:
        await boards.got("POST", boards.tasks, {"title": "Seen"})
        seen = (await stream.event())["task"]["title"]
        await boards.got("DELETE", f"/api/v1/agents/{made['id']}")
        await boards.got("POST", boards.tasks, {"title": "Secret"})
        end, rest = await stream.event(), await stream.event()

    assert ("Seen", {"reason": "access_changed"}, None) == (seen, end, rest)


async def test_access_that_ends_in_another_organization_ends_the_stream(
    boards: BoardsDriver, world: World, elsewhere: World
) -> None:
    """
    A user of two organizations whose password is changed in one of them has no stream in the other one, either.
    """
    person = await boards.person("Ann", role=ADMIN)
    async with elsewhere.ports.unit(elsewhere.me) as unit:
        now = elsewhere.clock.now()
        unit.repository(MEMBERS).add(
            Member(
                id=MemberId(elsewhere.ports.ids.new()), organization=elsewhere.me.organization, user=person.id,
                role=ADMIN, created_at=now, updated_at=now,
            )
        )  # fmt: skip
        await unit.commit()
    async with opened(boards.app, of_board(boards, "tasks"), authorization=f"Bearer {person.token}") as stream:
        assert 200 == stream.status
        async with elsewhere.ports.unit(elsewhere.me) as unit:
            unit.record(PasswordChanged(user=person.id, by_themselves=False, at=now))
            await unit.commit()

        assert {"reason": "access_changed"} == await stream.event()


async def test_a_member_without_grants_has_no_events_of_boards(boards: BoardsDriver) -> None:
    """
    As its lists have none.
    """
    person = await boards.person("Ann", role=MEMBER, boards=False)
    feed = "/api/v1/activity/task-comments/stream"
    task = await boards.got("POST", boards.tasks, {"title": "Ship it"})
    async with (
        opened(boards.app, feed, authorization=f"Bearer {person.token}") as stream,
        opened(boards.app, feed, **OWN) as seen,
    ):
        await boards.got("POST", f"{boards.tasks}/{task['id']}/comments", {"message": "Secret"})
        comment = await seen.event()
        boards.app.event_streams.stop()

        assert ("Secret", {"reason": "server_stopping"}) == (comment["comment"]["message"], await stream.event())
