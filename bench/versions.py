"""What comparing two versions costs in each ecosystem, and one unit against its rows. `python -m bench.versions`.

    python -m bench.versions [--json FILE] [--repeat N]

*Fresh*: from two texts that were never seen. *Known*: of two texts whose keys are remembered, which is what a fleet of
few distinct versions meets (Maven's order has no keys and remembers what it parsed; Arch's remembers nothing).
CPU-microseconds per comparison, and as multiples of Debian's in the same run. *Bisected* and *asked*: one version
against 2,000 rows of a package, all from the first version on, in an order with keys (npm) and one without (Maven).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from brakeline.advisories.model import Advisory
from brakeline.advisories.versions import ORDERS
from brakeline.exposure.match import Shelf

PAIRS = 4_000
ROWS = 2_000
LOOKS = 200


def versions(ecosystem: str, draw: random.Random, count: int) -> list[str]:
    """Texts as the ecosystem writes them, all different."""

    def numbers() -> str:
        return ".".join(str(draw.randrange(10_000)) for _ in range(3))

    tail = {"deb": "-1+deb12u1", "rpm": "-1.el9", "apk": "-r1", "alpm": "-1", "maven": "-rc1"}.get(ecosystem, "")
    return list(dict.fromkeys(numbers() + tail for _ in range(count)))


def cpu_us(run: Callable[[], object], times: int) -> float:
    started = time.process_time()
    run()
    return (time.process_time() - started) * 1e6 / times


def comparisons(ecosystem: str, seed: int) -> tuple[float, float]:
    """Fresh and known, CPU-microseconds each."""
    order, texts = ORDERS[ecosystem], versions(ecosystem, random.Random(f"{ecosystem} {seed}"), 2 * PAIRS)
    pairs = list(zip(texts[::2], texts[1::2], strict=False))

    def compare() -> None:
        for a, b in pairs:
            order(a, b)

    return cpu_us(compare, len(pairs)), cpu_us(compare, len(pairs))


def looks(ecosystem: str, seed: int) -> float:
    """One version against all rows of a package, CPU-microseconds."""
    draw = random.Random(seed)
    shelf = Shelf(
        [Advisory("x", f"CVE-{n}", v, ecosystem=ecosystem) for n, v in enumerate(versions("npm", draw, ROWS))],
        ecosystem,
    )
    last = [f"9999.9999.{n}" for n in range(LOOKS)]  # nearly everything is closed: the rows are asked, few are told
    return cpu_us(lambda: [shelf.open_rows(v) for v in last], LOOKS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    found = {}
    for ecosystem in ORDERS:
        runs = [comparisons(ecosystem, seed) for seed in range(1, options.repeat + 1)]
        found[ecosystem] = {
            "fresh_us": statistics.median(r[0] for r in runs), "known_us": statistics.median(r[1] for r in runs)
        }  # fmt: skip
    debian = found["deb"]
    print(f"{'':10}{'fresh, us':>12}{'of deb':>8}{'known, us':>12}{'of deb':>8}")
    for ecosystem, figures in found.items():
        fresh, known = figures["fresh_us"], figures["known_us"]
        print(f"{ecosystem:10}{fresh:12.2f}{fresh / debian['fresh_us']:8.2f}{known:12.2f}"
              f"{known / debian['known_us']:8.2f}")  # fmt: skip
    rows = {e: statistics.median(looks(e, seed) for seed in range(options.repeat)) for e in ("npm", "maven")}
    print(f"one version against {ROWS} rows: bisected {rows['npm']:.1f} us, asked one by one {rows['maven']:.1f} us, "
          f"{rows['maven'] / rows['npm']:.0f} times")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps({"comparisons": found, "rows_us": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
