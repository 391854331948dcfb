"""The advisories that an installation knows before it has spoken to anybody: files with a manifest, see README.md.

Invariants: a file is believed only with the size and SHA-256 that the manifest says; a mismatch is `BadFeed`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brakeline.advisories.importers import BadFeed

SEED_DIR = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class SeedFeed:
    """One line of the manifest. `kind`: advisories | kev; `ecosystem` = release that the rows are of."""

    feed: str
    file: str
    kind: str
    ecosystem: str
    rows: int
    version: str
    limits: str
    sha256: str
    bytes: int


def manifest(directory: Path = SEED_DIR) -> tuple[SeedFeed, ...]:
    """What should be there. Raises `BadFeed` if the manifest itself cannot be read."""
    path = directory / "manifest.json"
    try:
        return tuple(SeedFeed(**entry) for entry in json.loads(path.read_bytes())["feeds"])
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise BadFeed("the manifest of the seed cannot be read", file=str(path), error=str(e)[:80]) from None


def read(entry: SeedFeed, directory: Path = SEED_DIR) -> bytes:
    """The verified bytes of one file, as packed. Raises `BadFeed` if they are not those of the manifest."""
    path = directory / entry.file
    try:
        data = path.read_bytes()
    except OSError as e:
        raise BadFeed("a file of the seed cannot be read", file=str(path), error=str(e.strerror)) from None
    if len(data) != entry.bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise BadFeed("a file of the seed is not the one in the manifest", file=str(path), bytes=len(data))
    return data


def seed_paths() -> Iterator[str]:
    """The files by path, for tools that work without a server."""
    return (str(SEED_DIR / entry.file) for entry in manifest())
