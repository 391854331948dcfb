"""Java: what a jar, war or ear says of itself and of the jars in it. Reads an open file; nothing is unpacked to disk.

Hostile archives: the directory of the archive is looked at before anything is believed (its size, the number of its
entries), each entry is read up to a bound whatever it claims, nested jars are read to one depth. Coordinates come from
Maven's own pom.properties; a jar without one is named by its manifest, and then only if that names a group: a title
alone ("Utilities") is no name that an advisory could mean.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from typing import IO, Final

from brakeline.agent.software.model import FOUND_PER_FILE_MAX, Found, Unreadable, found

ENTRIES_MAX: Final = 65_534  # zip64 says one more
DIRECTORY_BYTES_MAX: Final = 8 * 1024 * 1024
ENTRY_BYTES_MAX: Final = 64 * 1024  # a pom.properties has 100 bytes
NESTED_BYTES_MAX: Final = 24 * 1024 * 1024
NESTED_MAX: Final = 400
NESTED_TOTAL_BYTES_MAX: Final = 200 * 1024 * 1024
_TAIL: Final = 22 + 65_535  # end of central directory, with the longest comment


def read(file: IO[bytes], where: str) -> tuple[tuple[Found, ...], tuple[str, ...]]:
    """What lies in the archive, and what of it could not be read. Raises `Unreadable` if nothing can be."""
    items: list[Found] = []
    gaps: list[str] = []
    with _opened(file) as archive:
        items += _own(archive, where)
        left = NESTED_TOTAL_BYTES_MAX
        for number, info in enumerate(i for i in archive.infolist() if i.filename.endswith(".jar")):
            inner = f"{where}!/{info.filename}"
            left -= info.file_size
            if number >= NESTED_MAX or info.file_size > NESTED_BYTES_MAX or left < 0:
                gaps.append(f"{inner}: not looked into, it is beyond what is read of one archive")
                break
            try:
                with _opened(io.BytesIO(_bytes(archive, info))) as nested:
                    items += _own(nested, inner)
            except Unreadable as e:
                gaps.append(f"{inner}: {e}")
    if len(items) > FOUND_PER_FILE_MAX:
        raise Unreadable(f"it names more than {FOUND_PER_FILE_MAX} packages")
    return tuple(items), tuple(gaps)


def _opened(file: IO[bytes]) -> zipfile.ZipFile:
    """The archive, once its end says that its directory is one that we read."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise Unreadable("it is no zip archive")
    entries, directory_bytes = struct.unpack_from("<HL", tail, at + 10)
    if entries > ENTRIES_MAX or directory_bytes > DIRECTORY_BYTES_MAX:
        raise Unreadable(f"its directory has {entries} entries or more, in {directory_bytes} bytes")
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, struct.error) as e:
        raise Unreadable(f"it is a damaged zip archive ({str(e)[:60]})") from None


def _bytes(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A nested archive, whatever size it claims to have."""
    data = _head(archive, info, NESTED_BYTES_MAX + 1)
    if len(data) > NESTED_BYTES_MAX:
        raise Unreadable(f"{info.filename[:80]!r} is larger than {NESTED_BYTES_MAX} bytes when unpacked")
    return data


def _head(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int = ENTRY_BYTES_MAX) -> bytes:
    """The begin of an entry: the manifest of a signed jar goes on with megabytes of digests."""
    try:
        with archive.open(info) as entry:
            return entry.read(most)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError, ValueError) as e:
        raise Unreadable(f"{info.filename[:80]!r} cannot be read ({str(e)[:60]})") from None
    except Exception as e:  # noqa: BLE001 - zlib.error and lzma.LZMAError have no common base that is imported here
        raise Unreadable(f"{info.filename[:80]!r} cannot be unpacked ({type(e).__name__})") from None


def _own(archive: zipfile.ZipFile, where: str) -> Iterator[Found]:
    """By Maven's coordinates, else by the manifest. A shaded jar has several coordinates."""
    poms = [i for i in archive.infolist() if _is_pom(i.filename)]
    items = [item for info in poms[:FOUND_PER_FILE_MAX] if (item := _of_pom(_head(archive, info), where))]
    if items:
        return iter(items)
    try:
        manifest = archive.getinfo("META-INF/MANIFEST.MF")
    except KeyError:
        return iter(())
    item = of_manifest(_head(archive, manifest), where)
    return iter((item,) if item else ())


def _is_pom(name: str) -> bool:
    return name.startswith("META-INF/maven/") and name.endswith("/pom.properties")


def _of_pom(data: bytes, where: str) -> Found | None:
    said = _pairs(data, "=")
    try:
        return found("maven", f"{said['groupId']}:{said['artifactId']}", said["version"], where)
    except (KeyError, Unreadable):
        return None


def of_manifest(data: bytes, where: str) -> Found | None:
    """What a manifest names completely: a group and an artefact (by the bundle's symbolic name), and a version."""
    text = data.replace(b"\r\n", b"\n").partition(b"\n\n")[0]  # what follows speaks of single files
    said = _pairs(text.replace(b"\n ", b""), ":")
    group = said.get("Implementation-Vendor-Id", "")
    name = said.get("Implementation-Title", "")
    version = said.get("Implementation-Version", "") or said.get("Bundle-Version", "")
    symbolic = said.get("Bundle-SymbolicName", "").partition(";")[0].strip()
    if not (group and name) and "." in symbolic:
        group, _, name = symbolic.rpartition(".")
    try:
        return found("maven", f"{group}:{name}", version, where) if group and name else None
    except Unreadable:
        return None


def _pairs(data: bytes, sign: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        key, between, value = line.partition(sign)
        if between and not line.startswith("#"):
            found.setdefault(key.strip(), value.strip())
    return found
