"""
Tokens of OpenID Connect issuers, checked against the keys that the issuer publishes.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from mission_adapters.outbound import OutboundFailed
from mission_core.accounts.vouching import ALGORITHMS, KeysUnavailable, TokenRefused

if TYPE_CHECKING:

    from mission_adapters.outbound import Outbound
    from mission_core.accounts.vouching import Claims
    from mission_core.ports import Clock

Key = RSAKey | ECKey | OKPKey

LONGEST_TOKEN: Final = 16 * 1024
MOST_KEYS: Final = 100
LEAST_RSA, MOST_RSA = 2048, 16_384
FAMILIES: Final = {
    alg: {"R": "RSA", "P": "RSA", "E": "EC"}[alg[0]] if alg[:2] != "Ed" else "OKP" for alg in ALGORITHMS
}
"""The kind of key that each algorithm needs."""
logger = logging.getLogger("mission_adapters")


class _Registry(JWSRegistry):
    """
    Of the library, its arithmetic: which algorithms and headers are accepted is decided here before.
    """

    max_header_length = max_payload_length = max_signature_length = LONGEST_TOKEN

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


REGISTRY: Final = _Registry(strict_check_header=False)


@define(eq=False)
class PublishedKeys:
    """
    The keys that an issuer publishes, asked for when they are needed: now and then, and when a token names one that is
    not known. If the issuer cannot be asked, those that are known go on working for a while.

    Args:
        url: Where they are. None if the issuer is to be asked for that, too.
        headers: What to send along.
        fresh: For how long they are taken as they are.
        lasting: For how long they are good if no newer ones can be had.
        again: The least time between two questions.
    """

    issuer: str
    outbound: Outbound
    clock: Clock
    url: str | None = None
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    fresh: timedelta = timedelta(hours=1)
    lasting: timedelta = timedelta(days=1)
    again: timedelta = timedelta(seconds=30)
    _keys: tuple[Key, ...] = field(default=(), init=False)
    _had_at: datetime | None = field(default=None, init=False)
    _asked_at: datetime | None = field(default=None, init=False)
    _why: str = field(default="they were not asked for yet", init=False)
    _asking: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def fitting(self, kid: str | None, alg: str) -> list[Key]:
        """
        The keys that a token with this header may be signed with.

        Raises:
            KeysUnavailable: If none are known.
        """
        if self._older_than(self.fresh):
            await self._ask_again()
        found = self._fitting(kid, alg)
        if not found and await self._ask_again():
            found = self._fitting(kid, alg)
        if not found and not self._known():
            raise KeysUnavailable(self.issuer, self._why)
        return found

    async def fetched(self) -> int:
        """
        Ask for the keys now.

        Returns:
            How many there are.

        Raises:
            OutboundFailed: If they cannot be had.
        """
        url = self.url or await self._discovered()
        keys = _keys_in(await self.outbound.json(url, headers=self.headers))
        self._keys, self._had_at = keys, self.clock.now()
        return len(keys)

    def _known(self) -> tuple[Key, ...]:
        return () if self._older_than(self.lasting) else self._keys

    def _fitting(self, kid: str | None, alg: str) -> list[Key]:
        family = FAMILIES[alg]
        found = [key for key in self._known() if key.key_type == family and key.get("alg") in (None, alg)]
        if kid is None:
            return found if len(found) == 1 else []
        return [key for key in found if key.get("kid") == kid]

    def _older_than(self, age: timedelta) -> bool:
        return self._had_at is None or self.clock.now() >= self._had_at + age

    async def _ask_again(self) -> bool:
        """
        Ask for the keys, unless that was done a moment ago; whoever comes meanwhile waits for the answer.

        Returns:
            Whether there is an answer since the call began.
        """
        before = self._had_at
        async with self._asking:
            if self._had_at != before:
                return True
            if self._asked_at is not None and self.clock.now() < self._asked_at + self.again:
                return False
            self._asked_at = self.clock.now()
            try:
                await self.fetched()
            except OutboundFailed as e:
                self._why = f"its keys could not be had: {e}"
                good = "those known go on working" if self._known() else "none are known, so nobody is let in by them"
                logger.warning("the keys of %s could not be had (%s); %s", self.issuer, e, good)
                return False
        return True

    async def _discovered(self) -> str:
        """
        Where the issuer says that its keys are.
        """
        told = await self.outbound.json(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if not isinstance(told, dict) or told.get("issuer") != self.issuer:
            raise OutboundFailed("its configuration is that of another issuer, or of none")
        if not isinstance(told.get("jwks_uri"), str):
            raise OutboundFailed("its configuration tells of no keys")
        return str(told["jwks_uri"])


@frozen(eq=False)
class OidcVerifier:
    """
    Checks the tokens of one issuer.

    Args:
        issuers: How the issuer may call itself; if empty, its keys alone tell.
        audience: Whom a token must be meant for; None if that does not matter.
        leeway: How far clocks may be apart.
        check_issued: Whether a token from the future is refused, and one that does not tell.
    """

    keys: PublishedKeys
    clock: Clock
    issuers: tuple[str, ...]
    audience: str | None
    algorithms: frozenset[str] = frozenset(FAMILIES)
    leeway: timedelta = timedelta(seconds=10)
    check_issued: bool = True

    async def claims_of(self, token: str) -> Claims:
        """
        What the token says.
        """
        kid, alg = self._header_of(token)
        for key in await self.keys.fitting(kid, alg):
            try:
                claims = jwt.decode(token, key, registry=REGISTRY).claims
            except (JoseError, ValueError, TypeError, KeyError, RecursionError):
                continue
            self._check(claims)
            return claims
        raise TokenRefused("no key of its issuer fits it")

    def _header_of(self, token: str) -> tuple[str | None, str]:
        """
        Which key it names, and the algorithm, which must be an allowed one.
        """
        if len(token) > LONGEST_TOKEN:
            raise TokenRefused(f"it is longer than {LONGEST_TOKEN} bytes")
        try:
            header = jws.extract_compact(token.encode("ascii"), registry=REGISTRY).headers()
        except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
            raise TokenRefused("it is no signed token") from None
        alg, kid = header.get("alg"), header.get("kid")
        if not isinstance(alg, str) or alg not in self.algorithms or alg not in FAMILIES:
            raise TokenRefused("its algorithm is not allowed")
        if "crit" in header or "b64" in header or not isinstance(kid, str | None):
            raise TokenRefused("its header asks for what is not known here")
        return kid, alg

    def _check(self, claims: Claims) -> None:
        """
        Raises:
            TokenRefused: If what it says does not hold here and now.
        """
        now, leeway = self.clock.now().timestamp(), self.leeway.total_seconds()
        issuer, audience = claims.get("iss"), claims.get("aud")
        if not isinstance(issuer, str) or (self.issuers and issuer not in self.issuers):
            raise TokenRefused("its issuer is another one")
        if self.audience is not None and self.audience not in (audience if isinstance(audience, list) else [audience]):
            raise TokenRefused("it is meant for somebody else")
        if _moment(claims, "exp", needed=True) + leeway <= now:
            raise TokenRefused("it has expired")
        if _moment(claims, "nbf") - leeway > now:
            raise TokenRefused("it is not good yet")
        if self.check_issued and _moment(claims, "iat", needed=True) - leeway > now:
            raise TokenRefused("it was issued in the future")


@frozen(eq=False)
class TokenEndpoint:
    """
    Where an issuer gives out tokens for the codes that browsers bring.
    """

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    outbound: Outbound

    async def token_for(self, code: str, *, verifier: str, redirect: str) -> str:
        """
        The ID token for a code.
        """
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier,
            "client_id": self.client_id, "client_secret": self.client_secret,
        }  # fmt: skip
        try:
            told = await self.outbound.json(self.url, form=form)
        except OutboundFailed as e:
            if e.status in (400, 401, 403):
                raise TokenRefused("its code was not accepted, or was used before; begin again") from e
            logger.warning("the token endpoint %s could not be asked: %s", self.url, e)
            raise KeysUnavailable(self.url, str(e)) from e
        token = told.get("id_token") if isinstance(told, dict) else None
        if not isinstance(token, str):
            raise TokenRefused("the answer of its issuer has no ID token")
        return token


def _moment(claims: Claims, name: str, *, needed: bool = False) -> float:
    value = claims.get(name)
    if value is None and not needed:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TokenRefused(f"its {name} is missing, or no moment")
    return value


def _keys_in(told: Any) -> tuple[Key, ...]:
    """
    The keys of a set that signatures can be checked with. Others are left out, and so is a secret, which nobody who
    publishes it can mean.

    Raises:
        OutboundFailed: If it is no set of keys, or holds too many or none.
    """
    listed = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(listed, list):
        raise OutboundFailed("the answer is no set of keys")
    if len(listed) > MOST_KEYS:
        raise OutboundFailed(f"the set has {len(listed)} keys, and more than {MOST_KEYS} are not read")
    keys = tuple(key for each in listed if (key := _key_in(each)) is not None)
    if not keys:
        raise OutboundFailed("the set has no key that signatures can be checked with")
    return keys


def _key_in(told: Any) -> Key | None:
    if not isinstance(told, dict) or told.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    operations = told.get("key_ops", ["verify"])
    if told.get("use") not in (None, "sig") or not isinstance(operations, list) or "verify" not in operations:
        return None
    public = {name: told[name] for name in ("kty", "kid", "alg", "n", "e", "crv", "x", "y") if name in told}
    if public["kty"] == "RSA" and not LEAST_RSA <= len(str(public.get("n", ""))) * 6 <= MOST_RSA + 6:
        return None
    try:
        key = JWKRegistry.import_key(public)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None
