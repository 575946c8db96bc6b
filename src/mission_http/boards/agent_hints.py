"""
Hints for agents in the OpenAPI document: when to use an operation, when not, and which agent may.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import evolve

from mission_http.boards.access import AGENT
from mission_http.platform.endpoints import Endpoint

BOARD_AGENT_TAGS: Final = ("agent", "agent-lead", "agent-worker")
"""The tags of operations that every agent of a board may use."""
ACTOR_CREDENTIALS: Final = {
    "any_agent": "any agent's token",
    "board_lead": "the token of the board's lead",
    "agent_main": "the token of the organization's main agent",
}


def agent_hints(
    intent: str,
    when: Sequence[str],
    *,
    unless: Sequence[str],
    effects: Sequence[str] = ("None: it only reads.",),
    needs: Sequence[str] = (),
    actor: str = "any_agent",
) -> dict[str, Any]:
    """
    The vendor extensions of an operation: its intent, when to use it and when not, its prerequisites and its side
    effects.
    """
    return {
        "x-llm-intent": intent,
        "x-required-actor": actor,
        "x-when-to-use": list(when),
        "x-when-not-to-use": list(unless),
        "x-prerequisites": [f"Send {ACTOR_CREDENTIALS[actor]} as X-Agent-Token.", *needs],
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


def agent_endpoint(endpoint: Endpoint, extra: dict[str, Any], *, tags: tuple[str, ...] = BOARD_AGENT_TAGS) -> Endpoint:
    """
    A user's operation offered to agents: below `/agent`, with hints for them.
    """
    return evolve(endpoint, path="/agent" + endpoint.path, who=AGENT, tags=tags, extra=extra)
