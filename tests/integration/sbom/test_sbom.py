"""Bills of materials over a real database and server: out, in, judged; VEX by people alone, and hiding nothing."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support_cli import served
from tests.support_feeds import importing_of
from tests.support_fleet import SmallFleet, deb
from tests.support_oval import cvrf
from tests.support_people import PASSWORD, House, new_house
from tests.support_vendors import WIN, fix, month

from brakeline.advisories.service import AdvisoriesService
from brakeline.cli.__main__ import main
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Forbidden, Invalid, NotFound
from brakeline.exposure.service import ExposureService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.managers import found_label
from brakeline.protocol.messages import Package
from brakeline.sbom import vex
from brakeline.sbom.api import router as sbom_router
from brakeline.sbom.model import BadBill, Format, Kind, Status, VexFormat
from brakeline.sbom.service import AssetDetail, SbomService
from brakeline.server.app import make_api
from brakeline.tenancy.api import router as tenancy_router
from brakeline.tenancy.model import ROLE_PERMISSIONS, Principal, system_principal

OLD = "7.88.1-10+deb12u14"
PURL = f"pkg:deb/debian/curl@{OLD.replace('+', '%2B')}?arch=amd64&distro=debian-12"
WHERE = "/opt/app/site-packages"
JINJA = Package("jinja2", found_label("pypi", WHERE), "3.1.2", "jinja2", "3.1.2", "ii", "", "pypi", "", "", WHERE)


@pytest.fixture
async def home(database: Database, clock: ManualClock, ids: IdMaker) -> tuple[House, Principal]:
    await AdvisoriesService(database, clock).load_seed()
    return await new_house(database, clock, ids)


@pytest.fixture
def olga(home: tuple[House, Principal]) -> Principal:
    return home[1]


@pytest.fixture
def fleet(home: tuple[House, Principal], database: Database, clock: ManualClock, ids: IdMaker) -> SmallFleet:
    return SmallFleet(database, clock, ids, owner=home[1])


@pytest.fixture
def bills(fleet: SmallFleet, database: Database, clock: ManualClock, ids: IdMaker) -> SbomService:
    exposure = ExposureService(database, clock, fleet.bus, fleet.service)
    fleet.service.on_inventory = exposure.on_inventory
    return SbomService(database, clock, ids, fleet.service, exposure)


def image(*purls: str, name: str = "registry/web:1") -> bytes:
    components = [{"type": "library", "name": p.partition("@")[0].rpartition("/")[2], "purl": p} for p in purls]
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5",
                       "metadata": {"component": {"type": "container", "name": name}},
                       "components": [*components, {"type": "firmware", "name": "boot"}]}).encode()  # fmt: skip


def said(cve: str, product: str = PURL, status: str = "not_affected") -> bytes:
    statement = {"vulnerability": {"name": cve}, "status": status, "justification": "vulnerable_code_not_present",
                 "products": [{"@id": product}]}  # fmt: skip
    document = {"@context": vex.CONTEXT, "author": "Example GmbH", "statements": [statement]}
    return json.dumps(document).encode()


async def test_an_endpoints_bill_has_everything_and_says_what_it_lacks(
    fleet: SmallFleet, bills: SbomService, olga: Principal
) -> None:
    endpoint = await fleet.enrol("web1")
    await fleet.inventory(endpoint, [deb("curl", OLD), deb("gone", "1", state="rc"), JINJA])
    made = await bills.of_endpoint(olga, endpoint, Format.CYCLONEDX)
    assert {c["purl"] for c in made["components"]} == {PURL, "pkg:pypi/jinja2@3.1.2"}
    assert made["components"][1]["evidence"]["occurrences"] == [{"location": WHERE}]
    assert made["metadata"]["properties"][0]["value"] == "its agent looks for nothing beside package managers"
    assert "vulnerabilities" not in made
    as_spdx = await bills.of_endpoint(olga, endpoint, Format.SPDX)
    assert [p["name"] for p in as_spdx["packages"]] == ["web1", "curl", "jinja2"]
    with pytest.raises(Invalid, match="no place for VEX"):
        await bills.of_endpoint(olga, endpoint, Format.SPDX, with_vex=True)
    with pytest.raises(NotFound):
        await bills.of_endpoint(system_principal("te_other", "test"), endpoint, Format.CYCLONEDX)


async def test_a_groups_bill_has_each_component_once_with_how_many_have_it(
    fleet: SmallFleet, bills: SbomService, olga: Principal
) -> None:
    for host in ("web1", "web2"):
        await fleet.inventory(await fleet.enrol(host, tags=("web",)), [deb("curl", OLD), JINJA])
    await fleet.inventory(await fleet.enrol("db"), [deb("curl", "1")])
    made = await bills.of_group(olga, "tag:web", Format.CYCLONEDX)
    counts = {
        c["name"]: p["value"] for c in made["components"] for p in c["properties"] if p["name"].endswith("endpoints")
    }
    assert counts == {"curl": "2", "jinja2": "2"}
    assert len((await bills.of_group(olga, "", Format.SPDX))["packages"]) == 4
    with pytest.raises(NotFound, match="no endpoint matches"):
        await bills.of_group(olga, "tag:none", Format.CYCLONEDX)


async def test_an_image_is_judged_like_an_endpoint_and_replaced_by_its_name(
    bills: SbomService, olga: Principal
) -> None:
    made = await bills.take_bill(olga, image(PURL), file_name="web.cdx.json")
    assert (made.name, made.components, made.left_out) == (
        "registry/web:1", 2, ("boot: no package URL says which ecosystem it is of",)
    )  # fmt: skip
    found = await bills.asset(olga, made.asset_id)
    assert found.open > 0
    assert {f.finding.package for f in found.findings} == {"curl"}
    assert [m.package for m in found.not_assessed] == ["boot"]
    assert await bills.take_bill(olga, image(PURL)) == made  # the same again is nothing new
    newer = await bills.take_bill(olga, image(PURL.replace("u14", "u99")))
    assert newer.asset_id == made.asset_id
    assert (await bills.asset(olga, made.asset_id)).open == 0
    other = system_principal("te_other", "test")
    assert await bills.assets(other) == []
    with pytest.raises(NotFound):
        await bills.asset(other, made.asset_id)
    viewer = replace(olga, permissions=ROLE_PERMISSIONS["viewer"])
    with pytest.raises(Forbidden):
        await bills.take_bill(viewer, image(PURL))
    with pytest.raises(BadBill, match="give it a name"):
        await bills.take_bill(olga, image(PURL, name=""))
    await bills.forget_asset(olga, made.asset_id)
    assert await bills.assets(olga) == []


async def test_a_recorded_windows_is_judged_by_its_build_and_its_updates_together(
    bills: SbomService, olga: Principal, database: Database, clock: ManualClock
) -> None:
    def recorded(*kbs: str, build: str = "10.0.19045.4046", version: str = "22H2") -> bytes:
        return json.dumps({
            "System": "Microsoft Windows 10 Pro", "Version": version, "Build": build, "Architecture": "AMD64",
            "Programs": [{"DisplayName": "7-Zip", "DisplayVersion": "24.08"}],
            "HotFixes": [{"HotFixID": kb, "Description": "Security Update"} for kb in kbs],
        }).encode()  # fmt: skip

    async def judged(*kbs: str, **more: str) -> AssetDetail:
        made = await bills.take_bill(olga, recorded(*kbs, **more), kind=Kind.OTHER, name="anna-laptop")
        return await bills.asset(olga, made.asset_id)

    unknown = await judged()
    assert [(m.package, m.code) for m in unknown.not_assessed] == [(WIN, "no_data"), ("7-Zip", "no_data")]
    importing = importing_of(database, clock, AdvisoriesService(database, clock), olga.tenant_id)
    await importing.import_file(olga, "msrc-2024-mar", cvrf())
    open_ = await judged("KB5034763")  # the month before
    assert [(f.finding.cve, f.finding.installed, f.finding.fixed, f.finding.advisory) for f in open_.findings] == [
        ("CVE-2024-21407", "10.0.19045.4046", "10.0.19045.4170", "KB5035845")
    ]
    assert [m.package for m in open_.not_assessed] == ["7-Zip"]
    assert (await judged("KB5035845")).open == 0
    assert (await judged(build="10.0.19045.4170")).open == 0
    later = month("2024-Apr", "2024-04-09", fix("5036892", "10.0.19045.4291", "5035845", "11929"), CVE="CVE-2024-2")
    await importing.import_file(olga, "msrc-2024-apr", json.dumps(later).encode())
    assert (await judged("KB5036892")).open == 0  # it takes the place of the other
    assert {f.finding.cve for f in (await judged("KB5035845")).findings} == {"CVE-2024-2"}
    (other,) = [m for m in (await judged(version="21H2")).not_assessed if m.package != "7-Zip"]
    assert (other.code, WIN in other.reason) == ("no_data", True)


async def test_vex_is_taken_in_by_a_person_stands_beside_and_can_be_withdrawn(
    fleet: SmallFleet, bills: SbomService, olga: Principal
) -> None:
    asset = await bills.take_bill(olga, image(PURL))
    before = await bills.asset(olga, asset.asset_id)
    cve = before.findings[0].finding.cve
    with pytest.raises(Forbidden, match="a person answers"):
        await bills.take_vex(replace(olga, kind="token"), said(cve), reason="the vendor says so")
    with pytest.raises(Invalid, match="say why"):
        await bills.take_vex(olga, said(cve), reason=" ")
    taken = await bills.take_vex(olga, said(cve), reason="the vendor says so", file_name="vendor.json")
    after = await bills.asset(olga, asset.asset_id)
    assert len(after.findings) == len(before.findings)  # nothing is hidden
    assert (after.open, after.not_affected) == (before.open - 1, 1)
    told = next(f.said for f in after.findings if f.said)
    assert (told.status, told.source) == (
        Status.NOT_AFFECTED, f"vendor.json of Example GmbH, taken in by {olga.name}"
    )  # fmt: skip

    endpoint = await fleet.enrol("web1")
    await fleet.inventory(endpoint, [deb("curl", OLD)])
    document = await bills.vex_of_endpoint(olga, endpoint)
    mine = {s["vulnerability"]["name"]: s for s in document["statements"]}
    assert (mine[cve]["status"], mine[cve]["justification"]) == ("not_affected", "vulnerable_code_not_present")
    assert {s["status"] for name, s in mine.items() if name != cve} == {"affected"}
    assert vex.read(json.dumps(document).encode()).statements
    with_vex = await bills.of_endpoint(olga, endpoint, Format.CYCLONEDX, with_vex=True)
    assert {v["id"]: v["analysis"]["state"] for v in with_vex["vulnerabilities"]}[cve] == "not_affected"
    in_spdx = await bills.vex_of_endpoint(olga, endpoint, VexFormat.SPDX3)
    beside = await bills.of_endpoint(olga, endpoint, Format.SPDX3, with_vex=True)
    for written in (in_spdx, beside):
        read = {s.vulnerability: s for s in vex.read(json.dumps(written).encode()).statements}
        assert (read[cve].status, read[cve].justification) == (Status.NOT_AFFECTED, "vulnerable_code_not_present")
        assert read.keys() == mine.keys()
    assert await bills.vex_documents(system_principal("te_other", "test")) == []

    await bills.withdraw_vex(olga, taken.sha256)
    assert (await bills.asset(olga, asset.asset_id)).not_affected == 0
    assert (await bills.vex_documents(olga))[0].withdrawn_by == olga.name
    with pytest.raises(NotFound):
        await bills.withdraw_vex(olga, taken.sha256)
    await bills.take_vex(olga, said(cve), reason="they were right after all")
    assert (await bills.asset(olga, asset.asset_id)).not_affected == 1


Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def run(
    home: tuple[House, Principal], bills: SbomService, clock: ManualClock, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Run]:  # fmt: skip
    house, olga = home
    api = make_api((tenancy_router, sbom_router))
    api.state.tenancy, api.state.sbom, api.state.clock = house.tenancy, bills, clock
    token = await house.tenancy.create_token(olga, "cli", sorted(olga.permissions))

    async def command(*words: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{typed}\n"))
        code = await asyncio.to_thread(main, words)
        return code, *capsys.readouterr()

    async with served(api, tmp_path, monkeypatch, token.secret):
        yield command


async def test_the_command_line_exports_imports_and_takes_vex_from_a_person(
    run: Run, fleet: SmallFleet, home: tuple[House, Principal], tmp_path: Path
) -> None:
    endpoint = await fleet.enrol("web1")
    await fleet.inventory(endpoint, [deb("curl", OLD), JINJA])
    out_file = tmp_path / "web1.json"
    assert (await run("sbom", "export", endpoint, "--format", "spdx", "-o", str(out_file)))[0] == 0
    code, out, err = await run("sbom", "import", str(out_file), "--kind", "appliance", "--name", "copy of web1")
    assert (code, "3 components" in out or "2 components" in out) == (0, True), err
    listed: dict[str, Any] = json.loads((await run("sbom", "list", "--json"))[1])
    asset = listed["items"][0]
    assert (asset["kind"], asset["format"]) == ("appliance", "SPDX 2.3")
    code, out, _ = await run("sbom", "show", asset["asset_id"])
    assert (code, "curl" in out) == (0, True)
    shown = json.loads((await run("sbom", "show", asset["asset_id"], "--json"))[1])
    cve = shown["findings"][0]["finding"]["cve"]
    file = tmp_path / "vendor.json"
    file.write_bytes(said(cve))
    email = home[0].emails[home[1].id]
    words = ("sbom", "vex", "import", str(file), "--reason", "the vendor says so", "--email", email)
    assert (await run(*words, typed="a wrong one"))[0] == 4
    code, out, err = await run(*words, typed=PASSWORD)
    assert (code, out) == (0, "1 statements of Example GmbH stand.\n"), err
    assert "says VEX" in (await run("sbom", "show", asset["asset_id"]))[1]
    assert (await run("sbom", "vex", "export", endpoint))[0] == 0
    code, out, _ = await run("sbom", "vex", "export", endpoint, "--format", "spdx3")
    assert (code, "security_VexNotAffectedVulnAssessmentRelationship" in out) == (0, True)
    sha = json.loads((await run("sbom", "vex", "list", "--json"))[1])["items"][0]["sha256"]
    assert (await run("sbom", "vex", "withdraw", sha[:10]))[0] == 0
    assert (await run("sbom", "forget", asset["asset_id"]))[0] == 0
    code, _, err = await run("sbom", "show", asset["asset_id"])
    assert (code, "no such asset" in err) == (3, True)
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    code, _, err = await run("sbom", "import", str(bad))
    assert (code, "neither CycloneDX nor SPDX" in err, "Taken are" in err) == (2, True, True)
    code, out, _ = await run("sbom", "export", "--query", "os:debian")
    assert (code, len(json.loads(out)["components"])) == (0, 2)
