"""Why a restart of the endpoint is due: Arch deletes the modules of the running kernel when it upgrades the kernel.

From then on nothing can be loaded that is not loaded already (a USB stick, a VPN, a file system). Next to it: packages
that the endpoint's content names, changed since the start, and old code that no restart of a service ends.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from brakeline.agent.providers.apt.kernel import reboot_reasons
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.apt.services import Services
from brakeline.agent.providers.apt.stale import reasons
from brakeline.agent.providers.pacman.records import Installed
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.messages import RebootNeed

MODULES = ("/usr/lib/modules", "/lib/modules")


def kernel_reason(release: str, present: Iterable[str]) -> str:
    """ "" or why: `release` is `uname -r`, `present` the releases whose modules are on disk."""
    present = tuple(present)
    if not release or not present or release in present:
        return ""
    return f"the modules of the running kernel {release} are gone; on disk: {', '.join(sorted(present)[:3])}"


@dataclass(frozen=True, slots=True)
class Reboots:
    """One endpoint's reasons."""

    runner: Runner
    rules: Rules = BUILT_IN

    def need(self, installed: Iterable[Installed]) -> RebootNeed:
        old = Services(self.runner, self.rules).stale() if os.geteuid() == 0 else ()
        units = tuple(sorted({s.unit for s in old if s.unit}))
        found = [*self._kernel(), *self._changed(installed), *reasons(old, {}, self.rules)]
        return RebootNeed(bool(found), tuple(dict.fromkeys(found)), units)

    def _kernel(self) -> tuple[str, ...]:
        if self._contained():
            return ()  # the kernel is not this endpoint's own
        present = {name for base in MODULES for name in self._names(base)}
        reason = kernel_reason(self._read("/proc/sys/kernel/osrelease").strip(), present)
        return (reason,) if reason else ()

    def _changed(self, installed: Iterable[Installed]) -> tuple[str, ...]:
        """Of the packages that content names: those installed since the endpoint was started."""
        booted = re.search(r"^btime (\d+)$", self._read("/proc/stat"), re.MULTILINE)
        if booted is None or self._contained():
            return ()
        named = [p for p in installed if p.sound and self.rules.wants_reboot(p.name)]
        return reboot_reasons((p.name for p in named if _installed_s(p) > int(booted[1])), self.rules)

    def _contained(self) -> bool:
        return any(os.path.lexists(self.runner.path(p)) for p in ("/run/systemd/container", "/.dockerenv"))

    def _names(self, base: str) -> list[str]:
        try:
            return [e.name for e in os.scandir(self.runner.path(base)) if e.is_dir()]
        except OSError:
            return []

    def _read(self, path: str) -> str:
        try:
            return self.runner.path(path).read_text(errors="replace")
        except OSError:
            return ""


def _installed_s(p: Installed) -> int:
    """When pacman put it there, by its own record (seconds); 0 = it does not say."""
    date = (*p.sections.get("INSTALLDATE", ()), "0")[0]
    return int(date) if date.isdigit() else 0
