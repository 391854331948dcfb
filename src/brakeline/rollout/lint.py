"""An independent checker of blueprints: it shares no code with the planner's decisions and trusts none of them.

Every new blueprint is checked before it may become the target; a finding of severity ERROR keeps it from being
published (the rollout stands still and says so). The rules are the promises of the rollout, one function each, so that
"what can never happen" can be read here from top to bottom.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from brakeline.rollout.alpha import alpha_sum, alpha_table
from brakeline.rollout.budget import Allowance
from brakeline.rollout.model import EXPOSED_NO_MORE, Arm, Blueprint, Observed, Phase, Policy, Subject, Wish

GROUPS_NAMED: Final = 5


class Severity(StrEnum):
    ERROR = "error"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a blueprint, and which rule says so."""

    rule: str
    severity: Severity
    text: str


Rule = Callable[[Policy, Blueprint, Blueprint, Observed], Iterator[str]]
LimitRule = Callable[[Blueprint, Blueprint, Observed, Allowance], Iterator[str]]


def check(policy: Policy, current: Blueprint, proposed: Blueprint, observed: Observed,
          allowed: Allowance | None = None) -> tuple[Finding, ...]:  # fmt: skip
    """Everything wrong with replacing `current` by `proposed`; empty = may be published.

    `allowed`: what the limits over all rollouts leave to this one; None = there are none (a simulation of one rollout).
    """
    if proposed == current:
        return ()
    found = [(rule.__name__, text) for rule in RULES for text in rule(policy, current, proposed, observed)]
    if allowed is not None:
        found += [(rule.__name__, text) for rule in LIMIT_RULES for text in rule(current, proposed, observed, allowed)]
    return tuple(Finding(name.replace("_", "-"), Severity.ERROR, text) for name, text in found)


def generation_rises_by_one(_p: Policy, current: Blueprint, proposed: Blueprint, _o: Observed) -> Iterator[str]:
    """Receivers refuse older generations; compare-and-swap needs the parent."""
    if proposed.rollout_id != current.rollout_id:
        yield f"blueprint of {proposed.rollout_id} cannot follow one of {current.rollout_id}"
    if proposed.parent != current.generation or proposed.generation != current.generation + 1:
        yield f"generation {proposed.generation} (parent {proposed.parent}) does not follow {current.generation}"


def one_ring_at_a_time(_p: Policy, current: Blueprint, proposed: Blueprint, _o: Observed) -> Iterator[str]:
    """Never two rings at once, never two gates in a region, never a ring skipped or a ring twice."""
    regions = [g.region for g in proposed.gates]
    if len(set(regions)) != len(regions):
        yield "two gates are open in one region"
    for gate in proposed.gates:
        if gate.ring != proposed.ring:
            yield f"gate of {gate.region} is for ring {gate.ring + 1} while ring {proposed.ring + 1} is in progress"
    if proposed.ring not in (current.ring, current.ring + 1):
        yield f"ring {proposed.ring + 1} does not follow ring {current.ring + 1}"
    if len(proposed.ring_opened_ms) != proposed.ring + 1:
        yield "the record of opened rings does not fit the ring in progress"


def _counted(observed: Observed) -> list[Subject]:
    """Treated endpoints; who was set aside by a person fills no place of a ring and proves nothing."""
    return [s for s in observed.subjects if s.arm is Arm.TREATED and not s.set_aside_ms]


def budget_kept(policy: Policy, _c: Blueprint, proposed: Blueprint, observed: Observed) -> Iterator[str]:
    """Never more offers than the tick's budget, nor more treated than the ring's goal."""
    goals = {g.region: g.treated for g in proposed.goals}
    for gate in proposed.gates:
        treated = sum(s.region == gate.region for s in _counted(observed))
        spent = sum(t.treated for t in observed.ticks if (t.region, t.tick) == (gate.region, gate.tick))
        if not 0 < gate.budget <= policy.offers_per_tick:
            yield f"{gate.region}: budget {gate.budget} is outside 1..{policy.offers_per_tick}"
        if treated - spent + gate.budget > goals.get(gate.region, 0):
            yield f"{gate.region}: {treated} treated and {gate.budget} more exceed the goal {goals.get(gate.region, 0)}"
        if not gate.treat_below <= gate.control_from <= gate.control_until:
            yield f"{gate.region}: the arms' ranges overlap"


