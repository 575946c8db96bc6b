"""
Sign-in with Google: known users get a session, others an access request that an admin decides.
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from attrs import define, evolve, frozen

from mission_core.accounts.access_requests import (
    ACCESS_REQUESTS,
    AccessAsked,
    AccessGiven,
    AccessPending,
    AccessRefused,
    AccessRequest,
    AccessRequested,
    RequestsElsewhere,
    RequestStatus,
    is_same_person,
)
from mission_core.accounts.invites import invites_beyond, take_back
from mission_core.accounts.members import MEMBERS, STANDING, Member
from mission_core.accounts.model import MemberPrincipal, Principal, Role, require_over_all
from mission_core.accounts.organizations import HOME
from mission_core.accounts.recognizing import NOBODY, free_username
from mission_core.accounts.signing_in import Begun, SignInRefused, begin_session, front_desk, is_at_home
from mission_core.accounts.standing import GIVES, check_reach, leave_an_owner, place_for
from mission_core.accounts.user_admin import add_user
from mission_core.accounts.users import USERS, Provider, SubjectTaken, User, UsernameTaken, UserUpdated
from mission_core.accounts.vouching import told_address
from mission_core.errors import Invalid, StaleWrite
from mission_core.ids import AccessRequestId, MemberId, UserId, UserNumber
from mission_core.kinds import DEPLOYMENT
from mission_core.ports import AlreadyDone, Once
from mission_core.use_case import use_case
from mission_core.values import name_key

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.accounts.vouching import Vouched
    from mission_core.ports import Ports, UnitOfWork

NUMBERS: Final = (DEPLOYMENT, "access_request")


class NotConnected(Invalid):
    """
    The caller's account is not connected to Google.
    """

    def __str__(self) -> str:
        return "Account is not connected to Google"


class NoPasswordYet(Invalid):
    """
    The caller has no password, so they could not sign in without Google.
    """

    def __str__(self) -> str:
        return (
            "Cannot disconnect Google — no password set. Set a password first to avoid being locked out."
        )


@define
class StateUsed(Invalid):
    """
    The state parameter of this sign-in was used before.
    """

    def __str__(self) -> str:
        return "this sign-in was completed before; begin again"


@frozen(kw_only=True)
class ReviewAccess:
    """
    Approve or reject an access request.
    """

    request: int
    approve: bool
    role: Role = Role.VIEWER
    note: str | None = None


async def enter(ports: Ports, person: Vouched, *, state: str | None = None) -> Begun:
    """
    Start a session for a person whom Google has identified, if they have access; otherwise create or renew their access
    request.

    Args:
        state: The state parameter that the browser returned. It starts one session only.

    Raises:
        AccessPending: If no admin has approved the person yet.
        StateUsed: If the state was used before.
    """
    user = await _known(ports, person)
    if user is None or not user.approved:
        await _ask(ports, await front_desk(ports), person)
        raise AccessPending
    user = await _up_to_date(ports, NOBODY, (user.id, person))
    if state is not None:
        once = Once(key=state, operation="sign in", body_digest=sha256(state.encode()).digest())
        ports = evolve(ports, unit=partial(ports.unit, once=once))
    try:
        return await begin_session(ports, user, how=person.provider.value)
    except AlreadyDone:
        raise StateUsed from None
    except SignInRefused:
        raise AccessPending from None


async def _known(ports: Ports, person: Vouched) -> User | None:
    every = ports.reads.rows.every
    known = await every(NOBODY, USERS, provider=person.provider, subject=person.subject)
    if not known:
        known = await every(NOBODY, USERS, provider=person.provider, email=person.email, subject=None)
        known = [each for each in known if is_same_person(each, person) and await is_at_home(ports, each)]
    return known[0] if len(known) == 1 else None


@use_case
async def _up_to_date(ports: Ports, nobody: Principal, cmd: tuple[UserId, Vouched]) -> User:
    """
    The user with the e-mail address and picture that the provider has now.
    """
    id, person = cmd
    async with ports.unit(nobody) as unit:
        user: User = await unit.rows(USERS).get(id)
        if not is_same_person(user, person):
            raise AccessPending
        told: dict[str, Any] = {"subject": person.subject, **told_address(user, person)}
        if person.picture is not None and not person.is_older(user):
            told["avatar_url"] = person.picture
        if all(getattr(user, name) == value for name, value in told.items()):
            return user
        user = unit.rows(USERS).save(evolve(user, **told, updated_at=ports.clock.now()))
        await _commit(unit, user.id)
    return user


@use_case
async def _ask(ports: Ports, desk: Principal, person: Vouched) -> None:
    now = ports.clock.now()
    assert person.email is not None
    (number,) = await ports.numbers.draw(NUMBERS)
    async with ports.unit(desk) as unit:
        requests = unit.rows(ACCESS_REQUESTS)
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
        unit.record(
            AccessAsked(
                request=request.id, provider=request.provider.value, email=request.email, attempts=request.attempts,
                at=now,
            )
        )  # fmt: skip
        await _commit(unit, request.id)


async def access_requests(ports: Ports, principal: Principal, status: str | None = None) -> list[AccessRequest]:
    """
    The access requests with this status, or all: pending ones first, then the newest first.

    Raises:
        RoleTooLow: If the caller is no admin.
        OneBoardAlone: If the caller is an agent of one board.
        RequestsElsewhere: If the caller acts in another organization than the default one.
    """
    await _check_decides(ports, principal)
    found = await ports.reads.rows.every(principal, ACCESS_REQUESTS)
    found.sort(key=lambda each: (each.last_attempt_at, each.number), reverse=True)
    found.sort(key=lambda each: each.status is not RequestStatus.PENDING)
    return [each for each in found if status is None or each.status == status]


@use_case
async def review_access(ports: Ports, principal: Principal, cmd: ReviewAccess) -> tuple[User, Member] | None:
    """
    Approve or reject an access request. An approved person becomes a user and member of the default organization,
    unless they are one already.

    Returns:
        The approved user and their membership; None if the request was rejected.

    Raises:
        RoleTooLow: If the caller is no admin.
        OneBoardAlone: If the caller is an agent of one board.
        RequestsElsewhere: If the caller acts in another organization than the default one.
        AccessRequestNotFound: If there is no such request.
        OwnerAboveAdmin: If the person has a higher role than the caller.
        LastOwnerStays: If the organization would have no owner.
    """
    await _check_decides(ports, principal)
    now = ports.clock.now()
    request = await ports.reads.rows.get(principal, ACCESS_REQUESTS, cmd.request)
    known = await _known(ports, request.person) if cmd.approve else None
    async with ports.unit(principal) as unit:
        request = await unit.rows(ACCESS_REQUESTS).get(request.id)
        let_in = await _let_in(ports, unit, principal, request, known, cmd.role, at=now) if cmd.approve else None
        unit.rows(ACCESS_REQUESTS).save(
            evolve(
                request, status=RequestStatus.APPROVED if let_in else RequestStatus.REJECTED,
                reviewed_by=principal.actor.name, reviewed_at=now, note=cmd.note,
                approved_user=let_in[0].number if let_in else request.approved_user,
            )
        )  # fmt: skip
        if let_in is None:
            unit.record(AccessRefused(request=request.id, email=request.email, at=now))
        else:
            unit.record(
                AccessGiven(
                    request=request.id, user=let_in[0].id, email=request.email, role=cmd.role.value, at=now
                )
            )
        await _commit(unit, request.id)
    return let_in


async def _let_in(
    ports: Ports, unit: UnitOfWork, principal: Principal, request: AccessRequest, known: User | None, role: Role,
    *, at: datetime,
) -> tuple[User, Member]:  # fmt: skip
    here, person, place = principal.organization, request.person, GIVES[role]
    if known is None:
        username = await free_username(ports, person.email)
        (number,) = await ports.numbers.draw((DEPLOYMENT, "user"))
        user = User(
            id=UserId(ports.ids.new()), number=UserNumber(number), username=username, username_key=name_key(username),
            provider=person.provider, subject=person.subject, email=person.email, email_verified=True,
            name=person.name, avatar_url=person.picture, active=here, created_at=at, updated_at=at,
        )  # fmt: skip
        made = add_user(unit, user, MemberId(ports.ids.new()), here, place)
        return made.user, made.member
    user = await unit.rows(USERS).get(known.id)
    if not is_same_person(user, person):
        raise StaleWrite("user", user.id)
    member = await unit.rows(MEMBERS).find(user=user.id)
    changes: dict[str, Any] = {"approved": True, "subject": person.subject, "email_verified": True}
    if member is not None:
        await check_reach(unit, principal, member)
        place = await place_for(ports, member, role)
        if place:
            await leave_an_owner(unit, member)
            standing = STANDING.get(place.get("role", member.role), 0)
            take_back(unit, *await invites_beyond(unit, user.id, standing), at=at)
            member = unit.rows(MEMBERS).save(evolve(member, **place, updated_at=at))
    else:
        member = unit.rows(MEMBERS).add(
            Member(
                id=MemberId(ports.ids.new()), organization=here, user=user.id, created_at=at, updated_at=at, **place
            )
        )
    user = unit.rows(USERS).save(evolve(user, **changes, active=user.active or here, updated_at=at))
    return user, member


@use_case
async def disconnect_google(ports: Ports, principal: Principal) -> User:
    """
    Switch the caller from Google sign-in to password sign-in.

    Raises:
        NotConnected: If the account is not connected to Google.
        NoPasswordYet: If the caller has no password.
    """
    if not isinstance(principal, MemberPrincipal):
        raise NotConnected
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        user: User = await unit.rows(USERS).get(principal.user)
        if user.provider is not Provider.GOOGLE:
            raise NotConnected
        if user.password is None:
            raise NoPasswordYet
        user = unit.rows(USERS).save(evolve(user, provider=Provider.LOCAL, subject=None, updated_at=now))
        unit.record(UserUpdated(user=user.id, changed=("provider",), at=now))
        await unit.commit()
    return user


async def _check_decides(ports: Ports, principal: Principal) -> None:
    require_over_all(principal)
    home = await ports.credentials.organization(HOME)
    if home is None or home.id != principal.organization:
        raise RequestsElsewhere


async def _commit(unit: UnitOfWork, about: Any) -> None:
    """
    Commit the unit. A uniqueness conflict means a concurrent request, so it is raised as `StaleWrite`, which repeats
    the use case.
    """
    try:
        await unit.commit()
    except (AccessRequested, SubjectTaken, UsernameTaken):
        raise StaleWrite("access request", about) from None
