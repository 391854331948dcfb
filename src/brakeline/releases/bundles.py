"""Bundles: packed reproducibly, looked into before they are kept, and kept by their SHA-256."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from brakeline.catalog.curated.model import CATALOGUE
from brakeline.protocol.content import RULES
from brakeline.protocol.software import FOLDER
from brakeline.releases import contents
from brakeline.releases.decide import refuse_about
from brakeline.releases.faults import BadBundle, BundleTooLarge
from brakeline.releases.files import make_directory, write_durably
from brakeline.releases.model import CONTENT
from brakeline.trust import artifacts
from brakeline.trust.assess import RELEASE_BYTES_MAX
from brakeline.trust.errors import Distrust

TAR_END: Final = bytes(1024)
SHA256: Final = re.compile(r"[0-9a-f]{64}")


def inspect(data: bytes) -> tuple[artifacts.About, str]:
    """(what the bundle says about itself, its SHA-256). Refuses what a launcher would refuse to unpack."""
    if len(data) > RELEASE_BYTES_MAX:
        raise BundleTooLarge(f"{len(data)} bytes, at most {RELEASE_BYTES_MAX}")
    digest = hashlib.sha256(data).hexdigest()
    try:
        sizes, kept = _members(data)
        said = artifacts.about(kept[artifacts.ABOUT].decode(errors="replace"))
    except Distrust as e:
        raise BadBundle(e.text) from None
    refuse_about(said, digest, sizes)
    if said.product == CONTENT:
        reason = "content is read, never started" if said.entry != contents.ENTRY else ""
        if reason := reason or contents.refusal(sizes, kept.get(RULES, b""), _software(kept), kept.get(CATALOGUE)):
            raise BadBundle(reason)
    return said, digest


def _software(kept: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in kept.items() if name.startswith(FOLDER)}


def _members(data: bytes) -> tuple[dict[str, int], dict[str, bytes]]:
    """(size of each file, bytes of those that are looked into). Every byte is read, so a truncated bundle is found."""
    sizes: dict[str, int] = {}
    kept: dict[str, bytes] = {}
    size = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for member in tar:
                size += member.size
                if not member.isreg() or size > artifacts.UNPACKED_BYTES_MAX or len(sizes) >= artifacts.FILES_MAX:
                    raise BadBundle(f"{member.name[:60]!r} is no plain file, or there is too much in it")
                source = tar.extractfile(member)
                content = source.read() if source else b""
                if len(content) != member.size:
                    raise BadBundle(f"it ends in the middle of {member.name[:60]!r}")
                sizes[artifacts.usable_name(member.name)] = member.size
                if member.name in (artifacts.ABOUT, RULES, CATALOGUE) or member.name.startswith(FOLDER):
                    kept[member.name] = content
    except (tarfile.TarError, EOFError, ValueError, OSError) as e:
        raise BadBundle(f"it is no tar, or a damaged one: {e}") from None
    if not data.endswith(TAR_END):
        raise BadBundle("it is cut off: the end that every tar has is not there")
    if artifacts.ABOUT not in kept:
        raise BadBundle(f"it has no {artifacts.ABOUT}")
    return sizes, kept


def member(path: Path, name: str, bytes_max: int) -> bytes | None:
    """One file of a bundle that was looked into when it was published; None = it has none, or is gone."""
    try:
        with tarfile.open(path, mode="r:") as tar:
            found = tar.extractfile(name)
            return found.read(bytes_max) if found is not None else None
    except (OSError, KeyError, tarfile.TarError):
        return None


def plain_tar(files: Mapping[str, bytes]) -> bytes:
    """The same files, the same bytes: names sorted, every mode, owner and time the same."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            entry = tarfile.TarInfo(artifacts.usable_name(name))
            entry.size, entry.mode, entry.mtime = len(files[name]), 0o644, 0
            tar.addfile(entry, io.BytesIO(files[name]))
    return out.getvalue()


class Bundles:
    """The files below `directory`, each named by its SHA-256."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, sha256: str, data: bytes) -> None:
        """Durable when it returns; once kept, a bundle is never written again."""
        make_directory(self._directory)
        if self.find(sha256) is None:
            write_durably(self._directory / sha256, data)

    def find(self, sha256: str) -> Path | None:
        """The file with this hash in its name, if it is here."""
        path = self._directory / sha256
        return path if SHA256.fullmatch(sha256) and path.is_file() else None

    def present(self) -> frozenset[str]:
        """The hashes of all that are here."""
        return frozenset(p.name for p in self._directory.glob("*") if SHA256.fullmatch(p.name))
