"""What root keeps of own packages: signed texts and artifacts, by digest. Copied from content before a run begins.

A content bundle may be collected while a transaction runs, and is gone when a version is to be taken back. So what a
run needs lies in root's own directory first, each file compared with the digest that the authors have signed.
"""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from brakeline.agent.files import write_durably
from brakeline.agent.providers.model import Refused
from brakeline.agent.providers.own import shelf
from brakeline.agent.providers.own.shelf import Shelf
from brakeline.protocol.software import FOLDER, PAYLOADS, Artifact, Document, write

PIECE: Final = 1 << 20
KEPT_MAX: Final = 5  # versions of one name
ANSWER_S_MAX: Final = 30.0  # of silence from an artifact's address
Left = Callable[[], float]  # seconds


class Pieces(Protocol):
    """A file, or an answer of http."""

    def read1(self, count: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Store:
    """Root's directory, where it is for us."""

    directory: Path

    def shelf(self) -> Shelf:
        return shelf.load(self.directory)

    def take(self, document: Document, source: Shelf) -> Refused | None:
        """Keep a package, and its artifact where it lies in `source`; None = it is kept."""
        for folder in (FOLDER, PAYLOADS):
            (self.directory / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        artifact = document.software.artifact
        if artifact is not None and not self.holds(artifact):
            found = source.payload(document)
            if found is None and not artifact.url:
                return Refused("refused", f"{artifact.file} is not in the content that this endpoint has.")
            if found is not None:
                with open(found, "rb") as f:
                    if refused := self._keep(artifact, f):
                        return refused
        path = self.directory / document.file
        if not path.exists():
            write_durably(path, write(document))
        return None

    def fetch(self, document: Document, left_s: Left) -> Refused | None:
        """Have the artifact here, from its address if need be, while there is time left."""
        artifact = document.software.artifact
        if artifact is None or self.holds(artifact):
            return None
        if not artifact.url:
            return Refused("refused", f"{artifact.file} is damaged or gone, and has no address to be fetched from.")
        try:
            with _OPENER.open(artifact.url, timeout=min(ANSWER_S_MAX, max(1.0, left_s()))) as answer:
                return self._keep(artifact, answer, left_s)
        except (urllib.error.URLError, OSError, ValueError) as e:
            return Refused("network", f"{artifact.file} could not be fetched from {artifact.url}: {str(e)[:120]}.")

    def _keep(self, artifact: Artifact, source: Pieces, left_s: Left = lambda: 1.0) -> Refused | None:
        """Copy it, never more than was signed, and only if it is what was signed."""
        target = self.directory / PAYLOADS / artifact.sha256
        aside, digest, size = target.with_name("new"), hashlib.sha256(), 0
        try:
            with open(aside, "wb") as f:
                while piece := source.read1(PIECE):  # what has come, not all of it: who sends drop by drop is seen
                    size += len(piece)
                    if left_s() <= 0:
                        return Refused("network", f"{artifact.file} could not be fetched in the time that was left.")
                    if size > artifact.bytes:
                        break
                    digest.update(piece)
                    f.write(piece)
                f.flush()
                os.fsync(f.fileno())
            if (size, digest.hexdigest()) != (artifact.bytes, artifact.sha256):
                return Refused("hash_mismatch", f"{artifact.file} is not the file that its authors have signed.")
            os.replace(aside, target)
        finally:
            aside.unlink(missing_ok=True)
        return None

    def holds(self, artifact: Artifact) -> bool:
        """Whether it is here, and undamaged."""
        try:
            with open(self.directory / PAYLOADS / artifact.sha256, "rb") as f:
                return hashlib.file_digest(f, "sha256").hexdigest() == artifact.sha256
        except OSError:
            return False

    def path(self, artifact: Artifact) -> Path:
        return self.directory / PAYLOADS / artifact.sha256

    def prune(self, name: str, keep: frozenset[str]) -> None:
        """Of one name the last few versions stay, and those in `keep`; artifacts that nobody has are dropped."""
        kept = self.shelf().documents
        mine = [d for d in kept if d.software.name == name and d.version not in keep]
        mine.sort(key=lambda d: (self.directory / d.file).stat().st_mtime_ns)
        gone = mine[: max(0, len(mine) - KEPT_MAX)]
        for document in gone:
            (self.directory / document.file).unlink(missing_ok=True)
        wanted = {d.software.artifact.sha256 for d in kept if d not in gone and d.software.artifact is not None}
        for path in (self.directory / PAYLOADS).glob("*"):
            if path.name not in wanted:
                path.unlink(missing_ok=True)


class _NoFiles(urllib.request.HTTPRedirectHandler):
    """An address leads to another of http or https, and to nothing else (urllib's own rule also has ftp)."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if not newurl.startswith(("http://", "https://")):
            raise urllib.error.URLError("it leads to an address that is none of http or https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER: Final = urllib.request.build_opener(_NoFiles)
