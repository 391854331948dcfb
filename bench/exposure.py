"""The inverted index of exposure at scale: CPU-seconds and bytes, each fleet in a process of its own.

The fleet is `bench._estate`'s (real names, versions, days and advisories). In memory: matching every distinct unit, a
full assessment of the fleet, every CVE's endpoints and states, one new advisory, one inventory delta, the snapshot.
With PostgreSQL (`bench._kept`, real, durable settings): opening from rows and from the snapshot, an advisory from its
acceptance to the commit of what it did and to a subscriber of the bus. Times are CPU of the thread that works, because
the machine is shared; those through PostgreSQL are both. Peers are `bench.exposure_peers`.
`--endpoints N` (100,000), `--growth N,N,...`, `--plot FILE.svg` (and FILE-memory.svg beside it), `--json FILE`,
`--memory-only`. Each size is a line of JSON on stderr as soon as it is measured; `--points FILE` draws such lines.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench import _estate
from bench._plot import chart
from bench._proc import pss_mib, python, report
from brakeline.advisories.model import Advisory
from brakeline.exposure.across import exposed
from brakeline.exposure.index import TenantIndex
from brakeline.exposure.match import Book
from brakeline.exposure.memo import Memo
from brakeline.exposure.reach import affected, reach
from brakeline.exposure.snapshot import freeze, packed, unpacked
from brakeline.exposure.tallies import findings, weights

ADVISORIES, DELTAS, LOOPS = 4000, 20_000, 5
ONCE_FROM = 100_000  # endpoints: beyond it what takes seconds is measured once, so that a million take minutes
GROWTH = "1000,3000,10000,30000,100000"


def cpu_s(work: Callable[[], object], times: int = LOOPS) -> float:
    """The least CPU-seconds of some runs."""
    spent = []
    for _ in range(times):
        begun = time.thread_time()
        work()
        spent.append(time.thread_time() - begun)
    return min(spent)


def again_s(index: TenantIndex, book: Book, rows: Sequence[Advisory]) -> dict[str, float]:
    """Every CVE once more after one new advisory, with what is remembered by name; equal to asking every name."""
    memo, spent = Memo(), []
    memo.entries(index, book)
    names = sorted({name[:2] for name in index.orders})
    for number in range(LOOPS):
        ecosystem, source = names[number * 97 % len(names)]
        rows = [*rows, Advisory(source, f"CVE-2031-{number}", "99:0-1", "2031-01-01", ecosystem=ecosystem)]
        newer = Book(rows, frozenset())
        newer.keep(book)
        book, begun = newer, time.thread_time()
        found = memo.entries(index, book)
        spent.append(time.thread_time() - begun)
    assert found == exposed(index, book), "what is remembered is what asking every name says"
    return {"again": min(spent), "asked": memo.asked}


def percentiles(spent: Sequence[float]) -> dict[str, float]:
    ordered = sorted(spent)
    return {"p50": ordered[len(ordered) // 2], "p99": ordered[int(len(ordered) * 0.99)], "max": ordered[-1]}


def advisory_times(index: TenantIndex, book: Book, draw: np.random.Generator) -> dict[str, Any]:
    """One advisory after another, as if each were new: whom it concerns, and who can patch it at once."""
    rows = [row for name in sorted({name[:2] for name in index.orders}) for row in book.rows_of(*name)]
    chosen = [rows[i] for i in draw.choice(len(rows), min(ADVISORIES, len(rows)), replace=False)]
    found: dict[str, list[float]] = {"affected": [], "patchable": []}
    most = 0
    for row in chosen:
        begun = time.thread_time()
        most = max(most, len(affected(index, [row])))
        between = time.thread_time()
        reach(index, [row])
        found["affected"].append(between - begun)
        found["patchable"].append(time.thread_time() - between)
    return {name: percentiles(spent) for name, spent in found.items()} | {"rows": len(chosen), "most": most}


def delta_s(index: TenantIndex, weight: Any, draw: np.random.Generator) -> float:
    """CPU-seconds of one delta: a package of an endpoint is updated, its bitmaps and its endpoint's sum follow."""
    order = {name: [one for _, one in line] for name, line in index.orders.items()}
    wanted = []
    sums = findings(index.keys, weight)
    for number in draw.integers(0, len(index.keys.rows), DELTAS).tolist():
        row = np.frombuffer(index.keys.rows[number], np.uint32)
        one = int(row[draw.integers(0, len(row))])
        unit, role = index.keys.values[one]
        line = order[unit.ecosystem, unit.source, role, unit.found]
        if len(line) > 1 and not np.isin(line, row).sum() > 1:
            wanted.append((number, one, line[(line.index(one) + 1) % len(line)]))
    begun = time.thread_time()
    for number, gone, come in wanted:
        index.keys.exchange(number, gone, come)
        sums[number] += weight[come] - weight[gone]
    spent = time.thread_time() - begun
    for number, gone, come in reversed(wanted):
        index.keys.exchange(number, come, gone)
    return spent / len(wanted)


