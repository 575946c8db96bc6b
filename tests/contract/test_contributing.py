"""
The worked examples of CONTRIBUTING.md: each is applied to a copy of the source, and its own tests pass there.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documentation import ROOT, section

pytestmark = pytest.mark.real_time

DIFF = re.compile(r"```diff\n--- (\S+)\n(.*?)```", re.DOTALL)
NEW_FILE = re.compile(r"^`(\S+\.py)`(?: is new)?:\n\n```python\n(.*?)```", re.DOTALL | re.MULTILINE)
PYTEST = re.compile(r"^pytest (.+)$", re.MULTILINE)
TOP = ("src", "tests", "docs", "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "pyproject.toml")
HEADINGS = re.findall(r"^## How to add .+$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
EXAMPLES = [heading for heading in HEADINGS if "```" in section("CONTRIBUTING.md", heading)]
"""The other ones only link to a page that has its own test."""


@pytest.mark.parametrize("heading", EXAMPLES)
def test_the_example_works_as_it_stands(heading: str, tmp_path: Path) -> None:
    """
    Its changes fit the source, the tests that it names pass with them, and its own fail without them.
    """
    text = section("CONTRIBUTING.md", heading)
    copied(tmp_path)
    added = dict(NEW_FILE.findall(text))
    for name, content in added.items():
        assert not (tmp_path / name).exists()
        (tmp_path / name).write_text(content)
    (command,) = PYTEST.findall(text)
    before = pytest_in(tmp_path, *(name for name in added if name.startswith("tests/")))
    for name, changes in DIFF.findall(text):
        change(tmp_path / name, changes)
    after = pytest_in(tmp_path, *command.split())

    assert 0 != before.returncode, before.stdout
    assert 0 == after.returncode, after.stdout + after.stderr


def copied(folder: Path) -> None:
    """
    Copy what the tests of an example may read.
    """
    for name in TOP:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / name)


def change(file: Path, changes: str) -> None:
    """
    Apply hunks without line numbers, separated by `@@`: the old lines of each stand once in the file.
    """
    content = file.read_text()
    for hunk in re.split(r"^@@.*\n", changes, flags=re.MULTILINE):
        if not hunk.strip():
            continue
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] or "\n" for line in lines if line[0] != "+")
        after = "".join(line[1:] or "\n" for line in lines if line[0] != "-")
        assert 1 == content.count(before), f"{file.name} has {content.count(before)} of these lines:\n{before}"
        content = content.replace(before, after)
    file.write_text(content)


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
