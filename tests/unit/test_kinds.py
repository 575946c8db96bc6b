"""
How kinds of entities are found.
"""

import sys
from typing import get_args, get_type_hints

from mission_adapters.kind_registry import KINDS, lock_order, position_of
from mission_adapters.sql.secret_fingerprint import ENCRYPTED_COLUMNS
from mission_core.kinds import kind_of
from mission_core.tasks.model import Task
from mission_core.values import Encrypted


def test_a_kind_is_declared_in_the_module_of_its_class():
    """
    So that whoever has the class finds the kind.
    """
    assert [] == [kind.name for kind in KINDS if kind not in vars(sys.modules[kind.entity.__module__]).values()]
    assert list(KINDS) == [kind_of(kind.entity) for kind in KINDS]
    assert kind_of(Task) is None


def test_the_lock_order_is_that_of_the_positions():
    """
    A flush asks for the positions of the rows that it has, and imports no other kinds.
    """
    assert list(range(len(lock_order()))) == [position_of(each) for each in lock_order()]


def test_the_encrypted_columns_are_the_encrypted_fields_of_kinds():
    """
    A rotation of the secret finds them by these names.
    """
    hints = {(kind.name, name): hint for kind in KINDS for name, hint in get_type_hints(kind.entity).items()}
    encrypted = (place for place, hint in hints.items() if hint is Encrypted or Encrypted in get_args(hint))

    assert list(ENCRYPTED_COLUMNS) == list(encrypted)
