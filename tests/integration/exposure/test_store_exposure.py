"""Exposure over a real fleet in a real database: counts, states, times, what is not known, tenants apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support_fleet import OWNER, TENANT, SmallFleet, deb, update

from brakeline.advisories.service import AdvisoriesService
from brakeline.agent.facts import of_windows
from brakeline.console.present_risk import findings_note
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Forbidden, Invalid, NotFound
from brakeline.exposure.service import ExposureService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.messages import Package, UpdateState
from brakeline.tenancy.model import Principal, system_principal

CURL_OLD, CURL_NEW = "7.88.1-10+deb12u14", "7.88.1-10+deb12u15"
CURL = [deb("curl", CURL_OLD), deb("libcurl4", CURL_OLD, "curl")]
CURL_UPDATES = [update("curl", CURL_OLD, CURL_NEW), update("libcurl4", CURL_OLD, CURL_NEW)]


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, ids: IdMaker) -> SmallFleet:
    await AdvisoriesService(database, clock).load_seed()
    return SmallFleet(database, clock, ids)


@pytest.fixture
def exposure(fleet: SmallFleet, database: Database, clock: ManualClock) -> ExposureService:
    service = ExposureService(database, clock, fleet.bus, fleet.service)
    fleet.service.on_inventory = service.on_inventory
    return service


async def test_findings_open_and_close_with_what_is_installed(
    fleet: SmallFleet, exposure: ExposureService, clock: ManualClock
) -> None:
    endpoint = await fleet.enrol("web1")
    opened_ms = clock.now_ms()
    async with fleet.bus.subscribe(f"finding:{TENANT}") as messages:
        await fleet.inventory(endpoint, CURL, CURL_UPDATES)
        assert await anext(messages) == (f"finding:{TENANT}", endpoint)

    before = (await exposure.counts(OWNER))[endpoint]
    assert before.cves > 0
    assert (before.fixable, before.sources, before.carrier_cves) == (before.cves, 1, 0)
    answer = await exposure.findings(OWNER, endpoint)
    assert {f.state.value for f in answer.findings} == {"fixable_now"}
    assert len(answer.findings) == 2 * before.cves  # each CVE in both binaries
    assert {f.since_ms for f in answer.findings} == {opened_ms}
    assert any("changelogs" in sentence for sentence in answer.limits)

    clock.advance(3600)
    await fleet.inventory(endpoint, [deb("curl", CURL_NEW), deb("libcurl4", CURL_NEW, "curl")])
    after = (await exposure.counts(OWNER))[endpoint]
    assert after.cves < before.cves
    closed = await exposure.findings(OWNER, endpoint)
    open_before = {f.finding.cve for f in answer.findings}
    still_open = {f.finding.cve for f in closed.findings}
    assert still_open < open_before
    assert {f.finding.fixed for f in answer.findings if f.finding.cve not in still_open} == {CURL_NEW}


async def test_where_a_finding_stands(fleet: SmallFleet, exposure: ExposureService) -> None:
    held = update("curl", CURL_OLD, CURL_NEW, state=UpdateState.HELD, reason="held by the administrator")
    cases = {
        "held": ([deb("curl", CURL_OLD)], [held], True, "blocked"),
        "no-repository": ([deb("curl", CURL_OLD)], [], True, "not_offered"),
        "never-refreshed": ([deb("curl", CURL_OLD)], [], False, "unknown"),
        "rebuild": ([deb("curl", CURL_OLD)], [update("curl", CURL_OLD, CURL_OLD + "+b1")], True, "not_offered"),
    }  # fmt: skip
    for host, (packages, pending, refreshed, state) in cases.items():
        endpoint = await fleet.enrol(host)
        await fleet.inventory(endpoint, packages, pending, refreshed=refreshed)
        answer = await exposure.findings(OWNER, endpoint)
        assert {f.state.value for f in answer.findings} == {state}, host
    page = await exposure.vulnerabilities(OWNER, "source:curl state:blocked")
    assert page.total > 0
    assert page.items[0].states == {"blocked": 1, "not_offered": 2, "unknown": 1}


async def test_the_kernel_that_is_fixed_on_disk_waits_for_a_restart(
    fleet: SmallFleet, exposure: ExposureService
) -> None:
    endpoint = await fleet.enrol("k1", kernel="6.1.0-30-amd64")
    images = [
        deb("linux-image-6.1.0-30-amd64", "6.1.124-1", "linux-signed-amd64", "6.1.124+1"),
        deb("linux-image-6.1.0-99-amd64", "6.1.999-1", "linux-signed-amd64", "6.1.999+1"),
        deb("linux-libc-dev", "6.1.124-1", "linux"),
    ]
    await fleet.inventory(endpoint, images)
    answer = await exposure.findings(OWNER, endpoint)
    standing = {(f.finding.package, f.finding.role, f.state.value) for f in answer.findings}
    assert ("linux-image-6.1.0-30-amd64", "active", "reboot_due") in standing
    assert {role for package, role, _ in standing if package == "linux-libc-dev"} == {"carrier"}
    counts = (await exposure.counts(OWNER))[endpoint]
    assert (counts.cves > 100, counts.carrier_cves, counts.fixable) == (True, 0, 0)  # carried ones are active too


async def test_what_is_not_known_is_never_counted_as_clean(
    fleet: SmallFleet, exposure: ExposureService, clock: ManualClock
) -> None:
    empty = await exposure.summary(OWNER)
    assert (empty.endpoints, empty.assessed, empty.cves) == (0, 0, 0)
    silent, _mute, other = (
        await fleet.enrol("silent"),
        await fleet.enrol("mute"),
        await fleet.enrol("o", os_version="13"),
    )
    await fleet.inventory(silent, CURL)
    clock.advance(7200)
    await fleet.inventory(other, CURL)
    summary = await exposure.summary(OWNER)
    assert (summary.endpoints, summary.assessed, summary.no_data, summary.silent) == (3, 1, 2, 1)
    assert summary.vulnerable == 1
    assert summary.packages_not_assessed == 2
    found = await exposure.findings(OWNER, other)
    assert (found.findings, {n.code for n in found.not_assessed}) == ((), {"no_data"})
    assert (await exposure.findings(OWNER, silent)).unknown_since_ms == clock.now_ms() - 7_200_000
    assert (await exposure.findings(OWNER, _mute)).inventory_ms == 0
    late = clock.now_ms() - 3_600_000
    pages = (await fleet.service.list_endpoints(OWNER, limit=500)).items
    quiet = {e.id for e in pages if (e.last_seen_ms or e.enrolled_ms) < late}
    assert silent in quiet
    assert set(await fleet.service.silent(OWNER.tenant_id, late)) == quiet  # by one look, as its pages say it
    assert await fleet.service.named(OWNER.tenant_id, [silent, "ep_none"]) == {silent: ("silent", "eu")}
    assert await fleet.service.silent("te_other", late) == []


async def test_a_system_without_a_provider_is_not_assessed_and_that_is_said(
    fleet: SmallFleet, exposure: ExposureService, clock: ManualClock
) -> None:
    """It has no inventory, which is not the same as having nothing installed."""
    windows = of_windows({"ProductName": "Windows 10 Pro", "CurrentBuildNumber": "19045"}, "pc", "amd64", False, "1")
    endpoint = await fleet.enrol("pc", facts=replace(windows, package_manager="none"))
    answer = await exposure.findings(OWNER, endpoint)
    (gap,) = answer.not_assessed
    assert (gap.package, gap.code, answer.findings, answer.inventory_ms) == ("Windows 10 Pro", "no_provider", (), 0)
    assert findings_note(answer, 0, clock.now_ms()).startswith("Not assessed: Windows 10 Pro: there is no provider")
    summary = await exposure.summary(OWNER)
    assert (summary.endpoints, summary.assessed, summary.no_data) == (1, 0, 1)
    assert endpoint not in await exposure.counts(OWNER)


async def test_an_inventory_of_windows_is_shown_and_never_counts_as_assessed(
    fleet: SmallFleet, exposure: ExposureService, clock: ManualClock
) -> None:
    windows = of_windows({"ProductName": "Windows 10 Pro", "CurrentBuildNumber": "19045"}, "pc", "amd64", False, "1")
    endpoint = await fleet.enrol("pc", facts=windows)
    packages = [
        Package("acme-reader", "x64", "1.0", "Acme Reader", "1.0", "ii", "programs.json", "windows"),
        Package("KB5034441", "wua", f"{'0' * 8}.200", "Update", f"{'0' * 8}.200", "ii", "Windows Update", "windows"),
        Package("Git.Git", "winget", "2.55.0", "Git", "2.55.0", "ii", "winget", "windows"),
    ]
    for sent in (packages, []):
        await fleet.inventory(endpoint, sent)
        answer = await exposure.findings(OWNER, endpoint)
        assert (answer.not_assessed[0].code, answer.findings, len(answer.not_assessed)) == (
            "no_advisories", (), 1 + len(sent),
        )  # fmt: skip
        note = findings_note(answer, 0, clock.now_ms())
        assert note.startswith("Not assessed: Windows 10 Pro: no advisory is matched")
        summary = await exposure.summary(OWNER)
        assert (summary.endpoints, summary.assessed, summary.no_data) == (1, 0, 1)


async def test_a_restarted_server_answers_the_same_and_new_advisories_reassess_everybody(
    fleet: SmallFleet, exposure: ExposureService, database: Database, clock: ManualClock
) -> None:
    endpoint = await fleet.enrol("web1")
    await fleet.inventory(endpoint, CURL, CURL_UPDATES)
    again = ExposureService(database, clock, fleet.bus, fleet.service)
    assert await again.reconcile([TENANT]) == "0 endpoints assessed"
    assert await again.vulnerabilities(OWNER) == await exposure.vulnerabilities(OWNER)
    async with database.feed() as conn:
        await conn.execute("DELETE FROM brakeline.advisory WHERE source = 'curl'")
        await conn.execute("UPDATE brakeline.feed_state SET sha256 = 'another' WHERE feed = 'debian-changelog'")
    assert await again.reconcile([TENANT]) == "1 endpoints assessed"
    assert (await again.counts(OWNER))[endpoint].cves == 0
    assert await again.reconcile([TENANT]) == "0 endpoints assessed"


async def test_one_cve_with_every_endpoint_that_has_it(fleet: SmallFleet, exposure: ExposureService) -> None:
    for host in ("a", "b"):
        await fleet.inventory(await fleet.enrol(host), CURL, CURL_UPDATES)
    page = await exposure.vulnerabilities(OWNER, limit=2)
    assert len(page.items) == 2
    rest = await exposure.vulnerabilities(OWNER, after=page.next, limit=500)
    assert len({v.cve for v in (*page.items, *rest.items)}) == page.total
    detail = await exposure.vulnerability(OWNER, page.items[0].cve.lower())
    assert [a.hostname for a in detail.affected] == ["a", "b"]
    assert detail.affected[0].version == CURL_OLD
    with pytest.raises(NotFound):
        await exposure.vulnerability(OWNER, "CVE-1999-0001")
    with pytest.raises(Invalid, match="did you mean 'state'"):
        await exposure.vulnerabilities(OWNER, "stat:x")


async def test_another_tenant_sees_nothing_and_permission_is_asked(
    fleet: SmallFleet, exposure: ExposureService
) -> None:
    await fleet.inventory(await fleet.enrol("web1"), CURL)
    other = system_principal("te_other", "test")
    assert (await exposure.summary(other)).endpoints == 0
    assert (await exposure.vulnerabilities(other)).total == 0
    assert await exposure.counts(other) == {}
    nobody = Principal(TENANT, "x", "token", "x", frozenset({"endpoint.read"}))
    with pytest.raises(Forbidden):
        await exposure.summary(nobody)


async def test_closing_says_what_updates_would_close(fleet: SmallFleet, exposure: ExposureService) -> None:
    endpoint = await fleet.enrol("web1")
    await fleet.inventory(endpoint, CURL, CURL_UPDATES)
    half = await exposure.closing(TENANT, {endpoint: {"curl": CURL_NEW}})
    assert (half.closed, half.findings) == ((), 0)  # libcurl4 would still have it
    both = await exposure.closing(TENANT, {endpoint: {"curl": CURL_NEW, "libcurl4": CURL_NEW}})
    assert both.before - both.after == len(both.closed) == both.findings > 0
    assert both.by_update == {"curl": len(both.closed), "libcurl4": len(both.closed)}
