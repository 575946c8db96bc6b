"""
Which rate limits hold for whom, and how each dialect refuses.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from attrs import frozen
from starlette.requests import Request

from mission_adapters.memory import memory_ports
from mission_adapters.rate_limits import MemoryRateLimiter
from mission_adapters.testing import ManualClock
from mission_core.rate_limits import Quota, RateLimitDecision
from mission_http.boards.access import AGENT, MIXED, USER
from mission_http.fleet.errors import render_error
from mission_http.platform.endpoints import Dialect, Endpoint
from mission_http.platform.errors import TooManyRequests
from mission_http.platform.exchange import SCOPE_KEY, Exchange
from mission_http.platform.rate_limits import DEFAULT_QUOTAS, RATE_LIMIT_CLASSES, rate_limit_classes_of
from mission_http.rate_limit_settings import RateLimitSettings
from tests.contract.boards_driver import TOKEN
from tests.contract.browser import WRONG, Browser, make_person
from tests.contract.conftest import make_world
from tests.contract.fleet_driver import FleetDriver
from tests.contract.populated_app import OPERATIONS, UNKNOWN_ID, PopulatedApp, operation_id, populated_app
from tests.unit.http.platform.sample_app import Answer, ask

Operation = tuple[Dialect, Endpoint]

LIMITED = {
    "mutation": (
        "POST /api/agents", "PUT /api/agents", "POST /api/agents/message", "POST /api/agents/evals",
        "POST /api/tasks", "PUT /api/tasks", "PUT /api/tasks/{id}", "DELETE /api/tasks/{id}",
        "POST /api/tasks/{id}/comments", "POST /api/tasks/{id}/branch", "POST /api/quality-review",
        "PUT /api/notifications", "DELETE /api/notifications", "POST /api/notifications",
        "POST /api/webhooks", "PUT /api/webhooks", "DELETE /api/webhooks",
        "POST /api/alerts", "PUT /api/alerts", "DELETE /api/alerts",
        "POST /api/workflows", "PUT /api/workflows", "DELETE /api/workflows", "POST /api/pipelines",
        "POST /api/projects", "PATCH /api/projects/{id}", "DELETE /api/projects/{id}",
        "POST /api/projects/{id}/agents", "DELETE /api/projects/{id}/agents",
        "PUT /api/settings", "POST /api/settings", "DELETE /api/settings",
        "POST /api/sessions", "DELETE /api/sessions", "POST /api/sessions/{id}/control",
        "POST /api/memory", "DELETE /api/memory", "POST /api/memory/search", "POST /api/memory/process",
        "POST /api/logs", "POST /api/integrations", "POST /api/github",
    ),
    "read": (
        "GET /api/agents/evals", "GET /api/agents/optimize", "GET /api/tasks/regression", "GET /api/docs/tree",
        "GET /api/docs/search", "GET /api/docs/content", "GET /api/security-audit", "GET /api/memory",
        "GET /api/memory/search", "GET /api/memory/links", "GET /api/memory/health", "GET /api/memory/context",
        "GET /api/memory/graph", "GET /api/logs",
    ),
    "heavy": (
        "GET /api/search", "GET /api/export", "POST /api/cleanup", "GET /api/skills/registry",
        "POST /api/skills/registry", "POST /api/spawn", "GET /api/spawn",
    ),
    "login": ("POST /api/auth/login", "POST /api/auth/google", "GET /api/auth/google"),
    "self-register": ("POST /api/agents/register",),
    "agent-heartbeat": ("POST /api/agents/{id}/heartbeat", "POST /api/adapters"),
    "agent-task": ("GET /api/tasks/queue",),
    "password-change": ("PATCH /api/auth/me",),
    "identity": (
        "POST /api/auth/users", "PUT /api/auth/users", "DELETE /api/auth/users", "POST /api/auth/access-requests",
        "POST /api/tokens/rotate",
    ),
    "exec-approval": ("PUT /api/exec-approvals", "POST /api/exec-approvals"),
    "backup": ("POST /api/backup", "DELETE /api/backup"),
    "security-fix": ("POST /api/security-scan/fix",),
    "gateway-control": ("POST /api/gateways/control",),
    "gateway-config": ("PUT /api/gateway-config", "POST /api/gateway-config"),
    "runtime-setup": ("POST /api/hermes",),
    "skill": ("POST /api/skills", "PUT /api/skills", "DELETE /api/skills"),
    "os-user": ("POST /api/super/os-users",),
    "host-package": ("POST /api/pty/setup",),
    "release-update": ("POST /api/releases/update",),
    "openclaw-maintenance": ("POST /api/openclaw/doctor", "POST /api/openclaw/update"),
    "webhook-ingest": ("POST /api/v1/boards/{board_id}/webhooks/{webhook_id}",),
}  # fmt: skip
"""The operations of each class but the general one and that of agents' authentication, served or not yet."""
STRICTER = {operation: name for name, operations in LIMITED.items() for operation in operations}
TEXTS = {
    "general": "Too many requests. Please try again later.",
    "login": "Too many login attempts. Try again in a minute.",
    "mutation": "Too many requests. Please try again later.",
    "read": "Too many requests. Please try again later.",
    "heavy": "Too many requests for this resource. Please try again later.",
    "self-register": "Too many registration attempts. Please try again later.",
    "agent-heartbeat": "Agent heartbeat rate limit exceeded.",
    "agent-task": "Agent task polling rate limit exceeded.",
    "password-change": "Too many password change attempts. Try again in a minute.",
    "identity": "Too many identity or credential changes. Try again in a minute.",
    "exec-approval": "Too many execution approval changes. Try again in a minute.",
    "backup": "Too many backup changes. Try again in a minute.",
    "security-fix": "Too many security fix attempts. Try again in a minute.",
    "gateway-control": "Too many gateway control attempts. Try again in a minute.",
    "gateway-config": "Too many gateway configuration changes. Try again in a minute.",
    "runtime-setup": "Too many runtime setup changes. Try again in a minute.",
    "skill": "Too many skill changes. Try again in a minute.",
    "os-user": "Too many OS user provisioning attempts. Try again later.",
    "host-package": "Too many host package installation attempts. Try again later.",
    "release-update": "Too many release update attempts. Try again later.",
    "openclaw-maintenance": "Too many OpenClaw maintenance attempts. Try again later.",
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=operation_id)
def test_every_operation_is_counted_under_the_classes_it_should_be(operation: Operation) -> None:
    """
    All of the Fleet under the general one and perhaps one more; in the Boards API whatever agents may call; all of the
    receiver of OpenTelemetry under its own.
    """
    dialect, endpoint = operation
    stricter = [STRICTER[operation_id(operation)]] if operation_id(operation) in STRICTER else []
    for_agents = ["agent-auth"] if endpoint.who.name != "user" else []
    common = {"Fleet": ["general"], "OpenTelemetry": ["otlp"]}.get(dialect.name, for_agents)
    if endpoint.who.public and dialect.name != "Fleet":
        common = []

    assert common + stricter == rate_limit_classes_of(dialect, endpoint)


