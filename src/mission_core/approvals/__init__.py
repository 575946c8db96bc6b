"""
Approvals: requests to people for permission, and their decisions.
"""

from typing import TYPE_CHECKING

from mission_core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from mission_core.approvals.gates import ApprovalGates as ApprovalGates
    from mission_core.approvals.model import (
        AgentsCannotDecide as AgentsCannotDecide,
        Approval as Approval,
        ApprovalAlreadyDecided as ApprovalAlreadyDecided,
        ApprovalAlreadyLinked as ApprovalAlreadyLinked,
        ApprovalAlreadyPending as ApprovalAlreadyPending,
        ApprovalDecided as ApprovalDecided,
        ApprovalLink as ApprovalLink,
        ApprovalLinkNotFound as ApprovalLinkNotFound,
        ApprovalNotFound as ApprovalNotFound,
        ApprovalReopened as ApprovalReopened,
        ApprovalRequested as ApprovalRequested,
        ApprovalStatus as ApprovalStatus,
        ApprovalTasksNotFound as ApprovalTasksNotFound,
        ApprovalUsed as ApprovalUsed,
    )
    from mission_core.approvals.queries import (
        ApprovalReads as ApprovalReads,
        ApprovalRow as ApprovalRow,
        LinkedTask as LinkedTask,
    )
    from mission_core.approvals.use_cases import (
        DecideApproval as DecideApproval,
        RequestApproval as RequestApproval,
        decide_approval as decide_approval,
        request_approval as request_approval,
    )
else:
    __getattr__, __dir__ = lazy_exports(__name__)
