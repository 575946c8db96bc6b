"""
Mission Control's domain: standard library and attrs only, no I/O.

This module exports the names that an embedding program needs first. Each area's own modules have the rest.
"""

from mission_core.accounts.model import AgentPrincipal, Principal, Role, System
from mission_core.accounts.organizations import Organization
from mission_core.agents.editing import UpdateAgent, update_agent
from mission_core.agents.founding import found_organization
from mission_core.agents.use_cases import (
    CreateAgent,
    HearAgent,
    RegisterAgent,
    create_agent,
    hear_agent,
    register_agent,
)
from mission_core.approvals.use_cases import DecideApproval, RequestApproval, decide_approval, request_approval
from mission_core.boards.use_cases import CreateBoard, UpdateBoard, create_board, update_board
from mission_core.errors import Conflict, Denied, Exhausted, Invalid, NotFound, Refusal, StaleWrite
from mission_core.events.use_cases import verify_log
from mission_core.ports import Once, Ports, perform
from mission_core.tasks.beating import Heartbeat, heartbeat
from mission_core.tasks.board_removal import DeleteBoard, delete_board
from mission_core.tasks.commenting import AddComment, add_comment
from mission_core.tasks.explaining import explain_task
from mission_core.tasks.leaving import DeleteAgent, delete_agent
from mission_core.tasks.moving import MoveTasks, move_tasks
from mission_core.tasks.ordering import GiveOrder, give_order
from mission_core.tasks.polling import PollQueue, RenewPair, poll_queue, renew_pair
from mission_core.tasks.use_cases import (
    CreateTask,
    DeleteTask,
    UpdateTask,
    create_task,
    delete_task,
    update_task,
)
from mission_core.tasks.work import (
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
    sweep,
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
    "HearAgent",
    "Heartbeat",
    "Invalid",
    "MoveTasks",
    "NotFound",
    "Once",
    "Organization",
    "PollQueue",
    "Ports",
    "Principal",
    "Refusal",
    "RegisterAgent",
    "ReleaseTask",
    "RenewPair",
    "RequestApproval",
    "Role",
    "StaleWrite",
    "System",
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
    "explain_task",
    "fail_task",
    "found_organization",
    "give_order",
    "hear_agent",
    "heartbeat",
    "move_tasks",
    "perform",
    "poll_queue",
    "register_agent",
    "release_task",
    "renew_pair",
    "request_approval",
    "sweep",
    "update_agent",
    "update_board",
    "update_task",
    "verify_log",
]
