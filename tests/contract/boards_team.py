"""
A board's team, each at its half of the Boards API.
"""

from typing import Any

from attrs import frozen

from mission_core.agents.use_cases import CreateAgent, create_agent
from tests.contract.boards_driver import BoardsDriver, refusal


@frozen
class TeamMember:
    """
    Somebody on the board's team, at one half of the API.
    """

    boards: BoardsDriver
    tasks: str
    id: str
    token: str | None

    async def call(self, task: Any, **change: Any) -> Any:
        return await self.boards.call("PATCH", f"{self.tasks}/{task['id']}", change, agent=self.token)

    async def does(self, task: Any, **change: Any) -> Any:
        answer = await self.call(task, **change)
        assert 200 == answer.status, answer.body
        return answer.json

    async def refused(self, task: Any, **change: Any) -> tuple[int, Any]:
        return refusal(await self.call(task, **change))


@frozen
class Team:
    """
    Two workers, the lead, an agent of no board, and a person.
    """

    ada: TeamMember
    bob: TeamMember
    lea: TeamMember
    max: TeamMember
    me: TeamMember


async def team_of(boards: BoardsDriver, tasks: str) -> Team:
    """
    A new team that calls at this path.
    """

    async def member(name: str, **fields: Any) -> TeamMember:
        made = await create_agent(boards.ports, boards.me, CreateAgent(name=name, **fields))
        return TeamMember(boards, tasks, str(made.agent.id), made.token)

    ada, bob = await member("ada", board=boards.board), await member("bob", board=boards.board)
    lea, max = await member("lea", board=boards.board, lead=True), await member("max")
    return Team(ada, bob, lea, max, TeamMember(boards, boards.tasks, "", None))


async def task_in_list(boards: BoardsDriver, task: Any) -> Any:
    """
    The task as the list of its board shows it.
    """
    items = (await boards.got("GET", boards.tasks))["items"]
    return next(each for each in items if each["id"] == task["id"])


async def set_rules(boards: BoardsDriver, **rules: bool) -> None:
    """
    Change the board's rules.
    """
    await boards.got("PATCH", f"/api/v1/boards/{boards.board}", rules)


def status_and_assignee(task: Any) -> tuple[str, str | None, bool]:
    """
    Where a task is, whose it is, and whether its clock runs.
    """
    return task["status"], task["assigned_agent_id"], task["in_progress_at"] is not None


async def start_task(boards: BoardsDriver, team: Team, status: str = "in_progress") -> Any:
    """
    A task that ada works on, or brought further.
    """
    task = await team.ada.does(await boards.task(), status="in_progress")
    return task if status == "in_progress" else await team.ada.does(task, status=status)
