"""The signals of a rollout as a table for people: how many of either arm were bad, and how near the brake is. Pure.

Counts are of endpoints that were bad at any checkpoint they have passed, over all rings; the brake itself compares
block by block, so its evidence is told beside and does not follow from the sums. Next: `view.build`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from brakeline.rollout import vitals
from brakeline.rollout.evidence import EXPLICIT, SILENT, TOLD_BY_SOME, UNHEALTHY, due
from brakeline.rollout.model import Arm, Line, Policy, State, Subject
from brakeline.rollout.signals import ACTIONS, BLOCKS, DELETIONS, ERRORS, PATCHES, RESOURCES, STARTS

WHAT: Final = {
    SILENT: "not heard at a checkpoint",
    UNHEALTHY: "a service or a probe failed that had not failed before, or a port is listened on no more",
    RESOURCES: "memory, processor or disk short for ten minutes, or the agent itself greedy",
    ACTIONS: "three packages or more went away",
    STARTS: "started more than once an interval, or a minute more slowly than before",
    PATCHES: "the transaction failed, or (controls) could not be done now",
    BLOCKS: "ten accesses more were refused, or a file more is in quarantine",
    DELETIONS: "a file of another package went away, or three units were masked, or three accounts closed",
    ERRORS: "its journal takes sixty errors more in ten minutes, and four times as many as before",
}
WHICH_MAX: Final = 3  # things by name in a row
ILL: Final = (" failed", " closed")  # how the words of services, probes and ports end (`harms.in_words`)
BEGINS: Final = {ERRORS: vitals.ERRORS_OF, STARTS: vitals.SLOW}  # and how those of these begin
Bad = Callable[[Policy, Subject, int], bool]


@dataclass(frozen=True, slots=True)
class SignalRow:
    """One signal. `evidence` and `bar` are logarithms, of the question nearest to its bar; None = not asked yet."""

    signal: str
    what: str
    treated: int
    bad_treated: int
    controls: int
    bad_controls: int
    evidence: float | None
    bar: float | None
    which: tuple[str, ...] = ()  # what most of the bad treated have in common, by name: "nginx.service failed (4)"
    told: int = -1  # of both arms those who tell it at all; -1 = everybody does


def _silent(policy: Policy, s: Subject, now_ms: int) -> bool:
    passed = (1 << due(policy, s, now_ms)) - 1
    return bool(passed & ~s.heard & ~s.asleep)


BAD: Final[dict[str, Bad]] = {
    SILENT: _silent,
    UNHEALTHY: lambda _p, s, _n: s.unhealthy > 0,
    RESOURCES: lambda _p, s, _n: s.resources > 0,
    ACTIONS: lambda _p, s, _n: s.actions > 0,
    STARTS: lambda _p, s, _n: s.often > 0,
    PATCHES: lambda _p, s, _n: s.patches > 0,
    BLOCKS: lambda _p, s, _n: s.blocks > 0,
    DELETIONS: lambda _p, s, _n: s.deletions > 0,
    ERRORS: lambda _p, s, _n: s.errors > 0,
}


def table(policy: Policy, subjects: Sequence[Subject], lines: Sequence[Line], now_ms: int) -> tuple[SignalRow, ...]:
    """A row a signal that is compared between arms; those who passed no checkpoint yet are not in it."""
    seen = [s for s in subjects if due(policy, s, now_ms)]
    treated = [s for s in seen if s.arm is Arm.TREATED]
    controls = [s for s in seen if s.arm is Arm.CONTROL and not s.crossed_ms]
    told = {x.data["signal"]: x.data for x in lines if "signal" in x.data and x.data["signal"] != EXPLICIT}
    rows = []
    for signal, what in WHAT.items():
        bad = [sum(BAD[signal](policy, s, now_ms) for s in side) for side in (treated, controls)]
        mine = told.get(signal, {})
        which = _which(signal, [s for s in treated if BAD[signal](policy, s, now_ms)])
        rows.append(SignalRow(signal, what, len(treated), bad[0], len(controls), bad[1], mine.get("log_e"),
                              mine.get("bar"), which, _told(signal, (*treated, *controls))))  # fmt: skip
    return tuple(rows)


def _which(signal: str, bad: Sequence[Subject]) -> tuple[str, ...]:
    """The most frequent things by name. They are told to the people of this cell and to nobody else."""
    names: Counter[str] = Counter()
    for s in bad:
        names.update(_named(signal, s))
    return tuple(f"{name} ({n})" for name, n in names.most_common(WHICH_MAX))


def _named(signal: str, s: Subject) -> Sequence[str]:
    if signal == RESOURCES:
        return s.troubles
    if signal == PATCHES:
        return (s.detail.partition(":")[0] or "failed",)
    if signal == UNHEALTHY:
        return [x for x in s.harms if x.endswith(ILL)]
    if signal in BEGINS:  # how many errors somebody wrote is each endpoint's own
        return [x.partition(" (")[0] for x in s.harms if x.startswith(BEGINS[signal])]
    if signal not in (BLOCKS, DELETIONS):
        return ()
    return [x for x in s.harms if not x.endswith(ILL) and not x.startswith(tuple(BEGINS.values()))]


def _told(signal: str, subjects: Sequence[Subject]) -> int:
    if signal not in TOLD_BY_SOME:
        return -1
    bit = 1 << TOLD_BY_SOME.index(signal)
    return sum(bool(s.tells & bit) for s in subjects)


def decided(rows: Sequence[SignalRow], lines: Sequence[Line]) -> str:
    """Which signal halted it and what that means, in a sentence; "" = no comparison has."""
    halts = [x.data["signal"] for x in lines if x.state is State.HALT and x.data.get("signal") in WHAT]
    row = next((r for r in rows if halts and r.signal == halts[0]), None)
    if row is None:
        return ""
    most = f"; most of all {', '.join(row.which)}" if row.which else ""
    return (
        f"decided by {row.signal}: {row.what}, on {row.bad_treated} of {row.treated} treated and on {row.bad_controls} "
        f"of {row.controls} controls{most}"
    )
