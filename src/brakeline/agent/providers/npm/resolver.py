"""Asks npm itself what a version would need, and lets it fetch that into a folder aside. Nothing here changes packages.

Every question has a cache of its own: out of an older one npm answers, without a word, when no registry can be reached.

`resolve` writes a lock file in an empty directory: scripts are not run, no archive is unpacked. `stage` is a global
installation into a prefix of the transaction's own, scripts switched off: every archive is fetched and checked there,
and what would be installed can be looked at, counted and compared before anything is touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.runner import Ran, Runner
from brakeline.agent.providers.model import Bounds, Refused
from brakeline.agent.providers.npm.answers import Piece, actions, labelled, lock, newer, why
from brakeline.agent.providers.npm.folders import Folder, contents
from brakeline.protocol.managers import belongs, inside
from brakeline.protocol.messages import Transaction

ASK_S_MAX = 300.0
TEMPORARY = "/tmp"  # noqa: S108 - what is made in it has a name that nobody knows beforehand
QUIET = ("--no-audit", "--no-fund", "--no-update-notifier", "--no-progress", "--loglevel=error", "--logs-max=0")
PATIENCE = ("--fetch-retries=1", "--fetch-timeout=20000", "--fetch-retry-mintimeout=500")
NPM = ("npm", *QUIET, *PATIENCE)
LOCK_ONLY = ("--package-lock-only", "--ignore-scripts", "--engine-strict", "--install-strategy=shallow")
OPEN = ("sh", "-c", 'umask 022; exec "$0" "$@"')  # what is installed is everybody's to run, whatever our mask is
IN = ("sh", "-c", 'cd "$0" && exec "$@"')  # npm's own words for another directory would also move its settings


@dataclass(frozen=True, slots=True)
class Found:
    """What npm would do, and with which archives."""

    transaction: Transaction
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Resolver:
    """Questions about one global folder."""

    runner: Runner
    folder: Folder
    ask_s_max: float = ASK_S_MAX

    def resolve(
        self, wanted: Iterable[tuple[str, str]], have: tuple[Installed, ...], bounds: Bounds
    ) -> Found | Refused:
        """The exact transaction for these versions of global packages, with all that they need."""
        before = {(p.name, p.architecture): p.version for p in have}
        after, pieces = dict(before), set[Piece]()
        for app, version in wanted:
            found = self._tree(app, version)
            if isinstance(found, Refused):
                return Refused(found.code, f"{app} {version}: {found.reason}")
            after = {k: v for k, v in after.items() if not belongs(app, self.folder.label, k)}
            after |= labelled(app, self.folder.label, _app_first(app, version, found))
            pieces |= set(found)
        made = rules.make_transaction(actions(before, after))
        if not made.actions:
            return Refused("nothing_to_do", "npm finds nothing to change.")
        return self._allowed(made, have, bounds) or Found(
            made, tuple(sorted(pieces, key=lambda p: (p.name, p.version)))
        )

    def _tree(self, app: str, version: str) -> tuple[Piece, ...] | Refused:
        """What npm resolves this version to, in an empty directory that is gone afterwards."""
        with workshop(self.runner) as named:
            place = self.runner.path(named)
            (place / "package.json").write_text(json.dumps({"dependencies": {app: version}}))
            words = (*NPM, "install", *LOCK_ONLY, "--cache", f"{named}/cache")
            ran = self.runner.query(*IN, named, *words, timeout_s=self.ask_s_max)
            if ran.timed_out:
                return Refused("network", f"npm gave no answer in {self.ask_s_max:.0f} s.")
            if not (place / "package-lock.json").exists():
                return why(ran.text)
            text = (place / "package-lock.json").read_text()
        return lock(text, os.uname().machine)

    def newer(self, have: Mapping[str, str]) -> tuple[tuple[str, str], ...] | Refused:
        """(name, latest version) of the global packages that the registry has newer."""
        with workshop(self.runner) as named:
            places = ("--prefix", self.folder.prefix, "--cache", f"{named}/cache", *self.settings())
            words = (*NPM, "outdated", "--global", "--json", *places, *sorted(have))
            ran = self.runner.job(*words, timeout_s=self.ask_s_max)
        if ran.timed_out:
            return Refused("no_network", f"The registry gave no answer in {self.ask_s_max:.0f} s.")
        return newer(ran.text, have)

    @staticmethod
    def _allowed(made: Transaction, have: tuple[Installed, ...], bounds: Bounds) -> Refused | None:
        held = frozenset(p.key for p in have if p.held)
        tops = rules.make_transaction(a for a in made.actions if not inside(a.architecture))  # the rest is their own
        return rules.refuse_quarantined(made, bounds.without) or rules.refuse_beyond(tops, bounds, held)

    def stage(self, wanted: Iterable[tuple[str, str]], directory: str, timeout_s: float) -> Refused | None:
        """Fetch and unpack these versions below `directory`, with every digest checked; None = they are there."""
        for part in ("prefix/lib", "cache"):
            self.runner.path(f"{directory}/{part}").mkdir(parents=True, exist_ok=True, mode=0o700)
        ran = self._global(f"{directory}/prefix", directory, wanted, timeout_s, "--ignore-scripts", "--engine-strict")
        if ran.timed_out:
            return Refused("network", f"The packages could not be fetched in {timeout_s:.0f} s.")
        return why(ran.text) if ran.rc != 0 else None

    def staged(self, apps: Iterable[str], directory: str) -> dict[tuple[str, str], str]:
        """Versions by (name, label) of what lies in the stage."""
        found: dict[tuple[str, str], str] = {}
        for app in apps:
            pieces, _ = contents(self.runner.path(f"{directory}/prefix/lib/node_modules/{app}"), app)
            found |= labelled(app, self.folder.label, pieces)
        return found

    def install(self, wanted: Iterable[tuple[str, str]], directory: str, timeout_s: float, *more: str) -> Ran:
        """The one run that changes packages: from what was fetched alone, scripts as this endpoint's npm has them."""
        return self._global(self.folder.prefix, directory, wanted, timeout_s, "--offline", *more)

    def settings(self) -> tuple[str, ...]:
        """Where this endpoint's npm has its settings; not said, another prefix would mean other settings."""
        asked = self.runner.query(*NPM, "config", "get", "globalconfig")
        lines = asked.text.strip().splitlines()
        return ("--globalconfig", lines[-1]) if asked.rc == 0 and lines else ()

    def _global(
        self, prefix: str, directory: str, wanted: Iterable[tuple[str, str]], timeout_s: float, *more: str
    ) -> Ran:
        words = (
            "--loglevel=warn",
            "install",
            "--global",
            "--prefix",
            prefix,
            "--cache",
            f"{directory}/cache",
            *self.settings(),
            *more,
        )
        return self.runner.job(*OPEN, *NPM, *words, *(f"{n}@{v}" for n, v in wanted), timeout_s=timeout_s)


@contextlib.contextmanager
def workshop(runner: Runner) -> Iterator[str]:
    """An empty directory of our own, as the endpoint names it; gone afterwards."""
    runner.path(TEMPORARY).mkdir(exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="brakeline-npm-", dir=runner.path(TEMPORARY)))
    try:
        yield f"{TEMPORARY}/{place.name}"
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _app_first(app: str, version: str, pieces: tuple[Piece, ...]) -> list[tuple[str, str]]:
    """The tree as `labelled` takes it: the global package itself first, once."""
    rest = [(p.name, p.version) for p in pieces if (p.name, p.version) != (app, version)]
    return [(app, version), *rest]
