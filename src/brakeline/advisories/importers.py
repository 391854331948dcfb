"""Bytes of a feed -> rows, checked and bounded; pure, so that the same code serves the server and `exposure assess`.

Invariants: standard library only, except that a `.zst` needs the `zstandard` library, imported when met (the
command line starts with these modules: each import is paid by every run). A feed with one bad row is refused whole
(`BadFeed` names the row): half a feed would look like calm. Callers keep the last good content.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from brakeline.advisories.ecosystems import SYSTEMS, Key, canonical, key_of, name_of, order_of
from brakeline.advisories.model import DEBIAN_12, Advisory, AdvisoryState, KnownExploited
from brakeline.advisories.texts import encodable
from brakeline.core.debversion import BadVersion
from brakeline.core.errors import Invalid

FEED_BYTES_MAX = 512 * 1024 * 1024  # decompressed; today's largest public feed, all of OSV Debian, is below 200 MB
ROWS_MAX = 2_000_000
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
GZIP_MAGIC = b"\x1f\x8b"
BZIP2_MAGIC = b"BZh"
XZ_MAGIC = b"\xfd7zXZ\x00"
XZ_MEMORY_MAX = 128 * 1024 * 1024  # what the largest preset asks of whoever unpacks is half of it
CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{1,19}")
DAY = re.compile(r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]")
ISSUED = re.compile(r"([12][0-9]{3}-[01][0-9]-[0-3][0-9])T([0-2][0-9]:[0-5][0-9]:[0-5][0-9])[0-9.]*(Z|\+00:?00|)")
MARK = b"\xef\xbb\xbf"  # of UTF-8, which editors and PowerShell write first
_CHUNK, _PIECE = 1 << 20, 1 << 16
_PADDING = re.compile(rb"\0*")  # of xz, between members and behind the last
_STATES = frozenset(state.value for state in AdvisoryState)


class Rows(NamedTuple):
    """Advisories, and of which ecosystem:release the file speaks at all (also where it leaves no row)."""

    advisories: list[Advisory]
    ecosystems: frozenset[str]


class BadFeed(Invalid):
    """This is no advisory data that Brakeline can read; the last good content stays."""

    code = "bad-feed"


def unpacked(data: bytes, name: str, limit: int = FEED_BYTES_MAX) -> bytes:
    """`data`, decompressed if it is zstandard, gzip, bzip2 or xz; never more than `limit` bytes are filled. A mark of
    UTF-8 before a text is taken away."""
    return _unpacked(data, name, limit).removeprefix(MARK)


def _unpacked(data: bytes, name: str, limit: int) -> bytes:
    if data.startswith((GZIP_MAGIC, BZIP2_MAGIC, XZ_MAGIC)):
        return _unfolded(data, name, limit)
    if not data.startswith(ZSTD_MAGIC):
        if len(data) > limit:
            raise BadFeed(f"more than {limit} bytes", file=name)
        return data
    import zstandard

    out, size = [], 0
    try:
        for piece in zstandard.ZstdDecompressor().read_to_iter(data, write_size=_CHUNK):
            size += len(piece)
            if size > limit:
                raise BadFeed(f"more than {limit} bytes when unpacked", file=name)
            out.append(piece)
    except zstandard.ZstdError as e:
        raise BadFeed("the compressed file is damaged", file=name, error=str(e)[:80]) from None
    return b"".join(out)


def _unfolded(data: bytes, name: str, limit: int) -> bytes:
    """The same of gzip, bzip2 and xz, whose files may have several members. Read in pieces: what a member leaves of its
    piece is copied, and a file of a million empty members would be copied a million times."""
    import bz2
    import lzma
    import zlib

    out, at = bytearray(), 0
    try:
        while at < len(data):
            machine: Any = (
                zlib.decompressobj(wbits=31) if data.startswith(GZIP_MAGIC)
                else bz2.BZ2Decompressor() if data.startswith(BZIP2_MAGIC)
                else lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_MAX)
            )  # fmt: skip
            while at < len(data) and not machine.eof:
                piece = data[at : at + _PIECE]
                out += machine.decompress(piece, limit + 1 - len(out))
                at += len(piece)
                if len(out) > limit:
                    raise BadFeed(f"more than {limit} bytes when unpacked", file=name)
            if not machine.eof:
                raise BadFeed("the compressed file ends too soon", file=name)
            at = _PADDING.match(data, at - len(machine.unused_data)).end()  # type: ignore[union-attr]
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as e:
        raise BadFeed("the compressed file is damaged", file=name, error=str(e)[:80]) from None
    return bytes(out)


def json_lines(data: bytes, name: str) -> list[dict[str, Any]]:
    """Objects of a file with one JSON object a line. One parse for all lines: three times as fast as one a line."""
    lines = [line for line in data.split(b"\n") if line.strip()]
    if not lines:
        return []
    try:
        rows = json.loads(b"[" + b"\n,".join(lines) + b"]")
        if len(rows) == len(lines) and set(map(type, rows)) == {dict}:
            return rows  # type: ignore[no-any-return]
    except (ValueError, RecursionError):
        pass  # found below, with its line
    for number, line in enumerate(lines, 1):
        try:
            if type(json.loads(line)) is not dict:
                raise ValueError("not an object")
        except (ValueError, RecursionError) as e:
            raise BadFeed(f"line {number} is not one JSON object", file=name, error=str(e)[:80]) from None
    raise BadFeed("lines do not stand for themselves", file=name)


def is_kev(data: bytes) -> bool:
    """Whether these are the bytes of CISA's catalogue (one JSON document) and not advisory rows (lines)."""
    return b'"vulnerabilities"' in data[:4096]


