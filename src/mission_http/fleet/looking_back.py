"""
Looking back at one agent: whose business that is, how far, and at what.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from attrs import define, frozen
from starlette.requests import Request

from mission_core.accounts.model import AgentPrincipal, Role
from mission_core.boards.model import BoardDenied
from mission_core.errors import Denied
from mission_core.ids import AgentId
from mission_core.values import name_key
from mission_http.fleet.access import label_of
from mission_http.fleet.activities import told
from mission_http.fleet.errors import Unacceptable
from mission_http.fleet.paths import keyholder_in
from mission_http.fleet.wire import SECOND, raw, seconds_of
from mission_http.platform.exchange import ports_of, principal_of

if TYPE_CHECKING:
    from mission_core.agents.queries import AgentRow
    from mission_core.reports.conduct import Deed

MOST_HOURS: Final = 720
NUMBERED: Final = ("task", "agent")
"""What an entry can be about so that a deed tells its number."""


@define
class NotYourBusiness(Denied):
    """
    What an agent did is for itself to see, and for admins who say that they mean to.
    """

    says: str

    def __str__(self) -> str:
        return self.says


@frozen
class Mistakes:
    """
    How an operation words what is wrong with a query.
    """

    no_hours: str
    hours_beyond: str
    no_section: str


@frozen(kw_only=True)
class Look:
    """
    An agent, and from when until when one looks at it.
    """

    agent: AgentRow
    privileged: bool
    hours: int
    until: datetime

    @property
    def id(self) -> AgentId:
        return AgentId(UUID(bytes=self.agent.id))

    @property
    def since(self) -> datetime:
        return self.until - timedelta(hours=self.hours)

    @property
    def timeframe(self) -> dict[str, int]:
        """
        As the Fleet shows it.
        """
        return {"hours": self.hours, "since": seconds_of(self.since), "until": seconds_of(self.until)}


async def looked_at(request: Request, *, privileged: bool, refusal: str) -> tuple[AgentRow, bool]:
    """
    The agent in the path, and whether the caller sees it by privilege only.

    Raises:
        AgentNotFound: If there is none.
        NotYourBusiness: If the caller may not look.
    """
    principal = principal_of(request)
    try:
        row = await ports_of(request).reads.agents.get(principal, keyholder_in(request))
    except BoardDenied:
        raise NotYourBusiness(refusal) from None
    if isinstance(principal, AgentPrincipal) and principal.agent.bytes == row.id:
        return row, False
    admin = principal.role is Role.ADMIN
    names = [] if isinstance(principal, AgentPrincipal) else [principal.name]
    if admin:  # a label gives nobody more than they have
        names.append(label_of(request) or "")
    if name_key(row.name) in map(name_key, names):
        return row, False
    if admin and privileged:
        return row, True
    raise NotYourBusiness(refusal)


def hours_of(text: str | None, mistakes: Mistakes) -> int:
    """
    How many hours a query looks back.

    Raises:
        Unacceptable: If that is no number, or beyond what may be asked for.
    """
    if not text:
        return 24
    if not re.fullmatch(r"\d+", text, re.ASCII):
        raise Unacceptable(mistakes.no_hours)
    hours = int(text[:9])
    if not 1 <= hours <= MOST_HOURS:
        raise Unacceptable(mistakes.hours_beyond)
    return hours


def sections_of(text: str | None, known: Sequence[str], mistakes: Mistakes) -> frozenset[str]:
    """
    Which sections a query wants.

    Raises:
        Unacceptable: If it names others, or none.
    """
    if not text:
        return frozenset(known)
    named = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in named if name not in known]
    if unknown:
        raise Unacceptable(f"Invalid section value(s): {', '.join(unknown)}")
    if not named:
        raise Unacceptable(mistakes.no_section)
    return frozenset(named)


def event_of(deed: Deed) -> dict[str, Any]:
    """
    A deed as something that happened.
    """
    activity = told(deed.kind, deed.payload, title=deed.title)
    return {
        "id": deed.position,
        "type": activity.type,
        "description": activity.description,
        "data": raw(deed.payload),
        "created_at": deed.at // SECOND,
    }


def activity_of_deed(deed: Deed) -> dict[str, Any]:
    """
    A deed as an activity, with what it is about.
    """
    entity = told(deed.kind, deed.payload, title=deed.title).entity
    return event_of(deed) | {"entity_type": entity, "entity_id": deed.number if entity in NUMBERED else None}
