"""Feeds by file and from an address, into a real database: what is live, refused, held, and who may."""

from __future__ import annotations

import asyncio
import gzip
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest
from tests.integration.advisories.test_store_seed import write_seed
from tests.postgres_clusters import TestDatabase
from tests.support_fleet import SmallFleet, deb
from tests.support_people import House, new_house

from brakeline.advisories.arrivals import NotNewer
from brakeline.advisories.importers import BadFeed
from brakeline.advisories.importing import Importing, NotYours
from brakeline.advisories.model import Epss
from brakeline.advisories.service import AdvisoriesService
from brakeline.core.clock import ManualClock
from brakeline.core.days import DAY_MS, day_of
from brakeline.core.errors import Forbidden, Invalid, Unavailable
from brakeline.exposure.flips import ADDITIONS_WAIT_MS
from brakeline.exposure.holding import Holding
from brakeline.exposure.service import ExposureService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.platform.observe import render_metrics
from brakeline.tenancy.model import Principal, system_principal

CVES = [f"CVE-2025-{i}" for i in range(1, 101)]
V31 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
LOW = "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"


@dataclass
class World:
    """Three endpoints with curl open to a hundred CVEs, a first organisation, and its owner."""

    advisories: AdvisoriesService
    importing: Importing
    holding: Holding
    exposure: ExposureService
    house: House
    owner: Principal
    clock: ManualClock
    seed: Path
    addresses: dict[str, str] = field(default_factory=dict)

    def day(self, ago: int = 0) -> str:
        return day_of(self.clock.now_ms() - ago * DAY_MS)

    def epss(self, score: float = 0.05, likely: int = 60, ago: int = 0, more: str = "") -> bytes:
        """Scores of a day: the first `likely` CVEs at 0.9, the others at `score`, and one that nobody has."""
        rows = [f"{cve},{0.9 if i < likely else score},0.5" for i, cve in enumerate(CVES)]
        head = f"#model_version:v2025.03.14,score_date:{self.day(ago)}T00:00:00Z\ncve,epss,percentile\n"
        return gzip.compress((head + "\n".join([*rows, "CVE-1999-1,0.2,0.3"]) + "\n" + more).encode())

    def cvss(self, vector: str = V31, ago: int = 0) -> bytes:
        rows = [{"cve": cve, "vector": vector} for cve in CVES]
        return "\n".join(map(json.dumps, [{"issued": f"{self.day(ago)}T00:00:00Z", "source": "us"}, *rows])).encode()

    def kev(self, cves: list[str], ago: int = 0) -> bytes:
        entries = [{"cveID": c, "dateAdded": self.day(ago), "dueDate": self.day(ago)} for c in cves]
        said = {"catalogVersion": self.day(ago).replace("-", "."), "dateReleased": f"{self.day(ago)}T14:00:00.5Z"}
        return json.dumps({**said, "count": len(entries), "vulnerabilities": entries}).encode()


