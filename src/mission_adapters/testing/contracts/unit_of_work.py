"""
The contract of the ports `UnitOfWork` and `NumberSequences`.
"""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from attrs import evolve

from mission_adapters.testing.contracts.base import StoreContract
from mission_adapters.testing.world import World
from mission_core.agents.model import AgentNameTaken, AgentNotFound, SessionKeyTaken
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import CreateAgent, RecordAgentHeartbeat, create_agent, record_agent_heartbeat
from mission_core.boards.model import BoardDenied, BoardNotFound, HandleTaken, TicketPrefixTaken
from mission_core.boards.use_cases import CreateBoard, UpdateBoard, create_board, update_board
from mission_core.errors import InvalidField, StaleWrite, VersionMismatch
from mission_core.events.use_cases import verify_log
from mission_core.ids import AgentId, AgentNumber, BoardId, BoardNumber, TaskId, TaskNumber
from mission_core.ports import Ports, UnitOfWork
from mission_core.tasks.events import TaskDeleted
from mission_core.tasks.model import Status, TaskNotFound
from mission_core.tasks.ports import Candidate, TaskChange
from mission_core.tasks.queries import TaskFilter
from mission_core.tasks.runs import Assignee, RunNotFound
from mission_core.tasks.use_cases import DeleteTask, UpdateTask, delete_task, update_task
from mission_core.values import PageRequest


