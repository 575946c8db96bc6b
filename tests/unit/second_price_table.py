"""
Prices of a second, independent table: `model_prices_and_context_window` of the package LiteLLM, in dollars per million
tokens.

Each line has a name as agents report it, the name in the table, and the prices of input, output, reading the cache and
writing it, or `-` where it has none. All lines were compared by a script with the file
`litellm/model_prices_and_context_window_backup.json` of the wheels on 2026-12-01; version 1.110.2 was among the newest.
"""

from typing import Final, NamedTuple

UPLOADED: Final = {"1.70.0": "2025-05-17", "1.80.0": "2025-11-16", "1.110.2": "2026-11-20"}
"""The days on which the versions of the package were uploaded to PyPI, as its index tells."""


class TablePrice(NamedTuple):
    """
    The prices of a model in one version of the table: input, output, reading the cache, writing it.
    """

    version: str
    name: str
    key: str
    figures: tuple[float | None, ...]


FIGURES: Final = {
    ("1.80.0", "1.110.2"): """
        claude-sonnet-4-5 claude-sonnet-4-5 3 15 0.3 3.75
        claude-sonnet-4-5-20250929 claude-sonnet-4-5-20250929 3 15 0.3 3.75
        claude-sonnet-4-5[1m] claude-sonnet-4-5 3 15 0.3 3.75
        claude-haiku-4-5 claude-haiku-4-5 1 5 0.1 1.25
        claude-haiku-4-5-20251001 claude-haiku-4-5-20251001 1 5 0.1 1.25
        Anthropic/Claude-Haiku-4-5 claude-haiku-4-5 1 5 0.1 1.25
        gpt-5 gpt-5 1.25 10 0.125 -
        gpt-5-2025-08-07 gpt-5-2025-08-07 1.25 10 0.125 -
        gpt-5-codex gpt-5-codex 1.25 10 0.125 -
        gpt-5.1 gpt-5.1 1.25 10 0.125 -
        gpt-5.1-codex gpt-5.1-codex 1.25 10 0.125 -
        gpt-5-mini gpt-5-mini 0.25 2 0.025 -
        gpt-5-nano gpt-5-nano 0.05 0.4 0.005 -
        gpt-4.1 gpt-4.1 2 8 0.5 -
        gpt-4.1-2025-04-14 gpt-4.1-2025-04-14 2 8 0.5 -
        gpt-4.1-mini gpt-4.1-mini 0.4 1.6 0.1 -
        gpt-4.1-nano gpt-4.1-nano 0.1 0.4 0.025 -
        gpt-4o gpt-4o 2.5 10 1.25 -
        gpt-4o-2024-11-20 gpt-4o-2024-11-20 2.5 10 1.25 -
        gpt-4o-mini gpt-4o-mini 0.15 0.6 0.075 -
        gpt-4o-mini-2024-07-18 gpt-4o-mini-2024-07-18 0.15 0.6 0.075 -
        gpt-4-turbo gpt-4-turbo 10 30 - -
        gpt-4 gpt-4 30 60 - -
        gpt-3.5-turbo gpt-3.5-turbo 0.5 1.5 - -
        o1 o1 15 60 7.5 -
        o3 o3 2 8 0.5 -
        o3-2025-04-16 o3-2025-04-16 2 8 0.5 -
        o3-mini o3-mini 1.1 4.4 0.55 -
        o4-mini o4-mini 1.1 4.4 0.275 -
        o4-mini-2025-04-16 o4-mini-2025-04-16 1.1 4.4 0.275 -
        openai/gpt-5 gpt-5 1.25 10 0.125 -
        openai/gpt-4o gpt-4o 2.5 10 1.25 -
        gpt/gpt-4o-mini gpt-4o-mini 0.15 0.6 0.075 -
        azure/gpt-4o azure/gpt-4o 2.5 10 1.25 -
        gemini-2.5-flash gemini/gemini-2.5-flash 0.3 2.5 0.03 -
        gemini/gemini-2.5-flash gemini/gemini-2.5-flash 0.3 2.5 0.03 -
        us.anthropic.claude-sonnet-4-5-20250929-v1:0 us.anthropic.claude-sonnet-4-5-20250929-v1:0 3.3 16.5 0.33 4.125
        bedrock/us.anthropic.claude-opus-4-1-20250805-v1:0 us.anthropic.claude-opus-4-1-20250805-v1:0 15 75 1.5 18.75
    """,
    ("1.70.0",): """
        o3 o3 10 40 2.5 -
    """,
    ("1.80.0",): """
        claude-opus-4-1 claude-opus-4-1 15 75 1.5 18.75
        claude-opus-4-1-20250805 claude-opus-4-1-20250805 15 75 1.5 18.75
        claude-opus-4-1[1m] claude-opus-4-1 15 75 1.5 18.75
        claude-opus-4 claude-opus-4-20250514 15 75 1.5 18.75
        claude-opus-4-20250514 claude-opus-4-20250514 15 75 1.5 18.75
        claude-sonnet-4 claude-sonnet-4-20250514 3 15 0.3 3.75
        claude-sonnet-4-0 claude-sonnet-4-20250514 3 15 0.3 3.75
        claude-sonnet-4-20250514 claude-sonnet-4-20250514 3 15 0.3 3.75
        claude-3-7-sonnet-latest claude-3-7-sonnet-latest 3 15 0.3 3.75
        claude-3-7-sonnet-20250219 claude-3-7-sonnet-20250219 3 15 0.3 3.75
        claude-3-5-sonnet-20241022 claude-3-5-sonnet-20241022 3 15 0.3 3.75
        claude-3-5-haiku-latest claude-3-5-haiku-latest 1 5 0.1 1.25
        claude-3-5-haiku-20241022 claude-3-5-haiku-20241022 0.8 4 0.08 1
        claude-3-haiku-20240307 claude-3-haiku-20240307 0.25 1.25 0.03 0.3
        anthropic/claude-opus-4-1 claude-opus-4-1 15 75 1.5 18.75
        anthropic/claude-sonnet-4-20250514 claude-sonnet-4-20250514 3 15 0.3 3.75
        anthropic/claude-3-5-haiku-latest claude-3-5-haiku-latest 1 5 0.1 1.25
        claude/claude-3-5-sonnet-20241022 claude-3-5-sonnet-20241022 3 15 0.3 3.75
        o1-mini o1-mini 1.1 4.4 0.55 -
        gemini-2.5-pro gemini/gemini-2.5-pro 1.25 10 0.3125 -
        gemini-2.5-pro-preview-05-06 gemini/gemini-2.5-pro-preview-05-06 1.25 10 0.3125 -
        gemini-2.5-flash-lite gemini/gemini-2.5-flash-lite 0.1 0.4 0.025 -
        gemini-2.0-flash gemini/gemini-2.0-flash 0.1 0.4 0.025 -
        gemini-2.0-flash-001 gemini/gemini-2.0-flash-001 0.1 0.4 0.025 -
        gemini-1.5-pro gemini/gemini-1.5-pro 3.5 10.5 - -
        gemini-1.5-flash gemini/gemini-1.5-flash 0.075 0.3 - -
        models/gemini-2.5-pro gemini/gemini-2.5-pro 1.25 10 0.3125 -
        google/gemini-2.5-pro gemini/gemini-2.5-pro 1.25 10 0.3125 -
        vertex_ai/claude-sonnet-4@20250514 vertex_ai/claude-sonnet-4@20250514 3 15 0.3 3.75
        eu.anthropic.claude-3-7-sonnet-20250219-v1:0 eu.anthropic.claude-3-7-sonnet-20250219-v1:0 3 15 - -
        anthropic.claude-3-haiku-20240307-v1:0 anthropic.claude-3-haiku-20240307-v1:0 0.25 1.25 - -
        grok-4 xai/grok-4 3 15 - -
        x-ai/grok-4 xai/grok-4 3 15 - -
        xai/grok-3 xai/grok-3 3 15 - -
        grok-3-mini xai/grok-3-mini 0.3 0.5 - -
        grok-code-fast-1 xai/grok-code-fast-1 0.2 1.5 0.02 -
        mistral-large-latest mistral/mistral-large-latest 2 6 - -
        mistral/mistral-small-latest mistral/mistral-small-latest 0.1 0.3 - -
        mistral-medium-latest mistral/mistral-medium-latest 0.4 2 - -
        codestral-latest mistral/codestral-latest 1 3 - -
        groq/llama-3.3-70b-versatile groq/llama-3.3-70b-versatile 0.59 0.79 - -
        groq/llama-3.1-8b-instant groq/llama-3.1-8b-instant 0.05 0.08 - -
        command-r-plus command-r-plus 2.5 10 - -
        together/meta-llama/Llama-3.3-70B-Instruct-Turbo together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo 0.88 0.88 - -
        openrouter/anthropic/claude-sonnet-4 openrouter/anthropic/claude-sonnet-4 3 15 0.3 3.75
        openrouter/openai/gpt-5 openrouter/openai/gpt-5 1.25 10 0.125 -
        openrouter/google/gemini-2.5-pro openrouter/google/gemini-2.5-pro 1.25 10 - -
        moonshotai/kimi-k2-0711-preview moonshot/kimi-k2-0711-preview 0.6 2.5 0.15 -
        deepseek-chat deepseek-chat 0.6 1.7 0.06 -
        gemini-flash-latest gemini/gemini-flash-latest 0.3 2.5 0.075 -
    """,  # noqa: E501
    ("1.110.2",): """
        claude-opus-4-5 claude-opus-4-5 5 25 0.5 6.25
        claude-opus-4-5-20251101 claude-opus-4-5-20251101 5 25 0.5 6.25
        claude-opus-4-6 claude-opus-4-6 5 25 0.5 6.25
        claude-sonnet-4-6 claude-sonnet-4-6 3 15 0.3 3.75
        gemini-2.5-pro gemini/gemini-2.5-pro 1.25 10 0.125 -
        gemini-2.5-flash-lite gemini/gemini-2.5-flash-lite 0.1 0.4 0.01 -
        models/gemini-2.5-pro gemini/gemini-2.5-pro 1.25 10 0.125 -
        google/gemini-2.5-pro gemini/gemini-2.5-pro 1.25 10 0.125 -
        eu.anthropic.claude-3-7-sonnet-20250219-v1:0 eu.anthropic.claude-3-7-sonnet-20250219-v1:0 3 15 0.3 3.75
        grok-code-fast-1 xai/grok-code-fast-1 1 2 0.2 -
        mistral-large-latest mistral/mistral-large-latest 0.5 1.5 0.05 -
        mistral/mistral-small-latest mistral/mistral-small-latest 0.15 0.6 0.015 -
        mistral-medium-latest mistral/mistral-medium-latest 1.5 7.5 0.15 -
        codestral-latest mistral/codestral-latest 0.3 0.9 0.03 -
        together/meta-llama/Llama-3.3-70B-Instruct-Turbo together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo 1.04 1.04 - -
        moonshot/kimi-k2.5 moonshot/kimi-k2.5 0.6 3 0.1 -
        minimax/minimax-m2.1 minimax/MiniMax-M2.1 0.3 1.2 0.03 0.375
        deepseek-chat deepseek-chat 0.28 0.42 0.028 -
        gemini-flash-latest gemini/gemini-flash-latest 0.75 3.75 0.075 -
        gemini-3-pro-preview vertex_ai/gemini-3-pro-preview 2 12 0.2 -
    """,  # noqa: E501
}
"""The lines of each table by the versions that have them."""
TABLE_PRICES: Final = [
    TablePrice(version, name, key, tuple(None if each == "-" else float(each) for each in figures))
    for versions, lines in FIGURES.items()
    for version in versions
    for name, key, *figures in map(str.split, lines.strip().splitlines())
]
