"""
Lists of tasks and agents by a projection: the bytes of the rendered rows, on every store.
"""

import msgspec
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.sql import task_reads
from mission_adapters.testing import strategies as some
from mission_core.accounts.model import MemberPrincipal, Role
from mission_core.agents.queries import AgentFilter, AgentTaskCounts
from mission_core.agents.use_cases import CreateAgent, RecordAgentHeartbeat, create_agent, record_agent_heartbeat
from mission_core.boards.custom_field_use_cases import CreateField, create_field
from mission_core.boards.tags import CreateTag, create_tag
from mission_core.ids import MemberId, UserId, UserNumber
from mission_core.projections import WHOLE_ROWS
from mission_core.tasks.model import Status
from mission_core.tasks.queries import TaskFilter
from mission_core.values import JsonText, PageRequest, canonical
from mission_http.boards.payloads import TaskRead
from mission_http.fleet.payloads import AgentPayload
from mission_http.platform.projections import projection_of
from mission_http.platform.shapes import Of
from tests.contract.projected_tasks import FEW, PROJECTIONS, add, ordinary

AGENTS = projection_of(AgentPayload, status=Of("status"), taskStats=Of("tasks"))


def member_of(world):
    """
    A member who may see no board.
    """
    return MemberPrincipal(
        organization=world.me.organization, user=UserId(world.ports.ids.new()), number=UserNumber(7),
        member=MemberId(world.ports.ids.new()), name="mia", display="Mia", role=Role.ADMIN, reads=frozenset(),
        writes=frozenset(),
    )  # fmt: skip


async def lists_and_rendered_rows(world, wanted, page):
    """
    The encoded list of each projection, and the encoded rows that it renders.
    """
    reads = world.ports.reads.tasks
    rows, total = await reads.page(world.me, wanted, page)
    for projection in PROJECTIONS:
        listed = await reads.page(world.me, wanted, page, projection)
        rendered = [projection.render(row) for row in rows]
        yield (msgspec.json.encode(listed.rows), listed.total), (msgspec.json.encode(rendered), total)


@FEW
@given(st.lists(ordinary | some.tasks(), min_size=1, max_size=5))
async def test_a_list_has_the_bytes_of_the_rendered_rows(world, tasks):
    await add(world, *tasks)
    for wanted in (TaskFilter(), TaskFilter(board=world.board.id)):
        async for listed, rendered in lists_and_rendered_rows(world, wanted, PageRequest(limit=len(tasks))):
            assert rendered == listed


@pytest.mark.parametrize("limit", [50, 49])
async def test_rows_with_tags_dependencies_and_custom_fields_are_among_the_others(world, limit):
    first, second = await world.task("first"), await world.task("second")
    tag = await create_tag(world.ports, world.me, CreateTag(name="Bug"))
    await world.task("tagged", tag_ids=(tag.id,), tags=("bug", "other"))
    await world.task("waiting", depends_on=(first.id, second.id))
    await world.task("last", assignee=(await world.agent("ada")).name)
    for wanted in (TaskFilter(), TaskFilter(board=world.board.id)):
        async for listed, rendered in lists_and_rendered_rows(world, wanted, PageRequest(limit=limit)):
            assert rendered == listed
    field = CreateField(field_key="size", boards=(world.board.id,), default_value=canonical("large"))
    await create_field(world.ports, world.me, field)
    async for listed, rendered in lists_and_rendered_rows(world, TaskFilter(), PageRequest(limit=limit)):
        assert rendered == listed


async def test_deep_pages_and_pages_after_a_task_are_projected_too(world, monkeypatch):
    monkeypatch.setattr(task_reads, "DEEP_OFFSET", 2)
    tasks = [await world.task(f"task {number}") for number in range(5)]
    for page in (PageRequest(limit=2, offset=1), PageRequest(limit=2, offset=2), PageRequest(after=tasks[2].number)):
        async for listed, rendered in lists_and_rendered_rows(world, TaskFilter(), page):
            assert rendered == listed


