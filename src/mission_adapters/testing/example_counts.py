"""
Scales the number of Hypothesis examples of a property with the active profile.
"""

from typing import Final

from hypothesis import settings

USUAL: Final = 100


def max_examples(number: int) -> int:
    """
    The number of examples for a property that should get *number* of them in a profile with the usual 100. Other
    profiles get proportionally more or fewer.
    """
    return max(1, round(number * settings().max_examples / USUAL))
