"""
Prices of models: those of an operator, and what the package `genai-prices` says about names as agents report them.

Each name with a price is checked against a second, independent table: that of the package LiteLLM, in dollars per
million tokens, of the versions and days in `second_price_table.py`. Further figures name the version that has them.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP
from fractions import Fraction

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.genai_prices import GenaiPrices
from mission_adapters.price_files import InvalidPriceFile, read_price_file
from mission_core.errors import InvalidField
from mission_core.usage.amounts import PriceBasis
from mission_core.usage.prices import LayeredPrices, ModelPrice, NoPrices, PriceList, PriceQuery, Quote, TokenCounts
from tests.unit.second_price_table import TABLE_PRICES, UPLOADED

pytest.importorskip("genai_prices", reason="the extra `prices` is not installed")

AT = datetime(2025, 11, 16, 12, tzinfo=UTC)
"""The day of version 1.80.0."""
MILLION = 1_000_000
UNKNOWN = """
    ollama/qwen2.5-coder:7b ollama/deepseek-r1:14b qwen2.5-coder:14b llama3.2 gpt-oss:20b lmstudio/gpt-oss-20b
    local/claude-sonnet-4-5 my-finetune claude-sonnet-9 gpt-6 gpt-5-turbo-ultra gemini-9-pro unknown <synthetic>
    venice/llama-3.3-70b fireworks/accounts/fireworks/models/deepseek-v3 codex-mini-latest chatgpt-4o-latest
    text-embedding-3-small / anthropic/ x/y/z
    """.split()  # noqa: SIM905
"""Names without a price: of local models, of no model, and some that the package lacks."""
DISAGREEMENTS = {
    "1.70.0": {"o3": ((10, 40, 0.5, 10), "the package has the later price of the cache, as version 1.80.0")},
    "1.80.0": {
        "claude-3-5-haiku-latest": (
            (0.8, 4, 0.08, 1), "the table itself has the package's prices for claude-3-5-haiku-20241022"
        ),
        "anthropic/claude-3-5-haiku-latest": ((0.8, 4, 0.08, 1), "as without the prefix"),
        "gemini-2.5-pro": ((1.25, 10, 0.125, 1.25), "version 1.110.2 has the package's price of the cache"),
        "gemini-2.5-pro-preview-05-06": ((1.25, 10, 0.125, 1.25), "as gemini-2.5-pro"),
        "models/gemini-2.5-pro": ((1.25, 10, 0.125, 1.25), "as gemini-2.5-pro"),
        "google/gemini-2.5-pro": ((1.25, 10, 0.125, 1.25), "as gemini-2.5-pro"),
        "gemini-2.5-flash-lite": ((0.1, 0.4, 0.01, 0.1), "version 1.110.2 has the package's price of the cache"),
        "gemini-1.5-pro": ((1.25, 5, 1.25, 1.25), "the table has the package's for that of Vertex"),
        "codestral-latest": ((0.3, 0.9, 0.3, 0.3), "version 1.110.2 has the package's input and output"),
        "deepseek-chat": ((0.27, 1.1, 0.07, 0.27), "the table has the package's prices for deepseek/deepseek-chat"),
        "gemini-flash-latest": (
            (0.75, 3.75, 0.075, 0.75), "the package has what the alias stands for in version 1.110.2"
        ),
    },
    "1.110.2": {
        "grok-code-fast-1": ((0.2, 1.5, 0.02, 0.2), "the package has the price of 2025, which version 1.80.0 had, too"),
        "mistral-large-latest": (
            (2, 6, 2, 2), "the package has the model that the alias stood for in 2025, as version 1.80.0"
        ),
        "codestral-latest": ((0.3, 0.9, 0.3, 0.3), "the package has no price of the cache"),
        "together/meta-llama/Llama-3.3-70B-Instruct-Turbo": (
            (0.88, 0.88, 0.88, 0.88), "the package has the price of 2025, which version 1.80.0 had, too"
        ),
        "deepseek-chat": ((0.27, 1.1, 0.07, 0.27), "the package has those of deepseek/deepseek-chat in 1.80.0"),
    },
}  # fmt: skip
"""
The names whose prices differ in the second table, with the prices of the package and the reason, by the version of the
table. An operator's file of prices can set the right ones.
"""
TABLE_DATES = {version: datetime.fromisoformat(f"{day}T12:00:00+00:00") for version, day in UPLOADED.items()}
"""The moments of which the package's prices are compared with each version of the second table."""
BOOK = GenaiPrices()


