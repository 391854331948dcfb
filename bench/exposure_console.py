"""From the import of an advisory to its line on a page that is open: a real server, PostgreSQL, TLS and Chromium.

The fleet is `bench._estate`'s, written down as a server would have left it (`bench._site`); the server is the one that
`server.wiring` builds, all its parts running but the comparison of the index with inventories, which are not there. The
advisory comes through the API as one OSV document of a feed of its own; the line is seen by an observer inside the
page. An import begins when everything that the one before moved was counted. Parts are CPU-seconds of the server's
process, threads and whatever else it does meanwhile included; the clock's time is told as what it was on this machine,
each import with the load beside it. `--endpoints N` (100,000), `--imports N` (12), `--readers N` (200): so many further
consoles on the same list for a second series, 0 = without it; `--kept DIR`: where the fleet is kept for the next run;
`--no-browser`: the line as it arrives at a console without one; `--profile`: the functions of one more import that take
most; `--json FILE`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import gc
import json
import os
import pstats
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

from bench import _site
from bench._kept import all_heard
from bench._proc import cpu_s, pss_mib, python, report, tree
from bench.exposure import percentiles
from brakeline.console.render import Renderer
from brakeline.platform.postgres_roles import Dsns
from brakeline.platform.tls import ensure_tls
from brakeline.server.serve import listen, make_server, started
from brakeline.server.wiring import Services

CHROMIUM = "/usr/bin/chromium"
QUIET_S = 900.0  # a machine may be busy
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
OBSERVE = """() => { window.seen = {}; new MutationObserver(() => {
  for (const link of document.querySelectorAll("#news-card th a")) {
    window.seen[link.textContent] ??= performance.timeOrigin + performance.now(); }
}).observe(document.body, {subtree: true, childList: true, characterData: true}); }"""
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
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
        self.marks, self.token, self.cookie, self.tenant_id = Marks(services), "", "", ""
        self.documents: list[dict[str, Any]] = []

    async def enter(self) -> None:
        link = await self.services.tenancy.bootstrap()
        assert link is not None
        session = await self.services.tenancy.redeem_login_link(link.secret)
        self.cookie, owner = session.cookie, session.principal
        self.tenant_id = owner.tenant_id
        self.token = (await self.services.tenancy.create_token(owner, "bench")).secret

    async def one(self, console: Console, number: int, profile: cProfile.Profile | None = None) -> dict[str, float]:
        """One more advisory; seconds by part, and how long until its line was there."""
        await self._quiet()
        cve, name = f"CVE-2031-{number}", self.names[number % len(self.names)]
        self.documents.append(document(cve, name, len(self.documents)))
        body = "\n".join(map(json.dumps, self.documents)).encode()
        gc.collect()  # not in the figures of an import by chance
        self.marks.at, begun = {}, time.process_time()
        with profile or contextlib.nullcontext():
            everything, moment = cpu_s(tree(os.getpid())), time.time()
            await asyncio.to_thread(self._post, body)
            posted = time.time() - moment
            seen = await console.line(cve)
        found = {"all": cpu_s(tree(os.getpid())) - everything, "posted": posted, "load": os.getloadavg()[0]}
        for part in PARTS:
            mark = self.marks.at.get(part, begun)  # somebody else looked before all were told: it is in the part before
            found[part], begun = mark - begun, mark
        found |= {"line": seen - moment, "whole": sum(found[part] for part in PARTS)}
        print(json.dumps({cve: found}), file=sys.stderr, flush=True)
        return found

    async def _quiet(self) -> None:
        """Until figures of endpoints are of the newest advisories."""
        exposure, until = self.services.exposure, time.monotonic() + QUIET_S
        while exposure._kept[self.tenant_id].counted != (await exposure.knowledge()).fingerprint:
            assert time.monotonic() < until, "figures of endpoints are not counted"
            await asyncio.sleep(0.25)
        await asyncio.sleep(1.0)  # a tick of the page, and what was closing

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


async def opened_stream(url: str, ca: str, cookie: str) -> Stream:
    """The stream of an open list, after its first state began to come; whoever lets go of its writer closes it."""
    context, port = ssl.create_default_context(cafile=ca), int(url.rpartition(":")[2])
    asked = f"GET /vulnerabilities/feed HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: text/event-stream\r\ncookie: "
    asked += f"brakeline_session={cookie}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=1 << 24)
    writer.write(asked.encode())
    await reader.readuntil(b"hx-partial")
    return reader, writer


async def read(url: str, ca: str, cookie: str, count: int) -> None:
    """Open `count` streams, say so, and throw away what comes, until killed."""

    async def drain(stream: Stream) -> None:
        while True:
            try:
                while await stream[0].read(1 << 16):
                    pass
            except (OSError, ssl.SSLError):
                pass  # a browser would connect again, too
            stream = await opened_stream(url, ca, cookie)

    streams = [await opened_stream(url, ca, cookie) for _ in range(count)]
    print("open", flush=True)
    await asyncio.gather(*map(drain, streams))


class Console:
    """An open list of vulnerabilities: Chromium's, or one that only reads what comes."""

    def __init__(self, page: Page | None, stream: Stream | None) -> None:
        self._page, self._stream = page, stream

    async def line(self, cve: str) -> float:
        """When the line of a CVE was there."""
        if self._page is not None:
            await self._page.wait_for_function("cve => window.seen[cve]", arg=cve, timeout=600_000)
            return float(await self._page.evaluate("cve => window.seen[cve]", cve)) / 1000
        assert self._stream is not None
        await self._stream[0].readuntil(f'/vulnerabilities/{cve}"'.encode())
        return time.time()


