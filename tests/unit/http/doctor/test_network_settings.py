"""
What is said of the ways to the server, by what is seen of them.
"""

import re
import socket
from ipaddress import ip_network

import pytest

from mission_http.doctor.findings import FindingLevel
from mission_http.doctor.listen_address import ListenAddressState, check_port
from mission_http.doctor.network_settings import (
    check_cookies,
    check_cors_origins,
    check_host_names,
    check_hsts,
    check_proxies,
    startup_warnings,
)
from mission_http.network_settings import NetworkSettings

HERE = ListenAddressState(host="127.0.0.1", port=8000)
WIDE = ListenAddressState(host="0.0.0.0", port=8000, beyond_loopback=True)
HTTPS, HTTP, LOCAL = "https://mission.example.com", "http://mission.example.com", "http://localhost:8000"
LOOPBACK, ELSEWHERE, ANYWHERE = map(ip_network, ("127.0.0.1", "10.0.0.0/8", "0.0.0.0/0"))
OK, WARNING, PROBLEM = FindingLevel


def judged(findings):
    """
    The level, and what the advice names.
    """
    (found,) = findings
    assert all(name in found.advice for name in found.settings)
    return found.level, *found.settings


@pytest.mark.parametrize(
    ("fronting", "listening", "expected"),
    [
        (NetworkSettings(), HERE, (OK,)),
        (NetworkSettings(), WIDE, (WARNING, "MC_ALLOWED_HOSTS", "MC_ALLOW_ANY_HOST")),
        (NetworkSettings(base_url=HTTPS), HERE, (WARNING, "MC_ALLOWED_HOSTS", "MC_ALLOW_ANY_HOST")),
        (NetworkSettings(base_url=LOCAL), HERE, (OK,)),
        (NetworkSettings(any_host=True), WIDE, (OK,)),
        (NetworkSettings(allowed_hosts=("elsewhere",)), WIDE, (OK,)),
        (NetworkSettings(allowed_hosts=("elsewhere",), base_url=HTTPS), WIDE, (PROBLEM, "MC_ALLOWED_HOSTS")),
        (NetworkSettings(allowed_hosts=("elsewhere",), base_url=HTTPS), HERE, (PROBLEM, "MC_ALLOWED_HOSTS")),
        (NetworkSettings(allowed_hosts=("elsewhere",), base_url=LOCAL), HERE, (OK,)),
        (NetworkSettings(allowed_hosts=("*.example.com",), base_url=HTTPS), WIDE, (OK,)),
        (NetworkSettings(allowed_hosts=("http://x",)), WIDE, (WARNING, "MC_ALLOWED_HOSTS")),
    ],
)
def test_a_foreign_host_name_is_told(fronting, listening, expected):
    """
    The name that people use is not allowed, or any is where others can come.
    """
    assert expected == judged(list(check_host_names(fronting, listening))[:1])


def test_the_advice_allows_the_name_beside_those_that_are():
    """
    It can be pasted, without what can match nothing.
    """
    found = list(check_host_names(NetworkSettings(allowed_hosts=("here", "x:80"), base_url=HTTPS), HERE))

    assert "set MC_ALLOWED_HOSTS=here,mission.example.com" == found[-1].advice


@pytest.mark.parametrize(
    ("fronting", "listening", "level"),
    [
        (NetworkSettings(), WIDE, OK),
        (NetworkSettings(base_url=HTTP), WIDE, OK),
        (NetworkSettings(base_url=HTTPS), HERE, PROBLEM),
        (NetworkSettings(base_url=HTTPS), WIDE, PROBLEM),
        (NetworkSettings(base_url=HTTPS, trusted_proxies=(ELSEWHERE,)), WIDE, OK),
        (NetworkSettings(base_url=HTTPS, trusted_proxies=(ELSEWHERE,)), HERE, PROBLEM),
        (NetworkSettings(base_url=HTTPS, trusted_proxies=(ELSEWHERE, LOOPBACK)), HERE, OK),
        (NetworkSettings(base_url=HTTPS, trusted_proxies=(ANYWHERE,)), WIDE, PROBLEM),
        (NetworkSettings(base_url=HTTPS, trusted_proxies=(ANYWHERE,)), HERE, OK),
    ],
)
def test_a_proxy_that_is_not_believed_is_told(fronting, listening, level):
    """
    And a whole world that is.
    """
    named = ("MC_TRUSTED_PROXIES", "TRUSTED_PROXIES") if level is PROBLEM else ()

    assert (level, *named) == judged(check_proxies(fronting, listening))


