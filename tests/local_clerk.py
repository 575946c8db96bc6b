"""
Clerk on this machine, as far as its backend API is asked: the keys of its tokens, and the people it keeps.
"""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Any

from attrs import define, field

from tests.local_issuer import LocalIssuer, serve_issuer

SECRET = "sk_test_that-nobody-but-clerk-is-shown"
USERS = "/v1/users/"


def clerk_user(*addresses: str, status: str = "verified", primary: int | None = 0, **more: Any) -> dict[str, Any]:
    """
    Somebody as Clerk tells of them: with these e-mail addresses, and no name but what is told.
    """
    listed = [
        {"id": f"idn_{n}", "object": "email_address", "email_address": each, "verification": {"status": status}}
        for n, each in enumerate(addresses)
    ]
    names = {"first_name": None, "last_name": None, "username": None, **more}
    chosen = None if primary is None or not listed else f"idn_{primary}"
    return {"object": "user", "email_addresses": listed, "primary_email_address_id": chosen, **names}


@define(eq=False)
class LocalClerk(LocalIssuer):
    """
    The API, and what was done there.

    Args:
        people: Those that it keeps, by their id.
        calls: What was asked of them, each as a method and an id.
        reached: Set when somebody was asked for or deleted, whether or not the answer comes.
    """

    people: dict[str, dict[str, Any]] = field(factory=dict)
    calls: list[str] = field(factory=list)
    reached: asyncio.Event = field(factory=asyncio.Event)

    def _answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if self.shown[-1].get("authorization") != f"Bearer {SECRET}":
            return 401, b'{"errors": [{"code": "clerk_key_invalid"}]}'
        if path == "/v1/jwks":
            return super()._answer(method, "/keys", body)
        if not path.startswith(USERS):
            return 404, b"{}"
        id = path.removeprefix(USERS)
        self.calls.append(f"{method} {id}")
        self.reached.set()
        if self.status is not None or id not in self.people:
            return 404, b'{"errors": [{"code": "resource_not_found"}]}'
        if method == "DELETE":
            del self.people[id]
            return 200, json.dumps({"id": id, "object": "user", "deleted": True}).encode()
        return 200, json.dumps({"id": id, **self.people[id]}).encode()


def local_clerk(**settings: Any) -> AbstractAsyncContextManager[LocalClerk]:
    """
    Clerk for as long as the context lasts.
    """
    return serve_issuer(LocalClerk(**settings))