def test_what_agents_may_call_is_what_is_counted_as_their_authentication() -> None:
    """
    And nothing that is for people alone.
    """
    assert (("agent-auth",), ("agent-auth",), ()) == (AGENT.limits, MIXED.limits, USER.limits)


@pytest.mark.parametrize("name", TEXTS)
def test_the_fleet_says_which_limit_is_used_up_and_when_to_come_back(name: str) -> None:
    """
    In the words of the class.
    """
    now = ManualClock().now()
    verdict = RateLimitDecision(
        DEFAULT_QUOTAS[name], DEFAULT_QUOTAS[name].amount + 1, now, now + timedelta(seconds=41.2)
    )
    request = Request({"type": "http", SCOPE_KEY: Exchange(request_id="1", path="/api/tasks")})
    body: Any = bytes(render_error(TooManyRequests(verdict), 429, request).body)

    assert Answer(429, [], body).json == {
        "error": TEXTS[name], "details": ["try again in 42 seconds"], "code": "too_many_requests"
    }  # fmt: skip


def test_every_class_but_those_of_the_boards_has_words_in_the_fleet() -> None:
    """
    Each its own, or those for any.
    """
    assert RATE_LIMIT_CLASSES.keys() - {"agent-auth", "otlp", "webhook-ingest"} == TEXTS.keys()


