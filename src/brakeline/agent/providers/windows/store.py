"""Files of packages where only administrators write: fetched once, believed by their digest, kept for the way back.

A file may come from a disk, a share or an address: none of them is trusted, the owner's list is. What is kept of a
package is its file and its line of that list, so that a version can be put back that the list has no more.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from brakeline.agent.files import write_durably
from brakeline.agent.providers.model import Refused
from brakeline.agent.providers.own.staging import ANSWER_S_MAX, PIECE
from brakeline.agent.providers.windows.listed import Listed, entry, plain_of

KEPT_MAX: Final = 40  # files; the oldest go, those of a stored way back last


@dataclass(frozen=True, slots=True)
class Store:
    """The directory, where it is for us."""

    directory: Path

    def path(self, p: Listed) -> Path:
        return self.directory / p.file

    def holds(self, p: Listed) -> bool:
        """Whether it is here, and undamaged."""
        try:
            with open(self.path(p), "rb") as f:
                return hashlib.file_digest(f, "sha256").hexdigest() == p.sha256
        except OSError:
            return False

    def kept(self, name: str, version: str) -> Listed | None:
        """A package whose line and file are kept, whatever the list says now."""
        for path in sorted(self.directory.glob("*.json")):
            try:
                found = entry(json.loads(path.read_bytes()))
            except (OSError, ValueError):
                continue
            if isinstance(found, Listed) and (found.name, found.version) == (name, version) and self.holds(found):
                return found
        return None

    def have(self, p: Listed, left_s: Callable[[], float]) -> Refused | None:
        """Its file is here afterwards, and is what was listed; or why not."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.holds(p) and (refused := self._fetch(p, left_s)):
            return refused
        try:
            write_durably(self.directory / f"{p.sha256}.json", json.dumps(plain_of(p)).encode())
        except OSError as e:
            return Refused("no_space", f"What belongs to {p.name} could not be kept: {e.strerror}.")
        return None

    def _fetch(self, p: Listed, left_s: Callable[[], float]) -> Refused | None:
        if shutil.disk_usage(self.directory).free < 3 * p.bytes:
            return Refused("no_space", f"Too little disk space: {3 * p.bytes >> 20} MiB are needed for {p.name}.")
        try:
            with _opened(p.source, min(ANSWER_S_MAX, max(1.0, left_s()))) as source:
                return self._keep(p, source, left_s)
        except (urllib.error.URLError, OSError, ValueError) as e:
            return Refused("network", f"{p.name} {p.version} could not be had from {p.source[:200]}: {str(e)[:120]}.")

    def _keep(self, p: Listed, source: IO[bytes], left_s: Callable[[], float]) -> Refused | None:
        aside, digest, size = self.directory / "new", hashlib.sha256(), 0
        try:
            with open(aside, "wb") as f:
                while (piece := source.read(PIECE)) and size <= p.bytes:
                    if left_s() <= 0:
                        return Refused("network", f"{p.name} could not be had in the time that was left.")
                    size += len(piece)
                    digest.update(piece)
                    f.write(piece)
                f.flush()
                os.fsync(f.fileno())
            if (size, digest.hexdigest()) != (p.bytes, p.sha256):
                return Refused("hash_mismatch", f"What lies at {p.source[:200]} is not the file that is listed.")
            os.replace(aside, self.path(p))
        finally:
            aside.unlink(missing_ok=True)
        return None

    def prune(self, needed: frozenset[str]) -> None:
        """The oldest go beyond KEPT_MAX, never what is `needed` (digests)."""
        files = sorted((f for f in self.directory.glob("*.json") if f.stem not in needed), key=_age)
        for path in files[: max(0, len(files) + len(needed) - KEPT_MAX)]:
            for kind in ("json", "msi", "exe"):
                path.with_suffix(f".{kind}").unlink(missing_ok=True)


def reachable(p: Listed) -> bool:
    """Whether the file can be had where it is listed; an address is asked for its head."""
    try:
        if p.source.startswith(("http://", "https://")):
            asked = urllib.request.Request(p.source, method="HEAD")  # noqa: S310 - the scheme has been looked at
            with urllib.request.urlopen(asked, timeout=ANSWER_S_MAX):  # noqa: S310
                return True
        return os.path.getsize(p.source) == p.bytes
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _opened(source: str, timeout_s: float) -> IO[bytes]:
    if source.startswith(("http://", "https://")):
        found: IO[bytes] = urllib.request.urlopen(source, timeout=timeout_s)  # noqa: S310
        return found
    return open(source, "rb")


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns
