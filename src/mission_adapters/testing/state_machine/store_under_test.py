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

from attrs import asdict, evolve, field

from mission_adapters.testing.clocks import ManualClock
from mission_adapters.testing.ids import CountingIds
from mission_adapters.testing.state_machine.checked_stores import CheckedStore
from mission_adapters.testing.state_machine.reference_model import PRINCIPALS, UNUSED_ID, Answer, ReferenceModel, Row
from mission_core.accounts.model import AgentPrincipal, Principal, Role, SystemPrincipal, identity_of
from mission_core.accounts.organizations import Organization
from mission_core.agents.use_cases import CreateAgent, create_agent
from mission_core.boards.model import Board, GateSet
from mission_core.boards.use_cases import CreateBoard, UpdateBoard, create_board, update_board
from mission_core.errors import Refusal
from mission_core.events.model import ChainHead, Entry, verify_chain
from mission_core.ids import AgentId, BoardId, OrderId, OrganizationId, RunId, TaskId, TaskNumber
from mission_core.lazy_attrs import define, frozen
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

ID_BITS = (1 << 62) - 1
GATES = {
    "open": {"approval": False, "review": False, "comment": False, "leads": False},
    "gated": {"approval": True, "review": False, "comment": False, "leads": False},
    "strict": {"approval": False, "review": True, "comment": True, "leads": True},
}
"""The boards of the organization, and their gates."""

OBSTACLES = {
    "holds a lease": "leased",
    "its status is": "status",
    "it depends on": "blocked",
    "it is delayed until": "resting",
    "it is assigned to": "assigned",
}


SerialOutcome = tuple[list[Answer], ReferenceModel]


SUCCESSES = ("Task", "Board", "ClaimResult", "PollResult", "HeartbeatResult", "int", "None")
"""The kinds of answers that are no errors."""


@frozen
class Step:
    """
    A step for every store and its model, in the form of the model. New ids count from *ids* on.
    """

    name: str
    who: str
    fields: dict[str, Any]
    ids: int