@frozen
class Refusing:
    """
    A limiter that lets nobody pass.
    """

    clock: ManualClock

    async def hit(self, quota: Quota, *who: str) -> RateLimitDecision:
        now = self.clock.now()
        return RateLimitDecision(quota, quota.amount + 1, now, now + timedelta(seconds=quota.seconds))


@pytest.fixture
async def everything() -> AsyncIterator[PopulatedApp]:
    """
    Both dialects, where requests are counted from now on. The store has no part in it, so it is in memory.
    """
    clock = ManualClock()
    async with populated_app(await make_world(memory_ports(clock=clock))) as made:
        made.app.limits.limiter = MemoryRateLimiter(clock)
        yield made


async def test_every_refusal_is_documented_and_changes_nothing(everything: PopulatedApp) -> None:
    """
    By whichever limit of an operation.
    """
    everything.app.limits.limiter = Refusing(everything.world.clock)
    before = await everything.head()
    for operation in OPERATIONS:
        dialect, endpoint = operation
        for name in {*rate_limit_classes_of(dialect, endpoint)} - {"password-change"}:
            everything.app.limits.quotas = {name: DEFAULT_QUOTAS[name]}
            as_agent = {"x-agent-token": everything.lead} if dialect.name != "Fleet" else {}
            answer = await everything.call(operation, raw=b"{}" if endpoint.takes else b"", **as_agent)

            assert (429, str(DEFAULT_QUOTAS[name].seconds)) == (answer.status, answer.headers["retry-after"]), (
                operation_id(operation)
            )
    assert before == await everything.head()


async def ask_as(everything: PopulatedApp, path: str, method: str = "GET", **headers: str) -> Answer:
    return await ask(everything.app, method, path, key=None, **headers)


async def test_the_fleet_has_a_hundred_requests_a_minute_for_an_address(everything: PopulatedApp) -> None:
    """
    Of any kind, also such as are refused anyway; other addresses have their own, and the next minute is another.
    """
    statuses = [(await ask_as(everything, path)).status for path in ("/api/tasks", "/api/nothing") for _ in range(50)]
    over = await everything.call(_operation("GET /api/tasks"))
    elsewhere = await ask_as(everything, "/api/health", peer="10.0.0.2")
    everything.world.clock.advance(seconds=60)
    later = await ask_as(everything, "/api/health")

    assert 429 not in statuses
    assert (429, "60", "0") == (over.status, over.headers["retry-after"], over.headers["x-ratelimit-remaining"])
    assert [(200, "99")] * 2 == [(each.status, each.headers["x-ratelimit-remaining"]) for each in (elsewhere, later)]


async def test_heartbeats_are_counted_for_each_agent(everything: PopulatedApp) -> None:
    """
    However many there are behind one address.
    """
    everything.app.limits.quotas = {"agent-heartbeat": DEFAULT_QUOTAS["agent-heartbeat"]}
    beat = _operation("POST /api/agents/{id}/heartbeat")
    ada = [await everything.call(beat, **{"x-agent-name": "ada"}) for _ in range(31)]
    bob = await everything.call(beat, **{"x-agent-name": "bob"})

    assert [200] * 30 + [429] == [each.status for each in ada]
    told = {"details": ["try again in 60 seconds"], "code": "too_many_requests"}
    assert {"error": "Agent heartbeat rate limit exceeded.", **told} == ada[-1].json
    assert (200, "29") == (bob.status, bob.headers["x-ratelimit-remaining"])


