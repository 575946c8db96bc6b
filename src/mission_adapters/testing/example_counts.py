"""
How many examples a property gets whose examples cost more, or less, than usual.
"""

from typing import Final

from hypothesis import settings

USUAL: Final = 100


def max_examples(number: int) -> int:
    """
    This many, in a profile that tries the usual number; in others more or fewer in proportion.
    """
    return max(1, round(number * settings().max_examples / USUAL))
