"""Own packages over a real database, server and command line: signed, taken in, made content, deployed by name."""

from __future__ import annotations

import asyncio
import json
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.ownpackages import ANN, BOB, artifact, package, script, signed
from tests.support_cli import served
from tests.support_fleet import OWNER, SmallFleet, update
from tests.support_people import wired

from brakeline.advisories.service import AdvisoriesService
from brakeline.catalog.api import router as catalog_router
from brakeline.catalog.service import CatalogService
from brakeline.cli.__main__ import main
from brakeline.core.clock import ManualClock
from brakeline.core.errors import NotFound
from brakeline.exposure.service import ExposureService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.messages import Package, PendingUpdate, UpdateState
from brakeline.protocol.software import write
from brakeline.releases import bundles
from brakeline.releases.keyfiles import make_file
from brakeline.remediation.api import router as remediation_router
from brakeline.remediation.service import RemediationService
from brakeline.rollout.service import RolloutService
from brakeline.server.app import make_api
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import system_principal

BASH = Package("bash", "amd64", "5", "bash", "5", origin="Debian")
Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def fleet(database: Database, clock: ManualClock, ids: IdMaker) -> SmallFleet:
    return SmallFleet(database, clock, ids)


@pytest.fixture
def catalog(database: Database, clock: ManualClock) -> CatalogService:
    return CatalogService(database, clock)


@pytest.fixture
async def run(
    fleet: SmallFleet, catalog: CatalogService, database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Run]:  # fmt: skip
    exposure = ExposureService(database, clock, fleet.bus, fleet.service, AdvisoriesService(database, clock))
    rollouts = RolloutService(database, clock, ids, fleet.bus, fleet.service, fleet.cell, tmp_path / "journal")
    await wired(database, clock, ids, rollouts, OWNER.tenant_id)
    await rollouts.open()
    api = make_api((catalog_router, remediation_router))
    api.dependency_overrides[current_principal] = lambda: OWNER
    api.state.clock, api.state.catalog = clock, catalog
    remediation = RemediationService(database, clock, ids, fleet.bus, fleet.service).use(exposure, rollouts)
    remediation.catalog, api.state.remediation = catalog, remediation

    async def command(*words: str | Path) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, [str(w) for w in words])
        return code, *capsys.readouterr()

    async with served(api, tmp_path, monkeypatch):
        yield command


async def test_from_an_author_s_file_to_content_and_a_deployment(run: Run, fleet: SmallFleet, tmp_path: Path) -> None:
    data = b"the program\n"
    (tmp_path / "payroll.bin").write_bytes(data)
    file = tmp_path / "payroll.json"
    file.write_text(json.dumps(package(version="2.1", artifact=artifact(data, "payroll.bin"))))
    for name in ("ann", "bob"):
        make_file(tmp_path, name, None)
    code, out, _ = await run("software", "check", file, "--payload", tmp_path / "payroll.bin")
    assert (code, "nobody yet" in out) == (0, True)
    code, _, err = await run("software", "add", file)
    assert (code, "no own package that could be taken" in err) == (2, True)
    for name in ("ann", "bob"):
        assert (await run("software", "sign", file, "--key", tmp_path / f"{name}.pem"))[0] == 0
    told = json.loads((await run("software", "check", file, "--json"))[1])
    assert (len(told["signed_by"]), told["not_genuine"]) == (2, [])
    code, out, err = await run("software", "authors", tmp_path / "ann.pub", tmp_path / "bob.pub")
    assert (code, json.loads(out)["needed"]) == (0, 2)

    code, out, err = await run("software", "add", file)
    assert (code, "signed by 2" in out, "--payload payroll.bin" in err) == (0, True, True)
    await endpoints(fleet)
    words = ("everybody", "--filter", "", "--mode", "patch", "--expect-count", "2")
    assert (await run("policy", "create", *words))[0] == 0
    assert "was not uploaded" in (await preview(run))["plan"]["skipped"][0]["reason"]
    made = json.loads((await run("software", "add", file, "--payload", tmp_path / "payroll.bin", "--json"))[1])
    assert (made["has_payload"], made["full_version"]) == (True, told["version"])
    code, out, _ = await run("software", "list")
    assert (code, "ready" in out) == (0, True)
    code, out, _ = await run("software", "show", "payroll")
    assert (code, "--- install" in out, "payroll:own" in out) == (0, True, True)

    folder = tmp_path / "content"
    code, out, err = await run("software", "content", folder)
    assert (code, "rules.json" in out, "release build" in err) == (0, True, True)
    code, out, _ = await run(
        "release", "build", "1.4.0", "--product", "content", "--sequence", "9", "--from", folder, "--out", tmp_path
    )
    assert code == 0
    (bundle,) = tmp_path.glob("brakeline-content-*.tar")
    said, _ = bundles.inspect(bundle.read_bytes())
    with tarfile.open(bundle) as tar:
        assert sum(n.startswith(("software/", "payloads/")) for n in tar.getnames()) == 2
    assert said.product == "content"

    seen = await preview(run)
    assert [(u["name"], u["version"], u["endpoints"]) for u in seen["plan"]["updates"]] == [
        ("payroll:own", told["version"], 2)
    ]
    everything = json.loads((await run("deployment", "preview", "--select", "all", "--json"))[1])
    assert "payroll:own" not in json.dumps(everything["plan"]["updates"])  # what is not there comes by name alone
    first = (await fleet.service.matching(OWNER.tenant_id, "host:web1"))[0]
    old = Package("payroll", "own", "2.0+000000000000", "payroll", "2.0", "ii", "own", "own")
    waits = PendingUpdate("payroll:own", "own", old.version, told["version"], "own", False, UpdateState.AVAILABLE)
    await fleet.inventory(first, [BASH, old], [waits])
    everything = json.loads((await run("deployment", "preview", "--select", "all", "--json"))[1])
    assert [(u["name"], u["endpoints"]) for u in everything["plan"]["updates"]] == [("payroll:own", 1)]
    code, out, _ = await run(
        "deployment", "create", "--expect", "2", "--select", "names", "--name", "payroll:own", "--json"
    )
    assert (code, json.loads(out)["rollout_id"][:3]) == (0, "ro_")

    code, out, err = await run("software", "withdraw", "payroll", "2.1", "--reason", "it forgets the locale")
    assert (code, "rollout brake" in err) == (0, True)
    assert (await preview(run))["plan"]["updates"] == []


