"""The signed packages that this endpoint holds: those of its content, and those that root has kept from it.

A file that is no package, or one of another system, is not there for anybody; what was wrong is told by `health`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cmp_to_key
from pathlib import Path
from typing import Final

from brakeline.agent.providers.apt.plan import is_older
from brakeline.core.errors import Fault
from brakeline.protocol.software import DOCUMENT_BYTES_MAX, FOLDER, PAYLOADS, Document, read
from brakeline.protocol.software_rules import problem

FILES_MAX: Final = 500
PLATFORM: Final = "windows" if sys.platform == "win32" else "linux"


@dataclass(frozen=True, slots=True)
class Shelf:
    """Packages of one directory, with `software/` and `payloads/` in it."""

    directory: Path
    documents: tuple[Document, ...] = ()
    problems: tuple[str, ...] = ()

    def find(self, name: str, version: str) -> Document | None:
        """Exactly this one."""
        return next((d for d in self.documents if (d.software.name, d.version) == (name, version)), None)

    def newest(self) -> dict[str, Document]:
        """Of each name the newest version; of two texts under one version the first by digest, on every endpoint."""
        found: dict[str, Document] = {}
        for d in sorted(self.documents, key=cmp_to_key(_order)):
            found[d.software.name] = d
        return found

    def payload(self, document: Document) -> Path | None:
        """Where its artifact lies here, if it does; who uses it compares the digest."""
        artifact = document.software.artifact
        path = self.directory / PAYLOADS / artifact.sha256 if artifact else None
        return path if path is not None and path.is_file() else None


def _order(a: Document, b: Document) -> int:
    if a.software.name != b.software.name:
        return -1 if a.software.name < b.software.name else 1
    if is_older(a.software.version, b.software.version):
        return -1
    if is_older(b.software.version, a.software.version):
        return 1
    return -1 if a.digest > b.digest else 1


def load(directory: Path | None) -> Shelf:
    """What lies in a directory; None = there is none."""
    if directory is None:
        return Shelf(Path())
    found: list[Document] = []
    problems: list[str] = []
    for path in _files(directory / FOLDER):
        try:
            with open(path, "rb") as f:
                document = read(f.read(DOCUMENT_BYTES_MAX + 1))
            wrong = problem(document.software)
        except (OSError, Fault) as e:
            problems.append(f"{path.name}: {e}")
            continue
        if wrong or document.file != f"{FOLDER}{path.name}":
            problems.append(f"{path.name}: {wrong or 'its name is not that of what it holds'}")
        elif PLATFORM in document.software.platforms:
            found.append(document)
    return Shelf(directory, tuple(found), tuple(problems))


def _files(folder: Path) -> Iterator[Path]:
    try:
        names: Iterable[str] = sorted(os.listdir(folder))[:FILES_MAX]
    except FileNotFoundError:
        return
    for name in names:
        if name.endswith(".json"):
            yield folder / name
