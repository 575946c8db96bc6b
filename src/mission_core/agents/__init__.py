"""
Agents, their presence, their keys and the onboarding of boards.
"""

from typing import TYPE_CHECKING

from mission_core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from mission_core.agents.active_organization import ensure_active_organization as ensure_active_organization
    from mission_core.agents.connect import (
        ConnectedTool as ConnectedTool,
        ConnectTool as ConnectTool,
        DisconnectTool as DisconnectTool,
        connect_tool as connect_tool,
        disconnect_tool as disconnect_tool,
    )
    from mission_core.agents.heartbeat_intervals import (
        GroupAgents as GroupAgents,
        SetHeartbeatInterval as SetHeartbeatInterval,
        set_heartbeat_interval as set_heartbeat_interval,
    )
    from mission_core.agents.member_provisioning import UserNotApproved as UserNotApproved
    from mission_core.agents.model import (
        Agent as Agent,
        AgentCreated as AgentCreated,
        AgentDeleted as AgentDeleted,
        AgentNameTaken as AgentNameTaken,
        AgentNotFound as AgentNotFound,
        AgentPlacement as AgentPlacement,
        AgentRenamed as AgentRenamed,
        AgentStatusChanged as AgentStatusChanged,
        AgentUpdated as AgentUpdated,
        MainAgentProtected as MainAgentProtected,
        Presence as Presence,
        SessionKeyTaken as SessionKeyTaken,
        TokenAlreadyIssued as TokenAlreadyIssued,
        TooManyAgents as TooManyAgents,
        WorkingMemoryFull as WorkingMemoryFull,
    )
    from mission_core.agents.onboarding import (
        AnswerOnboarding as AnswerOnboarding,
        ConfirmOnboarding as ConfirmOnboarding,
        Onboarding as Onboarding,
        OnboardingNotFound as OnboardingNotFound,
        OnboardingStage as OnboardingStage,
        OnboardingStageChanged as OnboardingStageChanged,
        StartOnboarding as StartOnboarding,
        SubmitOnboardingMessage as SubmitOnboardingMessage,
        answer_onboarding as answer_onboarding,
        confirm_onboarding as confirm_onboarding,
        latest_onboarding as latest_onboarding,
        start_onboarding as start_onboarding,
        submit_onboarding_message as submit_onboarding_message,
    )
    from mission_core.agents.onboarding_refusals import (
        NotTheMainAgent as NotTheMainAgent,
        OnboardingConfirmed as OnboardingConfirmed,
    )
    from mission_core.agents.organization_creation import (
        CreateOrganization as CreateOrganization,
        create_organization as create_organization,
        ensure_organization as ensure_organization,
    )
    from mission_core.agents.organization_deletion import (
        DeleteEmptyOrganization as DeleteEmptyOrganization,
        OrganizationInUse as OrganizationInUse,
        delete_empty_organization as delete_empty_organization,
    )
    from mission_core.agents.ports import AgentRepository as AgentRepository
    from mission_core.agents.queries import (
        AgentFilter as AgentFilter,
        AgentNameRow as AgentNameRow,
        AgentReads as AgentReads,
        AgentRow as AgentRow,
        ApiKeyRow as ApiKeyRow,
        ToolConnectionRow as ToolConnectionRow,
    )
    from mission_core.agents.souls import SoulWritten as SoulWritten, WriteSoul as WriteSoul, write_soul as write_soul
    from mission_core.agents.tool_connections import (
        AlreadyConnected as AlreadyConnected,
        ConnectionNotFound as ConnectionNotFound,
        ToolConnected as ToolConnected,
        ToolConnection as ToolConnection,
        ToolDisconnected as ToolDisconnected,
    )
    from mission_core.agents.update import UpdateAgent as UpdateAgent, update_agent as update_agent
    from mission_core.agents.use_cases import (
        AgentWithToken as AgentWithToken,
        CreateAgent as CreateAgent,
        CreateKey as CreateKey,
        IssueToken as IssueToken,
        RecordAgentHeartbeat as RecordAgentHeartbeat,
        RegisterAgent as RegisterAgent,
        RevokeKey as RevokeKey,
        create_agent as create_agent,
        create_key as create_key,
        issue_token as issue_token,
        record_agent_heartbeat as record_agent_heartbeat,
        register_agent as register_agent,
        revoke_key as revoke_key,
    )
    from mission_core.agents.working_memory import (
        ClearWorkingMemory as ClearWorkingMemory,
        WorkingMemoryCleared as WorkingMemoryCleared,
        WorkingMemoryWritten as WorkingMemoryWritten,
        WriteWorkingMemory as WriteWorkingMemory,
        clear_working_memory as clear_working_memory,
        write_working_memory as write_working_memory,
    )
else:
    __getattr__, __dir__ = lazy_exports(__name__)
