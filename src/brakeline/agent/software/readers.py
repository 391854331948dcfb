"""What a file of each kind says: the one table from kinds to parsers. Reads open files, each up to its bound."""

from __future__ import annotations

from typing import IO, Final

from brakeline.agent.software import elf, golang, images, java, kinds, node, python, ruby, rust
from brakeline.agent.software.model import Told, Unreadable, shown

TEXT_BYTES_MAX: Final = 512 * 1024


def read(kind: str, file: IO[bytes], path: str) -> Told:
    """The software that a file tells of. Raises `Unreadable`."""
    where = shown(place_of(kind, path))
    match kind:
        case kinds.PYTHON:
            return Told((python.read(file.read(python.HEAD_BYTES_MAX) or b"", where),))
        case kinds.NODE:
            return Told(node.read(_text(file), where))
        case kinds.RUBY:
            return Told((ruby.read(_text(file), where),))
        case kinds.JAVA:
            return Told(*java.read(file, where))
        case kinds.CARGO:
            return Told(rust.installed(_text(file), where))
        case kinds.IMAGE:
            return Told(*images.layout(file, where))
        case kinds.STORE:
            return Told(*images.store(file, where))
        case kinds.PROGRAM:
            return _program(file, where)
        case _:
            return Told()


def place_of(kind: str, path: str) -> str:
    """Where the software lies: the directory of an environment, of a package; a program or archive is its own place."""
    above = path.rpartition("/")[0]
    match kind:
        case kinds.PYTHON:
            return above if path.endswith(".egg-info") else above.rpartition("/")[0]
        case kinds.RUBY:
            return above.rpartition("/")[0]
        case kinds.NODE | kinds.CARGO | kinds.IMAGE | kinds.STORE:
            return above
        case _:
            return path


def _text(file: IO[bytes]) -> bytes:
    """All of a small file."""
    data = file.read(TEXT_BYTES_MAX + 1) or b""
    if len(data) > TEXT_BYTES_MAX:
        raise Unreadable(f"it is larger than {TEXT_BYTES_MAX} bytes")
    return data


def _program(file: IO[bytes], where: str) -> Told:
    """A program of Go or Rust; of any other nothing can be told, and nothing is expected."""
    program = elf.read(file)
    if program is None:
        return Told()
    if golang.SECTION in program.sections:
        return golang.read(file, program, where)
    if rust.SECTION in program.sections:
        return Told(rust.read(file, program, where))
    return Told(untold=rust.UNTOLD if rust.is_untold(file, program) else "")
