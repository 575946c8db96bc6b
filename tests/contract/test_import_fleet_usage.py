"""
Importing the tokens that a Fleet installation recorded: the rows of its table, and the records of its file.
"""

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve

from mission_adapters.data_import.fleet_import import import_fleet
from mission_core.accounts.model import SystemPrincipal
from mission_core.agents.organization_creation import ensure_organization
from mission_core.ports import Ports
from mission_core.usage.amounts import PriceBasis
from mission_core.usage.model import UsageEntry
from mission_core.usage.prices import ModelPrice, PriceList
from mission_core.usage.queries import UsageTotals, UsageWindow, sum_of
from mission_core.values import PageRequest, moment

pytestmark = pytest.mark.one_store

AT = 1_750_000_000
TABLES = """
CREATE TABLE workspaces (id INTEGER PRIMARY KEY, slug TEXT, name TEXT);
CREATE TABLE projects (
  id INTEGER PRIMARY KEY, workspace_id INTEGER, name TEXT, slug TEXT, ticket_prefix TEXT, created_at INTEGER
);
CREATE TABLE agents (
  id INTEGER PRIMARY KEY, name TEXT, role TEXT, status TEXT, created_at INTEGER, workspace_id INTEGER
);
CREATE TABLE tasks (
  id INTEGER PRIMARY KEY, title TEXT, status TEXT, created_by TEXT, created_at INTEGER, workspace_id INTEGER,
  project_id INTEGER
);
CREATE TABLE token_usage (
  id INTEGER PRIMARY KEY, model TEXT, session_id TEXT, input_tokens INTEGER DEFAULT 0, output_tokens INTEGER DEFAULT 0,
  created_at INTEGER, workspace_id INTEGER, task_id INTEGER, cost_usd REAL, agent_name TEXT
);
"""
SONNET = "claude-sonnet-4-5"


def record(**told: Any) -> dict[str, Any]:
    """
    A record of the file.
    """
    usual = {
        "id": uuid4().hex, "model": SONNET, "sessionId": "ada:1", "agentName": "ada", "timestamp": AT * 1000 + 250,
        "inputTokens": 1000, "outputTokens": 100, "totalTokens": 1100, "cost": 0.0045, "operation": "review",
        "taskId": None, "workspaceId": 7,
    }  # fmt: skip
    return usual | told


class FleetFiles:
    """
    The database of a Fleet installation, and its file of tokens.
    """

    def __init__(self, folder: Path) -> None:
        self.slug = f"usage-{uuid4().hex[:8]}"
        self.database, self.tokens = folder / "mission-control.db", folder / "mission-control-tokens.json"
        self.put("workspaces", id=7, slug=self.slug, name="Seven", tables=TABLES)
        own = {"workspace_id": 7, "created_at": AT}
        self.put("projects", id=3, name="Old", slug="old", ticket_prefix="OLD", **own)
        self.put("agents", id=1, name="ada", role="coder", status="idle", **own)
        self.put("tasks", id=11, title="Ship it", status="inbox", created_by="boss", project_id=3, **own)

    def put(self, table: str, *, tables: str = "", **fields: Any) -> None:
        names, marks = ", ".join(fields), ", ".join("?" for _ in fields)
        with closing(sqlite3.connect(self.database)) as database, database:
            database.executescript(tables)
            database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(fields.values()))

    def used(self, **fields: Any) -> None:
        """
        A row of the table.
        """
        usual = {
            "model": SONNET, "session_id": "ada:1", "input_tokens": 1000, "output_tokens": 100, "created_at": AT,
            "workspace_id": 7,
        }  # fmt: skip
        self.put("token_usage", **usual | fields)

    def told(self, *records: Any) -> None:
        self.tokens.write_text(json.dumps(records))


@pytest.fixture
def source(tmp_path: Path) -> FleetFiles:
    return FleetFiles(tmp_path)


async def everybody(ports: Ports, source: FleetFiles) -> SystemPrincipal:
    return SystemPrincipal(organization=(await ensure_organization(ports, slug=source.slug)).id)


