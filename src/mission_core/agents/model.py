"""
Agents, their presence and the status derived from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import field
from attrs.validators import optional

from mission_core.entity_changes import evolve, with_changes
from mission_core.errors import Conflict, Exhausted, Invalid, InvalidField, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import AgentId, AgentNumber, BoardId, OrganizationId
from mission_core.lazy_attrs import define, frozen
from mission_core.values import EMPTY_OBJECT, JsonText, checked_text, json_object, name_key, text, utc_moment

PROVISIONING: Final = "provisioning"
ONLINE: Final = "online"
OFFLINE: Final = "offline"
IDLE: Final = "idle"
LIFECYCLE_STATUSES: Final = frozenset({"updating", "deleting"})
MAX_SOUL_LENGTH: Final = 1_000_000
MAX_WORKING_MEMORY_LENGTH: Final = 524_288
RESERVED_AGENT_NAMES: Final = frozenset({".", "..", "comms", "evals", "message", "optimize", "register", "sync"})
"""Reserved names: a path that ends with one of them means something other than an agent."""
OFFLINE_AFTER: Final = timedelta(minutes=10)
"""An agent whose last heartbeat is older than this is offline."""


class AgentNotFound(NotFound):
    """
    This organization has no such agent.
    """

    says = "Agent not found"


@define(repr=False)
class AgentNameTaken(Conflict):
    """
    Another agent of the organization has this name, ignoring case.
    """

    board: BoardId | None = None

    says = "Agent name already exists"


class SessionKeyTaken(Conflict):
    """
    Another agent has this session key.
    """

    says = "another agent has this session key; choose another"


class MainAgentProtected(Conflict):
    """
    The built-in main agent represents the organization's own gateway, so it cannot be deleted or moved to a board.
    """

    code = "main_agent_stays"
    says = (
        "the built-in agent represents the organization's own gateway: it cannot be deleted or put on a board; "
        "hide it instead"
    )


class TokenAlreadyIssued(Conflict):
    """
    The agent already has a key, so no first token is issued.
    """

    code = "token_minted"
    says = (
        "this agent already has a token, which was shown only once; an admin can create another key "
        "with POST /api/agents/{{id}}/keys"
    )


@define(repr=False)
class WorkingMemoryFull(Invalid):
    """
    An agent's working memory would exceed its maximum length.
    """

    code = "memory_full"

    size: int

    def __str__(self) -> str:
        return (
            f"Working memory exceeds {MAX_WORKING_MEMORY_LENGTH} bytes ({self.size} bytes). "
            "Consider clearing old entries."
        )


@define(repr=False)
class TooManyAgents(Exhausted):
    """
    The board has its maximum number of workers, so its lead cannot add one.
    """

    most: int

    def __str__(self) -> str:
        plural = "" if self.most == 1 else "s"
        return (
            f"Board worker-agent limit reached: max_agents={self.most} (excluding the lead); "
            f"cannot create more than {self.most} agent{plural}."
        )


def derived_status(reported: str, *, seen: bool, silent: bool, as_made: bool) -> str:
    """
    The status of an agent, from the one that it reported. *silent* says whether its last heartbeat is older than
    `OFFLINE_AFTER`. See `Presence.status`.
    """
    if reported in LIFECYCLE_STATUSES:
        return reported
    if not seen:
        made = OFFLINE if reported == PROVISIONING else reported
        return made if as_made else PROVISIONING
    return OFFLINE if silent else reported


@frozen(kw_only=True, field_transformer=with_type_validators)
class Presence:
    """
    The last heartbeat of an agent and what it reported: a record beside the agent, without a version.
    """

    reported: str = field(default=PROVISIONING, validator=text(least=1, most=100))
    last_seen_at: datetime | None = field(default=None, validator=optional(utc_moment))
    activity: str | None = field(default=None, validator=optional(text(most=500)))

    def status(self, *, at: datetime, as_made: bool = False) -> str:
        """
        The reported status, or `provisioning` if the agent was never seen, or `offline` if its last heartbeat is too
        old. With *as_made* an agent that was never seen has the status it was created with, and `offline` instead of
        `provisioning`.
        """
        silent = self.last_seen_at is not None and at - self.last_seen_at > OFFLINE_AFTER
        return derived_status(self.reported, seen=self.last_seen_at is not None, silent=silent, as_made=as_made)

    def after_heartbeat(self, *, at: datetime, status: str | None = None, activity: str | None = None) -> Presence:
        """
        The presence after a heartbeat. Without *status*, an agent that was offline or never seen becomes online.
        """
        reported = status or (ONLINE if self.reported in (PROVISIONING, OFFLINE) else self.reported)
        return Presence(reported=reported, last_seen_at=at, activity=activity or self.activity)


@frozen
class AgentPlacement:
    """
    The name of an agent, its board, and whether it leads that board, as they were read. A decision about a task relies
    on it instead of the whole agent.
    """

    id: AgentId
    name: str
    board: BoardId | None
    lead: bool

    @property
    def version(self) -> tuple[str, BoardId | None, bool]:
        """
        The values that must not have changed.
        """
        return self.name, self.board, self.lead


@frozen(kw_only=True, field_transformer=with_type_validators)
class Agent:
    """
    An agent: a worker or the lead of a board or, without a board, one that serves the whole organization.
    """

    id: AgentId
    number: AgentNumber
    organization: OrganizationId
    name: str = field(validator=text(least=1, most=100))
    role: str = field(default="agent", validator=text(least=1, most=100))
    board: BoardId | None = None
    lead: bool = False
    main: bool = False
    config: JsonText = field(default=EMPTY_OBJECT, validator=json_object)
    session_key: str | None = field(default=None, validator=optional(text(most=300)))
    soul: str | None = field(default=None, validator=optional(text(most=MAX_SOUL_LENGTH)))
    working_memory: str = field(default="", validator=text(most=MAX_WORKING_MEMORY_LENGTH))
    runtime_type: str | None = field(default=None, validator=optional(text(most=100)))
    source: str = field(default="manual", validator=text(most=100))
    workspace_path: str | None = field(default=None, validator=optional(text(most=500)))
    hidden: bool = False
    heartbeat_config: JsonText | None = field(default=None, validator=optional(json_object))
    identity_profile: JsonText | None = field(default=None, validator=optional(json_object))
    identity_template: str | None = field(default=None, validator=optional(text(most=50_000)))
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    presence: Presence = Presence()
    version: int = 0

    @property
    def name_key(self) -> str:
        """
        The name in the form that is compared for uniqueness.
        """
        return name_key(self.name)

    @property
    def placement(self) -> AgentPlacement:
        """
        The agent's name, board and lead flag, for a decision that relies on no other field of the agent.
        """
        return AgentPlacement(self.id, self.name, self.board, self.lead)

    def status(self, *, at: datetime, as_made: bool = False) -> str:
        """
        The status derived from the agent's presence.
        """
        return self.presence.status(at=at, as_made=as_made)

    def edit(self, changes: Mapping[str, Any], *, at: datetime) -> tuple[Agent, AgentUpdated]:
        """
        The agent with these fields changed, and the event that names them.

        Raises:
            InvalidField: If a value is invalid.
        """
        after, changed = with_changes(self, changes, at=at)
        return after, AgentUpdated(agent=self.id, changed=changed, at=at)

    def after_heartbeat(
        self, *, at: datetime, status: str | None = None, activity: str | None = None
    ) -> tuple[Agent, AgentStatusChanged | None]:
        """
        The agent after a heartbeat, and the event if its derived status changed.
        """
        return self._with_presence(self.presence.after_heartbeat(at=at, status=status, activity=activity), at=at)

    def after_disconnect(self, *, at: datetime) -> tuple[Agent, AgentStatusChanged | None]:
        """
        The agent after it disconnected, which is not a heartbeat, and the event if its derived status changed.
        """
        return self._with_presence(evolve(self.presence, reported=OFFLINE), at=at)

    def _with_presence(self, presence: Presence, *, at: datetime) -> tuple[Agent, AgentStatusChanged | None]:
        before, after = self.status(at=at), presence.status(at=at)
        changed = AgentStatusChanged(agent=self.id, name=self.name, was=before, status=after, at=at)
        return evolve(self, presence=presence), changed if before != after else None

    def with_activity(self, activity: str | None) -> Agent:
        """
        The agent with another activity text, which is not a heartbeat.
        """
        return evolve(self, presence=evolve(self.presence, activity=activity))


def checked_agent_name(name: str) -> str:
    """
    Validate the name of an agent that is created or renamed. Paths contain agent names, so a name is one path segment
    and no reserved word.

    Raises:
        InvalidField: If it contains a slash or is reserved.
    """
    checked_text("name", name, least=1, most=100)
    if "/" in name:
        raise InvalidField("name", "must not contain a slash, which separates the segments of a path", name)
    if name_key(name) in RESERVED_AGENT_NAMES:
        raise InvalidField("name", f"must be another name: {name!r} is a segment of the API's own paths", name)
    return name


@frozen(kw_only=True, eq=False, repr=False)
class AgentCreated(Event):
    """
    An agent was created, or registered itself.
    """

    kind = "agent.created"

    agent: AgentId
    number: int
    name: str
    role: str
    board: BoardId | None
    registered: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class AgentUpdated(Event):
    """
    Fields of an agent changed.
    """

    kind = "agent.updated"

    agent: AgentId
    changed: tuple[str, ...]


@frozen(kw_only=True, eq=False, repr=False)
class AgentStatusChanged(Event):
    """
    An agent's derived status changed.
    """

    kind = "agent.status_changed"

    agent: AgentId
    name: str
    was: str
    status: str


@frozen(kw_only=True, eq=False, repr=False)
class AgentRenamed(Event):
    """
    An agent was renamed, and its tasks with it.
    """

    kind = "agent.renamed"

    agent: AgentId
    was: str
    name: str


@frozen(kw_only=True, eq=False, repr=False)
class AgentDeleted(Event):
    """
    An agent was deleted with its keys. Its unfinished tasks went back to the queue.
    """

    kind = "agent.deleted"

    agent: AgentId
    number: int
    name: str
    board: BoardId | None
