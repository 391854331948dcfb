"""The real agent under the official CPython for Windows, in wine: start, update, crash, heal, power cut, locked files.

A real server on this host, the real launcher, releases that are built, published and promoted as any other.
What is real there and what is not: docs/explanation/windows.md.
"""

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
from tests import support_windows
from tests.support import require
from tests.support_windows import FOLDER, Machine, dos
from tests.support_windows_agent import World, enrolled

from brakeline.launcher.disk import RealDisk
from brakeline.launcher.records import Records
from brakeline.platform.clock import SystemClock
from brakeline.platform.tls import ensure_tls

pytestmark = [pytest.mark.long, pytest.mark.timeout(420)]
ON_WINDOWS = (
    "windows", "files", "limits", "clock", "facts", "health", "loop", "launcher_link", "config", "identity", "spool",
    "memory", "wiring", "verbs", "enrol", "transport", "status", "cell", "__main__", "stamp", "windows_child",
    "providers/detect", "providers/windows/detect", "providers/windows/real", "providers/windows/registry",
    "providers/windows/stamps", "access", "helper", "helper_client", "helper_windows", "helper_wire", "transaction",
    "transactions", "locks", "windows_accounts", "windows_pipe", "windows_service", "windows_serving", "windows_unit",
    "windows_hosting",
)  # fmt: skip
CONTRACT = Path(__file__).parents[1] / "contract" / "test_agent_system.py"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    require(shutil.which("wine"), "wine (Debian package wine64)")
    made = Machine(tmp_path_factory.mktemp("wine-agent", numbered=True) / "prefix")
    try:
        made.make()
        yield made
    finally:
        made.power_cut()
        shutil.rmtree(made.prefix, ignore_errors=True)  # 700 MB


@pytest.fixture(scope="module")
def world(machine: Machine) -> Iterator[World]:
    with enrolled(machine) as made:
        yield made


def heard(world: World, since_ms: int) -> bool:
    """Whether the server has heard it since then, as the endpoint that it was."""
    summary = world.endpoint()["summary"]
    return bool(summary["state"] == "active" and summary["last_seen_ms"] > since_ms)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def results(world: World, rollout_id: str) -> str:
    """Everything that the server says about a rollout, and about the only endpoint in it."""
    return json.dumps([world.cell.rollout(rollout_id), world.cell.ask("GET", f"/rollouts/{rollout_id}/why")])


def test_types_hold_on_windows_too() -> None:
    here = Path(support_windows.__file__).resolve().parents[1]
    options = ["--platform", "win32", "--python-version", "3.13", "--follow-imports=silent"]
    modules = [f"src/brakeline/agent/{name}.py" for name in ON_WINDOWS]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *modules], cwd=here, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_contract_of_the_system_below_holds(machine: Machine, tmp_path: Path) -> None:
    """The very suite that runs elsewhere; its packages are plain Python."""
    made = ensure_tls(tmp_path, (), SystemClock())
    for file, name in ((made.ca_file, "ca.crt"), (made.certificate_file, "server.crt"), (made.key_file, "server.key")):
        (tmp_path / name).write_bytes(file.read_bytes())
    said = machine.suite(CONTRACT, tmp_path, BRAKELINE_TEST_TLS=dos(tmp_path))
    assert "skipped" not in said


def test_it_is_enrolled_looked_at_and_says_truthfully_what_is_not_assessed(world: World) -> None:
    assert "It can be assessed, not patched" in world.said
    world.host.must(lambda: heard(world, 0), 30, "a check-in")
    world.host.must(lambda: world.endpoint()["summary"]["inventory_ms"] > 0, 120, "an inventory")
    told = world.endpoint()
    assert (told["facts"]["os_id"], told["facts"]["package_manager"]) == ("windows", "windows")
    run = Records(RealDisk(world.host.root)).load()[0].run
    assert run is not None
    assert told["boot_id"] == run.boot_id  # agent and launcher tell the same boot
    findings = world.cell.ask("GET", f"/endpoints/{told['summary']['id']}/findings")
    assert findings["inventory_ms"] > 0
    assert "no_advisories" in {gap["code"] for gap in findings["not_assessed"]}
    status = json.loads(world.host.agent("status", "--json"))
    assert status["assessment"] == "by this machine's package manager"
    assert status["connection"] == "connected"
    scanned = json.loads(world.host.agent("scan"))
    assert scanned["packages"] == told["packages"]
    assert "is endpoint" in world.host.agent(
        "enrol", "--server", world.cell.url, "--token", "et_x", "--ca", f"{FOLDER}\\ca.pem", code=6
    )


def test_a_release_is_published_staged_tried_and_confirmed(world: World) -> None:
    before = world.host.report().confirmed
    good = world.good()
    world.release(good)
    world.host.must(lambda: world.host.report().confirmed == good.release_id, 200, "confirmed")
    assert world.host.report().last_known_good == before
    world.host.must(lambda: f"installed: ok: {good.release_id}" in world.host.log(), 60, "its result")
    world.host.must(lambda: heard_version(world, good.version), 60, "the server hears the new version")


