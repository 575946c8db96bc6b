"""
Accounts: organizations, users, members, sessions and API keys.
"""

from typing import TYPE_CHECKING

from mission_core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from mission_core.accounts.access_requests import (
        AccessRequest as AccessRequest,
        AccessRequestApproved as AccessRequestApproved,
        AccessRequestExists as AccessRequestExists,
        AccessRequestNotFound as AccessRequestNotFound,
        AccessRequestReceived as AccessRequestReceived,
        AccessRequestRejected as AccessRequestRejected,
        AccessRequestStatus as AccessRequestStatus,
        NotDefaultOrganizationAdmin as NotDefaultOrganizationAdmin,
    )
    from mission_core.accounts.account_deletion import (
        delete_account as delete_account,
        delete_own_organization as delete_own_organization,
    )
    from mission_core.accounts.active_organization import (
        NotAMember as NotAMember,
        SetActiveOrganization as SetActiveOrganization,
        UpdateOrganization as UpdateOrganization,
        organizations_of as organizations_of,
        set_active_organization as set_active_organization,
        update_organization as update_organization,
    )
    from mission_core.accounts.data_exports import (
        DataExported as DataExported,
        RecordDataExport as RecordDataExport,
        record_data_export as record_data_export,
    )
    from mission_core.accounts.first_admin import (
        CreateFirstAdmin as CreateFirstAdmin,
        SetupDone as SetupDone,
        SetupRaced as SetupRaced,
        create_first_admin as create_first_admin,
        needs_setup as needs_setup,
    )
    from mission_core.accounts.google_sign_in import (
        NoPasswordYet as NoPasswordYet,
        NotConnectedToGoogle as NotConnectedToGoogle,
        ReviewAccessRequest as ReviewAccessRequest,
        SignInStateUsed as SignInStateUsed,
        disconnect_google as disconnect_google,
        list_access_requests as list_access_requests,
        review_access_request as review_access_request,
        sign_in_with_google as sign_in_with_google,
    )
    from mission_core.accounts.identity_claims import (
        ProviderIdentity as ProviderIdentity,
        ProviderProfile as ProviderProfile,
        SigningKeysUnavailable as SigningKeysUnavailable,
        TokenFault as TokenFault,
        TokenRefused as TokenRefused,
    )
    from mission_core.accounts.import_events import RowsImported as RowsImported
    from mission_core.accounts.invites import (
        Invite as Invite,
        InviteAccepted as InviteAccepted,
        InviteCreated as InviteCreated,
        InvitedAlready as InvitedAlready,
        InviteForAnother as InviteForAnother,
        InviteNotFound as InviteNotFound,
        InviteWithdrawn as InviteWithdrawn,
    )
    from mission_core.accounts.key_scopes import ScopeMissing as ScopeMissing
    from mission_core.accounts.member_admin import (
        CannotRemoveOwnMembership as CannotRemoveOwnMembership,
        MemberJoined as MemberJoined,
        MemberLeft as MemberLeft,
        MemberUpdated as MemberUpdated,
        OwnersOnly as OwnersOnly,
        RemoveMember as RemoveMember,
        SetMemberRole as SetMemberRole,
        remove_member as remove_member,
        set_member_role as set_member_role,
    )
    from mission_core.accounts.members import (
        AlreadyMember as AlreadyMember,
        BoardPermission as BoardPermission,
        Member as Member,
        MemberNotFound as MemberNotFound,
        MemberWithUser as MemberWithUser,
    )
    from mission_core.accounts.model import (
        AgentPrincipal as AgentPrincipal,
        ApiKey as ApiKey,
        ApiKeyCreated as ApiKeyCreated,
        ApiKeyNotFound as ApiKeyNotFound,
        ApiKeyRevoked as ApiKeyRevoked,
        BoardAgentConfined as BoardAgentConfined,
        KeyOfAnotherAgent as KeyOfAnotherAgent,
        MemberPrincipal as MemberPrincipal,
        Principal as Principal,
        Role as Role,
        SystemPrincipal as SystemPrincipal,
    )
    from mission_core.accounts.organization_settings import (
        ChangeSettings as ChangeSettings,
        ResetSetting as ResetSetting,
        Setting as Setting,
        SettingNotFound as SettingNotFound,
        SettingReset as SettingReset,
        SettingsChanged as SettingsChanged,
        SettingTaken as SettingTaken,
        change_settings as change_settings,
        reset_setting as reset_setting,
        settings_of as settings_of,
    )
    from mission_core.accounts.organizations import (
        DefaultOrganizationUndeletable as DefaultOrganizationUndeletable,
        Isolation as Isolation,
        Organization as Organization,
        OrganizationCreated as OrganizationCreated,
        OrganizationDeleted as OrganizationDeleted,
        OrganizationDeletion as OrganizationDeletion,
        OrganizationNameTaken as OrganizationNameTaken,
        OrganizationNotFound as OrganizationNotFound,
        OrganizationUpdated as OrganizationUpdated,
        SlugTaken as SlugTaken,
    )
    from mission_core.accounts.own_account import (
        UpdateAccount as UpdateAccount,
        WrongPassword as WrongPassword,
        update_account as update_account,
    )
    from mission_core.accounts.ownership_rules import (
        LastOwnerRequired as LastOwnerRequired,
        OwnerAboveAdmin as OwnerAboveAdmin,
    )
    from mission_core.accounts.passwords import (
        PasswordRefused as PasswordRefused,
        PasswordTooCommon as PasswordTooCommon,
        PasswordTooShort as PasswordTooShort,
    )
    from mission_core.accounts.ports import (
        ApiKeyRepository as ApiKeyRepository,
        CodeExchange as CodeExchange,
        CredentialStore as CredentialStore,
        DecryptionFailed as DecryptionFailed,
        PasswordHasher as PasswordHasher,
        ProviderAccountNotDeleted as ProviderAccountNotDeleted,
        ProviderDirectory as ProviderDirectory,
        SecretEncryption as SecretEncryption,
        Secrets as Secrets,
        TokenVerifier as TokenVerifier,
    )
    from mission_core.accounts.profiles import (
        LocalUserProtected as LocalUserProtected,
        NotAPerson as NotAPerson,
        UpdateProfile as UpdateProfile,
        own_profile as own_profile,
        update_profile as update_profile,
    )
    from mission_core.accounts.proxy_authentication import (
        ProxyUser as ProxyUser,
        ProxyUserRefused as ProxyUserRefused,
        authenticate_proxy_user as authenticate_proxy_user,
    )
    from mission_core.accounts.queries import MemberReads as MemberReads
    from mission_core.accounts.server_key_rotation import (
        RotatedServerKey as RotatedServerKey,
        RotateServerKey as RotateServerKey,
        ServerKeyRotationDenied as ServerKeyRotationDenied,
        ServerKeyState as ServerKeyState,
        rotate_server_key as rotate_server_key,
        server_key_state as server_key_state,
    )
    from mission_core.accounts.server_keys import (
        ServerKey as ServerKey,
        ServerKeyNotFound as ServerKeyNotFound,
        ServerKeyRotated as ServerKeyRotated,
    )
    from mission_core.accounts.sessions import (
        SessionNotFound as SessionNotFound,
        SignedIn as SignedIn,
        SignedOut as SignedOut,
        SignInFailed as SignInFailed,
        UserSession as UserSession,
    )
    from mission_core.accounts.sign_in import (
        AccessPending as AccessPending,
        SignIn as SignIn,
        SignInClient as SignInClient,
        SignInRefused as SignInRefused,
        StartedSession as StartedSession,
        record_failed_sign_in as record_failed_sign_in,
        sign_out as sign_out,
    )
    from mission_core.accounts.user_admin import (
        CannotChangeOwnRole as CannotChangeOwnRole,
        CannotDeleteOwnUser as CannotDeleteOwnUser,
        CreateUser as CreateUser,
        DeleteUser as DeleteUser,
        MemberOfAnotherOrganization as MemberOfAnotherOrganization,
        UpdateUser as UpdateUser,
        create_user as create_user,
        delete_user as delete_user,
        update_user as update_user,
        users_of_organization as users_of_organization,
    )
    from mission_core.accounts.user_provisioning import (
        ClientCredentialsRefused as ClientCredentialsRefused,
        provision_user as provision_user,
    )
    from mission_core.accounts.users import (
        IdentityProvider as IdentityProvider,
        PasswordChanged as PasswordChanged,
        SubjectTaken as SubjectTaken,
        User as User,
        UserCreated as UserCreated,
        UserDeleted as UserDeleted,
        UsernameTaken as UsernameTaken,
        UserNotFound as UserNotFound,
        UserUpdated as UserUpdated,
    )
else:
    __getattr__, __dir__ = lazy_exports(__name__)
