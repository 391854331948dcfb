"""A vendor's apt repository: the index `Packages`. Of each name and architecture the newest. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from brakeline.catalog.discovery.model import ITEMS_MAX, BadListing, Found, Missing, checked
from brakeline.core.debversion import BadVersion, deb_key

PIECE = 64 * 1024
WANTED = ("Package", "Version", "Architecture", "Filename", "Size", "SHA256")


def read(data: bytes, name: str = "", wanted: str = "") -> Iterator[Found | Missing]:
    """Of every package in it, or of one name, the newest for each architecture, or the version that is `wanted`."""
    best: dict[tuple[str, str], tuple[bytes, dict[str, str]]] = {}
    broken: dict[str, Missing] = {}
    for number, fields in enumerate(_paragraphs(data)):
        if number >= ITEMS_MAX:
            raise BadListing(f"more than {ITEMS_MAX} packages")
        called, version = fields.get("Package", ""), fields.get("Version", "")
        if not called:
            raise BadListing(f"paragraph {number + 1} names no package: this is no index Packages")
        if (name and called != name) or wanted not in ("", version):
            continue
        try:
            key = deb_key(version)
        except BadVersion:
            broken[called] = Missing(called, f"its version {version[:40]!r} is none")
            continue
        place = (called, fields.get("Architecture", ""))
        if place not in best or key > best[place][0]:
            best[place] = (key, fields)
    for (called, architecture), (_, fields) in sorted(best.items()):
        size = fields.get("Size", "")
        yield checked(
            called, fields["Version"], architecture, fields.get("Filename"), fields.get("SHA256"),
            int(size) if size.isdecimal() and len(size) < 16 else 0, relative=True,
        )  # fmt: skip
    yield from (m for called, m in sorted(broken.items()) if not any(called == n for n, _ in best))


def _lines(data: bytes) -> Iterator[str]:
    """Piece by piece: as one text of lines it takes five times its bytes."""
    begin = 0
    while begin < len(data):
        end = data.rfind(b"\n", begin, begin + PIECE) + 1 or data.find(b"\n", begin) + 1 or len(data)
        yield from data[begin:end].decode("utf-8", "replace").removesuffix("\n").split("\n")
        begin = end


def _paragraphs(data: bytes) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    for line in _lines(data):
        if not line.strip():
            if fields:
                yield fields
            fields = {}
        elif not line.startswith((" ", "\t")):
            key, colon, value = line.partition(":")
            if not colon:
                raise BadListing(f"{line[:40]!r} is no line of an index Packages")
            if key in WANTED:
                fields[key] = value.strip()
    if fields:
        yield fields
