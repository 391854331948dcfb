"""Publishing, withdrawing, recalling and pardoning over a real database, judged by what an endpoint believes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
import pytest
from tests.postgres_clusters import TestDatabase
from tests.support_people import House as People
from tests.support_people import new_house
from tests.support_releases import CELL, OWNER, Endpoint, opened, release_bundle, wish

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden, Invalid, NotFound
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.releases.faults import BadBundle, Downgrade, OtherHash, Quarantined
from brakeline.releases.model import DAY_MS, ON_SERVER, Release
from brakeline.releases.service import ReleasesService
from brakeline.tenancy.faults import TwoPeople
from brakeline.tenancy.model import ROLE_PERMISSIONS, Principal
from brakeline.trust.model import Documents


@pytest.fixture
async def cell(database: Database, clock: ManualClock, tmp_path: Path) -> ReleasesService:
    return await opened(database, clock, tmp_path / "trust")


@pytest.fixture
async def two(cell: ReleasesService) -> Release:
    return await cell.publish(OWNER, release_bundle("2.0.0", 2))


async def test_a_fresh_cell_makes_a_developer_root_that_endpoints_believe(
    cell: ReleasesService, clock: ManualClock
) -> None:
    seen = Endpoint(cell.root_json()).look(cell, clock.ms)
    assert (seen.problems, seen.fresh, seen.offered, seen.known) == ((), True, None, ())
    assert (seen.documents.targets, seen.documents.content, seen.documents.recall) != ("", "", "")
    status = cell.status()
    assert (status.kind, status.root_version, status.on_server, status.headline) == ("developer", 1, True, ON_SERVER)
    assert [w for w in status.warnings if "rotate --offline" in w]


async def test_what_is_published_is_known_and_what_is_leased_is_offered(
    cell: ReleasesService, two: Release, clock: ManualClock
) -> None:
    endpoint = Endpoint(cell.root_json())
    seen = endpoint.look(cell, clock.ms)
    assert [o.release_id for o in seen.known] == [two.release_id]
    assert seen.offered is None
    cell.set_leases((wish(two),))
    seen = endpoint.look(cell, clock.ms)
    assert seen.problems == ()
    assert seen.offered is not None
    assert (seen.offered.release_id, seen.offered.rollout_id) == (two.release_id, "ro_1")
    path = cell.target(two.sha256)
    assert path is not None
    assert path.read_bytes() == release_bundle("2.0.0", 2)
    assert await cell.list(OWNER) == (two,)


async def test_a_lease_is_for_its_channel_and_region_and_ends_with_the_wish(
    cell: ReleasesService, two: Release, clock: ManualClock
) -> None:
    endpoint = Endpoint(cell.root_json())
    for other in (wish(two, channel="stable/te_2"), wish(two, region="us"), wish(two, draw_below=0)):
        cell.set_leases((other,))
        assert endpoint.look(cell, clock.ms).offered is None
    cell.set_leases((wish(two, region="eu"),))
    assert endpoint.look(cell, clock.ms).offered is not None
    clock.advance(55)
    kept = cell.documents(1, "stable", "eu", "").leases
    clock.advance(10)
    assert cell.documents(1, "stable", "eu", "").leases != kept  # signed anew each minute
    assert endpoint.look(cell, clock.ms).offered is not None
    cell.set_leases(())
    assert cell.documents(1, "stable", "eu", "").leases == ()
    seen = endpoint.look(cell, clock.ms)
    assert seen.offered is None


async def test_a_withdrawn_release_is_offered_to_nobody(
    cell: ReleasesService, two: Release, clock: ManualClock
) -> None:
    cell.set_leases((wish(two),))
    away = cell.documents(1, "stable", "eu", "")  # somebody has kept the lease
    await cell.withdraw(OWNER, two.release_id, "it leaks")
    await cell.withdraw(OWNER, two.release_id, "it leaks")
    seen = Endpoint(cell.root_json()).look(cell, clock.ms)
    assert (seen.offered, seen.known, cell.target(two.sha256)) == (None, (), None)
    endpoint = Endpoint(cell.root_json())
    endpoint.cached = Documents(leases=away.leases)
    assert endpoint.look(cell, clock.ms).offered is None
    assert (await cell.list(OWNER))[0].state == "withdrawn"
    with pytest.raises(Quarantined, match="it leaks"):
        await cell.publish(OWNER, release_bundle("2.0.0", 2))


async def test_a_recall_forbids_at_once_and_twice_is_fine(
    cell: ReleasesService, two: Release, clock: ManualClock
) -> None:
    endpoint = Endpoint(cell.root_json())
    cell.set_leases((wish(two),))
    assert endpoint.look(cell, clock.ms).offered is not None
    await asyncio.gather(*(cell.recall(OWNER, two.release_id, "takes the host down") for _ in range(3)))
    seen = endpoint.look(cell, clock.ms)
    assert (seen.offered, seen.recalled, cell.recalled()) == (None, {two.release_id}, {two.release_id})
    assert cell.documents(1, "stable", "eu", "").leases == ()
    with pytest.raises(Quarantined, match="takes the host down"):
        await cell.publish(OWNER, release_bundle("2.0.0", 2))
    with pytest.raises(Quarantined, match="recalled"):
        await cell.publish(OWNER, release_bundle("2.0.0", 2, "linux-x86_64"))


@dataclass
class House:
    """A cell with Olga, the owner, and Sven, the approver, who have nothing to do with each other's accounts."""

    cell: ReleasesService
    people: People
    olga: Principal
    sven: Principal

    async def pardon(self, release_id: str, reason: str = "mistaken") -> None:
        """Asked for by Olga, agreed to by Sven."""
        asked = await self.cell.pardon(self.olga, release_id, reason)
        assert await self.people.approve(self.sven, asked.approval_id) == "done"


