"""A deployment on a Windows endpoint in wine: server, launcher, agent, helper, msiexec, registry, and back.

Everything is the product's own but the machine: wine has one account, so that helper and agent are that one here.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests import support_msi
from tests.contract.worlds_windows import Wine
from tests.support_windows import FOLDER
from tests.support_windows_agent import World, enrolled
from tests.support_windows_helper import ACCOUNT, PIPE, Helper

from brakeline.agent.providers.fake import Version

pytestmark = [pytest.mark.long, pytest.mark.timeout(480)]


class OfEndpoint(Helper):
    """The helper of an endpoint that a cell has enrolled: nothing of its configuration is ours."""

    def prepare(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)

    def command(self, verb: str, *words: str) -> list[str]:
        return self.machine.python("-I", f"{FOLDER}\\agent.pyz", verb, "--config", f"{FOLDER}\\etc\\agent.json", *words)


@dataclass
class Ordered:
    world: World
    helper: Helper
    programs: Wine

    def deploy(self, version: str) -> str:
        """A rollout of one program; started."""
        endpoint = self.world.endpoint()["summary"]["id"]
        pins = [{"name": "p", "version": version}]
        asked = {"title": "p", "updates": pins, "endpoints": [endpoint], "pace": "rehearsal"}
        made = str(self.world.cell.ask("POST", "/rollouts", asked)["id"])
        self.world.cell.ask("POST", f"/rollouts/{made}/start")
        return made

    def must(self, true: Callable[[], Any], seconds: float, rollout_id: str) -> None:
        """It becomes true in time; else everything that is known of it."""
        if not self.world.host.until(true, seconds):
            raise AssertionError(f"{self.told(rollout_id)}\n{self.world.host.log()[-4000:]}")

    def told(self, rollout_id: str) -> str:
        why = self.world.cell.ask("GET", f"/rollouts/{rollout_id}/why")
        return json.dumps([self.world.cell.rollout(rollout_id), why])


@pytest.fixture(scope="module")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ordered]:
    machine = support_msi.box().machine
    programs = Wine(tmp_path_factory.mktemp("programs"))
    programs.publish(Version("p", "1"))
    programs.install("p")
    programs.publish(Version("p", "2"))
    helper = OfEndpoint(machine)
    helper.prepare()
    helper.list_programs(programs.rows)
    with enrolled(machine, "--helper-socket", PIPE, "--user", ACCOUNT) as world:
        try:
            helper.start()
            yield Ordered(world, helper, programs)
        finally:
            helper.close()
            shutil.rmtree(helper.home, ignore_errors=True)


def test_it_is_enrolled_with_a_helper_and_offers_what_its_owner_lists(ordered: Ordered) -> None:
    world = ordered.world
    assert "assessed, not patched" not in world.said
    world.host.must(lambda: world.endpoint()["summary"]["inventory_ms"] > 0, 180, "an inventory")
    world.cell.ask("POST", "/policies", {"name": "patch", "filter": "", "mode": "patch"})
    waits = world.cell.ask("GET", f"/endpoints/{world.endpoint()['summary']['id']}/updates")
    assert [(w["name"], w["candidate"]) for w in waits] == [("p", "2.0.0")]


def test_an_order_goes_from_the_server_to_msiexec_and_its_result_comes_back(ordered: Ordered) -> None:
    rollout = ordered.deploy("2.0.0")
    host = ordered.world.host
    ordered.must(lambda: ordered.programs.really_has("p") == "2", 240, rollout)

    def ended() -> dict[str, Any] | None:
        seen = ordered.world.cell.rollout(rollout)
        return seen if seen["state"] in ("completed", "halted", "withdrawn") else None

    ordered.must(ended, 240, rollout)
    assert ordered.world.cell.rollout(rollout)["state"] == "completed", ordered.told(rollout)
    host.must(lambda: not list((ordered.helper.home / "helper/tx").glob("tx_*")), 60, "forgotten once it is told")
    assert (Path(ordered.helper.home) / "helper/ledger").read_text().strip().startswith("of_")


def test_a_program_that_its_owner_lists_no_more_is_not_put_in(ordered: Ordered) -> None:
    """Whoever signs orders cannot name what the owner of this machine has not listed."""
    rollout = ordered.deploy("9.0.0")
    ordered.must(lambda: "programs.json" in ordered.told(rollout), 180, rollout)
    assert ordered.programs.really_has("p") == "2"


def test_launcher_and_agent_as_a_service_of_their_own_account(ordered: Ordered) -> None:
    """What `host` keeps: heard again, and at its stop everything has ended in order."""
    world, host, helper = ordered.world, ordered.world.host, ordered.helper
    host.stop()
    host.must(lambda: not helper.pids(" run "), 60, "the agent has ended")
    launcher = host.launcher("run")
    command = ["C:\\cp313\\python.exe", *launcher[2:]]
    home = ("--state", f"{FOLDER}\\home")
    words = ("--of", "agent", "install", "--may-write", f"{FOLDER}\\root", *home, "--account")
    for wrong in ("", "nobody-of-this-name", "S-1-5-18"):  # never as SYSTEM
        assert "is not an account for it" in helper.verb("service", *words, wrong, "--", *command, code=2)
    drive = helper.verb("service", *words, ACCOUNT, "--may-write", "C:\\", "--", *command, code=2)
    assert "would be closed to everybody but administrators" in drive
    assert "is installed" in helper.verb("service", *words, ACCOUNT, "--", *command)
    since_ms = time.time_ns() // 1_000_000
    assert "running" in helper.verb("service", "--of", "agent", "start")
    host.must(lambda: world.endpoint()["summary"]["last_seen_ms"] > since_ms, 120, "heard again")
    log = host.base / "home/launcher.log"
    assert "checked in" in log.read_text()
    assert "stopped" in helper.verb("service", "--of", "agent", "stop")
    host.must(lambda: not helper.pids(" run "), 60, "the agent has ended")
    assert "is removed" in helper.verb("service", "--of", "agent", "remove")
