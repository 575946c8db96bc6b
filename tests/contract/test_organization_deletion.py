"""
The end of an organization: nothing of it is left in any table, nothing of others goes, and whoever is on the way with a
change of it comes too late.
"""

import asyncio
import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from attrs import asdict, evolve
from sqlalchemy import select

from mission_adapters.memory import MemoryStore
from mission_adapters.sql.statements import Statement
from mission_adapters.sql.tables import whole_metadata
from mission_core.accounts.account_deletion import delete_account, delete_own_organization
from mission_core.accounts.member_admin import OwnersOnly, SetMemberRole, set_member_role
from mission_core.accounts.members import MEMBERS, Member
from mission_core.accounts.model import Role
from mission_core.accounts.organizations import ORGANIZATIONS, OrganizationNotFound
from mission_core.accounts.ownership_rules import LastOwnerRequired
from mission_core.agents.active_organization import ensure_active_organization
from mission_core.agents.organization_creation import CreateOrganization, create_organization
from mission_core.boards.board_access import AcceptInvite, InvitePerson, accept_invite, invite_person
from mission_core.errors import NotFound, Refusal, StaleWrite
from mission_core.tasks.use_cases import CreateTask, create_task
from tests.contract.boards_driver import BoardsDriver
from tests.contract.conftest import World
from tests.contract.planted_rows import planted_in
from tests.contract.populated_app import populated_app

pytestmark = pytest.mark.every_store

Rows = dict[str, list[str]]
CALLED = re.compile(r"\b(?:local|one)-[0-9a-f-]{36}")
"""What tests call users: it names their organization."""


async def rows_in(store: Any) -> Rows:
    """
    All rows of a store, each as text in which ids can be looked for, by table.
    """
    if isinstance(store, MemoryStore):
        found = {table.kind: list(map(_seen, table.rows.values())) for table in store.tables.values()}
        entries = [_seen(entry) for own in store.log.entries.values() for entry in own]
        kept = {
            "events": entries, "heads": list(map(repr, store.log.heads.items())),
            "of_agents": [_seen(entry) for known in store.log.of_agents.values() for entry in known],
            "pulses": [repr(each) for each in store.counters.cells.items() if each[1]],
            "numbers": list(map(repr, store.numbers.drawn.items())),
            "once": list(map(repr, store.idempotency_keys.results.items())),
        }  # fmt: skip
        return found | kept

    def steps() -> Any:
        read = {}
        for table in whole_metadata().sorted_tables:
            rows = yield Statement(select(table))(store.session.dialect)
            read[table.name] = [_readable(tuple(row)) for row in rows]
        return read

    answer: Rows = await store.session.read(steps)
    return answer


def _seen(row: Any) -> str:
    return CALLED.sub("", repr(asdict(row)))


def _readable(row: tuple[Any, ...]) -> str:
    values = (UUID(bytes=bytes(each)) if isinstance(each, bytes) and len(each) == 16 else each for each in row)
    return CALLED.sub("", " ".join(map(str, values)))


def mention(rows: Rows, *ids: UUID) -> set[str]:
    """
    The tables of which a row mentions one of these.
    """
    words = [word for id in ids for word in (str(id), id.hex)]
    return {name for name, table in rows.items() for row in table if any(word in row for word in words)}


def others(rows: Rows, *ids: UUID) -> Rows:
    """
    The rows that mention none of these.
    """
    return {name: sorted(row for row in table if not mention({name: [row]}, *ids)) for name, table in rows.items()}


async def dissolved(world: World) -> None:
    """
    The end of a world, however many people there are in it.
    """
    async with world.ports.unit(world.me) as unit:
        unit.organization_deletion.delete(await unit.repository(ORGANIZATIONS).get(world.me.organization))
        await unit.commit()


