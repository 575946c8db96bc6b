"""
Two ways to tell the same story: each verb in the Fleet's words and in those of the Boards.
"""

from datetime import datetime
from typing import Any, Protocol

from attrs import define, field, frozen

from tests.contract.boards_driver import BoardsDriver
from tests.contract.fleet_driver import FleetDriver
from tests.unit.http.platform.sample_app import Answer


@frozen
class HeldLease:
    """
    A task that was taken, and the secret it was taken under.
    """

    task: Any
    lease: str


class StoryDriver(Protocol):
    """
    Tells a story. What must work, works; `refused` says whether something was.
    """

    refused: bool

    async def board(self, name: str, **fields: Any) -> Any: ...
    async def change_board(self, board: Any, **fields: Any) -> None: ...
    async def agent(self, name: str) -> str: ...
    async def task(self, title: str, *, on: Any = None, key: str | None = None, **fields: Any) -> Any: ...
    async def change(self, task: Any, *, version: int | None = None, **fields: Any) -> None: ...
    async def say(self, task: Any, text: str) -> None: ...
    async def remove(self, task: Any) -> None: ...
    async def take(self, agent: str, task: Any = None) -> HeldLease | None: ...
    async def beat(self, held: HeldLease, **fields: Any) -> Any: ...
    async def hand_in(self, held: HeldLease, **fields: Any) -> None: ...
    async def fail(self, held: HeldLease, **fields: Any) -> None: ...
    async def give_back(self, held: HeldLease, **fields: Any) -> None: ...
    async def order(self, task: Any, kind: str, **fields: Any) -> None: ...
    async def write_as(self, agent: str, task: Any, **fields: Any) -> None: ...


@define
class LeasesByName:
    """
    What both dialects call alike: work under a lease, below the path of a task.
    """

    refused: bool = field(default=False, init=False)

    async def beat(self, held: HeldLease, **fields: Any) -> Any:
        answer = await self._on(held.task, "/lease/heartbeat", {"lease": held.lease, **fields})
        return answer.json if answer.status == 200 else None

    async def hand_in(self, held: HeldLease, **fields: Any) -> None:
        await self._on(held.task, "/complete", {"lease": held.lease, **fields})

    async def fail(self, held: HeldLease, **fields: Any) -> None:
        await self._on(held.task, "/fail", {"lease": held.lease, **fields})

    async def give_back(self, held: HeldLease, **fields: Any) -> None:
        await self._on(held.task, "/release", {"lease": held.lease, **fields})

    async def order(self, task: Any, kind: str, **fields: Any) -> None:
        await self._on(task, "/orders", {"kind": kind, **fields})

    async def _on(self, task: Any, path: str, body: Any) -> Answer:
        raise NotImplementedError

    def _heard(self, answer: Answer) -> Answer:
        assert answer.status < 500, answer.body
        self.refused = answer.status >= 400
        return answer


@define
class FleetStoryDriver(LeasesByName):
    """
    In the Fleet's words.
    """

    fleet: FleetDriver
    keys: dict[str, str] = field(factory=dict, init=False)

    async def board(self, name: str, **fields: Any) -> Any:
        made = await self.fleet.got("POST", "/projects", {"name": name, "gates": {}, **fields}, 201)
        return made["project"]["id"]

    async def change_board(self, board: Any, **fields: Any) -> None:
        self._heard(await self.fleet.call("PATCH", f"/projects/{board}", fields))

    async def agent(self, name: str) -> str:
        _, self.keys[name] = await self.fleet.agent(name)
        return name

    async def write_as(self, agent: str, task: Any, **fields: Any) -> None:
        self._heard(await self.fleet.call("PUT", f"/tasks/{task}", _of_fleet(fields), key=self.keys[agent]))

    async def task(self, title: str, *, on: Any = None, key: str | None = None, **fields: Any) -> Any:
        body = {"title": title, "project_id": on or self.fleet.project, **_of_fleet(fields)}
        headers = {"idempotency_key": key} if key else {}
        answer = self._heard(await self.fleet.call("POST", "/tasks", body, **headers))
        return None if self.refused else answer.json["task"]["id"]

    async def change(self, task: Any, *, version: int | None = None, **fields: Any) -> None:
        headers = {} if version is None else {"if_match": f'"{version}"'}
        self._heard(await self.fleet.call("PUT", f"/tasks/{task}", _of_fleet(fields), **headers))

    async def say(self, task: Any, text: str) -> None:
        self._heard(await self.fleet.call("POST", f"/tasks/{task}/comments", {"content": text}))

    async def remove(self, task: Any) -> None:
        self._heard(await self.fleet.call("DELETE", f"/tasks/{task}"))

    async def take(self, agent: str, task: Any = None) -> HeldLease | None:
        path = f"/tasks/{task}/claim" if task else "/tasks/claim"
        answer = self._heard(await self.fleet.call("POST", path, {"agent": agent}))
        taken = not self.refused and answer.json["task"]
        return HeldLease(answer.json["task"]["id"], answer.json["lease"]["lease"]) if taken else None

    async def _on(self, task: Any, path: str, body: Any) -> Answer:
        return self._heard(await self.fleet.call("POST", f"/tasks/{task}{path}", body))


