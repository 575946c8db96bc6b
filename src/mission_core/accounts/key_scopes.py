"""
Scopes of agent keys.

A key with a role among its scopes has that role, and its other scopes extend its rights to its own agent. A key without
a role permits only what its scopes name.
"""

from __future__ import annotations

from typing import Final

from mission_core.accounts.model import ROLE_LEVELS, AgentPrincipal, Principal, Role, require_role
from mission_core.entity_changes import evolve
from mission_core.errors import Denied
from mission_core.lazy_attrs import define

SELF: Final = "agent:self"
HEARTBEAT: Final = "agent:heartbeat"
DIAGNOSTICS: Final = "agent:diagnostics"
ATTRIBUTION: Final = "agent:attribution"
MESSAGES: Final = "agent:messages"
INCLUDED_SCOPES: Final = {SELF: frozenset({HEARTBEAT, DIAGNOSTICS, ATTRIBUTION})}
"""The scopes that a scope includes."""


@define(repr=False)
class ScopeMissing(Denied):
    """
    The key has no role, and none of its scopes permits the operation.
    """

    needed: str | None

    def __str__(self) -> str:
        asks = f"the scope {self.needed}, or a role" if self.needed else "a role"
        return f"this key permits only what its scopes name; this operation needs {asks} (viewer, operator, admin)"


def require_role_or_scope(principal: Principal, role: Role, scope: str | None = None) -> Principal:
    """
    Require a *role*, or this *scope* of an agent's key. Returns the principal, with the role raised to the required one
    if the scope permits the operation. The operation itself limits the agent to its own rows.

    Raises:
        RoleTooLow: If neither the role nor the scopes permit it.
        ScopeMissing: If the key has no role and lacks the scope.
    """
    if isinstance(principal, AgentPrincipal) and role is not Role.ADMIN:
        if scope is not None and _includes_scope(principal.scopes, scope):
            return principal if ROLE_LEVELS[principal.role] >= ROLE_LEVELS[role] else evolve(principal, role=role)
        if principal.confined:
            raise ScopeMissing(scope)
    require_role(principal, role)
    return principal


def _includes_scope(scopes: frozenset[str], scope: str) -> bool:
    return scope in scopes or any(scope in INCLUDED_SCOPES.get(each, ()) for each in scopes)
