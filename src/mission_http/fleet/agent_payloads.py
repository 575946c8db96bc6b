"""
Responses about existing agents: changes, soul, memory, messages and files.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen
from msgspec import UNSET, UnsetType

from mission_http.fleet.payloads import AgentPayload

ContentSource = Literal["workspace", "database", "none"]


@frozen(kw_only=True)
class UpdatedAgentPayload:
    success: bool
    agent: AgentPayload
    warning: str | UnsetType = UNSET
    ignored: list[str] | UnsetType = UNSET


@frozen(kw_only=True)
class DeletedAgentPayload:
    success: bool
    deleted: str
    remove_workspace: bool
    warning: str | UnsetType = UNSET


@frozen(kw_only=True)
class HiddenPayload:
    success: bool
    agent_id: int
    hidden: bool


@frozen(kw_only=True)
class NamedAgentPayload:
    id: int
    name: str
    role: str


@frozen(kw_only=True)
class SoulPayload:
    agent: NamedAgentPayload
    soul_content: str
    source: ContentSource
    available_templates: list[str]
    updated_at: int


@frozen(kw_only=True)
class WrittenSoulPayload:
    success: bool
    message: str
    soul_content: str
    saved_to_workspace: bool
    updated_at: int


@frozen(kw_only=True)
class SoulTemplatePayload:
    name: str
    description: str
    size: int


@frozen(kw_only=True)
class SoulTemplatesPayload:
    """
    All soul templates, or the requested one.
    """

    templates: list[SoulTemplatePayload] | UnsetType = UNSET
    message: str | UnsetType = UNSET
    template_name: str | UnsetType = UNSET
    content: str | UnsetType = UNSET


@frozen(kw_only=True)
class MemoryPayload:
    agent: NamedAgentPayload
    working_memory: str
    source: ContentSource
    updated_at: int
    size: int


@frozen(kw_only=True)
class WrittenMemoryPayload:
    success: bool
    message: str
    working_memory: str
    saved_to_workspace: bool | UnsetType = UNSET
    updated_at: int
    size: int | UnsetType = UNSET


@frozen(kw_only=True)
class WokenPayload:
    success: bool
    session_key: str
    stdout: str


@frozen(kw_only=True)
class EdgePayload:
    from_agent: str
    to_agent: str
    message_count: int
    last_message_at: int


@frozen(kw_only=True)
class AgentStatPayload:
    agent: str
    sent: int
    received: int


@frozen(kw_only=True)
class GraphPayload:
    edges: list[EdgePayload]
    agentStats: list[AgentStatPayload]


@frozen(kw_only=True)
class CommsSourcePayload:
    mode: Literal["empty", "seeded", "live", "mixed"]
    seededCount: int
    liveCount: int


@frozen(kw_only=True)
class AgentMessagePayload:
    id: int
    conversation_id: str
    from_agent: str
    to_agent: str | None
    content: str
    message_type: str
    created_at: int


@frozen(kw_only=True)
class CommsPayload:
    messages: list[AgentMessagePayload]
    total: int
    graph: GraphPayload
    source: CommsSourcePayload


@frozen(kw_only=True)
class FilePayload:
    exists: bool
    content: str


@frozen(kw_only=True)
class FileOwnerPayload:
    id: int
    name: str


@frozen(kw_only=True)
class FilesPayload:
    agent: FileOwnerPayload
    workspace: str
    files: dict[str, FilePayload]


@frozen(kw_only=True)
class WrittenFilePayload:
    success: bool
    file: str
    size: int
