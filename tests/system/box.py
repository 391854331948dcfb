"""The fleet as the system tests see it: endpoints by name, and what dpkg itself says on them."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.fleetbox import endpoint, enrol, fleet
from tools.fleetbox.settings import DISK_MIB, Place

TESTIMONY = """
    journalctl --no-pager -o short-precise -u 'brakeline*' -n 120 2>&1
    for f in /var/lib/brakeline-launcher/report.json /var/lib/brakeline/status.json; do
        echo; echo "$f"; cat $f
    done
    ps -eo user:12,pid,etimes,args | grep -i [b]rakeline
"""
TESTIMONY_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Box:
    """One fleet. Commands run as root inside an endpoint; the caller judges by what dpkg and the kernel say."""

    place: Place

    def up(
        self, endpoints: int, regions: tuple[str, ...], data: Path | None, *, enrolled: bool = True, managers: str = ""
    ) -> None:
        """Boot (and with `data`: enrol) endpoints; what `up` says goes to the test's output."""
        wish = fleet.Wish(endpoints, regions, data, "systemd", DISK_MIB, enrolled, managers)
        fleet.up(self.place, wish, print)

    def enrol(self, data: Path) -> None:
        """Enrol all endpoints at the server on `data`, by the one-liner."""
        fleet.enrol_all(self.place, enrol.read_server(data), print)

    def down(self) -> tuple[str, ...]:
        """Remove everything; what is left (must be nothing)."""
        return fleet.down(self.place)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(line.name for line in fleet.listing(self.place))

    def execute(self, name: str, command: str) -> subprocess.CompletedProcess[str]:
        """Run a shell line inside, whatever its exit code."""
        return endpoint.execute(self.place, name, ["bash", "-c", command])

    def run(self, name: str, command: str) -> str:
        """Standard output of a shell line inside; it must succeed."""
        done = self.execute(name, command)
        assert done.returncode == 0, f"{name}: {command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def testimony(self, name: str) -> str:
        """What an endpoint says of launcher and agent, for whoever reads a failed run."""
        return self.execute(name, TESTIMONY).stdout[-TESTIMONY_MAX:] or "it does not answer"

    def versions(self, name: str) -> dict[str, str]:
        """Installed packages, read from dpkg: name -> version (only those in state "ii" or "hi")."""
        lines = self.run(name, r"dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Version}\n'").splitlines()
        rows = (line.split("\t") for line in lines)
        return {package: version for state, package, version in rows if state.strip() in ("ii", "hi")}

    def states(self, name: str) -> dict[str, tuple[str, str]]:
        """Every package of which dpkg has a version: name -> (dpkg's letters, version)."""
        lines = self.run(name, r"dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Version}\n'").splitlines()
        rows = (line.split("\t") for line in lines)
        return {package: (state.strip(), version) for state, package, version in rows if version}

    def sources(self, name: str) -> dict[str, set[str]]:
        """Source packages of what is installed, read from dpkg: name -> versions."""
        shown = self.run(name, r"dpkg-query -W -f '${db:Status-Abbrev}\t${source:Package}\t${source:Version}\n'")
        found: dict[str, set[str]] = {}
        for line in shown.splitlines():
            state, source, version = line.split("\t")
            if state.strip() in ("ii", "hi"):
                found.setdefault(source, set()).add(version)
        return found

    def states_on_disk(self, name: str) -> dict[str, tuple[str, str]]:
        """What dpkg has written down on an endpoint that is off: name -> (status, version)."""
        text = (self.place.endpoint(name) / "disk/upper/var/lib/dpkg/status").read_text()
        found = {}
        for stanza in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in stanza.splitlines() if re.match(r"[A-Z][A-Za-z-]*: ", line))
            found[fields.get("Package", "")] = (fields.get("Status", ""), fields.get("Version", ""))
        return found

    def version(self, name: str, package: str) -> str:
        """Version of one package in any state, "" if dpkg has none."""
        return self.execute(name, f"dpkg-query -W -f '${{Version}}' {package}").stdout

    def state(self, name: str, package: str) -> str:
        """dpkg's state letters: "ii", "iF", ..."""
        return self.execute(name, f"dpkg-query -W -f '${{db:Status-Abbrev}}' {package}").stdout.strip()

    def dpkg_log(self, name: str, package: str, version: str) -> list[str]:
        """Lines of dpkg's own log in which `package` became installed in `version`."""
        log = self.run(name, "cat /var/log/dpkg.log")
        return [
            line for line in log.splitlines() if f"status installed {package}:" in line and line.endswith(f" {version}")
        ]

    def pending_security(self, name: str) -> dict[str, str]:
        """What apt itself would take from the security suite now: name -> version."""
        lines = self.run(name, "apt-get -s -o Debug::NoLocking=1 dist-upgrade").splitlines()
        rows = [line.split() for line in lines if line.startswith("Inst ") and "Debian-Security" in line]
        return {row[1]: next(word for word in row if word.startswith("("))[1:] for row in rows}

    def managers(self) -> dict[str, str]:
        """Endpoint -> the package manager of its system."""
        return {line.name: line.manager for line in fleet.listing(self.place)}

    def boot_id(self, name: str) -> str:
        return self.run(name, "cat /proc/sys/kernel/random/boot_id").strip()

    def power_cut(self, name: str) -> None:
        fleet.power_cut(self.place, name)

    def start(self, name: str) -> None:
        fleet.start(self.place, name)


def own_place(purpose: str) -> Place:
    """A fleet of this test process alone, on the shared cache of layers."""
    cache = Path(os.environ.get("BRAKELINE_CACHE") or "/var/cache/brakeline")
    return Place(f"{purpose}{os.getpid() % 100_000}", cache)
