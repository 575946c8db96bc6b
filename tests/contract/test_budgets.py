"""
The budgets of each store.
"""

from mission_adapters.testing.contracts import BudgetsContract


class TestBudgets(BudgetsContract):
    """
    On every store.
    """
