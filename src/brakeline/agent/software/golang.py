"""Go: the build information that every Go program carries, as `debug/buildinfo` documents it. Bounded, read only."""

from __future__ import annotations

import struct
from typing import IO, Final

from brakeline.agent.software import elf
from brakeline.agent.software.model import FOUND_PER_FILE_MAX, Found, Told, Unreadable, found

SECTION: Final = ".go.buildinfo"
MAGIC: Final = b"\xff Go buildinf:"
_INLINE, _BIG_ENDIAN = 2, 1
_SENTINEL: Final = 16  # bytes of a mark before and after the list of modules
UNTOLD: Final = "a Go program that was built without modules: what it was linked with cannot be told, only its Go"
_DEVELOPMENT: Final = ("(devel)", "")


def read(file: IO[bytes], program: elf.Elf, where: str) -> Told:
    """The main module, its dependencies as they were linked, and Go's own library. Raises `Unreadable`."""
    section = program.sections[SECTION]
    head = elf.some(file, section.offset, min(section.size, 64))
    if head[:14] != MAGIC or len(head) < 32:
        raise Unreadable("its build information is none")
    if head[15] & _INLINE:
        data = elf.content(file, section)
        version, at = _text(data, 32)
        modules, _ = _text(data, at)
    else:
        version, modules = (_pointed(file, program, head, at) for at in (16, 16 + head[14]))
    items = _found(version.decode("utf-8", "replace"), modules, where)
    return Told(items, untold="" if b"\nmod\t" in modules or b"\ndep\t" in modules else UNTOLD)


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    """A text after its length, which is written in groups of seven bits; and where it ends."""
    length = shift = 0
    while True:
        if at >= len(data) or shift > 28:
            raise Unreadable("its build information ends too early")
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    if at + length > len(data):
        raise Unreadable("its build information ends too early")
    return data[at : at + length], at + length


def _pointed(file: IO[bytes], program: elf.Elf, head: bytes, at: int) -> bytes:
    """Programs of Go before 1.18 have the address of a text's address and length."""
    size, order = head[14], ">" if head[15] & _BIG_ENDIAN else "<"
    if size not in (4, 8):
        raise Unreadable("its build information is none")
    letter = "Q" if size == 8 else "L"
    try:
        (where,) = struct.unpack_from(order + letter, head, at)
        start, length = struct.unpack(f"{order}{letter}{letter}", elf.some(file, program.at(where), 2 * size))
    except struct.error:
        raise Unreadable("its build information ends too early") from None
    return elf.some(file, program.at(start), length) if length else b""


def _found(version: str, modules: bytes, where: str) -> tuple[Found, ...]:
    items = (
        [found("golang", "stdlib", version.split()[0].removeprefix("go"), where)] if version.startswith("go") else []
    )
    text = modules[_SENTINEL:-_SENTINEL] if len(modules) > 2 * _SENTINEL else b""
    last: tuple[str, str] | None = None
    for line in text.decode("utf-8", "replace").splitlines():
        word, *rest = line.split("\t")
        if word == "=>" and len(rest) > 1:
            last = (rest[0], rest[1])  # it was replaced: this is what was linked
            continue
        if last is not None:
            items += _module(*last, where)
            last = None
        if word in ("mod", "dep") and len(rest) > 1:
            last = (rest[0], rest[1])
        if len(items) > FOUND_PER_FILE_MAX:
            raise Unreadable(f"it names more than {FOUND_PER_FILE_MAX} modules")
    return (*items, *(_module(*last, where) if last is not None else ()))


def _module(path: str, version: str, where: str) -> tuple[Found, ...]:
    """() for the program's own module without a version: "(devel)" can be compared with nothing."""
    return () if version in _DEVELOPMENT else (found("golang", path, version, where),)
