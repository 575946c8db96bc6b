"""
Boards: their names, ticket prefixes, gates, groups, tags, custom fields and access grants.
"""

from typing import TYPE_CHECKING

from mission_core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from mission_core.boards.assignments import (
        AgentAssigned as AgentAssigned,
        AgentsUnknown as AgentsUnknown,
        AgentUnassigned as AgentUnassigned,
        AlreadyAssigned as AlreadyAssigned,
        AssignAgent as AssignAgent,
        BoardAssignment as BoardAssignment,
        NotAssigned as NotAssigned,
        UnassignAgent as UnassignAgent,
        assign_agent as assign_agent,
        unassign_agent as unassign_agent,
    )
    from mission_core.boards.board_access import (
        AcceptInvite as AcceptInvite,
        BoardAccess as BoardAccess,
        GrantedBoardNotFound as GrantedBoardNotFound,
        InvitePerson as InvitePerson,
        SetBoardAccess as SetBoardAccess,
        WithdrawInvite as WithdrawInvite,
        accept_invite as accept_invite,
        invite_person as invite_person,
        set_board_access as set_board_access,
        withdraw_invite as withdraw_invite,
    )
    from mission_core.boards.custom_field_use_cases import (
        CreateField as CreateField,
        DeleteField as DeleteField,
        UpdateField as UpdateField,
        create_field as create_field,
        delete_field as delete_field,
        update_field as update_field,
    )
    from mission_core.boards.custom_fields import (
        CustomField as CustomField,
        CustomFieldType as CustomFieldType,
        DefaultInvalid as DefaultInvalid,
        FieldBoardsUnknown as FieldBoardsUnknown,
        FieldCreated as FieldCreated,
        FieldDeleted as FieldDeleted,
        FieldInUse as FieldInUse,
        FieldKeyTaken as FieldKeyTaken,
        FieldNotFound as FieldNotFound,
        FieldUpdated as FieldUpdated,
        FieldVisibility as FieldVisibility,
    )
    from mission_core.boards.grants import Grant as Grant, InviteGrant as InviteGrant
    from mission_core.boards.groups import (
        BoardGroup as BoardGroup,
        CreateGroup as CreateGroup,
        DeleteGroup as DeleteGroup,
        GroupCreated as GroupCreated,
        GroupDeleted as GroupDeleted,
        GroupNotFound as GroupNotFound,
        GroupUpdated as GroupUpdated,
        UpdateGroup as UpdateGroup,
        create_group as create_group,
        delete_group as delete_group,
        update_group as update_group,
    )
    from mission_core.boards.model import (
        Board as Board,
        BoardCreated as BoardCreated,
        BoardDeleted as BoardDeleted,
        BoardDenied as BoardDenied,
        BoardNotFound as BoardNotFound,
        BoardReadOnly as BoardReadOnly,
        BoardStatus as BoardStatus,
        BoardUpdated as BoardUpdated,
        GateSet as GateSet,
        GatesVersion as GatesVersion,
        GeneralBoardNotDeletable as GeneralBoardNotDeletable,
        GeneralBoardProtected as GeneralBoardProtected,
        GoalIncomplete as GoalIncomplete,
        HandleTaken as HandleTaken,
        TicketPrefixTaken as TicketPrefixTaken,
        WeakerGates as WeakerGates,
    )
    from mission_core.boards.ports import BoardRepository as BoardRepository
    from mission_core.boards.queries import BoardFilter as BoardFilter, BoardReads as BoardReads, BoardRow as BoardRow
    from mission_core.boards.tags import (
        CreateTag as CreateTag,
        DeleteTag as DeleteTag,
        Tag as Tag,
        TagCreated as TagCreated,
        TagDeleted as TagDeleted,
        TagNotFound as TagNotFound,
        TagSlugTaken as TagSlugTaken,
        TagUpdated as TagUpdated,
        UpdateTag as UpdateTag,
        create_tag as create_tag,
        delete_tag as delete_tag,
        update_tag as update_tag,
    )
    from mission_core.boards.use_cases import (
        CreateBoard as CreateBoard,
        UpdateBoard as UpdateBoard,
        create_board as create_board,
        update_board as update_board,
    )
else:
    __getattr__, __dir__ = lazy_exports(__name__)
