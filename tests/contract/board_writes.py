"""
Every use case that changes something, as it is asked for on one board.

They are found by looking at the core, so a new one joins by being named here: with what it is asked for on a board, or
among those that concern no board.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from attrs import evolve

import mission_core
from mission_core.agents.connect import ConnectTool, DisconnectTool, connect_tool, disconnect_tool
from mission_core.agents.onboarding import (
    ONBOARDINGS,
    AnswerOnboarding,
    ConfirmOnboarding,
    OnboardingStage,
    StartOnboarding,
    answer_onboarding,
    confirm_onboarding,
    start_onboarding,
)
from mission_core.agents.souls import WriteSoul, write_soul
from mission_core.agents.tool_connections import CONNECTIONS
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import (
    CreateAgent,
    CreateKey,
    IssueToken,
    RecordAgentHeartbeat,
    RegisterAgent,
    RevokeKey,
    create_agent,
    create_key,
    issue_token,
    record_agent_heartbeat,
    register_agent,
    revoke_key,
)
from mission_core.agents.working_memory import (
    ClearWorkingMemory,
    WriteWorkingMemory,
    clear_working_memory,
    write_working_memory,
)
from mission_core.approvals.model import APPROVALS, ApprovalStatus
from mission_core.approvals.use_cases import DecideApproval, RequestApproval, decide_approval, request_approval
from mission_core.automation.board_webhooks import (
    BOARD_WEBHOOKS,
    CreateBoardWebhook,
    DeleteBoardWebhook,
    UpdateBoardWebhook,
    create_board_webhook,
    delete_board_webhook,
    update_board_webhook,
)
from mission_core.boards.assignments import AssignAgent, UnassignAgent, assign_agent, unassign_agent
from mission_core.boards.use_cases import UpdateBoard, update_board
from mission_core.conversations.use_cases import WriteBoardMemory, write_board_memory
from mission_core.ids import AgentId, ReportedRunId, RunId
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.tasks.broadcasts import BroadcastTask, broadcast_task
from mission_core.tasks.bulk_update import MoveTasks, move_tasks
from mission_core.tasks.comment_creation import AddComment, add_comment
from mission_core.tasks.heartbeats import Heartbeat, heartbeat
from mission_core.tasks.late_result_adoption import AdoptLateResult, adopt_result
from mission_core.tasks.leases import (
    ClaimNext,
    ClaimTask,
    CompleteTask,
    FailTask,
    ReleaseTask,
    claim_next,
    claim_task,
    complete_task,
    fail_task,
    release_task,
)
from mission_core.tasks.model import Status
from mission_core.tasks.operator_orders import GiveOrder, give_order
from mission_core.tasks.runs import Failure, FailureReason, LeaseLost, OrderKind
from mission_core.tasks.use_cases import (
    CreateTask,
    DeleteTask,
    UpdateTask,
    create_task,
    delete_task,
    update_task,
)
from mission_core.usage.reported_run_use_cases import (
    EvaluateReportedRun,
    ReportRun,
    UpdateReportedRun,
    evaluate_reported_run,
    report_run,
    update_reported_run,
)
from mission_core.usage.reported_runs import REPORTED_RUNS, RunEvaluation
from mission_core.usage.use_cases import RecordUsage, UsageReport, record_usage
from mission_core.values import canonical
from tests.contract.granted_boards import REPORTED, SEARCHED_WORD, GrantedBoards, PopulatedBoard, reported_run

UseCase = Callable[..., Awaitable[Any]]
MakeCommand = Callable[[GrantedBoards, PopulatedBoard], Awaitable[Any]]

WITHOUT_BOARD = {
    "create_field", "update_field", "delete_field", "create_tag", "update_tag", "delete_tag", "create_group",
    "set_board_access", "invite_person", "withdraw_invite", "accept_invite", "create_organization",
    "delete_empty_organization", "send_chat_message", "mark_chat_message_read", "delete_chat_message",
    "set_session_preference", "mark_notifications_read", "delete_notifications", "dismiss_notification",
    "send_notification",
}  # fmt: skip
"""What concerns the organization as a whole, or who is in it: who may do it is a matter of roles."""
OF_GROUPS = {"set_heartbeat_interval", "update_group", "delete_group", "write_group_memory"}
OF_QUEUES = {"poll_queue", "peek_queue", "renew_implicit_leases"}
OF_OTHERS = {"submit_onboarding_message", "receive_payload"}
"""Done by the main agent, and by whoever is outside."""
ABOUT_ALL = {"create_board", "correct_usage", "create_budget", "update_budget", "delete_budget"} | {
    f"{verb}_price_override" for verb in ("create", "update", "delete")
}
OF_MANY = {"record_usage_batch", "record_telemetry"}
"""What refuses each report alone, as the use case of one report does."""
READING = {"repeat_broadcast"}
NOT_ON_ONE_BOARD = WITHOUT_BOARD | OF_GROUPS | OF_QUEUES | OF_OTHERS | ABOUT_ALL | OF_MANY | READING
"""What is asked for on no single board."""


def writing_use_cases() -> set[str]:
    """
    The use cases of the core that take a command; but for those of accounts, an area that knows no boards.
    """
    found = set()
    for module in pkgutil.walk_packages(mission_core.__path__, "mission_core."):
        if module.name.startswith("mission_core.accounts."):
            continue
        for name, each in vars(importlib.import_module(module.name)).items():
            own = inspect.iscoroutinefunction(each) and each.__module__ == module.name and not name.startswith("_")
            if own and list(inspect.signature(each).parameters) == ["ports", "principal", "cmd"]:
                found.add(name)
    return found


def _of(make: Callable[[PopulatedBoard], Any]) -> MakeCommand:
    """
    A wish that is made of the place alone.
    """

    async def wish(many: GrantedBoards, place: PopulatedBoard) -> Any:
        return make(place)

    return wish


async def _lease(many: GrantedBoards, place: PopulatedBoard) -> dict[str, Any]:
    """
    A task under a lease of somebody who may.
    """
    task = await evolve(many.world, board=place.board).task(f"{SEARCHED_WORD} leased")
    claimed = await claim_task(many.world.ports, many.world.me, ClaimTask(task=task.id, agent="lee"))
    return {"task": task.id, "lease": claimed.lease}


async def _heartbeat(many: GrantedBoards, place: PopulatedBoard) -> Heartbeat:
    return Heartbeat(progress=canonical({"percent": 5}), **await _lease(many, place))


async def _complete(many: GrantedBoards, place: PopulatedBoard) -> CompleteTask:
    return CompleteTask(**await _lease(many, place))


async def _adopt(many: GrantedBoards, place: PopulatedBoard) -> AdoptLateResult:
    world, lease = many.world, await _lease(many, place)
    await update_task(world.ports, world.me, UpdateTask(task=lease["task"], status=Status.INBOX))
    with suppress(LeaseLost):
        await complete_task(world.ports, world.me, CompleteTask(**lease))
    (run,) = await world.ports.reads.tasks.runs(world.me, lease["task"])
    return AdoptLateResult(task=lease["task"], run=RunId(UUID(bytes=run.id)))


async def _mint(many: GrantedBoards, place: PopulatedBoard) -> IssueToken:
    """
    For an agent of the board that has no key.
    """
    ports, me = many.world.ports, many.world.me
    (number,) = await ports.numbers.next((me.organization, "agent"))
    id = AgentId(ports.ids.new())
    async with ports.unit(me) as unit:
        unit.agents.add(evolve(place.worker, id=id, number=number, name=f"keyless {number}", session_key=None))
        await unit.commit()
    return IssueToken(agent=id)


async def _fail(many: GrantedBoards, place: PopulatedBoard) -> FailTask:
    return FailTask(failure=Failure(reason=FailureReason.CRASHED), **await _lease(many, place))


async def _release(many: GrantedBoards, place: PopulatedBoard) -> ReleaseTask:
    return ReleaseTask(**await _lease(many, place))


def _order(kind: OrderKind) -> MakeCommand:
    async def wish(many: GrantedBoards, place: PopulatedBoard) -> GiveOrder:
        return GiveOrder(task=(await _lease(many, place))["task"], kind=kind)

    return wish


async def _revoke(many: GrantedBoards, place: PopulatedBoard) -> RevokeKey:
    key, _ = await create_key(many.world.ports, many.world.me, CreateKey(agent=place.worker.id))
    return RevokeKey(agent=place.worker.id, key=key.number)


async def _clear(many: GrantedBoards, place: PopulatedBoard) -> ClearWorkingMemory:
    await write_working_memory(
        many.world.ports, many.world.me, WriteWorkingMemory(agent=place.worker.id, content="new")
    )
    return ClearWorkingMemory(agent=place.worker.id)


async def _disconnect(many: GrantedBoards, place: PopulatedBoard) -> DisconnectTool:
    (row,) = await many.world.ports.reads.entities.every(many.world.me, CONNECTIONS, live_for=place.worker.id)
    return DisconnectTool(connection=row.id)


async def _start(many: GrantedBoards, place: PopulatedBoard) -> StartOnboarding:
    async with many.world.ports.unit(many.world.me) as unit:
        for each in await unit.repository(ONBOARDINGS).every(board=place.board.id):
            unit.repository(ONBOARDINGS).save(evolve(each, stage=OnboardingStage.CONFIRMED))
        await unit.commit()
    return StartOnboarding(board=place.board.id, instruction_for=lambda board: SEARCHED_WORD)


async def _update_webhook(many: GrantedBoards, place: PopulatedBoard) -> UpdateBoardWebhook:
    (webhook, *_) = await many.world.ports.reads.entities.every(many.world.me, BOARD_WEBHOOKS, board=place.board.id)
    return UpdateBoardWebhook(webhook=webhook.id, on=place.board.id, description="Otherwise")


async def _delete_webhook(many: GrantedBoards, place: PopulatedBoard) -> DeleteBoardWebhook:
    (webhook, *_) = await many.world.ports.reads.entities.every(many.world.me, BOARD_WEBHOOKS, board=place.board.id)
    return DeleteBoardWebhook(webhook=webhook.id, on=place.board.id)


async def _decide(many: GrantedBoards, place: PopulatedBoard) -> DecideApproval:
    reads = many.world.ports.reads.entities
    (asked, *_) = await reads.every(many.world.me, APPROVALS, board=place.board.id, status=ApprovalStatus.PENDING)
    return DecideApproval(approval=asked.id, status=ApprovalStatus.REJECTED)


async def _report_run(many: GrantedBoards, place: PopulatedBoard) -> ReportRun:
    told = {"agent_label": "new", "task_label": str(place.tasks[DONE].number)}
    return ReportRun(**told, **reported_run(many.world.clock.now()))


async def _run_on(many: GrantedBoards, place: PopulatedBoard) -> ReportedRunId:
    reads = many.world.ports.reads.entities
    (run, *_) = await reads.every(many.world.me, REPORTED_RUNS, board=place.board.id)
    return run.id


async def _update_run(many: GrantedBoards, place: PopulatedBoard) -> UpdateReportedRun:
    return UpdateReportedRun(run=await _run_on(many, place), input_tokens=8)


async def _evaluate_run(many: GrantedBoards, place: PopulatedBoard) -> EvaluateReportedRun:
    return EvaluateReportedRun(run=await _run_on(many, place), evaluation=RunEvaluation(score=2, passed=False))


FIRST, LATER, HELD, DONE, FAILED = range(5)
"""The tasks of a place."""
COMMANDS_ON_BOARDS: list[tuple[UseCase, MakeCommand]] = [
    (connect_tool, _of(lambda place: ConnectTool(agent=place.worker.name, tool_name="new"))),
    (disconnect_tool, _disconnect),
    (update_agent, _of(lambda place: UpdateAgent(agent=place.worker.id, role="new"))),
    (update_agent, _of(lambda place: UpdateAgent(agent=place.worker.id, status="idle"))),
    (update_agent, _of(lambda place: UpdateAgent(agent=place.lead.id, name=f"lou {place.board.number}"))),
    (write_working_memory, _of(lambda place: WriteWorkingMemory(agent=place.worker.id, content=SEARCHED_WORD))),
    (clear_working_memory, _clear),
    (write_soul, _of(lambda place: WriteSoul(agent=place.worker.id, content=SEARCHED_WORD))),
    (create_agent, _of(lambda place: CreateAgent(name=f"neo {place.board.number}", board=place.board.id))),
    (register_agent, _of(lambda place: RegisterAgent(name=f"nea {place.board.number}", board=place.board.id))),
    (register_agent, _of(lambda place: RegisterAgent(name=place.worker.name, status="busy"))),
    (record_agent_heartbeat, _of(lambda place: RecordAgentHeartbeat(agent=place.worker.id, activity="new"))),
    (issue_token, _mint),
    (create_key, _of(lambda place: CreateKey(agent=place.worker.id))),
    (revoke_key, _revoke),
    (answer_onboarding, _of(lambda place: AnswerOnboarding(board=place.board.id, answer=SEARCHED_WORD))),
    (confirm_onboarding, _of(lambda place: ConfirmOnboarding(board=place.board.id, board_type="general"))),
    (start_onboarding, _start),
    (create_board_webhook, _of(lambda place: CreateBoardWebhook(board=place.board.id, description="new"))),
    (update_board_webhook, _update_webhook),
    (delete_board_webhook, _delete_webhook),
    (assign_agent, _of(lambda place: AssignAgent(board=place.board.id, agent_name="neo"))),
    (unassign_agent, _of(lambda place: UnassignAgent(board=place.board.id, agent_name=place.worker.name))),
    (update_board, _of(lambda place: UpdateBoard(board=place.board.id, description="new"))),
    (update_board, _of(lambda place: UpdateBoard(board=place.board.id, assigned_agents=(place.worker.name,)))),
    (write_board_memory, _of(lambda place: WriteBoardMemory(board=place.board.id, content="new"))),
    (record_usage, _of(lambda place: RecordUsage(report=UsageReport(board=place.board.id, **REPORTED)))),
    (record_usage, _of(lambda place: RecordUsage(report=UsageReport(task=place.tasks[DONE].id, **REPORTED)))),
    (report_run, _report_run),
    (update_reported_run, _update_run),
    (evaluate_reported_run, _evaluate_run),
    (create_task, _of(lambda place: CreateTask(title="new", board=place.board.id))),
    (create_task, _of(lambda place: CreateTask(title="new", board=place.board.number))),
    (update_task, _of(lambda place: UpdateTask(task=place.tasks[LATER].id, title="new"))),
    (update_task, _of(lambda place: UpdateTask(task=place.tasks[LATER].number, comment="new"))),
    (update_task, _of(lambda place: UpdateTask(task=place.tasks[HELD].id, status=Status.INBOX))),
    (move_tasks, _of(lambda place: MoveTasks(moves=((place.tasks[FAILED].number, Status.BACKLOG),)))),
    (add_comment, _of(lambda place: AddComment(task=place.tasks[FIRST].id, content="new"))),
    (broadcast_task, _of(lambda place: BroadcastTask(task=place.tasks[FIRST].id, message="new"))),
    (decide_approval, _decide),
    (request_approval, _of(lambda place: RequestApproval(board=place.board.id, action="new", confidence=1))),
    (claim_task, _of(lambda place: ClaimTask(task=place.tasks[FIRST].id, agent="lee"))),
    (claim_next, _of(lambda place: ClaimNext(agent="lee", board=place.board.id))),
    (heartbeat, _heartbeat),
    (complete_task, _complete),
    (adopt_result, _adopt),
    (fail_task, _fail),
    (release_task, _release),
    (give_order, _order(OrderKind.PAUSE)),
    (give_order, _order(OrderKind.STEAL)),
    (delete_task, _of(lambda place: DeleteTask(task=place.tasks[DONE].id))),
    (delete_agent, _of(lambda place: DeleteAgent(agent=place.worker.id))),
    (delete_board, _of(lambda place: DeleteBoard(board=place.board.id))),
]
"""What is asked for on a board; what takes most away comes last."""
BY_NAME: Mapping[str, UseCase] = {use_case.__name__: use_case for use_case, _ in COMMANDS_ON_BOARDS}
