"""
The pages of the documentation, and the samples in them.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *sorted(ROOT.glob("docs/*.md"))]


def section(page: str, heading: str) -> str:
    """
    The text below a heading, up to the next one. A line that begins with `#` inside a sample is no heading.
    """
    _, found, rest = (ROOT / page).read_text().partition(f"\n{heading}\n")
    assert found, f"{page} has no heading {heading!r}"
    lines, inside = [], False
    for line in rest.splitlines(keepends=True):
        if line.startswith("#") and not inside:
            break
        inside ^= line.startswith("```")
        lines.append(line)
    return "".join(lines)


def samples(page: str, heading: str, language: str) -> list[str]:
    """
    The code blocks of one language below a heading.
    """
    return re.findall(rf"```{language}\n(.*?)```", section(page, heading), re.DOTALL)


def sample(page: str, heading: str, language: str) -> str:
    """
    The only code block of this language below a heading.
    """
    (found,) = samples(page, heading, language)
    return found


def environment(page: str, heading: str) -> dict[str, str]:
    """
    The variables that the shell sample below a heading sets, one on each line.
    """
    lines = sample(page, heading, "sh").splitlines()
    return dict(line.split("=", 1) for line in lines)


def rows(page: str) -> list[list[str]]:
    """
    The cells of every row of the page's tables, without headings.
    """
    lines = [line for line in (ROOT / page).read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
