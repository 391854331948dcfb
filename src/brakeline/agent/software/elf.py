"""Programs in the ELF format: where a named section lies, and bytes at an address. Reads an open file, bounded."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO, Final

from brakeline.agent.software.model import Unreadable

SECTIONS_MAX: Final = 400
NAMES_BYTES_MAX: Final = 64 * 1024
SECTION_BYTES_MAX: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Section:
    address: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Elf:
    """The sections of one program, by name."""

    wide: bool  # 64 bits
    order: str  # of bytes, as `struct` says it
    sections: dict[str, Section]

    def at(self, address: int) -> int:
        """The offset in the file of an address. Raises `Unreadable`."""
        for s in self.sections.values():
            if s.address and s.address <= address < s.address + s.size:
                return address - s.address + s.offset
        raise Unreadable("an address in it leads nowhere")


def read(file: IO[bytes]) -> Elf | None:
    """None: it is no ELF program. Raises `Unreadable` for a damaged one."""
    head = _some(file, 0, 64)
    if head[:4] != b"\x7fELF" or len(head) < 64 or head[4] not in (1, 2) or head[5] not in (1, 2):
        return None
    wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
    (table,) = struct.unpack_from(f"{order}{'Q' if wide else 'L'}", head, 40 if wide else 32)
    entry, count, names = struct.unpack_from(f"{order}HHH", head, 58 if wide else 46)
    if not table or not count:
        return Elf(wide, order, {})  # stripped of its sections: what is in it cannot be told
    if count > SECTIONS_MAX or entry != (64 if wide else 40) or names >= count:
        raise Unreadable("its table of sections is none")
    rows = [_section(_some(file, table, entry * count)[i * entry : (i + 1) * entry], wide, order) for i in range(count)]
    _, strings = rows[names]
    text = _some(file, strings.offset, min(strings.size, NAMES_BYTES_MAX))
    return Elf(wide, order, {_name(text, at): section for at, section in rows})


def content(file: IO[bytes], section: Section) -> bytes:
    """The bytes of a section. Raises `Unreadable` beyond the bound."""
    if section.size > SECTION_BYTES_MAX:
        raise Unreadable(f"a section of it has {section.size} bytes")
    return _some(file, section.offset, section.size)


def some(file: IO[bytes], offset: int, size: int) -> bytes:
    """So many bytes from there on, or as many as there are."""
    if size > SECTION_BYTES_MAX:
        raise Unreadable(f"a text in it has {size} bytes")
    return _some(file, offset, size)


def _some(file: IO[bytes], offset: int, size: int) -> bytes:
    try:
        file.seek(offset)
        return file.read(size) or b""
    except (OSError, OverflowError, ValueError):
        raise Unreadable("it ends before its own table says") from None


def _section(row: bytes, wide: bool, order: str) -> tuple[int, Section]:
    try:
        if wide:
            name, _, _, address, offset, size = struct.unpack_from(f"{order}LLQQQQ", row)
        else:
            name, _, _, address, offset, size = struct.unpack_from(f"{order}LLLLLL", row)
    except struct.error:
        raise Unreadable("its table of sections ends too early") from None
    return name, Section(address, offset, size)


def _name(text: bytes, at: int) -> str:
    return text[at : text.find(b"\0", at)].decode("ascii", "replace")