async def entries_of(ports: Ports, source: FleetFiles) -> list[UsageEntry]:
    """
    The entries of the ledger, oldest first.
    """
    page = PageRequest(limit=1000)
    found = await ports.reads.usage.entries(await everybody(ports, source), UsageWindow(), page)
    return found.rows[::-1]


async def totals_of(ports: Ports, source: FleetFiles) -> UsageTotals:
    return sum_of(await ports.reads.usage.sums(await everybody(ports, source), UsageWindow(), ("model",)))


@pytest.mark.every_store
async def test_a_row_becomes_an_entry_of_its_agent_task_and_time(ports: Ports, source: FleetFiles) -> None:
    source.used(task_id=11, cost_usd=0.0045, agent_name="ADA")
    told = (await import_fleet(ports, source.database)).plain()
    [entry] = await entries_of(ports, source)
    me = await everybody(ports, source)
    async with ports.unit(me) as unit:
        task, ada = await unit.tasks.get(11), await unit.agents.get("ada")

    assert 1 == told["taken"]["token_usage"]
    assert (ada.id, "ada", task.id, 11, task.board) == (
        entry.agent, entry.agent_name, entry.task, entry.task_number, entry.board,
    )  # fmt: skip
    assert (SONNET, "ada:1", 1000, 100, moment(AT * 1_000_000)) == (
        entry.model, entry.session, entry.input_tokens, entry.output_tokens, entry.at,
    )  # fmt: skip
    assert (4_500_000, 4_500_000, 4_500_000) == (entry.cost, entry.list_cost, entry.reported_cost)
    assert ("import", "fleet", PriceBasis.ESTIMATE) == (entry.price_source, entry.price_version, entry.basis)
    assert UsageTotals(requests=1, input_tokens=1000, output_tokens=100, list_cost=4_500_000, cost=4_500_000) == (
        await totals_of(ports, source)
    )


async def test_nothing_is_priced_anew(ports: Ports, source: FleetFiles) -> None:
    """
    A row of a heartbeat has no cost, and a model that the other system did not know has its default price.
    """
    dear = PriceList(prices=(ModelPrice(model="*", input=10**12, output=10**12),), version="1")
    source.used(session_id="ada:cli")
    source.used(model="my-finetune", cost_usd=0.0045, created_at=AT + 1)
    told = (await import_fleet(evolve(ports, prices=dear), source.database)).plain()
    beat, default = await entries_of(ports, source)

    assert (None, 1100, None, "heartbeat") == (beat.cost, beat.unpriced_tokens, beat.price_source, beat.operation)
    assert (None, 1100, 4_500_000) == (default.cost, default.unpriced_tokens, default.reported_cost)
    assert ["does not know" in each["why"] for each in told["changed"] if each["table"] == "token_usage"] == [True]


async def test_a_record_that_is_a_row_too_is_counted_once(ports: Ports, source: FleetFiles) -> None:
    """
    What only the record tells is kept, and a second request of the same second is counted, too.
    """
    source.used(cost_usd=0.0045)
    source.told(record(duration=1234), record(operation="again"), record(timestamp=AT * 1000 + 2000, workspaceId=7))
    told = (await import_fleet(ports, source.database)).plain()
    found = await entries_of(ports, source)

    assert {"token_usage": 1, "tokens": 2} == {name: told["taken"][name] for name in ("token_usage", "tokens")}
    assert ["again", "review", "review"] == sorted(each.operation for each in found)
    assert [1234] == [each.duration_ms for each in found if each.duration_ms]
    assert 3 == (await totals_of(ports, source)).requests


