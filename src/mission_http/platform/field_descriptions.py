"""
Descriptions of fields that both dialects have, for the OpenAPI document. One name has one meaning in all bodies.

A key is the name of a field, `Component.field` for a field of one component, `?name` for a query parameter, or
`tasks/id` for a path parameter and the segment before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

AMOUNT: Final = "in dollars if the budget measures money, otherwise in tokens, runs or seconds"
FIELDS: Final[Mapping[str, str]] = {
    "?after": "List the items after this one: the `number` (or integer `id`) of the last item already seen.",
    "?limit": "The most items to return.",
    "?offset": "The number of items to skip.",
    "acknowledges": "The id of the order that the worker has carried out. An order is repeated until then.",
    "agent_token": "The new API key of the agent. It is returned only here and cannot be read again.",
    "attempt": "The number of this attempt at the task, counted from 1.",
    "attempts": "The number of claims that count against `max_attempts`. A release does not count.",
    "author": "The name of the person or agent that wrote it.",
    "block_status_changes_with_pending_approval": "Whether a task keeps its status while it has a pending approval.",
    "available": f"What is neither spent nor reserved, {AMOUNT}; negative if more is spent than the limit.",
    "blocked_by": "The ids of the tasks in `depends_on` that are not done yet.",
    "ceiling_price": "The dollars per million tokens at which tokens without a known price count; null for none.",
    "code": "The stable code of the error, in snake case. Texts may change; codes do not.",
    "comment_required_for_review": "Whether a task needs a comment before it can move to `review`.",
    "completed_at": "The time at which the task was done; null while it is not.",
    "confidence": "How sure the requester is that the action is right, in percent.",
    "depends_on": "The ids of the tasks that must be done before this one can be claimed.",
    "error_message": "The reason of the last failure; null if there was none.",
    "expires_at": "The time at which the lease ends unless a heartbeat extends it.",
    "fence": "The fencing token. Each claim of the task gets a higher one, and writes under an older one are refused.",
    "hand_over": "The note that the last worker left for the next one when it released the task.",
    "hard": "Whether no run starts that has no room in the budget. Otherwise events tell of the spending.",
    "heartbeat_at": "The time of the last heartbeat of the lease.",
    "heartbeat_seconds": "The number of seconds within which the next heartbeat is due.",
    "hint": "A suggestion how to avoid the error.",
    "kind": "The kind of the order.",
    "late_result": "The result that was sent after this lease had ended; null if there is none.",
    "late_results": "Results that were sent after their leases had ended, and that can still be adopted.",
    "lease": "The secret that claiming returned. Whoever sends it acts as the holder of the lease.",
    "lease_seconds": "The term of the lease. Each heartbeat extends it by as much.",
    "limit": "The most items that were returned.",
    "list_price": "Whether what a subscription pays for counts at its list price. Otherwise it counts as 0.",
    "max_attempts": "The number of attempts after which the task is failed instead of queued again.",
    "measure": "What the budget counts: `money`, `tokens`, `runs`, or the `time` that runs last.",
    "mentions": "The names that the text mentions with `@`.",
    "next": "What happens next to the task, or what has to be done.",
    "not_before": "The time before which the task cannot be claimed; null for no such time.",
    "note": "A note for the next worker of the task.",
    "notice": "A sentence that tells what happened to the late result.",
    "number": "The short number of the item, which is never reused within an organization.",
    "offset": "The number of items that were skipped.",
    "ok": "Whether it succeeded.",
    "only_lead_can_change_status": "Whether the lead is the only agent that changes the status of the board's tasks.",
    "order": "What the worker has to do: `continue` unless an operator gave another order.",
    "outcome": "How the work ended; null while it has not.",
    "output": "The result of the work as JSON, for programs; null if there is none.",
    "parent_id": "The comment that this one replies to; null for none.",
    "paused": "Whether an operator paused the work.",
    "per_run": f"What each claim reserves, {AMOUNT}. A hard budget requires it, unless it counts runs.",
    "period_starts_at": "When the present period of the budget began; null if it has no periods.",
    "priority": "The queue hands out `critical` first, then `high`, `medium`, `low` and other words.",
    "progress": "A JSON object of the worker's own that describes how far the work is. The last one is kept.",
    "reason": "The reason in words; null for none.",
    "received_at": "The time at which it was received.",
    "recorded": "Whether the work was done elsewhere and the task was created as done.",
    "request_id": "The id of the request, which is also in the header `X-Request-Id` and in the log.",
    "require_approval_for_done": "Whether a task needs an approved request before it is done.",
    "require_review_before_done": "Whether a task is done only after it was in `review`.",
    "reserved": f"What live runs have reserved and not spent, {AMOUNT}.",
    "reserved_nano": "What is reserved in nano-dollars, exactly; null if the budget does not measure money.",
    "resets_at": "When spending counts from 0 again; null if it never does.",
    "resolution": "The result of the work in words; null if there is none.",
    "resumes_at": "The time at which a suspended lease runs again even without a decision; null if not suspended.",
    "run_id": "The id of the run, which is one attempt at the task under one lease.",
    "scope": "What the budget limits: the `organization`, a `board`, an `agent`, a `task` or a `run`.",
    "since": "The time at which the state began.",
    "slug": "The name in lower case with hyphens, for URLs.",
    "source": "The origin of the entry.",
    "spent": f"What is spent in the present period, {AMOUNT}.",
    "spent_nano": "What is spent in nano-dollars, exactly; null if the budget does not measure money.",
    "state": "The state of the run. Only `leased` and `suspended` can still change.",
    "time_zone": "The time zone in which days, weeks (from Monday) and months begin, such as `Europe/Berlin`.",
    "ticket_prefix": "The letters before the ticket numbers of the tasks, as in `DEMO-007`.",
    "total": "The number of items that match, on all pages.",
    "unknown_prices": (
        "How tokens without a known price count against money: only as `tokens` that are shown, at a `ceiling` price, "
        "or as a `stop` until the price is known. A budget of money requires it."
    ),
    "version": (
        'The version of the item, which grows with each change. Sent as `If-Match: "7"`, it keeps a change from '
        "overwriting another one."
    ),
    "wait_seconds": "The most seconds to wait for the decision, after which the lease runs again.",
    "waiting_for": "The decision of a person that the worker waits for. It suspends the lease: no heartbeat is due.",
    "why": "The reason why the task is in this state.",
}


def price_fields(*components: str) -> dict[str, str]:
    """
    Return the descriptions of the fields of prices, which mean something else in other components.
    """
    rates = {
        "input": "tokens of input", "output": "tokens of output", "cache_read": "tokens that are read from the cache",
        "cache_write": "tokens that are written to the cache", "reasoning": "tokens of reasoning",
        "input_audio": "tokens of audio in the input", "output_audio": "tokens of audio in the output",
    }  # fmt: skip
    fields = {name: f"The dollars per million {told}{_stand_in(name)}." for name, told in rates.items()}
    fields |= {
        "model": "The name of the model, ignoring case. `*` stands for any text.",
        "provider": "The provider of the model that the price is for; null for any.",
        "since": "The time of use from which the price applies; null for always.",
        "until": "The time of use from which the price does not apply any more; null for never.",
        "batch": "The price of a request in a batch, in percent of its normal price.",
    }
    return {f"{component}.{name}": text for component in components for name, text in fields.items()}


def _stand_in(rate: str) -> str:
    if rate in ("input", "output"):
        return ""
    return f"; null for that of {'output' if rate in ('reasoning', 'output_audio') else 'input'}"


def budget_fields(budgets: tuple[str, ...], update: str, targets: Mapping[str, str]) -> dict[str, str]:
    """
    Return the descriptions of the fields of budgets that mean something else in other components.

    Args:
        budgets: The components that have all fields.
        update: The component of a change.
        targets: The fields that name what a budget limits, with their descriptions.
    """
    changed = {"limit": f"The most that may be spent in a period, {AMOUNT}.", "name": "The name of the budget."}
    period = "How often spending counts from 0 again: `daily`, `weekly`, `monthly`, or never (`once`)."
    whole = {**changed, "period": period, **targets}
    told = {f"{component}.{name}": text for component in budgets for name, text in whole.items()}
    return told | {f"{update}.{name}": text for name, text in changed.items()}
