"""Builds what endpoints download: the agent as one zipapp, and the installer that pins it. Deterministic.

Invariants: only `core trust protocol agent` go in; the same source gives the same bytes (sorted names, one fixed
time, no machine path), so anybody can rebuild and compare. Beside each source lies its compiled form, made so that
it is deterministic too (marshal version 2 has no back-references); a Python with another bytecode ignores it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import marshal
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import brakeline

PARTS: Final = ("core", "trust", "protocol", "agent")
SHEBANG: Final = b"#!/usr/bin/env -S python3 -I\n"
FIXED_TIME: Final = (1980, 1, 1, 0, 0, 0)  # the earliest that the ZIP format can hold
UNCHECKED_HASH_PYC: Final = 1  # PEP 552: loaded without looking at the source's time
MAIN: Final = b"import sys\n\nfrom brakeline.agent.__main__ import main\n\nsys.exit(main())\n"
INSTALLER_TEMPLATE: Final = "enrol.sh"


@dataclass(frozen=True, slots=True)
class Bundle:
    """The zipapp and its digest, which the installer checks."""

    data: bytes
    sha256: str


def build(source: Path | None = None) -> Bundle:
    """The agent of this very release (or of the package at `source`)."""
    package = source or Path(brakeline.__file__).parent
    files = {"__main__.py": MAIN, "brakeline/__init__.py": (package / "__init__.py").read_bytes()}
    for part in PARTS:
        for path in (package / part).rglob("*.py"):
            files[f"brakeline/{path.relative_to(package).as_posix()}"] = path.read_bytes()
    for name in list(files):
        files[name + "c"] = _compiled(name, files[name])
    data = SHEBANG + _zipped(files)
    return Bundle(data, hashlib.sha256(data).hexdigest())


def _compiled(name: str, text: bytes) -> bytes:
    """Bytecode in the form of PEP 552, with the name inside the archive as its file name."""
    code = compile(text, name, "exec", dont_inherit=True)
    head = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH_PYC.to_bytes(4, "little")
    return head + importlib.util.source_hash(text) + marshal.dumps(code, 2)


def _zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, FIXED_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, whatever builds it
            archive.writestr(entry, files[name])
    return out.getvalue()