def heard_version(world: World, version: str) -> bool:
    return bool(world.endpoint()["summary"]["agent_version"] == version)


def test_a_release_that_crashes_is_reverted_after_three_executions_and_the_cell_hears_why(world: World) -> None:
    before = world.host.report().confirmed
    bad = world.bad('sys.exit("it crashed at once")\n')
    rollout_id = world.release(bad)
    world.host.must(lambda: bad.release_id in world.host.report().quarantined, 200, "quarantined")
    world.host.must(lambda: world.host.report().running == before, 60, "the last good one runs")
    assert world.host.runs(bad.version) == 3
    world.host.must(lambda: world.cell.rollout(rollout_id)["state"] == "halted", 120, "halted")
    assert "trial" in results(world, rollout_id)
    end = world.host.report().last_trial
    assert end is not None
    assert (end.outcome, end.runs) == ("reverted", 3)
    assert "it crashed at once" in end.log_tail


def test_the_agent_is_killed_and_started_again(world: World) -> None:
    (before,) = world.host.pids()
    since = now_ms()
    world.host.kill_agent()
    world.host.must(lambda: [p for p in world.host.pids() if p != before], 60, "another process")
    world.host.must(lambda: heard(world, since), 60, "it checks in again")


def test_the_launcher_is_killed_the_agent_goes_with_it_and_both_come_back(world: World) -> None:
    world.host.stop()
    world.host.must(lambda: not world.host.left(), 30, "the agent's end")
    since = now_ms()
    world.host.start()
    world.host.must(lambda: heard(world, since), 90, "it checks in again")
    assert not world.host.report().host_guard


def test_state_and_report_are_held_open_while_they_must_be_replaced(world: World) -> None:
    """The agent says so and goes on; the launcher goes on; afterwards both files are new."""
    host = world.host
    with host.held_open("home\\state.json"), host.held_open("home\\status.json"), host.held_open("root\\report.json"):
        good = world.good()
        world.release(good)
        host.must(lambda: "state.json is held open by another program" in host.log(), 120, "said in the log")
        since = now_ms()
        host.must(lambda: heard(world, since), 90, "check-ins go on")
    host.must(lambda: host.report().confirmed == good.release_id, 200, "confirmed afterwards")
    host.must(lambda: heard_version(world, good.version), 60, "the server hears the new version")


def test_an_old_release_that_somebody_holds_open_is_collected_later(world: World) -> None:
    host = world.host
    first = host.report().last_known_good
    with host.held_open(f"root\\versions\\{first}\\agent.pyz"):
        good = world.good()
        world.release(good)
        host.must(lambda: host.report().confirmed == good.release_id, 200, "confirmed all the same")
        assert (host.root / "versions" / first / "agent.pyz").exists()
    later = world.good()
    world.release(later)
    host.must(lambda: host.report().confirmed == later.release_id, 200, "the next one is confirmed")
    host.must(lambda: not (host.root / "versions" / first).exists(), 60, "collected")


def test_after_a_power_cut_the_guard_waits_and_the_agent_runs_again_under_another_boot(world: World) -> None:
    host, since = world.host, now_ms()
    before = world.endpoint()["boot_id"]
    host.stop()
    host.start()
    host.must(lambda: heard(world, since), 90, "a start")
    time.sleep(1)
    host.power_cut()
    since = now_ms()
    host.start()
    host.must(lambda: host.report().host_guard, 60, "host guard")
    host.must(lambda: heard(world, since), 150, "check-in after the guard's delay")
    assert world.endpoint()["boot_id"] not in ("", before)
    assert world.endpoint()["summary"]["state"] == "active"


def test_asked_to_end_the_agent_says_goodbye(world: World) -> None:
    """By the end of its standard input, as its launcher asks; within the launcher's patience, in mid-poll.

    An agent that ends is expected back, so it does not count as asleep (`fleet.service.SLEEPS`); it has been heard.
    """
    host = world.host
    since = now_ms()
    host.must(lambda: heard(world, since), 90, "it checks in")
    host.stop()
    host.must(lambda: not host.left(), 30, "its end")
    environment: dict[str, Any] = host.machine.environment | {"BRAKELINE_RELEASE": "by-hand"}
    process = subprocess.Popen(
        host.machine.python("-I", f"{FOLDER}\\agent.pyz", "run", "--config", f"{FOLDER}\\etc\\agent.json", "--state",
                            f"{FOLDER}\\home"),
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    said = b""
    while b"checked in" not in said:
        line = os.read(process.stdout.fileno(), 4096)
        assert line, said
        said += line
    time.sleep(2)  # in its long-poll by now
    asked = now_ms()
    process.communicate(timeout=30)  # closes its standard input
    assert process.returncode == 0
    host.must(lambda: heard(world, asked), 20, "goodbye")  # nothing else that it sends comes after the check-in
    assert not world.endpoint()["summary"]["asleep"]
    host.start()
    since = now_ms()
    host.must(lambda: heard(world, since), 90, "it is back")
