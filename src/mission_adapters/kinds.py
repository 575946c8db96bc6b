"""
Every kind of plain row that the stores keep.
"""

from __future__ import annotations

from typing import Any, Final

from mission_core.accounts.people import PEOPLE
from mission_core.agents.onboarding import ONBOARDINGS
from mission_core.kinds import Kind
from mission_core.tasks.comments import COMMENTS

KINDS: Final[tuple[Kind[Any], ...]] = (PEOPLE, ONBOARDINGS, COMMENTS)
"""In the order in which flushes lock their rows."""
