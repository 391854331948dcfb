"""How much of a scan is due: nothing, the quick part, or all of it. Pure; `stamp` reads what this judges.

A full look costs seconds of CPU (apt walks the whole archive), a check of files that hold what it depends on costs a
millisecond. So a periodic scan that finds the same stamp does nothing. The stamp has two parts, because a refresh
that brought nothing new must not cost a full look:

- `slow`: what packages and pending updates follow from: dpkg's records, apt's lists, sources and settings.
- `quick`: what the rest follows from: running kernel, reboot-required, the root helper's records, names.

What no file tells (a service was restarted by hand, lists have passed their date, who holds a lock) is looked at
every QUICK_S_MAX. That nothing at all was missed is made sure every FULL_S_MAX.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

QUICK_S_MAX: Final = 6 * 3600.0  # as often as the root helper writes down which services run old code
FULL_S_MAX: Final = 24 * 3600.0  # half of what an idle agent costs in a day is this one look


@dataclass(frozen=True, slots=True)
class Stamp:
    """Digests of the names, inodes, sizes and times of files. Equal = none of them was replaced or written to."""

    slow: str
    quick: str


@dataclass(frozen=True, slots=True)
class Look:
    """What a scan has looked at. Its stamp was taken *before* it looked: a change meanwhile shows as a difference.

    Times are monotonic seconds, which mean something within one boot only; the boot is part of `stamp.slow`.
    """

    stamp: Stamp
    full_s: float  # begin of the last full look
    looked_s: float  # begin of the last look, full or quick


class Depth(IntEnum):
    """How much is looked at; larger includes smaller."""

    NOTHING = 0
    QUICK = 1  # health, need to restart, facts; packages and updates are taken from the last full look
    FULL = 2


def depth(last: Look | None, stamp: Stamp, now_s: float, *, asked: bool) -> Depth:
    """What is due `now_s`, after `last` (None = nothing is known). `asked`: somebody wants everything looked at."""
    if asked or last is None or stamp.slow != last.stamp.slow or now_s - last.full_s >= FULL_S_MAX:
        return Depth.FULL
    if stamp.quick != last.stamp.quick or now_s - last.looked_s >= QUICK_S_MAX:
        return Depth.QUICK
    return Depth.NOTHING
