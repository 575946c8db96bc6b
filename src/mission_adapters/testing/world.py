"""
A new organization for a test, with shortcuts to common use cases.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from mission_adapters.testing.clocks import ManualClock
from mission_core.accounts.model import AgentPrincipal, Role, SystemPrincipal
from mission_core.agents.model import Agent
from mission_core.agents.organization_creation import ensure_organization
from mission_core.agents.use_cases import CreateAgent, create_agent
from mission_core.boards.model import Board, GateSet
from mission_core.boards.use_cases import CreateBoard, create_board
from mission_core.lazy_attrs import frozen
from mission_core.ports import Ports
from mission_core.tasks.leases import ClaimNext, ClaimResult, ClaimTask, claim_next, claim_task
from mission_core.tasks.model import Task
from mission_core.tasks.use_cases import CreateTask, create_task

OPEN = GateSet(require_approval_for_done=False)
"""The gates of a board on which tasks are done without an approval."""


@frozen
class World:
    """
    A new organization, a principal with all rights in it, and a board without gates. The methods are shortcuts to the
    use cases that most tests need.
    """

    ports: Ports
    me: SystemPrincipal
    board: Board

    @property
    def clock(self) -> ManualClock:
        """
        The clock of the ports.

        Raises:
            TypeError: If it is no `ManualClock`.
        """
        if not isinstance(self.ports.clock, ManualClock):
            raise TypeError(f"a test moves a ManualClock, and these ports have {self.ports.clock!r}")
        return self.ports.clock

    async def task(self, title: str = "Ship it", *, by: Any = None, **fields: Any) -> Task:
        """
        Create a task on the board.
        """
        return await create_task(
            self.ports, by or self.me, CreateTask(title=title, **({"board": self.board.id} | fields))
        )

    async def another_board(self, name: str = "Other", **fields: Any) -> Board:
        """
        Create another board without gates.
        """
        return await create_board(self.ports, self.me, CreateBoard(name=name, **({"gates": OPEN} | fields)))

    async def agent(self, name: str = "ada", **fields: Any) -> Agent:
        """
        Create an agent of the organization.
        """
        return (await create_agent(self.ports, self.me, CreateAgent(name=name, **fields))).agent

    async def principal(self, name: str = "ada", *, role: Role = Role.OPERATOR, **fields: Any) -> AgentPrincipal:
        """
        Create an agent, and return the principal of its API key.
        """
        agent = await self.agent(name, **fields)
        return AgentPrincipal(
            organization=agent.organization, agent=agent.id, name=agent.name, board=agent.board, lead=agent.lead,
            role=role,
        )  # fmt: skip

    async def claim(self, task: Task | None = None, agent: str = "ada", **fields: Any) -> ClaimResult | None:
        """
        Claim the task, or the next one in the queue. Returns None if the queue has none.
        """
        if task is None:
            return await claim_next(self.ports, self.me, ClaimNext(agent=agent, **fields))
        return await claim_task(self.ports, self.me, ClaimTask(task=task.id, agent=agent, **fields))

    async def claimed(self, task: Task | None = None, agent: str = "ada", **fields: Any) -> ClaimResult:
        """
        Claim the task, or the next one in the queue.

        Raises:
            AssertionError: If the queue has no task to claim.
        """
        claimed = await self.claim(task, agent, **fields)
        assert claimed is not None, "there is no task to claim"
        return claimed

    async def fresh(self, task: Task) -> Task:
        """
        The task as last committed.
        """
        async with self.ports.unit(self.me) as unit:
            return await unit.tasks.get(task.id)

    async def event_kinds(self) -> list[str]:
        """
        The kinds of all events in the organization's log, oldest first.
        """
        return [entry.kind for entry in await self.ports.log.read(self.me.organization, limit=10_000)]


async def make_world(ports: Ports, slug: str | None = None) -> World:
    """
    Create an organization with a board.
    """
    organization = await ensure_organization(ports, slug=slug or f"test-{uuid4()}")
    me = SystemPrincipal(organization=organization.id)
    board = await create_board(ports, me, CreateBoard(name="Work", gates=OPEN))
    return World(ports, me, board)
