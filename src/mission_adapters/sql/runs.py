"""
The mapping of runs to rows of the runs table. The lease's end, last heartbeat and progress are in the same row and can
be updated separately.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from mission_adapters.sql.mapping import (
    Row,
    by_value,
    duration,
    id_from,
    maybe_bytes,
    maybe_id,
    maybe_micros,
    maybe_moment,
    micros_in,
    trusted,
)
from mission_adapters.sql.tasks import EMPTY_LIST, RESULT, make_assignee
from mission_core.events.model import Actor
from mission_core.tasks.runs import (
    FAILURE_BY_CODE,
    Failure,
    Order,
    OrderKind,
    Outcome,
    Pair,
    Run,
    RunState,
    Secret,
)
from mission_core.values import JsonText, canonical, micros, moment

STATE: Final = by_value(RunState)
ORDER_KIND: Final = by_value(OrderKind)
make_run = trusted(Run)
make_pair = trusted(Pair)
make_order = trusted(Order)
make_outcome = trusted(Outcome)
make_failure = trusted(Failure)


def row_from(run: Run) -> Row:
    """
    Return the column values of a run.
    """
    holder = run.holder if isinstance(run.holder, Pair) else None
    outcome, failure = run.outcome, run.failure
    return {
        "id": run.id.bytes,
        "organization": run.organization.bytes,
        "board": run.board.bytes,
        "task": run.task.bytes,
        "fence": run.fence,
        "attempt": run.attempt,
        "by": run.by.name,
        "by_agent": maybe_bytes(run.by.agent),
        "actor_kind": run.actor.kind,
        "actor_id": maybe_bytes(run.actor.id),
        "actor_name": run.actor.name,
        "holder_principal": holder.principal if holder else None,
        "holder_name": holder.name if holder else None,
        "holder_instance": holder.instance if holder else None,
        "from_queue": int(run.from_queue),
        "state": run.state.value,
        "term": micros_in(run.term),
        "delay": micros_in(run.delay),
        "claimed_at": micros(run.claimed_at),
        "expires_at": micros(run.expires_at),
        "heartbeat_at": micros(run.heartbeat_at),
        "progress": run.progress,
        "orders": orders_text(run.orders),
        "paused": int(run.paused),
        "waiting_for": run.waiting_for,
        "resumes_at": maybe_micros(run.resumes_at),
        "ended_at": maybe_micros(run.ended_at),
        "result": outcome.result.value if outcome else None,
        "resolution": outcome.resolution if outcome else None,
        "output": outcome.output if outcome else None,
        "failure": failure.reason.code if failure else None,
        "message": failure.message if failure else None,
        "note": run.note,
        "version": run.version,
    }


def run_from(row: Mapping[str, Any]) -> Run:
    """
    Return the run that a row holds.
    """
    pair = row["holder_principal"] is not None
    return make_run(
        id=id_from(row["id"]),
        organization=id_from(row["organization"]),
        board=id_from(row["board"]),
        task=id_from(row["task"]),
        fence=row["fence"],
        attempt=row["attempt"],
        by=make_assignee(name=row["by"], agent=maybe_id(row["by_agent"])),
        actor=Actor(row["actor_kind"], maybe_id(row["actor_id"]), row["actor_name"]),
        holder=_pair_from(row) if pair else Secret(),
        from_queue=bool(row["from_queue"]),
        state=STATE[row["state"]],
        term=duration(row["term"]),
        delay=duration(row["delay"]),
        claimed_at=moment(row["claimed_at"]),
        expires_at=moment(row["expires_at"]),
        heartbeat_at=moment(row["heartbeat_at"]),
        progress=row["progress"],
        orders=orders_from(row["orders"]),
        paused=bool(row["paused"]),
        waiting_for=row["waiting_for"],
        resumes_at=maybe_moment(row["resumes_at"]),
        ended_at=maybe_moment(row["ended_at"]),
        outcome=_outcome_from(row),
        failure=_failure_from(row),
        note=row["note"],
        version=row["version"],
    )


def _pair_from(row: Mapping[str, Any]) -> Pair:
    return make_pair(principal=row["holder_principal"], name=row["holder_name"], instance=row["holder_instance"])


def _outcome_from(row: Mapping[str, Any]) -> Outcome | None:
    if row["result"] is None:
        return None
    return make_outcome(result=RESULT[row["result"]], resolution=row["resolution"], output=row["output"])


def _failure_from(row: Mapping[str, Any]) -> Failure | None:
    if row["failure"] is None:
        return None
    return make_failure(reason=FAILURE_BY_CODE[row["failure"]], message=row["message"])


def orders_text(orders: tuple[Order, ...]) -> JsonText:
    """
    Return operator orders as JSON text.
    """
    if not orders:
        return EMPTY_LIST
    return canonical(
        [{"id": o.id.hex, "kind": o.kind.value, "message": o.message, "by": o.by, "at": micros(o.at)} for o in orders]
    )


def orders_from(text: str) -> tuple[Order, ...]:
    """
    Return the operator orders in a JSON text.
    """
    if text == EMPTY_LIST:
        return ()
    return tuple(
        make_order(
            id=UUID(hex=o["id"]), kind=ORDER_KIND[o["kind"]], message=o["message"], by=o["by"], at=moment(o["at"])
        )
        for o in json.loads(text)
    )