@pytest.mark.every_store
async def test_an_import_can_be_repeated(ports: Ports, source: FleetFiles) -> None:
    """
    Also when the file has got newer records, and lost some to its limit.
    """
    source.used(task_id=11)
    source.told(record(timestamp=AT * 1000 + 5000), record(timestamp=AT * 1000 + 9000))
    await import_fleet(ports, source.database)
    before = await entries_of(ports, source)
    source.told(*json.loads(source.tokens.read_text()))
    again = (await import_fleet(ports, source.database)).plain()
    source.told(record(timestamp=AT * 1000 + 20_000), json.loads(source.tokens.read_text())[0])
    more = (await import_fleet(ports, source.database)).plain()

    assert {"token_usage": 1, "tokens": 2} == {name: again["there"][name] for name in ("token_usage", "tokens")}
    assert 1 == more["taken"]["tokens"]
    assert before == (await entries_of(ports, source))[:3]
    assert 4 == (await totals_of(ports, source)).requests


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"model": ""}, "model"), ({"model": None}, "model"), ({"input_tokens": -1}, "input_tokens"),
        ({"input_tokens": "many"}, "input_tokens"), ({"output_tokens": 1.5}, "output_tokens"),
        ({"output_tokens": 10**11}, "output_tokens"), ({"created_at": "noon"}, "time"), ({"created_at": None}, "time"),
        ({"created_at": 10**10}, "future"), ({"workspace_id": 8}, "workspace"),
    ],
)  # fmt: skip
async def test_a_row_that_is_nonsense_is_told(
    ports: Ports, source: FleetFiles, fields: dict[str, Any], why: str
) -> None:
    source.used()
    source.used(**fields)
    told = await import_fleet(ports, source.database)

    assert [["2"]] == [each["examples"] for each in told.plain()["skipped"] if each["table"] == "token_usage"]
    assert why in next(each["why"] for each in told.plain()["skipped"] if each["table"] == "token_usage")
    assert 1 == told.failures
    assert 1 == (await totals_of(ports, source)).requests


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (17, "not a JSON object"), (record(id="x", inputTokens=-5), "input_tokens"),
        (record(id="x", timestamp="soon"), "time"), (record(id="x", workspaceId=99), "workspace"),
        (record(id="x", model="m" * 300), "model"), (record(id="x", timestamp=float("nan")), "time"),
        (record(id="x", timestamp=10**400), "time"), (record(id="x", timestamp=None), "time"),
        (record(id={"a": 1}, sessionId=[1], model="\ud800"), "model"),
    ],
)  # fmt: skip
async def test_a_record_that_is_nonsense_is_told(ports: Ports, source: FleetFiles, wrong: Any, why: str) -> None:
    source.told(record(), wrong)
    told = await import_fleet(ports, source.database)
    [skipped] = [each for each in told.plain()["skipped"] if each["table"] == "tokens"]

    assert (1, why) == (told.failures, why if why in skipped["why"] else skipped["why"])
    assert 1 == (await totals_of(ports, source)).requests


async def test_an_optional_value_that_is_nonsense_is_left_out(ports: Ports, source: FleetFiles) -> None:
    source.used(cost_usd="dear")
    source.used(cost_usd=-1, created_at=AT + 1)
    source.used(task_id=99, created_at=AT + 2)
    told = (await import_fleet(ports, source.database)).plain()
    found = await entries_of(ports, source)

    assert [(None, None)] * 3 == [(each.cost, each.task) for each in found]
    assert {("token_usage", id) for id in "123"} <= {
        (each["table"], id) for each in told["changed"] for id in each["examples"]
    }


async def test_the_very_same_record_twice_is_one(ports: Ports, source: FleetFiles) -> None:
    same = record()
    source.told(same, same)
    told = await import_fleet(ports, source.database)

    assert (1, 0) == (told.taken["tokens"], told.failures)
    assert ["the file has the very same record twice"] == [
        each["why"] for each in told.plain()["skipped"] if each["table"] == "tokens"
    ]


@pytest.mark.parametrize("text", ["{", "{}", "\x00"])
async def test_a_file_that_is_no_list_is_refused_by_name(ports: Ports, source: FleetFiles, text: str) -> None:
    source.tokens.write_text(text)

    with pytest.raises(ValueError, match=r"mission-control-tokens\.json"):
        await import_fleet(ports, source.database)


async def test_another_file_of_tokens_can_be_named(ports: Ports, source: FleetFiles, tmp_path: Path) -> None:
    source.told(record())
    other = source.tokens.rename(tmp_path / "tokens.json")
    without = (await import_fleet(ports, source.database)).plain()
    told = (await import_fleet(ports, source.database, tokens=other)).plain()

    assert "tokens" not in without["taken"]
    assert 1 == told["taken"]["tokens"]
    assert Decimal("0.0045") == Decimal((await entries_of(ports, source))[0].cost or 0) / 10**9
