"""
A marked organization or board, with one of everything, that nobody else may see.
"""

import json
import re
from typing import Any
from uuid import uuid4

from attrs import field, frozen

from mission_http.fleet.errors import RUN_PATHS
from tests.contract.boards_driver import TOKEN
from tests.contract.generated_requests import Operation
from tests.contract.populated_app import KEY, OPERATIONS, PopulatedApp, parameters_of
from tests.unit.http.platform.sample_app import Answer, ask

SAID = "zebrafish"
"""What can be searched for, in every text of the other side."""
MARK = "9f3a7c51d2"
"""What stands beside it, and is never sent but as a part of a name."""
TEXT = f"{SAID} {MARK}"
NAME = f"{SAID}-{MARK}"
AHEAD = 5
"""So many rows come before each that is planted, so that its number is none of the side that asks."""
VOLATILE = re.compile(r'"(request_id|timestamp|generated_at|uptime)":[^,}]*')
POLLS = {
    "fleet_pollTaskQueue",
    "fleet_getAgentHeartbeat",
    "fleet_getSystemStatus",
    "fleet_getHealth",
    "fleet_getOpenApiSpec",
}
"""What changes as it is read, or is about the machine."""
OPEN = {"POST /api/v1/boards/{board_id}/webhooks/{webhook_id}"}
"""What whoever has the whole address may send to, wherever they are from."""


@frozen
class Planted:
    """
    A side that nobody else may see: one of everything with the mark in every text, the ids and numbers of its rows, and
    how it looks to somebody who may.
    """

    side: PopulatedApp
    ids: dict[str, str] = field(factory=dict)
    numbers: dict[str, int] = field(factory=dict)

    async def do(self, method: str, path: str, body: Any = None, *, agent: str | None = None) -> Any:
        """
        What the side does itself; it must succeed.
        """
        of_boards = path.startswith("/api/v1") and not path.startswith(RUN_PATHS)
        headers = {"authorization": f"Bearer {TOKEN}"} if of_boards else {"x-api-key": KEY}
        if agent is not None:
            headers = {"x-agent-token": agent}
        raw = b"" if body is None else json.dumps(body).encode()
        answer = await ask(self.side.app, method, path, raw, key=None, **headers)
        assert 200 <= answer.status < 300, (method, path, answer.body)
        return answer.json if answer.body else None

    async def picture(self) -> list[tuple[int, str]]:
        """
        All that people can read of the side, and how much has happened there.
        """
        read = [
            await self.side.call(each, path=self.side.path(each, **self.instead(each)))
            for each in OPERATIONS
            if each[1].method == "GET" and each[1].who.name != "agent" and each[1].operation_id not in POLLS
        ]
        return [*((answer.status, lasting(answer)) for answer in read), (await self.side.head(), "")]

    def instead(self, operation: Operation) -> dict[str, str]:
        """
        What its rows are called in the paths of this operation.
        """
        fleet = operation[0].name == "Fleet"
        return {
            name: str(self.numbers[before]) if fleet else self.ids[name]
            for before, name in parameters_of(operation)
            if (before in self.numbers if fleet else name in self.ids)
        }


def lasting(answer: Answer) -> str:
    """
    An answer's body without what differs from one request to the next.
    """
    body = answer.body.decode()
    return VOLATILE.sub("", body)


async def planted_in(side: PopulatedApp) -> Planted:
    """
    One of everything, marked, through the operations that make it.
    """
    here = await planted_on_a_board(side)
    do, board = here.do, here.ids["board_id"]
    invited = {"invited_email": f"{NAME}@example.org", "role": NAME, "board_access": [{"board_id": board}]}
    here.ids["invite_id"] = (await do("POST", "/api/v1/organizations/me/invites", invited))["id"]
    here.ids["member_id"] = (await do("GET", "/api/v1/organizations/me/member"))["id"]
    here.ids["organization_id"] = (await do("GET", "/api/v1/organizations/me"))["id"]
    tag = await do("POST", "/api/v1/tags", {"name": TEXT, "description": TEXT})
    here.ids["tag_id"] = tag["id"]
    a_field = {"field_key": "marked", "label": TEXT, "field_type": "text", "board_ids": [board]}
    kept = await do("POST", "/api/v1/organizations/me/custom-fields", a_field)
    here.ids["task_custom_field_definition_id"] = kept["id"]
    await do("PATCH", "/api/v1/users/me", {"name": TEXT, "preferred_name": TEXT, "notes": TEXT})
    space = await do("POST", "/api/workspaces", {"name": TEXT, "slug": f"{NAME}-{uuid4()}", "brand": TEXT})
    here.numbers["workspaces"] = space["workspace"]["id"]
    return here


