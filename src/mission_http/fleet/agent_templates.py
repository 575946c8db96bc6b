"""
Agent templates: default configurations for common kinds of agents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from mission_core.lazy_attrs import frozen

CODING: Final = ("read", "write", "edit", "apply_patch", "exec", "bash", "process")
BROWSER: Final = ("browser", "web")
MEMORY: Final = ("memory_search", "memory_get")
SESSION: Final = (
    "agents_list", "sessions_list", "sessions_history", "sessions_send", "sessions_spawn", "session_status",
)  # fmt: skip
SUBAGENT: Final = ("subagents", "lobster", "llm-task")
THINKING: Final = ("thinking", "reactions", "skills")
DENIED: Final = ("clawhub", "cron", "gateway", "nodes")

OPUS: Final = (
    "anthropic/claude-opus-4-5", "anthropic/claude-sonnet-4-20250514", "moonshot/kimi-k2-thinking",
    "nvidia/moonshotai/kimi-k2-instruct", "openrouter/moonshotai/kimi-k2.5", "openai/codex-mini-latest",
)  # fmt: skip
SONNET: Final = (
    "anthropic/claude-sonnet-4-20250514", "openrouter/anthropic/claude-sonnet-4", "moonshot/kimi-k2-thinking",
    "openrouter/moonshotai/kimi-k2.5", "nvidia/moonshotai/kimi-k2-instruct", "openai/codex-mini-latest",
    "ollama/qwen2.5-coder:14b",
)  # fmt: skip
HAIKU: Final = (
    "anthropic/claude-haiku-4-5", "anthropic/claude-sonnet-4-20250514", "ollama/qwen2.5-coder:14b",
    "openai/codex-mini-latest",
)  # fmt: skip
CODEX: Final = "openai/codex-mini-latest"


@frozen(kw_only=True)
class AgentTemplate:
    """
    Configuration of one kind of agent. The first of *models* is the primary model, the others are fallbacks.
    """

    theme: str
    emoji: str
    models: tuple[str, ...]
    mode: str = "all"
    workspace: str
    network: str | None = None
    subagents: Mapping[str, Any] | None = None
    allow: tuple[str, ...]
    deny: tuple[str, ...] = ()
    sources: tuple[str, ...] = ("memory",)
    session_memory: bool = False

    def config(self, *, name: str, id: str | None) -> dict[str, Any]:
        """
        Build the configuration of an agent with this template.
        """
        sandbox: dict[str, Any] = {"mode": self.mode, "workspaceAccess": self.workspace, "scope": "agent"}
        if self.network:
            sandbox["docker"] = {"network": self.network}
        search: dict[str, Any] = {"sources": list(self.sources)}
        if self.session_memory:
            search["experimental"] = {"sessionMemory": True}
        made: dict[str, Any] = {
            "id": id or re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"),
            "name": name,
            "model": {"primary": self.models[0], "fallbacks": list(self.models[1:])},
            "identity": {"name": name, "theme": self.theme, "emoji": self.emoji},
            "sandbox": sandbox,
            "tools": {"allow": list(self.allow), "deny": [*DENIED, *self.deny]},
            "memorySearch": search,
        }
        if self.subagents is not None:
            made["subagents"] = dict(self.subagents)
        return made


AGENT_TEMPLATES: Final[Mapping[str, AgentTemplate]] = {
    "orchestrator": AgentTemplate(
        theme="operator strategist", emoji="\N{COMPASS}", models=OPUS, mode="non-main", workspace="rw",
        subagents={"allowAgents": []}, allow=CODING + BROWSER + MEMORY + SESSION + SUBAGENT + THINKING,
        sources=("memory", "sessions"), session_memory=True,
    ),
    "developer": AgentTemplate(
        theme="builder engineer", emoji="\N{HAMMER AND WRENCH}", models=SONNET, workspace="rw", network="bridge",
        subagents={"allowAgents": [], "model": CODEX},
        allow=(
            *CODING, *BROWSER, *MEMORY, "agents_list", "sessions_spawn", "sessions_history", "session_status",
            *SUBAGENT, *THINKING,
        ),
        deny=("sessions_send",), sources=("memory", "sessions"), session_memory=True,
    ),
    "specialist-dev": AgentTemplate(
        theme="specialist developer", emoji="\N{GEAR}", models=SONNET, workspace="rw", network="bridge",
        subagents={"model": CODEX},
        allow=(*CODING, *MEMORY, "agents_list", "sessions_spawn", "session_status", "subagents", "llm-task", *THINKING),
        deny=("sessions_send", "browser", "web", "lobster"), sources=("memory", "sessions"), session_memory=True,
    ),
    "reviewer": AgentTemplate(
        theme="quality reviewer", emoji="\N{LEFT-POINTING MAGNIFYING GLASS}", models=HAIKU, workspace="ro",
        allow=("read", *MEMORY, "agents_list", "thinking"),
        deny=(
            "write", "edit", "apply_patch", "exec", "bash", "process", "browser", "web", "sessions_send",
            "sessions_spawn", "lobster",
        ),
    ),
    "researcher": AgentTemplate(
        theme="research analyst", emoji="\N{MICROSCOPE}", models=SONNET, workspace="none",
        allow=(*BROWSER, *MEMORY, "agents_list", *THINKING),
        deny=(*CODING, "sessions_send", "sessions_spawn", "lobster"), sources=("memory", "sessions"),
    ),
    "content-creator": AgentTemplate(
        theme="content creator", emoji="\N{MEMO}", models=HAIKU, workspace="none",
        allow=("write", "edit", *MEMORY, "agents_list", *THINKING, "web"),
        deny=(
            "read", "apply_patch", "exec", "bash", "process", "browser", "sessions_send", "sessions_spawn", "lobster",
            "subagents", "llm-task",
        ),
    ),
    "security-auditor": AgentTemplate(
        theme="security auditor", emoji="\N{SHIELD}", models=SONNET, workspace="ro",
        allow=("read", "exec", "bash", *MEMORY, "agents_list", *THINKING, "web"),
        deny=(
            "write", "edit", "apply_patch", "process", "browser", "sessions_send", "sessions_spawn", "lobster",
            "subagents", "llm-task",
        ),
    ),
}  # fmt: skip


def with_overrides(config: dict[str, Any], wishes: Mapping[str, Any]) -> dict[str, Any]:
    """
    Override a template's configuration with a gateway configuration: model, emoji, theme, workspace access, sandbox
    mode, docker network and allowed sub-agents. Other keys of *wishes* are ignored.
    """
    made = {key: dict(value) if isinstance(value, dict) else value for key, value in config.items()}
    for path in OVERRIDABLE_PATHS:
        value: Any = wishes
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if value:
            inner = made
            for step in path[:-1]:
                inner[step] = dict(inner[step]) if isinstance(inner.get(step), dict) else {}
                inner = inner[step]
            inner[path[-1]] = value
    return made


OVERRIDABLE_PATHS: Final = (
    ("model", "primary"),
    ("identity", "emoji"),
    ("identity", "theme"),
    ("sandbox", "workspaceAccess"),
    ("sandbox", "mode"),
    ("sandbox", "docker", "network"),
    ("subagents", "allowAgents"),
)
