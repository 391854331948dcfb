"""`brakeline vuln|update|exposure` against a real server over TLS: accept, terms, plan, export, trend, times."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.support_cli import served
from tests.support_findings import CURL, CVES, FIXED, OLD, World, new_world
from tests.support_fleet import deb, update

from brakeline.cli.__main__ import main
from brakeline.core.clock import ManualClock
from brakeline.exposure.api import router as exposure_router
from brakeline.exposure.findings_api import router as findings_router
from brakeline.exposure.trend import Trend
from brakeline.exposure.trend_api import router as trend_router
from brakeline.exposure.updates import Updates
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.remediation.api import router as remediation_router
from brakeline.remediation.service import RemediationService
from brakeline.rollout.acts import Acts
from brakeline.rollout.service import RolloutService
from brakeline.server.app import make_api
from brakeline.tenancy.api import current_principal

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def world(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> World:
    return await new_world(database, clock, ids, tmp_path)


@pytest.fixture
async def run(
    world: World, database: Database, ids: IdMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Run]:  # fmt: skip
    """Run one command line against a server that has these slices."""
    fleet, clock = world.fleet, world.clock
    rollouts = RolloutService(database, clock, ids, fleet.bus, fleet.service, fleet.cell, tmp_path / "journal")
    Acts(rollouts, world.house.tenancy.approvals)
    await rollouts.open()
    api = make_api((exposure_router, findings_router, trend_router, remediation_router))
    api.dependency_overrides[current_principal] = lambda: world.owner
    api.state.exposure, api.state.clock, api.state.accepting = world.exposure, clock, world.accepting
    api.state.trend, api.state.updates = Trend(database, clock, world.exposure), Updates(fleet.service, world.exposure)
    remediation = RemediationService(database, clock, ids, fleet.bus, fleet.service)
    api.state.remediation = remediation.use(world.exposure, rollouts)

    async def command(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, words)
        return code, *capsys.readouterr()

    async with served(api, tmp_path, monkeypatch):
        yield command


async def test_accept_look_and_take_back(world: World, run: Run) -> None:
    code, out, _ = await run("vuln", "accept", world.cve, "--reason", "no route", "--days", "30", "--filter", "tag:lab")
    assert (code, "is accepted until" in out) == (0, True)
    code, out, _ = await run("vuln", "accepted")
    assert (code, "in force" in out, "tag:lab" in out, "no route" in out) == (0, True, True, True)
    assert "accepted on 1" in (await run("vuln", "list", world.cve))[1]
    assert "accepted until" in (await run("vuln", "show", world.cve))[1]
    assert "0 wherever they can run, 1 on some endpoints" in (await run("exposure", "summary"))[1]
    made = json.loads((await run("vuln", "accepted", "--json"))[1])["items"][0]["id"]
    code, out, _ = await run("vuln", "end", made, "--reason", "there is one")
    assert (code, "counts as open again" in out) == (0, True)
    assert "Nothing is accepted." in (await run("vuln", "accepted"))[1]
    code, _, err = await run("vuln", "accept", "curl", "--reason", "x", "--days", "3")
    assert (code, "by its id" in err) == (2, True)


async def test_terms_are_shown_tightened_and_not_loosened_alone(run: Run) -> None:
    code, out, err = await run("vuln", "terms")
    assert (code, "exploited:  14" in out, "22-01" in err) == (0, True, True)
    code, out, _ = await run("vuln", "terms", "--high", "7")
    assert (code, "high:       7" in out) == (0, True)
    code, out, _ = await run("vuln", "terms", "--high", "60")
    assert (code, "high: 60 days instead of 7" in out) == (10, True)
    code, _, err = await run("vuln", "terms", "--two-people", "sometimes")
    assert (code, "two_people" in err) == (2, True)


async def test_one_step_from_a_finding_or_an_update_to_a_draft(world: World, run: Run) -> None:
    for endpoint in (world.lab, world.office):
        await world.fleet.inventory(endpoint, CURL, [update("curl", OLD, FIXED)])
    code, out, _ = await run("update", "list")
    assert (code, "curl" in out, str(len(CVES)) in out) == (0, True, True)
    code, out, _ = await run("update", "export", "-", "closes:yes")
    assert (code, out.splitlines()[0].startswith("update,to,source")) == (0, True)
    assert [line.partition(",")[0] for line in out.splitlines()[1:]] == ["curl"]
    code, _, err = await run("update", "list", "closed:yes")
    assert (code != 0, "did you mean 'closes'" in err) == (True, True)
    code, out, _ = await run("update", "show", "curl")
    assert (code, f"closes {len(CVES)} CVEs" in out, "office1" in out) == (0, True, True)
    code, _, err = await run("vuln", "plan", world.cve)
    assert (code, "no endpoint" in err.lower() or "nothing" in err.lower()) == (2, True)  # nobody may be patched yet
    await run_policy(world, run)
    made = json.loads((await run("vuln", "plan", world.cve, "--json"))[1])
    assert (made["endpoints"], made["selection"], made["names"]) == (2, "cve", [world.cve])
    code, out, err = await run("update", "plan", "curl", "--filter", "tag:lab", "--title", "the lab first")
    assert (code, "a draft for 1 endpoints" in out, "Nothing has started" in out) == (0, True, True)
    assert "rollout start ro_" in err


async def run_policy(world: World, run: Run) -> None:
    code, *_ = await run("policy", "create", "all", "--filter", "", "--mode", "patch", "--expect-count", "2")
    assert code == 0


async def test_files_and_what_happened_over_time(world: World, run: Run, tmp_path: Path, database: Database) -> None:
    place = tmp_path / "out.csv"
    code, out, _ = await run("vuln", "export", str(place))
    assert (code, "sha256" in out) == (0, True)
    with place.open(newline="") as file:
        assert {row["cve"] for row in csv.DictReader(file)} == set(CVES)
    code, out, _ = await run("vuln", "export", "-", "source:curl", "--format", "vex")
    assert json.loads(out)["bomFormat"] == "CycloneDX"
    code, _, err = await run("vuln", "export", "-", "colour:red")
    assert (code, "unknown key" in err) == (2, True)
    assert (await run("vuln", "export", "-", "--format", "pdf"))[0] == 2
    await Trend(database, world.clock, world.exposure).look([world.owner.tenant_id])
    world.clock.advance(86400)
    await world.fleet.inventory(world.lab, [deb("curl", FIXED)])
    code, out, _ = await run("exposure", "trend")
    assert (code, len(out.splitlines())) == (0, 2)
    code, out, _ = await run("exposure", "follow", "source:curl")
    assert (code, "source:curl is followed since" in out) == (0, True)
    code, out, _ = await run("exposure", "trend", "source:curl")
    assert (code, len(out.splitlines())) == (0, 2)
    assert "source:curl" in (await run("exposure", "followed"))[1]
    assert (await run("exposure", "unfollow", "source:curl"))[0] == 0
    assert (await run("exposure", "followed"))[1].strip() == "No filter is followed."
    code, _, err = await run("exposure", "trend", "source:curl")
    assert (code, "nobody follows" in err) == (3, True)
    code, out, _ = await run("exposure", "times")
    assert (code, "unscored" in out, "24.0" in out) == (0, True, True)
