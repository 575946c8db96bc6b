"""
The mapping of agents to rows of the agents table. The same row holds the agent's presence, which has its own update.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mission_adapters.sql.mapping import Row, id_from, maybe_bytes, maybe_id, maybe_micros, maybe_moment, trusted
from mission_core.agents.model import Agent, Presence
from mission_core.values import micros, moment

make_agent = trusted(Agent)
make_presence = trusted(Presence)


def row_from(agent: Agent) -> Row:
    """
    Return the column values of an agent.
    """
    return {
        "id": agent.id.bytes,
        "number": agent.number,
        "organization": agent.organization.bytes,
        "name": agent.name,
        "name_key": agent.name_key,
        "role": agent.role,
        "board": maybe_bytes(agent.board),
        "lead": int(agent.lead),
        "main": int(agent.main),
        "config": agent.config,
        "session_key": agent.session_key,
        "soul": agent.soul,
        "working_memory": agent.working_memory,
        "runtime_type": agent.runtime_type,
        "source": agent.source,
        "workspace_path": agent.workspace_path,
        "hidden": int(agent.hidden),
        "heartbeat_config": agent.heartbeat_config,
        "identity_profile": agent.identity_profile,
        "identity_template": agent.identity_template,
        "created_at": micros(agent.created_at),
        "updated_at": micros(agent.updated_at),
        **presence_from(agent.presence),
        "version": agent.version,
    }


def presence_from(presence: Presence) -> Row:
    """
    Return the column values of an agent's presence.
    """
    return {
        "reported": presence.reported,
        "last_seen_at": maybe_micros(presence.last_seen_at),
        "activity": presence.activity,
    }


def agent_from(row: Mapping[str, Any]) -> Agent:
    """
    Return the agent that a row holds.
    """
    return make_agent(
        id=id_from(row["id"]),
        number=row["number"],
        organization=id_from(row["organization"]),
        name=row["name"],
        role=row["role"],
        board=maybe_id(row["board"]),
        lead=bool(row["lead"]),
        main=bool(row["main"]),
        config=row["config"],
        session_key=row["session_key"],
        soul=row["soul"],
        working_memory=row["working_memory"],
        runtime_type=row["runtime_type"],
        source=row["source"],
        workspace_path=row["workspace_path"],
        hidden=bool(row["hidden"]),
        heartbeat_config=row["heartbeat_config"],
        identity_profile=row["identity_profile"],
        identity_template=row["identity_template"],
        created_at=moment(row["created_at"]),
        updated_at=moment(row["updated_at"]),
        presence=make_presence(
            reported=row["reported"], last_seen_at=maybe_moment(row["last_seen_at"]), activity=row["activity"]
        ),
        version=row["version"],
    )