@define
class RetriedIds:
    """
    Counting ids that start again when a use case is repeated, because the ids of a failed commit were not stored.
    """

    start: int
    counting: CountingIds = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
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

    def arrive(self, index: int) -> None:
        """
        Note that a unit reached its commit, or ended without one.
        """
        self.arrived.add(index)
        if len(self.arrived) == len(self.order):
            self.opened.set()

    async def wait_turn(self, index: int) -> None:
        """
        Wait for all other units, and for those that commit first.
        """
        if index not in self.arrived:
            self.arrive(index)
            await self.opened.wait()
            for _ in range(self.order.index(index)):
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
        self.ids.restart()
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
    compared_entries: int = 0
    fences: dict[int, tuple[int, str]] = field(factory=dict)
    previous_view: dict[str, Any] = field(factory=dict)
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
    async def create(cls, store: CheckedStore, *, ids: int) -> StoreUnderTest:
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
            models[each] = {"id": number_of(board.id), "version": 0, **gates}
        for each, own in PRINCIPALS.items():
            if own["agent"] is not None:
                on = boards.get(own["board"])
                made = await create_agent(
                    ports, boss, CreateAgent(name=each, board=on, lead=own["team_role"] == "lead")
                )
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

    async def ask(self, step: Step) -> Answer:
        """
        Perform the step, and return the store's answer.
        """
        return await self._answer(step, evolve(self.ports, ids=CountingIds(step.ids)))

    async def _answer(self, step: Step, ports: Ports) -> Answer:
        try:
            answer = await getattr(self, f"_{step.name}")(ports, self.principals[step.who], **step.fields)
        except Refusal as refusal:
            return type(refusal).__name__, fields_of(refusal)
        return self.plain(answer)

    async def race(self, steps: Sequence[Step], order: Sequence[int]) -> list[Answer]:
        """
        Perform the steps concurrently, each with its reads before the first commit, and return the answers.
        """
        barrier = CommitBarrier(order)

        async def run(index: int, step: Step) -> Answer:
            ids = RetriedIds(step.ids)
            ports = evolve(
                self.ports, ids=ids, unit=wait_before_commit(self.ports.unit, ids, partial(barrier.wait_turn, index))
            )
            try:
                return await self._answer(step, ports)
            finally:
                barrier.arrive(index)

        return list(await asyncio.gather(*(run(index, step) for index, step in enumerate(steps))))

    def serial_outcomes(self, steps: Sequence[Step]) -> list[SerialOutcome]:
        """
        The answers and the resulting model of every serial order of the steps.

        In a store that skips locked rows, a sweep may also pass over the tasks of the other steps.
        """
        outcomes: list[SerialOutcome] = []
        if self.store.skips_locked_rows and any(step.name == "sweep" for step in steps):
            others = tuple({step.fields["task"] for step in steps if "task" in step.fields})
            passing = [evolve(step, fields={"passes_over": others}) if step.name == "sweep" else step for step in steps]
            outcomes += self._in_every_order(passing)
        return outcomes + self._in_every_order(steps)

    def _in_every_order(self, steps: Sequence[Step]) -> list[SerialOutcome]:
        outcomes: list[SerialOutcome] = []
        for order in permutations(range(len(steps))):
            model = self.model.copy()
            answers: dict[int, Answer] = {}
            for each in order:
                step = steps[each]
                answers[each] = model.answer(step.name, step.who, step.fields, ids=step.ids)
            outcomes.append(([answers[each] for each in range(len(steps))], model))
        return outcomes

    def comparable(self, answers: Sequence[Answer]) -> list[Answer]:
        """
        The comparable part of the answers to a race. If other units can commit between two reads of a use case, the
        fields of an error may describe a state in between, so only the fact of the error is compared.
        """
        if self.store.sees_one_state:
            return list(answers)
        return [answer if answer[0] in SUCCESSES else ("refused", {}) for answer in answers]

    # From the form of the model to the commands of the core.

    def _task(self, number: int, by_id: bool = False) -> TaskId | TaskNumber:
        if by_id:
            return TaskId(id_of(self.model.ids_by_number.get(number, UNUSED_ID + number)))
        return TaskNumber(number)

    def _lease(self, run: int) -> str:
        known = self.model.runs.get(run)
        if run == 0:
            return "no lease at all"
        return self.ports.secrets.lease(RunId(id_of(run)), known["fence"] if known else 1)

    def _on(self, fields: dict[str, Any]) -> dict[str, Any]:
        on = fields.get("on")
        return {"on": self.boards[on] if on else None, "expects": fields.get("expects")}

    def _teammate(self, name: str | None) -> AgentId | str | None:
        """
        The assignee of an update in team mode: the id of a registered agent, or else the name.
        """
        known = {who.casefold(): each for who, each in self.principals.items() if isinstance(each, AgentPrincipal)}
        agent = known.get((name or "").casefold())
        return agent.agent if agent else name

    async def _create(self, ports: Ports, principal: Principal, **fields: Any) -> Task:
        by_id = fields.pop("by_id", False)
        for name in ("due_at", "not_before"):
            if name in fields:
                fields[name] = moment(fields[name])
        named = tuple(self._task(each, by_id) for each in fields.pop("depends_on", ()))
        status = Status(fields.pop("status", "inbox"))
        board = self.boards[fields.pop("board")]
        if fields.pop("team", False):
            fields["assignee"] = self._teammate(fields.get("assignee"))
        command = CreateTask(board=board, depends_on=named, status=status, **fields)
        return await create_task(ports, principal, command)

    async def _edit(self, ports: Ports, principal: Principal, **fields: Any) -> Task:
        changes = dict(fields["changes"])
        by_id = fields.get("by_id", False)
        for name in ("due_at", "not_before"):
            if changes.get(name) is not None:
                changes[name] = moment(changes[name])
        if "status" in changes:
            changes["status"] = Status(changes["status"])
        if "board" in changes:
            changes["board"] = self.boards[changes["board"]]
        if "depends_on" in changes:
            changes["depends_on"] = tuple(self._task(each, by_id) for each in changes["depends_on"])
        if fields.get("team") and "assignee" in changes:
            changes["assignee"] = self._teammate(changes["assignee"])
        command = UpdateTask(
            task=self._task(fields["task"], by_id),
            mode=UpdateMode.TEAM if fields.get("team") else UpdateMode.PLAIN,
            comment=fields.get("comment"),
            own=fields.get("own", False),
            agent=fields.get("agent"),
            instance=fields.get("instance"),
            **self._on(fields),
            **changes,
        )
        return await update_task(ports, principal, command)

    async def _delete(self, ports: Ports, principal: Principal, **fields: Any) -> Task:
        command = DeleteTask(task=self._task(fields["task"]), own=fields.get("own", False), **self._on(fields))
        return await delete_task(ports, principal, command)

    async def _gates(self, ports: Ports, principal: Principal, **fields: Any) -> Board:
        gates = asdict(gate_set(fields))
        command = UpdateBoard(board=self.boards[fields["board"]], gates=gates)
        return await update_board(ports, principal, command)

    async def _claim_next(self, ports: Ports, principal: Principal, **fields: Any) -> ClaimResult | None:
        board = fields.get("board")
        command = ClaimNext(agent=fields["agent"], board=self.boards[board] if board else None, terms=terms_of(fields))
        return await claim_next(ports, principal, command)

    async def _claim(self, ports: Ports, principal: Principal, **fields: Any) -> ClaimResult:
        command = ClaimTask(
            task=self._task(fields["task"]), agent=fields["agent"], terms=terms_of(fields), **self._on(fields)
        )
        return await claim_task(ports, principal, command)

    async def _poll(self, ports: Ports, principal: Principal, **fields: Any) -> PollResult:
        return await poll_queue(ports, principal, PollQueue(**fields))

    async def _renew(self, ports: Ports, principal: Principal, **fields: Any) -> int:
        return (await renew_implicit_leases(ports, principal, RenewImplicitLeases(**fields))).count

    async def _sweep(self, ports: Ports, principal: Principal) -> int:
        return await expire_leases(ports, principal)

    async def _heartbeat(self, ports: Ports, principal: Principal, **fields: Any) -> HeartbeatResult:
        acknowledged = fields.get("acknowledges")
        command = Heartbeat(
            task=self._task(fields["task"]),
            lease=self._lease(fields["lease"]),
            progress=fields.get("progress"),
            acknowledges=OrderId(id_of(acknowledged)) if acknowledged else None,
            waiting_for=fields.get("waiting_for"),
            wait=timedelta(microseconds=fields.get("wait", 86_400_000_000)),
            **self._on(fields),
        )
        return await heartbeat(ports, principal, command)

    async def _complete(self, ports: Ports, principal: Principal, **fields: Any) -> Task:
        outcome = Outcome(
            result=TaskResult(fields.get("result", "success")),
            resolution=fields.get("resolution"),
            output=fields.get("output"),
        )
        command = CompleteTask(
            task=self._task(fields["task"]), lease=self._lease(fields["lease"]), outcome=outcome, **self._on(fields)
        )
        return await complete_task(ports, principal, command)

    async def _fail(self, ports: Ports, principal: Principal, **fields: Any) -> Task:
        failure = Failure(reason=FAILURE_BY_CODE[fields["reason"]], message=fields.get("message"))
        command = FailTask(
            task=self._task(fields["task"]), lease=self._lease(fields["lease"]), failure=failure, **self._on(fields)
        )
        return await fail_task(ports, principal, command)

    async def _release(self, ports: Ports, principal: Principal, **fields: Any) -> Task:
        command = ReleaseTask(
            task=self._task(fields["task"]),
            lease=self._lease(fields["lease"]),
            note=fields.get("note"),
            **self._on(fields),
        )
        return await release_task(ports, principal, command)

    async def _order(self, ports: Ports, principal: Principal, **fields: Any) -> Task:
        command = GiveOrder(
            task=self._task(fields["task"]),
            kind=OrderKind(fields["kind"]),
            message=fields.get("message"),
            to=fields.get("to"),
            **self._on(fields),
        )
        return await give_order(ports, principal, command)

    # From the answers of the core to the form of the model.

    def plain(self, answer: object) -> Answer:
        """
        The answer as its kind and its fields.
        """
        if isinstance(answer, Task):
            return "Task", self._task_fields(answer)
        if isinstance(answer, Board):
            gates = answer.gates
            return "Board", {
                "id": number_of(answer.id),
                "version": answer.version,
                "approval": gates.require_approval_for_done,
                "review": gates.require_review_before_done,
                "comment": gates.comment_required_for_review,
                "leads": gates.only_lead_can_change_status,
            }
        if isinstance(answer, ClaimResult):
            assert self._is_lease_of(answer.run, answer.lease), "a claim must tell the lease of its own run"
            return "ClaimResult", {"task": self._task_fields(answer.task), "run": self._run_fields(answer.run)}
        if isinstance(answer, HeartbeatResult):
            order = answer.order and order_fields(answer.order)
            fields = {"run": self._run_fields(answer.run), "order": order, "instruction": answer.instruction}
            return "HeartbeatResult", fields
        if isinstance(answer, PollResult):
            task = number_of(answer.task) if answer.task else None
            return "PollResult", {"reason": answer.reason.value, "task": task}
        if isinstance(answer, int):
            return "int", {"value": answer}
        assert answer is None
        return "None", {}

    def _run_fields(self, run: Run) -> Row:
        holder = None
        if isinstance(run.holder, ImplicitHolder):
            who = {identity_of(principal): name for name, principal in self.principals.items()}
            holder = who[run.holder.principal], run.holder.name, run.holder.instance
        return {"board": self._board_name(run.board), "holder": holder, **run_fields(run)}

    def _is_lease_of(self, run: Run, lease: str) -> bool:
        return self.ports.secrets.run_of_lease(lease) == run.id and lease == self.ports.secrets.lease(run.id, run.fence)

    def _agent_name(self, agent: AgentId | None) -> str | None:
        """
        The name of the agent.
        """
        agents = (each for each in self.principals.values() if isinstance(each, AgentPrincipal))
        return next((each.name for each in agents if each.agent == agent), None)

    def _board_name(self, board: UUID) -> str:
        return next(name for name, id in self.boards.items() if id == board)

    def _task_fields(self, task: Task) -> Row:
        return {
            "id": number_of(task.id),
            "board": self._board_name(task.board),
            "assignee": task.assignee.name if task.assignee else None,
            "run": number_of(task.run) if task.run else None,
            "submitter": self._agent_name(task.submitter),
            "depends_on": tuple(map(number_of, task.depends_on)),
            "status": task.status.value,
            "result": task.result.value if task.result else None,
            **{name: getattr(task, name) for name in COPIED_FIELDS},
            **{name: micros_or_none(getattr(task, name)) for name in TIME_FIELDS},
        }

    # The visible state of the store.

    async def read_state(self) -> dict[str, Any]:
        """
        Read every task, its runs and its explanation, and the new entries of the log.
        """
        listed = await self.ports.reads.tasks.page(self.boss, TaskFilter(), PageRequest(limit=200))
        assert listed.total == len(listed.rows)
        tasks = {number_of(UUID(bytes=row.id)): row for row in listed.rows}
        runs: dict[int, list[RunRow]] = {}
        explained: dict[int, Explanation] = {}
        inputs: dict[int, ExplanationInput] = {}
        for id in tasks:
            runs[id] = await self.ports.reads.tasks.runs(self.boss, TaskId(id_of(id)))
            explained[id] = await explain_task(self.ports, self.boss, TaskId(id_of(id)))
            if any(row.state in ("leased", "suspended") for row in runs[id]):
                inputs[id] = await self.ports.reads.tasks.explanation_input(self.boss, TaskId(id_of(id)))
        entries = await self.ports.log.read(self.organization, after=self.chain.position, limit=500)
        now = micros(self.clock.now())
        return {
            "at": now, "tasks": tasks, "runs": runs, "inputs": inputs, "explained": explained, "log": entries
        }  # fmt: skip

    async def verify_log(self, entries: Sequence[Entry]) -> None:
        """
        Check that the entries continue the log without gaps, and that their hash chain verifies.
        """
        positions = [entry.position for entry in entries]
        assert positions == list(range(self.chain.position + 1, self.chain.position + 1 + len(entries)))
        chain = verify_chain(entries, self.chain)
        assert isinstance(chain, ChainHead), chain
        assert chain == await self.ports.log.head(self.organization)
        self.chain = chain

    def observed(self, view: dict[str, Any]) -> dict[str, Any]:
        """
        The view in the form of the model.
        """
        return {
            "tasks": {id: self._row_fields(row) for id, row in view["tasks"].items()},
            "runs": {id: [row_fields(row) for row in rows] for id, rows in view["runs"].items()},
            "live": {
                id: (
                    self._task_fields(found.task),
                    found.run and self._run_fields(found.run),
                    tuple(number_of(each.id) for each in found.blocked_by),
                )
                for id, found in view["inputs"].items()
            },
            "explained": {id: (each.state.value, micros(each.since)) for id, each in view["explained"].items()},
            "log": [(entry.kind, number_of(entry.subject), entry.actor.name) for entry in view["log"]],
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
                id: {k: v for k, v in task.items() if k not in ("run", "submitter")}
                | {"open": model.open_dependencies(task)}
                for id, task in model.tasks.items()
            },
            "runs": runs,
            "live": {
                id: (task, model.runs[task["run"]], model.open_dependencies(task))
                for id, task in model.tasks.items()
                if task["run"] is not None
            },
            "explained": {id: model.state_and_start(task) for id, task in model.tasks.items()},
            "log": model.log[self.compared_entries :],
        }

    def _row_fields(self, row: TaskRow) -> Row:
        ids = row.depends_on
        return {
            "id": number_of(UUID(bytes=row.id)),
            "board": self._board_name(UUID(bytes=row.board)),
            "depends_on": tuple(number_of(UUID(bytes=ids[i : i + 16])) for i in range(0, len(ids), 16)),
            "open": tuple(number_of(UUID(bytes=each.id)) for each in self._in_order(row) if not each.done),
            **{name: getattr(row, name) for name in ("assignee", "status", "result", *COPIED_FIELDS, *TIME_FIELDS)},
            "recorded": bool(row.recorded),
        }

    def _in_order(self, row: TaskRow) -> list[Any]:
        ids = [row.depends_on[i : i + 16] for i in range(0, len(row.depends_on), 16)]
        assert {each.id for each in row.dependencies} == set(ids)
        return sorted(row.dependencies, key=lambda each: ids.index(each.id))