@pytest.fixture
async def world(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> World:
    house, owner = await new_house(database, clock, ids)
    fleet = SmallFleet(database, clock, ids)
    advisories = AdvisoriesService(database, clock)
    exposure = ExposureService(database, clock, fleet.bus, fleet.service, advisories)
    holding = Holding(database, clock, exposure, advisories, house.tenancy.approvals, house.tenancy.tenants)
    addresses: dict[str, str] = {}

    async def first() -> str:
        return (await house.tenancy.first_tenant()).tenant_id

    importing = Importing(database, clock, advisories, first, addresses)
    importing._addresses = addresses  # filled by the tests that serve something
    rows = [{"source": "curl", "cve": cve, "fixed": "2.0-1", "date": "2025-05-05"} for cve in CVES]
    write_seed(tmp_path, "\n".join(map(json.dumps, rows)))
    await advisories.load_seed(tmp_path)
    fleet.service.on_inventory = exposure.on_inventory
    for host in ("web1", "web2", "web3"):
        await fleet.inventory(await fleet.enrol(host, owner=owner), [deb("curl", "1.0-1")])
    return World(advisories, importing, holding, exposure, house, owner, clock, tmp_path, addresses)


async def test_scores_by_file_are_live_and_only_those_of_advisories_are_kept_in_memory(world: World) -> None:
    before = (await world.advisories.knowledge()).fingerprint
    state = await world.importing.import_file(world.owner, "epss", world.epss())
    assert (state.rows, state.problem, state.kind, state.origin) == (101, "", "epss", "file")
    assert state.version == f"v2025.03.14 of {world.day()}"
    await world.importing.import_file(world.owner, "cvss-2025", world.cvss())
    known = await world.advisories.knowledge()
    assert known.epss["CVE-2025-1"] == Epss("CVE-2025-1", 0.9, 0.5)
    assert (len(known.epss), len(known.cvss)) == (100, 100)
    assert (known.cvss["CVE-2025-7"].score, known.cvss["CVE-2025-7"].vector) == (9.8, V31)
    assert known.fingerprint == before  # no finding moved, so nothing is assessed anew
    assert f"EPSS of {world.day()}" in " ".join(known.limits)


async def test_an_older_file_and_the_same_day_s_are_refused_and_what_is_live_stays(world: World) -> None:
    await world.importing.import_file(world.owner, "epss", world.epss(ago=1))
    for old in (world.epss(ago=2), world.epss(score=0.04, ago=1)):
        with pytest.raises(NotNewer, match="is live"):
            await world.importing.import_file(world.owner, "epss", old)
    assert not next(f for f in await world.advisories.feeds() if f.feed == "epss").problem  # nothing is wrong with it
    assert not (await world.importing.import_file(world.owner, "epss", world.epss(ago=1))).problem  # the very same
    state = await world.importing.import_file(world.owner, "epss", world.epss())
    assert state.issued == f"{world.day()}T00:00:00Z"


async def test_a_file_from_the_future_would_keep_every_honest_one_out_and_is_refused(world: World) -> None:
    with pytest.raises(BadFeed, match="from the future"):
        await world.importing.import_file(world.owner, "epss", world.epss(ago=-2))
    assert not (await world.importing.import_file(world.owner, "epss", world.epss())).problem


@pytest.mark.parametrize(
    ("feed", "data", "says"),
    [
        ("epss", b"<html>", "line 1 does not say model_version"),
        ("epss", b"", "line 1 does not say model_version"),
        ("cisa-kev", b"{}", "not CISA's catalogue"),
        ("cvss", b"{}", "line 1 does not say when"),
        ("epss", b"\x1f\x8b\x08garbage", "damaged"),
    ],
)
async def test_garbage_keeps_the_last_good_content_and_says_so_beside_it(
    world: World, feed: str, data: bytes, says: str
) -> None:
    good = {"epss": world.epss(ago=1), "cisa-kev": world.kev(CVES[:3], ago=1), "cvss": world.cvss(ago=1)}
    await world.importing.import_file(world.owner, feed, good[feed])
    world.clock.advance(60)
    with pytest.raises(BadFeed, match=says):
        await world.importing.import_file(world.owner, feed, data)
    state = next(f for f in await world.advisories.reload() if f.feed == feed)  # the seed's hourly look leaves it
    assert says in state.problem
    assert (state.rows, state.attempted_ms) == ({"epss": 101, "cisa-kev": 3, "cvss": 100}[feed], world.clock.now_ms())
    standing = next(s for s in await world.importing.status(world.owner) if s.feed == feed)
    assert (standing.age_days, says in standing.problem) == (1, True)


async def test_a_file_with_one_bad_line_changes_nothing_of_what_is_live(world: World) -> None:
    await world.importing.import_file(world.owner, "epss", world.epss(ago=1))
    with pytest.raises(BadFeed, match="line 104: a probability"):
        await world.importing.import_file(world.owner, "epss", world.epss(score=0.5, more="CVE-2025-999,7,0\n"))
    assert (await world.advisories.knowledge()).epss["CVE-2025-100"].score == 0.05


async def test_scores_that_forget_what_is_likely_wait_for_two_people(world: World) -> None:
    bert = await world.house.add("Bert", "owner", by=world.owner)
    world.house.later()
    await world.importing.import_file(world.owner, "epss", world.epss(ago=1))
    poisoned = await world.importing.import_file(world.owner, "epss", world.epss(likely=0))
    assert "would take away more marks of what is likely to be exploited" in poisoned.problem
    (held,) = (await world.holding.content(world.owner)).held
    assert (held.feed, held.flips.lost, held.flips.before) == ("epss", 180, 180)
    assert "180 marks of what is likely to be exploited on 3 endpoints" in held.reason
    world.clock.advance(ADDITIONS_WAIT_MS / 500)
    await world.advisories.reload()
    assert (await world.advisories.knowledge()).epss["CVE-2025-1"].score == 0.9
    asked = await world.holding.accept(world.owner, "epss", held.sha256)
    assert asked is not None
    assert await world.house.approve(bert, asked.approval_id) == "done"  # what was held was kept, and is live at once
    assert (await world.advisories.knowledge()).epss["CVE-2025-1"].score == 0.05
    assert (await world.holding.content(world.owner)).held == ()


async def test_scores_that_call_everything_likely_wait_six_hours_with_a_notice(world: World) -> None:
    await world.importing.import_file(world.owner, "epss", world.epss(ago=1))
    state = await world.importing.import_file(world.owner, "epss", world.epss(score=0.99))
    assert "would add more marks" in state.problem
    world.clock.advance(ADDITIONS_WAIT_MS / 1000)
    await world.advisories.reload()
    assert (await world.advisories.knowledge()).epss["CVE-2025-100"].score == 0.99


async def test_severities_that_are_all_harmless_overnight_are_held(world: World) -> None:
    await world.importing.import_file(world.owner, "cvss", world.cvss(ago=1))
    state = await world.importing.import_file(world.owner, "cvss", world.cvss(LOW))
    assert "would take away more marks of high severity" in state.problem
    assert (await world.advisories.knowledge()).cvss["CVE-2025-1"].score == 9.8


async def test_of_several_feeds_of_severities_the_newer_standard_and_the_higher_score_count(world: World) -> None:
    await world.importing.import_file(world.owner, "cvss", world.cvss("AV:N/AC:L/Au:N/C:C/I:C/A:C"))  # 10.0 in 2.0
    await world.importing.import_file(world.owner, "cvss-2025", world.cvss(LOW))
    await world.importing.import_file(world.owner, "cvss-vendor", world.cvss(V31))
    assert (await world.advisories.knowledge()).cvss["CVE-2025-1"].vector == V31


async def test_what_was_imported_is_not_undone_by_the_seed_unless_that_is_newer(world: World) -> None:
    await world.importing.import_file(world.owner, "cisa-kev", world.kev(CVES[:3]))
    await world.advisories.load_seed()  # the real one, of 2025
    kev = next(f for f in await world.advisories.feeds() if f.feed == "cisa-kev")
    assert (kev.rows, kev.origin, kev.problem) == (3, "file", "")
    await world.importing.import_file(world.owner, "epss", world.epss())
    assert (await world.exposure.vulnerabilities(world.owner, "kev:yes")).total == 3


async def test_only_the_organisation_that_runs_the_installation_imports(world: World, database: Database) -> None:
    async with database.system() as conn:
        await conn.execute("SELECT brakeline.tenant_create('te_other', 'other', now())")
    other = system_principal("te_other", "x")
    for attempt in (world.importing.import_file(other, "epss", world.epss()), world.importing.fetch(other, "epss")):
        with pytest.raises(NotYours):
            await attempt
    viewer = await world.house.add("Vera", "viewer", by=world.owner)
    with pytest.raises(Forbidden, match=r"policy\.write"):
        await world.importing.import_file(viewer, "epss", world.epss())
    assert {s.feed for s in await world.importing.status(other)} == {"small", "epss", "cisa-kev", "cvss"}


async def test_a_feed_that_there_is_not_is_refused_with_those_there_are(world: World) -> None:
    for name in ("nvd", "debian-changelog", "small", "cvss-", "cvss-../x"):
        with pytest.raises(Invalid, match="there are epss, cisa-kev, cvss"):
            await world.importing.import_file(world.owner, name, b"")


async def test_what_never_came_is_said_with_what_that_means(world: World) -> None:
    said = {s.feed: s for s in await world.importing.status(world.owner)}
    assert said["epss"].says.startswith("Nothing says how likely exploitation is")
    assert said["epss"].says.endswith("brakeline content import epss FILE")
    await world.importing.import_file(world.owner, "epss", world.epss(ago=31))
    (epss,) = (s for s in await world.importing.status(world.owner) if s.feed == "epss")
    assert (epss.age_days, epss.old, "not used any more" in epss.says) == (31, True, True)


async def test_the_application_may_read_scores_but_not_write_them(world: World, test_database: TestDatabase) -> None:
    await world.importing.import_file(world.owner, "epss", world.epss())
    conn = await asyncpg.connect(test_database.dsn_app)
    try:
        assert await conn.fetchval("SELECT count(*) FROM brakeline.epss") == 101
        for statement in ("DELETE FROM brakeline.epss", "UPDATE brakeline.cvss SET score = 0",
                          "DELETE FROM brakeline.feed_arrival"):  # fmt: skip
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await conn.execute(statement)
    finally:
        await conn.close()


# --- from an address -------------------------------------------------------------------------------------------------


@dataclass
class Site:
    """A web server on this machine with one file."""

    data: bytes = b""
    etag: str = '"1"'
    status: int = 200
    location: str = ""
    asked: list[str] = field(default_factory=list)  # validators that came with each request
    url: str = ""


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.headers.get("If-None-Match", ""))
            same = made.status == 200 and self.headers.get("If-None-Match") == made.etag
            self.send_response(304 if same else made.status)
            if made.location:
                self.send_header("Location", made.location)
            self.send_header("ETag", made.etag)
            body = b"" if same or made.status != 200 else made.data
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}/epss.csv.gz"
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


