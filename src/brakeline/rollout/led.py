"""A rollout that a conductor leads, in one cell: its grant bounds what the cell's own planner proposes. Pure.

Invariants: the cell can always stop by itself, only the conductor opens; without a valid grant, or with one that does
not say GO, nothing is open; no ring and no place beyond the granted ones; every gate closes when its grant ends, so
nobody needs to be awake for that. `exceeds` distrusts `bounded`. What the conductor hears of it is made by `told`:
numbers, and never a name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from brakeline.cells import residency
from brakeline.cells.model import (
    OFFER_S_MAX,
    SKEW_MAX_MS,
    SUMMED,
    Cause,
    CellBets,
    CellControls,
    CellEnded,
    CellPart,
    CellPhase,
    CellReport,
    Grant,
    Stand,
)
from brakeline.core.draw import U_END
from brakeline.rollout import arms, brake, evalue, planner, pooling
from brakeline.rollout.alpha import MARGINS
from brakeline.rollout.model import Blueprint, Gate, Line, Phase, Policy, Report, Ring, State, Wish
from brakeline.rollout.summary import Part, Summary

GATE: Final = "conductor"
BY: Final = "conductor "  # with its name: who braked, when a grant said halt
STOPS: Final = frozenset({Phase.HALTED, Phase.WITHDRAWN})


@dataclass(frozen=True, slots=True)
class Led:
    """What a cell knows of the conductor of one rollout. `trouble`: why the last exchange brought nothing."""

    lead_id: str
    conductor: str
    grant: Grant | None
    asked_ms: int = 0
    answered_ms: int = 0
    trouble: str = ""
    isolated: bool = False

    @property
    def offset(self) -> int:
        """How many of the conductor's first rings have nobody of this cell: the cell counts its rings after them."""
        rings = self.grant.rings if self.grant else ()
        return next((i for i, r in enumerate(rings) if r.upto), len(rings))


def policy_of(policy: Policy, grant: Grant) -> Policy:
    """The policy that the cell's own planner works by: the granted rings, and what the conductor says of evidence."""
    rings = [Ring(r.name, r.bake_s, count=r.upto) for r in grant.rings]
    while rings and not rings[0].count:
        rings.pop(0)
    return replace(
        policy, rings=tuple(rings), led=True, guard=replace(policy.guard, holdout=0.0),
        offer_lifetime_s=min(policy.offer_lifetime_s, OFFER_S_MAX),
    )  # fmt: skip


