"""
Mentions: the people and agents that a text names with `@`.

A dialect uses one of two styles. A handle (`@handle`) belongs to a person or agent of the organization, and an unknown
one is an error. A name (`@name`, `@first-word` or `@lead`) belongs to an agent of the board, and an unknown one is
plain text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING, Final
from unicodedata import normalize

from mission_core.errors import Invalid
from mission_core.lazy_attrs import define, frozen
from mission_core.values import name_key

if TYPE_CHECKING:
    from mission_core.accounts.members import MemberWithUser
    from mission_core.agents.queries import AgentNameRow

HANDLE: Final = re.compile(r"(?<![\w.-])@([^\W_][\w.-]{0,63})")
NAME: Final = re.compile(r"@([A-Za-z][\w-]{0,31})")
LEAD_NAME: Final = "lead"
IDENTIFIER_IN_CONFIG: Final = "openclawId"
"""The key of an agent's configuration whose value is another handle of it."""


class MentionStyle(Enum):
    """
    The style of mentions: `HANDLES` of the organization, or `NAMES` of a board's agents.
    """

    HANDLES = "handles"
    NAMES = "names"


@define(repr=False)
class UnknownMentions(Invalid):
    """
    The text mentions handles that no person or agent has.
    """

    missing: tuple[str, ...]

    def __str__(self) -> str:
        return f"Unknown mentions: {', '.join(f'@{each}' for each in self.missing)}"


@frozen
class Mentionable:
    """
    A person or agent that can be mentioned by this handle. *recipient* is the name, *kind* is `user` or `agent`.
    """

    handle: str
    recipient: str
    kind: str
    display: str
    role: str | None


def index_by_handle(people: Iterable[MemberWithUser], agents: Iterable[AgentNameRow]) -> dict[str, Mentionable]:
    """
    Return all people and agents by each of their handles. If two share a handle, the first keeps it: people before
    agents, then by name.
    """
    known: dict[str, Mentionable] = {}
    for user in sorted((each.user for each in people), key=lambda each: each.username_key):
        callee = Mentionable(user.username_key, user.username, "user", user.display, None)
        known.setdefault(user.username_key, callee)
    for agent in sorted(agents, key=lambda each: name_key(each.name)):
        for handle in _handles_of_agent(agent):
            known.setdefault(handle, _mentionable(agent, handle))
    return known


def _handles_of_agent(agent: AgentNameRow) -> Iterable[str]:
    id = json.loads(agent.config).get(IDENTIFIER_IN_CONFIG) if IDENTIFIER_IN_CONFIG in agent.config else None
    if isinstance(id, str) and id:
        yield name_key(id)
    name = name_key(agent.name)
    yield "-".join(name.split())
    yield name


def _mentionable(agent: AgentNameRow, handle: str) -> Mentionable:
    return Mentionable(handle=handle, recipient=agent.name, kind="agent", display=agent.name, role=agent.role)


def handles_in(text: str) -> tuple[str, ...]:
    """
    Return the handles that a text mentions, in their first spelling. Handles that differ only in case are the same.
    """
    found: dict[str, str] = {}
    if "@" in text:
        for handle in HANDLE.findall(normalize("NFC", text)):
            found.setdefault(name_key(handle), handle)
    return tuple(found.values())


def handle_keys_in(*texts: str) -> frozenset[str]:
    """
    Return the keys of the handles that texts mention, with and without a full stop after them.
    """
    keys = [name_key(handle) for text in texts for handle in handles_in(text)]
    return frozenset(chain(keys, (key.rstrip(".") for key in keys)))


def mentioned_by_handle(text: str, known: dict[str, Mentionable]) -> tuple[tuple[Mentionable, ...], tuple[str, ...]]:
    """
    Return the people and agents that a text mentions by handle, in the order of the text, and the unknown handles.

    A full stop after a handle is part of it only if such a handle exists. An unknown handle with characters beyond
    ASCII is ignored: in a language without spaces it may be plain text.
    """
    called: dict[str, Mentionable] = {}
    missing = []
    for handle in handles_in(text):
        key = name_key(handle)
        callee = known.get(key) or known.get(key.rstrip("."))
        if callee is not None:
            called.setdefault(callee.recipient, callee)
        elif handle.isascii():
            missing.append(handle)
    return tuple(called.values()), tuple(missing)


def search_mentionable(
    known: dict[str, Mentionable], wanted: str = "", *, kind: str | None = None
) -> list[Mentionable]:
    """
    Return everybody that can be mentioned and whose handle or name contains *wanted*, each with one handle that a text
    can spell.
    """
    found: dict[tuple[str, str], Mentionable] = {}
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
    Return the keys of the names that a text mentions.
    """
    return frozenset(map(name_key, NAME.findall(text))) if "@" in text else frozenset()


def is_mentioned(names: frozenset[str], name: str, *, lead: bool) -> bool:
    """
    Whether one of these names is an agent's: its whole name, its first word, or `lead` for a lead.
    """
    key = name_key(name)
    return not names.isdisjoint((key, *key.split()[:1], *((LEAD_NAME,) if lead else ())))


def mentioned_by_name(text: str, agents: Iterable[AgentNameRow]) -> tuple[Mentionable, ...]:
    """
    Return the agents of a board that a text mentions by name, in the order of *agents*.
    """
    names = names_in(text)
    called = (each for each in agents if is_mentioned(names, each.name, lead=bool(each.lead)))
    return tuple(_mentionable(each, name_key(each.name)) for each in called)
