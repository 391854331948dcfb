"""What a run has left half-installed, and what an order that has the package may put there again.

A disk that fills up in mid-run leaves an entry of the local database without a word in it, and files that are no
package's. pacman puts such a package there again when it is named, entry and all, but stops at those very files. So
they are named to it, one by one: what lies there of the package's own and is nobody else's. Nothing is taken away
first: if that run fails too, the entry still tells what is wrong.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from brakeline.agent.providers.apt.plan import named
from brakeline.agent.providers.pacman.parse import Configuration
from brakeline.agent.providers.pacman.queries import Queries
from brakeline.agent.providers.pacman.records import Installed, by_name

PATTERNS_BYTES: Final = 64 * 1024  # of one argument; the kernel takes 128 KiB
SINGLY_BYTES: Final = 512 * 1024  # of files named one by one; of all arguments the kernel takes 2 MiB


def half_installed(installed: Iterable[Installed], names: Iterable[str]) -> tuple[str, ...]:
    """Which of these packages have no sound entry, but one that a run has left."""
    have = by_name(installed)
    return tuple(sorted({n for n in names if n in have and not have[n].sound}))


def explain_again(names: Iterable[str]) -> tuple[str, ...]:
    """A sentence where something is put there again."""
    names = tuple(names)
    return (f"an earlier run left {named(names)} half-installed: put there again, whole",) if names else ()


@dataclass(frozen=True, slots=True)
class Left:
    """What lies on one endpoint of packages that are put there again."""

    queries: Queries

    def options(self, known: Configuration, names: Iterable[str], archives: Iterable[str]) -> tuple[str, ...]:
        """For pacman: overwrite what `archives` have, lies there, and no other package has."""
        names = frozenset(names)
        if not names:
            return ()
        others = self.queries.files_of(known, without=names)
        runner = self.queries.runner
        text = runner.query("pacman", "-Qqlp", "--", *archives).text
        mine = (line.strip() for line in text.splitlines() if line.startswith("/"))
        there = [p for p in mine if p[1:] not in others and os.path.lexists(runner.path(p)) and not p.endswith("/")]
        patterns = [pattern(p) for p in there]
        if sum(len(os.fsencode(p)) + 1 for p in patterns) > SINGLY_BYTES:
            patterns = by_directory(there, others)
        return tuple(word for words in joined(patterns) for word in ("--overwrite", words))


def by_directory(paths: Iterable[str], others: Iterable[str]) -> list[str]:
    """Patterns for the same files and for no other package's: the highest directories below which those have none.

    The sources of a kernel are 20,000 files, whose names are more than the kernel takes as arguments of a program.
    """
    shared = {parent for path in others for parent in parents(path)}
    found = dict[str, None]()
    for path in paths:
        own = next((d for d in parents(path) if d not in shared), "")
        found[f"{pattern(own)}/*" if own else pattern(path)] = None
    return list(found)


def parents(path: str) -> Iterator[str]:
    """The directories that a path lies in, from the second level on (`opt` is too much), without outer slashes."""
    parts = path.strip("/").split("/")
    return ("/".join(parts[:n]) for n in range(2, len(parts)))


def joined(patterns: Iterable[str]) -> tuple[str, ...]:
    """pacman's patterns, in as few arguments as the kernel allows."""
    found, line, size = [], list[str](), 0
    for more in patterns:
        more_bytes = len(os.fsencode(more)) + 1  # the kernel counts bytes, and so does this
        if line and size + more_bytes > PATTERNS_BYTES:
            found.append(",".join(line))
            line, size = [], 0
        line.append(more)
        size += more_bytes
    return (*found, ",".join(line)) if line else tuple(found)


def pattern(path: str) -> str:
    """Exactly this file: without the first slash; a comma would part two patterns, so it is any character."""
    return re.sub(r"([*?\\\[\]])", r"\\\1", path.lstrip("/")).replace(",", "?")
