"""One look for software that no package manager has installed: what is found, whose it is, what was left out.

Reads the disk; what it remembers is one file in the agent's work directory, which may be lost at any time at the price
of one full look. Called by the scan child, which has the lowest priority and limits of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from brakeline.agent.clock import cpu_clocks
from brakeline.agent.software import firmware, kinds, mounts, owners, readers
from brakeline.agent.software.managed import beside
from brakeline.agent.software.model import Bounds, Found, Told, Unreadable, packages, shown
from brakeline.agent.software.walk import Clocks, Directory, Memory, Seen, Walk, Walked, items_of, untold
from brakeline.protocol.messages import Package, SoftwareLook

BOUNDS: Final = Bounds()
REMEMBERED: Final = "software.json"
FORMAT: Final = 1  # of what is remembered, and of what parsers find: a newer agent looks anew
IMAGES_OF_ROOT: Final = ("/var/lib/docker", "/var/lib/containers")


def look(
    work: Path, known: Iterable[Package] = (), roots: tuple[str, ...] = kinds.ROOTS, *, root: str = "",
    bounds: Bounds = BOUNDS, clocks: Clocks | None = None, devices: Callable[[], Told] = firmware.ask,
) -> tuple[tuple[Package, ...], SoftwareLook]:  # fmt: skip
    """What lies below `roots` beside `known`, which package managers have told. `root`: a system in a directory."""
    mounted = mounts.kinds(_text(Path("/proc/self/mountinfo")))
    memory, owned, mark = remembered(work / REMEMBERED)
    walked = Walk(readers.read, bounds, clocks or Clocks(*cpu_clocks()), mounted, root).go(roots, memory)
    items = dict.fromkeys(items_of(walked.memory))
    now_mark = owners.mark(root)
    silent = untold(walked.memory)
    paths = frozenset(path for path, _ in items) | silent.keys()
    if mark != now_mark or paths - owned.keys():
        try:
            found = owners.owners(paths, root)
            owned, mark = {path: found.get(path, "") for path in paths}, now_mark
        except Unreadable as e:  # without an owner a file could be taken for a registry's: it is left out instead
            walked.gap(f"{e}; what is new is left out until they can be")
    _remember(work / REMEMBERED, walked.memory, {p: owned[p] for p in paths & owned.keys()}, mark)
    for path, why in silent.items():
        if owned.get(path) == "":
            walked.gap(f"{shown(path)}: {why}")
    for place in IMAGES_OF_ROOT:
        if os.path.isdir(root + place) and not os.access(root + place, os.R_OK | os.X_OK):
            walked.gap(f"{place}: only root may read it, so the container images there are not known")
    of_devices = Told() if root else devices()
    for gap in of_devices.gaps:
        walked.gap(gap)
    own = beside((replace(item, owner=owned[path]) for path, item in items if path in owned), known)
    told = packages((*own, *of_devices.items))
    return told, SoftwareLook(len(told), len(walked.memory), not walked.ended, *_gaps(walked))


def _gaps(walked: Walked) -> tuple[tuple[str, ...], int]:
    return tuple(walked.gaps), walked.more_gaps


# --- what is remembered --------------------------------------------------------------------------------------------


def remembered(path: Path) -> tuple[Memory, dict[str, str], str]:
    """What the last look saw; nothing if it was lost, damaged, or written by another version."""
    try:
        said = json.loads(path.read_bytes())
        if said["format"] != FORMAT:
            return {}, {}, ""
        memory = {name: _directory(row) for name, row in said["directories"].items()}
        owned = {str(k): str(v) for k, v in said["owners"].items()}
        return memory, owned, str(said["mark"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError, AttributeError):
        return {}, {}, ""


def _directory(row: list[Any]) -> Directory:
    mark, below, files = row
    seen = {
        name: Seen(str(of), Told(tuple(Found(**item) for item in items), tuple(gaps), str(untold)))
        for name, (of, items, gaps, untold) in files.items()
    }
    return Directory(str(mark), tuple(map(str, below)), seen)


def _remember(path: Path, memory: Memory, owned: dict[str, str], mark: str) -> None:
    rows = {name: [d.mark, d.below, {n: _row(s) for n, s in d.files.items()}] for name, d in memory.items()}
    text = json.dumps({"format": FORMAT, "mark": mark, "owners": owned, "directories": rows}, separators=(",", ":"))
    aside = path.with_suffix(".new")
    aside.write_text(text, encoding="ascii")  # surrogates of undecodable names are written as escapes
    aside.replace(path)


def _row(seen: Seen) -> list[Any]:
    told = seen.told
    return [seen.mark, [_plain_of(item) for item in told.items], told.gaps, told.untold]


def _plain_of(item: Found) -> dict[str, str]:
    return {key: value for key, value in asdict(item).items() if value}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
