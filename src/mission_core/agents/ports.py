"""
What agents ask of a store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mission_core.agents.model import Agent
    from mission_core.ids import AgentId, AgentNumber, BoardId


class Agents(Protocol):
    """
    Keeps the agents of the unit's organization, as far as its principal may see them: with grants on some boards,
    those of these. Names are unique whatever their case; `commit` refuses a second one with `AgentNameTaken`, and a
    second session key with `SessionKeyTaken`.
    """

    async def get(self, agent: AgentId | AgentNumber) -> Agent:
        """
        The agent as last committed, or as this unit wrote it.

        Raises:
            AgentNotFound: If this organization has none.
            BoardDenied: If its board is not granted to the principal.
        """

    async def anywhere(self, agent: AgentId) -> Agent:
        """
        The agent, not scoped by grants: whoever names an assignee must learn that it belongs to another board.

        Raises:
            AgentNotFound: If this organization has none.
        """

    async def find(self, name: str) -> Agent | None:
        """
        The agent of that name, whatever its case; not scoped by grants, since names belong to the organization.
        """

    async def unknown(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """
        Those of the names that no agent has, whatever their case; not scoped by grants.
        """

    async def of_boards(self, boards: tuple[BoardId, ...]) -> list[Agent]:
        """
        The agents of these boards, by number; not scoped by grants, since a group reaches across boards.
        """

    async def main(self) -> Agent | None:
        """
        The organization's built-in main agent.
        """

    async def lead(self, board: BoardId) -> Agent | None:
        """
        The board's lead, if it has one.
        """

    async def count_workers(self, board: BoardId) -> int:
        """
        How many agents the board has, its lead not counted.
        """

    def add(self, agent: Agent) -> Agent:
        """
        Remember a new agent for the commit.
        """

    def save(self, agent: Agent) -> Agent:
        """
        Remember the change for the commit, all but its presence; the answer carries its next version. A new name goes
        along to the tasks that are assigned to the old one, whatever their status, and to the live runs on them.
        """

    def remove(self, agent: Agent) -> None:
        """
        Remember to remove the agent, at the version it has here, and its keys with it.
        """

    def seen(self, agent: Agent) -> None:
        """
        Remember the agent's presence for the commit: a record beside it, without a version; the latest wins.
        """
