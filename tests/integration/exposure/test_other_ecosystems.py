"""Bundles of other ecosystems over a real fleet: they change findings of real endpoints at once, and are weighed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support_feeds import importing_of
from tests.support_fleet import OWNER, TENANT, SmallFleet, deb, update

from brakeline.advisories.importing import Importing
from brakeline.advisories.service import AdvisoriesService
from brakeline.core.clock import ManualClock
from brakeline.exposure.service import ExposureService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.messages import Facts, Package

Document = dict[str, Any]


def said(id_: str, ecosystem: str, name: str, fixed: str, *cves: str, day: int = 1, **more: Any) -> Document:
    """An OSV document of one package, as its ecosystem publishes it."""
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
    names = "related" if ecosystem.startswith("AlmaLinux") else "aliases"
    return {"id": id_, "modified": f"2026-11-{day:02}T00:00:00Z", names: list(cves),
            "affected": [{"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges}], **more}  # fmt: skip


def file_of(*documents: Document) -> bytes:
    return "\n".join(map(json.dumps, documents)).encode()


def rpm(name: str, version: str, **more: str) -> Package:
    return Package(name, "x86_64", version, name, version, ecosystem="rpm", **more)


def of_registry(ecosystem: str, name: str, version: str, **more: str) -> Package:
    return Package(name, f"{ecosystem}-x", version, name, version, ecosystem=ecosystem, **more)


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


async def enrol(fleet: SmallFleet, host: str, os_id: str, version: str, kernel: str = "") -> str:
    facts = Facts(host, os_id, version, f"{os_id} {version}", kernel, "x86_64", package_manager="x")
    return await fleet.enrol(host, facts=facts)


async def test_an_arriving_bundle_changes_findings_of_real_endpoints_at_once(
    fleet: SmallFleet, exposure: ExposureService, importing: Importing
) -> None:
    alma = await enrol(fleet, "alma", "almalinux", "9.4")
    await fleet.inventory(alma, [rpm("curl", "7.76.1-29.el9"), of_registry("pypi", "Jinja2", "3.1.2", origin="PyPI")])
    before = await exposure.findings(OWNER, alma)
    assert {n.code for n in before.not_assessed} == {"no_data"}

    cves = ("CVE-2026-1", "CVE-2026-2")
    await importing.import_file(
        OWNER, "osv-almalinux", file_of(said("ALSA-2026:1", "AlmaLinux:9", "curl", "7.76.1-31.el9", *cves))
    )
    assert await exposure.reconcile([TENANT]) == "1 endpoints assessed"
    await importing.import_file(
        OWNER, "osv-pypi", file_of(said("PYSEC-2026-1", "PyPI", "jinja2", "3.1.3", "CVE-2026-3"))
    )
    await exposure.reconcile([TENANT])

    answer = await exposure.findings(OWNER, alma)
    assert [(f.finding.ecosystem, f.finding.cve, f.finding.advisory, f.finding.fixed, f.state.value)
            for f in answer.findings] == [
        ("pypi", "CVE-2026-3", "PYSEC-2026-1", "3.1.3", "unknown"),
        ("almalinux:9", "CVE-2026-1", "ALSA-2026:1", "7.76.1-31.el9", "not_offered"),
        ("almalinux:9", "CVE-2026-2", "ALSA-2026:1", "7.76.1-31.el9", "not_offered"),
    ]  # fmt: skip
    assert answer.not_assessed == ()
    assert (await exposure.counts(OWNER))[alma].cves == 3
    summary = await exposure.summary(OWNER)
    assert summary.ecosystems == {"almalinux:9": 2, "pypi": 1}
    page = await exposure.vulnerabilities(OWNER, "ecosystem:PyPI")
    assert [(v.cve, v.ecosystems) for v in page.items] == [("CVE-2026-3", ("pypi",))]
    detail = await exposure.vulnerability(OWNER, "cve-2026-1")
    assert [(a.id, a.ecosystem) for a in detail.advisories] == [("ALSA-2026:1", "almalinux:9")]
    assert [(a.ecosystem, a.version, a.fixed) for a in detail.affected] == [
        ("almalinux:9", "7.76.1-29.el9", "7.76.1-31.el9")
    ]


RELEASES = {
    "alpine": ("3.20.3", "osv-alpine", "Alpine:v3.20", "busybox", "1.36.1-r28", "1.36.1-r29", "apk"),
    "arch": ("", "osv-arch", "Arch Linux", "xz", "5.6.1-1", "5.6.1-2", "alpm"),
    "rocky": ("9.4", "osv-rocky-linux", "Rocky Linux:9", "curl", "7.76.1-26.el9", "7.76.1-29.el9", "rpm"),
    "ubuntu": ("22.04", "osv-ubuntu", "Ubuntu:22.04:LTS", "curl", "7.81.0-1ubuntu1.15", "7.81.0-1ubuntu1.16", "deb"),
    "opensuse-leap": ("15.6", "osv-opensuse", "openSUSE:Leap 15.6", "curl", "8.0.1-1.1", "8.0.1-2.1", "rpm"),
}


@pytest.mark.parametrize("os_id", RELEASES)
async def test_every_system_is_judged_by_its_own_database(
    fleet: SmallFleet, exposure: ExposureService, importing: Importing, os_id: str
) -> None:
    version, feed, ecosystem, name, old, fixed, manager = RELEASES[os_id]
    endpoint = await enrol(fleet, "one", os_id, version)
    await importing.import_file(OWNER, feed, file_of(said("X-2026-1", ecosystem, name, fixed, "CVE-2026-9")))
    states = {}
    for installed in (old, fixed):
        await fleet.inventory(endpoint, [Package(name, "a", installed, name, installed, ecosystem=manager)])
        states[installed] = [f.finding.cve for f in (await exposure.findings(OWNER, endpoint)).findings]
    assert states == {old: ["CVE-2026-9"], fixed: []}


REGISTRIES = {
    "golang": ("osv-go", "Go", "example.org/mod", "v1.4.0", "1.5.0"),
    "npm": ("osv-npm", "npm", "left-pad", "1.0.0-rc.1", "1.0.0"),
    "crates.io": ("osv-crates.io", "crates.io", "prost", "0.6.0", "0.6.1"),
    "maven": ("osv-maven", "Maven", "org.x:y", "2.14.1", "2.15.0"),
    "nuget": ("osv-nuget", "NuGet", "Newtonsoft.Json", "12.0.3", "13.0.1"),
    "pypi": ("osv-pypi", "PyPI", "PyYAML", "5.3.1", "5.4"),
}


async def test_every_registry_is_judged_on_a_system_of_debs(
    fleet: SmallFleet, exposure: ExposureService, importing: Importing
) -> None:
    endpoint = await fleet.enrol("app")
    for number, (feed, ecosystem, name, _, fixed) in enumerate(REGISTRIES.values()):
        document = said(f"X-{number}", ecosystem, name, fixed, f"CVE-2026-{number}")
        await importing.import_file(OWNER, feed, file_of(document))
    held = [of_registry(ecosystem, name, old) for ecosystem, (_, _, name, old, _) in REGISTRIES.items()]
    await fleet.inventory(endpoint, held)
    found = await exposure.findings(OWNER, endpoint)
    assert {f.finding.ecosystem: f.finding.cve for f in found.findings} == {
        ecosystem: f"CVE-2026-{number}" for number, ecosystem in enumerate(REGISTRIES)
    }
    await fleet.inventory(endpoint, [of_registry(e, r[2], r[4]) for e, r in REGISTRIES.items()])
    assert (await exposure.findings(OWNER, endpoint)).findings == ()


async def test_an_epoch_counts_in_what_is_installed_and_in_what_is_offered(
    fleet: SmallFleet, exposure: ExposureService, importing: Importing
) -> None:
    endpoint = await enrol(fleet, "alma", "almalinux", "8.10")
    document = said("ALSA-2026:2", "AlmaLinux:8", "openssl", "1:1.1.1k-12.el8", "CVE-2026-5")
    await importing.import_file(OWNER, "osv-almalinux", file_of(document))
    old = Package("openssl", "x86_64", "1:1.1.1k-9.el8", "openssl", "1.1.1k-9.el8", ecosystem="rpm")
    offer = update("openssl", old.version, "1:1.1.1k-12.el8")
    pending = [type(offer)(**{**{f: getattr(offer, f) for f in offer.__slots__}, "architecture": "x86_64"})]
    await fleet.inventory(endpoint, [old], pending)
    assert [f.state.value for f in (await exposure.findings(OWNER, endpoint)).findings] == ["fixable_now"]
    await fleet.inventory(endpoint, [rpm("openssl", "1:1.1.1k-12.el8")])
    assert (await exposure.findings(OWNER, endpoint)).findings == ()


async def test_what_agents_say_of_a_stream_and_of_an_owner_reaches_the_matcher(
    fleet: SmallFleet, exposure: ExposureService, importing: Importing
) -> None:
    endpoint = await enrol(fleet, "alma", "almalinux", "8.10")
    fixed = "1:20.9.0-1.module_el8.9.0+3712+aaaa"
    document = said("ALSA-2026:3", "AlmaLinux:8", "nodejs", fixed, "CVE-2026-6")
    await importing.import_file(OWNER, "osv-almalinux", file_of(document))
    await importing.import_file(OWNER, "osv-pypi", file_of(said("PYSEC-1", "PyPI", "pyyaml", "6.1", "CVE-2026-7")))
    other = "1:18.20.0-1.module_el8.9.0+3712+bbbb"
    packages = [
        rpm("nodejs", other, module="nodejs:18:8090020240101:rhel8"),
        rpm("python3-pyyaml", "5.4.1-1.el8"),
        of_registry("pypi", "PyYAML", "5.4.1", owner="python3-pyyaml"),
    ]
    await fleet.inventory(endpoint, packages)
    answer = await exposure.findings(OWNER, endpoint)
    assert answer.findings == ()
    assert answer.not_assessed == ()  # what belongs to a package of the system is judged with that, and is no gap
    held = {p.name: p for p in await fleet.service.packages(OWNER, endpoint)}
    assert (held["nodejs"].module, held["PyYAML"].owner) == ("nodejs:18:8090020240101:rhel8", "python3-pyyaml")

    same = "1:20.8.0-1.module_el8.9.0+3712+cccc"
    await fleet.inventory(endpoint, [rpm("nodejs", same, module="nodejs:20:8090020240101:rhel8")])
    assert [f.finding.cve for f in (await exposure.findings(OWNER, endpoint)).findings] == ["CVE-2026-6"]


async def test_a_withdrawn_advisory_closes_its_findings_and_says_so(
    fleet: SmallFleet, exposure: ExposureService, importing: Importing
) -> None:
    endpoint = await fleet.enrol("app")
    await fleet.inventory(endpoint, [of_registry("pypi", "flask", "1.0")])
    bad = said("PYSEC-1", "PyPI", "flask", "2.0", "CVE-2026-8")
    await importing.import_file(OWNER, "osv-pypi", file_of(bad))
    assert len((await exposure.findings(OWNER, endpoint)).findings) == 1
    later = bad | {"modified": "2026-11-05T00:00:00Z", "withdrawn": "2026-11-05T00:00:00Z"}
    await importing.import_file(OWNER, "osv-pypi", file_of(later))
    await exposure.reconcile([TENANT])
    answer = await exposure.findings(OWNER, endpoint)
    assert answer.findings == ()
    assert [(d.code, d.reason) for d in answer.dismissed] == [
        ("withdrawn", "its makers have withdrawn it on 2026-11-05")
    ]
    assert (await exposure.counts(OWNER))[endpoint].cves == 0


async def test_the_vendor_s_advisory_closes_what_its_record_calls_open(
    fleet: SmallFleet, exposure: ExposureService, importing: Importing
) -> None:
    """Fixes of long-term support stand in DLAs alone: a record that has not heard of them accuses what is patched."""
    endpoint = await fleet.enrol("web")
    record = {"id": "DEBIAN-CVE-2026-4", "modified": "2026-11-02T00:00:00Z", "upstream": ["CVE-2026-4"],
              "affected": [{"package": {"ecosystem": "Debian:12", "name": "curl"},
                            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]}  # fmt: skip
    notice = said("DLA-9000-1", "Debian:12", "curl", "7.88.1-10+deb12u99", upstream=["CVE-2026-4"])
    await importing.import_file(OWNER, "osv-debian", file_of(record, notice))
    found = {}
    for version in ("7.88.1-10+deb12u98", "7.88.1-10+deb12u99"):
        await fleet.inventory(endpoint, [deb("curl", version)])
        answer = await exposure.findings(OWNER, endpoint)
        found[version] = [(f.finding.cve, f.finding.advisory) for f in answer.findings]
    assert found == {"7.88.1-10+deb12u98": [("CVE-2026-4", "DLA-9000-1")], "7.88.1-10+deb12u99": []}


async def test_a_corrected_range_is_kept_beside_the_old_one(
    fleet: SmallFleet, exposure: ExposureService, importing: Importing, database: Database
) -> None:
    endpoint = await fleet.enrol("app")
    await fleet.inventory(endpoint, [of_registry("pypi", "flask", "1.0"), of_registry("pypi", "jinja2", "1.0")])
    flask = said("PYSEC-1", "PyPI", "flask", "2.0", "CVE-2026-8")
    jinja = said("PYSEC-2", "PyPI", "jinja2", "2.0", "CVE-2026-9")
    await importing.import_file(OWNER, "osv-pypi", file_of(flask, jinja))
    first = await exposure.book()
    assert len((await exposure.findings(OWNER, endpoint)).findings) == 2
    kept = first.shelf("pypi", "jinja2")

    flask["affected"][0]["ranges"][0]["events"] = [{"introduced": "1.1"}, {"fixed": "2.0"}]
    await importing.import_file(OWNER, "osv-pypi", file_of(flask | {"modified": "2026-11-02T00:00:00Z"}, jinja))
    second = await exposure.book()
    assert second.differing(first) == {("pypi", "flask")}
    assert second.shelf("pypi", "jinja2") is kept  # only that name is worked out anew
    assert [f.finding.cve for f in (await exposure.findings(OWNER, endpoint)).findings] == ["CVE-2026-9"]
    detail = await exposure.vulnerability(OWNER, "CVE-2026-8")
    assert [(c.id, c.kind, c.before, c.after, c.feed) for c in detail.corrections] == [
        ("PYSEC-1", "corrected", "fixed: below 2.0", "fixed: from 1.1 below 2.0", "osv-pypi")
    ]

    await importing.import_file(OWNER, "osv-pypi", file_of(jinja | {"modified": "2026-11-03T00:00:00Z"}))
    gone = await exposure.vulnerability(OWNER, "CVE-2026-8")
    assert (gone.advisories, gone.affected, gone.corrections[0].kind) == ((), (), "removed")
