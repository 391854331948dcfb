"""The files of one transaction on the endpoint: the hooks, what they must find, what was installed before, the log.

Names here are the interface to `hook`, which is copied, and to `agent.transaction`, which owns the same directory.
"""

from __future__ import annotations

import hashlib
import json
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brakeline.agent.files import write_durably
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.pacman.records import Installed
from brakeline.protocol.messages import ActionKind, Transaction

HOOK: Final = """[Trigger]
Operation = {operation}
Type = Package
Target = *

[Action]
Description = Comparing with what was ordered...
When = PreTransaction
Exec = {python} -I -S {directory}/hook.py {directory} {kind}
AbortOnFail
NeedsTargets
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the hooks found. `asked` False = pacman never came to the point of changing anything."""

    asked: bool = False
    difference: str = ""


@dataclass(frozen=True, slots=True)
class Staging:
    """The directory of one transaction; `directory` as the endpoint names it."""

    runner: Runner
    directory: str
    python: str = "/usr/bin/python3"

    @property
    def hooks(self) -> str:
        return f"{self.directory}/hooks"

    @property
    def log(self) -> Path:
        return self._path("log")

    def prepare(self, transaction: Transaction, local: str, databases: Mapping[str, str]) -> None:
        """Write hooks and expectation; old verdicts are removed. `databases`: path on the endpoint -> SHA-256."""
        self._path("hooks").mkdir(parents=True, exist_ok=True, mode=0o700)
        for kind in ("add", "remove"):
            self._path(f"verdict-{kind}.json").unlink(missing_ok=True)
        expected = {
            "add": [a.name for a in transaction.actions if a.after],
            "remove": [a.name for a in transaction.actions if not a.after],
            "before": [f"{a.name}-{a.before}" for a in transaction.actions if a.before],
            "local": local,
            "databases": dict(databases),
        }
        self._write("expected.json", json.dumps(expected).encode())
        self._write("hook.py", pkgutil.get_data("brakeline.agent.providers.pacman", "hook.py") or b"")
        for kind, operation in (("add", "Install\nOperation = Upgrade"), ("remove", "Remove")):
            text = HOOK.format(operation=operation, python=self.python, directory=self.directory, kind=kind)
            self._write(f"hooks/00-brakeline-{kind}.hook", text.encode())

    def verdict(self) -> Verdict:
        """What the hooks wrote, if they ran."""
        asked, found = False, list[str]()
        for kind in ("add", "remove"):
            try:
                found += json.loads(self._path(f"verdict-{kind}.json").read_text())["differences"]
                asked = True
            except (OSError, ValueError, KeyError):
                continue
        return Verdict(asked, "; ".join(found[:6]))

    def remember_before(self, installed: Iterable[Installed]) -> None:
        """On disk what is installed, before pacman may begin: after a power cut this tells what has changed."""
        rows = [[p.name, p.architecture, p.version, p.state, p.explicit] for p in installed]
        self._write("before", json.dumps(rows).encode())

    def before(self) -> tuple[Installed, ...] | None:
        """What `remember_before` kept; None = pacman was never started for this transaction."""
        try:
            rows = json.loads(self._path("before").read_text())
            return tuple(Installed(r[0], r[1], r[2], r[0], r[3], explicit=bool(r[4])) for r in rows)
        except (OSError, ValueError, IndexError):
            return None

    def _path(self, name: str) -> Path:
        return self.runner.path(f"{self.directory}/{name}")

    def _write(self, name: str, data: bytes) -> None:
        write_durably(self._path(name), data)


def halves(transaction: Transaction) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names that are put there, names that go away."""
    return (
        tuple(a.name for a in transaction.actions if a.kind is not ActionKind.REMOVE),
        tuple(a.name for a in transaction.actions if a.kind is ActionKind.REMOVE),
    )


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
