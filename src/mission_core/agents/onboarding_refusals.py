"""
The refusals of onboardings that APIs render in their own way. A server knows them without loading onboardings.
"""

from __future__ import annotations

from mission_core.errors import Conflict, Denied
from mission_core.lazy_attrs import define


class OnboardingConfirmed(Conflict):
    """
    The onboarding was confirmed, so it takes no more messages.
    """

    says = "this onboarding was confirmed; start another one"


@define(repr=False)
class NotTheMainAgent(Denied):
    """
    Only the organization's main agent may lead an onboarding.

    Args:
        of_a_board: Whether the caller belongs to a board.
    """

    of_a_board: bool

    says = "Only the dedicated gateway agent may call this endpoint."
