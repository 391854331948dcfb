"""Asks zypper for the exact transaction of some updates and checks it against bounds, health and disk space.

Everything that can be expected to stand in the way is a `Refused` with its code. Nothing is changed. The resolver runs
twice: with what was asked, then with every package that it named, which must come to the same. Next: `apply`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from brakeline.agent.providers.apt.plan import difference, named, refuse_broken, refuse_quarantined
from brakeline.agent.providers.model import Bounds, Planned, Refused
from brakeline.agent.providers.zypper import answers, rpmdb
from brakeline.agent.providers.zypper import plan as rules
from brakeline.agent.providers.zypper.rpmdb import Installed
from brakeline.agent.providers.zypper.tools import CACHE, Tools
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.messages import Transaction, UpdateRef

LOCKS: Final = "/etc/zypp/locks"
INSTALL: Final = ("install", "--no-recommends", "--auto-agree-with-licenses")
OWN: Final = "(System Packages)"  # what no repository has: so zypper calls the place of it
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans on one endpoint."""

    tools: Tools
    content: Rules = BUILT_IN

    # --- what is there ---

    def installed(self) -> tuple[Installed, ...]:
        return rpmdb.parse(self.tools.ask_rpm("-qa", "--queryformat", rpmdb.FORMAT).text)

    def several(self) -> frozenset[str]:
        """Names of packages that are made to be there in several versions at once."""
        text = self.tools.ask_rpm(
            "-q", "--whatprovides", "multiversion(kernel)", "--queryformat", "@\\t%{NAME}\\n"
        ).text
        return frozenset(line[2:] for line in text.splitlines() if line.startswith("@\t"))

    def held(self, installed: Iterable[Installed]) -> dict[str, str]:
        """Installed packages that a lock of the endpoint's owner holds, and the words of that lock."""
        try:
            text = self.tools.at.path(LOCKS).read_text(errors="replace")
        except OSError:
            return {}
        found = answers.locks(text)
        return {p.key: words for p in installed if (words := answers.holding(p.name, found))}

    def problems(self, installed: Iterable[Installed]) -> tuple[str, ...]:
        """What is broken now: packages recorded twice, requirements that nothing meets, records that cannot be read."""
        answer = self.tools.ask_rpm("--verify", "--all", "--nofiles", "--nodigest", "--nosignature", "--noscripts").text
        broken = re.findall(r"^Unsatisfied dependencies for (\S+):\n((?:\t.*\n?)+)", answer, re.MULTILINE)
        unmet = tuple(
            f"{name}: {' '.join(what.split()).replace('is needed by (installed) ', 'needed by ')}"
            for name, what in broken
        )
        records = tuple(line for line in answer.splitlines() if line.startswith("error: ") and "db" in line)
        return rpmdb.doubled(installed, self.several()) + unmet + records[:1]

    # --- planning ---

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact transaction for `updates`, or why there is none now."""
        installed = self.installed()
        targets = rules.wanted(updates, installed)
        if not targets:
            return Refused(
                "nothing_to_do", "Every update is installed already, or its package is not on this endpoint."
            )
        held = self.held(installed)
        free = tuple((p, v) for p, v in targets if p.key not in held)
        skipped = tuple(
            f"{p.name} is held on this endpoint by its owner (lock {held[p.key]})" for p, _ in targets if p.key in held
        )
        if not free:
            return Refused("held", f"Held back on this endpoint by its owner: {named(p.name for p, _ in targets)}.")
        there = self.candidates(p.name for p, _ in free)
        if refused := self.sick(installed, {p.key for p, _ in free}) or _not_to_be_had(free, there):
            return refused
        found = self._settled(rules.named_versions(free), bounds)
        if isinstance(found, Refused):
            return found
        refused = refuse_broken(found, self.content) or refuse_quarantined(found, bounds.without)
        if refused := refused or rules.refuse_beyond(found, bounds, held) or self.too_small(found, bounds):
            return refused
        back, gone = self._ways_back(found, there)
        return Planned(found, back, gone, skipped)

    def sick(self, installed: tuple[Installed, ...], targets: set[str]) -> Refused | None:
        """A package that is broken now makes every result doubtful, unless this very update replaces it."""
        others = [p for p in installed if p.key not in targets]
        names = {key.partition(":")[0] for key in targets}
        problems = [x for x in self.problems(others) if not any(x.startswith((f"{n}:", f"{n}-")) for n in names)]
        if problems:
            return Refused("unhealthy", f"The package manager is broken: {named(problems)}.")
        return None

    def candidates(self, names: Iterable[str]) -> tuple[answers.Candidate, ...]:
        """All versions of these packages, here and in the repositories."""
        return answers.candidates(
            self.tools.ask_zypper("search", "--details", "--match-exact", "-t", "package", *names).text
        )

    def _settled(self, wanted: tuple[str, ...], bounds: Bounds) -> Transaction | Refused:
        """Where nothing follows from what was asked, naming everything would be the very command of just now."""
        first = self.simulate(wanted, bounds)
        if isinstance(first, Refused) or rules.arguments(first) == wanted:
            return first
        second = self.simulate(rules.arguments(first), bounds)
        if isinstance(second, Refused):
            return second
        if unlike := difference(first, second):
            return Refused("refused", f"zypper does not come to the same transaction twice: {unlike}.")
        return second

    def simulate(self, wanted: tuple[str, ...], bounds: Bounds) -> Transaction | Refused:
        """What zypper would do for these arguments now."""
        found = self.ask(wanted, bounds)
        if gone := found.would_remove:
            if not bounds.allow_removals:
                return Refused("refused", f"It would remove {named(gone)}, and the policy allows no removals.")
            found = self.ask((*wanted, *(f"!{name}" for name in gone)), bounds)
        if not found.found and (words := found.problems or found.errors):
            return Refused("refused", f"zypper finds no way to do this: {words[0].rstrip('.')}.")
        if refused := rules.refuse_vendors(found):
            return refused
        transaction = rules.transaction_of(found)
        return transaction if transaction.actions else Refused("nothing_to_do", "zypper finds nothing to change.")

    def ask(self, wanted: tuple[str, ...], bounds: Bounds) -> answers.Summary:
        return answers.summary(self.tools.ask_zypper(*INSTALL, "--dry-run", *self.options(bounds), *wanted).text)

    @staticmethod
    def options(bounds: Bounds) -> tuple[str, ...]:
        return ("--oldpackage",) if bounds.allow_downgrades else ()

    def too_small(self, found: Transaction, bounds: Bounds) -> Refused | None:
        """None, or where there is too little room: rpm itself looks once more before it begins."""
        need = {"/": max(0, found.disk_bytes), CACHE: found.download_bytes}
        places: dict[int, tuple[str, int, int]] = {}
        for place, size in need.items():
            path = self.tools.at.path(place)
            while not path.exists():
                path = path.parent
            there, device = os.statvfs(path), os.stat(path).st_dev
            name, so_far, _ = places.get(device, (place, 0, 0))
            places[device] = (name, so_far + size, there.f_bavail * there.f_frsize)
        for name, size, free in places.values():
            if free < size + bounds.disk_reserve_bytes:
                return Refused(
                    "no_space",
                    f"Too little disk space: {name} has {free / MIB:.0f} MiB free, "
                    f"{(size + bounds.disk_reserve_bytes) / MIB:.0f} MiB are needed "
                    f"({bounds.disk_reserve_bytes / MIB:.0f} of them kept in reserve).",
                )
        return None

    def free_bytes(self) -> int:
        there = os.statvfs(self.tools.at.path("/"))
        return there.f_bavail * there.f_frsize

    def _ways_back(
        self, found: Transaction, known: tuple[answers.Candidate, ...]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Packages whose former version can still be had, and the others. `known`: candidates that were asked for."""
        changed = [a for a in found.actions if a.before]
        more = {a.name for a in changed} - {c.name for c in known}
        known += self.candidates(sorted(more)) if more else ()
        there = {(c.name, c.architecture, c.version) for c in known if c.repository != OWN}
        back = [a.name for a in changed if (a.name, a.architecture, a.before) in there]
        return tuple(back), tuple(a.name for a in changed if a.name not in back)


def _not_to_be_had(targets: tuple[tuple[Installed, str], ...], there: tuple[answers.Candidate, ...]) -> Refused | None:
    for p, version in targets:
        mine = [c.version for c in there if (c.name, c.architecture) == (p.name, p.architecture) and not c.installed]
        if version in mine:
            continue
        newer = [v for v in mine if rpmdb.is_older(version, v)]
        if newer:
            return Refused(
                "refused", f"{p.name} {version} cannot be had any more; the repositories now have {newer[0]}."
            )
        return Refused("lists_stale", f"{p.name} {version} is not in this endpoint's package lists.")
    return None
