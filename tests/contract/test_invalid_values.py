"""
Values that are not meant: whoever calls a use case, it refuses them, or keeps what both dialects can show.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from importlib import import_module
from inspect import iscoroutinefunction, signature, unwrap
from itertools import islice
from pkgutil import walk_packages
from random import Random
from types import NoneType, UnionType
from typing import Any, Literal, NewType, Union, get_args, get_origin, get_type_hints
from uuid import UUID, uuid4

import pytest
from attrs import NOTHING, evolve, fields, has

import mission_core
from mission_core.agents.model import Agent
from mission_core.boards.groups import BoardGroup, CreateGroup, create_group
from mission_core.boards.model import Board
from mission_core.boards.tags import CreateTag, Tag, create_tag
from mission_core.errors import InvalidField, Refusal
from mission_core.ids import AgentId, BoardId, GroupId, TagId, TaskId
from mission_core.tasks.model import Task
from mission_core.values import EMPTY_OBJECT, Absent, JsonText
from tests.contract.boards_driver import BoardsDriver
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver

DEEP = "[" * 100_000 + "]" * 100_000
NONSENSE: tuple[Any, ...] = (
    None, True, "", " ", "a\0b", "a\ud800b", "x" * 100_000, "nonsense", 0, -1, 10**30, -(10**30), 2.5, float("nan"),
    float("inf"), Decimal(1), b"x", object(), {"a": object()}, {"a": float("nan")}, {1: 2}, {"a\0": 1}, [], ["a\0"],
    (), ("",), (None,), ("a\0b",), ("x",) * 1000, (object(),), {1}, "[", "[1]", '"text"', '{"a":NaN}', '{"a":1e999}',
    '{"a":"\\u0000"}', '{"a":"\\ud800"}', DEEP, '{"a":' + "[" * 80 + "]" * 80 + "}", datetime(2026, 1, 1),
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2))), datetime.max, timedelta(-1), uuid4(), UUID(int=0),
)  # fmt: skip
LISTS = {
    FleetDriver: (
        "/tasks", "/agents", "/projects", "/activities", "/mentions", "/settings", "/v1/runs", "/v1/evals/leaderboard",
        "/chat/messages", "/chat/conversations", "/chat/session-prefs", "/agents/comms",
        "/notifications?recipient=ada", "/notifications/deliver",
    ),
    BoardsDriver: (
        "/api/v1/boards", "/api/v1/agents", "/api/v1/tags", "/api/v1/board-groups",
        "/api/v1/organizations/me/custom-fields", "/api/v1/organizations/me/members", "/api/v1/activity",
    ),
}  # fmt: skip


def use_cases() -> dict[str, tuple[Any, Any]]:
    """
    All use cases of the core that take a command for a principal, with the class of that.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for info in walk_packages(mission_core.__path__, "mission_core."):
        module = import_module(info.name)
        for name, each in vars(module).items():
            inner = unwrap(each) if callable(each) else None
            if iscoroutinefunction(inner) and inner.__module__ == info.name and not name.startswith("_"):
                given = signature(inner).parameters
                command = getattr(module, str(given["cmd"].annotation), None) if "cmd" in given else None
                if [*given] == ["ports", "principal", "cmd"] and has(command):
                    found[name] = each, command
    return found


async def known(world: World) -> dict[Any, Any]:
    """
    The ids of what an organization has one of.
    """
    group: BoardGroup = await create_group(world.ports, world.me, CreateGroup(name="Fleet"))
    tag: Tag = await create_tag(world.ports, world.me, CreateTag(name="Red"))
    task: Task = await world.task()
    agent: Agent = await world.agent(f"ada-{uuid4().hex[:8]}", board=world.board.id)
    board: Board = world.board
    return {TaskId: task.id, AgentId: agent.id, BoardId: board.id, GroupId: group.id, TagId: tag.id}


def meant(kind: Any, ids: dict[Any, Any]) -> Any:
    """
    A value that a field of this type takes.
    """
    if kind in ids:
        return ids[kind]
    if kind is JsonText:
        return EMPTY_OBJECT
    if isinstance(kind, NewType):
        return meant(kind.__supertype__, ids)
    if get_origin(kind) in (Union, UnionType):
        return meant(next((each for each in get_args(kind) if each not in (NoneType, Absent)), NoneType), ids)
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if (get_origin(kind) or kind) in (tuple, frozenset, list):
        return (get_origin(kind) or kind)()
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if has(kind):
        return made(kind, ids)
    plain = {
        str: "word", int: 1, float: 1.0, bool: True, bytes: b"x", UUID: uuid4(), NoneType: None,
        datetime: datetime(2030, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    return plain.get(kind, {})


def made(command: Any, ids: dict[Any, Any]) -> Any:
    """
    A command that is meant.
    """
    kinds = get_type_hints(command)
    return command(**{each.alias: meant(kinds[each.name], ids) for each in fields(command) if each.default is NOTHING})


def spoiled(command: Any) -> Iterator[Any]:
    """
    The command with each of its fields in turn as nobody means it.
    """
    for each in fields(type(command)):
        for value in NONSENSE:
            try:
                yield evolve(command, **{each.alias: value})
            except (InvalidField, TypeError):
                continue  # a command that checks itself


async def seen(fleet: FleetDriver, boards: BoardsDriver) -> None:
    """
    Both dialects show all there is.
    """
    for path in LISTS[FleetDriver]:
        assert (await fleet.call("GET", path)).status < 500, path
    for path in LISTS[BoardsDriver]:
        assert (await boards.call("GET", path)).status < 500, path


@pytest.mark.every_store
@pytest.mark.parametrize("name", sorted(use_cases()))
async def test_nonsense_is_refused_or_kept_as_what_can_be_shown(
    world: World, fleet: FleetDriver, boards: BoardsDriver, name: str
) -> None:
    """
    Each field of each command as nobody means it; on a database a sample of them.
    """
    use_case, command = use_cases()[name]
    wrong = list(spoiled(made(command, await known(world))))
    if "Memory" not in type(world.ports.unit.__self__).__name__:  # type: ignore[attr-defined]
        Random(name).shuffle(wrong)
        wrong = list(islice(wrong, 25))
    for each in wrong:
        whole = {field.name: getattr(each, field.name) for field in fields(command)}
        try:
            await use_case(world.ports, world.me, each)
        except Refusal:
            continue
        except Exception as e:
            raise AssertionError(f"{whole!r:.500}") from e
        await seen(fleet, boards)
