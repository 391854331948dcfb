"""A system whose vendor no longer assesses it: told with its findings, and only when the feed says so."""

from __future__ import annotations

import json

from tests.support_feeds import day, importing_of
from tests.support_fleet import OWNER, TENANT, SmallFleet, deb
from tests.support_vendors import ends, release

from brakeline.advisories.service import AdvisoriesService
from brakeline.console.present_risk import findings_note
from brakeline.core.clock import ManualClock
from brakeline.exposure.service import ExposureService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database


async def test_an_ended_release_is_told_with_the_findings(database: Database, clock: ManualClock, ids: IdMaker) -> None:
    advisories = AdvisoriesService(database, clock)
    await advisories.load_seed()
    fleet = SmallFleet(database, clock, ids)
    exposure = ExposureService(database, clock, fleet.bus, fleet.service, advisories)
    fleet.service.on_inventory = exposure.on_inventory
    endpoint = await fleet.enrol("web1")
    await fleet.inventory(endpoint, [deb("curl", "7.88.1-10+deb12u1")])
    async with database.system() as conn:
        await conn.execute("SELECT brakeline.tenant_create($1, 'test', now())", TENANT)
    importing = importing_of(database, clock, advisories, TENANT)
    before = await exposure.findings(OWNER, endpoint)
    assert "release_ended" not in {n.code for n in before.not_assessed}

    def file(ended: str, ago: int) -> bytes:
        said = ends("debian", release("12", ended)) | {"generated_at": f"{day(clock, ago)}T00:00:00Z"}
        return json.dumps(said).encode()

    state = await importing.import_file(OWNER, "end-of-life", file(day(clock, -10), 3))
    assert (state.kind, state.rows, state.problem) == ("eol", 1, "")
    assert (await exposure.findings(OWNER, endpoint)).not_assessed == before.not_assessed
    await importing.import_file(OWNER, "end-of-life", file(day(clock, 9), 2))
    after = await exposure.findings(OWNER, endpoint)
    assert after.not_assessed[0].code == "release_ended"
    assert f"no longer assessed by its vendor since {day(clock, 9)}" in findings_note(after, 0, clock.now_ms())
    assert after.findings == before.findings  # it flips nothing