async def test_a_full_first_page_has_the_total_of_its_filter(world):
    other = await world.another_board()
    hidden = await world.another_board("Hidden")
    for number in range(21):
        await world.task(f"task {number}", assignee="ada", priority="high")
    await world.task("elsewhere", board=other.id)
    await world.task("not seen", board=hidden.id)
    member = evolve(member_of(world), reads=frozenset({world.board.id, other.id}))
    of_one_board = evolve(member, reads=frozenset({world.board.id}))
    filters = {
        "all": TaskFilter(), "board": TaskFilter(board=world.board.id), "number": TaskFilter(board=world.board.number),
        "name": TaskFilter(assignee="Ada"), "counted": TaskFilter(assignee="ada", priority="high"),
    }  # fmt: skip
    totals = {
        (name, len(principal.reads)): (await reads_of(world, principal, wanted)).total
        for name, wanted in filters.items()
        for principal in (member, of_one_board)
    }

    assert {each: 22 if each == ("all", 2) else 21 for each in totals} == totals
    assert 23 == (await reads_of(world, world.me, TaskFilter())).total


async def reads_of(world, principal, wanted):
    """
    A page of 20 tasks, as the Boards API lists them.
    """
    return await world.ports.reads.tasks.page(principal, wanted, PageRequest(limit=20), projection_of(TaskRead))


@pytest.mark.parametrize("as_made", [True, False])
async def test_a_list_of_agents_has_the_bytes_of_the_rendered_rows(world, as_made):
    """
    Also of agents whose configuration must be rendered, and of those that the principal sees on some boards only.
    """
    other, clock = await world.another_board(), world.clock
    await create_agent(world.ports, world.me, CreateAgent(name="Eve", role="coder", config=JsonText('{"a": 1.50}')))
    for name, board in (("ada", world.board), ("bob", other)):
        agent = await world.agent(name, board=board.id, soul='with "quotes"\n')
        await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=agent.id, status="busy"))
        clock.advance(minutes=7)
    for board, status in ((world.board, Status.IN_PROGRESS), (world.board, Status.DONE), (other, Status.REVIEW)):
        await world.task(board=board.id, assignee="ADA", status=status)
    of_one_board = evolve(member_of(world), reads=frozenset({world.board.id}))
    reads, wanted = world.ports.reads.agents, AgentFilter(hidden=True, as_made=as_made, at=clock.now())
    for principal, page in (
        (world.me, PageRequest()),
        (world.me, PageRequest(offset=1)),
        (of_one_board, PageRequest()),
    ):
        rows, total = await reads.page(principal, wanted, page, WHOLE_ROWS)
        listed = await reads.page(principal, wanted, page, AGENTS)

        assert total == listed.total
        assert msgspec.json.encode(list(map(AGENTS.render, rows))) == msgspec.json.encode(listed.rows)
    (row,) = (await reads.page(of_one_board, wanted, PageRequest(), WHOLE_ROWS)).rows
    assert ("ada", "offline", AgentTaskCounts(2, 0, 1, 0, 1)) == (row.name, row.status, row.tasks)
    (rows, _) = await reads.page(world.me, wanted, PageRequest(), WHOLE_ROWS)
    by_name = {row.name: row for row in rows}
    assert ("busy", AgentTaskCounts()) == (by_name["bob"].status, by_name["bob"].tasks)
    assert AgentTaskCounts(3, 0, 1, 0, 1) == by_name["ada"].tasks
    assert ("offline" if as_made else "provisioning") == by_name["Eve"].status


async def test_sqlite_makes_the_json_of_ordinary_agents(world, store_url):
    await world.agent("ada")
    (shown, *_), _ = await world.ports.reads.agents.page(
        world.me, AgentFilter(as_made=True, at=world.clock.now()), PageRequest(), AGENTS
    )

    assert store_url.startswith("sqlite") is isinstance(shown, msgspec.Raw)


async def test_sqlite_makes_the_json_of_ordinary_tasks(world, store_url):
    await world.task("first", description='with "quotes"\n', estimated_hours=1.5)
    for projection in PROJECTIONS:
        ((shown,), _) = await world.ports.reads.tasks.page(world.me, TaskFilter(), PageRequest(), projection)

        assert store_url.startswith("sqlite") is isinstance(shown, msgspec.Raw)
