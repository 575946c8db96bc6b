"""
How statements reach a database: the one interface between what is asked and how a driver runs it.

What is asked is written once, as a generator of steps that yields `Ask`s and is sent their answers. A session runs
it: on SQLite on the driver's thread, many units in one crossing; on PostgreSQL over one connection.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol, TypeVar

from attrs import define

from mission_core.errors import InvalidField

if TYPE_CHECKING:
    from mission_core.ids import OrganizationId

R = TypeVar("R")


class Ask(NamedTuple):
    """
    One statement, as its driver takes it, with its values in order.

    With *rows* the answer is the list of rows, else the number of rows that were changed. With *many*, *values* is a
    sequence of value tuples for a statement without rows, and the answer is not to be used.

    A statement that is *alone* is the only one of its write, and its steps refuse nothing once it is answered: then
    PostgreSQL needs no transaction around it, which saves two thirds of its cost.
    """

    text: str
    values: Sequence[Any] = ()
    rows: bool = True
    many: bool = False
    alone: bool = False


Steps = Generator[Ask, Any, R]


@define
class Violated(Exception):
    """
    A named constraint refused a statement. Thrown into the steps that asked it.
    """

    constraint: str


def refuse(steps: Steps[Any], violated: Violated) -> NoReturn:
    """
    Throw the violation into the steps, and raise what they make of it. They can ask nothing more: PostgreSQL answers
    nothing after a refused statement, so no session does.
    """
    with suppress(StopIteration):
        steps.throw(violated)
    raise RuntimeError(f"steps must raise after a violation of {violated.constraint}") from violated


def unkeepable(error: Exception) -> InvalidField:
    """
    The refusal for a value that the driver or the database cannot take: text with NUL or a lone surrogate, a number of
    more than 64 bits. What is kept was checked before; this is for what is only looked for.
    """
    return InvalidField("value", f"is none that can be kept or found: {error}")


class Session(Protocol):
    """
    A database that steps can be run against.
    """

    @property
    def dialect(self) -> str:
        """
        `sqlite` or `postgresql`.
        """

    async def read(self, steps: Callable[[], Steps[R]]) -> R:
        """
        Run steps that only read, on the last committed state; each statement by itself sees one moment.

        Raises:
            StoreUnreachable: If the database does not answer.
        """

    async def write(
        self, steps: Callable[[], Steps[R]], *, durable: bool = True, wakes: OrganizationId | None = None
    ) -> R:
        """
        Run steps as one all-or-nothing change, which is durable before this returns, unless *durable* is false: then it
        may be made twice, too. What
        the steps raise undoes them alone and is raised here. If they wrote to the log
        of *wakes*, its readers are woken after the commit.

        Raises:
            StoreFailed: If the database itself gave up and undid everything.
            StoreBusy: If others' changes were in the way for too long.
            OutcomeUnknown: If it failed while it committed.
        """

    async def ready(self) -> None:
        """
        Return if the database answers and takes changes, as far as that can be told in a few seconds. It is written
        to only if nothing else was lately.

        Raises:
            StoreFailed: If it does not.
        """

    async def wait(self, organization: OrganizationId, *, after: int) -> None:
        """
        Return once the log of *organization* reaches beyond *after*, in whatever process; waiting costs no query.
        """

    async def close(self) -> None:
        """
        Finish what is under way and let go of the database.
        """
