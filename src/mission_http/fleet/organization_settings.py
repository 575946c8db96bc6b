"""
Operations on the organization's settings: known keys with their defaults, and custom keys.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import Principal
from mission_core.accounts.organization_settings import (
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
from mission_core.lazy_attrs import frozen
from mission_core.ports import Ports
from mission_core.values import canonical, checked_text
from mission_http.fleet.access import ADMIN
from mission_http.fleet.bodies import required_object_of
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.wire import seconds_of
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.errors import FieldError, FieldsInvalid
from mission_http.platform.etags import IF_MATCH, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, CustomCheck, SchemaOverride
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Payload


@frozen
class KnownSetting:
    """
    A known setting: its category, default and description.
    """

    category: str
    default: str
    description: str | None


CUSTOM_SETTING: Final = KnownSetting("custom", "", None)
KNOWN_SETTINGS: Final = {
    "retention.activities_days": KnownSetting("retention", "90", "Days for which activities are to be kept"),
    "retention.audit_log_days": KnownSetting("retention", "365", "Days for which the audit log is to be kept"),
    "retention.logs_days": KnownSetting("retention", "30", "Days for which log files are to be kept"),
    "retention.notifications_days": KnownSetting("retention", "60", "Days for which notifications are to be kept"),
    "retention.pipeline_runs_days": KnownSetting("retention", "90", "Days for which runs of pipelines are to be kept"),
    "retention.token_usage_days": KnownSetting("retention", "90", "Days for which token usage is to be kept"),
    "retention.gateway_sessions_days": KnownSetting(
        "retention", "90", "Days for which gateway sessions are to be kept"
    ),
    "gateway.host": KnownSetting("gateway", "", "Host of a live gateway"),
    "gateway.port": KnownSetting("gateway", "", "Port of a live gateway"),
    "chat.coordinator_target_agent": KnownSetting("chat", "", "Agent that messages to the coordinator go to"),
    "general.site_name": KnownSetting("general", "Mission Control", "Name of this installation"),
    "general.auto_cleanup": KnownSetting("general", "false", "Whether data past its retention is to be removed"),
    "general.auto_backup": KnownSetting("general", "false", "Whether backups are to be made"),
    "general.backup_retention_count": KnownSetting("general", "10", "How many backups are to be kept"),
    "general.interface_mode": KnownSetting("general", "essential", "How much of the interface is shown"),
    "subscription.plan_override": KnownSetting("general", "", "Plan that is assumed instead of the one found"),
    "subscription.codex_plan": KnownSetting("general", "", "Plan that is assumed for Codex"),
    "onboarding.completed": KnownSetting("onboarding", "false", "Whether the tour was completed"),
    "onboarding.completed_at": KnownSetting("onboarding", "", "When the tour was completed"),
    "onboarding.skipped": KnownSetting("onboarding", "false", "Whether the tour was skipped"),
    "onboarding.completed_steps": KnownSetting("onboarding", "[]", "Steps of the tour that were completed"),
    "onboarding.checklist_dismissed": KnownSetting("onboarding", "false", "Whether the checklist was dismissed"),
}


def setting_texts(sent: dict[str, Any]) -> dict[str, str]:
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


class ChangeSettingsBody(Body):
    settings: Annotated[
        dict[str, Any], CustomCheck(setting_texts), SchemaOverride({"type": "object", "additionalProperties": True})
    ]


class ResetSettingBody(Body):
    """
    The request body as documented. The handler validates it itself, with the original API's error texts.
    """

    key: str


class SettingPayload(Payload):
    key: str
    value: str
    description: str | None
    category: str
    updated_by: str | None
    updated_at: int | None
    is_default: bool
    version: int | UnsetType = UNSET


class SettingListPayload(Payload):
    settings: list[SettingPayload]
    grouped: dict[str, list[SettingPayload]]


class SettingsChangedPayload(Payload):
    updated: list[str]
    count: int


class SettingResetPayload(Payload):
    reset: str
    default_value: str | None


async def list_settings(request: Request) -> Response:
    """
    List all settings, with the defaults of those that are not set.
    """
    stored = {row.key: row for row in await settings_of(ports_of(request), principal_of(request))}
    shown = [setting_payload(key, stored.pop(key, None)) for key in KNOWN_SETTINGS]
    shown += [setting_payload(key, stored[key]) for key in sorted(stored)]
    grouped = defaultdict(list)
    for each in shown:
        grouped[each.category].append(each)
    return json_response(SettingListPayload(settings=shown, grouped=grouped))


def setting_payload(key: str, row: Setting | None) -> SettingPayload:
    """
    Return a setting's payload. *row* is None if the setting is not set.
    """
    known = KNOWN_SETTINGS.get(key, CUSTOM_SETTING)
    shown = SettingPayload(
        key=key, value=known.default, description=known.description, category=known.category, updated_by=None,
        updated_at=None, is_default=row is None,
    )  # fmt: skip
    if row is not None:
        shown.value, shown.updated_by, shown.version = row.value, row.updated_by, row.version
        shown.updated_at = seconds_of(row.updated_at)
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

    updated = await perform_once(request, change_settings, ChangeSettings(values=body.settings), again)
    return json_response(SettingsChangedPayload(updated=list(updated), count=len(updated)))


async def set_back(request: Request) -> Response:
    """
    Reset a setting to its default.
    """
    body = await required_object_of(request)
    key = body.get("key")
    if not isinstance(key, str) or not key:
        raise InvalidRequest("key parameter required")
    await reset_setting(
        ports_of(request), principal_of(request), ResetSetting(key=key, expects=expected_version_of(request))
    )
    known = KNOWN_SETTINGS.get(key)
    return json_response(SettingResetPayload(reset=key, default_value=known.default if known else None))


ENDPOINTS = [
    Endpoint("GET", "/settings", list_settings, gives=SettingListPayload, who=ADMIN, operation_id="fleet_getSettings"),
    Endpoint(
        "PUT", "/settings", update_settings, takes=ChangeSettingsBody, gives=SettingsChangedPayload, who=ADMIN,
        limits=("mutation",), operation_id="fleet_updateSettings",
    ),
    Endpoint(
        "POST", "/settings", update_settings, takes=ChangeSettingsBody, gives=SettingsChangedPayload, who=ADMIN,
        headers=(IDEMPOTENCY_KEY,), refuses=(KeyReused,), limits=("mutation",), operation_id="fleet_postSettings",
    ),
    Endpoint(
        "DELETE", "/settings", set_back, takes=ResetSettingBody, gives=SettingResetPayload, who=ADMIN,
        headers=(IF_MATCH,), refuses=(SettingNotFound, VersionMismatch), limits=("mutation",),
        operation_id="fleet_resetSetting",
    ),
]  # fmt: skip
