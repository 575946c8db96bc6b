"""
The references to organizations in rows of the whole deployment.
"""

from __future__ import annotations

from functools import cache
from types import NoneType
from typing import Any, get_args, get_type_hints

from mission_core.ids import OrganizationId
from mission_core.kinds import Kind


@cache
def organization_references(kind: Kind[Any]) -> dict[str, bool]:
    """
    The fields by which the rows of a shared kind refer to an organization, and whether each may be None. When the
    organization is deleted, a field that may be None is cleared; else the row is deleted.
    """
    if not kind.shared:
        return {}
    hints = {name: hint for name, hint in get_type_hints(kind.entity).items() if name not in ("id", "organization")}
    return {
        name: NoneType in get_args(hint) for name, hint in hints.items() if OrganizationId in (hint, *get_args(hint))
    }
