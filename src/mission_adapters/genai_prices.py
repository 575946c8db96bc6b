"""
The price book over the package `genai-prices`, which knows the list prices of many providers and their history. Needs
the extra `prices`.

The package and its data are imported when the first price is asked for, on another thread.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from attrs import field

from mission_core.extras import missing_extra_named
from mission_core.lazy_attrs import define, frozen
from mission_core.usage.amounts import NANOS_PER_DOLLAR, PriceBasis

if TYPE_CHECKING:
    from mission_core.usage.prices import PriceQuery, Quote, TokenCounts

SOURCE: Final = "genai-prices"
BATCH: Final = {"processing": "batch"}
READ_OR_WRITE: Final = ("read", "write")
PROVIDER_NAMES: Final = {
    "claude": "anthropic", "gpt": "openai", "gemini": "google", "vertex_ai": "google", "vertex": "google",
    "google-vertex": "google", "google_genai": "google", "bedrock": "aws", "amazon-bedrock": "aws",
    "azure_openai": "azure", "moonshot": "moonshotai", "xai": "x-ai", "grok": "x-ai", "mistralai": "mistral",
    "together_ai": "together", "fireworks_ai": "fireworks", "deepseek-ai": "deepseek",
}  # fmt: skip
"""The package's names of providers that agents and gateways call otherwise."""
RESELLERS: Final = frozenset({"openrouter", "aws", "azure", "together", "fireworks", "google", "novita", "groq"})
"""Providers of models of others, whose names may have a prefix."""
REGION: Final = re.compile(r"^(?:us|eu|apac|global|au|jp|ca|us-gov)\.(?=[a-z0-9-]+\.)")
"""The region in the name of an inference profile of Amazon Bedrock."""
BEDROCK: Final = re.compile(r"(?:(?:us|eu|apac|global|au|jp|ca|us-gov)\.)?(?:anthropic|meta|amazon|mistral|cohere)\.")
"""The beginning of the name of a model of Amazon Bedrock."""
WINDOW: Final = re.compile(r"\[\d+[km]\]$")
"""The size of the context window that some agents append to a model's name."""
RELEASE: Final = re.compile(r"^(?:[-@:](?:latest|preview|exp|v\d+(?::\d+)?|\d{2,4}(?:-\d{2}){0,2}|\d{6,8}|001|002))*$")
"""What may follow the name of a model in the price table, so that the price is still that of the very model."""


@frozen
class TokenRates:
    """
    The rates of a model in dollars: one for the request, and one for each token of each kind.

    Args:
        request: The price of the request itself.
        tokens: The price of a token of input, of output, read from the cache, written to the cache, and of reasoning.
            The last three are counted as input or output too, so their rates are differences, and may be negative.
    """

    request: Decimal
    tokens: tuple[Decimal, ...]

    def cost_of(self, counts: TokenCounts) -> int:
        """
        Return the cost in nano-dollars.
        """
        told = (
            counts.input_tokens, counts.output_tokens, counts.cache_read_tokens, counts.cache_write_tokens,
            counts.reasoning_tokens,
        )  # fmt: skip
        dollars = self.request + sum(count * rate for count, rate in zip(told, self.tokens, strict=True))
        return int((dollars * NANOS_PER_DOLLAR).to_integral_value(ROUND_HALF_UP))


