"""What a file of each kind says: the one table from kinds to parsers. Reads open files, each up to its bound."""

from __future__ import annotations

from typing import IO, Final

from brakeline.agent.software import elf, golang, java, kinds, node, python, ruby, rust
from brakeline.agent.software.model import Found, Unreadable, shown

TEXT_BYTES_MAX: Final = 512 * 1024
Answer = tuple[tuple[Found, ...], tuple[str, ...]]  # what it says, and what of it could not be read


def read(kind: str, file: IO[bytes], path: str) -> Answer:
    """The software that a file tells of, and gaps. Raises `Unreadable`."""
    where = shown(place_of(kind, path))
    match kind:
        case kinds.PYTHON:
            return (python.read(file.read(python.HEAD_BYTES_MAX) or b"", where),), ()
        case kinds.NODE:
            return node.read(_text(file), where), ()
        case kinds.RUBY:
            return (ruby.read(_text(file), where),), ()
        case kinds.JAVA:
            return java.read(file, where)
        case kinds.CARGO:
            return rust.installed(_text(file), where), ()
        case kinds.PROGRAM:
            return _program(file, where)
        case _:
            return (), ()


def place_of(kind: str, path: str) -> str:
    """Where the software lies: the directory of an environment, of a package; a program or archive is its own place."""
    above = path.rpartition("/")[0]
    match kind:
        case kinds.PYTHON:
            return above if path.endswith(".egg-info") else above.rpartition("/")[0]
        case kinds.RUBY:
            return above.rpartition("/")[0]
        case kinds.NODE | kinds.CARGO:
            return above
        case _:
            return path


def _text(file: IO[bytes]) -> bytes:
    """All of a small file."""
    data = file.read(TEXT_BYTES_MAX + 1) or b""
    if len(data) > TEXT_BYTES_MAX:
        raise Unreadable(f"it is larger than {TEXT_BYTES_MAX} bytes")
    return data


def _program(file: IO[bytes], where: str) -> Answer:
    """A program of Go or Rust; of any other nothing can be told, and nothing is expected."""
    program = elf.read(file)
    if program is None:
        return (), ()
    if golang.SECTION in program.sections:
        return golang.read(file, program, where), ()
    if rust.SECTION in program.sections:
        return rust.read(file, program, where), ()
    return (), (f"{where}: {rust.UNTOLD}",) if rust.is_untold(file, program) else ()
