"""Changelogs of packages -> rows of what they fixed: the offline fallback for which any apt mirror suffices. Pure.

Rule: a changelog is walked from its newest entry to its oldest, keeping the lowest version seen so far; a CVE that an
entry names is fixed from that lowest version on. The version of the entry alone would accuse `~deb12uN` rebuilds, which
sort below the entry that they carry. What this cannot know: what is still open, what was fixed without being named,
what never was affected; and an entry that names a CVE only to say that it is not fixed reads as a fix. Every answer
that rests on it says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from brakeline.core.debversion import BadVersion, deb_key
from brakeline.core.errors import Invalid

CHANGELOG_BYTES_MAX: Final = 32 * 1024 * 1024  # the kernel's has 6 MB
ENTRIES_MAX: Final = 100_000
HEAD: Final = re.compile(
    r"([a-z0-9][a-z0-9+.-]{0,99}) \(([^()\s]{1,200})\)((?: [A-Za-z0-9.+~/_-]{1,60}){1,20});(.{0,200})"
)
URGENCY: Final = re.compile(r"urgency\s*=\s*([a-z]{1,20})", re.IGNORECASE)
TRAILER: Final = re.compile(r" -- .{1,300}?>  ?(.{10,60})")
CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")


class NoChangelog(Invalid):
    """This is no Debian changelog."""

    code = "no-changelog"


class Entry(NamedTuple):
    """One upload, as its maker describes it. `date`: ISO day, "" = it cannot be read."""

    source: str
    version: str
    dist: str
    urgency: str
    date: str
    cves: tuple[str, ...]


class Row(NamedTuple):
    """A CVE of a source, and from which version on it is fixed."""

    source: str
    cve: str
    fixed: str
    date: str
    urgency: str
    dist: str


def entries(data: bytes) -> list[Entry]:
    """Every upload, newest first. Raises `NoChangelog`. What is no UTF-8 is read as Latin-1, as old ones are."""
    if len(data) > CHANGELOG_BYTES_MAX:
        raise NoChangelog(f"more than {CHANGELOG_BYTES_MAX} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    found: list[Entry] = []
    for line in text.split("\n"):
        if head := HEAD.fullmatch(line.rstrip()):
            urgency = URGENCY.search(head[4])
            dist = head[3].split()[0]
            found.append(Entry(head[1], head[2], dist, urgency[1].lower() if urgency else "", "", ()))
            if len(found) > ENTRIES_MAX:
                raise NoChangelog(f"more than {ENTRIES_MAX} entries")
        elif found:
            found[-1] = _with(found[-1], line)
    if not found:
        raise NoChangelog("no line of it begins an entry")
    return found


def _with(entry: Entry, line: str) -> Entry:
    if cves := CVE.findall(line):
        return entry._replace(cves=tuple(dict.fromkeys((*entry.cves, *cves))))
    if not entry.date and (trailer := TRAILER.fullmatch(line.rstrip())):
        return entry._replace(date=_day(trailer[1]))
    return entry


def _day(text: str) -> str:
    try:
        return parsedate_to_datetime(text.strip()).date().isoformat()
    except (ValueError, TypeError, OverflowError, IndexError):
        return ""


def rows(said: Iterable[Entry]) -> list[Row]:
    """What a changelog fixed, by CVE; `said` is newest first. Versions that are none are passed over."""
    lowest: tuple[bytes, str] | None = None
    found: dict[str, Row] = {}
    for entry in said:
        try:
            key = deb_key(entry.version)
        except BadVersion:
            continue
        if lowest is None or key < lowest[0]:
            lowest = key, entry.version
        for cve in entry.cves:
            found[cve] = Row(entry.source, cve, lowest[1], entry.date, entry.urgency, entry.dist)
    return [found[cve] for cve in sorted(found)]


def merged(said: Iterable[Row]) -> list[Row]:
    """Rows of several changelogs of one source: of each CVE the lowest version with the fix."""
    found: dict[tuple[str, str], Row] = {}
    for row in said:
        known = found.get((row.source, row.cve))
        if known is None or deb_key(row.fixed) < deb_key(known.fixed):
            found[row.source, row.cve] = row
    return [found[name] for name in sorted(found)]


def lines(said: Iterable[Row]) -> Iterator[str]:
    """The file that `brakeline content import changelogs-ECOSYSTEM` takes."""
    for row in said:
        yield json.dumps(row._asdict(), separators=(",", ":"))


def row_of(said: Any) -> Row:
    """One line of such a file, checked. Raises `ValueError` or `BadVersion`."""
    if type(said) is not dict or set(said) != set(Row._fields) or {type(v) for v in said.values()} != {str}:
        raise ValueError(f"a line has the texts {', '.join(Row._fields)} and nothing else")
    row = Row(**said)
    if not CVE.fullmatch(row.cve) or not re.fullmatch(r"[a-z0-9][a-z0-9+.-]{0,99}", row.source):
        raise ValueError(f"no CVE or no source: {row.cve[:40]!r}, {row.source[:40]!r}")
    deb_key(row.fixed)
    if row.date and not re.fullmatch(r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]", row.date):
        raise ValueError(f"no day: {row.date[:40]!r}")
    return row
