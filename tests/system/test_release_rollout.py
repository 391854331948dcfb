"""A release of our own, from publication to the last endpoint, or to the brake: real server, launchers and agents."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import require
from tools.badreleases.catalogue import catalogue
from tools.badreleases.cell import Cell, CellError
from tools.badreleases.endpoints import KNOBS
from tools.badreleases.run import World, exercise, world

from brakeline.releases.build import build_release


@pytest.fixture(scope="module")
def running() -> Iterator[World]:
    require(os.geteuid() == 0 and shutil.which("unshare") is not None, "root and unshare: endpoints are namespaces")
    patient = KNOBS | {
        "ready_s": 40,
        "healthy_s": 90,
        "healthy_unreachable_s": 90,
    }  # slow is not bad
    with world(print, 3, knobs=patient) as made:
        yield made


def until_told(cell: Cell, rollout_id: str, words: str, seconds: float = 60.0) -> str:
    """The reasons of a rollout, once they contain `words`."""
    deadline, text = time.monotonic() + seconds, ""
    while words not in text:
        assert time.monotonic() < deadline, f"{words!r} is not in: {text}"
        time.sleep(0.5)
        text = str(cell.ask("GET", f"/rollouts/{rollout_id}/why"))
    return text


@pytest.mark.long
def test_a_bad_release_is_halted_recalled_and_healed_without_a_hand(running: World) -> None:
    cell, endpoints = running.cell, running.endpoints
    bad = next(b for b in catalogue() if b.name == "exits")
    outcome = exercise(running, bad, print)
    assert (outcome.healed, outcome.halted, outcome.needed_a_hand) == (True, True, False), outcome.why
    assert outcome.runs_of_bad == 3
    assert outcome.heal_seconds_alone is not None, "without any server too"
    version = f"9.{running.number}.0+exits"
    assert sum(e.runs(version) > 0 for e in endpoints) == 1, "only the canary has run it"
    (release,) = [r for r in cell.ask("GET", "/releases")["items"] if r["version"] == version]
    assert release["state"] == "recalled"
    halted = cell.ask("GET", "/rollouts")["items"][0]["id"]
    with pytest.raises(CellError, match="publish a new release"):
        cell.ask("POST", f"/rollouts/{halted}/resume", {"reason": "let us try"})
    with pytest.raises(CellError, match="recalled"):
        cell.promote(release["id"])


def test_a_good_release_is_confirmed_on_the_canary_and_braked_by_hand_it_is_left_again(running: World) -> None:
    cell, endpoints, seed = running.cell, running.endpoints, running.seed
    good = build_release("agent", "3.0.0", 50)
    rollout_id = cell.promote(cell.publish(good.bundle))
    until_told(cell, rollout_id, "1 of 1 treated endpoints are proven", 120)
    (canary,) = [e for e in endpoints if e.report().confirmed == good.release_id]
    assert canary.report().last_known_good == seed.release_id
    cell.ask("POST", f"/rollouts/{rollout_id}/brake")
    assert canary.until(lambda: canary.report().running == seed.release_id, 90), canary.report()
    assert all(e.report().running == seed.release_id for e in endpoints)


def test_the_command_line_builds_publishes_verifies_and_tells(running: World, tmp_path: Path) -> None:
    cell = running.cell

    def brakeline(*words: str, code: int = 0) -> Any:
        environment = os.environ | {"BRAKELINE_CONTEXT": str(cell.place / "data/context.json")}
        command = [sys.executable, "-m", "brakeline.cli", "release", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if "--json" in words and not code else done.stderr + done.stdout

    built = brakeline("build", "3.5.0", "--sequence", "51", "--out", str(tmp_path), "--json")
    bundle = built["files"][0]
    assert "is no release of this server" in brakeline("verify", bundle, code=2)
    assert brakeline("publish", bundle, "--notes", "tried", "--json")["id"] == built["id"]
    assert brakeline("verify", bundle, "--json")["path"] == "agent/3.5.0/any/bundle.tar"
    assert built["id"] in brakeline("list")
    assert "release keys on this server" in brakeline("status")
    assert brakeline("withdraw", built["id"], "--reason", "of no use", "--json")["state"] == "withdrawn"
    assert "is withdrawn; publish a new release" in brakeline("promote", built["id"], code=5)
    Path(bundle).write_bytes(b"no tar at all")
    assert "tar" in brakeline("publish", bundle, code=2)


@pytest.mark.long
def test_a_release_goes_to_the_one_endpoint_that_follows_early(running: World) -> None:
    """Its launcher obeys the signed follow order; the others are leased nothing, though they look as often."""
    cell, endpoints, seed = running.cell, running.endpoints, running.seed
    first = endpoints[0]
    early = json.loads((first.base / "etc/agent.json").read_text())["endpoint_id"]
    cell.ask("PUT", f"/endpoints/{early}/tags", {"tags": ["lab"]})
    made = {"name": "trial", "filter": "tag:lab", "mode": "leave", "channel": "early"}
    policy = cell.ask("POST", "/policies", made)
    good = build_release("agent", "3.6.0", 52)
    release_id = cell.publish(good.bundle)
    wanted = {"pace": "rehearsal", "start": True, "channel": "early", "expect_count": 1}
    rollout_id = cell.ask("POST", f"/releases/{release_id}/promote", wanted)["id"]
    assert first.until(lambda: first.report().confirmed == release_id, 180), first.report()
    until_told(cell, rollout_id, "completed", 180)
    assert [e.report().running for e in endpoints[1:]] == [seed.release_id] * 2
    told = cell.ask("GET", f"/endpoints/{early}/settings")["self_update"]
    assert told["channel_why"] == "follows early, by the policy trial"
    cell.ask("DELETE", f"/policies/{policy['id']}")
    cell.ask("POST", f"/rollouts/{rollout_id}/brake")
    assert first.until(lambda: first.report().running == seed.release_id, 180), "a recall holds in every channel"


def test_a_policy_switches_self_update_off_and_the_rollout_says_so(running: World) -> None:
    cell, endpoints, seed = running.cell, running.endpoints, running.seed
    made = {"name": "stay", "filter": "", "mode": "leave", "self_update": False}
    policy = cell.ask("POST", "/policies", made)
    release_id = cell.publish(build_release("agent", "4.0.0", 53).bundle)
    rollout_id = cell.promote(release_id)
    until_told(cell, rollout_id, "a policy has switched self-update off for this endpoint")
    assert all(e.report().running == seed.release_id for e in endpoints)
    endpoint_id = cell.ask("GET", "/endpoints")["items"][0]["id"]
    told = cell.ask("GET", f"/endpoints/{endpoint_id}/settings")["self_update"]
    assert (told["on"], "the policy stay says so" in told["why"]) == (False, True)
    cell.ask("DELETE", f"/policies/{policy['id']}")
