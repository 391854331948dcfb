"""Planted bugs: each is a decision that somebody might really write. The promises must catch every one.

They wrap the real planner or assignment and lie to it in one respect, so they stay true to the product as it changes.
Lint is switched off for them: it would refuse several before they could do harm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from brakeline.rollout import arms, planner
from brakeline.rollout.model import (
    Arm,
    Blueprint,
    Gate,
    Observed,
    Phase,
    Policy,
    Progress,
    Report,
    Subject,
)
from brakeline.rollout.summary import summarise
from brakeline.sim.world import Mind

ALL_BITS: Final = (1 << 16) - 1


def _rosy(s: Subject, now_ms: int) -> Subject:
    """The endpoint as somebody sees it who takes silence for consent."""
    if s.progress is Progress.FAILED:
        return s
    done = Progress.INSTALLED if s.arm is Arm.TREATED else s.progress
    return replace(s, heard=ALL_BITS, last_heard_ms=now_ms, proven_ms=s.proven_ms or s.ready_ms, progress=done)


def silence_not_counted(policy: Policy, current: Blueprint, seen: Observed, now: int) -> tuple[Blueprint, Report]:
    """No news is good news."""
    return planner.plan(policy, current, replace(seen, subjects=tuple(_rosy(s, now) for s in seen.subjects)), now)


def bake_skipped(policy: Policy, current: Blueprint, seen: Observed, now: int) -> tuple[Blueprint, Report]:
    """Proven once is proven for ever: no need to wait."""
    return planner.plan(replace(policy, rings=tuple(replace(r, bake_s=0) for r in policy.rings)), current, seen, now)


def advanced_on_hope(policy: Policy, current: Blueprint, seen: Observed, now: int) -> tuple[Blueprint, Report]:
    """Nine of ten were offered the ring: on to the next."""
    numbers = summarise(policy, current, seen, now)
    rings = arms.rings_for(policy, seen.change, numbers.population)
    if current.phase is Phase.ROLLING and current.ring + 1 < len(rings):
        ring, _ = rings[current.ring]
        if planner.passed(policy, current, numbers, ring, now)[0].data["enrolled"] >= sum(
            0.9 * g.treated for g in current.goals
        ):
            moved, lines = planner.open_ring(policy, current, numbers, rings, current.ring + 1, now, [], frozenset())
            return moved, Report(tuple(lines))
    return planner.plan(policy, current, seen, now)


def no_brake(policy: Policy, current: Blueprint, seen: Observed, now: int) -> tuple[Blueprint, Report]:
    """Nothing is ever wrong."""
    calm = tuple(replace(_rosy(replace(s, progress=Progress.INSTALLED), now), explicit=False) if s.arm is Arm.TREATED
                 else s for s in seen.subjects)  # fmt: skip
    return planner.plan(policy, current, replace(seen, subjects=calm), now)


def halt_keeps_generation(policy: Policy, current: Blueprint, seen: Observed, now: int) -> tuple[Blueprint, Report]:
    """The halt is published under the generation it halts: those who hold that one refuse it."""
    proposed, report = planner.plan(policy, current, seen, now)
    if proposed.phase is Phase.HALTED and current.phase is not Phase.HALTED:
        proposed = replace(proposed, generation=current.generation, parent=current.parent)
    return proposed, report


def current_ring_only(policy: Policy, current: Blueprint, seen: Observed, now: int) -> tuple[Blueprint, Report]:
    """Earlier rings were passed: why look again?"""
    subjects = tuple(s if s.ring == current.ring else _rosy(s, now) for s in seen.subjects)
    return planner.plan(policy, current, replace(seen, subjects=subjects), now)


def refused_become_controls(gate: Gate | None, u: int, treated: int, closed: bool, now_ms: int) -> Arm:
    """The budget is spent, so whoever asks now is told "not yet": is that not what a control is?"""
    arm = arms.assign(gate, u, treated, closed, now_ms)
    return Arm.CONTROL if gate is not None and arm is Arm.DEFERRED else arm


PLANNERS: Final[tuple[Callable[[Policy, Blueprint, Observed, int], tuple[Blueprint, Report]], ...]] = (
    silence_not_counted, bake_skipped, advanced_on_hope, no_brake, halt_keeps_generation, current_ring_only,
)  # fmt: skip
MUTANTS: Final = {
    **{p.__name__: Mind(plan=p, lints=False) for p in PLANNERS},
    "refused_become_controls": Mind(assign=refused_become_controls, lints=False),
}
