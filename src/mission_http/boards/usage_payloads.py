"""
Payloads of sums over the token ledger, which other operations show, too.
"""

from __future__ import annotations

from typing import Annotated

from mission_core.usage.amounts import NANOS_PER_DOLLAR
from mission_core.usage.queries import UsageTotals
from mission_http.boards.wire import BoardsPayload
from mission_http.platform.shapes import Of


def dollars(nanos: int | None) -> float | None:
    """
    Nano-dollars as dollars.
    """
    return None if nanos is None else nanos / NANOS_PER_DOLLAR


class UsageTotalsRead(BoardsPayload[UsageTotals]):
    requests: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    input_audio_tokens: int
    output_audio_tokens: int
    unpriced_tokens: int
    unpriced_requests: int
    cost_usd: Annotated[float | None, Of("known_cost", dollars)]
    cost_nano: Annotated[int | None, Of("known_cost")]
    list_cost_usd: Annotated[float | None, Of("known_list_cost", dollars)]
