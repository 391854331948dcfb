"""The fast lane: is a policy less careful than the careful one for as many endpoints, and in which respect? Pure.

Whoever starts a rollout of such a policy needs a second person, however the policy came about: a pace by name, or one
of one's own. A respect that makes a rollout slower or the brake more sensitive is never fast.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from brakeline.rollout import arms
from brakeline.rollout.model import Change, Policy
from brakeline.rollout.presets import policy_for

REHEARSAL_MAX: Final = 20  # endpoints that a young organisation may try things out on, over all its fast rollouts


def why_fast(policy: Policy, change: Change, size: int) -> str:
    """In which respect it is less careful, as the end of a sentence; "" = in none."""
    return "; ".join(_respects(policy, policy_for(size), change, size))


def why_faster(policy: Policy, usual: Policy, change: Change, size: int) -> str:
    """The same against another policy than the careful one."""
    return "; ".join(_respects(policy, usual, change, size))


def _respects(policy: Policy, careful: Policy, change: Change, size: int) -> Iterable[str]:
    mine, theirs = _rings(policy, change, size), _rings(careful, change, size)
    bake_s = min(r.bake_s for r in careful.rings)
    for ring in policy.rings:
        if ring.bake_s < bake_s:
            yield f"ring {ring.name} is watched for {_span(ring.bake_s)} instead of {_span(bake_s)}"
    for i, (name, upto) in enumerate(mine):
        usual = theirs[min(i, len(theirs) - 1)][1]
        if upto > usual:
            yield f"ring {name} reaches {upto} endpoints where {usual} are usual"
    if policy.checkpoints_s[-1] < careful.checkpoints_s[-1]:
        yield f"the last checkpoint is after {_span(policy.checkpoints_s[-1])}"
    if policy.quorum < careful.quorum:
        yield f"a quorum of {policy.quorum:.0%} is enough"
    if policy.enrolled < careful.enrolled:
        yield f"{policy.enrolled:.0%} of a ring are enough"
    if policy.guard.alpha < careful.guard.alpha:
        yield f"the brake is less sensitive (alpha {policy.guard.alpha:g})"
    if policy.failure_baseline > careful.failure_baseline or policy.small_halts > careful.small_halts:
        yield "more failures are taken for ordinary"


def _rings(policy: Policy, change: Change, size: int) -> list[tuple[str, int]]:
    """Name and cumulative number of each ring, the hold-out apart."""
    whole = replace(policy, guard=replace(policy.guard, holdout=0.0))
    return [(ring.name, upto) for ring, upto in arms.rings_for(whole, change, size)]


def _span(seconds: int) -> str:
    hours, minutes = seconds / 3600, seconds / 60
    return (
        f"{hours:g} h" if seconds % 900 == 0 and hours >= 1 else f"{minutes:g} min" if minutes >= 1 else f"{seconds} s"
    )
