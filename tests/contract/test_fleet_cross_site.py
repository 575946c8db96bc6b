"""
Pages of other sites cannot make a browser change anything through the Fleet API.
"""

from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from mission_http.network_settings import NetworkSettings
from tests.contract.conftest import World
from tests.contract.fleet_driver import KEY, FleetDriver, fleet_over
from tests.unit.http.platform.sample_app import Answer

pytestmark = pytest.mark.one_store

HOST, ALLOWED, PROXY = "mission.example.com", "https://app.example.com", "10.0.0.1"
FOREIGN = [
    "https://evil.example",
    "null",
    "https://mission.example.com.evil.example",
    "file://",
    "nonsense",
    "https://[",
]
OURS = [
    f"https://{HOST}",
    f"http://{HOST}:8000",
    "https://MISSION.example.com.",
    ALLOWED,
    "https://base.example.com",
    "",
]
SESSIONS = ["mc-session=x", "theme=dark; __Host-mc-session=x"]
CHANGING = ["POST", "PUT", "PATCH", "DELETE"]


@pytest.fixture
async def fronted(world: World) -> AsyncIterator[FleetDriver]:
    fronting = NetworkSettings(
        origins=(ALLOWED,), trusted_proxies=(ip_network(PROXY),), base_url="https://base.example.com"
    )
    async with fleet_over(world.ports, world.me, world.board.number, network=fronting) as fleet:
        yield fleet


def mismatch(answer: Answer) -> bool:
    return 403 == answer.status and "CSRF origin mismatch" == answer.json["error"]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("method", CHANGING)
async def test_a_foreign_origin_changes_nothing(fronted: FleetDriver, method: str, origin: str) -> None:
    """
    It is refused before anybody asks who calls, and told which origin it was and what would allow it.
    """
    for path in ("/tasks", "/auth/login", "/setup", "/nothing"):
        answer = await fronted.call(method, path, key=None, host=HOST, origin=origin)
        assert mismatch(answer), (path, answer)
        (why,) = answer.json["details"]
        assert origin in why
        assert "CORS_ORIGINS" in why


@pytest.mark.parametrize("origin", OURS)
@pytest.mark.parametrize("method", CHANGING)
async def test_ones_own_origin_and_those_named_pass(fronted: FleetDriver, method: str, origin: str) -> None:
    """
    Without a key they get no further than that.
    """
    answer = await fronted.call(method, "/tasks", key=None, host=HOST, origin=origin)

    assert (401, "Unauthorized") == (answer.status, answer.json["error"])


@pytest.mark.parametrize("header", ["x_api_key", "authorization"])
async def test_a_key_in_a_header_comes_from_no_browser(fronted: FleetDriver, header: str) -> None:
    """
    Unless a session comes beside it.
    """
    key = {"x_api_key": KEY, "authorization": f"Bearer {KEY}"}[header]
    sent = {header: key, "host": HOST, "origin": FOREIGN[0]}

    made = await fronted.call("POST", "/tasks", {"title": "Ship it"}, key=None, **sent)
    refused = [await fronted.call("POST", "/tasks", {"title": "No"}, key=None, **sent, cookie=one) for one in SESSIONS]

    assert 201 == made.status
    assert all(map(mismatch, refused))


@pytest.mark.parametrize("path", ["/auth/login", "/setup"])
async def test_a_key_opens_no_way_to_what_needs_none(fronted: FleetDriver, path: str) -> None:
    """
    Login has no credential to stand on, so it is always checked.
    """
    assert mismatch(await fronted.call("POST", path, {}, host=HOST, origin=FOREIGN[0], key=KEY))


async def test_looking_is_always_allowed(fronted: FleetDriver) -> None:
    """
    The answer is kept from the page by the browser.
    """
    for method in ("GET", "HEAD"):
        for sent in ({"origin": FOREIGN[0]}, {"sec_fetch_site": "cross-site"}):
            answer = await fronted.call(method, "/tasks", host=HOST, cookie=SESSIONS[0], **sent)
            assert 200 == answer.status


@pytest.mark.parametrize("path", ["/tasks/queue?agent=ada", "/agents/ada/heartbeat"])
async def test_looking_that_changes_something_is_not(fronted: FleetDriver, path: str) -> None:
    """
    As when a page shows what it calls an image, of which a browser tells no origin, but that it is another site's, or a
    neighbour's. Pages of ours may, and those named, and whatever is typed or comes with a key alone.
    """
    await fronted.agent("ada")
    foreign = [{"origin": FOREIGN[0]}, *({"sec_fetch_site": each} for each in ("cross-site", "same-site"))]
    ours: list[dict[str, str]] = [
        {}, *({"sec_fetch_site": each} for each in ("same-origin", "none")), {"origin": OURS[0]},
        {"origin": ALLOWED, "sec_fetch_site": "cross-site"},
    ]  # fmt: skip
    task = await fronted.task()
    refused = [await fronted.call("GET", path, host=HOST, cookie=one, **each) for one in SESSIONS for each in foreign]
    untouched = await fronted.got("GET", f"/tasks/{task['id']}")
    passed = [await fronted.call("GET", path, host=HOST, cookie=SESSIONS[0], **each) for each in ours]
    by_key = [await fronted.call("GET", path, host=HOST, **each) for each in foreign]

    assert all(map(mismatch, refused))
    assert "Sec-Fetch-Site: cross-site" in refused[1].json["details"][0]
    assert {"task": task} == untouched
    assert {200} == {each.status for each in (*passed, *by_key)}


@pytest.mark.parametrize(("peer", "passes"), [(PROXY, True), ("8.8.8.8", False)])
async def test_the_name_that_a_proxy_was_called_by_is_ours_if_it_is_trusted(
    fronted: FleetDriver, peer: str, passes: bool
) -> None:
    """
    A page cannot choose its own name to be ours.
    """
    answer = await fronted.call(
        "POST", "/tasks", key=None, peer=peer, host="inner", x_forwarded_host="evil.example", origin=FOREIGN[0]
    )

    assert passes is not mismatch(answer)
