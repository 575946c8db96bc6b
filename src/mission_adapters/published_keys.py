"""
The signing keys that an OpenID Connect issuer publishes (JWKS), refreshed in the background.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from mission_adapters.outbound import OutboundFailed
from mission_core.accounts.vouching import ALGORITHMS, KeysUnavailable

if TYPE_CHECKING:
    from mission_adapters.outbound import Outbound
    from mission_core.ports import Clock

Key = RSAKey | ECKey | OKPKey

MOST_KEYS: Final = 100
MOST_SHOWN: Final = 200
LEAST_RSA, MOST_RSA = 2048, 16_384
CURVES: Final = {
    "ES256": ("P-256",), "ES384": ("P-384",), "ES512": ("P-521",), "EdDSA": ("Ed25519", "Ed448"),
    "Ed25519": ("Ed25519",),
}  # fmt: skip
"""The curves that each algorithm accepts. The other algorithms use RSA keys."""
logger = logging.getLogger("mission_adapters")


@define(eq=False)
class PublishedKeys:
    """
    The signing keys of one issuer.

    One refresh runs at a time. A request whose key is known does not wait for it: known keys are used until they are as
    old as `lasting`, also while the issuer does not answer. A request waits only for an unknown key, and at most
    `wait`.

    Args:
        url: The URL of the key set. None if it is read from the issuer's configuration.
        headers: Headers of the request.
        setting: The environment variable that names the issuer, for error texts.
        fresh: The age from which known keys are refreshed.
        lasting: The age from which known keys are not used any more.
        again: The least time between two refreshes of known keys.
        sooner: The least time between two refreshes for an unknown key. It is short, because anybody can send a token
            with an unknown key id: a new key is found within this time, whatever others send.
        grace: How long the request that starts a refresh of known keys waits for it, to use a new key at once.
        wait: The longest time from the start of a refresh that a request waits for it.
    """

    issuer: str
    outbound: Outbound
    clock: Clock
    url: str | None = None
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    setting: str = "OIDC_ISSUER"
    fresh: timedelta = timedelta(hours=1)
    lasting: timedelta = timedelta(days=1)
    again: timedelta = timedelta(seconds=30)
    sooner: timedelta = timedelta(seconds=5)
    grace: timedelta = timedelta(milliseconds=250)
    wait: timedelta = timedelta(seconds=2)
    _keys: tuple[Key, ...] = field(default=(), init=False)
    _had_at: datetime | None = field(default=None, init=False)
    _asked_at: datetime | None = field(default=None, init=False)
    _why: str = field(default="its keys were not read yet", init=False)
    _absent: set[str | None] = field(factory=set, init=False)
    """The key ids that the latest answer of the issuer did not contain."""
    _refresh: asyncio.Task[bool] | None = field(default=None, init=False)
    _waited_until: float = field(default=0.0, init=False)

    async def fitting(self, kid: str | None, alg: str) -> list[Key]:
        """
        The known keys that may have signed a token with this header. If the keys are old, this starts a refresh.
        """
        running, begun = self._refresh, None
        if self._known() and self._older_than(self.fresh):
            begun = self._begin_refresh(self.again)
        if begun is not None and begun is not running:
            await asyncio.wait([begun], timeout=self.grace.total_seconds())
        found = self._fitting(kid, alg)
        if not found and begun is not None and begun.done() and begun.result():
            self._absent.add(kid)
        return found

    def has(self, kid: str | None) -> bool:
        """
        Whether a key with this id is known, for any algorithm.
        """
        return kid is not None and any(key.get("kid") == kid for key in self._known())

    async def asked_for(self, kid: str | None, alg: str) -> list[Key]:
        """
        The matching keys after a refresh; empty if the issuer has no such key.

        Raises:
            KeysUnavailable: If the issuer does not answer, or was asked a moment ago.
        """
        if kid in self._absent and not self._may_ask(self.sooner):
            return []
        refresh = self._begin_refresh(self.sooner)
        answered = False
        if refresh is not None:
            try:
                async with asyncio.timeout_at(self._waited_until):
                    answered = await asyncio.shield(refresh)
            except TimeoutError:
                self._why = "the issuer does not answer"
        if not answered:
            known = self._known() and refresh is None
            raise KeysUnavailable(
                self.issuer, "the key of this token is not known yet" if known else self._why, self._seconds_to_wait()
            )
        found = self._fitting(kid, alg)
        if not found:
            self._absent.add(kid)
        return found

    async def fetched(self) -> int:
        """
        Read the keys from the issuer now.

        Returns:
            The number of keys.

        Raises:
            OutboundFailed: If they cannot be read.
        """
        url = self.url or await self._discovered()
        keys = _keys_in(await self.outbound.json(url, headers=self.headers))
        self._absent = {key.kid for key in self._keys} - {key.kid for key in keys}
        self._keys, self._had_at = keys, self.clock.now()
        return len(keys)

    async def configuration(self) -> dict[str, Any]:
        """
        The OpenID Connect configuration that the issuer publishes.

        Raises:
            OutboundFailed: If it cannot be read, or names no issuer.
        """
        told = await self.outbound.json(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if not isinstance(told, dict) or not isinstance(told.get("issuer"), str):
            raise OutboundFailed("the OpenID Connect configuration names no issuer")
        return told

    def algorithms(self) -> list[str]:
        """
        The algorithms that a known key can verify.
        """
        return [alg for alg in ALGORITHMS if any(fits(key, alg) for key in self._known())]

    def _fitting(self, kid: str | None, alg: str) -> list[Key]:
        found = [key for key in self._known() if fits(key, alg)]
        if kid is None:
            return found if len(found) == 1 else []
        return [key for key in found if key.get("kid") == kid]

    def _known(self) -> tuple[Key, ...]:
        return () if self._older_than(self.lasting) else self._keys

    def _older_than(self, age: timedelta) -> bool:
        return self._had_at is None or self.clock.now() >= self._had_at + age

    def _may_ask(self, least: timedelta) -> bool:
        return self._asked_at is None or self.clock.now() >= self._asked_at + least

    def _seconds_to_wait(self) -> int:
        left = self._asked_at + self.sooner - self.clock.now() if self._asked_at else self.sooner
        return max(1, math.ceil(left.total_seconds()))

    def _begin_refresh(self, least: timedelta) -> asyncio.Task[bool] | None:
        """
        The refresh that runs, or a new one if the last began at least *least* ago, else None.
        """
        if self._refresh is None or self._refresh.done():
            if not self._may_ask(least):
                return None
            self._asked_at = self.clock.now()
            self._waited_until = asyncio.get_running_loop().time() + self.wait.total_seconds()
            self._refresh = self.outbound.beside(self._refreshed())
        return self._refresh

    async def _refreshed(self) -> bool:
        try:
            async with asyncio.timeout(self.outbound.patience):
                await self.fetched()
        except (OutboundFailed, TimeoutError) as e:
            why = str(e) or f"no answer within {self.outbound.patience:g} seconds"
            self._why = f"its keys could not be read: {why}"
            known = "known keys stay in use" if self._known() else "no key is known, so its tokens are refused"
            logger.warning("issuer_keys_unavailable issuer=%s reason=%s: %s", self.issuer, why, known)
            return False
        return True

    async def _discovered(self) -> str:
        """
        The URL of the key set, from the issuer's configuration.
        """
        told = await self.configuration()
        if told["issuer"] != self.issuer:
            raise OutboundFailed(f"the configuration is that of another issuer: {self.misnamed(told['issuer'])}")
        if not isinstance(told.get("jwks_uri"), str):
            raise OutboundFailed("the OpenID Connect configuration has no keys: jwks_uri is missing")
        return str(told["jwks_uri"])

    def misnamed(self, itself: str) -> str:
        """
        The error text for an issuer whose configuration has another issuer name than the settings.
        """
        itself = itself[:MOST_SHOWN]
        return f"it calls itself {itself!r}, and {self.issuer!r} was expected; set {self.setting} to {itself}"


def fits(key: Key, alg: str) -> bool:
    """
    Whether the key may verify tokens with this algorithm.
    """
    if key.get("alg") not in (None, alg):
        return False
    curves = CURVES.get(alg)
    return key.key_type == "RSA" if curves is None else key.key_type != "RSA" and key.get("crv") in curves


def _keys_in(told: Any) -> tuple[Key, ...]:
    """
    The keys of a JWK set that can verify signatures. Other keys are left out, and so are symmetric ones, which must not
    be published.

    Raises:
        OutboundFailed: If this is no JWK set, or it has no usable key, or too many keys.
    """
    listed = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(listed, list):
        raise OutboundFailed("the answer is no JWK set")
    if len(listed) > MOST_KEYS:
        raise OutboundFailed(f"the JWK set has {len(listed)} keys; at most {MOST_KEYS} are accepted")
    keys = tuple(key for each in listed if (key := _key_in(each)) is not None)
    if not keys:
        raise OutboundFailed("the JWK set has no key that can verify signatures")
    return keys


def _key_in(told: Any) -> Key | None:
    if not isinstance(told, dict) or told.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    if not isinstance(told.get("kid"), str | None):
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
    return key if isinstance(key, RSAKey | ECKey | OKPKey) and any(fits(key, alg) for alg in ALGORITHMS) else None
