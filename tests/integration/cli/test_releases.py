"""`brakeline release show|plan` and the launcher in `endpoint show`, against a real server over TLS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.support_cli import served
from tests.support_fleet import OWNER, SmallFleet
from tests.support_people import wired
from tests.support_releases import release_bundle

from brakeline.cli.__main__ import main
from brakeline.core.clock import ManualClock
from brakeline.exposure.service import ExposureService
from brakeline.fleet.api import router as fleet_router
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.messages import LauncherReport, TrialReport
from brakeline.releases.api import router as releases_router
from brakeline.releases.service import ReleasesService
from brakeline.remediation.api import router as remediation_router
from brakeline.remediation.service import RemediationService
from brakeline.rollout.api import router as rollout_router
from brakeline.rollout.release_api import router as promotion_router
from brakeline.rollout.releasing import Releasing
from brakeline.rollout.service import RolloutService
from brakeline.server.app import make_api
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.service import TenancyService

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, ids: IdMaker) -> SmallFleet:
    return SmallFleet(database, clock, ids)


@pytest.fixture
async def releases(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> ReleasesService:
    made = ReleasesService(
        database, clock, TenancyService(database, clock, ids).approvals, tmp_path / "trust", "cell-1"
    )
    await made.open()
    return made


@pytest.fixture
async def run(
    fleet: SmallFleet, releases: ReleasesService, database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Run]:  # fmt: skip
    """Run one command line against a server that has these slices."""
    exposure = ExposureService(database, clock, fleet.bus, fleet.service)
    rollouts = RolloutService(database, clock, ids, fleet.bus, fleet.service, fleet.cell, tmp_path / "journal")
    await wired(database, clock, ids, rollouts, OWNER.tenant_id)
    await rollouts.open()
    api = make_api((fleet_router, rollout_router, promotion_router, releases_router, remediation_router))
    api.dependency_overrides[current_principal] = lambda: OWNER
    api.state.fleet, api.state.rollout, api.state.releases = fleet.service, rollouts, releases
    api.state.releasing = releasing = Releasing(rollouts, releases)
    api.state.remediation = RemediationService(database, clock, ids, fleet.bus, fleet.service).use(exposure, rollouts)
    releasing.early.followers = api.state.remediation.followers_of_early

    async def command(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, words)
        return code, *capsys.readouterr()

    async with served(api, tmp_path, monkeypatch):
        yield command


async def test_a_release_its_plan_and_an_endpoints_launcher(
    fleet: SmallFleet, releases: ReleasesService, run: Run
) -> None:
    old = (await releases.publish(OWNER, release_bundle("1.0.0", 1))).release_id
    new = (await releases.publish(OWNER, release_bundle("1.1.0", 2))).release_id
    failed = TrialReport(new, "reverted", "exited", "ended with code 3.", 3, "no module named frames")
    told = LauncherReport(
        "0.1.0", old, old, old, quarantined=(new,), last_trial=failed, problems=("unreachable: away",)
    )
    first = await fleet.enrol("web-1")
    await fleet.check_in(first, told)
    bare = await fleet.enrol("web-2")

    code, out, _ = await run("release", "show", new)
    assert code == 0
    assert "0 run it, 0 have it confirmed, 0 on probation, 1 quarantined it; 1 have no launcher" in out
    assert "Not promoted" in out
    assert "web-1" in out
    shown = json.loads((await run("release", "show", old, "--json"))[1])
    assert (shown["standing"]["running"], shown["trials"]["items"], shown["rollouts"]) == (1, [], [])
    assert (await run("release", "show", "9.9.9-000000000000"))[0] == 3

    code, out, err = await run("release", "plan", new, "--pace", "rehearsal")
    assert (code, "to 2 endpoints; 1 have no launcher yet" in out) == (0, True)
    assert "--expect 2 --start" in err
    made = json.loads((await run("release", "promote", new, "--expect", "2", "--start", "--json"))[1])
    assert made["id"] in (await run("release", "show", new))[1]
    assert "release:" in (await run("rollout", "show", made["id"]))[1]
    assert (await run("release", "plan", new))[0] == 5, "its rollout is under way"

    code, out, _ = await run("endpoint", "show", first)
    assert code == 0
    assert f"{old}, confirmed" in out
    assert "reverted after 3 executions: it ended by itself" in out
    assert "The launcher cannot reach this server: away" in out
    assert "no module named frames" in out
    assert "none runs this agent" in (await run("endpoint", "show", bare))[1]
    plain = json.loads((await run("endpoint", "show", first, "--json"))[1])
    assert (plain["launcher"]["running"], plain["self_update"]["on"]) == (old, True)


async def test_a_release_goes_to_early_by_policy_and_everything_says_so(
    fleet: SmallFleet, releases: ReleasesService, run: Run
) -> None:
    old = (await releases.publish(OWNER, release_bundle("1.0.0", 1))).release_id
    new = (await releases.publish(OWNER, release_bundle("1.1.0", 2))).release_id
    told = LauncherReport("0.1.0", old, old, old)
    lab, web = await fleet.enrol("lab-1", tags=("lab",)), await fleet.enrol("web-1")
    for endpoint_id in (lab, web):
        await fleet.check_in(endpoint_id, told)
    code, out, _ = await run("release", "plan", new, "--channel", "early")
    assert (code, "No policy says who follows early." in out) == (0, True)
    code, _, err = await run("release", "promote", new, "--channel", "early")
    assert (code, "no active endpoint follows early" in err, "policy create --channel early" in err) == (2, True, True)
    code, _, err = await run("policy", "create", "x", "--filter", "", "--mode", "leave", "--channel", "nightly")
    assert (code, "a policy says stable or early" in err) == (2, True)

    trial = ("policy", "create", "trial", "--filter", "tag:lab", "--mode", "leave", "--channel", "early")
    code, out, _ = await run(*trial)
    assert (code, "follows early" in out) == (0, True)
    assert "early" in (await run("policy", "list"))[1]
    assert "follows early, by the policy trial" in (await run("policy", "explain", lab))[1]
    assert "follows early, by the policy trial" in (await run("endpoint", "show", lab))[1]
    assert "follows stable, because no policy says otherwise" in (await run("endpoint", "show", web))[1]

    code, out, err = await run("release", "plan", new, "--pace", "rehearsal", "--channel", "early")
    assert (code, "agent 1.1.0 to early to 1 endpoints" in out) == (0, True)
    assert "--channel early --expect 1 --start" in err
    promote = ("release", "promote", new, "--pace", "rehearsal", "--channel", "early", "--expect", "1", "--json")
    made = json.loads((await run(*promote))[1])
    shown = json.loads((await run("release", "show", new, "--json"))[1])["rollouts"]
    assert [(x["id"], x["channel"], x["targets"]) for x in shown] == [(made["id"], "early", 1)]
    assert "early" in (await run("release", "show", new))[1]
    code, _, err = await run("release", "promote", new)
    assert (code, "to early is under way" in err, "wait until it is completed" in err) == (5, True, True)
