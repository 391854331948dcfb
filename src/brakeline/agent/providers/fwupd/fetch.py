"""The cabinet of one release, here and proven: fetched by fwupd's own client, or copied from a remote on this disk.

Whatever was fetched is compared with the checksum that the remote's signed list gave, before anybody opens it; the
signature inside is the daemon's to judge.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.fwupd.daemon import FWUPDMGR, QUIET
from brakeline.agent.providers.fwupd.devices import Release, Remote
from brakeline.agent.providers.fwupd.words import why
from brakeline.agent.providers.model import Refused

CABINET_BYTES_MAX: Final = 512 * 1024 * 1024  # the largest on the public service are a fifth of it
BESIDE_BYTES: Final = 16 * 1024 * 1024  # that a cabinet may have beside its firmware: other devices', signatures, words
HASHES: Final = {40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}
NO_SPACE: Final = "The disk filled up while the cabinet was fetched."
BLOCK_BYTES: Final = 512  # what `ulimit -f` counts in, by POSIX
INTO: Final = ("sh", "-c", 'cd "$0" && ulimit -f "$1" && shift && exec "$@"')


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches for one endpoint; paths as the endpoint names them."""

    runner: Runner
    remotes: tuple[Remote, ...]

    def fetch(self, release: Release, place: str, timeout_s: float) -> str | Refused:
        """Path of the proven cabinet in `place`, which is ours alone."""
        if not release.checksums:
            return Refused("refused", f"The remote gives no checksum for {release.version}: it cannot be exact.")
        remote = next((r for r in self.remotes if r.id == release.remote), None)
        if remote is None or not release.locations:
            return Refused("lists_stale", f"No remote here says where {release.version} lies.")
        folder = self.runner.path(place)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True, mode=0o700)
        except OSError as e:
            return Refused("no_space", f"The cabinet of {release.version} has no place here: {e.strerror}.")
        refused = Refused("network", "It lies nowhere.")
        for location in release.locations:
            answer = self._one(remote, location, place, bytes_max(release), timeout_s)
            if isinstance(answer, str):
                return self._proven(answer, release)
            refused = answer
        return refused

    def _one(self, remote: Remote, location: str, place: str, limit: int, timeout_s: float) -> str | Refused:
        name = location.rpartition("/")[2]
        if name in ("", ".", "..") or len(name) > 200:
            return Refused("refused", "A location without a file's name is none.")
        path = f"{place}/{name}"
        if remote.kind == "download":
            url = location if "://" in location else f"{remote.base}/{name}"
            return self._fetched(url, place, path, limit, timeout_s)
        base = remote.cache if remote.kind == "directory" else os.path.dirname(remote.cache)
        found = location.removeprefix("file://")
        source = self.runner.path(found if found.startswith("/") else f"{base}/{found}")
        try:
            if source.stat().st_size > limit:
                return too_long(limit)
            shutil.copyfile(source, self.runner.path(path))
        except OSError as e:
            if e.errno == errno.ENOSPC:
                return Refused("no_space", NO_SPACE)
            return Refused("network", f"The remote {remote.id} does not have {name}: {e.strerror}.")
        return path

    def _fetched(self, url: str, place: str, path: str, limit: int, timeout_s: float) -> str | Refused:
        blocks = str(-(-limit // BLOCK_BYTES))
        ran = self.runner.job(*INTO, place, blocks, FWUPDMGR, "download", url, *QUIET, timeout_s=timeout_s)
        if self.runner.path(path).is_file() and ran.rc == 0:
            return path
        self.runner.path(path).unlink(missing_ok=True)  # a part of it is of no use, and of any size
        if ran.rc == -signal.SIGXFSZ or "File too large" in ran.text:
            return too_long(limit)
        if ran.timed_out:
            return Refused("network", "The remote gave no answer in time.")
        if "No space left" in ran.text:
            return Refused("no_space", NO_SPACE)
        told = why(ran.text)
        return told if told.code in ("network", "hash_mismatch") else Refused("network", told.reason)

    def _proven(self, path: str, release: Release) -> str | Refused:
        """The strongest checksum that the list gives decides."""
        if fits(self.runner.path(path), release.checksums[-1]):
            return path
        self.runner.path(path).unlink()
        return Refused("hash_mismatch", f"What the remote sent for {release.version} is not what its list says.")


def bytes_max(release: Release) -> int:
    """What a cabinet may have at most, by the size of the firmware that the signed list gives."""
    return min(CABINET_BYTES_MAX, 2 * release.size + BESIDE_BYTES) if release.size else CABINET_BYTES_MAX


def too_long(limit: int) -> Refused:
    return Refused(
        "hash_mismatch", f"The remote sent more than {limit >> 20} MiB, which is no cabinet of that firmware."
    )


def fits(path: Path, checksum: str) -> bool:
    """Whether a file is what its checksum says; a file that cannot be read is not."""
    try:
        with open(path, "rb") as f:
            return hashlib.file_digest(f, HASHES[len(checksum)]).hexdigest() == checksum
    except (OSError, KeyError):
        return False
