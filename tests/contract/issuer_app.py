"""
The Boards API where somebody else vouches for people, over a local issuer.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from attrs import evolve, frozen

from mission_adapters.testing import ManualClock
from mission_core.accounts.user_provisioning import UNKNOWN_CALLER
from mission_core.accounts.users import USERS, User
from mission_core.agents.use_cases import secret_digest
from mission_core.ports import Ports
from mission_http.app import create_app
from mission_http.boards.dialect import boards_dialect
from mission_http.identity_provider_settings import IdentityProviderSettings
from mission_http.wiring import ServerSecretCredentials, with_identity_providers
from tests.contract.boards_driver import BoardsDriver, boards_settings, run_lifespan
from tests.contract.conftest import World
from tests.local_issuer import LocalIssuer

KEY = "the-operators-own-key"
DOTTED, SHAPED = "the.operators.key", "eyJhbGciOiJSUzI1NiIsImtpZCI6Im5vYm9keSJ9.eyJleHAiOjQwMDAwMDAwMDB9.AAAA"
"""Other keys of the operator's, that look like a JWT from afar, and from near."""
AUDIENCE = "mission-control"


@frozen
class IssuerApp:
    """
    The Boards API, and the issuer that it believes, as its tokens call it.
    """

    boards: BoardsDriver
    issuer: LocalIssuer
    issuer_name: str
    clock: ManualClock

    def claims(self, subject: str = "ada", **more: Any) -> dict[str, Any]:
        """
        What a token of somebody says.
        """
        now = int(self.clock.now().timestamp())
        return {"iss": self.issuer_name, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 60, **more}

    def token(self, subject: str = "ada", **more: Any) -> str:
        """
        What the issuer gives to somebody.
        """
        return self.issuer.token(self.claims(subject, **more))

    async def me(self, **said: Any) -> Any:
        return await self.boards.got("GET", "/api/v1/users/me", user=self.token(**said))

    async def users(self, **equal: Any) -> list[User]:
        return await self.boards.ports.reads.entities.every(UNKNOWN_CALLER, USERS, **equal)


@asynccontextmanager
async def issuer_app(
    world: World, identities: IdentityProviderSettings, issuer: LocalIssuer, called: str
) -> AsyncIterator[IssuerApp]:
    """
    The application with the ports that a server with these identities has.
    """
    operator = evolve(world.me, name="api")
    known = ServerSecretCredentials(
        world.ports.credentials, {secret_digest(key): operator for key in (KEY, DOTTED, SHAPED)}
    )
    async with with_identity_providers(identities, evolve(world.ports, credentials=known)) as ports:

        @asynccontextmanager
        async def wire() -> AsyncIterator[Ports]:
            yield ports

        app = create_app(wire, (boards_dialect(evolve(boards_settings(), identity_providers=identities)),))
        async with run_lifespan(app):
            anybody: Any = world.me  # nobody asks who it is
            yield IssuerApp(BoardsDriver(app, ports, anybody, world.board.id), issuer, called, world.clock)
