"""
A regular expression matcher with bounded running time, for expressions that users write.

Python's `re` backtracks, and some expressions take it exponential time. This matcher simulates an automaton: it follows
all alternatives at once, character by character. Its work is at most the length of the text times the size of the
expression, and both are limited. `re` is used only for single characters and positions, in constant time. Constructs
that need backtracking (backreferences, lookaround, possessive repeats) are refused.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from attrs import field

from mission_core.lazy_attrs import define, frozen

MAX_PATTERN_LENGTH: Final = 500
MAX_STATES: Final = 2000
MAX_GROUP_DEPTH: Final = 50
MAX_STEPS: Final = 100_000
"""About a tenth of a second."""

ACCEPT: Final = 0
FLAGS: Final = {"a": re.ASCII, "i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "u": re.UNICODE}
OPENING: Final = re.compile(r"\((?:\?P<\w+>|\?(?P<on>[a-z]*)(?:-(?P<off>[a-z]+))?(?P<end>[:)])|(?P<plain>(?!\?)))")
REPEAT: Final = re.compile(r"[*+?]|\{(?P<least>[0-9]*)(?P<comma>,?)(?P<most>[0-9]*)\}(?<!\{\})")
CLASS: Final = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
REFERENCE: Final = re.compile(r"\\[1-9](?![0-7]{2})")
ESCAPE: Final = re.compile(
    r"\\(?:N\{[^}]*\}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|0[0-7]{0,2}|[1-7][0-7]{2}|.)", re.DOTALL
)
POSITIONS: Final = frozenset({"^", "$", r"\A", r"\Z", r"\z", r"\b", r"\B"})

StateBuilder = Callable[[int], int]
"""Adds the states of a part, followed by the given state, and returns the first of them."""


class StepLimitExceeded(Exception):
    """
    Matching a text takes more steps than permitted.
    """


class RegexState(NamedTuple):
    """
    A state of the automaton. It consumes a character that *test* matches, or checks a position with *test*, or branches
    to several states.
    """

    to: tuple[int, ...]
    test: re.Pattern[str] | None = None
    consumes: bool = False


@frozen
class BoundedRegex:
    """
    A compiled regular expression.
    """

    states: tuple[RegexState, ...]
    start: int

    @classmethod
    def of(cls, source: str) -> BoundedRegex:
        """
        Raises:
            ValueError: If it is not a regular expression of Python, is too large, or needs backtracking.
        """
        return _parse(source)

    def matches(self, text: str) -> bool:
        """
        Whether the whole text matches.

        Raises:
            StepLimitExceeded: If matching takes too many steps.
        """
        steps = 0
        ahead = {self.start}
        for at in range(len(text) + 1):
            found = self._reached(ahead, text, at)
            steps += len(found)
            if steps > MAX_STEPS:
                raise StepLimitExceeded
            if at == len(text):
                return ACCEPT in found
            here = (self.states[each] for each in found)
            ahead = {each.to[0] for each in here if each.consumes and each.test and each.test.match(text, at)}
            if not ahead:
                return False
        raise AssertionError("the loop returns at the text's end")

    def _reached(self, ahead: Iterable[int], text: str, at: int) -> set[int]:
        """
        All states that can be reached from these without consuming a character.
        """
        found: set[int] = set()
        waiting = list(ahead)
        while waiting:
            state = waiting.pop()
            if state in found:
                continue
            found.add(state)
            to, test, consumes = self.states[state]
            if not consumes and (test is None or test.match(text, at)):
                waiting += to
        return found


@lru_cache(maxsize=256)
def _parse(source: str) -> BoundedRegex:
    if len(source) > MAX_PATTERN_LENGTH:
        raise ValueError(f"must have at most {MAX_PATTERN_LENGTH} characters")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            known = re.compile(source)
        except (re.error, OverflowError, RecursionError) as e:
            raise ValueError(f"is not a regular expression: {e}") from e
        if known.flags & re.VERBOSE:
            raise ValueError("must not use the flag x")
        return _RegexParser(source).pattern()


@define
class _RegexParser:
    """
    Parses an expression that `re` has accepted, so it only has to separate the parts.
    """

    source: str
    at: int = 0
    flags: int = 0
    depth: int = 0
    size: int = 0
    states: list[RegexState] = field(factory=lambda: [RegexState(())])

    def pattern(self) -> BoundedRegex:
        start = self._choice()(ACCEPT)
        return BoundedRegex(tuple(self.states), start)

    def _choice(self) -> StateBuilder:
        ways = [self._sequence()]
        while self._skip("|"):
            ways.append(self._sequence())
        if len(ways) == 1:
            return ways[0]
        return lambda then: self._add(tuple(way(then) for way in ways))

    def _sequence(self) -> StateBuilder:
        parts: list[StateBuilder] = []
        while self._skip_comments():
            part = self._part()
            if self._skip_comments():  # a comment may stand between a part and its repeat
                part = self._repeated(part)
            parts.append(part)

        def build(then: int) -> int:
            for part in reversed(parts):
                then = part(then)
            return then

        return build

    def _skip_comments(self) -> bool:
        """
        Skip comments, and tell whether the sequence goes on.
        """
        while self.source.startswith("(?#", self.at):
            self.at = self.source.index(")", self.at) + 1
        return self.at < len(self.source) and self.source[self.at] not in "|)"

    def _part(self) -> StateBuilder:
        if self.source[self.at] == "(":
            return self._group()
        if self.source[self.at] == "[":
            return self._single(CLASS)
        if self.source[self.at] == "\\":
            if REFERENCE.match(self.source, self.at):
                raise ValueError("must not contain backreferences")
            return self._single(ESCAPE)
        self.at += 1
        return self._tested(self.source[self.at - 1])

    def _single(self, shape: re.Pattern[str]) -> StateBuilder:
        found = shape.match(self.source, self.at)
        assert found is not None
        self.at = found.end()
        return self._tested(found[0])

    def _tested(self, part: str) -> StateBuilder:
        literal = part if part in ".^$" or part[0] in "[\\" else re.escape(part)
        test, consumes = re.compile(literal, self.flags), part not in POSITIONS
        return lambda then: self._add((then,), test, consumes)

    def _group(self) -> StateBuilder:
        opening = OPENING.match(self.source, self.at)
        if opening is None:
            raise ValueError("must not contain lookaround, backreferences or atomic groups")
        self.at = opening.end()
        outer = self.flags
        self.flags = self._flags(outer, opening["on"] or "", opening["off"] or "")
        if opening["end"] == ")":
            return lambda then: then
        self.depth += 1
        if self.depth > MAX_GROUP_DEPTH:
            raise ValueError(f"must not nest deeper than {MAX_GROUP_DEPTH} groups")
        inner = self._choice()
        self.depth -= 1
        self.flags = outer
        self._skip(")")
        return inner

    def _flags(self, flags: int, on: str, off: str) -> int:
        for letter in on + off:
            if letter not in FLAGS:
                raise ValueError(f"must not use the flag {letter}")
        if {"a", "u"} & set(on):
            flags &= ~(re.ASCII | re.UNICODE)
        for letter in on:
            flags |= FLAGS[letter]
        for letter in off:
            flags &= ~FLAGS[letter]
        return flags

    def _repeated(self, part: StateBuilder) -> StateBuilder:
        found = REPEAT.match(self.source, self.at)
        if found is None:
            return part
        self.at = found.end()
        if self._skip("+"):
            raise ValueError("must not contain possessive repeats")
        self._skip("?")  # greediness makes no difference when the whole text must match
        least, most = _repeat_bounds(found)
        return lambda then: self._times(part, least, most, then)

    def _times(self, part: StateBuilder, least: int, most: int | None, then: int) -> int:
        start = then
        if most is None:
            start = self._add((then,))
            self.states[start] = RegexState((part(start), then))
        else:
            for _ in range(most - least):
                start = self._add((part(start), then))
        for _ in range(least):
            self._count_state()
            start = part(start)
        return start

    def _add(self, to: tuple[int, ...], test: re.Pattern[str] | None = None, consumes: bool = False) -> int:
        self._count_state()
        self.states.append(RegexState(to, test, consumes))
        return len(self.states) - 1

    def _count_state(self) -> None:
        self.size += 1
        if self.size > MAX_STATES:
            raise ValueError("has too many repeats")

    def _skip(self, character: str) -> bool:
        found = self.source.startswith(character, self.at)
        self.at += found
        return found


def _repeat_bounds(repeat: re.Match[str]) -> tuple[int, int | None]:
    """
    The least and the greatest number of repetitions; None for no limit.
    """
    if not repeat[0].startswith("{"):
        return {"*": (0, None), "+": (1, None), "?": (0, 1)}[repeat[0]]
    least = int(repeat["least"] or 0)
    if not repeat["comma"]:
        return least, least
    return least, int(repeat["most"]) if repeat["most"] else None
