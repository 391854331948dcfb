"""What OSV's rows cost: CPU-seconds to read four public databases, to answer questions and to match, in one run.

The unit is parsing the JSON of the same lines and doing nothing with it, so a figure says what strictness and rows cost
above that. The files are those of tests/data/osv. Questions are asked of rows in memory: PostgreSQL is not in them.
`--json FILE`.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import Any

from bench._proc import report
from bench.feeds import cpu_s
from brakeline.advisories.importers import json_lines, unpacked
from brakeline.advisories.osv.feeds import read
from brakeline.advisories.osv.model import Span
from brakeline.advisories.osv.questions import Question, page
from brakeline.core.debversion import BadVersion
from brakeline.exposure.match import Book
from brakeline.exposure.model import Unit

DATA = Path(__file__).resolve().parents[1] / "tests" / "data" / "osv"
FEEDS = ("osv-almalinux", "osv-go", "osv-pypi", "rustsec")
QUESTIONS = 2_000


def by_package(rows: list[Span]) -> dict[tuple[str, str], list[Span]]:
    """As the table gives them: of one package, by id."""
    found: dict[tuple[str, str], list[Span]] = {}
    for row in sorted(rows, key=lambda r: (r.id, r.ecosystem, r.part)):
        found.setdefault((row.ecosystem, row.name), []).append(row)
    return found


def matching(feed: str, spans: list[Span]) -> list[tuple[str, Any, str]]:
    """A book of them, one unit a package at the version of its first fix; then the feed with one correction: all units
    again, with what was worked out kept and without."""
    fixes = {(s.ecosystem, s.name): s.fixed for s in reversed(spans)}
    units = [Unit(e, n, fixed or "1.0") for (e, n), fixed in fixes.items()]
    changed = [spans[0]._replace(fixed=spans[0].fixed + "1"), *spans[1:]]

    def ask(book: Book) -> Book:
        for unit in units:
            with contextlib.suppress(BadVersion):
                book.open_rows(unit)
        return book

    def again(kept: bool) -> None:
        book = Book((), spans=changed)
        if kept:
            book.keep(known)
        ask(book)

    known = ask(Book((), spans=spans))
    making, whole = cpu_s(lambda: Book((), spans=spans)), cpu_s(lambda: ask(Book((), spans=spans)))
    anew, kept = cpu_s(lambda: again(False)), cpu_s(lambda: again(True))
    return [
        (f"{feed}: a book, CPU-s", making, "packages become rows when somebody has them"),
        (f"{feed}: a unit never asked before, CPU-ms", (whole - making) / len(units) * 1000, f"{len(units):,} units"),
        (f"{feed}: all units after one correction, CPU-s", kept, f"{anew / kept:.1f} x less than anew"),
    ]


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
        table += matching(feed, said.spans)
    report(table, sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
