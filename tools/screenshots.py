"""Takes the README's pictures of a rollout from a running console, in light and dark: they cannot lie.

From a server: `tools/screenshots.py --url https://127.0.0.1:8443 --login-link https://… [--page /rollouts/ro_…]`
(without --page: the newest halted rollout, else the newest). `docs/images` shows what `./dev fleet bad-update` led to,
taken with `--until '#two-c'`. Without --url: from the sample data of the twin
(`console.showroom`). Needs Chromium (Debian: apt-get install chromium).
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from tools.ports import free_port

ROOT = Path(__file__).parents[1]
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
BYTES_MAX = 200_000  # of one picture: the README is read over slow lines too
SIZE = (1480, 880)
MARGIN = 10


@contextmanager
def twin() -> Iterator[str]:
    """The console over sample data, as long as the block runs; gives its address."""
    port = free_port()
    command = [sys.executable, "-m", "brakeline.console.showroom", "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT / "src")})
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/login", timeout=2).close()
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def enter(page: Page, options: argparse.Namespace, url: str) -> None:
    """By one-time link (sets a password that is printed), by address and password, or as the twin's owner."""
    if options.login_link:
        page.goto(options.login_link)
        password = secrets.token_urlsafe(16)
        page.locator("#password").fill(password)
        page.locator("#set-password").click()
        print(f"the login link is used up; the owner's password is now {password}", file=sys.stderr)
    elif options.email:
        page.goto(f"{url}/login")
        page.locator("#email").fill(options.email)
        page.locator("#password").fill(options.password or os.environ["BRAKELINE_PASSWORD"])
        page.locator("#log-in").click()
    else:
        page.context.add_cookies([{"name": "brakeline_session", "value": "twin-1-owner", "url": url}])
    page.wait_for_load_state("load")


def newest_rollout(page: Page, url: str) -> str:
    """The newest halted rollout, else the newest of all."""
    for state in ("?state=halted", ""):
        page.goto(f"{url}/rollouts{state}")
        links = page.locator("table a[href^='/rollouts/ro_']")
        if links.count():
            return links.first.get_attribute("href") or ""
    raise SystemExit("there is no rollout on this server: start one, or give --page")


def crop(page: Page, selector: str) -> None:
    """Let the window end below the element that the story ends with."""
    box = page.locator(selector).bounding_box()
    if box is None:
        raise SystemExit(f"the page shows no {selector}")
    page.set_viewport_size({"width": SIZE[0], "height": round(box["y"] + box["height"]) + MARGIN})


def take(options: argparse.Namespace, url: str) -> None:
    """Both pictures."""
    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = browser.new_context(
            viewport={"width": SIZE[0], "height": SIZE[1]}, ignore_https_errors=True, reduced_motion="reduce"
        )
        page = context.new_page()
        enter(page, options, url)
        target = options.page or newest_rollout(page, url)
        for scheme in ("light", "dark"):
            page.set_viewport_size({"width": SIZE[0], "height": SIZE[1]})
            page.emulate_media(color_scheme=scheme)
            page.goto(url + target)
            page.locator("#feed-state[data-state=live]").wait_for(timeout=15_000)
            if options.until:
                crop(page, options.until)
            picture = options.out / f"{options.name}-{scheme}.png"
            page.screenshot(path=str(picture))
            size = picture.stat().st_size
            print(f"{picture} {size:,} bytes")
            if size > BYTES_MAX:
                raise SystemExit(f"{picture} has more than {BYTES_MAX:,} bytes")
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="address of a running server; without it the twin's sample data")
    parser.add_argument("--login-link", help="one-time link of the owner (it is used up)")
    parser.add_argument("--email", help="log in with this address")
    parser.add_argument("--password", help="and this password, or BRAKELINE_PASSWORD")
    parser.add_argument("--page", default="", help="path to take, such as /rollouts/ro_…")
    parser.add_argument("--until", default="", help="selector of the element below which the picture ends")
    parser.add_argument("--name", default="rollout", help="beginning of the file names")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images")
    options = parser.parse_args()
    if options.url:
        take(options, options.url.rstrip("/"))
        return
    options.page = options.page or "/rollouts/ro_halted"
    with twin() as url:
        take(options, url)


if __name__ == "__main__":
    main()