@define
class BoardsStoryDriver(LeasesByName):
    """
    In the words of the Boards.
    """

    boards: BoardsDriver
    agents: dict[str, str] = field(factory=dict, init=False)
    tokens: dict[str, str] = field(factory=dict, init=False)

    async def board(self, name: str, **fields: Any) -> Any:
        gateway = (await self.boards.got("GET", "/api/v1/boards"))["items"][0]["gateway_id"]
        body = {"name": name, "slug": name.lower(), "description": name, "gateway_id": gateway, **fields}
        return (await self.boards.got("POST", "/api/v1/boards", body))["id"]

    async def change_board(self, board: Any, **fields: Any) -> None:
        self._heard(await self.boards.call("PATCH", f"/api/v1/boards/{board}", fields))

    async def agent(self, name: str) -> str:
        made = await self.boards.agent(name)
        self.agents[name], self.tokens[name] = made["id"], made["agent_token"]
        return name

    async def write_as(self, agent: str, task: Any, **fields: Any) -> None:
        path = f"{self.boards.agent_tasks}/{task[1]}"
        self._heard(await self.boards.call("PATCH", path, self._of_boards(fields), agent=self.tokens[agent]))

    async def task(self, title: str, *, on: Any = None, key: str | None = None, **fields: Any) -> Any:
        headers = {"idempotency_key": key} if key else {}
        answer = self._heard(
            await self.boards.call("POST", self._tasks(on), {"title": title, **self._of_boards(fields)}, **headers)
        )
        return None if self.refused else (on, answer.json["id"])

    async def change(self, task: Any, *, version: int | None = None, **fields: Any) -> None:
        headers = {} if version is None else {"if_match": f'"{version}"'}
        self._heard(await self.boards.call("PATCH", self._path(task), self._of_boards(fields), **headers))

    async def say(self, task: Any, text: str) -> None:
        self._heard(await self.boards.call("POST", f"{self._path(task)}/comments", {"message": text}))

    async def remove(self, task: Any) -> None:
        self._heard(await self.boards.call("DELETE", self._path(task)))

    async def take(self, agent: str, task: Any = None) -> HeldLease | None:
        path = f"{self._path(task)}/claim" if task else f"{self.boards.tasks}/claim"
        answer = self._heard(await self.boards.call("POST", path, {"agent": agent}))
        taken = not self.refused and answer.json["task"]
        return HeldLease((None, answer.json["task"]["id"]), answer.json["lease"]["lease"]) if taken else None

    async def _on(self, task: Any, path: str, body: Any) -> Answer:
        return self._heard(await self.boards.call("POST", f"{self._path(task)}{path}", body))

    def _tasks(self, board: Any) -> str:
        return f"/api/v1/boards/{board}/tasks" if board else self.boards.tasks

    def _path(self, task: Any) -> str:
        board, id = task
        return f"{self._tasks(board)}/{id}"

    def _of_boards(self, fields: dict[str, Any]) -> dict[str, Any]:
        spelled = dict(fields)
        if "assignee" in spelled:
            name = spelled.pop("assignee")
            spelled["assigned_agent_id"] = self.agents[name] if name else None
        if "depends_on" in spelled:
            spelled["depends_on_task_ids"] = [id for _, id in spelled.pop("depends_on")]
        if "due" in spelled:
            spelled["due_at"] = spelled.pop("due").isoformat()
        return spelled


def _of_fleet(fields: dict[str, Any]) -> dict[str, Any]:
    spelled = dict(fields)
    if "assignee" in spelled:
        spelled["assigned_to"] = spelled.pop("assignee") or ""
    if isinstance(spelled.get("due"), datetime):
        spelled["due_date"] = int(spelled.pop("due").timestamp())
    return spelled
