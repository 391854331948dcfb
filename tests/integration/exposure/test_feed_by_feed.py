"""Advisories read feed by feed are what they are read whole: random histories, two processes, restores and damage."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tests.support_feeds import cvss_file, epss_file, importing_of, kev_file
from tests.support_findings import CVES, World, new_world, write_seed
from tests.support_fleet import SmallFleet, deb
from tests.support_people import new_house

from brakeline.advisories import reading
from brakeline.advisories.by_feed import differing
from brakeline.advisories.importing import Importing
from brakeline.advisories.service import AdvisoriesService
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Invalid, Unavailable
from brakeline.exposure import assessing, store
from brakeline.exposure.books import book_of, sheaf_of
from brakeline.exposure.holding import Holding
from brakeline.exposure.proving import PROVEN, UNPROVEN
from brakeline.exposure.service import ExposureService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Connection, Database

TABLES = ("advisory", "advisory_span", "kev", "epss", "cvss", "feed_state")
NAMES = ("curl", "jq", "bash", "zlib")
NEWS = "CVE-2031-1"


def document(number: int, name: str, fixed: str, at: int, withdrawn: bool) -> dict[str, Any]:
    when = f"2026-11-{1 + at // 60:02}T00:{at % 60:02}:00Z"
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
    taken_back = {"withdrawn": when} if withdrawn else {}
    return {"id": f"DEBIAN-CVE-2031-{number}", "modified": when, "published": when, "aliases": [f"CVE-2031-{number}"],
            "affected": [{"package": {"ecosystem": "Debian:12", "name": name}, "ranges": ranges}],
            **taken_back}  # fmt: skip


class History:
    """Two processes over one database, a fleet of six, and whatever may happen to advisories."""

    def __init__(self, database: Database, clock: ManualClock, draw: random.Random, place: Path) -> None:
        self.database, self.clock, self.draw, self.place = database, clock, draw, place
        self.step, self.saved = 0, list[dict[str, list[Any]]]()
        self.documents: dict[str, dict[int, tuple[str, str, bool]]] = {"osv-debian": {}, "osv-almalinux": {}}
        self.processes: list[tuple[AdvisoriesService, ExposureService, Importing]] = []
        self.outcomes: set[str] = set()

    async def begin(self, ids: IdMaker) -> History:
        house, owner = await new_house(self.database, self.clock, ids)
        self.owner = owner
        for _ in range(2):
            fleet = SmallFleet(self.database, self.clock, ids, owner=owner)
            advisories = AdvisoriesService(self.database, self.clock)
            exposure = ExposureService(self.database, self.clock, fleet.bus, fleet.service, advisories)
            Holding(self.database, self.clock, exposure, advisories, house.tenancy.approvals, house.tenancy.tenants)
            importing = importing_of(self.database, self.clock, advisories, owner.tenant_id)
            self.processes.append((advisories, exposure, importing))
        await self.processes[0][0].load_seed(write_seed(self.place / "seed"))
        for host in ("web1", "web2", "web3", "web4", "web5", "web6"):
            endpoint = await fleet.enrol(host, owner=owner)
            await fleet.inventory(endpoint, [deb(name, "1.5-1") for name in NAMES])
        return self

    async def happen(self) -> None:
        self.step += 1
        self.clock.advance(86_400)
        acts = (self.brought, self.brought, self.brought, self.scored, self.seeded, self.restored, self.kept)
        await self.draw.choice(acts)()

    async def brought(self) -> None:
        feed = self.draw.choice(sorted(self.documents))
        of = dict(self.documents[feed])
        for _ in range(self.draw.randint(1, 8)):
            number, fixed = self.draw.randint(1, 14), self.draw.choice(("1.0-1", "2.0-1", "3.0-1"))
            of[number] = (self.draw.choice(NAMES), fixed, self.draw.random() < 0.2)
        for number in self.draw.sample(sorted(of), min(len(of) - 1, self.draw.choice((0, 0, 1, 3)))):
            del of[number]
        data = "\n".join(json.dumps(document(n, *said[:2], self.step, said[2])) for n, said in of.items())
        if await self._import(feed, data.encode()):
            self.documents[feed] = of

    async def scored(self) -> None:
        some = [f"CVE-2031-{self.draw.randint(1, 14)}" for _ in range(4)] + list(CVES)
        some = sorted(set(some))
        await self._import(*self.draw.choice((
            ("cisa-kev", kev_file(self.clock, some[:3])),
            ("epss", epss_file(self.clock, {cve: 0.01 * self.draw.randint(1, 99) for cve in some})),
            ("cvss", cvss_file(self.clock, dict.fromkeys(some, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"))),
        )))  # fmt: skip

    async def seeded(self) -> None:
        """What comes with the product is newer: in another table, of packages that others speak of, too."""
        some = (*CVES[self.draw.randint(0, 2) :], "CVE-2031-1")
        day = f"2027-{1 + self.step // 28:02}-{1 + self.step % 28:02}"
        await self.draw.choice(self.processes)[0].load_seed(write_seed(self.place / "seed", some, day))

    async def kept(self) -> None:
        """Somebody makes a backup."""
        async with self.database.feed() as conn:
            self.saved.append({t: [tuple(r) for r in await conn.fetch(f"SELECT * FROM brakeline.{t}")] for t in TABLES})

    async def restored(self) -> None:
        """The database is an older one, while both processes run."""
        if self.saved:
            async with self.database.feed() as conn:
                await _put_back(conn, self.draw.choice(self.saved))
            self.outcomes.add("restored")

    async def _import(self, feed: str, data: bytes) -> bool:
        importing = self.draw.choice(self.processes)[2]
        try:
            state = await importing.import_file(self.owner, feed, data)
        except Invalid as e:
            self.outcomes.add(e.code)
            return False
        self.outcomes.add("held" if state.problem else "live")
        return not state.problem


async def _put_back(conn: Connection, saved: dict[str, list[Any]]) -> None:
    for table, rows in saved.items():
        await conn.execute(f"DELETE FROM brakeline.{table}")
        await conn.copy_records_to_table(table, schema_name="brakeline", records=rows)


async def same_as_whole(advisories: AdvisoriesService, exposure: ExposureService) -> None:
    known, whole = await exposure.knowledge(), await advisories.knowledge()
    assert differing(known.by_feed, whole.by_feed) == []
    assert (known.exploited, known.epss, known.cvss) == (whole.exploited, whole.epss, whole.cvss)
    assert (known.fingerprint, known.scored, known.feeds) == (whole.fingerprint, whole.scored, whole.feeds)
    mine = await exposure.book()
    right = book_of({feed: sheaf_of(rows) for feed, rows in whole.by_feed.items()}, frozenset(whole.exploited))
    assert (right.differing(mine), right.kev, right.ecosystems) == (frozenset(), mine.kev, mine.ecosystems)
    for name in right.contents()[0].keys() | right.contents()[1].keys():
        assert mine.rows_of(*name) == right.rows_of(*name)
    for unit, rows in mine._cache.items():
        assert rows == right.open_rows(unit)


async def told(database: Database, clock: ManualClock, ids: IdMaker, place: Path, seed: int, steps: int) -> set[str]:
    history = await History(database, clock, random.Random(seed), place).begin(ids)
    for _ in range(steps):
        await history.happen()
        for advisories, exposure, _ in history.processes:
            if history.draw.random() < 0.7:  # one that did not look misses a step
                await same_as_whole(advisories, exposure)
    for advisories, exposure, _ in history.processes:
        await same_as_whole(advisories, exposure)
        assert await exposure.prove() == []
    return history.outcomes


async def test_a_random_history_read_feed_by_feed_is_what_it_is_read_whole(
    database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path
) -> None:
    outcomes = await told(database, clock, ids, tmp_path, seed=3, steps=40)
    assert {"live", "held", "restored"} <= outcomes, "every kind of thing has happened"


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 112))
async def test_other_histories_of_the_same_kind(
    database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path, seed: int
) -> None:
    assert "live" in await told(database, clock, ids, tmp_path, seed, steps=80)


@pytest.fixture
async def world(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> World:
    made = await new_world(database, clock, ids, tmp_path)
    await made.advisories.load_seed(write_seed(tmp_path / "feeds"))
    data = json.dumps(document(9, "jq", "2.0-1", 0, withdrawn=False)).encode()
    await made.importing.import_file(made.owner, "osv-debian", data)
    await made.exposure.hear([made.owner.tenant_id])
    clock.advance(86_400)
    return made


async def arrive(world: World, place: Path) -> None:
    await world.advisories.load_seed(write_seed(place / "more", (*CVES, NEWS), "2026-11-02"))


async def test_only_the_feed_that_changed_is_read(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    feed_of, whole = reading.feed_of, reading.whole

    async def one(conn: Connection, state: Any) -> Any:
        read.append(state.feed)
        return await feed_of(conn, state)

    async def everything(conn: Connection) -> Any:
        read.append("everything")
        return await whole(conn)

    monkeypatch.setattr(reading, "feed_of", one)
    monkeypatch.setattr(reading, "whole", everything)
    await arrive(world, tmp_path)
    before = await world.exposure.book()
    assert read == ["small"]
    assert before.rows_of("debian:12", "curl")[-1].cve == NEWS


@pytest.mark.parametrize("harm", [
    "DELETE FROM brakeline.advisory WHERE cve = 'CVE-2026-1001'",
    "DELETE FROM brakeline.feed_state WHERE feed = 'osv-debian'",
    "UPDATE brakeline.feed_state SET kind = 'kev' WHERE feed = 'osv-debian'",
])  # fmt: skip
async def test_what_does_not_fit_is_read_whole(
    world: World, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    asked = []
    whole = reading.whole

    async def everything(conn: Connection) -> Any:
        asked.append(1)
        return await whole(conn)

    monkeypatch.setattr(reading, "whole", everything)
    await arrive(world, tmp_path)
    world.advisories._handed = None  # as in a process that has not weighed it
    async with database.feed() as conn:
        await conn.execute(harm)
    await world.exposure.knowledge()
    assert asked == [1]
    await same_as_whole(world.advisories, world.exposure)


async def test_a_revision_that_loses_something_is_said_and_mended_and_what_it_hid_is_told(
    world: World, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = [world.owner.tenant_id]

    async def counted() -> set[int]:
        async with database.tenant(mine[0]) as conn:
            rows = await store.exposures(conn, [world.lab, world.office])
        return {one.cves for one in rows.values()}

    with monkeypatch.context() as broken:
        broken.setattr(assessing, "revised", lambda before, *_: before)
        await arrive(world, tmp_path)
        await world.exposure.hear(mine)
        await world.exposure.reconcile(mine)
    assert (await counted(), await world.exposure.arrivals(world.owner)) == ({len(CVES)}, ()), "a false calm"
    assert await world.exposure.check(mine[0], random.Random(1)) == "2 endpoints compared, 1 differences, mended"
    status = await world.exposure.index_status(world.owner)
    wanted = "advisories of 1 packages (debian:12 curl): not what all feeds say of them"
    assert (status.differences, status.last_difference) == (1, wanted)
    found = await world.exposure.vulnerabilities(world.owner, "", limit=50)
    assert ({one.cve for one in found.items}, await counted()) == ({*CVES, NEWS}, {len(CVES) + 1})
    assert [a.cve for a in await world.exposure.arrivals(world.owner)] == [NEWS]
    assert await world.exposure.check(mine[0], random.Random(2)) == "2 endpoints compared, 0 differences, mended"
    await same_as_whole(world.advisories, world.exposure)


async def test_what_cannot_be_read_whole_is_not_called_proven(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await arrive(world, tmp_path)
    await world.exposure.knowledge()

    async def away(_: Connection) -> None:
        raise Unavailable("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(reading, "whole", away)
        with pytest.raises(Unavailable):
            await world.exposure.check(world.owner.tenant_id, random.Random(1))
    assert (await world.exposure.index_status(world.owner)).advisories == UNPROVEN
    assert await world.exposure.prove() == []
    assert (await world.exposure.index_status(world.owner)).advisories == PROVEN
