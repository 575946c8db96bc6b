"""
How many examples a property gets whose examples cost more, or less, than usual.
"""

from mission_adapters.testing.example_counts import USUAL as USUAL
from mission_adapters.testing.example_counts import max_examples as max_examples
