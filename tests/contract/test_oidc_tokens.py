"""
Tokens of an OpenID Connect issuer: which are believed, and what happens when the issuer changes its keys or cannot be
asked for them. The issuer is a real server on this machine.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from attrs import define
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from mission_adapters.oidc_tokens import MAX_TOKEN_LENGTH, IssuerKeys, OidcTokenVerifier
from mission_adapters.outbound_http import OutboundClient, OutboundRequestFailed
from mission_adapters.testing import ManualClock
from mission_core.accounts.identity_claims import ALGORITHMS, SigningKeysUnavailable, TokenFault, TokenRefused
from tests.local_issuer import EC, ED, OTHER, RSA, LocalIssuer, local_issuer

AUDIENCE = "mission-control"


@define
class Checking:
    """
    An issuer, and what checks its tokens.
    """

    issuer: LocalIssuer
    clock: ManualClock
    keys: IssuerKeys
    verifier: OidcTokenVerifier

    def claims(self, **more: Any) -> dict[str, Any]:
        """
        What a good token says, but for what is said otherwise; None leaves something out.
        """
        now = int(self.clock.now().timestamp())
        told = {"iss": self.issuer.url, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 60, **more}
        return {name: value for name, value in told.items() if value is not None}

    def token(self, *, key: Any = RSA, header: dict[str, Any] | None = None, **more: Any) -> str:
        return self.issuer.token(self.claims(**more), key=key, header=header)

    async def unavailable(self, token: str) -> SigningKeysUnavailable:
        """
        What is said of a token that cannot be checked now.
        """
        with pytest.raises(SigningKeysUnavailable) as unavailable:
            await self.verifier.claims_of(token)
        return unavailable.value

    async def why(self, token: str) -> str:
        """
        Why a token is refused.
        """
        with pytest.raises(TokenRefused) as refused:
            await self.verifier.claims_of(token)
        return refused.value.why


@pytest.fixture
async def checking() -> AsyncIterator[Checking]:
    """
    An issuer with one key, that nobody has asked yet.
    """
    clock = ManualClock()
    async with local_issuer() as issuer, OutboundClient.open([issuer.url]) as outbound:
        keys = IssuerKeys(issuer.url, outbound, clock)
        yield Checking(issuer, clock, keys, OidcTokenVerifier(keys, clock, (issuer.url,), AUDIENCE))


async def test_a_good_token_is_believed(checking: Checking) -> None:
    """
    Whatever else it says; a list of those whom it is meant for is as good as one.
    """
    token = checking.token(email="ada@example.com", cat="x", header={"cat": "cl_B7d4PD111AAA", "typ": "JWT"})
    told = await checking.verifier.claims_of(token)

    assert ("ada", "ada@example.com") == (told["sub"], told["email"])
    assert "ada" == (await checking.verifier.claims_of(checking.token(aud=["other", AUDIENCE])))["sub"]


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        (RSA, ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        (EC, ("ES256",)),
        (ECKey.generate_key("P-384", {"kid": "ec384"}), ("ES384",)),
        (ECKey.generate_key("P-521", {"kid": "ec521"}), ("ES512",)),
        (ED, ("EdDSA", "Ed25519")),
    ],
)
async def test_every_algorithm_with_two_halves(checking: Checking, key: Any, algorithms: tuple[str, ...]) -> None:
    checking.issuer.keys = [OTHER, key]
    for alg in algorithms:
        assert await checking.verifier.claims_of(checking.token(key=key, header={"alg": alg}))


def test_no_algorithm_with_a_shared_secret_is_among_them() -> None:
    assert not [alg for alg in ALGORITHMS if alg.startswith("HS") or alg == "none"]


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None) -> str:
    """
    A token that no library would make.
    """
    told = ".".join(encoded(json.dumps(each).encode()) for each in (header, claims))
    return f"{told}.{'' if secret is None else encoded(hmac.digest(secret, told.encode(), hashlib.sha256))}"


async def test_what_everybody_can_sign_is_refused(checking: Checking) -> None:
    """
    With nothing, or with the published key taken for a secret, in any of its spellings, under any name.
    """
    await checking.verifier.claims_of(checking.token())
    spellings = [RSA.as_pem(private=False), RSA.as_der(private=False), json.dumps(RSA.as_dict(private=False)).encode()]
    for alg in ("none", "None", "NONE", "HS256", "hs256", "HS512", "", None, 7, ["RS256"], {}):
        for secret in (None, b"", *spellings):
            for kid in ("rsa", None):
                token = by_hand({"alg": alg, "kid": kid, "typ": "JWT"}, checking.claims(), secret)
                assert "algorithm" in await checking.why(token), (alg, kid)
    secret_key = OctKey.import_key("a-secret-that-is-published-by-mistake", {"kid": "oct"})
    published: list[Any] = [secret_key, RSA]  # no issuer should
    checking.issuer.keys = published
    assert "algorithm" in await checking.why(checking.token(key=secret_key, header={"alg": "HS256"}))


async def test_another_algorithm_than_the_key_is_for_is_refused(checking: Checking) -> None:
    """
    And one that the settings do not allow.
    """
    for_one = RSAKey.import_key(RSA.as_dict(private=True), {"kid": "one", "alg": "RS256"})
    checking.issuer.keys = [for_one]
    fine, other = (checking.token(header={"alg": alg, "kid": "one"}) for alg in ("RS256", "PS256"))
    only = OidcTokenVerifier(checking.keys, checking.clock, (), AUDIENCE, algorithms=frozenset({"ES256"}))

    assert await checking.verifier.claims_of(fine)
    assert "no key" in await checking.why(other)
    with pytest.raises(TokenRefused, match="algorithm"):
        await only.claims_of(fine)


async def test_a_key_in_the_token_itself_counts_for_nothing(checking: Checking) -> None:
    public = OTHER.as_dict(private=False)
    for header in ({"jwk": public}, {"jku": f"{checking.issuer.url}/evil"}, {"x5u": f"{checking.issuer.url}/evil"}):
        for kid in ("other", "rsa"):
            assert "no key" in await checking.why(checking.token(key=OTHER, header={**header, "kid": kid}))

    assert "/evil" not in checking.issuer.asked


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"iss": "https://evil.example"}, "issuer"), ({"iss": None}, "issuer"), ({"iss": ["x"]}, "issuer"),
        ({"aud": "another"}, "its audience"), ({"aud": None}, "its audience"), ({"aud": []}, "its audience"),
        ({"aud": ["another"]}, "its audience"), ({"aud": {AUDIENCE: 1}}, "its audience"),
        ({"exp": None}, "exp"), ({"exp": "2099-01-01"}, "exp"), ({"exp": True}, "exp"), ({"exp": 0}, "expired"),
        ({"exp": 10**400}, "exp"), ({"nbf": 10**400}, "nbf"),
        ({"exp": float("nan")}, "exp"), ({"exp": float("inf")}, "exp"),
        ({"nbf": 4_000_000_000}, "not valid yet"), ({"nbf": "soon"}, "nbf"),
        ({"iat": 4_000_000_000}, "future"), ({"iat": None}, "iat"), ({"iat": "x"}, "iat"),
    ],
)  # fmt: skip
async def test_what_does_not_hold_here_and_now_is_refused(checking: Checking, said: dict[str, Any], why: str) -> None:
    assert why in await checking.why(checking.token(**said))


async def test_clocks_may_be_apart_a_little(checking: Checking) -> None:
    """
    By the leeway, and not a second more.
    """
    now = int(checking.clock.now().timestamp())
    for fine in ({"exp": now - 9}, {"nbf": now + 10}, {"iat": now + 10}):
        assert await checking.verifier.claims_of(checking.token(**fine))
    for off in ({"exp": now - 10}, {"nbf": now + 11}, {"iat": now + 11}):
        assert await checking.why(checking.token(**off))


async def test_a_token_ends_when_it_says(checking: Checking) -> None:
    token = checking.token()
    checking.clock.advance(seconds=69)
    assert await checking.verifier.claims_of(token)
    checking.clock.advance(seconds=1)

    assert "it has expired" == await checking.why(token)


async def test_what_is_no_token_is_refused_and_nobody_is_asked(checking: Checking) -> None:
    """
    Also one that is too long, encrypted, changed on its way, or deeper than anything is read.
    """
    good = checking.token()
    head, _, _ = good.split(".")
    deep = encoded(b'{"a":' * 1500 + b"1" + b"}" * 1500)
    for token in ("", "a.b", "..", "a.b.c", "é.é.é", "a.b.c.d.e", f"{encoded(b'[]')}.x.y", "x" * 9000):
        assert await checking.why(token)
    assert "longer" in await checking.why(checking.token(padding="x" * MAX_TOKEN_LENGTH))
    assert "header" in await checking.why(by_hand({"alg": "RS256", "crit": ["b64"], "b64": False}, {}, b""))
    assert "header" in await checking.why(by_hand({"alg": "RS256", "kid": {"$ne": ""}}, {}, b""))
    assert [] == checking.issuer.asked
    for changed in (f"{head}..", f"{good[:-2]}AA", good.replace(".", ".A", 1), f"{head}.{deep}.AAAA"):
        assert await checking.why(changed)


async def test_a_token_without_a_key_id_fits_the_only_key_of_its_kind(checking: Checking) -> None:
    """
    With two it is not known which.
    """
    token = checking.token(header={"kid": None})
    checking.issuer.keys = [RSA, EC]
    assert await checking.verifier.claims_of(token)
    checking.issuer.keys = [RSA, OTHER]
    checking.clock.advance(hours=1)

    assert "no key" in await checking.why(checking.token(header={"kid": None}))


async def test_the_keys_are_asked_for_once_in_a_while(checking: Checking) -> None:
    """
    However many ask at once.
    """
    token = checking.token()
    await asyncio.gather(*(checking.verifier.claims_of(token) for _ in range(20)))
    checking.clock.advance(minutes=59)
    await checking.verifier.claims_of(checking.token())

    assert 1 == checking.issuer.asked_for_keys()
    checking.clock.advance(minutes=1)
    token = checking.token()
    await asyncio.gather(*(checking.verifier.claims_of(token) for _ in range(20)))
    assert 2 == checking.issuer.asked_for_keys()


async def test_a_new_key_is_found_when_a_token_names_it(checking: Checking) -> None:
    """
    And the old one is none from then on. While the issuer may not be asked again, nobody knows whether a name is
    invented, so its token is not refused for good.
    """
    await checking.verifier.claims_of(checking.token())
    checking.issuer.keys = [OTHER]
    checking.clock.advance(seconds=30)
    assert await checking.verifier.claims_of(checking.token(key=OTHER))
    assert 2 == checking.issuer.asked_for_keys()

    assert "no key" in await checking.why(checking.token())
    for n in range(50):
        assert 5 == (await checking.unavailable(checking.token(header={"kid": f"invented-{n}"}))).retry_after
    assert 2 == checking.issuer.asked_for_keys()
    checking.clock.advance(seconds=30)
    await asyncio.gather(*(checking.why(checking.token(header={"kid": f"{n}"})) for n in range(20)))
    assert 3 == checking.issuer.asked_for_keys()


async def test_invented_key_ids_do_not_delay_a_new_key(checking: Checking) -> None:
    """
    Whatever else comes, the issuer is asked again after seconds, and not more often than that.
    """
    await checking.verifier.claims_of(checking.token())
    for second in range(32):
        checking.clock.advance(seconds=1)
        for n in range(3):
            with pytest.raises((TokenRefused, SigningKeysUnavailable)):
                await checking.verifier.claims_of(checking.token(header={"kid": f"{second}-{n}"}))
    assert 7 == checking.issuer.asked_for_keys()
    checking.issuer.keys = [RSA, OTHER]
    soon = (await checking.unavailable(checking.token(key=OTHER))).retry_after
    assert soon <= 5
    checking.clock.advance(seconds=soon)
    with pytest.raises(TokenRefused):
        await checking.verifier.claims_of(checking.token(header={"kid": "invented"}))

    assert await checking.verifier.claims_of(checking.token(key=OTHER))


async def test_a_silent_issuer_keeps_nobody_waiting_while_keys_are_known(checking: Checking) -> None:
    """
    Not even in the second in which it is asked again, and it is asked by one request only; a key that is not known is
    waited for briefly.
    """
    checking.keys.max_wait = timedelta(milliseconds=300)
    await checking.verifier.claims_of(checking.token())
    checking.issuer.silent = True
    checking.clock.advance(hours=2)
    began = time.monotonic()
    for _ in range(3):
        await asyncio.gather(*(checking.verifier.claims_of(checking.token()) for _ in range(20)))
        checking.clock.advance(seconds=30)
    unknown = await checking.unavailable(checking.token(key=OTHER))

    assert time.monotonic() - began < 1
    assert unknown.retry_after <= 5
    assert 2 == checking.issuer.asked.count("/.well-known/openid-configuration")


async def test_at_first_a_silent_issuer_is_waited_for_briefly(checking: Checking) -> None:
    """
    By all who come meanwhile together; then they are told when to come again.
    """
    checking.keys.max_wait = timedelta(milliseconds=200)
    checking.issuer.silent = True
    began = time.monotonic()
    told = await asyncio.gather(*(checking.unavailable(checking.token()) for _ in range(20)))
    late = await checking.unavailable(checking.token())

    assert time.monotonic() - began < 1
    assert {5} == {each.retry_after for each in (*told, late)}
    assert "does not answer" in str(late)


async def test_an_expired_token_makes_nobody_ask(checking: Checking) -> None:
    """
    Its key may be gone for long.
    """
    await checking.verifier.claims_of(checking.token())
    checking.clock.advance(minutes=1)

    assert "it has expired" == await checking.why(checking.token(key=OTHER, exp=0))
    assert 1 == checking.issuer.asked_for_keys()


async def test_a_key_that_is_for_no_signatures_fits_no_token(checking: Checking) -> None:
    """
    A key for agreements, or one whose id is no text, is published among the others.
    """
    agreement = OKPKey.generate_key("X25519", {"kid": "x"})
    listed = [agreement.as_dict(private=False), {**RSA.as_dict(private=False), "kid": ["rsa"]}]
    checking.issuer.body = json.dumps({"keys": [*listed, EC.as_dict(private=False)]}).encode()
    keys = IssuerKeys("x", checking.keys.outbound, checking.clock, url=f"{checking.issuer.url}/keys")

    assert 1 == await keys.fetch()
    assert ["ES256"] == keys.algorithms()
    token = by_hand({"alg": "EdDSA", "kid": "x"}, checking.claims(), b"")
    assert [] == await keys.known_keys_for("x", "EdDSA")
    with pytest.raises(TokenRefused, match="no key"):
        await OidcTokenVerifier(keys, checking.clock, (), None).claims_of(token)


async def test_a_refusal_names_what_came_and_what_was_expected(checking: Checking) -> None:
    """
    With the variable to set; the log has both, and they are those of a verified token.
    """
    called = f"{checking.issuer.url}/"
    with pytest.raises(TokenRefused) as refused:
        await checking.verifier.claims_of(checking.token(iss=called))
    assert TokenFault.ISSUER is refused.value.fault
    for told in (f"its iss is '{called}'", f"'{checking.issuer.url}' was expected", f"set OIDC_ISSUER to {called}"):
        assert told in refused.value.why
    with pytest.raises(TokenRefused) as refused:
        await checking.verifier.claims_of(checking.token(aud=["a", "b\nc"]))
    assert TokenFault.AUDIENCE is refused.value.fault
    assert f"ask {checking.issuer.url} for a token for {AUDIENCE}" in refused.value.why
    for told in ("aud=", "b\\\\nc", f"expected_aud='{AUDIENCE}'", f"expected_iss='{checking.issuer.url}'"):
        assert told in refused.value.logged

    assert "iss=" not in TokenRefused("it is forged").logged


async def test_what_is_no_jwt_is_told_what_to_ask_for(checking: Checking) -> None:
    for token in ("opaque", "a.b.c", "x" * 43):
        with pytest.raises(TokenRefused) as refused:
            await checking.verifier.claims_of(token)
        assert TokenFault.NOT_A_JWT is refused.value.fault
        assert f"this is no JWT; ask {checking.issuer.url} for an access token for {AUDIENCE}" == refused.value.why


async def test_any_of_several_audiences_will_do(checking: Checking) -> None:
    verifier = OidcTokenVerifier(checking.keys, checking.clock, (), ("web", "cli"))
    for audience in ("web", "cli", ["other", "cli"]):
        assert await verifier.claims_of(checking.token(aud=audience))
    for audience in ("other", "web,cli", "we", ["other"], []):
        with pytest.raises(TokenRefused, match="web or cli was expected"):
            await verifier.claims_of(checking.token(aud=audience))


@pytest.mark.parametrize(
    "outage",
    [
        {"status": 500}, {"status": 301, "headers": {"location": "/elsewhere"}}, {"body": b"<html>"}, {"body": b"{}"},
        {"body": b'{"keys": []}'}, {"body": b'{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "rsa"}]}'},
        {"body": b'{"keys": "' + b"x" * 600_000 + b'"}'}, {"body": json.dumps({"keys": [{}] * 101}).encode()},
        {"body": b"[" * 100_000}, {"headers": {"content-encoding": "gzip"}}, {"silent": True},
    ],
    ids=range(11),
)  # fmt: skip
async def test_during_an_outage_what_is_known_goes_on_working(
    checking: Checking, outage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """
    For a day; then nobody is let in until there are keys again. Whoever was never asked before is asked for nothing,
    and says so instead of waiting.
    """
    checking.keys.outbound = OutboundClient(
        checking.keys.outbound.client, checking.keys.outbound.configured_origins, timeout=0.2
    )
    healthy = {"status": None, "body": None, "headers": {}, "silent": False}
    await checking.verifier.claims_of(checking.token())
    for name, value in outage.items():
        setattr(checking.issuer, name, value)
    checking.clock.advance(hours=23)
    with caplog.at_level(logging.WARNING):
        assert await checking.verifier.claims_of(checking.token())
    assert "known keys stay in use" in caplog.text
    asked = len(checking.issuer.asked)
    for _ in range(10):
        assert await checking.verifier.claims_of(checking.token())
    assert asked == len(checking.issuer.asked)

    checking.clock.advance(hours=1)
    with pytest.raises(SigningKeysUnavailable) as unavailable:
        await checking.verifier.claims_of(checking.token())
    assert checking.issuer.url in str(unavailable.value)
    for name, value in healthy.items():
        setattr(checking.issuer, name, value)
    checking.clock.advance(seconds=30)
    assert await checking.verifier.claims_of(checking.token())
    assert "/elsewhere" not in checking.issuer.asked


async def test_an_issuer_that_was_never_reached_lets_nobody_in(checking: Checking) -> None:
    """
    And is asked again after a while.
    """
    checking.issuer.status = 503
    for _ in range(3):
        with pytest.raises(SigningKeysUnavailable, match="503"):
            await checking.verifier.claims_of(checking.token())
    checking.issuer.status = None
    with pytest.raises(SigningKeysUnavailable):
        await checking.verifier.claims_of(checking.token())
    checking.clock.advance(seconds=30)

    assert await checking.verifier.claims_of(checking.token())
    assert 2 == checking.issuer.asked.count("/.well-known/openid-configuration")


@pytest.mark.parametrize(
    ("configuration", "why"),
    [
        ({"issuer": "https://evil.example"}, "another issuer.* set OIDC_ISSUER to https://evil.example"),
        ({"issuer": None}, "names no issuer"), ({"jwks_uri": None}, "no keys"),
        ({"jwks_uri": "http://localhost:1/keys"}, "https"), ({"jwks_uri": "https://127.0.0.1:1/keys"}, "private"),
        ({"jwks_uri": "https://[::ffff:10.0.0.1]/keys"}, "private"), ({"jwks_uri": "https://169.254.169.254/"}, "priv"),
        ({"jwks_uri": "https://localhost:1/keys"}, "private"), ({"jwks_uri": "file:///etc/passwd"}, "no URL"),
        ({"jwks_uri": "https://[64:ff9b::a00:1]/"}, "private"), ({"jwks_uri": "https://[::a00:1]/"}, "private"),
        ({"jwks_uri": "https://[2002:7f00:1::]/"}, "private"),
        ({"jwks_uri": "https://[broken"}, "no URL"), ({"jwks_uri": "https://2130706433/"}, "private"),
    ],
)  # fmt: skip
async def test_an_issuer_leads_nowhere_it_should_not(
    checking: Checking, configuration: dict[str, Any], why: str
) -> None:
    """
    What it tells of itself must be its own, and lie in no private network.
    """
    checking.issuer.configuration = configuration

    with pytest.raises(SigningKeysUnavailable, match=why):
        await checking.verifier.claims_of(checking.token())


async def test_a_private_place_may_be_asked_where_that_is_allowed() -> None:
    async with local_issuer() as issuer:
        async with OutboundClient.open() as outbound:
            with pytest.raises(OutboundRequestFailed, match="in the settings"):
                await outbound.get_json(f"{issuer.url}/keys")
        async with OutboundClient.open(anywhere=True) as outbound:
            assert "keys" in await outbound.get_json(f"{issuer.url}/keys")


async def test_the_keys_of_clerk_are_asked_for_with_its_secret(checking: Checking) -> None:
    """
    From where it keeps them; any issuer may have signed with them, and no audience is needed.
    """
    url, headers = f"{checking.issuer.url}/keys", {"authorization": "Bearer s"}
    keys = IssuerKeys("clerk", checking.keys.outbound, checking.clock, url=url, headers=headers)
    verifier = OidcTokenVerifier(keys, checking.clock, (), None, leeway=timedelta(0), requires_iat=False)

    assert await verifier.claims_of(checking.token(aud=None, azp="https://app.example", iat=None))
    assert ["/keys"] == checking.issuer.asked
    assert "Bearer s" == checking.issuer.shown[0]["authorization"]
