"""
The tree of refusals.

Families say why, leaves say what and carry typed facts; none knows about HTTP.

    Refusal
    ├── Invalid          the request cannot be meant as it stands
    ├── NotFound         no such thing for this principal
    ├── Denied           it is there, and this principal may not
    ├── Conflict         it clashes with the state of things
    │   └── StaleWrite   somebody else was faster; try again from the reads
    └── Exhausted        a limit or the store itself is used up
        └── StoreFailed           the store could not keep the change
            ├── StoreNotReady     it would keep none, as a probe has found
            ├── StoreBusy         other changes were in the way; repeat the request
            ├── StoreUnreachable  it did not answer a question
            └── OutcomeUnknown    nobody knows whether the change was kept

Leaves of an area live beside what refuses: a transition's in `model.py`, a lookup's in `ports.py`.
"""

from __future__ import annotations

import re
from typing import ClassVar
from uuid import UUID

from attrs import define


class Refusal(Exception):
    """
    The root of all refusals. Never raised itself.

    Each class has a *code* for programs, which stays as it is: its name in snake case, unless it says another.
    """

    code: ClassVar[str]

    def __init_subclass__(cls, **more: object) -> None:
        super().__init_subclass__(**more)
        if "code" not in cls.__dict__:
            cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


class Invalid(Refusal):
    """
    The request cannot be meant as it stands.
    """


class NotFound(Refusal):
    """
    There is no such thing for this principal.
    """


class Denied(Refusal):
    """
    It is there, and this principal may not.
    """


class Conflict(Refusal):
    """
    The request clashes with the state of things.
    """


class Exhausted(Refusal):
    """
    A limit, or the store itself, is used up.
    """


@define
class InvalidField(Invalid):
    """
    One value that cannot be kept, by the name of its field.
    """

    field: str
    reason: str
    value: object = None

    def __str__(self) -> str:
        return f"{self.field} {self.reason}"


@define
class StaleWrite(Conflict):
    """
    A row was changed by somebody else after it was read.
    """

    kind: str
    id: UUID

    def __str__(self) -> str:
        return f"this {self.kind} was changed by somebody else in the meantime; read it again and repeat the change"


@define
class VersionMismatch(Conflict):
    """
    The caller expected another version than the current one.
    """

    expected: int
    current: int

    def __str__(self) -> str:
        return f"the current version is {self.current}, which is not the expected one; read it again"


@define
class RoleTooLow(Denied):
    """
    The principal's role does not reach.
    """

    needed: str
    role: str

    def __str__(self) -> str:
        return f"Requires {self.needed} role or higher"


@define
class KeyReused(Invalid):
    """
    An idempotency key came again with another request.
    """

    key: str

    def __str__(self) -> str:
        return f"idempotency key {self.key!r} was used for another request; take a new key for a new request"


@define
class StoreFailed(Exhausted):
    """
    The store could not keep the change and undid it whole: a full disk, a lost connection. Its leaves say what they
    mean instead.

    Args:
        lost: Whether the store was out of reach, so that it may be back soon.
    """

    reason: str
    lost: bool = False
    retry_after: ClassVar[int | None] = 2
    """After how many seconds it may be tried again."""

    def __str__(self) -> str:
        return f"nothing was changed: the store could not keep it ({self.reason}); try again when it has recovered"


class StoreBusy(StoreFailed):
    """
    Other changes were in the way for too long. The store itself is well.
    """

    def __str__(self) -> str:
        return f"nothing was changed: other changes were in the way ({self.reason}); repeat the request"


class StoreUnreachable(StoreFailed):
    """
    The store did not answer a question; there was nothing to change.
    """

    def __str__(self) -> str:
        return f"the store cannot be reached ({self.reason}); try again when it has recovered"


class StoreNotReady(StoreFailed):
    """
    The store answers and takes no changes, as a probe has found: its disk is full, it may only be read.
    """

    def __str__(self) -> str:
        return f"the store takes no changes ({self.reason}); try again when it has recovered"


class OutcomeUnknown(StoreFailed):
    """
    The store failed at the one moment at which nobody can tell whether the change was kept. Repeated as it is, the
    change may be made twice, so nothing repeats it unasked.
    """

    retry_after = None

    def __str__(self) -> str:
        return (
            f"it is not known whether the change was kept ({self.reason}); look before you repeat the request, "
            "or repeat it with the Idempotency-Key that it came with, which makes the change once"
        )
