"""
Conversion of the tokens that a Fleet installation recorded into entries of the token ledger.

That system keeps most of them twice: as a row of the table `token_usage`, and as a record of a JSON file. The file has
only the newest records, but tells more of each.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import field

from mission_adapters.data_import.entity_import import find_entity
from mission_adapters.data_import.fleet_entities import SOURCE, FleetEntityFactory
from mission_adapters.data_import.fleet_file import (
    FIRST_WORKSPACE,
    Row,
    optional_integer_of,
    text_of,
)
from mission_adapters.data_import.import_report import ImportReport
from mission_adapters.data_import.row_repairs import MAX_MILLISECONDS, MAX_SECONDS, InvalidRow, utc_datetime_from
from mission_core.entity_changes import evolve
from mission_core.ids import AgentId, BoardId, TaskId, TaskNumber, UsageId
from mission_core.lazy_attrs import define
from mission_core.usage.amounts import MAX_COST, NANOS_PER_DOLLAR, PriceBasis, provider_in
from mission_core.usage.carry_overs import IMPORTER
from mission_core.usage.model import LONGEST_NAME, LONGEST_OPERATION, MAX_CLOCK_SKEW, UsageEntry
from mission_core.usage.prices import TokenCounts

if TYPE_CHECKING:
    from mission_core.ports import UnitOfWork

TOKENS_FILE: Final = "mission-control-tokens.json"
"""The name of the file of records, beside the database."""
USAGE_TABLE: Final = "token_usage"
RECORDS: Final = "tokens"
"""The name of the file's records in the report."""
IMPORTED: Final = "import"
"""The price source of the costs that were computed elsewhere."""
DEFAULT_INPUT, DEFAULT_OUTPUT = 3, 15
"""The dollars per million tokens at which the other system charges models that it does not know."""
PRICED_LIKE_DEFAULT: Final = "claude-sonnet-4"
"""A part of the names of those models of its price table that cost as much."""
OPERATIONS: Final = {USAGE_TABLE: "heartbeat", RECORDS: "chat_completion"}
"""The operations of rows and records that tell none."""
UNKNOWN_AGENT: Final = "unknown"
COLUMNS_OF_RECORD: Final = {
    "model": "model", "session_id": "sessionId", "input_tokens": "inputTokens", "output_tokens": "outputTokens",
    "used_at": "timestamp", "task_id": "taskId", "cost_usd": "cost", "agent_name": "agentName",
    "operation": "operation", "duration": "duration", "workspace_id": "workspaceId",
}  # fmt: skip
"""The columns of the table, and the fields of a record that mean the same. A time is no `created_at`, which would be
replaced if it is not valid."""
IDENTITY: Final = ("session_id", "model", "input_tokens", "output_tokens", "task_id")
"""What a row and a record of the same request share, besides the second."""


def read_token_records(path: Path, report: ImportReport) -> Iterator[Row]:
    """
    The records of the file as rows of the table. Each has an id that is derived from its content. What is no record is
    reported.

    Raises:
        ValueError: If the file is no JSON list.
    """
    try:
        records = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError, RecursionError) as e:
        raise ValueError(f"{path} cannot be read as a JSON file of token records") from e
    if not isinstance(records, list):
        raise ValueError(f"{path} is not a JSON list of token records")
    known = set[str]()
    for place, record in enumerate(records, 1):
        if not isinstance(record, dict):
            report.skip(RECORDS, place, "it is not a JSON object")
            continue
        key, told_id = sha256(json.dumps(record, sort_keys=True).encode()).hexdigest(), record.get("id", place)
        if key in known:
            report.skip(RECORDS, told_id, "the file has the very same record twice", meant=True)
            continue
        known.add(key)
        row = {column: record.get(name) for column, name in COLUMNS_OF_RECORD.items()}
        at = row["used_at"]
        if isinstance(at, int | float):
            row["used_at"] = float(at) / 1000 if abs(at) < MAX_MILLISECONDS else MAX_MILLISECONDS
        yield {"id": key, "told_id": told_id, **row}


@define
class RecordMatcher:
    """
    Finds the records of the file that are also rows of the table: those of the same session, model, second, counts and
    task. Each record is matched with one row, so that each request is counted once.
    """

    unmatched: dict[tuple[Any, ...], list[Row]]

    @classmethod
    def of(cls, records: Iterable[Row]) -> RecordMatcher:
        unmatched = defaultdict[tuple[Any, ...], list[Row]](list)
        for record in records:
            unmatched[_identity_of(record)].append(record)
        return cls(dict(unmatched))

    def merged(self, rows: Iterable[Row]) -> Iterator[tuple[object, Row]]:
        """
        The rows of the table by their ids. One that the file has, too, gets the operation and duration of its record.
        """
        for row in rows:
            used = {"used_at" if name == "created_at" else name: value for name, value in row.items()}
            same = self.unmatched.get(_identity_of(used))
            told = same.pop(0) if same else {}
            yield row["id"], {**used, **{name: told[name] for name in ("operation", "duration") if name in told}}

    def remaining(self) -> Iterator[tuple[object, Row]]:
        """
        The records that no row was matched with, by the ids that the file tells.
        """
        for records in self.unmatched.values():
            for record in records:
                yield record["told_id"], record


def _identity_of(row: Row) -> tuple[Any, ...]:
    at = row.get("used_at")
    second = int(at) if isinstance(at, int | float) and abs(at) < MAX_SECONDS else str(at)
    return (second, *(str(row.get(name)) for name in IDENTITY))


