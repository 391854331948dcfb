"""Reads changelogs out of packages and directories, bounded, for `brakeline content changelogs`. I/O of `changelogs`.

Invariants: nothing is unpacked to disk and no name in an archive is used as a path; each file is read up to its bound,
whatever its head claims; what cannot be read is skipped with a reason, never silently. A `.deb` says its changelog
below usr/share/doc, a source archive in debian/changelog.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from brakeline.advisories.changelogs import CHANGELOG_BYTES_MAX, NoChangelog, Row, entries, merged, rows

FILES_MAX: Final = 200_000
DEB_BYTES_MAX: Final = 512 * 1024 * 1024
MEMBERS_MAX: Final = 1_000_000
AR_MAGIC: Final = b"!<arch>\n"
AR_HEAD: Final = 60
NAMES: Final = ("changelog.Debian", "changelog")
UNREADABLE: Final = (OSError, EOFError, ValueError, tarfile.TarError, lzma.LZMAError, zlib.error, NoChangelog)
Skipped = list[tuple[Path, str]]


def derive(paths: Iterable[Path]) -> tuple[list[Row], Skipped]:
    """The rows of everything below `paths`, and what was skipped, each with why."""
    found: list[Row] = []
    skipped: Skipped = []
    for path in _files(paths, skipped):
        try:
            data = _changelog(path)
            if data is not None:
                found += rows(entries(data))
        except UNREADABLE as e:
            skipped.append((path, str(e)[:120] or type(e).__name__))
    return merged(found), skipped


def _files(paths: Iterable[Path], skipped: Skipped) -> Iterator[Path]:
    """Files that may have a changelog; links are not followed, so no circle is walked."""
    count = 0
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for directory, _, names in os.walk(path):
            for name in sorted(names):
                count += 1
                if count > FILES_MAX:
                    skipped.append((path, f"more than {FILES_MAX} files; the rest was not looked at"))
                    return
                if name.endswith((".deb", ".debian.tar.xz", ".debian.tar.gz")) or _plain(name):
                    yield Path(directory) / name


def _plain(name: str) -> bool:
    return name.removesuffix(".gz") in NAMES


def _changelog(path: Path) -> bytes | None:
    """The bytes of the changelog in a file; None where a package has none of Debian's."""
    if path.suffix == ".deb":
        return _of_deb(path)
    if ".tar." in path.name:
        with tarfile.open(path, mode="r|*") as archive:
            return _member(archive, lambda name: name.endswith("debian/changelog"))
    with path.open("rb") as stream:
        data = _bounded(gzip.GzipFile(fileobj=stream) if path.suffix == ".gz" else stream)
    # upstream's own file is called "changelog" where Debian's stands beside it
    return data if path.name.startswith("changelog.Debian") or not _beside(path) else None


def _beside(path: Path) -> bool:
    return any((path.parent / f"changelog.Debian{end}").exists() for end in ("", ".gz"))


def _of_deb(path: Path) -> bytes | None:
    if path.stat().st_size > DEB_BYTES_MAX:
        raise NoChangelog(f"a package of more than {DEB_BYTES_MAX} bytes")
    with path.open("rb") as stream:
        name, data = _data_member(stream)
    with _unpacking(name, data) as inner, tarfile.open(fileobj=inner, mode="r|") as archive:
        return _member(archive, _in_deb)


def _in_deb(name: str) -> bool:
    path = name.removeprefix("./").removesuffix(".gz")
    return path.startswith("usr/share/doc/") and path.endswith(("/changelog.Debian", "/changelog"))


def _data_member(stream: IO[bytes]) -> tuple[str, bytes]:
    """The packed tree of a .deb, an archive of ar(5)."""
    if stream.read(len(AR_MAGIC)) != AR_MAGIC:
        raise NoChangelog("it is no package")
    while len(head := stream.read(AR_HEAD)) == AR_HEAD:
        name, size = head[:16].decode("ascii", "replace").strip().rstrip("/"), int(head[48:58])
        if not 0 <= size <= DEB_BYTES_MAX:
            raise NoChangelog("a part of it has no possible size")
        if name.startswith("data.tar"):
            return name, stream.read(size)
        stream.seek(size + size % 2, os.SEEK_CUR)
    raise NoChangelog("it has no data.tar")


def _unpacking(name: str, data: bytes) -> IO[bytes] | gzip.GzipFile:
    packed = io.BytesIO(data)
    if name.endswith(".xz"):
        return lzma.LZMAFile(packed)
    if name.endswith(".gz"):
        return gzip.GzipFile(fileobj=packed)
    if name.endswith(".zst"):
        import zstandard

        return zstandard.ZstdDecompressor().stream_reader(packed)
    if name == "data.tar":
        return packed
    raise NoChangelog(f"it is packed in a way that is not read: {name[:20]}")


def _member(archive: tarfile.TarFile, wanted: Callable[[str], bool]) -> bytes | None:
    """The first member that is wanted, Debian's before upstream's; one pass, nothing is kept but that."""
    found: bytes | None = None
    for count, member in enumerate(archive):
        if count > MEMBERS_MAX:
            raise NoChangelog(f"more than {MEMBERS_MAX} members")
        if not (member.isfile() and wanted(member.name)):
            continue
        stream = archive.extractfile(member)
        if stream is None:
            continue
        data = _bounded(gzip.GzipFile(fileobj=stream) if member.name.endswith(".gz") else stream)
        if "changelog.Debian" in member.name or member.name.endswith("debian/changelog"):
            return data
        found = found or data
    return found


def _bounded(stream: IO[bytes] | gzip.GzipFile) -> bytes:
    data = stream.read(CHANGELOG_BYTES_MAX + 1)
    if len(data) > CHANGELOG_BYTES_MAX:
        raise NoChangelog(f"it unfolds to more than {CHANGELOG_BYTES_MAX} bytes")
    return data
