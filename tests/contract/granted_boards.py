"""
An organization whose boards are not everybody's: one of everything on each of three boards, and members with grants.

What can be read is found by looking at the read ports, and asked with values by the names of parameters, so whatever is
added joins the tests by itself, or with one more name.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from attrs import evolve, fields_dict, frozen

from mission_adapters.board_scope import board_reference_of, has_board
from mission_adapters.kind_registry import KINDS
from mission_core.accounts.model import MemberPrincipal, Role, SystemPrincipal, identity_of
from mission_core.accounts.organization_settings import ChangeSettings, change_settings
from mission_core.accounts.profiles import ensure_local_user
from mission_core.agents.connect import ConnectTool, connect_tool
from mission_core.agents.model import Agent
from mission_core.agents.onboarding import StartOnboarding, start_onboarding
from mission_core.agents.organization_creation import MAIN_AGENT_NAME
from mission_core.agents.queries import AgentFilter, AgentNameRow
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import CreateKey, RecordAgentHeartbeat, create_key, record_agent_heartbeat
from mission_core.approvals.model import APPROVALS, ApprovalStatus
from mission_core.approvals.use_cases import RequestApproval, request_approval
from mission_core.automation.board_webhooks import CreateBoardWebhook, create_board_webhook
from mission_core.automation.webhook_ingestion import ReceivePayload, receive_payload
from mission_core.boards.assignments import AssignAgent, assign_agent
from mission_core.boards.custom_field_use_cases import CreateField, create_field
from mission_core.boards.groups import BoardGroup, CreateGroup, create_group
from mission_core.boards.model import Board, GateSet
from mission_core.boards.queries import BoardFilter
from mission_core.boards.tags import CreateTag, Tag, create_tag
from mission_core.boards.use_cases import UpdateBoard, update_board
from mission_core.conversations.chat_queries import ChatFilter
from mission_core.conversations.chat_use_cases import SendChatMessage, send_chat_message
from mission_core.conversations.notifications import make_notifications
from mission_core.conversations.use_cases import (
    WriteBoardMemory,
    WriteGroupMemory,
    write_board_memory,
    write_group_memory,
)
from mission_core.errors import Refusal
from mission_core.ids import MemberId, UserId, UserNumber
from mission_core.kinds import Kind
from mission_core.projections import WHOLE_ROWS
from mission_core.reports.activity_feed import FeedFilter
from mission_core.reports.queries import HourRange, MinuteRange, OverviewFigures, ReportScope
from mission_core.tasks.comment_creation import AddComment, add_comment
from mission_core.tasks.leases import ClaimTask, CompleteTask, FailTask, claim_task, complete_task, fail_task
from mission_core.tasks.model import Status, Task
from mission_core.tasks.queries import TaskFilter
from mission_core.tasks.runs import Failure, FailureReason, LeaseTerms, Outcome, TaskResult
from mission_core.tasks.use_cases import UpdateTask, update_task
from mission_core.usage.budget_use_cases import CreateBudget, create_budget
from mission_core.usage.budgets import BudgetMeasure, BudgetPeriod, BudgetScope
from mission_core.usage.queries import UsageFilter, UsageWindow, window_of_last
from mission_core.usage.reported_run_queries import ReportedRunFilter
from mission_core.usage.reported_run_use_cases import ReportRun, report_run
from mission_core.usage.reported_runs import RunEvaluation, RunProvenance, TokensOfRun
from mission_core.usage.use_cases import RecordUsage, UsageReport, record_usage
from mission_core.values import PageRequest, name_key
from mission_http.boards.payloads import TaskRead
from mission_http.fleet.payloads import AgentPayload, TaskPayload
from mission_http.platform.projections import projection_of
from mission_http.platform.shapes import Of
from tests.contract.conftest import World

PORTS = (
    "tasks", "agents", "boards", "snapshots", "entities", "reports", "agent_activity", "members", "approvals", "usage",
    "reported_runs", "activity_feed", "chat", "notifications",
)  # fmt: skip
"""The read ports, as `mission_core.ports.Reads` has them."""
SHARED = "Zed"
"""To whom tasks of every board are assigned, and who is no agent."""
SEARCHED_WORD = "zebra"
"""What every text holds."""
REPORTED = {"model": SEARCHED_WORD, "input_tokens": 7, "output_tokens": 5, "session": SEARCHED_WORD}
"""A report of tokens."""
ORDER = ((Status.INBOX, Status.ASSIGNED), (Status.IN_PROGRESS,), (Status.DONE,))


@frozen
class PopulatedBoard:
    """
    A board with one of everything on it.
    """

    board: Board
    lead: Agent
    worker: Agent
    tasks: list[Task]


@frozen
class GrantedBoards:
    """
    Three boards of one organization, each with one of everything.
    """

    world: World
    general: PopulatedBoard
    work: PopulatedBoard
    other: PopulatedBoard
    wanderer: Agent
    tag: Tag
    group: BoardGroup
    secluded: BoardGroup
    user: UserId
    since: datetime
    keys: Mapping[Kind[Any], list[Any]]
    """By what the rows of each kind can be got."""

    @property
    def places(self) -> tuple[PopulatedBoard, PopulatedBoard, PopulatedBoard]:
        """
        All of them.
        """
        return self.general, self.work, self.other

    def member(
        self, *reads: PopulatedBoard, writes: Iterable[PopulatedBoard] = (), role: Role = Role.ADMIN
    ) -> MemberPrincipal:
        """
        A member with grants on these boards.
        """
        return MemberPrincipal(
            organization=self.world.me.organization,
            user=self.user,
            number=UserNumber(7),
            member=MemberId(self.world.ports.ids.new()),
            name="mia",
            display="Mia",
            role=role,
            reads=frozenset(each.board.id for each in reads),
            writes=frozenset(each.board.id for each in writes),
        )


async def make_granted_boards(world: World) -> GrantedBoards:
    """
    The organization with three boards. The first is the general one, which cannot be removed.
    """
    since = world.clock.now() - timedelta(hours=2)
    user = await ensure_local_user(world.ports, world.me.organization, username=f"mia-{world.me.organization}")
    tag = await create_tag(world.ports, world.me, CreateTag(name=f"{SEARCHED_WORD} tag"))
    group = await create_group(world.ports, world.me, CreateGroup(name=f"{SEARCHED_WORD} group"))
    secluded = await create_group(world.ports, world.me, CreateGroup(name=f"{SEARCHED_WORD} secluded"))
    async with world.ports.unit(world.me) as unit:
        general = await unit.boards.find_handle("general")
    assert general is not None
    general = await update_board(world.ports, world.me, UpdateBoard(board=general.id, gates=OPENED))
    places = []
    groups = {general: group, world.board: group, await world.another_board("Other"): secluded}
    for number, (board, its_group) in enumerate(groups.items(), start=1):
        joined = await update_board(world.ports, world.me, UpdateBoard(board=board.id, group=its_group.id))
        await write_group_memory(world.ports, world.me, WriteGroupMemory(group=its_group.id, content=SEARCHED_WORD))
        places.append(await make_board(evolve(world, board=joined), number, tag))
    first, work, other = places
    await change_settings(world.ports, world.me, ChangeSettings(values={"general.site_name": SEARCHED_WORD}))
    await create_field(world.ports, world.me, CreateField(field_key=SEARCHED_WORD, boards=(first.board.id,)))
    wanderer = await make_moved_agent(evolve(world, board=other.board), other, to=first)
    await send_chat_message(
        world.ports, world.me,
        SendChatMessage(content=SEARCHED_WORD, conversation=f"agent_{SEARCHED_WORD}"),
    )  # fmt: skip
    await make_notifications(world.ports, world.me.organization)
    keys = {kind: await keys_of(world, kind) for kind in KINDS}
    return GrantedBoards(world, first, work, other, wanderer, tag, group, secluded, user, since, keys)


async def keys_of(world: World, kind: Kind[Any]) -> list[Any]:
    """
    The ids of all rows of a kind, and their numbers where they have some.
    """
    rows = await world.ports.reads.entities.every(world.me, kind)
    return [row.id for row in rows] + ([row.number for row in rows] if kind in NUMBERED else [])


NUMBERED = [kind for kind in KINDS if "number" in fields_dict(kind.entity)]
OPENED = dict.fromkeys(fields_dict(GateSet), False)


async def make_board(world: World, number: int, tag: Tag) -> PopulatedBoard:
    """
    One of everything on the world's board.
    """
    ports, me, board = world.ports, world.me, world.board
    lead = await world.agent(f"lea {SEARCHED_WORD} {number}", board=board.id, lead=True)
    ada = await world.principal(f"ada {SEARCHED_WORD} {number}", board=board.id)
    await create_key(ports, me, CreateKey(agent=ada.agent))
    await connect_tool(ports, me, ConnectTool(agent=ada.name, tool_name=SEARCHED_WORD))
    await record_agent_heartbeat(
        ports, ada, RecordAgentHeartbeat(agent=ada.agent, status="busy", activity=SEARCHED_WORD)
    )
    await assign_agent(ports, me, AssignAgent(board=board.id, agent_name=ada.name))
    await start_onboarding(ports, me, StartOnboarding(board=board.id, instruction_for=lambda board: SEARCHED_WORD))
    await write_board_memory(ports, me, WriteBoardMemory(board=board.id, content=SEARCHED_WORD, tags=("chat",)))
    webhook = await create_board_webhook(ports, me, CreateBoardWebhook(board=board.id, description=SEARCHED_WORD))
    sent = ReceivePayload(
        board=board.id, webhook=webhook.id, body=SEARCHED_WORD.encode(), payload_address=lambda payload: SEARCHED_WORD
    )
    await receive_payload(ports, SystemPrincipal(organization=me.organization), sent)
    first = await world.task(f"{SEARCHED_WORD} first", description=SEARCHED_WORD, tag_ids=(tag.id,))
    later = await world.task(f"{SEARCHED_WORD} later", depends_on=(first.id,), priority="high")
    await world.task(f"{SEARCHED_WORD} of all", assignee=SHARED)
    held = await world.task(f"{SEARCHED_WORD} held", assignee=ada.name)
    await claim_task(ports, ada, ClaimTask(task=held.id))
    done, failed = (
        await world.task(f"{SEARCHED_WORD} done", assignee=ada.name),
        await world.task(f"{SEARCHED_WORD} failed"),
    )
    taken = await claim_task(ports, ada, ClaimTask(task=done.id))
    outcome = Outcome(result=TaskResult.PARTIAL, resolution=SEARCHED_WORD)
    await complete_task(ports, ada, CompleteTask(task=done.id, lease=taken.lease, outcome=outcome))
    await update_task(ports, me, UpdateTask(task=done.id, error_message=SEARCHED_WORD))
    taken = await claim_task(ports, ada, ClaimTask(task=failed.id, terms=LeaseTerms(delay=timedelta(0))))
    lost = Failure(reason=FailureReason.CRASHED, message=SEARCHED_WORD)
    await fail_task(ports, ada, FailTask(task=failed.id, lease=taken.lease, failure=lost))
    for tasks in ((later.id,), (first.id, later.id)):
        asked = RequestApproval(board=board.id, action=SEARCHED_WORD, confidence=1, tasks=tasks)
        asked = evolve(asked, status=ApprovalStatus.APPROVED if len(tasks) > 1 else asked.status)
        await request_approval(ports, me, asked)
    for by in (me, ada):
        await add_comment(ports, by, AddComment(task=first.id, content=f"{SEARCHED_WORD} @{lead.name.split()[0]}"))
    await record_usage(ports, ada, RecordUsage(report=UsageReport(task=done.id, report_id=SEARCHED_WORD, **REPORTED)))
    await record_usage(ports, me, RecordUsage(report=UsageReport(board=board.id, label=SHARED, **REPORTED)))
    budget = CreateBudget(
        name=SEARCHED_WORD, scope=BudgetScope.BOARD, board=board.id, measure=BudgetMeasure.TOKENS, limit=100,
        hard=False, period=BudgetPeriod.ONCE,
    )  # fmt: skip
    await create_budget(ports, me, budget)
    for by, of in ((ada, {"agent_label": ada.name, "task_label": str(done.number)}), (me, {"agent_label": SHARED})):
        await report_run(ports, by, ReportRun(**of, **reported_run(world.clock.now())))
    async with ports.unit(me) as unit:
        worker = await unit.agents.get(ada.agent)
        tasks = [await unit.tasks.get(each.id) for each in (first, later, held, done, failed)]
    return PopulatedBoard(board, lead, worker, tasks)


async def make_moved_agent(world: World, place: PopulatedBoard, *, to: PopulatedBoard) -> Agent:
    """
    An agent that did its work on one board, and stands on another now.
    """
    wanda = await world.principal(f"wanda {SEARCHED_WORD}", board=world.board.id)
    await add_comment(world.ports, wanda, AddComment(task=place.tasks[0].id, content=SEARCHED_WORD))
    task = await world.task(f"{SEARCHED_WORD} wandering", assignee=wanda.name)
    taken = await claim_task(world.ports, wanda, ClaimTask(task=task.id))
    await complete_task(world.ports, wanda, CompleteTask(task=task.id, lease=taken.lease))
    moved = await update_agent(world.ports, world.me, UpdateAgent(agent=wanda.agent, board=to.board.id))
    near = evolve(wanda, board=to.board.id)
    await add_comment(world.ports, near, AddComment(task=to.tasks[0].id, content=SEARCHED_WORD))
    return moved


def reported_run(at: datetime) -> dict[str, Any]:
    """
    A reported run, but for its agent and task.
    """
    return {
        "status": SEARCHED_WORD, "started_at": at, "started_text": at.isoformat(), "model": SEARCHED_WORD,
        "tokens": TokensOfRun(input_tokens=7), "provenance": RunProvenance(run_hash=SEARCHED_WORD),
        "evaluation": RunEvaluation(score=1, passed=True, benchmark=SEARCHED_WORD),
    }  # fmt: skip


# What can be asked.

Values = Callable[[GrantedBoards], Iterable[Any]]


def _hours(many: GrantedBoards) -> HourRange:
    return HourRange(many.since, many.since + timedelta(hours=1), 1)


VALUES: Mapping[str, Values] = {
    "tasks: Collection[TaskId]": lambda many: [[task.id for place in many.places for task in place.tasks]],
    "agents: Collection[AgentId]": lambda many: [[many.wanderer.id, *(place.worker.id for place in many.places)]],
    "task": lambda many: [key for place in many.places for task in place.tasks for key in (task.id, task.number)],
    "task: Task": lambda many: [task for place in many.places for task in place.tasks],
    "wanted: TaskFilter": lambda many: [
        TaskFilter(),
        TaskFilter(statuses=(Status.DONE,)),
        TaskFilter(statuses=(Status.INBOX, Status.ASSIGNED), priority="high"),
        TaskFilter(assignee=SHARED),
        TaskFilter(unassigned=True),
        *(TaskFilter(board=key) for place in many.places for key in (place.board.id, place.board.number)),
        *(TaskFilter(assignee_agent=place.worker.id) for place in many.places),
    ],
    "wanted: AgentFilter": lambda many: [
        AgentFilter(at=many.world.clock.now()),
        AgentFilter(at=many.world.clock.now(), status="busy"),
        *(AgentFilter(at=many.world.clock.now(), board=place.board.id) for place in many.places),
    ],
    "wanted: BoardFilter": lambda many: [
        BoardFilter(),
        *(BoardFilter(archived=True, by_name=False, group=each.id) for each in (many.group, many.secluded)),
    ],
    "page: PageRequest": lambda many: [
        PageRequest(limit=100),
        PageRequest(limit=2),
        PageRequest(limit=2, offset=1),
        PageRequest(limit=100, after=5),
    ],
    "page: PageRequest | None": lambda many: [None, PageRequest(limit=1), PageRequest(limit=9, offset=1)],
    "tasks.shown": lambda many: [WHOLE_ROWS, projection_of(TaskPayload), projection_of(TaskRead)],
    "agents.shown": lambda many: [WHOLE_ROWS, projection_of(AgentPayload, status=Of("status"), taskStats=Of("tasks"))],
    "status": lambda many: [None, ApprovalStatus.PENDING],
    "name: str": lambda many: [SHARED, many.wanderer.name, *(place.worker.name for place in many.places)],
    "assignee: str": lambda many: [SHARED, many.wanderer.name, *(place.worker.name for place in many.places)],
    "assignee: str | None": lambda many: [None, SHARED, *(place.worker.name for place in many.places)],
    "handles": lambda many: [None, [name_key(place.worker.name) for place in many.places]],
    "assignees": lambda many: [(SHARED, many.wanderer.name, *(place.worker.name for place in many.places))],
    "limit": lambda many: [1, 100],
    "latest": lambda many: [1, 100],
    "errors": lambda many: [5],
    "tags": lambda many: [(many.tag.id,)],
    "agent: AgentId": lambda many: [many.wanderer.id, *(place.worker.id for place in many.places)],
    "agent: AgentId | AgentNumber | str": lambda many: [
        key
        for agent in (many.wanderer, *(agent for place in many.places for agent in (place.lead, place.worker)))
        for key in (agent.id, agent.number, agent.name)
    ],
    "board: BoardId": lambda many: [place.board.id for place in many.places],
    "board: BoardId | None": lambda many: [None, *(place.board.id for place in many.places)],
    "board: BoardId | BoardNumber": lambda many: [
        key for place in many.places for key in (place.board.id, place.board.number)
    ],
    "boards": lambda many: [tuple(place.board.id for place in many.places)],
    "known": lambda many: [nothing_known],
    "order": lambda many: [ORDER],
    "scope": lambda many: [
        ReportScope(),
        *(ReportScope(group=each.id) for each in (many.group, many.secluded)),
        *(ReportScope(board=each.board.id) for each in many.places),
    ],
    "hours": lambda many: [_hours(many)],
    "minutes": lambda many: [None, MinuteRange(many.since + timedelta(hours=1), many.world.clock.now())],
    "at": lambda many: [many.world.clock.now()],
    "since": lambda many: [many.since],
    "split": lambda many: [many.since + timedelta(hours=1)],
    "until": lambda many: [many.since + timedelta(days=1)],
    "user": lambda many: [many.user, UserNumber(2**31)],
    "approvals": lambda many: [[key for key in many.keys[APPROVALS] if not isinstance(key, int)]],
    "text": lambda many: [SEARCHED_WORD],
    "kinds": lambda many: [None, ("task.commented",)],
    "newest": lambda many: [False, True],
    "window": lambda many: [UsageWindow(), window_of_last(timedelta(hours=3), now=many.world.clock.now())],
    "by": lambda many: [("board", "slot", "agent", "agent_name", "model"), ("task", "board", "session")],
    "wanted: UsageFilter": lambda many: [
        UsageFilter(),
        *(UsageFilter(board=place.board.id) for place in many.places),
        *(UsageFilter(task=place.tasks[3].id) for place in many.places),
        *(UsageFilter(agent=place.worker.id) for place in many.places),
        UsageFilter(tasks=tuple(place.tasks[3].id for place in many.places), sessions=(SEARCHED_WORD, "")),
    ],
    "usage.most": lambda many: [None, 1000],
    "usage.page": lambda many: [PageRequest(limit=100), PageRequest(limit=2, offset=1)],
    "wanted: FeedFilter": lambda many: [
        FeedFilter(),
        FeedFilter(kinds=("task.created",), beyond=1),
        FeedFilter(audited=True),
    ],
    "wanted: ReportedRunFilter": lambda many: [
        ReportedRunFilter(),
        ReportedRunFilter(status=SEARCHED_WORD, since=many.since),
        *(ReportedRunFilter(agent_label=place.worker.name) for place in many.places),
        *(ReportedRunFilter(task_label=str(place.tasks[3].number)) for place in many.places),
    ],
    "wanted: ChatFilter": lambda many: [ChatFilter(), ChatFilter(conversation=SEARCHED_WORD, since=many.since)],
    "recipient_key": lambda many: [None, name_key(SHARED)],
    "recipient_key: str": lambda many: [name_key(SHARED)],
    "before": lambda many: [None, many.world.clock.now()],
    "unread": lambda many: [False, True],
    "agent_key": lambda many: [None, name_key(many.wanderer.name)],
    "chat.since": lambda many: [None, many.since],
    "reported_runs.limit": lambda many: [100],
    "benchmark": lambda many: [None, SEARCHED_WORD],
    "reporter": lambda many: [identity_of(many.member())],
    "ids: Collection[UUID]": lambda many: [[task.id for place in many.places for task in place.tasks]],
    "prefix": lambda many: [f"{SEARCHED_WORD}:"],
    "ids: Collection[str]": lambda many: [[SEARCHED_WORD]],
    "names": lambda many: [(SHARED, many.wanderer.name, *(place.worker.name for place in many.places))],
}
"""What parameters are given, by their names, and by their types or ports where these differ."""


def nothing_known(id: bytes, version: int, around: object) -> bool:
    """
    Whoever asks knows no task.
    """
    return False


@frozen
class ReadCall:
    """
    One question to a read port.
    """

    port: str
    method: str
    given: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.port}.{self.method}({', '.join(f'{name}={each}' for name, each in self.given.items())})"


def read_calls(many: GrantedBoards) -> Iterator[ReadCall]:
    """
    Every method of every read port that answers for a principal, with all that it can be asked here.
    """
    for port in PORTS:
        for method, signature in methods_of(many, port).items():
            if port == "entities":
                yield from (ReadCall(port, method, given) for given in _of_rows(many, method))
                continue
            names = [name for name in signature.parameters if name != "principal"]
            values = [list(_values(many, port, signature.parameters[name])) for name in names]
            yield from (ReadCall(port, method, dict(zip(names, each, strict=True))) for each in product(*values))


def methods_of(many: GrantedBoards, port: str) -> dict[str, inspect.Signature]:
    """
    The methods of a read port that are asked by somebody.
    """
    reads = getattr(many.world.ports.reads, port)
    named = {name: getattr(reads, name) for name in dir(reads) if not name.startswith("_")}
    found = {name: inspect.signature(each) for name, each in named.items() if inspect.iscoroutinefunction(each)}
    return {name: each for name, each in found.items() if "principal" in each.parameters}


def _values(many: GrantedBoards, port: str, parameter: inspect.Parameter) -> Iterable[Any]:
    keys = (f"{port}.{parameter.name}", f"{parameter.name}: {parameter.annotation}", parameter.name)
    found = next((VALUES[key] for key in keys if key in VALUES), None)
    assert found is not None, f"tell in VALUES what {parameter.name}: {parameter.annotation} can be"
    return found(many)


def _of_rows(many: GrantedBoards, method: str) -> Iterator[dict[str, Any]]:
    for kind in KINDS:
        equal: list[dict[str, Any]] = [{}]
        if has_board(kind.entity):
            equal += [{"board": place.board.id} for place in many.places]
        home = board_reference_of(kind.entity)
        if home is not None and home.entity is Task:
            equal += [{home.reference: place.tasks[0].id} for place in many.places]
        if home is not None and home.entity is Agent:
            equal += [{home.reference: place.worker.id} for place in many.places]
        if home is not None and home.entity is BoardGroup:
            equal += [{home.reference: group.id} for group in (many.group, many.secluded)]
        if method == "every":
            yield from ({"kind": kind, **each} for each in equal)
        elif method == "page" and kind in NUMBERED:
            pages = product(VALUES["page: PageRequest"](many), VALUES["newest"](many), equal)
            yield from ({"kind": kind, "page": page, "newest": newest, **each} for page, newest, each in pages)
        elif method == "get":
            yield from ({"kind": kind, "key": key} for key in many.keys[kind])


async def results_of(many: GrantedBoards, principal: Any, *asked: ReadCall) -> dict[str, Any]:
    """
    What the read ports answer to these questions.
    """
    found = {}
    for each in asked:
        method = getattr(getattr(many.world.ports.reads, each.port), each.method)
        try:
            found[str(each)] = in_stable_order(each, await method(principal, **each.given))
        except Refusal as refusal:
            found[str(each)] = type(refusal)
    return found


def in_stable_order(asked: ReadCall, answer: Any) -> Any:
    """
    An answer with its lists sorted where their order says nothing, and without boards on which there is nothing.
    """
    if asked.method == "overview" and isinstance(answer, OverviewFigures):
        answer = answer._replace(size=0)  # the store's, whatever is seen of it
    if asked.method == "several":
        return sorted(answer, key=repr)
    if asked.method == "top_tasks":
        return {board: each for board, each in answer.items() if each.counts}
    if asked.port != "reports" and asked.method not in ("event_counts", "work", "sums"):
        return answer
    if isinstance(answer, list):
        return sorted(answer, key=repr)
    if isinstance(answer, tuple) and hasattr(answer, "_replace"):
        lists = {name: in_stable_order(asked, each) for name, each in zip(answer._fields, answer, strict=True)}
        return type(answer)(**lists)
    return answer


def without_the_main_agent(answer: Any) -> Any:
    """
    An answer without the agent that every organization has, and that stands on no board.
    """
    if isinstance(answer, list):
        return [each for each in answer if not (isinstance(each, AgentNameRow) and each.name == MAIN_AGENT_NAME)]
    return answer
