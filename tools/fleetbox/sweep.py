"""`down`: nothing of a fleet is left, whether it ended well or was killed in the middle of anything.

The state file is not trusted for this: processes, mounts, namespaces and groups are found by the fleet's prefix.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from tools.fleetbox import cgroups, network
from tools.fleetbox.process import alive, kill, quietly
from tools.fleetbox.settings import Place
from tools.fleetbox.state import load

UNMOUNT_TRIES = 50
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")


def down(place: Place) -> tuple[str, ...]:
    """Remove the fleet; what could not be removed (normally nothing)."""
    state = load(place)
    cgroups.kill_all(place.prefix)
    if state.services_pid and _is_ours(state.services_pid):
        kill([state.services_pid])
    for _ in range(UNMOUNT_TRIES):
        points = mounts(place)
        if not points:
            break
        for point in reversed(points):
            quietly(["umount", point])
        time.sleep(0.05)
    network.remove(place.prefix)
    cgroups.remove(place.prefix)
    if not mounts(place):
        shutil.rmtree(place.run, ignore_errors=True)
    if state.inotify_before and not any(place.run_root.glob("*/state.json")):
        INOTIFY.write_text(str(state.inotify_before))
    return leftovers(place)


def leftovers(place: Place) -> tuple[str, ...]:
    """Everything on this machine that still bears the fleet's name, in words."""
    return (
        *(f"process {pid}" for pid in sorted(cgroups.members(place.prefix))),
        *(f"mount {point}" for point in mounts(place)),
        *(f"namespace {name}" for name in network.namespaces(place.prefix)),
        *(f"group {path}" for path in cgroups.groups(place.prefix)),
        *([f"directory {place.run}"] if place.run.exists() else []),
    )


def mounts(place: Place) -> tuple[str, ...]:
    """Mount points under the fleet's run directory, in the order in which they were mounted."""
    prefix = f"{place.run}/"
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return tuple(point for line in lines if (point := line.split()[4]).startswith(prefix))


def _is_ours(pid: int) -> bool:
    """A pid may have been given to somebody else since it was written down."""
    try:
        return alive(pid) and b"tools.fleetbox.services" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