@pytest.fixture
async def browser(everything: PopulatedApp) -> tuple[Browser, str]:
    """
    The browser of a person, and the name they sign in with.
    """
    world = everything.world
    fleet = FleetDriver(everything.app, world.ports, int(world.board.number))
    return Browser(fleet), (await make_person(world)).username


async def test_nobody_uses_up_what_an_agent_has(everything: PopulatedApp, browser: tuple[Browser, str]) -> None:
    """
    Whoever names it is counted for themselves, and each apart from the others.
    """
    everything.app.limits.quotas = {name: DEFAULT_QUOTAS[name] for name in ("agent-heartbeat", "agent-task")}
    page, username = browser
    await page.log_in(username)
    queue, beat = _operation("GET /api/tasks/queue"), _operation("POST /api/agents/{id}/heartbeat")
    theirs = [
        await page.call(operation[1].method, everything.path(operation).removeprefix("/api"), x_agent_name="LEA")
        for operation in [queue] * 21 + [beat] * 31
    ]
    operators = [await everything.call(operation, x_agent_name="lea") for operation in (queue, beat)]
    its_own = [
        await ask_as(everything, everything.path(operation), operation[1].method, x_api_key=everything.lead)
        for operation in (queue, beat)
    ]

    assert [20, 51] == [n for n, each in enumerate(theirs) if each.status == 429]
    for some in (operators, its_own):
        assert [(200, "19"), (200, "29")] == [(each.status, each.headers["x-ratelimit-remaining"]) for each in some]


async def test_passwords_are_tried_five_times_a_minute(everything: PopulatedApp, browser: tuple[Browser, str]) -> None:
    """
    Right or wrong, for whichever name; also when other limits are lifted.
    """
    everything.app.limits.quotas = RateLimitSettings.of({"MC_DISABLE_RATE_LIMIT": "1"}).quotas
    page, username = browser
    tries = [await page.log_in(who, WRONG) for who in (username, "nobody", username, "somebody")]
    right, late = await page.log_in(username), await page.log_in(username)

    assert [401] * 4 + [200, 429] == [each.status for each in (*tries, right, late)]
    assert "Too many login attempts. Try again in a minute." == late.json["error"]


async def test_passwords_are_changed_five_times_a_minute(
    everything: PopulatedApp, browser: tuple[Browser, str]
) -> None:
    """
    A wrong one, or one too short, is a try, too; another name is none.
    """
    page, username = browser
    await page.log_in(username)
    named = [await page.call("PATCH", "/auth/me", {"display_name": f"Ada {n}"}) for n in range(7)]
    wrong = {"current_password": WRONG, "new_password": "correct-horse-battery"}
    changes = [await page.call("PATCH", "/auth/me", wrong | more) for more in [{}, {"new_password": "x"}] * 3]

    assert {200} == {each.status for each in named}
    assert [403, 400, 403, 400, 403, 429] == [each.status for each in changes]
    assert "Too many password change attempts. Try again in a minute." == changes[-1].json["error"]


@pytest.mark.parametrize("token", ["its own", "another", None])
async def test_an_agent_is_authenticated_twenty_times_a_minute(everything: PopulatedApp, token: str | None) -> None:
    """
    Each request counts once, whatever it does, and whether the token is good, bad or missing.
    """
    known = {"its own": {"x_agent_token": everything.lead}, "another": {"authorization": "Bearer x"}}
    sent = known[token] if token else {}
    tasks = f"/api/v1/agent/boards/{everything.world.board.id}/tasks"
    paths = ["/api/v1/agent/healthz", tasks, f"{tasks}/{everything.known['task_id']}/comments", "/api/v1/agent/boards"]
    answers = [await ask_as(everything, paths[n % 4], **sent) for n in range(21)]

    assert [200 if token == "its own" else 401] * 20 + [429] == [each.status for each in answers]
    told = {"request_id": answers[-1].headers["x-request-id"], "hint": "try again in 60 seconds"}
    told["code"] = "too_many_requests"
    assert {"detail": "Too Many Requests", **told} == answers[-1].json
    assert "60" == answers[-1].headers["retry-after"]


