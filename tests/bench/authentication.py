"""
What it costs to know who calls: a request with each kind of credential beside the same request by somebody who is known
without asking, with few keys and with many.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_bytes
from typing import Any
from uuid import uuid4

from attrs import define, evolve
from sqlalchemy import insert

from mission_adapters.sql.statements import Statement
from mission_adapters.sql.store import SqlStore
from mission_adapters.sql.tables import api_keys
from mission_core.accounts.model import ApiKey, Principal, SystemPrincipal
from mission_core.accounts.rows import API_KEY_ROWS
from mission_core.agents.organization_creation import ensure_organization
from mission_core.agents.use_cases import CreateAgent, create_agent
from mission_core.ids import ApiKeyId, ApiKeyNumber
from mission_core.ports import Ports
from mission_core.tasks.use_cases import CreateTask, create_task
from mission_http.app import MissionApp
from mission_http.main import application
from mission_http.settings import Settings, settings_from
from mission_http.wiring import ports_from_settings
from tests.contract.boards_driver import run_lifespan
from tests.unit.http.platform.sample_app import ask

FEW, MANY = 20, 200_000
REQUESTS, AT_ONCE = 4000, 16
INSERT = Statement(insert(api_keys))
Costs = dict[str, float]


@define
class Credential:
    """
    Credentials that know one principal, whatever is shown.
    """

    principal: Principal

    async def principal_of(self, digest: bytes, *, at: Any) -> Principal:
        return self.principal


def costs(database_url: str, folder: Path) -> Costs:
    """
    CPU milliseconds of reading a task, by who reads it.
    """
    unlimited = {"MC_DISABLE_RATE_LIMIT": "1"}
    return asyncio.run(_costs(settings_from(unlimited, data_dir=folder, database_url=database_url)))


async def _costs(settings: Settings) -> Costs:
    found: Costs = {}
    async with ports_from_settings(settings) as ports:
        organization = await ensure_organization(ports)
        me = SystemPrincipal(organization=organization.id)
        made = [await create_agent(ports, me, CreateAgent(name=f"key-{n}", role="coder")) for n in range(FEW)]
        task = await create_task(ports, me, CreateTask(title="Read me", assignee="key-0"))
        path = f"/api/tasks/{task.number}"
        async with _served(settings, evolve(ports, credentials=Credential(me))) as app:
            found["nobody is looked up"] = await _cpu_ms(app, path, settings.api_key)
        async with _served(settings, ports) as app:
            for name, key in (
                ("the server's key", settings.api_key),
                (f"an agent's key among {FEW}", str(made[0].token)),
            ):
                found[name] = await _cpu_ms(app, path, key)
            await _add_keys(settings, made[0].agent)
            found[f"an agent's key among {MANY:,}"] = await _cpu_ms(app, path, str(made[0].token))
    return found


@asynccontextmanager
async def _served(settings: Settings, ports: Ports) -> AsyncIterator[MissionApp]:
    @asynccontextmanager
    async def wire() -> AsyncIterator[Ports]:
        yield ports

    app = application(settings, wire)
    async with run_lifespan(app):
        yield app


async def _cpu_ms(app: MissionApp, path: str, key: str) -> float:
    """
    The CPU of this process for each request, with several under way at a time.
    """
    waiting = iter(range(REQUESTS))

    async def client(*, first: bool = False) -> None:
        for _ in waiting:
            answer = await ask(app, "GET", path, key=key)
            assert 200 == answer.status, answer.body
            if first:
                return

    await client(first=True)
    began = time.process_time()
    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return (time.process_time() - began) / REQUESTS * 1000


async def _add_keys(settings: Settings, agent: Any) -> None:
    """
    Many rows of keys whose secrets nobody has.
    """
    async with SqlStore.open(settings.database_url, migrated=False) as store:
        at, dialect = agent.created_at, store.session.dialect
        rows = [
            API_KEY_ROWS.row_from(
                ApiKey(
                    id=ApiKeyId(uuid4()), number=ApiKeyNumber(1000 + n), organization=agent.organization,
                    agent=agent.id, name="many", digest=token_bytes(32), prefix="mca_many", scopes=("operator",),
                    created_by=None, created_at=at, updated_at=at,
                )
            )
            for n in range(MANY)
        ]  # fmt: skip

        def steps() -> Any:
            yield INSERT.many(dialect, rows)

        await store.session.write(steps)
