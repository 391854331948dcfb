"""What it costs to weigh new content before it is live: CPU-seconds for a fleet, beside reading the content itself.

Seeded fleets whose endpoints have 600 packages each, of the sources that the shipped advisories speak of, at versions
that have fixes ahead; a few images (most fleets) or as many as endpoints (the worst case for the index). Three contents
are weighed: the same rows, one whose fixes moved (losses), one with a tenth more (additions). The unit is parsing
the shipped content once, in the same run. `--endpoints N --json FILE`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from pyroaring import BitMap

from bench._proc import report
from brakeline.advisories import importers, seed
from brakeline.advisories.model import Advisory
from brakeline.exposure.flips import Bound, Flips, changes, flips, verdict
from brakeline.exposure.index import Key
from brakeline.exposure.match import Book
from brakeline.exposure.model import Role, Unit

PACKAGES = 600
IMAGES = (1, 20)
IMAGES_MAX = 1000


def shipped() -> list[Advisory]:
    """The rows that come with the product."""
    entry = next(e for e in seed.manifest() if e.kind == "advisories")
    data = importers.unpacked(seed.read(entry), entry.file)
    return importers.advisories(data, entry.file, ecosystem=entry.ecosystem).advisories


def fleet(rows: list[Advisory], endpoints: int, images: int, draw: random.Random) -> dict[Key, BitMap]:
    """unit -> endpoints: each image has units of sources that rows speak of, each a fix or some behind."""
    sources: dict[str, list[str]] = {}
    for row in rows:
        if row.fixed:
            sources.setdefault(row.source, []).append(row.fixed)
    holders: dict[Key, BitMap] = {}
    for image in range(images):
        mine = BitMap(range(image, endpoints, images))
        for source in draw.choices(sorted(sources), k=PACKAGES):
            unit = Unit(rows[0].ecosystem, source, draw.choice(sources[source]))
            holders.setdefault((unit, Role.ACTIVE), BitMap()).update(mine)
    return holders


def cpu_s(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def weighed(rows: list[Advisory], after: list[Advisory], holders: dict[Key, BitMap]) -> tuple[float, Flips]:
    """CPU-seconds of both books and the difference, as `exposure.holding` does it; and what it came to."""
    begun = time.process_time()
    found = flips(holders, changes({unit for unit, _ in holders}, Book(rows), Book(after)))
    return time.process_time() - begun, found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=10_000)
    parser.add_argument("--json", default="")
    options = parser.parse_args()
    rows, unit_s = shipped(), min(cpu_s(shipped) for _ in range(3))
    contents = {
        "same": rows,
        "moved": [row._replace(fixed="0~") if row.fixed and i % 3 == 0 else row for i, row in enumerate(rows)],
        "more": rows + [row._replace(cve=f"{row.cve}-x") for row in rows[::10]],
    }
    table: list[tuple[str, Any, str]] = [("parsing the content, CPU-s", unit_s, f"{len(rows):,} rows: the unit")]
    for images in (*IMAGES, min(IMAGES_MAX, options.endpoints)):
        holders = fleet(rows, options.endpoints, images, random.Random(images))
        for name, after in contents.items():
            spent, found = weighed(rows, after, holders)
            hold = verdict(found, Bound(), "", 0, 0)
            share = f"-{found.lost / found.before:.0%} +{found.gained / found.before:.0%} of {found.before:,} states"
            note = f"{spent / unit_s:.1f} units; {len(holders):,} distinct; {share}: {hold.kind if hold else 'live'}"
            table.append((f"weigh {name}, {options.endpoints:,} endpoints, {images} images", spent, note))
    report(table, sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
