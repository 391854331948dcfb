"""A Windows with an agent: judged by the months of Microsoft that are loaded, at once, and never clean without them."""

from __future__ import annotations

import json

import pytest
from tests.support_feeds import importing_of
from tests.support_fleet import OWNER, TENANT, SmallFleet
from tests.support_vendors import fix, month

from brakeline.advisories.importing import Importing
from brakeline.advisories.service import AdvisoriesService
from brakeline.agent.facts import of_windows
from brakeline.console.present_risk import findings_note
from brakeline.core.clock import ManualClock
from brakeline.exposure.service import ExposureService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.messages import Package

TEN = {"ProductName": "Windows 10 Pro", "DisplayVersion": "22H2", "CurrentBuildNumber": "19045", "Version": "10.0"}
READER = Package("acme-reader", "x64", "1.0", "Acme Reader", "1.0", "ii", "programs.json", "windows")


@pytest.fixture
def fleet(database: Database, clock: ManualClock, ids: IdMaker) -> SmallFleet:
    return SmallFleet(database, clock, ids)


@pytest.fixture
def advisories(database: Database, clock: ManualClock) -> AdvisoriesService:
    return AdvisoriesService(database, clock)


@pytest.fixture
def exposure(
    fleet: SmallFleet, advisories: AdvisoriesService, database: Database, clock: ManualClock
) -> ExposureService:
    service = ExposureService(database, clock, fleet.bus, fleet.service, advisories)
    fleet.service.on_inventory = service.on_inventory
    return service


@pytest.fixture
async def importing(database: Database, clock: ManualClock, advisories: AdvisoriesService) -> Importing:
    async with database.system() as conn:
        await conn.execute("SELECT brakeline.tenant_create($1, 'test', now())", TENANT)
    return importing_of(database, clock, advisories, TENANT)


async def enrol(fleet: SmallFleet, host: str, ubr: str, *sent: Package) -> str:
    endpoint = await fleet.enrol(host, facts=of_windows(TEN | {"UBR": ubr}, host, "amd64", False, "1"))
    await fleet.inventory(endpoint, list(sent))
    return endpoint


async def test_a_windows_is_judged_by_its_build_as_soon_as_a_month_is_loaded(
    fleet: SmallFleet, exposure: ExposureService, importing: Importing, clock: ManualClock
) -> None:
    old, new = await enrol(fleet, "old", "4169", READER), await enrol(fleet, "new", "4170")
    for endpoint in (old, new):
        before = await exposure.findings(OWNER, endpoint)
        assert (before.findings, before.not_assessed[0].code) == ((), "no_advisories")
        assert findings_note(before, 0, clock.now_ms()).startswith("Not assessed: Windows 10 Pro 22H2: no month of")
    assert ((await exposure.summary(OWNER)).assessed, (await exposure.summary(OWNER)).no_data) == (0, 2)

    await importing.import_file(OWNER, "msrc-2024-mar", json.dumps(month()).encode())
    assert await exposure.reconcile([TENANT]) == "2 endpoints assessed"
    (one,) = (await exposure.findings(OWNER, old)).findings
    assert (one.finding.package, one.finding.cve, one.finding.fixed, one.finding.advisory) == (
        "Windows 10 Pro 22H2", "CVE-2024-21407", "10.0.19045.4170", "KB5035845",
    )  # fmt: skip
    assert one.state.value == "unknown"  # whether its update waits there is not matched with it
    assert [gap.code for gap in (await exposure.findings(OWNER, old)).not_assessed] == ["no_data"]  # the reader
    assert (await exposure.findings(OWNER, new)).findings == ()
    summary = await exposure.summary(OWNER)
    assert (summary.endpoints, summary.assessed, summary.vulnerable, summary.cves) == (2, 2, 1, 1)
    page = await exposure.vulnerabilities(OWNER, "ecosystem:microsoft")
    assert [(item.cve, item.endpoints) for item in page.items] == [("CVE-2024-21407", 1)]
    affected = (await exposure.vulnerability(OWNER, "CVE-2024-21407")).affected
    assert [(a.endpoint_id, a.version, a.advisory) for a in affected] == [(old, "10.0.19045.4169", "KB5035845")]


async def test_a_later_month_opens_what_was_closed_and_nothing_else(
    fleet: SmallFleet, exposure: ExposureService, importing: Importing
) -> None:
    endpoint = await enrol(fleet, "pc", "4170", READER)
    await importing.import_file(OWNER, "msrc-2024-mar", json.dumps(month()).encode())
    await exposure.reconcile([TENANT])
    assert (await exposure.summary(OWNER)).cves == 0
    april = month("2024-Apr", "2024-04-09", fix("5036892", "10.0.19045.4291", "5035845", "11929"), CVE="CVE-2024-26234")
    await importing.import_file(OWNER, "msrc-2024-apr", json.dumps(april).encode())
    await exposure.reconcile([TENANT])
    assert [f.finding.cve for f in (await exposure.findings(OWNER, endpoint)).findings] == ["CVE-2024-26234"]
    assert (await exposure.summary(OWNER)).cves == 1


async def test_a_windows_whose_build_is_not_known_stays_unassessed_whatever_is_loaded(
    fleet: SmallFleet, exposure: ExposureService, importing: Importing
) -> None:
    await importing.import_file(OWNER, "msrc-2024-mar", json.dumps(month()).encode())
    endpoint = await fleet.enrol("pc", facts=of_windows(TEN, "pc", "amd64", False, "1"))
    await fleet.inventory(endpoint, [READER])
    answer = await exposure.findings(OWNER, endpoint)
    assert (answer.findings, answer.not_assessed[0].code) == ((), "no_advisories")
    assert "not known for certain" in answer.not_assessed[0].reason
