"""
Who else may say who somebody is, judged as it was seen.
"""

from ipaddress import ip_network
from typing import Any

import pytest

from mission_core.accounts.model import Role
from mission_http.doctor.findings import Finding, Level
from mission_http.doctor.identity import Reached, check_identities, warnings_of
from mission_http.fronting import Fronting
from mission_http.identities import AuthMode, Google, Identities, Issuer, ProxyAuth

ISSUER = Issuer(name="https://issuer.example.com", audience="us", keys_url=None)
OIDC = Identities(mode=AuthMode.OIDC, issuer=ISSUER)
GOOGLE = Google(client_id="us", client_secret="s3cret")
BASE = Fronting(base_url="https://mission.example.com")


def found(identities: Identities, fronting: Fronting = BASE, **seen: Any) -> dict[str, Finding]:
    reached = Reached(identities=identities, **{"keys": {}, **seen})
    return {each.looked_at: each for each in check_identities(reached, fronting)}


def proxy(*trusted: str, role: Role | None = Role.VIEWER) -> Identities:
    networks = tuple(map(ip_network, trusted))
    return Identities(proxy=ProxyAuth(header="x-remote-user", trusted=networks, default_role=role))


@pytest.mark.parametrize(
    "identities", [Identities(), OIDC, Identities(google=GOOGLE), proxy("10.0.0.7"), proxy("10.0.0.7", role=None)]
)
def test_what_is_well_set_is_well(identities: Identities) -> None:
    assert {Level.OK} == {each.level for each in found(identities, keys={"https://x.example": 2}).values()}


@pytest.mark.parametrize(
    ("looked_at", "level", "names", "judged"),
    [
        ("x-remote-user", Level.WARNING, "MC_PROXY_AUTH_TRUSTED_IPS", found(proxy())),
        ("x-remote-user", Level.PROBLEM, "MC_PROXY_AUTH_TRUSTED_IPS", found(proxy("0.0.0.0/0"))),
        ("https://x", Level.PROBLEM, "OIDC_ISSUER", found(OIDC, keys={"https://x": "no answer within 5 seconds"})),
        ("GOOGLE_CLIENT_SECRET", Level.PROBLEM, "GOOGLE_CLIENT_ID", found(Identities(), secret_alone=True)),
        ("GOOGLE_CLIENT_SECRET", Level.WARNING, "MC_BASE_URL", found(Identities(google=GOOGLE), Fronting())),
    ],
)
def test_a_fault_is_told_with_what_to_change(
    looked_at: str, level: Level, names: str, judged: dict[str, Finding]
) -> None:
    told = judged[looked_at]

    assert level is told.level
    assert names in told.settings
    assert names in told.advice
    assert "s3cret" not in repr(judged)


def test_a_start_warns_of_a_proxy_that_is_believed_by_nobody_or_everybody() -> None:
    assert [1, 1, 0, 0] == [
        len(warnings_of(each)) for each in (proxy(), proxy("::/0"), proxy("10.0.0.7"), Identities())
    ]