def in_memory(endpoints: int) -> dict[str, Any]:
    """Everything that needs no database, for one fleet."""
    draw = np.random.default_rng(11)
    rows = _estate.advisories()
    units, made, newest = _estate.estates(rows)
    begun = time.process_time()
    index = _estate.index_for(endpoints, units, made, newest, 7)
    drawn = time.process_time() - begun
    book = _estate.book_of(rows)
    again = again_s(index, book, list(rows))
    del rows, made
    gc.collect()
    weight = weights(index, book)
    pairs = sum(len(book.rows_of(*name[:2])) * len(line) for name, line in index.orders.items())
    seconds = {
        "match": cpu_s(lambda: weights(index, book)),
        "full": cpu_s(lambda: findings(index.keys, weights(index, book))),
        "every": cpu_s(lambda: exposed(index, book), 2 if endpoints <= ONCE_FROM else 1),
    }
    found = {
        "endpoints": endpoints, "rows": int(sum(map(len, index.keys.maps))), "units": sum(map(bool, index.keys.maps)),
        "advisory rows": sum(len(book.rows_of(*name)) for name in {n[:2] for n in index.orders}),
        "findings": int(findings(index.keys, weight).sum()), "pairs": pairs, "drawn and built": drawn,
        "bytes": index.keys.size(), "bytes offers": index.offers.size(),
        "bytes rows": sum(len(row) for kind in (index.keys, index.offers) for row in kind.rows),
        "pss": pss_mib([os.getpid()]), **seconds,
        **again, "advisory": advisory_times(index, book, draw), "delta": delta_s(index, weight, draw),
    }  # fmt: skip
    frozen = freeze(index)
    data = packed(frozen, "te_1", "rules", 1)
    found |= {
        "snapshot write": cpu_s(lambda: packed(frozen, "te_1", "rules", 1), 1), "snapshot bytes": len(data),
        "snapshot load": cpu_s(lambda: unpacked(data, "te_1", "rules"), 2 if endpoints <= ONCE_FROM else 1),
    }  # fmt: skip
    loaded = unpacked(data, "te_1", "rules")[0]
    assert loaded.keys.maps == [held for held in index.keys.maps if held], "a snapshot gives back what it was made of"
    return found | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def child(*arguments: str) -> dict[str, Any]:
    """One part in a process of its own, so that its memory is its own."""
    done = subprocess.run([python(), "-m", *arguments], stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=100_000)
    parser.add_argument("--growth", default=GROWTH)
    parser.add_argument("--plot", default="")
    parser.add_argument("--json", default="")
    parser.add_argument("--points", default="")
    parser.add_argument("--memory-only", action="store_true")
    parser.add_argument("--part", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(in_memory(options.part)))
        return 0
    if options.points:
        with open(options.points, encoding="utf-8") as file:
            points = [json.loads(line.partition(": ")[2]) for line in file if " endpoints: {" in line]
        write_plot(options.plot, points)
        report(growth_lines(points), sys.argv)
        return 0
    sizes = [int(n) for n in options.growth.split(",") if n]
    made = {}
    for n in sorted({*sizes, options.endpoints}):
        made[n] = child("bench.exposure", "--part", str(n))
        print(f"{n:,} endpoints: {json.dumps(made[n])}", file=sys.stderr, flush=True)
    main_one = made[options.endpoints]
    table = lines_of(main_one)
    if not options.memory_only:
        table += kept_lines(child("bench._kept", str(options.endpoints)))
    table += growth_lines([made[n] for n in sizes])
    if options.plot and sizes:
        write_plot(options.plot, [made[n] for n in sizes])
    report(table, sys.argv)
    return 0


