"""`brakeline exposure|policy|deployment` against a real server over TLS: what is printed, as JSON and for eyes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.support_cli import served
from tests.support_fleet import OWNER, SmallFleet, deb, update
from tests.support_people import wired

from brakeline.advisories.service import AdvisoriesService
from brakeline.cli.__main__ import main
from brakeline.core.clock import ManualClock
from brakeline.exposure import store_flips
from brakeline.exposure.api import router as exposure_router
from brakeline.exposure.content_api import router as content_router
from brakeline.exposure.flips import LOSSES, Flips, HeldRow, Named
from brakeline.exposure.holding import Holding
from brakeline.exposure.service import ExposureService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.remediation.api import router as remediation_router
from brakeline.remediation.service import RemediationService
from brakeline.remediation.settings_api import router as settings_router
from brakeline.rollout.service import RolloutService
from brakeline.server.app import make_api
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.service import TenancyService

OLD, NEW = "7.88.1-10+deb12u14", "7.88.1-10+deb12u15"
Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, ids: IdMaker) -> SmallFleet:
    await AdvisoriesService(database, clock).load_seed()
    return SmallFleet(database, clock, ids)


@pytest.fixture
async def run(
    fleet: SmallFleet, database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Run]:  # fmt: skip
    """Run one command line against a server that has these slices."""
    advisories, tenancy = AdvisoriesService(database, clock), TenancyService(database, clock, ids)
    exposure = ExposureService(database, clock, fleet.bus, fleet.service, advisories)
    fleet.service.on_inventory = exposure.on_inventory
    rollouts = RolloutService(database, clock, ids, fleet.bus, fleet.service, fleet.cell, tmp_path / "journal")
    await wired(database, clock, ids, rollouts, OWNER.tenant_id)
    await rollouts.open()
    api = make_api((exposure_router, remediation_router, settings_router, content_router))
    api.dependency_overrides[current_principal] = lambda: OWNER
    api.state.exposure, api.state.clock = exposure, clock
    api.state.holding = Holding(database, clock, exposure, advisories, tenancy.approvals, tenancy.tenants)
    api.state.remediation = RemediationService(database, clock, ids, fleet.bus, fleet.service).use(exposure, rollouts)

    async def command(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, words)
        return code, *capsys.readouterr()

    async with served(api, tmp_path, monkeypatch):
        yield command


async def endpoint(fleet: SmallFleet, host: str) -> str:
    made = await fleet.enrol(host)
    packages = [deb("curl", OLD), deb("libcurl4", OLD, "curl"), deb("nodejs", "20.1-1", origin="nodesource")]
    await fleet.inventory(made, packages, [update("curl", OLD, NEW), update("libcurl4", OLD, NEW)])
    return made


async def test_from_what_is_vulnerable_to_what_was_deployed(fleet: SmallFleet, run: Run) -> None:
    first, _ = await endpoint(fleet, "web1"), await endpoint(fleet, "web2")

    code, out, err = await run("exposure", "summary")
    assert code == 0
    assert "2 assessed of 2; no data for 0" in out
    assert "packages not assessed: 2" in out
    assert "changelogs" in err  # what it rests on is always said
    summary = json.loads((await run("exposure", "summary", "--json"))[1])
    assert summary["vulnerable"] == 2

    code, out, _ = await run("exposure", "index")
    assert code == 0
    assert "2 endpoints, 1 distinct versions" in out
    assert "not yet: the server has just started" in out  # nothing is called checked that was not
    assert "No advisory has changed anything here yet." in out
    status = json.loads((await run("exposure", "index", "--json"))[1])
    assert (status["endpoints"], status["rows"], status["differences"], status["arrivals"]) == (2, 2, 0, [])

    code, out, _ = await run("exposure", "list", "source:curl", "--limit", "1")
    assert (code, len(out.splitlines())) == (0, 2)
    page = json.loads((await run("exposure", "list", "--limit", "1", "--json"))[1])
    after = json.loads((await run("exposure", "list", "--limit", "1", "--after", page["next"], "--json"))[1])
    assert page["items"][0]["cve"] != after["items"][0]["cve"]

    cve = page["items"][0]["cve"]
    code, out, _ = await run("exposure", "show", cve)
    assert code == 0
    assert "web1" in out
    assert "fixable now" in out
    findings = json.loads((await run("exposure", "list", "--endpoint", first, "--json"))[1])
    assert {"package", "source", "installed", "cve", "fixed", "state", "since_ms"} <= findings["findings"][0].keys()
    assert findings["not_assessed"][0]["code"] == "third_party"
    assert (await run("exposure", "list", "--endpoint", first))[0] == 0

    code, out, _ = await run("deployment", "preview")
    assert (code, "assess only, because no policy lets it be patched" in out) == (0, True)
    code, out, _ = await run("policy", "ahead", "--filter", "os:debian")
    assert (code, "2 endpoints have it after" in out, "proof decides" in out) == (0, True, True)
    assert (await run("policy", "ahead", "--pace", "warp"))[0] == 2
    code, out, _ = await run("policy", "create", "everybody", "--filter", "", "--mode", "patch", "--expect-count", "2")
    assert (code, "everybody, patch" in out) == (0, True)
    policies = json.loads((await run("policy", "list", "--json"))[1])["items"]
    assert [p["name"] for p in policies] == ["everybody"]
    assert "patch: patch, by the policy everybody" in (await run("policy", "explain", first))[1]

    seen = json.loads((await run("deployment", "preview", "--select", "cve", "--name", cve, "--json"))[1])
    assert (seen["count"], seen["skipped_by_code"]) == (2, {})
    code, _, err = await run("deployment", "create", "--expect", "6", "--select", "cve", "--name", cve)
    assert (code, "2 endpoints would be changed now, not 6" in err) == (5, True)
    told = (await run("deployment", "preview", "--select", "cve", "--name", cve))[1]
    assert ("Suggested: " in told, "endpoint-days exposed" in told) == (True, True)
    assert seen["pace_table"][1][0].startswith("careful")
    words = ("deployment", "create", "--expect", "2", "--select", "cve", "--name", cve, "--pace", "emergency")
    code, _, err = await run(*words)
    assert (code, "is not the pace that is suggested" in err, "--why" in err) == (2, True, True)
    hurried = json.loads((await run(*words, "--why", "it is in the news", "--json"))[1])
    assert hurried["rollout_id"].startswith("ro_")
    made = json.loads(
        (
            await run(
                "deployment", "create", "--expect", "2", "--digest", seen["plan"]["digest"], "--select", "cve",
                "--name", cve, "--pace", "rehearsal", "--start", "--json",
            )
        )[1]
    )  # fmt: skip
    shown = json.loads((await run("deployment", "show", made["rollout_id"], "--json"))[1])
    assert (shown["state"], shown["still_open"][cve]) == ("rolling", 2)
    assert made["id"] in (await run("deployment", "list"))[1]
    assert "rolling" in (await run("deployment", "show", made["id"]))[1]
    assert (await run("policy", "delete", policies[0]["id"]))[0] == 0


async def test_content_that_is_held_is_listed_and_refused_and_bounds_are_set(
    fleet: SmallFleet, run: Run, database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    await endpoint(fleet, "web1")
    code, out, err = await run("content", "list")
    assert (code, "debian-changelog" in out, "over 5%" in err) == (0, True, True)
    sha256 = "ab" * 32
    row = HeldRow("debian-changelog", sha256, "poisoned", Flips(100, 0, 60, 0, 0, 1, (Named("CVE-1", 1),)), LOSSES,
                  "it would take away 60 findings", clock.now_ms())  # fmt: skip
    async with database.tenant(OWNER.tenant_id) as conn:
        await store_flips.hold(conn, OWNER.tenant_id, row)
    out = (await run("content", "list"))[1]
    assert "held: debian-changelog poisoned" in out
    assert "provisional, known to be exploited, and not live yet: CVE-1 on 1" in out
    code, _, err = await run("content", "refuse", "debian-changelog", "--sha256", "cd" * 32, "--reason", "poison")
    assert (code, "other content of this feed is held now" in err) == (5, True)
    refuse = ("content", "refuse", "debian-changelog", "--sha256", sha256, "--reason", "poison")
    code, out, _ = await run(*refuse)
    assert (code, "the last good content stays" in out) == (0, True)
    assert f"refused by {OWNER.name}" in (await run("content", "list"))[1]
    code, out, _ = await run("content", "accept", "debian-changelog", "--sha256", sha256)
    assert (code, "not done yet" in out) == (10, True)  # it takes a second person
    code, out, _ = await run("content", "bound", "--losses", "0.02", "--additions", "0.1")
    assert (code, "losses 2%, additions 10%" in out) == (0, True)
    assert (await run("content", "bound", "--losses", "0.9", "--additions", "0.1"))[0] != 0


async def test_settings_from_what_waits_to_a_rollout_of_them(fleet: SmallFleet, run: Run) -> None:
    for host in ("web1", "web2"):
        await endpoint(fleet, host)
    await run("policy", "create", "everybody", "--filter", "", "--mode", "patch")
    assert "every endpoint runs by its first settings" in (await run("settings", "show"))[1]
    assert "Nothing waits" in (await run("settings", "plan"))[1]
    assert (await run("settings", "start", "--expect-count", "0", "--digest", ""))[0] != 0
    often = ("--mode", "leave", "--self-update", "--refresh-interval-s", "600")
    await run("policy", "create", "often", "--filter", "", *often)
    assert "2 endpoints wait" in (await run("settings", "show"))[1]
    plan = json.loads((await run("settings", "plan", "--json"))[1])
    assert (plan["endpoints"], plan["differences"][0]["after"]) == (2, "600")
    code, out, _ = await run("settings", "plan")
    assert (code, f"--expect-count 2 --digest {plan['digest']}" in out) == (0, True)
    code, _, err = await run("settings", "start", "--expect-count", "3", "--digest", plan["digest"])
    assert (code, "2 endpoints would be changed, not 3" in err) == (5, True)
    code, out, _ = await run("settings", "start", "--expect-count", "2", "--digest", plan["digest"])
    assert (code, "version 1: rollout ro_" in out) == (0, True)
    assert "version 1 is" in (await run("settings", "show"))[1]
    code, _, err = await run("settings", "start", "--expect-count", "2", "--digest", plan["digest"])
    assert (code, "one at a time" in err) == (5, True)


async def test_probes_are_set_by_a_policy_and_shown(fleet: SmallFleet, run: Run) -> None:
    one = await endpoint(fleet, "web1")
    probes = ("--probe", "web http://127.0.0.1:8080/", "--probe", "db /bin/true")
    code, out, _ = await run("policy", "create", "probes", "--filter", "", *probes)
    assert (code, "probes: db /bin/true, web http://127.0.0.1:8080/" in out) == (0, True)
    assert "db /bin/true" in (await run("policy", "list"))[1]
    assert "probes" in (await run("policy", "explain", one))[1]


async def test_a_policy_of_ones_own_for_rings(fleet: SmallFleet, run: Run, tmp_path: Path) -> None:
    await endpoint(fleet, "web1")
    await run("policy", "create", "all", "--filter", "")
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"rings": [{"name": "only", "bake_s": 5, "count": 1}], "checkpoints_s": [5, 10]}))
    code, out, _ = await run("deployment", "create", "--expect", "1", "--policy", str(file), "--json")
    assert (code, json.loads(out)["endpoints"]) == (0, 1)
    file.write_text('{"rings": "many"}')
    code, _, err = await run("deployment", "create", "--expect", "1", "--policy", str(file))
    assert (code, "policy.rings: expected a list" in err) == (2, True)
    file.write_text("rings:\n- {name: only, bake: 5, count: 1}\n")
    code, _, err = await run("deployment", "create", "--expect", "1", "--policy", str(file))
    assert (code, "policy.rings[0]: there is no key 'bake'; did you mean bake_s?" in err) == (2, True)
    file.write_text("rings:\n- {name: only, bake_s: 5 s, count: 1}\nguard: {controls_per_treated: 0}\n")
    code, _, err = await run("deployment", "create", "--expect", "1", "--policy", str(file))
    assert (code, "without a control arm" in err) == (2, True)
    file.write_text("{")
    code, _, err = await run("deployment", "create", "--expect", "1", "--policy", str(file))
    assert (code, "no policy file" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "expected", "says"),
    [
        (("exposure", "show", "CVE-1999-1"), 3, "no advisory"),
        (("exposure", "list", "stat:x"), 2, "did you mean 'state'"),
        (("exposure", "list", "--endpoint", "ep_x"), 3, "no such endpoint"),
        (("exposure", "list", "--after", "x"), 2, "cursor is damaged"),
        (("deployment", "show", "de_x"), 3, "no such deployment"),
        (("deployment", "preview", "--filter", "oss:debian"), 2, "did you mean 'os'"),
        (("policy", "delete", "po_x"), 3, "no such policy"),
        (("policy", "create", "", "--filter", ""), 2, "needs a name"),
        (("policy", "create", "p", "--filter", "", "--probe", "web http://example.test/"), 2, "write it as: web http"),
    ],
)
async def test_errors_say_what_and_why(run: Run, words: tuple[str, ...], expected: int, says: str) -> None:
    code, _, err = await run(*words)
    assert (code, says in err) == (expected, True), err


async def test_an_empty_installation_says_that_it_knows_nothing(run: Run) -> None:
    out = (await run("exposure", "summary"))[1]
    assert "0 assessed of 0" in out
    assert "not known: no endpoint was assessed" in out
    assert "Nothing open that is known." in (await run("exposure", "list"))[1]
    assert "nothing is changed" in (await run("policy", "list"))[1]
