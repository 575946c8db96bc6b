"""
The contract of the port `Housekeeping`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

from mission_adapters.testing.contracts.base import StoreContract
from mission_adapters.testing.world import World
from mission_core.accounts.sessions import SESSIONS, UserSession
from mission_core.ids import SessionId, UserId
from mission_core.ports import IDEMPOTENCY_KEY_LIFETIME, IdempotencyKey
from mission_core.values import EPOCH

TICK = timedelta(microseconds=1)


async def use_key(world: World, key: str) -> IdempotencyKey:
    """
    Use an idempotency key now.
    """
    once = IdempotencyKey(key=key, operation="keep", body_digest=b"1" * 32)
    async with world.ports.unit(world.me, once=once) as unit:
        unit.result(world.board.id)
        await unit.commit()
    return once


async def is_kept(world: World, once: IdempotencyKey) -> bool:
    """
    Whether the store still has an idempotency key, expired or not.
    """
    return await world.ports.reads.idempotent_result(world.me, once, since=EPOCH) is not None


async def add_session(world: World, *, expires_at: datetime) -> UserSession:
    """
    Add a session.
    """
    session = UserSession(
        id=SessionId(uuid4()), user=UserId(uuid4()), workspace=world.me.organization, digest=uuid4().bytes * 2,
        created_at=world.clock.now(), expires_at=expires_at,
    )  # fmt: skip
    async with world.ports.unit(world.me) as unit:
        unit.repository(SESSIONS).add(session)
        await unit.commit()
    return session


async def kept_sessions(world: World, *sessions: UserSession) -> list[UserSession]:
    """
    The sessions, of those given, that the store still has.
    """
    async with world.ports.unit(world.me) as unit:
        found = [await unit.repository(SESSIONS).find(id=each.id) for each in sessions]
    return [each for each in found if each is not None]


class HousekeepingContract(StoreContract):
    """
    The contract of the port `Housekeeping`. A subclass provides the fixture `ports` of `StoreContract`.
    """

    async def test_an_idempotency_key_is_kept_for_its_lifetime(self, world: World) -> None:
        """
        An idempotency key is kept as long as it counts, and deleted afterwards.
        """
        once, used_at = await use_key(world, "k1"), world.clock.now()
        over = used_at + IDEMPOTENCY_KEY_LIFETIME
        await world.ports.housekeeping.delete_expired(at=over - TICK, limit=9)
        counts = await is_kept(world, once)
        await world.ports.housekeeping.delete_expired(at=over, limit=9)

        assert counts
        assert not await is_kept(world, once)

    async def test_a_session_is_kept_until_it_expires(self, world: World) -> None:
        """
        A session is kept as long as it counts, and deleted afterwards.
        """
        ends = world.clock.now() + timedelta(hours=1)
        short, long = await add_session(world, expires_at=ends), await add_session(world, expires_at=ends + TICK)
        await world.ports.housekeeping.delete_expired(at=ends - TICK, limit=9)
        both = await kept_sessions(world, short, long)
        await world.ports.housekeeping.delete_expired(at=ends, limit=9)

        assert [short, long] == both
        assert [long] == await kept_sessions(world, short, long)

    async def test_no_more_than_the_limit_is_deleted_at_once(self, world: World) -> None:
        """
        A call deletes at most the limit of each kind of row, and returns whether more may be left.
        """
        now = world.clock.now()
        late = now + IDEMPOTENCY_KEY_LIFETIME + TICK
        while await world.ports.housekeeping.delete_expired(at=late, limit=100):
            pass  # what earlier tests left in the store
        used = [await use_key(world, f"k{n}") for n in range(3)]
        sessions = [await add_session(world, expires_at=now + TICK * n) for n in range(3)]
        answers, left = [], []
        for _ in range(2):
            answers.append(await world.ports.housekeeping.delete_expired(at=late, limit=2))
            left.append(len(await kept_sessions(world, *sessions)) + sum([await is_kept(world, each) for each in used]))

        assert [True, False] == answers
        assert [2, 0] == left

    async def test_a_task_is_found_before_and_after_it_is_indexed(self, world: World) -> None:
        """
        The index of text search changes no answer, nor does a change of the task after it.
        """
        await world.task("A needle", description="in hay")
        titles = []
        for _ in range(4):
            found = await world.ports.reads.reports.find_tasks(world.me, "NEEDLE", limit=9)
            titles.append([each.title for each in found.rows])
            await world.ports.housekeeping.index_tasks(world.me.organization, limit=1)

        assert [["A needle"]] * 4 == titles
