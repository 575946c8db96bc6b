"""
The reported runs of each store.
"""

from mission_adapters.testing.contracts import ReportedRunContract


class TestReportedRuns(ReportedRunContract):
    """
    On every store.
    """
