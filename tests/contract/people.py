"""
Members of an organization in the places that tests need.
"""

from attrs import evolve

from mission_core.accounts.members import ADMIN, MEMBERS, OWNER, Member
from mission_core.accounts.model import MemberPrincipal, Role
from mission_core.ids import MemberId
from tests.contract.browser import Person, make_person
from tests.contract.conftest import World


async def also_in(elsewhere: World, person: Person) -> None:
    """
    The person is a member of another organization, too.
    """
    now = elsewhere.clock.now()
    async with elsewhere.ports.unit(elsewhere.me) as unit:
        unit.repository(MEMBERS).add(
            Member(
                id=MemberId(elsewhere.ports.ids.new()), organization=elsewhere.me.organization,
                user=person.found.user.id, role=ADMIN, all_boards_read=True, all_boards_write=True, created_at=now,
                updated_at=now,
            )
        )  # fmt: skip
        await unit.commit()


async def standing_as(world: World, role: str) -> MemberPrincipal:
    """
    Somebody with this role, and beside them an owner who stays.
    """
    made = [await make_person(world, role=Role.ADMIN) for _ in range(2)]
    async with world.ports.unit(world.me) as unit:
        members = unit.repository(MEMBERS)
        first, stays = [await members.get(each.found.member.id) for each in made]
        members.save(evolve(first, role=role))
        members.save(evolve(stays, role=OWNER))
        await unit.commit()
    them = await world.ports.credentials.member(first.user)
    assert them is not None
    return them
