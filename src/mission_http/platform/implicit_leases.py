"""
Renewal of implicit leases: every request of an agent renews the leases that it holds without a lease token.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import field
from starlette.requests import Request

from mission_core.accounts.model import AgentPrincipal, identity_of
from mission_core.errors import Invalid, Refusal
from mission_core.lazy_attrs import define
from mission_core.tasks.queue_polls import RenewImplicitLeases, renew_implicit_leases
from mission_core.tasks.runs import IMPLICIT_LEASE_RENEWAL_INTERVAL, LONGEST_INSTANCE
from mission_core.values import name_key
from mission_http.platform.endpoints import RequestHeader
from mission_http.platform.errors import FieldError, FieldsInvalid
from mission_http.platform.exchange import ports_of

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.tasks.ports import BudgetReached

AGENT_INSTANCE: Final = RequestHeader(
    "X-Agent-Instance",
    "The instance of the agent, if several work under one name. Each instance has a current task of its own.",
    {"type": "string", "minLength": 1, "maxLength": LONGEST_INSTANCE},
)
MAX_HOLDERS: Final = 10_000
logger = logging.getLogger("mission_http")


@define
class ImplicitLeaseRenewals:
    """
    The last renewal of each holder's implicit leases, so that they are renewed once a minute, not at every request; and
    the hard budgets that then kept holders from it.

    Beyond *capacity* holders, the one that was renewed longest ago is forgotten. Its next request renews its leases
    early, which is harmless.
    """

    capacity: int = MAX_HOLDERS
    last_renewals: OrderedDict[tuple[object, ...], datetime] = field(factory=OrderedDict, init=False)
    budgets_reached: dict[tuple[object, ...], BudgetReached] = field(factory=dict, init=False)

    def due(self, pair: tuple[object, ...], *, at: datetime) -> bool:
        """
        Whether the holder's leases are due for renewal; if so, they count as renewed now.
        """
        last = self.last_renewals.get(pair)
        if last is not None and last <= at < last + IMPLICIT_LEASE_RENEWAL_INTERVAL:
            return False
        self.last_renewals[pair] = at
        self.budgets_reached.pop(pair, None)
        self.last_renewals.move_to_end(pair)
        if len(self.last_renewals) > self.capacity:
            self.budgets_reached.pop(self.last_renewals.popitem(last=False)[0], None)
        return True


def agent_instance_of(request: Request) -> str | None:
    """
    The agent instance that the request names in `X-Agent-Instance`, if it does.

    Raises:
        FieldsInvalid: If it is empty, too long, or has unprintable characters.
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


async def renew_leases_for_request(
    request: Request, principal: Principal, *, agent: str | None = None, asks_budgets: bool = False
) -> BudgetReached | None:
    """
    Renew the implicit leases that the principal holds as *agent*, or as itself if it is an agent, in a unit of its own.
    This is done once a minute; with *asks_budgets* budgets are checked in any case.

    A failed renewal does not fail the request, and neither does an invalid instance, because most operations ignore it.
    A HEAD request renews nothing.

    Returns:
        The hard budget that keeps a lease of the principal from being renewed.
    """
    if request.scope["method"] == "HEAD" or (agent is None and not isinstance(principal, AgentPrincipal)):
        return None
    try:
        instance = agent_instance_of(request)
    except FieldsInvalid:
        return None
    ports = ports_of(request)
    name = agent or principal.display
    attendance: ImplicitLeaseRenewals = request.scope["app"].implicit_lease_renewals
    pair = (principal.organization, identity_of(principal), name_key(name), instance)
    if not attendance.due(pair, at=ports.clock.now()) and not asks_budgets:
        return attendance.budgets_reached.get(pair)
    command = RenewImplicitLeases(agent=agent, instance=instance, asks_budgets=asks_budgets)
    try:
        renewed = await renew_implicit_leases(ports, principal, command)
    except Invalid:
        return None  # no agent can have that name
    except Refusal as refusal:
        logger.warning("lease_renewal_failed agent=%r error=%s reason=%r", name, type(refusal).__name__, str(refusal))
        return None
    if renewed.budget_reached is None:
        attendance.budgets_reached.pop(pair, None)
    else:
        attendance.budgets_reached[pair] = renewed.budget_reached
    return renewed.budget_reached
