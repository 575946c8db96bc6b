"""
Answers made from a task as its unit of work returned it: they have the bytes of the task read back, on every store.
"""

import msgspec
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.accounts.model import MemberPrincipal, Role
from mission_core.boards.custom_field_use_cases import CreateField, create_field
from mission_core.boards.model import BoardDenied
from mission_core.boards.tags import CreateTag, create_tag
from mission_core.boards.use_cases import UpdateBoard, update_board
from mission_core.ids import MemberId, UserId, UserNumber
from mission_core.tasks.leases import ClaimTask, CompleteTask, claim_task, complete_task
from mission_core.tasks.model import Status
from mission_core.tasks.queue_polls import PollQueue, poll_queue
from mission_core.tasks.use_cases import CreateTask, UpdateTask, create_task, update_task
from mission_core.values import canonical
from tests.contract.projected_tasks import FEW, PROJECTIONS, add, ordinary
from tests.statement_counts import counted_app


async def answer_and_row(world, task, shown):
    """
    The answer made from a task that was just written, and the task read back.
    """
    reads = world.ports.reads.tasks
    answer = await reads.committed(world.me, task, shown)
    return msgspec.json.encode(answer), msgspec.json.encode(await reads.get(world.me, task.id, shown))


async def assert_shown_as_read(world, *tasks, shown):
    for task in tasks:
        answer, row = await answer_and_row(world, task, shown)
        assert row == answer


@FEW
@given(st.lists(ordinary | some.tasks(), min_size=1, max_size=3), ordinary | some.tasks(), st.sampled_from(PROJECTIONS))
async def test_a_written_task_is_shown_as_it_is_read(world, tasks, changed, shown):
    made = await add(world, *tasks)
    await assert_shown_as_read(world, *made, shown=shown)
    async with world.ports.unit(world.me) as unit:
        before = await unit.tasks.get(made[0].id)
        named = ("id", "number", "organization", "board", "ticket", "version", "edits", "late_results")
        unit.tasks.save(evolve(changed, **{name: getattr(before, name) for name in named}))
        await unit.commit()
        await assert_shown_as_read(world, await unit.tasks.get(before.id), shown=shown)


@pytest.mark.parametrize("shown", PROJECTIONS)
async def test_every_use_case_returns_what_is_shown_as_it_is_read(world, shown):
    ports, me = world.ports, world.me
    ada = await world.agent("ada")
    tag = await create_tag(ports, me, CreateTag(name="Bug"))
    field = CreateField(field_key="size", boards=(world.board.id,), default_value=canonical("large"))
    first = await create_task(ports, me, CreateTask(title="first", board=world.board.id))
    await assert_shown_as_read(world, first, shown=shown)
    claimed = await claim_task(ports, me, ClaimTask(task=first.id, agent="Ada"))
    assert claimed.task.assignee is not None
    assert claimed.task.assignee.agent is None  # the operator named it, so its agent is found by the statement
    await assert_shown_as_read(world, claimed.task, shown=shown)
    second = await create_task(
        ports, me,
        CreateTask(title="second", board=world.board.id, tag_ids=(tag.id,), tags=("word",), depends_on=(first.id,)),
    )  # fmt: skip
    await assert_shown_as_read(world, second, shown=shown)
    done = await complete_task(ports, me, CompleteTask(task=first.id, lease=claimed.lease))
    await assert_shown_as_read(world, done, shown=shown)
    await create_field(ports, me, field)
    moved = await update_task(ports, me, UpdateTask(task=second.id, assignee=ada.id))
    await assert_shown_as_read(world, moved, shown=shown)
    polled = await poll_queue(ports, me, PollQueue(agent="ada"))
    assert second.id == polled.claimed.id
    await assert_shown_as_read(world, polled.claimed, shown=shown)
    elsewhere = await update_task(
        ports, me,
        UpdateTask(task=second.id, board=(await world.another_board()).id, status=Status.INBOX, depends_on=()),
    )  # fmt: skip
    await assert_shown_as_read(world, elsewhere, shown=shown)


@pytest.mark.parametrize("shown", PROJECTIONS)
async def test_an_answer_that_was_not_made_is_not_made_later(world, shown):
    """
    Its caller had left. The same task without a change, after its board was renamed, shows the board's new name.
    """
    task = await world.task("first")
    await update_task(world.ports, world.me, UpdateTask(task=task.id, title="again"))
    await update_board(world.ports, world.me, UpdateBoard(board=world.board.id, name="Renamed"))
    same = await update_task(world.ports, world.me, UpdateTask(task=task.id, title="again"))

    answer, row = await answer_and_row(world, same, shown)

    assert row == answer


async def test_a_task_on_a_board_without_a_grant_is_not_shown(world):
    stranger = MemberPrincipal(
        organization=world.me.organization, user=UserId(world.ports.ids.new()), number=UserNumber(7),
        member=MemberId(world.ports.ids.new()), name="mia", display="Mia", role=Role.ADMIN,
        reads=frozenset(), writes=frozenset(),
    )  # fmt: skip
    task = await world.task("first")

    with pytest.raises(BoardDenied):
        await world.ports.reads.tasks.committed(stranger, task, PROJECTIONS[0])


@pytest.mark.one_store
async def test_an_answer_to_a_change_reads_no_task(tmp_path):
    async with counted_app(f"sqlite:///{tmp_path / 'counted.db'}", tmp_path) as counted:
        taken, claiming = await counted.call("POST", "/api/tasks/claim", {}, agent=True)
        task, lease = taken["task"]["id"], {"lease": taken["lease"]["lease"]}
        _, completing = await counted.call("POST", f"/api/tasks/{task}/complete", lease, agent=True)
        written = {
            "claim": claiming,
            "complete": completing,
            "create": (await counted.call("POST", "/api/tasks", {"title": "New"}))[1],
            "update": (await counted.call("PUT", f"/api/tasks/{task}", {"title": "Changed"}))[1],
            "poll": (await counted.call("GET", "/api/tasks/queue", agent=True))[1],
        }

    assert dict.fromkeys(written, 0) == {
        name: sum("comments" in text or "boards.ticket_prefix, tasks" in text for text in texts)
        for name, texts in written.items()
    }
