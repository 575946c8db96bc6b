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

from attrs import field
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from mission_adapters.outbound_http import OutboundRequestFailed
from mission_core.accounts.identity_claims import ALGORITHMS, SigningKeysUnavailable
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from mission_adapters.outbound_http import OutboundClient
    from mission_core.ports import Clock

PublicKey = RSAKey | ECKey | OKPKey

MAX_KEYS: Final = 100
MAX_SHOWN_LENGTH: Final = 200
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 16_384
CURVES_OF_ALGORITHM: Final = {
    "ES256": ("P-256",), "ES384": ("P-384",), "ES512": ("P-521",), "EdDSA": ("Ed25519", "Ed448"),
    "Ed25519": ("Ed25519",),
}  # fmt: skip
"""The curves that each algorithm accepts. The other algorithms use RSA keys."""
logger = logging.getLogger("mission_adapters")


@define(eq=False)
class IssuerKeys:
    """
    The signing keys of one issuer.

    One refresh runs at a time. A request whose key is known does not wait for it: known keys are used until they are as
    old as `expire_after`, also while the issuer does not answer. A request waits only for an unknown key, and at most
    `max_wait`.

    Args:
        url: The URL of the key set. None if it is read from the issuer's configuration.
        headers: Headers of the request.
        setting: The environment variable that names the issuer, for error texts.
        refresh_after: The age from which known keys are refreshed.
        expire_after: The age from which known keys are not used any more.
        min_refresh_interval: The least time between two refreshes of known keys.
        min_interval_for_unknown_key: The least time between two refreshes for an unknown key. It is short, because
            anybody can send a token with an unknown key id: a new key is found within this time, whatever others send.
        grace: How long the request that starts a refresh of known keys waits for it, to use a new key at once.
        max_wait: The longest time from the start of a refresh that a request waits for it.
    """

    issuer: str
    outbound: OutboundClient
    clock: Clock
    url: str | None = None
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    setting: str = "OIDC_ISSUER"
    refresh_after: timedelta = timedelta(hours=1)
    expire_after: timedelta = timedelta(days=1)
    min_refresh_interval: timedelta = timedelta(seconds=30)
    min_interval_for_unknown_key: timedelta = timedelta(seconds=5)
    grace: timedelta = timedelta(milliseconds=250)
    max_wait: timedelta = timedelta(seconds=2)
    _keys: tuple[PublicKey, ...] = field(default=(), init=False)
    _fetched_at: datetime | None = field(default=None, init=False)
    _refresh_started_at: datetime | None = field(default=None, init=False)
    _failure: str = field(default="its keys were not read yet", init=False)
    _absent: set[str | None] = field(factory=set, init=False)
    """The key ids that the latest answer of the issuer did not contain."""
    _refresh: asyncio.Task[bool] | None = field(default=None, init=False)
    _waited_until: float = field(default=0.0, init=False)

    async def known_keys_for(self, kid: str | None, alg: str) -> list[PublicKey]:
        """
        The known keys that may have signed a token with this header. If the keys are old, this starts a refresh.
        """
        running, begun = self._refresh, None
        if self._known() and self._older_than(self.refresh_after):
            begun = self._begin_refresh(self.min_refresh_interval)
        if begun is not None and begun is not running:
            await asyncio.wait([begun], timeout=self.grace.total_seconds())
        found = self._matching(kid, alg)
        if not found and begun is not None and begun.done() and begun.result():
            self._absent.add(kid)
        return found

    def knows(self, kid: str | None) -> bool:
        """
        Whether a key with this id is known, for any algorithm.
        """
        return kid is not None and any(key.get("kid") == kid for key in self._known())

    async def refreshed_keys_for(self, kid: str | None, alg: str) -> list[PublicKey]:
        """
        The matching keys after a refresh; empty if the issuer has no such key.

        Raises:
            SigningKeysUnavailable: If the issuer does not answer, or was asked a moment ago.
        """
        if kid in self._absent and not self._may_ask(self.min_interval_for_unknown_key):
            return []
        refresh = self._begin_refresh(self.min_interval_for_unknown_key)
        answered = False
        if refresh is not None:
            try:
                async with asyncio.timeout_at(self._waited_until):
                    answered = await asyncio.shield(refresh)
            except TimeoutError:
                self._failure = "the issuer does not answer"
        if not answered:
            known = self._known() and refresh is None
            raise SigningKeysUnavailable(
                self.issuer,
                "the key of this token is not known yet" if known else self._failure,
                self._seconds_to_wait(),
            )
        found = self._matching(kid, alg)
        if not found:
            self._absent.add(kid)
        return found

    async def fetch(self) -> int:
        """
        Read the keys from the issuer now.

        Returns:
            The number of keys.

        Raises:
            OutboundRequestFailed: If they cannot be read.
        """
        url = self.url or await self._discover_url()
        keys = _keys_of_set(await self.outbound.get_json(url, headers=self.headers))
        self._absent = {key.kid for key in self._keys} - {key.kid for key in keys}
        self._keys, self._fetched_at = keys, self.clock.now()
        return len(keys)

    async def configuration(self) -> dict[str, Any]:
        """
        The OpenID Connect configuration that the issuer publishes.

        Raises:
            OutboundRequestFailed: If it cannot be read, or names no issuer.
        """
        told = await self.outbound.get_json(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if not isinstance(told, dict) or not isinstance(told.get("issuer"), str):
            raise OutboundRequestFailed("the OpenID Connect configuration names no issuer")
        return told

    def algorithms(self) -> list[str]:
        """
        The algorithms that a known key can verify.
        """
        return [alg for alg in ALGORITHMS if any(key_fits_algorithm(key, alg) for key in self._known())]

    def _matching(self, kid: str | None, alg: str) -> list[PublicKey]:
        found = [key for key in self._known() if key_fits_algorithm(key, alg)]
        if kid is None:
            return found if len(found) == 1 else []
        return [key for key in found if key.get("kid") == kid]

    def _known(self) -> tuple[PublicKey, ...]:
        return () if self._older_than(self.expire_after) else self._keys

    def _older_than(self, age: timedelta) -> bool:
        return self._fetched_at is None or self.clock.now() >= self._fetched_at + age

    def _may_ask(self, least: timedelta) -> bool:
        return self._refresh_started_at is None or self.clock.now() >= self._refresh_started_at + least

    def _seconds_to_wait(self) -> int:
        left = (
            self._refresh_started_at + self.min_interval_for_unknown_key - self.clock.now()
            if self._refresh_started_at
            else self.min_interval_for_unknown_key
        )
        return max(1, math.ceil(left.total_seconds()))

    def _begin_refresh(self, least: timedelta) -> asyncio.Task[bool] | None:
        """
        The refresh that runs, or a new one if the last began at least *least* ago, else None.
        """
        if self._refresh is None or self._refresh.done():
            if not self._may_ask(least):
                return None
            self._refresh_started_at = self.clock.now()
            self._waited_until = asyncio.get_running_loop().time() + self.max_wait.total_seconds()
            self._refresh = self.outbound.in_background(self._run_refresh())
        return self._refresh

    async def _run_refresh(self) -> bool:
        try:
            async with asyncio.timeout(self.outbound.timeout):
                await self.fetch()
        except (OutboundRequestFailed, TimeoutError) as e:
            why = str(e) or f"no answer within {self.outbound.timeout:g} seconds"
            self._failure = f"its keys could not be read: {why}"
            known = "known keys stay in use" if self._known() else "no key is known, so its tokens are refused"
            logger.warning("issuer_keys_unavailable issuer=%s reason=%s: %s", self.issuer, why, known)
            return False
        return True

    async def _discover_url(self) -> str:
        """
        The URL of the key set, from the issuer's configuration.
        """
        told = await self.configuration()
        if told["issuer"] != self.issuer:
            raise OutboundRequestFailed(
                f"the configuration is that of another issuer: {self.issuer_mismatch(told['issuer'])}"
            )
        if not isinstance(told.get("jwks_uri"), str):
            raise OutboundRequestFailed("the OpenID Connect configuration has no keys: jwks_uri is missing")
        return str(told["jwks_uri"])

    def issuer_mismatch(self, itself: str) -> str:
        """
        The error text for an issuer whose configuration has another issuer name than the settings.
        """
        itself = itself[:MAX_SHOWN_LENGTH]
        return f"it calls itself {itself!r}, and {self.issuer!r} was expected; set {self.setting} to {itself}"


def key_fits_algorithm(key: PublicKey, alg: str) -> bool:
    """
    Whether the key may verify tokens with this algorithm.
    """
    if key.get("alg") not in (None, alg):
        return False
    curves = CURVES_OF_ALGORITHM.get(alg)
    return key.key_type == "RSA" if curves is None else key.key_type != "RSA" and key.get("crv") in curves


def _keys_of_set(told: Any) -> tuple[PublicKey, ...]:
    """
    The keys of a JWK set that can verify signatures. Other keys are left out, and so are symmetric ones, which must not
    be published.

    Raises:
        OutboundRequestFailed: If this is no JWK set, or it has no usable key, or too many keys.
    """
    listed = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(listed, list):
        raise OutboundRequestFailed("the answer is no JWK set")
    if len(listed) > MAX_KEYS:
        raise OutboundRequestFailed(f"the JWK set has {len(listed)} keys; at most {MAX_KEYS} are accepted")
    keys = tuple(key for each in listed if (key := _key_of_jwk(each)) is not None)
    if not keys:
        raise OutboundRequestFailed("the JWK set has no key that can verify signatures")
    return keys


def _key_of_jwk(told: Any) -> PublicKey | None:
    if not isinstance(told, dict) or told.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    if not isinstance(told.get("kid"), str | None):
        return None
    operations = told.get("key_ops", ["verify"])
    if told.get("use") not in (None, "sig") or not isinstance(operations, list) or "verify" not in operations:
        return None
    public = {name: told[name] for name in ("kty", "kid", "alg", "n", "e", "crv", "x", "y") if name in told}
    if public["kty"] == "RSA" and not MIN_RSA_BITS <= len(str(public.get("n", ""))) * 6 <= MAX_RSA_BITS + 6:
        return None
    try:
        key = JWKRegistry.import_key(public)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return (
        key
        if isinstance(key, RSAKey | ECKey | OKPKey) and any(key_fits_algorithm(key, alg) for alg in ALGORITHMS)
        else None
    )
