"""
`Ports` for tests: the clock stands still, secrets are predictable, and passwords are hashed quickly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from attrs import evolve

from mission_adapters.ids import TimeOrderedIds
from mission_adapters.memory import memory_ports
from mission_adapters.memory.encryption import MemorySecretEncryption
from mission_adapters.testing.clocks import ManualClock
from mission_adapters.testing.ids import CountingIds
from mission_adapters.testing.secrets import seeded_secrets, weak_scrypt_hasher
from mission_core.ports import Ports

if TYPE_CHECKING:
    from mission_core.accounts.ports import CredentialStore
    from mission_core.events.ports import EventLog
    from mission_core.ports import Clock, Housekeeping, NumberSequences, Reads, UnitOfWorkFactory


class Store(Protocol):
    """
    The ports that keep data.
    """

    @property
    def unit(self) -> UnitOfWorkFactory:
        """
        Opens units of work.
        """

    @property
    def reads(self) -> Reads:
        """
        The read models.
        """

    @property
    def log(self) -> EventLog:
        """
        The log of events.
        """

    @property
    def credentials(self) -> CredentialStore:
        """
        The keys, sessions and users of the deployment.
        """

    @property
    def numbers(self) -> NumberSequences:
        """
        The short sequential numbers.
        """

    @property
    def housekeeping(self) -> Housekeeping:
        """
        The deletion of expired rows, and the index of text search.
        """


def predictable_ports(*, interleave: int | None = None, **overrides: Any) -> Ports:
    """
    Build `Ports` over a new memory store: `ManualClock`, `CountingIds` and seeded secrets. Two of them that are used
    alike hold the same rows. Keyword arguments replace single ports.

    Args:
        interleave: A random seed. With it, reads and commits yield to other tasks, as those of a database would.
    """
    predictable: dict[str, Any] = {
        "clock": ManualClock(),
        "ids": CountingIds(),
        "secrets": seeded_secrets(),
        "passwords": weak_scrypt_hasher(),
    }
    return memory_ports(interleave=interleave, **(predictable | overrides))


def ports_over(store: Store, *, clock: Clock | None = None, **overrides: Any) -> Ports:
    """
    Build `Ports` over a store that is to be tested. Ids are unique, so that the store may keep rows of earlier tests.
    Keyword arguments replace single ports.

    Args:
        clock: The clock of the store, if it has one; otherwise a new `ManualClock`.
    """
    own = Ports(
        unit=store.unit,
        reads=store.reads,
        log=store.log,
        credentials=store.credentials,
        numbers=store.numbers,
        housekeeping=store.housekeeping,
        clock=clock or ManualClock(),
        ids=TimeOrderedIds(),
        secrets=seeded_secrets(),
        passwords=weak_scrypt_hasher(),
        vault=MemorySecretEncryption(),
    )
    return evolve(own, **overrides)