def advisories(data: bytes, name: str, wanted: Mapping[str, Any] | None = None, ecosystem: str = DEBIAN_12) -> Rows:
    """What a file of advisory lines says. `ecosystem` ("debian:12") is that of rows which name none.

    `wanted` (source package -> key of its oldest installed version, in the order of `ecosystem`) leaves out what
    cannot stand open: rows of other sources, and rows whose fix is not above that version; with None for the key all
    rows of the source stay. For one inventory these are four rows of five.
    """
    rows = json_lines(data, name)
    if not rows or len(rows) > ROWS_MAX:
        raise BadFeed(f"expected 1 to {ROWS_MAX} rows", file=name, rows=len(rows))
    covered = frozenset(row.get("ecosystem", ecosystem) for row in rows)
    return Rows(list(_rows(rows, name, wanted, ecosystem)), covered)


_SHORT = ("source", "cve", "fixed", "date", "urgency", "dist")
_short = itemgetter(*_SHORT)


def _rows(
    rows: Iterable[dict[str, Any]], name: str, wanted: Mapping[str, Any] | None, ecosystem: str
) -> Iterator[Advisory]:
    key = key_of(ecosystem) if order_of(ecosystem) in SYSTEMS else None  # there names have one spelling
    for number, row in enumerate(rows, 1):
        try:
            if wanted is not None:
                if key is not None and "ecosystem" not in row and "id" not in row:  # nearly all rows there are
                    source, fixed = row["source"], row["fixed"]
                    if source not in wanted:
                        continue
                    oldest = wanted[source]
                    if oldest is not None and fixed and key(fixed) <= oldest:
                        continue
                elif not _stands(row, wanted, ecosystem):
                    continue
            yield _advisory(row, ecosystem)
        except (KeyError, TypeError, ValueError, AttributeError, BadVersion) as e:
            raise BadFeed(f"row {number} misses or garbles a field", file=name, error=str(e)[:120]) from None


def _stands(row: dict[str, Any], wanted: Mapping[str, Any], ecosystem: str) -> bool:
    """Whether a row may stand open for something that is wanted, by its name alone: of an advisory's several builds
    one closes the others, so the matcher must see them all."""
    return name_of(canonical(row.get("ecosystem", ecosystem)), row["source"]) in wanted


def _key(ecosystem: str) -> Key:
    made = key_of(ecosystem)
    if made is None:
        raise ValueError(f"how {ecosystem[:40]} orders its versions is not known")
    return made


