"""Whether the endpoint or services need a restart: what `needs-restarting -r` and `-s` ask, without that plugin.

A package of the core that was installed after the endpoint was started, and processes that map code that is gone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.apt.services import Services
from brakeline.agent.providers.dnf.answers import Installed
from brakeline.protocol.messages import RebootNeed

# As the plugin needs-restarting has them (4.3).
CORE: Final = frozenset(
    ("kernel", "kernel-rt", "kernel-core", "glibc", "linux-firmware", "systemd", "dbus", "dbus-broker", "dbus-daemon",
     "microcode_ctl", "zlib")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Restarts:
    """Of one endpoint."""

    runner: Runner
    services: Services

    def need(self, installed: Iterable[Installed], *, whole: bool) -> RebootNeed:
        """`whole`: this is the root that runs here, not one that lies beside it."""
        if not whole:
            return RebootNeed(False)
        old = self.services.old_code() if os.geteuid() == 0 else None
        newer = newer_than(self._booted_s(), installed)
        reasons = (*(f"{n} was updated after this endpoint was started" for n in newer), *(old.reasons if old else ()))
        return RebootNeed(bool(reasons), reasons, old.services if old else ())

    def _booted_s(self) -> int:
        found = re.search(r"^btime (\d+)$", self.runner.path("/proc/stat").read_text(), re.MULTILINE)
        return int(found[1]) if found else 0


def newer_than(booted_s: int, installed: Iterable[Installed]) -> tuple[str, ...]:
    """Packages of the core that are younger than the boot; without a time of boot none is."""
    return tuple(sorted({p.name for p in installed if booted_s and p.name in CORE and p.installed_s > booted_s}))
