"""
Invites do not outlast what their maker may do: nobody comes in again by an invite of their own.
"""

from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve

from mission_adapters.testing.concurrent_writes import BOTH_ORDERS, at_once
from mission_core.accounts.access_requests import ACCESS_REQUESTS
from mission_core.accounts.account_deletion import delete_account
from mission_core.accounts.google_sign_in import ReviewAccessRequest, review_access_request, sign_in_with_google
from mission_core.accounts.identity_claims import ProviderIdentity
from mission_core.accounts.invites import INVITES, Invite
from mission_core.accounts.member_admin import RemoveMember, SetMemberRole, remove_member, set_member_role
from mission_core.accounts.members import ADMIN, OWNER
from mission_core.accounts.model import MemberPrincipal, Role, RoleTooLow, SystemPrincipal
from mission_core.accounts.user_admin import CreateUser, DeleteUser, UpdateUser, create_user, delete_user, update_user
from mission_core.accounts.users import USERS, IdentityProvider
from mission_core.agents.organization_creation import ensure_organization
from mission_core.boards.board_access import AcceptInvite, InvitePerson, accept_invite, invite_person
from mission_core.errors import NotFound
from tests.contract.browser import PASSWORD, make_person
from tests.contract.conftest import World
from tests.contract.people import standing_as


async def invited(world: World, by: Any, role: str) -> Invite:
    return await invite_person(world.ports, by, InvitePerson(email=f"{uuid4()}@x.io", role=role))


async def waiting(world: World) -> list[str]:
    """
    The roles of the invites that wait, as they were made.
    """
    return [each.role for each in await world.ports.reads.entities.every(world.me, INVITES, accepted_at=None)]


async def removed(world: World, them: MemberPrincipal) -> None:
    await remove_member(world.ports, world.me, RemoveMember(member=them.member))


async def deleted(world: World, them: MemberPrincipal) -> None:
    await delete_user(world.ports, world.me, DeleteUser(user=them.user))


async def left(world: World, them: MemberPrincipal) -> None:
    await delete_account(world.ports, them)


async def shut_out(world: World, them: MemberPrincipal) -> None:
    await update_user(world.ports, world.me, UpdateUser(user=them.user, approved=False))


async def labelled(world: World, them: MemberPrincipal) -> None:
    await set_member_role(world.ports, world.me, SetMemberRole(member=them.member, role="captain"))


async def demoted(world: World, them: MemberPrincipal) -> None:
    await update_user(world.ports, world.me, UpdateUser(user=them.user, role=Role.OPERATOR))


@pytest.mark.parametrize("go", [removed, deleted, left, shut_out, labelled, demoted])
async def test_no_invite_waits_whose_maker_may_make_none_any_more(world: World, go: Any) -> None:
    """
    Neither an equal's place nor a lesser one; those of others wait on, and the log tells of what does not.
    """
    them = await standing_as(world, ADMIN)
    own = [await invited(world, them, role) for role in (ADMIN, "guest")]
    await invited(world, world.me, ADMIN)
    newcomer = await make_person(world)
    await go(world, them)

    assert [ADMIN] == await waiting(world)
    assert 2 == (await world.event_kinds()).count("invite.withdrawn")
    for each in own:
        token = AcceptInvite(token=world.ports.secrets.invite_token(each.id))
        with pytest.raises(NotFound):
            await accept_invite(world.ports,
            SystemPrincipal(organization=world.me.organization, user=newcomer.found.user.id),
                                token)  # fmt: skip


async def test_an_owner_who_becomes_an_admin_keeps_what_admins_make(world: World) -> None:
    them = await standing_as(world, OWNER)
    for role in (OWNER, ADMIN, "guest"):
        await invited(world, them, role)
    await set_member_role(world.ports, them, SetMemberRole(member=them.member, role=ADMIN))

    assert [ADMIN, "guest"] == await waiting(world)


async def test_a_change_that_takes_nothing_away_takes_no_invite_back(world: World) -> None:
    them = await standing_as(world, ADMIN)
    await invited(world, them, ADMIN)
    await update_user(world.ports, world.me, UpdateUser(user=them.user, name="Ada", role=Role.ADMIN, approved=True))
    await set_member_role(world.ports, world.me, SetMemberRole(member=them.member, role=ADMIN))

    assert [ADMIN] == await waiting(world)


async def test_what_was_accepted_stays(world: World) -> None:
    them, newcomer = await standing_as(world, ADMIN), await make_person(world)
    made = await invited(world, them, ADMIN)
    as_newcomer = SystemPrincipal(organization=world.me.organization, user=newcomer.found.user.id)
    token = AcceptInvite(token=world.ports.secrets.invite_token(made.id))
    member = await accept_invite(world.ports, as_newcomer, token)
    await deleted(world, them)
    (kept,) = await world.ports.reads.entities.every(world.me, INVITES)

    assert ADMIN == member.role
    assert (None, newcomer.found.user.id) == (kept.created_by, kept.accepted_by)


async def test_who_is_let_in_again_as_less_keeps_no_invite_of_an_admin(world: World) -> None:
    home = SystemPrincipal(organization=(await ensure_organization(world.ports, slug="default")).id)
    person = ProviderIdentity(
        provider=IdentityProvider.GOOGLE, subject=uuid4().hex, email=f"{uuid4()}@x.io", verified=True
    )
    at_home = evolve(world, me=home)
    made = await create_user(
        world.ports, home,
        CreateUser(username=f"user-{uuid4()}", password=PASSWORD, role=Role.ADMIN, provider=IdentityProvider.GOOGLE,
                   email=person.email),
    )  # fmt: skip
    them = (await sign_in_with_google(world.ports, person)).principal
    invite = await invited(at_home, them, ADMIN)
    await shut_out_keeping_invites(at_home, made.user.id)
    with pytest.raises(Exception, match="pending"):
        await sign_in_with_google(world.ports, person)
    asked = next(
        each for each in await world.ports.reads.entities.every(home, ACCESS_REQUESTS) if each.email == person.email
    )
    await review_access_request(
        world.ports, home, ReviewAccessRequest(request=asked.number, approve=True, role=Role.VIEWER)
    )

    assert invite.id not in {each.id for each in await world.ports.reads.entities.every(home, INVITES)}


async def shut_out_keeping_invites(world: World, user: Any) -> None:
    """
    As it was left by whoever shut people out before invites were taken back.
    """
    async with world.ports.unit(world.me) as unit:
        users = unit.repository(USERS)
        users.save(evolve(await users.get(user), approved=False))
        await unit.commit()


@BOTH_ORDERS
@pytest.mark.parametrize("go", [removed, labelled, demoted])
async def test_an_invite_that_is_made_meanwhile_does_not_stay_behind(world: World, last: bool, go: Any) -> None:
    """
    It comes too late, or is taken back, too.
    """
    them = await standing_as(world, ADMIN)

    async def invites(ports: Any, _: Any, __: None) -> Any:
        return await invite_person(ports, them, InvitePerson(email=f"{uuid4()}@x.io", role=ADMIN))

    async def goes(ports: Any, _: Any, __: None) -> Any:
        return await go(evolve(world, ports=ports), them)

    answers = await at_once(world, (invites, None), (goes, None), last=last)

    assert all(each is None or isinstance(each, Invite | RoleTooLow | NotFound) for each in answers), answers
    assert [] == await waiting(world)
