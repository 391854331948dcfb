"""What flatpak has installed system-wide, read from its directories; no flatpak is started. And refs that we keep.

What is deployed is what `active` points to. A ref of our own below `refs/heads/brakeline` keeps a former commit and all
its files in the local repository, which flatpak would clear away: that is the way back.
"""

from __future__ import annotations

import configparser
import fcntl
import os
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.locks import FLOCK
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.flatpak.refs import Ref, made_s, masked, parse_ref, version_of
from brakeline.agent.providers.pacman.locks import command_of, opened_by

HOME = "/var/lib/flatpak"
KEPT = "refs/heads/brakeline"
NO_TIME = "0" * 14  # of a commit that cannot be read


@dataclass(frozen=True, slots=True)
class Store:
    """The system-wide installation of one endpoint."""

    runner: Runner

    @property
    def repo(self) -> Path:
        return self.runner.path(f"{HOME}/repo")

    def refs(self) -> Iterator[Ref]:
        """Everything that is deployed, wholly or not."""
        for kind in ("app", "runtime"):
            top = self.runner.path(f"{HOME}/{kind}")
            for name in _listed(top):
                for arch in _listed(top / name):
                    for branch in _listed(top / name / arch) if arch != "current" else ():
                        ref = parse_ref(f"{kind}/{name}/{arch}/{branch}")
                        if ref is not None:
                            yield ref

    def installed(self) -> tuple[Installed, ...]:
        patterns = self.masks()
        return tuple(self._package(ref, masked(ref, patterns)) for ref in self.refs())

    def _package(self, ref: Ref, held: bool) -> Installed:
        commit = self.active(ref)
        place = self.runner.path(f"{HOME}/{ref}/active")
        sound = bool(commit) and (place / "metadata").exists() and (place / "files").exists()
        version = self.version(commit) if commit else "unknown"
        state = ("h" if held else "i") + ("i" if sound else "HR")
        return Installed(ref.id, ref.label, version, ref.id, version, state)

    def active(self, ref: Ref) -> str:
        """The commit that is deployed; "" = none is."""
        try:
            return os.readlink(self.runner.path(f"{HOME}/{ref}/active"))
        except OSError:
            return ""

    def version(self, commit: str) -> str:
        try:
            made = made_s((self.repo / f"objects/{commit[:2]}/{commit[2:]}.commit").read_bytes())
            return version_of(commit, datetime.fromtimestamp(made, UTC).strftime("%Y%m%d%H%M%S"))
        except (OSError, ValueError, OverflowError):
            return version_of(commit, NO_TIME)

    def origin(self, ref: Ref) -> str:
        """The remote that a ref comes from; "" = none that is known."""
        remotes = self.repo / "refs/remotes"
        return next((name for name in _listed(remotes) if (remotes / name / str(ref)).is_file()), "")

    def masks(self) -> tuple[str, ...]:
        """Patterns that the owner has masked. Settings that cannot be read are an `OSError`: they may hold anything."""
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string((self.repo / "config").read_text(encoding="utf-8"))
        except configparser.Error as e:
            raise OSError(f"flatpak's settings cannot be read: {e}") from None
        return tuple(p for p in parser.get("core", "xa.masked", fallback="").split(";") if p)

    def ref_of(self, name: str, label: str) -> Ref:
        """The ref of a package; what is not deployed here can only come as a runtime."""
        here = next((r for r in self.refs() if (r.id, r.label) == (name, label)), None)
        _, arch, branch = label.split("-", 2)
        return here or Ref("runtime", name, arch, branch)

    def pulled(self, remote: str, ref: Ref) -> str:
        """The commit of a remote's ref that lies in the local repository."""
        return _text(self.repo / "refs/remotes" / remote / str(ref))

    def point(self, remote: str, ref: Ref, commit: str) -> None:
        """Let the remote's ref be this commit, which lies in the local repository: what is deployed without a pull."""
        _write(self.repo / "refs/remotes" / remote / str(ref), commit)

    # --- what we keep ---

    def keep(self, place: str, ref: Ref) -> None:
        _write(self.repo / KEPT / place / str(ref), self.active(ref))

    def kept(self, place: str, ref: Ref) -> str:
        """The former commit, if all of it that can be looked at cheaply is there; "" = it is not."""
        commit = _text(self.repo / KEPT / place / str(ref))
        there = bool(commit) and (self.repo / f"objects/{commit[:2]}/{commit[2:]}.commit").exists()
        return commit if there else ""

    def forget_all_but(self, places: set[str]) -> None:
        for name in _listed(self.repo / KEPT):
            if name not in places:
                shutil.rmtree(self.repo / KEPT / name, ignore_errors=True)

    def lock_holder(self) -> str:
        """Who holds flatpak's lock; "" = nobody. The kernel names no pid of this kind: who has it open is asked."""
        path = self.runner.path(f"{HOME}/lock")
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return ""
        try:
            answer = fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
            seen = os.fstat(fd)
        finally:
            os.close(fd)
        if struct.unpack(FLOCK, answer)[0] == fcntl.F_UNLCK:
            return ""
        pid, _ = opened_by(seen)
        return f"{command_of(str(pid))} (pid {pid})" if pid else "a process that cannot be seen"


def _listed(directory: Path) -> list[str]:
    try:
        return sorted(n for n in os.listdir(directory) if not n.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _write(path: Path, commit: str) -> None:
    """Replace a ref in one step. Everybody reads refs, whatever our mask is."""
    fresh = [p for p in (path.parent, *path.parent.parents) if not p.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    for directory in fresh:
        directory.chmod(0o755)
    scratch = path.with_name(f".{path.name}.new")
    with open(scratch, "w", encoding="ascii") as f:
        os.fchmod(f.fileno(), 0o644)
        f.write(f"{commit}\n")
        f.flush()
        os.fsync(f.fileno())
    os.replace(scratch, path)
