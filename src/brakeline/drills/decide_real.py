"""Decisions of a drill on real endpoints: what it would do, how it stands, what its report says. Pure.

Real endpoints report a failure because an order told them to; nothing is changed on any of them. The brake has to stop
it all the same, and how fast everybody hears of that is measured on the real fleet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from brakeline.core.errors import Invalid
from brakeline.drills.model import EVENTS_MAX, REAL, REAL_MAX, Cell, Gate, Moment, RealPlan, Report, RingPlan, State
from brakeline.protocol.messages import DRILL_FAILURE
from brakeline.rollout import arms, drilling
from brakeline.rollout.model import Phase, Policy
from brakeline.rollout.power import power
from brakeline.rollout.view import RolloutView

SETTLE_S: Final = 60  # the first tick, telling everybody
SAID: Final = "real endpoints that are told to report a failure; nothing is changed on them"


def check(endpoints: int, fails: int | None) -> int:
    """How many are told to fail; None = everybody who takes it. `Invalid` where that makes no sense."""
    if not endpoints:
        raise Invalid("no active endpoint matches, so nobody could take part in the drill")
    if endpoints > REAL_MAX:
        raise Invalid(
            f"a drill on real endpoints has at most {REAL_MAX:,}, these are {endpoints:,}: choose some with a filter"
        )
    if fails is not None and not 0 <= fails <= endpoints:
        raise Invalid(f"{fails} endpoints cannot be told to fail: 0 (a drill that must complete) to {endpoints:,}")
    return endpoints if fails is None else fails


def longest_s(policy: Policy, endpoints: int) -> int:
    """When it has ended at the latest: every ring, a tick for each, what goes before and after."""
    rings = arms.rings_for(policy, drilling.change_of("dr", 0), endpoints)
    return sum(r.bake_s + policy.tick_s for r, _ in rings) + policy.checkpoints_s[-1] + SETTLE_S


def plan_of(endpoints: int, regions: int, fails: int | None, filter_text: str, consent: bool) -> RealPlan:
    """What is shown before it is run."""
    told_to_fail = check(endpoints, fails)
    policy = drilling.policy_of(endpoints)
    change = drilling.change_of("dr", told_to_fail)
    upto, rings = 0, list[RingPlan]()
    for ring in power(policy, change, endpoints, max(1, regions)).rings:
        upto += ring.treated
        rings.append(RingPlan(ring.name, upto, ring.controls, ring.halts_at))
    return RealPlan(
        filter_text, endpoints, told_to_fail, tuple(rings), policy.check_in_interval_s, longest_s(policy, endpoints),
        consent, _sentences(endpoints, told_to_fail, policy),
    )  # fmt: skip


def _sentences(endpoints: int, fails: int, policy: Policy) -> tuple[str, ...]:
    whom = "all that take it are" if fails == endpoints else f"{fails:,} of them, the lowest draws, are"
    ends = f"{whom} told to report a failure, so it must end braked" if fails else "nobody fails, so it must complete"
    return (
        f"{endpoints:,} real endpoints take part; {ends}.",
        "The order can do nothing but have an end told: no package, file, service or setting is touched, no budget is "
        "spent, nothing is quarantined, and no other rollout waits for it.",
        f"Meanwhile they check in every {policy.check_in_interval_s} s at least.",
    )


def over(view: RolloutView, fails: int, told: Mapping[str, int], to_tell: frozenset[str], held_s: float,
         policy: Policy) -> State | None:  # fmt: skip
    """How it has ended; None = not yet. A halt counts once everybody who was heard since its start knows."""
    if view.state == Phase.HALTED:
        return State.HALTED if to_tell <= told.keys() else None
    if view.state == Phase.COMPLETED:
        return State.MISSED if fails else State.PASSED
    if fails and held_s > policy.checkpoints_s[-1]:
        return State.HELD
    return State.STOPPED if view.state == Phase.WITHDRAWN else None


def told_of(state: State, report: Report) -> str:
    """The end in one sentence."""
    if state is State.PASSED:
        return f"completed: {report.offered:,} real endpoints took it, nobody failed, and it was not halted"
    if state in (State.HALTED, State.HELD):
        where = "in the first ring" if report.first_ring else f"in ring {report.ring}"
        word = "BRAKED" if state is State.HALTED else "HELD"
        return (
            f"{word} {where}: {report.harmed:,} reported the ordered failure, {report.spared:,} of "
            f"{report.endpoints:,} real endpoints were never asked to; nothing was changed"
        )
    return f"not halted in time: {report.why or 'nothing was decided'}"


def evidence_ms(view: RolloutView) -> int:
    """When the first ordered failure was told, or a person pressed; 0 = neither is in the log."""
    found = [x.at_ms for x in view.log if (x.kind == "result" and DRILL_FAILURE in x.text) or x.kind == "brake"]
    return min(found, default=0)


def report_of(view: RolloutView | None, endpoints: int, told: Mapping[str, int], to_tell: frozenset[str],
              evidence: int) -> Report:  # fmt: skip
    """What is known by now. `evidence`: when the brake first could know."""
    if view is None:
        return Report("", "its rollout is being made", "", True, endpoints, 0, 0, endpoints, endpoints, 0, 0)
    knows = {e: at for e, at in told.items() if e in to_tell}
    halted = min((x.at_ms for x in view.log if x.kind == "halted"), default=0)
    ring = view.rings[view.ring].name if 0 <= view.ring < len(view.rings) else ""
    started = min((x.at_ms for x in view.log if x.kind == "rolling"), default=0)
    return Report(
        view.state, view.why, ring, view.ring <= 0, view.targets, view.exposed, view.failed,
        view.targets - view.exposed, view.targets, len(knows), len(to_tell), 0, started, 0, evidence, evidence, halted,
        max(knows.values(), default=0) if halted else 0, tuple(r.name for r in view.rings),
        tuple(Cell(c.region, c.ring, c.state, c.planned, c.offered, c.silent, c.failed, c.spared) for c in view.grid),
        tuple(Gate(x.gate, x.state.value, x.text) for x in view.lines),
        tuple(Moment(x.at_ms, x.text) for x in reversed(view.log) if x.kind != "result")[-EVENTS_MAX:],
    )  # fmt: skip


def title(fails: int, endpoints: int) -> str:
    """How it is called in lists."""
    return REAL if fails == endpoints else f"{REAL} ({fails} fail)" if fails else f"{REAL} (nobody fails)"
