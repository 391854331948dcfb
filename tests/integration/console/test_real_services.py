"""The console over the real services and a real database: the way of a newcomer, page by page, and a press on BRAKE."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, urlencode

import pytest
import uvicorn
from playwright.async_api import async_playwright, expect
from tests.asgi import Answer, call
from tests.integration.console.conftest import ARGUMENTS, CHROMIUM
from tests.ownpackages import artifact, package, script, signed
from tests.support import require
from tests.support_fleet import SmallFleet, deb, update
from tests.support_releases import release_bundle
from tools.catalogue import MADE

from brakeline.advisories.importing import Importing
from brakeline.advisories.service import AdvisoriesService
from brakeline.catalog.curation import CurationService
from brakeline.catalog.service import CatalogService
from brakeline.catalog.shipped import Editions
from brakeline.cells.acts import CellActs
from brakeline.cells.service import CellsService
from brakeline.console.routes import Console, build_console
from brakeline.core.clock import ManualClock
from brakeline.events.delivering import Delivering
from brakeline.events.service import Events
from brakeline.exposure.accepting import Accepting
from brakeline.exposure.holding import Holding
from brakeline.exposure.service import ExposureService
from brakeline.exposure.trend import Trend
from brakeline.exposure.updates import Updates
from brakeline.fleet.model import Presence
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.platform.settings import Settings
from brakeline.protocol.managers import found_label
from brakeline.protocol.messages import (
    CheckIn,
    EnrolRequest,
    Facts,
    Health,
    LauncherReport,
    Package,
    TrialReport,
    UpdateState,
)
from brakeline.protocol.software import write
from brakeline.releases.service import ReleasesService
from brakeline.remediation.service import RemediationService
from brakeline.rollout.acts import Acts
from brakeline.rollout.conducting import Conducting
from brakeline.rollout.freezing import Freezing
from brakeline.rollout.model import Change, Pin
from brakeline.rollout.pools import Pools
from brakeline.rollout.presets import policy_for
from brakeline.rollout.releasing import Releasing
from brakeline.rollout.service import RolloutService
from brakeline.rollout.single import Single
from brakeline.runlog.service import Kept, RunLog
from brakeline.sbom.service import SbomService
from brakeline.tenancy.break_glass import BreakGlass
from brakeline.tenancy.model import Principal
from brakeline.tenancy.service import TenancyService

ORIGIN = "https://cell.test"
OLD, NEW = "7.88.1-10+deb12u14", "7.88.1-10+deb12u15"
CURL = [deb("curl", OLD), deb("libcurl4", OLD, "curl"), deb("tzdata", "2024a-0+deb12u1")]
UPDATES = [
    update("curl", OLD, NEW), update("libcurl4", OLD, NEW),
    update("tzdata", "2024a-0+deb12u1", "2026a-0+deb12u1", security=False, state=UpdateState.HELD,
           reason="apt-mark hold"),
]  # fmt: skip
LINK_PASSWORD = "four random words are good"


@dataclass
class House:
    """Console and services; `cookie` and `owner` are the first owner's, signed in through the pages."""

    console: Console
    fleet: SmallFleet
    rollouts: RolloutService
    tenancy: TenancyService
    remediation: RemediationService
    releases: ReleasesService
    clock: ManualClock
    database: Database
    advisories: AdvisoriesService
    cells: CellsService
    conducting: Conducting
    bills: SbomService
    cookie: str = ""
    csrf: str = ""
    owner: Principal | None = None

    async def get(self, path: str, **headers: str) -> Answer:
        sent = {"cookie": f"brakeline_session={self.cookie}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return await call(self.console, "GET", path, headers=sent)

    async def post(self, path: str, **form: str) -> Answer:
        headers = {
            "cookie": f"brakeline_session={self.cookie}", "origin": ORIGIN,
            "content-type": "application/x-www-form-urlencoded",
        }  # fmt: skip
        return await call(self.console, "POST", path, urlencode({"csrf": self.csrf, **form}).encode(), headers)

    async def page(self, path: str) -> str:
        answer = await self.get(path)
        assert answer.status == 200, (path, answer.status, answer.text[:2000])
        return answer.text

    async def sign_in(self) -> None:
        """By the one-time link, as the first owner does."""
        link = await self.tenancy.bootstrap()
        assert link is not None
        assert (await self.get(f"/login/{link.secret}")).status == 200
        self.csrf = "none yet"
        entered = await self.post("/login/link", token=link.secret, password=LINK_PASSWORD)
        assert entered.status == 303
        self.cookie = entered.cookie("brakeline_session")
        self.owner = await self.tenancy.authenticate_session(self.cookie)
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', await self.page("/settings"))
        assert found is not None
        self.csrf = found[1]

    async def endpoint(self, host: str, region: str = "eu") -> str:
        endpoint_id = await self.fleet.enrol(host, region=region, owner=self.owner)
        await self.fleet.inventory(endpoint_id, CURL, UPDATES)
        return endpoint_id

    async def hear(self, ids: list[str]) -> None:
        assert self.owner is not None
        for endpoint_id in ids:
            self.fleet.service.presences.record(
                self.owner.tenant_id, endpoint_id, Presence(self.clock.now_ms(), "boot")
            )
        await self.fleet.service.flush()


@pytest.fixture
async def house(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> AsyncIterator[House]:
    await AdvisoriesService(database, clock).load_seed()
    fleet = SmallFleet(database, clock, ids)
    advisories = AdvisoriesService(database, clock)
    exposure = ExposureService(database, clock, fleet.bus, fleet.service, advisories)
    fleet.service.on_inventory = exposure.on_inventory
    rollouts = RolloutService(database, clock, ids, fleet.bus, fleet.service, fleet.cell, tmp_path / "brake.journal")
    await rollouts.open()
    remediation = RemediationService(database, clock, ids, fleet.bus, fleet.service).use(exposure, rollouts)
    tenancy = TenancyService(database, clock, ids)
    releases = ReleasesService(database, clock, tenancy.approvals, tmp_path / "trust", "cell-1")
    await releases.open()
    Acts(rollouts, tenancy.approvals)
    freezing = Freezing(rollouts, tenancy.approvals)
    holding = Holding(database, clock, exposure, advisories, tenancy.approvals, tenancy.tenants)

    async def first() -> str:
        return (await tenancy.first_tenant()).tenant_id

    importing = Importing(database, clock, advisories, first, {})
    cells = CellsService(database, clock, ids, fleet.cell, tmp_path, "")
    CellActs(cells, tenancy.approvals, fleet.service)
    conducting = Conducting(database, clock, ids, fleet.bus, cells, tenancy.approvals, rollouts.journal.frozen)
    releasing = Releasing(rollouts, releases)
    releasing.early.followers = remediation.followers_of_early
    delivering = Delivering(database, clock, tenancy.tenants, b"key", "cell-1")
    state = SimpleNamespace(
        accepting=Accepting(database, clock, ids, fleet.service, exposure, tenancy.approvals),
        trend=Trend(database, clock, exposure), updates=Updates(fleet.service, exposure),
        events=Events(database, clock, ids, delivering, b"key"),
        holding=holding, cells=cells, conducting=conducting, pools=Pools(rollouts, tenancy.approvals),
        tenancy=tenancy, freezing=freezing, break_glass=BreakGlass(tmp_path / "break-glass.json", database, clock, ids),
        fleet=fleet.service, exposure=exposure, rollout=rollouts, remediation=remediation, clock=clock,
        releases=releases, releasing=releasing, settings=Settings(data_dir=tmp_path),
        one_liner=lambda token, host: f"curl https://{host}/enrol.sh {token}", importing=importing,
        sbom=SbomService(database, clock, ids, fleet.service, exposure), catalog=CatalogService(database, clock),
        curation=CurationService(database, clock, Editions(MADE)),
        single=Single(rollouts), runlog=RunLog(database, clock, fleet.service, rollouts, Kept(30, 64, 400)),
    )  # fmt: skip
    console = build_console(state)
    made = House(
        console,
        fleet,
        rollouts,
        tenancy,
        remediation,
        releases,
        clock,
        database,
        advisories,
        cells,
        conducting,
        state.sbom,
    )
    await made.sign_in()
    yield made
    console.feed.stop()


async def next_message(house: House, path: str) -> str:
    """The first whole state that the stream of `path` sends."""
    chunks: list[str] = []
    done = asyncio.Event()

    async def receive() -> dict[str, object]:
        await done.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        body = message.get("body", b"")
        assert isinstance(body, bytes)
        chunks.append(body.decode())
        if "hx-partial" in "".join(chunks):
            done.set()

    plain, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "https",
        "path": plain, "raw_path": plain.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(b"host", b"cell.test"), (b"accept", b"text/html, text/event-stream"),
                    (b"cookie", f"brakeline_session={house.cookie}".encode())],
        "client": ("127.0.0.1", 1), "server": ("cell.test", 443),
    }  # fmt: skip
    serving = asyncio.create_task(house.console(scope, receive, send))  # type: ignore[arg-type]
    async with asyncio.timeout(60):
        await done.wait()
    await asyncio.gather(serving, return_exceptions=True)
    return "".join(chunks)