def quote(model: str, *, at: datetime = AT, provider: str | None = None, batch: bool = False, **counts: int) -> Quote:
    """
    What the package says.
    """
    tokens = TokenCounts(**({"input_tokens": 0, "output_tokens": 0} | counts))
    query = PriceQuery(model=model, provider=provider, counts=tokens, at=at, batch=batch)
    return asyncio.run(BOOK.quotes([query]))[0]


def rates(model: str, **more) -> tuple[float, float]:
    """
    The dollars per million tokens of input and of output, for a request with few tokens.
    """
    found = [quote(model, **{name: 1000}, **more) for name in ("input_tokens", "output_tokens")]
    return tuple(each.cost / MILLION for each in found)


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_name_without_a_price_stays_without(name):
    """
    A local model is not billed like the hosted one of the same name.
    """
    assert quote(name, input_tokens=1) is None


def figures_of(name: str, at: datetime) -> tuple[float, ...]:
    """
    The dollars per million tokens of input, of output, of reading the cache and of writing it.
    """
    cached = [
        quote(name, at=at, input_tokens=1000, **{part: 1000}) for part in ("cache_read_tokens", "cache_write_tokens")
    ]
    return (*rates(name, at=at), *(each.cost / MILLION for each in cached))


def test_the_cost_is_that_of_the_package() -> None:
    """
    For each of its models, to the nano-dollar: costs are computed from rates, which the package is asked for once.
    """
    BOOK.load()
    counts = {"input_tokens": 123_457, "output_tokens": 9_973, "cache_read_tokens": 100_003, "cache_write_tokens": 7}
    told, wrong = counts | {"output_reasoning_tokens": 4_001}, []
    for provider in BOOK._snapshot.providers:
        for model in provider.models:
            found = quote(model.id, provider=provider.id, reasoning_tokens=4_001, **counts)
            if found is None or BOOK._find(provider.id, model.id)[:2] != (provider, model):
                continue
            dollars = model.get_prices(AT).calc_price(BOOK._package.Usage(**told))["total_price"]
            if found.cost != int((dollars * 10**9).to_integral_value(ROUND_HALF_UP)):
                wrong.append(model.id)

    assert [] == wrong
    assert 500 < sum(each is not None for each in BOOK.rates.values())


@pytest.mark.parametrize("version", TABLE_DATES)
def test_a_second_table_has_the_same_prices_or_the_disagreement_is_listed(version: str) -> None:
    """
    Where the second table has no price of the cache, only input and output are compared.
    """
    found = {}
    for each in TABLE_PRICES:
        own = figures_of(each.name, TABLE_DATES[each.version])
        if each.version == version and any(b not in (None, a) for a, b in zip(own, each.figures, strict=True)):
            found[each.name] = own

    assert {name: figures for name, (figures, _) in DISAGREEMENTS[version].items()} == found


def test_a_hundred_names_are_checked():
    """
    With prefixes of providers and gateways, dates, regions, context windows and `-latest`; each name is resolved, or
    is without a price.
    """
    names = {each.name for each in TABLE_PRICES}

    assert 100 <= len(names) + len(UNKNOWN)
    assert {"genai-prices"} == {
        quote(each.name, at=TABLE_DATES[each.version], input_tokens=1).source for each in TABLE_PRICES
    }


