"""
The laws of runs.
"""

from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.errors import InvalidField
from mission_core.tasks.runs import (
    IMPLICIT_LEASE_RENEWAL_INTERVAL,
    IMPLICIT_LEASE_TERM,
    LIVE_STATES,
    MOST_ORDERS,
    LeaseLost,
    NoLiveLease,
    Order,
    OrderKind,
    OrderNotDeliverable,
    RunState,
    SecretHolder,
    TooManyOrders,
)

ENDED = sorted(set(RunState) - LIVE_STATES)
SECRET = st.just(SecretHolder())


@st.composite
def moments_in(draw, run):
    """
    Moments at which the run lives.
    """
    last = run.expires_at - timedelta(microseconds=1)
    assume(run.heartbeat_at <= last)
    return draw(st.datetimes(run.heartbeat_at.replace(tzinfo=None), last.replace(tzinfo=None))).replace(
        tzinfo=run.expires_at.tzinfo
    )


@st.composite
def living(draw, **fixed):
    """
    A run and a moment at which it lives.
    """
    run = draw(some.live_runs(**fixed))
    return run, draw(moments_in(run))


@given(living(), some.outcomes)
def test_completing_touches_nothing_but_its_end(pair, outcome):
    """
    A completion ends the run with its outcome and leaves every other field as it was.
    """
    run, now = pair
    done, fact = run.complete(outcome, at=now, current=run.fence)

    assert run == evolve(done, state=run.state, outcome=run.outcome, ended_at=run.ended_at)
    assert (RunState.COMPLETED, outcome, now) == (done.state, done.outcome, done.ended_at)
    assert (run.task, run.id, run.fence, outcome) == (fact.task, fact.run, fact.fence, fact.outcome)


@given(living(), some.failures)
def test_failing_touches_nothing_but_its_end(pair, failure):
    """
    The same for a failure.
    """
    run, now = pair
    failed, _ = run.fail(failure, at=now, current=run.fence)

    assert run == evolve(failed, state=run.state, failure=run.failure, ended_at=run.ended_at)


@given(some.runs(state=st.sampled_from(ENDED)), some.moments, some.outcomes, some.failures)
def test_a_run_that_ended_stays_ended(run, now, outcome, failure):
    """
    Nothing can be done with it any more.
    """
    for act in (
        lambda: run.complete(outcome, at=now, current=run.fence),
        lambda: run.fail(failure, at=now, current=run.fence),
        lambda: run.release(None, at=now, current=run.fence),
        lambda: run.heartbeat(at=now),
        lambda: run.suspend("why", until=now + timedelta(1), at=now),
        lambda: run.resume(at=now),
        lambda: run.renew(at=now),
    ):
        with pytest.raises(LeaseLost):
            act()


@given(some.runs(state=st.sampled_from(ENDED)), some.orders)
def test_a_run_that_ended_takes_no_orders(run, order):
    """
    There is nobody to follow them.
    """
    with pytest.raises(NoLiveLease):
        run.with_order(order)


@given(some.implicit_leases(), some.orders)
def test_an_implicit_lease_takes_no_orders(run, order):
    """
    Its holder sends no heartbeats that would tell them.
    """
    with pytest.raises(OrderNotDeliverable):
        run.with_order(order)


@given(some.live_runs(), some.durations, some.outcomes)
def test_a_lease_is_lost_at_its_end(run, later, outcome):
    """
    At the very moment, and ever after.
    """
    for now in (run.expires_at, run.expires_at + later):
        assert not run.is_live(at=now)
        with pytest.raises(LeaseLost):
            run.complete(outcome, at=now, current=run.fence + 1)
        with pytest.raises(LeaseLost):
            run.heartbeat(at=now)


@given(some.runs(state=st.sampled_from(ENDED)), some.outcomes, st.integers(0, 3))
def test_a_lost_lease_tells_of_newer_ones_where_there_are_any(run, outcome, newer):
    """
    And of claiming only for a task that is still open, which the run cannot know.
    """
    with pytest.raises(LeaseLost) as lost:
        run.complete(outcome, at=run.expires_at, current=run.fence + newer)

    assert bool(newer) == (f"fence is now {run.fence + newer}" in str(lost.value))
    assert "if the task is still open" in str(lost.value)


@given(living(state=st.just(RunState.LEASED)))
def test_a_heartbeat_extends_by_a_term_and_nothing_else(pair):
    """
    From its own moment.
    """
    run, now = pair
    kept, facts = run.heartbeat(at=now)

    assert evolve(run, expires_at=max(run.expires_at, now + run.term), heartbeat_at=now) == kept
    assert () == facts


@given(living(state=st.just(RunState.LEASED)), st.timedeltas(timedelta(0), timedelta(days=1)))
def test_a_clock_that_was_put_back_shortens_no_lease(pair, back):
    """
    Or all that was under way would run out once the clock is right again.
    """
    run, now = pair
    kept, _ = run.heartbeat(at=now - back)

    assert run.expires_at <= kept.expires_at


@given(living(holder=SECRET), some.order_kinds)
def test_an_order_is_repeated_until_it_is_acknowledged(pair, kind):
    """
    However many heartbeats come in between, and another's id acknowledges nothing.
    """
    run, now = pair
    order = Order(id=UUID(int=1), kind=kind, by="me", at=now)
    run, _ = evolve(run, orders=()).with_order(order)
    for acknowledged in (None, run.task):
        run, facts = run.heartbeat(at=now, acknowledges=acknowledged)

        assert (order, ()) == (run.next_order(), facts)
    followed, facts = run.heartbeat(at=now, acknowledges=order.id)

    assert followed.next_order() is None
    assert [order.id] == [fact.order for fact in facts]


