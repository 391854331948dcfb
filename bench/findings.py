"""What it costs to mark and to export a fleet's vulnerabilities, and to count what an inventory closed: CPU-seconds.

As many CVEs as the shipped advisories have, ranked once (the unit: what a list costs anyway), then marked with days and
acceptances; one acceptance over a large fleet; the files; an inventory that closes a kernel's CVEs at once.
`--cves N --endpoints N --json FILE`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from bench._proc import report
from brakeline.advisories.model import Severity
from brakeline.exposure.acceptance import Acceptance, by_cve, counted
from brakeline.exposure.answers import Vulnerability
from brakeline.exposure.due import DEFAULTS
from brakeline.exposure.exports import csv_lines, vex
from brakeline.exposure.index import Exposed
from brakeline.exposure.marking import _marks
from brakeline.exposure.model import FindingState
from brakeline.exposure.ranks import Known, ranked
from brakeline.exposure.times import Stood, Way, added

NOW_MS = 1_795_400_000_000
ACCEPTANCES = 1000


def cpu_s(work: Callable[[], object]) -> float:
    """The least of three runs."""
    found = []
    for _ in range(3):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def acceptance(cve: str) -> Acceptance:
    return Acceptance("ac_1", cve, "tag:x", "why", False, 0, "Ada", "Ada", 1, NOW_MS * 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cves", type=int, default=15_000)
    parser.add_argument("--endpoints", type=int, default=100_000)
    parser.add_argument("--json", default="")
    options = parser.parse_args()
    names = [f"CVE-2026-{i}" for i in range(options.cves)]
    entries = {cve: Exposed(cve, False, {"linux"}, {"linux": "7"}, {}, {"ep_1": FindingState.FIXABLE}) for cve in names}
    cvss = {cve: Severity(cve, "v", "3.1", i % 100 / 10) for i, cve in enumerate(names)}
    known, oldest = Known({}, {}, cvss, "2026-11-26", NOW_MS), {"linux": NOW_MS - 90 * 86_400_000}

    def rank() -> Any:
        return ranked(entries.values(), known, frozenset(), oldest)

    ranks, unit_s = rank(), cpu_s(rank)
    reaches = by_cve((acceptance(cve), frozenset({"ep_1"})) for cve in names[:ACCEPTANCES])
    fleet = [f"ep_{i}" for i in range(options.endpoints)]
    reach = [(acceptance(names[0]), frozenset(fleet[::2]))]
    items = [Vulnerability(cve, False, "", ("linux",), {"linux": "7"}, 1, 0, {"fixable_now": 1}) for cve in names]
    stood = Stood(NOW_MS - 86_400_000, NOW_MS - 3_600_000, Way.PATCHED)
    days = {cve: f"2026-{1 + i % 11:02}-01" for i, cve in enumerate(names)}
    works: tuple[tuple[str, Callable[[], object]], ...] = (
        ("days of all", lambda: _marks(entries, ranks, {}, DEFAULTS)),
        (f"days of all, {ACCEPTANCES:,} accepted", lambda: _marks(entries, ranks, reaches, DEFAULTS)),
        (f"one acceptance, {options.endpoints:,} endpoints", lambda: counted(fleet, reach)),
        ("as CSV", lambda: sum(map(len, csv_lines(items)))),
        ("as VEX", lambda: json.dumps(vex(items, (), "2026-11-26T00:00:00Z", "1"), indent=1)),
        ("an inventory closes all of them", lambda: added([(stood, days)], {}, cvss, 0, NOW_MS)),
    )
    table: list[tuple[str, Any, str]] = [("ranking, CPU-s", unit_s, f"{options.cves:,} CVEs: the unit")]
    for name, work in works:
        spent = cpu_s(work)
        table.append((name, spent, f"{spent / unit_s:.2f} units"))
    report(table, sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
