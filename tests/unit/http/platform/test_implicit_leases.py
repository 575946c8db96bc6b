"""
How often pairs are looked after, and which instances can be meant.
"""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from mission_core.tasks.runs import IMPLICIT_LEASE_RENEWAL_INTERVAL
from mission_http.platform.errors import FieldsInvalid
from mission_http.platform.implicit_leases import ImplicitLeaseRenewals, agent_instance_of

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def sent(*values: bytes) -> Request:
    return Request({"type": "http", "headers": [(b"x-agent-instance", value) for value in values]})


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.timedeltas(timedelta(0), IMPLICIT_LEASE_RENEWAL_INTERVAL * 2)), max_size=40
    )
)
def test_a_pair_is_looked_after_at_most_once_a_minute(requests: list[tuple[str, timedelta]]) -> None:
    """
    With the first request that is a minute or more after the last look.
    """
    attendance, now, last = ImplicitLeaseRenewals(), NOON, dict[str, datetime]()
    for pair, gap in requests:
        now += gap
        due = pair not in last or now - last[pair] >= IMPLICIT_LEASE_RENEWAL_INTERVAL
        assert due is attendance.due((pair,), at=now)
        if due:
            last[pair] = now


def test_a_clock_that_was_put_back_neglects_no_pair() -> None:
    """
    What was looked after in the future is looked after now.
    """
    attendance = ImplicitLeaseRenewals()
    attendance.due(("a",), at=NOON + timedelta(hours=1))

    assert attendance.due(("a",), at=NOON)


def test_the_pair_that_was_quiet_longest_is_forgotten_first() -> None:
    """
    However many names are used, the memory stays small.
    """
    attendance = ImplicitLeaseRenewals(capacity=2)
    for pair in "abc":
        attendance.due((pair,), at=NOON)

    assert [False, False, True] == [attendance.due((pair,), at=NOON) for pair in "bca"]
    assert 2 == len(attendance.last_renewals)


def test_an_instance_is_told_in_any_script() -> None:
    """
    White space around it does not count, and none told is none.
    """
    assert ["host-1:42", "Göteborg", None] == [
        agent_instance_of(sent(b" host-1:42 ")), agent_instance_of(sent("Göteborg".encode())),
        agent_instance_of(sent()),
    ]  # fmt: skip


@pytest.mark.parametrize("value", [b"", b" ", b"x" * 101, b"a\tb", b"\x7f", b"a\xc2\x85b"])
def test_an_instance_that_cannot_be_meant_is_refused(value: bytes) -> None:
    """
    By the name of the header.
    """
    with pytest.raises(FieldsInvalid) as refused:
        agent_instance_of(sent(value))

    assert [("header", "X-Agent-Instance")] == [error.loc for error in refused.value.errors]