def test_a_provider_that_is_told_counts():
    """
    Whether the name repeats it or not; one that is unknown has no prices.
    """
    assert (3, 15) == rates("claude-sonnet-4-5", provider="anthropic")
    assert (3, 15) == rates("anthropic/claude-sonnet-4-5", provider="Anthropic")
    assert (3, 15) == rates("anthropic/claude-sonnet-4", provider="openrouter")
    assert quote("claude-sonnet-4-5", provider="our-gpus", input_tokens=1) is None


def test_cached_tokens_have_prices_of_their_own():
    """
    LiteLLM 1.80.0: claude-sonnet-4-5 3 dollars, read 0.30, write 3.75; gpt-5 1.25, read 0.125.
    """
    sonnet = quote("claude-sonnet-4-5", input_tokens=1000, cache_read_tokens=600, cache_write_tokens=300)

    assert 100 * 3000 + 600 * 300 + 300 * 3750 == sonnet.cost
    assert 400 * 1250 + 600 * 125 == quote("gpt-5", input_tokens=1000, cache_read_tokens=600).cost


def test_a_long_prompt_has_the_price_of_its_tier():
    """
    LiteLLM 1.80.0: above 200,000 tokens gemini-2.5-pro costs 2.50 and 15 dollars, claude-sonnet-4-5 6 and 22.50.
    """
    pro = quote("gemini-2.5-pro", input_tokens=300_000, output_tokens=1000)
    sonnet = quote("claude-sonnet-4-5", input_tokens=300_000, output_tokens=1000)

    assert (300_000 * 2500 + 1000 * 15_000, 300_000 * 6000 + 1000 * 22_500) == (pro.cost, sonnet.cost)


def test_the_price_is_that_of_the_time():
    """
    LiteLLM: o3 cost 10 and 40 dollars in version 1.70.0, and 2 and 8 in version 1.80.0.
    """
    assert [(10, 40), (2, 8)] == [rates("o3", at=TABLE_DATES[version]) for version in ("1.70.0", "1.80.0")]


def test_audio_has_prices_of_its_own():
    """
    LiteLLM 1.80.0: gemini-2.5-flash, 0.30 dollars and 1.00 for audio. Where they are unknown it is an estimate.
    """
    heard = quote("gemini-2.5-flash", input_tokens=1000, input_audio_tokens=400)
    text = quote("claude-sonnet-4-5", input_tokens=1000, input_audio_tokens=400)

    assert (600 * 300 + 400 * 1000, PriceBasis.EXACT) == (heard.cost, heard.basis)
    assert (1000 * 3000, PriceBasis.ESTIMATE) == (text.cost, text.basis)


def test_cached_audio_is_an_estimate():
    """
    LiteLLM 1.110.2: gemini-2.5-flash, 1.00 dollar for audio, 0.10 cached, and 0.03 for other cached input. How much of
    the audio was cached is not told; as little as possible is taken.
    """
    none = quote("gemini-2.5-flash", input_tokens=1000, input_audio_tokens=900, cache_read_tokens=100)
    most = quote("gemini-2.5-flash", input_tokens=1000, input_audio_tokens=900, cache_read_tokens=900)

    assert (900 * 1000 + 100 * 30, PriceBasis.ESTIMATE) == (none.cost, none.basis)
    assert (100 * 1000 + 800 * 100 + 100 * 30, PriceBasis.ESTIMATE) == (most.cost, most.basis)


@pytest.mark.parametrize(
    ("name", "basis"),
    [
        ("claude-sonnet-4-5-20250929", PriceBasis.EXACT), ("gpt-5-2025-08-07", PriceBasis.EXACT),
        ("gpt-5-codex", PriceBasis.ESTIMATE), ("gemini-flash-latest", PriceBasis.ESTIMATE),
    ],
)  # fmt: skip
def test_a_name_that_only_a_rule_matches_is_an_estimate(name, basis):
    assert basis == quote(name, input_tokens=1).basis


