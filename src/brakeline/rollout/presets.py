"""Ready-made policies, by pace and size of fleet. Pure.

From a hundred thousand endpoints on there is an early look, for silence alone: a ring has then offered one tick only.
`careful` (default) bakes each ring for 26 h: a local midnight and a next-day return everywhere; from a thousand
endpoints on its rings begin with few. `fast` bakes 6 h 15,
the least that still spans the third checkpoint; from a hundred thousand endpoints on it has five rings and holds nobody
out, so that it ends within two days. `emergency`, for what is being exploited, bakes as long in fewer and larger rings,
offered within 2 h, and holds nobody out. `rehearsal` runs in minutes: it shows the machinery, not more. `pace` chooses
among them; what is less careful than careful takes two people (`lanes`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.core.errors import Invalid
from brakeline.rollout.model import CHECKPOINTS_S, NO_RESTARTS, Guard, Policy, Restarts, Ring

PACES: Final = ("careful", "fast", "emergency", "rehearsal")
RELEASE_FAILURES: Final = 0.001  # of trials of a good release, by full disks and the like
LARGE_FLEET: Final = 100_000  # from here rings grow tenfold from a hundred on, and their offers are spread over hours
LARGE_COUNTS: Final = (100, 1_000, 10_000, 100_000)
LARGE_SHARES: Final = (0.1, 0.4, 1.0)
SPREAD_S: Final = 5 * 3600  # what half an hour of a ring reaches is what a fault can do before its first checkpoint
STAGGER_S: Final = 1800  # regions open a ring one after another
OFFERS_A_TICK: Final = 1_000_000  # the spread bounds a tick, not a number
CANARY_MAX: Final = 100
# From here canaries are twenty and more: a careful ring begins with few, so that what kills at once kills a handful.
MIDDLE_FLEET: Final = 1_000
MIDDLE_SPREAD_S: Final = 75 * 60
SMALL_FLEET: Final = 20  # up to here rings are counted by hand: one, three, all
# One look more than a policy has that says nothing of them: what creeps is met at noon and not the next day.
LOOKS_S: Final = (*CHECKPOINTS_S[:3], 12 * 3600, *CHECKPOINTS_S[3:])
EARLY_S: Final = 600  # in large fleets silence is asked for before the next tick opens; restarts begin after it
LARGE_LOOKS_S: Final = (EARLY_S, *LOOKS_S)
BAKE_S: Final = {"careful": 26 * 3600, "fast": 22_500, "emergency": 22_500, "rehearsal": 60}
FAST_COUNTS: Final = (100, 2_000, 80_000, 1_000_000)  # then everybody
FAST_SPREAD_S: Final = 5400
EMERGENCY_COUNTS: Final = (1_000, 50_000, 1_000_000)  # then everybody
EMERGENCY_SHARE: Final = 8  # no ring before the last reaches more than one in so many
EMERGENCY_SPREAD_S: Final = 2 * 3600
# No two looks are further apart than a large ring is offered, until it is passed: then somebody of it is being looked
# at all the time, and what one midnight has done is seen before the next.
EMERGENCY_LOOKS_S: Final = (EARLY_S, *CHECKPOINTS_S[:2], CHECKPOINTS_S[1] + EMERGENCY_SPREAD_S, *LOOKS_S[2:])
EMERGENCY_RESTARTS: Final = Restarts(rings=2, upto=EMERGENCY_COUNTS[1])  # the first alone misses 5 % in 1 of 200
NIGHT_RETURN_S: Final = 16 * 3600  # a laptop's night holds nothing up
EMERGENCY_CANARIES: Final = 50  # where that is one in twenty at most: enough for statistics, which know of nights


def policy_for(size: int, pace: str = "careful") -> Policy:
    """The policy for `size` endpoints. Raises `Invalid` for a pace that there is not."""
    if pace not in PACES:
        raise Invalid(f"no pace {pace!r}; there are {', '.join(PACES)}")
    if pace == "emergency":
        return _emergency(size)
    if pace == "fast" and size >= LARGE_FLEET:
        return _fast(size)
    spread_s = MIDDLE_SPREAD_S if size >= MIDDLE_FLEET and pace == "careful" else 0
    policy = Policy(_rings(size, BAKE_S[pace]), checkpoints_s=LOOKS_S, spread_s=spread_s)
    if size >= LARGE_FLEET and pace != "rehearsal":
        policy = replace(policy, checkpoints_s=LARGE_LOOKS_S, spread_s=SPREAD_S, region_stagger_s=STAGGER_S,
                         offers_per_tick=OFFERS_A_TICK)  # fmt: skip
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


def _fast(size: int) -> Policy:
    """Two days among millions: the first ring is as small as ever, then they grow faster; nobody is held out."""
    return Policy(
        _counted(FAST_COUNTS, size, BAKE_S["fast"]), guard=Guard(holdout=0.0), checkpoints_s=LARGE_LOOKS_S,
        people_return_s=NIGHT_RETURN_S, spread_s=FAST_SPREAD_S, offers_per_tick=OFFERS_A_TICK,
    )  # fmt: skip


def _counted(counts: tuple[int, ...], size: int, bake_s: int) -> tuple[Ring, ...]:
    """Rings of so many, an eighth of the fleet at most, then everybody."""
    most = size // EMERGENCY_SHARE
    counted = (Ring(f"{n:,}", bake_s, count=n) for n in sorted({min(n, most) for n in counts}))
    return (*counted, Ring("all", bake_s, share=1.0))


def _emergency(size: int) -> Policy:
    """As fast as the third checkpoint lets it be: nobody is watched for less than 6 h 15."""
    policy = Policy(
        _emergency_rings(size, BAKE_S["emergency"]), guard=Guard(holdout=0.0), checkpoints_s=LOOKS_S,
        people_return_s=NIGHT_RETURN_S, restarts=EMERGENCY_RESTARTS,
    )  # fmt: skip
    if size < LARGE_FLEET:
        return policy
    return replace(policy, checkpoints_s=EMERGENCY_LOOKS_S, spread_s=EMERGENCY_SPREAD_S, offers_per_tick=OFFERS_A_TICK)


def _emergency_rings(size: int, bake_s: int) -> tuple[Ring, ...]:
    """1,000, 50,000, a million and all; a small fleet has one canary, a middle one as many as ever and an eighth."""
    everybody = Ring("all", bake_s, share=1.0)
    if size <= SMALL_FLEET:
        return (Ring("canary", bake_s, count=1), everybody)
    most = size // EMERGENCY_SHARE
    if size < LARGE_FLEET:
        least = EMERGENCY_CANARIES if size >= 20 * EMERGENCY_CANARIES else 2
        canary = max(least, min(CANARY_MAX, size // 50))
        return (Ring("canary", bake_s, count=canary), Ring("eighth", bake_s, count=max(canary, most)), everybody)
    return _counted(EMERGENCY_COUNTS, size, bake_s)


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