async def planted_on_a_board(side: PopulatedApp) -> Planted:
    """
    A board, and one of all that belongs to boards on it.
    """
    here = Planted(side)
    do = here.do
    for turn in range(AHEAD):
        made = await do("POST", "/api/projects", {"name": f"{NAME}-{turn}", "ticket_prefix": f"ZF{turn}"})
        await do("POST", "/api/agents", {"name": f"{NAME}-{turn}", "role": "coder"})
    number = made["project"]["id"]
    boards = (await do("GET", "/api/v1/boards"))["items"]
    board = next(each["id"] for each in boards if each["name"] == f"{NAME}-{AHEAD - 1}")
    here.ids["board_id"] = board
    for _ in range(AHEAD):
        await do("POST", f"/api/v1/boards/{board}/tasks", {"title": TEXT})
    on_board = f"/api/v1/boards/{board}"
    await do("PATCH", on_board, {"name": NAME, "description": TEXT, "objective": TEXT, "success_metrics": {"x": TEXT}})
    made = await do("POST", "/api/v1/agents", {"name": NAME, "board_id": board, "identity_template": TEXT})
    here.ids["agent_id"] = made["id"]
    agents = (await do("GET", "/api/agents?limit=200"))["agents"]
    here.numbers["agents"] = agent = next(each["id"] for each in agents if each["name"] == NAME)
    await do("PUT", f"/api/agents/{agent}/soul", {"soul_content": TEXT})
    await do("PUT", f"/api/agents/{agent}/memory", {"working_memory": TEXT})
    await do("PUT", "/api/agents", {"name": NAME, "last_activity": TEXT, "session_key": NAME, "config": {"x": TEXT}})
    connected = await do(
        "POST", "/api/connect", {"tool_name": TEXT, "agent_name": NAME, "agent_role": TEXT, "metadata": {"x": TEXT}}
    )
    here.ids["connection_id"] = connected["connection_id"]
    here.numbers["projects"] = number
    await do("PATCH", f"/api/projects/{number}", {"github_repo": f"{SAID}/{MARK}"})
    await do("POST", f"/api/projects/{number}/agents", {"agent_name": NAME, "role": TEXT})
    group = await do("POST", "/api/v1/board-groups", {"name": TEXT, "slug": NAME, "description": TEXT})
    here.ids["group_id"] = group["id"]
    await do("PATCH", on_board, {"board_group_id": group["id"]})
    marked = {"content": TEXT, "tags": [NAME, "chat"], "source": TEXT}
    for place in (f"{on_board}/memory", f"{on_board}/group-memory"):
        await do("POST", place, marked)
    webhook = await do("POST", f"{on_board}/webhooks", {"description": TEXT, "agent_id": made["id"]})
    here.ids["webhook_id"] = webhook["id"]
    came = await do("POST", webhook["endpoint_path"], {"x": TEXT})
    here.ids["payload_id"] = came["payload_id"]
    task = await do("POST", f"{on_board}/tasks", {"title": TEXT, "description": TEXT, "assigned_agent_id": made["id"]})
    here.ids["task_id"] = task["id"]
    used = {"model": NAME, "input_tokens": 7, "output_tokens": 7, "session": TEXT, "operation": NAME, "provider": NAME}
    owned = {"agent_id": here.ids["agent_id"], "task_id": here.ids["task_id"], "report_id": NAME}
    here.ids["usage_id"] = (await do("POST", "/api/v1/usage", used | owned))["id"]
    ran = {"agent_id": NAME, "status": TEXT, "started_at": "2030-01-01", "task_id": here.ids["task_id"], "model": NAME}
    ran |= {"cost": {"input_tokens": 7}, "eval": {"pass": True, "score": 1, "detail": TEXT}, "tags": [TEXT]}
    here.ids["run_id"] = (await do("POST", "/api/v1/runs", ran))["id"]
    told = await do("POST", f"{on_board}/tasks/{task['id']}/comments", {"message": f"@{NAME} {TEXT}"})
    here.ids["comment_id"] = told["id"]
    listed = (await do("GET", f"/api/tasks?limit=200&project_id={number}"))["tasks"]
    here.numbers["tasks"] = max(each["id"] for each in listed)
    here.numbers["comments"] = (await do("GET", f"/api/tasks/{here.numbers['tasks']}/comments"))["comments"][0]["id"]
    await do("PUT", f"/api/tasks/{here.numbers['tasks']}", {"error_message": TEXT, "metadata": {"x": TEXT}})
    asked = {"action_type": TEXT, "confidence": 1, "payload": {"reason": TEXT}, "task_ids": [task["id"]]}
    approval = await do("POST", f"{on_board}/approvals", asked)
    here.ids["approval_id"] = approval["id"]
    await do("PATCH", f"{on_board}/approvals/{approval['id']}", {"status": "rejected", "reason": TEXT})
    await do("POST", f"{on_board}/approvals", asked)
    await do("POST", f"{on_board}/onboarding/start", {})
    return here
