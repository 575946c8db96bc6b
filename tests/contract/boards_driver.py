"""
A client of the Boards API that calls the application in-process.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID

from attrs import evolve, frozen

from mission_core.accounts.members import MEMBERS, Member
from mission_core.accounts.model import MemberPrincipal, SystemPrincipal
from mission_core.accounts.profiles import ensure_local_user
from mission_core.accounts.users import USERS, IdentityProvider, User
from mission_core.agents.active_organization import ensure_active_organization
from mission_core.agents.use_cases import CreateAgent, create_agent, secret_digest
from mission_core.ids import MemberId, UserId, UserNumber
from mission_core.kinds import DEPLOYMENT
from mission_core.ports import Ports
from mission_core.values import name_key
from mission_http.app import MissionApp, create_app
from mission_http.boards.dialect import boards_dialect
from mission_http.platform.error_codes import STATUSES_WITH_CODE
from mission_http.settings import Settings
from mission_http.wiring import ServerSecretCredentials
from tests.contract.openapi_check import checked_against_openapi
from tests.unit.http.platform.sample_app import Answer, ask

TOKEN = "a-local-token-of-fifty-characters-or-even-more-0123"


@frozen
class Person:
    """
    A user with a token, and the id of the membership they have if they have one.
    """

    id: UserId
    member: MemberId
    token: str


@frozen
class BoardsDriver:
    """
    The Boards API over one organization, and its local user.
    """

    app: MissionApp
    ports: Ports
    me: MemberPrincipal
    board: UUID

    @property
    def tasks(self) -> str:
        return f"/api/v1/boards/{self.board}/tasks"

    @property
    def agent_tasks(self) -> str:
        return f"/api/v1/agent/boards/{self.board}/tasks"

    async def call(
        self, method: str, path: str, body: Any = None, *, agent: str | None = None, user: str | None = TOKEN,
        raw: bytes | None = None, **headers: str,
    ) -> Answer:  # fmt: skip
        """
        Call an operation as an agent where its token is given, as the user otherwise.
        """
        if agent is not None:
            headers["x-agent-token"] = agent
        elif user is not None:
            headers.setdefault("authorization", f"Bearer {user}")
        sent = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        answer = await ask(self.app, method, path, sent, key=None, **headers)
        return checked_against_openapi(self.app, method, path, answer)

    async def got(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """
        What a call that must succeed answers.
        """
        answer = await self.call(method, path, body, **more)
        assert 200 == answer.status, answer.body
        return answer.json

    async def task(self, title: str = "Ship it", **fields: Any) -> Any:
        """
        A new task on the board.
        """
        return await self.got("POST", self.tasks, {"title": title, **fields})

    async def agent(self, name: str = "ada", **fields: Any) -> Any:
        """
        A new agent on the board, with its token.
        """
        return await self.got("POST", "/api/v1/agents", {"name": name, "board_id": str(self.board), **fields})

    async def person(
        self, name: str, *, email: str | None = None, role: str | None = None, boards: bool = True, **more: Any
    ) -> Person:
        """
        Somebody else with a user and a token of their own: a member of the organization if they have a role there.
        """
        now, token = self.ports.clock.now(), self.ports.secrets.token()
        (number,) = await self.ports.numbers.next((DEPLOYMENT, "user"))
        username = f"{name}-{number}"
        user = User(
            id=UserId(self.ports.ids.new()), number=UserNumber(number), username=username,
            username_key=name_key(username), provider=IdentityProvider.OIDC, subject=username, email=email, name=name,
            created_at=now, updated_at=now, **more,
        )  # fmt: skip
        member = MemberId(self.ports.ids.new())
        async with self.ports.unit(SystemPrincipal(organization=self.me.organization)) as unit:
            unit.repository(USERS).add(evolve(user, active=self.me.organization) if role else user)
            if role:
                unit.repository(MEMBERS).add(
                    Member(
                        id=member, organization=self.me.organization, user=user.id, role=role,
                        all_boards_read=boards, all_boards_write=boards, created_at=now, updated_at=now,
                    )
                )  # fmt: skip
            await unit.commit()
        assert isinstance(self.ports.credentials, ServerSecretCredentials)
        assert isinstance(self.ports.credentials.known, dict)
        self.ports.credentials.known[secret_digest(token)] = user.id
        return Person(user.id, member, token)

    async def lead(self, name: str = "lea") -> str:
        """
        The token of a new lead of the board.
        """
        made = await create_agent(self.ports, self.me, CreateAgent(name=name, board=self.board, lead=True))
        assert made.token is not None
        return made.token

    async def main(self, name: str = "max") -> str:
        """
        The token of a new agent without a board.
        """
        made = await create_agent(self.ports, self.me, CreateAgent(name=name))
        assert made.token is not None
        return made.token


@asynccontextmanager
async def boards_over(ports: Ports, me: SystemPrincipal, board: UUID, **settings: Any) -> AsyncIterator[BoardsDriver]:
    """
    The application with the Boards dialect, as these settings want it, up for as long as the context lasts.
    """
    local = await ensure_local_user(ports, me.organization, username=f"local-{me.organization}")
    person = await ports.credentials.member(local)
    assert person is not None
    known = local if person.role is me.role else evolve(person, role=me.role)
    known_keys = ServerSecretCredentials(
        ports.credentials, {secret_digest(TOKEN): known}, partial(ensure_active_organization, ports)
    )
    ports = evolve(ports, credentials=known_keys)

    @asynccontextmanager
    async def wire() -> AsyncIterator[Ports]:
        yield ports

    chosen = evolve(boards_settings(), **settings)
    app = create_app(wire, (boards_dialect(chosen),), network=chosen.network)
    async with run_lifespan(app):
        yield BoardsDriver(app, ports, person, board)


def boards_settings() -> Settings:
    nowhere: Any = None  # nothing is to be read or written there
    return Settings(data_dir=nowhere, database_url="", api_key="", auth_secret="", local_auth_token=TOKEN)


@asynccontextmanager
async def run_lifespan(app: MissionApp) -> AsyncIterator[None]:
    """
    The lifespan of an application.
    """
    told: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[Any] = asyncio.Queue()
    life = asyncio.create_task(app({"type": "lifespan"}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    assert "lifespan.startup.complete" == (await said.get())["type"]
    try:
        yield
    finally:
        await told.put({"type": "lifespan.shutdown"})
        await life


def refusal(answer: Answer) -> tuple[int, Any]:
    """
    The status and detail of an error, whose envelope must be whole, with a code where its status needs one.
    """
    assert {"detail", "request_id"} == answer.json.keys() - {"hint", "code"}, answer.json
    assert answer.status not in STATUSES_WITH_CODE or answer.json["code"], answer.json
    assert answer.headers["x-request-id"] == answer.json["request_id"]
    return answer.status, answer.json["detail"]


def field_refusal(answer: Answer) -> tuple[str, list[Any], str]:
    """
    The kind, place and message of the first field error of a 422.
    """
    status, detail = refusal(answer)
    assert 422 == status, detail
    assert isinstance(detail, list), detail
    return detail[0]["type"], detail[0]["loc"], detail[0]["msg"]
