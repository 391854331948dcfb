"""A file of OSV documents -> the documents: one, a list, one a line, or `all.zip`; bounded before it is unfolded.

Invariants: nothing is written to disk and no name in an archive is used as a path; every entry is read up to its bound
whatever its head claims, and so is their sum; what is encrypted, doubled, no JSON or not UTF-8 refuses the file. All
that is wrong is a `BadFeed` that names its place. Go's `vulndb.zip` has indexes beside its documents: they are left
alone.
"""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from brakeline.advisories.importers import FEED_BYTES_MAX, BadFeed, json_lines
from brakeline.advisories.osv.model import DOCUMENTS_MAX

ZIP_MAGIC: Final = b"PK\x03\x04"
TAR_MAGIC: Final = (257, b"ustar")  # where it stands
DOCUMENT_BYTES_MAX: Final = 8 * 1024 * 1024  # a kernel advisory with all its versions has about 1 MB
INDEXES: Final = "index/"  # of vulndb.zip: lists of modules and times, no advisories
PACKINGS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
DAMAGED: Final = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError,
    OSError, ValueError, OverflowError, tarfile.TarError,
)  # fmt: skip
Named = tuple[str, Any]  # where it stands, the document
Parse = Callable[[str], Any]


def documents(
    data: bytes, name: str, limit: int = FEED_BYTES_MAX, document_max: int = DOCUMENT_BYTES_MAX
) -> Iterator[Named]:
    """Every document of unpacked bytes or of an archive (zip, tar), with its place. Raises `BadFeed`."""
    if data.startswith(ZIP_MAGIC):
        yield from zipped(data, name, ".json", json.loads, limit, document_max)
        return
    if data[TAR_MAGIC[0] : TAR_MAGIC[0] + len(TAR_MAGIC[1])] == TAR_MAGIC[1]:
        yield from tarred(data, name, ".json", json.loads, document_max)
        return
    found = _listed(data)
    if found is None:
        found = json_lines(data, name)
    if not 0 < len(found) <= DOCUMENTS_MAX:
        raise BadFeed(f"expected 1 to {DOCUMENTS_MAX} documents", file=name, documents=len(found))
    for number, document in enumerate(found, 1):
        yield f"document {number}", document


def _listed(data: bytes) -> list[Any] | None:
    """Of a file that is one document or one list of them; None for lines."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return said if type(said) is list else [said]


def zipped(
    data: bytes, name: str, suffix: str, parse: Parse, limit: int = FEED_BYTES_MAX,
    document_max: int = DOCUMENT_BYTES_MAX,
) -> Iterator[Named]:  # fmt: skip
    """Every entry of an archive whose name ends so, parsed. Raises `BadFeed`."""
    left, names = limit, set[str]()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if not 0 < len(entries) <= DOCUMENTS_MAX:
                raise BadFeed(f"expected 1 to {DOCUMENTS_MAX} documents", file=name, documents=len(entries))
            for entry in entries:
                place = f"entry {entry.filename[:80]!r}"
                if entry.filename in names or entry.compress_type not in PACKINGS:
                    raise BadFeed(f"{place} stands there twice, or is packed in a way that is not read", file=name)
                names.add(entry.filename)
                if entry.filename.endswith(suffix) and not entry.filename.startswith(INDEXES):
                    text = _entry(archive, entry, min(left, document_max), name)
                    left -= len(text)
                    yield place, _parsed(text, parse, place, name)
    except DAMAGED as e:
        raise BadFeed("the archive is damaged or encrypted", file=name, error=str(e)[:80]) from None


def tarred(
    data: bytes, name: str, suffix: str, parse: Parse, document_max: int = DOCUMENT_BYTES_MAX
) -> Iterator[Named]:
    """The same of a tar archive that is unpacked already, so its size is bounded. Raises `BadFeed`."""
    names = set[str]()
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for entry in archive:
                place = f"entry {entry.name[:80]!r}"
                if entry.name in names or len(names) > DOCUMENTS_MAX:
                    raise BadFeed(f"{place} stands there twice, or there are over {DOCUMENTS_MAX}", file=name)
                names.add(entry.name)
                if entry.isfile() and entry.name.endswith(suffix):
                    stream = archive.extractfile(entry)
                    text = stream.read(document_max + 1) if stream else b""
                    if len(text) > document_max:
                        raise BadFeed(f"{place} has more than {document_max} bytes", file=name)
                    yield place, _parsed(text, parse, place, name)
    except DAMAGED as e:
        raise BadFeed("the archive is damaged", file=name, error=str(e)[:80]) from None


def _entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int, name: str) -> bytes:
    with archive.open(entry) as stream:
        text = stream.read(limit + 1)
    if len(text) > limit:
        raise BadFeed(f"entry {entry.filename[:80]!r} unfolds to more than {limit} bytes", file=name)
    return text


def _parsed(text: bytes, parse: Parse, place: str, name: str) -> Any:
    try:
        return parse(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as e:
        raise BadFeed(f"{place} cannot be read", file=name, error=str(e)[:80]) from None