def test_a_batch_without_a_known_price_is_an_estimate():
    """
    At the normal price.
    """
    known, unknown = [quote(name, input_tokens=1000, batch=True) for name in ("gpt-5", "command-r-plus")]

    before = quote("gpt-5", input_tokens=1000, batch=True, at=datetime(2025, 9, 1, tzinfo=UTC))

    assert [PriceBasis.ESTIMATE] * 2 == [unknown.basis, before.basis]
    assert unknown.cost == quote("command-r-plus", input_tokens=1000).cost
    assert known.cost <= quote("gpt-5", input_tokens=1000).cost


PRICE = ModelPrice(model="large", input=3_000_000_000, output=15_000_000_000)


def asked(book, model="large", *, input=1000, output=0, **more) -> int | None:
    """
    The cost by a book.
    """
    counts = TokenCounts(input_tokens=input, output_tokens=output)
    (found,) = asyncio.run(book.quotes([PriceQuery(model=model, counts=counts, at=AT, **more)]))
    return None if found is None else found.cost


rates_of_operators = st.integers(0, 10**12)
parts = st.tuples(*[st.integers(0, 10**9)] * 7)


@given(st.builds(lambda **f: ModelPrice(model="m", **f), input=rates_of_operators, output=rates_of_operators,
                 cache_read=st.none() | rates_of_operators, cache_write=st.none() | rates_of_operators,
                 reasoning=st.none() | rates_of_operators), parts, st.sampled_from([0, 50, 100]))  # fmt: skip
def test_a_cost_is_the_exact_sum_rounded_to_a_nano_dollar(price, counts, percent):
    """
    Never off by more than half a one, and each token counts once.
    """
    plain, read, written, answered, thought, *_ = counts
    tokens = TokenCounts(
        input_tokens=plain + read + written, cache_read_tokens=read, cache_write_tokens=written,
        output_tokens=answered + thought, reasoning_tokens=thought,
    )  # fmt: skip
    exact = Fraction(percent, 100 * MILLION) * (
        plain * price.input
        + read * (price.input if price.cache_read is None else price.cache_read)
        + written * (price.input if price.cache_write is None else price.cache_write)
        + answered * price.output
        + thought * (price.output if price.reasoning is None else price.reasoning)
    )

    assert abs(evolve(price, batch=percent).cost_of(tokens, batch=True) - exact) <= Fraction(1, 2)


def test_the_last_price_that_fits_counts():
    """
    By name or pattern, with or without the prefix of a provider, from its first moment on, and not from its last.
    """
    later = evolve(PRICE, input=1_000_000_000, since=AT + timedelta(microseconds=1))
    ended = evolve(PRICE, input=2_000_000_000, since=AT - timedelta(days=1), until=AT)
    book = PriceList(prices=(evolve(PRICE, model="lar*", input=9_000_000_000), PRICE, later, ended), version="1")

    assert 3_000_000 == asked(book) == asked(book, "LARGE") == asked(book, "acme/large")
    assert 9_000_000 == asked(book, "larger")
    assert asked(book, "small") is None
    assert 1_000_000 == asked(PriceList(prices=(evolve(later, since=AT, until=AT + timedelta(1)),), version="1"))


def test_a_name_is_a_name_whatever_is_in_it():
    """
    Only an asterisk stands for other text.
    """
    book = PriceList(prices=(evolve(PRICE, model="large[1m]?"), evolve(PRICE, model="*[2m]")), version="1")

    assert 3_000_000 == asked(book, "large[1m]?") == asked(book, "acme/Large[2m]")
    assert [None] * 3 == [asked(book, name) for name in ("large1x", "large[1m]x", "large2")]


def test_a_price_ends_after_it_begins():
    with pytest.raises(InvalidField, match="until must be later than since"):
        evolve(PRICE, since=AT, until=AT)


def test_a_price_of_a_provider_is_for_that_one():
    """
    As it is told, or as the prefix says.
    """
    book = PriceList(prices=(evolve(PRICE, provider="acme"),), version="1")

    assert 3_000_000 == asked(book, provider="acme") == asked(book, provider="Acme ") == asked(book, "acme/large")
    assert [None, None] == [asked(book), asked(book, provider="other")]


