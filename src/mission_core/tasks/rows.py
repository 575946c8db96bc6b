"""
The mapping of tasks and runs to rows. A task's row holds the assignee's name; the agent with that name is looked up
when the row is read.
"""

from __future__ import annotations

import json
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from mission_core.events.model import Actor
from mission_core.row_mapping import (
    EMPTY_LIST,
    ColumnCodec,
    NestedValue,
    row_mapping,
    trusted_constructor,
    uuid_of_bytes,
)
from mission_core.tasks.github_links import NO_GITHUB_LINKS, GitHubLinks
from mission_core.tasks.model import Task
from mission_core.tasks.queries import RunRow, TaskRow
from mission_core.tasks.runs import (
    FAILURE_BY_CODE,
    Assignee,
    Failure,
    ImplicitHolder,
    Order,
    OrderKind,
    Outcome,
    Run,
    SecretHolder,
)
from mission_core.values import JsonText, canonical, micros, moment

make_order = trusted_constructor(Order)


def join_ids(ids: tuple[UUID, ...]) -> bytes:
    """
    Concatenate ids, 16 bytes each.
    """
    return b"".join(each.bytes for each in ids)


def split_ids(ids: bytes) -> tuple[Any, ...]:
    """
    Return the ids in a concatenation of ids.
    """
    return tuple(uuid_of_bytes(ids[at : at + 16]) for at in range(0, len(ids), 16)) if ids else ()


def orders_json(orders: tuple[Order, ...]) -> JsonText:
    """
    Return operator orders as JSON text.
    """
    if not orders:
        return EMPTY_LIST
    return canonical(
        [{"id": o.id.hex, "kind": o.kind.value, "message": o.message, "by": o.by, "at": micros(o.at)} for o in orders]
    )


def orders_of_json(text: str) -> tuple[Order, ...]:
    """
    Return the operator orders in a JSON text.
    """
    if text == EMPTY_LIST:
        return ()
    return tuple(
        make_order(**each | {"id": UUID(hex=each["id"]), "kind": OrderKind(each["kind"]), "at": moment(each["at"])})
        for each in json.loads(text)
    )


IDS: Final = ColumnCodec(bytes, join_ids, split_ids)
IDS_OR_NULL: Final = ColumnCodec(bytes, join_ids, split_ids, null=())
TASK_ROWS: Final = row_mapping(
    Task,
    codecs={"depends_on": IDS, "tag_ids": IDS_OR_NULL, "authors": IDS_OR_NULL, "passed": IDS_OR_NULL},
    nested={
        "assignee": NestedValue(
            Assignee, columns={"name": "assignee", "agent": "assignee_agent", "key": "assignee_key"}, null=None
        ),
        "creator": NestedValue(Actor, prefix="creator_", columns={"name": "creator_actor"}),
        "tracking": NestedValue(GitHubLinks, prefix="github_", null=NO_GITHUB_LINKS),
    },
    derived={"priority": {"rank": "priority_rank"}, "completed_at": {"done_at": "done_at"}},
    looked_up=("assignee_agent",),
    separate=("late_results",),
)
RUN_ROWS: Final = row_mapping(
    Run,
    codecs={
        "orders": ColumnCodec(str, orders_json, orders_of_json),
        "failure": ColumnCodec(str, attrgetter("code"), FAILURE_BY_CODE.__getitem__),
    },
    nested={
        "by": NestedValue(Assignee, columns={"name": "by", "agent": "by_agent"}),
        "actor": NestedValue(Actor, prefix="actor_"),
        "holder": NestedValue(ImplicitHolder, prefix="holder_", null=SecretHolder()),
        "outcome": NestedValue(Outcome, null=None),
        "failure": NestedValue(Failure, columns={"reason": "failure"}, null=None),
    },
)
task_row: Final = TASK_ROWS.builder(TaskRow)
run_row: Final = RUN_ROWS.builder(RunRow)
