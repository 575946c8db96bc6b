"""
Adapters of the core's ports: stores in memory and in SQL databases, clocks, rate limiters, and clients of other
servers.

This package exports what a program needs to embed the core. A name's module is imported when the name is first used.
"""

from typing import TYPE_CHECKING

from mission_core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from mission_adapters.database import database_ports as database_ports
    from mission_adapters.lease_sweeper import (
        lease_sweeper as lease_sweeper,
        sweep_all_organizations as sweep_all_organizations,
    )
    from mission_adapters.memory import memory_ports as memory_ports
else:
    __getattr__, __dir__ = lazy_exports(__name__)
