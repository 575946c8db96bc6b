"""
The authors of a task: the ids of all who worked on it or handed it in, for nobody reviews their own work.

An agent and a person are known by their id, whichever key they come with; a name that no agent has, and a key that
belongs to nobody, by an id made of the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from mission_core.accounts.model import AgentPrincipal, Principal
from mission_core.values import name_key

if TYPE_CHECKING:
    from mission_core.events.model import Actor
    from mission_core.tasks.runs import Assignee

NAMES: Final = UUID("5f0c6f0e-7a53-5d52-9a8e-2c1f6f5b9d11")
"""The namespace of ids that are made of names."""


def author_named(assignee: Assignee) -> UUID:
    """
    The author that an assignee is.
    """
    return assignee.agent or uuid5(NAMES, f"name:{assignee.key}")


def author_acting(actor: Actor) -> UUID:
    """
    The author that an actor is.
    """
    return actor.id or uuid5(NAMES, f"{actor.kind}:{actor.name}")


def authors_of(principal: Principal) -> frozenset[UUID]:
    """
    All authors that a principal may be known as: an agent also by its name, from before it was registered.
    """
    own = author_acting(principal.actor)
    if not isinstance(principal, AgentPrincipal):
        return frozenset((own,))
    return frozenset((own, uuid5(NAMES, f"name:{name_key(principal.name)}")))
