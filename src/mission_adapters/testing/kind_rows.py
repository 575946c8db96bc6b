"""
Builds, writes and reads rows of any kind in a `World`.
"""

from __future__ import annotations

from enum import Enum
from typing import Any
from uuid import UUID

from attrs import evolve, fields_dict

from mission_adapters.testing.world import World
from mission_core.tasks.comments import COMMENTS, Comment


async def own(world: World, kind: Any, row: Any) -> Any:
    """
    A copy of the row that belongs to the world's organization, with a new id, a new number and unused values in its
    unique fields.
    """
    owner = kind.owner(world.me.organization)
    changed: dict[str, Any] = {"id": world.ports.ids.new(), "organization": owner}
    if "number" in fields_dict(kind.entity):
        (changed["number"],) = await world.ports.numbers.next((owner, kind.name.removesuffix("s")))
    for name in {name for fields in kind.unique for name in fields}:
        if isinstance(getattr(row, name), str) and not isinstance(getattr(row, name), Enum):
            changed[name] = f"{getattr(row, name)} {changed['id']}"
        if isinstance(getattr(row, name), bytes):
            changed[name] = getattr(row, name)[:16] + changed["id"].bytes
        if isinstance(getattr(row, name), UUID) and name != "organization":
            changed[name] = world.ports.ids.new()
    return evolve(row, **changed)


async def written(world: World, kind: Any, *rows: Any, by: str = "add") -> list[Any]:
    """
    Write the rows in one unit of work.

    Args:
        by: The method of the repository, such as `add` or `save`.

    Returns:
        The rows as the repository returned them.
    """
    async with world.ports.unit(world.me) as unit:
        if by != "add":
            for row in rows:
                await unit.repository(kind).get(row.id)
        answers = [getattr(unit.repository(kind), by)(row) for row in rows]
        await unit.commit()
    return answers


async def a_comment(world: World, **fields: Any) -> Comment:
    """
    A stored comment on a task; a new task unless `task` is given.
    """
    plain: dict[str, Any] = {
        "id": world.ports.ids.new(), "number": (await world.ports.numbers.next((world.me.organization, "comment")))[0],
        "organization": world.me.organization, "author": "ada", "author_kind": "agent", "content": "Hello",
        "created_at": world.clock.now(),
    }  # fmt: skip
    if "task" not in fields:
        plain["task"] = (await world.task()).id
    comment = Comment(**(plain | fields))
    await written(world, COMMENTS, comment)
    return comment
