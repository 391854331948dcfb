"""What apt's situations are made of: a clone of a real Debian root, a repository, dpkg's records, and the register.

A package made here ships `/usr/share/NAME/version`, so that besides dpkg's records there is what really lies on disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tests.aptrepo import Built, Repository
from tests.aptroot import booted, clone
from tests.correctness import peers_apt
from tests.correctness.row import Row
from tests.correctness.standin import a_peer_plays, staged
from tests.integration.apt.steps import prepare

from brakeline.agent.providers.model import Refreshed, Refused
from brakeline.protocol.messages import TransactionResult

MANAGER: Final = "apt"
DEB_FILE = re.compile(r"(.+)_([^_]+)_[^_]+\.(?:deb|away)")
Body = Callable[[Any, Repository], tuple[object, object, bool]]
Register = dict[str, Callable[[Path], Row]]


@dataclass(frozen=True)
class DebRecords:
    """dpkg's status file and audit."""

    root: Any
    directory: Path

    def _all(self) -> dict[str, tuple[str, str]]:
        text = self.root.sh("dpkg-query -W -f '${Package} ${db:Status-Abbrev} ${Version}\\n'")
        rows = (line.split() for line in text.splitlines())
        return {r[0]: (r[1], r[2]) for r in rows if len(r) == 3}

    def versions(self) -> dict[str, str]:
        return {name: version for name, (state, version) in self._all().items() if state[1] != "c"}

    def waiting(self) -> frozenset[str]:
        there: dict[str, int] = {}
        for path in self.directory.iterdir():
            if m := DEB_FILE.fullmatch(path.name):
                there[m[1]] = max(there.get(m[1], 0), int(m[2]))
        installed = self.versions()
        return frozenset(n for n, v in there.items() if n in installed and int(installed[n]) < v)

    def sound(self) -> bool:
        states = all(state[:2] in ("ii", "hi", "rc") and len(state) == 2 for state, _ in self._all().values())
        return states and not self.root.sh("dpkg --audit").strip()


@contextmanager
def world(work: Path, size_mib: int = 600, *, boot: bool = False) -> Iterator[tuple[Any, Repository]]:
    """A fresh endpoint and an empty repository; while a peer plays, with that in our provider's place."""
    repository = Repository(work)
    more = peers_apt.layers() if a_peer_plays() else ()
    try:
        with booted() if boot else clone(size_mib=size_mib, more=more) as made:
            yield staged(made, DebRecords(made, repository.directory)), repository
    finally:
        repository.stop()


def register(into: Register) -> Callable[..., Callable[[Body], Body]]:
    """The decorator of one module's situations; a body answers truth, ours, and whether that is right."""

    def situation(name: str, size_mib: int = 600, *, boot: bool = False) -> Callable[[Body], Body]:
        def add(body: Body) -> Body:
            def run(work: Path) -> Row:
                with world(work, size_mib, boot=boot) as (endpoint, repository):
                    truth, ours, right = body(endpoint, repository)
                    return Row(MANAGER, name, str(truth), str(ours), right)

            run.__name__ = body.__name__
            into[name] = run
            return body

        return add

    return situation


def deb(name: str, version: str, **more: Any) -> Built:
    """A package that lays down its version."""
    files = {f"/usr/share/{name}/version": version, **more.pop("files", {})}
    return Built(name, version, files=files, **more)


def outdated(e: Any, r: Repository, *newer: Built, first: tuple[Built, ...] = ()) -> None:
    """`first` (p 1, if not said) is installed, the repository also has `newer`, and the lists know it."""
    prepare(e, r, *newer, first=first or (deb("p", "1"),))


def truth(e: Any, *names: str) -> str:
    """What dpkg has recorded, and what lies on disk."""
    return "; ".join(f"{n}: {e.version(n) or 'not there'}, on disk {on_disk(e, n) or 'nothing'}" for n in names)


def on_disk(e: Any, name: str) -> str:
    path: Path = e.machine.path(f"/usr/share/{name}/version")
    return path.read_text() if path.exists() else ""


def has(e: Any, name: str, version: str) -> bool:
    """Sound, at this version, and laid down; "" = not there."""
    if not version:
        return not e.version(name) and not on_disk(e, name)
    return (e.version(name), on_disk(e, name)) == (f"ii {version}", version)


def said(answer: TransactionResult | Refused | Refreshed) -> str:
    if isinstance(answer, Refreshed):
        return "refreshed"
    if isinstance(answer, Refused):
        return f"refused {answer.code}: {answer.reason}"
    return f"{answer.outcome.value} {answer.code}: {answer.detail}"


def state_of(e: Any, name: str = "p") -> str:
    found = [u for u in e.provider.available() if u.name == name]
    return f"{found[0].state.value}: {found[0].reason}" if found else "nothing waits"


__all__ = ["DebRecords", "has", "outdated", "register", "replace", "said", "state_of", "truth", "world"]
