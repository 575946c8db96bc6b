"""
Hypothesis strategies for the core's entities and values. Each builds through the real constructor; strategies given as
keywords pin fields: `tasks(status=st.just(Status.DONE))`.

Every value is valid by itself. What it refers to need not exist: `tasks()` draws a random board.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from mission_core.accounts.access_requests import AccessRequest, AccessRequestStatus
from mission_core.accounts.invites import Invite
from mission_core.accounts.members import Member
from mission_core.accounts.model import SCOPES, ApiKey, ApiKeyCreated, ApiKeyRevoked
from mission_core.accounts.organization_settings import Setting, SettingReset, SettingsChanged
from mission_core.accounts.organizations import Isolation, Organization
from mission_core.accounts.server_keys import ServerKey
from mission_core.accounts.sessions import UserSession
from mission_core.accounts.users import IdentityProvider, User
from mission_core.agents.model import Agent, AgentCreated, AgentStatusChanged, Presence
from mission_core.agents.onboarding import Onboarding, OnboardingStage
from mission_core.agents.tool_connections import ToolConnected, ToolConnection, ToolDisconnected
from mission_core.approvals.model import Approval, ApprovalLink, ApprovalStatus, digest_of
from mission_core.automation.board_webhooks import BoardWebhook
from mission_core.automation.webhook_payloads import WebhookPayload
from mission_core.boards.assignments import AgentAssigned, AgentUnassigned, BoardAssignment
from mission_core.boards.custom_fields import TEXT_TYPES, CustomField, CustomFieldType, FieldVisibility
from mission_core.boards.grants import Grant, InviteGrant
from mission_core.boards.groups import BoardGroup, GroupCreated, GroupDeleted, GroupUpdated
from mission_core.boards.model import Board, BoardCreated, BoardDeleted, BoardStatus, BoardUpdated, GateSet
from mission_core.boards.tags import Tag
from mission_core.conversations.chat_messages import ChatMessage
from mission_core.conversations.memory_entries import BoardMemoryEntry, GroupMemoryEntry
from mission_core.conversations.notifications import Notification
from mission_core.events.model import Actor
from mission_core.extras import missing_extra_named
from mission_core.tasks.comments import Comment
from mission_core.tasks.events import (
    DependencyToggled,
    RunCompleted,
    RunFailed,
    TaskAssigned,
    TaskCommented,
    TaskCreated,
    TaskDeleted,
    TaskMoved,
    TaskUpdated,
)
from mission_core.tasks.github_links import NO_GITHUB_LINKS, GitHubLinks
from mission_core.tasks.late_results import LateResult
from mission_core.tasks.model import Status, Task
from mission_core.tasks.runs import (
    IMPLICIT_LEASE_TERM,
    LIVE_STATES,
    Assignee,
    Failure,
    FailureReason,
    ImplicitHolder,
    LeaseTerms,
    Order,
    OrderKind,
    Outcome,
    Run,
    RunState,
    SecretHolder,
    TaskResult,
)
from mission_core.usage.amounts import MAX_COST, MAX_TOKENS, PriceBasis
from mission_core.usage.budgets import (
    MAX_LIMIT,
    Budget,
    BudgetMeasure,
    BudgetPeriod,
    BudgetScope,
    UnknownPrices,
)
from mission_core.usage.counters import COUNTS
from mission_core.usage.model import LONGEST_DURATION, UsageEntry
from mission_core.usage.price_overrides import PriceOverride
from mission_core.usage.prices import RATES
from mission_core.usage.reported_runs import ReportedRun, RunEvaluation, RunProvenance, TokensOfRun
from mission_core.usage.telemetry_sources import TelemetrySource
from mission_core.values import canonical

with missing_extra_named():
    from hypothesis import strategies as st

EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
LATEST = datetime(2040, 1, 1, tzinfo=UTC)

ids = st.integers(0, 2**122 - 1).map(
    lambda n: UUID(int=(n >> 74) << 80 | 7 << 76 | (n >> 62 & 0xFFF) << 64 | 2 << 62 | n & (2**62 - 1))
)
numbers = st.integers(1, 2**31)
counts = st.integers(0, 1000)
MICROSECOND = timedelta(microseconds=1)
# One draw is quicker than the seven of `st.datetimes`.
moments = st.integers(0, (LATEST - EARLIEST) // MICROSECOND).map(lambda n: EARLIEST + n * MICROSECOND)
durations = st.timedeltas(timedelta(seconds=1), timedelta(hours=24))
characters = st.characters(codec="utf-8", exclude_characters="\x00")
"""All characters that a store can hold, also beyond the Basic Multilingual Plane."""


def texts(least: int = 0, most: int = 60) -> st.SearchStrategy[str]:
    """
    Texts of *least* to *most* characters.
    """
    return st.text(characters, min_size=least, max_size=most)


def maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """
    The values of the strategy, or None.
    """
    return st.none() | values


titles = texts() | st.sampled_from(["", "Ship it", "Grüße 👩‍🚀", "𝕹𝖎𝖈𝖊", "İstanbul", "' OR 1=1 --", "a\nb\tc\\u0000"])
names = texts(least=1, most=40)
# Hypothesis takes more than twice as long for `st.recursive`. These end without a limit, because two of six are nested.
json_values: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts(most=20)
    | st.lists(st.deferred(lambda: json_values), max_size=3)
    | st.dictionaries(texts(most=10), st.deferred(lambda: json_values), max_size=3)
)  # fmt: skip
json_objects = st.dictionaries(texts(most=10), json_values, max_size=4).map(canonical)
actors = st.builds(Actor, st.sampled_from(["system", "agent", "user"]), maybe(ids), names)
assignees = st.builds(Assignee, names, maybe(ids))
gate_sets = st.builds(GateSet)
terms = st.builds(LeaseTerms, term=durations, delay=durations, longest_delay=durations)
outcomes = st.builds(Outcome, result=st.sampled_from(TaskResult), resolution=maybe(texts()), output=maybe(json_objects))
failures = st.builds(Failure, reason=st.sampled_from(FailureReason), message=maybe(texts()))
implicit_holders = st.builds(ImplicitHolder, principal=names, name=names, instance=maybe(names))
order_kinds = st.sampled_from(OrderKind)
orders = st.builds(Order, id=ids, kind=order_kinds, message=maybe(texts()), by=names, at=moments)
presences = st.builds(
    Presence,
    reported=st.sampled_from(["provisioning", "online", "offline", "idle", "busy", "deleting"]) | names,
    last_seen_at=maybe(moments),
    activity=maybe(texts()),
)


github_links = st.builds(
    GitHubLinks,
    repo=maybe(texts(least=1)),
    issue=maybe(numbers),
    branch=maybe(texts(least=1)),
    pull_request=maybe(numbers),
    pull_request_state=maybe(texts(most=20)),
    synced_at=maybe(moments),
)


def organizations(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Organization]:
    """
    Organizations that could exist.
    """
    fields = {
        "id": ids, "number": numbers, "slug": names, "name": names, "name_key": maybe(names), "gateway": ids,
        "brand": maybe(names), "isolation": st.sampled_from(Isolation), "created_at": moments, "updated_at": moments,
    }  # fmt: skip
    return st.builds(Organization, **(fields | fixed))


def boards(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Board]:
    """
    Boards that could exist.
    """
    fields = {
        "id": ids,
        "number": numbers,
        "organization": ids,
        "name": titles,
        "slug": titles,
        "handle": texts(least=1, most=40),
        "ticket_prefix": texts(least=1, most=12),
        "description": maybe(titles),
        "status": st.sampled_from(BoardStatus),
        "gates": gate_sets,
        "gateway": maybe(ids),
        "group": maybe(ids),
        "board_type": texts(most=20),
        "objective": maybe(titles),
        "success_metrics": maybe(json_objects),
        "target_date": maybe(moments),
        "goal_confirmed": st.booleans(),
        "goal_source": maybe(texts()),
        "max_agents": counts,
        "github_repo": maybe(texts()),
        "github_sync_enabled": st.booleans(),
        "github_labels_initialized": st.booleans(),
        "github_default_branch": texts(least=1),
        "deadline": maybe(moments),
        "color": maybe(texts(most=20)),
        "created_at": moments,
        "updated_at": moments,
    }
    return st.builds(Board, **(fields | fixed))


def agents(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Agent]:
    """
    Agents that could exist.
    """
    fields = {
        "id": ids,
        "number": numbers,
        "organization": ids,
        "name": names,
        "role": names,
        "board": maybe(ids),
        "lead": st.booleans(),
        "main": st.booleans(),
        "config": json_objects,
        "session_key": maybe(texts()),
        "soul": maybe(texts()),
        "working_memory": texts(),
        "runtime_type": maybe(texts()),
        "source": texts(),
        "workspace_path": maybe(texts()),
        "hidden": st.booleans(),
        "heartbeat_config": maybe(json_objects),
        "identity_profile": maybe(json_objects),
        "identity_template": maybe(texts()),
        "created_at": moments,
        "updated_at": moments,
        "presence": presences,
    }
    return st.builds(Agent, **(fields | fixed))


def keys(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[ApiKey]:
    """
    API keys that could exist.
    """
    fields = {
        "id": ids,
        "number": numbers,
        "organization": ids,
        "agent": ids,
        "name": names,
        "digest": st.binary(min_size=32, max_size=32),
        "prefix": texts(most=12),
        "scopes": st.lists(st.sampled_from(SCOPES), unique=True).map(tuple),
        "created_by": maybe(names),
        "created_at": moments,
        "updated_at": moments,
        "expires_at": maybe(moments),
        "revoked_at": maybe(moments),
        "last_used_at": maybe(moments),
    }
    return st.builds(ApiKey, **(fields | fixed))


def tasks(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Task]:
    """
    Tasks that could exist, not yet claimed.
    """
    hours = st.floats(0, 10_000, allow_nan=False)
    fields = {
        "id": ids,
        "number": numbers,
        "organization": ids,
        "board": ids,
        "ticket": maybe(numbers),
        "title": titles,
        "description": maybe(titles),
        "status": st.sampled_from(Status),
        "priority": st.sampled_from(["critical", "high", "medium", "low"]) | names,
        "assignee": maybe(assignees),
        "creator": actors,
        "creator_name": texts(),
        "due_at": maybe(moments),
        "not_before": maybe(moments),
        "estimated_hours": maybe(hours),
        "actual_hours": maybe(hours),
        "tags": st.lists(names, max_size=5).map(tuple),
        "tag_ids": st.lists(ids, max_size=3, unique=True).map(tuple),
        "field_values": st.dictionaries(ids.map(str), json_values, max_size=3).map(canonical),
        "metadata": json_objects,
        "result": maybe(st.sampled_from(TaskResult)),
        "error_message": maybe(texts()),
        "resolution": maybe(texts()),
        "output": maybe(json_objects),
        "feedback_rating": maybe(st.integers(1, 5)),
        "feedback_notes": maybe(texts()),
        "retry_count": counts,
        "recorded": st.booleans(),
        "fence": counts,
        "attempts": counts,
        "max_attempts": st.integers(1, 1000),
        "hand_over": maybe(texts()),
        "created_at": moments,
        "updated_at": moments,
        "moved_at": moments,
        "started_at": maybe(moments),
        "begun_at": maybe(moments),
        "completed_at": maybe(moments),
        "submitter": maybe(ids),
        "authors": st.lists(ids, max_size=3, unique=True).map(tuple),
        "passed": st.lists(ids, max_size=3, unique=True).map(tuple),
        "tracking": st.just(NO_GITHUB_LINKS) | github_links,
    }
    return st.builds(Task, **(fields | fixed))


@st.composite
def runs(draw: st.DrawFn, /, **fixed: st.SearchStrategy[Any]) -> Run:
    """
    Runs in every state, each with what its state implies.
    """
    state = draw(fixed.pop("state", st.sampled_from(RunState)))
    claimed_at = draw(fixed.pop("claimed_at", moments))
    term = draw(fixed.pop("term", durations))
    heartbeat_at = claimed_at + draw(st.timedeltas(timedelta(0), timedelta(days=1)))
    resumes_at = heartbeat_at + draw(durations) if state is RunState.SUSPENDED else None
    failed = state in (RunState.FAILED, RunState.EXPIRED)
    fields: dict[str, st.SearchStrategy[Any]] = {
        "id": ids,
        "organization": ids,
        "board": ids,
        "task": ids,
        "fence": numbers,
        "attempt": numbers,
        "by": assignees,
        "actor": actors,
        "holder": st.just(SecretHolder()) | implicit_holders,
        "from_queue": st.booleans(),
        "delay": durations,
        "heartbeat_at": st.just(heartbeat_at),
        "expires_at": st.just((resumes_at or heartbeat_at) + term),
        "progress": maybe(json_objects),
        "orders": st.lists(orders, max_size=3, unique_by=lambda order: order.id).map(tuple),
        "paused": st.booleans(),
        "waiting_for": texts(least=1) if resumes_at else st.none(),
        "resumes_at": st.just(resumes_at),
        "ended_at": st.none() if state in LIVE_STATES else st.just(heartbeat_at),
        "outcome": outcomes if state is RunState.COMPLETED else st.none(),
        "failure": failures if failed else st.none(),
        "note": maybe(texts()) if state in (RunState.RELEASED, RunState.REVOKED) else st.none(),
    }
    drawn = {name: draw(values) for name, values in (fields | fixed).items()}
    return Run(state=state, claimed_at=claimed_at, term=term, **drawn)


def live_runs(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Run]:
    """
    Runs that have not ended.
    """
    return runs(**({"state": st.sampled_from(sorted(LIVE_STATES))} | fixed))


def implicit_leases(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Run]:
    """
    Implicit leases of a principal and a name.
    """
    own = {"state": st.just(RunState.LEASED), "holder": implicit_holders, "term": st.just(IMPLICIT_LEASE_TERM)}
    return live_runs(**(own | fixed))


events = st.one_of(
    st.builds(
        TaskMoved, task=ids, board=ids, title=titles, was=st.sampled_from(Status), status=st.sampled_from(Status),
        reopened=maybe(titles), at=moments,
    ),
    st.builds(
        DependencyToggled, task=ids, board=ids, dependency=ids, title=titles, done=st.booleans(), at=moments
    ),
    st.builds(
        TaskUpdated, task=ids, board=ids, title=titles, changed=st.lists(names, max_size=3).map(tuple), at=moments
    ),
    st.builds(TaskDeleted, task=ids, number=numbers, title=titles, at=moments),
    st.builds(
        TaskAssigned, task=ids, was=maybe(names), was_agent=maybe(ids), assignee=maybe(names), agent=maybe(ids),
        at=moments,
    ),
    st.builds(
        TaskCreated, task=ids, number=numbers, board=ids, title=titles, status=st.sampled_from(Status),
        priority=names, assignee=maybe(names), agent=maybe(ids), recorded=st.booleans(), at=moments,
    ),
    st.builds(
        TaskCommented, task=ids, comment=ids, author=names, message=texts(least=1), parent=maybe(ids),
        mentions=st.lists(names, max_size=3).map(tuple), at=moments,
    ),
    st.builds(RunCompleted, task=ids, run=ids, fence=numbers, outcome=outcomes, at=moments),
    st.builds(RunFailed, task=ids, run=ids, fence=numbers, reason=names, message=maybe(texts()), at=moments),
    st.builds(BoardCreated, board=ids, number=numbers, name=titles, at=moments),
    st.builds(BoardUpdated, board=ids, changed=st.lists(names, max_size=3).map(tuple), at=moments),
    st.builds(
        BoardDeleted, board=ids, number=numbers, name=titles, tasks=counts, agents=counts, handed_to=maybe(ids),
        at=moments,
    ),
    st.builds(ToolConnected, connection=ids, agent=ids, agent_name=names, tool_name=names, at=moments),
    st.builds(ToolDisconnected, connection=ids, agent=ids, agent_name=names, at=moments),
    st.builds(GroupCreated, group=ids, number=numbers, name=titles, at=moments),
    st.builds(GroupUpdated, group=ids, changed=st.lists(names, max_size=3).map(tuple), at=moments),
    st.builds(GroupDeleted, group=ids, number=numbers, name=titles, at=moments),
    st.builds(AgentAssigned, board=ids, agent_name=names, role=names, at=moments),
    st.builds(AgentUnassigned, board=ids, agent_name=names, at=moments),
    st.builds(SettingsChanged, organization=ids, keys=st.lists(names, max_size=3).map(tuple), at=moments),
    st.builds(SettingReset, organization=ids, key=names, at=moments),
    st.builds(
        AgentCreated, agent=ids, number=numbers, name=names, role=names, board=maybe(ids),
        registered=st.booleans(), at=moments,
    ),
    st.builds(AgentStatusChanged, agent=ids, name=names, was=names, status=names, at=moments),
    st.builds(ApiKeyCreated, key=ids, agent=ids, name=names, scopes=st.just(("viewer",)), at=moments),
    st.builds(ApiKeyRevoked, key=ids, agent=ids, at=moments),
)  # fmt: skip
"""Events of many kinds."""


def comments(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Comment]:
    """
    Comments that could exist.
    """
    own = {
        "id": ids, "number": numbers, "organization": ids, "task": ids, "author": names,
        "author_kind": st.sampled_from(["system", "agent", "user"]), "author_id": maybe(ids),
        "content": texts(least=1), "parent": maybe(ids), "mentions": st.lists(names, max_size=3).map(tuple),
        "assigned": maybe(names), "created_at": moments,
    }  # fmt: skip
    return st.builds(Comment, **(own | fixed))


def late_results(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[LateResult]:
    """
    Late results that could exist.
    """
    own = {
        "id": ids, "organization": ids, "task": ids, "run": ids, "fence": numbers, "by": names, "by_agent": maybe(ids),
        "result": maybe(st.sampled_from(TaskResult)), "resolution": maybe(texts()), "output": maybe(json_objects),
        "failure": maybe(st.sampled_from([each.code for each in FailureReason])), "message": maybe(texts()),
        "received_at": moments, "adopted_at": maybe(moments),
    }  # fmt: skip
    return st.builds(LateResult, **(own | fixed))


def approvals(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Approval]:
    """
    Approvals that could exist.
    """
    kinds = st.sampled_from(["system", "agent", "user"])
    own = {
        "id": ids, "number": numbers, "organization": ids, "board": ids, "action": texts(),
        "arguments": maybe(json_objects), "confidence": st.floats(0, 100), "scores": maybe(json_objects),
        "agent": maybe(ids), "digest": st.builds(digest_of, texts(), maybe(json_objects), st.just(())),
        "status": st.sampled_from(ApprovalStatus), "asker": names, "asker_kind": kinds, "asker_id": maybe(ids),
        "decider": maybe(names), "decider_kind": maybe(kinds), "decider_id": maybe(ids),
        "decided_through": maybe(names), "reason": maybe(texts()), "created_at": moments,
        "resolved_at": maybe(moments),
    }  # fmt: skip
    return st.builds(Approval, **(own | fixed))


def approval_links(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[ApprovalLink]:
    """
    Links of approvals to tasks that could exist.
    """
    own = {
        "id": ids, "organization": ids, "board": ids, "approval": ids, "task": ids, "place": counts, "fence": counts,
        "status": st.sampled_from(ApprovalStatus), "pending_for": maybe(ids), "used_at": maybe(moments),
    }  # fmt: skip
    return st.builds(ApprovalLink, **(own | fixed))


def users(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[User]:
    """
    People of the deployment that could exist.
    """
    names_told = ("subject", "email", "avatar_url", "password", "name", "preferred_name", "pronouns", "timezone")
    told = {name: maybe(texts(least=1, most=100)) for name in (*names_told, "notes", "context")}
    own = {
        "id": ids, "number": numbers, "username": names, "username_key": names,
        "provider": st.sampled_from(IdentityProvider), "approved": st.booleans(), "active": maybe(ids),
        "last_login_at": maybe(moments), "created_at": moments, "updated_at": moments,
        "email_issued_at": maybe(moments),
    }  # fmt: skip
    return st.builds(User, **(own | told | fixed))


_rights = {"can_read": st.booleans(), "can_write": st.booleans(), "created_at": moments, "updated_at": moments}
_membership = {
    "role": st.sampled_from(["owner", "admin", "member", "guest"]), "all_boards_read": st.booleans(),
    "all_boards_write": st.booleans(), "created_at": moments, "updated_at": moments,
}  # fmt: skip


def members(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Member]:
    """
    Memberships that could exist.
    """
    own = {"id": ids, "organization": ids, "user": ids}
    return st.builds(Member, **(_membership | own | fixed))


def grants(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Grant]:
    """
    Grants of boards that could exist.
    """
    own = {"id": ids, "organization": ids, "member": ids, "on_board": ids}
    return st.builds(Grant, **(_rights | own | fixed))


def invites(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Invite]:
    """
    Invites that could exist.
    """
    own = {
        "id": ids, "organization": ids, "email": names, "created_by": maybe(ids), "accepted_by": maybe(ids),
        "accepted_at": maybe(moments),
    }  # fmt: skip
    return st.builds(Invite, **(_membership | own | fixed))


def invite_grants(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[InviteGrant]:
    """
    Boards that could go with an invite.
    """
    own = {"id": ids, "organization": ids, "invite": ids, "on_board": ids}
    return st.builds(InviteGrant, **(_rights | own | fixed))


def sessions(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[UserSession]:
    """
    Sessions that could exist.
    """
    own = {
        "id": ids, "user": ids, "workspace": ids, "digest": st.binary(min_size=32, max_size=32),
        "created_at": moments, "expires_at": moments,
    }  # fmt: skip
    return st.builds(UserSession, **(own | fixed))


def access_requests(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[AccessRequest]:
    """
    Requests for access that could exist.
    """
    own = {
        "id": ids, "number": numbers, "provider": st.sampled_from(IdentityProvider), "email": names, "subject": names,
        "name": maybe(names), "picture": maybe(names), "status": st.sampled_from(AccessRequestStatus),
        "attempts": numbers,
        "requested_at": moments, "last_attempt_at": moments, "reviewed_by": maybe(names),
        "reviewed_at": maybe(moments), "note": maybe(names), "approved_user": maybe(numbers),
    }  # fmt: skip
    return st.builds(AccessRequest, **(own | fixed))


def server_keys(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[ServerKey]:
    """
    Keys of the server that could exist.
    """
    own = {
        "id": ids, "of": ids, "number": numbers, "digest": st.binary(min_size=32, max_size=32), "masked": names,
        "created_by": names, "created_at": moments, "expires_at": maybe(moments),
    }  # fmt: skip
    return st.builds(ServerKey, **(own | fixed))


def onboardings(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Onboarding]:
    """
    Onboardings that could exist.
    """
    own = {
        "id": ids, "organization": ids, "board": ids, "session_key": names, "stage": st.sampled_from(OnboardingStage),
        "messages": json_objects, "draft": maybe(json_objects), "created_at": moments, "updated_at": moments,
    }  # fmt: skip
    return st.builds(Onboarding, **(own | fixed))


def tags(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Tag]:
    """
    Tags that could exist.
    """
    own = {
        "id": ids, "organization": ids, "name": names, "slug": names, "description": maybe(texts()),
        "color": st.from_regex("[0-9a-f]{6}", fullmatch=True), "created_at": moments, "updated_at": moments,
    }  # fmt: skip
    return st.builds(Tag, **(own | fixed))


@st.composite
def custom_fields(draw: st.DrawFn, /, **fixed: st.SearchStrategy[Any]) -> CustomField:
    """
    Custom fields that could exist, each with a default that it takes.
    """
    field_type = draw(fixed.pop("field_type", st.sampled_from(CustomFieldType)))
    own: dict[str, st.SearchStrategy[Any]] = {
        "id": ids, "organization": ids, "field_key": names, "label": names,
        "ui_visibility": st.sampled_from(FieldVisibility),
        "validation_regex": maybe(st.just(r"(?s).*")) if field_type in TEXT_TYPES else st.none(),
        "description": maybe(texts()), "required": st.booleans(),
        "default_value": maybe(values_of[field_type].map(canonical)),
        "boards": st.lists(ids, max_size=3, unique=True).map(tuple), "created_at": moments, "updated_at": moments,
    }  # fmt: skip
    return CustomField(field_type=field_type, **{name: draw(each) for name, each in (own | fixed).items()})


values_of: dict[CustomFieldType, st.SearchStrategy[object]] = {
    CustomFieldType.TEXT: texts(),
    CustomFieldType.TEXT_LONG: texts(),
    CustomFieldType.INTEGER: st.integers(),
    CustomFieldType.DECIMAL: st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    CustomFieldType.BOOLEAN: st.booleans(),
    CustomFieldType.DATE: st.dates().map(date.isoformat),
    CustomFieldType.DATE_TIME: st.datetimes(timezones=st.none() | st.just(UTC)).map(datetime.isoformat),
    CustomFieldType.URL: st.sampled_from(["http://a", "https://example.org/x?y=1#z", "https://[::1]:8080/"]),
    CustomFieldType.JSON: st.lists(json_values, max_size=3) | st.dictionaries(texts(most=10), json_values, max_size=3),
}
"""Valid values for each type of custom field."""


def groups(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[BoardGroup]:
    """
    Groups of boards that could exist.
    """
    own = {
        "id": ids, "number": numbers, "organization": ids, "name": titles, "slug": texts(least=1),
        "description": maybe(texts()), "created_at": moments, "updated_at": moments,
    }  # fmt: skip
    return st.builds(BoardGroup, **(own | fixed))


def assignments(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[BoardAssignment]:
    """
    Assignments to boards that could exist.
    """
    own = {
        "id": ids, "number": numbers, "organization": ids, "board": ids, "agent_name": names, "name_key": names,
        "role": names, "assigned_at": moments,
    }  # fmt: skip
    return st.builds(BoardAssignment, **(own | fixed))


def connections(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[ToolConnection]:
    """
    Connections of tools that could exist.
    """
    own = {
        "id": ids, "number": numbers, "organization": ids, "agent": ids, "live_for": maybe(ids), "tool_name": names,
        "tool_version": maybe(texts(most=50)), "metadata": maybe(json_objects), "last_heartbeat_at": maybe(moments),
        "created_at": moments, "updated_at": moments,
    }  # fmt: skip
    return st.builds(ToolConnection, **(own | fixed))


def settings(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Setting]:
    """
    Settings that could exist.
    """
    own = {
        "id": ids, "organization": ids, "key": names, "value": texts(), "updated_by": names,
        "updated_at": moments,
    }  # fmt: skip
    return st.builds(Setting, **(own | fixed))


tag_lists = maybe(st.lists(names, max_size=3).map(tuple))


def board_entries(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[BoardMemoryEntry]:
    """
    Entries of a board's memory that could exist.
    """
    own = {
        "id": ids, "number": numbers, "organization": ids, "board": ids, "content": texts().map("x{}".format),
        "tags": tag_lists, "source": maybe(texts()), "chat": st.booleans(), "created_at": moments,
    }  # fmt: skip
    return st.builds(BoardMemoryEntry, **(own | fixed))


def group_entries(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[GroupMemoryEntry]:
    """
    Entries of a group's memory that could exist.
    """
    own = {
        "id": ids, "number": numbers, "organization": ids, "group": ids, "content": texts().map("x{}".format),
        "tags": tag_lists, "source": maybe(texts()), "chat": st.booleans(), "created_at": moments,
    }  # fmt: skip
    return st.builds(GroupMemoryEntry, **(own | fixed))


def board_webhooks(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[BoardWebhook]:
    """
    Webhooks that could exist; no vault opens their secrets.
    """
    own = {
        "id": ids, "number": numbers, "organization": ids, "board": ids, "agent": maybe(ids),
        "description": texts(least=1), "enabled": st.booleans(), "secret": maybe(st.binary(min_size=1, max_size=60)),
        "signature_header": maybe(st.sampled_from(["X-Signature", "x-hub-signature-256", "~"])),
        "created_at": moments, "updated_at": moments,
    }  # fmt: skip
    return st.builds(BoardWebhook, **(own | fixed))


def webhook_payloads(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[WebhookPayload]:
    """
    Payloads that could have come in.
    """
    own = {
        "id": ids, "number": numbers, "organization": ids, "board": ids, "webhook": ids,
        "payload": json_values.map(canonical), "headers": maybe(json_objects), "source_ip": maybe(texts(most=40)),
        "content_type": maybe(texts(most=40)), "received_at": moments,
    }  # fmt: skip
    return st.builds(WebhookPayload, **(own | fixed))


token_counts = st.integers(0, MAX_TOKENS)
amounts_of_money = st.integers(0, MAX_COST)


def usage_entries(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[UsageEntry]:
    """
    Entries of the token ledger that could exist.
    """
    own = {
        "id": ids, "organization": ids, "reporter": names, "report_id": maybe(names), "corrects": maybe(ids),
        "reverses": maybe(ids), "at": moments, "recorded_at": moments, "board": maybe(ids), "task": maybe(ids),
        "task_number": maybe(numbers), "run": maybe(ids), "late": st.booleans(), "agent": maybe(ids),
        "agent_name": texts(most=100), "session": texts(most=100), "operation": names,
        "duration_ms": maybe(st.integers(0, LONGEST_DURATION)), "provider": maybe(names), "model": names,
        "requests": st.sampled_from([1, -1]), "unpriced_tokens": token_counts,
        "unpriced_requests": st.sampled_from([0, 1, -1]), "list_cost": maybe(amounts_of_money),
        "cost": maybe(amounts_of_money), "reported_cost": maybe(amounts_of_money), "subscription": st.booleans(),
        "batch": st.booleans(), "unconfirmed_subscription": st.booleans(),
        "price_source": maybe(names), "price_version": maybe(names),
        "basis": st.sampled_from(PriceBasis), **dict.fromkeys(COUNTS, token_counts),
    }  # fmt: skip
    return st.builds(UsageEntry, **(own | fixed))


def telemetry_sources(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[TelemetrySource]:
    """
    Sources of telemetry that could exist.
    """
    own = {
        "id": ids, "organization": ids, "reporter": names, "key": st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
        "kind": st.integers(0, 5), "readings": texts(most=100), "updated_at": moments,
    }  # fmt: skip
    return st.builds(TelemetrySource, **(own | fixed))


@st.composite
def budgets(draw: st.DrawFn, /, **fixed: st.SearchStrategy[object]) -> Budget:
    """
    Budgets that could exist.
    """
    scope, measure = draw(st.sampled_from(BudgetScope)), draw(st.sampled_from(BudgetMeasure))
    limit, unknown = draw(st.integers(1, MAX_LIMIT)), draw(st.sampled_from(UnknownPrices))
    reserves, money = measure is not BudgetMeasure.RUNS and scope is not BudgetScope.RUN, measure is BudgetMeasure.MONEY
    values: dict[str, Any] = {
        "id": draw(ids), "organization": draw(ids), "number": draw(numbers), "name": draw(names), "scope": scope,
        "measure": measure, "limit": limit, "per_run": draw(st.integers(1, limit)) if reserves else 0,
        "hard": draw(st.booleans()), "period": draw(st.sampled_from(BudgetPeriod)),
        "time_zone": draw(st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"])),
        "unknown_prices": unknown if money else None,
        "ceiling_price": draw(st.integers(1, MAX_COST)) if money and unknown is UnknownPrices.CEILING else None,
        "list_price": money and draw(st.booleans()), "created_at": draw(moments), "updated_at": draw(moments),
    }  # fmt: skip
    if scope is not BudgetScope.ORGANIZATION:
        values[scope.value] = draw(ids)
    return Budget(**(values | {name: draw(each) for name, each in fixed.items()}))


@st.composite
def price_overrides(draw: st.DrawFn, /, **fixed: st.SearchStrategy[object]) -> PriceOverride:
    """
    Price overrides that could exist.
    """
    since, until = draw(st.sets(moments, min_size=2, max_size=2).map(sorted))
    values: dict[str, Any] = {
        "id": draw(ids), "organization": draw(ids), "number": draw(numbers), "model": draw(names),
        "provider": draw(maybe(names)), "since": draw(maybe(st.just(since))), "until": draw(maybe(st.just(until))),
        "batch": draw(st.integers(0, 100)), "created_at": draw(moments), "updated_at": draw(moments),
        "input": draw(amounts_of_money), "output": draw(amounts_of_money),
        **{name: draw(maybe(amounts_of_money)) for name in RATES if name not in ("input", "output")},
    }  # fmt: skip
    return PriceOverride(**(values | {name: draw(each) for name, each in fixed.items()}))


def reported_runs(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[ReportedRun]:
    """
    Reported runs that could exist.
    """
    label, listed = maybe(texts(most=100)), st.lists(names, max_size=3).map(tuple)
    tokens = st.builds(
        TokensOfRun, input_tokens=token_counts, output_tokens=token_counts, cache_read_tokens=maybe(token_counts),
        cache_write_tokens=maybe(token_counts), model=maybe(names), reported_cost=maybe(amounts_of_money),
    )  # fmt: skip
    provenance = st.builds(
        RunProvenance, run_hash=names, parent_run_hash=label, lineage=listed, model_version=label, config_hash=label,
        runtime=label, signed_by=label, signature=label, created_at=maybe(texts(most=60)),
    )  # fmt: skip
    evaluation = st.builds(
        RunEvaluation, score=st.floats(-1e9, 1e9), passed=st.booleans(), task_type=label, layer=label, detail=label,
        metrics=maybe(json_objects), benchmark=label,
    )  # fmt: skip
    own = {
        "id": ids, "number": numbers, "organization": ids, "key": names, "reporter": names, "board": maybe(ids),
        "task": maybe(ids), "task_label": label, "agent": maybe(ids), "agent_label": names, "agent_name": names,
        "status": names, "outcome": label, "model": maybe(names), "provider": maybe(names), "runtime": texts(most=100),
        "runtime_version": label, "trigger": label, "parent": label, "started_at": moments,
        "started_text": texts(least=1, most=60), "ended_at": maybe(moments), "ended_text": maybe(texts(most=60)),
        "duration_ms": maybe(st.integers(0, 2**53)), "steps": st.lists(json_values, max_size=3).map(canonical),
        "tools": listed, "tokens": tokens, "usage": maybe(ids), "cost": maybe(amounts_of_money),
        "unpriced_tokens": token_counts, "provenance": provenance, "evaluation": maybe(evaluation), "error": label,
        "git_branch": label, "git_commit": label, "tags": listed, "metadata": json_objects, "created_at": moments,
        "updated_at": moments,
    }  # fmt: skip
    return st.builds(ReportedRun, **(own | fixed))


def chat_messages(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[ChatMessage]:
    """
    Chat messages that could exist.
    """
    own = {
        "id": ids, "number": numbers, "organization": ids, "conversation": names, "sender": names,
        "sender_name": names, "sender_key": names, "recipient": maybe(names), "recipient_key": maybe(names),
        "content": texts(least=1), "message_type": names, "metadata": maybe(json_objects),
        "between_agents": st.booleans(), "read_at": maybe(moments), "created_at": moments,
    }  # fmt: skip
    return st.builds(ChatMessage, **(own | fixed))


def notifications(**fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Notification]:
    """
    Notifications that could exist.
    """
    own = {
        "id": ids, "number": numbers, "organization": ids, "board": maybe(ids), "recipient": names,
        "recipient_key": names, "type": names, "title": texts(), "message": texts(), "source_type": maybe(names),
        "source": maybe(ids), "source_number": maybe(numbers), "position": maybe(st.integers(1, 2**40)),
        "read_at": maybe(moments), "delivered_at": maybe(moments), "created_at": moments,
    }  # fmt: skip
    return st.builds(Notification, **(own | fixed))


entities: dict[type, Callable[..., st.SearchStrategy[Any]]] = {
    Organization: organizations, User: users, Member: members, Invite: invites, Grant: grants,
    InviteGrant: invite_grants, UserSession: sessions, ServerKey: server_keys, AccessRequest: access_requests,
    Setting: settings, BoardGroup: groups, BoardAssignment: assignments, Onboarding: onboardings,
    Tag: tags, CustomField: custom_fields, ToolConnection: connections, Comment: comments, LateResult: late_results,
    Approval: approvals, ApprovalLink: approval_links, BoardMemoryEntry: board_entries, GroupMemoryEntry: group_entries,
    BoardWebhook: board_webhooks, WebhookPayload: webhook_payloads, UsageEntry: usage_entries,
    TelemetrySource: telemetry_sources, Budget: budgets, ReportedRun: reported_runs, ChatMessage: chat_messages,
    Notification: notifications,
    PriceOverride: price_overrides,
}  # fmt: skip
"""The strategy of each entity that has a kind, by its class."""
