"""Vendors' feeds in a real database: imported, asked over HTTP with the states that they give, carried in bundles."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from tests.asgi import Answer, call
from tests.support_cli import served
from tests.support_feeds import importing_of
from tests.support_fleet import OWNER, TENANT
from tests.support_vendors import fix, month

from brakeline.advisories import api as feeds_api
from brakeline.advisories import store_scores
from brakeline.advisories.arrivals import NotNewer
from brakeline.advisories.importers import BadFeed
from brakeline.advisories.importing import Importing
from brakeline.advisories.osv import api as osv_api
from brakeline.advisories.osv import carry_api
from brakeline.advisories.osv.bundle import digest
from brakeline.advisories.osv.carrying import Carrying
from brakeline.advisories.osv.feeds import read
from brakeline.advisories.osv.rates import Rates
from brakeline.advisories.osv.service import Asking
from brakeline.advisories.service import AdvisoriesService
from brakeline.advisories.store_scores import Arrived
from brakeline.advisories.vendors import api as vendors_api
from brakeline.advisories.vendors.checking import Checking
from brakeline.cli.__main__ import main
from brakeline.core.clock import ManualClock
from brakeline.platform.database import Database
from brakeline.platform.fetching import Fetched
from brakeline.server.app import make_api
from brakeline.tenancy.api import current_principal

Run = Callable[..., Awaitable[tuple[int, str, str]]]
SUSE = Path(__file__).resolve().parents[2] / "data" / "vendors" / "suse-su-2015_0011-2.cut.json"
DATA = Path(__file__).resolve().parents[2] / "data" / "feeds"


@pytest.fixture
async def importing(database: Database, clock: ManualClock) -> Importing:
    async with database.system() as conn:
        await conn.execute("SELECT brakeline.tenant_create($1, 'test', now())", TENANT)
    return importing_of(database, clock, AdvisoriesService(database, clock), TENANT)


@pytest.fixture
def api(importing: Importing, database: Database, clock: ManualClock) -> FastAPI:
    made = make_api((feeds_api.router, osv_api.router, carry_api.router, vendors_api.router))
    made.dependency_overrides[current_principal] = lambda: OWNER
    made.state.importing, made.state.osv_rates = importing, Rates(clock)
    made.state.asking = Asking(database, importing._advisories)
    made.state.carrying, made.state.checking = Carrying(database, importing._advisories), Checking(database)
    return made


@pytest.fixture
async def run(
    api: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Run]:
    async def command(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, words)
        return code, *capsys.readouterr()

    async with served(api, tmp_path, monkeypatch):
        yield command


async def ask(api: FastAPI, ecosystem: str, name: str, version: str) -> Answer:
    body = {"package": {"ecosystem": ecosystem, "name": name}, "version": version}
    return await call(api, "POST", "/v1/query", body=json.dumps(body).encode())


async def found(api: FastAPI, *asked: str) -> list[str]:
    return [each["id"] for each in (await ask(api, *asked)).json().get("vulns", [])]


def unfixed(modified: str = "2015-02-01T00:00:00Z") -> bytes:
    """The advisory as a VEX that says what will not be fixed and what is not affected."""
    said = json.loads(SUSE.read_text())
    said["document"]["category"] = "csaf_vex"
    said["document"]["tracking"] |= {"id": "CVE-2014-0591", "current_release_date": modified}
    told = said["vulnerabilities"][0]["product_status"].pop("recommended")
    said["vulnerabilities"] = said["vulnerabilities"][:1]
    one = said["vulnerabilities"][0]
    one["product_status"] = {"known_affected": told[:2], "known_not_affected": told[2:3]}
    one["remediations"] = [{"category": "no_fix_planned", "details": "Will not fix", "product_ids": told[:2]}]
    one["flags"] = [{"label": "component_not_present", "product_ids": told[2:3]}]
    return json.dumps(said).encode()


def on_leap() -> dict[str, Any]:
    """The same advisory with one of its two products on openSUSE Leap."""
    text = SUSE.read_text().replace("cpe:/o:suse:suse_sles_ltss:11:sp2", "cpe:/o:opensuse:leap:15.6")
    said: dict[str, Any] = json.loads(text)
    return said


async def test_an_advisory_of_suse_answers_by_service_pack(importing: Importing, api: FastAPI) -> None:
    state = await importing.import_file(OWNER, "csaf-suse", SUSE.read_bytes())
    assert (state.kind, state.rows, state.issued) == ("osv", 3, "2014-01-27T18:38:10Z")
    standing = next(s for s in await importing.status(OWNER) if s.feed == "csaf-suse")
    assert standing.limits == state.limits
    assert state.limits.startswith("csaf-suse of 2014-01-27 knows SUSE Linux Enterprise by service pack")
    both = read("csaf-opensuse", leap := json.dumps(on_leap()).encode())
    state = await importing.import_file(OWNER, "csaf-opensuse", leap)
    assert (both.elsewhere > 0, state.limits.endswith(f" {both.elsewhere} statements on others.")) == (True, True)
    assert await found(api, "SLES:11.2", "bind", "9.9.4P2-0.5.1") == ["SUSE-SU-2015:0011-2"]
    assert await found(api, "SLES:11.2", "bind", "9.9.4P2-0.6.1") == []
    other = await ask(api, "SLES:15.6", "bind", "9.9.4P2-0.5.1")
    assert (other.status, "no feed speaks of" in other.json()["detail"]) == (422, True)


async def test_what_will_not_be_fixed_is_answered_and_what_is_not_affected_is_not(
    importing: Importing, api: FastAPI, database: Database
) -> None:
    await importing.import_file(OWNER, "csaf-suse", unfixed())
    assert await found(api, "SLES:11.2", "bind", "99") == ["CVE-2014-0591"]
    assert await found(api, "SLES:11.2", "bind-libs-32bit", "1") == []
    async with database.system() as conn:
        rows = await conn.fetch("SELECT name, state, reason FROM brakeline.advisory_span ORDER BY name")
    assert [tuple(row) for row in rows] == [
        ("bind", "deferred", "Will not fix"),
        ("bind-libs-32bit", "not_affected", "the vulnerable component is not in it"),
    ]  # fmt: skip


async def test_a_poisoned_an_older_and_another_vendor_s_file_leave_what_is_live(
    importing: Importing, api: FastAPI
) -> None:
    await importing.import_file(OWNER, "csaf-suse", SUSE.read_bytes())
    evil = SUSE.read_text().replace("https://www.suse.com/", "https://evil.example/").encode()
    with pytest.raises(BadFeed, match="not of SUSE"):
        await importing.import_file(OWNER, "csaf-suse", evil)
    with pytest.raises(BadFeed, match="not of Red Hat"):
        await importing.import_file(OWNER, "csaf-redhat", SUSE.read_bytes())
    with pytest.raises(NotNewer):
        await importing.import_file(OWNER, "csaf-suse", SUSE.read_bytes() + b" ")
    with pytest.raises(BadFeed, match="from the future"):
        await importing.import_file(OWNER, "csaf-suse", unfixed("2999-01-01T00:00:00Z"))
    assert await found(api, "SLES:11.2", "bind", "9.9.4P2-0.5.1") == ["SUSE-SU-2015:0011-2"]


async def test_a_bundle_carries_reasons_and_one_of_an_older_server_is_read(
    importing: Importing, api: FastAPI, database: Database
) -> None:
    await importing.import_file(OWNER, "csaf-suse", unfixed())
    packed: dict[str, Any] = json.loads((await call(api, "GET", "/api/v1/content/csaf-suse/bundle")).body)
    assert {row[-1] for row in packed["rows"]} == {"Will not fix", "the vulnerable component is not in it"}

    async def again(rows: list[Any]) -> list[str]:
        async with database.feed() as conn:
            await conn.execute("DELETE FROM brakeline.advisory_span")
            await conn.execute("DELETE FROM brakeline.feed_state WHERE feed = 'csaf-suse'")
        whole = packed | {"rows": rows, "sha256": digest(rows)}
        await importing.import_file(OWNER, "csaf-suse", gzip.compress(json.dumps(whole).encode()))
        async with database.system() as conn:
            said = await conn.fetch("SELECT DISTINCT reason FROM brakeline.advisory_span ORDER BY reason")
        return [row["reason"] for row in said]

    assert await again(packed["rows"]) == ["Will not fix", "the vulnerable component is not in it"]
    assert await again([row[:16] for row in packed["rows"]]) == [""]


async def test_a_windows_is_checked_against_the_months_that_are_loaded(importing: Importing, run: Run) -> None:
    product = "Windows Server 2012 R2"
    code, _, err = await run("content", "windows", product)
    assert (code != 0, "Import Microsoft's months" in err) == (True, True)
    for name, day, kb, build, old in (("2024-Mar", "2024-03-12", "5035885", "6.3.9600.21871", ""),
                                      ("2024-Apr", "2024-04-09", "5036960", "6.3.9600.21924", "5035885")):  # fmt: skip
        said = month(name, day, fix(kb, build, old, "10483"), CVE=f"CVE-{name[:4]}-{kb}")
        await importing.import_file(OWNER, f"msrc-{name.lower()}", json.dumps(said).encode())
    made = json.loads((await run("content", "windows", product, "--build", "6.3.9600.21871", "--json"))[1])
    assert ([v["cve"] for v in made["open"]], [v["cve"] for v in made["closed"]]) == (
        ["CVE-2024-5036960"], ["CVE-2024-5035885"],
    )  # fmt: skip
    code, out, _ = await run("content", "windows", product, "--kb", "KB5036960")
    assert (code, "Nothing that is loaded stands open; 2 are closed." in out) == (0, True)
    code, _, err = await run("content", "windows", "Windows Server 2012 R3")
    assert (code != 0, f"like it: {product}" in err) == (True, True)
    real = (DATA / "msrc-2017-nov.xml.zst").read_bytes()
    await importing.import_file(OWNER, "msrc-2017-nov", real)
    core = "Windows 10 Version 1709 for x64-based Systems"  # "64-based" in that month, and its browsers are named apart
    found = json.loads((await run("content", "windows", core, "--json"))[1])
    assert (len(found["judged_as"]), len(found["open"]) > 25) == (3, True)
    assert json.loads((await run("content", "windows", core, "--kb", "KB4048955", "--json"))[1])["open"] == []
    code, out, err = await run("content", "windows", "Windows Server 2012", "--kb", "KB4492872")
    assert (code, "not judged: Internet Explorer 10 on Windows Server 2012: KB4492872 has put" in out + err) == (
        0,
        True,
    )
    code, _, err = await run("content", "windows", product, "--kb", "5")
    assert (code != 0, "updates look like KB5035845" in err) == (True, True)


async def test_a_held_file_that_does_not_say_its_day_keeps_it_until_it_is_live(
    importing: Importing, api: FastAPI, database: Database, clock: ManualClock
) -> None:
    data = json.dumps(
        [{"name": "AVG-1", "packages": ["curl"], "status": "Fixed", "type": "x", "fixed": "2-1"}]
    ).encode()
    now = clock.now_ms()
    held = Arrived("arch-security", hashlib.sha256(data).hexdigest(), "file", "", "", "", now, now, data, "2023-01-05")
    async with database.feed() as conn:
        await store_scores.save_arrival(conn, held)
    state = next(f for f in await importing._advisories.reload() if f.feed == "arch-security")
    assert (state.issued, state.rows, state.problem) == ("2023-01-05T00:00:00Z", 1, "")
    async with database.system() as conn:
        assert not await store_scores.arrivals(conn, waiting=True)


async def test_a_fetched_file_that_does_not_say_its_day_is_of_the_day_that_its_address_says(
    importing: Importing, api: FastAPI
) -> None:
    group = {"name": "AVG-1", "packages": ["curl"], "status": "Fixed", "type": "x", "fixed": "2-1", "issues": []}
    importing._addresses["arch-security"] = "https://mirror.example/all.json"

    async def get(*_: object) -> Fetched:
        return Fetched(json.dumps([group]).encode(), last_modified="Tue, 05 Dec 2023 10:00:00 GMT")

    importing._get = get
    state = await importing.fetch(OWNER, "arch-security")
    assert (state.issued, state.rows, state.problem) == ("2023-12-05T00:00:00Z", 1, "")
    assert await found(api, "arch", "curl", "1-1") == ["AVG-1"]
