"""Another wall clock for a process: libfaketime, loaded without its wrapper.

The program `faketime` makes a semaphore named after its process id and refuses to start where one of that name is left
behind, as by any earlier one that was killed; the library alone does without.
"""

from __future__ import annotations

from pathlib import Path

from tests.support import require

LIBRARY = "faketime/libfaketime.so.1"  # of Debian's package, below the folder of the machine's architecture


def preload() -> str:
    """The library's path for `LD_PRELOAD`; skips, with the reason, where it is not there."""
    found = sorted(str(path) for path in Path("/usr/lib").glob(f"*/{LIBRARY}"))
    require(bool(found), "libfaketime (Debian package faketime): gives a process another clock")
    return found[0]


def started_at(moment: str) -> dict[str, str]:
    """The variables under which a process begins at `moment` ("2031-01-01 10:00:00", in its own zone)."""
    return {"LD_PRELOAD": preload(), "FAKETIME": f"@{moment}"}
