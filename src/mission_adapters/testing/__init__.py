"""
Tools for the tests of a program that embeds the core or implements a port of its own.

It has a clock that stands still, predictable ids and secrets, an organization to test in, Hypothesis strategies of all
entities, the contracts of ports as classes of tests, and a state machine that compares a store with a reference model.
The last three need the extra `testing`.

A name's module is imported when the name is first used.
"""

import sys
from typing import TYPE_CHECKING

from mission_core.lazy_exports import lazy_exports

if sys.modules.get("pytest"):  # without pytest, there is nobody to read its texts of failed assertions
    import pytest

    pytest.register_assert_rewrite("mission_adapters.testing.contracts", "mission_adapters.testing.state_machine")

if TYPE_CHECKING:
    from mission_adapters.testing import (
        contracts as contracts,
        state_machine as state_machine,
        strategies as strategies,
    )
    from mission_adapters.testing.clocks import ManualClock as ManualClock
    from mission_adapters.testing.ids import CountingIds as CountingIds
    from mission_adapters.testing.ports import ports_over as ports_over, predictable_ports as predictable_ports
    from mission_adapters.testing.secrets import (
        seeded_secrets as seeded_secrets,
        weak_argon2_hasher as weak_argon2_hasher,
        weak_scrypt_hasher as weak_scrypt_hasher,
    )
    from mission_adapters.testing.world import World as World, make_world as make_world
else:
    __getattr__, __dir__ = lazy_exports(__name__)
