"""
Payload classes of errors. They are a module of their own because a server needs them before all others.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import UNSET, UnsetType

from mission_http.platform.error_codes import ErrorCode
from mission_http.platform.shapes import Payload


class ValidationError(Payload):
    loc: list[str | int]
    msg: str
    type: str
    input: Any = None
    ctx: dict[str, Any] | UnsetType = UNSET


class HTTPValidationError(Payload):
    detail: list[ValidationError] | str | dict[str, Any]
    request_id: str
    hint: str | UnsetType = UNSET
    code: ErrorCode | UnsetType = UNSET


class BlockedTaskDetail(Payload):
    message: str
    code: str | UnsetType | None = UNSET
    blocked_by_task_ids: list[str] | UnsetType = UNSET


class BlockedTaskError(Payload):
    detail: BlockedTaskDetail | str
    request_id: str
    code: ErrorCode | UnsetType = UNSET


class LLMErrorResponse(Payload):
    schema_extra: ClassVar[dict[str, Any]] = {"x-llm-intent": "llm_error_handling"}

    detail: str | dict[str, Any] | list[Any]
    request_id: str
    hint: str | UnsetType = UNSET
    code: ErrorCode | UnsetType | None = UNSET
    retryable: bool | UnsetType | None = UNSET