async def test_an_address_is_asked_every_six_hours_and_conditionally(world: World, site: Site) -> None:
    site.data, world.addresses["epss"] = world.epss(ago=1), site.url
    assert await world.importing.reconcile() == "1 of 1 addresses asked"
    (epss,) = (f for f in await world.advisories.feeds() if f.feed == "epss")
    assert (epss.rows, epss.origin, epss.problem) == (101, "url", "")
    assert await world.importing.reconcile() == "0 of 1 addresses asked"
    world.clock.advance(6 * 3600)
    await world.importing.reconcile()
    assert site.asked == ["", '"1"']  # the second time there was nothing to send
    site.data, site.etag = world.epss(score=0.06), '"2"'
    assert (await world.importing.fetch(world.owner, "epss")).issued[:10] == world.day()
    (standing,) = (s for s in await world.importing.status(world.owner) if s.feed == "epss")
    assert (standing.address, standing.asked_ms) == (site.url, world.clock.now_ms())


async def test_an_address_that_is_away_or_serves_garbage_changes_nothing_and_is_said(world: World, site: Site) -> None:
    site.data, world.addresses["epss"] = world.epss(ago=1), site.url
    await world.importing.fetch(world.owner, "epss")
    world.clock.advance(7 * 3600)
    site.status = 503
    await world.importing.reconcile()
    (epss,) = (f for f in await world.advisories.feeds() if f.feed == "epss")
    assert (epss.rows, "127.0.0.1 answers 503" in epss.problem) == (101, True)
    told = render_metrics().decode()
    assert 'brakeline_feed_age_days{feed="epss"} 1.0' in told
    assert 'brakeline_feed_kept_back{feed="epss"} 1.0' in told
    assert 'brakeline_feed_age_days{feed="cvss"} -1.0' in told
    site.status, site.data, site.etag = 200, b"<html>sign in</html>", '"3"'
    await world.importing.reconcile()
    (epss,) = (f for f in await world.advisories.feeds() if f.feed == "epss")
    assert (epss.rows, "line 1 does not say" in epss.problem) == (101, True)
    site.data = world.epss()
    assert not (await world.importing.fetch(world.owner, "epss")).problem  # what was refused was not remembered as had


