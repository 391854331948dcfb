"""A published file of advisories without a feed's name -> rows; pure. For `exposure assess`, which has no server.

What a file is shows in its bytes: OSV's documents (lines, one document, `all.zip`), RustSec's, a bundle of another
cell, Debian's tracker, Alpine's secdb, OVAL of Red Hat or Ubuntu. Invariants: as strict as a feed (`BadFeed` names the
place); only packages that are wanted are kept; `ecosystems` are those that the file speaks of at all: what it says
nothing of is "no data".
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, NamedTuple

from brakeline.advisories.ecosystems import base_of
from brakeline.advisories.importers import BadFeed
from brakeline.advisories.osv import bundle, documents, feeds, rustsec, secdb, tracker
from brakeline.advisories.osv.archive import ZIP_MAGIC
from brakeline.advisories.osv.archive import documents as documents_of
from brakeline.advisories.osv.model import Span
from brakeline.advisories.vendors import oval, xmltree
from brakeline.core.debversion import BadVersion

HEAD_BYTES: Final = 4096
MARKS: Final = (b'"id"', b'"affected"', b'"modified"', b'"advisory"', b'"distroversion"', b'"releases"')


class Found(NamedTuple):
    """Rows of wanted packages, and every ecosystem[:release] that the file speaks of."""

    spans: list[Span]
    ecosystems: frozenset[str]


def is_foreign(data: bytes) -> bool:
    """Whether these are the bytes of such a file, and not rows in our own form."""
    head = data[:HEAD_BYTES].lstrip()
    if data.startswith(ZIP_MAGIC) or bundle.is_bundle(data) or xmltree.is_xml(data):
        return True
    own = b'"cve"' in head and b'"source"' in head
    return not own and any(mark in head for mark in MARKS)


def read(data: bytes, name: str, ecosystems: Collection[str], names: Collection[str]) -> Found:
    """What an unpacked file says. `ecosystems`: bases that are wanted ("pypi"), `names`: of packages."""
    spans, covered = [], set()
    for span in _spans(data, name, ecosystems):
        covered.add(span.ecosystem)
        if span.name in names:
            spans.append(span)
    return Found(spans, frozenset(covered))


def _spans(data: bytes, name: str, ecosystems: Collection[str]) -> Iterable[Span]:
    if bundle.is_bundle(data):
        feed = _feed(data, name)
        return bundle.unpack(data, feed, feeds.wanted_of(feed)).spans
    if xmltree.is_xml(data):
        return _oval(data, name)
    return _of_documents(data, name, ecosystems)


def _oval(data: bytes, name: str) -> list[Span]:
    maker = next((one for one in (oval.RED_HAT, oval.CANONICAL) if f'"{one.ids}'.encode() in data), None)
    if maker is None:
        raise BadFeed("this is XML, and no OVAL of Red Hat or Ubuntu", file=name)
    try:
        return oval.read(data, maker).rows
    except (ValueError, BadVersion, RecursionError) as e:
        raise BadFeed(str(e)[:160], file=name) from None


def _feed(data: bytes, name: str) -> str:
    try:
        feed = str(json.loads(data)["feed"])
    except (ValueError, RecursionError, KeyError, TypeError) as e:
        raise BadFeed("this is no whole bundle", file=name, error=repr(e)[:80]) from None
    if not feeds.is_feed(feed):
        raise BadFeed(f"a bundle of {feed[:40]}, which is no feed", file=name)
    return feed


def _of_documents(data: bytes, name: str, ecosystems: Collection[str]) -> Iterator[Span]:
    for place, document in documents_of(data, name):
        try:
            yield from _of_document(document, ecosystems)
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as e:
            raise BadFeed(f"{place}: {str(e)[:160]}", file=name) from None


def _of_document(document: Any, ecosystems: Collection[str]) -> Iterator[Span]:
    if "advisory" in document:
        yield from rustsec.spans(document)
    elif "affected" in document or "id" in document:
        for base in sorted(set(map(base_of, ecosystems))):
            yield from documents.spans(document, base)[0]
    elif "distroversion" in document:
        yield from secdb.spans(document, document["distroversion"], document["reponame"], "")
    else:
        yield from tracker.spans(document, "")
