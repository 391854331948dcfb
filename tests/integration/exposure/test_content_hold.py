"""Content that flips too much is held before it is live: a poisoned feed, an honest large one, two organisations."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support_feeds import importing_of
from tests.support_fleet import SmallFleet, deb
from tests.support_people import House, new_house

from brakeline.advisories.model import FeedState
from brakeline.advisories.service import AdvisoriesService
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden, Invalid, NotFound
from brakeline.exposure.flips import ADDITIONS, ADDITIONS_WAIT_MS, LOSSES, Bound, Named
from brakeline.exposure.holding import Holding
from brakeline.exposure.service import ExposureService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.messages import Package
from brakeline.tenancy.model import Principal, system_principal

Row = dict[str, str]
CURL = [{"source": "curl", "cve": f"CVE-2025-{i}", "fixed": "2.0-1", "date": "2025-05-05"} for i in range(200)]
MORE = [{"source": "curl", "cve": f"CVE-2026-{i}", "fixed": "2.0-1", "date": "2026-05-05"} for i in range(100)]


@dataclass
class World:
    """A fleet of three, its feeds in a directory of their own, and two owners."""

    seed: Path
    fleet: SmallFleet
    exposure: ExposureService
    advisories: AdvisoriesService
    holding: Holding
    house: House
    owner: Principal
    clock: ManualClock

    def write(self, rows: list[Row], kev: list[str] | None = None, version: str = "1") -> None:
        kev = kev if kev is not None else ["CVE-2025-1"]
        entries = [{"cveID": cve, "dateAdded": "2026-01-01", "dueDate": "2026-02-01"} for cve in kev]
        catalogue = json.dumps({"catalogVersion": version, "count": len(entries), "vulnerabilities": entries})
        feeds = [
            self._file("cisa-kev", "kev", "kev.json", catalogue, version),
            self._file("small", "advisories", "rows.jsonl", "\n".join(map(json.dumps, rows)), version),
        ]
        (self.seed / "manifest.json").write_text(json.dumps({"feeds": feeds}))

    def _file(self, feed: str, kind: str, name: str, text: str, version: str) -> dict[str, Any]:
        (self.seed / name).write_text(text)
        return {
            "feed": feed, "file": name, "kind": kind, "ecosystem": "debian:12", "rows": 1, "version": version,
            "limits": "", "bytes": len(text.encode()), "sha256": hashlib.sha256(text.encode()).hexdigest(),
        }  # fmt: skip

    async def load(self, rows: list[Row], kev: list[str] | None = None, version: str = "2") -> FeedState:
        self.write(rows, kev, version)
        return await self.again()

    async def again(self) -> FeedState:
        return next(f for f in await self.advisories.load_seed(self.seed) if f.feed == "small")

    async def open_cves(self) -> int:
        return len((await self.exposure.vulnerabilities(self.owner, "", limit=500)).items)


@pytest.fixture
async def world(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> World:
    house, owner = await new_house(database, clock, ids)
    fleet = SmallFleet(database, clock, ids)
    advisories = AdvisoriesService(database, clock)
    exposure = ExposureService(database, clock, fleet.bus, fleet.service, advisories)
    holding = Holding(database, clock, exposure, advisories, house.tenancy.approvals, house.tenancy.tenants)
    made = World(tmp_path, fleet, exposure, advisories, holding, house, owner, clock)
    made.write(CURL)
    assert not (await made.again()).problem
    fleet.service.on_inventory = exposure.on_inventory
    for host in ("web1", "web2", "web3"):
        endpoint = await fleet.enrol(host, owner=owner)
        await fleet.inventory(endpoint, [deb("curl", "1.0-1")])
    assert await made.open_cves() == 200
    return made


async def test_a_poisoned_feed_that_takes_findings_away_is_held_and_what_was_known_stays(world: World) -> None:
    fixed_before_it_was_broken = [{**row, "fixed": "0.1-1"} for row in CURL]
    state = await world.load(fixed_before_it_was_broken)
    assert "held: version 2 would take away more findings" in state.problem
    assert (state.version, state.rows) == ("1", 200)
    assert await world.open_cves() == 200
    content = await world.holding.content(world.owner)
    (held,) = content.held
    assert (held.feed, held.kind, held.flips.lost, held.flips.losing) == ("small", LOSSES, 600, 3)
    assert "take away 600 findings on 3 endpoints, 100% of what stands open" in held.reason
    world.clock.advance(30 * 86400)  # no time makes it live
    assert (await world.again()).problem
    assert await world.open_cves() == 200


async def test_losses_are_live_after_two_people_and_not_after_one(world: World) -> None:
    bert = await world.house.add("Bert", "owner", by=world.owner)
    world.house.later()
    await world.load([{**row, "fixed": "0.1-1"} for row in CURL])
    (held,) = (await world.holding.content(world.owner)).held
    asked = await world.holding.accept(world.owner, "small", held.sha256)
    assert asked is not None
    assert "is no longer shown as open" in asked.says[1]
    assert await world.open_cves() == 200
    assert await world.house.approve(bert, asked.approval_id) == "done"
    assert await world.open_cves() == 0
    assert (await world.holding.content(world.owner)).held == ()
    assert not next(f for f in await world.advisories.feeds() if f.feed == "small").problem


async def test_an_agreement_is_to_the_content_that_was_seen(world: World) -> None:
    bert = await world.house.add("Bert", "owner", by=world.owner)
    world.house.later()
    await world.load([{**row, "fixed": "0.1-1"} for row in CURL])
    (held,) = (await world.holding.content(world.owner)).held
    asked = await world.holding.accept(world.owner, "small", held.sha256)
    assert asked is not None
    await world.load([{**row, "fixed": "0.2-1"} for row in CURL], version="3")
    with pytest.raises(Conflict):
        await world.house.approve(bert, asked.approval_id)
    with pytest.raises(Conflict, match="other content"):
        await world.holding.accept(world.owner, "small", held.sha256)
    assert await world.open_cves() == 200


async def test_an_honest_flood_waits_six_hours_is_named_meanwhile_and_then_live_by_itself(world: World) -> None:
    state = await world.load(CURL + MORE, kev=["CVE-2025-1", "CVE-2026-7"])
    assert "would add more findings" in state.problem
    (held,) = (await world.holding.content(world.owner)).held
    assert (held.kind, held.flips.gained, held.flips.exploited) == (ADDITIONS, 300, 3)
    assert held.flips.named == (Named("CVE-2026-7", 3),)  # provisional: shown, not live
    assert await world.open_cves() == 200
    world.clock.advance(ADDITIONS_WAIT_MS / 1000)
    assert not (await world.again()).problem
    assert await world.open_cves() == 300
    assert (await world.holding.content(world.owner)).held == ()


async def test_one_person_accepts_additions_at_once_or_refuses_them_for_good(world: World) -> None:
    await world.load(CURL + MORE)
    (held,) = (await world.holding.content(world.owner)).held
    with pytest.raises(Invalid, match="say why"):
        await world.holding.refuse(world.owner, "small", held.sha256, " ")
    await world.holding.refuse(world.owner, "small", held.sha256, "the mirror was attacked")
    world.clock.advance(ADDITIONS_WAIT_MS / 1000)
    assert (await world.again()).problem
    (held,) = (await world.holding.content(world.owner)).held
    assert (held.decision, held.decided_by) == ("refused", world.owner.name)
    assert await world.holding.accept(world.owner, "small", held.sha256) is None
    assert await world.open_cves() == 300


async def test_a_flood_of_what_is_exploited_is_live_at_once(world: World) -> None:
    state = await world.load(CURL + MORE, kev=["CVE-2025-1", *(row["cve"] for row in MORE)])
    assert not state.problem
    assert await world.open_cves() == 300


async def test_a_catalogue_that_forgets_what_is_exploited_is_held(world: World) -> None:
    world.write(CURL, kev=[f"CVE-2025-{i}" for i in range(20)], version="2")
    await world.again()
    world.write(CURL, kev=["CVE-2025-1"], version="3")
    await world.again()
    kev = next(f for f in await world.advisories.feeds() if f.feed == "cisa-kev")
    assert (kev.rows, "held" in kev.problem) == (20, True)
    assert (await world.exposure.vulnerabilities(world.owner, "kev:yes", limit=500)).items[19].kev


async def test_a_small_change_is_live_at_once(world: World) -> None:
    state = await world.load(CURL[:-1] + MORE[:5])
    assert not state.problem
    assert await world.open_cves() == 204


async def test_each_organisation_weighs_for_its_own_fleet_and_sees_no_other_s_figures(
    world: World, database: Database, ids: IdMaker
) -> None:
    async with database.system() as conn:
        await conn.execute("SELECT brakeline.tenant_create('te_other', 'other', now())")
    await world.load([{**row, "fixed": "0.1-1"} for row in CURL])
    other = system_principal("te_other", "x")
    assert (await world.holding.content(other)).held == ()
    with pytest.raises(NotFound):
        await world.holding.accept(other, "small", "0" * 64)
    problem = next(f for f in (await world.holding.content(other)).feeds if f.feed == "small").problem
    assert "600" not in problem


async def test_bounds_are_lowered_by_one_raised_by_two_and_never_without_sense(world: World) -> None:
    bert = await world.house.add("Bert", "owner", by=world.owner)
    world.house.later()
    assert await world.holding.set_bound(world.owner, Bound(0.01, 0.02)) is None
    assert (await world.holding.content(world.owner)).bound == Bound(0.01, 0.02)
    assert "held" in (await world.load(CURL[7:])).problem  # 21 states of 600: over one per cent, and over a handful
    asked = await world.holding.set_bound(world.owner, Bound(0.5, 0.02))
    assert asked is not None
    assert (await world.holding.content(world.owner)).bound == Bound(0.01, 0.02)
    await world.house.approve(bert, asked.approval_id)
    assert await world.open_cves() == 193
    for wrong in (Bound(0.0, 0.1), Bound(0.1, 0.9)):
        with pytest.raises(Invalid, match="is a share from 1% to 50%"):
            await world.holding.set_bound(world.owner, wrong)


async def test_who_may_only_look_decides_nothing(world: World) -> None:
    await world.load(CURL + MORE)
    viewer = Principal(world.owner.tenant_id, "v", "person", "v", frozenset({"exposure.read"}))
    (held,) = (await world.holding.content(viewer)).held
    for act in (world.holding.accept(viewer, "small", held.sha256),
                world.holding.refuse(viewer, "small", held.sha256, "no"),
                world.holding.set_bound(viewer, Bound())):  # fmt: skip
        with pytest.raises(Forbidden):
            await act


async def test_acts_are_in_the_audit_log(world: World, database: Database) -> None:
    await world.load(CURL + MORE)
    (held,) = (await world.holding.content(world.owner)).held
    await world.holding.refuse(world.owner, "small", held.sha256, "not today")
    await world.holding.accept(world.owner, "small", held.sha256)
    async with database.tenant(world.owner.tenant_id) as conn:
        rows = await conn.fetch("SELECT action FROM brakeline.audit_entry WHERE action LIKE 'content.%' ORDER BY 1")
    assert [r["action"] for r in rows] == ["content.accept", "content.live", "content.refuse"]


def pypi(count: int, day: int, *, withdrawn: bool = False) -> bytes:
    """A registry's file with as many advisories of one package."""
    at = f"2026-11-{day:02}T00:00:00Z"
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}]
    affected = [{"package": {"ecosystem": "PyPI", "name": "flask"}, "ranges": ranges}]
    more = {"modified": at, "affected": affected, **({"withdrawn": at} if withdrawn else {})}
    return "\n".join(
        json.dumps({"id": f"PYSEC-{n}", "aliases": [f"CVE-2026-{n}"], **more}) for n in range(count)
    ).encode()


