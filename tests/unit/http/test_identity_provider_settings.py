"""
What the environment says of those who may say who somebody is.
"""

from datetime import timedelta
from ipaddress import ip_network

import pytest

from mission_core.accounts.model import Role
from mission_http.environment import SettingsError
from mission_http.identity_provider_settings import (
    AuthMode,
    ClerkApiSettings,
    GoogleSettings,
    IdentityProviderSettings,
    OidcIssuerSettings,
    ProxyAuthSettings,
)

ISSUER = {"AUTH_MODE": "oidc", "OIDC_ISSUER": "https://issuer.example.com/", "OIDC_AUDIENCE": "us"}


def test_nothing_set_is_the_servers_own_word_alone() -> None:
    """
    Also where the names of an issuer are there, and the mode is another one.
    """
    for environment in ({}, {"AUTH_MODE": "LOCAL"}, {**ISSUER, "AUTH_MODE": " "}):
        assert IdentityProviderSettings() == IdentityProviderSettings.of(environment)


def test_an_issuer_is_read() -> None:
    """
    Its name stays to the letter what its tokens call it.
    """
    found = IdentityProviderSettings.of(
        ISSUER | {"OIDC_JWKS_URL": "https://keys.example.com/k", "OIDC_LEEWAY": "2.5", "OIDC_ALGORITHMS": "ES256,RS256"}
    )

    assert AuthMode.OIDC is found.mode
    assert found.issuer == OidcIssuerSettings(
        name="https://issuer.example.com/", audience="us", keys_url="https://keys.example.com/k",
        algorithms=frozenset({"ES256", "RS256"}), leeway=timedelta(seconds=2.5),
    )  # fmt: skip
    assert ["https://issuer.example.com/", "https://keys.example.com/k"] == list(found.urls)


@pytest.mark.parametrize(
    ("environment", "keys", "secret", "name"),
    [
        ({"CLERK_SECRET_KEY": "sk"}, "https://api.clerk.com/v1/jwks", "sk", None),
        ({"CLERK_SECRET_KEY": "sk", "CLERK_API_URL": "https://x.example/v1/"}, "https://x.example/v1/jwks", "sk", None),
        ({"CLERK_SECRET_KEY": "sk", "CLERK_ISSUER": "https://c.example"}, None, None, "https://c.example"),
        ({"OIDC_ISSUER": "https://c.example"}, None, None, "https://c.example"),
        ({"CLERK_JWKS_URL": "https://c.example/k"}, "https://c.example/k", None, None),
    ],
)
def test_clerk_is_an_issuer_that_tells_its_keys_for_a_secret(
    environment: dict[str, str], keys: str | None, secret: str | None, name: str | None
) -> None:
    """
    Which is shown to Clerk's own API, and to nobody else. Its tokens need be meant for nobody.
    """
    found = IdentityProviderSettings.of(
        {"AUTH_MODE": "clerk", "CLERK_LEEWAY": "0", "CLERK_VERIFY_IAT": "false", **environment}
    )

    assert found.issuer is not None
    assert (keys, secret, name, None) == (
        found.issuer.keys_url, found.issuer.secret, found.issuer.name, found.issuer.audience,
    )  # fmt: skip
    assert (timedelta(0), False) == (found.issuer.leeway, found.issuer.check_issued)
    assert "sk" not in repr(found)


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "https://api.clerk.com/v1"),
        ({"CLERK_API_URL": "https://x.example/v1/"}, "https://x.example/v1"),
        ({"CLERK_API_URL": "https://x.example/"}, "https://x.example/v1"),
        ({"CLERK_ISSUER": "https://c.example"}, "https://api.clerk.com/v1"),
        ({"CLERK_JWKS_URL": "https://c.example/k", "CLERK_API_URL": "http://127.0.0.1:1"}, "http://127.0.0.1:1/v1"),
    ],
)
def test_clerk_is_asked_about_people_where_its_secret_is_there(environment: dict[str, str], url: str) -> None:
    """
    Wherever the keys of its tokens come from. The secret is in no log.
    """
    found = IdentityProviderSettings.of({"AUTH_MODE": "clerk", "CLERK_SECRET_KEY": " sk_test_x ", **environment})

    assert found.clerk == ClerkApiSettings(url=url, secret="sk_test_x")
    assert url in list(found.urls)
    assert ["sk_test_x"] == found.redacted_values
    assert "sk_test_x" not in repr(found)


def test_an_issuer_may_mean_several_audiences() -> None:
    found = IdentityProviderSettings.of(ISSUER | {"OIDC_AUDIENCE": "web, cli ,"}).issuer

    assert found is not None
    assert ("web", "cli") == found.audiences


