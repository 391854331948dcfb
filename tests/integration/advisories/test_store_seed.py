"""The seed in a real database: loaded once, by the feed's role, and never replaced by something broken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import asyncpg
import pytest
from tests.postgres_clusters import TestDatabase

from brakeline.advisories.seed import SEED_DIR
from brakeline.advisories.service import AdvisoriesService
from brakeline.core.clock import ManualClock
from brakeline.core.debversion import deb_key
from brakeline.platform.database import Database


@pytest.fixture
def service(database: Database, clock: ManualClock) -> AdvisoriesService:
    return AdvisoriesService(database, clock)


@pytest.fixture
def small_seed(tmp_path: Path) -> Path:
    """A seed of four rows, to be changed by the tests."""
    rows = [{"source": f"s{i}", "cve": f"CVE-2025-{i}", "fixed": f"{i}.0-1", "date": "2025-05-05"} for i in range(1, 5)]
    write_seed(tmp_path, "\n".join(map(json.dumps, rows)))
    return tmp_path


def write_seed(folder: Path, text: str, limits: str = "knows little") -> None:
    import hashlib

    (folder / "rows.jsonl").write_text(text)
    entry = {
        "feed": "small", "file": "rows.jsonl", "kind": "advisories", "ecosystem": "debian:12", "rows": 4,
        "version": "1", "limits": limits, "bytes": len(text.encode()),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps({"feeds": [entry]}))


async def test_the_real_seed_is_loaded_once(service: AdvisoriesService, clock: ManualClock) -> None:
    first = await service.load_seed()
    assert [(f.feed, f.rows, f.problem) for f in first] == [("cisa-kev", 1404, ""), ("debian-changelog", 15046, "")]
    assert first[1].content_day == "2026-11-19"
    clock.advance(3600)
    assert await service.load_seed() == first  # not even touched
    known = await service.knowledge()
    assert (len(known.rows), len(known.exploited)) == (15046, 1404)
    assert any("changelogs" in sentence for sentence in known.limits)
    assert known.fingerprint == await service.fingerprint()


async def test_keys_in_the_table_have_the_order_of_versions(service: AdvisoriesService, database: Database) -> None:
    await service.load_seed()
    async with database.system() as conn:
        rows = await conn.fetch(
            "SELECT fixed, fixed_key FROM brakeline.advisory WHERE source = 'curl' ORDER BY fixed_key, fixed"
        )
    assert len(rows) > 50
    assert [r["fixed_key"] for r in rows] == sorted(deb_key(r["fixed"]) for r in rows)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{]", "not one JSON object"),
        ('{"source":"s","cve":"CVE-1","fixed":"not a version"}', "no version"),
        ('{"source":"s1","cve":"CVE-2025-1","fixed":"1.0-1"}', "most of the feed is gone"),
        ('{"source":"s","cve":"C","fixed":"1"}\n' * 4, "twice"),
    ],
    ids=["garbage", "bad version", "shrunk", "duplicates"],
)  # fmt: skip
async def test_a_broken_feed_keeps_the_last_good_content_and_says_so(
    service: AdvisoriesService, small_seed: Path, clock: ManualClock, text: str, says: str
) -> None:
    await service.load_seed(small_seed)
    before = await service.knowledge()
    clock.advance(60)
    write_seed(small_seed, text)
    (state,) = await service.load_seed(small_seed)
    assert says in state.problem
    assert (state.rows, state.sha256) == (4, before.feeds[0].sha256)
    assert state.attempted_ms == state.loaded_ms + 60_000
    after = await service.knowledge()
    assert (after.rows, after.fingerprint) == (before.rows, before.fingerprint)


async def test_bytes_that_are_not_those_of_the_manifest_are_refused(service: AdvisoriesService, tmp_path: Path) -> None:
    shutil.copytree(SEED_DIR, tmp_path / "seed")
    packed = tmp_path / "seed" / "debian-bookworm-changelog-cves.jsonl.zst"
    packed.write_bytes(packed.read_bytes()[:-1] + b"x")
    states = {state.feed: state for state in await service.load_seed(tmp_path / "seed")}
    assert "not the one in the manifest" in states["debian-changelog"].problem
    assert states["debian-changelog"].rows == 0
    assert states["cisa-kev"].problem == ""
    assert "not the one" not in (await service.load_seed())[1].problem  # the good one heals it


async def test_the_application_may_read_but_not_write(service: AdvisoriesService, test_database: TestDatabase) -> None:
    await service.load_seed()
    conn = await asyncpg.connect(test_database.dsn_app)
    try:
        assert await conn.fetchval("SELECT count(*) FROM brakeline.advisory") == 15046
        for statement in ("DELETE FROM brakeline.advisory", "UPDATE brakeline.kev SET cve = ''",
                          "INSERT INTO brakeline.feed_state SELECT * FROM brakeline.feed_state"):  # fmt: skip
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await conn.execute(statement)
    finally:
        await conn.close()