async def test_nothing_of_an_organization_is_left(store: Any, world: World, elsewhere: World) -> None:
    """
    In any table, after one of everything was made in it; and all that is another's stays as it is.
    """
    async with populated_app(world) as made, populated_app(elsewhere) as neighbour:
        planted = await planted_in(made)
        first = await made.world.task()
        second = await made.world.task(depends_on=(first.id,))
        await made.world.claim(first)
        await planted_in(neighbour)
    organization = world.me.organization
    gone = [organization, world.board.id, first.id, second.id, *(UUID(id) for id in planted.ids.values())]
    before = await rows_in(store)
    await dissolved(world)
    after = await rows_in(store)

    assert {"events", "heads", "invites", "members", "users", "numbers"} <= mention(before, *gone)
    assert set() == mention(after, *gone)
    assert len(before["users"]) == len(after["users"])
    kept, left = others(before, *gone), others(after, *gone)
    for name in kept.keys() - {"users", "grants", "marks", "numbers"}:
        assert kept[name] == left[name], name


async def test_a_change_on_the_way_comes_too_late(world: World) -> None:
    """
    Whatever it is: there is no organization to make it in, and nothing of it stays.
    """
    board = world.board
    async with world.ports.unit(world.me) as late:
        found = await late.boards.get(board.id)
        await dissolved(world)
        late.rely_on(found)
        with pytest.raises(StaleWrite):
            await late.commit()
    with pytest.raises(NotFound):
        await create_task(world.ports, world.me, CreateTask(title="Late", board=board.id))
    with pytest.raises(OrganizationNotFound):
        await world.agent("late")
    with pytest.raises(OrganizationNotFound):
        await world.ports.reads.organization(world.me)


async def test_an_organization_that_changed_meanwhile_does_not_end(world: World) -> None:
    """
    Whoever joins changes it, so nobody is overlooked.
    """
    async with world.ports.unit(world.me) as late:
        seen = await late.repository(ORGANIZATIONS).get(world.me.organization)
        async with world.ports.unit(world.me) as joining:
            joining.rely_on(await joining.repository(ORGANIZATIONS).get(seen.id), bump=True)
            await joining.commit()
        late.organization_deletion.delete(seen)
        with pytest.raises(StaleWrite):
            await late.commit()

    assert seen.id == (await world.ports.reads.organization(world.me)).id


async def test_the_end_and_a_crowd_at_once(store: Any, world: World) -> None:
    """
    Whoever is first makes it whole, and afterwards nothing is left.
    """
    makes = [create_task(world.ports, world.me, CreateTask(title=f"{n}", board=world.board.id)) for n in range(20)]
    told = await asyncio.gather(*makes[:10], dissolved(world), *makes[10:], return_exceptions=True)
    if isinstance(told[10], StaleWrite):  # a writer was in its way
        await dissolved(world)
    after = await rows_in(store)

    assert all(isinstance(each, Refusal) for each in told if isinstance(each, BaseException))
    assert {"numbers"} >= mention(after, world.me.organization, world.board.id)  # one may be drawn and never used


async def test_who_joins_while_the_only_member_leaves_finds_it_or_not(boards: BoardsDriver) -> None:
    """
    The organization ends with its only member, or goes on with who joined; nobody is a member of nothing.
    """
    for _ in range(5):
        owner, new = await boards.person("own", role="member"), await boards.person("new", email="new@x.io")
        ports = boards.ports
        member = await ports.credentials.member(owner.id)
        assert member is not None
        made = await create_organization(ports, member, CreateOrganization(name=f"Org {uuid4()}", activate=True))
        acting = await ports.credentials.member(owner.id)
        newcomer = await ensure_active_organization(ports, new.id)
        assert acting is not None
        assert newcomer is not None
        invite = await invite_person(ports, acting, InvitePerson(email="new@x.io", role="owner"))
        accept = AcceptInvite(token=ports.secrets.invite_token(invite.id))
        told = await asyncio.gather(
            accept_invite(ports, newcomer, accept), delete_account(ports, acting), return_exceptions=True
        )
        places = {place.id for place, _ in await ports.credentials.memberships(new.id)}
        left = {each.id for each in await ports.reads.entities.every(boards.me, ORGANIZATIONS)}

        assert all(each is None or isinstance(each, Member | NotFound) for each in told), told
        assert (made.id in left) is (made.id in places)
        assert [] == await ports.credentials.memberships(owner.id)
        assert places <= left