def test_the_first_book_that_knows_a_price_counts():
    small = PriceList(prices=(evolve(PRICE, model="small"),), version="1")
    both = LayeredPrices((NoPrices(), small, PriceList(prices=(evolve(PRICE, model="*", input=1),), version="2")))

    assert (3_000_000, 0) == (asked(both, "small"), asked(both, input=100))


@pytest.mark.parametrize(
    "wrong",
    [
        {"cache_read_tokens": 11}, {"cache_write_tokens": 11}, {"cache_read_tokens": 6, "cache_write_tokens": 5},
        {"reasoning_tokens": 6}, {"input_audio_tokens": 11}, {"output_audio_tokens": 6}, {"input_tokens": -1},
        {"output_tokens": 10**11}, {"input_tokens": True}, {"input_tokens": 1.5},
    ],
)  # fmt: skip
def test_parts_above_totals_and_impossible_counts_are_refused(wrong):
    with pytest.raises(InvalidField) as refused:
        TokenCounts(**({"input_tokens": 10, "output_tokens": 5} | wrong))

    assert refused.value.field in wrong


def test_a_file_of_prices_is_read_with_its_version(tmp_path):
    """
    Another content has another version.
    """
    path = tmp_path / "prices.toml"
    path.write_text(
        '[[price]]\nmodel = "qwen*"\nprovider = "our-gpus"\ninput = 0.2\noutput = 0.80\ncache_read = 0.000000001\n'
        "since = 2025-01-01\nuntil = 2026-01-01\nbatch = 50\n[[price]]\nmodel = 'x'\ninput = 1\noutput = 2\n"
    )
    book = read_price_file(path)
    path.write_text(path.read_text() + "\n")

    assert (
        ModelPrice(
            model="qwen*", provider="our-gpus", since=datetime(2025, 1, 1, tzinfo=UTC),
            until=datetime(2026, 1, 1, tzinfo=UTC), input=200_000_000, output=800_000_000, cache_read=1, batch=50,
        ),
        ModelPrice(model="x", input=1_000_000_000, output=2_000_000_000),
    ) == book.prices  # fmt: skip
    assert (200_000, 100_000) == (asked(book, "our-gpus/qwen3"), asked(book, "our-gpus/qwen3", batch=True))
    assert book.version != read_price_file(path).version


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[price]", "is not TOML"), ("[price]\nmodel='x'", "must have tables"),
        ("[[prices]]\na=1", "must have tables"),
        ("[[price]]\nmodel='x'\ninput=1", "price 1: output is missing"),
        ("[[price]]\nmodel='x'\ninput=1\noutput=1\ncashed=1", "price 1: cashed is not known"),
        ("[[price]]\nmodel='x'\ninput='1'\noutput=1", "price 1: input must be a number"),
        ("[[price]]\nmodel='x'\ninput=nan\noutput=1", "price 1: input must be a number"),
        ("[[price]]\nmodel='x'\ninput=-1\noutput=1", "price 1: input must be a whole number"),
        ("[[price]]\nmodel='x'\ninput=0.00000000001\noutput=1", "price 1: input must have at most 9 digits"),
        ("[[price]]\nmodel='x'\ninput=1\noutput=1\nsince='now'", "price 1: since must be a date"),
        ("[[price]]\nmodel='x'\ninput=1\noutput=1\nuntil=1", "price 1: until must be a date"),
        ("[[price]]\nmodel=''\ninput=1\noutput=1", "price 1: model must have"),
    ],
)  # fmt: skip
def test_a_wrong_file_of_prices_is_refused_with_the_place(tmp_path, text, said):
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(InvalidPriceFile, match=said):
        read_price_file(path)


def test_a_missing_file_of_prices_is_told(tmp_path):
    with pytest.raises(InvalidPriceFile, match="cannot be read"):
        read_price_file(tmp_path / "none.toml")
