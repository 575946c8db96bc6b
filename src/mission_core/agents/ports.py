"""
The port through which the core stores agents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mission_core.agents.model import Agent
    from mission_core.ids import AgentId, AgentNumber, BoardId


class AgentRepository(Protocol):
    """
    Stores the agents of the unit's organization, as far as its principal may see them: a principal with grants on some
    boards sees their agents only.

    Names are unique, ignoring case: `commit` refuses a duplicate with `AgentNameTaken`. It refuses a duplicate session
    key with `SessionKeyTaken`.
    """

    async def get(self, agent: AgentId | AgentNumber | str) -> Agent:
        """
        The agent as last committed, or as this unit wrote it: by id, number, or name, ignoring case.

        Raises:
            AgentNotFound: If this organization has none.
            BoardDenied: If its board is not granted to the principal.
        """

    async def get_unscoped(self, agent: AgentId) -> Agent:
        """
        The agent, not scoped by grants. Assigning a task to it must be able to answer that it belongs to another board.

        Raises:
            AgentNotFound: If this organization has none.
        """

    async def find(self, name: str) -> Agent | None:
        """
        The agent of that name, ignoring case. It is not scoped by grants, since names belong to the organization.
        """

    async def unknown_names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """
        The names that no agent has, ignoring case; not scoped by grants.
        """

    async def of_boards(self, boards: tuple[BoardId, ...]) -> list[Agent]:
        """
        The agents of these boards, by number. It is not scoped by grants, since a group spans boards.
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
        The number of agents on the board, without its lead.
        """

    def add(self, agent: Agent) -> Agent:
        """
        Store a new agent with the commit.
        """

    def save(self, agent: Agent) -> Agent:
        """
        Store the change with the commit, except its presence, and return the agent with its next version. A new name is
        also written to the tasks assigned to the old one, in any status, and to their live runs.
        """

    def remove(self, agent: Agent) -> None:
        """
        Delete the agent and its keys with the commit, if the agent still has this version.
        """

    def save_presence(self, agent: Agent) -> None:
        """
        Store the agent's presence with the commit. It is a record beside the agent, without a version; the latest one
        wins.
        """
