"""
Detection of misspelled environment variables: names that are not read but resemble one that is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from attrs import fields

from mission_core.reports.workload_thresholds import WorkloadThresholds
from mission_http.connection_limits import MAX_CONNECTIONS_VARIABLE as MAX_CONNECTIONS
from mission_http.platform.stream_limits import PER_ADDRESS_VARIABLE, PER_CALLER_VARIABLE
from mission_http.rate_limit_settings import BACKEND, CLASS_BY_VARIABLE, DISABLE, PREFIX, REDIS_URL_VARIABLES
from mission_http.settings import (
    METRICS_TOKEN_VARIABLE,
    NEXT_AUTH_SECRET,
    PRICES_FILE_VARIABLE,
    RETENTION_VARIABLE,
    SECRET_NAMES,
    SUBSCRIBED_PROVIDERS_VARIABLE,
    SUBSCRIPTION_VARIABLE,
    WEBHOOK_LIMIT_VARIABLE,
    WORKLOAD_PREFIX,
)
from mission_http.worker_settings import WORKERS_VARIABLE

OWN_PREFIXES: Final = ("MC_", "MISSION_CONTROL_", "SECURITY_HEADER_", "REQUEST_LOG_")
"""Prefixes that only Mission Control's variables have."""
OWN_SIMILARITY, OTHER_SIMILARITY = 0.85, 0.92
"""The least similarity, from 0 to 1, for a name with one of these prefixes and for any other name."""
OTHER_MIN_LENGTH: Final = 10
"""The least length of a name without these prefixes: shorter ones are similar by chance."""

FIXED_VARIABLES: Final = """
MISSION_CONTROL_DATA_DIR MISSION_CONTROL_PASSPHRASE DATABASE_URL AUTH_MODE AUTH_USER AUTH_PASS AUTH_PASS_B64
CLERK_SECRET_KEY CLERK_API_URL OIDC_ALGORITHMS
GOOGLE_CLIENT_ID NEXT_PUBLIC_GOOGLE_CLIENT_ID GOOGLE_CLIENT_SECRET
GOOGLE_ISSUER GOOGLE_JWKS_URL GOOGLE_AUTHORIZE_URL GOOGLE_TOKEN_URL
MC_PROXY_AUTH_HEADER MC_PROXY_AUTH_TRUSTED_IPS MC_PROXY_AUTH_DEFAULT_ROLE MC_ALLOW_PRIVATE_OUTBOUND
MC_COORDINATOR_AGENT MC_SOUL_TEMPLATES_DIR
MC_BASE_URL BASE_URL MC_ALLOWED_HOSTS MC_ALLOW_ANY_HOST MC_TRUSTED_PROXIES TRUSTED_PROXIES CORS_ORIGINS
MC_COOKIE_SECURE MC_ENABLE_HSTS MC_DISABLE_HSTS MC_HSTS_INCLUDE_SUBDOMAINS MC_HSTS_PRELOAD
SECURITY_HEADER_X_CONTENT_TYPE_OPTIONS SECURITY_HEADER_X_FRAME_OPTIONS
SECURITY_HEADER_REFERRER_POLICY SECURITY_HEADER_PERMISSIONS_POLICY
LOG_LEVEL LOG_FORMAT LOG_USE_UTC REQUEST_LOG_SLOW_MS REQUEST_LOG_INCLUDE_HEALTH
"""
KNOWN_VARIABLES: Final = frozenset(
    {
        *FIXED_VARIABLES.split(), *SECRET_NAMES, NEXT_AUTH_SECRET, *CLASS_BY_VARIABLE, *REDIS_URL_VARIABLES, BACKEND,
        DISABLE, METRICS_TOKEN_VARIABLE, PRICES_FILE_VARIABLE, RETENTION_VARIABLE, SUBSCRIBED_PROVIDERS_VARIABLE,
        WEBHOOK_LIMIT_VARIABLE,
        MAX_CONNECTIONS, PER_ADDRESS_VARIABLE, PER_CALLER_VARIABLE, WORKERS_VARIABLE,
        *(f"{WORKLOAD_PREFIX}{each.name.upper()}" for each in fields(WorkloadThresholds)),
        *(
            f"{issuer}_{what}"
            for issuer in ("OIDC", "CLERK")
            for what in ("ISSUER", "JWKS_URL", "AUDIENCE", "LEEWAY", "VERIFY_IAT", "ALLOW_CLIENT_CREDENTIALS")
        ),
    }
)  # fmt: skip
"""Every variable that is read, except those named after a model provider."""


def misspelled_variables(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """
    Yield each variable that is set but not read, with the known variable that it resembles.
    """
    for name in sorted(environment):
        if environment[name].strip() and not _is_known(name) and (near := _nearest_variable(name.upper())):
            yield name, near


def _is_known(name: str) -> bool:
    # Unknown rate-limit variables are reported by `check_limits`.
    return name in KNOWN_VARIABLES or SUBSCRIPTION_VARIABLE.fullmatch(name) is not None or name.startswith(PREFIX)


def _nearest_variable(name: str) -> str | None:
    ours = name.startswith(OWN_PREFIXES)
    if not ours and len(name) < OTHER_MIN_LENGTH:
        return None
    near = get_close_matches(name, sorted(KNOWN_VARIABLES), 1, OWN_SIMILARITY if ours else OTHER_SIMILARITY)
    return near[0] if near else None
