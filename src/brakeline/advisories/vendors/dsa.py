"""Debian's list of its advisories (DSA, and DLA of its LTS team) -> rows of debian:NUMBER; pure.

The tracker's own file, a line for each thing: a head with day, id and packages, its CVEs in braces, then a version for
each release, and notes. Invariants: releases whose number is not known here are counted and left out (the list goes
back to 2000); a line that means nothing known raises `ValueError` with its number. An advisory without a version for a
release says nothing of it. Where one package stands under several advisories, each has a row of its own.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from brakeline.advisories.osv.model import Span
from brakeline.advisories.osv.purl import CODENAMES
from brakeline.advisories.texts import encodable
from brakeline.advisories.vendors.parts import day
from brakeline.core.debversion import BadVersion, deb_key

HEAD: Final = re.compile(r"\[([0-9]{1,2}) ([A-Z][a-z]{2}) ([12][0-9]{3})\] (D[SL]A-[0-9]{1,5}(?:-[0-9]{1,3})?)\s(.*)")
CVES: Final = re.compile(r"\{((?:CVE-[0-9]{4}-[0-9X]{1,19}|CAN-[0-9]{4}-[0-9]{4}|\s)*)\}")
FIX: Final = re.compile(
    r"\[([a-z]{2,20})\] - ([a-z0-9][a-z0-9+.-]{0,99}) (<[a-z-]{2,20}>|[^\s<>]{1,200})(?:\s+\(.{0,300}\))?"
)
NOTES: Final = re.compile(r"(?:NOTE|TODO|CHECK|FIXME):.*|\{\}|#.*")
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LINE_MAX: Final = 20_000
LINES_MAX: Final = 500_000
UNFIXED: Final = {"<unfixed>": "open", "<not-affected>": "not_affected", "<end-of-life>": "deferred",
                  "<no-dsa>": "deferred", "<ignored>": "deferred", "<postponed>": "deferred"}  # fmt: skip
END_OF_LIFE: Final = "its support in this release had ended"


class Listed(NamedTuple):
    """What a list says. `issued`: time of the newest advisory."""

    rows: list[Span]
    issued: str
    advisories: int
    elsewhere: int


def read(data: bytes, kind: str) -> Listed:
    """`kind`: DSA or DLA. Raises `ValueError`."""
    lines = encodable(data.decode("utf-8"), "the list").split("\n")
    if len(lines) > LINES_MAX:
        raise ValueError(f"more than {LINES_MAX} lines")
    rows: list[Span] = []
    head, ids, elsewhere = Span("", "", ""), set[str](), 0
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        try:
            if raw[:1] == "[":
                head = _head(line, kind)
                ids.add(head.id)
            elif line:
                head, row, others = _line(line, head)
                rows += [row] if row else []
                elsewhere += others
        except (ValueError, BadVersion) as e:
            raise ValueError(f"line {number}: {str(e)[:120]}") from None
    return Listed(rows, max((row.published for row in rows), default=""), len(ids), elsewhere)


def _head(line: str, kind: str) -> Span:
    found = HEAD.fullmatch(line[:LINE_MAX])
    if found is None or not found[4].startswith(kind) or found[2] not in MONTHS:
        raise ValueError(f"no head of a {kind}: {line[:60]!r}")
    time = f"{day(f'{found[3]}-{MONTHS.index(found[2]) + 1:02}-{int(found[1]):02}')}T00:00:00Z"
    return Span("", "", found[4], published=time, modified=time, summary=" ".join(found[5].split())[:200])


def _line(line: str, head: Span) -> tuple[Span, Span | None, int]:
    """(the advisory with what it knows now, a row, releases left out)."""
    if not head.id:
        raise ValueError(f"it belongs to no advisory: {line[:60]!r}")
    if cves := CVES.fullmatch(line[:LINE_MAX]):
        names = {name for name in cves[1].split() if name.startswith("CVE-")}
        return head._replace(aliases=tuple(sorted({*head.aliases, *names}))), None, 0
    if NOTES.fullmatch(line[:LINE_MAX]):
        return head, None, 0
    fix = FIX.fullmatch(line[:LINE_MAX])
    if fix is None:
        raise ValueError(f"nothing known: {line[:60]!r}")
    if fix[1] not in CODENAMES:
        return head, None, 1
    return head, _row(head._replace(ecosystem=f"debian:{CODENAMES[fix[1]]}", name=fix[2]), fix[3]), 0


def _row(row: Span, fixed: str) -> Span:
    if fixed.startswith("<"):
        if fixed not in UNFIXED:
            raise ValueError(f"no state: {fixed}")
        return row._replace(state=UNFIXED[fixed], reason=END_OF_LIFE if fixed == "<end-of-life>" else "")
    deb_key(fixed)
    return row._replace(fixed=fixed)