class UnitOfWorkContract(StoreContract):
    """
    The contract of the ports `UnitOfWork` and `NumberSequences`. A subclass provides the fixture `ports` of
    `StoreContract`.
    """

    async def test_a_unit_left_without_commit_writes_nothing(self, world: World) -> None:
        """
        A unit that is left without `commit` writes nothing.
        """
        task = await world.task("before")
        async with world.ports.unit(world.me) as unit:
            unit.tasks.save(evolve(await unit.tasks.get(task.id), title="after"))

        assert "before" == (await world.fresh(task)).title

    async def test_a_unit_left_by_an_exception_writes_nothing(self, world: World) -> None:
        """
        A unit that is left by an exception writes nothing.
        """
        task = await world.task("before")

        async def fail() -> None:
            async with world.ports.unit(world.me) as unit:
                unit.tasks.save(evolve(await unit.tasks.get(task.id), title="after"))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()

        assert "before" == (await world.fresh(task)).title

    async def test_a_second_commit_is_refused(self, world: World) -> None:
        """
        A second `commit` raises `RuntimeError`.
        """
        async with world.ports.unit(world.me) as unit:
            await unit.commit()
            with pytest.raises(RuntimeError):
                await unit.commit()

    async def test_get_returns_the_units_own_writes(self, world: World) -> None:
        """
        `get` returns the unit's own writes, by id and by number; other units do not see them before the commit.
        """
        task = await world.task("before")
        async with world.ports.unit(world.me) as unit:
            saved = unit.tasks.save(evolve(await unit.tasks.get(task.id), title="after"))

            assert saved == await unit.tasks.get(task.id)
            assert saved == await unit.tasks.get(task.number)
            assert "before" == (await world.fresh(task)).title

    async def test_get_returns_a_row_that_the_unit_added(self, world: World, ports: Ports) -> None:
        """
        `get` returns a row that the unit added, by id and by number.
        """
        pattern = await world.task()
        (number,) = await ports.numbers.next((world.me.organization, "task"))
        async with ports.unit(world.me) as unit:
            added = unit.tasks.add(evolve(pattern, id=TaskId(ports.ids.new()), number=TaskNumber(number), version=0))

            assert added == await unit.tasks.get(added.id)
            assert added == await unit.tasks.get(added.number)

    async def test_a_removed_row_is_not_found(self, world: World) -> None:
        """
        A removed row is missing in its own unit at once, and for everybody after the commit.
        """
        task = await world.task()
        async with world.ports.unit(world.me) as unit:
            unit.tasks.remove(await unit.tasks.get(task.id))
            for key in (task.id, task.number):
                with pytest.raises(TaskNotFound):
                    await unit.tasks.get(key)
            await unit.commit()

        with pytest.raises(TaskNotFound):
            await world.fresh(task)

    async def test_a_unit_raises_the_version_of_a_saved_row_by_one(self, world: World) -> None:
        """
        A unit raises the version of a row by one, however often it saves the row.
        """
        task = await world.task()
        async with world.ports.unit(world.me) as unit:
            once = unit.tasks.save(evolve(await unit.tasks.get(task.id), title="one"))
            unit.tasks.save(evolve(once, title="two"))
            await unit.commit()
        fresh = await world.fresh(task)

        assert ("two", task.version + 1) == (fresh.title, fresh.version)

    @pytest.mark.parametrize("what", ["save", "remove", "rely_on", "bump"])
    async def test_a_commit_with_a_concurrently_changed_row_is_refused(self, world: World, what: str) -> None:
        """
        `commit` raises `StaleWrite` and writes nothing if a row was changed since the unit read it, whether the unit
        saves, removes, relies on or bumps the row.
        """
        task, bystander = await world.task("before"), await world.task("bystander")
        async with world.ports.unit(world.me) as unit:
            mine = await unit.tasks.get(task.id)
            await update_task(world.ports, world.me, UpdateTask(task=task.id, title="meanwhile"))
            other = await unit.tasks.get(bystander.id)
            if what == "save":
                unit.tasks.save(evolve(mine, title="mine"))
            elif what == "remove":
                unit.tasks.remove(mine)
            else:
                unit.rely_on(mine, bump=what == "bump")
            unit.tasks.save(evolve(other, title="touched"))
            with pytest.raises(StaleWrite):
                await unit.commit()

        assert "meanwhile" == (await world.fresh(task)).title
        assert bystander == await world.fresh(bystander)

    @pytest.mark.parametrize("what", ["save", "remove", "rely_on", "bump"])
    async def test_a_commit_with_a_concurrently_removed_row_is_refused(self, world: World, what: str) -> None:
        """
        `commit` raises `StaleWrite` if a row was removed since the unit read it.
        """
        task = await world.task()
        async with world.ports.unit(world.me) as unit:
            mine = await unit.tasks.get(task.id)
            await delete_task(world.ports, world.me, DeleteTask(task=task.id))
            if what == "save":
                unit.tasks.save(evolve(mine, title="mine"))
            elif what == "remove":
                unit.tasks.remove(mine)
            else:
                unit.rely_on(mine, bump=what == "bump")
            with pytest.raises(StaleWrite):
                await unit.commit()

    @pytest.mark.parametrize("changed", ["task", "board", None])
    @pytest.mark.parametrize("write", ["add", "save", "merge"])
    async def test_a_refusal_names_the_changed_row_among_those_relied_on(
        self, world: World, write: str, changed: str | None
    ) -> None:
        """
        If a unit writes a row and relies on others, `StaleWrite` names the one that was changed since, and nothing is
        written. A write that merges the edits of others does so only if no row relied on was changed.
        """
        own, task, board = await world.task("own"), await world.task("relied on"), await world.another_board()
        (number,) = await world.ports.numbers.next((world.me.organization, "task"))
        async with world.ports.unit(world.me) as unit:
            mine = await unit.tasks.get(own.id)
            unit.rely_on(await unit.tasks.get(task.id), (await unit.boards.get(board.id)).gates_to_rely_on)
            if write == "add":
                unit.tasks.add(evolve(mine, id=TaskId(world.ports.ids.new()), number=TaskNumber(number)))
            else:
                unit.tasks.save(evolve(mine, status=Status.BACKLOG), onto_edits=write == "merge")
            unit.record(TaskDeleted(task=own.id, number=1, title="x", at=world.clock.now()))
            if changed == "task":
                await update_task(world.ports, world.me, UpdateTask(task=task.id, title="changed"))
            elif changed == "board":
                gates = {"require_approval_for_done": True}
                await update_board(world.ports, world.me, UpdateBoard(board=board.id, gates=gates))
            if write == "merge":
                await update_task(world.ports, world.me, UpdateTask(task=own.id, title="edited"))
            events = await world.event_kinds()
            refused = (await asyncio.gather(unit.commit(), return_exceptions=True))[0]

        expected = {"task": StaleWrite("task", task.id), "board": StaleWrite("board", board.id), None: None}[changed]
        assert (type(expected), str(expected)) == (type(refused), str(refused))
        assert getattr(expected, "id", None) == getattr(refused, "id", None)
        assert [*events, *([] if refused else ["task.deleted"])] == await world.event_kinds()
        fresh = await world.fresh(own)
        assert ("edited" if write == "merge" else "own") == fresh.title
        assert (Status.INBOX if refused or write == "add" else Status.BACKLOG) == fresh.status

    async def test_only_whole_rows_are_bumped(self, world: World) -> None:
        """
        `bump` of a part of a row is refused with TypeError.
        """
        async with world.ports.unit(world.me) as unit:
            board = await unit.boards.get(world.board.id)
            with pytest.raises(TypeError, match="only a whole Board"):
                unit.rely_on(board.gates_to_rely_on, bump=True)

    async def test_rely_on_leaves_the_version_and_bump_raises_it(self, world: World) -> None:
        """
        `rely_on` leaves the version of a row; with `bump` it raises the version by one.
        """
        task = await world.task()
        versions = []
        for bump in (False, True):
            async with world.ports.unit(world.me) as unit:
                unit.rely_on(await unit.tasks.get(task.id), bump=bump)
                await unit.commit()
            versions.append((await world.fresh(task)).version - task.version)

        assert [0, 1] == versions

    @pytest.mark.parametrize("more", [0, 1])
    @pytest.mark.parametrize(
        ("change", "disturbs"),
        [(UpdateAgent(agent="ada", soul="calm"), False), (UpdateAgent(agent="ada", name="eve"), True)],
    )
    async def test_rely_on_with_a_part_conflicts_with_changes_of_that_part_only(
        self, world: World, change: UpdateAgent, disturbs: bool, more: int
    ) -> None:
        """
        `rely_on` with a part of a row, such as an agent's placement, refuses the commit if that part changed, and not
        for other changes of the row. The same holds for several rows.
        """
        agents = [await world.agent(name) for name in ("ada", "bob")]
        async with world.ports.unit(world.me) as unit:
            unit.rely_on(*[(await unit.agents.get(each.id)).placement for each in agents[: 1 + more]])
            await update_agent(world.ports, world.me, change)
            refused = await asyncio.gather(unit.commit(), return_exceptions=True)

        assert disturbs is isinstance(refused[0], StaleWrite)

    @pytest.mark.parametrize("whole_first", [False, True])
    async def test_rely_on_accepts_a_row_and_its_parts_in_any_order(self, world: World, whole_first: bool) -> None:
        """
        A unit can rely on a row and its parts in any order, also if it bumps the row. A part that is older than the row
        raises `StaleWrite`.
        """
        task = await world.task()
        async with world.ports.unit(world.me) as unit:
            whole, part = partial(unit.rely_on, task, bump=True), partial(unit.rely_on, task.work_version)
            for rely in (whole, part) if whole_first else (part, whole):
                rely()
            await unit.commit()
        bumped = await world.fresh(task)
        async with world.ports.unit(world.me) as unit:
            unit.rely_on(task.work_version, bumped)
            with pytest.raises(StaleWrite):
                await unit.commit()

        assert task.version + 1 == bumped.version

    async def test_concurrent_units_that_rely_on_a_row_all_commit(self, world: World) -> None:
        """
        Concurrent units that rely on the same row all commit.
        """
        task = await world.task()

        async def rely() -> None:
            async with world.ports.unit(world.me) as unit:
                unit.rely_on(await unit.tasks.get(task.id))
                await unit.commit()

        await asyncio.gather(*(rely() for _ in range(8)))

        assert task.version == (await world.fresh(task)).version

    async def test_one_of_two_units_that_bump_a_row_is_refused(self, world: World) -> None:
        """
        If two units read the same version of a row and bump it, one raises `StaleWrite`.
        """
        task = await world.task()
        async with world.ports.unit(world.me) as one, world.ports.unit(world.me) as two:
            for unit in (one, two):
                unit.rely_on(await unit.tasks.get(task.id), bump=True)
            answers = await asyncio.gather(one.commit(), two.commit(), return_exceptions=True)

        assert 1 == sum(isinstance(answer, StaleWrite) for answer in answers)

    async def test_units_that_touch_rows_in_opposite_orders_do_not_deadlock(self, world: World) -> None:
        """
        Units that touch the same rows in opposite orders do not deadlock: each commits or raises `StaleWrite`.
        """
        tasks = [await world.task(f"task {i}") for i in range(4)]

        async def touch(i: int) -> None:
            async with world.ports.unit(world.me) as unit:
                order = tasks if i % 2 else tasks[::-1]
                for each in order[:2]:
                    unit.tasks.save(evolve(await unit.tasks.get(each.id), title=f"by {i}"))
                for each in order[2:]:
                    unit.rely_on(await unit.tasks.get(each.id), bump=i % 3 == 0)
                await unit.commit()

        answers = await asyncio.wait_for(asyncio.gather(*map(touch, range(12)), return_exceptions=True), 30)

        assert {None, StaleWrite} >= {type(answer) if answer else None for answer in answers}
        assert None in answers

    async def test_a_taken_handle_or_ticket_prefix_is_refused(self, world: World) -> None:
        """
        If units add boards with the same handle or ticket prefix, the first one commits; the others raise `HandleTaken`
        or `TicketPrefixTaken`.
        """

        async def unit_with(handle: str, ticket_prefix: str) -> UnitOfWork:
            (number,) = await world.ports.numbers.next((world.me.organization, "board"))
            unit = world.ports.unit(world.me)
            new = evolve(world.board, id=BoardId(world.ports.ids.new()), number=BoardNumber(number), version=0)
            unit.boards.add(evolve(new, handle=handle, ticket_prefix=ticket_prefix))
            return unit

        one, two, three = await unit_with("h", "P"), await unit_with("h", "Q"), await unit_with("i", "P")
        await one.commit()
        with pytest.raises(HandleTaken):
            await two.commit()
        with pytest.raises(TicketPrefixTaken):
            await three.commit()

    async def test_a_commit_refused_for_a_taken_name_writes_nothing(self, world: World) -> None:
        """
        A commit that is refused for a taken name writes no row and records no event.
        """
        ada, task, events = await world.agent("ada"), await world.task("before"), await world.event_kinds()
        board_number, agent_number = await world.ports.numbers.next(
            (world.me.organization, "board"), (world.me.organization, "agent")
        )
        new = world.ports.ids.new
        async with world.ports.unit(world.me) as unit:
            unit.record(TaskDeleted(task=task.id, number=1, title="x", at=world.clock.now()))
            unit.tasks.save(evolve(await unit.tasks.get(task.id), title="after"))
            board = evolve(world.board, id=BoardId(new()), number=BoardNumber(board_number), version=0)
            unit.boards.add(evolve(board, handle="h", ticket_prefix="P"))
            unit.agents.add(evolve(ada, id=AgentId(new()), number=AgentNumber(agent_number), name="ADA", version=0))
            with pytest.raises(AgentNameTaken):
                await unit.commit()
        async with world.ports.unit(world.me) as unit:
            assert await unit.boards.find_handle("h") is None
            assert ada == await unit.agents.find("ada")

        assert (task, events) == (await world.fresh(task), await world.event_kinds())

    async def test_a_commit_with_an_event_that_cannot_be_stored_writes_nothing(self, world: World) -> None:
        """
        A commit with an event that cannot be stored raises `InvalidField`, writes no row and records no event.
        """
        task, head = await world.task("before"), await world.ports.log.head(world.me.organization)
        async with world.ports.unit(world.me) as unit:
            for title in ("fine", "\ud800"):
                unit.record(TaskDeleted(task=task.id, number=1, title=title, at=world.clock.now()))
            unit.tasks.save(evolve(await unit.tasks.get(task.id), title="after"))
            with pytest.raises(InvalidField):
                await unit.commit()

        assert task == await world.fresh(task)
        assert head == await world.ports.log.head(world.me.organization)
        assert head == await verify_log(world.ports.log, world.me.organization)

    async def test_a_refused_commit_undoes_the_claim_of_its_unit(self, world: World) -> None:
        """
        A refused commit undoes the claim of its unit, so the next claim receives the task.
        """
        task, other, events = await world.task("claimed"), await world.task("other"), await world.event_kinds()

        def decide(candidate: Candidate) -> TaskChange:
            return TaskChange(task=evolve(candidate.task, status=Status.BACKLOG, priority="critical"))

        async with world.ports.unit(world.me) as unit:
            unit.tasks.claim(task.id, decide)
            unit.rely_on(evolve(other, version=9))
            with pytest.raises(StaleWrite):
                await unit.commit()

        assert events == await world.event_kinds()
        assert task == await world.fresh(task)
        assert task.id == (await world.claimed()).task.id

    async def test_derived_handles_and_prefixes_of_concurrent_boards_are_unique(self, world: World) -> None:
        """
        A given handle or prefix that is taken is refused; a derived one is made unique.
        """
        with pytest.raises(HandleTaken):
            await create_board(world.ports, world.me, CreateBoard(name="Again", handle=world.board.handle))
        with pytest.raises(TicketPrefixTaken):
            await create_board(
                world.ports, world.me, CreateBoard(name="Again", ticket_prefix=world.board.ticket_prefix)
            )
        made = await create_board(world.ports, world.me, CreateBoard(name=world.board.name))

        assert made.handle != world.board.handle
        assert made.ticket_prefix != world.board.ticket_prefix

    async def test_an_update_to_a_taken_ticket_prefix_is_refused(self, world: World) -> None:
        """
        An update to a taken ticket prefix raises `TicketPrefixTaken`.
        """
        other = await world.another_board()
        with pytest.raises(TicketPrefixTaken):
            await update_board(
                world.ports, world.me, UpdateBoard(board=other.id, ticket_prefix=world.board.ticket_prefix)
            )

    async def test_agent_names_are_unique_without_regard_to_case(self, world: World) -> None:
        """
        Agent names are unique without regard to case and Unicode normalization, also for concurrent creations.
        """
        names = ["Größe", "GRÖSSE", "gro\u0308ße", "grösse"]
        made = [create_agent(world.ports, world.me, CreateAgent(name=name)) for name in names]
        answers = await asyncio.gather(*made, return_exceptions=True)

        assert 1 == sum(not isinstance(answer, Exception) for answer in answers)
        assert 3 == sum(isinstance(answer, AgentNameTaken) for answer in answers)

    async def test_session_keys_are_unique(self, world: World) -> None:
        """
        A second agent with the same session key raises `SessionKeyTaken`.
        """
        await world.agent("ada", session_key="agent:ada:main")
        with pytest.raises(SessionKeyTaken):
            await world.agent("bob", session_key="agent:ada:main")

    async def test_names_are_unique_within_an_organization_only(self, world: World, elsewhere: World) -> None:
        """
        Names, session keys, handles and numbers are unique within an organization only.
        """
        await world.agent("ada", session_key="s")
        await elsewhere.agent("ada", session_key="s")

        assert world.board.handle == elsewhere.board.handle
        assert world.board.number == elsewhere.board.number

    async def test_a_row_of_another_organization_is_not_found(self, world: World, elsewhere: World) -> None:
        """
        A row of another organization is not found by id or number, in any repository or read.
        """
        task, agent = await world.task(), await world.agent()
        claimed = await world.claimed(task)
        ports, me = elsewhere.ports, elsewhere.me
        async with ports.unit(me) as unit:
            for refusal, asked in [
                (TaskNotFound, unit.tasks.get(task.id)),
                (TaskNotFound, unit.tasks.get(task.number)),
                (RunNotFound, unit.runs.get(claimed.run.id)),
                (AgentNotFound, unit.agents.get(agent.id)),
                (BoardNotFound, unit.boards.get(world.board.id)),
                (TaskNotFound, ports.reads.tasks.get(me, task.id)),
                (TaskNotFound, ports.reads.tasks.runs(me, task.id)),
                (TaskNotFound, ports.reads.tasks.explanation_input(me, task.id)),
                (AgentNotFound, ports.reads.agents.get(me, agent.id)),
                (AgentNotFound, ports.reads.agents.get(me, "ada")),
                (BoardNotFound, ports.reads.boards.get(me, world.board.id)),
                (BoardNotFound, ports.reads.boards.check(me, world.board.id)),
            ]:
                with pytest.raises(refusal):
                    await asked

            assert [] == await unit.tasks.dependency_closure((task.id,))
            assert await unit.agents.find("ada") is None
        assert ([], 0) == await ports.reads.tasks.page(me, TaskFilter(), PageRequest())
        assert await elsewhere.claim() is None

    async def test_an_agent_of_one_board_is_denied_rows_of_other_boards(self, world: World) -> None:
        """
        For an agent of one board, rows of other boards raise `BoardDenied`, and lists leave them out.
        """
        mine, other = await world.another_board("Mine"), await world.another_board("Theirs")
        here, there = await world.task(board=mine.id), await world.task(board=other.id)
        stranger = await world.agent("stranger", board=other.id)
        claimed = await world.claimed(there, agent="stranger")
        me, ports = await world.principal("ada", board=mine.id), world.ports
        async with ports.unit(me) as unit:
            for asked in [
                unit.tasks.get(there.id),
                unit.tasks.get(there.number),
                unit.runs.get(claimed.run.id),
                unit.boards.get(other.id),
                unit.boards.get(other.number),
                unit.agents.get(stranger.id),
                ports.reads.tasks.get(me, there.id),
                ports.reads.tasks.runs(me, there.id),
                ports.reads.tasks.explanation_input(me, there.number),
                ports.reads.boards.get(me, other.id),
                ports.reads.agents.get(me, "stranger"),
            ]:
                with pytest.raises(BoardDenied):
                    await asked

            assert here == await unit.tasks.get(here.id)
            assert mine == await unit.boards.get(mine.number)
            assert mine == await unit.boards.first_active()
            assert await unit.boards.find_handle(other.handle) is None
        rows, total = await ports.reads.tasks.page(me, TaskFilter(), PageRequest())
        assert ([here.id.bytes], 1) == ([row.id for row in rows], total)

    async def test_an_update_stores_none_and_leaves_fields_that_are_not_given(self, world: World) -> None:
        """
        An update stores None in a field that is given as None, and leaves fields that are not given.
        """
        task = await world.task("Ship it", description="soon", priority="high", estimated_hours=2.5)
        named = await update_task(world.ports, world.me, UpdateTask(task=task.id, description=None))
        kept = await world.fresh(task)

        assert named == kept
        assert (None, "high", 2.5, "Ship it") == (kept.description, kept.priority, kept.estimated_hours, kept.title)

    async def test_an_update_that_changes_nothing_writes_nothing(self, world: World) -> None:
        """
        An update without a change raises no version and records no event.
        """
        task = await world.task("same")
        events = await world.event_kinds()
        same = await update_task(world.ports, world.me, UpdateTask(task=task.id, title="same"))

        assert task == same
        assert events == await world.event_kinds()

    async def test_an_update_with_another_expected_version_is_refused(self, world: World) -> None:
        """
        An update that expects another version than the current one raises `VersionMismatch`.
        """
        task = await world.task()
        await update_task(world.ports, world.me, UpdateTask(task=task.id, title="meanwhile"))
        with pytest.raises(VersionMismatch):
            await update_task(world.ports, world.me, UpdateTask(task=task.id, title="mine", expects=task.version))

    async def test_a_heartbeat_raises_no_version_and_a_save_keeps_its_presence(self, world: World) -> None:
        """
        An agent's heartbeat raises no version. Saving an agent keeps the presence of a heartbeat that came after the
        agent was read.
        """
        agent = await world.agent()
        world.clock.advance(seconds=1)
        async with world.ports.unit(world.me) as unit:
            mine = await unit.agents.get(agent.id)
            heard = await record_agent_heartbeat(
                world.ports, world.me, RecordAgentHeartbeat(agent="ADA", status="busy", activity="thinking")
            )
            unit.agents.save(evolve(mine, soul="kind"))
            await unit.commit()
        async with world.ports.unit(world.me) as unit:
            fresh = await unit.agents.get(agent.id)

        assert heard.presence == fresh.presence
        assert ("kind", agent.version + 1) == (fresh.soul, fresh.version)
        assert agent.version == heard.version

    async def test_a_presence_with_an_earlier_time_changes_nothing(self, world: World) -> None:
        """
        A presence with an earlier time than the stored one changes nothing.
        """
        agent = await world.agent()
        early = world.clock.advance(seconds=1)
        late = world.clock.advance(seconds=1)
        for at, status in ((late, "late"), (early, "early")):
            async with world.ports.unit(world.me) as unit:
                unit.agents.save_presence((await unit.agents.get(agent.id)).after_heartbeat(at=at, status=status)[0])
                await unit.commit()
        async with world.ports.unit(world.me) as unit:
            presence = (await unit.agents.get(agent.id)).presence

        assert ("late", late) == (presence.reported, presence.last_seen_at)

    async def test_an_assignee_is_linked_to_the_agent_of_that_name(self, world: World) -> None:
        """
        An assignee is linked to the agent of that name without regard to case, also if the agent is created later; the
        task's version stays.
        """
        task = await world.task(assignee="Ada")
        before = await world.fresh(task)
        agent = await world.agent("ADA")
        after = await world.fresh(task)

        assert [Assignee("Ada"), Assignee("Ada", agent.id)] == [before.assignee, after.assignee]
        assert task.version == after.version

    async def test_concurrently_drawn_numbers_have_no_gaps(self, world: World) -> None:
        """
        Concurrent calls of `NumberSequences.next` receive different numbers without gaps.
        """
        organization = world.me.organization
        drawn = await asyncio.gather(
            *(world.ports.numbers.next((organization, "thing"), (world.board.id, "ticket")) for _ in range(24))
        )
        things, tickets = zip(*drawn, strict=True)

        assert list(range(1, 25)) == sorted(things)
        assert list(range(1, 25)) == sorted(tickets)

    async def test_numbers_of_a_deleted_task_are_not_used_again(self, world: World) -> None:
        """
        The numbers of a deleted task are not used again.
        """
        first = await world.task()
        await delete_task(world.ports, world.me, DeleteTask(task=first.id))
        second = await world.task()

        assert first.ticket is not None
        assert (first.number + 1, first.ticket + 1) == (second.number, second.ticket)
