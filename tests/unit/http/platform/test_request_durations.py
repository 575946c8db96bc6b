"""
Histograms of the durations of requests, which several processes count.
"""

import sys
from types import FrameType
from typing import Any

from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import Exchange
from mission_http.platform.request_durations import BUCKETS, RequestDurations
from tests.unit.http.platform.sample_app import PLAIN

ENDPOINTS = list(PLAIN.endpoints)


def request(endpoint: Endpoint | None = None, status: int = 200) -> Exchange:
    return Exchange("1", dialect=PLAIN, endpoint=endpoint, status=status)


def test_a_duration_is_counted_in_the_first_bucket_that_holds_it() -> None:
    durations = RequestDurations.of(1)
    for seconds in (0.0, BUCKETS[0], BUCKETS[0] * 1.01, BUCKETS[-1], BUCKETS[-1] + 1):
        durations.observe(request(ENDPOINTS[0]), seconds)
    [found] = durations.histograms()

    assert [2, 1, *[0] * (len(BUCKETS) - 3), 1, 1] == found.counts
    assert (ENDPOINTS[0].method, PLAIN.path_of(ENDPOINTS[0]), "2xx") == found[:3]


def test_operations_and_classes_of_status_are_counted_apart() -> None:
    durations = RequestDurations.of(1)
    for endpoint, status in ((ENDPOINTS[0], 200), (ENDPOINTS[0], 404), (ENDPOINTS[1], 299), (None, 503)):
        durations.observe(request(endpoint, status), 1)

    assert {("2xx", 1.0), ("4xx", 1.0), ("5xx", 1.0)} == {(each.status, each.total) for each in durations.histograms()}
    assert 4 == len(list(durations.histograms()))


def test_processes_share_their_counts_and_a_follower_goes_on_with_them() -> None:
    durations = RequestDurations.of(2)
    durations.number([PLAIN])
    for place in (0, 1, 1):  # the third one replaces the second
        durations.at(place).observe(request(ENDPOINTS[-1]), 0.5)

    assert [3] == [sum(each.counts) for each in durations.at(0).histograms()]


def test_an_operation_without_a_number_is_counted_as_any_other() -> None:
    durations = RequestDurations.of(1)
    durations.number([])
    durations.observe(request(ENDPOINTS[0]), 0.5)

    assert ["other"] == [each.path for each in durations.histograms()]


def test_counting_a_request_costs_one_call() -> None:
    durations, exchange = RequestDurations.of(1), request(ENDPOINTS[0])
    durations.observe(exchange, 0.5)
    calls = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        durations.observe(exchange, 0.5)
    finally:
        sys.setprofile(None)

    assert ["observe"] == calls
