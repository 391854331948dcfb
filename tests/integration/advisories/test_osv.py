"""OSV rows in a real database: imported, kept when a broken file comes, asked over HTTP, carried to another cell."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI
from tests.asgi import Answer, call
from tests.support import require
from tests.support_cli import served
from tests.support_feeds import importing_of
from tests.support_fleet import OWNER, TENANT

from brakeline.advisories import api as feeds_api
from brakeline.advisories.arrivals import NotNewer
from brakeline.advisories.importers import BadFeed
from brakeline.advisories.importing import Importing
from brakeline.advisories.osv import api as osv_api
from brakeline.advisories.osv import carry_api
from brakeline.advisories.osv.carrying import Carrying
from brakeline.advisories.osv.rates import BURST, Rates
from brakeline.advisories.osv.service import Asking
from brakeline.advisories.service import AdvisoriesService
from brakeline.cli import assess
from brakeline.cli.__main__ import main
from brakeline.core.clock import ManualClock
from brakeline.platform.database import Database
from brakeline.server.app import make_api
from brakeline.tenancy.api import current_principal

DATA = Path(__file__).resolve().parents[2] / "data" / "osv"
Run = Callable[..., Awaitable[tuple[int, str, str]]]


def document(id_: str, fixed: str = "2.0", day: str = "2023-01-01", **more: Any) -> dict[str, Any]:
    """An advisory of one Python package."""
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
    return {"id": id_, "modified": f"{day}T00:00:00Z", "summary": "Bad <b>", "aliases": ["CVE-2023-1"],
            "affected": [{"package": {"ecosystem": "PyPI", "name": "Demo_Pkg"}, "ranges": ranges}], **more}  # fmt: skip


def file_of(*documents: dict[str, Any]) -> bytes:
    return "\n".join(map(json.dumps, documents)).encode()


@pytest.fixture
async def importing(database: Database, clock: ManualClock) -> Importing:
    async with database.system() as conn:
        await conn.execute("SELECT brakeline.tenant_create($1, 'test', now())", TENANT)
    return importing_of(database, clock, AdvisoriesService(database, clock), TENANT)


@pytest.fixture
def api(importing: Importing, database: Database, clock: ManualClock) -> FastAPI:
    made = make_api((feeds_api.router, osv_api.router, carry_api.router))
    made.dependency_overrides[current_principal] = lambda: OWNER
    made.state.importing, made.state.osv_rates = importing, Rates(clock)
    made.state.asking = Asking(database, importing._advisories)
    made.state.carrying = Carrying(database, importing._advisories)
    return made


async def ask(api: FastAPI, body: Any, route: str = "/v1/query") -> Answer:
    return await call(api, "POST", route, body=json.dumps(body).encode())


def demo(version: str = "1.0") -> dict[str, Any]:
    return {"package": {"ecosystem": "PyPI", "name": "demo-pkg"}, "version": version}


async def test_a_broken_an_older_and_a_shrunken_file_leave_what_is_live(importing: Importing, api: FastAPI) -> None:
    many = [document(f"PYSEC-2023-{n}") for n in range(10)]
    state = await importing.import_file(OWNER, "osv-pypi", file_of(*many))
    assert (state.kind, state.rows, state.issued, state.problem) == ("osv", 10, "2023-01-01T00:00:00Z", "")
    with pytest.raises(BadFeed, match="document 1"):
        await importing.import_file(OWNER, "osv-pypi", b'{"id": "x"}')
    with pytest.raises(NotNewer):
        await importing.import_file(OWNER, "osv-pypi", file_of(*many[:9]))
    with pytest.raises(BadFeed, match="most of the feed is gone"):
        await importing.import_file(OWNER, "osv-pypi", file_of(document("PYSEC-2023-1", day="2023-02-01")))
    with pytest.raises(BadFeed, match="from the future"):
        await importing.import_file(OWNER, "osv-pypi", file_of(*many, document("PYSEC-2023-99", day="2999-01-01")))
    standing = next(s for s in await importing.status(OWNER) if s.feed == "osv-pypi")
    assert "from the future" in standing.problem
    assert len((await ask(api, demo())).json()["vulns"]) == 10


async def test_a_new_version_takes_the_place_of_the_old_for_findings_too(importing: Importing, api: FastAPI) -> None:
    before = [await importing._advisories.fingerprint()]
    await importing.import_file(OWNER, "osv-pypi", file_of(document("PYSEC-2023-1")))
    before.append(await importing._advisories.fingerprint())
    await importing.import_file(OWNER, "osv-pypi", file_of(document("PYSEC-2023-1", fixed="0.5", day="2023-02-01")))
    assert (await ask(api, demo())).json() == {}
    assert (await ask(api, demo("0.4"))).json()["vulns"][0]["modified"] == "2023-02-01T00:00:00Z"
    assert len({*before, await importing._advisories.fingerprint()}) == 3


@pytest.mark.long
async def test_almalinux_whole_and_asked_by_its_minor_release(importing: Importing, api: FastAPI) -> None:
    state = await importing.import_file(OWNER, "osv-almalinux", (DATA / "osv-almalinux.jsonl.zst").read_bytes())
    assert (state.rows, state.content_day) == (69_160, state.issued[:10])
    found = (
        await ask(api, {"package": {"ecosystem": "AlmaLinux:9.8", "name": "bind"}, "version": "32:9.16.1-1.el9"})
    ).json()
    assert len(found["vulns"]) > 3
    assert found["vulns"][0]["affected"][0]["package"] == {"ecosystem": "AlmaLinux:9", "name": "bind"}
    purl = "pkg:rpm/almalinux/bind@9.16.1-1.el9?distro=almalinux-9.8&epoch=32"
    assert (await ask(api, {"package": {"purl": purl}})).json() == found


async def test_what_nobody_here_knows_is_refused_and_not_called_safe(importing: Importing, api: FastAPI) -> None:
    refused = await ask(api, {"package": {"ecosystem": "npm", "name": "left-pad"}, "version": "1.0.0"})
    assert (refused.status, refused.json()["code"]) == (422, "no-osv-question")
    assert "brakeline content import osv-npm FILE" in refused.json()["detail"]
    await importing.import_file(OWNER, "osv-pypi", file_of(document("PYSEC-2023-1")))
    for body in ({"commit": "ab" * 20}, demo("no version"), [], {"package": {}}):
        assert (await ask(api, body)).status == 422
    assert (await call(api, "POST", "/v1/query", body=b"[" * 100_000)).status == 422
    assert (await call(api, "POST", "/v1/query", body=b" " * (osv_api.BODY_BYTES_MAX + 1))).status == 422


async def test_many_at_once_in_their_order_and_a_budget_for_each_address(importing: Importing, api: FastAPI) -> None:
    await importing.import_file(OWNER, "osv-pypi", file_of(document("PYSEC-2023-1"), document("PYSEC-2023-2", "9")))
    said = await ask(api, {"queries": [demo("1.0"), demo("99"), demo("3")]}, "/v1/querybatch")
    assert [[v["id"] for v in r.get("vulns", ())] for r in said.json()["results"]] == [
        ["PYSEC-2023-1", "PYSEC-2023-2"], [], ["PYSEC-2023-2"],
    ]  # fmt: skip
    assert (await ask(api, {"queries": [demo()] * 1001}, "/v1/querybatch")).status == 422
    for _ in range(BURST // 1000):
        last = await ask(
            api, {"queries": [{"package": {"ecosystem": "PyPI", "name": "none"}}] * 1000}, "/v1/querybatch"
        )
    assert (last.status, last.json()["code"], "retry-after" in last.headers) == (429, "too-many-questions", True)


async def test_a_file_that_does_not_say_its_day_is_taken_with_it(importing: Importing, api: FastAPI) -> None:
    fixes = {"1.0-r1": ["CVE-2023-1"]}
    said = {"distroversion": "v3.20", "reponame": "main", "packages": [{"pkg": {"name": "curl", "secfixes": fixes}}]}
    data, route = json.dumps(said).encode(), "/api/v1/content/alpine-v3.20-main/import"
    refused = await call(api, "POST", route, body=data)
    assert (refused.status, "--day" in refused.json()["detail"]) == (422, True)
    taken = (await call(api, "POST", f"{route}?day=2023-01-02", body=data)).json()
    assert (taken["outcome"], taken["issued"], taken["rows"]) == ("live", "2023-01-02T00:00:00Z", 1)
    assert (await call(api, "POST", f"{route}?day=2023-01-01", body=data + b" ")).status == 422  # older
    purl = {"package": {"purl": "pkg:apk/alpine/curl@1.0-r0?distro=alpine-3.20.3"}}
    assert [v["id"] for v in (await ask(api, purl)).json()["vulns"]] == ["CVE-2023-1"]
    other = await ask(api, {"package": {"purl": "pkg:apk/alpine/curl@1.0-r0?distro=alpine-3.19.1"}})
    assert (other.status, "no feed speaks of Alpine:v3.19" in other.json()["detail"]) == (422, True)


async def test_only_the_feed_s_role_writes(importing: Importing, database: Database) -> None:
    await importing.import_file(OWNER, "osv-pypi", file_of(document("PYSEC-2023-1")))
    for statement in ("DELETE FROM brakeline.advisory_span", "UPDATE brakeline.advisory_span SET fixed = ''"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.system() as conn:
                await conn.execute(statement)


@pytest.fixture
async def run(
    api: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Run]:
    async def command(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, words)
        return code, *capsys.readouterr()

    async with served(api, tmp_path, monkeypatch):
        yield command


async def test_a_bundle_goes_from_cell_to_cell_by_the_command_line(run: Run, tmp_path: Path) -> None:
    one, two, packed = tmp_path / "one.jsonl", tmp_path / "two.jsonl", tmp_path / "b.gz"
    one.write_bytes(file_of(document("PYSEC-2023-1"), document("PYSEC-2023-2")))
    two.write_bytes(file_of(document("PYSEC-2023-2", "3.0", day="2023-03-01"), document("PYSEC-2023-3")))
    assert (await run("content", "import", "osv-pypi", str(one)))[0] == 0
    code, out, _ = await run("content", "diff", "osv-pypi", str(two))
    assert (code, "adds 1 advisories, takes away 1, changes 1; 0 stay" in out) == (0, True)
    made = json.loads((await run("content", "bundle", "osv-pypi", str(packed), "--json"))[1])
    assert (made["rows"], made["issued"]) == (2, "2023-01-01T00:00:00Z")
    assert json.loads(gzip.decompress(packed.read_bytes()))["sha256"] == made["rows_sha256"]
    said = json.loads((await run("content", "diff", "osv-pypi", str(packed), "--json"))[1])
    assert (said["added"], said["removed"], said["changed"], said["same"]) == (0, 0, 0, 2)
    status = json.loads((await run("content", "status", "--json"))[1])["feeds"]
    assert next(f for f in status if f["feed"] == "osv-pypi")["rows"] == 2
    code, _, err = await run("content", "bundle", "epss", str(packed))
    assert (code != 0, "brakeline content import FEED FILE" in err) == (True, True)
    code, _, err = await run("content", "bundle", "osv-go", str(packed))
    assert (code != 0, "nothing of osv-go is live" in err) == (True, True)


async def test_a_bundle_of_one_cell_is_imported_by_another(
    importing: Importing, api: FastAPI, database: Database, clock: ManualClock
) -> None:
    await importing.import_file(OWNER, "osv-pypi", file_of(document("PYSEC-2023-1"), document("PYSEC-2023-2", "0.1")))
    before = (await ask(api, demo())).json()
    packed = (await call(api, "GET", "/api/v1/content/osv-pypi/bundle")).body
    async with database.feed() as conn:  # the other cell has nothing yet
        await conn.execute("DELETE FROM brakeline.advisory_span")
        await conn.execute("DELETE FROM brakeline.feed_state WHERE feed = 'osv-pypi'")
    state = await importing.import_file(OWNER, "osv-pypi", gzip.compress(packed))
    assert (state.rows, state.problem) == (2, "")
    assert (await ask(api, demo())).json() == before


async def audited(run: Run, tmp_path: Path, requirements: str) -> dict[str, dict[str, Any]]:
    """What the real pip-audit finds in pinned requirements, asking this server: package -> advisory -> what it says."""
    require(find_spec("pip_audit") is not None, "pip-audit (requirements/dev.lock)")
    assert (await run("content", "import", "osv-pypi", str(DATA / "osv-pypi.jsonl.zst")))[0] == 0
    (tmp_path / "old.txt").write_text(requirements)
    context = json.loads((tmp_path / "context.json").read_text())
    command = [
        sys.executable, "-m", "pip_audit", "-s", "osv", "--osv-url", f"{context['url']}/v1/query", "--no-deps",
        "--disable-pip", "--progress-spinner", "off", "-f", "json", "--cache-dir", str(tmp_path / "cache"),
        "-r", str(tmp_path / "old.txt"),
    ]  # fmt: skip
    environment = os.environ | {"REQUESTS_CA_BUNDLE": context["ca_file"], "NO_PROXY": "*"}
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, env=environment, check=False, timeout=240
    )
    assert done.returncode == 1, done.stderr  # vulnerabilities were found
    return {d["name"]: {v["id"]: v for v in d["vulns"]} for d in json.loads(done.stdout)["dependencies"]}


async def test_the_real_pip_audit_asks_this_server(run: Run, tmp_path: Path) -> None:
    found = await audited(run, tmp_path, "jinja2==2.10\nflask==0.12\nrequests==2.19.0\nidna==3.10\n")
    assert found["jinja2"]["PYSEC-2019-217"]["fix_versions"] == ["2.10.1"]
    assert "CVE-2019-10906" in found["jinja2"]["PYSEC-2019-217"]["aliases"]
    assert len(found["requests"]) >= 1
    assert len(found["flask"]) >= 1
    assert found["idna"] == {}


@pytest.mark.long
async def test_pip_audit_and_the_matcher_find_the_same_in_a_real_application(run: Run, tmp_path: Path) -> None:
    """Whole sets: what pip-audit says of Salt's 243 pins, and what `exposure assess` says of them by the same file."""
    inventory, feed = DATA.parent / "exposure/inventory-salt-pypi.jsonl", DATA / "osv-pypi.jsonl.zst"
    pins = [json.loads(line) for line in inventory.read_text().splitlines()]
    found = await audited(run, tmp_path, "".join(f"{p['package']}=={p['version']}\n" for p in pins))
    theirs = set()
    for name, vulns in found.items():
        for id_, vuln in vulns.items():
            cves = {each for each in (id_, *vuln["aliases"]) if each.startswith("CVE-")}
            theirs |= {(name.lower(), cve) for cve in cves or {id_}}
    document = json.loads(
        assess.run(assess.parse(["--inventory", str(inventory), "--advisories", str(feed), "--json"]))
    )
    ours = {(f["package"].lower(), f["cve"]) for f in document["findings"]}
    assert (ours - theirs, theirs - ours, len(ours)) == (set(), set(), 28)
