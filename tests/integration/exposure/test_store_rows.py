"""Rows of every ecosystem in a real database: several for one CVE, what they come back as, and what they find."""

from __future__ import annotations

from dataclasses import replace

from tests.support_fleet import OWNER, SmallFleet, deb

from brakeline.advisories import store
from brakeline.advisories.model import Advisory, FeedState
from brakeline.advisories.service import AdvisoriesService
from brakeline.console.present_risk import findings_note
from brakeline.core.clock import ManualClock
from brakeline.exposure.api import plain
from brakeline.exposure.model import Dismissed
from brakeline.exposure.service import ExposureService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database

ROWS = [
    Advisory("core", "CVE-2", "2.0", ecosystem="maven", id="GHSA-2"),
    Advisory("curl", "CVE-1", "", ecosystem="debian:12", state="deferred", reason="no-dsa: minor issue"),
    Advisory("curl", "CVE-6", "", ecosystem="debian:12", state="not_affected", reason="vulnerable code not present"),
    Advisory("lib", "CVE-3", "1.5", introduced="1.0", ecosystem="pypi", id="PYSEC-3"),
    Advisory("lib", "CVE-3", "2.5", introduced="2.0", ecosystem="pypi", id="PYSEC-3"),
    Advisory("lib", "CVE-4", "", ecosystem="pypi", state="open", id="PYSEC-4", last_affected="2.1"),
    Advisory("nodejs", "CVE-5", "1:18.2-1.module_el9+1", ecosystem="almalinux:9", id="ALSA-5", module="nodejs:18"),
    Advisory("nodejs", "CVE-5", "1:20.2-1.module_el9+1", ecosystem="almalinux:9", id="ALSA-5", module="nodejs:20"),
]


async def load(database: Database, rows: list[Advisory], sha256: str) -> None:
    async with database.feed() as conn:
        await store.replace_advisories(conn, "several", rows)
        await store.save_feed(conn, FeedState("several", "1", sha256, len(rows), "2026-11-20", 1, 1))


async def test_rows_come_back_as_they_were_told(database: Database, clock: ManualClock) -> None:
    await load(database, ROWS, "a" * 64)
    assert sorted((await AdvisoriesService(database, clock).knowledge()).rows) == sorted(ROWS)


async def test_an_endpoint_s_packages_are_judged_each_in_its_own_ecosystem(
    database: Database, clock: ManualClock, ids: IdMaker
) -> None:
    fleet = SmallFleet(database, clock, ids)
    exposure = ExposureService(database, clock, fleet.bus, fleet.service)
    fleet.service.on_inventory = exposure.on_inventory
    await load(database, ROWS, "a" * 64)
    endpoint = await fleet.enrol("web1")
    python = replace(deb("Lib", "2.1"), ecosystem="pypi", architecture="")
    await fleet.inventory(endpoint, [deb("curl", "1-1"), deb("lib", "2.1-1"), python])
    answer = await exposure.findings(OWNER, endpoint)
    found = {(f.finding.ecosystem, f.finding.cve, f.finding.fixed, f.state.value) for f in answer.findings}
    assert found == {
        ("debian:12", "CVE-1", "", "deferred"), ("pypi", "CVE-3", "2.5", "unknown"), ("pypi", "CVE-4", "", "no_fix"),
    }  # fmt: skip
    assert (answer.dismissed, answer.dismissed_counts) == (
        (Dismissed("curl", "curl", "CVE-6", "not_affected", "vulnerable code not present"),), {"not_affected": 1},
    )  # fmt: skip
    note = findings_note(answer, 9, clock.now_ms())
    assert note == "Advisories that make no finding: 1 not affected; such as CVE-6 (vulnerable code not present)."
    assert plain(answer)["dismissed"][0]["code"] == "not_affected"
    corrected = [row for row in ROWS if row.cve != "CVE-4" and row.fixed != "2.5"]
    await load(database, corrected, "b" * 64)
    assert {f.finding.cve for f in (await exposure.findings(OWNER, endpoint)).findings} == {"CVE-1"}