COPIED_FIELDS = (
    "number", "ticket", "title", "priority", "error_message", "resolution", "output", "hand_over", "recorded",
    "fence", "attempts", "max_attempts", "version",
)  # fmt: skip
TIME_FIELDS = ("due_at", "not_before", "created_at", "updated_at", "moved_at", "started_at", "completed_at")
RUN_FIELDS = (
    "id", "task", "fence", "attempt", "by", "state", "claimed_at", "expires_at", "heartbeat_at", "progress",
    "paused", "waiting_for", "resumes_at", "ended_at", "result", "resolution", "output", "failure", "message", "note",
)  # fmt: skip


def number_of(id: UUID) -> int:
    """
    The number of a counting id.
    """
    return id.int & ID_BITS


def id_of(number: int) -> UUID:
    """
    The counting id of a number.
    """
    return CountingIds(number).new()


def micros_or_none(at: datetime | None) -> int | None:
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


def terms_of(fields: dict[str, Any]) -> LeaseTerms:
    """
    The lease terms of a claim.
    """
    return LeaseTerms(term=timedelta(microseconds=fields.get("term", 300_000_000)))


def wait_before_commit(
    unit: UnitOfWorkFactory, ids: RetriedIds, through: Callable[[], Awaitable[None]]
) -> UnitOfWorkFactory:
    """
    A factory of units whose first commit waits at the barrier.
    """

    def opened(principal: Principal, *, once: IdempotencyKey | None = None) -> UnitOfWork:
        return cast(UnitOfWork, WaitingUnit(unit(principal, once=once), ids, through))

    return opened


