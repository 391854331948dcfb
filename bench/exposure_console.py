"""From the import of an advisory to its line on a page that is open: a real server, PostgreSQL, TLS and Chromium.

The fleet is `bench._estate`'s, written down as a server would have left it (`bench._kept`); the server is the one that
`server.wiring` builds, all its parts running but the comparison of the index with inventories, which are not there. The
advisory comes through the API as one OSV document of a feed of its own; the line is seen by an observer inside the
page. Parts are CPU-seconds of the server's process, threads and whatever else it does meanwhile included; the clock's
time is told as what it was on this machine. `--endpoints N` (100,000), `--imports N` (12), `--readers N` (200): so many
further consoles on the same list for a second series, `--json FILE`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from bench import _estate
from bench._kept import write_fleet
from bench._proc import cpu_s, python, report, tree
from bench.exposure import percentiles
from brakeline.console.render import Renderer
from brakeline.exposure.model import Role
from brakeline.platform.clock import SystemClock
from brakeline.platform.migrate import migrate
from brakeline.platform.postgres import start_postgres
from brakeline.platform.postgres_roles import Dsns
from brakeline.platform.settings import Settings
from brakeline.platform.tls import ensure_tls
from brakeline.server.serve import listen, make_server, started
from brakeline.server.wiring import Services, build

CHROMIUM, ALMA = "/usr/bin/chromium", "osv-almalinux"
REACHED = (
    0.01  # of the endpoints have the package that an advisory is about, about: counting them is not in the figures
)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
OBSERVE = """() => { window.seen = {}; new MutationObserver(() => {
  for (const link of document.querySelectorAll("#news-card th a")) {
    window.seen[link.textContent] ??= performance.timeOrigin + performance.now(); }
}).observe(document.body, {subtree: true, childList: true, characterData: true}); }"""
PARTS = ("accepted", "read", "told", "rendered")  # in this order; each from the end of the one before
LABELS = {
    "accepted": "the file read, weighed against the fleet, written and committed, CPU-s",
    "read": "what is known of advisories brought up to date, CPU-s",
    "told": "whom it concerns, committed and told, CPU-s",
    "rendered": "the list of the fleet rendered once for everybody, CPU-s",
}


class Marks:
    """CPU-seconds of this process when each part of one import was done."""

    def __init__(self, services: Services) -> None:
        self.at: dict[str, float] = {}
        exposure, advisories = services.exposure, services.advisories
        advisories.on_live = self._after(advisories.on_live, "accepted")
        exposure._known_anew = self._then(exposure._known_anew, "read")  # type: ignore
        exposure._tell = self._after(exposure._tell, "told")  # type: ignore
        message = Renderer.message
        marks = self

        def rendered(self: Renderer, name: str, *rest: Any) -> str:
            text = message(self, name, *rest)
            if name == "vulnerabilities" and "told" in marks.at:
                marks.at.setdefault("rendered", time.process_time())
            return text

        Renderer.message = rendered  # type: ignore

    def _after(self, work: Callable[..., Awaitable[Any]], name: str) -> Callable[..., Awaitable[Any]]:
        async def done(*given: Any) -> Any:
            found = await work(*given)
            if name != "told" or found:  # whoever looks asks whether there is something to tell
                self.at.setdefault(name, time.process_time())
            return found

        return done

    def _then(self, work: Callable[..., Any], name: str) -> Callable[..., Any]:
        def done(*given: Any) -> Any:
            found = work(*given)
            if "accepted" in self.at:  # weighing reads the book that was, too
                self.at.setdefault(name, time.process_time())
            return found

        return done


class Bench:
    """A running server, a page that is open, and imports one after another."""

    def __init__(self, services: Services, url: str, ca: Path, names: list[str]) -> None:
        self.services, self.url, self.ca, self.names = services, url, ca, names
        self.marks, self.token, self.cookie = Marks(services), "", ""
        self.documents: list[dict[str, Any]] = []

    async def enter(self) -> str:
        link = await self.services.tenancy.bootstrap()
        assert link is not None
        session = await self.services.tenancy.redeem_login_link(link.secret)
        self.cookie, owner = session.cookie, session.principal
        self.token = (await self.services.tenancy.create_token(owner, "bench")).secret
        return owner.tenant_id

    async def one(self, page: Page, number: int) -> dict[str, float]:
        """One more advisory; seconds by part, and how long until its line was there."""
        cve, name = f"CVE-2031-{number}", self.names[number % len(self.names)]
        self.documents.append(document(cve, name, len(self.documents)))
        self.marks.at, begun = {}, time.process_time()
        everything, moment = cpu_s(tree(os.getpid())), time.time()
        await asyncio.to_thread(self._post, "\n".join(map(json.dumps, self.documents)).encode())
        await page.wait_for_function("cve => window.seen[cve]", arg=cve, timeout=600_000)
        found = {"all": cpu_s(tree(os.getpid())) - everything}
        seen = await page.evaluate("cve => window.seen[cve]", cve)
        for part in PARTS:
            mark = self.marks.at.get(part, begun)  # somebody else looked before all were told: it is in the part before
            found[part], begun = mark - begun, mark
        return found | {"line": seen / 1000 - moment, "whole": sum(found[part] for part in PARTS)}

    def _post(self, body: bytes) -> None:
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/octet-stream"}
        request = urllib.request.Request(f"{self.url}/api/v1/content/osv-debian/import", body, headers)
        context = ssl.create_default_context(cafile=str(self.ca))
        with urllib.request.urlopen(request, timeout=600, context=context) as answer:
            assert json.load(answer)["outcome"] == "live"

    def readers(self, count: int) -> subprocess.Popen[bytes]:
        """So many consoles on the same list, without a browser, in a process of their own."""
        command = [python(), "-m", "bench.exposure_console", "--read", self.url, str(self.ca), self.cookie, str(count)]
        return subprocess.Popen(command, stdout=subprocess.PIPE)


def document(cve: str, package: str, minute: int) -> dict[str, Any]:
    """An advisory that nothing on offer closes, in OSV's shape; each newer than the one before."""
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99:0-1"}]}]
    at = f"2026-11-20T{minute // 60:02}:{minute % 60:02}:00Z"
    return {"id": f"DEBIAN-{cve}", "modified": at, "published": at, "aliases": [cve],
            "affected": [{"package": {"ecosystem": "Debian:12", "name": package}, "ranges": ranges}]}  # fmt: skip


