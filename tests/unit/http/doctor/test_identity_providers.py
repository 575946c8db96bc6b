"""
Who else may say who somebody is, judged as it was seen.
"""

from ipaddress import ip_network
from typing import Any

import pytest

from mission_core.accounts.model import Role
from mission_http.doctor.findings import DoctorFinding, FindingLevel
from mission_http.doctor.identity_providers import IdentityProvidersState, check_identity_providers, proxy_auth_warnings
from mission_http.identity_provider_settings import (
    AuthMode,
    GoogleSettings,
    IdentityProviderSettings,
    OidcIssuerSettings,
    ProxyAuthSettings,
)
from mission_http.network_settings import NetworkSettings

ISSUER = OidcIssuerSettings(name="https://issuer.example.com", audience="us", keys_url=None)
OIDC = IdentityProviderSettings(mode=AuthMode.OIDC, issuer=ISSUER)
GOOGLE = GoogleSettings(client_id="us", client_secret="s3cret")
BASE = NetworkSettings(base_url="https://mission.example.com")


def found(
    identities: IdentityProviderSettings, fronting: NetworkSettings = BASE, **seen: Any
) -> dict[str, DoctorFinding]:
    reached = IdentityProvidersState(identities=identities, **{"keys": {}, **seen})
    return {each.looked_at: each for each in check_identity_providers(reached, fronting)}


def proxy(*trusted: str, role: Role | None = Role.VIEWER) -> IdentityProviderSettings:
    networks = tuple(map(ip_network, trusted))
    return IdentityProviderSettings(
        proxy=ProxyAuthSettings(header="x-remote-user", trusted=networks, default_role=role)
    )


@pytest.mark.parametrize(
    "identities",
    [
        IdentityProviderSettings(),
        OIDC,
        IdentityProviderSettings(google=GOOGLE),
        proxy("10.0.0.7"),
        proxy("10.0.0.7", role=None),
    ],
)
def test_what_is_well_set_is_well(identities: IdentityProviderSettings) -> None:
    assert {FindingLevel.OK} == {each.level for each in found(identities, keys={"https://x.example": 2}).values()}


@pytest.mark.parametrize(
    ("looked_at", "level", "names", "judged"),
    [
        ("x-remote-user", FindingLevel.WARNING, "MC_PROXY_AUTH_TRUSTED_IPS", found(proxy())),
        ("x-remote-user", FindingLevel.PROBLEM, "MC_PROXY_AUTH_TRUSTED_IPS", found(proxy("0.0.0.0/0"))),
        (
            "https://x",
            FindingLevel.PROBLEM,
            "OIDC_ISSUER",
            found(OIDC, keys={"https://x": "no answer within 5 seconds"}),
        ),
        (
            "GOOGLE_CLIENT_SECRET",
            FindingLevel.PROBLEM,
            "GOOGLE_CLIENT_ID",
            found(IdentityProviderSettings(), client_id_missing=True),
        ),
        (
            "GOOGLE_CLIENT_SECRET",
            FindingLevel.WARNING,
            "MC_BASE_URL",
            found(IdentityProviderSettings(google=GOOGLE), NetworkSettings()),
        ),
    ],
)
def test_a_fault_is_told_with_what_to_change(
    looked_at: str, level: FindingLevel, names: str, judged: dict[str, DoctorFinding]
) -> None:
    told = judged[looked_at]

    assert level is told.level
    assert names in told.settings
    assert names in told.advice
    assert "s3cret" not in repr(judged)


def test_a_start_warns_of_a_proxy_that_is_believed_by_nobody_or_everybody() -> None:
    assert [1, 1, 0, 0] == [
        len(proxy_auth_warnings(each))
        for each in (proxy(), proxy("::/0"), proxy("10.0.0.7"), IdentityProviderSettings())
    ]
