"""
Whom a text calls by name.

There are two ways to call. By handle: `@handle` of anybody in the organization, where one that nobody has is a
mistake. By name: `@name`, `@first-word` or `@lead` of a board's agents, where anything else is just text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Final
from unicodedata import normalize

from attrs import define, frozen

from mission_core.errors import Invalid
from mission_core.values import name_key

if TYPE_CHECKING:
    from mission_core.accounts.members import Colleague
    from mission_core.agents.queries import NameRow

HANDLE: Final = re.compile(r"(?<![\w.-])@([^\W_][\w.-]{0,63})")
NAME: Final = re.compile(r"@([A-Za-z][\w-]{0,31})")
LEAD: Final = "lead"


class Calling(Enum):
    """
    How a text calls: by `HANDLES` of the organization, or by the `NAMES` of a board's agents.
    """

    HANDLES = "handles"
    NAMES = "names"


@define
class UnknownMentions(Invalid):
    """
    A text calls whom nobody knows.
    """

    missing: tuple[str, ...]

    def __str__(self) -> str:
        return f"Unknown mentions: {', '.join(f'@{each}' for each in self.missing)}"


@frozen
class Callee:
    """
    Somebody who can be called: by this handle, under the name of *recipient*. *kind* is `user` or `agent`.
    """

    handle: str
    recipient: str
    kind: str
    display: str
    role: str | None


def handles_of(people: Iterable[Colleague], agents: Iterable[NameRow]) -> dict[str, Callee]:
    """
    Everybody by each of their handles. Of two who would share one the first keeps it: people before agents, and by
    name.
    """
    known: dict[str, Callee] = {}
    for user in sorted((each.user for each in people), key=lambda each: each.username_key):
        callee = Callee(user.username_key, user.username, "user", user.display, None)
        known.setdefault(user.username_key, callee)
    for agent in sorted(agents, key=lambda each: name_key(each.name)):
        for handle in _own_handles(agent):
            known.setdefault(handle, _callee(agent, handle))
    return known


def _own_handles(agent: NameRow) -> Iterable[str]:
    id = json.loads(agent.config).get("openclawId") if "openclawId" in agent.config else None
    if isinstance(id, str) and id:
        yield name_key(id)
    name = name_key(agent.name)
    yield "-".join(name.split())
    yield name


def _callee(agent: NameRow, handle: str) -> Callee:
    return Callee(handle=handle, recipient=agent.name, kind="agent", display=agent.name, role=agent.role)


def handles_in(text: str) -> tuple[str, ...]:
    """
    The handles that a text calls, each as it is spelled first; another case is the same handle.
    """
    found: dict[str, str] = {}
    if "@" in text:
        for handle in HANDLE.findall(normalize("NFC", text)):
            found.setdefault(name_key(handle), handle)
    return tuple(found.values())


def called_by_handle(text: str, known: dict[str, Callee]) -> tuple[tuple[Callee, ...], tuple[str, ...]]:
    """
    Whom a text calls by handle, in the order of the text, and the handles in it that nobody has.

    A full stop belongs to the handle before it, or else ends the sentence. What is not ASCII may be text of a language
    without spaces, and is missed by nobody.
    """
    called: dict[str, Callee] = {}
    missing = []
    for handle in handles_in(text):
        key = name_key(handle)
        callee = known.get(key) or known.get(key.rstrip("."))
        if callee is not None:
            called.setdefault(callee.recipient, callee)
        elif handle.isascii():
            missing.append(handle)
    return tuple(called.values()), tuple(missing)


def callees_like(known: dict[str, Callee], wanted: str = "", *, kind: str | None = None) -> list[Callee]:
    """
    All who can be called, each by one handle that can be written, whose handle or name has the *wanted* text in it.
    """
    found: dict[tuple[str, str], Callee] = {}
    for callee in known.values():
        if HANDLE.fullmatch(f"@{callee.handle}") and kind in (None, callee.kind):
            found.setdefault((callee.kind, callee.recipient), callee)
    key = name_key(wanted)
    return [
        each
        for each in found.values()
        if key in each.handle or key in name_key(each.recipient) or key in name_key(each.display)
    ]


def names_in(text: str) -> frozenset[str]:
    """
    The names that a text calls, as they are compared.
    """
    return frozenset(map(name_key, NAME.findall(text))) if "@" in text else frozenset()


def is_called(names: frozenset[str], name: str, *, lead: bool) -> bool:
    """
    Whether one of these names is an agent's: its whole name, the first word of it, or its office.
    """
    key = name_key(name)
    return not names.isdisjoint((key, *key.split()[:1], *((LEAD,) if lead else ())))


def called_by_name(text: str, agents: Iterable[NameRow]) -> tuple[Callee, ...]:
    """
    Which of a board's agents a text calls by name, in the order of the agents.
    """
    names = names_in(text)
    called = (each for each in agents if is_called(names, each.name, lead=bool(each.lead)))
    return tuple(_callee(each, name_key(each.name)) for each in called)