async def read(url: str, ca: str, cookie: str, count: int) -> None:
    """Open `count` streams, say so, and throw away what comes, until killed."""
    context, port = ssl.create_default_context(cafile=ca), int(url.rpartition(":")[2])
    asked = f"GET /vulnerabilities/feed HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: text/event-stream\r\ncookie: "
    asked += f"brakeline_session={cookie}\r\n\r\n"

    async def one() -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(asked.encode())
        await reader.readuntil(b"hx-partial")
        return reader

    async def drain(reader: asyncio.StreamReader) -> None:
        while True:
            try:
                while await reader.read(1 << 16):
                    pass
            except (OSError, ssl.SSLError):
                pass  # a browser would connect again, too
            reader = await one()

    streams = [await one() for _ in range(count)]
    print("open", flush=True)
    await asyncio.gather(*map(drain, streams))


async def measured(endpoints: int, imports: int, readers: int) -> dict[str, Any]:
    rows = _estate.advisories()
    units, made, newest = _estate.estates(rows)
    index = _estate.index_for(endpoints, units, made, newest, 7)
    names = sorted(
        (name for name in index.orders if name[0] == _estate.DEBIAN and name[2] is Role.ACTIVE),
        key=lambda n: abs(len(index.keys.union(one for _, one in index.orders[n])) - endpoints * REACHED),
    )[: 2 * imports + 2]
    with tempfile.TemporaryDirectory(prefix="bl-console-") as directory:
        Path(directory).chmod(0o755)
        running = await start_postgres(Path(directory) / "data")
        try:
            await migrate(running.dsn_owner)
            dsns = Dsns(running.dsn_owner, running.dsn_app, running.dsn_feed)
            return await _served(Path(directory), dsns, index, [name[1] for name in names], imports, readers)
        finally:
            await running.stop()


