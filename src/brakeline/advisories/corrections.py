"""What a new version of a feed says otherwise than the one before: corrected ranges, withdrawn and vanished advisories.

A correction closes or opens findings, and whoever patched, or did not, by the old one wants to read both. So both are
kept: what was said and what is said, in words of intervals. New advisories are no corrections. Pure;
`store_corrections` keeps them, the newest of all feeds up to a bound.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from brakeline.advisories.model import Advisory
from brakeline.advisories.osv.model import Span

KEPT_OF_ONE: Final = 5_000  # a feed that corrects more at once is another feed
CORRECTED, WITHDRAWN, REMOVED = "corrected", "withdrawn", "removed"
NAMES_SHOWN: Final = 5


class Correction(NamedTuple):
    """One advisory (or CVE) of one package. `before` and `after` in words; `after` "" = it is no longer there."""

    ecosystem: str
    name: str
    id: str
    kind: str  # corrected | withdrawn | removed
    before: str
    after: str
    names: tuple[str, ...] = ()  # what else it was, or is, looked up by
    feed: str = ""
    at_ms: int = 0


Row = Advisory | Span
Key = tuple[str, str, str]


def corrections(old: Iterable[Row], new: Iterable[Row]) -> list[Correction]:
    """What is not as it was, by package and advisory."""
    old, new = list(old), list(new)
    before, after = _told(old), _told(new)
    found = []
    for key in sorted(before):
        was, now = before[key], after.get(key, "")
        if was != now:
            withdrawn = now.startswith(WITHDRAWN) and not was.startswith(WITHDRAWN)
            kind = REMOVED if not now else WITHDRAWN if withdrawn else CORRECTED
            found.append(Correction(*key, kind, was, now))
    wanted = {(c.ecosystem, c.name, c.id) for c in found}
    names: dict[Key, set[str]] = {}
    for row in (*old, *new):
        if wanted and (key := _key(row)) in wanted:
            names.setdefault(key, set()).update(row.aliases, row.related if isinstance(row, Span) else (row.cve,))
    return [c._replace(names=tuple(sorted(names[c.ecosystem, c.name, c.id]))) for c in found]


def _told(rows: Iterable[Row]) -> dict[Key, str]:
    parts: dict[Key, set[str]] = {}
    for row in rows:
        parts.setdefault(_key(row), set()).add(said(row))
    return {key: "; ".join(sorted(of)) for key, of in parts.items()}


def _key(row: Row) -> Key:
    if isinstance(row, Span):
        return row.ecosystem, row.name, row.id
    return row.ecosystem, row.source, row.id or row.cve


def said(row: Row) -> str:
    """One row in words: "fixed: from 1.0 below 1.2"."""
    module = f" of {row.module}" if row.module else ""
    if isinstance(row, Span) and row.versions:
        more = len(row.versions) - NAMES_SHOWN
        rest = f" and {more} more" if more > 0 else ""
        return f"{row.state}{module}: {', '.join(row.versions[:NAMES_SHOWN])}{rest}"
    ends = [f"from {row.introduced}"] if row.introduced else []
    ends += [f"below {row.fixed}"] if row.fixed else []
    ends += [f"up to {row.last_affected}"] if row.last_affected else []
    return f"{row.state}{module}: {' '.join(ends) or 'every version'}"
