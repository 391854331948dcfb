"""The files of one transaction on the endpoint: what was there before, the packages that rpm is given, the log.

Their place and names are the interface to `recovery`: after a power cut they say whether rpm was ever started, and with
them the run can be finished without a network and without a resolver.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brakeline.agent.files import write_durably
from brakeline.agent.providers.zypper import rpmdb
from brakeline.agent.providers.zypper.rpmdb import Installed
from brakeline.agent.providers.zypper.tools import CACHE, Tools
from brakeline.protocol.messages import Action

FILES_PER_CALL: Final = 500


@dataclass(frozen=True, slots=True)
class Staging:
    """The directory of one transaction; `directory` as the endpoint names it."""

    tools: Tools
    directory: str

    def prepare(self) -> None:
        """An empty directory of root's own."""
        shutil.rmtree(self._path("packages"), ignore_errors=True)
        self._path("packages").mkdir(parents=True, mode=0o700)
        self._path("before").unlink(missing_ok=True)

    @property
    def log(self) -> Path:
        return self._path("log")

    def take(self, files: Mapping[Action, Path]) -> None:
        """Copies of our own, flushed: nobody else writes them, and they outlive a `zypper clean`."""
        for action, path in files.items():
            copy = self._path(f"packages/{file_name(action.name, action.after, action.architecture)}")
            shutil.copyfile(path, copy)
            with open(copy, "rb") as f:
                os.fsync(f.fileno())

    def files(self, actions: Iterable[Action]) -> tuple[str, ...]:
        """What rpm is told: the copies of these actions, as a command outside of the root names them."""
        names = (file_name(a.name, a.after, a.architecture) for a in actions if a.after)
        return tuple(self.tools.at.inside(f"{self.directory}/packages/{name}") for name in names)

    def whole(self, actions: Iterable[Action]) -> bool:
        """All copies are there."""
        names = [file_name(a.name, a.after, a.architecture) for a in actions if a.after]
        return all(self._path(f"packages/{name}").is_file() for name in names)

    def remember_before(self, installed: Iterable[Installed]) -> None:
        """Put on disk what is installed, before rpm may start: after a power cut this tells what has changed."""
        lines = "\n".join("\t".join((p.name, p.architecture, p.version)) for p in installed)
        write_durably(self._path("before"), f"{lines}\n".encode())

    def before(self) -> tuple[Installed, ...] | None:
        """What `remember_before` kept; None = rpm was never started for this transaction."""
        try:
            cells = [line.split("\t") for line in self._path("before").read_text().splitlines()]
        except OSError:
            return None
        return tuple(Installed(c[0], c[1], c[2]) for c in cells if len(c) == 3)

    def drop_packages(self) -> None:
        """The run has ended and was looked at: the copies are not needed any more."""
        shutil.rmtree(self._path("packages"), ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.tools.at.path(f"{self.directory}/{name}")


def file_name(name: str, version: str, architecture: str) -> str:
    return re.sub(r"[^\w.+~^-]", "_", f"{name}-{version}.{architecture}.rpm")


def cached(tools: Tools) -> dict[tuple[str, str, str], tuple[Path, str]]:
    """The package files in zypper's cache: (name, version, architecture) -> newest file, header's SHA-256."""
    paths = sorted(tools.at.path(CACHE).rglob("*.rpm"), key=lambda p: p.stat().st_mtime)
    return {(p.name, p.version, p.architecture): (path, p.identity) for path, p in _read(tools, paths)}


def _read(tools: Tools, paths: list[Path]) -> list[tuple[Path, Installed]]:
    """What package each file is. rpm answers in order and leaves out what it cannot read: then each is asked alone."""
    found: list[tuple[Path, Installed]] = []
    for start in range(0, len(paths), FILES_PER_CALL):
        some = paths[start : start + FILES_PER_CALL]
        answers = _asked(tools, some)
        if len(answers) == len(some):
            found += zip(some, answers, strict=True)
        else:
            found += [(path, p) for path in some for p in _asked(tools, [path])]
    return found


def _asked(tools: Tools, paths: list[Path]) -> tuple[Installed, ...]:
    words = ("rpm", "-qp", "--nomanifest", "--nosignature", "--queryformat", rpmdb.FORMAT)
    return rpmdb.parse(tools.at.query(*words, *(_outside(tools, p) for p in paths)).text)


def _outside(tools: Tools, path: Path) -> str:
    """A path below the root as commands name it."""
    return tools.at.inside("/" + str(path.relative_to(tools.at.path("/"))))
