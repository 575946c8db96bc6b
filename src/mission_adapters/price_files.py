"""
The file in which an operator sets prices of models, in TOML:

    [[price]]
    model = "qwen3-coder*"   # `*` stands for any text
    provider = "our-gpus"    # any provider without it
    input = 0.20             # dollars per million tokens
    output = 0.80
    cache_read = 0.02        # as input without it; also cache_write, input_audio, output_audio and reasoning
    since = 2026-01-01       # the first day; always without it
    until = 2026-07-01       # the first day on which it does not apply any more; for ever without it
    batch = 50               # percent of the price of a request in a batch
"""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, time
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from mission_core.errors import InvalidField
from mission_core.usage.amounts import NANOS_PER_DOLLAR
from mission_core.usage.prices import RATES, ModelPrice, PriceList

if TYPE_CHECKING:
    from pathlib import Path

DAYS: Final = ("since", "until")
FIELDS: Final = frozenset({"model", "provider", "batch", *DAYS, *RATES})


class InvalidPriceFile(ValueError):
    """
    The file of prices cannot be read, or a price in it is not valid.
    """


def read_price_file(path: Path) -> PriceList:
    """
    Read the prices of a file. Their version is the beginning of the file's SHA-256, so that each entry of the ledger
    tells by which state of the file it was priced.

    Raises:
        InvalidPriceFile: If it cannot be read, or a price in it is not valid; the message says which.
    """
    try:
        content = path.read_bytes()
        given = tomllib.loads(content.decode(), parse_float=Decimal)
    except OSError as e:
        raise InvalidPriceFile(f"{path} cannot be read ({e.strerror})") from e
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise InvalidPriceFile(f"{path} is not TOML: {e}") from e
    tables = given.get("price", [])
    if set(given) - {"price"} or not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise InvalidPriceFile(f"{path} must have tables [[price]] and nothing else")
    prices = []
    for number, table in enumerate(tables, 1):
        try:
            prices.append(_price_from(table))
        except InvalidField as refusal:
            raise InvalidPriceFile(f"{path}: price {number}: {refusal}") from refusal
    return PriceList(prices=tuple(prices), version=sha256(content).hexdigest()[:12])


def _price_from(table: dict[str, Any]) -> ModelPrice:
    unknown = sorted(table.keys() - FIELDS)
    missing = [name for name in ("model", "input", "output") if name not in table]
    if unknown or missing:
        name, reason = (unknown[0], "is not known") if unknown else (missing[0], "is missing")
        raise InvalidField(name, reason)
    given: dict[str, Any] = {name: table[name] for name in ("model", "provider", "batch") if name in table}
    given |= {name: _midnight(name, table[name]) for name in DAYS if name in table}
    given |= {name: _nano_dollars(name, table[name]) for name in RATES if name in table}
    return ModelPrice(**given)


def _midnight(name: str, day: Any) -> datetime:
    if not isinstance(day, date) or isinstance(day, datetime):
        raise InvalidField(name, "must be a date, such as 2026-01-01", day)
    return datetime.combine(day, time(), UTC)


def _nano_dollars(name: str, dollars: Any) -> int:
    if isinstance(dollars, bool) or not isinstance(dollars, int | Decimal) or not Decimal(dollars).is_finite():
        raise InvalidField(name, "must be a number of dollars per million tokens", dollars)
    nanos = Decimal(dollars) * NANOS_PER_DOLLAR
    if nanos != int(nanos):
        raise InvalidField(name, "must have at most 9 digits after the point", dollars)
    return int(nanos)
