"""The fleet in a box follows channel stable: its launchers were put there by the enrolment line, and update it.

A good release goes ring by ring to everybody. A bad one reaches one endpoint, is halted and recalled, and whoever was
off meanwhile never runs it. What runs is read on the endpoints, from the launcher's report and the process table.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.system.box import Box
from tests.system.product import Product, short_policy
from tests.system.world import Server, wait_for
from tools.badreleases.catalogue import ALWAYS, BadRelease, catalogue
from tools.badreleases.run import built
from tools.fleetbox import enrol
from tools.fleetbox.state import load

pytestmark = pytest.mark.long  # one or two minutes of waiting; `release_rollout` is in the required set

NAMES = ("eu1", "eu2", "eu3")
ROLL_S = 420.0
REPORT = "cat /var/lib/brakeline-launcher/report.json"
TAKEN = "/var/lib/brakeline-helper/taken-over"
ASKS_FOR_ROOT = BadRelease("asksforroot", "has root's helper started at once, to be executed as root", ALWAYS + f"""
if sys.argv[1:2] == ["helper"]:
    open("{TAKEN}", "w").write(VERSION)
    time.sleep(1e6)
if not RESIDENT:
    agent()
import socket
asking = socket.socket(socket.AF_UNIX)
asking.connect("/run/brakeline/helper.sock")
time.sleep(3)
sys.exit(1)
""")  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    box: Box
    product: Product
    ids: dict[str, str]
    work: Path

    def report(self, name: str) -> dict[str, Any]:
        """What the launcher of an endpoint says."""
        said: dict[str, Any] = json.loads(self.box.run(name, REPORT))
        return said

    def all_run(self, release_id: str, names: tuple[str, ...] = NAMES) -> bool:
        return all((r := self.report(n))["confirmed"] == release_id == r["running"] for n in names)

    @property
    def policy(self) -> str:
        """A file with a policy of seconds."""
        file = self.work / "release-policy.json"
        file.write_text(json.dumps(short_policy(bake_s=2, first_checkpoint_s=15)))
        return str(file)

    def release(self, *words: str) -> Any:
        return self.product.server.cli("release", *words)


@pytest.fixture(scope="module")
def world(server: Server, box: Box, work: Path) -> World:
    box.up(len(NAMES), ("eu",), server.data)
    product = Product(server)
    return World(box, product, product.await_inventories(NAMES), work)


def test_enrolment_has_installed_launcher_and_agent(world: World) -> None:
    (shipped,) = [r for r in world.release("list")["items"] if r["product"] == "agent"]
    assert shipped["notes"] == "came with this server"
    for name in NAMES:
        report = world.report(name)
        assert (report["confirmed"], report["running"], report["problems"]) == (shipped["id"], shipped["id"], [])
        users = world.box.run(name, "ps -eo user:20,args | grep -v grep").splitlines()
        assert {line.split()[0] for line in users if "agent.pyz run" in line} == {"brakeline"}
        assert {line.split()[0] for line in users if "launcher.pyz run" in line} == {"root"}
        assert world.box.run(name, "brakeline-agent version").strip() == shipped["version"]


def test_a_bad_one_is_halted_and_who_was_off_never_runs_it(world: World) -> None:
    (good,) = {world.report(n)["confirmed"] for n in NAMES}
    bad = built(next(b for b in catalogue() if b.name == "exits"), 20)
    file = world.work / "bad.tar"
    file.write_bytes(bad.bundle)
    world.release("publish", str(file))
    rollout_id = world.release("promote", bad.release_id, "--policy", world.policy, "--start")["id"]
    away = wait_for("the lots to be drawn", lambda: _control(world, rollout_id), ROLL_S, 0.1)
    world.box.power_cut(away)  # long before the bad one has failed three times
    seen = world.product.await_state(rollout_id, ("completed", "halted", "withdrawn"), ROLL_S)
    assert seen["state"] == "halted", seen["why"]
    (told,) = [r for r in world.release("list")["items"] if r["id"] == bad.release_id]
    assert told["state"] == "recalled"
    world.box.start(away)
    wait_for("all to run the good release", lambda: _running(world, good), ROLL_S)
    tried = [n for n in NAMES if bad.release_id in world.report(n)["quarantined"] + world.report(n)["recalled"]]
    assert away not in tried
    assert world.box.execute(away, f"test -e /var/lib/brakeline-launcher/versions/{bad.release_id}").returncode
    runs = "cat /var/lib/brakeline/bad-release-runs 2>/dev/null || true"
    assert world.box.run(away, runs) == ""
    assert max(len(world.box.run(n, runs).splitlines()) for n in NAMES) <= 3
    since_ms = time.time_ns() // 1_000_000
    wait_for("the cell to hear all", lambda: _heard(world, since_ms), ROLL_S)


def test_on_probation_nothing_of_it_is_executed_as_root(world: World) -> None:
    (good,) = {world.report(n)["confirmed"] for n in NAMES}
    for name in NAMES:
        world.box.run(name, "systemctl stop brakeline-helper.service && systemctl start brakeline-helper.socket")
    bad = built(ASKS_FOR_ROOT, 25)
    file = world.work / "asks-for-root.tar"
    file.write_bytes(bad.bundle)
    world.release("publish", str(file))
    rollout_id = world.release("promote", bad.release_id, "--policy", world.policy, "--start")["id"]
    seen = world.product.await_state(rollout_id, ("completed", "halted", "withdrawn"), ROLL_S)
    assert seen["state"] == "halted", seen["why"]
    wait_for("all to run the good release", lambda: _running(world, good), ROLL_S)
    tried = [n for n in NAMES if bad.release_id in world.report(n)["quarantined"] + world.report(n)["recalled"]]
    assert tried
    for name in tried:
        assert world.box.execute(name, f"test -e {TAKEN}").returncode, "its helper was executed as root"
        helper = f"pgrep -f 'versions/{good}/agent.pyz helper'"
        wait_for("the helper of what is confirmed", lambda n=name, h=helper: world.box.execute(n, h).stdout, ROLL_S)
    since_ms = time.time_ns() // 1_000_000
    wait_for("the cell to hear all", lambda: _heard(world, since_ms), ROLL_S)


def test_a_new_release_goes_ring_by_ring_to_everybody(world: World) -> None:
    made = world.release("build", "1.1.0", "--sequence", "30", "--out", str(world.work))
    release_id = world.release("publish", made["files"][0])["id"]
    assert release_id == made["id"]
    rollout_id = world.release("promote", release_id, "--policy", world.policy, "--start")["id"]
    seen = world.product.await_state(rollout_id, ("completed", "halted", "withdrawn"), ROLL_S)
    assert seen["state"] == "completed", seen["why"]
    assert world.all_run(release_id)
    assert [m["state"] for m in seen["members"]] == ["proven"] * len(NAMES)


def test_uninstalled_nothing_is_left_and_enrolled_again_it_is_another_endpoint(world: World) -> None:
    box, name = world.box, NAMES[0]
    server = enrol.read_server(world.product.server.data)
    line = enrol.with_address(enrol.one_liner(server, "eu", 1), load(box.place).endpoint(name).gateway, server.port)
    box.run(name, re.sub(r"--token \S+", "--uninstall", line))
    left = "find / -xdev -name '*brakeline*' -not -path '/proc/*' -not -path '/var/log/*' | sort"
    assert box.run(name, left).split() == []
    assert box.execute(name, "id brakeline").returncode
    assert box.execute(name, "pgrep -f brakeline").stdout == ""
    assert "brakeline" not in box.run(name, "systemctl list-units --all --plain --no-legend")
    box.run(name, line)
    again = wait_for("the new identity", lambda: _other(world, name), ROLL_S)
    world.product.server.cli("endpoint", "retire", world.ids[name])
    assert world.report(name)["confirmed"], again


def _other(world: World, name: str) -> str:
    """The id of another endpoint with this host name."""
    items = world.product.server.cli("endpoint", "list")["items"]
    return next((e["id"] for e in items if e["hostname"] == name and e["id"] != world.ids[name]), "")


def _control(world: World, rollout_id: str) -> str:
    """An endpoint that waits, once another one was chosen to go first; "" before."""
    arms = {m["hostname"]: m["arm"] for m in world.product.rollout(rollout_id)["members"]}
    return next((n for n, arm in arms.items() if arm == "control"), "") if "treated" in arms.values() else ""


def _running(world: World, good: str) -> bool:
    reports = [world.box.execute(n, REPORT).stdout for n in NAMES]
    return all(text and json.loads(text)["running"] == good for text in reports)


def _heard(world: World, since_ms: int) -> bool:
    return all(e["last_seen_ms"] > since_ms for e in world.product.endpoints().values())
