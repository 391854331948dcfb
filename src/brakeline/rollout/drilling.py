"""A drill on real endpoints as a rollout: what it is, its policy, who of it is told to report a failure. Pure.

It takes the way of every change: rings, arms, signed offers, brake. What is different is that it changes nothing, so it
spends no budget, quarantines nothing, and no other rollout waits for it; and that its clock is wound up.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, Protocol

from brakeline.protocol.messages import DRILL_PACKAGE
from brakeline.rollout.model import DRILL, Change, Pin, Policy
from brakeline.rollout.presets import RELEASE_FAILURES, policy_for, rehearsal

CHECK_IN_S: Final = (5, 60)  # between check-ins while a drill watches: never slower than endpoints do anyway
CHECK_INS_PER_S: Final = 40
OFFER_INTERVALS: Final = 3  # an endpoint that went off is not kept from real changes by an order of a drill


class Drawn(Protocol):
    """What has a place in a draw."""

    @property
    def endpoint_id(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def u(self) -> int: ...


def change_of(drill_id: str, fails: int) -> Change:
    """A drill as something to roll out; named by its id, so that no other rollout is ever taken for it."""
    title = f"drill: {fails} told to report a failure" if fails else "drill: nobody is told to fail"
    return Change((Pin(DRILL_PACKAGE, drill_id.replace("_", "-").lower()),), kind=DRILL, title=title, fails=fails)


def interval_s(endpoints: int) -> int:
    """How often they check in meanwhile."""
    least, most = CHECK_IN_S
    return min(most, max(least, math.ceil(endpoints / CHECK_INS_PER_S)))


def policy_of(endpoints: int) -> Policy:
    """The rings of a fleet of that size at rehearsal pace, each watched past every checkpoint. A failure that an order
    asks for is free of noise, so in a small ring one halts, as it does of a release."""
    policy = rehearsal(policy_for(endpoints, "rehearsal"), interval_s(endpoints))
    bake_s = policy.checkpoints_s[-1]
    rings = tuple(replace(r, bake_s=bake_s) for r in policy.rings)
    return replace(
        policy, rings=rings, small_halts=1, failure_baseline=RELEASE_FAILURES,
        offer_lifetime_s=OFFER_INTERVALS * policy.check_in_interval_s,
    )  # fmt: skip


def failing(targets: Iterable[Drawn], fails: int) -> frozenset[str]:
    """The lowest draws, region after region in turn: those who are offered it first."""
    if fails < 1:
        return frozenset()
    places: dict[str, int] = defaultdict(int)
    ranked: list[tuple[int, int, str]] = []
    for t in sorted(targets, key=lambda t: t.u):
        ranked.append((places[t.region], t.u, t.endpoint_id))
        places[t.region] += 1
    return frozenset(endpoint_id for _, _, endpoint_id in sorted(ranked)[:fails])
