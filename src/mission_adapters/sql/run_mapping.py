"""
The mapping of runs to rows of the runs table. The lease's end, last heartbeat and progress are in the same row and can
be updated separately.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from mission_adapters.sql.conversions import (
    ColumnValues,
    duration_of_micros,
    members_by_value,
    micros_of_duration,
    optional_bytes,
    optional_micros,
    optional_moment,
    optional_uuid,
    trusted_constructor,
    uuid_of_bytes,
)
from mission_adapters.sql.task_mapping import EMPTY_LIST, RESULTS, make_assignee
from mission_core.events.model import Actor
from mission_core.tasks.runs import (
    FAILURE_BY_CODE,
    Failure,
    ImplicitHolder,
    Order,
    OrderKind,
    Outcome,
    Run,
    RunState,
    SecretHolder,
)
from mission_core.values import JsonText, canonical, micros, moment

STATES: Final = members_by_value(RunState)
ORDER_KINDS: Final = members_by_value(OrderKind)
make_run = trusted_constructor(Run)
make_implicit_holder = trusted_constructor(ImplicitHolder)
make_order = trusted_constructor(Order)
make_outcome = trusted_constructor(Outcome)
make_failure = trusted_constructor(Failure)


def run_row(run: Run) -> ColumnValues:
    """
    Return the column values of a run.
    """
    holder = run.holder if isinstance(run.holder, ImplicitHolder) else None
    outcome, failure = run.outcome, run.failure
    return {
        "id": run.id.bytes,
        "organization": run.organization.bytes,
        "board": run.board.bytes,
        "task": run.task.bytes,
        "fence": run.fence,
        "attempt": run.attempt,
        "by": run.by.name,
        "by_agent": optional_bytes(run.by.agent),
        "actor_kind": run.actor.kind,
        "actor_id": optional_bytes(run.actor.id),
        "actor_name": run.actor.name,
        "holder_principal": holder.principal if holder else None,
        "holder_name": holder.name if holder else None,
        "holder_instance": holder.instance if holder else None,
        "from_queue": int(run.from_queue),
        "state": run.state.value,
        "term": micros_of_duration(run.term),
        "delay": micros_of_duration(run.delay),
        "claimed_at": micros(run.claimed_at),
        "expires_at": micros(run.expires_at),
        "heartbeat_at": micros(run.heartbeat_at),
        "progress": run.progress,
        "orders": orders_json(run.orders),
        "paused": int(run.paused),
        "waiting_for": run.waiting_for,
        "resumes_at": optional_micros(run.resumes_at),
        "ended_at": optional_micros(run.ended_at),
        "result": outcome.result.value if outcome else None,
        "resolution": outcome.resolution if outcome else None,
        "output": outcome.output if outcome else None,
        "failure": failure.reason.code if failure else None,
        "message": failure.message if failure else None,
        "note": run.note,
        "version": run.version,
    }


def run_of_row(row: Mapping[str, Any]) -> Run:
    """
    Return the run that a row holds.
    """
    pair = row["holder_principal"] is not None
    return make_run(
        id=uuid_of_bytes(row["id"]),
        organization=uuid_of_bytes(row["organization"]),
        board=uuid_of_bytes(row["board"]),
        task=uuid_of_bytes(row["task"]),
        fence=row["fence"],
        attempt=row["attempt"],
        by=make_assignee(name=row["by"], agent=optional_uuid(row["by_agent"])),
        actor=Actor(row["actor_kind"], optional_uuid(row["actor_id"]), row["actor_name"]),
        holder=_implicit_holder_of_row(row) if pair else SecretHolder(),
        from_queue=bool(row["from_queue"]),
        state=STATES[row["state"]],
        term=duration_of_micros(row["term"]),
        delay=duration_of_micros(row["delay"]),
        claimed_at=moment(row["claimed_at"]),
        expires_at=moment(row["expires_at"]),
        heartbeat_at=moment(row["heartbeat_at"]),
        progress=row["progress"],
        orders=orders_of_json(row["orders"]),
        paused=bool(row["paused"]),
        waiting_for=row["waiting_for"],
        resumes_at=optional_moment(row["resumes_at"]),
        ended_at=optional_moment(row["ended_at"]),
        outcome=_outcome_of_row(row),
        failure=_failure_of_row(row),
        note=row["note"],
        version=row["version"],
    )


def _implicit_holder_of_row(row: Mapping[str, Any]) -> ImplicitHolder:
    return make_implicit_holder(
        principal=row["holder_principal"], name=row["holder_name"], instance=row["holder_instance"]
    )


def _outcome_of_row(row: Mapping[str, Any]) -> Outcome | None:
    if row["result"] is None:
        return None
    return make_outcome(result=RESULTS[row["result"]], resolution=row["resolution"], output=row["output"])


def _failure_of_row(row: Mapping[str, Any]) -> Failure | None:
    if row["failure"] is None:
        return None
    return make_failure(reason=FAILURE_BY_CODE[row["failure"]], message=row["message"])


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
        make_order(
            id=UUID(hex=o["id"]), kind=ORDER_KINDS[o["kind"]], message=o["message"], by=o["by"], at=moment(o["at"])
        )
        for o in json.loads(text)
    )
