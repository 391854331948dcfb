"""Who holds the locks of libzypp and rpm, and how we hold libzypp's ourselves while rpm works.

libzypp's lock is a file with a pid: it counts while that process lives. zypper, YaST and PackageKit all respect it, so
holding it keeps every resolver away between our last look at the records and the end of rpm's run. rpm's own lock is
the kernel's, on a file beside its records.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from brakeline.agent.providers.apt.locks import Holder, holder
from brakeline.agent.providers.zypper.tools import Tools

PID_FILES: Final = ("/run/zypp.pid", "/var/run/zypp.pid")


def lock_holder(tools: Tools) -> Holder | None:
    """The process that has the package management of this endpoint locked."""
    for name in PID_FILES:
        pid = _pid(tools.at.path(name))
        if pid and pid != os.getpid() and Path(f"/proc/{pid}").exists():
            return Holder(pid, _command(pid), name)
    return holder(tools.at, (f"{tools.records}/.rpm.lock",))


@contextmanager
def held(tools: Tools) -> Iterator[bool]:
    """Hold libzypp's lock; False = somebody else has it. What a dead process has left is taken over."""
    if lock_holder(tools) is not None:
        yield False
        return
    places = [tools.at.path(name) for name in PID_FILES if tools.at.path(name).parent.is_dir()]
    for place in places:
        place.write_text(str(os.getpid()))
    try:
        yield True
    finally:
        for place in places:
            if _pid(place) == os.getpid():
                place.unlink(missing_ok=True)


def _pid(path: Path) -> int:
    try:
        return int(path.read_text().strip() or 0)
    except (OSError, ValueError):
        return 0


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a process that has ended"
