"""A vendor's rpm repository: `primary.xml`. Of each name and architecture the newest, as rpm compares. Pure.

A declaration of a document type is refused before anything is read: entities make small files large.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree

from brakeline.catalog.discovery.model import ITEMS_MAX, BadListing, Found, Missing, checked
from brakeline.core.rpmversion import rpm_key

NS: Final = "{http://linux.duke.edu/metadata/common}"
PIECE: Final = 64 * 1024
_DECLARES: Final = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def read(data: bytes, name: str = "", wanted: str = "") -> Iterator[Found | Missing]:
    """Of every package in it, or of one name, the newest for each architecture, or the version that is `wanted`."""
    if _DECLARES.search(data) or b"\0" in data:
        raise BadListing("it declares a document type, or is not UTF-8; no primary.xml does that")
    best: dict[tuple[str, str], tuple[bytes, Found | Missing]] = {}
    for package in _packages(data):
        called = package.findtext(f"{NS}name", "")[:100]
        if not called or (name and called != name):
            continue
        key, found = _one(called, package)
        if isinstance(found, Found) and wanted not in ("", found.version):
            continue
        place = (called, package.findtext(f"{NS}arch", "")[:20])
        if place not in best or key > best[place][0]:
            best[place] = (key, found)
    for _, (_, found) in sorted(best.items()):
        yield found


def _packages(data: bytes) -> Iterator[ElementTree.Element]:
    """One after another, each forgotten once it was looked at: as a whole they take ten times their text."""
    depth, count, root = 0, 0, None
    try:
        for event, element in _events(data):
            depth += 1 if event == "start" else -1
            root = element if root is None else root
            if root.tag != f"{NS}metadata" or count > ITEMS_MAX:
                raise BadListing(f"it is no primary.xml, or has more than {ITEMS_MAX} packages")
            if event == "end" and depth == 1:
                if element.tag == f"{NS}package":
                    count += 1
                    yield element
                root.clear()
    except ElementTree.ParseError as e:
        raise BadListing(f"it is no XML: {str(e)[:80]}") from None


def _events(data: bytes) -> Iterator[tuple[str, ElementTree.Element]]:
    parser: ElementTree.XMLPullParser[ElementTree.Element] = ElementTree.XMLPullParser(("start", "end"))
    for begin in range(0, len(data) + 1, PIECE):
        parser.feed(data[begin : begin + PIECE])
        if begin + PIECE > len(data):
            parser.close()
        for found in parser.read_events():
            element = found[-1]
            if isinstance(element, ElementTree.Element):  # of these two kinds always
                yield found[0], element


def _one(called: str, package: ElementTree.Element) -> tuple[bytes, Found | Missing]:
    said = package.find(f"{NS}version")
    parts = said.attrib if said is not None else {}
    version = f"{parts.get('ver', '')}-{parts.get('rel', '')}"
    version = version if parts.get("epoch", "0") == "0" else f"{parts['epoch']}:{version}"
    architecture = package.findtext(f"{NS}arch", "")[:20]
    digest = package.find(f"{NS}checksum")
    location, size = package.find(f"{NS}location"), package.find(f"{NS}size")
    kind = digest.get("type", "") if digest is not None else ""
    text = (digest.text or "") if digest is not None else ""
    packed = size.get("package", "") if size is not None else ""
    found = checked(
        called, version, architecture, location.get("href") if location is not None else None, f"{kind}:{text}",
        int(packed) if packed.isdecimal() and len(packed) < 16 else 0, relative=True,
    )  # fmt: skip
    return rpm_key(version), found
