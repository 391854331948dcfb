"""Rust: the list of crates that `cargo auditable` puts into a program, and what `cargo install` writes down.

A program that was built without `cargo auditable` names none of its crates. That is said, because an empty list would
look like a program without any.
"""

from __future__ import annotations

import json
import zlib
from typing import IO, Final

from brakeline.agent.software import elf
from brakeline.agent.software.model import FOUND_PER_FILE_MAX, Found, Unreadable, found

SECTION: Final = ".dep-v0"
LIST_BYTES_MAX: Final = 8 * 1024 * 1024
COMMENT_BYTES_MAX: Final = 4096
UNTOLD: Final = "a Rust program that was built without a list of its crates: which are in it cannot be told"


def read(file: IO[bytes], program: elf.Elf, where: str) -> tuple[Found, ...]:
    """The crates of a program. Raises `Unreadable`."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(elf.content(file, program.sections[SECTION]), LIST_BYTES_MAX)
        said = json.loads(data)
        rows = said["packages"]
    except (zlib.error, ValueError, KeyError, TypeError, RecursionError):
        raise Unreadable("its list of crates cannot be read") from None
    if unpacker.unconsumed_tail or not isinstance(rows, list) or len(rows) > FOUND_PER_FILE_MAX:
        raise Unreadable("its list of crates is larger than any program's")
    return tuple(_crate(row, where) for row in rows if _is_linked(row))


def _is_linked(row: object) -> bool:
    """Crates that only its build used are not in the program; those of a registry alone have advisories."""
    return isinstance(row, dict) and row.get("kind", "runtime") == "runtime" and row.get("source") == "crates.io"


def _crate(row: dict[str, object], where: str) -> Found:
    return found("crates.io", str(row.get("name", "")), str(row.get("version", "")), where)


def is_untold(file: IO[bytes], program: elf.Elf) -> bool:
    """Whether it is a Rust program without such a list, by the compiler's own remark."""
    section = program.sections.get(".comment")
    return section is not None and b"rustc version" in elf.some(
        file, section.offset, min(section.size, COMMENT_BYTES_MAX)
    )


def installed(data: bytes, where: str) -> tuple[Found, ...]:
    """`.crates2.json`: what `cargo install` has installed. Raises `Unreadable`."""
    try:
        names = list(json.loads(data)["installs"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unreadable("it is no list of installed crates") from None
    if len(names) > FOUND_PER_FILE_MAX:
        raise Unreadable("it is larger than any such list")
    items = []
    for text in names:  # "ripgrep 13.0.0 (registry+https://github.com/rust-lang/crates.io-index)"
        name, _, rest = str(text).partition(" ")
        version, _, source = rest.partition(" ")
        if "crates.io-index" in source or "index.crates.io" in source:
            items.append(found("crates.io", name, version, where))
    return tuple(items)