async def test_an_empty_fleet_leads_to_add_endpoint_and_the_ticks_follow_the_endpoint(house: House) -> None:
    assert (await house.get("/")).headers["location"] == "/endpoints/add"
    assert (await house.get("/endpoints")).headers["location"] == "/endpoints/add"
    made = (await house.post("/endpoints/add", region="eu-north", tags="web lab")).text
    token, feed = re.search(r"enrol.sh (et_\w+)<", made), re.search(r'hx-sse:connect="([^"]+)"', made)
    assert token is not None
    assert feed is not None
    assert made.count(token[1]) == 1
    assert "once, for 30 min" in made
    assert 'class="current" id="step-1"' in await next_message(house, feed[1])

    key = b"\x07" * 32
    facts = Facts("web-01", "debian", "12", "Debian 12", "", "amd64")
    session = await house.fleet.service.enrol(EnrolRequest(token[1], key.hex(), "web-01", facts), key, "b", 1, "d")
    house.clock.advance(1)
    assert 'class="done" id="step-1"' in await next_message(house, feed[1])
    await house.fleet.inventory(session.endpoint_id, CURL, UPDATES)
    ticked = await next_message(house, feed[1])
    assert ticked.count('class="done"') == 3
    assert f"/endpoints/{session.endpoint_id}" in ticked


async def test_a_region_that_cannot_be_is_said_on_the_form(house: House) -> None:
    answer = await house.post("/endpoints/add", region="EU North!")
    assert "lower-case letters" in answer.text
    assert "hx-sse:connect" not in answer.text


async def test_every_page_of_a_small_fleet(house: House) -> None:
    web, db = await house.endpoint("web-01"), await house.endpoint("db-01", "us")
    await house.fleet.enrol("silent-01", owner=house.owner)  # no inventory: nothing is known of it
    house.clock.advance(5)
    overview = await house.page("/")
    assert "without an inventory" in overview
    assert "CVE-" in overview
    listed = await house.page("/endpoints")
    assert all(name in listed for name in ("web-01", "db-01", "silent-01"))
    assert 'title="not reported">?' in listed
    assert "1 of 3 endpoints match" in await house.page("/endpoints?q=region:us")
    typo = await house.page("/endpoints?q=regoin:us")
    assert '<a href="/endpoints?q=region%3Aus">region:us</a>' in typo
    assert "web-01" not in typo
    for tab in ("summary", "missing", "findings", "software", "runs", "history", "agent", "timeline"):
        assert "web-01" in await house.page(f"/endpoints/{web}/{tab}")
    assert "No run is kept." in await house.page(f"/endpoints/{web}/runs")
    assert (await house.get(f"/endpoints/{web}/runs?q=tx_none")).status == 404
    assert "Nothing changed in this span" in await house.page(f"/endpoints/{web}/history")
    assert "a day is written like" in await house.page(f"/endpoints/{web}/history?since=yesterday")
    missing = await house.page(f"/endpoints/{web}/missing")
    assert "no policy lets this endpoint patch" in missing
    assert "apt-mark hold" in missing
    assert "1 of 3 packages" in await house.page(f"/endpoints/{db}/software?q=tzd")
    cve = re.search(r"/vulnerabilities/(CVE-\d+-\d+)", await house.page(f"/endpoints/{web}/findings"))
    assert cve is not None
    detail = await house.page(f"/vulnerabilities/{cve[1]}")
    assert "web-01" in detail
    assert "selection=cve" in detail
    assert "Why this priority" in detail
    assert "no endpoint is tagged internet-facing: taken for inside" in detail
    assert "not scored" in await house.page("/vulnerabilities?q=priority:unrated")
    assert "unrated" in await house.page(f"/endpoints/{web}/findings")
    assert "Did you mean" in await house.page("/vulnerabilities?q=kve:yes")
    assert cve[1] in await house.page(f"/vulnerabilities?q={cve[1]}")
    for path in (
        "/rollouts",
        "/rollouts/new",
        "/releases",
        "/releases/keys",
        "/policies",
        "/settings",
        "/settings/limits",
        "/settings/cells",
        "/settings/pool",
    ):
        await house.page(path)
    assert (await house.get("/endpoints/ep_none")).status == 404
    assert (await house.get("/vulnerabilities/CVE-1-1")).status == 404
    assert (await house.get("/rollouts/ro_none")).status == 404
    assert (await house.get("/releases/1.0.0-000000000000")).status == 404
    assert (await house.post(f"/endpoints/{web}/scan")).status == 303


