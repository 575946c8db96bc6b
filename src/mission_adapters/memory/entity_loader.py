"""
Loads committed rows from memory, limited to what a principal may see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mission_core.accounts.model import readable_boards
from mission_core.agents.model import AgentNotFound
from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from mission_adapters.memory.agents import AgentTable
    from mission_adapters.memory.api_keys import ApiKeyTable
    from mission_adapters.memory.boards import BoardTable
    from mission_adapters.memory.kind_tables import KindTables
    from mission_adapters.memory.runs import RunTable
    from mission_adapters.memory.tasks import TaskTable
    from mission_core.accounts.model import ApiKey, Principal
    from mission_core.agents.model import Agent
    from mission_core.boards.model import Board
    from mission_core.ids import (
        AgentId,
        AgentNumber,
        ApiKeyId,
        ApiKeyNumber,
        BoardId,
        BoardNumber,
        GroupId,
        RunId,
        TaskId,
        TaskNumber,
    )
    from mission_core.kinds import EntityT, Kind
    from mission_core.tasks.model import Task
    from mission_core.tasks.ports import DependencyNode
    from mission_core.tasks.runs import ImplicitHolder, Run


@frozen
class MemoryEntityLoader:
    """
    Loads rows for the repositories of a unit of work.
    """

    boards: BoardTable
    agents: AgentTable
    keys: ApiKeyTable
    tasks: TaskTable
    runs: RunTable
    kind_tables: KindTables

    async def board(self, principal: Principal, board: BoardId | BoardNumber) -> Board:
        return self.boards.find(principal, board)

    async def board_by_handle(self, principal: Principal, handle: str) -> Board | None:
        return self.boards.find_handle(principal, handle)

    async def first_active_board(self, principal: Principal) -> Board | None:
        return self.boards.first_active(principal)

    async def boards_of(self, principal: Principal, group: GroupId) -> list[Board]:
        return self.boards.of_group(principal.organization, group)

    async def names_taken(self, principal: Principal, *, handle: str, ticket_prefix: str) -> tuple[bool, bool]:
        return self.boards.names_taken(principal, handle=handle, ticket_prefix=ticket_prefix)

    async def agent(self, principal: Principal, agent: AgentId | AgentNumber | str) -> Agent:
        if isinstance(agent, str):
            named = self.agents.named(principal.organization, agent)
            if named is None:
                raise AgentNotFound
            agent = named.id
        return self.agents.find(principal, agent)

    async def agent_by_name(self, principal: Principal, name_key: str) -> Agent | None:
        return self.agents.named(principal.organization, name_key)

    async def names_known(self, principal: Principal, name_keys: tuple[str, ...]) -> set[str]:
        return {each for each in name_keys if self.agents.named(principal.organization, each)}

    async def agents_of(self, principal: Principal, boards: tuple[BoardId, ...]) -> list[Agent]:
        found = (agent for board in boards for agent in self.agents.agents_on(principal.organization, board))
        return sorted(found, key=lambda agent: agent.number)

    async def main_agent(self, principal: Principal) -> Agent | None:
        return self.agents.main_of(principal.organization)

    async def lead_of_board(self, principal: Principal, board: BoardId) -> Agent | None:
        leads = (agent for agent in self.agents.agents_on(principal.organization, board) if agent.lead)
        return min(leads, key=lambda agent: agent.number, default=None)

    async def worker_count(self, principal: Principal, board: BoardId) -> int:
        return sum(not agent.lead for agent in self.agents.agents_on(principal.organization, board))

    async def api_key(self, principal: Principal, key: ApiKeyId | ApiKeyNumber) -> ApiKey:
        found = self.keys.find(principal, key)
        if readable_boards(principal) is not None:
            self.agents.find(principal, found.agent)
        return found

    async def api_keys_of(self, principal: Principal, agent: AgentId) -> list[ApiKey]:
        return self.keys.list_of(principal, agent) if self.agents.is_seen(principal, agent) else []

    async def task(self, principal: Principal, task: TaskId | TaskNumber) -> Task:
        return self.tasks.find(principal, task)

    async def tasks_numbered(self, principal: Principal, tasks: tuple[TaskNumber, ...]) -> list[Task]:
        known = self.tasks.by_number.ids
        return [self.tasks.find(principal, each) for each in tasks if (principal.organization, each) in known]

    async def dependency_closure(self, principal: Principal, tasks: tuple[TaskId, ...]) -> list[DependencyNode]:
        return self.tasks.dependency_closure(principal, tasks)

    async def dependents(self, principal: Principal, task: TaskId) -> list[Task]:
        return self.tasks.dependents_of(principal, task)

    async def run(self, principal: Principal, run: RunId) -> Run:
        return self.runs.find(principal, run)

    async def last_run(self, principal: Principal, task: TaskId, holder: ImplicitHolder) -> Run | None:
        runs = self.runs.history(task)
        return next((run for run in runs if run.organization == principal.organization and run.holder == holder), None)

    async def entity(self, principal: Principal, kind: Kind[EntityT], key: UUID | int) -> EntityT:
        return self.kind_tables[kind].find(principal, key)

    async def entities_numbered(
        self, principal: Principal, kind: Kind[EntityT], numbers: Collection[int]
    ) -> list[EntityT]:
        return self.kind_tables[kind].numbered(principal, numbers)

    async def find_entity(
        self, principal: Principal, kind: Kind[EntityT], equal: Mapping[str, Any], *, newest: bool
    ) -> EntityT | None:
        found: list[EntityT] = self.kind_tables[kind].matching(principal, dict(equal))
        return found[-1 if newest else 0] if found else None

    async def entities(self, principal: Principal, kind: Kind[EntityT], equal: Mapping[str, Any]) -> list[EntityT]:
        return self.kind_tables[kind].matching(principal, dict(equal))
