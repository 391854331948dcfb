"""The promises of a rollout as functions over a finished history: one each, yielding what was broken.

They look at what happened (offers, arms, times), not at how it was decided, and share no code with planner or lint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from brakeline.rollout.model import Phase
from brakeline.sim.faults import CERTAIN
from brakeline.sim.world import STEP_MS, History

Promise = Callable[[History], Iterator[str]]


def never_two_rings_at_once(h: History) -> Iterator[str]:
    """Rings come one after another: offers of a ring never follow those of a later one, gates are of one ring."""
    highest = -1
    for offer in h.offers:
        if offer.ring < highest:
            yield f"offer of ring {offer.ring + 1} after ring {highest + 1} began"
        highest = max(highest, offer.ring)
    for b in h.blueprints:
        if len({g.ring for g in b.gates}) > 1:
            yield f"generation {b.generation} has gates of several rings"


def rings_bake(h: History) -> Iterator[str]:
    """Nothing of a ring is offered before nine of ten offers of the ring before have baked."""
    bake_ms = min(r.bake_s for r in h.scenario.policy.rings) * 1000
    for offer in h.offers:
        if offer.settled_ms and offer.at_ms - offer.settled_ms < bake_ms:
            yield f"ring {offer.ring + 1} began {(offer.at_ms - offer.settled_ms) // 60_000} min after an offer"
            return


def rings_are_proven(h: History) -> Iterator[str]:
    """When a ring begins, the quorum of everybody exposed before is proven: never opened on hope."""
    for ring in sorted({o.ring for o in h.offers} - {0}):
        first = next(o for o in h.offers if o.ring == ring)
        if first.proven < h.scenario.policy.quorum * first.exposed:
            yield f"ring {ring + 1} began with {first.proven} of {first.exposed} proven"


def nothing_offered_after_halt(h: History) -> Iterator[str]:
    """From the halt on (plus one step for the news to travel) no offer leaves, under any generation."""
    if h.stopped_ms:
        late = [o for o in h.offers if o.at_ms > h.stopped_ms + STEP_MS]
        if late:
            yield f"{len(late)} offers after the halt"


def halts_are_received(h: History) -> Iterator[str]:
    """A halt has a generation of its own: receivers refuse orders that are not newer."""
    for before, after in zip(h.blueprints, h.blueprints[1:], strict=False):
        if after.generation != before.generation + 1:
            yield f"generation {after.generation} follows {before.generation}"


def budget_is_kept(h: History) -> Iterator[str]:
    """No tick gives more offers than its budget."""
    given = Counter((o.ring, o.generation) for o in h.offers)
    budgets = {b.generation: sum(g.budget for g in b.gates) for b in h.blueprints}
    for (_, generation), n in given.items():
        if n > budgets.get(generation, 0):
            yield f"{n} offers under generation {generation}, budget {budgets.get(generation, 0)}"


def nothing_offered_twice(h: History) -> Iterator[str]:
    """An endpoint gets one offer of a rollout (none here expires unstarted)."""
    for endpoint, n in Counter(o.endpoint_id for o in h.offers).items():
        if n > 1:
            yield f"{endpoint} got {n} offers"


def no_orphan_control(h: History) -> Iterator[str]:
    """Every control was drawn as one, in a tick that was open for treated endpoints too."""
    for subject, gate in h.controls:
        if not gate.control_from <= subject.u < gate.control_until:
            yield f"{subject.endpoint_id} is a control against its draw"
        closed_ms = h.closed_ms.get((gate.region, gate.tick))
        if closed_ms is not None and subject.ready_ms > closed_ms:
            yield f"{subject.endpoint_id} became a control after its tick closed"


def certain_harm_is_stopped(h: History) -> Iterator[str]:
    """A fault that hits everybody is halted or held before the last ring, at any size."""
    if h.scenario.fault not in CERTAIN:
        return
    last = max(len(h.scenario.policy.rings) - 1, 1)
    if h.last.phase not in (Phase.HALTED, Phase.HOLDING, Phase.ROLLING):
        yield f"{h.scenario.fault.name}: ended {h.last.phase}"
    exposed = sum(o.ring == last for o in h.offers)
    if exposed:
        yield f"{h.scenario.fault.name}: the last ring was offered to {exposed}"


def certain_harm_stays_in_its_ring(h: History) -> Iterator[str]:
    """A fault that shows within the bake time reaches the first ring only (shows = away too long)."""
    policy, fault = h.scenario.policy, h.scenario.fault
    bake_ms = min(r.bake_s for r in policy.rings) * 1000
    away_ms = max(policy.return_s(e.machine_class) for e in h.scenario.fleet) * 1000
    if fault in CERTAIN and (fault.fails or fault.dies_after_ms + away_ms < bake_ms or fault.dies_after_ms == 0):
        later = [o for o in h.offers if o.ring > 0]
        if later:
            yield f"{fault.name}: {len(later)} endpoints beyond the first ring"


def harmless_completes(h: History) -> Iterator[str]:
    """A change that harms nobody is never halted, and reaches everybody who can be reached."""
    if h.scenario.fault.harmful:
        return
    if h.last.phase is not Phase.COMPLETED:
        stuck = "; ".join(line.text for line in h.report.stuck()[:3])
        yield f"benign, but {h.last.phase} in ring {h.last.ring + 1}: {stuck}"
    elif len(h.offers) < 0.9 * len(h.scenario.fleet) - 1:
        yield f"completed with {len(h.offers)} of {len(h.scenario.fleet)} offered"


def lint_is_silent(h: History) -> Iterator[str]:
    """The planner never proposes what lint must refuse."""
    yield from h.lint[:3]


PROMISES: Final[tuple[Promise, ...]] = (
    never_two_rings_at_once, rings_bake, rings_are_proven, nothing_offered_after_halt, halts_are_received,
    budget_is_kept, nothing_offered_twice, no_orphan_control, certain_harm_is_stopped,
    certain_harm_stays_in_its_ring, harmless_completes, lint_is_silent,
)  # fmt: skip


def broken(history: History) -> list[str]:
    """Every broken promise, by name."""
    return [f"{p.__name__}: {text}" for p in PROMISES for text in p(history)]
