"""
The base classes, fixtures and Hypothesis settings of the contracts.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from mission_adapters.testing.example_counts import max_examples
from mission_adapters.testing.world import World, make_world
from mission_core.ports import Ports


def contract_settings(examples: int) -> settings:
    """
    Hypothesis settings of a property in a contract: the number of examples (scaled by the profile), and no deadline,
    because a store may be slow. Examples share the fixtures of the test, and subclasses share the property.
    """
    shared = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
    return settings(max_examples=max_examples(examples), deadline=None, suppress_health_check=shared)


@pytest.mark.anyio
class AsyncContract:
    """
    The base class of the contracts whose tests are asynchronous.
    """

    @pytest.fixture(scope="session")
    @classmethod
    def anyio_backend(cls) -> str:
        """
        The event loop that async tests run on.
        """
        return "asyncio"


class StoreContract(AsyncContract):
    """
    The base class of the contracts of a store.

    A subclass, its module or its `conftest.py` provides a fixture `ports`: `Ports` over the store, with a
    `ManualClock`, as `ports_over` builds them. The store may keep the rows of other tests, because each test uses new
    organizations.
    """

    @pytest.fixture
    async def world(self, ports: Ports) -> World:
        """
        A new organization with a board without gates.
        """
        return await make_world(ports)

    @pytest.fixture
    async def elsewhere(self, ports: Ports) -> World:
        """
        A second organization in the same store.
        """
        return await make_world(ports)