async def test_two_owners_who_step_down_at_once_leave_one(boards: BoardsDriver) -> None:
    """
    Each of them rests on the other staying.
    """
    one, two, ports = await boards.person("one", role="owner"), await boards.person("two", role="owner"), boards.ports
    (local,) = [each for each in await ports.reads.entities.every(boards.me, MEMBERS) if each.user == boards.me.user]
    async with ports.unit(boards.me) as unit:
        unit.repository(MEMBERS).save(evolve(await unit.repository(MEMBERS).get(local.id), role="member"))
        await unit.commit()
    acting = [await ports.credentials.member(each.id) for each in (one, two)]
    changes = [
        set_member_role(ports, who, SetMemberRole(member=who.member, role="member"))
        for who in acting
        if who is not None
    ]
    told = await asyncio.gather(*changes, return_exceptions=True)
    owners = [each for each in await ports.reads.entities.every(boards.me, MEMBERS) if each.role == "owner"]

    assert [LastOwnerRequired] == [type(each) for each in told if isinstance(each, BaseException)]
    assert 1 == len(owners)


async def test_an_owner_who_was_just_demoted_ends_nothing(boards: BoardsDriver) -> None:
    """
    What they may is decided on the membership as it is.
    """
    owner, ports = await boards.person("own", role="member"), boards.ports
    member = await ports.credentials.member(owner.id)
    assert member is not None
    await create_organization(ports, member, CreateOrganization(name=f"Org {uuid4()}", activate=True))
    acting = await ports.credentials.member(owner.id)
    assert acting is not None
    async with ports.unit(acting) as unit:
        unit.repository(MEMBERS).save(evolve(await unit.repository(MEMBERS).get(acting.member), role="admin"))
        await unit.commit()

    with pytest.raises(OwnersOnly):
        await delete_own_organization(ports, acting, acting.organization)


async def test_whoever_acts_nowhere_is_settled_once(boards: BoardsDriver) -> None:
    """
    However many requests of theirs come at once: in one organization of their own.
    """
    new = await boards.person("new")
    found = await asyncio.gather(*(ensure_active_organization(boards.ports, new.id) for _ in range(5)))

    assert 1 == len({each.organization for each in found if each is not None})
    assert 1 == len(await boards.ports.credentials.memberships(new.id))


async def test_an_address_that_nobody_vouches_for_opens_no_invite(boards: BoardsDriver) -> None:
    """
    Only what the provider has verified does; the oldest invite first.
    """
    ports, me = boards.ports, boards.me
    invite = InvitePerson(email="verified@x.io", role="admin")
    await invite_person(ports, me, invite)
    claims, has = (
        await boards.person("claims", email="verified@x.io"),
        await boards.person("has", email="Verified@x.io"),
    )
    alone, inside = (
        await ensure_active_organization(ports, claims.id),
        await ensure_active_organization(ports, has.id, verified=True),
    )

    assert alone is not None
    assert inside is not None
    assert alone.organization != me.organization == inside.organization
    assert Role.ADMIN is inside.role


async def test_the_local_user_gets_no_organization_of_its_own(boards: BoardsDriver) -> None:
    """
    Nor does whoever is not approved.
    """
    async with boards.ports.unit(boards.me) as unit:
        (own,) = [each for each in await unit.repository(MEMBERS).every() if each.user == boards.me.user]
        unit.repository(MEMBERS).remove(own)
        await unit.commit()
    waiting = await boards.person("waiting", approved=False)

    assert None is await ensure_active_organization(boards.ports, boards.me.user)
    assert None is await ensure_active_organization(boards.ports, waiting.id)