@define
class GenaiPrices:
    """
    Quotes list prices from the data that are part of the installed package. They are never fetched.

    Args:
        known: The provider and model in the data for each provider and name that was asked for; None if unknown.
        rates: The rates of prices of the package, by their identity; None if more tokens have another price.
    """

    known: dict[tuple[str | None, str], Any] = field(factory=dict)
    rates: dict[int, TokenRates | None] = field(factory=dict)
    _package: Any = None
    _snapshot: Any = None
    _version: str = ""

    async def quotes(self, queries: Sequence[PriceQuery]) -> list[Quote | None]:
        """
        The quote for each query; None if the package knows no such model.

        Raises:
            ModuleNotFoundError: If the package is missing; the message names the extra.
        """
        if queries and self._package is None:
            await asyncio.to_thread(self.load)
        return [self._quote(query) for query in queries]

    def load(self) -> None:
        """
        Import the package and its data. It takes about 0.2 seconds.
        """
        with missing_extra_named():
            package = import_module("genai_prices")
        self._version, self._snapshot = package.__version__, package.data_snapshot.get_snapshot()
        self._package = package

    def _quote(self, query: PriceQuery) -> Quote | None:
        from mission_core.usage.prices import Quote  # a start need not load it

        found = self._find(query.provider, query.model)
        if found is None:
            return None
        provider, model, exact = found
        context = BATCH if query.batch else None
        prices = model.get_prices(query.at, context)
        if prices.input_mtok is None and prices.output_mtok is None:
            return None  # it is not priced by tokens
        exact = exact and _has_own_prices(prices, query.counts)
        if query.batch:
            exact = exact and prices != model.get_prices(query.at, None)  # a discount may be known since a later day
        heard = query.counts.input_audio_tokens or query.counts.output_audio_tokens
        # The prices of a batch are made anew for each query, and how much of the audio was cached is not told.
        rates = None if heard or query.batch else self._rates_of(prices)
        cost, whole = self._cost(prices, query.counts) if rates is None else (rates.cost_of(query.counts), True)
        if cost is None:
            return None
        exact = exact and whole
        return Quote(
            cost=cost, source=SOURCE, version=self._version, provider=provider.id,
            basis=PriceBasis.EXACT if exact else PriceBasis.ESTIMATE,
        )  # fmt: skip

    def _cost(self, prices: Any, counts: TokenCounts) -> tuple[int | None, bool]:
        """
        Return the cost, and whether each token is charged as what it is. How much of the audio was cached is not told:
        as little as possible is taken.
        """
        audio = {"input_audio_tokens": counts.input_audio_tokens, "output_audio_tokens": counts.output_audio_tokens}
        usual = {
            "input_tokens": counts.input_tokens, "output_tokens": counts.output_tokens,
            "cache_read_tokens": counts.cache_read_tokens, "cache_write_tokens": counts.cache_write_tokens,
            "output_reasoning_tokens": counts.reasoning_tokens,
        }  # fmt: skip
        cached = counts.cache_read_tokens + counts.cache_write_tokens
        heard_again = min(max(cached + counts.input_audio_tokens - counts.input_tokens, 0), counts.cache_read_tokens)
        shared = {"cache_audio_read_tokens": heard_again}
        for given in (usual | audio, usual | audio | shared, usual):  # a part that the prices need is missing, or wrong
            kept = ("input_tokens", "output_tokens", *shared)
            told = {name: count for name, count in given.items() if count or name in kept}
            try:
                dollars: Decimal = prices.calc_price(self._package.Usage(**told))["total_price"]
            except ValueError:
                continue
            cost = int((dollars * NANOS_PER_DOLLAR).to_integral_value(ROUND_HALF_UP))
            return cost, given == usual | audio
        return None, False

    def _rates_of(self, prices: Any) -> TokenRates | None:
        if id(prices) not in self.rates:  # the package keeps them as long as it is loaded
            self.rates[id(prices)] = self._measure_rates(prices)
        return self.rates[id(prices)]

    def _measure_rates(self, prices: Any) -> TokenRates | None:
        """
        Find the rates by asking the package, whose own computation takes longer than all else that a report costs.
        """
        if any(isinstance(each, self._package.types.TieredPrices) for each in vars(prices).values()):
            return None

        def dollars(**told: int) -> Decimal:
            usage = self._package.Usage(**({"input_tokens": 0, "output_tokens": 0} | told))
            found: Decimal = prices.calc_price(usage)["total_price"]
            return found

        try:
            request, million = dollars(), 1_000_000
            input, output = dollars(input_tokens=million), dollars(output_tokens=million)
            read, write = (dollars(input_tokens=million, **{f"cache_{name}_tokens": million}) for name in READ_OR_WRITE)
            reasoning = dollars(output_tokens=million, output_reasoning_tokens=million)
        except ValueError:
            return None
        every = (input - request, output - request, read - input, write - input, reasoning - output)
        return TokenRates(request, tuple(each / million for each in every))

    def _find(self, provider: str | None, name: str) -> Any:
        key = (provider, name)
        if key not in self.known:
            if len(self.known) > 10_000:
                self.known.clear()
            self.known[key] = self._look_up(provider, name)
        return self.known[key]

    def _look_up(self, provider: str | None, name: str) -> Any:
        for candidate, reference in candidates(provider, name):
            try:
                found, model = self._snapshot.find_provider_model(reference, None, candidate, None)
            except LookupError:
                continue
            return found, model, _is_name_of(model.id, reference)
        return None


def candidates(provider: str | None, name: str) -> Iterator[tuple[str | None, str]]:
    """
    The providers and names to look up for a model as it is reported, most specific first.

    A prefix that is a provider is taken as one, as in `anthropic/claude-opus-4-1`. A provider that is not known has no
    prices, whatever the rest of the name is: a local model is not billed like a hosted one.
    """
    reference = WINDOW.sub("", name.strip().lower()).removeprefix("models/")
    host = _provider_name(provider)
    if host is None and "/" in reference:
        prefix, _, reference = reference.partition("/")
        host = _provider_name(prefix)
    elif host is not None and reference.startswith(f"{(provider or '').strip().lower()}/"):
        reference = reference.partition("/")[2]
    if host is None and BEDROCK.match(reference):
        host = "aws"
    spellings = dict.fromkeys((reference, REGION.sub("", reference), reference.replace("@", "-")))
    for spelling in spellings:
        yield host, spelling
    if host in RESELLERS and "/" in reference:
        for spelling in spellings:
            yield host, spelling.rpartition("/")[2]


def _provider_name(provider: str | None) -> str | None:
    name = (provider or "").strip().lower()
    return PROVIDER_NAMES.get(name, name) or None


def _is_name_of(model: str, reference: str) -> bool:
    """
    Whether a reference is the name of this model, maybe of one of its releases.
    """
    name = reference.rpartition("/")[2]
    for known in (model.lower(), model.rpartition("/")[2].lower()):
        start = name.find(known)
        if start >= 0 and (start == 0 or name[start - 1] in "./") and RELEASE.match(name[start + len(known) :]):
            return True
    return False


def _has_own_prices(prices: Any, counts: TokenCounts) -> bool:
    """
    Whether cached tokens and audio have prices of their own, so that none stands in for them.
    """
    needed = {
        "cache_read_mtok": counts.cache_read_tokens, "cache_write_mtok": counts.cache_write_tokens,
        "input_audio_mtok": counts.input_audio_tokens, "output_audio_mtok": counts.output_audio_tokens,
    }  # fmt: skip
    return all(getattr(prices, name) is not None for name, count in needed.items() if count)
