"""Pure: which processes run code that is no longer on disk, which service each belongs to, who may be restarted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from brakeline.protocol.content import BUILT_IN, Rules

CODE = re.compile(r"^/(?:usr/)?(?:lib|lib32|lib64|libx32|bin|sbin|libexec|local/lib|local/bin|local/sbin)/|^/opt/")
NOT_CODE = re.compile(r"\.(?:cache|mo|so\.cache)$|/locale-archive$|/gconv-modules\.cache$|/ld\.so\.cache$")

# Restarting these would end sessions, networks or other people's containers; a restart of the endpoint is due instead.
NEVER_RESTARTED = re.compile(
    r"^(?:dbus|dbus-broker|systemd-logind|user@\d+|user-runtime-dir@.*|getty@.*|serial-getty@.*|console-getty|"
    r"gdm\d?|sddm|lightdm|lxdm|xdm|display-manager|NetworkManager|networking|ifup@.*|wpa_supplicant|"
    r"docker|containerd|libvirtd|virtqemud|lxc|lxc-net|lxcfs|incus|multipathd|iscsid|open-iscsi|"
    r"systemd-journald|brakeline-.*)\.service$"
)


@dataclass(frozen=True, slots=True)
class Stale:
    """One process that maps deleted code, `path` the first of it. `unit` "" = in no service."""

    pid: int
    command: str
    unit: str
    path: str


def deleted_code(maps: Iterable[str]) -> str:
    """The first code file in lines of /proc/PID/maps that was deleted or replaced since it was mapped; "" = none."""
    for line in maps:
        cells = line.rstrip("\n").split(None, 5)
        if len(cells) == 6 and cells[5].endswith(" (deleted)") and cells[4] != "0":
            path = cells[5].removesuffix(" (deleted)").removesuffix(".dpkg-new").removesuffix(".dpkg-tmp")
            if CODE.match(path) and not NOT_CODE.search(path):
                return path
    return ""


def unit_of(cgroup: str) -> str:
    """The system service in /proc/PID/cgroup (v2, or v1's name=systemd); "" = none, or of a user's own manager."""
    for line in cgroup.splitlines():
        cells = line.split(":", 2)
        if len(cells) == 3 and (cells[0] == "0" or cells[1] == "name=systemd"):
            if "/user.slice/" in cells[2]:
                return ""
            services = [part for part in cells[2].split("/") if part.endswith(".service")]
            if services:
                return services[-1]
    return ""


def restartable(unit: str, rules: Rules = BUILT_IN) -> bool:
    """May a package transaction restart this service? Content can only say no to more of them."""
    return bool(unit) and NEVER_RESTARTED.match(unit) is None and not rules.keeps_running(unit)


def needrestart_services(text: str) -> tuple[str, ...]:
    """The services in `needrestart -b` (batch lines `NEEDRESTART-SVC: name`)."""
    return tuple(dict.fromkeys(re.findall(r"^NEEDRESTART-SVC: (\S+)", text, re.MULTILINE)))


def reasons(stale: Iterable[Stale], owners: dict[str, str], rules: Rules = BUILT_IN) -> tuple[str, ...]:
    """Why only a restart of the endpoint helps: old code in PID 1 or in services that are never restarted."""
    found: dict[str, None] = {}
    for s in stale:
        fixed = s.pid == 1 or (s.unit and not restartable(s.unit, rules))
        if fixed and not s.unit.startswith("brakeline-"):
            what = owners.get(s.path, s.path.rpartition("/")[2])
            found[f"{what} in use by {s.unit or s.command}"] = None
    return tuple(found)
