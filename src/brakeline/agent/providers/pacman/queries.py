"""The read-only calls: the local database by its files, the rest by pacman. Nothing here locks or changes anything.

Sync databases are read from our private copy, or from the live ones where those are newer (somebody upgraded since).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.pacman import parse
from brakeline.agent.providers.pacman.parse import Configuration, Metadata, Pending, Simulation
from brakeline.agent.providers.pacman.records import (
    HELD,
    Installed,
    backups_of,
    files_of,
    installed_of,
    problems_of,
    split_entry,
)

PRIVATE: Final = "/var/cache/brakeline/pacman"  # root writes it, the unprivileged agent reads it
CONFLICT, IMPORT_KEY = 4, 64  # bits of `--ask`: questions whose default answer is turned round
NAMES_PER_CALL: Final = 1000


def answers(*, removals: bool) -> str:
    """Never import a key (pacman's own default is yes). Conflicts are removed only where removals are allowed."""
    return f"--ask={IMPORT_KEY | (CONFLICT if removals else 0)}"


@dataclass(frozen=True, slots=True)
class Queries:
    """Asks one endpoint."""

    runner: Runner

    def configuration(self) -> Configuration:
        return parse.parse_configuration(self.runner.query("pacman-conf").text)

    def installed(self, configuration: Configuration | None = None) -> tuple[Installed, ...]:
        """Every entry of the local database, with holds from pacman.conf."""
        known = configuration or self.configuration()
        found = []
        for entry, desc in self._entries(known):
            p = installed_of(entry, desc)
            groups = set(p.sections.get("GROUPS", ()))
            held = p.sound and (p.name in known.ignored or bool(groups & set(known.ignored_groups)))
            found.append(replace(p, state=HELD) if held else p)
        return tuple(found)

    def _entries(self, known: Configuration) -> Iterable[tuple[str, str | None]]:
        local = self.runner.path(f"{known.db_path}/local")
        try:
            names = sorted(os.listdir(local))
        except OSError:
            return
        for name in names:
            if (local / name).is_dir():
                try:
                    text = (local / name / "desc").read_text(errors="replace")
                    whole = (local / name / "files").exists()
                except OSError:
                    text, whole = "", False
                yield name, text if whole else None

    def problems(self, installed: Iterable[Installed], replaced: Iterable[str] = ()) -> tuple[str, ...]:
        return problems_of(installed, replaced)

    def sync_path(self, known: Configuration) -> str:
        """The database path whose sync databases count: ours, unless the live ones are newer."""
        mine, live = self._newest(PRIVATE), self._newest(known.db_path)
        return PRIVATE if mine >= live and mine > 0 else known.db_path

    def _newest(self, base: str) -> float:
        try:
            sync = self.runner.path(f"{base}/sync")
            return max((e.stat().st_mtime for e in os.scandir(sync) if e.name.endswith(".db")), default=0.0)
        except OSError:
            return 0.0

    def _ask(self, known: Configuration, *arguments: str) -> str:
        base = self.sync_path(known)
        return self.runner.query("pacman", "--dbpath", base, "--noconfirm", "--color=never", *arguments).text

    def pending(self, known: Configuration) -> tuple[Pending, ...]:
        return parse.parse_pending(self._ask(known, "-Qu"))

    def simulate(self, known: Configuration, again: Iterable[str] = ()) -> Simulation:
        """The whole upgrade, as pacman would do it now. `again`: what is put there once more with it."""
        return parse.parse_simulation(self._ask(known, "-Su", "--print", "--print-format", parse.PRINT_FORMAT, *again))

    def repositories(self, known: Configuration) -> dict[tuple[str, str], str]:
        return parse.parse_repositories(self._ask(known, "-Sl"))

    def metadata(self, known: Configuration, names: Iterable[str]) -> dict[str, Metadata]:
        names, found = list(names), dict[str, Metadata]()
        for start in range(0, len(names), NAMES_PER_CALL):
            found |= parse.parse_info(self._ask(known, "-Si", *names[start : start + NAMES_PER_CALL]))
        return found

    def compare(self, left: str, right: str) -> int:
        """By pacman's own `vercmp`."""
        if left == right:
            return 0
        answer = self.runner.query("vercmp", left, right).text.strip()
        return int(answer) if answer.lstrip("-").isdigit() else 0

    def cached(self, known: Configuration) -> dict[str, str]:
        """Package files in pacman's caches: file name -> path on the endpoint."""
        found: dict[str, str] = {}
        for cache in known.caches:
            try:
                for name in os.listdir(self.runner.path(cache)):
                    found.setdefault(name, f"{cache.rstrip('/')}/{name}")
            except OSError:
                continue
        return found

    def files_of(self, known: Configuration, *, without: frozenset[str]) -> frozenset[str]:
        """Every file of every package but these, as the local database has them."""
        found: set[str] = set()
        for entry, desc in self._entries(known):
            if desc is not None and split_entry(entry)[0] not in without:
                text = self.runner.path(f"{known.db_path}/local/{entry}/files").read_text(errors="replace")
                found.update(files_of(text))
        return frozenset(found)

    def backups(self, known: Configuration, p: Installed) -> dict[str, str]:
        """Configuration files of a package with the MD5 that it brought them with."""
        entry = self.runner.path(f"{known.db_path}/local/{p.name}-{p.version}/files")
        try:
            return backups_of(entry.read_text(errors="replace"))
        except OSError:
            return {}
