"""Bad updates of the past, or any fault, under our plan and under peers' rules: what would it have cost? Pure.

Each fault runs once a seed through `cohorts`, that is through the shipped planner and brake; peers' rules are expected
numbers (`peers`). A change of ours runs under the rules for releases, a vendor's under those for updates. Plain values
out, ready for JSON. Next: `cohorts`, `peers`, `repair`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from brakeline.rollout.model import Phase, Policy
from brakeline.rollout.presets import for_release, policy_for
from brakeline.sim import peers
from brakeline.sim.cohorts import Case, End, Outage, run
from brakeline.sim.incidents import Fault, Incident, Symptom
from brakeline.sim.peer_rules import RULES
from brakeline.sim.peers import Fleet, Human
from brakeline.sim.rates import EVERYBODY, START_H, Population
from brakeline.sim.repair import hand_repairs

REGIONS: Final = 8
ATTRIBUTES: Final = 200  # values that are tested one by one
OUTAGE_H: Final = (12.0, 27.0)  # when a telemetry outage begins and ends, hours after the start; 12 to 15 h happened
OUTCOMES: Final = {Phase.HALTED: "halted", Phase.COMPLETED: "completed"}  # everything else stands still: held
ENDPOINTS_MIN, ENDPOINTS_MAX, SEEDS_MAX = 1, 20_000_000, 10_000


@dataclass(frozen=True, slots=True)
class Request:
    """What to replay with. `policy` None = the ready-made careful one for that many endpoints."""

    endpoints: int
    seeds: int
    policy: Policy | None = None
    population: Population = EVERYBODY
    regions: int = REGIONS
    attributes: int = ATTRIBUTES

    def policy_of(self, ours: bool) -> Policy:
        policy = self.policy or policy_for(self.endpoints)
        return for_release(policy) if ours else policy


Say = Callable[[str], None]


def replay(incidents: Iterable[Incident], request: Request, say: Say = lambda _: None) -> dict[str, Any]:
    """Every incident, and a harmless change beside them."""
    found = []
    for incident in incidents:
        say(incident.id)
        found.append(_incident(incident, request))
    say("a harmless change")
    return {"endpoints": request.endpoints, "seeds": request.seeds, "incidents": found, "benign": benign(request)}


def ends_of(fault: Fault | None, request: Request, ours: bool) -> list[End]:
    """One history a seed."""
    dark = fault is not None and fault.symptom is Symptom.TELEMETRY_OUTAGE
    regions = min(request.regions, request.endpoints)
    count = max(1, round(fault.share * regions)) if fault is not None and dark else 0
    outages = tuple(Outage(i, START_H + OUTAGE_H[0], START_H + OUTAGE_H[1]) for i in range(count))
    policy = request.policy_of(ours)
    return [
        run(
            Case(
                request.endpoints,
                policy,
                fault,
                seed,
                regions=regions,
                outages=outages,
                attributes=request.attributes,
                population=request.population,
            )
        )
        for seed in range(request.seeds)
    ]


def benign(request: Request) -> dict[str, Any]:
    """How often a harmless change is halted, and how long it takes."""
    ends = ends_of(None, request, ours=True)
    done = [e.hours / 24 for e in ends if e.phase is Phase.COMPLETED]
    held = [e.held_h for e in ends]
    return {
        "runs": len(ends),
        "false_halts": sum(e.phase is Phase.HALTED for e in ends),
        "completed": len(done),
        "days_to_complete": spread(done),
        "held_hours": spread(held),
    }


def _incident(incident: Incident, request: Request) -> dict[str, Any]:
    ends = ends_of(incident.fault, request, incident.ours)
    harmed = spread([e.harmed for e in ends])
    assert harmed is not None
    halted = [e.hours for e in ends if e.phase is Phase.HALTED]
    outcomes = Counter(OUTCOMES.get(e.phase, "held") for e in ends)
    return {
        "id": incident.id,
        "title": incident.title,
        "ours": incident.ours,
        "outcome": outcomes.most_common(1)[0][0],
        "outcomes": dict(sorted(outcomes.items())),
        "harmed": harmed,
        "exposed": spread([e.exposed for e in ends]),
        "hours_to_halt": spread(halted),
        "held_hours": spread([e.held_h for e in ends]),
        "hand_repairs": round(hand_repairs(incident, harmed["median"])),
        "why": ends[0].why,
        "rules": rules_on(incident.fault, request.endpoints, incident, request.population),
    }


def rules_on(fault: Fault | None, endpoints: int, incident: Incident | None = None,
             population: Population = EVERYBODY) -> dict[str, Any]:  # fmt: skip
    """The same change under peers' rules: alone for twelve days, and beside a human who never sleeps."""
    fleet = Fleet(endpoints, population)
    found = {}
    for rule in RULES:
        alone = peers.replay(rule, fault, fleet, None)
        human = peers.replay(rule, fault, fleet, Human())
        found[rule.name.replace("-", "_")] = {
            "outcome": str(alone.ending),
            "harmed": round(alone.harmed),
            "harmed_with_human": round(human.harmed),
            "hours_to_halt": alone.hours_to_halt,
            "days_to_complete": alone.days_to_complete,
            "hand_repairs": round(hand_repairs(incident, alone.harmed)) if incident else None,
        }
    return found


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Median and 95th percentile; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return {"median": round(_at(ordered, 0.5), 2), "p95": round(_at(ordered, 0.95), 2)}


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
