"""
How kinds of entities are found.
"""

import sys

from mission_adapters.kind_registry import KINDS
from mission_core.kinds import kind_of
from mission_core.tasks.model import Task


def test_a_kind_is_declared_in_the_module_of_its_class():
    """
    So that whoever has the class finds the kind.
    """
    assert [] == [kind.name for kind in KINDS if kind not in vars(sys.modules[kind.entity.__module__]).values()]
    assert list(KINDS) == [kind_of(kind.entity) for kind in KINDS]
    assert kind_of(Task) is None
