"""
Limits of what one report may count and cost, and the reliability of a cost. Money is a whole number of nano-dollars.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

NANOS_PER_DOLLAR: Final = 1_000_000_000
MILLION: Final = 1_000_000
MAX_TOKENS: Final = 10_000_000_000
"""The largest count of tokens in one report."""
MAX_DOLLARS: Final = 5_000
MAX_COST: Final = MAX_DOLLARS * NANOS_PER_DOLLAR
"""The largest cost of one report, so that the sums of over a million fit into 64 bits."""
LONGEST_MODEL: Final = 200
LONGEST_PROVIDER: Final = 100


class PriceBasis(StrEnum):
    """
    The reliability of a computed cost.

    - exact: each token had a price of its own.
    - estimate: a price stood in for another one, or the model was matched by a rule of the price table.
    - unknown: the model has no known price, so there is no cost.
    """

    EXACT = "exact"
    ESTIMATE = "estimate"
    UNKNOWN = "unknown"


PROVIDERS_OF_NAMES: Final = {"claude": "anthropic", "gpt": "openai", "o1": "openai", "o3": "openai"}
"""The providers of prefixes that stand for one."""


def provider_in(model: str) -> str | None:
    """
    The provider that the prefix of a model's name tells, such as `openai` in `openai/gpt-5`; None without a prefix.
    """
    prefix, separator, _ = model.strip().lower().partition("/")
    return PROVIDERS_OF_NAMES.get(prefix, prefix) if separator and prefix else None
