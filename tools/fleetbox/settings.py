"""Where a fleet keeps its things and what it is called: pure values, no I/O except reading the environment.

Every trace that a fleet leaves on the machine (namespace, cgroup, mount) begins with `Place.prefix`: that is what
`sweep.py` looks for, so a fleet can be removed without its state file. Several fleets can run side by side.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE_DEFAULT = "/var/cache/brakeline"
RUN_ROOT = Path("/run/brakeline-fleet")
NETNS_ROOT = Path("/run/netns")
PROXY_PORT = 3142  # the customary port of apt proxies
LOCAL_REPOSITORY_HOST = "repository.fleet.internal"  # served by the proxy from Place.repository
ENDPOINTS_MAX = 200  # host part of a region's /24, less gateway and reserve
DISK_MIB = 768  # upper layer: lists and caches of apt take 150 MiB, a full upgrade 300 MiB more
MEMORY_MIB = 1280  # the tmpfs disk is charged to the endpoint too
TASKS_MAX = 512
CPU_PERCENT = 100  # one core at most: a runaway endpoint must not starve the others
LAUNCHER_KNOBS = {  # what takes a launcher minutes and hours elsewhere, in seconds: one look, probation, the host guard
    "check_every_s": 30, "probation_s": 15, "healthy_s": 300, "survive_s": 30, "guard_wait_s": 10,
    "guard_delays_s": [5, 15, 30], "again_s": 120, "lonely_check_s": 10,
}  # fmt: skip
INOTIFY_INSTANCES = 1024  # 128, the kernel's default, stops the 23rd systemd container


class FleetError(Exception):
    """What could not be done, why, and what to do next: shown as one line without a traceback."""


@dataclass(frozen=True, slots=True)
class Place:
    """The directories and the name prefix of one fleet. `name`: lower-case letters and digits, at most 10."""

    name: str
    cache: Path
    run_root: Path = RUN_ROOT

    @property
    def prefix(self) -> str:
        """No name may hold a dash, so no prefix is the beginning of another fleet's."""
        return f"bl-{self.name}-"

    @property
    def run(self) -> Path:
        return self.run_root / self.name

    @property
    def state_file(self) -> Path:
        return self.run / "state.json"

    @property
    def lock_file(self) -> Path:
        return self.run_root / f"{self.name}.lock"

    @property
    def repository(self) -> Path:
        """A directory that endpoints see as http://LOCAL_REPOSITORY_HOST/ (packages built here)."""
        return self.run / "repository"

    def endpoint(self, name: str) -> Path:
        return self.run / name

    def namespace(self, part: str) -> str:
        return self.prefix + part


def place(name: str | None = None) -> Place:
    """The fleet called `name`, or $BRAKELINE_FLEET, or "box"; FleetError if it cannot be a name."""
    chosen = name or os.environ.get("BRAKELINE_FLEET") or "box"
    if not re.fullmatch(r"[a-z0-9]{1,10}", chosen):
        raise FleetError(f"'{chosen}' cannot name a fleet: use 1 to 10 lower-case letters and digits.")
    return Place(chosen, Path(os.environ.get("BRAKELINE_CACHE") or CACHE_DEFAULT))
