"""What changed from one inventory to the next. Pure.

Invariants: a package whose files are gone counts as removed, whatever its manager still remembers of it; the first
inventory of an endpoint is a beginning and no change. Who did it, and how two moments differ: `runlog.decide`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from brakeline.fleet.decide import Apply, Held
from brakeline.protocol.digests import package_key
from brakeline.protocol.messages import Package

CHANGES_MAX: Final = 5_000  # by name, of one step: a new release of a whole system; beyond it they are counted
STEPS_MAX: Final = 2_000  # of one endpoint: five a day for a year
GONE: Final = frozenset("cn")  # second letter of a state: only configuration is left, or nothing


@dataclass(frozen=True, slots=True)
class Changed:
    """One package. "" = not installed."""

    name: str
    architecture: str
    before: str
    after: str

    @property
    def kind(self) -> str:
        """installed | removed | changed"""
        return "installed" if not self.before else "removed" if not self.after else "changed"


@dataclass(frozen=True, slots=True)
class Step:
    """What one inventory showed to be different from the one before."""

    sequence: int
    at_ms: int  # when the cell committed it: the change itself was before
    packages: int  # afterwards
    changes: tuple[Changed, ...] = ()
    total: int = 0  # of changes, also of those that are not here by name
    first: bool = False


def step(held: Held, before: Mapping[str, Package], change: Apply, sequence: int, at_ms: int) -> Step | None:
    """None = nothing that is installed has changed."""
    if not held.sequence:
        return Step(sequence, at_ms, change.total, first=True)
    found = [_changed(before.get(package_key(p.name, p.architecture)), p) for p in change.upserts]
    found += [_changed(before[key], None) for key in change.removals]
    changes = sorted((c for c in found if c.before != c.after), key=lambda c: (c.name, c.architecture))
    if not changes:
        return None
    return Step(sequence, at_ms, change.total, tuple(changes[:CHANGES_MAX]), len(changes))


def _changed(before: Package | None, after: Package | None) -> Changed:
    one = after or before
    assert one is not None, "a change has at least one side"
    return Changed(one.name, one.architecture, _version(before), _version(after))


def _version(package: Package | None) -> str:
    return package.version if package is not None and package.state[1:2] not in GONE else ""
