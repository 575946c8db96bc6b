"""
Revocations of access in the event log, by which readers that are open at the time are ended.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from mission_core.accounts.model import AgentPrincipal, MemberPrincipal

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.events.model import Entry

USER_KINDS: Final = frozenset({"user.updated", "user.deleted", "user.password_changed"})
MEMBER_KINDS: Final = frozenset({"member.changed", "member.left"})
REVOKING_KINDS: Final = USER_KINDS | MEMBER_KINDS | {
    "agent.deleted", "agent.renamed", "agent.updated", "board.deleted", "key.revoked",
    "organization.dissolved", "server_key.rotated", "user.signed_out",
}  # fmt: skip
"""The kinds of all events after which a principal may see less than before."""


def may_end_access(entry: Entry, principal: Principal) -> bool:
    """
    Whether the principal's access may be less from this entry on: it, its credential or what it may see was changed. It
    must authenticate again then.
    """
    kind = entry.kind
    if kind not in REVOKING_KINDS:
        return False
    if kind == "organization.dissolved":
        return True
    if isinstance(principal, AgentPrincipal):
        if kind == "key.revoked":
            return entry.subject == principal.key
        if kind == "board.deleted":
            return entry.subject == principal.board
        return entry.subject == principal.agent
    if isinstance(principal, MemberPrincipal):
        if kind == "user.signed_out":
            return _told(entry, "session") == str(principal.session)
        return entry.subject in (principal.user, principal.member)
    return kind == "server_key.rotated" or (principal.user is not None and entry.subject == principal.user)


def _told(entry: Entry, name: str) -> object:
    return None if entry.payload is None else json.loads(entry.payload).get(name)
