"""
Ids, clocks and signatures.
"""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.clocks import CorrectedClock, SystemClock
from mission_adapters.ids import TimeOrderedIds
from mission_adapters.lease_signatures import HmacSecrets
from mission_adapters.testing import CountingIds, ManualClock, seeded_secrets
from mission_adapters.testing import strategies as some
from mission_adapters.testing.contracts import ClockContract, IdFactoryContract, SecretsContract
from mission_core.ids import RunId

KEY = bytes(range(32))


@pytest.fixture(params=[TimeOrderedIds, CountingIds])
def ids(request):
    """
    Each of our id factories.
    """
    return request.param()


@pytest.fixture(params=[SystemClock, ManualClock, lambda: CorrectedClock(SystemClock(), None, timedelta(hours=1))])
def clock(request):
    """
    Each of our clocks.
    """
    return request.param()


@pytest.fixture(params=[lambda: HmacSecrets(KEY), seeded_secrets], ids=["random", "seeded"])
def secrets(request):
    """
    Secrets of a random source and of a seed.
    """
    return request.param()


class TestIdFactories(IdFactoryContract):
    """
    Ordered by time and counted.
    """


class TestClocks(ClockContract):
    """
    Of the system, corrected, and by hand.
    """


class TestSecrets(SecretsContract):
    """
    Random and predictable.
    """


def test_the_system_clock_tells_the_present_time():
    """
    To the minute, at least.
    """
    assert abs(SystemClock().now().timestamp() - time.time()) < 60


def test_a_lease_has_54_characters():
    """
    The database and both APIs have room for as many.
    """
    assert 54 == len(HmacSecrets(KEY).lease(RunId(TimeOrderedIds().new()), 1))


def test_ids_are_of_version_seven_and_tell_their_moment():
    """
    To the millisecond.
    """
    before = time.time_ns() // 1_000_000
    made = TimeOrderedIds().new()
    after = time.time_ns() // 1_000_000

    assert (7, "specified in RFC 4122") == (made.version, made.variant)
    assert before <= made.int >> 80 <= after + 1


def test_ids_stay_in_order_when_the_clock_goes_back(monkeypatch):
    """
    They count on from the last one.
    """
    ids = TimeOrderedIds()
    first = ids.new()
    monkeypatch.setattr(time, "time_ns", lambda: 0)

    assert first < ids.new() < ids.new()


def test_counted_ids_can_be_predicted():
    """
    They are valid, in order, and the same each time.
    """
    one, other = CountingIds(), CountingIds()
    made = [one.new() for _ in range(3)]

    assert made == [other.new() for _ in range(3)] == sorted(made)
    assert {7} == {id.version for id in made}


def test_a_manual_clock_moves_only_when_told():
    """
    And never back.
    """
    clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
    start = clock.now()
    moved = clock.advance(hours=1, seconds=2)

    assert start + timedelta(seconds=3602) == moved == clock.now() == clock.now()
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(seconds=-1)


@given(some.ids, st.integers(1, 2**31), some.ids, st.integers(1, 2**31))
def test_leases_differ_by_run_fence_and_key(run, fence, other, another):
    """
    Whoever knows one cannot tell the next.
    """
    secrets = HmacSecrets(KEY)
    same = (run, fence) == (other, another)

    assert (secrets.lease(run, fence) == secrets.lease(other, another)) is same
    assert secrets.lease(run, fence) != HmacSecrets(KEY[::-1]).lease(run, fence)


@given(st.text(max_size=60) | st.text("abcXYZ019-_+/=", min_size=54, max_size=54))
def test_what_is_no_lease_names_no_run(text):
    """
    Unless it is spelled as one, however it came to be.
    """
    secrets = HmacSecrets(KEY)
    run = secrets.run_of_lease(text)

    assert run is None or (len(text) == 54 and set(text) <= set("abcXYZ019-_"))


@given(some.ids, st.integers(1, 9), st.integers(0, 53), st.sampled_from("+/= \n\x00é"))
def test_a_lease_spelled_otherwise_names_no_run(run, fence, place, character):
    """
    Not with other characters, not longer, not shorter.
    """
    secrets = HmacSecrets(KEY)
    lease = secrets.lease(run, fence)

    for spelled in (lease[:place] + character + lease[place + 1 :], lease[:-1], lease + "A", lease + "=="):
        assert secrets.run_of_lease(spelled) is None


def test_seeded_secrets_can_be_predicted():
    """
    In tests only.
    """
    assert seeded_secrets(1).token() == seeded_secrets(1).token() != seeded_secrets(2).token()


def test_a_key_of_another_length_is_refused():
    """
    And a signer never shows it.
    """
    with pytest.raises(ValueError, match="32 bytes"):
        HmacSecrets(b"short")
    assert repr(KEY) not in repr(HmacSecrets(KEY))