def ring_size_kept(policy: Policy, _c: Blueprint, proposed: Blueprint, observed: Observed) -> Iterator[str]:
    """Rings before the last stay within what the policy's share or count allows."""
    treated = len(_counted(observed))
    away = {r: len(us) for r, us in observed.untreated.items()} | dict(observed.eligible)
    total = treated + sum(away.values())
    if not proposed.gates or proposed.ring >= len(policy.rings) - 1:
        return
    # Rings that would add nobody are dropped in tiny fleets; then a later ring of the policy is the one in progress.
    sizes = [r.count if r.count is not None else max(1, math.ceil((r.share or 1.0) * total)) for r in policy.rings]
    allowed = list(itertools.accumulate(sizes, max))  # cumulative: one that is smaller than an earlier adds nobody
    bigger = [n for n in allowed[proposed.ring :] if n > treated] or [total]
    planned = sum(g.treated for g in proposed.goals)
    if planned > max(min(bigger), treated):
        yield f"ring {proposed.ring + 1} would treat {planned}, policy allows {min(bigger)}"


def gates_only_while_rolling(_p: Policy, _c: Blueprint, proposed: Blueprint, observed: Observed) -> Iterator[str]:
    """Nothing is offered in any other phase, nor against a person's wish."""
    if proposed.gates and proposed.phase is not Phase.ROLLING:
        yield f"a gate is open while {proposed.phase}"
    if proposed.gates and observed.wish is not Wish.RUN:
        yield f"a gate is open although a person asked to {observed.wish}"


def never_quarantined(_p: Policy, _c: Blueprint, proposed: Blueprint, observed: Observed) -> Iterator[str]:
    """A halted update is offered by no later rollout."""
    if proposed.gates and not observed.change.takes_back:
        for pin in sorted(set(observed.change.updates) & observed.quarantined):
            yield f"{pin.name} {pin.version} is quarantined"


def halt_is_left_by_people_only(_p: Policy, current: Blueprint, proposed: Blueprint, o: Observed) -> Iterator[str]:
    """From halted a person's resume leads back, from withdrawn nothing does, a completed one may still be halted."""
    if current.phase is Phase.WITHDRAWN:
        yield "a withdrawn rollout does not change"
    leaves = proposed.phase not in (Phase.HALTED, Phase.WITHDRAWN)
    if current.phase is Phase.HALTED and leaves and o.resumed_generation != current.generation:
        yield f"halted in generation {current.generation}, and nobody resumed that"
    if current.phase is Phase.COMPLETED and proposed.phase not in EXPOSED_NO_MORE:
        yield "a completed rollout does not offer again"


def alpha_is_kept(policy: Policy, _c: Blueprint, proposed: Blueprint, observed: Observed) -> Iterator[str]:
    """The questions asked of the data cost no more than the policy's chance of a false halt."""
    total = alpha_sum(alpha_table(policy, observed.attributes))
    if total > policy.guard.alpha * (1 + 1e-9) or proposed.alpha_sum > policy.guard.alpha * (1 + 1e-9):
        yield f"alpha table sums to {total:.5f}, more than {policy.guard.alpha}"
    if policy.guard.no_data != "hold":
        yield f"no_data is {policy.guard.no_data!r}; missing data can only hold"


def earlier_rings_baked_and_proven(policy: Policy, current: Blueprint, proposed: Blueprint,
                                   observed: Observed) -> Iterator[str]:  # fmt: skip
    """A further ring opens only when what was exposed has baked and has its quorum of proven endpoints."""
    if proposed.ring <= current.ring or proposed.ring == 0:
        return
    treated = [s for s in observed.subjects if s.arm is Arm.TREATED]
    counted = _counted(observed)
    if not any(s.proven_ms for s in treated):
        yield "nobody is proven on the new version"
    if sum(bool(s.proven_ms) for s in counted) < policy.quorum * len(counted) - 1e-9:
        yield "fewer proven endpoints than the quorum"
    bake_ms = min(r.bake_s for r in policy.rings) * 1000
    mine = [s for s in counted if s.ring == current.ring] or treated
    baked = sum(proposed.made_ms - s.ready_ms >= bake_ms for s in mine)
    if baked < policy.enrolled * len(mine) - 1e-9:
        yield f"of {len(mine)} endpoints that took it only {baked} have baked"
    if any(s.explicit and not s.set_aside_ms for s in treated if len(treated) < policy.small_ring):
        yield "an explicit failure is neither judged nor set aside"


