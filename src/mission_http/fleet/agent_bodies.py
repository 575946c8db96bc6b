"""
Request bodies and queries for existing agents: changes, soul, memory, messages and files.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from attrs import frozen

from mission_core.agents.model import MAX_SOUL_LENGTH
from mission_core.values import ABSENT, Absent
from mission_http.fleet.bodies import JsonObjectText
from mission_http.platform.field_annotations import Length, NumberRange, SchemaOverride, WireName

RUNTIMES: Final = ("hermes", "openclaw", "claude", "codex", "custom")
RoleText = Annotated[str, Length(1, 100, says="Role is required")]
SoulText = Annotated[str, Length(0, MAX_SOUL_LENGTH)]
RuntimeName = Annotated[Any, SchemaOverride({"enum": [*RUNTIMES, "", None]})]


@frozen(kw_only=True)
class UpdateNamedAgentBody:
    """
    Changes of the agent with this name.
    """

    name: Annotated[Any, SchemaOverride({"type": "string"})] = None
    status: Annotated[str, Length(1, 100)] | Absent = ABSENT
    last_activity: Annotated[str, Length(0, 500)] | Absent | None = ABSENT
    config: JsonObjectText | Absent = ABSENT
    session_key: Annotated[str, Length(0, 300)] | Absent | None = ABSENT
    soul_content: SoulText | Absent | None = ABSENT
    role: RoleText | Absent = ABSENT
    runtime_type: RuntimeName | Absent = ABSENT


@frozen(kw_only=True)
class UpdateAgentBody:
    role: RoleText | Absent = ABSENT
    gateway_config: JsonObjectText | Absent = ABSENT
    write_to_gateway: bool = False


@frozen(kw_only=True)
class DeleteAgentBody:
    remove_workspace: bool = False


@frozen(kw_only=True)
class SoulBody:
    """
    A soul, or the name of a template to create it from. A template takes precedence.
    """

    soul_content: SoulText | Absent = ABSENT
    template_name: Annotated[Any, SchemaOverride({"type": "string"})] = None


@frozen(kw_only=True)
class SoulTemplateQuery:
    template: str | None = None


@frozen(kw_only=True)
class MemoryBody:
    working_memory: str
    append: bool = False


@frozen(kw_only=True)
class WakeBody:
    message: str | Absent = ABSENT
    reason: str | Absent = ABSENT


@frozen(kw_only=True)
class MessageBody:
    """
    A message to an agent. *content* is an alias of *message*. The sender is the authenticated caller.
    """

    to: Annotated[str, Length(1, says="Recipient is required")]
    message: Annotated[str, Length(1, says="Message is required")] | Absent = ABSENT
    content: Annotated[str, Length(1, says="Message is required")] | Absent = ABSENT
    sender: Annotated[Any, WireName("from"), SchemaOverride({"type": "string"})] = None
    type: str | Absent = ABSENT


@frozen(kw_only=True)
class CommsQuery:
    limit: Annotated[int, NumberRange(0)] = 100
    offset: Annotated[int, NumberRange(0)] = 0
    since: Annotated[int | None, NumberRange(0)] = None
    agent: str | None = None


@frozen(kw_only=True)
class FileQuery:
    file: str | None = None


@frozen(kw_only=True)
class FileBody:
    file: str
    content: str


FileName = Literal[
    "agent.md", "identity.md", "soul.md", "WORKING.md", "MEMORY.md", "TOOLS.md", "AGENTS.md", "MISSION.md", "USER.md"
]
