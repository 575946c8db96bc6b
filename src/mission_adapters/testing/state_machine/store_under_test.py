"""
A store and its reference model, which receive the same steps. The answers of the store are converted to the form of the
model's, so that they can be compared.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import permutations
from typing import Any, cast
from uuid import UUID, uuid4

from attrs import asdict, define, evolve, field, frozen

from mission_adapters.testing.clocks import ManualClock
from mission_adapters.testing.ids import CountingIds
from mission_adapters.testing.state_machine.checked_stores import CheckedStore
from mission_adapters.testing.state_machine.reference_model import NOBODY, WHO, Answer, ReferenceModel, Row
from mission_core.accounts.model import AgentPrincipal, Principal, Role, SystemPrincipal, identity_of
from mission_core.accounts.organizations import Organization
from mission_core.agents.use_cases import CreateAgent, create_agent
from mission_core.boards.model import Board, GateSet
from mission_core.boards.use_cases import CreateBoard, UpdateBoard, create_board, update_board
from mission_core.errors import Refusal
from mission_core.events.model import ChainHead, Entry, verify_chain
from mission_core.ids import AgentId, BoardId, OrderId, OrganizationId, RunId, TaskId, TaskNumber
from mission_core.ports import IdempotencyKey, Ports, UnitOfWork, UnitOfWorkFactory
from mission_core.tasks.explanations import Explanation, explain_task
from mission_core.tasks.heartbeats import Heartbeat, HeartbeatResult, heartbeat
from mission_core.tasks.late_results import DUPLICATE_NOTE, KEPT_NOTE
from mission_core.tasks.leases import (
    ClaimNext,
    ClaimResult,
    ClaimTask,
    CompleteTask,
    FailTask,
    ReleaseTask,
    claim_next,
    claim_task,
    complete_task,
    expire_leases,
    fail_task,
    release_task,
)
from mission_core.tasks.model import Status, Task
from mission_core.tasks.operator_orders import GiveOrder, give_order
from mission_core.tasks.queries import ExplanationInput, RunRow, TaskFilter, TaskRow
from mission_core.tasks.queue_polls import PollQueue, PollResult, RenewImplicitLeases, poll_queue, renew_implicit_leases
from mission_core.tasks.runs import (
    FAILURE_BY_CODE,
    Failure,
    ImplicitHolder,
    LeaseTerms,
    Order,
    OrderKind,
    Outcome,
    Run,
    TaskResult,
)
from mission_core.tasks.use_cases import (
    CreateTask,
    DeleteTask,
    UpdateMode,
    UpdateTask,
    create_task,
    delete_task,
    update_task,
)
from mission_core.values import PageRequest, micros, moment

COUNTED = (1 << 62) - 1
GATES = {
    "open": {"approval": False, "review": False, "comment": False, "leads": False},
    "gated": {"approval": True, "review": False, "comment": False, "leads": False},
    "strict": {"approval": False, "review": True, "comment": True, "leads": True},
}
"""The boards of the organization, and their gates."""

WHY = {
    "holds a lease": "leased",
    "its status is": "status",
    "it depends on": "blocked",
    "it is delayed until": "resting",
    "it is assigned to": "assigned",
}


Ending = tuple[list[Answer], ReferenceModel]


ANSWERS = ("Task", "Board", "ClaimResult", "PollResult", "HeartbeatResult", "int", "None")
"""The kinds of answers that are no errors."""


@frozen
class Step:
    """
    A step for every store and its model, in the form of the model. New ids count from *ids* on.
    """

    name: str
    who: str
    facts: dict[str, Any]
    ids: int


@define
class RetriedIds:
    """
    Counting ids that start again when a use case is repeated, because the ids of a failed commit were not stored.
    """

    start: int
    counting: CountingIds = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.again()

    def again(self) -> None:
        self.counting = CountingIds(self.start)

    def new(self) -> UUID:
        return self.counting.new()


@define
class CommitBarrier:
    """
    A barrier for racing units: no unit commits for the first time before all have read, and then they commit in
    *order*.
    """

    order: Sequence[int]
    arrived: set[int] = field(factory=set)
    opened: asyncio.Event = field(factory=asyncio.Event)

    def come(self, who: int) -> None:
        """
        Note that a unit reached its commit, or ended without one.
        """
        self.arrived.add(who)
        if len(self.arrived) == len(self.order):
            self.opened.set()

    async def pass_through(self, who: int) -> None:
        """
        Wait for all other units, and for those that commit first.
        """
        if who not in self.arrived:
            self.come(who)
            await self.opened.wait()
            for _ in range(self.order.index(who)):
                await asyncio.sleep(0)


class WaitingUnit:
    """
    A unit whose first commit waits at the barrier.
    """

    def __init__(self, unit: UnitOfWork, ids: RetriedIds, through: Callable[[], Awaitable[None]]) -> None:
        self.unit, self.ids, self.through = unit, ids, through

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unit, name)

    async def commit(self) -> Any:
        await self.through()
        self.ids.again()
        return await self.unit.commit()

    async def __aenter__(self) -> WaitingUnit:
        await self.unit.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.unit.__aexit__(*exc)


@define
class StoreUnderTest:
    """
    A store with a new organization, a clock, and the model that the store must agree with.
    """

    store: CheckedStore
    ports: Ports
    clock: ManualClock
    boards: dict[str, BoardId]
    principals: dict[str, Principal]
    model: ReferenceModel
    chain: ChainHead
    seen: int = 0
    told: dict[int, tuple[int, str]] = field(factory=dict)
    last: dict[str, Any] = field(factory=dict)
    completed: set[tuple[int, int]] = field(factory=set)

    @property
    def boss(self) -> Principal:
        """
        The principal with all rights.
        """
        return self.principals["boss"]

    @property
    def organization(self) -> OrganizationId:
        """
        The organization of the example.
        """
        return self.boss.organization

    @classmethod
    async def found(cls, store: CheckedStore, *, ids: int) -> StoreUnderTest:
        """
        Create an organization with boards and agents in the store.
        """
        clock = ManualClock()
        ports = evolve(store.ports, clock=clock, ids=CountingIds(ids))
        organization = await ports.credentials.create_organization(
            Organization(
                id=OrganizationId(ports.ids.new()), number=ids, slug=f"machine-{uuid4().hex}", name="Machine",
                gateway=ports.ids.new(), created_at=clock.now(),
                updated_at=clock.now(),
            )
        )  # fmt: skip
        boss = SystemPrincipal(organization=organization.id, name="boss")
        principals: dict[str, Principal] = {
            "boss": boss,
            "clerk": evolve(boss, name="clerk", role=Role.OPERATOR),
            "guest": evolve(boss, name="guest", role=Role.VIEWER),
        }
        boards: dict[str, BoardId] = {}
        models: dict[str, Row] = {}
        for each, gates in GATES.items():
            board = await create_board(ports, boss, CreateBoard(name=each, gates=gate_set(gates)))
            boards[each] = board.id
            models[each] = {"id": counted(board.id), "version": 0, **gates}
        for each, own in WHO.items():
            if own["agent"] is not None:
                on = boards.get(own["board"])
                made = await create_agent(ports, boss, CreateAgent(name=each, board=on, lead=own["part"] == "lead"))
                agent = made.agent
                principals[each] = AgentPrincipal(
                    organization=organization.id, agent=agent.id, name=agent.name, board=agent.board, lead=agent.lead
                )
        model = ReferenceModel(now=micros(clock.now()), boards=models)
        chain = await ports.log.head(organization.id)
        return cls(store, ports, clock, boards, principals, model, chain)

    def advance(self, micros: int) -> None:
        """
        Advance the clocks of the store and its model.
        """
        self.clock.advance(microseconds=micros)
        self.model.now += micros

    async def ask(self, op: Step) -> Answer:
        """
        Perform the step, and return the store's answer.
        """
        return await self._answer(op, evolve(self.ports, ids=CountingIds(op.ids)))

    async def _answer(self, op: Step, ports: Ports) -> Answer:
        try:
            answer = await getattr(self, f"_{op.name}")(ports, self.principals[op.who], **op.facts)
        except Refusal as refusal:
            return type(refusal).__name__, facts_of(refusal)
        return self.plain(answer)

    async def race(self, ops: Sequence[Step], order: Sequence[int]) -> list[Answer]:
        """
        Perform the steps concurrently, each with its reads before the first commit, and return the answers.
        """
        barrier = CommitBarrier(order)

        async def run(who: int, op: Step) -> Answer:
            ids = RetriedIds(op.ids)
            ports = evolve(
                self.ports, ids=ids, unit=wait_before_commit(self.ports.unit, ids, partial(barrier.pass_through, who))
            )
            try:
                return await self._answer(op, ports)
            finally:
                barrier.come(who)

        return list(await asyncio.gather(*(run(who, op) for who, op in enumerate(ops))))

    def serial(self, ops: Sequence[Step]) -> list[Ending]:
        """
        The answers and the resulting model of every serial order of the steps.

        In a store that skips locked rows, a sweep may also pass over the tasks of the other steps.
        """
        outcomes: list[Ending] = []
        if self.store.skips_locked_rows and any(op.name == "sweep" for op in ops):
            others = tuple({op.facts["task"] for op in ops if "task" in op.facts})
            passing = [evolve(op, facts={"passes_over": others}) if op.name == "sweep" else op for op in ops]
            outcomes += self._in_every_order(passing)
        return outcomes + self._in_every_order(ops)

    def _in_every_order(self, ops: Sequence[Step]) -> list[Ending]:
        outcomes: list[Ending] = []
        for order in permutations(range(len(ops))):
            world = self.model.copy()
            answers: dict[int, Answer] = {}
            for each in order:
                op = ops[each]
                answers[each] = world.answer(op.name, op.who, op.facts, ids=op.ids)
            outcomes.append(([answers[each] for each in range(len(ops))], world))
        return outcomes

    def told_as(self, answers: Sequence[Answer]) -> list[Answer]:
        """
        The comparable part of the answers to a race. If other units can commit between two reads of a use case, the
        fields of an error may describe a state in between, so only the fact of the error is compared.
        """
        if self.store.sees_one_state:
            return list(answers)
        return [answer if answer[0] in ANSWERS else ("refused", {}) for answer in answers]

    # How the words of the model are said to the core.

    def _task(self, number: int, by_id: bool = False) -> TaskId | TaskNumber:
        if by_id:
            return TaskId(uncounted(self.model.born.get(number, NOBODY + number)))
        return TaskNumber(number)

    def _lease(self, run: int) -> str:
        known = self.model.runs.get(run)
        if run == 0:
            return "no lease at all"
        return self.ports.secrets.lease(RunId(uncounted(run)), known["fence"] if known else 1)

    def _on(self, facts: dict[str, Any]) -> dict[str, Any]:
        on = facts.get("on")
        return {"on": self.boards[on] if on else None, "expects": facts.get("expects")}

    def _teammate(self, name: str | None) -> AgentId | str | None:
        """
        The assignee of an update in team mode: the id of a registered agent, or else the name.
        """
        known = {who.casefold(): each for who, each in self.principals.items() if isinstance(each, AgentPrincipal)}
        agent = known.get((name or "").casefold())
        return agent.agent if agent else name

    async def _create(self, ports: Ports, principal: Principal, **facts: Any) -> Task:
        by_id = facts.pop("by_id", False)
        for name in ("due_at", "not_before"):
            if name in facts:
                facts[name] = moment(facts[name])
        named = tuple(self._task(each, by_id) for each in facts.pop("depends_on", ()))
        status = Status(facts.pop("status", "inbox"))
        board = self.boards[facts.pop("board")]
        if facts.pop("team", False):
            facts["assignee"] = self._teammate(facts.get("assignee"))
        command = CreateTask(board=board, depends_on=named, status=status, **facts)
        return await create_task(ports, principal, command)

    async def _edit(self, ports: Ports, principal: Principal, **facts: Any) -> Task:
        changes = dict(facts["changes"])
        by_id = facts.get("by_id", False)
        for name in ("due_at", "not_before"):
            if changes.get(name) is not None:
                changes[name] = moment(changes[name])
        if "status" in changes:
            changes["status"] = Status(changes["status"])
        if "board" in changes:
            changes["board"] = self.boards[changes["board"]]
        if "depends_on" in changes:
            changes["depends_on"] = tuple(self._task(each, by_id) for each in changes["depends_on"])
        if facts.get("team") and "assignee" in changes:
            changes["assignee"] = self._teammate(changes["assignee"])
        command = UpdateTask(
            task=self._task(facts["task"], by_id),
            mode=UpdateMode.TEAM if facts.get("team") else UpdateMode.PLAIN,
            comment=facts.get("comment"),
            own=facts.get("own", False),
            agent=facts.get("agent"),
            instance=facts.get("instance"),
            **self._on(facts),
            **changes,
        )
        return await update_task(ports, principal, command)

    async def _delete(self, ports: Ports, principal: Principal, **facts: Any) -> Task:
        command = DeleteTask(task=self._task(facts["task"]), own=facts.get("own", False), **self._on(facts))
        return await delete_task(ports, principal, command)

    async def _gates(self, ports: Ports, principal: Principal, **facts: Any) -> Board:
        gates = asdict(gate_set(facts))
        command = UpdateBoard(board=self.boards[facts["board"]], gates=gates)
        return await update_board(ports, principal, command)

    async def _claim_next(self, ports: Ports, principal: Principal, **facts: Any) -> ClaimResult | None:
        board = facts.get("board")
        command = ClaimNext(agent=facts["agent"], board=self.boards[board] if board else None, terms=terms_of(facts))
        return await claim_next(ports, principal, command)

    async def _claim(self, ports: Ports, principal: Principal, **facts: Any) -> ClaimResult:
        command = ClaimTask(
            task=self._task(facts["task"]), agent=facts["agent"], terms=terms_of(facts), **self._on(facts)
        )
        return await claim_task(ports, principal, command)

    async def _poll(self, ports: Ports, principal: Principal, **facts: Any) -> PollResult:
        return await poll_queue(ports, principal, PollQueue(**facts))

    async def _renew(self, ports: Ports, principal: Principal, **facts: Any) -> int:
        return await renew_implicit_leases(ports, principal, RenewImplicitLeases(**facts))

    async def _sweep(self, ports: Ports, principal: Principal) -> int:
        return await expire_leases(ports, principal)

    async def _heartbeat(self, ports: Ports, principal: Principal, **facts: Any) -> HeartbeatResult:
        acknowledged = facts.get("acknowledges")
        command = Heartbeat(
            task=self._task(facts["task"]),
            lease=self._lease(facts["lease"]),
            progress=facts.get("progress"),
            acknowledges=OrderId(uncounted(acknowledged)) if acknowledged else None,
            waiting_for=facts.get("waiting_for"),
            wait=timedelta(microseconds=facts.get("wait", 86_400_000_000)),
            **self._on(facts),
        )
        return await heartbeat(ports, principal, command)

    async def _complete(self, ports: Ports, principal: Principal, **facts: Any) -> Task:
        outcome = Outcome(
            result=TaskResult(facts.get("result", "success")),
            resolution=facts.get("resolution"),
            output=facts.get("output"),
        )
        command = CompleteTask(
            task=self._task(facts["task"]), lease=self._lease(facts["lease"]), outcome=outcome, **self._on(facts)
        )
        return await complete_task(ports, principal, command)

    async def _fail(self, ports: Ports, principal: Principal, **facts: Any) -> Task:
        failure = Failure(reason=FAILURE_BY_CODE[facts["reason"]], message=facts.get("message"))
        command = FailTask(
            task=self._task(facts["task"]), lease=self._lease(facts["lease"]), failure=failure, **self._on(facts)
        )
        return await fail_task(ports, principal, command)

    async def _release(self, ports: Ports, principal: Principal, **facts: Any) -> Task:
        command = ReleaseTask(
            task=self._task(facts["task"]), lease=self._lease(facts["lease"]), note=facts.get("note"), **self._on(facts)
        )
        return await release_task(ports, principal, command)

    async def _order(self, ports: Ports, principal: Principal, **facts: Any) -> Task:
        command = GiveOrder(
            task=self._task(facts["task"]),
            kind=OrderKind(facts["kind"]),
            message=facts.get("message"),
            to=facts.get("to"),
            **self._on(facts),
        )
        return await give_order(ports, principal, command)

    # How the core's answers are said in the words of the model.

    def plain(self, answer: object) -> Answer:
        """
        The answer as its kind and its fields.
        """
        if isinstance(answer, Task):
            return "Task", self._task_facts(answer)
        if isinstance(answer, Board):
            gates = answer.gates
            return "Board", {
                "id": counted(answer.id),
                "version": answer.version,
                "approval": gates.require_approval_for_done,
                "review": gates.require_review_before_done,
                "comment": gates.comment_required_for_review,
                "leads": gates.only_lead_can_change_status,
            }
        if isinstance(answer, ClaimResult):
            assert self._shows(answer.run, answer.lease), "a claim must tell the lease of its own run"
            return "ClaimResult", {"task": self._task_facts(answer.task), "run": self._run_facts(answer.run)}
        if isinstance(answer, HeartbeatResult):
            order = answer.order and order_facts(answer.order)
            facts = {"run": self._run_facts(answer.run), "order": order, "instruction": answer.instruction}
            return "HeartbeatResult", facts
        if isinstance(answer, PollResult):
            task = counted(answer.task) if answer.task else None
            return "PollResult", {"reason": answer.reason.value, "task": task}
        if isinstance(answer, int):
            return "int", {"value": answer}
        assert answer is None
        return "None", {}

    def _run_facts(self, run: Run) -> Row:
        holder = None
        if isinstance(run.holder, ImplicitHolder):
            who = {identity_of(principal): name for name, principal in self.principals.items()}
            holder = who[run.holder.principal], run.holder.name, run.holder.instance
        return {"board": self._board_name(run.board), "holder": holder, **run_facts(run)}

    def _shows(self, run: Run, lease: str) -> bool:
        return self.ports.secrets.run_of_lease(lease) == run.id and lease == self.ports.secrets.lease(run.id, run.fence)

    def _named(self, agent: AgentId | None) -> str | None:
        """
        The name of the agent.
        """
        agents = (each for each in self.principals.values() if isinstance(each, AgentPrincipal))
        return next((each.name for each in agents if each.agent == agent), None)

    def _board_name(self, board: UUID) -> str:
        return next(name for name, id in self.boards.items() if id == board)

    def _task_facts(self, task: Task) -> Row:
        return {
            "id": counted(task.id),
            "board": self._board_name(task.board),
            "assignee": task.assignee.name if task.assignee else None,
            "run": counted(task.run) if task.run else None,
            "submitter": self._named(task.submitter),
            "depends_on": tuple(map(counted, task.depends_on)),
            "status": task.status.value,
            "result": task.result.value if task.result else None,
            **{name: getattr(task, name) for name in AS_IT_IS},
            **{name: when(getattr(task, name)) for name in MOMENTS},
        }

    # What can be seen of the store.

    async def look(self) -> dict[str, Any]:
        """
        Read every task, its runs and its explanation, and the new entries of the log.
        """
        listed = await self.ports.reads.tasks.page(self.boss, TaskFilter(), PageRequest(limit=200))
        assert listed.total == len(listed.rows)
        tasks = {counted(UUID(bytes=row.id)): row for row in listed.rows}
        runs: dict[int, list[RunRow]] = {}
        explained: dict[int, Explanation] = {}
        readings: dict[int, ExplanationInput] = {}
        for id in tasks:
            runs[id] = await self.ports.reads.tasks.runs(self.boss, TaskId(uncounted(id)))
            explained[id] = await explain_task(self.ports, self.boss, TaskId(uncounted(id)))
            if any(row.state in ("leased", "suspended") for row in runs[id]):
                readings[id] = await self.ports.reads.tasks.explanation_input(self.boss, TaskId(uncounted(id)))
        entries = await self.ports.log.read(self.organization, after=self.chain.position, limit=500)
        now = micros(self.clock.now())
        return {
            "at": now, "tasks": tasks, "runs": runs, "readings": readings, "explained": explained, "log": entries
        }  # fmt: skip

    async def follow(self, entries: Sequence[Entry]) -> None:
        """
        Check that the entries continue the log without gaps, and that their hash chain verifies.
        """
        positions = [entry.position for entry in entries]
        assert positions == list(range(self.chain.position + 1, self.chain.position + 1 + len(entries)))
        chain = verify_chain(entries, self.chain)
        assert isinstance(chain, ChainHead), chain
        assert chain == await self.ports.log.head(self.organization)
        self.chain = chain

    def shown(self, view: dict[str, Any]) -> dict[str, Any]:
        """
        The view in the form of the model.
        """
        return {
            "tasks": {id: self._row_facts(row) for id, row in view["tasks"].items()},
            "runs": {id: [row_facts(row) for row in rows] for id, rows in view["runs"].items()},
            "live": {
                id: (
                    self._task_facts(reading.task),
                    reading.run and self._run_facts(reading.run),
                    tuple(counted(each.id) for each in reading.blocked_by),
                )
                for id, reading in view["readings"].items()
            },
            "explained": {id: (each.state.value, micros(each.since)) for id, each in view["explained"].items()},
            "log": [(entry.kind, counted(entry.subject), entry.actor.name) for entry in view["log"]],
        }

    def expected(self, model: ReferenceModel) -> dict[str, Any]:
        """
        The view that the model expects.
        """
        runs: dict[int, list[Row]] = {id: [] for id in model.tasks}
        for run in sorted(model.runs.values(), key=lambda run: -run["fence"]):
            if run["task"] in runs:
                runs[run["task"]].append({name: run[name] for name in RUN_FIELDS})
        return {
            "tasks": {
                id: {k: v for k, v in task.items() if k not in ("run", "submitter")} | {"open": model.open_of(task)}
                for id, task in model.tasks.items()
            },
            "runs": runs,
            "live": {
                id: (task, model.runs[task["run"]], model.open_of(task))
                for id, task in model.tasks.items()
                if task["run"] is not None
            },
            "explained": {id: model.stands(task) for id, task in model.tasks.items()},
            "log": model.log[self.seen :],
        }

    def _row_facts(self, row: TaskRow) -> Row:
        ids = row.depends_on
        return {
            "id": counted(UUID(bytes=row.id)),
            "board": self._board_name(UUID(bytes=row.board)),
            "depends_on": tuple(counted(UUID(bytes=ids[i : i + 16])) for i in range(0, len(ids), 16)),
            "open": tuple(counted(UUID(bytes=each.id)) for each in self._in_order(row) if not each.done),
            **{name: getattr(row, name) for name in ("assignee", "status", "result", *AS_IT_IS, *MOMENTS)},
            "recorded": bool(row.recorded),
        }

    def _in_order(self, row: TaskRow) -> list[Any]:
        ids = [row.depends_on[i : i + 16] for i in range(0, len(row.depends_on), 16)]
        assert {each.id for each in row.dependencies} == set(ids)
        return sorted(row.dependencies, key=lambda each: ids.index(each.id))


AS_IT_IS = (
    "number", "ticket", "title", "priority", "error_message", "resolution", "output", "hand_over", "recorded",
    "fence", "attempts", "max_attempts", "version",
)  # fmt: skip
MOMENTS = ("due_at", "not_before", "created_at", "updated_at", "moved_at", "started_at", "completed_at")
RUN_FIELDS = (
    "id", "task", "fence", "attempt", "by", "state", "claimed_at", "expires_at", "heartbeat_at", "progress",
    "paused", "waiting_for", "resumes_at", "ended_at", "result", "resolution", "output", "failure", "message", "note",
)  # fmt: skip


def counted(id: UUID) -> int:
    """
    The number of a counting id.
    """
    return id.int & COUNTED


def uncounted(number: int) -> UUID:
    """
    The counting id of a number.
    """
    return CountingIds(number).new()


def when(at: datetime | None) -> int | None:
    """
    The time in microseconds, or None.
    """
    return None if at is None else micros(at)


def gate_set(gates: dict[str, Any]) -> GateSet:
    """
    The gates of a board in the form of the core.
    """
    return GateSet(
        require_approval_for_done=gates["approval"],
        require_review_before_done=gates["review"],
        comment_required_for_review=gates["comment"],
        only_lead_can_change_status=gates["leads"],
    )


def terms_of(facts: dict[str, Any]) -> LeaseTerms:
    """
    The lease terms of a claim.
    """
    return LeaseTerms(term=timedelta(microseconds=facts.get("term", 300_000_000)))


def wait_before_commit(
    unit: UnitOfWorkFactory, ids: RetriedIds, through: Callable[[], Awaitable[None]]
) -> UnitOfWorkFactory:
    """
    A factory of units whose first commit waits at the barrier.
    """

    def opened(principal: Principal, *, once: IdempotencyKey | None = None) -> UnitOfWork:
        return cast(UnitOfWork, WaitingUnit(unit(principal, once=once), ids, through))

    return opened


def facts_of(refusal: Refusal) -> dict[str, Any]:
    """
    The fields of an error. Fields that are texts are reduced to their kind.
    """
    facts = {k: v for k, v in vars_of(refusal).items() if k not in ("reason", "value")}
    if facts.get("note"):
        facts["note"] = {KEPT_NOTE: "kept", DUPLICATE_NOTE: "another"}[facts["note"]]
    if "why" in facts:
        facts["why"] = next((kind for words, kind in WHY.items() if words in facts["why"]), facts["why"])
    return {k: plain_value(v) for k, v in facts.items()}


def vars_of(refusal: Any) -> dict[str, Any]:
    """
    The attrs fields of an error, or none.
    """
    return asdict(refusal, recurse=False) if hasattr(refusal, "__attrs_attrs__") else {}


def plain_value(value: object) -> object:
    """
    An id as its number, a time in microseconds, and other values unchanged.
    """
    if isinstance(value, UUID):
        return counted(value)
    if isinstance(value, tuple):
        return tuple(map(plain_value, value))
    return micros(value) if isinstance(value, datetime) else value


def order_facts(order: Order) -> tuple[int, str, str | None, str]:
    """
    An order in the form of the model.
    """
    return counted(order.id), order.kind.value, order.message, order.by


def run_facts(run: Run) -> Row:
    """
    A run in the form of the model.
    """
    outcome, failure = run.outcome, run.failure
    return {
        "id": counted(run.id),
        "task": counted(run.task),
        "by": run.by.name,
        "state": run.state.value,
        "term": run.term // timedelta(microseconds=1),
        "delay": run.delay // timedelta(microseconds=1),
        "orders": tuple(map(order_facts, run.orders)),
        "result": outcome.result.value if outcome else None,
        "resolution": outcome.resolution if outcome else None,
        "output": outcome.output if outcome else None,
        "failure": failure.reason.code if failure else None,
        "message": failure.message if failure else None,
        **{n: getattr(run, n) for n in ("fence", "attempt", "from_queue", "progress", "paused", "waiting_for", "note")},
        "version": run.version,
        **{n: when(getattr(run, n)) for n in ("claimed_at", "expires_at", "heartbeat_at", "resumes_at", "ended_at")},
    }


def row_facts(row: RunRow) -> Row:
    """
    A row of a task's runs in the form of the model.
    """
    facts = row._asdict()
    return facts | {
        "id": counted(UUID(bytes=row.id)),
        "task": counted(UUID(bytes=row.task)),
        "paused": bool(row.paused),
    }


def event_of(entry: Entry) -> dict[str, Any]:
    """
    The payload of an entry.
    """
    assert entry.payload is not None
    return cast(dict[str, Any], json.loads(entry.payload))