def test_no_other_issuer_is_asked_as_clerk_is() -> None:
    """
    Nor is Clerk without its secret.
    """
    without = {"AUTH_MODE": "clerk", "CLERK_ISSUER": "https://c.example"}
    for environment in (without, ISSUER | {"CLERK_SECRET_KEY": "sk"}, {"CLERK_SECRET_KEY": "sk"}):
        assert IdentityProviderSettings.of(environment).clerk is None


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({"AUTH_MODE": "saml"}, "AUTH_MODE"),
        ({"AUTH_MODE": "oidc"}, "OIDC_ISSUER"),
        ({"AUTH_MODE": "oidc", "OIDC_ISSUER": "https://x.example"}, "OIDC_AUDIENCE"),
        (ISSUER | {"OIDC_AUDIENCE": " , "}, "OIDC_AUDIENCE"),
        (ISSUER | {"OIDC_ALLOW_CLIENT_CREDENTIALS": "perhaps"}, "OIDC_ALLOW_CLIENT_CREDENTIALS"),
        ({"AUTH_MODE": "clerk"}, "CLERK_SECRET_KEY"),
        ({"AUTH_MODE": "clerk", "CLERK_SECRET_KEY": "two words"}, "CLERK_SECRET_KEY"),
        ({"AUTH_MODE": "clerk", "CLERK_SECRET_KEY": "sk_\ntest"}, "CLERK_SECRET_KEY"),
        ({"AUTH_MODE": "clerk", "CLERK_SECRET_KEY": "schlüssel"}, "CLERK_SECRET_KEY"),
        ({"AUTH_MODE": "clerk", "CLERK_SECRET_KEY": "sk", "CLERK_API_URL": "http://x.example"}, "CLERK_API_URL"),
        (ISSUER | {"OIDC_ISSUER": "issuer.example.com"}, "OIDC_ISSUER"),
        (ISSUER | {"OIDC_ISSUER": "http://issuer.example.com"}, "OIDC_ISSUER"),
        (ISSUER | {"OIDC_ISSUER": "https://me:x@issuer.example.com"}, "OIDC_ISSUER"),
        (ISSUER | {"OIDC_JWKS_URL": "ftp://x.example"}, "OIDC_JWKS_URL"),
        (ISSUER | {"OIDC_ALGORITHMS": "RS256,HS256"}, "OIDC_ALGORITHMS"),
        (ISSUER | {"OIDC_ALGORITHMS": "none"}, "OIDC_ALGORITHMS"),
        (ISSUER | {"OIDC_LEEWAY": "soon"}, "OIDC_LEEWAY"),
        (ISSUER | {"OIDC_LEEWAY": "nan"}, "OIDC_LEEWAY"),
        (ISSUER | {"CLERK_LEEWAY": "-1"}, "CLERK_LEEWAY"),
        (ISSUER | {"CLERK_VERIFY_IAT": "perhaps"}, "CLERK_VERIFY_IAT"),
        ({"GOOGLE_CLIENT_ID": "x", "GOOGLE_TOKEN_URL": "http://10.0.0.1/"}, "GOOGLE_TOKEN_URL"),
        ({"MC_PROXY_AUTH_HEADER": "X Remote"}, "MC_PROXY_AUTH_HEADER"),
        ({"MC_PROXY_AUTH_HEADER": "Cookie"}, "MC_PROXY_AUTH_HEADER"),
        ({"MC_PROXY_AUTH_TRUSTED_IPS": "proxy"}, "MC_PROXY_AUTH_TRUSTED_IPS"),
        ({"MC_PROXY_AUTH_DEFAULT_ROLE": "root"}, "MC_PROXY_AUTH_DEFAULT_ROLE"),
        ({"MC_ALLOW_PRIVATE_OUTBOUND": "perhaps"}, "MC_ALLOW_PRIVATE_OUTBOUND"),
    ],
)
def test_what_is_malformed_is_named(environment: dict[str, str], variable: str) -> None:
    with pytest.raises(SettingsError) as refused:
        IdentityProviderSettings.of(environment)

    assert variable == refused.value.variable


def test_plain_http_is_for_ones_own_machine_or_network() -> None:
    for url in ("http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"):
        assert IdentityProviderSettings.of(ISSUER | {"OIDC_ISSUER": url}).issuer
    assert IdentityProviderSettings.of(
        ISSUER | {"OIDC_ISSUER": "http://idp.internal", "MC_ALLOW_PRIVATE_OUTBOUND": "1"}
    ).allow_private_outbound


@pytest.mark.parametrize("name", ["GOOGLE_CLIENT_ID", "NEXT_PUBLIC_GOOGLE_CLIENT_ID"])
def test_google_is_known_by_a_client_id(name: str) -> None:
    found = IdentityProviderSettings.of({name: "us.apps", "GOOGLE_CLIENT_SECRET": "s3cret"})

    assert GoogleSettings(client_id="us.apps", client_secret="s3cret") == found.google
    assert ["s3cret"] == found.redacted_values
    assert "s3cret" not in repr(found)


def test_a_proxy_is_believed_by_its_address() -> None:
    """
    And by none if it is not named.
    """
    environment = {
        "MC_PROXY_AUTH_HEADER": "X-Remote-User", "MC_PROXY_AUTH_TRUSTED_IPS": "10.0.0.7, 192.168.0.0/16",
        "MC_PROXY_AUTH_DEFAULT_ROLE": "Operator",
    }  # fmt: skip
    proxy = IdentityProviderSettings.of(environment).proxy
    alone = IdentityProviderSettings.of({"MC_PROXY_AUTH_HEADER": "X-Remote-User"}).proxy

    assert proxy == ProxyAuthSettings(
        header="x-remote-user", trusted=(ip_network("10.0.0.7"), ip_network("192.168.0.0/16")),
        default_role=Role.OPERATOR,
    )  # fmt: skip
    assert [True, True, False, False] == [
        proxy.believes(each) for each in ("10.0.0.7", "192.168.3.4", "10.0.0.8", "unknown")
    ]
    assert alone is not None
    assert not alone.believes("127.0.0.1")
