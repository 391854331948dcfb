"""An advisory that is imported is a line on every page that is open: by real wiring, database, TLS and Chromium."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, Request, async_playwright, expect
from tests.integration.console.conftest import ARGUMENTS, CHROMIUM
from tests.postgres_clusters import TestDatabase
from tests.support import require
from tests.support_fleet import deb, update
from tests.support_wired import Wired, advisory, running

CVE, NEXT = "CVE-2031-1001", "CVE-2031-1002"
CURL = [deb("curl", "1.0-1"), deb("libcurl4", "1.0-1", "curl"), deb("zlib1g", "1.2-1", "zlib")]


@pytest.fixture
async def wired(test_database: TestDatabase, tmp_path: Path) -> AsyncIterator[Wired]:
    async with running(test_database, tmp_path) as server:
        yield server


@asynccontextmanager
async def browsing(server: Wired) -> AsyncIterator[BrowserContext]:
    require(CHROMIUM.exists(), "Chromium (Debian: apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        context = await browser.new_context(ignore_https_errors=True)  # an authority of the installation's own
        await context.add_cookies([{"name": "brakeline_session", "value": server.cookie, "url": server.url}])
        yield context
        await browser.close()


async def opened(context: BrowserContext, address: str) -> Page:
    """A page whose stream is open, and that keeps a mark for as long as it is not loaded again."""
    page = await context.new_page()
    await page.goto(address)
    await expect(page.locator("#feed-state")).to_have_text("● live")
    await page.evaluate("window.sameDocument = true")
    return page


async def test_an_imported_advisory_is_a_line_on_every_page_that_is_open(wired: Wired) -> None:
    endpoint = await wired.fleet.enrol("web-1")
    await wired.fleet.inventory(endpoint, CURL, [update("zlib1g", "1.2-1", "1.2-2")])
    await wired.fleet.inventory(await wired.fleet.enrol("web-2"), CURL)
    async with browsing(wired) as context:
        lists = await opened(context, f"{wired.url}/vulnerabilities")
        filtered = await opened(context, f"{wired.url}/vulnerabilities?q=source:curl")
        overview = await opened(context, f"{wired.url}/")
        tab = await opened(context, f"{wired.url}/endpoints/{endpoint}/findings")
        await filtered.locator("#query").fill("source:zlib")  # typed, so that the list is another without a load
        await expect(filtered.locator("#vulnerability_list")).to_contain_text("No open finding matches this filter")
        answer = await wired.imported("osv-debian", advisory(CVE, "zlib", "1.2-2"))
        assert answer["outcome"] == "live"
        line = lists.locator("#news-card tbody tr").first
        await expect(line).to_contain_text(CVE)
        await expect(line.locator("td.num")).to_have_text(["2", "1", "0"])  # opened on, patchable now, closed on
        await expect(line).to_contain_text("● new")
        await expect(lists.locator("#news-newest")).to_have_text(
            f"{CVE} in zlib: open on 2 endpoints, 1 of them patchable now"
        )
        await expect(lists.locator(f"#x-{CVE}")).to_be_visible()
        await expect(filtered.locator(f"#x-{CVE}")).to_be_visible()
        await expect(filtered.locator("#vulnerability-rows tbody tr")).to_have_count(1)
        await expect(overview.locator("#overview-news-list li").first).to_contain_text(f"{CVE} in zlib: open on 2")
        await expect(tab.locator("#finding-news li").first).to_contain_text(f"New: {CVE} in zlib: fixable now")
        await expect(tab.locator("#findings tbody")).to_contain_text(CVE)
        for page in (lists, filtered, overview, tab):
            assert await page.evaluate("window.sameDocument") is True
        still = await context.new_page()
        await still.route("**/*.js*", lambda route: route.abort())  # as if the script had not come
        await still.goto(f"{wired.url}/vulnerabilities")
        await expect(still.locator("#news-card tbody tr").first).to_contain_text(CVE)


@pytest.mark.long
async def test_a_lost_stream_is_told_and_taken_up_where_it_was(wired: Wired) -> None:
    await wired.fleet.inventory(await wired.fleet.enrol("web-1"), CURL)
    asked: list[Request] = []
    async with browsing(wired) as context:
        page = await opened(context, f"{wired.url}/vulnerabilities")
        await page.route(re.compile(r"/vulnerabilities/feed"), lambda route: route.abort())
        wired.cut()
        await expect(page.locator("#stale-note")).to_be_visible()
        await expect(page.locator("#feed-state")).to_contain_text("✕ no news for")
        await wired.imported("osv-debian", advisory(NEXT, "curl", "3.0-1"))
        await expect(page.locator("#news-none")).to_be_visible()  # it hears nothing, and says so
        page.on("request", lambda request: asked.append(request) if "/feed" in request.url else None)
        await page.unroute(re.compile(r"/vulnerabilities/feed"))
        await expect(page.locator("#news-card tbody tr").first).to_contain_text(NEXT)
        await expect(page.locator("#feed-state")).to_have_text("● live")
        await expect(page.locator("#stale-note")).to_be_hidden()
        assert re.fullmatch("[0-9a-f]{16}", await asked[-1].header_value("last-event-id") or "")