async def _served(
    directory: Path, dsns: Dsns, index: Any, names: list[str], imports: int, readers: int
) -> dict[str, Any]:
    clock, sock = SystemClock(), listen("127.0.0.1", 0)
    port, tls = sock.getsockname()[1], ensure_tls(directory, (), clock)
    services = await build(Settings(data_dir=directory), port, dsns, tls, clock)
    bench = Bench(services, f"https://127.0.0.1:{port}", tls.ca_file, names)
    tenant_id = await bench.enter()
    await services.advisories.load_seed()
    owner = await services.tenancy.authenticate_session(bench.cookie)
    alma = (_estate.DATA / "osv" / f"{ALMA}.jsonl.zst").read_bytes()
    await bench_import(services, owner, alma)
    fingerprint = (await services.exposure.knowledge()).fingerprint
    await write_fleet(services.db, index, services.exposure._rules(), fingerprint, tenant_id)
    services.exposure._kept.clear()  # it was opened while there was no fleet
    services.reconcilers = tuple(one for one in services.reconcilers if one.name != "exposure-index")
    server = make_server(services.app, tls.certificate_file, tls.key_file, services.on_stop)
    serving = asyncio.create_task(server.serve([sock]))
    await services.start()
    await started(server, serving)
    try:
        return await _watched(bench, imports, readers)
    finally:
        server.stop()
        await serving
        await services.stop()


async def bench_import(services: Services, owner: Any, data: bytes) -> None:
    from brakeline.advisories.importing import Importing

    async def first() -> str:
        return str(owner.tenant_id)

    await Importing(services.db, services.clock, services.advisories, first, {}).import_file(owner, ALMA, data)


async def _watched(bench: Bench, imports: int, readers: int) -> dict[str, Any]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = await browser.new_context(ignore_https_errors=True)
        await context.add_cookies([{"name": "brakeline_session", "value": bench.cookie, "url": bench.url}])
        page = await context.new_page()
        await page.goto(f"{bench.url}/vulnerabilities", timeout=600_000)
        await page.wait_for_selector("#feed-state[data-state=live]", timeout=600_000)
        await page.evaluate(OBSERVE)
        await bench.one(page, 1)  # the first one makes what the others find made
        alone = [await bench.one(page, 2 + n) for n in range(imports)]
        crowd = bench.readers(readers)
        assert crowd.stdout is not None
        await asyncio.to_thread(crowd.stdout.readline)
        many = [await bench.one(page, 1000 + n) for n in range(imports)]
        crowd.kill()
        crowd.wait()
        await browser.close()
    status = await bench.services.exposure.index_status(
        await bench.services.tenancy.authenticate_session(bench.cookie)
    )  # fmt: skip
    return {"alone": alone, "many": many, "endpoints": status.endpoints, "rows": status.rows}


def lines_of(m: dict[str, Any], readers: int) -> list[tuple[str, Any, str]]:
    alone, many = m["alone"], m["many"]

    def middle(series: list[dict[str, float]], part: str) -> float:
        return percentiles([one[part] for one in series])["p50"]

    lines = [one["line"] for one in alone]
    found: list[tuple[str, Any, str]] = [
        ("endpoints", m["endpoints"], f"{m['rows']:,} rows (endpoint, unit); {len(alone)} imports"),
        *((LABELS[part], middle(alone, part), "p50") for part in PARTS),
        ("import -> rendered, all of the server's, CPU-s", middle(alone, "whole"), "p50"),
        ("the same with PostgreSQL and Chromium, CPU-s", middle(alone, "all"), "p50, until the line is seen"),
        ("import -> line, p50, s by the clock", percentiles(lines)["p50"], f"load {os.getloadavg()[0]:.1f}"),
        ("import -> line, worst, s by the clock", max(lines), "budget 1"),
        (f"the same with {readers} further consoles, CPU-s", middle(many, "whole"),
         f"{middle(many, 'whole') / middle(alone, 'whole'):.2f} x"),
        (f"import -> line with {readers} further consoles, p50, s", percentiles([o["line"] for o in many])["p50"],
         f"load {os.getloadavg()[0]:.1f}"),
    ]  # fmt: skip
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=100_000)
    parser.add_argument("--imports", type=int, default=12)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--json", default="")
    parser.add_argument("--read", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        url, ca, cookie, count = options.read
        asyncio.run(read(url, ca, cookie, int(count)))
        return 0
    report(lines_of(asyncio.run(measured(options.endpoints, options.imports, options.readers)), options.readers),
           sys.argv)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