async def test_pages_of_a_long_list_follow_each_other(house: House) -> None:
    for i in range(55):
        await house.fleet.enrol(f"host-{i:02}", owner=house.owner)
    first = await house.page("/endpoints")
    assert "host-49" in first
    assert "host-50" not in first
    following = re.search(r'href="(/endpoints\?q=[^"]*after=[^"]+)"', first)
    assert following is not None
    second = await house.page(following[1].replace("&amp;", "&"))
    assert "host-54" in second
    assert "host-49" not in second
    assert "« First" in second
    assert (await house.get("/endpoints?q=os:debian&after=garbage")).status == 422


async def test_from_policy_to_rollout_to_brake_and_the_audit_log(house: House) -> None:
    ids = [await house.endpoint(f"web-{i}", "eu" if i % 2 else "us") for i in range(4)]
    assert "all are left out" in await house.page("/rollouts/new?filter=os:debian&selection=security")
    looked = await house.page("/policies?name=patch+all&filter=os:debian&mode=patch")
    assert "Would concern 4 endpoints" in looked
    assert "4 endpoints have it after 3.2 d at the earliest, at pace careful, in 3 rings" in looked
    assert "Have it when it is found" in looked
    part = await house.get("/policies?filter=os:debian&mode=patch&pace=fast", hx_request="true")
    assert "<html" not in part.text, "the preview alone, for a form that is being written"
    assert "at pace fast" in part.text
    assert "Give it a name" in part.text
    assert "there are careful, fast, emergency" in await house.page("/policies?filter=&pace=warp")
    assert (await house.post("/policies", name="patch all", filter="os:debian", mode="patch")).status == 409
    stale = await house.post("/policies", name="patch all", filter="os:debian", mode="patch", expect_count="9")
    assert stale.status == 409
    made = await house.post("/policies", name="patch all", filter="os:debian", mode="patch", expect_count="4")
    assert made.status == 303
    page = await house.page("/policies")
    assert "patch all" in page
    assert "every endpoint runs by its first settings" in page

    asked = "/rollouts/new?filter=os:debian&selection=security&policy=rehearsal&names=&name=curl"
    shown = await house.page(asked)
    assert "Start on 4 endpoints" in shown
    assert "canary" in shown
    assert "no comparison of treated with control can halt" in shown
    assert "Pace: rehearsal" in shown
    assert "Suggested: " in shown
    assert "endpoint-days exposed" in shown
    assert "lost by waiting" in shown
    assert "Endpoints expected to be lost by waiting and by a bad change: careful " in shown
    digest = re.search(r'name="digest" value="([^"]+)"', shown)
    assert digest is not None
    form = {"filter": "os:debian", "selection": "security", "policy": "rehearsal", "name": "curl", "digest": digest[1]}
    assert (await house.post("/rollouts/new", expect_count="3", **form)).status == 409
    started = await house.post("/rollouts/new", expect_count="4", **form)
    assert started.status == 303
    rollout = started.headers["location"]
    await house.hear(ids)
    await house.rollouts.reconcile()
    live = await house.page(rollout)
    assert "▶" in live
    assert "Why it is going on" in live
    assert "pace rehearsal, chosen by " in live
    assert NEW in live.replace("<wbr>", "")  # a phone may break versions at their separators
    assert "curl" in await house.page("/rollouts?state=live")
    assert "waits for its ring" in await house.page(f"/endpoints/{ids[0]}/missing")

    members = await house.page(f"{rollout}/endpoints")
    assert "web-0" in members
    assert "web-0" in await next_message(house, f"{rollout}/endpoints/feed?show=")
    action = f"/endpoints/{ids[0]}{rollout}/stop"
    assert action in await house.page(f"/endpoints/{ids[0]}/runs")
    stopped = await house.post(action, reason="a fair")
    assert (stopped.status, stopped.headers["location"]) == (303, f"/endpoints/{ids[0]}/runs?done=one-withdrawn")
    runs = await house.page(f"/endpoints/{ids[0]}/runs")
    assert "stopped here" in runs
    assert ": a fair" in runs
    assert (await house.post(f"/endpoints/{ids[0]}{rollout}/retry", reason="it is over")).status == 303

    assert (await house.post(f"{rollout}/brake")).status == 303
    halted = await house.page(rollout)
    assert "BRAKED" in halted
    assert "4 were spared" in halted
    assert all(f">web-{i}</a>" in halted for i in range(4)), "every spared endpoint is named"
    assert "web-2" in await house.page(f"{rollout}/endpoints?show=spared")
    assert "is halted" in await house.page("/")
    assert f'href="{rollout}/rollback"' in halted
    assert "No endpoint has a way back" in await house.page(f"{rollout}/rollback"), "nobody had taken it"
    assert (await house.post(f"{rollout}/rollback", expect_count="0")).status == 422
    assert (await house.post(f"{rollout}/resume", reason="")).status == 422
    assert (await house.post(f"{rollout}/resume", reason="it was a drill")).status == 303
    assert (await house.post(f"{rollout}/withdraw")).status == 303
    log = await house.page("/audit")
    assert all(action in log for action in ("rollout.brake", "rollout.resume", "rollout.withdraw", "policy.create"))
    assert "verified" in log


