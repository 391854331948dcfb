"""What came with a server is published over a real database, once, and packed for new machines."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Collection
from pathlib import Path

import pytest
from tests.support_releases import OWNER, SERVER, opened, release_bundle

import brakeline
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Unavailable
from brakeline.platform.database import Database
from brakeline.releases import shipping
from brakeline.releases.service import ReleasesService
from brakeline.releases.shipping import Kit, Shipping
from brakeline.tenancy.model import Principal


@pytest.fixture
async def cell(database: Database, clock: ManualClock, tmp_path: Path) -> ReleasesService:
    return await opened(database, clock, tmp_path / "trust")


def shipped(cell: ReleasesService, completed: Collection[str] = (), who: Principal | None = SERVER) -> Shipping:
    async def publisher() -> Principal | None:
        return who

    return Shipping(cell, publisher, lambda: completed)


def unpacked(kit: Kit) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(kit.data)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]


async def test_agent_and_launcher_are_published_once(cell: ReleasesService) -> None:
    assert (await shipped(cell).reconcile()).startswith("published agent 0.")
    once = {r.release_id for r in cell.known()}
    assert {r.product for r in cell.known()} == {"agent", "launcher"}
    assert "is published" in await shipped(cell).reconcile()
    assert {r.release_id for r in cell.known()} == once


@pytest.mark.long
async def test_other_source_under_a_known_version_gets_a_version_of_its_own(cell: ReleasesService) -> None:
    before = await cell.publish(OWNER, release_bundle(brakeline.__version__, 7))
    said = await shipped(cell).reconcile()
    assert f"published agent {brakeline.__version__}+" in said
    newest = max((r for r in cell.known() if r.product == "agent"), key=lambda r: r.sequence)
    assert (newest.sequence, newest.notes) == (8, shipping.NOTES)
    assert "published launcher" in said
    assert f"agent {newest.version} is published" in await shipped(cell).reconcile()
    assert unpacked(await shipped(cell).kit())["agent.tar"] == release_bundle(before.version, 7), "the first one"
    kit = await shipped(cell, completed={newest.release_id}).kit()
    assert unpacked(kit)["agent.tar"] != release_bundle(before.version, 7), "the newest that was completed"


@pytest.mark.long
async def test_the_kit_is_the_same_each_time_and_follows_the_root(cell: ReleasesService) -> None:
    one, two = await shipped(cell).kit(), await shipped(cell).kit()
    assert one == two
    parts = unpacked(one)
    assert set(parts) == {"stub.py", "launcher.pyz", "agent.tar", "root.json"}
    assert parts["root.json"].decode() == cell.root_json()
    assert parts["stub.py"] == shipping.STUB.read_bytes()


async def test_before_there_is_an_organisation_nothing_is_published_and_the_kit_works(cell: ReleasesService) -> None:
    ship = shipped(cell, who=None)
    assert await ship.reconcile() == "there is no organisation yet"
    assert unpacked(await ship.kit())["agent.tar"]
    assert cell.known() == ()


async def test_a_build_that_fails_says_why() -> None:
    with pytest.raises(Unavailable, match="cannot be built"):
        await shipping.build("agent", "no version", 1)
