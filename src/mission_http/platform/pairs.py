"""
Pairs at work: every request of theirs keeps what they hold under an implicit lease.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from datetime import datetime
from typing import TYPE_CHECKING, Final, cast

from attrs import define, field
from starlette.requests import Request

from mission_core.accounts.model import AgentPrincipal, identity_of
from mission_core.errors import Invalid, Refusal
from mission_core.tasks.polling import RenewPair, renew_pair
from mission_core.tasks.runs import LONGEST_INSTANCE, PAIR_RENEWAL
from mission_core.values import name_key
from mission_http.platform.endpoints import Header
from mission_http.platform.exchange import ports_of
from mission_http.platform.refusals import FieldError, FieldsInvalid

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal

AGENT_INSTANCE: Final = Header(
    "X-Agent-Instance",
    "Which of several at work under one name this is. Each has a current task of its own.",
    {"type": "string", "minLength": 1, "maxLength": LONGEST_INSTANCE},
)
MOST_PAIRS: Final = 10_000
logger = logging.getLogger("mission_http")


@define
class Attendance:
    """
    When each pair was last looked after, so that a look is taken once a minute and not with every request. Of too many
    pairs those are forgotten that were not heard for the longest time; they are looked after again, which does no harm.
    """

    most: int = MOST_PAIRS
    looked: OrderedDict[tuple[object, ...], datetime] = field(factory=OrderedDict, init=False)

    def due(self, pair: tuple[object, ...], *, at: datetime) -> bool:
        """
        Whether to look after the pair now, which counts as done.
        """
        last = self.looked.get(pair)
        if last is not None and last <= at < last + PAIR_RENEWAL:
            return False
        self.looked[pair] = at
        self.looked.move_to_end(pair)
        if len(self.looked) > self.most:
            self.looked.popitem(last=False)
        return True


def instance_of(request: Request) -> str | None:
    """
    Which of several at work under one name the request says it comes from, if it says so.

    Raises:
        FieldsInvalid: If that is too long, or has characters that cannot be printed.
    """
    sent = request.headers.get("x-agent-instance")
    if sent is None:
        return None
    try:
        value = sent.encode("latin-1").decode().strip()
    except UnicodeDecodeError:
        value = sent.strip()
    if not value or len(value) > LONGEST_INSTANCE or not value.isprintable():
        said = f"Value error, must be 1 to {LONGEST_INSTANCE} printable characters"
        context = {"error": said.partition(", ")[2]}
        raise FieldsInvalid((FieldError(("header", "X-Agent-Instance"), "value_error", said, sent, context),))
    return value


async def attend(request: Request, principal: Principal, *, agent: str | None = None) -> None:
    """
    Take a request as a sign that the principal's pair is at work: under the name of *agent*, or an agent's own. What
    it holds under an implicit lease is renewed, in a unit of its own; that this could not be done fails no request, nor
    does an instance that cannot be meant, for most operations have no use for it. A HEAD request renews nothing.
    """
    if request.method == "HEAD" or (agent is None and not isinstance(principal, AgentPrincipal)):
        return
    try:
        instance = instance_of(request)
    except FieldsInvalid:
        return
    ports = ports_of(request)
    name = agent or principal.display
    attendance = cast(Attendance, request.scope["app"].attendance)
    pair = (principal.organization, identity_of(principal), name_key(name), instance)
    if not attendance.due(pair, at=ports.clock.now()):
        return
    try:
        await renew_pair(ports, principal, RenewPair(agent=agent, instance=instance))
    except Invalid:
        return  # nobody can have that name
    except Refusal as refusal:
        logger.warning("what %s holds could not be renewed: %s", name, refusal)
