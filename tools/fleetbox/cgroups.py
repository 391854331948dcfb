"""One control group tree per endpoint: its limits, and the sure way to find every process that belongs to it.

A guest's systemd needs a group of its own in `name=systemd` (v1) and in the unified hierarchy too, else guests
share `/payload` and fight. Hybrid (v1 + unified) machines are what this was measured on; on a machine with cgroup v2
alone the one hierarchy takes all three limits.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tools.fleetbox.process import kill
from tools.fleetbox.settings import CPU_PERCENT, MEMORY_MIB, TASKS_MAX, FleetError

ROOT = Path("/sys/fs/cgroup")
V1_HIERARCHIES = ("memory", "cpu", "pids", "systemd", "unified")
GONE_WAIT_S = 15.0


def hierarchies() -> tuple[Path, ...]:
    """The roots in which every endpoint gets a directory."""
    if (ROOT / "cgroup.controllers").exists():
        return (ROOT,)
    return tuple(ROOT / name for name in V1_HIERARCHIES if (ROOT / name / "cgroup.procs").exists())


def create(group: str, *, limited: bool = True) -> None:
    """Make `group` in every hierarchy, with an endpoint's limits if `limited`."""
    for root in hierarchies():
        (root / group).mkdir(exist_ok=True)
    if limited:
        period = 100_000
        wanted = {
            ROOT / "memory" / group / "memory.limit_in_bytes": str(MEMORY_MIB << 20),
            ROOT / "pids" / group / "pids.max": str(TASKS_MAX),
            ROOT / "cpu" / group / "cpu.cfs_quota_us": str(CPU_PERCENT * period // 100),
            ROOT / group / "memory.max": str(MEMORY_MIB << 20),
            ROOT / group / "pids.max": str(TASKS_MAX),
            ROOT / group / "cpu.max": f"{CPU_PERCENT * period // 100} {period}",
        }
        for path, value in wanted.items():
            if path.exists():  # either the v1 or the v2 half is there
                path.write_text(value)


def join(group: str) -> None:
    """Move the calling process into `group`."""
    for root in hierarchies():
        (root / group / "cgroup.procs").write_text(str(os.getpid()))


def groups(prefix: str) -> tuple[Path, ...]:
    """Every top directory whose name begins with `prefix` if that ends with a dash, else the one of that name."""
    pattern = prefix + "*" if prefix.endswith("-") else prefix
    return tuple(path for root in hierarchies() for path in sorted(root.glob(pattern)) if path.is_dir())


def members(prefix: str) -> frozenset[int]:
    """Pids in the groups that begin with `prefix`, at any depth."""
    found: set[int] = set()
    for top in groups(prefix):
        for path in _below(top):
            try:
                found.update(int(pid) for pid in (path / "cgroup.procs").read_text().split())
            except OSError:  # the group went away under us, with its processes
                continue
    return frozenset(found - {0, os.getpid()})


def stop_all(prefix: str) -> None:
    """SIGSTOP for every process of these groups, and for whatever they start meanwhile."""
    stopped: frozenset[int] = frozenset()
    while fresh := members(prefix) - stopped:
        kill(fresh, signal.SIGSTOP)
        stopped |= fresh


def kill_all(prefix: str) -> None:
    """SIGKILL for every process of these groups until none is left; FleetError names those that stay."""
    end = time.monotonic() + GONE_WAIT_S
    while left := members(prefix):
        if time.monotonic() > end:
            raise FleetError(
                f"Processes {sorted(left)} of {prefix}* did not end within {GONE_WAIT_S:.0f} s of SIGKILL."
            )
        kill(left)
        time.sleep(0.02)


def remove(prefix: str) -> None:
    """Remove the (empty) groups, deepest first. A group that is still busy stays and is reported by the caller."""
    for top in groups(prefix):
        for path in sorted(_below(top), key=lambda p: len(p.parts), reverse=True):
            _rmdir(path)


def _below(top: Path) -> tuple[Path, ...]:
    """This group and all within it. One that goes away meanwhile is left out: `rglob` would raise."""
    return tuple(Path(path) for path, _, _ in os.walk(top))


def memory_mib(group: str) -> int:
    """Memory charged to `group` now, in MiB; 0 when it cannot be read."""
    for path in (ROOT / "memory" / group / "memory.usage_in_bytes", ROOT / group / "memory.current"):
        try:
            return int(path.read_text()) >> 20
        except OSError:
            continue
    return 0


def _rmdir(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:
        return
