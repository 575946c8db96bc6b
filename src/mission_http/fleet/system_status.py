"""
Operations for health, system status and the OpenAPI document.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from attrs import field
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.errors import StoreFailed
from mission_core.lazy_attrs import frozen
from mission_core.values import micros
from mission_http.distribution import distribution_version
from mission_http.fleet import system_info
from mission_http.fleet.access import STATUS_VIEWER
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.model_catalog import MODELS
from mission_http.fleet.system_info import MIB, ResourceUsage
from mission_http.fleet.wire import iso_of
from mission_http.platform.endpoints import PUBLIC, Endpoint
from mission_http.platform.error_codes import ErrorCode
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Query
from mission_http.platform.json_responses import json_response
from mission_http.platform.openapi_endpoints import own_document
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Payload

if TYPE_CHECKING:
    from mission_core.ports import Ports
    from mission_core.reports.overview import OrganizationOverview
    from mission_http.settings import ProviderSubscription, Settings

HealthCheck = dict[str, Any]

SLOW_SECONDS: Final = 1.0
PROCESS_MEMORY_LIMITS: Final = (400 * MIB, 800 * MIB)
USAGE_PERCENT_LIMITS: Final = (90, 95)
NO_GATEWAY: Final = {
    "running": False,
    "port": 0,
    "pid": None,
    "uptime": 0,
    "version": "unknown",
    "connections": 0,
    "port_listening": False,
}


class StatusQuery(Query):
    action: str = "overview"


class HealthPayload(Payload):
    status: Literal["ok", "degraded"]
    db: Literal["ok", "error"]
    ts: str
    code: ErrorCode | UnsetType = UNSET


async def health(request: Request) -> Response:
    """
    Check whether the database answers.
    """
    ports = ports_of(request)
    answer = HealthPayload(status="ok", db="ok", ts=iso_of(ports.clock.now()))
    if await _database_answers(ports):
        return json_response(answer)
    answer.status, answer.db, answer.code = "degraded", "error", cast(ErrorCode, StoreFailed.code)
    return json_response(answer, 503)


async def _database_answers(ports: Ports) -> bool:
    try:
        await ports.reads.ready()
    except Exception:  # any error of the store means that it does not answer
        return False
    return True


async def document(request: Request) -> Response:
    """
    Get the OpenAPI 3.1 document of the Fleet API.
    """
    response = await own_document(request)
    response.headers["cache-control"] = "public, max-age=3600"
    return response


@frozen
class StatusHandlers:
    """
    Handlers of the actions of `/api/status`.
    """

    data_dir: Path
    subscriptions: Mapping[str, ProviderSubscription] = field(factory=dict)
    started: float = field(factory=time.monotonic)

    async def status(self, request: Request) -> Response:
        """
        Get the status of the server.

        `action=health` is public. Actions about gateways and host tools report that there are none.
        """
        actions: Mapping[str, Callable[[Request], Awaitable[dict[str, Any]]]] = {
            "health": self._health,
            "overview": self._overview,
            "dashboard": self._dashboard,
            "gateway": self._gateway,
            "models": self._models,
            "capabilities": self._capabilities,
        }
        action = actions.get(query_of(request, StatusQuery).action or "overview")
        if action is None:
            raise InvalidRequest("Invalid action")
        return json_response(await action(request))

    async def _health(self, request: Request) -> dict[str, Any]:
        ports = ports_of(request)
        database, slow = await _database_check(ports)
        checks = [
            database,
            _process_memory_check(system_info.resident_memory()),
            _check("Gateway", "unhealthy", "No gateway is configured"),
            _usage_check("Disk Space", system_info.disk_usage(self.data_dir)),
            _usage_check("Memory Usage", system_info.memory_usage()),
        ]
        return {
            "status": _overall_status({check["status"] for check in checks}, slow=slow),
            "version": distribution_version(),
            "uptime": time.monotonic() - self.started,
            "checks": checks,
            "timestamp": _milliseconds(ports),
        }

    async def _overview(self, request: Request) -> dict[str, Any]:
        memory, disk = system_info.memory_usage(), system_info.disk_usage(self.data_dir)
        return {
            "timestamp": _milliseconds(ports_of(request)),
            "uptime": system_info.uptime_milliseconds(),
            "memory": {
                "total": memory.total // MIB,
                "used": memory.used // MIB,
                "available": memory.available // MIB,
            },
            "disk": {
                "total": _gigabytes(disk.total),
                "used": _gigabytes(disk.used),
                "available": _gigabytes(disk.available),
                "usage": f"{disk.percent}%",
            },
            "sessions": {"total": 0, "active": 0},
            "processes": [],
        }

    async def _dashboard(self, request: Request) -> dict[str, Any]:
        from mission_core.reports.overview import organization_overview  # health checks do without it

        found = await organization_overview(ports_of(request), principal_of(request))
        tokens = await _tokens_of_spans(request)
        return await self._overview(request) | {"db": _record_counts(found) | {"tokens": tokens}}

    async def _gateway(self, request: Request) -> dict[str, Any]:
        return NO_GATEWAY

    async def _models(self, request: Request) -> dict[str, Any]:
        return {"models": [model.payload() for model in MODELS]}

    async def _capabilities(self, request: Request) -> dict[str, Any]:
        plans = [
            {"provider": provider, "type": plan.kind, "source": plan.variable}
            for provider, plan in self.subscriptions.items()
        ]
        return {
            "gateway": False,
            "openclawHome": False,
            "claudeHome": False,
            "claudeSessions": 0,
            "hermesInstalled": False,
            "hermesSessions": 0,
            "subscription": {"type": plans[0]["type"], "provider": plans[0]["provider"]} if plans else None,
            "subscriptions": {plan["provider"]: plan for plan in plans},
            "processUser": system_info.process_user(),
            "interfaceMode": "full",
            "dashboardRegistration": None,
            "isDocker": system_info.in_container(),
        }


def _record_counts(found: OrganizationOverview) -> dict[str, Any]:
    """
    Return the counts of stored records. Logins, notifications, pipelines, backups and webhooks are not counted yet.
    """
    return {
        "tasks": {"total": sum(found.tasks.values()), "byStatus": found.tasks},
        "agents": {"total": sum(found.agents.values()), "byStatus": found.agents},
        "audit": {"day": found.audited_today, "week": found.audited_this_week, "loginFailures": 0},
        "activities": {"day": found.happened_today},
        "notifications": {"unread": 0},
        "pipelines": {"active": 0, "recentDay": 0},
        "backup": None,
        "dbSizeBytes": found.size,
        "webhookCount": 0,
    }


async def _tokens_of_spans(request: Request) -> dict[str, Any]:
    """
    Read the sums over the token ledger of today and of the last seven days, in UTC, that the caller may see.
    """
    from mission_core.usage.queries import slot_of, sum_of, window_of_last  # health checks do without it
    from mission_http.fleet.token_payloads import sums_payload

    ports = ports_of(request)
    now = ports.clock.now()
    week, today = window_of_last(timedelta(days=7), now=now), slot_of(now, hours=24)
    sums = await ports.reads.usage.sums(principal_of(request), week, ("slot",))
    return {
        "today": sums_payload(sum_of([each for each in sums if each.key[0] == today])),
        "week": sums_payload(sum_of(sums)),
    }


async def _database_check(ports: Ports) -> tuple[HealthCheck, bool]:
    """
    Check the database, and whether it was slow to answer.
    """
    asked = time.monotonic()
    if not await _database_answers(ports):
        return _check("Database", "unhealthy", "The database does not answer"), False
    took = time.monotonic() - asked
    if took > SLOW_SECONDS:
        return _check("Database", "warning", f"The database took {took:.1f} s to answer"), True
    return _check("Database", "healthy", "The database answers"), False


def _process_memory_check(resident: int) -> HealthCheck:
    held = resident // MIB
    message = f"The process holds {held} MB"
    return _check(
        "Process Memory", _grade(resident, PROCESS_MEMORY_LIMITS), message,
        detail={"rss": held, "heapUsed": held, "heapTotal": held},
    )  # fmt: skip


def _usage_check(name: str, share: ResourceUsage) -> HealthCheck:
    return _check(name, _grade(share.percent, USAGE_PERCENT_LIMITS), f"{share.percent}% used")


def _check(name: str, status: str, message: str, **more: Any) -> HealthCheck:
    return {"name": name, "status": status, "message": message, **more}


def _grade(value: float, limits: tuple[float, float]) -> str:
    warning, critical = limits
    return "critical" if value > critical else "warning" if value > warning else "healthy"


def _overall_status(statuses: set[str], *, slow: bool) -> str:
    """
    Combine the statuses of all checks. A check that is `unhealthy` itself does not count.
    """
    if statuses & {"error", "critical"}:
        return "unhealthy"
    if slow:
        return "degraded"
    return "warning" if "warning" in statuses else "healthy"


def _milliseconds(ports: Ports) -> int:
    return micros(ports.clock.now()) // 1000


def _gigabytes(size: int) -> str:
    return f"{size / 1024 / MIB:.1f}G"


def status_endpoints(settings: Settings) -> list[Endpoint]:
    """
    Return the operations for health, status and the document.
    """
    desk = StatusHandlers(settings.data_dir, settings.subscriptions)
    return [
        Endpoint(
            "GET", "/status", desk.status, query=StatusQuery, gives=dict[str, Any], who=STATUS_VIEWER,
            operation_id="fleet_getSystemStatus", tags=("System",),
        ),
        Endpoint(
            "GET", "/health", health, gives=HealthPayload, also={503: HealthPayload}, who=PUBLIC,
            operation_id="fleet_getHealth", tags=("System",),
        ),
        Endpoint(
            "GET", "/docs", document, gives=dict[str, Any], who=PUBLIC, operation_id="fleet_getOpenApiSpec",
            tags=("Docs",),
        ),
    ]  # fmt: skip
