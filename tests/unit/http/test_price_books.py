"""
The prices that a server is wired with.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mission_core.usage.prices import PriceQuery, TokenCounts
from mission_http.settings import SettingsError, settings_from
from mission_http.wiring import price_book

COUNTS = TokenCounts(input_tokens=1000, output_tokens=0)


def asked(model: str, path: Path | None, tmp_path: Path) -> tuple[int, str] | None:
    """
    The cost of a thousand tokens, and the source of the price.
    """
    settings = settings_from({} if path is None else {"MC_PRICES_FILE": str(path)}, data_dir=tmp_path, in_use=False)
    book = price_book(settings)
    assert book is not None
    query = PriceQuery(model=model, counts=COUNTS, at=datetime(2025, 11, 1, tzinfo=UTC))
    (found,) = asyncio.run(book.quotes([query]))
    return None if found is None else (found.cost, found.source)


def test_the_prices_of_the_operator_come_first(tmp_path: Path) -> None:
    """
    What they lack comes from the package, and what both lack is unknown.
    """
    pytest.importorskip("genai_prices")
    path = tmp_path / "prices.toml"
    path.write_text(
        '[[price]]\nmodel = "gpt-5"\ninput = 1\noutput = 1\n[[price]]\nmodel = "own"\ninput = 2\noutput = 2\n'
    )

    assert [(1_000_000, "operator"), (2_000_000, "operator"), (3_000_000, "genai-prices"), None] == [
        asked(model, path, tmp_path) for model in ("gpt-5", "own", "claude-sonnet-4-5", "nobody")
    ]
    assert (1_250_000, "genai-prices") == asked("gpt-5", None, tmp_path)


@pytest.mark.parametrize(("text", "said"), [(None, "there is no file"), ("[[price]]\nmodel = 1", "price 1: input is")])
def test_a_wrong_file_stops_the_start_by_its_name(text: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError, match=rf"^MC_PRICES_FILE: .*{said}"):
        price_book(settings_from({"MC_PRICES_FILE": str(path)}, data_dir=tmp_path, in_use=False))
