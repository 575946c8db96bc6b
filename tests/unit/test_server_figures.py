"""
The labels of the figures of a server, of which there are few however many agents and models there are.
"""

from hypothesis import given
from hypothesis import strategies as st

from mission_core.reports.server_figures import OTHER, with_bounded_labels
from mission_core.usage.queries import UsageSum, UsageTotals, sum_of

names = st.sampled_from(["ada", "bob", "cy", "dee", "eve"])
sums = st.builds(
    lambda key, tokens: UsageSum(key, UsageTotals(requests=1, input_tokens=tokens, cost=tokens * 3)),
    st.tuples(st.sampled_from(["acme", "zoo"]), names, names),
    st.integers(0, 9),
)


@given(st.lists(sums), st.integers(0, 4), st.integers(0, 4))
def test_no_token_is_lost_and_the_labels_are_few(usage: list[UsageSum], agents: int, models: int) -> None:
    found = with_bounded_labels(usage, agents=agents, models=models)

    assert sum_of(usage) == sum_of([UsageSum(key, totals) for key, totals in found.items()])
    assert len({key[:2] for key in found} - {(OTHER, OTHER)}) <= agents
    assert len({key[2] for key in found} - {OTHER}) <= models


def test_those_with_the_most_tokens_keep_their_names() -> None:
    told = {("acme", "ada", "large"): 5, ("acme", "bob", "large"): 2, ("zoo", "bob", "small"): 4}
    usage = [UsageSum(key, UsageTotals(input_tokens=tokens)) for key, tokens in told.items()]
    found = with_bounded_labels(usage, agents=2, models=1)

    assert {
        ("acme", "ada", "large"): 5, (OTHER, OTHER, "large"): 2, ("zoo", "bob", OTHER): 4,
    } == {key: totals.input_tokens for key, totals in found.items()}  # fmt: skip
