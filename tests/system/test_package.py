"""The .deb on a real Debian endpoint, systemd as PID 1: installed, enrolled, upgraded, removed, purged, enrolled again.

What is there is judged by dpkg, systemd, the file system and the server; an update of the package that Brakeline itself
deploys restarts the agent in the middle of the transaction that carries it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.system.box import Box, own_place
from tests.system.product import ENDED, Product, short_policy
from tests.system.world import Server, wait_for
from tools.fleetbox import endpoint
from tools.fleetbox.repository import Built, Repository

# Names with owner and mode, accounts; not what dpkg, apt and systemd keep for themselves.
KEPT = r"^/(root/[^ ]*deb|var/(lib/(dpkg|apt|systemd)|log|cache|tmp)|etc/(\.pwd\.lock|(passwd|shadow|group|gshadow)-))"
LIST = rf"""
find /etc /usr /var /root -xdev -printf '%p %M %u %g\n' | grep -Ev '{KEPT}' | sort
find /var/cache -maxdepth 1 -name 'brakeline*'
sort /etc/passwd /etc/group
systemctl list-unit-files --no-legend | sort
"""
WAIT_S = 90.0
UNITS = ("brakeline-agent.service", "brakeline-helper.socket")


def build(work: Path, version: str, sequence: int, *words: str) -> Path:
    """By the command line, as people do."""
    command = [sys.executable, "-m", "brakeline.cli", "release", "package", version, "--sequence", str(sequence)]
    done = subprocess.run([*command, *words, "--out", str(work), "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout)["files"][0])


@dataclass(slots=True)
class Host:
    """One endpoint and what can be asked of it."""

    box: Box
    server: Server
    name: str = "eu1"

    def sh(self, script: str) -> str:
        return self.box.run(self.name, script)

    def fails(self, script: str) -> str:
        """What a script says that must not succeed."""
        done = self.box.execute(self.name, script)
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def apt(self, verb: str, *files: Path) -> str:
        """Real apt with these packages, which are put into the endpoint first."""
        for file in files:
            with file.open("rb") as data:
                done = endpoint.execute(self.box.place, self.name, ["sh", "-c", f"cat > /root/{file.name}"], stdin=data)
            assert done.returncode == 0, done.stderr
        names = " ".join(f"/root/{file.name}" for file in files) or "brakeline-agent"
        return self.sh(f"apt-get -qy -o DPkg::Lock::Timeout=60 {verb} {names} 2>&1")

    def enabled(self) -> dict[str, str]:
        return {unit: self.box.execute(self.name, f"systemctl is-enabled {unit}").stdout.strip() for unit in UNITS}

    def active(self) -> str:
        return self.box.execute(self.name, "systemctl is-active brakeline-agent.service").stdout.strip()

    def pid(self) -> str:
        return self.sh("systemctl show -P MainPID brakeline-agent.service").strip()

    def connected(self) -> dict[str, object]:
        """What the agent says of itself, once it is connected."""
        ask = "brakeline-agent status --json 2>/dev/null || true"
        told = wait_for("a check-in", lambda: json.loads(self._or_nothing(self.sh(ask))), WAIT_S)
        return dict(told)

    @staticmethod
    def _or_nothing(text: str) -> str:
        return text if '"connection": "connected"' in text else "{}"

    def launcher(self) -> dict[str, object]:
        return dict(json.loads(self.sh("cat /var/lib/brakeline-launcher/report.json")))


@pytest.fixture(scope="module")
def host(server: Server, box: Box) -> Host:
    box.up(1, ("eu",), server.data, enrolled=False)
    return Host(box, server)


@pytest.fixture(scope="module")
def debs(work: Path) -> dict[str, Path]:
    return {version: build(work, version, n) for n, version in enumerate(("1.4.0", "1.5.0"), 4)}


@pytest.mark.long
def test_from_installation_to_purge_and_enrolled_again(host: Host, debs: dict[str, Path]) -> None:
    host.sh("rm -r /etc/brakeline")  # what the fleet in a box lays out for launchers
    product, before = Product(host.server), host.sh(LIST)
    host.apt("install", debs["1.4.0"])
    assert host.enabled() == dict.fromkeys(UNITS, "disabled"), "not enrolled: nothing runs"
    assert host.active() == "inactive"

    host.box.enrol(host.server.data)
    assert host.enabled() == dict.fromkeys(UNITS, "enabled")
    unit = host.sh("readlink -f $(systemctl show -P FragmentPath brakeline-agent.service)").strip()
    assert unit == "/usr/lib/systemd/system/brakeline-agent.service"
    changed = host.sh("dpkg -V brakeline-agent || true").splitlines()
    here = [line for line in changed if "/usr/share/doc" not in line and "/usr/share/man" not in line]  # left out here
    assert here == [], "enrolment changes nothing of the package"
    first = host.connected()["endpoint_id"]
    assert product.endpoints()[host.name]["id"] == first
    assert str(host.launcher()["running"]).startswith("1.4.0-")
    assert host.sh("ps -o user= -p $(pgrep -f '[a]gent.pyz run')").split() == ["brakeline"]

    pid = host.pid()
    host.apt("install", debs["1.5.0"])
    assert host.active() == "active"
    assert host.pid() != pid
    assert host.connected()["endpoint_id"] == first
    running = wait_for("a release to run", lambda: str(host.launcher()["running"]), 60)
    assert running.startswith("1.4.0-"), "releases come ring by ring, not by the package"

    host.sh("systemd-run --quiet --unit=brakeline-tx_01test sleep 600")
    assert "a package transaction is going on (brakeline-tx_01test.service)" in host.fails(
        "apt-get -qy remove brakeline-agent 2>&1"
    )
    assert host.active() == "active"
    host.sh("systemctl stop brakeline-tx_01test.service")
    host.apt("remove")
    assert host.active() == "inactive"
    host.sh("test ! -e /usr/lib/brakeline && test ! -e /usr/bin/brakeline-agent && test -e /etc/brakeline/agent.json")
    assert host.box.execute(host.name, "pgrep -u brakeline").stdout == ""

    host.apt("install", debs["1.5.0"])
    assert host.connected()["endpoint_id"] == first, "removed and installed again it is the same endpoint"
    host.apt("purge")
    assert host.box.execute(host.name, "pgrep -u brakeline").stdout == ""
    assert host.sh(LIST) == before
    assert host.sh("systemctl is-system-running || true").strip() == "running"

    host.apt("install", debs["1.5.0"])
    host.box.enrol(host.server.data)
    again = host.connected()["endpoint_id"]
    assert again != first
    assert product.endpoints()[host.name]["id"] == again


@pytest.mark.long
def test_brakeline_upgrades_its_own_package_and_the_transaction_goes_on(
    host: Host, debs: dict[str, Path], work: Path
) -> None:
    product = Product(host.server)
    repository = Repository(host.box.place, work / "repository")
    try:
        if host.box.state(host.name, "brakeline-agent"):
            host.apt("purge")
        host.box.place.repository.mkdir(parents=True, exist_ok=True)
        shutil.copy(debs["1.4.0"], host.box.place.repository)
        repository.publish(Built("brakeline-demo", "1.0"))
        repository.introduce(host.name, "brakeline-agent=1.4.0", "brakeline-demo=1.0")
        host.box.enrol(host.server.data)
        endpoint_id = str(host.connected()["endpoint_id"])
        shutil.copy(debs["1.5.0"], host.box.place.repository)
        # unpacked and configured after the agent, whose postinst restarts the service in this very transaction
        repository.publish(Built("brakeline-demo", "2.0", "sleep 5"))
        repository.refresh(host.name)
        host.server.cli("endpoint", "scan", endpoint_id)
        wanted = {"brakeline-agent": "1.5.0", "brakeline-demo": "2.0"}
        wait_for(
            "both updates",
            lambda: wanted.items() <= {u["name"]: u["candidate"] for u in product.show(endpoint_id)["pending"]}.items(),
            WAIT_S,
        )
        pid = host.pid()
        product.allow_patching("tag:fleet-in-a-box")
        rollout = product.deploy(work, short_policy(bake_s=4, first_checkpoint_s=60), *wanted)
        seen = product.await_state(rollout, ENDED, 240)
        assert seen["state"] == "completed", seen["why"]
        assert wanted.items() <= host.box.versions(host.name).items()
        assert host.sh("dpkg --audit") == ""
        assert host.pid() != pid
        assert host.connected()["endpoint_id"] == endpoint_id
    finally:
        repository.close()


@pytest.fixture(scope="module")
def other() -> Iterator[Box]:
    """A second fleet, for the endpoint whose Python is taken away."""
    made = Box(own_place("sp"))
    try:
        yield made
    finally:
        left = made.down()
    assert left == ()


@pytest.mark.long
def test_with_a_python_of_its_own_it_needs_none(server: Server, other: Box, work: Path) -> None:
    other.up(1, ("eu",), server.data, enrolled=False)
    host = Host(other, server)
    host.sh("rm -r /etc/brakeline")  # what the fleet in a box lays out for launchers
    before = host.sh(LIST)
    host.apt("install", build(work, "1.4.0", 4, "--python", "private"))
    host.sh("mv /usr/bin/python3.11 /root/python3.11.deb")
    host.fails("python3 -V")
    other.enrol(server.data)
    assert host.connected()["endpoint_id"]
    assert "/usr/lib/brakeline/python/brakeline-python -I" in host.sh("ps -o args= -p $(pgrep -u brakeline -f 'run$')")
    product = Product(server)
    product.await_inventories((host.name,))
    host.apt("purge")
    host.sh("mv /root/python3.11.deb /usr/bin/python3.11")
    assert host.sh(LIST) == before
