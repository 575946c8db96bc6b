"""
The base classes of all errors that the core raises. The project calls such an error a refusal.

The base class says why a request is refused; each subclass says what happened and carries the values as typed fields.
None of them knows about HTTP.

    Refusal
    ├── Invalid          the request is not valid
    ├── NotFound         the thing does not exist for this principal
    ├── Denied           the principal may not do this
    ├── Conflict         the request conflicts with the current state
    │   └── StaleWrite   another request changed the row first; repeat the operation
    └── Exhausted        the server cannot serve a valid request now
        └── StoreFailed           the store could not keep the change
            ├── StoreNotReady     a health check found that the store takes no writes
            ├── StoreBusy         other transactions held the locks; repeat the request
            ├── StoreUnreachable  the store did not answer a read
            └── OutcomeUnknown    the commit may or may not have happened

Errors of an area stand in that area: those of a state transition in `model.py`, those of a lookup in `ports.py`.
"""

from __future__ import annotations

import re
from typing import ClassVar
from uuid import UUID

from mission_core.lazy_attrs import define


class Refusal(Exception):
    """
    The base class of all refusals. It is never raised itself.

    Each class has a stable *code* for programs: the class name in snake case, unless the class sets another. Its text
    for people is *says*, in which `{self.field}` stands for the value of a field.
    """

    code: ClassVar[str]
    says: ClassVar[str] = ""

    def __init_subclass__(cls, **more: object) -> None:
        super().__init_subclass__(**more)
        if "code" not in cls.__dict__:
            cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def __str__(self) -> str:
        return self.says.format(self=self) if self.says else super().__str__()


class Invalid(Refusal):
    """
    The request is not valid.
    """


class NotFound(Refusal):
    """
    The requested thing does not exist, or this principal may not see it.
    """


class Denied(Refusal):
    """
    The principal may not do this.
    """


class Conflict(Refusal):
    """
    The request conflicts with the current state.
    """


class Exhausted(Refusal):
    """
    The server cannot serve a valid request now: a limit is reached, or the store or another service failed.
    """


@define(repr=False)
class InvalidField(Invalid):
    """
    A field has a value that cannot be accepted.
    """

    field: str
    reason: str
    value: object = None

    says = "{self.field} {self.reason}"


@define(repr=False)
class StaleWrite(Conflict):
    """
    Another request changed the row after it was read.

    Args:
        remembered: Whether the store remembered the row instead of reading it. Then a repetition need not wait.
    """

    kind: str
    id: UUID
    remembered: bool = False

    says = "this {self.kind} was changed by another request in the meantime; read it again and repeat the change"


@define(repr=False)
class VersionMismatch(Conflict):
    """
    The version that the caller expects is not the current one.
    """

    expected: int
    current: int

    says = "the current version is {self.current}, which is not the expected one; read it again"


@define(repr=False)
class RoleTooLow(Denied):
    """
    The principal's role is lower than the operation requires.
    """

    needed: str
    role: str

    says = "Requires {self.needed} role or higher"


@define(repr=False)
class KeyReused(Invalid):
    """
    An idempotency key was used before with a different request.
    """

    key: str

    says = "idempotency key {self.key!r} was used for another request; use a new key for a new request"


@define(repr=False)
class StoreFailed(Exhausted):
    """
    The store could not keep the change and rolled it back, for example because of a full disk or a lost connection.
    Subclasses describe more specific failures.

    Args:
        lost: Whether the store was out of reach, so that it may be back soon.
    """

    reason: str
    lost: bool = False
    retry_after: ClassVar[int | None] = 2
    """The number of seconds after which the request may be repeated."""

    says = "nothing was changed: the store could not keep it ({self.reason}); try again when it has recovered"


class StoreBusy(StoreFailed):
    """
    The store works, but other transactions blocked the change for too long.
    """

    says = "nothing was changed: other changes blocked the store for too long ({self.reason}); repeat the request"


class StoreUnreachable(StoreFailed):
    """
    The store did not answer a read. There was no change to roll back.
    """

    says = "the store cannot be reached ({self.reason}); try again when it has recovered"


class StoreNotReady(StoreFailed):
    """
    The store answers reads but takes no writes, as a health check found: its disk is full, or it is read-only.
    """

    says = "the store takes no changes ({self.reason}); try again when it has recovered"


class OutcomeUnknown(StoreFailed):
    """
    The store failed during the commit, so it is not known whether the change was kept. Nothing repeats the request
    automatically, because that could make the change twice.
    """

    retry_after = None

    says = (
        "it is not known whether the change was kept ({self.reason}); check before you repeat the request, "
        "or repeat it with its Idempotency-Key, which makes the change only once"
    )
