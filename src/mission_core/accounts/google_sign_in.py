"""
Sign-in with Google: known users get a session, others an access request that an admin decides.
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from mission_core.accounts.access_requests import (
    ACCESS_REQUESTS,
    AccessRequest,
    AccessRequestApproved,
    AccessRequestExists,
    AccessRequestReceived,
    AccessRequestRejected,
    AccessRequestStatus,
    NotDefaultOrganizationAdmin,
    is_same_person,
)
from mission_core.accounts.identity_claims import email_changes
from mission_core.accounts.invites import invites_above_rank, withdraw_invites
from mission_core.accounts.members import MEMBERS, ROLE_RANKS, Member
from mission_core.accounts.model import MemberPrincipal, Principal, Role, require_organization_admin
from mission_core.accounts.organizations import DEFAULT_ORGANIZATION_SLUG
from mission_core.accounts.ownership_rules import (
    MEMBERSHIP_OF_ROLE,
    membership_changes,
    require_another_owner,
    require_rank_over_member,
)
from mission_core.accounts.sign_in import (
    UNKNOWN_CLIENT,
    AccessPending,
    SignInClient,
    SignInRefused,
    StartedSession,
    is_member_of_default_organization,
    sign_in_principal,
    start_session,
)
from mission_core.accounts.user_admin import add_user
from mission_core.accounts.user_provisioning import UNKNOWN_CALLER, free_username
from mission_core.accounts.users import USERS, IdentityProvider, SubjectTaken, User, UsernameTaken, UserUpdated
from mission_core.errors import Invalid, StaleWrite
from mission_core.ids import AccessRequestId, MemberId, UserId, UserNumber
from mission_core.kinds import DEPLOYMENT
from mission_core.lazy_attrs import define, frozen
from mission_core.ports import AlreadyDone, IdempotencyKey
from mission_core.use_case import use_case
from mission_core.values import name_key

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.accounts.identity_claims import ProviderIdentity
    from mission_core.ports import Ports, UnitOfWork

ACCESS_REQUEST_NUMBERS: Final = (DEPLOYMENT, "access_request")


class NotConnectedToGoogle(Invalid):
    """
    The caller's account is not connected to Google.
    """

    code = "not_connected"
    says = "Account is not connected to Google"


class NoPasswordYet(Invalid):
    """
    The caller has no password, so they could not sign in without Google.
    """

    says = "Cannot disconnect Google — no password set. Set a password first to avoid being locked out."


@define(repr=False)
class SignInStateUsed(Invalid):
    """
    The state parameter of this sign-in was used before.
    """

    code = "state_used"
    says = "this sign-in was completed before; begin again"


@frozen(kw_only=True)
class ReviewAccessRequest:
    """
    Approve or reject an access request.
    """

    request: int
    approve: bool
    role: Role = Role.VIEWER
    note: str | None = None


async def sign_in_with_google(
    ports: Ports, person: ProviderIdentity, *, client: SignInClient = UNKNOWN_CLIENT, state: str | None = None
) -> StartedSession:
    """
    Start a session for a person whom Google has identified, if they have access; otherwise create or renew their access
    request.

    Args:
        client: The client of the sign-in.
        state: The state parameter that the browser returned. It starts one session only.

    Raises:
        AccessPending: If no admin has approved the person yet.
        SignInStateUsed: If the state was used before.
    """
    user = await _find_user(ports, person)
    if user is None or not user.approved:
        await _request_access(ports, await sign_in_principal(ports), person)
        raise AccessPending
    user = await _update_from_provider(ports, UNKNOWN_CALLER, (user.id, person))
    if state is not None:
        once = IdempotencyKey(key=state, operation="sign in", body_digest=sha256(state.encode()).digest())
        ports = evolve(ports, unit=partial(ports.unit, once=once))
    try:
        return await start_session(ports, user, how=person.provider.value, client=client)
    except AlreadyDone:
        raise SignInStateUsed from None
    except SignInRefused:
        raise AccessPending from None


async def _find_user(ports: Ports, person: ProviderIdentity) -> User | None:
    every = ports.reads.entities.every
    known = await every(UNKNOWN_CALLER, USERS, provider=person.provider, subject=person.subject)
    if not known:
        known = await every(UNKNOWN_CALLER, USERS, provider=person.provider, email=person.email, subject=None)
        known = [
            each
            for each in known
            if is_same_person(each, person) and await is_member_of_default_organization(ports, each)
        ]
    return known[0] if len(known) == 1 else None


@use_case
async def _update_from_provider(ports: Ports, nobody: Principal, cmd: tuple[UserId, ProviderIdentity]) -> User:
    """
    The user with the e-mail address and picture that the provider has now.
    """
    id, person = cmd
    async with ports.unit(nobody) as unit:
        user: User = await unit.repository(USERS).get(id)
        if not is_same_person(user, person):
            raise AccessPending
        told: dict[str, Any] = {"subject": person.subject, **email_changes(user, person)}
        if person.picture is not None and not person.is_older(user):
            told["avatar_url"] = person.picture
        if all(getattr(user, name) == value for name, value in told.items()):
            return user
        user = unit.repository(USERS).save(evolve(user, **told, updated_at=ports.clock.now()))
        await _commit(unit, user.id)
    return user


@use_case
async def _request_access(ports: Ports, desk: Principal, person: ProviderIdentity) -> None:
    now = ports.clock.now()
    assert person.email is not None
    (number,) = await ports.numbers.next(ACCESS_REQUEST_NUMBERS)
    async with ports.unit(desk) as unit:
        requests = unit.repository(ACCESS_REQUESTS)
        known = await requests.find(email=person.email)
        if known is not None:
            request = requests.save(known.again(person, at=now))
        else:
            request = requests.add(
                AccessRequest(
                    id=AccessRequestId(ports.ids.new()), number=number, provider=person.provider, email=person.email,
                    subject=person.subject, name=person.name, picture=person.picture, requested_at=now,
                    last_attempt_at=now,
                )
            )  # fmt: skip
        unit.record(AccessRequestReceived.of(request, provider=request.provider.value, at=now))
        await _commit(unit, request.id)


async def list_access_requests(ports: Ports, principal: Principal, status: str | None = None) -> list[AccessRequest]:
    """
    The access requests with this status, or all: pending ones first, then the newest first.

    Raises:
        RoleTooLow: If the caller is no admin.
        BoardAgentConfined: If the caller is an agent of one board.
        NotDefaultOrganizationAdmin: If the caller acts in another organization than the default one.
    """
    await _require_default_organization_admin(ports, principal)
    found = await ports.reads.entities.every(principal, ACCESS_REQUESTS)
    found.sort(key=lambda each: (each.last_attempt_at, each.number), reverse=True)
    found.sort(key=lambda each: each.status is not AccessRequestStatus.PENDING)
    return [each for each in found if status is None or each.status == status]


@use_case
async def review_access_request(
    ports: Ports, principal: Principal, cmd: ReviewAccessRequest
) -> tuple[User, Member] | None:
    """
    Approve or reject an access request. An approved person becomes a user and member of the default organization,
    unless they are one already.

    Returns:
        The approved user and their membership; None if the request was rejected.

    Raises:
        RoleTooLow: If the caller is no admin.
        BoardAgentConfined: If the caller is an agent of one board.
        NotDefaultOrganizationAdmin: If the caller acts in another organization than the default one.
        AccessRequestNotFound: If there is no such request.
        OwnerAboveAdmin: If the person has a higher role than the caller.
        LastOwnerRequired: If the organization would have no owner.
    """
    await _require_default_organization_admin(ports, principal)
    now = ports.clock.now()
    request = await ports.reads.entities.get(principal, ACCESS_REQUESTS, cmd.request)
    known = await _find_user(ports, request.identity) if cmd.approve else None
    async with ports.unit(principal) as unit:
        request = await unit.repository(ACCESS_REQUESTS).get(request.id)
        let_in = await _admit(ports, unit, principal, request, known, cmd.role, at=now) if cmd.approve else None
        unit.repository(ACCESS_REQUESTS).save(
            evolve(
                request, status=AccessRequestStatus.APPROVED if let_in else AccessRequestStatus.REJECTED,
                reviewed_by=principal.actor.name, reviewed_at=now, note=cmd.note,
                approved_user=let_in[0].number if let_in else request.approved_user,
            )
        )  # fmt: skip
        if let_in is None:
            unit.record(AccessRequestRejected.of(request, at=now))
        else:
            unit.record(AccessRequestApproved.of(request, user=let_in[0].id, role=cmd.role.value, at=now))
        await _commit(unit, request.id)
    return let_in


async def _admit(
    ports: Ports, unit: UnitOfWork, principal: Principal, request: AccessRequest, known: User | None, role: Role,
    *, at: datetime,
) -> tuple[User, Member]:  # fmt: skip
    here, person, place = principal.organization, request.identity, MEMBERSHIP_OF_ROLE[role]
    if known is None:
        username = await free_username(ports, person.email)
        (number,) = await ports.numbers.next((DEPLOYMENT, "user"))
        user = User(
            id=UserId(ports.ids.new()), number=UserNumber(number), username=username, username_key=name_key(username),
            provider=person.provider, subject=person.subject, email=person.email, email_verified=True,
            name=person.name, avatar_url=person.picture, active=here, created_at=at, updated_at=at,
        )  # fmt: skip
        made = add_user(unit, user, MemberId(ports.ids.new()), here, place)
        return made.user, made.member
    user = await unit.repository(USERS).get(known.id)
    if not is_same_person(user, person):
        raise StaleWrite("user", user.id)
    member = await unit.repository(MEMBERS).find(user=user.id)
    changes: dict[str, Any] = {"approved": True, "subject": person.subject, "email_verified": True}
    if member is not None:
        await require_rank_over_member(unit, principal, member)
        place = await membership_changes(ports, member, role)
        if place:
            await require_another_owner(unit, member)
            standing = ROLE_RANKS.get(place.get("role", member.role), 0)
            withdraw_invites(unit, *await invites_above_rank(unit, user.id, standing), at=at)
            member = unit.repository(MEMBERS).save(evolve(member, **place, updated_at=at))
    else:
        member = unit.repository(MEMBERS).add(
            Member(id=MemberId(ports.ids.new()), organization=here, user=user.id, created_at=at, updated_at=at, **place)
        )
    user = unit.repository(USERS).save(evolve(user, **changes, active=user.active or here, updated_at=at))
    return user, member


@use_case
async def disconnect_google(ports: Ports, principal: Principal) -> User:
    """
    Switch the caller from Google sign-in to password sign-in.

    Raises:
        NotConnectedToGoogle: If the account is not connected to Google.
        NoPasswordYet: If the caller has no password.
    """
    if not isinstance(principal, MemberPrincipal):
        raise NotConnectedToGoogle
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        user: User = await unit.repository(USERS).get(principal.user)
        if user.provider is not IdentityProvider.GOOGLE:
            raise NotConnectedToGoogle
        if user.password is None:
            raise NoPasswordYet
        user = unit.repository(USERS).save(evolve(user, provider=IdentityProvider.LOCAL, subject=None, updated_at=now))
        unit.record(UserUpdated(user=user.id, changed=("provider",), at=now))
        await unit.commit()
    return user


async def _require_default_organization_admin(ports: Ports, principal: Principal) -> None:
    require_organization_admin(principal)
    home = await ports.credentials.organization(DEFAULT_ORGANIZATION_SLUG)
    if home is None or home.id != principal.organization:
        raise NotDefaultOrganizationAdmin


async def _commit(unit: UnitOfWork, about: Any) -> None:
    """
    Commit the unit. A uniqueness conflict means a concurrent request, so it is raised as `StaleWrite`, which repeats
    the use case.
    """
    try:
        await unit.commit()
    except (AccessRequestExists, SubjectTaken, UsernameTaken):
        raise StaleWrite("access request", about) from None
