"""
The documentation page, as a server serves it and a browser shows it.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mission_http.platform.docs_page import FILES
from tests.contract.chromium import Tab, complaints_of, hosts_of, opened, with_chromium
from tests.contract.populated_app import DIALECTS
from tests.contract.server_commands import serving

pytestmark = pytest.mark.real_time

PATHS = "[...document.querySelectorAll('.opblock-summary-path')].map(path => path.dataset.path)"
HEALTH = "#operations-health-healthz_healthz_get"


def test_the_paths_of_the_page_are_in_neither_api() -> None:
    prefixes = tuple(f"{prefix}/" for one in DIALECTS for prefix in (one.prefix, *one.also))
    operations = {dialect.path_of(endpoint) for dialect in DIALECTS for endpoint in dialect.endpoints}

    assert not {"/docs", *FILES} & operations
    assert not [path for path in FILES if path.startswith(prefixes)]


@pytest.fixture
def docs(tmp_path: Path) -> Iterator[str]:
    """
    The address of the page on a new server.
    """
    with serving(cwd=tmp_path) as (port, _):
        yield f"http://127.0.0.1:{port}/docs"


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    with opened(tmp_path / "profile") as tab:
        yield tab


@with_chromium
def test_a_browser_shows_both_apis_without_a_complaint(docs: str, tab: Tab) -> None:
    """
    It asks no other host for anything.
    """
    tab.send("Page.navigate", url=docs)
    tab.wait_for(f"{PATHS}.some(path => path.startsWith('/api/v1/'))")
    tab.wait_for(f"(scrollTo(0, document.body.scrollHeight), {PATHS}.includes('/api/docs'))")  # drawn when in sight

    assert [] == complaints_of(tab)
    assert {urlsplit(docs).netloc} == hosts_of(tab)


@with_chromium
def test_an_operation_can_be_tried_out(docs: str, tab: Tab) -> None:
    """
    Under the policy of the page.
    """
    tab.send("Page.navigate", url=docs)
    for button in ("opblock-summary-control", "try-out__btn", "execute"):
        tab.click(f"{HEALTH} .{button}")
    answer = f"document.querySelector('{HEALTH} .live-responses-table tbody')"
    status = tab.wait_for(f"{answer}?.querySelector('.response-col_status')?.textContent")

    assert status.startswith("200")
    assert '"ok": true' in tab.evaluate(f"{answer}.textContent")
    assert [] == complaints_of(tab)
    assert {urlsplit(docs).netloc} == hosts_of(tab)


@with_chromium
def test_the_schema_of_a_body_is_shown_with_its_descriptions(docs: str, tab: Tab) -> None:
    """
    Swagger UI is given no more of the document than the schema leads to, which must be enough.
    """
    operation = "#operations-agents-create_agent_api_v1_agents_post"
    tab.send("Page.navigate", url=docs)
    for opening in (".opblock-summary-control", "[data-name=model]"):
        tab.click(f"{operation} {opening}")
    button = ".json-schema-2020-12-property .json-schema-2020-12-expand-deep-button"
    field = f"document.querySelector('{operation} {button}')"
    told = f"document.querySelector('{operation}').textContent.includes('The board that the agent works on.')"
    tab.wait_for(f"{told} || ({field}?.click(), false)")  # what is drawn anew is folded again

    assert tab.evaluate("document.querySelector('.errors-wrapper') == null")
    assert [] == complaints_of(tab)
