"""Builds the programs of an endpoint, a zipapp each, so that the same source gives the same bytes.

Invariants: only `core trust protocol` and `agent` or `launcher` go in; sorted names, one fixed time, no path of a
machine: anybody with the same Python can rebuild and compare. Beside each source lies its compiled form, made so that
it is deterministic too (marshal version 2 has no back-references); a Python with another bytecode ignores it.
Next: `build`, which makes a release of it.
"""

from __future__ import annotations

import importlib.util
import io
import marshal
import re
import zipfile
from pathlib import Path
from typing import Final

import brakeline

COMMON: Final = ("core", "trust", "protocol")
SHEBANG: Final = b"#!/usr/bin/env -S python3 -I\n"
FIXED_TIME: Final = (1980, 1, 1, 0, 0, 0)  # the earliest that the ZIP format can hold
UNCHECKED_HASH_PYC: Final = 1  # PEP 552: loaded without looking at the source's time
MAIN: Final = {
    "agent": b"import sys\n\nfrom brakeline.agent.__main__ import main\n\nsys.exit(main())\n",
    "launcher": b"import sys\n\nfrom brakeline.launcher.__main__ import main\n\nsys.exit(main(sys.argv[1:]))\n",
}
_VERSION: Final = re.compile(rb'^__version__ = "[^"]*"$', re.M)


def sources(product: str, version: str = "", package: Path | None = None) -> dict[str, bytes]:
    """Names inside the archive -> source text. `version` is what the program then says of itself; "" = as it is."""
    package = package or Path(brakeline.__file__).parent
    head = (package / "__init__.py").read_bytes()
    if version:
        head = _VERSION.sub(f'__version__ = "{version}"'.encode(), head)
    files = {"__main__.py": MAIN[product], "brakeline/__init__.py": head}
    for part in (*COMMON, product):
        for path in (package / part).rglob("*.py"):
            files[f"brakeline/{path.relative_to(package).as_posix()}"] = path.read_bytes()
    return files


def build(source: Path | None = None, product: str = "agent", version: str = "") -> bytes:
    """The zipapp of this very agent or launcher (or of the package at `source`): about 0.5 MB."""
    files = sources(product, version, source)
    for name in list(files):
        files[name + "c"] = _compiled(name, files[name])
    return SHEBANG + _zipped(files)


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