async def test_a_vendor_s_record_that_calls_everything_harmless_is_held_even_the_first_time(
    world: World, database: Database
) -> None:
    """A new source beside the old one takes findings away as a new version of the old one would."""
    importing = importing_of(database, world.clock, world.advisories, world.owner.tenant_id)
    harmless = {"releases": {"bookworm": {"status": "resolved", "fixed_version": "0"}}}
    tracker = json.dumps({"curl": {row["cve"]: harmless for row in CURL}}).encode()
    state = await importing.import_file(world.owner, "debian-tracker", tracker, "2026-11-20")
    assert "held" in state.problem
    assert await world.open_cves() == 200
    (held,) = (await world.holding.content(world.owner)).held
    assert (held.feed, held.kind, held.flips.lost) == ("debian-tracker", LOSSES, 600)


async def test_what_a_registry_withdraws_all_at_once_is_held_and_what_it_adds_to_nothing_known_is_not(
    world: World, database: Database
) -> None:
    importing = importing_of(database, world.clock, world.advisories, world.owner.tenant_id)
    endpoints = await world.fleet.service.list_endpoints(world.owner, limit=9)
    for each in endpoints.items:
        flask = Package("flask", "pypi-x", "1.0", "flask", "1.0", ecosystem="pypi")
        await world.fleet.inventory(each.id, [deb("curl", "1.0-1"), flask])
    assert not (await importing.import_file(world.owner, "osv-pypi", pypi(100, 1))).problem
    await world.exposure.reconcile([world.owner.tenant_id])
    assert await world.open_cves() == 300
    state = await importing.import_file(world.owner, "osv-pypi", pypi(100, 2, withdrawn=True))
    assert "take away more findings" in state.problem
    assert await world.open_cves() == 300

    few = pypi(95, 3) + b"\n" + b"\n".join(pypi(100, 3, withdrawn=True).splitlines()[95:])
    assert not (await importing.import_file(world.owner, "osv-pypi", few)).problem
    assert await world.open_cves() == 295
    async with database.tenant(world.owner.tenant_id) as conn:
        told = await conn.fetch("SELECT before, after FROM brakeline.audit_entry WHERE action = 'content.live'")
    assert [(json.loads(t["before"])["before"], json.loads(t["after"])["lost"]) for t in told] == [(900, 15)]
