"""A release of the launcher itself, through the same rollout and brake: real server, stubs, launchers and agents."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from tests.support import require
from tests.system.test_release_rollout import until_told
from tools.badreleases.run import World, world

from brakeline.releases import zipapp
from brakeline.releases.build import Built, build_release, bundled

CRASHES = b"import os, threading\nthreading.Timer(6.0, lambda: os._exit(9)).start()\n"
ENTRY = ("@python", "-I", "launcher.pyz")


def crashing(version: str, sequence: int, crashes: bytes = CRASHES) -> Built:
    """A launcher that does its work for six seconds, or until `crashes` ends it, and ends without a word."""
    files = zipapp.sources("launcher", version)
    files["__main__.py"] = crashes + files["__main__.py"]
    program = zipapp.SHEBANG + zipapp._zipped(files)
    return bundled("launcher", version, sequence, {"launcher.pyz": program}, ENTRY)


@pytest.fixture(scope="module")
def running() -> Iterator[World]:
    require(os.geteuid() == 0 and shutil.which("unshare") is not None, "root and unshare: endpoints are namespaces")
    with world(print, 3) as made:
        for one in made.endpoints:
            assert one.until(lambda one=one: not one.report().launcher_waits, 60), one.report()  # type: ignore[misc]
        yield made


@pytest.mark.long
def test_a_launcher_that_crashes_is_left_at_once_halted_and_recalled(running: World) -> None:
    cell, endpoints, seed = running.cell, running.endpoints, running.seed
    release_id = cell.publish(crashing("2.0.0", 1000).bundle)
    rollout_id = cell.promote(release_id)
    until_told(cell, rollout_id, "trial_ended", 180)
    assert endpoints[0].until(lambda: cell.rollout(rollout_id)["state"] == "halted", 90), cell.rollout(rollout_id)
    tried = [t for e in endpoints if (t := e.report().launcher_last_trial) is not None]
    assert tried, "the canary, and whoever was drawn before it and looked meanwhile"
    assert all((t.release_id, t.outcome, t.runs) == (release_id, "reverted", 1) for t in tried)
    for one in endpoints:
        assert one.until(lambda one=one: one.report().running == seed.release_id, 60), one.report()  # type: ignore[misc]
        assert (one.report().launcher_slot, one.report().launcher_trial) == ("factory", "")
    (release,) = [r for r in cell.ask("GET", "/releases")["items"] if r["id"] == release_id]
    assert release["state"] == "recalled"


@pytest.mark.long
def test_a_good_launcher_is_confirmed_on_the_canary_and_left_again_when_the_brake_recalls_it(running: World) -> None:
    cell, endpoints, seed = running.cell, running.endpoints, running.seed
    release_id = cell.publish(build_release("launcher", "3.0.0", 5000).bundle)
    rollout_id = cell.promote(release_id)
    until_told(cell, rollout_id, "1 of 1 treated endpoints are proven", 240)
    (canary,) = [e for e in endpoints if e.report().launcher_release == release_id]
    assert (canary.report().launcher_slot, canary.report().launcher_trial) == ("a", "")
    cell.ask("POST", f"/rollouts/{rollout_id}/brake")
    assert canary.until(lambda: canary.report().launcher_slot == "factory", 90), canary.report()
    for one in endpoints:
        assert one.until(lambda one=one: one.report().running == seed.release_id, 60), one.report()  # type: ignore[misc]
