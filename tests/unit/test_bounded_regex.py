"""
Patterns agree with Python's own, and cost no more than they may.
"""

import re
import warnings
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mission_core.boards.bounded_regex import MAX_PATTERN_LENGTH, MAX_STEPS, BoundedRegex, StepLimitExceeded

ALPHABET = "abB1_ \n-"
atoms = st.sampled_from(
    [
        "a", "b", "B", "1", "-", " ", ".", "]", "{", "{}", "}", "^", "$", "a{,}", "(?:)", "(?#note)", r"\w", r"\W",
        r"\d", r"\s", r"\-", r"\.", r"\n", r"\x61", r"\141", r"\u0062", r"\b", r"\B", r"\A", r"\Z", "[ab]", "[^a]",
        "[]a]", r"[^\]\n]", r"[a-b\d]",
    ]
)  # fmt: skip
repeats = st.sampled_from(["", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,}", "{,2}", "{1,2}?", "{0}"])
groups = st.sampled_from(["(%s)", "(?:%s)", "(?i:%s)", "(?s:%s)", "(?m:%s)", "(?-i:%s)", "(?a:%s)", "(?m-s:%s)"])
parts = st.recursive(
    atoms,
    lambda inner: st.builds(
        lambda shape, ways, repeat: shape % "|".join(ways) + repeat,
        groups,
        st.lists(st.lists(st.builds(str.__add__, inner, repeats), max_size=3).map("".join), min_size=1, max_size=3),
        repeats,
    ),
    max_leaves=8,
)
patterns = st.builds(
    lambda flags, pieces: flags + "".join(pieces),
    st.sampled_from(["", "", "(?i)", "(?s)", "(?m)", "(?ims)"]),
    st.lists(st.builds(str.__add__, parts, repeats), max_size=4),
)


def known(source: str) -> re.Pattern[str] | None:
    """
    What `re` makes of it, if it is a pattern.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.compile(source)
        except re.error:
            return None


@settings(max_examples=600)
@given(source=patterns, text=st.text(ALPHABET, max_size=6))
def test_a_pattern_matches_what_python_matches(source: str, text: str) -> None:
    """
    A whole text, and no other.
    """
    theirs = known(source)
    if theirs is not None and not re.search(r"[*+?}]\+", source):  # which would be possessive
        assert (theirs.fullmatch(text) is not None) is BoundedRegex.of(source).matches(text), (source, text)


@given(source=st.text(st.sampled_from("ab(|)*+?[]^$\\{}2,:#P<>=!i-."), max_size=12))
def test_whatever_is_written_is_a_pattern_or_is_refused(source: str) -> None:
    """
    Nothing else happens.
    """
    with suppress(ValueError):
        BoundedRegex.of(source).matches("ab2")
        assert known(source) is not None


@pytest.mark.parametrize(
    ("source", "fits", "other"),
    [
        ("[A-Z]{2,5}-[0-9]+", "MC-12", "mc-12"),
        (r"https?://[^/\s]+(/\S*)?", "https://example.org/x", "example.org"),
        ("(?i)yes|no", "NO", "nope"),
        ("(?P<year>[0-9]{4})-W[0-9]{2}", "2030-W01", "2030-W1"),
        (".{1,500}", "x" * 500, "x" * 501),
        ("^v[0-9]+$", "v1", "v1\n"),
        (r"\N{LATIN SMALL LETTER A}", "a", "b"),
        ("", "", "x"),
    ],
)
def test_what_people_write_means_what_they_expect(source: str, fits: str, other: str) -> None:
    assert (True, False) == (BoundedRegex.of(source).matches(fits), BoundedRegex.of(source).matches(other))


@pytest.mark.parametrize("source", ["(a+)+b", "(a|a)*b", "(a|aa)+$b", "(.*)*x", "a*a*a*a*a*b", "(a?){30}a{30}b"])
def test_patterns_that_blow_up_elsewhere_are_answered(source: str) -> None:
    """
    In a number of steps that grows with the text, not in all the ways there are through the pattern.
    """
    assert not BoundedRegex.of(source).matches("a" * 200)


def test_a_text_takes_only_so_many_steps() -> None:
    """
    The size of the pattern times the length of the text is bounded.
    """
    with pytest.raises(StepLimitExceeded):
        BoundedRegex.of("(a?){500}b").matches("a" * MAX_STEPS)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("(", "not a regular expression"),
        ("a{2,1}", "not a regular expression"),
        ("a{99999999999}", "not a regular expression"),
        (r"(a)\1", "backreferences"),
        ("(?P<x>a)(?P=x)", "backreferences"),
        ("(?=a)", "lookaround"),
        ("(?<!a)b", "lookaround"),
        ("(?>a)", "atomic groups"),
        ("(a)?(?(1)b|c)", "backreferences"),
        ("a*+", "possessive repeats"),
        ("(?x) a", "flag x"),
        ("(?x: a)", "flag x"),
        ("(?:" * 51 + ")" * 51, "deeper than 50"),
        ("(((a{100}){100}){100})", "too many repeats"),
        ("((((){1000}){1000}){1000}){1000}", "too many repeats"),
        ("a" * (MAX_PATTERN_LENGTH + 1), "at most 500"),
    ],
)
def test_what_cannot_be_bounded_is_refused(source: str, said: str) -> None:
    """
    When it is written, not when it is matched.
    """
    with pytest.raises(ValueError, match=said):
        BoundedRegex.of(source)
