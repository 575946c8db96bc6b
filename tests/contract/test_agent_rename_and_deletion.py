"""
Agents that get another name, and agents that are deleted: what becomes of their work, on every store.
"""

from contextlib import suppress
from datetime import timedelta

import pytest
from attrs import evolve

from mission_adapters.sql.agent_rename import LOCK_TASKS
from mission_adapters.sql.decision_operations import UNFINISHED_OF_NAME
from mission_adapters.sql.migrations import migrate
from mission_adapters.sql.postgres_pool import PLANNER_SETTINGS
from mission_core.accounts.model import Role
from mission_core.agents.model import AgentNameTaken, AgentNotFound, MainAgentProtected
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import CreateKey, create_key, secret_digest
from mission_core.boards.assignments import BOARD_ASSIGNMENTS, AssignAgent, assign_agent
from mission_core.boards.model import BoardDenied
from mission_core.boards.use_cases import UpdateBoard, update_board
from mission_core.errors import InvalidField, RoleTooLow, VersionMismatch
from mission_core.tasks import agent_deletion
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.tasks.explanations import TaskState, explain_task
from mission_core.tasks.heartbeats import Heartbeat, heartbeat
from mission_core.tasks.leases import ClaimNext, ClaimTask, CompleteTask, claim_next, claim_task, complete_task
from mission_core.tasks.model import NotClaimable, Status
from mission_core.tasks.operator_orders import GiveOrder, give_order
from mission_core.tasks.queries import TaskFilter
from mission_core.tasks.runs import LeaseLost, OrderKind
from mission_core.tasks.team_rules import OnlyLeadMovesTasks
from mission_core.tasks.use_cases import UpdateTask, update_task
from mission_core.values import PageRequest
from tests.contract.schemas import asked


async def renamed(world, agent, name, *, by=None):
    return await update_agent(world.ports, by or world.me, UpdateAgent(agent=agent.id, name=name))


async def deleted(world, agent="ada", *, by=None, **fields):
    return await delete_agent(world.ports, by or world.me, DeleteAgent(agent=agent, **fields))


async def numbers_of(world, name):
    """
    The numbers of the tasks that go by this name, and how many are counted.
    """
    listed = await world.ports.reads.tasks.page(world.me, TaskFilter(assignee=name), PageRequest())
    return sorted(row.number for row in listed.rows), listed.total


async def test_the_tasks_of_an_agent_go_by_its_new_name(world):
    """
    Whatever their status; and with those that had the name before anybody was called so.
    """
    ada = await world.agent("ada")
    mine = [await world.task(assignee="ADA", status=status) for status in (Status.INBOX, Status.BACKLOG, Status.DONE)]
    other, foreign = await world.task(assignee="Grace"), await world.task(assignee="bob")
    after = await renamed(world, ada, "Grace")
    async with world.ports.unit(world.me) as unit:
        tasks = [await unit.tasks.get(task.id) for task in mine]

    assert "Grace" == after.name
    assert [("Grace", ada.id)] * 3 == [(task.assignee.name, task.assignee.agent) for task in tasks]
    assert [1, 1, 1] == [task.version for task in tasks]
    assert ([*sorted(task.number for task in (*mine, other))], 4) == await numbers_of(world, "grace")
    assert ([], 0) == await numbers_of(world, "ada")
    assert ([foreign.number], 1) == await numbers_of(world, "bob")
    assert {"agent.renamed", "agent.updated"} <= {*await world.event_kinds()}


async def test_a_renamed_agent_is_handed_its_work(world):
    """
    The queue knows the new name and no longer the old one.
    """
    ada = await world.agent("ada")
    task = await world.task(assignee="ada")
    await renamed(world, ada, "grace")

    assert await world.claim(agent="ada") is None
    assert task.id == (await world.claim(agent="grace")).task.id


async def test_work_under_way_goes_on_under_the_new_name(world):
    """
    The lease stands, and the worker may be ordered and found by its new name.
    """
    ada = await world.agent("ada")
    claimed = await world.claim(await world.task())
    await renamed(world, ada, "grace")
    await heartbeat(world.ports, world.me, Heartbeat(task=claimed.task.id, lease=claimed.lease))
    async with world.ports.unit(world.me) as unit:
        run = await unit.runs.get(claimed.run.id)
    grace = await world.principal("other")
    grace = evolve(grace, agent=ada.id, name="grace")
    await give_order(world.ports, grace, GiveOrder(task=claimed.task.id, kind=OrderKind.PAUSE))
    done = await complete_task(world.ports, world.me, CompleteTask(task=claimed.task.id, lease=claimed.lease))

    assert "grace" == run.by.name
    assert (Status.DONE, "grace") == (done.status, done.assignee.name)