async def test_an_agent_has_twenty_requests_in_any_minute(everything: PopulatedApp) -> None:
    """
    Wherever it begins, and however often it is refused. Nothing is told of what is left.
    """

    async def answers(count: int) -> list[Answer]:
        return [await ask_as(everything, "/api/v1/agent/healthz", x_agent_token=everything.lead) for _ in range(count)]

    found = []
    for wait, count in [(0, 10), (50, 15), (10, 15), (30, 25), (20, 15), (10, 15)]:
        everything.world.clock.advance(seconds=wait)
        found.append(await answers(count))

    assert [10, 10, 10, 0, 10, 10] == [sum(each.status == 200 for each in some) for some in found]
    assert ["10", "50", "20", "10", "50"] == [some[-1].headers["retry-after"] for some in found[1:]]
    assert not [name for some in found for each in some for name in each.headers if "ratelimit" in name]


def test_the_limits_of_the_boards_slide() -> None:
    """
    And those of the Fleet do not.
    """
    assert {"agent-auth", "webhook-ingest"} == {name for name, quota in DEFAULT_QUOTAS.items() if quota.sliding}


async def test_a_person_is_never_counted_as_an_agent(everything: PopulatedApp) -> None:
    """
    Neither where agents may call, too, nor elsewhere; nor is who brings nothing at all.
    """
    board = f"/api/v1/boards/{everything.world.board.id}"
    paths = [board, f"{board}/tasks", f"{board}/snapshot"]
    known = {(await ask_as(everything, path, authorization=f"Bearer {TOKEN}")).status for path in paths * 15}
    unknown = {(await ask_as(everything, path)).status for path in paths * 15}

    assert ({200}, {401}) == (known, unknown)
    assert 200 == (await ask_as(everything, "/api/v1/agent/healthz", x_agent_token=everything.lead)).status


async def test_where_both_may_call_whoever_is_no_person_is_counted(everything: PopulatedApp) -> None:
    """
    A token that is nobody's becomes a request too many, like that of an agent.
    """
    path = f"/api/v1/boards/{everything.world.board.id}/tasks"
    tries = [{"authorization": "Bearer x"}, {"x_agent_token": "x"}, {"authorization": f"Bearer {everything.lead}"}]
    answers = [await ask_as(everything, path, **tries[n % 3]) for n in range(24)]

    assert [401, 401, 200] * 6 + [401, 401] + [429] * 4 == [each.status for each in answers]
    assert 200 == (await ask_as(everything, path, authorization=f"Bearer {TOKEN}")).status


async def test_what_is_sent_to_webhooks_is_counted_for_each_address(everything: PopulatedApp) -> None:
    """
    Whichever webhook it is for, for whoever sends has no credential.
    """
    ingest = _operation("POST /api/v1/boards/{board_id}/webhooks/{webhook_id}")
    paths = [everything.path(ingest), everything.path(ingest, webhook_id=UNKNOWN_ID)]
    answers = [await everything.call(ingest, path=paths[n % 2], raw=b"{}") for n in range(61)]
    elsewhere = await ask_as(everything, paths[0], "POST", peer="10.0.0.2")

    assert [202, 404] * 30 + [429] == [each.status for each in answers]
    assert (202, "60") == (elsewhere.status, answers[-1].headers["retry-after"])


async def test_malformed_json_is_refused_before_an_agent_is_counted(everything: PopulatedApp) -> None:
    """
    As all of this dialect is.
    """
    path = f"/api/v1/agent/boards/{everything.world.board.id}/tasks"
    json = {"content_type": "application/json", "x_agent_token": everything.lead}
    answers = [await ask(everything.app, "POST", path, b"{", key=None, **json) for _ in range(25)]

    assert {422} == {each.status for each in answers}


def _operation(name: str) -> Operation:
    (found,) = [each for each in OPERATIONS if operation_id(each) == name]
    return found
