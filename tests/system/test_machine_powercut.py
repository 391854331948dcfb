"""A whole machine loses its power in the middle of the launcher's update, again and again, and boots again.

Under qemu with a real kernel, file system and systemd; the cell is real HTTPS on this machine. In the end the new
release is confirmed and runs, nobody helped. Then a greedy release meets the limits of the unit (cgroup v2): it dies,
the launcher does not, and the last good one runs.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import require
from tests.support_launcher import KNOBS, RAN, READY, SAY, Endpoint, endpoint, release_bytes, user
from tests.system import guest
from tests.system.guest import HOST_SEEN_FROM_INSIDE, Guest

from brakeline.launcher.disk import RealDisk
from brakeline.launcher.model import TRIES
from brakeline.launcher.records import Records

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
BOOT_S, STEP_S = 240.0, 240.0  # of an emulated processor on a busy machine
SLOW = KNOBS | {
    "check_s": 60, "check_every_s": 5, "ready_s": 120, "probation_s": 4, "healthy_s": 300, "restart_s": [1],
    "lonely_check_s": 3, "stop_s": 5, "guard_wait_s": 20, "guard_delays_s": [5, 5, 5], "survive_s": 12,
}  # fmt: skip
LIMITS = ("MemoryMax", "MemorySwapMax", "TasksMax", "OOMPolicy")
UNIT = """[Unit]
Description=Brakeline launcher and agent
After=network.target systemd-networkd.service
[Service]
Type=exec
ExecStart=/usr/bin/python3 -I /usr/lib/brakeline/launcher.pyz run
Restart=always
RestartSec=1
StandardOutput=journal+console
StandardError=journal+console
{limits}
[Install]
WantedBy=multi-user.target
"""
GREEDY = (
    SAY
    + RAN
    + READY
    + """
import subprocess
sleepers = []
try:
    while len(sleepers) < 400:
        sleepers.append(subprocess.Popen(["/usr/bin/sleep", "600"]))
except OSError as e:
    print(f"GREEDY: {len(sleepers)} processes and then: {e.strerror}", file=sys.stderr, flush=True)
for sleeper in sleepers:
    sleeper.kill()
    sleeper.wait()
taken = bytearray()
while len(taken) < 2_000_000_000:
    taken.extend(bytes(20_000_000))
    print(f"GREEDY: {len(taken) >> 20} MiB", file=sys.stderr, flush=True)
"""
)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Guest, Endpoint]]:
    lacks = guest.lacks()
    require(not lacks, f"{lacks}: a whole machine whose power is cut")
    folder = tmp_path_factory.mktemp("machine")
    (folder / "endpoint").mkdir()
    made = Guest(folder, guest.base_image())
    try:
        with (
            user(f"bl-guest-{os.getpid() % 100_000}") as name,
            endpoint(folder / "endpoint", folder / "tls", name) as host,
        ):
            yield made, host
    finally:
        made.power_cut()


def furnish(made: Guest, host: Endpoint) -> str:
    """Put launcher, configuration, first release and unit onto the disk; the first release's id."""
    host.knobs = dict(SLOW)
    host.budget = {"processes": 1000, "memory_bytes": 8 << 30, "resident_bytes": 8 << 30, "log_bytes_per_s": 1 << 20}
    baseline = host.prepare(release_bytes("1.0.0"))
    for name, key, value in (
        ("agent.json", "server_url", host.cell.url.replace("127.0.0.1", HOST_SEEN_FROM_INSIDE)),
        ("launcher.json", "user", "brakeline"),
    ):
        plain = json.loads((host.etc / name).read_text())
        (host.etc / name).write_text(json.dumps(plain | {key: value}))
    shipped = (ROOT / "packaging/agent/brakeline-agent.service").read_text().splitlines()
    limits = [line for line in shipped if line.partition("=")[0] in LIMITS]
    assert {"MemoryMax", "TasksMax"} <= {line.partition("=")[0] for line in limits}
    with made.opened() as root:
        (root / "usr/lib/brakeline").mkdir()
        shutil.copy(host.program, root / "usr/lib/brakeline/launcher.pyz")
        shutil.copytree(host.root, root / "var/lib/brakeline-launcher")
        shutil.copytree(host.etc, root / "etc/brakeline")
        units = root / "etc/systemd/system"
        (units / "brakeline-agent.service").write_text(UNIT.format(limits="\n".join(limits)))
        (units / "multi-user.target.wants").mkdir(exist_ok=True)
        (units / "multi-user.target.wants/brakeline-agent.service").symlink_to("../brakeline-agent.service")
    return baseline


def test_power_is_cut_in_the_middle_of_an_update(machine: tuple[Guest, Endpoint]) -> None:
    made, host = machine
    baseline = furnish(made, host)
    update = host.cell.repository.publish("2.0.0", release_bytes("2.0.0", sequence=2), 2)
    host.cell.repository.offer(update)
    asked = host.cell.asked
    moments = {
        "it asks what is offered": lambda: any("/bundle" in path for path in asked),
        "it has asked for the bytes": lambda: any("/bundle" not in path for path in asked),
        "the new release is executed": lambda: f"{update} is being executed" in made.console(),
        "the new release is confirmed": lambda: f"{update} confirmed" in made.console(),
    }
    for what, true in moments.items():
        asked.clear()
        made.boot()
        took = made.until(true, what, BOOT_S + STEP_S)
        made.power_cut()
        print(f"boot {made.boots}: power cut {took:.1f} s after it, when {what}")
    made.boot()
    took = made.until(lambda: f"{update} is being executed" in made.console(), "the new release runs", BOOT_S + STEP_S)
    made.until(lambda: len(asked) > 1, "it looks again", STEP_S)
    print(f"boot {made.boots}: {update} runs {took:.1f} s after it")
    made.power_cut()
    with made.opened() as root:
        record, problem = Records(RealDisk(root / "var/lib/brakeline-launcher")).load()
    assert not problem
    assert (record.current, record.last_known_good, record.trial) == (update, baseline, "")
    assert record.quarantined == ()


def test_a_greedy_release_meets_the_limits_of_the_unit(machine: tuple[Guest, Endpoint]) -> None:
    made, host = machine
    greedy = host.cell.repository.publish("3.0.0", release_bytes("3.0.0", GREEDY, 3), 3)
    host.cell.repository.offer(greedy)
    made.boot()
    made.until(lambda: f"{greedy} has ended" in made.console(), "the greedy release ends", BOOT_S + STEP_S)
    reached = [line for line in made.console().splitlines() if "GREEDY" in line]
    print("\n".join(reached[:1] + reached[-1:]))
    assert any("processes and then: Resource temporarily unavailable" in line for line in reached)
    most_mib = max(int(line.split("GREEDY: ")[1].split()[0]) for line in reached if "MiB" in line)
    assert most_mib < 512, "MemoryMax"
    again = "2.0.0-"
    made.until(
        lambda: made.console().count(f"{greedy} is being executed") == TRIES
        and again in made.console().rpartition(f"{greedy} has ended")[2],
        "the last good one runs again", 2 * STEP_S,
    )  # fmt: skip
    made.power_cut()
    with made.opened() as root:
        record, _ = Records(RealDisk(root / "var/lib/brakeline-launcher")).load()
    assert greedy in record.quarantined
