"""
Creation of an organization with its general board and its main agent.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import evolve

from mission_core.accounts.member_admin import MemberJoined
from mission_core.accounts.members import MEMBERS, OWNER, Member
from mission_core.accounts.model import Principal, SystemPrincipal
from mission_core.accounts.organizations import (
    DEFAULT_ORGANIZATION_SLUG,
    ORGANIZATIONS,
    Isolation,
    Organization,
    OrganizationCreated,
    OrganizationNameTaken,
    SlugTaken,
    built_in_gateway,
)
from mission_core.accounts.profiles import local_user_of, user_id_of
from mission_core.accounts.users import USERS, User
from mission_core.agents.model import Agent, AgentCreated, AgentNameTaken
from mission_core.boards.model import GENERAL_HANDLE, Board, BoardCreated, HandleTaken, handle_from
from mission_core.errors import InvalidField, StaleWrite
from mission_core.ids import AgentId, AgentNumber, BoardId, BoardNumber, MemberId, OrganizationId, UserId
from mission_core.kinds import DEPLOYMENT
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import name_key

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

MAIN_AGENT_NAME: Final = "Gateway Agent"


@frozen(kw_only=True)
class CreateOrganization:
    """
    Create an organization that the caller owns.

    Args:
        slug: Derived from the name if None, with a suffix if that one is taken.
        allow_same_name: Whether another organization may have the same name; if not, it is refused.
        activate: Whether it becomes the caller's active organization.
    """

    name: str
    slug: str | None = None
    brand: str | None = None
    isolation: Isolation = Isolation.SHARED
    allow_same_name: bool = False
    activate: bool = False


async def ensure_organization(
    ports: Ports, slug: str = DEFAULT_ORGANIZATION_SLUG, *, name: str | None = None
) -> Organization:
    """
    Return the organization with this slug, its general board and its main agent. Missing ones are created. A new
    organization is called *name*, or after its slug.

    Any number of processes may call this at the same time.
    """
    organization = await ports.credentials.organization(slug) or await _add_organization(ports, slug, name)
    try:
        await _add_missing_parts(ports, organization)
    except (HandleTaken, AgentNameTaken):
        await _add_missing_parts(ports, organization)  # a concurrent process was faster; create what it left out
    return organization


@use_case
async def create_organization(ports: Ports, principal: Principal, cmd: CreateOrganization) -> Organization:
    """
    Create an organization with its board, its main agent, and the caller as its owner. For the server's key the owner
    is the local user.

    Raises:
        NotAPerson: If the caller is an agent.
        SlugTaken: If a slug is given, and another organization has it.
        OrganizationNameTaken: If another organization has the name, and none of the two may share it.
    """
    user = await ports.reads.entities.get(principal, USERS, _owner_id(principal))
    slug = cmd.slug or await _free_slug(ports, cmd.name)
    wanted = await new_organization(ports, slug, cmd.name)
    wanted = evolve(wanted, brand=cmd.brand, isolation=cmd.isolation)
    try:
        return await add_organization_for(ports, user, wanted, act_there=cmd.activate)
    except OrganizationNameTaken:
        if not cmd.allow_same_name:
            raise
        wanted = wanted.renamed(cmd.name, shared=True)
    except SlugTaken:
        if cmd.slug is not None:
            raise
        wanted = evolve(wanted, slug=f"{slug}-{wanted.id.hex[-12:]}")  # taken since it was checked
    return await add_organization_for(ports, user, wanted, act_there=cmd.activate)


async def add_organization_for(
    ports: Ports, user: User, organization: Organization, *, act_there: bool
) -> Organization:
    """
    Store a new organization with its board and main agent, owned by the user as they were read.

    Raises:
        SlugTaken: If another organization has the slug.
        OrganizationNameTaken: If another organization has the name.
        StaleWrite: If the user was changed meanwhile.
    """
    now = organization.created_at
    owner = SystemPrincipal(organization=organization.id, name=user.username, display=user.display, user=user.id)
    async with ports.unit(owner) as unit:
        users = unit.repository(USERS)
        if (await users.get(user.id)).version != user.version:
            raise StaleWrite("users", user.id)
        unit.repository(ORGANIZATIONS).add(organization)
        member = unit.repository(MEMBERS).add(
            Member(
                id=MemberId(ports.ids.new()), organization=organization.id, user=user.id, role=OWNER,
                all_boards_read=True, all_boards_write=True, created_at=now, updated_at=now,
            )
        )  # fmt: skip
        if act_there:
            users.save(evolve(user, active=organization.id, updated_at=now))
        else:
            unit.rely_on(user)
        unit.record(OrganizationCreated.of(organization, at=now), MemberJoined.of(member, at=now))
        await _add_board(ports, unit, organization, at=now)
        await _add_agent(ports, unit, organization, at=now)
        unit.result(organization.id)
        await unit.commit()
    return organization


async def _add_organization(ports: Ports, slug: str, name: str | None) -> Organization:
    wanted = await new_organization(ports, slug, name or slug.replace("-", " ").title())
    try:
        return await ports.credentials.create_organization(wanted)
    except OrganizationNameTaken:
        return await ports.credentials.create_organization(evolve(wanted, name_key=None))


async def new_organization(ports: Ports, slug: str, name: str) -> Organization:
    """
    A new organization, not stored yet.
    """
    (number,) = await ports.numbers.next((DEPLOYMENT, "organization"))
    id, now = OrganizationId(ports.ids.new()), ports.clock.now()
    return Organization(
        id=id, number=number, slug=slug, name=name, name_key=name_key(name), gateway=built_in_gateway(id),
        created_at=now, updated_at=now,
    )  # fmt: skip


async def _free_slug(ports: Ports, name: str) -> str:
    """
    The slug derived from the name, or one with a random suffix if it is taken.
    """
    fresh = ports.ids.new().hex[-12:]
    try:
        slug = handle_from(name)
    except InvalidField:
        return f"organization-{fresh}"
    return slug if await ports.credentials.organization(slug) is None else f"{slug}-{fresh}"


def _owner_id(principal: Principal) -> UserId:
    if isinstance(principal, SystemPrincipal) and principal.user is None:
        return local_user_of(principal.organization)
    return user_id_of(principal)


@use_case
async def _add_missing_parts(ports: Ports, organization: Organization) -> None:
    now = ports.clock.now()
    async with ports.unit(SystemPrincipal(organization=organization.id)) as unit:
        has_board = await unit.boards.find_handle(GENERAL_HANDLE) is not None
        has_agent = await unit.agents.main() is not None
        if not has_board:
            await _add_board(ports, unit, organization, at=now)
        if not has_agent:
            await _add_agent(ports, unit, organization, at=now)
        if not (has_board and has_agent):
            await unit.commit()


async def _add_board(ports: Ports, unit: UnitOfWork, organization: Organization, *, at: datetime) -> None:
    (number,) = await ports.numbers.next((organization.id, "board"))
    board = Board(
        id=BoardId(ports.ids.new()),
        number=BoardNumber(number),
        organization=organization.id,
        name="General",
        slug=GENERAL_HANDLE,
        handle=GENERAL_HANDLE,
        ticket_prefix="TASK",
        created_at=at,
        updated_at=at,
    )
    unit.boards.add(board)
    unit.record(BoardCreated.of(board, at=at))


async def _add_agent(ports: Ports, unit: UnitOfWork, organization: Organization, *, at: datetime) -> None:
    (number,) = await ports.numbers.next((organization.id, "agent"))
    agent = Agent(
        id=AgentId(ports.ids.new()),
        number=AgentNumber(number),
        organization=organization.id,
        name=MAIN_AGENT_NAME,
        main=True,
        hidden=True,
        created_at=at,
        updated_at=at,
    )
    unit.agents.add(agent)
    unit.record(AgentCreated.of(agent, at=at))
