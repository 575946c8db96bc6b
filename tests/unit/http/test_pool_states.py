"""
The states of the pools of connections that processes tell each other.
"""

from mission_core.reports.server_figures import ConnectionPoolState
from mission_http.metrics.pool_states import STALE_SECONDS, PoolStates

READ, WRITE = ConnectionPoolState(8, 3, 1, 0), ConnectionPoolState(2, 2, 0, 5)


def test_the_states_of_all_processes_are_summed_up() -> None:
    """
    A process that has told nothing yet is left out.
    """
    states = PoolStates.of(3)
    states.at(0).tell({"read": READ, "write": WRITE})
    states.at(2).tell({"read": ConnectionPoolState(8, 8, 0, 2), "write": WRITE})

    expected = {"read": ConnectionPoolState(16, 11, 1, 2), "write": ConnectionPoolState(4, 4, 0, 10)}
    assert expected == states.at(1).totals(["read", "write"])


def test_a_process_that_ended_or_hangs_is_left_out() -> None:
    """
    The state that it told last is too old.
    """
    now = [100.0]
    states = PoolStates.of(2, lambda: now[0])
    states.at(1).tell({"read": READ})
    now[0] += STALE_SECONDS
    states.at(0).tell({"read": WRITE})

    assert {"read": WRITE} == states.totals(["read"])
