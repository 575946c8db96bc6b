"""
Payload classes of errors. They are a module of their own because a server needs them before all others.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from mission_http.platform.error_codes import ErrorCode
from mission_http.platform.shapes import Payload


class InjectionPayload(Payload):
    rule: str
    description: str


class ErrorPayload(Payload):
    error: str
    details: list[str] | UnsetType = UNSET
    injection: list[InjectionPayload] | UnsetType = UNSET
    missing_mentions: list[str] | UnsetType = UNSET
    code: ErrorCode | UnsetType = UNSET
    hint: str | UnsetType = UNSET
    action: str | UnsetType = UNSET
