"""A layer of an image: a tar, plain or compressed, gone through once for a few small files. Bounded.

Written for what may come: whatever a header claims, nothing is kept beyond a bound, and a layer that unpacks to more
than is looked at ends with a reason. Compression other than gzip is told, not guessed.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Final

from brakeline.agent.software.model import Unreadable

BLOCK: Final = 512
FILE_BYTES_MAX: Final = 32 * 1024 * 1024  # the status of a large system has 5 MB
LAYER_BYTES_MAX: Final = 2 * 1024 * 1024 * 1024  # unpacked
ENTRIES_MAX: Final = 400_000
_LONG: Final = 64 * 1024
_SKIP: Final = 1024 * 1024
_PLAIN: Final = (b"0", b"\0", b"")
Stream = IO[bytes] | gzip.GzipFile


@dataclass(slots=True)
class Layer:
    """What was found in one layer: files by path, and paths that it takes away from those below it."""

    files: dict[str, bytes] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)  # a path; with "/" at the end, everything below it


def read(file: IO[bytes], wanted: Callable[[str], bool]) -> Layer:
    """The wanted files of a layer. Raises `Unreadable`."""
    head = file.read(4)
    file.seek(0)
    if head[:4] == b"\x28\xb5\x2f\xfd":
        raise Unreadable("it is compressed by zstd, which is not read here")
    try:
        if head[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _through(unpacked, wanted)
        return _through(file, wanted)
    except (OSError, EOFError, zlib.error) as e:
        raise Unreadable(f"it is damaged ({str(e)[:60]})") from None


def _through(stream: Stream, wanted: Callable[[str], bool]) -> Layer:
    layer, total, long = Layer(), 0, ""
    for _ in range(ENTRIES_MAX):
        header = stream.read(BLOCK)
        if len(header) < BLOCK or not header.strip(b"\0"):
            return layer
        size, kind = _number(header[124:136]), header[156:157]
        name = long or _name(header)
        total += size
        if total > LAYER_BYTES_MAX:
            raise Unreadable(f"it has more than {LAYER_BYTES_MAX >> 30} GiB")
        if kind in (b"L", b"x"):
            data = _data(stream, size, _LONG)
            long = data.rstrip(b"\0").decode("utf-8", "replace") if kind == b"L" else _pax(data)
            continue
        long = ""
        path = name.removeprefix("./").lstrip("/")
        _whiteout(layer, path)
        if kind in _PLAIN and wanted(path):
            layer.files[path] = _data(stream, size, FILE_BYTES_MAX)
        else:
            _skip(stream, _padded(size))
    raise Unreadable(f"it has more than {ENTRIES_MAX} entries")


def _whiteout(layer: Layer, path: str) -> None:
    """How a layer says that something below it is gone."""
    directory, _, name = path.rpartition("/")
    if name == ".wh..wh..opq":
        layer.gone.add(f"{directory}/")
    elif name.startswith(".wh."):
        gone = f"{directory}/{name[4:]}".lstrip("/")
        layer.gone |= {gone, f"{gone}/"}


def _data(stream: Stream, size: int, most: int) -> bytes:
    if size > most:
        raise Unreadable(f"a file in it has {size} bytes")
    data = stream.read(size)
    if len(data) < size:
        raise Unreadable("it ends in the middle of a file")
    _skip(stream, _padded(size) - size)
    return data


def _skip(stream: Stream, size: int) -> None:
    while size > 0:
        got = len(stream.read(min(size, _SKIP)))
        if not got:
            raise Unreadable("it ends in the middle of a file")
        size -= got


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _number(field_: bytes) -> int:
    if field_[0] & 0x80:  # larger than octal digits can say: in base 256
        return int.from_bytes(field_[1:], "big")
    try:
        return int(field_.strip(b" \0") or b"0", 8)
    except ValueError:
        raise Unreadable("it is no tar archive") from None


def _name(header: bytes) -> str:
    name = header[:100].partition(b"\0")[0]
    if header[257:262] == b"ustar" and (prefix := header[345:500].partition(b"\0")[0]):
        name = prefix + b"/" + name
    return name.decode("utf-8", "replace")


def _pax(data: bytes) -> str:
    """The path of an extended header, "" = it says none."""
    for line in data.split(b"\n"):
        _, _, pair = line.partition(b" ")
        if pair.startswith(b"path="):
            return pair[5:].decode("utf-8", "replace")
    return ""
