"""
A state machine that compares stores with a reference model. It creates, claims, edits and finishes tasks in random
order, one at a time and concurrently; every store must give the answers and show the rows of the model.

The model consists of plain dictionaries and shares no code with the core. `check_against_model` runs the machine.
"""

from mission_core.extras import missing_extra_named

with missing_extra_named():
    from mission_adapters.testing.state_machine.checked_stores import CheckedStore
    from mission_adapters.testing.state_machine.model_check import check_against_model

__all__ = ["CheckedStore", "check_against_model"]
