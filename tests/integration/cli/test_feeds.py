"""`brakeline content import|fetch|status` and what it changes in `exposure`, against a real server over TLS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.support_cli import served
from tests.support_feeds import CRITICAL, cvss_file, epss_file, importing_of
from tests.support_fleet import OWNER, TENANT, SmallFleet, deb

from brakeline.advisories import api as feeds_api
from brakeline.advisories.service import AdvisoriesService
from brakeline.cli.__main__ import main
from brakeline.core.clock import ManualClock
from brakeline.exposure.api import router as exposure_router
from brakeline.exposure.service import ExposureService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.server.app import make_api
from brakeline.tenancy.api import current_principal

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, ids: IdMaker) -> SmallFleet:
    async with database.system() as conn:
        await conn.execute("SELECT brakeline.tenant_create($1, 'test', now())", TENANT)
    return SmallFleet(database, clock, ids)


@pytest.fixture
async def run(
    fleet: SmallFleet, database: Database, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Run]:  # fmt: skip
    """Run one command line against a server that has these slices."""
    advisories = AdvisoriesService(database, clock)
    await advisories.load_seed()
    exposure = ExposureService(database, clock, fleet.bus, fleet.service, advisories)
    fleet.service.on_inventory = exposure.on_inventory
    await fleet.inventory(await fleet.enrol("web1", tags=("internet-facing",)), [deb("curl", "7.88.1-10+deb12u1")])
    api = make_api((exposure_router, feeds_api.router))
    api.dependency_overrides[current_principal] = lambda: OWNER
    api.state.exposure = exposure
    api.state.importing = importing_of(database, clock, advisories, TENANT)

    async def command(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, words)
        return code, *capsys.readouterr()

    async with served(api, tmp_path, monkeypatch):
        yield command


async def test_from_a_file_to_what_is_done_first(run: Run, clock: ManualClock, tmp_path: Path) -> None:
    code, out, _ = await run("content", "status")
    assert (code, "Nothing says how likely exploitation is" in out) == (0, True)
    cve = json.loads((await run("exposure", "list", "kev:no", "--json"))[1])["items"][0]["cve"]
    epss, cvss = tmp_path / "epss.csv", tmp_path / "cvss.jsonl"
    epss.write_bytes(epss_file(clock, {cve: 0.97}))
    cvss.write_bytes(cvss_file(clock, {cve: CRITICAL}))
    code, out, _ = await run("content", "import", "epss", str(epss))
    assert (code, out.startswith("epss: v2025.03.14 of ")) == (0, True)
    assert (await run("content", "import", "cvss-2025", str(cvss)))[0] == 0
    said = {f["feed"]: f for f in json.loads((await run("content", "status", "--json"))[1])["feeds"]}
    assert (said["epss"]["age_days"], said["epss"]["old"], said["epss"]["origin"]) == (0, False, "file")
    first = (await run("exposure", "list", "priority:act kev:no"))[1].splitlines()
    assert [word in first[1] for word in ("act", cve, "97.0%", "9.8")] == [True] * 4
    shown = (await run("exposure", "show", cve))[1]
    assert "EPSS 97.0% within 30 days: very likely" in shown
    assert "act: very likely to be exploited, and reachable from the internet" in shown
    assert "what first" in (await run("exposure", "summary"))[1]


async def test_what_is_wrong_is_said_with_its_line_and_what_to_do(
    run: Run, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = tmp_path / "bad.csv", tmp_path / "good.csv"
    good.write_bytes(epss_file(clock, {"CVE-2025-1": 0.5}, ago=1))
    bad.write_bytes(epss_file(clock, {"CVE-2025-1": 0.5, "CVE-2025-2": 7}))
    assert (await run("content", "import", "epss", str(good)))[0] == 0
    code, _, err = await run("content", "import", "epss", str(bad))
    assert (code, "line 4: a probability lies between 0 and 1" in err, "last good content stays" in err) == (
        2, True, True,
    )  # fmt: skip
    good.write_bytes(epss_file(clock, {"CVE-2025-1": 0.5}, ago=2))
    code, _, err = await run("content", "import", "epss", str(good))
    assert ("is live" in err, "Import a newer file" in err) == (True, True)
    code, _, err = await run("content", "import", "nvd", str(good))
    assert "there are epss, cisa-kev, cvss and cvss-NAME" in err
    code, _, err = await run("content", "import", "epss", str(tmp_path / "nowhere"))
    assert "nowhere: No such file" in err
    code, _, err = await run("content", "fetch", "epss")
    assert "Settings: epss_url, kev_url, cvss_url" in err
    monkeypatch.setattr(feeds_api, "PACKED_BYTES_MAX", 10)
    code, _, err = await run("content", "import", "epss", str(good))
    assert ("more than 10 bytes" in err, "split it" in err) == (True, True)
    assert json.loads((await run("content", "status", "--json"))[1])["feeds"][2]["rows"] == 1
