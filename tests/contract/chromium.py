"""
A headless Chromium, driven by the Chrome DevTools Protocol over a pipe.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from select import select
from time import monotonic
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import pytest
from attrs import define, field

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PROGRAM = next(filter(None, map(shutil.which, PROGRAMS)), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync",
    "--window-size=1200,2000", "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE = 120.0
NAVIGATED = re.compile("navigated|context was destroyed|Cannot find context")

with_chromium = pytest.mark.skipif(PROGRAM is None, reason=f"no browser on the PATH: none of {', '.join(PROGRAMS)}")


class Navigated(Exception):
    """
    The tab went to another page before the result was known.
    """


@define
class Tab:
    """
    A tab of the browser. It keeps the events that the browser reports.
    """

    commands: BinaryIO
    answers: BinaryIO
    session: str | None = None
    events: list[dict[str, Any]] = field(factory=list)
    _last: int = 0
    _unread: bytes = b""

    def send(self, method: str, **parameters: Any) -> Any:
        """
        Send a command, and wait for its result.
        """
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        self.commands.write(json.dumps(message).encode() + b"\0")
        self.commands.flush()
        while True:
            told = self._next()
            if told.get("id") == self._last:
                if NAVIGATED.search(told.get("error", {}).get("message", "")):
                    raise Navigated
                assert "error" not in told, told
                return told["result"]
            self.events.append(told)

    def evaluate(self, expression: str) -> Any:
        """
        The value of a JavaScript expression in the page.
        """
        told = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """
        The value of a JavaScript expression once it is true, in this page or the one that the tab goes to meanwhile.
        """
        while True:
            with suppress(Navigated):
                return self._wait_here(expression)

    def _wait_here(self, expression: str) -> Any:
        value = self.evaluate(
            f"""new Promise((found, failed) => {{
                const ends = Date.now() + {PATIENCE * 500};
                const look = () => {{
                    const value = {expression};
                    if (value) found(value);
                    else if (Date.now() > ends) found(null);
                    else setTimeout(look, 50);
                }};
                look();
            }})"""
        )
        assert value is not None, f"never true: {expression}"
        return value

    def click(self, selector: str) -> None:
        """
        Click an element once it is there.
        """
        self.wait_for(f"(found => found && (found.click(), true))(document.querySelector({json.dumps(selector)}))")

    def told(self, method: str) -> list[dict[str, Any]]:
        """
        The parameters of the events of one kind so far.
        """
        return [event["params"] for event in self.events if event.get("method") == method]

    def _next(self) -> Any:
        ends = monotonic() + PATIENCE
        while b"\0" not in self._unread:
            ready, _, _ = select([self.answers], [], [], max(0.0, ends - monotonic()))
            assert ready, "the browser does not answer"
            chunk = os.read(self.answers.fileno(), 1 << 20)
            assert chunk, "the browser has ended"
            self._unread += chunk
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)


@contextmanager
def opened(profile: Path) -> Iterator[Tab]:
    """
    An empty tab of a new browser, which reports requests, exceptions and lines of the console.
    """
    assert PROGRAM is not None
    (reads, commands), (answers, writes) = os.pipe(), os.pipe()
    theirs = [fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in (reads, writes)]
    command = [PROGRAM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with (
        os.fdopen(commands, "wb") as to,
        os.fdopen(answers, "rb", buffering=0) as back,
        subprocess.Popen(
            command, pass_fds=(3, 4), preexec_fn=partial(_as_three_and_four, *theirs), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as browser,
    ):  # fmt: skip
        for each in (reads, writes, *theirs):
            os.close(each)
        tab = Tab(to, back)
        try:
            target = tab.send("Target.createTarget", url="about:blank")["targetId"]
            tab.session = tab.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
                tab.send(f"{domain}.enable")
            yield tab
        finally:
            browser.terminate()


def _as_three_and_four(reads: int, writes: int) -> None:
    os.dup2(reads, 3)  # where Chromium looks for its pipes
    os.dup2(writes, 4)


def complaints_of(tab: Tab) -> list[object]:
    """
    What a console shows as errors or warnings, and what the policy refused.
    """
    lines = [line for line in tab.told("Runtime.consoleAPICalled") if line["type"] in ("error", "warning", "assert")]
    entries = [told["entry"] for told in tab.told("Log.entryAdded") if told["entry"]["level"] in ("error", "warning")]
    issues = [told["issue"] for told in tab.told("Audits.issueAdded")]
    refused = [issue for issue in issues if issue["code"] == "ContentSecurityPolicyIssue"]
    return [*lines, *entries, *tab.told("Runtime.exceptionThrown"), *refused]


def hosts_of(tab: Tab) -> set[str]:
    """
    The hosts that the browser sent requests to.
    """
    asked = [urlsplit(told["request"]["url"]) for told in tab.told("Network.requestWillBeSent")]
    return {url.netloc for url in asked if url.scheme != "data"}
