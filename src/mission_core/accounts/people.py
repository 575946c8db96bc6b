"""
People as they describe themselves, and the one who needs no signing up: the local user.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from attrs import asdict, evolve, frozen

from mission_core.accounts.members import MEMBERS, OWNER, AlreadyMember, Member
from mission_core.accounts.model import Principal, System
from mission_core.accounts.users import USERS, Provider, User, UsernameTaken, UserUpdated
from mission_core.changes import edited
from mission_core.errors import Conflict, Denied, VersionMismatch
from mission_core.ids import MemberId, OrganizationId, UserId, UserNumber
from mission_core.kinds import DEPLOYMENT
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, name_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mission_core.ports import Ports, UnitOfWork


class NotAPerson(Denied):
    """
    The caller is a program, and a person is asked for.
    """

    def __str__(self) -> str:
        return "this credential stands for a program; sign in as a person to see or change a profile"


class LocalUserStays(Conflict):
    """
    The local user stands for whoever has the server's own token, and owns its organization.
    """

    def __str__(self) -> str:
        return (
            "the local user stands for LOCAL_AUTH_TOKEN and owns this organization, so neither can be deleted here; "
            "change the token to shut it out, or start another data directory"
        )


LOCAL_LOGIN: Final = "local-auth-user"
LOCAL_NAME: Final = "Local User"
LOCAL_EMAIL: Final = "admin@home.local"
TOLD: Final = ("preferred_name", "pronouns", "timezone", "notes", "context")
"""What others may tell of a person."""


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
    The id of an organization's local user: made of the organization's own, so nobody has to look it up.
    """
    return UserId(uuid5(NAMESPACE_URL, f"mission-control:local-user:{organization}"))


async def ensure_local_user(
    ports: Ports, organization: OrganizationId, *, username: str = LOCAL_LOGIN
) -> UserId:
    """
    Make the organization's local user, who owns it, where it is missing. Any number of processes may do this at once.
    """
    id = local_user_of(organization)
    try:
        await _make_local_user(ports, organization, id, username)
    except (AlreadyMember, UsernameTaken, Conflict):
        await _make_local_user(ports, organization, id, username)  # somebody else was faster
    return id


@use_case
async def _make_local_user(ports: Ports, organization: OrganizationId, id: UserId, username: str) -> None:
    now = ports.clock.now()
    async with ports.unit(System(organization=organization)) as unit:
        users, members = unit.rows(USERS), unit.rows(MEMBERS)
        has_user, has_place = await users.find(id=id) is not None, await members.find(user=id) is not None
        if has_user and has_place:
            return
        if not has_user:
            (number,) = await ports.numbers.draw((DEPLOYMENT, "user"))
            users.add(
                User(
                    id=id, number=UserNumber(number), username=username, username_key=name_key(username),
                    provider=Provider.TOKEN, email=LOCAL_EMAIL, name=LOCAL_NAME, active=organization,
                    created_at=now, updated_at=now,
                )
            )
        if not has_place:
            members.add(
                Member(
                    id=MemberId(uuid5(organization, str(id))), organization=organization, user=id, role=OWNER,
                    all_boards_read=True, all_boards_write=True, created_at=now, updated_at=now,
                )
            )
        await unit.commit()


async def own_profile(ports: Ports, principal: Principal) -> User:
    """
    What is kept about the caller.

    Raises:
        NotAPerson: If the caller is a program.
    """
    return _complete(await ports.reads.rows.get(principal, USERS, user_in(principal)))


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
        users = unit.rows(USERS)
        before = await users.get(user_in(principal))
        if cmd.expects is not None and cmd.expects != before.version:
            raise VersionMismatch(cmd.expects, before.version)
        changes: dict[str, Any] = {
            name: value
            for name, value in asdict(cmd, recurse=False).items()
            if name != "expects" and value is not ABSENT
        }
        after, changed = edited(before, changes, at=now)
        if not changed:
            return _complete(before)
        after = users.save(after)
        unit.record(UserUpdated(user=after.id, changed=changed, at=now))
        await unit.commit()
    return _complete(after)


async def profile_told(
    unit: UnitOfWork, principal: Principal, told: Mapping[str, Any], *, at: datetime
) -> list[UserUpdated]:
    """
    Remember what was told of the caller, where it is a person, in a unit that does more; the facts of it.
    """
    if getattr(principal, "user", None) is None:
        return []
    users = unit.rows(USERS)
    before = await users.get(user_in(principal))
    after, changed = edited(before, {name: told[name] for name in TOLD if told.get(name)}, at=at)
    if not changed:
        return []
    users.save(after)
    return [UserUpdated(user=before.id, changed=changed, at=at)]


def user_in(principal: Principal) -> UserId:
    """
    Which user the caller is.

    Raises:
        NotAPerson: If the caller is a program.
    """
    user = getattr(principal, "user", None)
    if user is None:
        raise NotAPerson
    return UserId(user)


def _complete(user: User) -> User:
    """
    The local user is never without a name: a profile that lost it shows the one it began with.
    """
    if user.provider is not Provider.TOKEN or (user.name and user.name.strip()):
        return user
    return evolve(user, name=LOCAL_NAME)
