"""What OSV's rows cost: CPU-seconds to read four public databases and to answer questions, in one run.

The unit is parsing the JSON of the same lines and doing nothing with it, so a figure says what strictness and rows cost
above that. The files are those of tests/data/osv. Questions are asked of rows in memory: PostgreSQL is not in them.
`--json FILE`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from bench._proc import report
from bench.feeds import cpu_s
from brakeline.advisories.importers import json_lines, unpacked
from brakeline.advisories.osv.feeds import read
from brakeline.advisories.osv.model import Span
from brakeline.advisories.osv.questions import Question, page

DATA = Path(__file__).resolve().parents[1] / "tests" / "data" / "osv"
FEEDS = ("osv-almalinux", "osv-go", "osv-pypi", "rustsec")
QUESTIONS = 2_000


def by_package(rows: list[Span]) -> dict[tuple[str, str], list[Span]]:
    """As the table gives them: of one package, by id."""
    found: dict[tuple[str, str], list[Span]] = {}
    for row in sorted(rows, key=lambda r: (r.id, r.ecosystem, r.part)):
        found.setdefault((row.ecosystem, row.name), []).append(row)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", default="")
    parser.parse_args()
    table: list[tuple[str, Any, str]] = []
    for feed in FEEDS:
        packed = (DATA / f"{feed}.jsonl.zst").read_bytes()
        unit_s = cpu_s(lambda p=packed, f=feed: json_lines(unpacked(p, f), f))  # type: ignore[misc]
        spent = cpu_s(lambda p=packed, f=feed: read(f, p))  # type: ignore[misc]
        said = read(feed, packed)
        packages = by_package(said.spans)
        asked = [(Question(e, n, rows[0].fixed or "1.0"), rows) for (e, n), rows in packages.items()][:QUESTIONS]
        answering = cpu_s(lambda a=asked: [page(q, rows) for q, rows in a])  # type: ignore[misc]
        table.append((f"{feed}: read {len(said.spans):,} rows, CPU-s", spent, f"{spent / unit_s:.1f} x its JSON alone"))
        table.append((f"{feed}: a question, CPU-ms", answering / len(asked) * 1000, f"{len(asked):,} packages"))
    report(table, sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
