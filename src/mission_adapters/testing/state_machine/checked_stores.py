"""
A store for the state machine: how to open it, and its properties.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from attrs import evolve, field

from mission_adapters.lease_signatures import HmacSecrets
from mission_adapters.testing.secrets import seeded_secrets
from mission_core.lazy_attrs import define
from mission_core.ports import Ports


@define
class CheckedStore:
    """
    A store that is compared with the reference model. The state machine replaces the clock, the ids and the secrets of
    its ports.

    Args:
        name: The name in error texts.
        open_ports: Opens `Ports` over the store, which is empty when it is first opened.
        persistent: Whether the rows are still there when the store was closed and is opened again. A store that is not
            persistent is opened anew for each example.
        sees_one_state: Whether all reads of a use case see the same state, because no other unit can commit between
            two of them. Otherwise an error of the loser of a race may tell of a state in between, so only the fact that
            it lost is compared.
        skips_locked_rows: Whether a claim or the lease sweeper passes over rows that another transaction has locked.
    """

    name: str
    open_ports: Callable[[], AbstractAsyncContextManager[Ports]]
    persistent: bool = field(default=True, kw_only=True)
    sees_one_state: bool = field(default=False, kw_only=True)
    skips_locked_rows: bool = field(default=False, kw_only=True)
    _secrets: HmacSecrets = field(factory=seeded_secrets, init=False)
    _ports: Ports | None = field(default=None, init=False)
    _stack: AsyncExitStack = field(factory=AsyncExitStack, init=False)

    @property
    def ports(self) -> Ports:
        """
        The ports over the open store.
        """
        assert self._ports is not None, "the store is not open"
        return self._ports

    async def begin(self) -> None:
        """
        Prepare for an example: open the store if it is closed or not persistent. A store that is not persistent starts
        empty, or it would grow with every example.
        """
        if self._ports is None or not self.persistent:
            await self._open()

    async def reopen(self) -> None:
        """
        Close the store and open it again, if it is persistent.
        """
        if self.persistent:
            await self._open()

    async def close(self) -> None:
        """
        Close the store.
        """
        self._ports = None
        await self._stack.aclose()

    async def _open(self) -> None:
        await self.close()
        self._ports = evolve(await self._stack.enter_async_context(self.open_ports()), secrets=self._secrets)
