"""
Tasks: their dependencies, comments, runs, leases, gates and the queue.
"""

from typing import TYPE_CHECKING

from mission_core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from mission_core.tasks.agent_deletion import DeleteAgent as DeleteAgent, delete_agent as delete_agent
    from mission_core.tasks.board_deletion import DeleteBoard as DeleteBoard, delete_board as delete_board
    from mission_core.tasks.broadcasts import (
        BroadcastResult as BroadcastResult,
        BroadcastTask as BroadcastTask,
        broadcast_task as broadcast_task,
        repeat_broadcast as repeat_broadcast,
    )
    from mission_core.tasks.bulk_update import (
        MovedTasks as MovedTasks,
        MoveTasks as MoveTasks,
        move_tasks as move_tasks,
    )
    from mission_core.tasks.comment_creation import (
        AddComment as AddComment,
        LeadCommentDenied as LeadCommentDenied,
        add_comment as add_comment,
    )
    from mission_core.tasks.comments import Comment as Comment, CommentNotFound as CommentNotFound
    from mission_core.tasks.events import (
        DependencyToggled as DependencyToggled,
        OrderAcknowledged as OrderAcknowledged,
        OrderGiven as OrderGiven,
        RunCompleted as RunCompleted,
        RunExpired as RunExpired,
        RunFailed as RunFailed,
        RunReleased as RunReleased,
        RunResultAdopted as RunResultAdopted,
        RunResultLate as RunResultLate,
        RunResumed as RunResumed,
        RunRevoked as RunRevoked,
        RunSuspended as RunSuspended,
        TaskAssigned as TaskAssigned,
        TaskBroadcast as TaskBroadcast,
        TaskClaimed as TaskClaimed,
        TaskCommented as TaskCommented,
        TaskCreated as TaskCreated,
        TaskDeleted as TaskDeleted,
        TaskMoved as TaskMoved,
        TaskSelfReviewed as TaskSelfReviewed,
        TaskUpdated as TaskUpdated,
    )
    from mission_core.tasks.explanations import (
        Explanation as Explanation,
        TaskState as TaskState,
        explain_task as explain_task,
    )
    from mission_core.tasks.gates import OwnReviewRefused as OwnReviewRefused
    from mission_core.tasks.github_links import GitHubLinks as GitHubLinks
    from mission_core.tasks.heartbeats import (
        Heartbeat as Heartbeat,
        HeartbeatResult as HeartbeatResult,
        heartbeat as heartbeat,
    )
    from mission_core.tasks.late_result_adoption import (
        AdoptionNeedsLease as AdoptionNeedsLease,
        AdoptLateResult as AdoptLateResult,
        LateResultNotAdoptable as LateResultNotAdoptable,
        adopt_result as adopt_result,
    )
    from mission_core.tasks.late_results import (
        LateResult as LateResult,
        LateResultNotFound as LateResultNotFound,
        keep_refused_write as keep_refused_write,
        late_results_by_run as late_results_by_run,
        late_results_of as late_results_of,
    )
    from mission_core.tasks.lease_ownership import (
        LeaseHeldByAnother as LeaseHeldByAnother,
        LeaseRequired as LeaseRequired,
    )
    from mission_core.tasks.leases import (
        ClaimNext as ClaimNext,
        ClaimResult as ClaimResult,
        ClaimTask as ClaimTask,
        CompleteTask as CompleteTask,
        FailTask as FailTask,
        ReleaseTask as ReleaseTask,
        claim_next as claim_next,
        claim_task as claim_task,
        complete_task as complete_task,
        expire_leases as expire_leases,
        fail_task as fail_task,
        release_task as release_task,
    )
    from mission_core.tasks.mentions import UnknownMentions as UnknownMentions
    from mission_core.tasks.model import (
        BlockedByDependencies as BlockedByDependencies,
        CommentRequired as CommentRequired,
        DependenciesFrozen as DependenciesFrozen,
        DependencyCycle as DependencyCycle,
        DependencyNotFound as DependencyNotFound,
        FinishedTaskDenied as FinishedTaskDenied,
        GateClosed as GateClosed,
        NotClaimable as NotClaimable,
        NotYourTask as NotYourTask,
        SelfDependency as SelfDependency,
        Status as Status,
        Task as Task,
        TaskNotFound as TaskNotFound,
        TaskWorkVersion as TaskWorkVersion,
    )
    from mission_core.tasks.operator_orders import GiveOrder as GiveOrder, give_order as give_order
    from mission_core.tasks.ports import (
        BudgetReached as BudgetReached,
        Candidate as Candidate,
        ClaimFilter as ClaimFilter,
        DeletionCascade as DeletionCascade,
        DependencyNode as DependencyNode,
        GateContext as GateContext,
        Gates as Gates,
        OrphanedTask as OrphanedTask,
        RunRepository as RunRepository,
        TaskChange as TaskChange,
        TaskInProgress as TaskInProgress,
        TaskRepository as TaskRepository,
        TooManyUnfinishedTasks as TooManyUnfinishedTasks,
    )
    from mission_core.tasks.queries import (
        Dependency as Dependency,
        ExplanationInput as ExplanationInput,
        RunRow as RunRow,
        TaskFilter as TaskFilter,
        TaskReads as TaskReads,
        TaskRow as TaskRow,
    )
    from mission_core.tasks.queue_polls import (
        PollQueue as PollQueue,
        PollReason as PollReason,
        PollResult as PollResult,
        RenewedLeases as RenewedLeases,
        RenewImplicitLeases as RenewImplicitLeases,
        peek_queue as peek_queue,
        poll_queue as poll_queue,
        renew_implicit_leases as renew_implicit_leases,
    )
    from mission_core.tasks.runs import (
        Assignee as Assignee,
        Failure as Failure,
        FailureReason as FailureReason,
        ImplicitHolder as ImplicitHolder,
        LeaseLost as LeaseLost,
        LeaseTerms as LeaseTerms,
        LeaseUnknown as LeaseUnknown,
        NoLiveLease as NoLiveLease,
        Order as Order,
        OrderKind as OrderKind,
        OrderNotDeliverable as OrderNotDeliverable,
        Outcome as Outcome,
        RetryClass as RetryClass,
        Run as Run,
        RunNotFound as RunNotFound,
        RunState as RunState,
        SecretHolder as SecretHolder,
        TaskResult as TaskResult,
        TooManyOrders as TooManyOrders,
    )
    from mission_core.tasks.snapshots import (
        ApprovalCounts as ApprovalCounts,
        BoardTopTasks as BoardTopTasks,
        BoardView as BoardView,
        GroupView as GroupView,
        SnapshotReads as SnapshotReads,
        TaskSurroundings as TaskSurroundings,
        TopTasks as TopTasks,
        group_view as group_view,
        sibling_boards_view as sibling_boards_view,
    )
    from mission_core.tasks.tags_and_custom_fields import (
        CustomFieldsRequired as CustomFieldsRequired,
        CustomFieldsUnknown as CustomFieldsUnknown,
        CustomFieldValueInvalid as CustomFieldValueInvalid,
        TagsNotFound as TagsNotFound,
    )
    from mission_core.tasks.team_rules import (
        AssigneeOnAnotherBoard as AssigneeOnAnotherBoard,
        AssigneeRule as AssigneeRule,
        BoardRole as BoardRole,
        LeadCannotMove as LeadCannotMove,
        LeadCannotMoveTo as LeadCannotMoveTo,
        LeadCommentRefused as LeadCommentRefused,
        LeadFieldsRefused as LeadFieldsRefused,
        LeadNotAssignable as LeadNotAssignable,
        OnlyLeadMovesTasks as OnlyLeadMovesTasks,
        TaskAssigneeMismatch as TaskAssigneeMismatch,
        TaskBoardMismatch as TaskBoardMismatch,
        UpdateFieldForbidden as UpdateFieldForbidden,
    )
    from mission_core.tasks.use_cases import (
        CreateTask as CreateTask,
        DeleteTask as DeleteTask,
        UpdateMode as UpdateMode,
        UpdateTask as UpdateTask,
        create_task as create_task,
        delete_task as delete_task,
        update_task as update_task,
    )
else:
    __getattr__, __dir__ = lazy_exports(__name__)
