"""
The operations of agents, and what the document tells about them: when to use one, when not, and who may.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import evolve

from mission_http.boards.access import AGENT
from mission_http.platform.endpoints import Endpoint

TEAM: Final = ("agent", "agent-lead", "agent-worker")
"""The tags of what every agent of a board may do."""
ACTORS: Final = {
    "any_agent": "any agent's token",
    "board_lead": "the token of the board's lead",
    "agent_main": "the token of the organization's main agent",
}


def told(
    intent: str,
    when: Sequence[str],
    *,
    unless: Sequence[str],
    effects: Sequence[str] = ("None: it only reads.",),
    needs: Sequence[str] = (),
    actor: str = "any_agent",
) -> dict[str, Any]:
    """
    The vendor keys of an operation: its intent, when it is right and when it is not, what it needs and what it does.
    """
    return {
        "x-llm-intent": intent,
        "x-required-actor": actor,
        "x-when-to-use": list(when),
        "x-when-not-to-use": list(unless),
        "x-prerequisites": [f"Send {ACTORS[actor]} as X-Agent-Token.", *needs],
        "x-side-effects": list(effects),
        "x-negative-guidance": [
            "Never send another agent's token.",
            "After a 4xx, change the request before sending it again.",
        ],
        "x-routing-policy": [f"Choose it for the intent {intent}.", *(f"Avoid it: {each}" for each in unless)],
        "x-routing-policy-examples": [
            {"input": {"intent": when[0], "required_privilege": actor}, "decision": intent},
        ],
    }


def for_agents(endpoint: Endpoint, extra: dict[str, Any], *, tags: tuple[str, ...] = TEAM) -> Endpoint:
    """
    An operation of people as agents have it: below `/agent`, with what the document tells them.
    """
    return evolve(endpoint, path="/agent" + endpoint.path, who=AGENT, tags=tags, extra=extra)
