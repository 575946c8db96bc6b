"""
Who calls, and over what, with proxies between or without.
"""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_http.network_settings import NetworkSettings
from mission_http.platform.client_addresses import addresses_of, parse_address
from tests.unit.http.platform.sample_app import ask, sample_app

BEHIND = NetworkSettings(trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
FORGED = {
    "x-forwarded-for": "6.6.6.6",
    "x-real-ip": "6.6.6.6",
    "forwarded": "for=6.6.6.6;proto=https;host=evil.example",
    "x-forwarded-proto": "https",
}
outside = st.ip_addresses().filter(lambda one: not BEHIND.trusts(str(one)))
proxies = st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fd00::/8")


def asked(peer: str | None, *headers: tuple[str, str], scheme: str = "http") -> dict[str, object]:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return {"client": peer and (peer, 5), "scheme": scheme, "headers": raw}


@pytest.mark.parametrize("fronting", [NetworkSettings(), BEHIND])
def test_what_a_stranger_says_of_itself_is_ignored(fronting):
    """
    Whether any proxy is trusted or none.
    """
    scope = asked("9.9.9.9", *FORGED.items())

    assert ("9.9.9.9", False) == addresses_of(scope, fronting)[1:]


def test_what_a_trusted_proxy_does_not_write_is_ignored():
    """
    It passes `Forwarded` on as it came.
    """
    scope = asked("10.0.0.1", ("forwarded", FORGED["forwarded"]))

    assert ("10.0.0.1", False) == addresses_of(scope, BEHIND)[1:]


@given(client=outside, made_up=st.lists(st.text("0123456789abcdef.:, ", max_size=20)), between=st.lists(proxies))
def test_a_client_is_known_whatever_it_wrote_itself(client, made_up, between):
    """
    Each proxy appends the address that it was called from; what stands before is the client's own word.
    """
    hops = ", ".join([*made_up, *map(str, (client, *between))])
    scope = asked("10.0.0.1", ("x-forwarded-for", hops), ("x-real-ip", "6.6.6.6"))

    assert parse_address(str(client)) == addresses_of(scope, BEHIND).client


@given(address=st.ip_addresses(), zone=st.text("ab", max_size=100))
def test_an_address_is_the_same_however_long_the_text(address, zone):
    """
    Also where the text is asked for again.
    """
    texts = [f"{address}%{zone}", f"[{address}%{zone}]:80", f"{address}{' ' * len(zone)}"]

    assert {parse_address(str(address))} == {parse_address(text) for text in texts * 2}


@given(hops=st.lists(st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"])), max_size=4))
def test_any_hops_have_an_answer(hops):
    """
    It is an address.
    """
    scope = asked("10.0.0.1", *(("x-forwarded-for", each) for each in hops), *(("x-real-ip", each) for each in hops))

    assert ip_address(addresses_of(scope, BEHIND).client)


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ([], "10.0.0.1"),
        ([("x-real-ip", "9.9.9.9")], "9.9.9.9"),
        ([("x-real-ip", "nobody")], "10.0.0.1"),
        ([("x-forwarded-for", "9.9.9.9"), ("x-real-ip", "8.8.8.8")], "9.9.9.9"),
        ([("x-forwarded-for", "10.0.0.7, 10.0.0.8"), ("x-real-ip", "9.9.9.9")], "9.9.9.9"),
        ([("x-forwarded-for", "10.0.0.7, 10.0.0.8")], "10.0.0.7"),
        ([("x-forwarded-for", "6.6.6.6, unknown, 10.0.0.8"), ("x-real-ip", "6.6.6.6")], "10.0.0.8"),
        ([("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "9.9.9.9")], "9.9.9.9"),
        ([("x-forwarded-for", "9.9.9.9:4711")], "9.9.9.9"),
        ([("x-forwarded-for", "[2001:DB8::0:1]:4711")], "2001:db8::1"),
        ([("x-forwarded-for", "2001:db8::1%eth0")], "2001:db8::1"),
        ([("x-forwarded-for", "::ffff:9.9.9.9")], "9.9.9.9"),
        ([("x-forwarded-for", " , ,")], "10.0.0.1"),
    ],
)
def test_a_trusted_proxy_tells_who_calls(headers, client):
    """
    By the last hop that is no proxy of ours, else by `X-Real-IP`; what hides the client leaves the nearest known hop.
    """
    assert client == addresses_of(asked("10.0.0.1", *headers), BEHIND).client


@pytest.mark.parametrize("peer", ["::ffff:10.0.0.1", "fd00::1%eth0"])
def test_a_proxy_is_known_in_any_spelling(peer):
    """
    Sockets of both families write addresses of the first in their own way.
    """
    assert "9.9.9.9" == addresses_of(asked(peer, ("x-forwarded-for", "9.9.9.9")), BEHIND).client


@pytest.mark.parametrize(("peer", "client"), [(None, "unknown"), ("", "unknown"), ("testclient", "testclient")])
def test_a_peer_without_an_address_is_trusted_with_nothing(peer, client):
    """
    It may be a socket of this machine, or an application that embeds this one.
    """
    assert client == addresses_of(asked(peer, *FORGED.items()), BEHIND).client


@pytest.mark.parametrize(
    ("scheme", "headers", "secure"),
    [
        ("http", [], False),
        ("https", [], True),
        ("http", [("x-forwarded-proto", "HTTPS")], True),
        ("https", [("x-forwarded-proto", "http")], False),
        ("http", [("x-forwarded-for", "9.9.9.9"), ("x-forwarded-proto", "https, http")], False),
        ("http", [("x-forwarded-for", "9.9.9.9, 10.0.0.2"), ("x-forwarded-proto", "https, http")], True),
        ("http", [("x-forwarded-for", "9.9.9.9, 10.0.0.2"), ("x-forwarded-proto", "https")], True),
        ("http", [("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")], False),
    ],
)
def test_a_trusted_proxy_tells_over_what_it_was_called(scheme, headers, secure):
    """
    By the entry of the one that the client called; entries before that one are the client's own word.
    """
    assert secure is addresses_of(asked("10.0.0.1", *headers, scheme=scheme), BEHIND).secure


@pytest.mark.parametrize("path", ["/api/who", "/api/v1/who"])
async def test_handlers_know_who_calls(path):
    """
    The platform has found out before any of them is asked.
    """
    headers = {"x_forwarded_for": "9.9.9.9", "x_forwarded_proto": "https"}
    app = sample_app(fronting=BEHIND)

    believed, ignored = [(await ask(app, "GET", path, peer=peer, **headers)).json for peer in ("10.0.0.1", "8.8.8.8")]

    assert ({"client": "9.9.9.9", "secure": True}, {"client": "8.8.8.8", "secure": False}) == (believed, ignored)
