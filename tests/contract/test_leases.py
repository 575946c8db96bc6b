"""
The leases of each store: their contract, and a sweeper that meets a lease or an organization that it cannot sweep.
"""

from datetime import timedelta

from attrs import evolve

from mission_adapters.lease_sweeper import sweep_all_organizations
from mission_adapters.testing.contracts import LeaseContract
from mission_core.errors import StoreFailed
from mission_core.tasks.leases import expire_leases
from mission_core.tasks.model import Status
from mission_core.tasks.runs import LeaseTerms

TERMS = LeaseTerms(term=timedelta(minutes=1), delay=timedelta(seconds=10), longest_delay=timedelta(seconds=30))


class TestLeases(LeaseContract):
    """
    On every store.
    """


async def test_a_lease_that_cannot_be_ended_keeps_no_other(world, caplog):
    """
    The first to lapse waits until no moment in time: it stays, and is told in the log; the sweeper and claims go on.
    """
    stuck, other = [await world.claim(await world.task(), terms=TERMS) for _ in range(2)]
    async with world.ports.unit(world.me) as unit:
        run = await unit.runs.get(stuck.run.id)
        unit.runs.save(evolve(run, delay=timedelta(days=3_000_000), expires_at=run.expires_at - timedelta(seconds=1)))
        await unit.commit()
    world.clock.advance(minutes=1)

    assert 1 == await expire_leases(world.ports, world.me)
    assert Status.INBOX is (await world.fresh(other.task)).status
    assert [True] == [f"expiry_failed organization={world.me.organization} task={stuck.task.id}" in each.message
                      for each in caplog.records]  # fmt: skip

    world.clock.advance(minutes=1)

    assert other.task.id == (await world.claim()).task.id


async def test_an_organization_that_cannot_be_swept_keeps_no_other(world, elsewhere, caplog):
    """
    It is told in the log, without a word about changes.
    """

    def unit(principal, **options):
        if principal.organization == world.me.organization:
            raise StoreFailed("as asked")
        return elsewhere.ports.unit(principal, **options)

    held = await elsewhere.claim(await elsewhere.task(), terms=TERMS)
    world.clock.advance(minutes=1)
    await sweep_all_organizations(evolve(world.ports, unit=unit))

    assert Status.INBOX is (await elsewhere.fresh(held.task)).status
    assert [f"sweep_failed organization={world.me.organization} error=StoreFailed reason=as asked"] == [
        each.message for each in caplog.records if each.message.startswith("sweep_failed")
    ]