async def test_settings_wait_on_the_page_of_policies_until_their_rollout_is_started(house: House) -> None:
    assert house.owner is not None
    for i in range(3):
        await house.endpoint(f"web-{i}", "eu")
    await house.post("/policies", name="all", filter="", mode="patch", expect_count="3")
    made = await house.remediation.create_policy(
        house.owner, name="often", filter_text="", mode="leave", self_update=True, refresh_interval_s=600
    )
    page = await house.page("/policies")
    assert "3 endpoints wait for a rollout of settings" in page
    assert "seconds between looks for newer package lists" in page
    digest = re.search(r'name="digest" value="([^"]+)"', page)
    assert digest is not None
    assert (await house.post("/policies/settings", expect_count="2", digest=digest[1])).status == 409
    started = await house.post("/policies/settings", expect_count="3", digest=digest[1])
    assert started.status == 303
    page = await house.page("/policies")
    assert "version 1 is" in page
    assert 'name="digest"' not in page  # one at a time
    assert started.headers["location"] in page
    shown = await house.page(started.headers["location"])
    assert "brakeline-settings" in shown.replace("<wbr>", "")
    await house.remediation.delete_policy(house.owner, made.id)


async def test_held_content_is_shown_with_its_figures_and_refused_with_a_reason(house: House, tmp_path: Path) -> None:
    for i in range(3):
        await house.endpoint(f"web-{i}", "eu")
    calm = await house.page("/content")
    assert "debian-changelog" in calm
    assert "more than 5% of all findings" in calm
    assert "Nothing says how likely exploitation is" in calm
    assert (await house.post("/content/epss/fetch")).status == 422  # no address is set
    rows = [{"source": "curl", "cve": f"CVE-2099-{i}", "fixed": "99", "date": "2099-01-01"} for i in range(9000)]
    text = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "rows.jsonl").write_text(text)
    entry = {"feed": "debian-changelog", "file": "rows.jsonl", "kind": "advisories", "ecosystem": "debian:12",
             "rows": 9000, "version": "poisoned", "limits": "", "bytes": len(text),
             "sha256": hashlib.sha256(text.encode()).hexdigest()}  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps({"feeds": [entry]}))
    await house.advisories.load_seed(tmp_path)
    page = await house.page("/content")
    assert "Held: debian-changelog poisoned" in page
    assert "Time alone does not make it live" in page or "It is live by itself" in page
    sha256 = entry["sha256"]
    assert (await house.post("/content/debian-changelog/refuse", sha256=str(sha256), reason="")).status == 422
    assert (await house.post("/content/debian-changelog/refuse", sha256=str(sha256), reason="poison")).status == 303
    assert "refused by" in await house.page("/content")
    assert "held: version poisoned" in await house.page("/vulnerabilities")


async def test_software_is_shown_with_its_place_and_bills_with_what_vex_says(house: House) -> None:
    assert house.owner is not None
    made = await house.fleet.enrol("web-1", owner=house.owner)
    where = "/opt/app/site-packages"
    jinja = Package("jinja2", found_label("pypi", where), "3.1.2", "jinja2", "3.1.2", "ii", "", "pypi", "", "", where)
    owned = replace(jinja, name="owned", architecture=found_label("pypi", "/usr"), owner="python3-owned", where="/usr")
    await house.fleet.inventory(made, [deb("curl", "7.88.1-10+deb12u14"), jinja, owned])
    page = (await house.page(f"/endpoints/{made}/software")).replace("<wbr>", "")
    assert where in page
    assert "part of the package python3-owned" in page
    assert "pypi 2" in page
    assert "its agent looks for nothing beside them" in page
    only = await house.page(f"/endpoints/{made}/software?q=ecosystem:deb")
    assert "curl" in only
    assert where not in only
    url = "pkg:deb/debian/curl@7.88.1-10%2Bdeb12u14?distro=debian-12"
    bill = {"bomFormat": "CycloneDX", "components": [{"name": "curl", "purl": url}, {"name": "boot"}]}
    asset = await house.bills.take_bill(house.owner, json.dumps(bill).encode(), name="web:1")
    cve = (await house.bills.asset(house.owner, asset.asset_id)).findings[0].finding.cve
    said = {"@context": "https://openvex.dev/ns/v0.2.0", "author": "Example GmbH", "statements": [
        {"vulnerability": cve, "status": "not_affected", "impact_statement": "not built in",
         "products": [{"@id": url}]},
    ]}  # fmt: skip
    await house.bills.take_vex(house.owner, json.dumps(said).encode(), reason="they say so", file_name="v.json")
    assert "Example GmbH" in await house.page("/assets")
    shown = await house.page(f"/assets/{asset.asset_id}")
    assert cve in shown
    assert "not affected, says VEX" in shown
    assert f"v.json of Example GmbH, taken in by {house.owner.name}" in shown
    assert "its bill does not say which package it is" in shown
    assert (await house.get("/assets/as_none")).status == 404


async def test_own_packages_are_shown_with_every_letter_and_where_they_stand(house: House) -> None:
    assert house.owner is not None
    catalog = CatalogService(house.database, house.clock)
    assert "There are none." in await house.page("/own-packages")
    hostile = package(title="<b>Payroll</b>", artifact=artifact(b"x"), pre=script("test 1 < 2 # <script>"))
    made = await catalog.add(house.owner, write(signed(hostile)))
    listed = (await house.page("/own-packages")).replace("<wbr>", "")
    assert made.full_version in listed
    assert "artifact is not here" in listed
    await catalog.add_payload(house.owner, b"x")
    shown = await house.page("/own-packages/payroll")
    assert "test 1 &lt; 2 # &lt;script&gt;" in shown
    assert "<b>Payroll" not in shown
    assert "/rollouts/new?selection=names&amp;names=payroll%3Aown" in shown
    await catalog.withdraw(house.owner, "payroll", "1", "it forgets")
    shown = await house.page(f"/own-packages/payroll?version={quote(made.full_version)}")
    assert "it forgets" in shown
    assert "/rollouts/new" not in shown
    assert (await house.get("/own-packages/nothing")).status == 404


