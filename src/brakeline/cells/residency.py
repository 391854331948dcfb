"""What may leave a cell: counts, and names of a closed list. Pure; asked by who sends and by who receives.

Invariant: the only texts of a report are ids of leads, enumerated words, and the groups below. Values of attributes
(`os:`, `tag:`) are endpoint data: their rows of the table stay in the cell, which judges them itself.
"""

from __future__ import annotations

import re
from typing import Final

from brakeline.cells.model import CellReport

CLASSES: Final = ("server", "desktop", "laptop")
SIGNALS: Final = frozenset({"silent", "unhealthy", "resources", "actions", "starts", "explicit"})
LATER_SIGNALS: Final = frozenset({"patches", "blocks", "deletions"})  # in `CellReport.harms`, which came later
LATEST_SIGNALS: Final = frozenset({"errors"})  # and in `vitals`, which came after that
GROUPS: Final = frozenset({"all", "class:stationary", *(f"class:{c}" for c in CLASSES)})
LEAD_ID: Final = re.compile(r"ld_[0-9A-HJKMNP-TV-Z]{26}")


def may_cross(group: str) -> bool:
    """Whether evidence of this group may be told to the conductor."""
    return group in GROUPS


def foreign(report: CellReport) -> str:
    """What in a report is no count and no name of the list; "" = nothing."""
    if not LEAD_ID.fullmatch(report.lead_id):
        return "a lead has a name that is no id"
    words = {*(p.machine_class for p in report.parts), *(c.machine_class for c in report.controls)}
    groups = {*(b.group for b in report.bets), *(e.group for e in report.ended)}
    if words - {*CLASSES} or groups - GROUPS or {b.signal for b in report.bets} - SIGNALS:
        return "it names a class, signal or group that is none of ours"
    for bets, known in ((report.harms, LATER_SIGNALS), (report.vitals, LATEST_SIGNALS)):
        if {b.group for b in bets} - GROUPS or {b.signal for b in bets} - known:
            return "it names a class, signal or group that is none of ours"
    return ""
