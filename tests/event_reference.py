"""
The reference of all events, `docs/events.md`, made from their classes.

`python -m tests.event_reference` writes it again.
"""

import inspect
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from attrs import fields

import mission_core
from mission_core.events import Event

PAGE = Path(__file__).parents[1] / "docs/events.md"
COMMAND = "python -m tests.event_reference"
INTRODUCTION = f"""\
# Events

<!-- Made from the classes of the events. To write it again: {COMMAND} -->

The log of an organization records every change as an event, in the transaction of the change.
An entry of the log has a `position`, a `kind`, a moment (`at`), an `actor`, a `subject` (the id of what it is about),
and a `payload`: a JSON object with the fields below.

In a payload an id is a UUID as text, a moment is an integer of microseconds since 1970 in UTC, an enumeration is its
value, a list is an array, and another class (`Outcome`) is an object with its fields.
A field of type `… | None` may be null.
A field without a type is the entity's field of that name; its subject is the entity's id.
[Embedding](embedding.md#reading-the-log) shows how to read the log.
"""


def main() -> None:
    """
    Write the page.
    """
    PAGE.write_text(reference())


def reference() -> str:
    """
    The text of the page.
    """
    return "\n".join([INTRODUCTION, *(_section(area, own) for area, own in events().items() if own)])


def events() -> dict[str, list[type[Event]]]:
    """
    The classes of the events that each area exports, by kind.
    """
    areas = sorted(each.name for each in iter_modules(mission_core.__path__) if each.ispkg)
    packages = {area: import_module(f"mission_core.{area}") for area in areas}
    return {area: _events_of(package) for area, package in packages.items()}


def _events_of(package: ModuleType) -> list[type[Event]]:
    exported = (getattr(package, name) for name in package.__all__)
    found = [each for each in exported if isinstance(each, type) and issubclass(each, Event) and each is not Event]
    return sorted(found, key=lambda each: each.kind)


def _section(area: str, own: list[type[Event]]) -> str:
    return "\n".join([f"## {area.capitalize()}\n", *(_entry(area, each) for each in own)])


def _entry(area: str, event: type[Event]) -> str:
    about = " ".join((inspect.getdoc(event) or "").split())
    rows = [
        f"| `{each.name}` | {_type_name(each.type)} |{' the subject' if each.name == event.subject_field() else ''} |"
        for each in fields(event)
        if each.name != "at"
    ]
    title = f"### `{event.kind}`\n\n`mission_core.{area}.{event.__name__}`: {about}\n"
    return "\n".join([title, "| field | type | |", "|---|---|---|", *rows, ""])


def _type_name(annotation: Any) -> str:
    if annotation is None:  # a field of the entity itself
        return ""
    name = annotation if isinstance(annotation, str) else annotation.__name__
    return f"`{name}`".replace("|", "\\|")


if __name__ == "__main__":
    main()