async def test_the_catalogue_is_searched_and_says_what_to_fetch_and_what_would_run(house: House) -> None:
    listed = await house.page("/catalogue?q=browser+linux")
    assert "Mozilla" in listed
    assert "Grafana" not in listed
    assert "came with this server" in listed
    assert "No product has all of these words" in await house.page("/catalogue?q=%3Cscript%3E")
    shown = (await house.page("/catalogue/grafana")).replace("<wbr>", "")
    assert "https://apt.grafana.com/dists/stable/InRelease" in shown
    assert "B53AE77BADB630A683046005963FA27710458545" in shown
    assert "apt-get" in shown
    assert (await house.get("/catalogue/nothing")).status == 404


async def test_from_freeze_to_unfreeze_page_by_page(house: House) -> None:
    """Careful rollouts are under way, so that lifting takes two people, or an hour in the first week."""
    ids = [await house.endpoint(f"web-{i}") for i in range(4)]
    assert house.owner is not None
    await house.remediation.create_policy(house.owner, name="p", filter_text="", mode="patch")
    form = {"filter": "", "selection": "security", "policy": "careful", "expect_count": "4"}
    rollout = (await house.post("/rollouts/new", **form)).headers["location"]
    await house.hear(ids)
    await house.rollouts.reconcile()
    assert (await house.post("/freeze")).status == 303
    assert "Say why" in await house.page("/freeze")
    assert (await house.post("/freeze", reason="mail is down")).status == 303
    for path in ("/", rollout, "/endpoints", "/freeze"):
        shown = await house.page(path)
        assert "Everything is frozen by Owner since" in shown
        assert "mail is down" in shown
    held = await house.page(rollout)
    assert "‖ Holding: frozen by Owner since" in held
    assert f"{rollout}/resume" not in held, "nothing that could be refused is offered"
    assert (await house.post("/rollouts/new", **form)).status == 409

    asked = await house.post("/freeze/lift", reason="it was the mirror")
    assert asked.status == 303
    approval = asked.headers["location"].partition("?")[0]
    page = await house.page(approval)
    assert "You asked for it yourself: somebody else has to agree, or time: single person: in 60 min." in page
    assert approval in await house.page("/freeze")
    assert approval in await house.page("/")
    digest = (await house.tenancy.approvals.get(house.owner, approval.rpartition("/")[2])).digest
    early = await house.post(f"{approval}/approve", digest=digest, password=LINK_PASSWORD)
    assert (early.status, "60 min more" in early.text) == (403, True)
    house.clock.advance(3600)
    assert 'name="digest"' in await house.page(approval)
    assert (await house.post(f"{approval}/approve", digest=digest, password="not mine at all")).status == 401
    done = await house.post(f"{approval}/approve", digest=digest, password=LINK_PASSWORD)
    assert (done.status, done.headers["location"]) == (303, f"{approval}?done=agreed")
    assert "Everything is frozen" not in await house.page("/")
    log = await house.page("/audit")
    assert all(act in log for act in ("freeze.press", "approval.ask", "approval.single-person", "freeze.lift"))


async def test_brake_and_freeze_answer_from_memory_while_the_database_is_away(house: House) -> None:
    ids = [await house.endpoint(f"web-{i}") for i in range(4)]
    assert house.owner is not None
    await house.remediation.create_policy(house.owner, name="p", filter_text="", mode="patch")
    form = {"filter": "", "selection": "security", "policy": "careful", "expect_count": "4"}
    rollout = (await house.post("/rollouts/new", **form)).headers["location"]
    await house.hear(ids)
    await house.rollouts.reconcile()
    await house.database.close()
    away = await house.get(rollout)
    assert (away.status, '<form class="freezing"' in away.text) == (503, True), "FREEZE is on the page that says it"
    braked = await house.post(f"{rollout}/brake")
    assert (braked.status, "The press is on the disk and in force" in braked.text) == (200, True)
    frozen = await house.post("/freeze")
    assert (frozen.status, "Everything is frozen." in frozen.text) == (200, True)
    assert house.rollouts.journal.frozen(house.owner.tenant_id) is not None
    assert (await house.post(f"{rollout}/withdraw")).status == 503, "nothing else is done so"
    house.clock.advance(16 * 60)
    late = await house.post("/freeze")
    assert (late.status, "/emergency" in late.text) == (503, True)


async def test_tokens_are_shown_once_and_revoked(house: House) -> None:
    made = await house.post("/settings/tokens", name="ci", role="viewer")
    secret = re.search(r'id="fresh-token">(blt_[^<]+)<', made.text)
    assert secret is not None
    assert (await house.tenancy.authenticate_token(secret[1])).permissions < house.owner.permissions  # type: ignore[union-attr]
    again = await house.page("/settings")
    assert secret[1] not in again
    revoke = re.search(r"/settings/tokens/(to_\w+)/revoke", again)
    assert revoke is not None
    assert (await house.post(revoke[0])).status == 303
    assert "revoked" in await house.page("/settings")


