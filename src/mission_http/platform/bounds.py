"""
Checks of the annotations `Length`, `Range`, `Pattern` and `Rule`, each added to a function that reads a value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mission_http.platform.refusals import wrong
from mission_http.platform.shapes import Length, Pattern, Range, Rule

Read = Callable[[Any], Any]


def bounded(read: Read, kind: Any, words: tuple[Any, ...]) -> Read:
    """
    Add the checks that the annotations in *words* ask for to *read*.
    """
    for word in words:
        if isinstance(word, Length):
            read = _text_length(read, word) if kind is str else _list_length(read, word)
        elif isinstance(word, Range):
            read = within(read, word)
        elif isinstance(word, Pattern):
            read = _matching(read, word)
        elif isinstance(word, Rule):
            read = _then(read, word.check)
    return read


def _then(read: Read, check: Read) -> Read:
    return lambda value: check(read(value))


def _text_length(read: Read, length: Length) -> Read:
    least, most = length.least, length.most
    characters = "character" if least == 1 else "characters"

    def check(value: object) -> Any:
        found = read(value)
        if len(found) < least:
            said = length.says or f"String should have at least {least} {characters}"
            raise wrong("string_too_short", said, value, {"min_length": least})
        if most is not None and len(found) > most:
            said = f"String should have at most {most} character{'s' if most > 1 else ''}"
            raise wrong("string_too_long", said, value, {"max_length": most})
        return found

    return check


def _list_length(read: Read, length: Length) -> Read:
    def check(value: object) -> Any:
        found = read(value)
        size = len(found)
        for kind, bound, name, broken in (
            ("too_short", length.least, "least", size < length.least),
            ("too_long", length.most, "most", length.most is not None and size > length.most),
        ):
            if broken:
                items = "item" if bound == 1 else "items"
                said = f"List should have at {name} {bound} {items} after validation, not {size}"
                limit = "min_length" if name == "least" else "max_length"
                context = {"field_type": "List", limit: bound, "actual_length": size}
                raise wrong(kind, (name == "least" and length.says) or said, value, context)
        return found

    return check


def within(read: Read, bounds: Range) -> Read:
    """
    Add a check to *read* that the number lies within the bounds.
    """
    least, most = bounds.least, bounds.most

    def check(value: object) -> Any:
        found = read(value)
        if least is not None and found < least:
            said = bounds.says or f"Input should be greater than or equal to {least}"
            raise wrong("greater_than_equal", said, value, {"ge": least})
        if most is not None and found > most:
            said = bounds.says or f"Input should be less than or equal to {most}"
            raise wrong("less_than_equal", said, value, {"le": most})
        return found

    return check


def _matching(read: Read, pattern: Pattern) -> Read:
    def check(value: object) -> Any:
        found = read(value)
        if not pattern.matches(found):
            said = pattern.says or f"String should match pattern '{pattern.regex}'"
            raise wrong("string_pattern_mismatch", said, value, {"pattern": pattern.regex})
        return found

    return check
