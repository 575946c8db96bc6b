"""
The authors of a task: the ids of everybody who worked on it or handed it in. Authors may not review their own work.

Agents and people are identified by their id, whichever key they use. A name without an agent, and a key without an
owner, are identified by an id derived from the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from mission_core.accounts.model import AgentPrincipal, Principal
from mission_core.values import name_key

if TYPE_CHECKING:
    from mission_core.events.model import Actor
    from mission_core.tasks.runs import Assignee

NAME_NAMESPACE: Final = UUID("5f0c6f0e-7a53-5d52-9a8e-2c1f6f5b9d11")
"""The namespace of ids that are derived from names."""


def author_of_assignee(assignee: Assignee) -> UUID:
    """
    Return the author id of an assignee.
    """
    return assignee.agent or uuid5(NAME_NAMESPACE, f"name:{assignee.key}")


def author_of_actor(actor: Actor) -> UUID:
    """
    Return the author id of an actor.
    """
    return actor.id or uuid5(NAME_NAMESPACE, f"{actor.kind}:{actor.name}")


def author_ids_of(principal: Principal) -> frozenset[UUID]:
    """
    Return all author ids of a principal. An agent also has the id of its name, from before it was registered.
    """
    own = author_of_actor(principal.actor)
    if not isinstance(principal, AgentPrincipal):
        return frozenset((own,))
    return frozenset((own, uuid5(NAME_NAMESPACE, f"name:{name_key(principal.name)}")))