async def test_budgets_and_freeze_windows_are_looked_at_set_and_ended_with_a_reason(house: House) -> None:
    await house.endpoint("web-1")
    limits = "/settings/limits"
    assert "0 of 50" in await house.page(limits)
    lower = await house.page(f"{limits}?amount=20")
    assert "20 per hour for the whole fleet, instead of 10 %, at least 50" in lower
    assert "budget-reason" not in lower, "what narrows is not asked for a reason"
    assert (await house.post(f"{limits}/budgets", amount="20", per="hour")).status == 303
    assert "0 of 20" in await house.page(limits)
    assert "budget-reason" in await house.page(f"{limits}?amount=30%25&at_least=50")
    raised = {"amount": "30%", "at_least": "50", "per": "hour"}
    assert (await house.post(f"{limits}/budgets", **raised)).status == 422
    assert (await house.post(f"{limits}/budgets", **raised, reason="a bigger site")).status == 303
    assert "did you mean tag:db" in await house.page(f"{limits}?amount=5&group=tags:db")
    assert "no endpoint is in tag:db" in await house.page(f"{limits}?amount=5&group=tag:db")
    assert (await house.post(f"{limits}/budgets", amount="1", group="region:*", per="at_once")).status == 303
    assert "region:eu" in await house.page(limits)
    assert (await house.post(f"{limits}/budgets/remove", group="region:*", per="at_once", reason="x")).status == 303

    assert (await house.post(f"{limits}/windows", name="year end", ends="2027-01-04 08:00")).status == 303
    assert (await house.post(f"{limits}/windows", name="bad", weekly="sat 10:00/10:00")).status == 422
    page = await house.page(limits)
    assert "frozen now" in page
    assert "freeze window &#39;year end&#39; until 2027-01-04 08:00 UTC" in await house.page("/settings")
    gone = re.search(r"/settings/limits/windows/fw_\w+/remove", page)
    assert gone is not None
    assert (await house.post(gone[0])).status == 422
    assert (await house.post(gone[0], reason="released")).status == 303
    assert "No freeze window." in await house.page(limits)
    log = await house.page("/audit")
    assert all(a in log for a in ("budget.set", "budget.remove", "freeze_window.add", "freeze_window.remove"))


async def test_cells_are_seen_and_taken_out_with_a_reason_and_a_lead_is_braked_in_one_press(house: House) -> None:
    page = "/settings/cells"
    assert "Nobody: it decides by itself." in await house.page(page)
    assert house.owner is not None
    made = await house.cells.invite(house.owner, "oslo-1", "eu", "https://berlin.example")
    async with house.database.tenant(house.owner.tenant_id) as conn:
        await conn.execute("UPDATE brakeline.cell_member SET state = 'joined'")  # as its `cell join` would
    assert made.token.partition(".")[2] not in await house.page(page)
    lead = await house.conducting.create(house.owner, "libssl3", Change((Pin("libssl3", "3.0.17"),)), "", ())
    seen = await house.page(page)
    assert "cell oslo-1: it has told nothing of this yet" in seen
    assert (await house.post(f"{page}/oslo-1/drain", reason=" ")).status == 422
    assert (await house.post(f"{page}/oslo-1/melt", reason="x")).status == 404
    assert (await house.post(f"{page}/oslo-1/drain", reason="moves house")).status == 303
    assert "drained" in await house.page(page)
    assert (await house.post(f"{page}/leads/{lead.id}/brake")).status == 303
    assert "halted: brake pressed by" in await house.page(page)
    assert (await house.post(f"{page}/isolate", reason="x")).status == 404


async def test_a_lead_of_settings_is_looked_at_drafted_and_started_on_the_page(house: House) -> None:
    page = "/settings/cells/leads/settings"
    assert "No cell has joined" in await house.page(page)
    assert "no cell has joined yet" in await house.page(f"{page}?name=nights&nice=10")
    assert house.owner is not None
    await house.cells.invite(house.owner, "oslo-1", "eu", "https://berlin.example")
    async with house.database.tenant(house.owner.tenant_id) as conn:
        await conn.execute("UPDATE brakeline.cell_member SET state = 'joined', leads = 2")  # as its `cell join` would
    house.remediation.conducting = house.conducting
    for wrong, why in (
        ("name=nights&nice=ten", "no whole number"), ("name=nights&nice=77", "nice is 0 to 19"),
        ("name=nights&cells=paris-1", "no cell &#39;paris-1&#39; has joined"), ("name=&nice=1", "printable characters"),
        ("name=nights&windows=never", "window"), ("name=nights&filter=colour:red", "colour"),
        ("name=nights&nice=1&pace=hasty", "no pace"), ("name=nights&refresh_interval_s=1", "60 to 604800 seconds"),
    ):  # fmt: skip
        seen = await house.page(f"{page}?{wrong}")
        assert why in seen, wrong
        assert "lead-draft" not in seen, wrong
    seen = await house.page(f"{page}?name=nights&filter=os:debian&nice=10&cells=oslo-1")
    assert "nice of package transactions: 10" in seen
    assert "Draft it over 1 cell<" in seen
    assert "is taken away" in await house.page(f"{page}?name=nights")
    assert await house.conducting.list(house.owner) == (), "nothing is drafted by looking"
    assert (await house.post(page, name="nights", nice="77")).status == 422
    made = await house.post(page, name="nights", filter="os:debian", nice="10", cells="oslo-1", pace="careful")
    assert made.headers["location"] == "/settings/cells?done=lead-drafted"
    (lead,) = await house.conducting.list(house.owner)
    assert (lead.kind, lead.state, lead.filter, lead.settings) == (
        "settings", "draft", "os:debian", ("nice of package transactions: 10",)
    )  # fmt: skip
    acts = f"/settings/cells/leads/{lead.id}"
    assert f'action="{acts}/start"' in await house.page("/settings/cells")
    assert (await house.post(f"{acts}/start")).headers["location"] == "/settings/cells?done=lead-start"
    assert f'action="{acts}/pause"' in await house.page("/settings/cells")
    assert (await house.post(f"{acts}/pause")).status == 303
    assert (await house.post(f"{acts}/resume", reason=" ")).status == 422
    assert (await house.post(f"{acts}/resume", reason="looked at it")).status == 303
    assert (await house.post(f"{acts}/melt")).status == 404
    assert (await house.conducting.show(house.owner, lead.id)).wish == "run"


async def test_evidence_is_shared_and_no_more_and_the_page_says_with_whom_each_is_compared(
    house: House,
) -> None:
    page = "/settings/pool"
    assert "Shares nothing" in await house.page(page)
    assert (await house.post(f"{page}/join")).headers["location"] == f"{page}?done=pool"  # first week, few endpoints
    ids = [await house.endpoint(f"web-{i}") for i in range(4)]
    await house.hear(ids)
    assert house.owner is not None
    made = await house.rollouts.create(house.owner, "curl", Change((Pin("curl", "8"),)), policy_for(4), ids)
    await house.rollouts.start(house.owner, made)
    seen = await house.page(page)
    assert "Shares its evidence" in seen
    assert "no other organisation has told any of this change yet" in seen
    assert (await house.post(f"{page}/leave")).status == 303
    assert "Shares nothing" in await house.page(page)
    log = await house.page("/audit")
    assert all(a in log for a in ("pool.consent", "pool.withdraw"))