async def test_a_renamed_agent_stays_assigned_to_its_boards(world):
    """
    Once, also where the new name was assigned before anybody had it.
    """
    ada = await world.agent("ada")
    other = await world.another_board()
    for board, name in ((world.board, "ADA"), (world.board, "bob"), (other, "ada"), (other, "Grace")):
        await assign_agent(world.ports, world.me, AssignAgent(board=board.id, agent_name=name))
    await renamed(world, ada, "grace")
    rows = await world.ports.reads.entities.every(world.me, BOARD_ASSIGNMENTS)

    assert {(world.board.id, "grace"), (world.board.id, "bob"), (other.id, "Grace")} == {
        (each.board, each.agent_name) for each in rows
    }
    assert {"grace", "bob"} == {each.name_key for each in rows}


async def test_a_name_in_another_case_is_the_same_name(world):
    """
    It can be had without a clash, and is shown.
    """
    ada = await world.agent("ada")
    task = await world.task(assignee="ada")
    after = await renamed(world, ada, "ADA")

    assert ("ADA", 1) == (after.name, after.version)
    assert "ADA" == (await world.fresh(task)).assignee.name
    assert ([task.number], 1) == await numbers_of(world, "ada")


async def test_a_name_of_another_agent_cannot_be_had(world):
    """
    Whatever its case; the refusal tells the board it is on.
    """
    ada = await world.agent("ada")
    await world.agent("Bob", board=world.board.id)

    with pytest.raises(AgentNameTaken) as refusal:
        await renamed(world, ada, "BOB")
    assert world.board.id == refusal.value.board


async def test_no_agent_gives_names(world):
    """
    With the name it would get the work of whoever is called so.
    """
    ada = await world.principal("ada")

    with pytest.raises(RoleTooLow):
        await update_agent(world.ports, ada, UpdateAgent(agent=ada.agent, name="grace"))


async def test_a_name_must_be_one(world):
    """
    It is refused by the name of its field.
    """
    ada = await world.agent("ada")

    with pytest.raises(InvalidField, match="name"):
        await renamed(world, ada, "")


async def test_what_a_deleted_agent_had_in_hand_is_open_to_everybody(world):
    """
    Its leases end and give their attempt back, its fence is raised, and whoever comes next may take the work.
    """
    ada = await world.agent("ada")
    claimed = await world.claim(await world.task(assignee="ada"))
    held = await world.task(assignee="ada", status=Status.IN_PROGRESS)
    await deleted(world)
    facts = await world.event_kinds()
    leased, held = await world.fresh(claimed.task), await world.fresh(held)

    assert [(Status.INBOX, None, None, 0)] * 2 == [
        (task.status, task.assignee, task.run, task.attempts) for task in (leased, held)
    ]
    assert claimed.task.fence < leased.fence
    with pytest.raises(LeaseLost):
        await complete_task(world.ports, world.me, CompleteTask(task=leased.id, lease=claimed.lease))
    assert {leased.id, held.id} == {(await world.claim(agent=name)).task.id for name in ("bob", "carl")}
    with pytest.raises(AgentNotFound):
        await renamed(world, ada, "grace")
    assert ["run.revoked", "task.moved", "task.moved", "agent.deleted"] == [
        kind for kind in facts if kind in ("run.revoked", "task.moved", "agent.deleted")
    ]


async def test_what_a_deleted_agent_waited_for_a_person_with_is_open_too(world):
    """
    A wait is a lease that sleeps.
    """
    await world.agent("ada")
    claimed = await world.claim(await world.task())
    wait = Heartbeat(task=claimed.task.id, lease=claimed.lease, waiting_for="a word")
    await heartbeat(world.ports, world.me, wait)
    await deleted(world)
    task = await world.fresh(claimed.task)

    assert (Status.INBOX, None, None) == (task.status, task.assignee, task.run)


async def test_a_lease_of_a_deleted_agent_that_had_run_out_counts_as_that(world):
    """
    The attempt is spent and the work rests, as if a claim had noticed.
    """
    await world.agent("ada")
    claimed = await world.claim(await world.task())
    world.clock.advance(minutes=6)
    await deleted(world)
    task = await world.fresh(claimed.task)

    assert (Status.INBOX, None, 1) == (task.status, task.assignee, task.attempts)
    assert task.not_before is not None
    assert "run.expired" in await world.event_kinds()


