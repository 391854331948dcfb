"""What kind of machine this is: read from files (on Windows the registry), no process started, no privilege needed."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from brakeline.agent import system_manager
from brakeline.protocol.messages import Facts

_DEBIAN_ARCHITECTURES = {
    "x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "i686": "i386", "ppc64le": "ppc64el",
}  # fmt: skip
WINDOWS_11_BUILD = 22000  # from here on it is Windows 11, whatever ProductName says
_PORTABLE_CHASSIS = {"8", "9", "10", "14", "30", "31", "32"}  # SMBIOS 3.6 table 17: portable, laptop, notebook, …


def gather(agent_version: str, root: Path = Path("/")) -> Facts:
    """The facts of the machine whose file system is at `root` (on Windows: of this machine)."""
    if sys.platform == "win32":
        from brakeline.agent import windows

        architecture = os.environ.get("PROCESSOR_ARCHITECTURE", "").lower()
        known = windows.system()
        return of_windows(known, socket.gethostname(), architecture, windows.has_battery(), agent_version)
    release = os_release(root)
    manager = system_manager.here(release, root)
    kernel = os.uname()
    return Facts(
        hostname=socket.gethostname(),
        os_id=release.get("ID", "linux"),
        os_version=release.get("VERSION_ID", ""),
        os_name=release.get("PRETTY_NAME", "Linux"),
        kernel=kernel.release,
        architecture=_DEBIAN_ARCHITECTURES.get(kernel.machine, kernel.machine),
        machine_class=machine_class(root),
        agent_version=agent_version,
        package_manager=manager if isinstance(manager, str) else "none",
    )


def of_windows(known: Mapping[str, str], hostname: str, architecture: str, battery: bool, agent_version: str) -> Facts:
    """The facts of a Windows whose registry says `known` (`windows.system`). Never run on the real system."""
    build = known.get("CurrentBuildNumber", "0")
    name = known.get("ProductName", "Windows")
    if build.isdigit() and int(build) >= WINDOWS_11_BUILD:  # the registry of Windows 11 still says 10
        name = name.replace("Windows 10", "Windows 11")
    server = known.get("InstallationType", "Client").startswith("Server")
    version = f"{known.get('Version', '')}.{build}"
    return Facts(
        hostname=hostname,
        os_id="windows",
        os_version=version,
        os_name=" ".join(w for w in (name, known.get("DisplayVersion", "")) if w),
        kernel=f"{version}.{known['UBR']}" if known.get("UBR") else version,
        architecture=architecture or "amd64",
        machine_class="server" if server else "laptop" if battery else "desktop",
        agent_version=agent_version,
        package_manager=system_manager.WINDOWS,
    )


def os_release(root: Path = Path("/")) -> dict[str, str]:
    """os-release(5) as a dictionary; empty when there is none."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        try:
            text = (root / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
        return {key.strip(): value.strip().strip("\"'") for key, value in pairs}
    return {}


def machine_class(root: Path = Path("/")) -> str:
    """server | desktop | laptop: how the brake tells kinds of machines apart."""
    try:
        chassis = (root / "sys/class/dmi/id/chassis_type").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        chassis = ""
    if chassis in _PORTABLE_CHASSIS:
        return "laptop"
    sessions = root / "usr/share/xsessions", root / "usr/share/wayland-sessions"
    return "desktop" if any(any(s.glob("*.desktop")) for s in sessions) else "server"
