"""
The pages of the documentation agree with the code and with each other.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mission_http.doctor.variable_names import KNOWN_VARIABLES, misspelled_variables
from mission_http.main import application
from mission_http.platform.rate_limits import RATE_LIMIT_CLASSES
from mission_http.rate_limit_settings import CLASS_BY_VARIABLE
from mission_http.settings import SUBSCRIPTION_VARIABLE, settings_from
from tests.documentation import PAGES, ROOT, environment, rows, samples, section

CONFIGURATION = "docs/configuration.md"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
QUOTA = re.compile(r"(\d+) in (any )?(\d+) s")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    """
    Links to other hosts are not followed.
    """
    for target in LINK.findall(page.read_text()):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}"


def anchors(page: Path) -> set[str]:
    """
    The anchors of a page's headings, as GitHub makes them.
    """
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_readme() -> None:
    """
    By links alone: a page that nobody links to is not found.
    """
    reached, found = set[Path](), [ROOT / "README.md"]
    while found:
        page = found.pop()
        if page not in reached and page in PAGES:
            reached.add(page)
            found += [(page.parent / target.partition("#")[0]).resolve() for target in LINK.findall(page.read_text())]

    assert set(PAGES) == reached


def test_every_variable_is_documented_and_every_documented_one_is_read() -> None:
    """
    Except those that are named after a model provider, and the quotas, which are documented by class.
    """
    cells = [row[0] for row in rows(CONFIGURATION)]
    named = {name for cell in cells for name in re.findall(r"`([A-Z][A-Z0-9_]{5,})`", cell)}
    families = {name for cell in cells for name in re.findall(r"`([A-Z_]+<[A-Z]+>[A-Z_]*)`", cell)}

    assert KNOWN_VARIABLES - set(CLASS_BY_VARIABLE) == named
    assert {"RATE_LIMIT_<CLASS>", "MC_<PROVIDER>_SUBSCRIPTION"} == families
    assert SUBSCRIPTION_VARIABLE.fullmatch("MC_ANTHROPIC_SUBSCRIPTION")


def test_the_rate_limits_that_operations_have_are_documented() -> None:
    """
    With the quota that each class has unless a variable says otherwise, and what it is counted by.
    """
    documented = {}
    for name, requests, per, _ in (row for row in rows(CONFIGURATION) if len(row) == 4):
        if quota := QUOTA.fullmatch(requests):
            documented[name.strip("`")] = (int(quota[1]), int(quota[3]), bool(quota[2]), per)
    used = {limit["class"] for operation in operations().values() for limit in operation.get("x-ratelimit", ())}
    defaults = {
        name: (each.quota.amount, each.quota.seconds, each.quota.sliding, each.per.name)
        for name, each in RATE_LIMIT_CLASSES.items()
        if name in used
    }

    assert defaults == documented


SETTINGS = [
    (CONFIGURATION, "## The five that matter first"),
    (CONFIGURATION, "## Rate limits"),
    ("docs/deployment.md", "## Settings"),
    ("docs/deployment.md", "## Several servers"),
]


@pytest.mark.parametrize(("page", "heading"), SETTINGS)
def test_sample_settings_are_read_as_they_stand(page: str, heading: str, tmp_path: Path) -> None:
    """
    None of them is malformed, unknown, or about another name than the public one.
    """
    sample = environment(page, heading)
    settings = settings_from(sample, data_dir=tmp_path, in_use=False)

    assert [] == list(misspelled_variables(sample))
    assert set(sample) <= KNOWN_VARIABLES
    assert settings.network.host is None or settings.network.allows(settings.network.host)


def test_the_operations_that_are_served_are_named() -> None:
    """
    Each one is below a path of the README's table, and each of these paths leads to one.
    """
    table = section("README.md", "## What is served")
    prefixes = [re.sub(r"\{\w+\}", "{}", each) for each in re.findall(r"`(/[^`]*)`", table)]
    paths = [re.sub(r"\{\w+\}", "{}", each.partition(" ")[2]) for each in operations()]

    assert [] == [path for path in paths if not any(below(path, prefix) for prefix in prefixes)]
    assert ["/openapi.json"] == [prefix for prefix in prefixes if not any(below(path, prefix) for path in paths)]


def below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


@cache
def operations() -> dict[str, Any]:
    """
    The operations of the OpenAPI document, by method and path.
    """
    app = application(settings_from({}, data_dir=ROOT / "nowhere", in_use=False))
    paths = json.loads(app.documents.encoded())["paths"]
    methods = ("get", "put", "post", "patch", "delete")
    return {f"{method} {path}": paths[path][method] for path in paths for method in methods if method in paths[path]}


def test_the_five_that_matter_come_first() -> None:
    """
    In a table of five, and a sample that sets them.
    """
    heading = "## The five that matter first"
    table = [line for line in section(CONFIGURATION, heading).splitlines() if line.startswith("| `")]

    assert list(environment(CONFIGURATION, heading)) == [re.findall(r"`(\w+)`", line)[0] for line in table]
    assert 5 == len(table)


def test_the_readme_is_short() -> None:
    """
    Details stand in the other pages.
    """
    readme = (ROOT / "README.md").read_text()
    tour = samples("README.md", "## A short tour", "sh")

    assert len(readme.splitlines()) <= 160
    assert [10] == [len(each.splitlines()) for each in tour]