async def test_another_tenants_things_are_not_found(house: House) -> None:
    foreign = await house.fleet.enrol("foreign-01")  # belongs to the test's own tenant, not to the visitor's
    assert (await house.get(f"/endpoints/{foreign}")).status == 404
    await house.endpoint("mine-01")
    assert "foreign-01" not in await house.page("/endpoints")


async def test_logging_out_ends_the_session(house: House) -> None:
    assert (await house.post("/logout")).status == 303
    assert (await house.get("/endpoints")).headers["location"].startswith("/login")
    entered = await house.post("/login", email="owner@localhost", password=LINK_PASSWORD)
    assert entered.status == 303


async def test_a_release_from_the_empty_list_to_promoted_failed_recalled_and_a_pardon_asked_for(house: House) -> None:
    assert "brakeline release publish" in await house.page("/releases")
    assert "release keys on this server" in await house.page("/releases/keys")
    assert house.owner is not None
    ids = [await house.endpoint(f"web-{i}") for i in range(4)]
    old = (await house.releases.publish(house.owner, release_bundle("1.0.0", 1))).release_id
    bad = (await house.releases.publish(house.owner, release_bundle("1.1.0", 2), notes="twice as fast")).release_id
    failed = TrialReport(bad, "reverted", "exited", "ended with code 3.", 3, "Traceback: no module named frames")
    said = LauncherReport("0.1.0", old, old, old, problems=("metadata_expired: targets are old",))
    house.clock.advance(5)  # past what the list remembers of a fleet without launchers
    for endpoint_id in ids[:3]:
        await house.fleet.check_in(endpoint_id, said)

    listed = await house.page("/releases")
    assert "not promoted" in listed
    assert f'href="/endpoints?q=running:{old}">3</a>' in listed
    assert "web-2" in await house.page(f"/endpoints?q=running:{old}")
    new = await house.page(f"/releases/{bad}")
    assert all(text in new for text in ("twice as fast", f"brakeline release plan {bad}", "No launcher speaks of it"))
    tab = await house.page(f"/endpoints/{ids[0]}/agent")
    assert "agent 1.1.0 is published, and nobody has promoted it yet" in tab
    assert "Look at the keys" in tab
    assert "No launcher runs this agent" in await house.page(f"/endpoints/{ids[3]}/agent")

    plan = await house.page(f"/releases/{bad}/promote?pace=rehearsal")
    assert "Start on 4 endpoints" in plan
    assert "until they are enrolled again: 1." in plan
    assert "halts; so does one that stays away" in plan
    assert (await house.get(f"/releases/{bad}/promote?pace=hasty")).status == 422
    assert (await house.rollouts.list(house.owner)) == (), "a plan makes nothing"
    assert (await house.post(f"/releases/{bad}/promote", pace="rehearsal", expect_count="3")).status == 409
    started = await house.post(f"/releases/{bad}/promote", pace="rehearsal", expect_count="4")
    rollout = started.headers["location"]
    assert rollout in await house.page(f"/releases/{bad}")
    live = await house.page(rollout)
    assert "What it rolls out" in live
    assert f'href="/releases/{bad}"' in live
    lacking = await house.page(f"{rollout}/endpoints")
    assert lacking.count("no launcher runs its agent") == 1
    assert "waits for its ring" in await house.page(f"/endpoints/{ids[0]}/agent")
    assert "is under way" in await house.page(f"/releases/{bad}/promote")

    house.clock.advance(5)
    await house.fleet.check_in(ids[0], replace(said, quarantined=(bad,), last_trial=failed, problems=()))
    assert (await house.post(f"{rollout}/brake")).status == 303
    halted = await house.page(rollout)
    assert "never resumed" in halted
    assert "/resume" not in halted
    recalled = await house.page(f"/releases/{bad}")
    assert "■ Recalled" in recalled
    assert "no module named frames" in recalled
    assert "it ended by itself" in recalled
    assert f'href="/endpoints/{ids[0]}/agent">web-0</a>' in recalled
    assert "1.1.0 has failed" not in await house.page(f"/endpoints/{ids[0]}/agent"), (
        "a recalled one is offered to nobody"
    )
    assert "is recalled already" in await house.page(f"/releases/{bad}/recall")

    assert (await house.post(f"/releases/{bad}/pardon", reason="")).status == 422
    assert (await house.post(f"/releases/{bad}/pardon", reason="the host was at fault")).status == 303
    assert "has asked for it: see Approvals" in await house.page(f"/releases/{bad}/pardon")
    assert "Take back the recall of agent 1.1.0" in await house.page("/approvals")
    assert "■ Recalled" in await house.page(f"/releases/{bad}")
    assert (await house.post(f"/releases/{old}/withdraw", reason="too old")).status == 303
    assert "Withdrawn" in await house.page(f"/releases/{old}")
    log = await house.page("/audit")
    assert all(act in log for act in ("release.publish", "release.recall", "approval.ask", "release.withdraw"))
    assert f'href="/releases/{bad}"' in log


async def test_releases_follow_each_other_on_pages(house: House) -> None:
    assert house.owner is not None
    made = []
    for i in range(27):
        made.append(await house.releases.publish(house.owner, release_bundle(f"1.{i}.0", i + 1)))
        house.clock.advance(1)
    first = await house.page("/releases")
    assert made[26].release_id in first.replace("<wbr>", "")
    assert made[1].release_id not in first
    following = re.search(r'href="(/releases\?after=[^"]+)"', first)
    assert following is not None
    second = (await house.page(following[1])).replace("<wbr>", "")
    assert made[0].release_id in second
    assert made[26].release_id not in second
    assert (await house.get("/releases?after=nothing")).status == 422


