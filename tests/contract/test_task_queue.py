"""
The task queue of each store.
"""

from mission_adapters.testing.contracts import TaskQueueContract


class TestTaskQueue(TaskQueueContract):
    """
    On every store.
    """