def why_not(led: Led, now_ms: int) -> str:
    """Why nothing may be open now, in words; "" = the conductor lets it go on."""
    name, grant = led.conductor or "the conductor", led.grant
    asked = f"; asked {brake.span(max(0, now_ms - led.asked_ms) // 1000)} ago" if led.asked_ms else "; never asked"
    because = f": {led.trouble}" if led.trouble else ""
    if led.isolated:
        return f"this cell is isolated from {name}; a person joins it again"
    if grant is None:
        return f"no grant of {name} yet{asked}{because}"
    if grant.issued_ms - now_ms > SKEW_MAX_MS:
        return f"the grant of {name} comes from the future, so one of the two clocks is wrong"
    if now_ms >= grant.expires_ms:
        age = brake.span((now_ms - grant.issued_ms) // 1000)
        return f"no grant of {name} since {age}{asked}{because}"
    if grant.stand in (Stand.HOLD, Stand.HALT):
        return f"{name} says {grant.stand.value}: {grant.why}"
    if not any(r.upto for r in grant.rings):
        return f"{name} has opened nothing to this cell yet: {grant.why}"
    return ""


def bounded(current: Blueprint, proposed: Blueprint, report: Report, led: Led, now_ms: int) -> tuple[Blueprint, Report]:
    """What the cell's planner proposes, no further than granted; the report says what the conductor lets it do."""
    why = why_not(led, now_ms)
    if proposed.phase in STOPS or current.phase is Phase.COMPLETED:
        state = State.UNKNOWN if why else State.OK
        return proposed, Report((*report.lines, Line(GATE, state, why or _told(led, now_ms))))
    if why:
        line = Line(GATE, State.HOLD, f"holding: {why}")
        retry = _again(proposed, led, now_ms)
        return _holding(current, now_ms, line.text, retry), Report((line, *report.lines))
    assert led.grant is not None
    if proposed.phase is Phase.COMPLETED and led.grant.stand is not Stand.DONE:
        text = f"passed here as far as it is opened; waits for {led.conductor or 'the conductor'}: {led.grant.why}"
        return _resting(current, now_ms, text), Report((Line(GATE, State.WAIT, text), *report.lines[1:]))
    gates = tuple(g if g in current.gates else _clipped(g, led.grant) for g in proposed.gates)
    if gates != proposed.gates:
        proposed = replace(proposed, gates=gates)
    return proposed, Report((*report.lines, Line(GATE, State.OK, _told(led, now_ms))))


def _told(led: Led, now_ms: int) -> str:
    grant = led.grant
    if grant is None:
        return "led by a conductor"
    left = brake.span(max(0, grant.expires_ms - now_ms) // 1000)
    upto = grant.rings[-1].upto if grant.rings else 0
    among = f" among the first {100 * grant.draw_below / U_END:.3g} % of the draw" if grant.draw_below else ""
    return f"{led.conductor or 'the conductor'} grants up to {upto} endpoints here{among}, for {left} more: {grant.why}"


def _clipped(gate: Gate, grant: Grant) -> Gate:
    below = min(gate.treat_below, grant.draw_below) if grant.salt else gate.treat_below
    return replace(gate, closes_ms=min(gate.closes_ms, grant.expires_ms), treat_below=below)


def _again(proposed: Blueprint, led: Led, now_ms: int) -> bool:
    """Whether the conductor holds for nothing but evidence that another offer to those who have it can bring, and
    nothing here stands against it. It exposes nobody anew."""
    grant = led.grant
    if grant is None or led.isolated or grant.stand is not Stand.HOLD or not grant.retry:
        return False
    fresh = now_ms < grant.expires_ms and grant.issued_ms - now_ms <= SKEW_MAX_MS
    return fresh and (proposed.phase is Phase.ROLLING or proposed.retry)


def _holding(current: Blueprint, now_ms: int, why: str, retry: bool) -> Blueprint:
    if current.phase is Phase.HOLDING and not current.gates and current.retry is retry:
        return current
    return _closed(current, now_ms, Phase.HOLDING, why, retry)


def _resting(current: Blueprint, now_ms: int, why: str) -> Blueprint:
    if current.phase is Phase.ROLLING and not current.gates:
        return current
    return _closed(current, now_ms, Phase.ROLLING, why)


def _closed(current: Blueprint, now_ms: int, phase: Phase, why: str, retry: bool = False) -> Blueprint:
    return replace(
        current, generation=current.generation + 1, parent=current.generation, made_ms=now_ms, phase=phase, gates=(),
        retry=retry, why=why, turns=arms.turns_after(current.turns, ()),
    )  # fmt: skip


def exceeds(proposed: Blueprint, led: Led, treated: int, spent: Mapping[tuple[str, int], int],
            now_ms: int) -> Iterator[str]:  # fmt: skip
    """Distrusts `bounded`: each reason why a blueprint goes beyond the grant. `treated` fill places now; `spent`: of
    them in each tick, by region and tick."""
    if not proposed.gates:
        return
    grant = led.grant
    if why := why_not(led, now_ms):
        yield f"a gate is open without a grant: {why}"
    if grant is None:
        return
    rings = grant.rings[led.offset :]
    if proposed.ring >= len(rings):
        yield f"ring {proposed.ring + 1} is open where {len(rings)} were granted"
        return
    may_come = sum(max(0, g.budget - spent.get((g.region, g.tick), 0)) for g in proposed.gates)
    if treated + may_come > max(r.upto for r in rings):
        yield f"{treated} treated and {may_come} more exceed the {max(r.upto for r in rings)} granted"
    if any(g.closes_ms > max(grant.expires_ms, g.opened_ms) for g in proposed.gates):
        yield "a gate is open for longer than its grant"
    if grant.salt and any(g.treat_below > grant.draw_below for g in proposed.gates):
        yield "a gate reaches further in the draw than was granted"


# --- what the conductor hears -----------------------------------------------------------------------------------------


def told(policy: Policy, current: Blueprint, seen: Summary, led: Led, cause: Cause, now_ms: int) -> CellReport:
    """One rollout in numbers that may leave the cell."""
    offset = led.offset
    return CellReport(
        led.lead_id, led.grant.revision if led.grant else 0, CellPhase(current.phase.value), cause,
        current.ring + offset if current.ring >= 0 else -1, _passed(policy, current, seen, now_ms),
        sum(map(seen.places.eligible, seen.places.regions())), _parts(seen, offset, now_ms), _controls(seen),
        _bets(seen, offset, residency.SIGNALS),
        tuple(CellEnded(g, n, x) for g, (n, x) in sorted(seen.ended.items()) if residency.may_cross(g)),
        max(0, now_ms - seen.data_ms) // 1000 if seen.data_ms else 0, seen.compared,
        _bets(seen, offset, residency.LATER_SIGNALS), _bets(seen, offset, residency.LATEST_SIGNALS),
    )  # fmt: skip


def cause_of(current: Blueprint, report: Report, wish: Wish, by: str, frozen: bool) -> Cause:
    """In one word, why the cell stands still. A stop that came from the conductor is not told back as the cell's."""
    if by.startswith(BY) and wish in (Wish.BRAKE, Wish.WITHDRAW):
        return Cause.CONDUCTOR
    if frozen:
        return Cause.FREEZE
    if wish is not Wish.RUN:
        return Cause.PERSON
    first = report.lines[0] if report.lines else None
    if first is not None and first.gate == GATE and first.state is not State.OK:
        return Cause.CONDUCTOR
    return Cause.EVIDENCE if current.phase in (Phase.HOLDING, Phase.HALTED) else Cause.NONE


def _passed(policy: Policy, current: Blueprint, seen: Summary, now_ms: int) -> bool:
    rings = arms.rings_for(policy, seen.change, seen.population)
    if current.phase is Phase.COMPLETED:
        return True
    if current.phase not in (Phase.ROLLING, Phase.HOLDING) or not 0 <= current.ring < len(rings):
        return False
    lines = planner.passed(policy, current, seen, rings[current.ring][0], now_ms)
    return all(x.state is State.OK for x in lines)


def _parts(seen: Summary, offset: int, now_ms: int) -> tuple[CellPart, ...]:
    """Regions of the cell are added up: they say where endpoints are."""
    sums: dict[tuple[int, str], list[Part]] = defaultdict(list)
    for p in seen.parts:
        sums[(p.ring + offset, p.machine_class)].append(p)
    return tuple(_part(*key, parts, now_ms) for key, parts in sorted(sums.items()))


def _part(ring: int, machine_class: str, parts: list[Part], now_ms: int) -> CellPart:
    youngest_ms = max(p.youngest_ms for p in parts)
    age_s = max(0, now_ms - youngest_ms) // 1000
    figures = {name: sum(getattr(p, name) for p in parts) for name in SUMMED}
    return CellPart(ring, machine_class, youngest_age_s=age_s, **figures)


def _controls(seen: Summary) -> tuple[CellControls, ...]:
    sums: dict[str, list[int]] = {}
    for arm in seen.controls:
        mine = sums.setdefault(arm.machine_class, [0, 0])
        mine[0] += arm.controls
        mine[1] += arm.heard
    return tuple(CellControls(c, n, heard) for c, (n, heard) in sorted(sums.items()))


def _bets(seen: Summary, offset: int, signals: frozenset[str]) -> tuple[CellBets, ...]:
    found = []
    for (signal, checkpoint, group), rings in sorted(seen.table.items()):
        if signal in signals and residency.may_cross(group):
            found += [CellBets(signal, checkpoint, group, r + offset, tuple(b)) for r, b in sorted(rings.items())]
    return tuple(found)


def odd(report: CellReport) -> str:
    """Why the bets of a cell cannot be added to those of others, which would judge nobody any more; "" = they can."""
    bets = (*report.bets, *report.harms, *report.vitals)
    if any(b.signal not in MARGINS or len(b.bets) != pooling.size_of(b.signal) for b in bets):
        return "it tells more or fewer bets than a signal has"
    if len({(b.signal, b.checkpoint, b.group, b.ring) for b in bets}) < len(bets):
        return "it tells one comparison twice"
    return ""


def table_of(bets: tuple[CellBets, ...]) -> dict[tuple[str, int, str], dict[int, tuple[float, ...]]]:
    """The other way: bets of several cells, added up by row and ring."""
    sums: dict[tuple[str, int, str], dict[int, tuple[float, ...]]] = {}
    for b in bets:
        rings = sums.setdefault((b.signal, b.checkpoint, b.group), {})
        rings[b.ring] = evalue.add((rings[b.ring], b.bets)) if b.ring in rings else b.bets
    return sums
