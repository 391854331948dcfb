"""Which feed brings what of the vendors, and its bytes -> rows; the entrance that `osv.feeds` asks. Pure.

Invariants: a feed named after a vendor speaks of that vendor's ecosystem alone; whatever is wrong is a `BadFeed` with
its place; what no release here is meant by is counted in `Said.elsewhere`, and a file of which nothing is left is
refused, because it would look like calm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from brakeline.advisories import changelogs
from brakeline.advisories.ecosystems import canonical
from brakeline.advisories.importers import DAY, BadFeed, json_lines
from brakeline.advisories.osv.archive import Named
from brakeline.advisories.osv.archive import documents as documents_of
from brakeline.advisories.osv.model import SPANS_MAX, Said, Span
from brakeline.advisories.vendors import apple, arch, csaf, cvrf, dsa, msrc, oval, releases, usn, xmltree
from brakeline.advisories.vendors.products import Tree
from brakeline.core.debversion import BadVersion

CSAF_BYTES_MAX: Final = 96 * 1024 * 1024  # one document; the kernel's largest are about 40 MB
SUSE: Final = "https://www.suse.com"
CHANGELOGS: Final = re.compile(r"changelogs-(debian|ubuntu)-([0-9]{1,2}(?:\.[0-9]{2})?)")
REASONS_SHOWN: Final = 8  # of why rows are left out
PART: Final = "(-[a-z0-9][a-z0-9._-]{0,30})?"  # a vendor's documents may come in several files: csaf-redhat-2025


Reader = Callable[[str, bytes, str], Said]


@dataclass(frozen=True, slots=True)
class Feed:
    """`base`: the ecosystem that it speaks of; `dayless`: whoever brings it says of which day it is."""

    name: re.Pattern[str]
    base: str
    limits: str
    read: Reader
    dayless: bool = False
    said: str = ""  # how people are told its name


def find(feed: str) -> Feed | None:
    """The feed of this name, if it is one of a vendor."""
    return next((each for each in FEEDS if each.name.fullmatch(feed)), None)


def numbered(rows: Iterable[Span]) -> list[Span]:
    """Rows in order, those of one package in one advisory counted."""
    found: list[Span] = []
    parts: dict[tuple[str, str, str], int] = {}
    for row in sorted(rows):
        name = (row.ecosystem, row.name, row.id)
        part = parts[name] = parts.get(name, -1) + 1
        found.append(row._replace(part=part))
    return found


def said(feed: str, rows: Iterable[Span], issued: str, documents: int, elsewhere: int) -> Said:
    """The rows of a whole file. Raises `BadFeed` for one without any, or with too many."""
    found = numbered(rows)
    if not 0 < len(found) <= SPANS_MAX:
        why = f"expected 1 to {SPANS_MAX} rows" if found else "it says nothing of a release that is assessed here"
        raise BadFeed(why, file=feed, rows=len(found), documents=documents, elsewhere=elsewhere)
    return Said(found, issued, documents, elsewhere)


def each(feed: str, found: Iterable[Named], one: Callable[[Any], Any]) -> Iterator[tuple[str, Any]]:
    """`one` of every document; what it raises becomes a `BadFeed` with the place."""
    for place, document in found:
        try:
            yield place, one(document)
        except (ValueError, BadVersion, RecursionError) as e:
            raise BadFeed(f"{place}: {str(e)[:160]}", file=feed) from None


def _csaf(vendor: csaf.Vendor, one: Callable[[Any, csaf.Vendor], csaf.Document] = csaf.read) -> Reader:
    def read(feed: str, data: bytes, _: str) -> Said:
        rows: dict[tuple[str, ...], Span] = {}
        ids: dict[str, csaf.Document] = {}
        issued, elsewhere = "", 0
        for place, document in each(
            feed, documents_of(data, feed, document_max=CSAF_BYTES_MAX), lambda it: one(it, vendor)
        ):
            if ids.setdefault(document.id, document) != document:
                raise BadFeed(f"{place}: {document.id} stands there twice, and not the same", file=feed)
            issued, elsewhere = max(issued, document.modified), elsewhere + document.elsewhere
            for row in document.rows:
                csaf.add(rows, row)
            if len(rows) > SPANS_MAX:
                raise BadFeed(f"more than {SPANS_MAX} rows", file=feed)
        return said(feed, rows.values(), issued, len(ids), elsewhere)

    return read


def _usn(feed: str, data: bytes, _: str) -> Said:
    rows: dict[tuple[str, ...], Span] = {}
    ids: dict[str, list[Span]] = {}
    count, elsewhere = 0, 0
    for place, found in each(feed, documents_of(data, feed), lambda it: list(usn.notices(it))):
        for notice, others in found:
            count, elsewhere = count + 1, elsewhere + others
            if notice and ids.setdefault(notice[0].id, notice) != notice:
                raise BadFeed(f"{place}: {notice[0].id} stands there twice, and not the same", file=feed)
            for row in notice:
                csaf.add(rows, row)
    issued = max((row.modified for row in rows.values()), default="")
    return said(feed, rows.values(), issued, count, elsewhere)


def _oval(maker: oval.Maker) -> Reader:
    def read(feed: str, data: bytes, _: str) -> Said:
        ((_, found),) = each(feed, [("the file", data)], lambda it: oval.read(it, maker))
        rows: dict[tuple[str, ...], Span] = {}
        for row in found.rows:
            csaf.add(rows, row)
        whole = said(feed, rows.values(), found.issued, found.definitions, sum(found.left_out.values()))
        return whole._replace(because=because(found.left_out))

    return read


def because(left_out: Mapping[str, int]) -> tuple[str, ...]:
    """What was left out by its reason, the most frequent first."""
    told = sorted(left_out.items(), key=lambda reason: (-reason[1], reason[0]))
    return tuple(f"{count:,}: {why}" for why, count in told[:REASONS_SHOWN])


def _arch(feed: str, data: bytes, day: str) -> Said:
    at, ids, count = at_of(feed, day), set[str](), 0
    rows: dict[tuple[str, ...], Span] = {}
    for place, found in each(feed, documents_of(data, feed), lambda it: list(arch.group(it, at))):
        count += 1
        if found[0].id in ids:
            raise BadFeed(f"{place}: {found[0].id} stands there twice", file=feed)
        ids.add(found[0].id)
        for row in found:
            csaf.add(rows, row)
    return said(feed, rows.values(), at, count, 0)


def _dsa(feed: str, data: bytes, _: str) -> Said:
    try:
        found = dsa.read(data, feed.removeprefix("debian-").upper())
    except ValueError as e:  # UnicodeDecodeError is one
        raise BadFeed(str(e)[:160], file=feed) from None
    rows: dict[tuple[str, ...], Span] = {}
    for row in found.rows:
        csaf.add(rows, row)
    return said(feed, rows.values(), found.issued, found.advisories, found.elsewhere)


def _msrc(feed: str, data: bytes, _: str) -> Said:
    rows: dict[tuple[str, ...], Span] = {}
    months: dict[str, msrc.Month] = {}
    found = [("the file", data)] if xmltree.is_xml(data) else documents_of(data, feed, document_max=CSAF_BYTES_MAX)
    for place, month in each(feed, found, lambda it: msrc.read(cvrf.document(it) if type(it) is bytes else it)):
        if months.setdefault(month.id, month) != month:
            raise BadFeed(f"{place}: {month.id} stands there twice, and not the same", file=feed)
        for row in month.rows:
            csaf.add(rows, row)
    issued = max((month.issued for month in months.values()), default="")
    elsewhere = sum(month.elsewhere for month in months.values())
    return said(feed, rows.values(), issued, len(months), elsewhere)


def _apple(feed: str, data: bytes, _: str) -> Said:
    found = [document for _, document in each(feed, documents_of(data, feed), apple.read)]
    if len(found) != 1:
        raise BadFeed("expected one document", file=feed, documents=len(found))
    return said(feed, found[0].rows, found[0].issued, found[0].releases, 0)


def _changelogs(feed: str, data: bytes, _: str) -> Said:
    named = CHANGELOGS.fullmatch(feed)
    ecosystem = canonical(f"{named[1]}:{named[2]}") if named else ""
    found = ((f"line {number}", line) for number, line in enumerate(json_lines(data, feed), 1))
    rows: dict[tuple[str, ...], Span] = {}
    count = 0
    for place, row in each(feed, found, changelogs.row_of):
        at = f"{row.date}T00:00:00Z" if row.date else ""
        span = Span(ecosystem, row.source, row.cve, fixed=row.fixed, published=at, modified=at)
        if rows.setdefault((row.source, row.cve), span) is not span:
            raise BadFeed(f"{place}: {row.cve} of {row.source} stands there twice", file=feed)
        count += 1
    issued = max((row.modified for row in rows.values()), default="")
    return said(feed, rows.values(), issued, count, 0)


def at_of(feed: str, day: str) -> str:
    """The time of a file that does not say its own. Raises `BadFeed`."""
    if not DAY.fullmatch(day):
        raise BadFeed("its makers do not say when it was issued; say of which day it is: --day 2026-11-20", file=feed)
    return f"{day}T00:00:00Z"


FEEDS: Final[tuple[Feed, ...]] = (
    Feed(
        re.compile(f"csaf-redhat{PART}"), "rhel",
        "{feed} of {day} knows the ordinary streams of Red Hat Enterprise Linux; extended ones (EUS, AUS, TUS, E4S, "
        "ELS) and containers are left out, so what they fixed stays open.",
        _csaf(csaf.Vendor("Red Hat", "https://www.redhat.com", lambda it: Tree(it, releases.red_hat))),
        said="csaf-redhat",
    ),
    Feed(
        re.compile(f"csaf-suse{PART}"), "suse",
        "{feed} of {day} knows SUSE Linux Enterprise by service pack; Micro, live patches and real time are left out.",
        _csaf(csaf.Vendor("SUSE", SUSE, lambda it: Tree(it, releases.suse))), said="csaf-suse",
    ),
    Feed(
        re.compile(f"csaf-opensuse{PART}"), "opensuse", "{feed} of {day} knows openSUSE Leap and Tumbleweed alone.",
        _csaf(csaf.Vendor("SUSE", SUSE, lambda it: Tree(it, releases.opensuse))), said="csaf-opensuse",
    ),
    Feed(
        re.compile(f"ubuntu-usn{PART}"), "ubuntu",
        "{feed} of {day} knows what Ubuntu has fixed by a notice: nothing that is open; for that import osv-ubuntu.",
        _usn, said="ubuntu-usn",
    ),
    Feed(
        re.compile(f"oval-redhat{PART}"), "rhel",
        "{feed} of {day} knows packages by their own names, in the ordinary streams of Red Hat Enterprise Linux; for "
        "why something is not affected import csaf-redhat.",
        _oval(oval.RED_HAT), said="oval-redhat",
    ),
    Feed(
        re.compile(f"oval-ubuntu{PART}"), "ubuntu",
        "{feed} of {day} knows what its definitions name the source of; kernels are compared there by uname, so for "
        "them import osv-ubuntu.",
        _oval(oval.CANONICAL), said="oval-ubuntu",
    ),
    Feed(
        re.compile(f"csaf-microsoft{PART}"), msrc.ECOSYSTEM,
        "{feed} of {day} knows builds and KBs, and not which KB takes the place of which: for that import msrc, too.",
        _csaf(csaf.Vendor("Microsoft", "https://msrc.microsoft.com", msrc.tree), msrc.of_csaf), said="csaf-microsoft",
    ),
    Feed(
        re.compile(f"msrc{PART}"), "microsoft",
        "{feed} of {day} knows the months of Microsoft that are loaded: a KB of another month closes nothing here; a "
        "Windows with an agent is matched by its build, a recorded one by build and KBs (brakeline sbom import, "
        "brakeline content windows); .NET Framework, Office and other programs are not.",
        _msrc, said="msrc",
    ),
    Feed(
        re.compile("apple-macos"), "macos",
        "{feed} of {day} knows what releases of macOS have fixed, as Mac Admins (SOFA) read it in Apple's pages; a "
        "recorded Mac is matched with it by its version, its programs are not.",
        _apple, said="apple-macos",
    ),
    Feed(
        re.compile("arch-security"), "arch", "{feed} of {day} knows what Arch Linux's tracker had by then.", _arch,
        dayless=True, said="arch-security",
    ),
    Feed(
        re.compile("debian-(dsa|dla)"), "debian",
        "{feed} of {day} knows what Debian has fixed by an advisory: nothing that is open; for that import "
        "debian-tracker.",
        _dsa, said="debian-dsa, debian-dla",
    ),
    *(
        Feed(
            re.compile(f"changelogs-{name}-[0-9]{{1,2}}(\\.[0-9]{{2}})?"), name,
            "{feed} of {day} knows fixes that the changelogs name: nothing that is open, was fixed without a word, or "
            "never was affected.",
            _changelogs, said=f"changelogs-{name}-RELEASE",
        )
        for name in ("debian", "ubuntu")
    ),
)  # fmt: skip
