"""The index in a real database: opened from what was kept, refused when damaged, compared and mended, tenants apart."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from pyroaring import BitMap
from tests.support_fleet import OWNER, TENANT, SmallFleet, deb, update

from brakeline.advisories.service import AdvisoriesService
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Forbidden
from brakeline.exposure import store_index, store_values
from brakeline.exposure.checking import differences
from brakeline.exposure.index import EndpointView, TenantIndex
from brakeline.exposure.packed import Damaged
from brakeline.exposure.service import ExposureService
from brakeline.exposure.snapshot import unpacked
from brakeline.exposure.snapshot_files import SnapshotFiles
from brakeline.exposure.upkeep import PRUNE_EVERY_MS, SNAPSHOT_EVERY_MS
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.tenancy.model import Principal, system_principal

OLD, NEW = "7.88.1-10+deb12u14", "7.88.1-10+deb12u15"
CURL = [deb("curl", OLD), deb("libcurl4", OLD, "curl"), deb("nodejs", "20.1-1nodesource1", origin="Node Source")]
UPDATES = [update("curl", OLD, NEW), update("libcurl4", OLD, NEW)]

ANOTHER = """INSERT INTO brakeline.advisory (feed, ecosystem, source, cve, introduced, fixed, introduced_key,
               fixed_key, state, day, urgency, dist, advisory_id, aliases)
             SELECT feed, $1, source, 'CVE-2031-1', introduced, $2, introduced_key, fixed_key, state, day, urgency,
               dist, advisory_id, aliases
             FROM brakeline.advisory WHERE source = 'curl' AND fixed_key IS NOT NULL ORDER BY cve LIMIT 1"""


class Site:
    """A fleet, and servers over it that start one after another."""

    def __init__(self, database: Database, clock: ManualClock, ids: IdMaker, directory: Path) -> None:
        self.database, self.clock = database, clock
        self.files = SnapshotFiles(directory / "index")
        self.path = directory / "index" / f"{TENANT}.index"
        self.fleet = SmallFleet(database, clock, ids)
        self.server = self.started()

    def started(self) -> ExposureService:
        """A server that knows nothing yet."""
        self.server = ExposureService(self.database, self.clock, self.fleet.bus, self.fleet.service, None, self.files)
        self.fleet.service.on_inventory = self.server.on_inventory
        return self.server

    @property
    def index(self) -> TenantIndex:
        return self.server._index(TENANT)

    def views(self) -> dict[str, EndpointView]:
        return {one: self.index.views[one] for one in self.index.views}

    async def snapshot(self) -> None:
        self.clock.advance(SNAPSHOT_EVERY_MS / 1000)
        await self.server.reconcile([TENANT])


@pytest.fixture
async def site(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> Site:
    await AdvisoriesService(database, clock).load_seed()
    site = Site(database, clock, ids, tmp_path)
    for host in ("a", "b"):
        await site.fleet.inventory(await site.fleet.enrol(host), CURL, UPDATES)
    await site.snapshot()
    return site


async def test_a_start_opens_the_snapshot_and_catches_up_with_what_came_since(site: Site) -> None:
    before, fleet = site.views(), site.fleet
    first = min(before)
    site.fleet.service.on_inventory = None  # the server is down, and inventories are committed all the same
    third = await fleet.enrol("c")
    await fleet.inventory(third, CURL)
    await fleet.inventory(first, [deb("curl", NEW)])
    again = site.started()
    status = await again.index_status(OWNER)
    assert (status.origin, status.refused, status.endpoints) == ("snapshot", "", 3)
    after = site.views()
    assert {one: after[one] for one in before if one != first} == {one: before[one] for one in before if one != first}
    assert {unit.version for unit, _ in after[first].keys} == {NEW}
    assert third in after


async def test_without_a_snapshot_the_index_is_made_of_rows_and_without_rows_of_inventories(site: Site) -> None:
    before = site.views()
    site.path.unlink()
    assert (await site.started().index_status(OWNER)).origin == "database"
    assert site.views() == before
    async with site.database.tenant(TENANT) as conn:
        await conn.execute("UPDATE brakeline.exposure_row SET rules = 'of another release'")
    site.path.unlink(missing_ok=True)
    assert (await site.started().index_status(OWNER)).origin == "inventories"
    assert site.views() == before
    async with site.database.tenant(TENANT) as conn:
        await conn.execute("UPDATE brakeline.exposure_row SET units = '\\xffffff00'")  # an id that no value has
    status = await site.started().index_status(OWNER)
    assert (status.origin, "names a value" in status.refused, site.views() == before) == ("inventories", True, True)


async def test_a_snapshot_that_cannot_be_trusted_is_refused_and_dropped(site: Site) -> None:
    before, whole = site.views(), site.path.read_bytes()
    for data in (whole[:-100], whole.replace(b"curl", b"curx", 1), b"BLINDEX\x00" + whole[8:], b""):
        site.path.write_bytes(data)
        status = await site.started().index_status(OWNER)
        assert (status.origin, bool(status.refused), site.path.exists()) == ("database", True, False)
        assert site.views() == before
    with pytest.raises(Damaged, match="another tenant"):
        unpacked(whole, "te_other", site.server._rules())


def test_a_write_that_breaks_off_leaves_the_file_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = SnapshotFiles(tmp_path / "index")
    files.write("te_1", b"first")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write("te_1", b"second, and longer")
    assert files.read("te_1") == b"first"
    assert [path.name for path in (tmp_path / "index").iterdir()] == ["te_1.index"]
    with pytest.raises(ValueError, match="tenant"):
        files.read("../te_1")


async def test_what_the_index_says_otherwise_is_told_and_mended(site: Site) -> None:
    draw, index, before = random.Random(1), site.index, site.views()
    assert await site.server.check(TENANT, draw) == "2 endpoints compared, 0 differences, mended"
    first, second = sorted(before)
    number = index.roll.numbers[first]
    index.keys.put_row(number, b"")  # an endpoint that lost its units
    index.keys.maps[0] = BitMap([*index.keys.maps[0], 77])  # a bitmap that has somebody who does not exist
    said = await site.server.check(TENANT, draw)
    assert said.startswith("2 endpoints compared, ")
    assert "0 differences" not in said
    status = await site.server.index_status(OWNER)
    assert status.differences >= 1
    assert status.last_difference_ms == site.clock.now_ms()
    assert site.views() == before
    assert index.keys.unlike(range(len(index.keys.values))) == []
    assert (await site.server.check(TENANT, draw)).endswith(" 0 differences, mended")
    async with site.database.tenant(TENANT) as conn:
        await conn.execute("UPDATE brakeline.endpoint_exposure SET cves = cves + 1 WHERE endpoint_id = $1", second)
    assert (await site.server.check(TENANT, draw)).endswith(" 1 differences, mended")
    counts = await site.server.counts(OWNER)
    assert counts[first].cves == counts[second].cves
    assert "should be" in (await site.server.index_status(OWNER)).last_difference


async def test_differences_are_named(site: Site) -> None:
    truth = site.views()[min(site.views())]
    assert differences(site.index, truth) == []
    number = site.index.roll.numbers[truth.endpoint_id]
    site.index.gaps.put_row(number, b"")
    site.index.offers.put_row(number, b"")
    site.index.lists_known.discard(number)
    found = differences(site.index, truth)
    assert found == ["other updates on offer", "others not assessed", "other figures"]
    assert differences(TenantIndex(), truth) == ["not in the index"]


async def test_new_advisories_read_no_inventory_and_what_they_did_is_told(site: Site) -> None:
    before = await site.server.counts(OWNER)
    first, second = sorted(before)
    await site.fleet.inventory(second, [deb("bash", "5.2.15-2")])
    async with site.database.feed() as conn:
        await conn.execute("DELETE FROM brakeline.advisory WHERE source = 'curl' AND cve > 'CVE-2025'")
        await conn.execute(ANOTHER, "debian:12", NEW)  # one is withdrawn by its vendor, as it were, and one is new
        await conn.execute("UPDATE brakeline.feed_state SET sha256 = 'another' WHERE feed = 'debian-changelog'")

    async def none(*_: object) -> None:
        raise AssertionError("an inventory was read")

    site.fleet.service.packages_of = none  # type: ignore[assignment]
    assert await site.server.reconcile([TENANT]) == "2 endpoints assessed"
    after = await site.server.counts(OWNER)
    assert after[first].cves != before[first].cves
    assert {one.advisories for one in after.values()} == {(await site.server.knowledge()).fingerprint}
    arrivals = {one.cve: one for one in (await site.server.index_status(OWNER)).arrivals}
    new = arrivals.pop("CVE-2031-1")
    assert (new.sources, new.opened, new.closed, new.patchable) == (("curl",), 1, 0, 1)
    assert {(one.opened, one.closed) for one in arrivals.values()} == {(0, 1)}
    assert await site.server.reconcile([TENANT]) == "0 endpoints assessed"


async def test_an_ecosystem_that_becomes_known_judges_anew_what_had_no_data(site: Site) -> None:
    other = await site.fleet.enrol("d13", os_version="13")
    await site.fleet.inventory(other, [deb("curl", "8.14.1-2")])
    assert (await site.server.counts(OWNER))[other].not_assessed == 1
    async with site.database.feed() as conn:
        await conn.execute(ANOTHER, "debian:13", "8.14.1-3")
        await conn.execute("UPDATE brakeline.feed_state SET sha256 = 'another' WHERE feed = 'debian-changelog'")
    await site.server.reconcile([TENANT])
    found = (await site.server.counts(OWNER))[other]
    assert (found.cves, found.not_assessed) == (1, 0)
    views = site.views()
    await site.started().summary(OWNER)
    assert site.views() == views


async def values_of(database: Database, tenant: str = TENANT) -> dict[str, int]:
    async with database.tenant(tenant) as conn:
        return {text: one for one, _, text in await store_index.values(conn)}


async def test_values_that_nobody_has_any_more_go_once_a_day_and_no_row_names_one_that_went(
    site: Site, database: Database
) -> None:
    beside = ExposureService(database, site.clock, site.fleet.bus, site.fleet.service, None, None)
    await beside.reconcile([TENANT])  # another process, which remembers every id
    machines = sorted(beside._index(TENANT).views)
    before, newer = await values_of(database), [deb("curl", NEW), deb("libcurl4", NEW, "curl")]
    for one in machines:
        await site.fleet.inventory(one, newer)
    await site.server.reconcile([TENANT])
    assert before.keys() < (await values_of(database)).keys()  # the day is not over
    site.clock.advance(PRUNE_EVERY_MS / 1000)
    await site.server.reconcile([TENANT])
    left = await values_of(database)
    assert not any(OLD in text for text in left)
    assert any(NEW in text for text in left)
    assert OLD not in {unit.version for _, (unit, _) in site.index.keys.living()}, "the index in memory does so, too"
    assert OLD in {unit.version for _, (unit, _) in beside._index(TENANT).keys.living()}, "each process does so itself"
    assert await site.server.check(TENANT, random.Random(1)) == "2 endpoints compared, 0 differences, mended"

    site.fleet.service.on_inventory = beside.on_inventory
    await site.fleet.inventory(machines[0], CURL, UPDATES)  # the old version is back, told to the other one
    again = await values_of(database)
    assert {again[text] for text in before if text in again} & {before[text] for text in before if OLD in text} == set()
    fresh = site.started()
    await fresh.reconcile([TENANT])
    kept = fresh._kept[TENANT]
    assert not kept.refused
    assert await fresh.check(TENANT, random.Random(1)) == "2 endpoints compared, 0 differences, mended"


async def test_values_of_a_tenant_stay_when_another_s_are_pruned(site: Site, database: Database) -> None:
    async with database.tenant("te_other") as conn:
        assert await store_index.values(conn) == []
        assert await store_values.prune(conn, "te_other", 1) == 0
    assert await values_of(database)


async def test_tenants_are_apart_and_permission_is_asked(site: Site) -> None:
    other = system_principal("te_other", "test")
    status = await site.server.index_status(other)
    assert (status.endpoints, status.units, status.arrivals) == (0, 0, ())
    async with site.database.tenant("te_other") as conn:
        for table in ("exposure_row", "exposure_value", "exposure_arrival", "exposure_pruned"):
            assert await conn.fetchval(f"SELECT count(*) FROM brakeline.{table}") == 0
    with pytest.raises(Forbidden):
        await site.server.index_status(Principal(TENANT, "x", "token", "x", frozenset({"endpoint.read"})))
    assert site.path.exists()
    await site.server.reconcile(["te_other"])  # the first organisation is no more
    assert (site.files.read("te_other"), site.path.exists()) == (None, False)