async def test_cancelled_work_of_a_deleted_agent_is_parked(world):
    """
    Nobody takes up what an operator has called off.
    """
    await world.agent("ada")
    claimed = await world.claim(await world.task())
    await give_order(world.ports, world.me, GiveOrder(task=claimed.task.id, kind=OrderKind.CANCEL))
    await deleted(world)

    assert Status.BACKLOG is (await world.fresh(claimed.task)).status


async def test_what_waited_for_a_deleted_agent_is_freed(world):
    """
    Wherever it stands, on whatever board; finished work keeps the name, and who is called so next is somebody else.
    """
    await world.agent("ada")
    other = await world.another_board()
    waiting = await world.task(assignee="ada", board=other.id)
    tasks = [await world.task(assignee="ada", status=status) for status in Status if status is not Status.IN_PROGRESS]
    gone = await deleted(world)
    left = [await world.fresh(task) for task in tasks]
    told = await explain_task(world.ports, world.me, waiting.id)
    again = await world.agent("Ada")

    assert {Status.DONE, Status.FAILED} == {task.status for task in left if task.assignee is not None}
    assert [Status.INBOX if task.status is Status.ASSIGNED else task.status for task in tasks] == [
        task.status for task in left
    ]
    assert TaskState.CLAIMABLE is told.state
    assert {waiting.id, *(task.id for task in left if task.status is Status.INBOX)} == {
        (await world.claim(agent="bob")).task.id for _ in range(3)
    }
    assert again.number > gone.number


async def test_assigned_work_whose_lease_had_run_out_is_freed_with_its_agent(world):
    """
    It would go back to the assignee else, who is gone.
    """
    await world.agent("ada")
    claimed = await world.claim(await world.task(assignee="ada"))
    world.clock.advance(minutes=6)
    await deleted(world)
    task = await world.fresh(claimed.task)

    assert (Status.INBOX, None, 1) == (task.status, task.assignee, task.attempts)


async def test_an_agent_of_another_board_is_no_way_to_get_work_done(world):
    """
    The explanation says so; and a name that an agent takes is known from then on.
    """
    other = await world.another_board()
    lost, waits = await world.task(assignee="ada"), await world.task(assignee="bob")
    before = await explain_task(world.ports, world.me, waits.id)
    ada = await world.principal("ada", board=other.id)
    bob = await world.principal("bob", board=world.board.id)
    told, after = [await explain_task(world.ports, world.me, task.id) for task in (lost, waits)]

    assert await claim_next(world.ports, ada, ClaimNext()) is None
    assert (TaskState.BLOCKED, True) == (told.state, "ada, which works on another board" in told.why)
    assert (TaskState.BLOCKED, TaskState.CLAIMABLE) == (before.state, after.state)
    assert waits.id == (await claim_next(world.ports, bob, ClaimNext())).task.id


async def test_the_work_of_others_is_left_alone(world, elsewhere):
    """
    Of the same name elsewhere, too.
    """
    for each in (world, elsewhere):
        await each.agent("ada")
    foreign = await elsewhere.claim(await elsewhere.task())
    bobs = await world.claim(await world.task(), agent="bob")
    await deleted(world)

    assert foreign.task == await elsewhere.fresh(foreign.task)
    assert bobs.task == await world.fresh(bobs.task)


async def test_the_keys_of_a_deleted_agent_are_nobodys(world):
    """
    They stand for no one from that moment on.
    """
    ada = await world.agent("ada")
    _, secret = await create_key(world.ports, world.me, CreateKey(agent=ada.id))
    known = await world.ports.credentials.principal_of(secret_digest(secret), at=world.clock.now())
    await deleted(world)

    assert ada.id == known.agent
    assert await world.ports.credentials.principal_of(secret_digest(secret), at=world.clock.now()) is None
    assert [] == await world.ports.reads.agents.keys(world.me, ada.id)


async def test_however_much_it_has_in_hand_an_agent_can_be_deleted(world, monkeypatch):
    """
    What is too much for one unit goes back before.
    """
    monkeypatch.setattr(agent_deletion, "BATCH_SIZE", 2)
    await world.agent("ada")
    tasks = [(await world.claim(await world.task())).task for _ in range(5)]
    await deleted(world)

    assert [Status.INBOX] * 5 == [(await world.fresh(task)).status for task in tasks]
    assert 1 == (await world.event_kinds()).count("agent.deleted")


