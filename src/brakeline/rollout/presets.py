"""Ready-made policies, by pace and size of fleet. Pure.

`careful` (default) bakes each ring for 26 h: a local midnight and a next-day return everywhere. `fast` bakes 6 h 15,
the least that still spans the third checkpoint. `rehearsal` runs in minutes: it shows the machinery, not more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.core.errors import Invalid
from brakeline.rollout.model import NO_RESTARTS, Guard, Policy, Ring

PACES: Final = ("careful", "fast", "rehearsal")
RELEASE_FAILURES: Final = 0.001  # of trials of a good release, by full disks and the like
LARGE_FLEET: Final = 100_000  # from here rings grow tenfold from a hundred on, and their offers are spread over hours
LARGE_COUNTS: Final = (100, 1_000, 10_000, 100_000)
LARGE_SHARES: Final = (0.1, 0.4, 1.0)
SPREAD_S: Final = 5 * 3600  # what half an hour of a ring reaches is what a fault can do before its first checkpoint
STAGGER_S: Final = 1800  # regions open a ring one after another
OFFERS_A_TICK: Final = 1_000_000  # the spread bounds a tick, not a number
CANARY_MAX: Final = 100
SMALL_FLEET: Final = 20  # up to here rings are counted by hand: one, three, all
BAKE_S: Final = {"careful": 26 * 3600, "fast": 22_500, "rehearsal": 60}


def policy_for(size: int, pace: str = "careful") -> Policy:
    """The policy for `size` endpoints. Raises `Invalid` for a pace that there is not."""
    if pace not in PACES:
        raise Invalid(f"no pace {pace!r}; there are {', '.join(PACES)}")
    policy = Policy(_rings(size, BAKE_S[pace]))
    if size >= LARGE_FLEET and pace != "rehearsal":
        policy = replace(policy, spread_s=SPREAD_S, region_stagger_s=STAGGER_S, offers_per_tick=OFFERS_A_TICK)
    if pace == "fast":
        return replace(policy, people_return_s=BAKE_S["fast"])
    if pace == "rehearsal":
        return rehearsal(policy, interval_s=10)
    return policy


def for_release(policy: Policy) -> Policy:
    """The same rings and durations for a release of ours. A launcher's report of a failed trial is nearly free of
    noise: it has executed the release three times beside a last known good that works, so the ordinary rate is 0.1 %
    and in a small ring one halts; so does one endpoint that stays away, because an agent that is mute can tell nothing
    else. Halting costs a new release; going on costs endpoints.
    """
    return replace(policy, failure_baseline=RELEASE_FAILURES, small_halts=1, silence_halts=True)


def rehearsal(policy: Policy, interval_s: int) -> Policy:
    """`policy` with its clock wound up: checkpoints at 4, 6, 9 and 12 check-in intervals of `interval_s` seconds."""
    return replace(
        policy,
        checkpoints_s=tuple(interval_s * n for n in (4, 6, 9, 12)),
        check_in_interval_s=interval_s,
        tick_s=3 * interval_s,
        laptop_grace_s=3 * interval_s,
        people_return_s=12 * interval_s,
        data_age_max_s=15 * interval_s,
        guard=Guard(holdout=0.0),
        restarts=NO_RESTARTS,
    )


def _rings(size: int, bake_s: int) -> tuple[Ring, ...]:
    """Cumulative rings: small fleets by count, larger ones times ten, then less."""
    if size <= SMALL_FLEET:
        return (Ring("canary", bake_s, count=1), Ring("early", bake_s, count=3), Ring("all", bake_s, share=1.0))
    if size >= LARGE_FLEET:
        counted = [Ring(f"{n:,}", bake_s, count=n) for n in LARGE_COUNTS if n < LARGE_SHARES[0] * size]
        return (*counted, *(Ring(f"{100 * x:.0f} %", bake_s, share=x) for x in LARGE_SHARES))
    canary = Ring("canary", bake_s, count=max(2, min(CANARY_MAX, size // 50)))
    if size < 100 * CANARY_MAX:  # below, one per cent is no more than the canaries
        return (
            canary,
            Ring("early", bake_s, share=0.1),
            Ring("wide", bake_s, share=0.4),
            Ring("all", bake_s, share=1.0),
        )
    return (
        canary, Ring("early", bake_s, share=0.01), Ring("tenth", bake_s, share=0.1), Ring("wide", bake_s, share=0.4),
        Ring("all", bake_s, share=1.0),
    )  # fmt: skip
