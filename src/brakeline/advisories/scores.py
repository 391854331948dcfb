"""Bytes of FIRST's EPSS file -> scores, checked and bounded; pure.

The file is CSV below a head line: `#model_version:v2025.03.14,score_date:2026-11-20T00:00:00Z`, then
`cve,epss,percentile`, then one CVE a line; usually gzip. Invariants: a file with one bad line is refused whole and
the line is numbered, as `importers` does it and for the same reason; what is no probability is no score.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from brakeline.advisories.importers import CVE, ROWS_MAX, BadFeed, issued_at
from brakeline.advisories.model import Epss

HEAD: Final = re.compile(r"#model_version:(v[0-9A-Za-z._-]{1,40}),score_date:([0-9T:.Z+-]{10,40})")
COLUMNS: Final = "cve,epss,percentile"
FIRST_ROW: Final = 3  # lines are counted as an editor counts them


class EpssFile(NamedTuple):
    """One day's scores. `issued`: their date, from which on they speak of 30 days."""

    model: str
    issued: str
    rows: list[Epss]


def is_epss(data: bytes) -> bool:
    """Whether these bytes begin as FIRST's file does."""
    return data.startswith(b"#model_version:")


def epss(data: bytes, name: str) -> EpssFile:
    """The scores of a file, unpacked. Raises `BadFeed`, which numbers the line that is wrong."""
    try:
        lines = data.decode("ascii").splitlines()
    except UnicodeDecodeError as e:
        line = data[: e.start].count(b"\n") + 1
        raise BadFeed(f"line {line} has bytes that no EPSS file has", file=name) from None
    head = HEAD.fullmatch(lines[0]) if lines else None
    issued = issued_at(head[2]) if head else ""
    if head is None or not issued:
        raise BadFeed("line 1 does not say model_version and score_date, so its age is not known", file=name)
    if len(lines) < FIRST_ROW or lines[1] != COLUMNS:
        raise BadFeed(f"line 2 is not {COLUMNS}, with a score below it", file=name)
    if len(lines) - FIRST_ROW + 1 > ROWS_MAX:
        raise BadFeed(f"more than {ROWS_MAX} rows", file=name, rows=len(lines))
    return EpssFile(head[1], issued, _rows(lines, name))


def _rows(lines: list[str], name: str) -> list[Epss]:
    found: dict[str, Epss] = {}
    for number, line in enumerate(lines[FIRST_ROW - 1 :], FIRST_ROW):
        cve, _, rest = line.partition(",")
        score, _, percentile = rest.partition(",")
        if not CVE.fullmatch(cve):
            raise BadFeed(f"line {number} begins with no CVE id", file=name, line=line[:60])
        if cve in found:
            raise BadFeed(f"line {number}: {cve} stands there twice", file=name)
        found[cve] = Epss(cve, _share(score, number, name), _share(percentile, number, name))
    return list(found.values())


def _share(text: str, number: int, name: str) -> float:
    try:
        value = float(text) if len(text) <= 24 and "_" not in text else -1.0
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:  # also refuses nan
        raise BadFeed(f"line {number}: a probability lies between 0 and 1", file=name, got=text[:30])
    return value
