"""
The mapping of agents to rows, and the rows that reads return for agents and their API keys.
"""

from __future__ import annotations

from typing import Final

from mission_core.accounts.rows import API_KEY_ROWS
from mission_core.agents.model import Agent, Presence
from mission_core.agents.queries import AgentRow, ApiKeyRow
from mission_core.row_mapping import NestedValue, row_mapping

AGENT_ROWS: Final = row_mapping(
    Agent,
    nested={"presence": NestedValue(Presence)},
    derived={"name": {"name_key": "name_key"}},
    separate=("reported", "last_seen_at", "activity"),
)
presence_columns: Final = AGENT_ROWS.columns_from(AGENT_ROWS.separate)
agent_row: Final = AGENT_ROWS.builder(AgentRow)
api_key_row: Final = API_KEY_ROWS.builder(ApiKeyRow)
