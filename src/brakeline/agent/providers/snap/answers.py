"""Pure: what snapd answers over its socket: snaps, what they could be refreshed to, changes, errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.model import Refused

LABEL: Final = "snap"
SAID_CHARS: Final = 200
KINDS: Final = {
    "network-timeout": ("network", "The store cannot be reached"),
    "dns-failure": ("network", "The store cannot be reached"),
    "snap-change-conflict": ("locked", "snapd is at work on it"),
    "snap-no-update-available": ("changed", "The store does not offer that revision any more"),
    "snap-revision-not-available": ("changed", "The store does not offer that revision any more"),
    "insufficient-disk-space": ("no_space", "Too little disk space"),
    "access-denied": ("refused", "snapd does not allow it"),
    "login-required": ("refused", "snapd does not allow it"),
}
RUNNING: Final = "has running"


@dataclass(frozen=True, slots=True)
class Snap:
    """One snap as snapd has it. `held`: until when its owner holds it, "" = not; `inhibited`: its applications run."""

    name: str
    revision: str
    version: str
    channel: str = ""
    active: bool = True
    held: str = ""
    inhibited: bool = False
    broken: str = ""
    size: int = 0

    @property
    def shown(self) -> str:
        return version_of(self.version, self.revision)


def version_of(version: str, revision: str) -> str:
    """`1.2` and 345 are `1.2+345`; nothing in it that a version may not have."""
    bare = re.sub(r"[^0-9A-Za-z.+~_\-]+", "-", version).strip("-.+") or "0"
    return f"{bare[:80]}+{revision}"


def revision_of(shown: str) -> str:
    return shown.rpartition("+")[2]


def snaps(answer: Mapping[str, Any]) -> tuple[Snap, ...] | None:
    """None = that is no list. Of a snap whose revisions are all listed, each is one."""
    rows = answer.get("result")
    if answer.get("type") != "sync" or not isinstance(rows, list):
        return None
    return tuple(_snap(row) for row in rows if isinstance(row, dict) and row.get("name") and row.get("revision"))


def _snap(row: Mapping[str, Any]) -> Snap:
    size = row.get("download-size", 0)
    return Snap(
        str(row["name"]), str(row["revision"]), str(row.get("version", "")),
        str(row.get("tracking-channel") or row.get("channel") or ""), row.get("status", "active") == "active",
        str(row.get("hold") or row.get("gating-hold") or ""), isinstance(row.get("refresh-inhibit"), dict),
        str(row.get("broken", "")), size if isinstance(size, int) else 0,
    )  # fmt: skip


def package(snap: Snap) -> Installed:
    state = ("h" if snap.held else "i") + ("HR" if snap.broken else "i")
    return Installed(snap.name, LABEL, snap.shown, snap.name, snap.shown, state)


def why(answer: Mapping[str, Any]) -> Refused:
    """The cause of an error, or of a change that failed."""
    result = answer.get("result")
    rows: Mapping[str, Any] = result if isinstance(result, dict) else {}
    said = str(rows.get("message") or rows.get("err") or answer.get("err") or "")[:SAID_CHARS].strip().rstrip(".")
    code, sentence = KINDS.get(str(rows.get("kind", "")), ("snap_failed", "snapd failed"))
    if RUNNING in said:
        code, sentence = "busy", "Its applications run, and snapd waits for them to end"
    elif "no such host" in said or "cannot reach" in said or "connection refused" in said:
        code, sentence = KINDS["dns-failure"]
    elif "no space left" in said:
        code, sentence = KINDS["insufficient-disk-space"]
    return Refused(code, f"{sentence}: {said}." if said else f"{sentence}.")
