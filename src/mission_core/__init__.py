"""
Mission Control's domain: standard library and attrs only, no I/O.

This package exports the names that an embedding program needs first; each area (`mission_core.tasks`, for example)
exports all of its own. A name's module is imported when the name is first used.
"""

from typing import TYPE_CHECKING

from mission_core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from mission_core import (
        accounts as accounts,
        agents as agents,
        approvals as approvals,
        automation as automation,
        boards as boards,
        conversations as conversations,
        events as events,
        reports as reports,
        tasks as tasks,
    )
    from mission_core.accounts import (
        AgentPrincipal as AgentPrincipal,
        ApiKey as ApiKey,
        MemberPrincipal as MemberPrincipal,
        Organization as Organization,
        Principal as Principal,
        Role as Role,
        SystemPrincipal as SystemPrincipal,
        User as User,
    )
    from mission_core.agents import (
        Agent as Agent,
        CreateAgent as CreateAgent,
        CreateOrganization as CreateOrganization,
        RecordAgentHeartbeat as RecordAgentHeartbeat,
        RegisterAgent as RegisterAgent,
        UpdateAgent as UpdateAgent,
        create_agent as create_agent,
        create_organization as create_organization,
        ensure_organization as ensure_organization,
        record_agent_heartbeat as record_agent_heartbeat,
        register_agent as register_agent,
        update_agent as update_agent,
    )
    from mission_core.approvals import (
        Approval as Approval,
        DecideApproval as DecideApproval,
        RequestApproval as RequestApproval,
        decide_approval as decide_approval,
        request_approval as request_approval,
    )
    from mission_core.boards import (
        Board as Board,
        CreateBoard as CreateBoard,
        GateSet as GateSet,
        UpdateBoard as UpdateBoard,
        create_board as create_board,
        update_board as update_board,
    )
    from mission_core.errors import (
        Conflict as Conflict,
        Denied as Denied,
        Exhausted as Exhausted,
        Invalid as Invalid,
        InvalidField as InvalidField,
        NotFound as NotFound,
        Refusal as Refusal,
        StaleWrite as StaleWrite,
        StoreFailed as StoreFailed,
        VersionMismatch as VersionMismatch,
    )
    from mission_core.events import (
        Actor as Actor,
        ChainBreak as ChainBreak,
        ChainHead as ChainHead,
        Entry as Entry,
        Event as Event,
        EventLog as EventLog,
        verify_log as verify_log,
    )
    from mission_core.ids import (
        AgentId as AgentId,
        ApprovalId as ApprovalId,
        BoardId as BoardId,
        OrganizationId as OrganizationId,
        RunId as RunId,
        TaskId as TaskId,
        UserId as UserId,
    )
    from mission_core.ports import (
        Clock as Clock,
        IdempotencyKey as IdempotencyKey,
        IdFactory as IdFactory,
        NumberSequences as NumberSequences,
        Ports as Ports,
        Reads as Reads,
        UnitOfWork as UnitOfWork,
        perform as perform,
    )
    from mission_core.tasks import (
        AddComment as AddComment,
        ClaimNext as ClaimNext,
        ClaimResult as ClaimResult,
        ClaimTask as ClaimTask,
        CompleteTask as CompleteTask,
        CreateTask as CreateTask,
        DeleteAgent as DeleteAgent,
        DeleteBoard as DeleteBoard,
        DeleteTask as DeleteTask,
        Explanation as Explanation,
        FailTask as FailTask,
        Failure as Failure,
        GateClosed as GateClosed,
        GiveOrder as GiveOrder,
        Heartbeat as Heartbeat,
        HeartbeatResult as HeartbeatResult,
        LeaseLost as LeaseLost,
        LeaseTerms as LeaseTerms,
        MoveTasks as MoveTasks,
        NotClaimable as NotClaimable,
        Order as Order,
        OrderKind as OrderKind,
        Outcome as Outcome,
        PollQueue as PollQueue,
        PollResult as PollResult,
        ReleaseTask as ReleaseTask,
        RenewImplicitLeases as RenewImplicitLeases,
        Run as Run,
        RunState as RunState,
        Status as Status,
        Task as Task,
        TaskFilter as TaskFilter,
        TaskNotFound as TaskNotFound,
        UpdateTask as UpdateTask,
        add_comment as add_comment,
        claim_next as claim_next,
        claim_task as claim_task,
        complete_task as complete_task,
        create_task as create_task,
        delete_agent as delete_agent,
        delete_board as delete_board,
        delete_task as delete_task,
        expire_leases as expire_leases,
        explain_task as explain_task,
        fail_task as fail_task,
        give_order as give_order,
        heartbeat as heartbeat,
        move_tasks as move_tasks,
        poll_queue as poll_queue,
        release_task as release_task,
        renew_implicit_leases as renew_implicit_leases,
        update_task as update_task,
    )
    from mission_core.values import ABSENT as ABSENT, JsonText as JsonText, PageRequest as PageRequest
else:
    __getattr__, __dir__ = lazy_exports(__name__)
