"""
Stores that are open for a while, and can be closed and opened again.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from attrs import define, field

from mission_adapters.lease_signatures import HmacSecrets
from mission_adapters.memory import memory_ports
from mission_adapters.memory.encryption import MemorySecretEncryption
from mission_adapters.testing import CountingIds, ManualClock, seeded_secrets, weak_argon2_hasher
from mission_core.ports import Ports


@define
class ReopenedStore:
    """
    A store by the URL of its database, or in memory without one.
    """

    name: str
    url: str | None = None
    open_ports: Ports | None = None
    secrets: HmacSecrets = field(factory=lambda: seeded_secrets(1))
    stack: AsyncExitStack = field(factory=AsyncExitStack)

    @property
    def ports(self) -> Ports:
        """
        The ports over the store.
        """
        assert self.open_ports is not None
        return self.open_ports

    async def reopen(self) -> Ports:
        """
        The ports over the store, which was closed and opened again if it can be.
        """
        if self.url is not None or self.open_ports is None:
            await self.close()
            self.open_ports = await self._opened(migrated=self.open_ports is None)
        return self.ports

    def begin(self) -> None:
        """
        Begin anew, where nothing else would ever forget: in memory.
        """
        if self.url is None:
            self.open_ports = memory_ports(**self._common())

    async def close(self) -> None:
        """
        Close what is open.
        """
        await self.stack.aclose()

    async def _opened(self, *, migrated: bool) -> Ports:
        if self.url is None:
            return memory_ports(**self._common())
        from mission_adapters.sql.store import SqlStore

        store = await self.stack.enter_async_context(SqlStore.open(self.url, migrated=migrated))
        return Ports(
            unit=store.unit, reads=store.reads, log=store.log, credentials=store.credentials, numbers=store.numbers,
            **self._common(),
        )  # fmt: skip

    def _common(self) -> dict[str, Any]:
        common = {"clock": ManualClock(), "ids": CountingIds(), "secrets": self.secrets}
        return common | {"passwords": weak_argon2_hasher(), "vault": MemorySecretEncryption()}
