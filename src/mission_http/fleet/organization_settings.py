"""
Operations on the organization's settings: known keys with their defaults, and custom keys.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import Annotated, Any, Final
from uuid import UUID

from attrs import frozen
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import Principal
from mission_core.accounts.settings import (
    LONGEST_KEY,
    LONGEST_VALUE,
    ChangeSettings,
    ResetSetting,
    Setting,
    SettingNotFound,
    change_settings,
    reset_setting,
    settings_of,
)
from mission_core.errors import InvalidField, KeyReused, VersionMismatch
from mission_core.ports import Ports
from mission_core.values import canonical, checked_text
from mission_http.fleet.access import ADMIN
from mission_http.fleet.errors import Unacceptable
from mission_http.fleet.wire import seconds_of
from mission_http.platform.bodies import body_of, parsed_body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, expects_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, once
from mission_http.platform.json import json_of
from mission_http.platform.refusals import BodyMalformed, BodyMissing, FieldError, FieldsInvalid
from mission_http.platform.shapes import Rule, Schema

CUSTOM: Final = "custom"
"""The category of keys that are not known."""


@frozen
class Known:
    """
    A known setting: its category, default and description.
    """

    category: str
    default: str
    description: str


KNOWN: Final = {
    "retention.activities_days": Known("retention", "90", "Days for which activities are to be kept"),
    "retention.audit_log_days": Known("retention", "365", "Days for which the audit log is to be kept"),
    "retention.logs_days": Known("retention", "30", "Days for which log files are to be kept"),
    "retention.notifications_days": Known("retention", "60", "Days for which notifications are to be kept"),
    "retention.pipeline_runs_days": Known("retention", "90", "Days for which runs of pipelines are to be kept"),
    "retention.token_usage_days": Known("retention", "90", "Days for which token usage is to be kept"),
    "retention.gateway_sessions_days": Known("retention", "90", "Days for which gateway sessions are to be kept"),
    "gateway.host": Known("gateway", "", "Host of a live gateway"),
    "gateway.port": Known("gateway", "", "Port of a live gateway"),
    "chat.coordinator_target_agent": Known("chat", "", "Agent that messages to the coordinator go to"),
    "general.site_name": Known("general", "Mission Control", "Name of this installation"),
    "general.auto_cleanup": Known("general", "false", "Whether data past its retention is to be removed"),
    "general.auto_backup": Known("general", "false", "Whether backups are to be made"),
    "general.backup_retention_count": Known("general", "10", "How many backups are to be kept"),
    "general.interface_mode": Known("general", "essential", "How much of the interface is shown"),
    "subscription.plan_override": Known("general", "", "Plan that is assumed instead of the one found"),
    "subscription.codex_plan": Known("general", "", "Plan that is assumed for Codex"),
    "onboarding.completed": Known("onboarding", "false", "Whether the tour was completed"),
    "onboarding.completed_at": Known("onboarding", "", "When the tour was completed"),
    "onboarding.skipped": Known("onboarding", "false", "Whether the tour was skipped"),
    "onboarding.completed_steps": Known("onboarding", "[]", "Steps of the tour that were completed"),
    "onboarding.checklist_dismissed": Known("onboarding", "false", "Whether the checklist was dismissed"),
}


def as_texts(sent: dict[str, Any]) -> dict[str, str]:
    """
    Convert the values of settings to texts. A value that is no text is encoded as JSON.
    """
    mistakes, texts = [], {}
    for key, value in sent.items():
        try:
            checked_text("the key", key, least=1, most=LONGEST_KEY)
            texts[key] = checked_text("the value", _text(value), most=LONGEST_VALUE)
        except InvalidField as refusal:
            said = str(refusal)
            mistakes.append(FieldError((key,), "value_error", f"Value error, {said}", None, {"error": said}))
    if mistakes:
        raise FieldsInvalid(tuple(mistakes))
    return texts


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return canonical(value)


@frozen(kw_only=True)
class ChangeSettingsBody:
    settings: Annotated[dict[str, Any], Rule(as_texts), Schema({"type": "object", "additionalProperties": True})]


@frozen(kw_only=True)
class ResetSettingBody:
    """
    The request body as documented. The handler validates it itself, with the original API's error texts.
    """

    key: str


@frozen(kw_only=True)
class SettingPayload:
    key: str
    value: str
    description: str | None
    category: str
    updated_by: str | None
    updated_at: int | None
    is_default: bool
    version: int | UnsetType = UNSET


@frozen(kw_only=True)
class SettingListPayload:
    settings: list[SettingPayload]
    grouped: dict[str, list[SettingPayload]]


@frozen(kw_only=True)
class SettingsChangedPayload:
    updated: list[str]
    count: int


@frozen(kw_only=True)
class SettingResetPayload:
    reset: str
    default_value: str | None


async def list_settings(request: Request) -> Response:
    """
    List all settings, with the defaults of those that are not set.
    """
    stored = {row.key: row for row in await settings_of(ports_of(request), principal_of(request))}
    shown = [shown_as(key, stored.pop(key, None)) for key in KNOWN]
    shown += [shown_as(key, stored[key]) for key in sorted(stored)]
    grouped = defaultdict(list)
    for each in shown:
        grouped[each["category"]].append(each)
    return json_of({"settings": shown, "grouped": grouped})


def shown_as(key: str, row: Setting | None) -> dict[str, Any]:
    """
    Return a setting's payload. *row* is None if the setting is not set.
    """
    known = KNOWN.get(key)
    shown: dict[str, Any] = {
        "key": key,
        "value": known.default if known else "",
        "description": known.description if known else None,
        "category": known.category if known else CUSTOM,
        "updated_by": None,
        "updated_at": None,
        "is_default": row is None,
    }
    if row is not None:
        shown |= {
            "value": row.value,
            "updated_by": row.updated_by,
            "updated_at": seconds_of(row.updated_at),
            "version": row.version,
        }
    return shown


async def update_settings(request: Request) -> Response:
    """
    Set the given settings, all or none.

    A value that is no text is stored as JSON.
    """
    body = await body_of(request, ChangeSettingsBody)
    keys = tuple(body.settings)

    async def again(ports: Ports, principal: Principal, _: UUID) -> tuple[str, ...]:
        return keys

    updated = await once(request, change_settings, ChangeSettings(values=body.settings), again)
    return json_of({"updated": updated, "count": len(updated)})


async def set_back(request: Request) -> Response:
    """
    Reset a setting to its default.
    """
    body: Any = None
    with suppress(BodyMissing, BodyMalformed):
        body = await parsed_body_of(request)
    if not isinstance(body, dict):
        raise Unacceptable("Request body required")
    key = body.get("key")
    if not isinstance(key, str) or not key:
        raise Unacceptable("key parameter required")
    await reset_setting(ports_of(request), principal_of(request), ResetSetting(key=key, expects=expects_of(request))
    )
    known = KNOWN.get(key)
    return json_of({"reset": key, "default_value": known.default if known else None})


TAGS = ("Settings",)
ENDPOINTS = [
    Endpoint(
        "GET", "/settings", list_settings, gives=SettingListPayload, who=ADMIN, operation_id="fleet_getSettings",
        tags=TAGS,
    ),
    Endpoint(
        "PUT", "/settings", update_settings, takes=ChangeSettingsBody, gives=SettingsChangedPayload, who=ADMIN,
        limits=("mutation",), operation_id="fleet_updateSettings", tags=TAGS,
    ),
    Endpoint(
        "POST", "/settings", update_settings, takes=ChangeSettingsBody, gives=SettingsChangedPayload, who=ADMIN,
        headers=(IDEMPOTENCY_KEY,), refuses=(KeyReused,), limits=("mutation",),
        operation_id="fleet_postSettings", tags=TAGS,
    ),
    Endpoint(
        "DELETE", "/settings", set_back, takes=ResetSettingBody, gives=SettingResetPayload, who=ADMIN,
        headers=(IF_MATCH,), refuses=(SettingNotFound, VersionMismatch), limits=("mutation",),
        operation_id="fleet_resetSetting", tags=TAGS,
    ),
]  # fmt: skip