def workspace_of(record: Row) -> Any:
    """
    The workspace of a record. Older records have none, and belong to the first.
    """
    return FIRST_WORKSPACE if record["workspace_id"] is None else record["workspace_id"]


@define
class UsageEntryFactory:
    """
    Makes entries of the ledger from the rows and records of one workspace.

    Args:
        agents: The id and name of each agent that was looked up, by the name that was told; None if there is none.
        tasks: The number and board of each task that was looked up; None if there is none.
    """

    factory: FleetEntityFactory
    agents: dict[str, tuple[AgentId, str] | None] = field(factory=dict)
    tasks: dict[TaskId, tuple[TaskNumber, BoardId] | None] = field(factory=dict)

    def of_row(self, row: Row) -> UsageEntry:
        """
        The entry made from a row of the table.
        """
        return self._entry(USAGE_TABLE, row)

    def of_record(self, row: Row) -> UsageEntry:
        """
        The entry made from a record of the file.
        """
        return self._entry(RECORDS, row)

    async def with_agent_and_task(self, entry: UsageEntry) -> tuple[UsageEntry, str | None]:
        """
        The entry with the agent of its name, and with the number and board of its task, as they are here.
        """
        agent, name = await self._agent(entry.agent_name) or (None, entry.agent_name)
        entry = evolve(entry, agent=agent, agent_name=name)
        if entry.task is None:
            return entry, None
        found = await self._task(entry.task)
        if found is None:
            return evolve(entry, task=None), "its task was not imported; it is for no task"
        return evolve(entry, task_number=found[0], board=found[1]), None

    async def _agent(self, name: str) -> tuple[AgentId, str] | None:
        if name and name not in self.agents:
            async with self._unit() as unit:
                agent = await unit.agents.find(name)
            self.agents[name] = None if agent is None else (agent.id, agent.name)
        return self.agents.get(name)

    async def _task(self, id: TaskId) -> tuple[TaskNumber, BoardId] | None:
        if id not in self.tasks:
            async with self._unit() as unit:
                task = await find_entity(unit.tasks, id)
            self.tasks[id] = None if task is None else (task.number, task.board)
        return self.tasks[id]

    def _unit(self) -> UnitOfWork:
        importer = self.factory.importer
        return importer.ports.unit(importer.principal)

    def _entry(self, table: str, row: Row) -> UsageEntry:
        importer = self.factory.importer
        at, now, key = _time_of(row), importer.ports.clock.now(), row["id"]
        if at > now + MAX_CLOCK_SKEW:
            raise InvalidRow("its time is in the future")
        counts = TokenCounts(input_tokens=_count(row, "input_tokens"), output_tokens=_count(row, "output_tokens"))
        model, session = str(row["model"] or "").strip(), text_of(row, "session_id", 10_000).strip()
        name = text_of(row, "agent_name", LONGEST_NAME).strip() or session.partition(":")[0].strip()[:LONGEST_NAME]
        cost = self._cost(table, row, model, counts)
        task = optional_integer_of(row, "task_id")
        return UsageEntry(
            id=UsageId(self.factory.id(table, key)), organization=importer.organization,
            reporter=IMPORTER, report_id=f"{SOURCE}:{table}:{key}", at=at, recorded_at=now,
            task=None if task is None else TaskId(self.factory.id("tasks", task)), session=session,
            agent_name="" if name == UNKNOWN_AGENT else name,
            operation=text_of(row, "operation", LONGEST_OPERATION) or OPERATIONS[table],
            duration_ms=optional_integer_of(row, "duration"), provider=provider_in(model), model=model,
            input_tokens=counts.input_tokens, output_tokens=counts.output_tokens, list_cost=cost, cost=cost,
            reported_cost=_nano_dollars(row), price_source=None if cost is None else IMPORTED,
            price_version=None if cost is None else SOURCE,
            basis=PriceBasis.UNKNOWN if cost is None else PriceBasis.ESTIMATE,
            unpriced_tokens=counts.total if cost is None else 0, unpriced_requests=int(cost is None),
        )  # fmt: skip

    def _cost(self, table: str, row: Row, model: str, counts: TokenCounts) -> int | None:
        """
        The cost in nano-dollars as the other system computed it; None if it computed none, or knew no price.
        """
        cost = _nano_dollars(row)
        default = 1000 * (counts.input_tokens * DEFAULT_INPUT + counts.output_tokens * DEFAULT_OUTPUT)
        if cost and cost == default and PRICED_LIKE_DEFAULT not in model.lower():
            why = "its cost is what the other system charges for a model that it does not know; its price is unknown"
            self.factory.importer.report.change(table, row.get("told_id", row["id"]), why)
            return None
        return cost


def _time_of(row: Row) -> datetime:
    at = row["used_at"]
    if not isinstance(at, int | float) or isinstance(at, bool):
        raise InvalidRow("its time is not a number")
    return utc_datetime_from(at)


def _count(row: Row, name: str) -> int:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRow(f"{name} is not an integer")
    return value


def _nano_dollars(row: Row) -> int | None:
    """
    The cost of a row; None if there is none.

    Raises:
        InvalidRow: If it is no amount of money.
    """
    told = row.get("cost_usd")
    if told is None:
        return None
    try:
        amount = Decimal(str(told)) * NANOS_PER_DOLLAR
        cost = int(amount.to_integral_value(ROUND_HALF_UP))
    except (InvalidOperation, OverflowError, ValueError):
        raise InvalidRow("cost_usd is not an amount of money") from None
    if not 0 <= cost <= MAX_COST:
        raise InvalidRow(f"cost_usd is not from 0 to {MAX_COST // NANOS_PER_DOLLAR}")
    return cost
