"""
A store that keeps everything in memory, and a `Ports` bundle built on it.
"""

from __future__ import annotations

import os
from typing import Any

from attrs import evolve

from mission_adapters.clocks import SystemClock
from mission_adapters.ids import TimeOrderedIds
from mission_adapters.lease_signatures import HmacSecrets
from mission_adapters.memory.encryption import MemorySecretEncryption
from mission_adapters.memory.store import MemoryStore
from mission_adapters.password_hashing import ScryptPasswordHasher
from mission_core.ports import Ports

__all__ = ["MemoryStore", "memory_ports"]


def memory_ports(*, interleave: int | None = None, **overrides: Any) -> Ports:
    """
    Build `Ports` over a new memory store. Keyword arguments replace single ports.

    Args:
        interleave: A random seed. With it, reads and commits yield to other tasks, as those of a database would.
    """
    clock = overrides.get("clock") or SystemClock()
    store = MemoryStore(clock, interleave=interleave)
    own = Ports(
        unit=store.unit,
        reads=store.reads,
        log=store.log,
        credentials=store.credentials,
        numbers=store.numbers,
        housekeeping=store.housekeeping,
        clock=clock,
        ids=TimeOrderedIds(),
        secrets=HmacSecrets(os.urandom(32)),
        passwords=ScryptPasswordHasher(),
        vault=MemorySecretEncryption(),
        backoff=store.interleaving.backoff if store.interleaving else None,
    )
    return evolve(own, **overrides)
