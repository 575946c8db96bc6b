"""
A client of the Fleet API that calls the application in-process.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from mission_core.accounts.model import SystemPrincipal
from mission_core.agents.use_cases import secret_digest
from mission_core.ports import Ports
from mission_http.app import MissionApp, create_app
from mission_http.fleet.dialect import fleet_dialect
from mission_http.platform.error_codes import STATUSES_WITH_CODE
from mission_http.settings import Settings
from mission_http.wiring import ServerSecretCredentials
from tests.contract.boards_driver import run_lifespan
from tests.contract.openapi_check import checked_against_openapi
from tests.unit.http.platform.sample_app import Answer, ask

KEY = "the-global-key-of-the-fleet"


@frozen
class FleetDriver:
    """
    The Fleet API over one organization, its global key, and a project without gates.
    """

    app: MissionApp
    ports: Ports
    project: int

    async def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = KEY, raw: bytes | None = None,
        peer: str = "127.0.0.1",
        **headers: str,
    ) -> Answer:  # fmt: skip
        """
        Call an operation, with the global key unless another is given.
        """
        sent = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        answer = await ask(self.app, method, f"/api{path}", sent, key=key, peer=peer, **headers)
        return checked_against_openapi(self.app, method, f"/api{path}", answer)

    async def got(self, method: str, path: str, body: Any = None, status: int = 200, **more: Any) -> Any:
        """
        What a call that must succeed answers.
        """
        answer = await self.call(method, path, body, **more)
        assert status == answer.status, answer.body
        return answer.json

    async def task(self, title: str = "Ship it", **fields: Any) -> Any:
        """
        A new task in the project without gates.
        """
        made = await self.got("POST", "/tasks", {"title": title, "project_id": self.project, **fields}, 201)
        return made["task"]

    async def agent(self, name: str = "ada", **fields: Any) -> tuple[Any, str]:
        """
        A new agent and its token.
        """
        made = await self.got("POST", "/agents", {"name": name, "role": "coder", **fields}, 201)
        return made["agent"], made["agent_token"]

    async def key(self, agent: str, *scopes: str) -> str:
        """
        Another key of an agent, with these scopes.
        """
        made = await self.got("POST", f"/agents/{agent}/keys", {"scopes": list(scopes)}, 201)
        key: str = made["api_key"]
        return key

    async def claim(self, task: int, agent: str = "ada", **fields: Any) -> Any:
        """
        The lease of a task that is taken for an agent.
        """
        claimed = await self.got("POST", f"/tasks/{task}/claim", {"agent": agent, **fields})
        return claimed["lease"]


@asynccontextmanager
async def fleet_over(ports: Ports, me: SystemPrincipal, project: int, **settings: Any) -> AsyncIterator[FleetDriver]:
    """
    The application with the Fleet dialect, up for as long as the context lasts.
    """
    me = evolve(me, name="api", display="API Access")
    ports = evolve(ports, credentials=ServerSecretCredentials(ports.credentials, {secret_digest(KEY): me}))

    @asynccontextmanager
    async def wire() -> AsyncIterator[Ports]:
        yield ports

    setting = fleet_settings(**settings)
    app = create_app(wire, (fleet_dialect(setting),), network=setting.network)
    async with run_lifespan(app):
        yield FleetDriver(app, ports, project)


def fleet_settings(**more: Any) -> Settings:
    given = {"data_dir": Path("."), "database_url": "", "api_key": KEY, "auth_secret": "", "local_auth_token": ""}
    return Settings(**given | more)


def refusal(answer: Answer) -> tuple[int, str]:
    """
    The status and the text of an error that has nothing to add but a code where its status needs one.
    """
    assert {"error"} == answer.json.keys() - {"code"}, answer.json
    assert answer.status not in STATUSES_WITH_CODE or answer.json["code"], answer.json
    return answer.status, answer.json["error"]


def wrong_fields(answer: Answer) -> list[str]:
    """
    The places of the wrong fields of a 400.
    """
    assert 400 == answer.status, answer.body
    assert {"error", "details"} == answer.json.keys() - {"hint"}, answer.json
    assert "Validation failed" == answer.json["error"]
    return [detail.partition(": ")[0] for detail in answer.json["details"]]


def without(payload: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """
    The payload but for some of its fields.
    """
    return {name: value for name, value in payload.items() if name not in names}
