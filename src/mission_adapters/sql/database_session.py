"""
The database session: the interface between code that builds statements and the driver that runs them.

Database code is written once, as a generator ("steps") that yields statements (`BoundStatement`) and is sent their
results. A session runs such generators: on SQLite in batches on the driver's thread, on PostgreSQL over a pooled
connection.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, Protocol, TypeVar

from mission_core.errors import InvalidField
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from mission_adapters.sql.followed_logs import FollowedLogs
    from mission_adapters.sql.read_cache import ReadCache
    from mission_core.ids import OrganizationId
    from mission_core.reports.server_figures import ConnectionPoolState

R = TypeVar("R")


class BoundStatement(NamedTuple):
    """
    A statement in the driver's syntax, with its values in order.

    Args:
        returns_rows: Whether the result is the list of rows. Otherwise it is the number of changed rows.
        many: Whether *values* is a sequence of value tuples, and the statement runs once for each. It has no result.
        single: Whether it is the only statement of its write, and the steps raise nothing after it if it changed a row.
            PostgreSQL then runs it without a transaction around it, which saves two thirds of its cost.
    """

    text: str
    values: Sequence[Any] = ()
    returns_rows: bool = True
    many: bool = False
    single: bool = False


bound_statement: Final[Callable[[tuple[str, Sequence[Any], bool, bool, bool]], BoundStatement]] = partial(
    tuple.__new__, BoundStatement
)
"""Makes a bound statement of all its values, faster than the constructor."""
Steps = Generator[BoundStatement, Any, R]
"""A generator of statements: it yields each statement, is sent its result, and returns the final result."""


@define(repr=False)
class ConstraintViolated(Exception):
    """
    A statement violated a constraint. The session throws this into the steps that yielded the statement.
    """

    constraint: str


def raise_violation(steps: Steps[Any], violated: ConstraintViolated) -> NoReturn:
    """
    Throw a violation into steps, and raise the error they turn it into. They must not yield another statement, because
    PostgreSQL accepts none in a transaction after an error.
    """
    with suppress(StopIteration):
        steps.throw(violated)
    raise RuntimeError(f"steps must raise after a violation of {violated.constraint}") from violated


def invalid_value(error: Exception) -> InvalidField:
    """
    Return the refusal for a value that the database cannot store: text with NUL or a lone surrogate, or an integer of
    more than 64 bits. Stored values are validated by entities, so this concerns search values.
    """
    return InvalidField("value", f"cannot be stored, and so not be found: {error}")


class DatabaseSession(Protocol):
    """
    A connection to a database. It runs steps, which are generators of statements (`Steps`).
    """

    @property
    def dialect(self) -> str:
        """
        The SQL dialect: `sqlite` or `postgresql`.
        """

    @property
    def cache(self) -> ReadCache:
        """
        The cache of values that were read. It stays empty where the commits of other processes cannot be seen without a
        query, as on PostgreSQL.
        """

    @property
    def followed(self) -> FollowedLogs:
        """
        The logs that this process appends to, so that it learns what other processes have changed. It stays empty on
        SQLite, where another process that writes is rare.
        """

    async def read(self, steps: Callable[[], Steps[R]]) -> R:
        """
        Run steps that only read, on the last committed state. Each statement sees a consistent snapshot of its own.

        Raises:
            StoreUnreachable: If the database does not answer.
        """

    async def write(
        self, steps: Callable[[], Steps[R]], *, durable: bool = True, wakes: OrganizationId | None = None
    ) -> R:
        """
        Run steps as one transaction. An error that the steps raise rolls back their changes and is raised here.

        Args:
            durable: Whether the changes must be on disk before this returns. If not, they may also be made twice.
            wakes: The organization whose log the steps may write to. Readers of that log are woken after the commit.

        Raises:
            StoreFailed: If the database failed and rolled back everything.
            StoreBusy: If concurrent changes prevented the transaction for too long.
            OutcomeUnknown: If the database failed during the commit.
        """

    async def ready(self) -> None:
        """
        Check that the database answers and accepts writes, within a few seconds. A test write is made only if there was
        no other write recently, or the last one failed.

        Raises:
            StoreFailed: If the database does not answer or does not accept writes.
        """

    async def wait(self, organization: OrganizationId, *, after: int) -> None:
        """
        Return once the log of *organization* has an entry after the position *after*, written by any process. Waiting
        costs no query.
        """

    def connection_pools(self) -> dict[str, ConnectionPoolState]:
        """
        The state of each pool of connections, by name; empty if there are none.
        """

    async def close(self) -> None:
        """
        Finish the running steps and close the connections.
        """
