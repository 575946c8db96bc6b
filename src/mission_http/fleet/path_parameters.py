"""
Path parameters of the Fleet API: tasks, projects and agents, and the rule that an agent's key below admin may only
access its own agent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar
from uuid import UUID

from starlette.requests import Request

from mission_core.accounts.model import AgentPrincipal, KeyOfAnotherAgent, Principal, require_own_agent
from mission_core.agents.model import AgentNotFound
from mission_core.agents.queries import AgentRow
from mission_core.boards.model import BoardDenied
from mission_core.ids import (
    AgentId,
    AgentNumber,
    BoardId,
    BoardNumber,
    BudgetId,
    BudgetNumber,
    ChatMessageId,
    ChatMessageNumber,
    PriceOverrideId,
    PriceOverrideNumber,
    TaskId,
    TaskNumber,
)
from mission_core.values import MAX_INTEGER, UNSTORABLE
from mission_http.fleet.access import is_restricted_agent
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.wire import clamped_number
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.value_parsers import UUID_TEXT

IdT = TypeVar("IdT")
NumberT = TypeVar("NumberT")
_signed_number: Final = re.compile(r"\s*([+-]?)(\d+)", re.ASCII)
_decimal_number: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,4})?", re.ASCII | re.IGNORECASE)
_prefixed_number: Final = re.compile(r"0(?:x[0-9a-f]+|o[0-7]+|b[01]+)", re.ASCII | re.IGNORECASE)
_only_digits: Final = re.compile(r"\d+", re.ASCII)


def task_in(request: Request) -> TaskId | TaskNumber:
    """
    Parse the task id in the path: a number or a UUID.

    Raises:
        InvalidRequest: If it is neither.
    """
    return _id_or_number(request, "task", TaskId, TaskNumber)


def project_in(request: Request) -> BoardId | BoardNumber:
    """
    Parse the project id in the path: a number or a UUID.

    Raises:
        InvalidRequest: If it is neither.
    """
    return _id_or_number(request, "project", BoardId, BoardNumber)


def budget_in(request: Request) -> BudgetId | BudgetNumber:
    """
    Parse the budget id in the path: a number or a UUID.

    Raises:
        InvalidRequest: If it is neither.
    """
    return _id_or_number(request, "budget", BudgetId, BudgetNumber)


def price_in(request: Request) -> PriceOverrideId | PriceOverrideNumber:
    """
    Parse the id of a price in the path: a number or a UUID.

    Raises:
        InvalidRequest: If it is neither.
    """
    return _id_or_number(request, "price", PriceOverrideId, PriceOverrideNumber)


def message_in(request: Request) -> ChatMessageId | ChatMessageNumber:
    """
    Parse the id of a chat message in the path: a number or a UUID.

    Raises:
        InvalidRequest: If it is neither.
    """
    return _id_or_number(request, "message", ChatMessageId, ChatMessageNumber)


def _id_or_number(
    request: Request, noun: str, id: Callable[[UUID], IdT], number: Callable[[int], NumberT]
) -> IdT | NumberT:
    segment: str = request.path_params["id"]
    if UUID_TEXT.fullmatch(segment):
        return id(UUID(segment))
    found = _signed_number.match(segment)
    if found is None:
        raise InvalidRequest(f"Invalid {noun} ID")
    return number(-1 if found[1] == "-" else clamped_number(found[2]))


def agent_in(request: Request) -> AgentId | AgentNumber | str:
    """
    Parse the agent in the path: a number in any JavaScript notation, a UUID, else a name.
    """
    segment: str = request.path_params["id"]
    if _prefixed_number.fullmatch(segment):
        return AgentNumber(min(int(segment, 0), MAX_INTEGER))
    if not _decimal_number.fullmatch(segment):
        return _agent_id_or_name(segment)
    value = float(segment)
    return AgentNumber(int(value) if value.is_integer() and abs(value) < MAX_INTEGER else -1)


def strict_agent_in(request: Request) -> AgentId | AgentNumber | str:
    """
    Parse the agent in the path: a number if the segment has only digits, a UUID, else a name.
    """
    segment: str = request.path_params["id"]
    return AgentNumber(clamped_number(segment)) if _only_digits.fullmatch(segment) else _agent_id_or_name(segment)


def _agent_id_or_name(segment: str) -> AgentId | str:
    """
    Parse a UUID or a name.

    Raises:
        AgentNotFound: If no agent can have this name.
    """
    if UUID_TEXT.fullmatch(segment):
        return AgentId(UUID(segment))
    if UNSTORABLE.search(segment):
        raise AgentNotFound
    return segment


@contextmanager
def own_agent_only(principal: Principal) -> Iterator[None]:
    """
    Context manager that turns "not found" into `KeyOfAnotherAgent` for an agent's key below admin.
    """
    try:
        yield
    except (AgentNotFound, BoardDenied):
        if is_restricted_agent(principal):
            raise KeyOfAnotherAgent from None
        raise


async def readable_agent_row(request: Request) -> AgentRow:
    """
    Read the agent in the path. A key without a role may only read its own agent.

    Raises:
        AgentNotFound: If there is no such agent.
        KeyOfAnotherAgent: If the key has no role and belongs to another agent.
    """
    principal = principal_of(request)
    if isinstance(principal, AgentPrincipal) and principal.confined:
        return await own_agent_row(request)
    return await ports_of(request).reads.agents.get(principal, agent_in(request))


async def own_agent_row(request: Request) -> AgentRow:
    """
    Read the agent in the path. An agent's key below admin may only access its own agent.

    Raises:
        AgentNotFound: If there is no such agent.
        KeyOfAnotherAgent: If the key belongs to another agent.
    """
    principal = principal_of(request)
    with own_agent_only(principal):
        row = await ports_of(request).reads.agents.get(principal, agent_in(request))
        require_own_agent(principal, AgentId(UUID(bytes=row.id)))
    return row