def budget_of_all_rollouts_kept(
    current: Blueprint, proposed: Blueprint, observed: Observed, allowed: Allowance
) -> Iterator[str]:
    """A new gate has room for all that the gates may still offer, beside what is spent and promised to others."""
    if all(gate in current.gates for gate in proposed.gates):
        return
    may_offer = 0
    for gate in proposed.gates:
        made = [t.treated for t in observed.ticks if t.region == gate.region and t.tick == gate.tick]
        may_offer += gate.budget - sum(made)
    spoken_for = allowed.usage.used + allowed.reserved
    if may_offer + spoken_for > allowed.usage.cap:
        yield f"{may_offer} offers beside {spoken_for} spent or promised exceed {allowed.usage.cap} an hour"


def new_gates_reach_no_more_draws_than_places(
    current: Blueprint, proposed: Blueprint, observed: Observed, _a: Allowance
) -> Iterator[str]:
    """A launcher takes a release by its draw, without being asked again: the range itself must keep the budget."""
    for gate in proposed.gates:
        reached = sum(u < gate.treat_below for u in observed.untreated.get(gate.region, ()))
        if gate not in current.gates and reached > gate.budget:
            yield f"{gate.region}: {reached} endpoints are in range of {gate.budget} places"


def nothing_is_open_in_a_freeze_window(
    _c: Blueprint, proposed: Blueprint, _o: Observed, allowed: Allowance
) -> Iterator[str]:
    """Nobody gets a new offer while everybody is frozen."""
    if allowed.frozen and proposed.gates:
        yield f"{len(proposed.gates)} gates are open in {allowed.frozen}"


def alpha_note(policy: Policy, attributes: tuple[str, ...]) -> Finding:
    """What the questions of a rollout cost together."""
    rows = alpha_table(policy, attributes)
    text = (
        f"{len(rows)} questions spend {100 * alpha_sum(rows):.3f} % of {100 * policy.guard.alpha:.3f} % for false halts"
    )
    return Finding("alpha-table", Severity.NOTE, text)


def alpha_rows(policy: Policy, attributes: tuple[str, ...]) -> tuple[Finding, ...]:
    """The alpha table: what is asked when, what that spends and at which evidence it halts; equal rows are one line."""
    groups: dict[tuple[str, int, float], list[str]] = {}
    for r in alpha_table(policy, attributes):
        groups.setdefault((r.signal, r.checkpoint, r.alpha), []).append(r.group)
    return tuple(
        Finding(
            "alpha-row", Severity.NOTE,
            f"{signal} {_when(policy, checkpoint)} in {len(names)} groups ({', '.join(names[:GROUPS_NAMED])}"
            f"{' …' if len(names) > GROUPS_NAMED else ''}): {100 * alpha:.5f} % each, halts at log evidence "
            f"{-math.log(alpha):.2f}",
        )
        for (signal, checkpoint, alpha), names in groups.items()
    )  # fmt: skip


def _when(policy: Policy, checkpoint: int) -> str:
    return "at any time" if checkpoint < 0 else f"after {policy.checkpoints_s[checkpoint] / 3600:g} h"


def stop_notes(freeze: str, allowed: Allowance) -> tuple[Finding, ...]:
    """What keeps every rollout from going on now, whatever its plan; "" = no freeze."""
    told = [("frozen", freeze)] if freeze else []
    told += [("freeze-window", f"no new offers in {allowed.frozen}")] if allowed.frozen else []
    return tuple(Finding(rule, Severity.NOTE, text) for rule, text in told)


RULES: Final[tuple[Rule, ...]] = (
    generation_rises_by_one,
    one_ring_at_a_time,
    budget_kept,
    ring_size_kept,
    gates_only_while_rolling,
    never_quarantined,
    halt_is_left_by_people_only,
    alpha_is_kept,
    earlier_rings_baked_and_proven,
)
LIMIT_RULES: Final[tuple[LimitRule, ...]] = (
    budget_of_all_rollouts_kept,
    new_gates_reach_no_more_draws_than_places,
    nothing_is_open_in_a_freeze_window,
)
