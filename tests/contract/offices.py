"""
The Boards API where somebody else vouches for people, over a local issuer.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from attrs import evolve, frozen

from mission_adapters.clocks import ManualClock
from mission_core.accounts.recognizing import NOBODY
from mission_core.accounts.users import USERS, User
from mission_core.agents.use_cases import digest_of
from mission_core.ports import Ports
from mission_http.app import create_app
from mission_http.boards.dialect import boards_dialect
from mission_http.identities import Identities
from mission_http.wiring import KnownKeys, believing
from tests.contract.boards_driver import Boards, a_setting, living
from tests.contract.conftest import World
from tests.issuer import LocalIssuer

KEY = "the-operators-own-key"
DOTTED, SHAPED = "the.operators.key", "eyJhbGciOiJSUzI1NiIsImtpZCI6Im5vYm9keSJ9.eyJleHAiOjQwMDAwMDAwMDB9.AAAA"
"""Other keys of the operator's, that look like a JWT from afar, and from near."""
AUDIENCE = "mission-control"


@frozen
class Office:
    """
    The Boards API, and the issuer that it believes, as its tokens call it.
    """

    boards: Boards
    issuer: LocalIssuer
    called: str
    clock: ManualClock

    def claims(self, subject: str = "ada", **more: Any) -> dict[str, Any]:
        """
        What a token of somebody says.
        """
        now = int(self.clock.now().timestamp())
        return {"iss": self.called, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 60, **more}

    def token(self, subject: str = "ada", **more: Any) -> str:
        """
        What the issuer gives to somebody.
        """
        return self.issuer.token(self.claims(subject, **more))

    async def me(self, **said: Any) -> Any:
        return await self.boards.got("GET", "/api/v1/users/me", user=self.token(**said))

    async def users(self, **equal: Any) -> list[User]:
        return await self.boards.ports.reads.rows.every(NOBODY, USERS, **equal)


@asynccontextmanager
async def office_over(world: World, identities: Identities, issuer: LocalIssuer, called: str) -> AsyncIterator[Office]:
    """
    The application with the ports that a server with these identities has.
    """
    operator = evolve(world.me, name="api")
    known = KnownKeys(world.ports.credentials, {digest_of(key): operator for key in (KEY, DOTTED, SHAPED)})
    async with believing(identities, evolve(world.ports, credentials=known)) as ports:

        @asynccontextmanager
        async def wire() -> AsyncIterator[Ports]:
            yield ports

        app = create_app(wire, (boards_dialect(evolve(a_setting(), identities=identities)),))
        async with living(app):
            anybody: Any = world.me  # nobody asks who it is
            yield Office(Boards(app, ports, anybody, world.board.id), issuer, called, world.clock)