@given(living(holder=SECRET), st.lists(some.orders, max_size=6, unique_by=lambda order: order.id))
def test_a_cancellation_goes_before_all_other_orders(pair, orders):
    """
    Whatever waited is void.
    """
    run, _ = pair
    run = evolve(run, orders=())
    for order in orders:
        run, _ = run.with_order(order)
    cancel = [order for order in orders if order.kind is OrderKind.CANCEL]

    assert run.cancelled is bool(cancel)
    if cancel:
        assert cancel[-1] == run.next_order()
    assert len(run.orders) <= len(orders)


@given(living(holder=SECRET), st.lists(st.sampled_from([OrderKind.PAUSE, OrderKind.RESUME]), min_size=1, max_size=9))
def test_of_pause_and_resume_the_last_one_stands(pair, kinds):
    """
    A worker is not told to pause and to go on in turn.
    """
    run, now = pair
    run = evolve(run, orders=(), paused=False)
    for i, kind in enumerate(kinds):
        run, _ = run.with_order(Order(id=UUID(int=i), kind=kind, by="me", at=now))
    followed, _ = run.heartbeat(at=now, acknowledges=UUID(int=len(kinds) - 1))

    assert [kinds[-1]] == [order.kind for order in run.orders]
    assert followed.paused is (kinds[-1] is OrderKind.PAUSE)


@given(living(holder=SECRET))
def test_only_so_many_orders_wait(pair):
    """
    A worker that does not listen is not flooded.
    """
    run, now = pair
    run = evolve(run, orders=())
    for i in range(MOST_ORDERS):
        run, _ = run.with_order(Order(id=UUID(int=i), kind=OrderKind.STEER, message="x", by="me", at=now))
    with pytest.raises(TooManyOrders):
        run.with_order(Order(id=UUID(int=99), kind=OrderKind.STEER, message="x", by="me", at=now))
    run, _ = run.with_order(Order(id=UUID(int=100), kind=OrderKind.CANCEL, by="me", at=now))

    assert run.cancelled


@given(living(state=st.just(RunState.LEASED)), some.durations)
def test_no_heartbeat_is_due_while_a_run_waits_for_a_person(pair, wait):
    """
    The lease outlives the wait by a term; heartbeats in between move nothing.
    """
    run, now = pair
    waiting, _ = run.suspend("why", until=now + wait, at=now)
    almost = now + wait - timedelta(microseconds=1)
    beaten, _ = waiting.heartbeat(at=almost)

    assert waiting.is_waiting(at=almost)
    assert not waiting.is_waiting(at=now + wait)
    assert waiting.is_live(at=now + wait)
    assert now + wait + run.term == waiting.expires_at == beaten.expires_at


@given(living(state=st.just(RunState.LEASED)), some.durations)
def test_a_decision_starts_the_lease_again(pair, wait):
    """
    As if it had just been claimed.
    """
    run, now = pair
    waiting, _ = run.suspend("why", until=now + wait, at=now)
    later = now + wait / 2
    running, _ = waiting.resume(at=later)

    assert evolve(run, expires_at=later + run.term, heartbeat_at=later) == running


@given(living(state=st.just(RunState.LEASED)))
def test_a_wait_must_end_later_than_it_begins(pair):
    """
    A wait in the past is none.
    """
    run, now = pair
    with pytest.raises(InvalidField):
        run.suspend("why", until=now, at=now)


@given(some.implicit_leases(), st.lists(st.timedeltas(timedelta(0), IMPLICIT_LEASE_TERM * 1.2), max_size=30))
def test_a_pair_lease_is_renewed_once_a_minute_and_ends_ten_minutes_after_the_last_request(run, gaps):
    """
    It lives as long as no gap between requests reaches the term, give or take the minute that need not be written.
    """
    now, written, last = run.heartbeat_at, [run.heartbeat_at], run.heartbeat_at
    for gap in gaps:
        now += gap
        if not run.is_live(at=now):
            assert now - last >= IMPLICIT_LEASE_TERM - IMPLICIT_LEASE_RENEWAL_INTERVAL
            with pytest.raises(LeaseLost):
                run.renew(at=now)
            break
        last, renewed = now, run.renew(at=now)
        if renewed is not None:
            run = renewed
            written.append(now)
            assert now + IMPLICIT_LEASE_TERM == run.expires_at

    assert all(b - a >= IMPLICIT_LEASE_RENEWAL_INTERVAL for a, b in pairwise(written))
    assert not run.is_live(at=last + IMPLICIT_LEASE_TERM)


@given(some.implicit_leases(), some.implicit_holders)
def test_a_pair_lease_is_held_by_that_very_pair(run, other):
    """
    Not by the same name under another principal.
    """
    assert run.is_held_by(run.holder)
    assert run.is_held_by(other) is (run.holder == other)


@given(some.terms, st.integers(1, 200))
def test_delays_double_up_to_the_longest(terms, attempt):
    """
    And never overflow.
    """
    delay, following = terms.delay_after(attempt), terms.delay_after(attempt + 1)

    assert delay <= following <= max(terms.longest_delay, delay)
    assert following in (delay * 2, terms.longest_delay)
    assert min(terms.delay, terms.longest_delay) == terms.delay_after(1)
