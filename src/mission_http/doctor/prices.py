"""
Checks of the prices of models: whether there are any, and how old they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from mission_core.extras import install_command
from mission_core.lazy_attrs import frozen
from mission_http.doctor.findings import Check, DoctorFinding
from mission_http.settings import PRICES_FILE_VARIABLE, SettingsError
from mission_http.wiring import price_book

if TYPE_CHECKING:
    from mission_http.settings import Settings

PRICES: Final = Check("prices")
PACKAGE: Final = "genai-prices"
OVERRIDES: Final = "prices of organizations"
STALE_PACKAGE: Final = timedelta(days=90)
"""The age from which prices of the package are stale. Providers change prices every few weeks."""
STALE_FILE: Final = timedelta(days=365)
"""The age from which the operator's file, or a price that an organization set, may be forgotten."""


@frozen(kw_only=True)
class PricesState:
    """
    The sources of prices, as the doctor inspected them.

    Args:
        package_age: How long ago the package with list prices was installed, so its prices are at least as old; None
            if it is not installed.
        file: The file of the operator's own prices.
        file_age: How long ago that file was changed.
        error: The reason that the file cannot be read; empty if it can.
    """

    package_age: timedelta | None
    file: Path | None = None
    file_age: timedelta | None = None
    error: str = ""

    @classmethod
    def inspect(cls, settings: Settings) -> Self:
        """
        Read the file of prices as the server's start does, and look for the package.
        """
        error, now, file = "", datetime.now(UTC), settings.prices_file
        try:
            price_book(settings)
        except SettingsError as e:
            error = e.told.partition(": ")[2]
        package = find_spec("genai_prices")
        return cls(
            package_age=None if package is None or package.origin is None else now - _changed_at(Path(package.origin)),
            file=file,
            file_age=None if file is None else now - _changed_at(file),
            error=error,
        )


def _changed_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def check_prices(
    prices: PricesState, *, unpriced_tokens: int, override_age: timedelta | None = None
) -> Iterator[DoctorFinding]:
    """
    Check that prices are known, and that they are not stale.

    Args:
        unpriced_tokens: The tokens of the last 30 days in the ledger whose price is unknown.
        override_age: How long ago the oldest price override that has no end was changed; None without one.
    """
    if prices.file is not None and prices.error:
        advice = f"correct the file, or unset {PRICES_FILE_VARIABLE}"
        yield PRICES.problem(str(prices.file), prices.error, advice, PRICES_FILE_VARIABLE)
    elif prices.file_age is not None:
        yield _check_age(str(prices.file), prices.file_age, STALE_FILE, f"check its prices, and save {prices.file}")
    if override_age is not None:
        advice = "change or delete it with /api/prices or /api/v1/prices, or give it an end"
        yield _check_age(OVERRIDES, override_age, STALE_FILE, advice)
    if prices.package_age is not None:
        advice = f"pip install --upgrade {PACKAGE}, and restart the server"
        yield _check_age(PACKAGE, prices.package_age, STALE_PACKAGE, advice)
    elif unpriced_tokens:
        found = f"is not installed, and {unpriced_tokens:,} tokens of the last 30 days have no known price"
        yield PRICES.warning(PACKAGE, found, install_command("prices"))
    else:
        yield PRICES.ok(PACKAGE, f"is not installed, so list prices are unknown: {install_command('prices')}")


def _check_age(source: str, age: timedelta, stale: timedelta, advice: str) -> DoctorFinding:
    found = f"{'the oldest is' if source == OVERRIDES else 'its prices are'} {max(age.days, 0)} days old or older"
    return PRICES.ok(source, found) if age < stale else PRICES.warning(source, found, advice)
