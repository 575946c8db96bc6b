import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import postgres_server

# How long an example takes says more about the machine than about the code. CI tries the same examples for the same
# commit, so that what it says is said of the change; everybody else looks for new ones each time.
settings.register_profile("patient", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.register_profile(
    "nightly", settings.get_profile("patient"), max_examples=5_000, derandomize=False, print_blob=True
)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """
    Async tests run on asyncio; the drivers know nothing else.
    """
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """
    A running PostgreSQL. That none can be had is an error of the tests that ask for it, never a skip.
    """
    with postgres_server.postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def trigram_server(postgres_url: str) -> Iterator[str]:
    """
    A running PostgreSQL with the extension `pg_trgm`: the usual one, or else that of Debian's packages. The usual one
    without it, if there is none.
    """
    if postgres_server.has_trigrams(postgres_url):
        yield postgres_url
        return
    with postgres_server.debian_server() as url:
        yield url or postgres_url


@pytest.fixture
def fresh_postgres(postgres_url: str) -> Iterator[str]:
    """
    A database of the test's own, empty.
    """
    with postgres_server.empty_database(postgres_url) as url:
        yield url
