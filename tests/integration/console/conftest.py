"""Real headless Chromium against the console: the twin in a process of its own, so that it can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import expect as expect_async
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from tests.support import require
from tools.ports import free_port

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SRC = Path(__file__).parents[3] / "src"
for one in (expect, expect_async):
    one.set_options(timeout=30_000)  # a limit for what has failed; what works is seen as soon as it is there


class Twin:
    """`python -m brakeline.console.showroom`, started, killed and started again on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "brakeline.console.showroom", "--port", str(self.port), "--tick", "0.5"]
        self.process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(SRC)})
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/login", timeout=2):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.05)
        raise AssertionError("the twin did not start within 30 s")

    def end(self, sig: signal.Signals) -> float:
        """Send `sig`; seconds until the process had ended."""
        assert self.process is not None
        before = time.monotonic()
        self.process.send_signal(sig)
        self.process.wait(timeout=20)
        return time.monotonic() - before


@pytest.fixture
def twin() -> Iterator[Twin]:
    """A running twin of this test's own."""
    made = Twin()
    made.start()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end(signal.SIGKILL)


@pytest.fixture(scope="module")  # not longer: its loop would stand in the way of asynchronous tests
def chromium() -> Iterator[Browser]:
    require(CHROMIUM.exists(), "Chromium (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


Open = Callable[..., Page]


@pytest.fixture
def visit(chromium: Browser, twin: Twin) -> Iterator[Open]:
    """`visit(path, role=, width=, scheme=, script=)`: a page of a fresh, logged-in browser context."""
    contexts: list[BrowserContext] = []

    def go(
        path: str, *, role: str = "owner", width: int = 1440, scheme: Literal["light", "dark"] = "light",
        script: bool = True,
    ) -> Page:  # fmt: skip
        height = 844 if width < 600 else 900
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=script
        )
        contexts.append(context)
        number = {"owner": 1, "viewer": 2}[role]
        context.add_cookies([{"name": "brakeline_session", "value": f"twin-{number}-{role}", "url": twin.url}])
        page = context.new_page()
        page.goto(twin.url + path)
        return page

    yield go
    for context in contexts:
        context.close()