@pytest.fixture
async def house(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> House:
    people, olga = await new_house(database, clock, ids)
    sven = await people.add("Sven", "approver", by=olga)
    people.later()
    cell = ReleasesService(database, clock, people.tenancy.approvals, tmp_path / "trust", CELL)
    await cell.open()
    return House(cell, people, olga, sven)


async def test_a_pardon_is_asked_for_by_one_and_agreed_to_by_another(house: House, clock: ManualClock) -> None:
    cell = house.cell
    two = await cell.publish(house.olga, release_bundle("2.0.0", 2))
    endpoint = Endpoint(cell.root_json())
    with pytest.raises(Conflict, match="not recalled"):
        await cell.pardon(house.olga, two.release_id, "why not")
    await cell.recall(house.olga, two.release_id, "it was slow")
    assert endpoint.look(cell, clock.ms).recalled == {two.release_id}
    asked = await cell.pardon(house.olga, two.release_id, "mistaken")
    assert (await cell.pardon(house.olga, two.release_id, "mistaken")).approval_id == asked.approval_id
    assert asked.says[0] == f"Take back the recall of agent 2.0.0 ({two.release_id}): it was slow."
    shown = await cell.get(two.release_id)
    assert shown is not None
    assert (shown.pardon_asked_by, shown.pardon_line) == ("Owner", (house.olga.id,))
    with pytest.raises(TwoPeople, match="yourself"):
        await house.people.approve(house.olga, asked.approval_id)
    puppet = await house.people.add("Maja", "owner", by=house.olga)
    with pytest.raises(TwoPeople, match="not independent"):
        await house.people.approve(puppet, asked.approval_id)
    assert endpoint.look(cell, clock.ms).recalled == {two.release_id}
    assert await house.people.approve(house.sven, asked.approval_id) == "done"
    seen = endpoint.look(cell, clock.ms)
    assert (seen.recalled, seen.pardoned, endpoint.recalled) == (frozenset(), {two.release_id}, frozenset())
    assert seen.problems == ()


async def test_a_pardon_of_one_recall_is_none_of_the_next(house: House, clock: ManualClock) -> None:
    two = await house.cell.publish(house.olga, release_bundle("2.0.0", 2))
    await house.cell.recall(house.olga, two.release_id, "slow")
    await house.pardon(two.release_id)
    clock.advance(1)
    await house.cell.recall(house.olga, two.release_id, "slow after all")
    late = await house.cell.pardon(house.olga, two.release_id, "once more")
    clock.advance(1)
    await house.pardon(two.release_id)
    await house.cell.recall(house.olga, two.release_id, "and again")
    with pytest.raises(TwoPeople):
        await house.people.approve(house.sven, late.approval_id)
    assert house.cell.recalled() == {two.release_id}


async def test_endpoints_that_were_away_learn_of_a_pardon_and_a_second_recall_holds(
    house: House, clock: ManualClock
) -> None:
    cell = house.cell
    two = await cell.publish(house.olga, release_bundle("2.0.0", 2))
    endpoint = Endpoint(cell.root_json())
    other = await cell.publish(house.olga, release_bundle("3.0.0", 3))
    await cell.recall(house.olga, two.release_id, "mistaken")
    endpoint.look(cell, clock.ms)
    await house.pardon(two.release_id)
    await cell.recall(house.olga, other.release_id, "bad")  # the list goes on while the endpoint is away
    for _ in range(3):
        clock.advance(DAY_MS / 1000 * 20)
        await cell.reconcile()
    assert endpoint.look(cell, clock.ms).pardoned == {two.release_id}
    assert endpoint.recalled == {other.release_id}
    await cell.recall(house.olga, two.release_id, "bad after all")
    assert endpoint.look(cell, clock.ms).problems == ()
    assert endpoint.recalled == {two.release_id, other.release_id}
    fresh = Endpoint(cell.root_json())
    assert fresh.look(cell, clock.ms).recalled == {two.release_id, other.release_id}


async def test_bad_releases_are_refused_before_anything_is_written(
    cell: ReleasesService, two: Release, tmp_path: Path
) -> None:
    before, files = cell.documents(0, "", "", ""), sorted((tmp_path / "trust").rglob("*"))
    good = release_bundle("3.0.0", 3)
    for bundle, fault, says in (
        (b"", BadBundle, "no tar"),
        (good[:900], BadBundle, "damaged|ends in the middle|cut off"),
        (good[:1100], BadBundle, "damaged|ends in the middle|cut off"),
        (release_bundle("3.0.0", 3, product="browser"), BadBundle, "products are"),
        (release_bundle("../3", 3), BadBundle, "no version"),
        (release_bundle("3.0.0", 3, "Amiga 500"), BadBundle, "no platform"),
        (release_bundle("1.9.0", 1), Downgrade, "2.0.0 has 2"),
        (release_bundle("2.0.1", 2), Downgrade, "2.0.0 has 2"),
        (release_bundle("2.0.0", 3), OtherHash, "this bundle is"),
    ):
        with pytest.raises(fault, match=says):
            await cell.publish(OWNER, bundle)
    assert cell.documents(0, "", "", "") == before
    assert sorted((tmp_path / "trust").rglob("*")) == files


async def test_the_same_version_for_another_platform_and_the_same_bundle_again_are_fine(
    cell: ReleasesService, two: Release, clock: ManualClock
) -> None:
    again = await cell.publish(replace(OWNER, id="pe_2", name="Sven"), release_bundle("2.0.0", 2))
    windows = await cell.publish(OWNER, release_bundle("2.0.0", 2, "windows-x86_64"))
    assert again == two
    assert {r.release_id for r in await cell.list(OWNER)} == {two.release_id, windows.release_id}
    assert Endpoint(cell.root_json()).look(cell, clock.ms).problems == ()


async def test_content_takes_the_same_way_under_its_own_key(cell: ReleasesService, clock: ManualClock) -> None:
    made = await cell.publish(OWNER, release_bundle("1.0", 1, product="content"))
    assert made.path == "content/1.0/any/bundle.tar"
    cell.set_leases((wish(made),))
    endpoint = Endpoint(cell.root_json())
    endpoint.who = type(endpoint.who)(endpoint.who.endpoint_id, endpoint.who.cell, "eu", product="content")
    seen = endpoint.look(cell, clock.ms)
    assert seen.problems == ()
    assert seen.offered is not None
    assert seen.offered.path == made.path


async def test_documents_are_signed_anew_before_they_expire_and_survive_a_restart(
    cell: ReleasesService, two: Release, database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    endpoint = Endpoint(cell.root_json())
    await cell.recall(OWNER, two.release_id, "bad")
    for _ in range(25):  # 400 days, also past the root's first year
        clock.advance(16 * DAY_MS / 1000)
        await cell.reconcile()
        seen = endpoint.look(cell, clock.ms)
        assert (seen.problems, seen.recalled) == ((), {two.release_id})
    assert cell.status().root_version > 1
    again = await opened(database, clock, tmp_path / "trust")
    assert again.documents(1, "", "", "") == cell.documents(1, "", "", "")
    assert endpoint.look(again, clock.ms).problems == ()


async def test_who_may_do_what(cell: ReleasesService, two: Release) -> None:
    viewer = Principal("te_1", "pe_3", "person", "Vera", ROLE_PERMISSIONS["viewer"])
    approver = Principal("te_1", "pe_4", "person", "Anna", ROLE_PERMISSIONS["approver"])
    stranger = Principal("te_2", "pe_5", "person", "Stan", ROLE_PERMISSIONS["owner"])
    assert await cell.list(viewer) == (two,)
    for refused, fault in (
        (cell.publish(viewer, b""), Forbidden),
        (cell.publish(approver, b""), Forbidden),
        (cell.recall(viewer, two.release_id, "x"), Forbidden),
        (cell.recall(stranger, two.release_id, "x"), NotFound),
        (cell.recall(approver, "9.9-" + "0" * 12, "x"), NotFound),
        (cell.recall(approver, two.release_id, " "), Invalid),
    ):
        with pytest.raises(fault):
            await refused
    await cell.recall(approver, two.release_id, "whoever may approve may stop")


async def test_each_act_is_in_the_audit_log(house: House, test_database: TestDatabase) -> None:
    two = await house.cell.publish(house.olga, release_bundle("2.0.0", 2))
    await house.cell.recall(house.olga, two.release_id, "bad")
    await house.pardon(two.release_id, "good")
    await house.cell.withdraw(house.olga, two.release_id, "old")
    conn = await asyncpg.connect(test_database.dsn_super)
    rows = await conn.fetch(
        "SELECT action, actor_id FROM brakeline.audit_entry WHERE action ~ '^(release|approval)' ORDER BY sequence"
    )
    await conn.close()
    assert [(r["action"], r["actor_id"]) for r in rows] == [
        ("release.publish", house.olga.id), ("release.recall", house.olga.id), ("approval.ask", house.olga.id),
        ("approval.approve", house.sven.id), ("release.pardon", house.sven.id), ("release.withdraw", house.olga.id),
    ]  # fmt: skip


async def test_targets_that_nobody_signs_warn_30_days_before_expire_and_recalls_hold(
    cell: ReleasesService, two: Release, clock: ManualClock, tmp_path: Path
) -> None:
    endpoint = Endpoint(cell.root_json())
    next((tmp_path / "trust/keys").glob("targets-*.pem")).unlink()  # as after a rotation: its holders are elsewhere

    async def warned(days: int) -> list[str]:
        clock.advance(days * DAY_MS / 1000)
        await cell.reconcile()
        return [w for w in cell.status().warnings if w.startswith("targets ")]

    assert await warned(59) == []
    assert [w.split(" on ")[0] for w in await warned(2)] == ["targets expires"]
    assert endpoint.look(cell, clock.ms).problems == ()
    assert [w.split(" on ")[0] for w in await warned(30)] == ["targets has expired"]
    await cell.recall(OWNER, two.release_id, "harm")
    seen = endpoint.look(cell, clock.ms)
    assert ({p.code for p in seen.problems}, seen.recalled) == ({"metadata_expired"}, {two.release_id})
