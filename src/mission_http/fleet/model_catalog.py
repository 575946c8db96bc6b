"""
Catalogue of models with their prices in dollars per million tokens. It is only shown; costs are not computed from it.
"""

from __future__ import annotations

from typing import Any, Final

from mission_core.lazy_attrs import frozen


@frozen
class CatalogModel:
    """
    A model, its short name and its price. Its full name begins with its provider's name.
    """

    alias: str
    name: str
    description: str
    input: float
    output: float

    @property
    def provider(self) -> str:
        """
        The name of the provider.
        """
        return self.name.partition("/")[0]

    def payload(self) -> dict[str, Any]:
        """
        Return the model's payload.
        """
        return {
            "alias": self.alias,
            "name": self.name,
            "provider": self.provider,
            "description": self.description,
            "costPerMTok": {"input": self.input, "output": self.output},
        }


MODELS: Final = (
    CatalogModel("haiku", "anthropic/claude-haiku-4-5", "Fast and cheap", 1, 5),
    CatalogModel("sonnet", "anthropic/claude-sonnet-4-6", "For most work", 3, 15),
    CatalogModel("opus", "anthropic/claude-opus-4-6", "For the hardest work", 5, 25),
    CatalogModel("gpt-4.1", "openai/gpt-4.1", "For most work", 2, 8),
    CatalogModel("gpt-4.1-mini", "openai/gpt-4.1-mini", "Smaller and cheaper", 0.4, 1.6),
    CatalogModel("gpt-4.1-nano", "openai/gpt-4.1-nano", "The smallest of its family", 0.1, 0.4),
    CatalogModel("codex-mini", "openai/codex-mini-latest", "For code", 1.5, 6),
    CatalogModel("gemini-2.5-pro", "google/gemini-2.5-pro", "For the hardest work", 1.25, 10),
    CatalogModel("gemini-2.5-flash", "google/gemini-2.5-flash", "Fast and cheap", 0.3, 2.5),
    CatalogModel("deepseek", "ollama/deepseek-r1:14b", "On one's own machine", 0, 0),
    CatalogModel("groq-fast", "groq/llama-3.1-8b-instant", "Very fast", 0.05, 0.08),
    CatalogModel("groq", "groq/llama-3.3-70b-versatile", "Fast, for most work", 0.59, 0.79),
    CatalogModel("kimi", "moonshot/kimi-k2.5", "For long contexts", 0.6, 3),
    CatalogModel("venice-llama-3.3-70b", "venice/llama-3.3-70b", "Keeps no record of prompts", 0.7, 2.8),
    CatalogModel("minimax", "minimax/minimax-m2.1", "Cheap, for most work", 0.3, 1.2),
)
