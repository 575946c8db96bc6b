"""
Responses about existing agents: changes, soul, memory, messages and files.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from mission_http.fleet.payloads import AgentPayload
from mission_http.platform.shapes import Payload

ContentSource = Literal["workspace", "database", "none"]


class UpdatedAgentPayload(Payload):
    success: bool
    agent: AgentPayload
    warning: str | UnsetType = UNSET
    ignored: list[str] | UnsetType = UNSET


class DeletedAgentPayload(Payload):
    success: bool
    deleted: str
    remove_workspace: bool
    warning: str | UnsetType = UNSET


class HiddenPayload(Payload):
    success: bool
    agent_id: int
    hidden: bool


class NamedAgentPayload(Payload):
    id: int
    name: str
    role: str


class SoulPayload(Payload):
    agent: NamedAgentPayload
    soul_content: str
    source: ContentSource
    available_templates: list[str]
    updated_at: int


class WrittenSoulPayload(Payload):
    success: bool
    message: str
    soul_content: str
    saved_to_workspace: bool
    updated_at: int


class SoulTemplatePayload(Payload):
    name: str
    description: str
    size: int


class SoulTemplatesPayload(Payload):
    """
    All soul templates, or the requested one.
    """

    templates: list[SoulTemplatePayload] | UnsetType = UNSET
    message: str | UnsetType = UNSET
    template_name: str | UnsetType = UNSET
    content: str | UnsetType = UNSET


class MemoryPayload(Payload):
    agent: NamedAgentPayload
    working_memory: str
    source: ContentSource
    updated_at: int
    size: int


class WrittenMemoryPayload(Payload):
    success: bool
    message: str
    working_memory: str
    saved_to_workspace: bool | UnsetType = UNSET
    updated_at: int
    size: int | UnsetType = UNSET


class WokenPayload(Payload):
    success: bool
    session_key: str
    stdout: str


class EdgePayload(Payload):
    from_agent: str
    to_agent: str
    message_count: int
    last_message_at: int


class AgentStatPayload(Payload):
    agent: str
    sent: int
    received: int


class GraphPayload(Payload):
    edges: list[EdgePayload]
    agentStats: list[AgentStatPayload]


class CommsSourcePayload(Payload):
    mode: Literal["empty", "seeded", "live", "mixed"]
    seededCount: int
    liveCount: int


class AgentMessagePayload(Payload):
    id: int
    conversation_id: str
    from_agent: str
    to_agent: str | None
    content: str
    message_type: str
    created_at: int


class CommsPayload(Payload):
    messages: list[AgentMessagePayload]
    total: int
    graph: GraphPayload
    source: CommsSourcePayload


class FilePayload(Payload):
    exists: bool
    content: str


class FileOwnerPayload(Payload):
    id: int
    name: str


class FilesPayload(Payload):
    agent: FileOwnerPayload
    workspace: str
    files: dict[str, FilePayload]


class WrittenFilePayload(Payload):
    success: bool
    file: str
    size: int
