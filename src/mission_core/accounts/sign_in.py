"""
Sign-in with a password, the start of sessions, and sign-out.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from attrs import evolve, field

from mission_core.accounts.model import MemberPrincipal, Principal, SystemPrincipal
from mission_core.accounts.organizations import DEFAULT_ORGANIZATION_SLUG, is_default_organization
from mission_core.accounts.sessions import SESSION_LIFETIME, SESSIONS, SignedIn, SignedOut, SignInFailed, UserSession
from mission_core.accounts.users import USERS, IdentityProvider, User
from mission_core.errors import Denied
from mission_core.ids import OrganizationId, SessionId
from mission_core.lazy_attrs import define, frozen
from mission_core.use_case import use_case
from mission_core.values import UNSTORABLE, name_key

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.kinds import EntityRepository
    from mission_core.ports import Ports, UnitOfWork


class AccessPending(Denied):
    """
    The person's identity is verified, but no admin has approved their access yet.
    """

    says = "Access request pending admin approval"


@define(repr=False)
class SignInRefused(Denied):
    """
    The sign-in failed.

    Args:
        reason: The reason, for the event log only. The caller must not learn whether the user exists.
    """

    reason: str
    username: str | None = None
    """The user whom the caller named, if there is one. An unknown name is not kept: it may be a password typed into the
    wrong field."""

    says = "the user name or the password is wrong, or an admin has yet to approve this user"


@frozen
class SignInClient:
    """
    The client of a sign-in, for the event log: its address, and the program that it says it is.
    """

    ip_address: str | None = None
    user_agent: str | None = None


UNKNOWN_CLIENT: Final = SignInClient()


@frozen(kw_only=True)
class SignIn:
    """
    Sign in with a password.
    """

    username: str
    password: str = field(repr=False)
    client: SignInClient = UNKNOWN_CLIENT


@frozen
class StartedSession:
    """
    A started session with its user and principal, and its secret, which is shown only once.
    """

    user: User
    principal: MemberPrincipal
    session: UserSession
    token: str = field(repr=False)


def token_digest(token: str) -> bytes:
    """
    The stored digest (SHA-256) of a secret.
    """
    return sha256(token.encode()).digest()


async def sign_in(ports: Ports, cmd: SignIn) -> StartedSession:
    """
    Start a session for a user name and password. An unknown user name takes as long as a wrong password.

    Raises:
        SignInRefused: If the credentials are wrong, or the user may not sign in with a password.
    """
    desk = await sign_in_principal(ports)
    user = None
    if not UNSTORABLE.search(cmd.username):
        user = next(iter(await ports.reads.entities.every(desk, USERS, username_key=name_key(cmd.username))), None)
    reason = _refusal_reason(user)
    kept = None if reason or user is None else user.password
    if not await ports.passwords.verify(cmd.password, kept):
        reason = reason or "invalid_password"
    if reason is not None or user is None:
        refusal = SignInRefused(reason or "user_not_found", user.username if user else None)
        await record_failed_sign_in(ports, desk.organization, (refusal, cmd.client))
        raise refusal
    better = await ports.passwords.hash(cmd.password) if kept and ports.passwords.needs_rehash(kept) else None
    try:
        return await start_session(ports, user, how=IdentityProvider.LOCAL.value, client=cmd.client, password=better)
    except SignInRefused as refusal:
        refusal.username = user.username
        await record_failed_sign_in(ports, desk.organization, (refusal, cmd.client))
        raise


def _refusal_reason(user: User | None) -> str | None:
    """
    The reason why the user cannot sign in with a password; None if there is none.
    """
    if user is None:
        return "user_not_found"
    if user.provider is not IdentityProvider.LOCAL:
        return "wrong_provider"
    return None if user.approved else "not_approved"


async def sign_in_principal(ports: Ports) -> SystemPrincipal:
    """
    The principal that acts in the default organization before the user is known.
    """
    home = await ports.credentials.organization(DEFAULT_ORGANIZATION_SLUG)
    if home is None:
        raise SignInRefused("no_organization")
    return SystemPrincipal(organization=home.id, name="sign-in", display="Sign-in")


async def is_member_of_default_organization(ports: Ports, user: User) -> bool:
    """
    Whether a user is a member of the default organization. Only its admins may vouch for a user without a subject: an
    admin of another organization could create a user for another person's e-mail address and know the password.
    """
    return any(is_default_organization(place) for place, _ in await ports.credentials.memberships(user.id))


@use_case
async def record_failed_sign_in(
    ports: Ports, organization: OrganizationId, refused: tuple[SignInRefused, SignInClient]
) -> None:
    """
    Add a failed sign-in to the event log of an organization, with its reason.
    """
    refusal, client = refused
    async with ports.unit(SystemPrincipal(organization=organization, name="sign-in", display="Sign-in")) as unit:
        unit.record(
            SignInFailed(
                organization=organization, username=refusal.username, reason=refusal.reason,
                ip_address=client.ip_address, user_agent=client.user_agent, at=ports.clock.now(),
            )
        )  # fmt: skip
        await unit.commit()


async def start_session(
    ports: Ports, user: User, *, how: str, client: SignInClient = UNKNOWN_CLIENT, password: str | None = None
) -> StartedSession:
    """
    Start a session of an authenticated user, and remove the user's expired sessions.

    Args:
        how: The identity provider.
        client: The client of the sign-in.
        password: A stronger hash of the password, to be stored.

    Raises:
        SignInRefused: If the user lost their approval meanwhile, or is not a member of any organization.
    """
    principal = await ports.credentials.member(user.id)
    if principal is None:
        raise SignInRefused("not_approved" if not user.approved else "no_membership")
    cmd = _StartSession(how=how, client=client, kept=user.password, better=password)
    return await _start_session(ports, principal, cmd)


@frozen(kw_only=True)
class _StartSession:
    how: str
    client: SignInClient
    kept: str | None = field(repr=False)
    better: str | None = field(repr=False)


@use_case
async def _start_session(ports: Ports, principal: Principal, cmd: _StartSession) -> StartedSession:
    assert isinstance(principal, MemberPrincipal)
    now, token = ports.clock.now(), ports.secrets.token()
    async with ports.unit(principal) as unit:
        users, sessions = unit.repository(USERS), unit.repository(SESSIONS)
        user = await users.get(principal.user)
        if not user.approved:
            raise SignInRefused("not_approved")
        if user.password != cmd.kept:
            raise SignInRefused("invalid_password")  # the password changed since it was checked
        for each in await sessions.every(user=user.id):
            if each.expires_at <= now:
                sessions.remove(each)
        user = users.save(evolve(user, last_login_at=now, password=cmd.better or user.password))
        session = add_session(ports, unit, principal, token, at=now)
        client = cmd.client
        unit.record(
            SignedIn(
                user=user.id, session=session.id, how=cmd.how, ip_address=client.ip_address,
                user_agent=client.user_agent, at=now,
            )
        )  # fmt: skip
        unit.result(session.id)
        await unit.commit()
    return StartedSession(user, evolve(principal, session=session.id), session, token)


def add_session(ports: Ports, unit: UnitOfWork, principal: MemberPrincipal, token: str, *, at: datetime) -> UserSession:
    """
    Add a new session with this secret when the unit commits.
    """
    return unit.repository(SESSIONS).add(
        UserSession(
            id=SessionId(ports.ids.new()),
            user=principal.user,
            workspace=principal.organization,
            digest=token_digest(token),
            created_at=at,
            expires_at=at + SESSION_LIFETIME,
        )
    )


@use_case
async def sign_out(ports: Ports, principal: MemberPrincipal) -> None:
    """
    End the session of the request. It is refused everywhere from then on.
    """
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        sessions = unit.repository(SESSIONS)
        session = await sessions.find(id=principal.session) if principal.session else None
        if session is None:
            return
        sessions.remove(session)
        unit.record(SignedOut(user=principal.user, session=session.id, at=now))
        await unit.commit()


async def end_sessions(unit: UnitOfWork, user: User, *, but: SessionId | None = None) -> int:
    """
    End all sessions of a user, or all *but* one, when the unit commits.

    Returns:
        The number of ended sessions.
    """
    sessions: EntityRepository[UserSession] = unit.repository(SESSIONS)
    ending = [each for each in await sessions.every(user=user.id) if each.id != but]
    for each in ending:
        sessions.remove(each)
    return len(ending)
