"""
What the scopes of an agent's key let it do.

A key with a role among its scopes has that role; its other scopes let it do more to its own agent than the role would.
A key without one may do what its scopes name, and nothing else.
"""

from __future__ import annotations

from typing import Final

from attrs import define, evolve

from mission_core.accounts.model import RANK, AgentPrincipal, Principal, Role, require
from mission_core.errors import Denied

SELF: Final = "agent:self"
HEARTBEAT: Final = "agent:heartbeat"
DIAGNOSTICS: Final = "agent:diagnostics"
ATTRIBUTION: Final = "agent:attribution"
MESSAGES: Final = "agent:messages"
COVERS: Final = {SELF: frozenset({HEARTBEAT, DIAGNOSTICS, ATTRIBUTION})}
"""What a scope includes beside itself: who may work on all that is its own may also say that it is there."""


@define
class ScopeMissing(Denied):
    """
    An agent's key without a role would do what none of its scopes names.
    """

    needed: str | None

    def __str__(self) -> str:
        asks = f"the scope {self.needed}, or a role" if self.needed else "a role"
        return f"this key may do no more than its scopes name, and this asks for {asks} (viewer, operator, admin)"


def within_scopes(principal: Principal, role: Role, scope: str | None = None) -> Principal:
    """
    The principal as it acts in an operation that asks for a *role*, or of an agent's key for this *scope* on what is
    its own. What is its own is for the operation to see to, as for every key below admin.

    Raises:
        RoleTooLow: If its role does not reach, nor its scopes.
        ScopeMissing: If it has no role, and not the scope.
    """
    if isinstance(principal, AgentPrincipal) and role is not Role.ADMIN:
        if scope is not None and _names(principal.scopes, scope):
            return principal if RANK[principal.role] >= RANK[role] else evolve(principal, role=role)
        if principal.confined:
            raise ScopeMissing(scope)
    require(principal, role)
    return principal


def _names(scopes: frozenset[str], scope: str) -> bool:
    return scope in scopes or any(scope in COVERS.get(each, ()) for each in scopes)