def fields_of(refusal: Refusal) -> dict[str, Any]:
    """
    The fields of an error. Fields that are texts are reduced to their kind.
    """
    fields = {k: v for k, v in attrs_fields(refusal).items() if k not in ("reason", "value")}
    if fields.get("note"):
        fields["note"] = {KEPT_NOTE: "kept", DUPLICATE_NOTE: "another"}[fields["note"]]
    if "why" in fields:
        fields["why"] = next((kind for words, kind in OBSTACLES.items() if words in fields["why"]), fields["why"])
    return {k: plain_value(v) for k, v in fields.items()}


def attrs_fields(refusal: Any) -> dict[str, Any]:
    """
    The attrs fields of an error, or none.
    """
    return asdict(refusal, recurse=False) if hasattr(refusal, "__attrs_attrs__") else {}


def plain_value(value: object) -> object:
    """
    An id as its number, a time in microseconds, and other values unchanged.
    """
    if isinstance(value, UUID):
        return number_of(value)
    if isinstance(value, tuple):
        return tuple(map(plain_value, value))
    return micros(value) if isinstance(value, datetime) else value


def order_fields(order: Order) -> tuple[int, str, str | None, str]:
    """
    An order in the form of the model.
    """
    return number_of(order.id), order.kind.value, order.message, order.by