@pytest.mark.parametrize(
    ("secure", "url", "level"),
    [
        (None, None, OK),
        (None, HTTP, OK),
        (None, HTTPS, OK),
        (True, None, OK),
        (True, HTTPS, OK),
        (True, HTTP, PROBLEM),
        (True, LOCAL, WARNING),
        (False, None, OK),
        (False, HTTP, OK),
        (False, HTTPS, WARNING),
    ],
)
def test_cookies_that_browsers_throw_away_are_told(secure, url, level):
    """
    Secure ones over http; and of insecure ones over https it is told that they are not bound to it.
    """
    named = () if level is OK else ("MC_COOKIE_SECURE",)

    assert (level, *named) == judged(check_cookies(NetworkSettings(cookie_secure=secure, base_url=url)))


@pytest.mark.parametrize(
    ("hsts", "url", "level"),
    [
        (None, None, OK), (None, HTTP, OK), (None, HTTPS, OK), (False, HTTP, OK), (False, HTTPS, OK), (True, None, OK),
        (True, HTTPS, OK), (True, HTTP, WARNING), (True, LOCAL, WARNING),
    ],
)  # fmt: skip
def test_https_alone_over_http_is_told(hsts, url, level):
    """
    Where no browser heeds it.
    """
    named = () if level is OK else ("MC_ENABLE_HSTS",)

    assert (level, *named) == judged(check_hsts(NetworkSettings(hsts=hsts, base_url=url)))


@pytest.mark.parametrize(
    ("origins", "levels"),
    [
        ((), [OK]),
        (("https://app.example.com", "http://localhost:3000", "http://[::1]:3000", "http://127.0.0.1"), [OK]),
        (("https://app.example.com", "http://app.example.com", "http://10.1.2.3:3000"), [WARNING, WARNING]),
    ],
)
def test_other_sites_that_anybody_on_the_way_can_change_are_told(origins, levels):
    """
    Their pages would ask with their visitors' sessions.
    """
    assert levels == [each.level for each in check_cors_origins(NetworkSettings(origins=origins))]


def test_a_start_warns_of_all_that_is_not_well():
    """
    Each in a line that names what to set; where all is well, of nothing.
    """
    fronting = NetworkSettings(
        allowed_hosts=("here:80",), base_url=HTTPS, cookie_secure=False, origins=("http://elsewhere",)
    )
    told = list(startup_warnings(fronting, WIDE))

    assert [
        ["MC_ALLOWED_HOSTS"],
        ["MC_ALLOWED_HOSTS"],
        ["MC_TRUSTED_PROXIES"],
        ["MC_COOKIE_SECURE"],
        ["CORS_ORIGINS"],
    ] == [sorted(set(re.findall("MC_[A-Z]+_[A-Z]+|CORS_ORIGINS", each))) for each in told]
    assert [] == list(startup_warnings(NetworkSettings(), HERE))


def test_where_sockets_listen_is_seen():
    """
    On the port that they got.
    """
    with socket.socket() as near, socket.socket() as far:
        near.bind(("127.0.0.1", 0))
        far.bind(("0.0.0.0", 0))
        place = f"127.0.0.1:{near.getsockname()[1]}"

        assert (place, False) == (
            ListenAddressState.from_sockets([near]).address,
            ListenAddressState.from_sockets([near]).beyond_loopback,
        )
        assert (place, True) == (
            ListenAddressState.from_sockets([near, far]).address,
            ListenAddressState.from_sockets([near, far]).beyond_loopback,
        )


@pytest.mark.parametrize(
    ("why", "ours", "expected"),
    [
        ("", False, (OK,)),
        ("Address already in use", True, (OK,)),
        ("Address already in use", False, (PROBLEM, "--port", "--host")),
    ],
)
def test_a_port_that_another_program_has_is_told(why, ours, expected):
    """
    A server of our own that is up is no fault.
    """
    assert expected == judged(
        check_port(ListenAddressState(host="127.0.0.1", port=8000, error=why, is_mission_control=ours))
    )
