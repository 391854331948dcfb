"""What this machine's own security modules refused, counted by the root helper. It reads; it starts no program.

Records of AppArmor, SELinux, seccomp and fanotify (scanners and allow-lists that ask before a file is opened) are in
the kernel's ring, and in the audit daemon's log where that runs. Both are read from where the last look ended, so each
record counts once. `quarantine.json` beside the configuration may name directories in which a scanner locks files away:
only root knows where its product does that. None = cannot be told: no such source here.
"""

from __future__ import annotations

import errno
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from brakeline.agent.files import write_durably
from brakeline.protocol import codec

KMSG: Final = "dev/kmsg"
AUDIT: Final = "var/log/audit/audit.log"
QUARANTINE: Final = "quarantine.json"  # ["/var/lib/scanner/quarantine"]
RECORDS_MAX: Final = 50_000  # of one look at the ring, which holds a few thousand
RECORD_BYTES: Final = 8192
AUDIT_BYTES_MAX: Final = 4 * 1024 * 1024  # of one look; a log that grows faster is read from further on
ENTRIES_MAX: Final = 100_000
DIRECTORIES_MAX: Final = 20
NAMED_MAX: Final = 5
# In the ring types are numbers: 1326 seccomp, 1331 fanotify, 1400 access vectors. A permissive SELinux refuses nothing.
DENIED: Final = re.compile(
    r'apparmor="DENIED"|avc: +denied(?!.*permissive=1)|type=(?:SECCOMP|1326) |type=(?:FANOTIFY|1331) .*\bresp=2\b'
)
WHO: Final = re.compile(r'\bcomm="?([^" ]{1,40})')


@dataclass(frozen=True, slots=True)
class Seen:
    """Where the last look ended, and what was counted so far."""

    boot_id: str = ""
    sequence: int = -1  # of the ring; -1 = from its beginning
    inode: int = 0  # of the audit log
    offset: int = 0
    refused: int = 0
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusals:
    """None = cannot be told."""

    refused: int | None
    quarantined: int | None
    named: tuple[str, ...] = ()


def count(state_dir: Path, config_dir: Path, boot_id: str, root: Path = Path("/")) -> Refusals:
    """Everything since the first look. What the disk will not keep is counted again, never lost."""
    path = state_dir / "refusals.json"
    seen = _load(path)
    first = not seen.boot_id
    if seen.boot_id != boot_id:
        seen = replace(seen, boot_id=boot_id, sequence=-1)
    seen, ring = _of_ring(root / KMSG, seen, first=first)
    seen, log = _of_audit(root / AUDIT, seen, first=first)
    write_durably(path, codec.encode(seen))
    told = seen.refused if ring or log else None
    return Refusals(told, quarantined(config_dir / QUARANTINE), seen.named)


def _load(path: Path) -> Seen:
    try:
        return codec.decode(Seen, path.read_bytes())
    except (OSError, codec.Malformed, UnicodeDecodeError):
        return Seen()


def _of_ring(path: Path, seen: Seen, *, first: bool) -> tuple[Seen, bool]:
    """Records that are newer than those seen; False = there is no ring to read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return seen, False
    sequence, lines = seen.sequence, []
    try:
        for record in _records(handle):
            head, _, text = record.partition(";")
            number = head.split(",")[1] if head.count(",") >= 2 else ""
            if number.isdigit() and int(number) > sequence:
                sequence = int(number)
                lines.append(text)
    finally:
        os.close(handle)
    return _counted(replace(seen, sequence=sequence), [] if first else lines), True


def _records(handle: int) -> list[str]:
    """One read, one record (kernel: Documentation/ABI/testing/dev-kmsg); EPIPE = some were overwritten meanwhile."""
    found: list[str] = []
    while len(found) < RECORDS_MAX:
        try:
            data = os.read(handle, RECORD_BYTES)
        except OSError as e:
            if e.errno == errno.EPIPE:
                continue
            break  # EAGAIN: the end
        if not data:
            break
        found += data.decode("utf-8", "replace").split("\n")[:1]
    return found


def _of_audit(path: Path, seen: Seen, *, first: bool) -> tuple[Seen, bool]:
    """Lines that were added since; a log that was rotated is read from its beginning."""
    try:
        with path.open("rb") as f:
            found = os.fstat(f.fileno())
            offset = seen.offset if found.st_ino == seen.inode and found.st_size >= seen.offset else 0
            offset = found.st_size if first else max(offset, found.st_size - AUDIT_BYTES_MAX)
            f.seek(offset)
            data = f.read(AUDIT_BYTES_MAX)
    except OSError:
        return seen, False
    whole = data[: data.rfind(b"\n") + 1]
    seen = replace(seen, inode=found.st_ino, offset=offset + len(whole))
    return _counted(seen, whole.decode("utf-8", "replace").split("\n")), True


def _counted(seen: Seen, lines: list[str]) -> Seen:
    denied = [line for line in lines if DENIED.search(line)]
    names = [f"refused: {m.group(1)}" for line in reversed(denied) if (m := WHO.search(line))]
    named = tuple(dict.fromkeys((*names, *seen.named)))[:NAMED_MAX]
    return replace(seen, refused=seen.refused + len(denied), named=named)


def quarantined(named_in: Path) -> int | None:
    """Files in the directories that root has named; None = root has named none, or one cannot be read."""
    try:
        directories = json.loads(named_in.read_bytes())
        if not isinstance(directories, list) or not directories:
            return None
        return sum(_files_in(Path(str(d))) for d in directories[:DIRECTORIES_MAX])
    except (OSError, ValueError, RecursionError):
        return None


def _files_in(directory: Path) -> int:
    with os.scandir(directory) as entries:
        return sum(1 for _, _ in zip(entries, range(ENTRIES_MAX), strict=False))