async def test_an_address_with_an_older_file_than_ours_is_no_news(world: World, site: Site) -> None:
    await world.importing.import_file(world.owner, "epss", world.epss())
    site.data, world.addresses["epss"] = world.epss(ago=1), site.url
    state = await world.importing.fetch(world.owner, "epss")
    assert (state.issued[:10], state.problem) == (world.day(), "")


async def test_redirects_lead_to_https_or_nowhere_and_addresses_name_no_user(world: World, site: Site) -> None:
    world.addresses["epss"] = site.url
    site.status, site.location = 302, "http://192.0.2.1/epss"
    with pytest.raises(Invalid, match="https://NAME/PATH"):
        await world.importing.fetch(world.owner, "epss")
    site.location = "file:///etc/passwd"
    with pytest.raises((Invalid, Unavailable)):
        await world.importing.fetch(world.owner, "epss")
    for bad in ("http://example.org/e", "https://me:secret@example.org/e", "ftp://example.org/e", "/etc/passwd"):
        world.addresses["epss"] = bad
        with pytest.raises(Invalid) as e:
            await world.importing.fetch(world.owner, "epss")
        assert "secret" not in str(e.value)
    world.addresses.clear()
    with pytest.raises(Invalid, match="epss_url"):
        await world.importing.fetch(world.owner, "epss")


async def test_two_loaders_at_once_agree(world: World) -> None:
    both = await asyncio.gather(
        world.importing.import_file(world.owner, "epss", world.epss()),
        world.importing.import_file(world.owner, "epss", world.epss()),
    )
    assert {state.problem for state in both} == {""}
    assert len((await world.advisories.knowledge()).epss) == 100
