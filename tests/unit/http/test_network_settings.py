"""
How the server is reached, as the environment tells.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_http.network_settings import (
    NetworkSettings,
    any_beyond_loopback,
    host_matches,
    is_host_pattern,
    parse_base_url,
)
from mission_http.settings import SettingsError, read_collecting_errors


def test_nothing_set_means_any_name_and_no_proxy():
    """
    As it is for a server on a loopback address.
    """
    assert NetworkSettings() == NetworkSettings.of({})


def test_either_spelling_is_read():
    """
    Users of both systems find their variables again.
    """
    one = NetworkSettings.of({"MC_TRUSTED_PROXIES": "10.0.0.7, ::1", "MC_BASE_URL": "https://mission.example.com/"})
    other = NetworkSettings.of({"TRUSTED_PROXIES": "10.0.0.7,::1,", "BASE_URL": "https://mission.example.com"})

    assert one == other
    assert ["10.0.0.7/32", "::1/128"] == [str(each) for each in one.trusted_proxies]
    assert ("mission.example.com", True) == (one.host, one.is_https)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MC_ALLOW_ANY_HOST", "perhaps"),
        ("MC_COOKIE_SECURE", "perhaps"),
        ("MC_ENABLE_HSTS", "perhaps"),
        ("MC_HSTS_PRELOAD", "1"),
        ("MC_TRUSTED_PROXIES", "10.0.0.7,the proxy"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("MC_BASE_URL", "mission.example.com"),
        ("BASE_URL", "https://mission.example.com:port"),
        ("BASE_URL", "https://ada:sesame@mission.example.com"),
    ],
)
def test_what_is_malformed_is_named_and_the_rest_is_read(variable, value):
    """
    One bad value hides nothing else, and no part of a URL is repeated.
    """
    read, malformed = read_collecting_errors(NetworkSettings.of, {"MC_ALLOWED_HOSTS": "Here", variable: value})

    assert NetworkSettings(allowed_hosts=("here",)) == read
    assert [variable] == list(malformed)
    assert malformed[variable].startswith(f"{variable}: ")
    assert "sesame" not in malformed[variable]


@pytest.mark.parametrize(
    ("host", "pattern", "does"),
    [
        ("mission.example.com", "mission.example.com", True),
        ("mission.example.com", "example.com", False),
        ("mission.example.com", "*.example.com", True),
        ("example.com", "*.example.com", False),
        ("badexample.com", "*.example.com", False),
        ("192.168.1.7", "192.168.*", True),
        ("192.1680.1.7", "192.168.*", False),
    ],
)
def test_a_host_matches_a_name_a_domain_or_a_beginning(host, pattern, does):
    """
    A domain's pattern is for the names below it, and a beginning ends with its dot.
    """
    assert does is host_matches(host, pattern)
    assert is_host_pattern(pattern)


@pytest.mark.parametrize(
    "pattern", ["https://here", "here:8000", "here/there", "*", "*.", "a.*.b", "[::1]", "*.here:80", "a b"]
)
def test_a_pattern_that_is_no_name_can_match_nothing(pattern):
    """
    A request's host has no scheme, port or path left when it is compared.
    """
    assert not is_host_pattern(pattern)


@given(st.from_regex(r"[a-z]{1,9}(\.[a-z]{1,9}){1,3}", fullmatch=True))
def test_a_name_and_its_domain_allow_it(host):
    """
    Whatever the name is.
    """
    below = "*." + host.partition(".")[2]

    assert NetworkSettings(allowed_hosts=(host,)).allows(host)
    assert NetworkSettings(allowed_hosts=(below,)).allows(host)
    assert not NetworkSettings(allowed_hosts=(f"not-{host}",)).allows(host)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_this_machine_is_always_allowed(host):
    """
    Whatever the list says.
    """
    assert NetworkSettings(allowed_hosts=("elsewhere",)).allows(host)


@pytest.mark.parametrize(
    ("environment", "is_"),
    [
        ({}, True),
        ({"BASE_URL": "http://localhost:8000", "MC_ALLOWED_HOSTS": "localhost, 127.0.0.1, ::1, LOCALHOST."}, True),
        ({"MC_COOKIE_SECURE": "1", "MC_ALLOW_ANY_HOST": "1", "CORS_ORIGINS": "https://app.example.com"}, True),
        ({"BASE_URL": "https://mission.example.com"}, False),
        ({"BASE_URL": "http://10.0.0.5:8000"}, False),
        ({"MC_ALLOWED_HOSTS": "localhost,mission.example.com"}, False),
        ({"MC_ALLOWED_HOSTS": "*.localhost"}, False),
        ({"MC_TRUSTED_PROXIES": "127.0.0.1"}, False),
    ],
)
def test_a_server_is_for_this_machine_unless_something_tells_of_others(environment, is_):
    """
    One word is enough.
    """
    assert is_ is NetworkSettings.of(environment).is_local_only


@pytest.mark.parametrize(
    ("addresses", "do"),
    [
        (["127.0.0.1"], False),
        (["::1", "127.0.0.9"], False),
        (["0.0.0.0"], True),
        (["::"], True),
        (["127.0.0.1", "10.1.2.3"], True),
        (["fe80::1%eth0"], True),
        ([], False),
    ],
)
def test_addresses_beyond_loopback_are_told(addresses, do):
    """
    One of them is enough.
    """
    assert do is any_beyond_loopback(addresses)


@pytest.mark.parametrize("url", ["", "here", "ftp://here", "https://", "https://[::1", "http://here:0"])
def test_what_is_no_address_of_a_server_is_refused(url):
    """
    With the name of what it was given as.
    """
    with pytest.raises(SettingsError, match="--url"):
        parse_base_url("--url", url)
