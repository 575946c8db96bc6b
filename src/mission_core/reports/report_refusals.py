"""
The refusal of reports that APIs render in their own way. A server knows it without loading reports.
"""

from __future__ import annotations

from mission_core.errors import Invalid


class MomentInFuture(Invalid):
    """
    The given moment is in the future.
    """

    code = "still_to_come"
    says = "that moment has not come yet"
