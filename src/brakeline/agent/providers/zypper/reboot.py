"""Is a restart of the endpoint due, and why: libzypp's own mark, what asks for one when it is installed, the kernel.

`zypper needs-rebooting` answers from the same mark, so the mark is read. As rpm applies our transactions and not
libzypp, nobody writes it for those: packages with the hint (`installhint(reboot-needed)`) that are newer than the last
start are found in rpm's records instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from brakeline.agent.providers.zypper.rpmdb import Installed, is_older
from brakeline.agent.providers.zypper.tools import Tools
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.messages import RebootNeed

MARKS: Final = ("/run/reboot-needed", "/var/run/reboot-needed")
KERNEL: Final = re.compile(r"^(?P<version>\d[\w.]*-[\w.]+?)-(?P<flavour>[a-z]\w*)$")


@dataclass(frozen=True, slots=True)
class Reboot:
    """Why one endpoint is to be restarted."""

    tools: Tools
    rules: Rules = BUILT_IN

    def need(self, installed: Iterable[Installed]) -> RebootNeed:
        installed = tuple(installed)
        found = [*self._mark(), *self._hinted(installed), kernel_reason(self._running(), installed)]
        reasons = tuple(dict.fromkeys(x for x in found if x))
        return RebootNeed(bool(reasons), reasons, self._services())

    def _mark(self) -> tuple[str, ...]:
        there = any(self.tools.at.path(m).exists() for m in MARKS)
        return ("requested by an update (/run/reboot-needed)",) if there else ()

    def _hinted(self, installed: tuple[Installed, ...]) -> tuple[str, ...]:
        text = self.tools.ask_rpm(
            "-q", "--whatprovides", "installhint(reboot-needed)", "--queryformat", "@\\t%{NAME}\\n"
        ).text
        named = {line[2:] for line in text.splitlines() if line.startswith("@\t")}
        started = booted_s(self._read("/proc/stat"))
        return tuple(
            f"{p.name} changed since the last start"
            for p in installed
            if (p.name in named or self.rules.wants_reboot(p.name)) and started and p.installed_s > started
        )

    def _running(self) -> str:
        contained = any(self.tools.at.path(p).exists() for p in ("/run/systemd/container", "/.dockerenv"))
        return "" if contained or self.tools.at.root != "/" else os.uname().release

    def _services(self) -> tuple[str, ...]:
        """Services that run old code, as `zypper ps` finds them; root alone can see all."""
        if self.tools.at.root != "/" or os.geteuid() != 0:
            return ()
        text = self.tools.at.query("zypper", "--non-interactive", "ps", "-sss").text
        return tuple(f"{line}.service" for line in text.split("\n") if re.fullmatch(r"[\w@.:-]+", line))

    def _read(self, path: str) -> str:
        try:
            with open(path, encoding="utf-8", errors="replace") as f:  # the kernel's, whatever the root
                return f.read()
        except OSError:
            return ""


def booted_s(stat: str) -> int:
    """Unix time of the last start, from /proc/stat; 0 = unknown."""
    found = re.search(r"^btime (\d+)$", stat, re.MULTILINE)
    return int(found[1]) if found else 0


def kernel_reason(release: str, installed: Iterable[Installed]) -> str:
    """ "" or why a restart is due: a newer kernel of the running flavour is installed. The package has one number
    more than `uname -r` (5.14.21-55.49-default is 5.14.21-55.49.1)."""
    running = KERNEL.match(release)
    if running is None:
        return ""
    name = f"kernel-{running['flavour']}"
    mine = [p.version for p in installed if p.name == name]
    same = [v for v in mine if v == running["version"] or v.startswith(running["version"] + ".")]
    newer = [v for v in mine if v not in same and is_older(running["version"], v)]
    return f"{name} {newer[-1]} installed, {release} running" if newer else ""
