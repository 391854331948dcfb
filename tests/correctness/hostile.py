"""What means harm, or is plainly bad, on dnf, zypper and pacman: the same bodies over each manager's own packages.

A manager lends a `Place` per row; a body answers truth, ours, and whether that is right. apt has rows of its own
(`apt_hostile`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.correctness.apt_hostile import NAMES
from tests.correctness.apt_stage import said
from tests.correctness.row import Row
from tests.correctness.standin import Trait

from brakeline.agent.providers.model import Bounds, Refused
from brakeline.protocol.messages import Outcome, UpdateRef

VERSIONS: Final = ("2-1; touch /pwned", "2-1 -o x", "$(touch /pwned)", "", "9" * 50_000, "2-1\x1b[2J")
ROOMY: Final = Bounds(disk_reserve_bytes=0)
LINE: Final = "\\033[2J\\001error: cannot lock; Running transaction q 9 " + "x" * 900


@dataclass(frozen=True)
class Place:
    """`has`: what the manager's own tool says is installed; `archive`: what the repository serves."""

    root: Any
    has: Callable[[str], str]
    path: Callable[[str], Path]
    archive: Callable[[str, str], Path]

    def truth(self, *names: str) -> str:
        return "; ".join(f"{n} {self.has(n) or 'not there'}" for n in names)


@dataclass(frozen=True)
class Manager:
    """`make(name, version, post, needs)` describes a package; `open(work, newer, first)` makes a root."""

    name: str
    make: Callable[..., Any]
    open: Callable[[Path, tuple[Any, ...], tuple[Any, ...]], AbstractContextManager[Place]]


Answer = tuple[str, str, bool]


def hostile_names(m: Manager, work: Path) -> Answer:
    """hostile package names in what we are asked to do"""
    return _asked(m, work, [UpdateRef(n, "2-1") for n in NAMES])


def hostile_versions(m: Manager, work: Path) -> Answer:
    """hostile version in what we are asked to do"""
    return _asked(m, work, [UpdateRef("p", v) for v in VERSIONS])


def _asked(m: Manager, work: Path, updates: list[UpdateRef]) -> Answer:
    with m.open(work, (m.make("p", "2"),), (m.make("p", "1"),)) as place:
        answers = [place.root.provider.plan((u,), ROOMY) for u in updates]
        codes = sorted({a.code if isinstance(a, Refused) else "planned" for a in answers})
        pwned = place.path("/pwned").exists() or Path("/pwned").exists()
        right = "planned" not in codes and not pwned and place.has("p") == "1-1"
        return f"/pwned: {pwned}; {place.truth('p')}", str(codes), right


def noisy_script(m: Manager, work: Path) -> Answer:
    """a script prints megabytes, control characters and the manager's own words"""
    noise = f"i=0; while [ $i -lt 4000 ]; do printf '{LINE}\\n'; i=$((i+1)); done"
    with m.open(work, (m.make("p", "2", post=noise),), (m.make("p", "1"),)) as place:
        result = place.root.apply(place.root.plan(("p", "2-1")))
        right = result.outcome is Outcome.INSTALLED and len(result.log_tail) < 1_000_000 and place.has("p") == "2-1"
        return place.truth("p"), f"{said(result)} {len(result.log_tail)} characters of log", right


def asks(m: Manager, work: Path) -> Answer:
    """a package asks a question"""
    ask = "if read answer; then touch /tmp/answered; else touch /tmp/unanswered; fi"
    with m.open(work, (m.make("p", "2", post=ask),), (m.make("p", "1"),)) as place:
        result = place.root.apply(place.root.plan(("p", "2-1")))
        unanswered = place.path("/tmp/unanswered").exists() and not place.path("/tmp/answered").exists()
        right = unanswered and result.outcome is Outcome.INSTALLED and place.has("p") == "2-1"
        return f"{place.truth('p')}; it got no answer: {unanswered}", said(result), right


def mixed_package(m: Manager, work: Path) -> Answer:
    """the repository is a mix of two states: the index names a package that is another"""
    newer = (m.make("p", "2"), m.make("q", "2"))
    with m.open(work, newer, (m.make("p", "1"),)) as place:
        plan = place.root.plan(("p", "2-1"))
        place.archive("p", "2").write_bytes(place.archive("q", "2").read_bytes())
        result = place.root.apply(plan)
        right = result.outcome is Outcome.REFUSED and place.has("p") == "1-1" and not place.has("q")
        return place.truth("p", "q"), said(result), right


def mixed_gone(m: Manager, work: Path) -> Answer:
    """the repository is a mix of two states: the index names what is gone"""
    newer, first = (m.make("p", "2"), m.make("q", "2")), (m.make("p", "1"), m.make("q", "1"))
    with m.open(work, newer, first) as place:
        plan = place.root.plan(("p", "2-1"), ("q", "2-1"))
        there = place.archive("q", "2")
        there.rename(there.with_suffix(".away"))
        result = place.root.apply(plan)
        there.with_suffix(".away").rename(there)
        right = result.outcome is Outcome.REFUSED and (place.has("p"), place.has("q")) == ("1-1", "1-1")
        return place.truth("p", "q"), said(result), right


def orphan(m: Manager, work: Path) -> Answer:
    """a dependency that nobody needs any more stays: removing is no update"""
    with m.open(work, (m.make("p", "2"),), (m.make("q", "1"), m.make("p", "1", needs=("q",)))) as place:
        plan = place.root.plan(("p", "2-1"))
        result = place.root.apply(plan)
        changed = [c.name for c in result.changes]
        right = (place.has("p"), place.has("q"), changed) == ("2-1", "1-1", ["p"])
        return place.truth("p", "q"), f"{said(result)} Changed: {changed}", right


BODIES: Final = (hostile_names, hostile_versions, noisy_script, asks, mixed_package, mixed_gone, orphan)
ALONE: Final = {n: Trait(alone="only we are given names and versions by somebody else")
                for n in ("hostile_names", "hostile_versions")}  # fmt: skip


def rows(m: Manager) -> tuple[Callable[[Path], Row], ...]:
    """One situation per body, named as it is."""

    def row(body: Callable[[Manager, Path], Answer]) -> Callable[[Path], Row]:
        def run(work: Path) -> Row:
            return Row(m.name, str(body.__doc__), *body(m, work))

        run.__name__ = body.__name__
        return run

    return tuple(row(b) for b in BODIES)
