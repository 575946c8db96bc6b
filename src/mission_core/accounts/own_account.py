"""
The signed-in user's own account: display name and password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve, field

from mission_core.accounts.model import MemberPrincipal, Principal
from mission_core.accounts.passwords import checked_password
from mission_core.accounts.profiles import NotAPerson
from mission_core.accounts.sign_in import StartedSession, add_session, end_sessions
from mission_core.accounts.users import USERS, PasswordChanged, User, UserUpdated
from mission_core.entity_changes import with_changes
from mission_core.errors import Denied, StaleWrite
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent

if TYPE_CHECKING:
    from mission_core.ports import Ports


class WrongPassword(Denied):
    """
    The current password is wrong, so the password cannot be changed.
    """

    says = "Current password is incorrect"


@frozen(kw_only=True)
class UpdateAccount:
    """
    Change the named fields of the caller's own account. A new *password* requires the *current* one.
    """

    name: str | Absent = ABSENT
    current: str = field(default="", repr=False)
    password: str | Absent = field(default=ABSENT, repr=False)


@use_case
async def update_account(ports: Ports, principal: Principal, cmd: UpdateAccount) -> User | StartedSession:
    """
    Change the named fields of the caller's own account. A new password ends all of the user's sessions and starts a new
    one.

    Raises:
        NotAPerson: If the caller is not a signed-in user.
        WrongPassword: If the current password is wrong.
        PasswordRefused: If the new password is too weak.
    """
    if not isinstance(principal, MemberPrincipal):
        raise NotAPerson
    now, kept = ports.clock.now(), None
    changes: dict[str, Any] = {} if isinstance(cmd.name, Absent) else {"name": cmd.name}
    if not isinstance(cmd.password, Absent):
        checked_password(cmd.password)
        kept = (await ports.reads.entities.get(principal, USERS, principal.user)).password
        if not await ports.passwords.verify(cmd.current, kept):
            raise WrongPassword
        changes["password"] = await ports.passwords.hash(cmd.password)
    async with ports.unit(principal) as unit:
        user = await unit.repository(USERS).get(principal.user)
        token = None
        if "password" in changes:
            if user.password != kept:
                raise StaleWrite("user", user.id)
            await end_sessions(unit, user)
            token = ports.secrets.token()
            unit.record(PasswordChanged(user=user.id, by_themselves=True, at=now))
            changes["last_login_at"] = now
        user, changed = with_changes(user, changes, at=now)
        if not changed:
            return user
        user = unit.repository(USERS).save(user)
        if "name" in changed:
            unit.record(UserUpdated(user=user.id, changed=("name",), at=now))
        if token is None:
            await unit.commit()
            return user
        session = add_session(ports, unit, principal, token, at=now)
        await unit.commit()
    return StartedSession(user, evolve(principal, session=session.id), session, token)