def run_fields(run: Run) -> Row:
    """
    A run in the form of the model.
    """
    outcome, failure = run.outcome, run.failure
    return {
        "id": number_of(run.id),
        "task": number_of(run.task),
        "by": run.by.name,
        "state": run.state.value,
        "term": run.term // timedelta(microseconds=1),
        "delay": run.delay // timedelta(microseconds=1),
        "orders": tuple(map(order_fields, run.orders)),
        "result": outcome.result.value if outcome else None,
        "resolution": outcome.resolution if outcome else None,
        "output": outcome.output if outcome else None,
        "failure": failure.reason.code if failure else None,
        "message": failure.message if failure else None,
        **{n: getattr(run, n) for n in ("fence", "attempt", "from_queue", "progress", "paused", "waiting_for", "note")},
        "version": run.version,
        **{
            n: micros_or_none(getattr(run, n))
            for n in ("claimed_at", "expires_at", "heartbeat_at", "resumes_at", "ended_at")
        },
    }


def row_fields(row: RunRow) -> Row:
    """
    A row of a task's runs in the form of the model.
    """
    fields = row._asdict()
    return fields | {
        "id": number_of(UUID(bytes=row.id)),
        "task": number_of(UUID(bytes=row.task)),
        "paused": bool(row.paused),
    }


def payload_of(entry: Entry) -> dict[str, Any]:
    """
    The payload of an entry.
    """
    assert entry.payload is not None
    return cast(dict[str, Any], json.loads(entry.payload))
