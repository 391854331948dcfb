"""TCP ports that the system listens on, from what the kernel shows to everybody (proc(5), /proc/net/tcp). Cheap.

Counted are ports below the ephemeral range whose socket belongs to an account of the system: what people run for a
while (a development server, a forwarded display) comes and goes, and its end is nobody's harm.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

TABLES: Final = ("proc/net/tcp", "proc/net/tcp6")
RANGE: Final = "proc/sys/net/ipv4/ip_local_port_range"
EPHEMERAL: Final = 32_768  # where the range begins unless the machine says otherwise
PEOPLE: Final = range(1000, 60_000)  # user ids of people; below are system accounts, above systemd's dynamic ones
TABLE_BYTES_MAX: Final = 4 * 1024 * 1024  # some 25,000 connections; a busier machine tells no ports
PORTS_MAX: Final = 128
_LISTEN: Final = "0A"


def listening(root: Path = Path("/")) -> tuple[int, ...] | None:
    """The ports, sorted; None = they cannot be told."""
    found: set[int] = set()
    below, seen = ephemeral_from(root), False
    for name in TABLES:
        try:
            with (root / name).open(encoding="ascii", errors="replace") as f:
                text = f.read(TABLE_BYTES_MAX + 1)
        except OSError:
            continue  # a machine without IPv6
        if len(text) > TABLE_BYTES_MAX:
            return None
        found |= {p for p in parse(text) if p < below}
        seen = True
    return tuple(sorted(found)[:PORTS_MAX]) if seen else None


def parse(text: str) -> set[int]:
    """Ports that accounts of the system listen on, in a table of the kernel."""
    found = set()
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[3] == _LISTEN and words[7].isdigit() and int(words[7]) not in PEOPLE:
            found.add(int(words[1].rpartition(":")[2], 16))
    return found


def ephemeral_from(root: Path) -> int:
    try:
        return int((root / RANGE).read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return EPHEMERAL
