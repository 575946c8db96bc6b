"""
Mission Control's domain: standard library and attrs only, no I/O.

This module exports the names that an embedding program needs first. Each area's own modules have the rest.
"""

from mission_core.accounts.model import AgentPrincipal, Principal, Role, SystemPrincipal
from mission_core.accounts.organizations import Organization
from mission_core.agents.organization_creation import ensure_organization
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import (
    CreateAgent,
    RecordAgentHeartbeat,
    RegisterAgent,
    create_agent,
    record_agent_heartbeat,
    register_agent,
)
from mission_core.approvals.use_cases import DecideApproval, RequestApproval, decide_approval, request_approval
from mission_core.boards.use_cases import CreateBoard, UpdateBoard, create_board, update_board
from mission_core.errors import Conflict, Denied, Exhausted, Invalid, NotFound, Refusal, StaleWrite
from mission_core.events.use_cases import verify_log
from mission_core.ports import IdempotencyKey, Ports, perform
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.tasks.bulk_update import MoveTasks, move_tasks
from mission_core.tasks.comment_creation import AddComment, add_comment
from mission_core.tasks.explanations import explain_task
from mission_core.tasks.heartbeats import Heartbeat, heartbeat
from mission_core.tasks.leases import (
    ClaimNext,
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
from mission_core.tasks.orders import GiveOrder, give_order
from mission_core.tasks.queue_polls import PollQueue, RenewImplicitLeases, poll_queue, renew_implicit_leases
from mission_core.tasks.use_cases import (
    CreateTask,
    DeleteTask,
    UpdateTask,
    create_task,
    delete_task,
    update_task,
)
from mission_core.values import ABSENT

__all__ = [
    "ABSENT",
    "AddComment",
    "AgentPrincipal",
    "ClaimNext",
    "ClaimTask",
    "CompleteTask",
    "Conflict",
    "CreateAgent",
    "CreateBoard",
    "CreateTask",
    "DecideApproval",
    "DeleteAgent",
    "DeleteBoard",
    "DeleteTask",
    "Denied",
    "Exhausted",
    "FailTask",
    "GiveOrder",
    "Heartbeat",
    "IdempotencyKey",
    "Invalid",
    "MoveTasks",
    "NotFound",
    "Organization",
    "PollQueue",
    "Ports",
    "Principal",
    "RecordAgentHeartbeat",
    "Refusal",
    "RegisterAgent",
    "ReleaseTask",
    "RenewImplicitLeases",
    "RequestApproval",
    "Role",
    "StaleWrite",
    "SystemPrincipal",
    "UpdateAgent",
    "UpdateBoard",
    "UpdateTask",
    "add_comment",
    "claim_next",
    "claim_task",
    "complete_task",
    "create_agent",
    "create_board",
    "create_task",
    "decide_approval",
    "delete_agent",
    "delete_board",
    "delete_task",
    "ensure_organization",
    "expire_leases",
    "explain_task",
    "fail_task",
    "give_order",
    "heartbeat",
    "move_tasks",
    "perform",
    "poll_queue",
    "record_agent_heartbeat",
    "register_agent",
    "release_task",
    "renew_implicit_leases",
    "request_approval",
    "update_agent",
    "update_board",
    "update_task",
    "verify_log",
]
