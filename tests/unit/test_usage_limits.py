"""
Limits of what one report may count and cost.
"""

import pytest

from mission_core.usage.amounts import MAX_COST, MAX_TOKENS
from mission_core.usage.queries import UsageSum, UsageTotals
from mission_http.boards.usage import MAX_GROUPS, _groups


@pytest.mark.parametrize("largest", [MAX_COST, MAX_TOKENS])
def test_sums_of_a_million_reports_fit_into_a_column(largest):
    """
    Else an agent that reports the most could end the counting of its organization.
    """
    assert 1_000_000 * largest < 2**63


def test_the_latest_hours_are_listed_if_there_are_too_many():
    hours = [UsageSum((hour,), UsageTotals(requests=1)) for hour in range(MAX_GROUPS + 2)]

    assert "1970-01-01T02:00:00" == _groups(hours, "hour", 1)[0].key
