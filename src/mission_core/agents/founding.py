"""
Founding an organization: with a board for work that names none, and the agent that stands for its own gateway.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from mission_core.accounts.model import Organization, System, built_in_gateway
from mission_core.agents.model import Agent, AgentCreated, AgentNameTaken
from mission_core.boards.model import GENERAL, Board, BoardCreated, HandleTaken
from mission_core.ids import AgentId, AgentNumber, BoardId, BoardNumber, OrganizationId
from mission_core.kinds import DEPLOYMENT

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

MAIN_AGENT: Final = "Gateway Agent"


async def found_organization(ports: Ports, slug: str = "default", *, name: str | None = None) -> Organization:
    """
    The organization with this slug, its general board and its main agent; what is missing of them is made. A new one
    is called *name*, or after its slug.

    Any number of processes may do this at once.
    """
    organization = await ports.credentials.organization(slug) or await _found(ports, slug, name)
    try:
        await _furnish(ports, organization)
    except (HandleTaken, AgentNameTaken):
        await _furnish(ports, organization)  # somebody else was faster; whatever that left out is made now
    return organization


async def _found(ports: Ports, slug: str, name: str | None) -> Organization:
    (number,) = await ports.numbers.draw((DEPLOYMENT, "organization"))
    id = OrganizationId(ports.ids.new())
    wanted = Organization(
        id=id,
        number=number,
        slug=slug,
        name=name or slug.replace("-", " ").title(),
        gateway=built_in_gateway(id),
        created_at=ports.clock.now(),
    )
    return await ports.credentials.found(wanted)


async def _furnish(ports: Ports, organization: Organization) -> None:
    now = ports.clock.now()
    async with ports.unit(System(organization=organization.id)) as unit:
        has_board = await unit.boards.find_handle(GENERAL) is not None
        has_agent = await unit.agents.main() is not None
        if not has_board:
            await _add_board(ports, unit, organization, at=now)
        if not has_agent:
            await _add_agent(ports, unit, organization, at=now)
        if not (has_board and has_agent):
            await unit.commit()


async def _add_board(ports: Ports, unit: UnitOfWork, organization: Organization, *, at: datetime) -> None:
    (number,) = await ports.numbers.draw((organization.id, "board"))
    board = Board(
        id=BoardId(ports.ids.new()),
        number=BoardNumber(number),
        organization=organization.id,
        name="General",
        slug=GENERAL,
        handle=GENERAL,
        ticket_prefix="TASK",
        created_at=at,
        updated_at=at,
    )
    unit.boards.add(board)
    unit.record(BoardCreated(board=board.id, number=number, name=board.name, at=at))


async def _add_agent(ports: Ports, unit: UnitOfWork, organization: Organization, *, at: datetime) -> None:
    (number,) = await ports.numbers.draw((organization.id, "agent"))
    agent = Agent(
        id=AgentId(ports.ids.new()),
        number=AgentNumber(number),
        organization=organization.id,
        name=MAIN_AGENT,
        main=True,
        hidden=True,
        created_at=at,
        updated_at=at,
    )
    unit.agents.add(agent)
    unit.record(AgentCreated(agent=agent.id, number=number, name=agent.name, role=agent.role, board=None, at=at))
