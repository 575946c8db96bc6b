"""
Requests are counted under rate limits, whoever answers them and however.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from uuid import UUID

import pytest
from attrs import evolve, frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from mission_adapters.rate_limits import MemoryRateLimiter
from mission_adapters.testing import ManualClock
from mission_core.accounts.model import AgentPrincipal, MemberPrincipal, Role, SystemPrincipal
from mission_core.ids import AgentId, MemberId, OrganizationId, UserId, UserNumber
from mission_core.rate_limits import Quota
from mission_http.app import MissionApp, create_app
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint, EndpointAccess
from mission_http.platform.json_responses import json_response
from mission_http.platform.openapi import document_of
from mission_http.platform.rate_limits import DEFAULT_QUOTAS, RATE_LIMIT_CLASSES, count_request
from tests.unit.http.platform.sample_app import EVERYWHERE, KEYS, KIND, PLAIN, Answer, SealedBody, ask, health, wire

HERE, THERE = OrganizationId(UUID(int=1)), OrganizationId(UUID(int=2))
ADA, BOB = UUID(int=11), UUID(int=12)


def person(user: UUID, name: str) -> MemberPrincipal:
    """
    A member of the organization.
    """
    ids = {"user": UserId(user), "member": MemberId(user), "number": UserNumber(1)}
    return MemberPrincipal(organization=HERE, name=name, display=name, role=Role.OPERATOR, **ids)


PRINCIPALS = {
    "system": SystemPrincipal(organization=HERE, name="api"),
    "system elsewhere": SystemPrincipal(organization=THERE, name="api"),
    "ada": person(ADA, "ada"),
    "bob": person(BOB, "bob"),
    "agent Ada": AgentPrincipal(organization=HERE, agent=AgentId(ADA), name="Ada"),
    "agent bob": AgentPrincipal(organization=HERE, agent=AgentId(BOB), name="bob"),
}


async def seal(request: Request) -> Response:
    """
    Take a sealed body.
    """
    return json_response({"name": (await body_of(request, SealedBody)).name})


async def change_password(request: Request) -> Response:
    """
    Change a password, if one is sent.
    """
    if "new" in request.query_params:
        await count_request(request, "password-change")
    return json_response({})


async def authenticate(request: Request, access: EndpointAccess) -> object:
    await PLAIN.authenticate(request, access)
    return PRINCIPALS[request.headers.get("as", "system")]


LIMITED = evolve(
    PLAIN,
    limit="general",
    authenticate=authenticate,
    agent_of=lambda request: request.headers.get("x-agent-name"),
    endpoints=[
        *PLAIN.endpoints,
        Endpoint("POST", "/sealings", seal, takes=SealedBody, who=KEYS, limits=("mutation",)),
        Endpoint("POST", "/logins", health, limits=("login",)),
        Endpoint("POST", "/tokens", health, limits=("agent-auth",)),
        Endpoint("POST", "/beats", health, who=KEYS, limits=("agent-heartbeat",)),
        Endpoint("POST", "/users", health, who=KEYS, limits=("identity:users",)),
        Endpoint("POST", "/keys", health, who=KEYS, limits=("identity:api-key",)),
        Endpoint("PATCH", "/me", change_password, who=KEYS, limits_within=("password-change",)),
        Endpoint("POST", "/both", health, who=KEYS, limits=("mutation", "heavy")),
    ],
)


@frozen
class Limited:
    """
    The sample dialects, of which one is limited, and the clock that windows end by.
    """

    app: MissionApp
    clock: ManualClock

    async def ask(self, path: str, method: str = "POST", body: bytes = b"", **more: str) -> Answer:
        return await ask(self.app, method, f"/api{path}", body, **more)

    async def statuses(self, path: str, count: int, **more: str) -> list[int]:
        return [(await self.ask(path, **more)).status for _ in range(count)]


@asynccontextmanager
async def limited_to(quotas: Mapping[str, str]) -> AsyncIterator[Limited]:
    clock = ManualClock()
    limiter = MemoryRateLimiter(clock)
    parsed = {name: tuple(map(int, told.split("/"))) for name, told in quotas.items()}
    made = {
        name: evolve(DEFAULT_QUOTAS[name], amount=amount, seconds=seconds) for name, (amount, seconds) in parsed.items()
    }
    app = create_app(wire, (KIND, LIMITED), limiter=lambda: nullcontext(limiter), quotas=made)
    with TestClient(app):
        yield Limited(app, clock)


def told(answer: Answer) -> tuple[int, int]:
    """
    The limit, and how much is left of it.
    """
    return int(answer.headers["x-ratelimit-limit"]), int(answer.headers["x-ratelimit-remaining"])


@pytest.mark.parametrize(("method", "path"), [*EVERYWHERE, ("HEAD", "/api/things"), ("GET", "/api/nowhere")])
@pytest.mark.parametrize("key", ["sesame", "wrong", None])
async def test_every_response_of_a_limited_dialect_tells_what_is_left(method: str, path: str, key: str | None) -> None:
    """
    Also refusals, and what nobody foresaw; no response of another dialect does.
    """
    async with limited_to({"general": "100/60"}) as limited:
        answer = await ask(limited.app, method, path, key=key)

    if path.startswith("/api/") and not path.startswith("/api/v1/"):
        assert (100, 99) == told(answer)
        assert str(int(limited.clock.now().timestamp()) + 60) == answer.headers["x-ratelimit-reset"]
    else:
        assert not [name for name in answer.headers if "ratelimit" in name]


async def test_when_it_is_used_up_all_is_refused_until_the_window_ends() -> None:
    """
    Whatever is asked for, and with the time to come back.
    """
    async with limited_to({"general": "2/60"}) as limited:
        await limited.statuses("/things/special", 2, method="GET")
        limited.clock.advance(seconds=12.5)
        answers = [
            await limited.ask(path, method, key=key)
            for method, path, key in (
                ("GET", "/things/special", "sesame"), ("GET", "/nowhere", "sesame"), ("DELETE", "/things", None)
            )
        ]  # fmt: skip
        limited.clock.advance(seconds=47.5)
        after = await limited.ask("/things/special", "GET")

    assert {(429, "48")} == {(each.status, each.headers["retry-after"]) for each in answers}
    assert {(2, 0)} == {told(each) for each in answers}
    assert {"error": "too many requests; try again in 48 seconds"} == answers[0].json
    assert (200, (2, 1)) == (after.status, told(after))


async def test_of_many_requests_at_once_no_more_are_answered() -> None:
    """
    However they are interleaved.
    """
    async with limited_to({"general": "30/60"}) as limited:
        answers = await asyncio.gather(*(limited.ask("/things", "GET") for _ in range(200)))

    assert 30 == sum(each.status == 200 for each in answers)


async def test_a_class_is_asked_after_the_caller_is_known_and_before_the_body_is_read() -> None:
    """
    So a stranger uses nothing up, and a garbled body does.
    """
    async with limited_to({"mutation": "2/60"}) as limited:
        strangers = await limited.statuses("/sealings", 5, key="wrong")
        garbled = await limited.statuses("/sealings", 3, body=b"{")

    assert [401] * 5 == strangers
    assert [400, 400, 429] == garbled


async def test_a_class_of_a_public_operation_is_asked_first() -> None:
    """
    There is nobody to know before.
    """
    async with limited_to({"login": "2/60"}) as limited:
        assert [200, 200, 429] == await limited.statuses("/logins", 3)


async def test_the_tightest_limit_is_told() -> None:
    """
    That which leaves least, and the one that refuses.
    """
    async with limited_to({"general": "100/60", "mutation": "3/60", "heavy": "2/30"}) as limited:
        answers = [await limited.ask("/both") for _ in range(3)]

    assert [(200, (2, 1)), (200, (2, 0)), (429, (2, 0))] == [(each.status, told(each)) for each in answers]
    assert "30" == answers[-1].headers["retry-after"]


async def test_a_window_that_slides_tells_only_what_it_refuses() -> None:
    """
    Before that, another limit is told, though it leaves more.
    """
    async with limited_to({"general": "100/60", "agent-auth": "2/60"}) as limited:
        answers = [await limited.ask("/tokens") for _ in range(3)]

    assert [(200, (100, 99)), (200, (100, 98)), (429, (2, 0))] == [(each.status, told(each)) for each in answers]


async def test_a_handler_may_count_by_itself() -> None:
    """
    Only those requests that it means.
    """
    async with limited_to({"password-change": "2/60"}) as limited:
        others = await limited.statuses("/me", 5, method="PATCH")
        changes = await limited.statuses("/me?new=1", 3, method="PATCH")

    assert ([200] * 5, [200, 200, 429]) == (others, changes)


async def test_parts_of_a_class_are_counted_apart() -> None:
    """
    Where operations say so.
    """
    async with limited_to({"identity": "2/60"}) as limited:
        assert [200, 200, 429] == await limited.statuses("/users", 3)
        assert [200, 200, 429] == await limited.statuses("/keys", 3)


async def used_by_each(path: str, quota: str, sent: list[dict[str, str]]) -> list[int]:
    """
    How many requests of a class were counted before each of these, together with it.
    """
    async with limited_to({quota: "100/60"}) as limited:
        return [99 - told(await limited.ask(path, **each))[1] for each in sent]


async def test_requests_of_one_address_count_together() -> None:
    """
    Whoever they are of.
    """
    sent = [{}, {"peer": "10.0.0.2"}, {"as": "ada"}, {"x_agent_name": "Ada"}, {"peer": "10.0.0.2"}]

    assert [0, 0, 1, 2, 1] == await used_by_each("/sealings", "mutation", sent)


async def test_requests_of_one_ipv6_network_count_together() -> None:
    """
    Whoever has one address of it has them all; another /64 is somebody else's.
    """
    peers = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:0:1::", "2001:db8:0:1::1", "::ffff:10.0.0.2", "10.0.0.2"]

    assert [0, 1, 2, 0, 0, 1] == await used_by_each("/sealings", "mutation", [{"peer": peer} for peer in peers])


async def test_requests_of_one_caller_count_together() -> None:
    """
    Wherever they come from, and not with those of another organization.
    """
    sent = [
        {"as": "ada"}, {"as": "bob"}, {"as": "ada", "peer": "10.0.0.2"}, {"as": "agent Ada"}, {"as": "system"},
        {"as": "system elsewhere"}, {"as": "system", "x_agent_name": "Ada"},
    ]  # fmt: skip

    assert [0, 0, 1, 0, 0, 0, 1] == await used_by_each("/users", "identity", sent)


async def test_requests_of_one_agent_count_together() -> None:
    """
    Of the one that calls; or is named, whatever the case, by one who need not speak for it; else those of one address.
    """
    sent = [
        {"as": "agent Ada"}, {"x_agent_name": "ADA"}, {"as": "agent Ada", "peer": "10.0.0.2"}, {"as": "agent bob"},
        {"x_agent_name": "ada", "peer": "10.0.0.2"}, {"as": "ada", "x_agent_name": "Ada"},
        {"as": "system elsewhere", "x_agent_name": "Ada"}, {}, {"peer": "10.0.0.2"}, {"as": "ada"},
        {"x_agent_name": "x" * 5000}, {"x_agent_name": "x" * 5001},
    ]  # fmt: skip

    assert [0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1] == await used_by_each("/beats", "agent-heartbeat", sent)


async def test_without_a_limiter_nobody_is_held_back() -> None:
    """
    Nor told of a limit.
    """
    app = create_app(wire, (KIND, LIMITED))
    with TestClient(app):
        answers = [await ask(app, "POST", "/api/logins") for _ in range(150)]

    assert {200} == {each.status for each in answers}
    assert "x-ratelimit-limit" not in answers[0].headers


def test_a_class_that_is_none_is_found_at_the_start() -> None:
    """
    Not by the first request.
    """
    misspelled = evolve(PLAIN, endpoints=[Endpoint("GET", "/odd", health, limits=("mutations",))])

    with pytest.raises(ValueError, match="GET /api/odd: unknown rate limit mutations"):
        create_app(wire, [misspelled])


@pytest.mark.parametrize(("path", "name"), [("/logins", "login"), ("/tokens", "agent-auth")])
async def test_whoever_asks_too_often_is_logged_once(path: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """
    In each window, however often they ask, and whether it slides or not.
    """
    caplog.set_level(logging.WARNING, "mission_http")
    async with limited_to({name: "5/60"}) as limited:
        for _ in range(8):
            await limited.statuses(path, 20)
            limited.clock.advance(seconds=15)

    assert 2 == len(caplog.records)
    assert all(f"'{name}'" in each.getMessage() and "127.0.0.1" in each.getMessage() for each in caplog.records)


def test_the_document_tells_every_limit_and_its_refusal() -> None:
    """
    Those of the dialect, of the operation, and of its handler.
    """
    paths = document_of((KIND, LIMITED))["paths"]
    operation = paths["/api/me"]["patch"]

    assert [
        {"class": "general", "limit": 100, "seconds": 60, "per": "address"},
        {"class": "password-change", "limit": 5, "seconds": 60, "per": "caller"},
    ] == operation["x-ratelimit"]
    assert {
        "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"
    } == operation["responses"]["429"]["headers"].keys()  # fmt: skip
    assert "429" not in paths["/api/v1/things"]["get"]["responses"]


def test_the_document_tells_which_windows_slide() -> None:
    """
    Of the others nothing is said.
    """
    operation = document_of((LIMITED,))["paths"]["/api/tokens"]["post"]

    assert [
        {"class": "general", "limit": 100, "seconds": 60, "per": "address"},
        {"class": "agent-auth", "limit": 20, "seconds": 60, "per": "address", "sliding": True},
    ] == operation["x-ratelimit"]


def test_the_document_tells_the_limits_in_force() -> None:
    """
    And no refusal where there is none.
    """
    quotas = {"login": Quota(name="login", amount=7, seconds=30)}
    paths = document_of((LIMITED,), None, quotas)["paths"]
    operation = paths["/api/logins"]["post"]

    assert [{"class": "login", "limit": 7, "seconds": 30, "per": "address"}] == operation["x-ratelimit"]
    assert "429" in operation["responses"]
    assert "429" not in paths["/api/me"]["patch"]["responses"]


def test_every_class_is_in_the_table_under_its_own_name() -> None:
    """
    Or else its variable would set another.
    """
    assert {name: name for name in RATE_LIMIT_CLASSES} == {name: quota.name for name, quota in DEFAULT_QUOTAS.items()}
