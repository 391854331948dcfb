"""Every situation of every manager in one list, with what the rules for peers have to know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.correctness import apt, dnf, flatpak, npm, pacman, pip, zypper
from tests.correctness.row import Row
from tests.correctness.standin import Trait


@dataclass(frozen=True)
class Situation:
    """`run` provokes it in an empty directory and returns our row; `quick`: belongs to the required set."""

    manager: str
    key: str
    run: Callable[[Path], Row]
    trait: Trait
    quick: bool

    @property
    def id(self) -> str:
        return f"{self.manager}/{self.key}"


def _of(module: Any, run: Callable[[Any], Callable[[Path], Row]]) -> Iterator[Situation]:
    found = module.SITUATIONS.values() if isinstance(module.SITUATIONS, dict) else module.SITUATIONS
    for function in found:
        key = function.__name__
        trait = module.TRAITS.get(key, Trait())
        yield Situation(module.MANAGER, key, run(function), trait, key in module.QUICK)


def situations(*managers: str) -> tuple[Situation, ...]:
    """All of them, or those of these managers."""
    every = (
        *_of(apt, lambda f: f),
        *_of(dnf, lambda f: f),
        *_of(zypper, lambda f: f),
        *_of(pacman, lambda f: lambda _: f()),
        *_of(pip, lambda f: lambda work: pip.provoked(work, f)),
        *_of(npm, lambda f: lambda work: npm.provoked(work, f)),
        *_of(flatpak, lambda f: lambda work: flatpak.provoked(work, f)),
    )
    return tuple(s for s in every if not managers or s.manager in managers)


MANAGERS = ("apt", "dnf", "zypper", "pacman", "pip", "npm", "flatpak")
