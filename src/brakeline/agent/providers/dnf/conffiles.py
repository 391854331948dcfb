"""Configuration files that somebody changed, by rpm's own records, and what rpm did with them.

Whether a changed file stays is the package's own choice with rpm: `%config(noreplace)` keeps it and lays the new one
beside as `.rpmnew`; plain `%config` replaces it and keeps the old one as `.rpmsave`. No policy of ours alters that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

CONFIG: Final = 1  # RPMFILE_CONFIG
FORMAT: Final = "[%{FILENAMES}\\t%{FILEFLAGS}\\t%{FILEDIGESTS}\\n]"
BYTES_MAX: Final = 16 * 1024 * 1024  # a larger one is no configuration


def parse(text: str) -> dict[str, str]:
    """The answer of `rpm -q` in FORMAT: path of each configuration file -> its digest as packaged."""
    rows = (line.split("\t") for line in text.splitlines())
    return {r[0]: r[2] for r in rows if len(r) == 3 and r[1].isdigit() and int(r[1]) & CONFIG and len(r[2]) == 64}


def changed(files: dict[str, str], root: Path) -> tuple[str, ...]:
    """Those that are not as packaged, or gone; what cannot be read is left to whoever may."""
    return tuple(path for path, digest in files.items() if _differs(root / path.lstrip("/"), digest))


def _differs(path: Path, digest: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()[:BYTES_MAX]).hexdigest() != digest
    except FileNotFoundError:
        return True
    except OSError:
        return False


def beside(paths: Iterable[str], root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(kept: there is a `.rpmnew`, replaced: there is a `.rpmsave`)."""
    paths = tuple(paths)
    kept = tuple(p for p in paths if (root / f"{p.lstrip('/')}.rpmnew").exists())
    return kept, tuple(p for p in paths if (root / f"{p.lstrip('/')}.rpmsave").exists())
