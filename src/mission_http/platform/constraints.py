"""
Checks of the annotations `Length`, `NumberRange`, `TextPattern` and `CustomCheck`, each added to a function that reads
a value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mission_http.platform.errors import single_value_error
from mission_http.platform.field_annotations import CustomCheck, Length, NumberRange, TextPattern

ValueReader = Callable[[Any], Any]


def with_constraints(read: ValueReader, kind: Any, words: tuple[Any, ...]) -> ValueReader:
    """
    Add the checks that the annotations in *words* ask for to *read*.
    """
    for word in words:
        if isinstance(word, Length):
            read = _with_text_length(read, word) if kind is str else _with_list_length(read, word)
        elif isinstance(word, NumberRange):
            read = with_range(read, word)
        elif isinstance(word, TextPattern):
            read = _with_pattern(read, word)
        elif isinstance(word, CustomCheck):
            read = _then(read, word.check)
    return read


def _then(read: ValueReader, check: ValueReader) -> ValueReader:
    return lambda value: check(read(value))


def _with_text_length(read: ValueReader, length: Length) -> ValueReader:
    least, most = length.least, length.most
    characters = "character" if least == 1 else "characters"

    def check(value: object) -> Any:
        found = read(value)
        if len(found) < least:
            said = length.says or f"String should have at least {least} {characters}"
            raise single_value_error("string_too_short", said, value, {"min_length": least})
        if most is not None and len(found) > most:
            said = f"String should have at most {most} character{'s' if most > 1 else ''}"
            raise single_value_error("string_too_long", said, value, {"max_length": most})
        return found

    return check


def _with_list_length(read: ValueReader, length: Length) -> ValueReader:
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
                raise single_value_error(kind, (name == "least" and length.says) or said, value, context)
        return found

    return check


def with_range(read: ValueReader, bounds: NumberRange) -> ValueReader:
    """
    Add a check to *read* that the number lies within the bounds.
    """
    least, most = bounds.least, bounds.most

    def check(value: object) -> Any:
        found = read(value)
        if least is not None and found < least:
            said = bounds.says or f"Input should be greater than or equal to {least}"
            raise single_value_error("greater_than_equal", said, value, {"ge": least})
        if most is not None and found > most:
            said = bounds.says or f"Input should be less than or equal to {most}"
            raise single_value_error("less_than_equal", said, value, {"le": most})
        return found

    return check


def _with_pattern(read: ValueReader, pattern: TextPattern) -> ValueReader:
    def check(value: object) -> Any:
        found = read(value)
        if not pattern.matches(found):
            said = pattern.says or f"String should match pattern '{pattern.regex}'"
            raise single_value_error("string_pattern_mismatch", said, value, {"pattern": pattern.regex})
        return found

    return check
