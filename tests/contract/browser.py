"""
A browser at the Fleet API: it keeps the cookies it is given as browsers do, and sends them along.
"""

from http.cookies import Morsel, SimpleCookie
from typing import Any
from uuid import uuid4

from attrs import define, field, frozen

from mission_core.accounts.members import MemberWithUser
from mission_core.accounts.user_admin import CreateUser, create_user
from mission_core.agents.organization_creation import ensure_organization
from mission_core.ports import Ports
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver
from tests.unit.http.platform.sample_app import Answer

PASSWORD = "correct horse battery"
WRONG = "incorrect horse battery"


@define
class Browser:
    """
    Somebody's browser. *https* is what stands in its address bar, whatever the server sees.
    """

    fleet: FleetDriver
    https: bool = False
    behind: dict[str, str] = field(factory=dict)
    """What whoever stands between adds to requests, and as which peer."""
    jar: dict[str, str] = field(factory=dict)

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        """
        Ask, and keep what is to be kept.
        """
        scheme = "https" if self.https and not self.behind else "http"
        sent = {"cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items())} if self.jar else {}
        answer = await self.fleet.call(
            method, path, body, **{"key": None, "scheme": scheme} | sent | self.behind | more
        )
        for cookie in cookies_of(answer):
            if sent_back(cookie, https=self.https):
                self.jar[cookie.key] = cookie.value
                if cookie["max-age"] == "0":
                    del self.jar[cookie.key]
        return answer

    async def log_in(self, username: str, password: str = PASSWORD) -> Answer:
        """
        Sign in.
        """
        return await self.call("POST", "/auth/login", {"username": username, "password": password})

    async def status(self, path: str = "/auth/me") -> int:
        """
        How a page is answered.
        """
        return (await self.call("GET", path)).status


def cookies_of(answer: Answer) -> list[Morsel[str]]:
    """
    The cookies that an answer sets.
    """
    sent = [value.decode() for name, value in answer.raw_headers if name == b"set-cookie"]
    return [morsel for each in sent for morsel in SimpleCookie(each).values()]


def sent_back(cookie: Morsel[str], *, https: bool) -> bool:
    """
    Whether a browser keeps a cookie (RFC 6265bis): a secure one over https alone, a `__Host-` one if it is secure.
    """
    secure = bool(cookie["secure"])
    bound = not cookie.key.startswith("__Host-") or (secure and cookie["path"] == "/" and not cookie["domain"])
    return bound and (https or not secure)


@frozen
class Person:
    """
    Somebody who may sign in.
    """

    username: str
    found: MemberWithUser

    @property
    def number(self) -> int:
        return self.found.user.number


async def make_person(world: World, **fields: Any) -> Person:
    """
    A new user of the organization.
    """
    await allow_sign_in(world.ports)
    username = f"user-{uuid4()}"
    command = CreateUser(**{"username": username, "password": PASSWORD} | fields)
    return Person(command.username, await create_user(world.ports, world.me, command))


async def allow_sign_in(ports: Ports) -> None:
    """
    The organization that signing in belongs to.
    """
    await ensure_organization(ports, slug="default")
