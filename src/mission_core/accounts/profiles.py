"""
User profiles, and the local user, who needs no sign-up.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from attrs import asdict, evolve

from mission_core.accounts.members import MEMBERS, OWNER, AlreadyMember, Member
from mission_core.accounts.model import Principal, SystemPrincipal
from mission_core.accounts.users import USERS, IdentityProvider, User, UsernameTaken, UserUpdated
from mission_core.entity_changes import require_version, with_changes
from mission_core.errors import Conflict, Denied
from mission_core.ids import MemberId, OrganizationId, UserId, UserNumber
from mission_core.kinds import DEPLOYMENT
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, name_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mission_core.ports import Ports, UnitOfWork


class NotAPerson(Denied):
    """
    The credential belongs to a program, and the operation needs a user.
    """

    says = "this credential belongs to a program; sign in as a user to see or change a profile"


class LocalUserProtected(Conflict):
    """
    The local user belongs to the server's own token and owns its organization: its role stays, and it cannot be
    deleted.
    """

    code = "local_user_stays"
    says = (
        "the local user belongs to LOCAL_AUTH_TOKEN and owns this organization, so neither can be deleted; "
        "change the token to lock the local user out, or start with another data directory"
    )


LOCAL_LOGIN: Final = "local-auth-user"
LOCAL_NAME: Final = "Local User"
LOCAL_EMAIL: Final = "admin@home.local"
PROFILE_ANSWERS: Final = ("preferred_name", "pronouns", "timezone", "notes", "context")
"""The profile fields that onboarding may fill in."""


@frozen(kw_only=True)
class UpdateProfile:
    """
    Change the named fields of the caller's own profile.
    """

    expects: int | None = None
    name: str | Absent | None = ABSENT
    preferred_name: str | Absent | None = ABSENT
    pronouns: str | Absent | None = ABSENT
    timezone: str | Absent | None = ABSENT
    notes: str | Absent | None = ABSENT
    context: str | Absent | None = ABSENT


def local_user_of(organization: OrganizationId) -> UserId:
    """
    The id of an organization's local user, derived from the organization's id.
    """
    return UserId(uuid5(NAMESPACE_URL, f"mission-control:local-user:{organization}"))


async def ensure_local_user(ports: Ports, organization: OrganizationId, *, username: str = LOCAL_LOGIN) -> UserId:
    """
    Create the organization's local user, who owns it, if there is none. Several processes may call this at once.
    """
    id = local_user_of(organization)
    try:
        await _make_local_user(ports, organization, id, username)
    except (AlreadyMember, UsernameTaken, Conflict):
        await _make_local_user(ports, organization, id, username)  # another process created the user first
    return id


@use_case
async def _make_local_user(ports: Ports, organization: OrganizationId, id: UserId, username: str) -> None:
    now = ports.clock.now()
    async with ports.unit(SystemPrincipal(organization=organization)) as unit:
        users, members = unit.repository(USERS), unit.repository(MEMBERS)
        has_user, has_place = await users.find(id=id) is not None, await members.find(user=id) is not None
        if has_user and has_place:
            return
        if not has_user:
            (number,) = await ports.numbers.next((DEPLOYMENT, "user"))
            users.add(
                User(
                    id=id,
                    number=UserNumber(number),
                    username=username,
                    username_key=name_key(username),
                    provider=IdentityProvider.TOKEN,
                    email=LOCAL_EMAIL,
                    name=LOCAL_NAME,
                    active=organization,
                    created_at=now,
                    updated_at=now,
                )
            )
        if not has_place:
            members.add(
                Member(
                    id=MemberId(uuid5(organization, str(id))),
                    organization=organization,
                    user=id,
                    role=OWNER,
                    all_boards_read=True,
                    all_boards_write=True,
                    created_at=now,
                    updated_at=now,
                )
            )
        await unit.commit()


async def own_profile(ports: Ports, principal: Principal) -> User:
    """
    The caller's user.

    Raises:
        NotAPerson: If the caller is a program.
    """
    return _with_local_name(await ports.reads.entities.get(principal, USERS, user_id_of(principal)))


@use_case
async def update_profile(ports: Ports, principal: Principal, cmd: UpdateProfile) -> User:
    """
    Change the named fields of the caller's own profile.

    Raises:
        NotAPerson: If the caller is a program.
        VersionMismatch: If the caller expected another version.
    """
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        users = unit.repository(USERS)
        before = require_version(await users.get(user_id_of(principal)), cmd.expects)
        changes: dict[str, Any] = {
            name: value
            for name, value in asdict(cmd, recurse=False).items()
            if name != "expects" and value is not ABSENT
        }
        after, changed = with_changes(before, changes, at=now)
        if not changed:
            return _with_local_name(before)
        after = users.save(after)
        unit.record(UserUpdated(user=after.id, changed=changed, at=now))
        await unit.commit()
    return _with_local_name(after)


async def save_profile_answers(
    unit: UnitOfWork, principal: Principal, told: Mapping[str, Any], *, at: datetime
) -> list[UserUpdated]:
    """
    Save the given profile fields of the caller, if it is a user, when the unit commits. Returns the events.
    """
    if getattr(principal, "user", None) is None:
        return []
    users = unit.repository(USERS)
    before = await users.get(user_id_of(principal))
    after, changed = with_changes(before, {name: told[name] for name in PROFILE_ANSWERS if told.get(name)}, at=at)
    if not changed:
        return []
    users.save(after)
    return [UserUpdated(user=before.id, changed=changed, at=at)]


def user_id_of(principal: Principal) -> UserId:
    """
    The id of the caller's user.

    Raises:
        NotAPerson: If the caller is a program.
    """
    user = getattr(principal, "user", None)
    if user is None:
        raise NotAPerson
    return UserId(user)


def _with_local_name(user: User) -> User:
    """
    The user, with the default name if the local user's name is empty.
    """
    if user.provider is not IdentityProvider.TOKEN or (user.name and user.name.strip()):
        return user
    return evolve(user, name=LOCAL_NAME)