async def test_the_built_in_agent_stays(world):
    """
    It stands for the organization's own gateway.
    """
    async with world.ports.unit(world.me) as unit:
        main = await unit.agents.main()

    with pytest.raises(MainAgentProtected):
        await deleted(world, main.id)


async def test_an_agent_is_deleted_at_the_version_that_was_expected(world):
    """
    Or not at all.
    """
    ada = await world.agent("ada")

    with pytest.raises(VersionMismatch):
        await deleted(world, ada.id, expects=ada.version + 1)
    assert ada == await deleted(world, ada.id, expects=ada.version)


async def test_admins_delete_agents_and_leads_the_workers_of_their_board(world):
    """
    Nobody else: no operator, no worker, no lead of another board.
    """
    board, other = world.board.id, (await world.another_board()).id
    lead = await world.principal("lea", board=board, lead=True)
    worker = await world.principal("wim", board=board)
    stranger = await world.principal("sam", board=other, lead=True)
    for by in (worker, stranger, evolve(world.me, role=Role.OPERATOR)):
        with pytest.raises((RoleTooLow, BoardDenied)):
            await deleted(world, worker.agent, by=by)
    with pytest.raises(RoleTooLow):
        await deleted(world, lead.agent, by=lead)

    assert "wim" == (await deleted(world, worker.agent, by=lead)).name


@pytest.mark.parametrize("gates", [{}, {"only_lead_can_change_status": True}])
@pytest.mark.parametrize("status", [None, *Status])
async def test_nothing_stands_in_the_way_exactly_where_somebody_entitled_may_claim(world, status, gates):
    """
    Whoever it is assigned to, whatever it waits for: its assignee's own agent, or where it is nobody's an agent that
    may move tasks. Every task has a state with a reason, and what happens next.
    """
    await update_board(world.ports, world.me, UpdateBoard(board=world.board.id, gates=gates))
    other, rests = await world.another_board(), world.clock.now() + timedelta(hours=1)
    agents = {
        "lea": await world.principal("lea", board=world.board.id, lead=True),
        "wim": await world.principal("wim", board=world.board.id),
        "dora": await world.principal("dora"),
        "gus": await world.principal("gus", board=other.id),
    }
    await update_task(world.ports, world.me, UpdateTask(task=(failed := await world.task()).id, status=Status.FAILED))
    open_one, done = await world.task(), await world.task(status=Status.DONE)
    waits = ({}, {"depends_on": (failed.id,)}, {"depends_on": (open_one.id, done.id)}, {"not_before": rests})
    for assignee in (None, "ghost", *agents):
        for fields in (*waits, {"depends_on": (done.id,)}):
            task = await world.task(assignee=assignee)
            change = UpdateTask(task=task.id, **fields, **({"status": status} if status else {}))
            await update_task(world.ports, world.me, change)
            told = await explain_task(world.ports, world.me, task.id)
            claim = ClaimTask(task=task.id)
            entitled = agents["lea"] if assignee is None else agents.get(assignee)
            taken = None
            if entitled is not None:
                with suppress(NotClaimable, OnlyLeadMovesTasks, BoardDenied):
                    taken = await claim_task(world.ports, entitled, claim)

            assert ("nothing blocks it" == told.why) is (taken is not None), (assignee, fields, told)
            assert (TaskState.CLAIMABLE is told.state) is (taken is not None)
            assert told.why
            assert told.next


@pytest.mark.parametrize(
    ("locking", "values"), [(UNFINISHED_OF_NAME, "'x', 1"), (LOCK_TASKS, "'x'")], ids=["deletion", "rename"]
)
def test_the_tasks_of_a_name_are_locked_without_reading_others(fresh_postgres, locking, values):
    """
    PostgreSQL sorts them, rather than reading all tasks in the order of the locks.
    """
    migrate(fresh_postgres)
    given = dict.fromkeys(("organization", "name", "was", "most"))
    settings = "; ".join(f"SET {name} = {value}" for name, value in PLANNER_SETTINGS.items())
    text = locking("postgresql", **given).text
    (plan,) = asked(
        fresh_postgres, f"EXPLAIN EXECUTE locking('', {values})", script=f"{settings}; PREPARE locking AS {text}"
    )

    assert [] == [line for (line,) in plan if "pk_tasks on tasks" in line]
    assert any("Index Scan using ix_tasks_organization" in line for (line,) in plan), plan
