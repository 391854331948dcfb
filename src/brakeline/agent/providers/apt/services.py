"""Reads which services run old code or have failed, and restarts those where that is enough.

Only root sees other users' mappings, so root's finding is left in a small world-readable file, valid for this boot,
for the unprivileged agent. Without systemd there are no services to name. Next: `stale` and `kernel` (pure).
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.kernel import kernel_reason, reboot_reasons
from brakeline.agent.providers.apt.lists import write_public
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.apt.stale import Stale, deleted_code, needrestart_services, reasons, restartable, unit_of
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.messages import RebootNeed

RECORD = "/var/cache/brakeline/stale-services.json"
RESTART_S_MAX = 90.0
SETTLE_S = 5.0  # "started" is said before a simple service has run a line of its own: a second look, this much later
NAMED_PACKAGES_MAX = 8
MAPS_MAX = 2**21  # of one process: twice what the most generous distribution lets it have (vm.max_map_count)
OWNERS_MAX = 100  # each is a run of dpkg-query, and what maps a path chooses it


@dataclass(frozen=True, slots=True)
class OldCode:
    """What runs old code: services, and why only a restart of the endpoint would end it."""

    services: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Services:
    """Processes and services of one endpoint."""

    runner: Runner
    rules: Rules = BUILT_IN
    pause: Callable[[float], None] = time.sleep

    def reboot_need(self, installed: Iterable[Installed]) -> RebootNeed:
        """Kernel, the reboot-required file, packages that content names, and old code that no service restart ends."""
        old = self.old_code() if os.geteuid() == 0 else self._recorded()
        installed = tuple(installed)
        named = self._changed_packages(installed)
        found = [r for r in (self._kernel(installed), *self._required_file(), *named, *old.reasons) if r]
        return RebootNeed(bool(found), tuple(dict.fromkeys(found)), old.services)

    def _kernel(self, installed: Iterable[Installed]) -> str:
        if self._contained():
            return ""  # the kernel is not this endpoint's own
        return kernel_reason(self._read("/proc/sys/kernel/osrelease").strip(), self._read("/proc/version"), installed)

    def _contained(self) -> bool:
        return self._exists("/run/systemd/container") or self._exists("/.dockerenv")

    def _changed_packages(self, installed: Iterable[Installed]) -> tuple[str, ...]:
        """Of the packages that content names: those whose files dpkg has written since the endpoint was started."""
        booted = re.search(r"^btime (\d+)$", self._read("/proc/stat"), re.MULTILINE)
        if self._contained() or booted is None:
            return ()  # in a container that is when somebody else was started
        named = [p for p in installed if p.present and self.rules.wants_reboot(p.name)]
        return reboot_reasons((p.name for p in named if self._written_s(p) > int(booted[1])), self.rules)

    def _written_s(self, package: Installed) -> float:
        for name in (package.name, package.key):
            try:
                return self.runner.path(f"/var/lib/dpkg/info/{name}.list").stat().st_mtime
            except OSError:
                continue
        return 0.0

    def _required_file(self) -> tuple[str, ...]:
        if not self._exists("/run/reboot-required"):
            return ()
        packages = list(dict.fromkeys(self._read("/run/reboot-required.pkgs").split()))
        names = ", ".join(packages[:NAMED_PACKAGES_MAX])
        return (f"requested by {names}" if names else "requested by a package (/run/reboot-required)",)

    def old_code(self) -> OldCode:
        """Asked of the kernel now (root), and of needrestart if it is installed."""
        stale = self.stale()
        units = [s.unit for s in stale if s.unit]
        if self._exists("/usr/sbin/needrestart"):
            ran = self.runner.query("env", "-u", "NEEDRESTART_SUSPEND", "needrestart", "-b", "-r", "l")
            units += needrestart_services(ran.text)
        owners = self._owners(s.path for s in stale)
        return OldCode(tuple(sorted(dict.fromkeys(units))), reasons(stale, owners, self.rules))

    def stale(self) -> tuple[Stale, ...]:
        """Every process of this root file system's services, and PID 1, that maps deleted code. What people run is not
        looked at: nothing follows from it."""
        found = []
        here = os.stat(self.runner.path("/"))
        for entry in sorted(os.listdir(self.runner.path("/proc")), key=lambda n: (len(n), n)):
            if not entry.isdigit():
                continue
            unit = unit_of(self._read(f"/proc/{entry}/cgroup"))
            if not unit and entry != "1":
                continue
            try:
                root = os.stat(self.runner.path(f"/proc/{entry}/root"))
                same = (root.st_dev, root.st_ino) == (here.st_dev, here.st_ino)
                path = self._deleted_code(entry) if same else ""
            except OSError:
                continue  # ended, or not ours to read
            if path:
                found.append(Stale(int(entry), self._read(f"/proc/{entry}/comm").strip(), unit, path))
        return tuple(found)

    def _deleted_code(self, pid: str) -> str:
        """A line at a time: a process may have millions of them. The kernel makes none longer than a page or so."""
        with open(self.runner.path(f"/proc/{pid}/maps"), errors="replace") as maps:
            return deleted_code(islice(maps, MAPS_MAX))

    def _owners(self, paths: Iterable[str]) -> dict[str, str]:
        """Path -> package, by dpkg's file lists; both spellings of merged directories are tried. Of so many at most: a
        path without its package is told by its own name."""
        owners: dict[str, str] = {}
        for path in tuple(dict.fromkeys(paths))[:OWNERS_MAX]:
            for spelling in (path, path.removeprefix("/usr")):
                line = self.runner.query("dpkg-query", "--search", spelling).text.splitlines()[:1]
                if line and line[0].endswith(f": {spelling}"):
                    owners[path] = line[0].partition(":")[0]
                    break
        return owners

    def remember(self) -> None:
        """Leave what root can see for those who cannot."""
        old = self.old_code()
        values = {"boot_id": self._boot_id(), "services": old.services, "reasons": old.reasons}
        write_public(self.runner, RECORD, json.dumps(values))

    def _recorded(self) -> OldCode:
        try:
            values = json.loads(self._read(RECORD))
            if values["boot_id"] != self._boot_id():
                return OldCode()
            return OldCode(tuple(map(str, values["services"])), tuple(map(str, values["reasons"])))
        except (ValueError, KeyError, TypeError):
            return OldCode()

    # --- doing ---

    @property
    def has_systemd(self) -> bool:
        return self._exists("/run/systemd/system")

    def failed(self) -> tuple[str, ...]:
        """Services that systemd counts as failed now."""
        if not self.has_systemd:
            return ()
        text = self.runner.query("systemctl", "list-units", "--failed", "--type=service", "--plain", "--no-legend").text
        return tuple(line.split()[0] for line in text.splitlines() if line.split()[:1] and ".service" in line)

    def restart(self, units: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Restart services that run and may be restarted: (running `SETTLE_S` later, ended or begun anew by then)."""
        asked = [u for u in units if self.has_systemd and restartable(u, self.rules) and self._active(u)]
        for unit in asked:
            self.runner.query("systemctl", "restart", unit, timeout_s=RESTART_S_MAX)
        running = {unit for unit in asked if self._active(unit)}
        if running:
            self.pause(SETTLE_S)
        stayed = [u for u in asked if u in running and self._active(u) and not self._begun_anew(u)]
        return tuple(stayed), tuple(u for u in asked if u not in stayed)

    def _active(self, unit: str) -> bool:
        return self._shown(unit, "ActiveState") in ("active", "reloading")

    def _begun_anew(self, unit: str) -> bool:
        """systemd itself has started it again since our restart, which set its count to nought."""
        return self._shown(unit, "NRestarts") not in ("", "0")

    def _shown(self, unit: str, name: str) -> str:
        return self.runner.query("systemctl", "show", f"--property={name}", "--value", unit).text.strip()

    def _boot_id(self) -> str:
        return self._read("/proc/sys/kernel/random/boot_id").strip()

    def _exists(self, path: str) -> bool:
        return os.path.lexists(self.runner.path(path))

    def _read(self, path: str) -> str:
        """A small text file; "" if it is not there or may not be read."""
        try:
            return self.runner.path(path).read_text(errors="replace")
        except OSError:
            return ""
