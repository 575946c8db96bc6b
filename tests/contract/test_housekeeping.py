"""
The housekeeping of each store, and of the sweeper.
"""

from datetime import timedelta

from attrs import evolve

from mission_adapters.lease_sweeper import sweep_all_organizations
from mission_adapters.testing.contracts import HousekeepingContract
from mission_adapters.testing.contracts.housekeeping import add_session, is_kept, kept_sessions, use_key
from mission_adapters.testing.world import World
from mission_core.errors import StoreFailed
from mission_core.ports import IDEMPOTENCY_KEY_LIFETIME
from mission_core.tasks.model import Status


class TestHousekeeping(HousekeepingContract):
    """
    On every store.
    """


async def test_the_sweeper_deletes_what_has_expired(world: World) -> None:
    """
    All of it in one round, and nothing else.
    """
    old = [await use_key(world, f"old {n}") for n in range(3)]
    world.clock.advance(seconds=IDEMPOTENCY_KEY_LIFETIME.total_seconds())
    ended = await add_session(world, expires_at=world.clock.now())
    lasting = await add_session(world, expires_at=world.clock.now() + timedelta(seconds=1))
    new = await use_key(world, "new")
    await sweep_all_organizations(world.ports)

    assert [False, False, False, True] == [await is_kept(world, each) for each in (*old, new)]
    assert [lasting] == await kept_sessions(world, ended, lasting)


async def test_leases_end_although_the_housekeeping_fails(world: World, caplog) -> None:
    """
    It is told in the log.
    """

    class Failing:
        async def delete_expired(self, **_: object) -> bool:
            raise StoreFailed("as asked")

        async def index_tasks(self, *_: object, **__: object) -> bool:
            return False

    held = await world.claimed(await world.task())
    world.clock.advance(hours=1)
    await sweep_all_organizations(evolve(world.ports, housekeeping=Failing()))

    assert Status.INBOX is (await world.fresh(held.task)).status
    assert ["sweep_failed error=StoreFailed reason=as asked"] == [
        each.message for each in caplog.records if each.message.startswith("sweep_failed")
    ]
