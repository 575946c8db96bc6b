"""
Soul templates: Markdown files in an optional directory that the operator configures.

Three placeholders in a template are replaced by values; a template is never executed.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Final, NamedTuple

from attrs import define, frozen

from mission_core.errors import NotFound
from mission_core.values import UNSTORABLE

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
PLACEHOLDER: Final = re.compile(r"\{\{(AGENT_NAME|AGENT_ROLE|TIMESTAMP)\}\}")
HEADING: Final = re.compile(r"^#+[ \t]+(\S.*?)[ \t#]*$", re.MULTILINE)
SUFFIX: Final = ".md"


@define
class TemplateNotFound(NotFound):
    """
    There is no soul template with this name.
    """

    name: str

    says = "Template not found"


class SoulTemplate(NamedTuple):
    """
    A soul template: its name, its first heading as description, and its size in bytes.
    """

    name: str
    description: str
    size: int


@frozen
class SoulTemplates:
    """
    The soul templates in a directory. Without a directory there are none.
    """

    directory: Path | None

    async def names(self) -> list[str]:
        """
        List the names, sorted.
        """
        return await asyncio.to_thread(lambda: sorted(path.stem for path in self._files()))

    async def all_templates(self) -> list[SoulTemplate]:
        """
        List the templates, sorted by name.
        """
        return await asyncio.to_thread(lambda: [_template_from(path) for path in sorted(self._files())])

    async def read(self, name: str) -> str:
        """
        Read the text of a template.

        Raises:
            TemplateNotFound: If there is no template with this name.
        """

        def text() -> str:
            path = next((path for path in self._files() if path.stem == name), None)
            if path is None:
                raise TemplateNotFound(name)
            return _text_in(path)

        return await asyncio.to_thread(text)

    def _files(self) -> list[Path]:
        if self.directory is None or not self.directory.is_dir():
            return []
        return [path for path in self.directory.glob(f"*{SUFFIX}") if NAME.fullmatch(path.stem) and path.is_file()]


def _template_from(path: Path) -> SoulTemplate:
    heading = HEADING.search(_text_in(path))
    return SoulTemplate(path.stem, heading[1] if heading else f"{path.stem} template", path.stat().st_size)


def _text_in(path: Path) -> str:
    return UNSTORABLE.sub("", path.read_text(encoding="utf-8", errors="replace"))


def fill_template(template: str, *, name: str, role: str, timestamp: str) -> str:
    """
    Replace the placeholders of a template with values. Placeholders inside values are not replaced.
    """
    values = {"AGENT_NAME": name, "AGENT_ROLE": role, "TIMESTAMP": timestamp}
    return PLACEHOLDER.sub(lambda found: values[found[1]], template)