async def served(directory: Path, names: list[str], options: argparse.Namespace) -> dict[str, Any]:
    running, dsns = await _site.started_postgres(directory)
    try:
        await all_heard(running.dsn_super)
        return await _served(directory, dsns, names, options)
    finally:
        await running.stop()


async def _served(directory: Path, dsns: Dsns, names: list[str], options: argparse.Namespace) -> dict[str, Any]:
    sock = listen("127.0.0.1", 0)
    port = sock.getsockname()[1]
    services = await _site.services_in(directory, dsns, port)
    tls = ensure_tls(directory, (), services.clock)
    bench = Bench(services, f"https://127.0.0.1:{port}", tls.ca_file, names)
    await bench.enter()
    services.reconcilers = tuple(one for one in services.reconcilers if one.name != "exposure-index")
    server = make_server(services.app, tls.certificate_file, tls.key_file, services.on_stop)
    serving = asyncio.create_task(server.serve([sock]))
    begun = time.process_time()
    await services.start()
    await started(server, serving)
    await services.exposure._ensure(bench.tenant_id)
    opened = time.process_time() - begun
    try:
        found = await (_bare(bench, options) if options.no_browser else _watched(bench, options))
    finally:
        server.stop()
        await serving
        await services.stop()
    return found | {"opened": opened}


async def _bare(bench: Bench, options: argparse.Namespace) -> dict[str, Any]:
    stream = await opened_stream(bench.url, str(bench.ca), bench.cookie)
    return await _series(bench, Console(None, stream), options)


async def _watched(bench: Bench, options: argparse.Namespace) -> dict[str, Any]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = await browser.new_context(ignore_https_errors=True)
        await context.add_cookies([{"name": "brakeline_session", "value": bench.cookie, "url": bench.url}])
        page = await context.new_page()
        await page.goto(f"{bench.url}/vulnerabilities", timeout=600_000)
        await page.wait_for_selector("#feed-state[data-state=live]", timeout=600_000)
        await page.evaluate(OBSERVE)
        found = await _series(bench, Console(page, None), options)
        await browser.close()
    return found


async def _series(bench: Bench, console: Console, options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {"pss at first": pss_mib([os.getpid()]), "many": []}
    await bench.one(console, 1)  # the first one makes what the others find made
    found["alone"] = [await bench.one(console, 2 + n) for n in range(options.imports)]
    if options.readers:
        crowd = bench.readers(options.readers)
        assert crowd.stdout is not None
        await asyncio.to_thread(crowd.stdout.readline)
        found["many"] = [await bench.one(console, 1000 + n) for n in range(options.imports)]
        crowd.kill()
        crowd.wait()
    if options.profile:
        profile = cProfile.Profile()
        await bench.one(console, 2000, profile)
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(40)
    found["pss at last"] = pss_mib([os.getpid()])
    owner = await bench.services.tenancy.authenticate_session(bench.cookie)
    status = await bench.services.exposure.index_status(owner)
    return found | {"endpoints": status.endpoints, "rows": status.rows}


def lines_of(m: dict[str, Any], options: argparse.Namespace) -> list[tuple[str, Any, str]]:
    alone, many = m["alone"], m["many"]

    def middle(series: list[dict[str, float]], part: str) -> float:
        return percentiles([one[part] for one in series])["p50"]

    def clock(name: str, series: list[dict[str, float]]) -> list[tuple[str, Any, str]]:
        lines, loads = sorted(one["line"] for one in series), sorted(one["load"] for one in series)
        said = " ".join(f"{one:.2f}" for one in lines)
        late = sum(one > 1 for one in lines)
        return [
            (f"{name}, p50, s by the clock", percentiles(lines)["p50"], f"load {loads[0]:.1f} to {loads[-1]:.1f}"),
            (f"{name}, p90", lines[int(len(lines) * 0.9)], ""), (f"{name}, worst", lines[-1], f"{late} beyond 1 s"),
            (f"{name}, each", len(lines), said),
        ]  # fmt: skip

    found: list[tuple[str, Any, str]] = [
        ("endpoints", m["endpoints"], f"{m['rows']:,} rows (endpoint, unit); {len(alone)} imports"),
        ("until the server and its index were open, CPU-s", m["opened"], "from its snapshot"),
        ("the server's process at first, MiB", m["pss at first"], "proportional; budget 1,500"),
        ("and at last, MiB", m["pss at last"], f"after {len(alone) + len(many) + 1} imports"),
        *((LABELS[part], middle(alone, part), "p50") for part in PARTS),
        ("import -> rendered, all of the server's, CPU-s", middle(alone, "whole"), "p50"),
        ("the same with PostgreSQL and the console, CPU-s", middle(alone, "all"), "p50, until the line is seen"),
        ("until the import was answered, s by the clock", middle(alone, "posted"), "p50"),
        *clock("import -> line", alone),
    ]  # fmt: skip
    if many:
        found += [
            (f"with {options.readers} further consoles, all of the server's, CPU-s", middle(many, "whole"),
             f"{middle(many, 'whole') / middle(alone, 'whole'):.2f} x"),
            *clock(f"with {options.readers} further consoles", many),
        ]  # fmt: skip
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=100_000)
    parser.add_argument("--imports", type=int, default=12)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", default="")
    parser.add_argument("--read", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        url, ca, cookie, count = options.read
        asyncio.run(read(url, ca, cookie, int(count)))
        return 0
    with tempfile.TemporaryDirectory(prefix="bl-console-") as directory:
        Path(directory).chmod(0o755)
        said = _site.site(Path(directory), options.endpoints, options.kept)
        gc.collect()
        report(lines_of(asyncio.run(served(Path(directory), said["names"], options)), options), sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
