"""What reading feeds of scores and ranking a fleet costs: CPU-seconds, in units of parsing the shipped advisories.

Synthetic files in the published shape, seeded: EPSS of 300,000 CVEs (as many as it lists today), NVD's JSON of 30,000
CVEs with a few thousand distinct vectors, and 15,046 open CVEs of the shipped advisories to be ranked. The unit is
parsing the shipped advisories once, in the same run. `--json FILE`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from bench._proc import report
from bench.content_hold import shipped
from brakeline.advisories import importers, scores, severity
from brakeline.advisories.model import Epss, Severity
from brakeline.core.days import DAY_MS, number
from brakeline.exposure.index import Exposed
from brakeline.exposure.model import FindingState
from brakeline.exposure.ranks import Known, ranked

EPSS_ROWS = 300_000
NVD_CVES = 30_000
TODAY = "2026-11-26"


def cpu_s(work: Callable[[], object], times: int = 3) -> float:
    """The least of some runs."""
    spent = []
    for _ in range(times):
        begun = time.process_time()
        work()
        spent.append(time.process_time() - begun)
    return min(spent)


def epss_file(draw: random.Random) -> bytes:
    head = "#model_version:v2025.03.14,score_date:2026-11-26T00:00:00Z\ncve,epss,percentile\n"
    rows = (f"CVE-{2000 + i % 26}-{i},{draw.random() ** 8:.5f},{draw.random():.5f}" for i in range(EPSS_ROWS))
    return gzip.compress((head + "\n".join(rows) + "\n").encode())


def vector(draw: random.Random) -> str:
    v = "/".join(f"{name}:{draw.choice(values)}" for name, values in (
        ("AV", "NALP"), ("AC", "LH"), ("PR", "NLH"), ("UI", "NR"), ("S", "UC"), ("C", "NLH"), ("I", "NLH"), ("A", "NLH")
    ))  # fmt: skip
    return f"CVSS:3.1/{v}"


def nvd_file(draw: random.Random) -> bytes:
    items = [
        {"cve": {"id": f"CVE-2025-{i}", "descriptions": [{"lang": "en", "value": "x" * 400}], "metrics": {
            "cvssMetricV31": [{"source": "nvd", "type": "Primary", "cvssData": {"vectorString": vector(draw)}}]}}}
        for i in range(NVD_CVES)
    ]  # fmt: skip
    said = {"format": "NVD_CVE", "version": "2.0", "timestamp": "2026-11-26T00:00:00.000", "vulnerabilities": items}
    return gzip.compress(json.dumps(said).encode())


def read_nvd(packed: bytes) -> int:
    severity.scored.cache_clear()  # a server meets each file with none of its vectors known
    return len(severity.cvss(importers.unpacked(packed, "n"), "n").rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", default="")
    parser.parse_args()
    draw = random.Random(7)
    rows, unit_s = shipped(), cpu_s(shipped)
    epss, nvd = epss_file(draw), nvd_file(draw)
    entries = [Exposed(r.cve, False, {r.source}, {}, {r.source: r.date}, {"ep_1": FindingState.FIXABLE}) for r in rows]
    cves = [r.cve for r in rows]
    known = Known(
        {}, {c: Epss(c, draw.random() ** 8, 0.5) for c in cves},
        {c: Severity(c, "v", "3.1", round(draw.random() * 10, 1)) for c in cves}, TODAY, number(TODAY) * DAY_MS,
    )  # fmt: skip
    oldest = {r.source: (number(TODAY) - 40) * DAY_MS for r in rows}
    work: tuple[tuple[str, Callable[[], object]], ...] = (
        (f"read EPSS, {EPSS_ROWS:,} rows", lambda: scores.epss(importers.unpacked(epss, "e"), "e")),
        (f"read NVD, {NVD_CVES:,} CVEs", lambda: read_nvd(nvd)),
        (f"rank {len(entries):,} open CVEs", lambda: ranked(entries, known, {"ep_1"}, oldest)),
    )
    table: list[tuple[str, Any, str]] = [
        ("parse the shipped advisories, CPU-s", unit_s, f"{len(rows):,} rows: the unit")
    ]
    for name, job in work:
        spent = cpu_s(job)
        table.append((name, spent, f"{spent / unit_s:.1f} units"))
    report(table, sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
