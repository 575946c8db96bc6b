"""
The mapping of agents to rows of the agents table. The same row holds the agent's presence, which has its own update.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mission_adapters.sql.conversions import (
    ColumnValues,
    optional_bytes,
    optional_micros,
    optional_moment,
    optional_uuid,
    trusted_constructor,
    uuid_of_bytes,
)
from mission_core.agents.model import Agent, Presence
from mission_core.values import micros, moment

make_agent = trusted_constructor(Agent)
make_presence = trusted_constructor(Presence)


def agent_row(agent: Agent) -> ColumnValues:
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
        "board": optional_bytes(agent.board),
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
        **presence_columns(agent.presence),
        "version": agent.version,
    }


def presence_columns(presence: Presence) -> ColumnValues:
    """
    Return the column values of an agent's presence.
    """
    return {
        "reported": presence.reported,
        "last_seen_at": optional_micros(presence.last_seen_at),
        "activity": presence.activity,
    }


def agent_of_row(row: Mapping[str, Any]) -> Agent:
    """
    Return the agent that a row holds.
    """
    return make_agent(
        id=uuid_of_bytes(row["id"]),
        number=row["number"],
        organization=uuid_of_bytes(row["organization"]),
        name=row["name"],
        role=row["role"],
        board=optional_uuid(row["board"]),
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
            reported=row["reported"], last_seen_at=optional_moment(row["last_seen_at"]), activity=row["activity"]
        ),
        version=row["version"],
    )
