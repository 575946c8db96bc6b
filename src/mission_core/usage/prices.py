"""
Prices of models: the counts of tokens that a request is charged for, the port that quotes its cost, and the price list
of an operator. Money is a whole number of nano-dollars.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import field
from attrs.validators import optional

from mission_core.errors import InvalidField
from mission_core.lazy_attrs import frozen
from mission_core.usage.amounts import (
    LONGEST_MODEL,
    LONGEST_PROVIDER,
    MAX_COST,
    MAX_TOKENS,
    MILLION,
    PriceBasis,
    provider_in,
)
from mission_core.values import text, utc_moment, whole_number

if TYPE_CHECKING:
    from attrs import Attribute

_count: Final = whole_number(0, MAX_TOKENS)


def _within(total: str) -> Any:
    """
    A validator of a count that is part of the count *total*.
    """

    def check(instance: Any, attribute: Attribute[Any], value: int) -> None:
        if value.__class__ is int and 0 <= value <= getattr(instance, total):
            return
        _count(instance, attribute, value)
        raise InvalidField(attribute.name, f"is part of {total} and must not exceed it", value)

    return check


_within_input: Final = _within("input_tokens")


def _cached(instance: Any, attribute: Attribute[Any], value: int) -> None:
    """
    A validator of the tokens that were written to the cache, after those that were read from it.
    """
    _within_input(instance, attribute, value)
    cached = instance.cache_read_tokens + value
    if cached > instance.input_tokens:
        raise InvalidField(attribute.name, "and cache_read_tokens together exceed input_tokens", cached)


@frozen(kw_only=True)
class TokenCounts:
    """
    The tokens of one request. The input contains the tokens that were read from the cache or written to it, and the
    tokens of audio. The output contains those of reasoning and of audio.
    """

    input_tokens: int = field(validator=_count)
    output_tokens: int = field(validator=_count)
    cache_read_tokens: int = field(default=0, validator=_within_input)
    cache_write_tokens: int = field(default=0, validator=_cached)
    reasoning_tokens: int = field(default=0, validator=_within("output_tokens"))
    input_audio_tokens: int = field(default=0, validator=_within_input)
    output_audio_tokens: int = field(default=0, validator=_within("output_tokens"))

    @property
    def total(self) -> int:
        """
        The tokens of input and output.
        """
        return self.input_tokens + self.output_tokens


@frozen(kw_only=True)
class PriceQuery:
    """
    A request whose cost is asked for.

    Args:
        provider: The provider that served the request, or None if only the model's name may tell.
        at: The time of the request. Prices change.
        batch: Whether the request was processed in a batch, which many providers discount.
    """

    model: str
    counts: TokenCounts
    at: datetime
    provider: str | None = None
    batch: bool = False


@frozen(kw_only=True)
class Quote:
    """
    The list price of a request in nano-dollars, with its source and the source's version.
    """

    cost: int
    source: str
    version: str
    basis: PriceBasis
    provider: str | None = None


class PriceBook(Protocol):
    """
    Quotes list prices of requests.
    """

    async def quotes(self, queries: Sequence[PriceQuery]) -> list[Quote | None]:
        """
        The quote for each query; None if the price is unknown. A price is never guessed.
        """


@frozen
class NoPrices:
    """
    A price book that knows no price.
    """

    async def quotes(self, queries: Sequence[PriceQuery]) -> list[Quote | None]:
        """
        None for each query.
        """
        return [None] * len(queries)


@frozen
class LayeredPrices:
    """
    Several price books. The first that knows a price counts.
    """

    books: tuple[PriceBook, ...]

    async def quotes(self, queries: Sequence[PriceQuery]) -> list[Quote | None]:
        """
        The first quote of any book for each query.
        """
        found: list[Quote | None] = [None] * len(queries)
        for book in self.books:
            asked = [place for place, quote in enumerate(found) if quote is None]
            if not asked:
                break
            for place, quote in zip(asked, await book.quotes([queries[each] for each in asked]), strict=True):
                found[place] = quote
        return found


_rate: Final = whole_number(0, MAX_COST)
RATES: Final = ("input", "output", "cache_read", "cache_write", "reasoning", "input_audio", "output_audio")
"""The fields of a price that are nano-dollars per million tokens."""


@frozen(kw_only=True)
class ModelPrice:
    """
    The price of a model that an operator sets, in nano-dollars per million tokens.

    Args:
        model: The model's name, ignoring case. `*` stands for any text.
        provider: The provider that the price is for; None for any.
        since, until: The time from which it applies, and that from which it does not any more; None for always.
        cache_read, cache_write, reasoning, input_audio, output_audio: The prices of these tokens. None means that of
            input or output.
        batch: The price of a request in a batch, in percent of its normal price.
    """

    model: str = field(validator=text(least=1, most=LONGEST_MODEL))
    provider: str | None = field(default=None, validator=optional(text(least=1, most=LONGEST_PROVIDER)))
    since: datetime | None = field(default=None, validator=optional(utc_moment))
    until: datetime | None = field(default=None, validator=optional(utc_moment))
    input: int = field(validator=_rate)
    output: int = field(validator=_rate)
    cache_read: int | None = field(default=None, validator=optional(_rate))
    cache_write: int | None = field(default=None, validator=optional(_rate))
    reasoning: int | None = field(default=None, validator=optional(_rate))
    input_audio: int | None = field(default=None, validator=optional(_rate))
    output_audio: int | None = field(default=None, validator=optional(_rate))
    batch: int = field(default=100, validator=whole_number(0, 100))

    def __attrs_post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise InvalidField("until", "must be later than since", self.until)

    def fits(self, query: PriceQuery) -> bool:
        """
        Whether this is a price of the request's model and provider, at its time.
        """
        provider = (query.provider or provider_in(query.model) or "").strip().lower()
        if self.provider is not None and self.provider.lower() != provider:
            return False
        if self.since is not None and query.at < self.since:
            return False
        if self.until is not None and query.at >= self.until:
            return False
        model = query.model.lower()
        pattern = self.model.lower().replace("[", "[[]").replace("?", "[?]")  # only `*` has a meaning
        return any(fnmatchcase(name, pattern) for name in (model, model.rpartition("/")[2]))

    def cost_of(self, counts: TokenCounts, *, batch: bool = False) -> int:
        """
        The cost of a request in nano-dollars, rounded half up.
        """
        uncached = counts.input_tokens - counts.cache_read_tokens - counts.cache_write_tokens
        heard = 0 if self.input_audio is None else min(counts.input_audio_tokens, uncached)
        spoken = 0 if self.output_audio is None else counts.output_audio_tokens
        thought = 0 if self.reasoning is None else min(counts.reasoning_tokens, counts.output_tokens - spoken)
        amounts = (
            (uncached - heard, self.input),
            (counts.cache_read_tokens, self.input if self.cache_read is None else self.cache_read),
            (counts.cache_write_tokens, self.input if self.cache_write is None else self.cache_write),
            (heard, self.input_audio or 0),
            (counts.output_tokens - spoken - thought, self.output),
            (spoken, self.output_audio or 0),
            (thought, self.reasoning or 0),
        )
        percent = self.batch if batch else 100
        whole = MILLION * 100
        return (2 * percent * sum(tokens * rate for tokens, rate in amounts) + whole) // (2 * whole)


@frozen(kw_only=True)
class PriceList:
    """
    The prices that an operator sets. The last that fits a request counts.
    """

    prices: tuple[ModelPrice, ...]
    version: str
    source: str = "operator"

    async def quotes(self, queries: Sequence[PriceQuery]) -> list[Quote | None]:
        """
        The quote for each query, or None if no price fits it.
        """
        return [self._quote(query) for query in queries]

    def version_of(self, price: ModelPrice) -> str:
        """
        The version of this price that entries of the ledger tell.
        """
        return self.version

    def _quote(self, query: PriceQuery) -> Quote | None:
        fitting = next((price for price in reversed(self.prices) if price.fits(query)), None)
        if fitting is None:
            return None
        cost = fitting.cost_of(query.counts, batch=query.batch)
        return Quote(
            cost=cost, source=self.source, version=self.version_of(fitting), basis=PriceBasis.EXACT,
            provider=query.provider or fitting.provider,
        )  # fmt: skip
