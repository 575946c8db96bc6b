"""
Use cases that create agents, record their heartbeats, and issue and revoke their keys.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from attrs import asdict

from mission_core.accounts.model import (
    ROLE_LEVELS,
    AgentPrincipal,
    ApiKey,
    ApiKeyCreated,
    Principal,
    Role,
    board_of,
    presence_update_due,
    require_no_agent_below_admin,
    require_own_agent,
    require_role,
    secret_digest,
)
from mission_core.agents.model import (
    IDLE,
    PROVISIONING,
    Agent,
    AgentCreated,
    AgentNameTaken,
    Presence,
    TokenAlreadyIssued,
    TooManyAgents,
    checked_agent_name,
)
from mission_core.agents.tool_connections import CONNECTIONS, ConnectionNotFound
from mission_core.boards.model import require_grant
from mission_core.errors import StaleWrite
from mission_core.ids import AgentId, AgentNumber, ApiKeyId, ApiKeyNumber, BoardId, ConnectionId
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import EMPTY_OBJECT, JsonText

if TYPE_CHECKING:
    from uuid import UUID

    from mission_core.ports import Ports, UnitOfWork


@frozen(kw_only=True)
class CreateAgent:
    """
    Create an agent with a key of its own.
    """

    name: str
    role: str = "agent"
    status: str = PROVISIONING
    board: BoardId | None = None
    lead: bool = False
    config: JsonText = EMPTY_OBJECT
    session_key: str | None = None
    soul: str | None = None
    runtime_type: str | None = None
    workspace_path: str | None = None
    heartbeat_config: JsonText | None = None
    identity_profile: JsonText | None = None
    identity_template: str | None = None


@frozen(kw_only=True)
class RegisterAgent:
    """
    Report that an agent is present. An agent of a new name is created, on *board* if the principal may write there.
    """

    name: str
    role: str = "agent"
    status: str = IDLE
    board: BoardId | None = None
    config: JsonText = EMPTY_OBJECT


@frozen(kw_only=True)
class RecordAgentHeartbeat:
    """
    Record a heartbeat of an agent. It counts for *connection* too, if that is open and the agent's own.
    """

    agent: AgentId | AgentNumber | str
    status: str | None = None
    activity: str | None = None
    connection: ConnectionId | None = None


@frozen(kw_only=True)
class CreateKey:
    """
    Create another key for an agent.
    """

    agent: AgentId | AgentNumber | str
    name: str = "default"
    scopes: tuple[str, ...] = ("viewer", "agent:self")
    expires_at: datetime | None = None
    lifetime: timedelta | None = None


@frozen(kw_only=True)
class RevokeKey:
    """
    Revoke one of an agent's keys.
    """

    agent: AgentId | AgentNumber | str
    key: ApiKeyNumber


@frozen(kw_only=True)
class IssueToken:
    """
    Issue the first key of an agent that has none.
    """

    agent: AgentId | AgentNumber | str


@frozen
class AgentWithToken:
    """
    An agent and the secret of the key that was created with it. The secret is returned only here; without a new key it
    is None.
    """

    agent: Agent
    token: str | None
    new: bool = True


@use_case
async def create_agent(ports: Ports, principal: Principal, cmd: CreateAgent) -> AgentWithToken:
    """
    Create an agent with a key.

    Raises:
        AgentNameTaken: If the organization has an agent of this name.
        BoardNotFound: If there is no such board for this principal.
        BoardDenied: If the principal may not write on that board, or may not have agents without a board.
        RoleTooLow: If an agent creates a lead.
        TooManyAgents: If a lead exceeds its board's limit.
    """
    require_role(principal, Role.OPERATOR)
    if cmd.lead:
        require_no_agent_below_admin(principal)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        namesake = await unit.agents.find(cmd.name)
        if namesake is not None:
            raise AgentNameTaken(namesake.board)
        require_agent_board(principal, cmd.board)
        if cmd.board is not None:
            board = await unit.boards.get(cmd.board)
            by_lead = isinstance(principal, AgentPrincipal)
            if by_lead and await unit.agents.count_workers(board.id) >= board.max_agents:
                raise TooManyAgents(board.max_agents)
            unit.rely_on(board, bump=by_lead)
        given = asdict(cmd, recurse=False)
        made = await add_agent(ports, unit, principal, given, at=now, registered=False)
        await unit.commit()
    return made


def require_agent_board(principal: Principal, board: BoardId | None) -> None:
    """
    Refuse a principal that may write on some boards only and puts an agent on another board, or on none.
    """
    require_grant(principal, board)


@use_case
async def register_agent(ports: Ports, principal: Principal, cmd: RegisterAgent) -> AgentWithToken:
    """
    Create the agent if its name is new; otherwise record a heartbeat.

    Raises:
        KeyOfAnotherAgent: If an agent key below admin names another agent.
        AgentNameTaken: If the agent of that name is on another board than the one given.
        BoardNotFound: If there is no such board for this principal.
        BoardDenied: If the principal may not write on that board, or may not have agents without a board.
        StaleWrite: If a concurrent request registered the name; the repetition records a heartbeat.
    """
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        agent = await unit.agents.find(cmd.name)
        if agent is not None:
            require_own_agent(principal, agent.id)
            if cmd.board not in (None, agent.board):
                raise AgentNameTaken(agent.board)
            agent, changed = agent.after_heartbeat(at=now, status=cmd.status)
            unit.agents.save_presence(agent)
            if changed:
                unit.record(changed)
            await unit.commit()
            return AgentWithToken(agent, None, new=False)
        given = asdict(cmd, recurse=False) | {"board": cmd.board or board_of(principal)}
        require_agent_board(principal, given["board"])
        if given["board"] is not None:
            unit.rely_on(await unit.boards.get(given["board"]))
        made = await add_agent(ports, unit, principal, given, at=now, registered=True)
        try:
            await unit.commit()
        except AgentNameTaken:
            raise StaleWrite("agent", made.agent.id) from None  # a concurrent request registered it
    return made


async def add_agent(
    ports: Ports, unit: UnitOfWork, principal: Principal, given: dict[str, Any], *, at: datetime, registered: bool
) -> AgentWithToken:
    """
    Store a new agent with a key, with the commit. An agent that *registered* itself has its first heartbeat by that.

    Raises:
        InvalidField: If the name is not allowed.
    """
    checked_agent_name(given["name"])
    number, key_number = await ports.numbers.next((principal.organization, "agent"), (principal.organization, "key"))
    presence = Presence(reported=str(given.pop("status")), last_seen_at=at if registered else None)
    agent = unit.agents.add(
        Agent(
            id=AgentId(ports.ids.new()),
            number=AgentNumber(number),
            organization=principal.organization,
            created_at=at,
            updated_at=at,
            presence=presence,
            **given,
        )
    )
    unit.record(AgentCreated.of(agent, registered=registered, at=at))
    return _with_token(ports, unit, principal, agent, ApiKeyNumber(key_number), at=at)


def _with_token(
    ports: Ports, unit: UnitOfWork, principal: Principal, agent: Agent, number: ApiKeyNumber, *, at: datetime
) -> AgentWithToken:
    role = principal.role if ROLE_LEVELS[principal.role] < ROLE_LEVELS[Role.OPERATOR] else Role.OPERATOR
    token = ports.secrets.token()
    wanted = CreateKey(agent=agent.id, name="agent token", scopes=(role.value, "agent:self"))
    key = unit.keys.add(_new_key(agent, token, principal, ApiKeyId(ports.ids.new()), number, wanted, at))
    unit.record(ApiKeyCreated.of(key, at=at))
    unit.result(agent.id)
    return AgentWithToken(agent, token)


@use_case
async def issue_token(ports: Ports, principal: Principal, cmd: IssueToken) -> AgentWithToken:
    """
    Issue the first key of an agent that has none. Agents created by onboarding or by an import have none.

    Raises:
        AgentNotFound: If there is no such agent for this principal.
        TokenAlreadyIssued: If it has, or had, a key.
    """
    require_role(principal, Role.ADMIN)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        agent = await unit.agents.get(cmd.agent)
        if await unit.keys.list_of(agent.id):
            raise TokenAlreadyIssued
        unit.rely_on(agent, bump=True)  # of two concurrent requests, one is refused
        (number,) = await ports.numbers.next((principal.organization, "key"))
        made = _with_token(ports, unit, principal, agent, ApiKeyNumber(number), at=now)
        await unit.commit()
    return made


def _new_key(
    agent: Agent, secret: str, principal: Principal, id: ApiKeyId, number: ApiKeyNumber, cmd: CreateKey, at: datetime
) -> ApiKey:
    return ApiKey(
        id=id,
        number=number,
        organization=agent.organization,
        agent=agent.id,
        name=cmd.name,
        digest=secret_digest(secret),
        prefix=secret[:12],
        scopes=cmd.scopes,
        created_by=principal.actor.name,
        created_at=at,
        updated_at=at,
        expires_at=cmd.expires_at or (at + cmd.lifetime if cmd.lifetime else None),
    )


@use_case
async def record_agent_heartbeat(ports: Ports, principal: Principal, cmd: RecordAgentHeartbeat) -> Agent:
    """
    Record a heartbeat. An agent key below admin may do so for its own agent only. The last use of the key is recorded
    at most as often as requests update the presence.

    Raises:
        AgentNotFound: If there is no such agent for this principal.
        KeyOfAnotherAgent: If an agent key below admin names another agent.
    """
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        agent = await unit.agents.get(cmd.agent)
        require_own_agent(principal, agent.id)
        agent, changed = agent.after_heartbeat(at=now, status=cmd.status, activity=cmd.activity)
        unit.agents.save_presence(agent)
        if cmd.connection is not None:
            await _record_connection_heartbeat(unit, agent, cmd.connection, at=now)
        if isinstance(principal, AgentPrincipal) and principal.key and presence_update_due(principal, at=now):
            unit.keys.record_use(principal.key, at=now)
        if changed:
            unit.record(changed)
        unit.result(agent.id)
        await unit.commit()
    return agent


async def _record_connection_heartbeat(unit: UnitOfWork, agent: Agent, id: ConnectionId, *, at: datetime) -> None:
    with suppress(ConnectionNotFound):
        connection = await unit.without_grants.repository(CONNECTIONS).get(id)
        if connection.live_for == agent.id:
            unit.repository(CONNECTIONS).save(connection.with_heartbeat(at=at))


async def repeat_agent_change(ports: Ports, principal: Principal, agent: UUID) -> Agent:
    """
    Return the answer to a repeated change of an agent: the agent as it is now.
    """
    async with ports.unit(principal) as unit:
        return await unit.agents.get(AgentId(agent))


async def repeat_agent_creation(ports: Ports, principal: Principal, agent: UUID) -> AgentWithToken:
    """
    Return the answer to a repeated creation of an agent, without the token, which is shown once.
    """
    return AgentWithToken(await repeat_agent_change(ports, principal, agent), None)


@use_case
async def create_key(ports: Ports, principal: Principal, cmd: CreateKey) -> tuple[ApiKey, str]:
    """
    Create another key for an agent and return it with its secret, which is returned only here. The caller may give an
    expiry that has passed; such a key is refused everywhere.

    Raises:
        AgentNotFound: If there is no such agent for this principal.
    """
    require_role(principal, Role.ADMIN)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        agent = await unit.agents.get(cmd.agent)
        unit.rely_on(agent)
        (number,) = await ports.numbers.next((principal.organization, "key"))
        secret = ports.secrets.key()
        key = unit.keys.add(
            _new_key(agent, secret, principal, ApiKeyId(ports.ids.new()), ApiKeyNumber(number), cmd, now)
        )
        unit.record(ApiKeyCreated.of(key, at=now))
        unit.result(key.id)
        await unit.commit()
    return key, secret


@use_case
async def revoke_key(ports: Ports, principal: Principal, cmd: RevokeKey) -> ApiKey:
    """
    Revoke one of an agent's keys. It is refused from then on.

    Raises:
        ApiKeyNotFound: If the agent has no such live key.
    """
    require_role(principal, Role.ADMIN)
    async with ports.unit(principal) as unit:
        agent = await unit.agents.get(cmd.agent)
        key, revoked = (await unit.keys.get(cmd.key)).revoke_for(agent.id, at=ports.clock.now())
        key = unit.keys.save(key)
        unit.record(revoked)
        await unit.commit()
    return key