async def preview(run: Run) -> dict:
    return json.loads((await run("deployment", "preview", "--select", "names", "--name", "payroll:own", "--json"))[1])


async def endpoints(fleet: SmallFleet) -> None:
    for host in ("web1", "web2"):
        await fleet.inventory(await fleet.enrol(host), [BASH], [])


async def test_what_is_here_older_is_an_update_and_a_withdrawn_version_is_kept_back(
    catalog: CatalogService, fleet: SmallFleet
) -> None:
    one, two = signed(package(version="1")), signed(package(version="2"))
    for document in (one, two):
        await catalog.add(OWNER, write(document))
    pending = (update("payroll:own", one.version, two.version),)
    here = (Package("payroll", "own", one.version, "payroll", "1", "ii", "own", "own"),)
    known = await catalog.known(OWNER.tenant_id)
    assert catalog.offered(known, pending, here, ["payroll:own"], "linux") == pending
    await catalog.withdraw(OWNER, "payroll", two.version, "it forgets the locale")
    known = await catalog.known(OWNER.tenant_id)
    (left,) = catalog.offered(known, pending, here, ["payroll:own"], "linux")
    assert (left.state, "it forgets the locale" in left.reason) == (UpdateState.KEPT_BACK, True)
    (new,) = catalog.offered(known, (), (), ["payroll:own"], "linux")
    assert (new.candidate, new.state) == (one.version, UpdateState.NEEDS_NEW)
    (foreign,) = catalog.offered(known, (), (), ["payroll:own"], "windows")
    assert (foreign.state, foreign.reason) == (UpdateState.KEPT_BACK, "is a package for linux")


async def test_a_version_never_changes_and_signatures_only_grow(catalog: CatalogService) -> None:
    plain = package()
    first = await catalog.add(OWNER, write(signed(plain)))
    both = await catalog.add(OWNER, write(signed(plain, BOB)))
    assert len(both.signed_by) == 2
    assert (await catalog.add(OWNER, write(signed(plain)))) == both
    assert (first.full_version, first.added_ms) == (both.full_version, both.added_ms)
    with pytest.raises(Exception, match="a version never changes"):
        await catalog.add(OWNER, write(signed(plain | {"title": "other"})))


async def test_another_organisation_sees_and_changes_nothing(catalog: CatalogService) -> None:
    data = b"x" * 10
    made = await catalog.add(OWNER, write(signed(package(artifact=artifact(data)))))
    await catalog.add_payload(OWNER, data)
    other = system_principal("te_other", "test")
    assert await catalog.entries(other) == []
    with pytest.raises(NotFound):
        await catalog.show(other, "payroll")
    with pytest.raises(NotFound):
        await catalog.payload(other, made.artifact_sha256)


async def test_what_a_vendor_has_newer_than_the_catalogue(run: Run, catalog: CatalogService, tmp_path: Path) -> None:
    for version in ("1.9", "1.2"):
        await catalog.add(OWNER, write(signed(package("tool", version))))
    line = {"version": "1.10", "url": "https://example.org/x", "hash": "3f" * 32}
    lines = [json.dumps({"name": name, **line}) for name in ("Tool", "other")]
    (tmp_path / "bucket.jsonl").write_text("\n".join(lines))
    told = json.loads((await run("software", "discover", "scoop", tmp_path / "bucket.jsonl", "--newer", "--json"))[1])
    assert [(f["name"], f["version"]) for f in told["items"]] == [("Tool", "1.10")]
    code, out, _ = await run("software", "discover", "scoop", tmp_path / "bucket.jsonl", "--name", "Tool", "--draft")
    assert (code, json.loads(out)["name"], json.loads(out)["artifact"]["sha256"]) == (0, "tool", "3f" * 32)
    (tmp_path / "draft.json").write_text(out)
    code, _, err = await run("software", "check", tmp_path / "draft.json")
    assert (code, "platforms is one of linux, windows" in err) == (2, True)  # what only a person knows is asked for


async def test_wrong_input_says_what_why_and_what_next(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(write(signed(package(install=script("true", timeout_s=0)))))
    code, _, err = await run("software", "add", file)
    assert (code, "timeout_s is 1 to 3600" in err, "software check" in err) == (2, True, True)
    file.write_bytes(write(signed(package())).replace(b'"signature": "', b'"signature": "0').replace(
        b'"signature":"', b'"signature":"0'))  # fmt: skip
    code, _, err = await run("software", "add", file)
    assert (code, "nobody's signature on it is genuine" in err) == (2, True)
    stray = tmp_path / "stray.bin"
    stray.write_bytes(b"anything")
    file.write_bytes(write(signed(package(), ANN)))
    code, _, err = await run("software", "add", file, "--payload", stray)
    assert (code, "no package names an artifact" in err) == (2, True)
    code, _, err = await run("software", "show", "nothing")
    assert (code, "no such own package" in err) == (3, True)
