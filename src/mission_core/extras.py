"""
The optional dependencies (extras) of this distribution.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

DISTRIBUTION: Final = "mission-control-plane"
PACKAGES_OF_EXTRAS: Final = {
    "sql": ("aiosqlite", "alembic", "argon2", "cryptography", "sqlalchemy"),
    "postgres": ("asyncpg",),
    "prices": ("genai_prices",),
    "otlp": ("opentelemetry",),
    "testing": ("anyio", "hypothesis", "pytest"),
}
"""The packages that the extras of embedding programs install, as they are imported."""


def install_command(extra: str) -> str:
    """
    The `pip` command that installs this distribution with *extra*.
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"


@contextmanager
def missing_extra_named() -> Iterator[None]:
    """
    Imports within the block name the extra that installs a missing package.

    Raises:
        ModuleNotFoundError: If a package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as e:
        package = (e.name or "").partition(".")[0]
        extra = next((extra for extra, packages in PACKAGES_OF_EXTRAS.items() if package in packages), None)
        if extra is None:
            raise
        told = f"{package} is missing; install the extra: {install_command(extra)}"
        raise ModuleNotFoundError(told, name=e.name) from e
