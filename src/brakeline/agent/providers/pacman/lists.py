"""A private copy of the sync databases, refreshed without touching the live ones; and what each refresh came to.

`pacman -Sy` without the upgrade that follows would leave an endpoint in which the next `pacman -S` of anything is a
partial upgrade. So a refresh goes to a copy beside, which takes the place of the last good one only when every
repository was fetched and verified. `lend` puts the copy in the live place for the run of one transaction; `give_back`
restores what was there if nothing came of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brakeline.agent.files import flush_directory, write_durably
from brakeline.agent.providers.apt.lists import Record, write_public
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.pacman.parse import Configuration
from brakeline.agent.providers.pacman.queries import IMPORT_KEY, PRIVATE
from brakeline.agent.providers.pacman.records import first, sections_of
from brakeline.agent.providers.pacman.refresh import Failure, explain, has_expired, signer

RECORD: Final = "/var/cache/brakeline/pacman-refresh.json"
REFRESH_S_MAX: Final = 900.0
DESC_BYTES_MAX: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Lists:
    """The sync databases of one endpoint."""

    runner: Runner

    def refresh(self, known: Configuration) -> Failure | None:
        """Fetch all databases into the private copy, as root; None = they are all there, verified."""
        aside = self.runner.path(f"{PRIVATE}.new")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True, mode=0o755)
        if self.runner.path(f"{PRIVATE}/sync").is_dir():  # unchanged ones need no download
            shutil.copytree(self.runner.path(f"{PRIVATE}/sync"), aside / "sync")
        os.symlink(f"{known.db_path.rstrip('/')}/local", aside / "local")
        command = ("pacman", "-Sy", "--dbpath", f"{PRIVATE}.new", "--logfile", "/dev/null", "--noconfirm",
                   f"--ask={IMPORT_KEY}", "--noprogressbar", "--color=never")  # fmt: skip
        ran = self.runner.job(*command, timeout_s=REFRESH_S_MAX)
        if ran.timed_out:
            return Failure("no_network", f"Fetching the lists took longer than {REFRESH_S_MAX / 60:.0f} minutes.")
        failure = explain(ran.text, ran.rc)
        if failure is not None and failure.code == "signature":
            failure = self._expired(ran.text, known) or failure
        missing = [r for r in known.repositories if not (aside / "sync" / f"{r}.db").is_file()]
        if failure is None and missing:
            failure = Failure("refresh_failed", f"pacman ended with success, yet has no database of {missing[0]}.")
        if failure is None:
            self._take(aside)
        shutil.rmtree(aside, ignore_errors=True)
        return failure

    def _expired(self, text: str, known: Configuration) -> Failure | None:
        """pacman says "unknown trust" of an expired key, too; the keyring itself tells which it is."""
        owner = signer(text)
        keys = self.runner.query("gpg", "--homedir", known.keyring, "--batch", "--with-colons", "--list-keys").text
        if not owner or not has_expired(keys, owner):
            return None
        return Failure("expired", f"The signing key of {owner} has expired: update the keyring package first.")

    def _take(self, aside: Path) -> None:
        for directory in (aside, aside / "sync"):
            directory.chmod(0o755)  # whatever root's umask is: the unprivileged agent reads it
        place, old = self.runner.path(PRIVATE), self.runner.path(f"{PRIVATE}.old")
        shutil.rmtree(old, ignore_errors=True)
        if place.exists():
            os.rename(place, old)
        os.rename(aside, place)
        shutil.rmtree(old, ignore_errors=True)

    # --- how it went ---

    def record(self) -> Record:
        """Our own record; an unreadable one counts as none."""
        try:
            values = json.loads(self.runner.path(RECORD).read_text())
            return Record(int(values["tried_ms"]), int(values["succeeded_ms"]), str(values["problem"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Record()

    def remember(self, now_ms: int, problem: str) -> None:
        succeeded = self.record().succeeded_ms if problem else now_ms
        values = {"tried_ms": now_ms, "succeeded_ms": succeeded, "problem": problem}
        write_public(self.runner, RECORD, json.dumps(values))

    # --- for the run of one transaction ---

    def databases(self, base: str) -> dict[str, str]:
        """Name -> SHA-256 of every database (and signature) below `base`."""
        try:
            files = sorted(self.runner.path(f"{base}/sync").iterdir())
        except OSError:
            return {}
        return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.suffix in (".db", ".sig")}

    def lend(self, known: Configuration, keep: str) -> None:
        """The planned databases become the live ones; what was there is kept in `keep`."""
        live, kept = self.runner.path(f"{known.db_path}/sync"), self.runner.path(keep)
        aside = kept.with_name(kept.name + ".new")
        for old in (kept, aside):
            shutil.rmtree(old, ignore_errors=True)
        live.mkdir(parents=True, exist_ok=True, mode=0o755)
        shutil.copytree(live, aside)
        os.rename(aside, kept)  # whole or not at all: what `give_back` finds is what was there
        flush_directory(kept.parent)
        self._copy(self.runner.path(f"{PRIVATE}/sync"), live)

    def give_back(self, known: Configuration, keep: str) -> None:
        """Nothing came of it: the live databases as they were, so that nobody upgrades in part."""
        live, kept = self.runner.path(f"{known.db_path}/sync"), self.runner.path(keep)
        if not kept.is_dir():
            return
        for f in live.iterdir():
            if not (kept / f.name).exists():
                f.unlink()
        self._copy(kept, live)
        shutil.rmtree(kept, ignore_errors=True)

    def _copy(self, source: Path, target: Path) -> None:
        for f in source.iterdir():
            if f.suffix in (".db", ".sig"):
                status = f.stat()
                write_durably(target / f.name, f.read_bytes(), 0o644)
                os.utime(target / f.name, (status.st_atime, status.st_mtime))

    # --- what the repositories vouch for ---

    def hashes(self, base: str, names: Iterable[str]) -> dict[tuple[str, str], str]:
        """(name, version) -> SHA-256 of the package file, by verified sync databases that Python can unpack."""
        wanted, found = frozenset(names), dict[tuple[str, str], str]()
        for path in sorted(self.runner.path(f"{base}/sync").glob("*.db")):
            try:
                with tarfile.open(path) as archive:
                    for member in archive:
                        if not member.name.endswith("/desc") or member.size > DESC_BYTES_MAX:
                            continue
                        if member.name.split("/")[0].rsplit("-", 2)[0] not in wanted:
                            continue
                        content = archive.extractfile(member)
                        s = sections_of(content.read().decode("utf-8", "replace") if content else "")
                        if sha256 := first(s, "SHA256SUM"):
                            found.setdefault((first(s, "NAME"), first(s, "VERSION")), sha256)
            except (OSError, tarfile.TarError):
                continue  # another compression: nothing is vouched for, and the way back says so
        return found
