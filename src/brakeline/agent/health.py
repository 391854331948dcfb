"""The endpoint's own state at a check-in: disk, load, memory, and which services have failed. Cheap."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from brakeline.agent.systemd_bus import failed_unit_count
from brakeline.protocol.messages import Health

SERVICES_MAX = 50  # names that are reported; more than this is a broken machine anyway
SYSTEMCTL = ("/usr/bin/systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--full")


class HealthProbe:
    """Remembers the names of failed services, and asks for them again only when their number changed."""

    def __init__(self, root: Path = Path("/"), list_failed: Callable[[], tuple[str, ...]] | None = None) -> None:
        self._root = root
        self._list_failed = list_failed or failed_services
        self._failed: tuple[str, ...] = ()
        self._count = 0
        self._spent = (0.0, 0.0)
        self.package_manager_healthy = True

    def sample(self) -> Health:
        if sys.platform == "win32":  # services and load are not looked at there yet
            from brakeline.agent import windows

            return Health(
                disk_free_bytes=windows.disk_free_bytes(), memory_available_bytes=windows.memory_available_bytes()
            )
        disk = os.statvfs(self._root)
        return Health(
            failed_services=self._failed_services(),
            package_manager_healthy=self.package_manager_healthy,
            disk_free_bytes=disk.f_bavail * disk.f_frsize,
            load_1m=round(os.getloadavg()[0], 2),
            memory_available_bytes=_memory(self._root, "MemAvailable:"),
            memory_total_bytes=_memory(self._root, "MemTotal:"),
            disk_total_bytes=disk.f_blocks * disk.f_frsize,
            processors=os.cpu_count() or 1,
            agent_memory_bytes=_resident(self._root),
            agent_permille=self._own_share(),
        )

    def _own_share(self) -> int:
        """Of one processor, since the last sample: this process, children included."""
        spent = os.times()
        now_s, cpu_s = spent.elapsed, sum(spent[:4])
        before_s, before_cpu_s = self._spent
        self._spent = (now_s, cpu_s)
        return round(1000 * (cpu_s - before_cpu_s) / (now_s - before_s)) if before_s and now_s > before_s else 0

    def _failed_services(self) -> tuple[str, ...]:
        count = failed_unit_count()
        if count is None or count == 0:
            self._failed = ()
        elif count != self._count or len(self._failed) != min(count, SERVICES_MAX):
            self._failed = self._list_failed()
        self._count = count or 0
        return self._failed


def failed_services() -> tuple[str, ...]:
    """Names of failed units, sorted. Starts systemctl: only called when the number of failed units changed."""
    import subprocess

    try:
        done = subprocess.run(SYSTEMCTL, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_units(done.stdout)


def parse_units(text: str) -> tuple[str, ...]:
    """The first word of each line of `systemctl list-units --plain --no-legend`."""
    return tuple(sorted(line.split()[0] for line in text.splitlines() if line.strip()))[:SERVICES_MAX]


def _resident(root: Path) -> int:
    """Bytes of this process in memory (proc(5), statm)."""
    if sys.platform == "win32":
        return 0
    try:
        return int((root / "proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _memory(root: Path, line_of: str) -> int:
    try:
        text = (root / "proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith(line_of):
            return int(line.split()[1]) * 1024
    return 0
