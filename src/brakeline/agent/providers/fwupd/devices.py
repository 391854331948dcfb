"""Pure reading of what fwupdmgr says as JSON: devices, their releases, what waits for a restart, remotes.

Names and labels: one label is one stream of releases. It comes from the device's GUIDs without those that contain its
revision (which may follow its firmware's version), because releases are matched by them; two equal devices of one
endpoint are told apart by a number, in the order of their ids.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from brakeline.agent.providers.fwupd.words import problems_told

DEVICES_MAX: Final = 500
RELEASES_MAX: Final = 500  # of one device
STAGED: Final = ("needs-reboot", "needs-shutdown", "needs-activation")
CHECKSUM: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}")
FAILED, FAILED_FOR_NOW = 3, 5  # FwupdUpdateState


@dataclass(frozen=True, slots=True)
class Release:
    """One version of a device's firmware that a remote has; `checksums`: of its cabinet, the strongest last."""

    version: str
    remote: str = ""
    checksums: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    size: int = 0
    security: bool = False  # its vendor names what it closes (fwupd 2 tells no urgency)
    message: str = ""  # what a person has to do at the device for it


@dataclass(frozen=True, slots=True)
class Device:
    """One device that tells a version. `staged`: what was written and waits; "" = nothing does."""

    id: str
    name: str
    label: str
    version: str
    vendor: str = ""
    lowest: str = ""
    flags: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()
    update_error: str = ""
    update_state: int = 0
    releases: tuple[Release, ...] = ()
    staged: str = ""

    @property
    def key(self) -> str:
        return f"{self.name}:{self.label}"

    @property
    def waits_for(self) -> str:
        """What brings written firmware into effect: restart, shutdown or activation."""
        word = next((w for w in STAGED if w in self.flags), "")
        return {"needs-reboot": "restart", "needs-shutdown": "shutdown"}.get(word, "activation" if word else "")

    @property
    def settled(self) -> str:
        """The version that it has, or will have without anything more being written."""
        return self.staged or self.version

    @property
    def refuses(self) -> str:
        """Why it takes no update now, for the end of a sentence; "" = it does. An error of the past is no reason."""
        if "updatable" in self.flags:
            return problems_told(self.problems, "")
        return problems_told(self.problems, self.update_error) or "fwupd says that it takes none"

    def release(self, version: str) -> Release | None:
        return next((r for r in self.releases if r.version == version), None)


@dataclass(frozen=True, slots=True)
class Remote:
    """Where releases come from. `cache`: the list that is kept of it; `base`: where its cabinets lie."""

    id: str
    kind: str  # download | local | directory
    enabled: bool
    cache: str = ""
    base: str = ""
    changed_s: int = -1  # -1 = it was never fetched


def plain(text: str) -> str:
    """A name or version as packages may have them: `Integrated Webcam™` is `Integrated-Webcam`."""
    return re.sub(r"[^0-9A-Za-z.+~_]+", "-", text).strip("-._+~")[:100] or "unknown"


def devices(answer: Mapping[str, Any], history: Mapping[str, Any]) -> tuple[Device, ...]:
    """Every device that tells a version, in the order of its name and label."""
    rows = [row for row in _rows(answer, "Devices")[:DEVICES_MAX] if row.get("Version") and row.get("DeviceId")]
    written = _written(history)
    found, seen = [], Counter[str]()
    for row in sorted(rows, key=lambda r: str(r["DeviceId"])):
        device = _device(row, written.get(str(row["DeviceId"]), ""))
        seen[device.label] += 1
        again = seen[device.label]
        found.append(device if again == 1 else replace(device, label=f"{device.label}~{again}"))
    return tuple(sorted(found, key=lambda d: (d.name, d.label)))


def _device(row: Mapping[str, Any], written: str) -> Device:
    flags, version = frozenset(_words(row, "Flags")), plain(str(row["Version"]))
    waits = bool(flags.intersection(STAGED)) and written not in ("", version)
    lowest = str(row.get("VersionLowest") or "")
    label = label_of(_words(row, "Guid"), _words(row, "InstanceIds"))
    return Device(
        str(row["DeviceId"]), plain(str(row.get("Name", ""))), label, version, str(row.get("Vendor", "")),
        plain(lowest) if lowest else "", flags, tuple(_words(row, "Problems")), str(row.get("UpdateError", "")),
        _number(row, "UpdateState"), releases(row), written if waits else "",
    )  # fmt: skip


def label_of(guids: Iterable[str], instances: Iterable[str] = ()) -> str:
    """What stands for the architecture of a device's firmware."""
    guids = frozenset(guids)
    moving = {str(uuid.uuid5(uuid.NAMESPACE_DNS, i)) for i in instances if "&REV_" in i}
    kept = "\n".join(sorted(guids - moving or guids))
    return f"fwupd-{hashlib.sha256(kept.encode()).hexdigest()[:12]}"


def releases(row: Mapping[str, Any]) -> tuple[Release, ...]:
    """As fwupd sorts them, the newest first; of equal versions the first, which is of the remote with precedence."""
    found: dict[str, Release] = {}
    for r in _rows(row, "Releases")[:RELEASES_MAX]:
        if r.get("Version"):
            version = plain(str(r["Version"]))
            found.setdefault(version, _release(r, version))
    return tuple(found.values())


def _release(row: Mapping[str, Any], version: str) -> Release:
    checksums = sorted((c for c in _words(row, "Checksum") if CHECKSUM.fullmatch(c)), key=len)
    security = bool(_words(row, "Issues"))
    return Release(
        version, str(row.get("RemoteId", "")), tuple(checksums), tuple(_words(row, "Locations")),
        frozenset(_words(row, "Flags")), _number(row, "Size"), security, str(row.get("UpdateMessage", ""))[:300],
    )  # fmt: skip


def _written(history: Mapping[str, Any]) -> dict[str, str]:
    """By device, the version that was written last and not found to have failed."""
    found = {}
    for row in sorted(_rows(history, "Devices"), key=lambda r: _number(r, "Modified")):
        named = releases(row)
        if named and _number(row, "UpdateState") not in (FAILED, FAILED_FOR_NOW):
            found[str(row.get("DeviceId", ""))] = named[0].version
    return found


def remotes(answer: Mapping[str, Any]) -> tuple[Remote, ...]:
    """Every remote that is configured."""
    return tuple(
        Remote(str(r.get("Id", "")), str(r.get("Kind", "")), r.get("Enabled") is True, str(r.get("FilenameCache", "")),
               str(r.get("FirmwareBaseUri") or str(r.get("MetadataUri", "")).rpartition("/")[0]),
               _number(r, "Mtime", -1))
        for r in _rows(answer, "Remotes")
    )  # fmt: skip


def _rows(answer: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    rows = answer.get(name, [])
    return [r for r in rows if isinstance(r, dict)] if isinstance(rows, list) else []


def _words(row: Mapping[str, Any], name: str) -> list[str]:
    words = row.get(name, [])
    return [w for w in words if isinstance(w, str)] if isinstance(words, list) else []


def _number(row: Mapping[str, Any], name: str, otherwise: int = 0) -> int:
    value = row.get(name, otherwise)
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise
