"""
Verification of OpenID Connect tokens with the keys that the issuer publishes.
"""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

from attrs import field
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from mission_adapters.issuer_keys import IssuerKeys as IssuerKeys
from mission_adapters.outbound_http import OutboundRequestFailed
from mission_core.accounts.identity_claims import ALGORITHMS, SigningKeysUnavailable, TokenFault, TokenRefused
from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mission_adapters.issuer_keys import PublicKey
    from mission_adapters.outbound_http import OutboundClient
    from mission_core.accounts.identity_claims import Claims
    from mission_core.ports import Clock

MAX_TOKEN_LENGTH: Final = 16 * 1024
MAX_SHOWN_LENGTH: Final = 200
MAX_UNIX_SECOND: Final = 2.0**53
PARSE_ERRORS: Final = (JoseError, ValueError, TypeError, KeyError, RecursionError)
logger = logging.getLogger("mission_adapters")


class _AlgorithmRegistry(JWSRegistry):
    """
    The signature algorithms of the library. The checks of the header and of the algorithm are done here, before it is
    used.
    """

    max_header_length = max_payload_length = max_signature_length = MAX_TOKEN_LENGTH

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


REGISTRY: Final = _AlgorithmRegistry(strict_check_header=False)


def _as_tuple(said: str | Iterable[str] | None) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said or ())