def lines_of(m: dict[str, Any]) -> list[tuple[str, Any, str]]:
    a, ms = m["advisory"], 1000.0
    return [
        ("endpoints", m["endpoints"], f"{m['rows']:,} rows (endpoint, unit), {m['units']:,} distinct units"),
        ("open findings", m["findings"], f"(endpoint, unit, row), of {m['advisory rows']:,} rows"),
        ("drawing and building, CPU-s", m["drawn and built"], "the fleet, its bitmaps and its orders"),
        ("index, MB", m["bytes"] / 1e6, f"{m['bytes'] * 8 / m['rows']:.2f} bits a row; budget 40"),
        ("index of offers, MB", m["bytes offers"] / 1e6, "what each endpoint's repositories have newer"),
        ("process, MiB", m["pss"], "proportional, rows and advisories included; budget 1,500"),
        ("match every unit, CPU-ms", m["match"] * ms, f"{m['pairs'] / m['match'] / 1e6:.0f} M unit x row a second"),
        ("full assessment, CPU-s", m["full"], f"{m['rows'] / m['full'] / 1e6:.0f} M rows a second; budget 0.3"),
        ("every CVE by endpoint and state, CPU-s", m["every"], "what the list of vulnerabilities is made of"),
        ("the same after one new advisory, CPU-s", m["again"], f"{m['every'] / m['again']:.1f} x less, by name"),
        ("an advisory, p50, CPU-ms", a["affected"]["p50"] * ms, f"row -> exact endpoints, {a['rows']:,} advisories"),
        ("an advisory, p99, CPU-ms", a["affected"]["p99"] * ms, "budget 1"),
        ("an advisory, worst, CPU-ms", a["affected"]["max"] * ms, f"up to {a['most']:,} endpoints"),
        ("and who can patch it, p99, CPU-ms", a["patchable"]["p99"] * ms, "affected, carrying, patchable"),
        ("deltas a CPU-second", round(1 / m["delta"]), "one package: bitmaps, row, sum; budget 100,000"),
        ("snapshot, MB", m["snapshot bytes"] / 1e6, "bitmaps, rows, names, checksum"),
        ("snapshot write, CPU-s", m["snapshot write"], "in a thread, from bitmaps that are copied on write"),
        ("snapshot load, CPU-s", m["snapshot load"], "checksum proven, every value read"),
    ]  # fmt: skip


def kept_lines(k: dict[str, Any]) -> list[tuple[str, Any, str]]:
    return [
        ("rebuild from PostgreSQL, CPU-s", k["rebuild"], f"{k['rebuild'] / k['open']:.1f} x by snapshot"),
        ("open by snapshot, CPU-s", k["open"], "loaded, and compared with the database's rows"),
        ("advisory -> committed, p50, ms", k["committed"]["p50"] * 1000, f"{k['commits']} advisories, clock"),
        ("advisory -> committed, p99, ms", k["committed"]["p99"] * 1000, "budget 50"),
        ("any commit of one row, p50, ms", k["bare"]["p50"] * 1000, f"between them; p99 {k['bare']['p99'] * 1000:.0f}"),
        ("advisory -> a subscriber's line, p99, ms", k["told"]["p99"] * 1000, "through NOTIFY; budget 1,000"),
        ("a feed accepted -> all told, CPU-s", k["feed"], "rows read anew, difference by name, arrivals committed"),
        ("figures that did not move, CPU-s", k["same"], f"{k['endpoints'] - k['moved']:,} endpoints' rows marked"),
        ("figures counted anew, CPU-ms each", k["count"] * 1000, f"{k['moved']:,} endpoints; committed, 50 at a time"),
        ("the list of vulnerabilities then, CPU-s", k["page"], f"first to look; {k['whole'] / k['page']:.1f} x less"),
        ("the same with nothing remembered, CPU-s", k["whole"], "ranks and states of the whole fleet"),
    ]  # fmt: skip


def growth_lines(points: list[dict[str, Any]]) -> list[tuple[str, Any, str]]:
    found: list[tuple[str, Any, str]] = []
    for m in points:
        note = (f"index {m['bytes'] / 1e6:.2f} MB, rows {m['bytes rows'] / 1e6:.1f} MB, "
                f"process {m['pss']:.0f} MiB, advisory p99 "
                f"{m['advisory']['affected']['p99'] * 1e6:.0f} us, every CVE {m['every']:.2f} s, snapshot load "
                f"{m['snapshot load']:.3f} s; at most {m.get('peak', 0):.0f} MiB meanwhile")  # fmt: skip
        found.append((f"growth: {m['endpoints']:,} endpoints, full assessment, CPU-s", m["full"], note))
    return found


def write_plot(path: str, points: list[dict[str, Any]]) -> None:
    lines = {
        "full assessment, s": [(m["endpoints"], m["full"]) for m in points],
        "every CVE and state, s": [(m["endpoints"], m["every"]) for m in points],
        "snapshot load, s": [(m["endpoints"], m["snapshot load"]) for m in points],
        "one advisory, p99, s": [(m["endpoints"], m["advisory"]["affected"]["p99"]) for m in points],
    }
    memory = {
        "process": [(m["endpoints"], m["pss"]) for m in points],
        "rows, by endpoint": [(m["endpoints"], m["bytes rows"] / 2**20) for m in points],
        "bitmaps of units": [(m["endpoints"], m["bytes"] / 2**20) for m in points],
        "bitmaps of offers": [(m["endpoints"], m["bytes offers"] / 2**20) for m in points],
    }
    with open(path, "w", encoding="utf-8") as file:
        file.write(chart("The index as a fleet grows", "endpoints", "CPU-seconds", lines))
    with open(path.removesuffix(".svg") + "-memory.svg", "w", encoding="utf-8") as file:
        file.write(chart("Memory as a fleet grows", "endpoints", "MiB", memory))


if __name__ == "__main__":
    sys.exit(main())
