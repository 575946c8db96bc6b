"""
The keys that an OpenID Connect issuer publishes, refreshed beside the requests that need them.
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
"""The curves that each algorithm takes; the others take RSA keys."""
logger = logging.getLogger("mission_adapters")


@define(eq=False)
class PublishedKeys:
    """
    The keys that an issuer publishes. One refresh runs at a time, and a known key waits for none: it is good while the
    issuer is silent, until `lasting`. A request waits only for a key that is not known, and for `wait` at most.

    Args:
        url: Where they are. None if the issuer's configuration is to be asked for that, too.
        headers: What to send along.
        setting: The variable that names the issuer, for advice.
        fresh: The age from which known keys are refreshed.
        lasting: The age from which they are not used any more.
        again: The least time between two refreshes of keys that are known.
        sooner: The least time between two refreshes for a key that is not known. Anybody can name such a key, so it is
            short: whatever others send, a new key is found within this time.
        grace: How long the one request that begins a refresh of known keys waits for it, to use a new key already.
        wait: The longest time from the beginning of a refresh that a request waits for it.
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
    _why: str = field(default="they were not asked for yet", init=False)
    _absent: set[str | None] = field(factory=set, init=False)
    """The ids of keys that the latest answer was looked through for in vain, or has no more."""
    _refresh: asyncio.Task[bool] | None = field(default=None, init=False)
    _waited_until: float = field(default=0.0, init=False)

    async def fitting(self, kid: str | None, alg: str) -> list[Key]:
        """
        The known keys that a token with this header may be signed with. Old ones are refreshed beside the requests.
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
        Whether a key of this id is known, whatever it is for.
        """
        return kid is not None and any(key.get("kid") == kid for key in self._known())

    async def asked_for(self, kid: str | None, alg: str) -> list[Key]:
        """
        The same once the issuer was asked again; none if it has no such key.

        Raises:
            KeysUnavailable: If it does not answer, or was asked a moment ago.
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
                self._why = "it does not answer"
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
        Ask for the keys now.

        Returns:
            How many there are.

        Raises:
            OutboundFailed: If they cannot be had.
        """
        url = self.url or await self._discovered()
        keys = _keys_in(await self.outbound.json(url, headers=self.headers))
        self._absent = {key.kid for key in self._keys} - {key.kid for key in keys}
        self._keys, self._had_at = keys, self.clock.now()
        return len(keys)

    async def configuration(self) -> dict[str, Any]:
        """
        The configuration that the issuer publishes.

        Raises:
            OutboundFailed: If it tells nothing.
        """
        told = await self.outbound.json(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if not isinstance(told, dict) or not isinstance(told.get("issuer"), str):
            raise OutboundFailed("its configuration names no issuer")
        return told

    def algorithms(self) -> list[str]:
        """
        The algorithms that a known key fits.
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
        The refresh that runs, or a new one if the last began at least this long ago.
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
            self._why = f"its keys could not be had: {why}"
            good = "those known go on working" if self._known() else "none are known, so nobody is let in by them"
            logger.warning("the keys of %s could not be had (%s); %s", self.issuer, why, good)
            return False
        return True

    async def _discovered(self) -> str:
        """
        The URL at which the issuer says its keys are.
        """
        told = await self.configuration()
        if told["issuer"] != self.issuer:
            raise OutboundFailed(f"its configuration is that of another issuer: {self.misnamed(told['issuer'])}")
        if not isinstance(told.get("jwks_uri"), str):
            raise OutboundFailed("its configuration tells of no keys")
        return str(told["jwks_uri"])

    def misnamed(self, itself: str) -> str:
        """
        The advice where the issuer calls itself otherwise than the settings call it.
        """
        itself = itself[:MOST_SHOWN]
        return f"it calls itself {itself!r}, and {self.issuer!r} was expected; set {self.setting} to {itself}"


def fits(key: Key, alg: str) -> bool:
    """
    Whether tokens of this algorithm may be signed with the key.
    """
    if key.get("alg") not in (None, alg):
        return False
    curves = CURVES.get(alg)
    return key.key_type == "RSA" if curves is None else key.key_type != "RSA" and key.get("crv") in curves


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
