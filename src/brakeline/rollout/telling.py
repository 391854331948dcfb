"""The signals of a rollout as a table for people: how many of either arm were bad, and how near the brake is. Pure.

Counts are of endpoints that were bad at any checkpoint they have passed, over all rings; the brake itself compares
block by block, so its evidence is told beside and does not follow from the sums. Next: `view.build`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from brakeline.rollout.evidence import EXPLICIT, SILENT, UNHEALTHY, due
from brakeline.rollout.model import Arm, Line, Policy, Subject
from brakeline.rollout.signals import ACTIONS, RESOURCES, STARTS

WHAT: Final = {
    SILENT: "not heard at a checkpoint",
    UNHEALTHY: "a service failed that had not failed before",
    RESOURCES: "memory, processor or disk short for ten minutes, or the agent itself greedy",
    ACTIONS: "three packages or more went away",
    STARTS: "started more than once an interval",
}
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


def _silent(policy: Policy, s: Subject, now_ms: int) -> bool:
    passed = (1 << due(policy, s, now_ms)) - 1
    return bool(passed & ~s.heard & ~s.asleep)


BAD: Final[dict[str, Bad]] = {
    SILENT: _silent,
    UNHEALTHY: lambda _p, s, _n: s.unhealthy > 0,
    RESOURCES: lambda _p, s, _n: s.resources > 0,
    ACTIONS: lambda _p, s, _n: s.actions > 0,
    STARTS: lambda _p, s, _n: s.often > 0,
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
        rows.append(SignalRow(signal, what, len(treated), bad[0], len(controls), bad[1], mine.get("log_e"),
                              mine.get("bar")))  # fmt: skip
    return tuple(rows)