async def test_a_slow_press_on_brake_stops_a_real_rollout_in_a_real_browser(house: House) -> None:
    require(CHROMIUM.exists(), "Chromium (Debian: apt-get install chromium)")
    ids = [await house.endpoint(f"web-{i}") for i in range(4)]
    assert house.owner is not None
    await house.remediation.create_policy(house.owner, name="p", filter_text="", mode="patch")
    form = {"filter": "", "selection": "security", "policy": "rehearsal", "expect_count": "4"}
    rollout = (await house.post("/rollouts/new", **form)).headers["location"]
    rollout_id = rollout.rpartition("/")[2]
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(house.console, log_level="warning", lifespan="off"))
        serving = asyncio.create_task(server.serve([sock]))
        moving = asyncio.create_task(keep_moving(house, ids))
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
            page = await browser.new_page()
            await page.context.add_cookies([{"name": "brakeline_session", "value": house.cookie, "url": url}])
            await page.goto(url + rollout)
            await expect(page.locator("#feed-state")).to_have_text("● live")
            before = await page.locator("#rollout_live").inner_html()
            await page.locator("#brake").hover()
            await page.mouse.down()
            live = expect(page.locator("#rollout_live"), "an update during the press")
            await live.not_to_have_js_property("innerHTML", before, timeout=60_000)
            await page.mouse.up()
            await expect(page.locator("#brake")).to_contain_text("BRAKED", timeout=60_000)
            await expect(page.locator("#spared li")).to_have_count(4)
            await browser.close()
        moving.cancel()
        house.console.feed.stop()
        server.should_exit = True
        await serving
    assert (await house.rollouts.show(house.owner, rollout_id)).state == "halted"


async def keep_moving(house: House, ids: list[str]) -> None:
    """Time goes on and endpoints check in, so that the page has something to say twice a second."""
    while True:
        house.clock.advance(1)
        await house.hear(ids)
        for endpoint_id in ids:
            session = await house.fleet.service.session(endpoint_id)
            check_in = CheckIn("0.1", session.held.sequence, session.held.digest, Health())
            await house.rollouts.on_check_in(session.identity, check_in)
        await house.rollouts.reconcile()
        await asyncio.sleep(0.4)


async def test_when_and_how_is_set_on_the_page_of_policies_and_read_on_the_page_of_an_endpoint(house: House) -> None:
    one = await house.endpoint("web-0", "eu")
    await house.post("/policies", name="all", filter="", mode="patch", expect_count="1")
    wrong = await house.page("/policies?name=n&filter=&mode=leave&windows=mon+22:00/06:00;+tue+05:00/07:00")
    assert "overlap; write what they are together once" in wrong
    assert "no whole number" in await house.page("/policies?name=n&filter=&mode=leave&nice=very")
    far = await house.page("/policies?name=n&filter=&mode=leave&probes=web+http://example.test/")
    assert "names neither an address of the endpoint&#39;s own nor a program" in far
    form = {"name": "nights", "filter": "", "mode": "leave", "windows": "daily 22:00/06:00", "restart": "never",
            "probes": "web http://127.0.0.1/; db /bin/true"}  # fmt: skip
    shown = await house.page("/policies?" + "&".join(f"{k}={v.replace(' ', '+')}" for k, v in form.items()))
    assert 'id="policy-windows" name="windows" value="daily 22:00/06:00"' in shown
    assert '<input type="hidden" name="windows" value="daily 22:00/06:00">' in shown
    assert '<input type="hidden" name="restart" value="never">' in shown
    assert (await house.post("/policies", **form, expect_count="1")).status == 303
    policies = await house.page("/policies")
    assert "maintenance windows: daily 22:00/06:00" in policies
    assert "probes: db /bin/true; web http://127.0.0.1/" in policies
    clash = await house.post("/policies", name="noon", filter="", mode="leave", windows="daily 12:00/13:00",
                             expect_count="1")  # fmt: skip
    assert clash.status == 409
    page = await house.page(f"/endpoints/{one}/agent")
    assert "Settings in force" in page
    assert "policy nights" in page
    assert "Its agent is too old to keep windows and limits" in page  # it has not checked in yet


async def test_a_release_is_promoted_to_early_and_pages_say_who_follows_it(house: House) -> None:
    assert house.owner is not None
    lab, web = await house.endpoint("lab-1"), await house.endpoint("web-1")
    await house.fleet.service.set_tags(house.owner, lab, ("lab",))
    old = (await house.releases.publish(house.owner, release_bundle("1.0.0", 1))).release_id
    new = (await house.releases.publish(house.owner, release_bundle("1.1.0", 2))).release_id
    house.clock.advance(5)
    for endpoint_id in (lab, web):
        await house.fleet.check_in(endpoint_id, LauncherReport("0.1.0", old, old, old))
    page = f"/releases/{new}/promote"
    assert "No active endpoint follows early" in await house.page(f"{page}?channel=early")
    assert "there is no channel" in await house.page(f"{page}?channel=nightly")

    form = {"name": "trial", "filter": "tag:lab", "mode": "leave", "channel": "early"}
    assert 'name="channel" value="early"' in await house.page(f"/policies?{urlencode(form)}")
    assert (await house.post("/policies", **{**form, "channel": "nightly"}, expect_count="1")).status == 422
    assert (await house.post("/policies", **form, expect_count="1")).status == 303
    assert "<td>early</td>" in await house.page("/policies")
    assert "follows early, by the policy trial" in await house.page(f"/endpoints/{lab}/agent")
    assert "follows stable, because no policy says otherwise" in await house.page(f"/endpoints/{web}/agent")

    plan = await house.page(f"{page}?pace=rehearsal&channel=early")
    assert "endpoints that follow <b>early</b>" in plan
    assert "--pace rehearsal --channel early --expect 1 --start" in plan
    started = await house.post(page, pace="rehearsal", channel="early", expect_count="1")
    assert "Release agent 1.1.0 to early" in await house.page(started.headers["location"])
    assert "Promoted to stable: not yet, early: " in await house.page(f"/releases/{new}")
    assert "to early is under way" in await house.page(page)
    assert "is promoted to early alone, and this endpoint follows stable" in await house.page(f"/endpoints/{web}/agent")
    await house.fleet.service.set_tags(house.owner, web, ("lab",))
    house.clock.advance(11)
    late = await house.page(f"/endpoints/{web}/agent")
    assert "was promoted to early before this endpoint followed it; promote it there again" in late
