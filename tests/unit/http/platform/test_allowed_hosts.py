"""
By which names a request may call the server.
"""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from mission_http.network_settings import NetworkSettings, parse_host_header
from mission_http.platform.allowed_hosts import requested_hosts
from tests.unit.http.platform.sample_app import ask, sample_app

PROXY = "10.0.0.1"
HOSTS = "mission.example.com, *.Fleet.example, 192.168.*, 2001:DB8:0::1, dot.example."
LISTED = NetworkSettings.of({"MC_ALLOWED_HOSTS": HOSTS, "MC_TRUSTED_PROXIES": PROXY})
PATHS = ["/api/things/special", "/api/v1/things/special", "/healthz", "/docs", "/nowhere"]
EVIL = "evil.example"
FORWARDED = [
    ("x_forwarded_host", "mission.example.com"),
    ("x_forwarded_host", "evil.example, mission.example.com:443"),
    ("x_original_host", "MISSION.example.com"),
    ("x_forwarded_server", "mission.example.com"),
    ("forwarded", "for=9.9.9.9;host=mission.example.com;proto=https"),
    ("forwarded", 'for=9.9.9.9, proto=https; Host="mission.example.com:443"'),
]
labels = st.from_regex("[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)


@pytest.fixture
def guarded():
    app = sample_app(fronting=LISTED)
    with TestClient(app, base_url="http://localhost"):
        yield app


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
async def test_a_foreign_host_is_refused_and_told_why(guarded, method, path):
    """
    Whoever it is that is asked, and before the key is looked at.
    """
    answer = await ask(guarded, method, path, key=None, host="Evil.example:8000")

    assert (403, "text/plain; charset=utf-8") == (answer.status, answer.headers["content-type"])
    assert answer.body.startswith(b'Forbidden: host "evil.example" is not in MC_ALLOWED_HOSTS')
    assert {"x-request-id", "x-content-type-options", "x-frame-options"} <= answer.headers.keys()


@pytest.mark.parametrize(
    "host",
    [
        "mission.example.com", "MISSION.Example.COM", "mission.example.com.", "mission.example.com:8000",
        "mission.example.com.:8000", "a.fleet.example", "a.b.fleet.example:1", "192.168.1.7:8000",
        "[2001:db8::1]", "[2001:DB8:0:0::0001]:8000", "dot.example", "localhost:3", "127.0.0.1", "[::1]:8000",
    ],
)  # fmt: skip
async def test_an_allowed_host_passes_in_every_spelling(guarded, host):
    """
    Ports, capitals, a dot at the end and zeros in addresses make no difference, and this machine is always allowed.
    """
    assert 200 == (await ask(guarded, "GET", "/api/things/special", host=host)).status


@pytest.mark.parametrize(
    "host",
    [
        "fleet.example", "notfleet.example", "mission.example.com.evil.example", "192.168.evil.example",
        "192.168.1.7.evil.example", "192.1680.1.7", "[2001:db8::2]", "2001:db8::1", "[2001:db8::1",
        "[::1].evil.example", "mission.example.com@evil.example", "evil.example/mission.example.com",
        "evil.example/.fleet.example", "evil.example#.fleet.example", "x y.fleet.example", "localhost.evil.example",
        "", ":8000", "caf\xe9.fleet.example",
        "mission.example.com, evil.example", "evil.example:80:mission.example.com", "x" * 70000,
    ],
)  # fmt: skip
async def test_what_only_looks_allowed_is_refused(guarded, host):
    """
    Also a name that begins like an address: anybody can have one.
    """
    answer = await ask(guarded, "GET", "/api/things/special", host=host)

    assert (403, True) == (answer.status, b"MC_ALLOWED_HOSTS" in answer.body)
    assert len(answer.body) < 500


async def test_a_request_to_no_host_is_refused(guarded):
    """
    For it could be to any.
    """
    assert 403 == (await ask(guarded, "GET", "/healthz")).status


@pytest.mark.parametrize("fronting", [NetworkSettings(), LISTED])
async def test_two_hosts_are_one_too_many(fronting):
    """
    Nobody could tell which one is meant, and a proxy may have read the other one.
    """
    answer = await ask(sample_app(fronting=fronting), "GET", "/healthz", host="mission.example.com", HOST="localhost")

    assert (400, b"Bad Request: more than one Host header") == (answer.status, answer.body)


@pytest.mark.parametrize("fronting", [NetworkSettings(), NetworkSettings(allowed_hosts=("here",), any_host=True)])
async def test_any_host_passes_where_no_list_is_or_none_is_meant(fronting):
    assert 200 == (await ask(sample_app(fronting=fronting), "GET", "/healthz", host=EVIL)).status


@pytest.mark.parametrize(("header", "value"), FORWARDED)
async def test_a_proxy_may_have_been_called_by_the_name(guarded, header, value):
    """
    Then it calls the server by another one; it is believed only if it is trusted.
    """
    answers = [
        (await ask(guarded, "GET", "/healthz", host=EVIL, peer=peer, **{header: value})).status
        for peer in (PROXY, "8.8.8.8", "10.0.0.2")
    ]

    assert [200, 403, 403] == answers


async def test_the_refusal_tells_every_name(guarded):
    """
    Whoever runs the proxy sees what it sends.
    """
    answer = await ask(guarded, "GET", "/healthz", host="inner", peer=PROXY, x_forwarded_host="outer.example")

    assert b'host "inner" and "outer.example"' in answer.body


@given(host=names, port=st.none() | st.integers(0, 65535), dot=st.booleans(), loud=st.booleans())
def test_a_name_is_read_without_its_trimmings(host, port, dot, loud):
    """
    Whatever the name is.
    """
    sent = (host.upper() if loud else host) + "." * dot + ("" if port is None else f":{port}")

    assert host == parse_host_header(sent)


@given(address=st.ip_addresses(v=6), port=st.none() | st.integers(0, 65535))
def test_an_address_is_read_in_any_spelling(address, port):
    """
    In brackets, with or without a port, long or short.
    """
    spellings = {str(address), address.exploded, str(address).upper()}
    sent = {f"[{each}]" + ("" if port is None else f":{port}") for each in spellings}

    assert {str(address)} == {parse_host_header(each) for each in sent}


@given(text=st.text(st.characters(max_codepoint=255)))
def test_any_header_is_read_as_a_name_or_none(text):
    """
    What is read as one has nothing in it that could mean something else, and is read as itself again.
    """
    host = parse_host_header(text)

    assert not set(host) & set(" /@#?[]\\\"'<>\r\n\t")
    assert host in (parse_host_header(host), parse_host_header(f"[{host}]"))


@given(allowed=names, host=names, below=labels)
def test_only_what_a_pattern_says_is_allowed(allowed, host, below):
    """
    A name allows itself, `*.name` what is below it, and neither allows anything else.
    """
    exact, domain = NetworkSettings(allowed_hosts=(allowed,)), NetworkSettings(allowed_hosts=(f"*.{allowed}",))
    here = NetworkSettings(allowed_hosts=("-",)).allows(host)

    assert (host == allowed or here) is exact.allows(host)
    assert (host.endswith(f".{allowed}") or here) is domain.allows(host)
    assert (domain.allows(f"{below}.{allowed}"), domain.allows(f"{below}{allowed}.evil")) == (True, False)


@given(hosts=st.lists(names, max_size=4), forged=names)
def test_forged_names_change_nothing(hosts, forged):
    """
    Who is no proxy of ours may call the server what it wants in every other header.
    """
    headers = [(b"host", host.encode()) for host in hosts]
    also = [(name, forged.encode()) for name in (b"x-forwarded-host", b"x-original-host", b"x-forwarded-server")]
    also.append((b"forwarded", f"host={forged}".encode()))
    fronting = NetworkSettings(trusted_proxies=(ip_network(PROXY),))

    plain, more = [
        requested_hosts({"client": ("8.8.8.8", 1), "headers": each}, fronting) for each in (headers, headers + also)
    ]

    assert plain == more == list(dict.fromkeys(hosts))
