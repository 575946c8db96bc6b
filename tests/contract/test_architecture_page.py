"""
The request that the architecture page follows takes the way that the page describes.
"""

import inspect
import pkgutil
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import msgspec

from mission_http.main import application
from mission_http.settings import settings_from
from tests.documentation import PAGES, ROOT, section
from tests.unit.http.platform.sample_app import ask

STEP = re.compile(r"^\d+\. `([\w.]+)`", re.MULTILINE)
DOTTED = re.compile(r"`(mission_(?:core|adapters|http)\.[\w.]+)(?:\(\))?`")


async def test_the_request_goes_through_the_documented_steps_in_their_order(tmp_path: Path) -> None:
    """
    Of each step the first call counts; on SQLite some of them run on the driver's thread.
    """
    steps = STEP.findall(section("docs/architecture.md", "## One request, followed through the layers"))
    codes = {code_of(step): step for step in steps}
    seen: list[str] = []

    def traced(frame: FrameType, event: str, _: Any) -> None:
        step = codes.get(frame.f_code) if event == "call" else None
        if step is not None and step not in seen:
            seen.append(step)

    settings = settings_from({"API_KEY": "operator"}, data_dir=tmp_path)
    app = application(settings)
    threading.setprofile(traced)
    try:
        async with app.lifespan(None):
            project = {"name": "Demo", "gates": {"require_approval_for_done": False}}
            made = await ask(app, "POST", "/api/projects", msgspec.json.encode(project), key="operator")
            task = {"title": "Say hello", "project_id": made.json["project"]["id"]}
            await ask(app, "POST", "/api/tasks", msgspec.json.encode(task), key="operator")
            agent = await ask(app, "POST", "/api/agents", b'{"name": "ada", "role": "coder"}', key="operator")
            key = agent.json["agent_token"]
            claim = await ask(app, "POST", "/api/tasks/claim", b"{}", key=key)
            body = {"lease": claim.json["lease"]["lease"], "resolution": "hello"}
            seen.clear()
            sys.setprofile(traced)
            answer = await ask(app, "POST", "/api/tasks/1/complete", msgspec.json.encode(body), key=key)
            sys.setprofile(None)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  # the stubs lack None

    assert (200, "done") == (answer.status, answer.json["task"]["status"])
    assert steps == seen


def code_of(step: str) -> CodeType:
    function: Callable[..., Any] = inspect.unwrap(pkgutil.resolve_name(step))
    return function.__code__


def test_every_name_in_the_documentation_exists() -> None:
    """
    Modules, classes, functions and methods, named in full.
    """
    for page in PAGES:
        for name in DOTTED.findall(page.read_text()):
            assert pkgutil.resolve_name(name) is not None, f"{page.relative_to(ROOT)} names {name}"
