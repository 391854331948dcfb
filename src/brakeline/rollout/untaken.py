"""Endpoints that are offered a change, go on answering check-ins, and take nothing of it. Pure.

An agent that is wedged and a package manager that hangs look well: they are heard, nothing on them has failed, and no
control can show how often that happens, as nobody offers it anything. So it is compared with what is usual: `USUAL` of
those who were heard at a checkpoint after they had said that they would start now. Invariants: who has told any end of
its first offer (refused, failed, expired in its own words) has answered and is not counted; who was not heard at the
checkpoint is silence's business; a later answer takes an endpoint out and nothing puts one in anew, so what is seen at
any time is never more than what a fair bet had to pay for at the checkpoints. Next: `brake`, which asks for `line`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from brakeline.rollout import evalue
from brakeline.rollout.model import Line, Policy, Progress, State, Subject

UNTAKEN: Final = "not taken"
USUAL: Final = 0.02  # of those in contact take nothing of any change (a wedged agent, a full queue); own assumption
SHARE: Final = 0.1  # of a ring: more than this is no longer a matter of single endpoints
DOUBT: Final = math.log(100)  # evidence at which that holds: at most one harmless rollout in a hundred does
HELP: Final = (
    "It is offered to them again; look at their agent and package manager, then resume, which sets them aside, or brake"
)
NO_WORD: Final = "the offer expired before it was started"  # the first one, and every one after it
AGAIN: Final = "offered again after an answer"  # what becomes of this one is no evidence: it has answered once


def looked_at(policy: Policy) -> int | None:
    """The first checkpoint at which an offer's life is over; None = a rehearsal so short that it has none. An early
    look asks for silence alone."""
    least_s = max(policy.offer_lifetime_s, policy.settled_s)
    return next((j for j, c in enumerate(policy.checkpoints_s) if c >= least_s), None)


def asked(policy: Policy, s: Subject, now_ms: int) -> bool:
    """A treated endpoint past that checkpoint, and heard at it."""
    return _heard_at(policy, s, now_ms, 0)


def takes_nothing(policy: Policy, s: Subject, now_ms: int) -> bool:
    """One of them who told neither a start nor an end; or a start, and no end by the checkpoint after."""
    started = s.progress is Progress.STARTED and _heard_at(policy, s, now_ms, 1)
    return asked(policy, s, now_ms) and (wordless(s) or started)


def wordless(s: Subject) -> bool:
    """Whether it never said a word about its first offer."""
    if s.progress is Progress.EXPIRED:
        return s.detail == NO_WORD
    return s.progress is Progress.OFFERED and s.detail != AGAIN


def offered_again(s: Subject) -> str:
    """What is noted of a subject whose offer is made again."""
    return NO_WORD if wordless(s) else AGAIN


def _heard_at(policy: Policy, s: Subject, now_ms: int, later: int) -> bool:
    first = looked_at(policy)
    j = len(policy.checkpoints_s) if first is None else first + later
    if j >= len(policy.checkpoints_s) or s.set_aside_ms:
        return False
    return bool(s.heard >> j & 1) and now_ms - s.ready_ms >= policy.checkpoints_s[j] * 1000


def line(rings: Mapping[int, tuple[int, int]], small: frozenset[int], names: Sequence[str], bar: float) -> Line | None:
    """What rings say of which so many are asked and so many of these take nothing; None = everybody has answered.

    In rings that statistics speak for it is harm where it is told from what is usual at evidence `bar`, and a reason to
    wait for a person where it is `SHARE` of a ring, at `DOUBT`. In smaller ones each result is waited for, so one
    holds; none of them halts, as what is not taken harms nobody further.
    """
    n, x = (sum(ring[i] for ring in rings.values()) for i in (0, 1))
    if not x:
        return None
    large = {r: ring for r, ring in rings.items() if r not in small}
    of_large, idle_large = (sum(ring[i] for ring in large.values()) for i in (0, 1))
    log_e = evalue.one_sample(of_large, idle_large, USUAL)
    waits = any(idle for r, (_, idle) in rings.items() if r in small)
    doubt = log_e >= DOUBT and any(idle > SHARE * of for of, idle in large.values())
    data = {"ids": list(names), "asked": n, "untaken": x, "log_e": round(log_e, 3), "bar": round(bar, 3)}
    some = f": {', '.join(names[:5])}{' …' if x > 5 else ''}" if names else ""
    text = f"{x} of {n} that are in contact took nothing of what they were offered{some}"
    usual = f"log evidence {log_e:.1f} that this is more than the usual {USUAL:.0%}, the brake acts at {bar:.1f}"
    if log_e >= bar:
        return Line(UNTAKEN, State.HALT, f"{text}; {usual}", data)
    if waits or doubt:
        return Line(UNTAKEN, State.HOLD, f"{text}; {usual if doubt else 'in a small ring each counts'}. {HELP}", data)
    return Line(UNTAKEN, State.OK, f"{text}; {usual}", data)
