"""
Updates that change nothing, on every store: nothing is written, nothing is logged, and the version stands.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib import import_module
from inspect import iscoroutinefunction, signature
from pkgutil import walk_packages
from typing import Any
from uuid import uuid4

import pytest
from attrs import frozen

import mission_core
from mission_adapters.testing.contracts.reported_runs import reported
from mission_core.accounts.members import BoardPermission
from mission_core.accounts.model import MemberPrincipal, Role
from mission_core.accounts.user_admin import CreateUser, create_user
from mission_core.agents.model import Agent
from mission_core.automation.board_webhooks import CreateBoardWebhook, create_board_webhook
from mission_core.boards.board_access import BoardAccess
from mission_core.boards.custom_field_use_cases import CreateField, create_field
from mission_core.boards.groups import BoardGroup, CreateGroup, create_group
from mission_core.boards.tags import CreateTag, create_tag
from mission_core.tasks.model import Status
from mission_core.usage.budget_use_cases import CreateBudget, create_budget
from mission_core.usage.budgets import BudgetMeasure, BudgetPeriod
from mission_core.usage.price_overrides import CreatePriceOverride, create_price_override
from mission_core.values import JsonText
from tests.contract.conftest import World

Update = Callable[..., Awaitable[Any]]
UPDATING = re.compile(
    r"Update|Change|Set(?!ActiveOrganization)|Move|Rename|WriteSoul|WriteWorkingMemory|ClearWorkingMemory|AssignAgent|UnassignAgent"
)


def updates() -> dict[str, tuple[Update, type]]:
    """
    The use cases of the core that change what is there, with their commands, by the names of these.
    """
    found: dict[str, tuple[Update, type]] = {}
    for info in walk_packages(mission_core.__path__, "mission_core."):
        module = import_module(info.name)
        for name, each in vars(module).items():
            if iscoroutinefunction(each) and each.__module__ == info.name and not name.startswith("_"):
                given = signature(each).parameters
                command = str(given["cmd"].annotation) if [*given] == ["ports", "principal", "cmd"] else ""
                if UPDATING.match(command):
                    found.setdefault(command, (each, getattr(module, command)))
    return found


@frozen
class Things:
    """
    An organization with one thing of each kind that can be changed.
    """

    world: World
    person: MemberPrincipal
    agent: Agent
    group: BoardGroup

    @classmethod
    async def over(cls, world: World) -> "Things":
        """
        Such an organization.
        """
        command = CreateUser(username=f"jo-{uuid4()}", password="correct horse 9", role=Role.ADMIN)
        made = await create_user(world.ports, world.me, command)
        person = MemberPrincipal(
            organization=world.me.organization, user=made.user.id, number=made.user.number, member=made.member.id,
            name=made.user.username, display="Jo", role=Role.ADMIN,
        )  # fmt: skip
        group = await create_group(world.ports, world.me, CreateGroup(name="Fleet"))
        return cls(world, person, await world.agent("ada", board=world.board.id), group)

    async def of(self, command: str) -> dict[str, Any]:
        """
        What to change with a command, and to which values.
        """
        ports, me, board = self.world.ports, self.world.me, self.world.board
        match command:
            case "UpdateAgent":
                return {"agent": self.agent.id, "name": "Ada", "config": JsonText('{"a":1}'), "soul": "Kind"}
            case "WriteSoul" | "WriteWorkingMemory":
                return {"agent": self.agent.id, "content": "Kind"}
            case "ClearWorkingMemory":
                return {"agent": self.agent.id}
            case "AssignAgent" | "UnassignAgent":
                return {"board": board.id, "agent_name": "ada"}
            case "UpdateBoard":
                deadline = datetime(2030, 1, 1, tzinfo=UTC)
                return {
                    "board": board.id, "name": "New", "gates": {"require_review_before_done": True},
                    "assigned_agents": ("ada",),
                    "success_metrics": JsonText('{"a":1}'), "group": self.group.id, "deadline": deadline,
                }  # fmt: skip
            case "UpdateGroup":
                return {"group": self.group.id, "name": "New", "slug": "New slug", "description": None}
            case "SetHeartbeatInterval":
                return {"group": self.group.id, "every": "5m"}
            case "UpdateTag":
                tag = await create_tag(ports, me, CreateTag(name="Old"))
                return {"tag": tag.id, "name": " New ", "slug": None, "color": "#FF0000", "description": "d"}
            case "UpdateBudget":
                tokens, once = BudgetMeasure.TOKENS, BudgetPeriod.ONCE
                old = CreateBudget(name="Old", measure=tokens, limit=9, per_run=1, period=once)
                budget = await create_budget(ports, me, old)
                return {"budget": budget.id, "name": "New", "limit": 10, "per_run": 2, "hard": False}
            case "UpdatePriceOverride":
                price = await create_price_override(ports, me, CreatePriceOverride(model="old", input=1, output=2))
                return {"price": price.id, "model": "new", "input": 3, "since": self.world.clock.now(), "batch": 50}
            case "UpdateReportedRun":
                run = await reported(self.world)
                return {"run": run.id, "status": "completed", "model": "small", "input_tokens": 5, "tags": ("new",)}
            case "UpdateField":
                made = await create_field(ports, me, CreateField(field_key="size", boards=(board.id,)))
                return {"field": made.id, "label": " Size ", "description": "d", "boards": (board.id,)}
            case "UpdateBoardWebhook":
                hook = await create_board_webhook(ports, me, CreateBoardWebhook(board=board.id, description="d"))
                return {"webhook": hook.id, "on": board.id, "description": "new", "secret": "s3cret", "enabled": False}
            case "UpdateTask":
                task = await self.world.task()
                return {"task": task.id, "title": "New", "assignee": "ada", "priority": "high"}
            case "MoveTasks":
                return {"moves": (((await self.world.task()).number, Status.IN_PROGRESS),)}
            case "ChangeSettings":
                return {"values": {"general.site_name": "Here"}}
            case "SetSessionPreference":
                return {"key": "claude:7", "name": " Build ", "color": "Blue"}
            case "SetBoardAccess":
                access = BoardAccess(boards=(BoardPermission(board.id, True, False),))
                return {"member": self.person.member, "access": access}
            case "SetMemberRole":
                return {"member": self.person.member, "role": "member"}
            case "UpdateUser":
                return {"user": self.person.user, "name": "Joan", "email": "jo@x.io", "role": Role.VIEWER}
            case "UpdateAccount":
                return {"name": "Joan"}
            case "UpdateProfile":
                return {"preferred_name": "Jo", "notes": None}
            case "UpdateOrganization":
                return {"name": f"Here {uuid4()}", "brand": "B"}
        raise AssertionError(f"tell how {command} is sent")


@pytest.mark.parametrize("command", sorted(updates()))
async def test_an_update_that_changes_nothing_leaves_no_trace(world: World, command: str) -> None:
    """
    Whatever it updates, sent once more it changes nothing.
    """
    things = await Things.over(world)
    use_case, made_of = updates()[command]
    caller = things.person if command in ("UpdateAccount", "UpdateProfile") else world.me
    sent = made_of(**await things.of(command))
    before = await use_case(world.ports, caller, sent)
    head = await world.ports.log.head(world.me.organization)
    world.clock.advance(seconds=5)
    after = await use_case(world.ports, caller, sent)

    assert before == after or command == "MoveTasks"  # which answers what moved
    assert head == await world.ports.log.head(world.me.organization)
