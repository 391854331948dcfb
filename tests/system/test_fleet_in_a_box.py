"""The harness itself: real boots, real pending updates, cuts that cut, and nothing left behind however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support import require
from tests.system.box import Box, own_place
from tools.fleetbox import cgroups, fleet, network, sweep
from tools.fleetbox.settings import REPOSITORY, RUN_ROOT, Place

PROXY_REACHABLE = "timeout 5 curl -sS -m 2 -o /dev/null http://{gateway}:3142/"


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    lacks = fleet.missing()
    require(not lacks, "; ".join(lacks))
    made = Box(own_place("fb"))
    try:
        made.up(2, ("eu", "us"), None)
        yield made
    finally:
        left = made.down()
    assert left == ()


def test_security_updates_are_genuine_and_pending(box: Box) -> None:
    pending = box.pending_security("eu1")
    assert {"jq", "unzip", "libssh2-1", "openssl"} <= set(pending)
    before = box.version("eu1", "jq")
    box.run("eu1", "apt-get -q -eany update && apt-get -qy install --only-upgrade jq")
    assert box.version("eu1", "jq") == pending["jq"] != before
    # a clone is its own machine
    assert box.version("us1", "jq") == before


def test_there_is_no_way_out(box: Box) -> None:
    addresses = [line.split()[3].split("/")[0] for line in _host_addresses()]
    assert addresses
    for address in addresses:
        assert box.execute("eu1", f"timeout 3 bash -c 'echo > /dev/tcp/{address}/22'").returncode != 0
    refused = box.run("eu1", "curl -s -o /dev/null -w '%{http_code}' -x http://10.91.1.1:3142 http://elsewhere.test/")
    assert refused == "403"


def test_a_power_cut_kills_everything_and_keeps_the_disk(box: Box) -> None:
    boot = box.boot_id("us1")
    box.run("us1", "echo kept > /root/kept; sync; systemd-run --unit survivor sleep 600")
    box.power_cut("us1")
    assert not cgroups.members(box.place.namespace("us1"))
    assert {line.name: line.condition for line in fleet.listing(box.place)}["us1"] == "off"
    box.start("us1")
    assert box.boot_id("us1") != boot
    assert box.run("us1", "cat /root/kept") == "kept\n"
    assert box.execute("us1", "systemctl is-active survivor").stdout.strip() == "inactive"


def test_a_partition_cuts_and_heals(box: Box) -> None:
    reach = PROXY_REACHABLE.format(gateway="10.91.2.1")
    assert box.execute("us1", reach).returncode == 0
    fleet.partition(box.place, "us1")
    fleet.partition(box.place, "us1")  # twice is once
    assert box.execute("us1", reach).returncode != 0
    assert [line.name for line in fleet.listing(box.place) if line.partitioned] == ["us1"]
    fleet.heal(box.place, "us1")
    fleet.heal(box.place, "us1")
    assert box.execute("us1", reach).returncode == 0


def test_a_guest_can_reboot_itself(box: Box) -> None:
    boot = box.boot_id("us1")
    box.execute("us1", "systemctl reboot")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        now = box.execute("us1", "cat /proc/sys/kernel/random/boot_id") if _running(box, "us1") else None
        if now and now.returncode == 0 and now.stdout.strip() not in ("", boot):
            return
        time.sleep(0.1)
    pytest.fail("us1 did not come back with another boot_id")


def test_a_full_disk_is_a_real_one(box: Box) -> None:
    full = box.execute("us1", "dd if=/dev/zero of=/filler bs=1M count=4096 2>&1; rm -f /filler")
    assert "No space left on device" in full.stdout


def test_a_clone_has_the_same_disk_and_another_address(box: Box) -> None:
    box.run("eu1", "echo key > /root/key")
    fleet.clone(box.place, "eu1", "twin", print)
    assert box.run("twin", "cat /root/key /etc/machine-id") == box.run("eu1", "cat /root/key /etc/machine-id")
    assert box.run("twin", "ip -br -4 addr show eth0") != box.run("eu1", "ip -br -4 addr show eth0")


@pytest.mark.parametrize("moment", ["building", "networks", "booting"])
def test_killed_in_the_middle_of_up_nothing_stays(moment: str, tmp_path: Path) -> None:
    """kill -9 of the tool; then `down`, which has no state file to rely on, finds and removes all of it."""
    lacks = fleet.missing()
    require(not lacks, "; ".join(lacks))
    place = own_place(f"k{moment[0]}")
    environment = dict(os.environ)
    if moment == "building":  # a cache without layers, so that the root file system is being built
        environment["BRAKELINE_CACHE"] = str(tmp_path)
        (tmp_path / "http").symlink_to(place.cache / "http")
    tool = subprocess.Popen(
        [*_tool(place), "up", "--no-enrol", "--endpoints", "6"],
        cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        _wait_for(moment, place, tool)
        tool.send_signal(signal.SIGKILL)
        tool.wait()
        assert sweep.leftovers(place), "the kill came when there was nothing to remove"
        place.state_file.unlink(missing_ok=True)
    except BaseException:
        tool.kill()
        tool.wait()
        Box(place).down()
        raise
    done = subprocess.run([*_tool(place), "down"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.stdout == "down; left: nothing\n", done.stdout + done.stderr
    assert sweep.leftovers(place) == ()
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    assert not list((tmp_path / "layers").glob("root-*")) if moment == "building" else True


@pytest.mark.long
def test_a_warm_cache_works_without_any_network(box: Box) -> None:
    wanted = box.pending_security("eu1")["unzip"]
    box.run("eu1", "apt-get -q -eany update && apt-get -qyd install --only-upgrade unzip")  # now it is cached
    offline = Box(own_place("off"))
    without_network = ["unshare", "--net", "sh", "-ec", 'ip link set lo up; exec "$@"', "sh", *_tool(offline.place)]
    up = [*without_network, "up", "--no-enrol", "--endpoints", "1", "--regions", "eu"]
    try:
        done = subprocess.run(up, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "cannot be reached: going on with what is cached" in done.stdout
        offline.run("eu1", "apt-get -q -eany update && apt-get -qy install --only-upgrade unzip")
        assert offline.version("eu1", "unzip") == wanted
    finally:
        assert offline.down() == ()


def test_the_command_line(box: Box) -> None:
    listed = subprocess.run(
        [*_tool(box.place), "ls", "--json"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert {"eu1", "us1"} <= {line["name"] for line in json.loads(listed.stdout)}
    code = subprocess.run([*_tool(box.place), "run", "eu1", "exit 7"], cwd=REPOSITORY, check=False).returncode
    assert code == 7
    wrong = subprocess.run(
        [*_tool(box.place), "start", "no"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 1
    assert "There are: eu1" in wrong.stderr
    again = _call(box, "up", "--no-enrol")
    assert again.returncode == 1
    assert "is up already" in again.stderr


def _tool(place: Place) -> list[str]:
    return [sys.executable, "-m", "tools.fleetbox", "--fleet", place.name]


def _call(box: Box, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_tool(box.place), *words], cwd=REPOSITORY, capture_output=True, text=True, check=False)


def _host_addresses() -> list[str]:
    shown = subprocess.run(["ip", "-4", "-o", "addr", "show"], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if " lo " not in line]


def _running(box: Box, name: str) -> bool:
    return any(line.name == name and line.pid for line in fleet.listing(box.place))


def _wait_for(moment: str, place: Place, tool: subprocess.Popen[bytes]) -> None:
    """Until `up` is in the middle of `moment`."""
    reached: dict[str, Callable[[], bool]] = {
        "building": lambda: len(cgroups.members(place.namespace("build"))) > 3,
        "networks": lambda: len(network.namespaces(place.prefix)) >= 3,
        "booting": lambda: (
            len(cgroups.members(place.prefix)) >= 8 and (RUN_ROOT / place.name / "eu2/launcher.pid").exists()
        ),
    }
    deadline = time.monotonic() + 60
    while not reached[moment]():
        assert tool.poll() is None, f"`up` ended with {tool.returncode} before it was {moment}"
        assert time.monotonic() < deadline
        time.sleep(0.01)
