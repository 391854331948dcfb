"""What a process tree costs, read from /proc: CPU-seconds and proportional memory. For the benches only."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """`root` and all its living descendants, and processes that a descendant left in its process group's session."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += children.get(pid, [])
    return found


def stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on (state, ppid, …); empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def cpu_s(pids: list[int]) -> float:
    """User and system CPU-seconds of `pids` and of their children that have ended and been waited for."""
    total = 0
    for pid in pids:
        fields = stat(pid)
        total += sum(int(x) for x in fields[11:15]) if fields else 0
    return total / TICKS_PER_S


def pss_mib(pids: list[int]) -> float:
    """Proportional set size of `pids` in MiB."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def report(rows: list[tuple[str, Any, str]], argv: list[str]) -> None:
    """Print (name, value, unit or aim) rows; with `--json FILE` among `argv`, write them there too."""
    width = max(len(name) for name, _, _ in rows)
    for name, value, note in rows:
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        print(f"{name:<{width}}  {shown:>12}  {note}")
    if "--json" in argv:
        path = Path(argv[argv.index("--json") + 1])
        path.write_text(json.dumps({name: {"value": value, "note": note} for name, value, note in rows}, indent=1))


def python() -> str:
    """The interpreter that the benches start servers with."""
    return sys.executable