def _advisory(row: dict[str, Any], ecosystem: str) -> Advisory:
    if len(row) == len(_SHORT):  # the short form, which nearly all rows of changelogs have
        try:
            source, cve, fixed, date, urgency, dist = texts = _short(row)
            if "".join(texts) and source and cve and fixed and _key(ecosystem)(fixed):
                return Advisory(source, cve, fixed, date, urgency, dist, "", ecosystem)
        except KeyError:
            pass  # six other fields
    return _long(row, ecosystem)


def _long(row: dict[str, Any], ecosystem: str) -> Advisory:
    get = row.get
    source, cve, fixed, state = row["source"], row["cve"], row["fixed"], get("state", "fixed")
    texts = (
        source, cve, fixed, get("date", ""), get("urgency", ""), get("dist", ""),
        get("introduced", ""), get("ecosystem", ecosystem), state, get("id", ""),
    )  # fmt: skip
    more = (get("last_affected", ""), get("module", ""), get("reason", ""))
    "".join(more)
    "".join(texts)  # the cheapest proof that all are text: TypeError if not
    if not source or not cve or (state == "fixed" and not fixed):
        raise ValueError("source and cve are needed, and in state fixed the version with the fix")
    if state not in _STATES:
        raise ValueError(f"unknown state {state}")
    _check_ends(_key(texts[7]), texts[6], fixed, more[0])
    return Advisory(*texts, tuple(map(str, row["aliases"])) if "aliases" in row else (), *more)


def _check_ends(key: Key, introduced: str, fixed: str, last_affected: str) -> None:
    if fixed and last_affected:
        raise ValueError("an interval ends with fixed or with last_affected, not with both")
    first = key(introduced) if introduced else None
    if fixed and not (key(fixed) and (first is None or first < key(fixed))):
        raise ValueError("introduced is not before fixed")
    if last_affected and first is not None and key(last_affected) < first:
        raise ValueError("last_affected is before introduced")
    if last_affected:
        key(last_affected)


class Catalogue(NamedTuple):
    """CISA's catalogue: its version, when it was issued ("" = it does not say), its entries."""

    version: str
    issued: str
    entries: list[KnownExploited]


def known_exploited(data: bytes, name: str) -> Catalogue:
    """The Known Exploited Vulnerabilities catalogue. Raises `BadFeed`, which numbers the entry that is wrong."""
    try:
        document = json.loads(data)
        listed, version = document["vulnerabilities"], encodable(str(document["catalogVersion"])[:100], "its version")
        issued = issued_at(str(document.get("dateReleased", "")))
        claimed = document.get("count", len(listed))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as e:
        raise BadFeed("this is not CISA's catalogue", file=name, error=repr(e)[:80]) from None
    if type(listed) is not list or not 0 < len(listed) <= ROWS_MAX or len(listed) != claimed:
        raise BadFeed("the catalogue is not complete", file=name, entries=len(listed), claimed=str(claimed)[:20])
    return Catalogue(version, issued, _exploited(listed, name))


def issued_at(text: str) -> str:
    """A time of UTC as `2026-11-20T09:30:00Z`; "" for anything else."""
    found = ISSUED.fullmatch(text)
    return f"{found[1]}T{found[2]}Z" if found else ""


def _exploited(listed: list[Any], name: str) -> list[KnownExploited]:
    found: dict[str, KnownExploited] = {}
    for number, entry in enumerate(listed, 1):
        try:
            one = _entry(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            raise BadFeed(f"entry {number} misses or garbles a field", file=name, error=str(e)[:120]) from None
        if one.cve in found:
            raise BadFeed(f"entry {number} stands there twice", file=name, cve=one.cve)
        found[one.cve] = one
    return list(found.values())


def _entry(entry: dict[str, Any]) -> KnownExploited:
    get = entry.get
    cve, added, due = entry["cveID"], entry["dateAdded"], entry["dueDate"]
    texts = (get("vendorProject", ""), get("product", ""), get("vulnerabilityName", ""))
    encodable("".join(texts), "an entry")  # TypeError if one is no text
    if not CVE.fullmatch(cve):
        raise ValueError(f"no CVE id: {cve[:40]}")
    if not DAY.fullmatch(added) or not DAY.fullmatch(due):
        raise ValueError("dateAdded and dueDate are days such as 2026-11-20")
    return KnownExploited(cve, added, due, *texts, get("knownRansomwareCampaignUse") == "Known")