@frozen(eq=False)
class OidcTokenVerifier:
    """
    Verifies the tokens of one issuer.

    Args:
        issuers: The accepted values of `iss`; if empty, every issuer whose signature fits one of the keys is accepted.
        audiences: The accepted values of `aud`; if empty, the audience is not checked.
        leeway: The accepted difference between the clocks.
        requires_iat: Whether `iat` is required and must not be in the future.
        accepts_clients: Whether a client-credentials token, which stands for no person, may become a user.
    """

    keys: IssuerKeys
    clock: Clock
    issuers: tuple[str, ...]
    audiences: tuple[str, ...] = field(converter=_as_tuple)
    algorithms: frozenset[str] = frozenset(ALGORITHMS)
    leeway: timedelta = timedelta(seconds=10)
    requires_iat: bool = True
    accepts_clients: bool = False

    async def claims_of(self, token: str) -> Claims:
        """
        The claims of a token, once it is verified.

        Raises:
            TokenRefused: If the token is not valid.
            SigningKeysUnavailable: If the issuer's keys cannot be read now.
        """
        kid, alg = self._header_of(token)
        for key in await self.keys.known_keys_for(kid, alg) or await self._keys_after_refresh(kid, alg, token):
            try:
                claims = jwt.decode(token, key, registry=REGISTRY).claims
            except PARSE_ERRORS:
                continue
            self._check(claims)
            return claims
        raise TokenRefused("no key of its issuer fits its kid, alg and signature")

    async def _keys_after_refresh(self, kid: str | None, alg: str, token: str) -> list[PublicKey]:
        """
        The matching keys after the issuer was asked again. It is not asked for a token that has expired, nor for one
        that names a known key.
        """
        if self.keys.knows(kid) or (kid is None and alg in self.keys.algorithms()):
            return []
        try:
            unverified = json.loads(jws.extract_compact(token.encode(), registry=REGISTRY).payload)
        except PARSE_ERRORS:
            self._refuse_malformed()
        self._check_expiry(unverified if isinstance(unverified, dict) else {})
        return await self.keys.refreshed_keys_for(kid, alg)

    def _header_of(self, token: str) -> tuple[str | None, str]:
        """
        The key id and the algorithm in the token's header. The algorithm must be an allowed one.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise TokenRefused(f"it is longer than {MAX_TOKEN_LENGTH} bytes")
        try:
            header = jws.extract_compact(token.encode("ascii"), registry=REGISTRY).headers()
        except (*PARSE_ERRORS, AttributeError):
            self._refuse_malformed()
        alg, kid = header.get("alg"), header.get("kid")
        if not isinstance(alg, str) or alg not in self.algorithms:
            called = alg if alg in ALGORITHMS else "its alg"
            raise TokenRefused(f"its algorithm is not allowed: {called} is none of {', '.join(self._allowed)}")
        if "crit" in header or "b64" in header or not isinstance(kid, str | None):
            raise TokenRefused("its header has crit or b64, which are not supported, or a kid that is no text")
        return kid, alg

    @property
    def _allowed(self) -> list[str]:
        return [alg for alg in ALGORITHMS if alg in self.algorithms]

    def _refuse_malformed(self) -> NoReturn:
        audience = f" for {' or '.join(self.audiences)}" if self.audiences else ""
        told = f"this is no JWT; ask {self.keys.issuer} for an access token{audience}"
        raise TokenRefused(told, TokenFault.NOT_A_JWT) from None

    def _check(self, claims: Claims) -> None:
        """
        Check the claims of a token whose signature is verified.

        Raises:
            TokenRefused: If a claim does not fit.
        """
        try:
            self._check_names(claims)
            self._check_expiry(claims)
            now, leeway = self.clock.now().timestamp(), self.leeway.total_seconds()
            if _time_claim(claims, "nbf") - leeway > now:
                raise TokenRefused("it is not valid yet: its nbf is in the future")
            if self.requires_iat and _time_claim(claims, "iat", needed=True) - leeway > now:
                raise TokenRefused("its iat is in the future")
        except TokenRefused as refusal:
            refusal.verified = {
                "iss": claims.get("iss"), "expected_iss": " or ".join(self.issuers) or "any",
                "aud": claims.get("aud"), "expected_aud": " or ".join(self.audiences) or "any",
            }  # fmt: skip
            raise

    def _check_names(self, claims: Claims) -> None:
        issuer, audience = claims.get("iss"), claims.get("aud")
        if not isinstance(issuer, str) or (self.issuers and issuer not in self.issuers):
            told = f"its issuer is not accepted: its iss is {_shown(issuer)}"
            if self.issuers:
                told += f", and {' or '.join(map(repr, self.issuers))} was expected"
            if isinstance(issuer, str):
                told += f"; set {self.keys.setting} to {issuer[:MAX_SHOWN_LENGTH]} if that is the issuer you trust"
            raise TokenRefused(told, TokenFault.ISSUER)
        meant_for = audience if isinstance(audience, list) else [audience]
        if self.audiences and not any(each in meant_for for each in self.audiences):
            expected = " or ".join(self.audiences)
            told = f"its audience is not accepted: its aud is {_shown(audience)}, and {expected} was expected"
            raise TokenRefused(f"{told}; ask {self.keys.issuer} for a token for {expected}", TokenFault.AUDIENCE)

    def _check_expiry(self, claims: Claims) -> None:
        if _time_claim(claims, "exp", needed=True) + self.leeway.total_seconds() <= self.clock.now().timestamp():
            raise TokenRefused("it has expired")


def _shown(value: object) -> str:
    return repr(value)[:MAX_SHOWN_LENGTH]


@frozen(eq=False)
class TokenEndpoint:
    """
    An issuer's token endpoint, which exchanges authorization codes for tokens.
    """

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    outbound: OutboundClient

    async def token_for(self, code: str, *, verifier: str, redirect: str) -> str:
        """
        Exchange an authorization code for an ID token.

        Raises:
            TokenRefused: If the code is not accepted.
            SigningKeysUnavailable: If the endpoint does not answer.
        """
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier,
            "client_id": self.client_id, "client_secret": self.client_secret,
        }  # fmt: skip
        try:
            told = await self.outbound.get_json(self.url, form=form)
        except OutboundRequestFailed as e:
            if e.status in (400, 401, 403):
                raise TokenRefused("the authorization code was refused or used before; sign in again") from e
            logger.warning("token_endpoint_unreachable url=%s reason=%s", self.url, e)
            raise SigningKeysUnavailable(self.url, str(e)) from e
        token = told.get("id_token") if isinstance(told, dict) else None
        if not isinstance(token, str):
            raise TokenRefused("the issuer's answer has no id_token")
        return token


def _time_claim(claims: Claims, name: str, *, needed: bool = False) -> float:
    value = claims.get(name)
    if value is None and not needed:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_UNIX_SECOND < value < MAX_UNIX_SECOND:
        raise TokenRefused(f"its {name} is missing, or is not a time in seconds")
    return value
