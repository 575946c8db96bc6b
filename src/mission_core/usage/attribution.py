"""
The attribution of reported tokens to an agent, a task, a run and a board, and who may report for whom.

An agent reports for itself, on tasks that it holds or held. Only an admin names another agent, task or board.
"""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from attrs import field

from mission_core.accounts.model import AgentPrincipal, Principal, Role
from mission_core.errors import InvalidField
from mission_core.ids import AgentId, AgentNumber, BoardId, BoardNumber, RunId, TaskId, TaskNumber
from mission_core.lazy_attrs import frozen
from mission_core.tasks.authors import author_ids_of
from mission_core.tasks.model import TaskNotFound
from mission_core.tasks.runs import LIVE_STATES, RunState
from mission_core.usage.model import LONGEST_NAME, UsageOfAnotherAgent, UsageOfAnotherBoard, UsageOfAnotherTask
from mission_core.values import micros, name_key

if TYPE_CHECKING:
    from mission_core.agents.model import Agent
    from mission_core.ports import Ports, UnitOfWork
    from mission_core.tasks.model import Task
    from mission_core.tasks.queries import RunRow
    from mission_core.usage.use_cases import UsageReport

LIVE: Final = frozenset(state.value for state in LIVE_STATES)
LOST: Final = frozenset({RunState.EXPIRED.value, RunState.REVOKED.value})
"""The states of a run whose lease was lost."""


NAMED: Final = attrgetter("agent", "label", "task", "board", "fence", "drops_unknown_task")
"""The values of a report that tell what it is attributed to."""


class Attribution(NamedTuple):
    """
    The board, task, run and agent that a report is counted for.
    """

    board: BoardId | None
    task: Task | None
    run: RunId | None
    late: bool
    agent: AgentId | None
    agent_name: str


@frozen
class Attributor:
    """
    Attributes the reports of one principal at one time. Each agent, label, task and board is read once, and reports
    that name the same are attributed once.
    """

    ports: Ports
    unit: UnitOfWork
    principal: Principal
    runs: dict[TaskId, list[RunRow]] = field(factory=dict)
    labels: dict[str, Agent | None] = field(factory=dict)
    agents: dict[AgentId | AgentNumber | str, Agent] = field(factory=dict)
    tasks: dict[TaskId | TaskNumber, Task] = field(factory=dict)
    boards: dict[BoardId | BoardNumber, BoardId] = field(factory=dict)
    known: dict[tuple[Any, ...], Attribution] = field(factory=dict)

    async def attribute(self, report: UsageReport, *, now: datetime) -> Attribution:
        """
        Return what a report is attributed to.

        Raises:
            AgentNotFound: If the named agent does not exist.
            TaskNotFound: If the task does not exist.
            BoardNotFound: If the board does not exist.
            UsageOfAnotherAgent: If somebody else than an admin names another agent.
            UsageOfAnotherTask: If somebody else than an admin names a task that they never held.
            UsageOfAnotherBoard: If somebody else than an admin names another board.
            InvalidField: If the agent had no lease with the given fence.
        """
        named = NAMED(report)
        if named not in self.known:
            self.known[named] = await self._attribution(report, now)
        return self.known[named]

    async def _attribution(self, report: UsageReport, now: datetime) -> Attribution:
        agent, name = await self._agent(report)
        task = await self._task(report)
        holder = name if self.is_admin and name else self.principal.name
        run = None if task is None else await self._run(task, holder, report.fence)
        if task is not None and not self.is_admin and run is None and not self._holds(task):
            raise UsageOfAnotherTask
        board = await self._board(report, task.board if task else agent.board if agent else None)
        return Attribution(
            board=board, task=task, run=RunId(UUID(bytes=run.id)) if run else None,
            late=run is not None and _is_lost(run, now), agent=agent.id if agent else None, agent_name=name,
        )  # fmt: skip

    @property
    def is_admin(self) -> bool:
        """
        Whether the principal may report for everybody.
        """
        return self.principal.role is Role.ADMIN

    async def _agent(self, report: UsageReport) -> tuple[Agent | None, str]:
        own = self.principal.agent if isinstance(self.principal, AgentPrincipal) else None
        if report.agent is not None:
            named = await self._known_agent(report.agent)
            if not self.is_admin and named.id != own:
                raise UsageOfAnotherAgent
            return named, named.name
        if own is not None:
            itself = await self._known_agent(own)
            return itself, itself.name
        found = await self._named(report.label) if report.label else None
        if found is not None and not self.is_admin:
            raise UsageOfAnotherAgent
        return found, found.name if found else (report.label or "")[:LONGEST_NAME]

    async def _named(self, label: str) -> Agent | None:
        if label not in self.labels:
            self.labels[label] = await self.unit.agents.find(label)
        return self.labels[label]

    async def _known_agent(self, key: AgentId | AgentNumber | str) -> Agent:
        if key not in self.agents:
            self.agents[key] = await self.unit.agents.get(key)
        return self.agents[key]

    async def _task(self, report: UsageReport) -> Task | None:
        if report.task is None:
            return None
        if report.task not in self.tasks:
            try:
                self.tasks[report.task] = await self.unit.tasks.get(report.task)
            except TaskNotFound:
                if report.drops_unknown_task:
                    return None
                raise
        return self.tasks[report.task]

    async def _run(self, task: Task, name: str, fence: int | None) -> RunRow | None:
        """
        The latest run of the task under this name, or the one with this fence.
        """
        if task.id not in self.runs:
            self.runs[task.id] = await self.ports.reads.tasks.runs(self.principal, task.id)
        own = [run for run in self.runs[task.id] if name_key(run.by) == name_key(name)]
        found = next((run for run in own if fence is None or run.fence == fence), None)
        if found is None and fence is not None:
            raise InvalidField("fence", "is not the fence of a lease that this agent had on the task", fence)
        return found

    def _holds(self, task: Task) -> bool:
        """
        Whether the principal is the task's assignee, or worked on it.
        """
        names = {name_key(self.principal.name), name_key(self.principal.display)}
        if task.assignee is not None and task.assignee.key in names:
            return True
        return not author_ids_of(self.principal).isdisjoint(task.authors)

    async def _board(self, report: UsageReport, own: BoardId | None) -> BoardId | None:
        if report.board is None:
            return own
        if report.board not in self.boards:
            self.boards[report.board] = (await self.unit.boards.get(report.board)).id
        board = self.boards[report.board]
        if board != own and not self.is_admin:
            raise UsageOfAnotherBoard
        return board


def _is_lost(run: RunRow, now: datetime) -> bool:
    """
    Whether the lease of a run expired or was revoked.
    """
    return run.state in LOST or (run.state in LIVE and run.expires_at <= micros(now))
