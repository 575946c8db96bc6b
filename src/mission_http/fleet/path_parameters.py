"""
Path parameters of the Fleet API: ids of tasks, projects and agents.
"""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from starlette.requests import Request

from mission_core.agents.model import AgentNotFound
from mission_core.ids import AgentId, AgentNumber, BoardId, BoardNumber, TaskId, TaskNumber
from mission_core.values import MAX_INTEGER, UNSTORABLE
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.wire import clamped_number
from mission_http.platform.value_parsers import UUID_TEXT

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
    found = _id_or_number(request, "Invalid task ID")
    return TaskId(found) if isinstance(found, UUID) else TaskNumber(found)


def project_in(request: Request) -> BoardId | BoardNumber:
    """
    Parse the project id in the path: a number or a UUID.

    Raises:
        InvalidRequest: If it is neither.
    """
    found = _id_or_number(request, "Invalid project ID")
    return BoardId(found) if isinstance(found, UUID) else BoardNumber(found)


def _id_or_number(request: Request, otherwise: str) -> UUID | int:
    segment: str = request.path_params["id"]
    if UUID_TEXT.fullmatch(segment):
        return UUID(segment)
    found = _signed_number.match(segment)
    if found is None:
        raise InvalidRequest(otherwise)
    return -1 if found[1] == "-" else clamped_number(found[2])


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
