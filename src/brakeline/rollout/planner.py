"""The planner: policy, current blueprint, what is observed, and the time give the next blueprint and the reasons.

Level-triggered: the whole situation comes in, maybe stale; calling it twice gives the same answer; nothing is kept in
between. `plan` returns the current blueprint itself when nothing needs to change, else one with the next generation.
A ring is passed only on proof: offers made, nine of ten eligible enrolled, quorum proven, nine of ten baked,
no objection of the brake over *all* exposed rings. The next ring opens everywhere or nowhere; within a ring, regions
may be staggered. Every gate that is closed has a line in the report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from brakeline.rollout import arms, brake, giving_way, hold_out, restarts
from brakeline.rollout.alpha import spent
from brakeline.rollout.model import (
    Blueprint,
    Gate,
    Goal,
    Halt,
    Hold,
    Line,
    Observed,
    Phase,
    Pin,
    Policy,
    Promote,
    Report,
    Ring,
    State,
    Wish,
)
from brakeline.rollout.summary import Summary, open_ticks, summarise


def first_blueprint(rollout_id: str, now_ms: int) -> Blueprint:
    """Generation 1: a draft that offers nothing."""
    return Blueprint(rollout_id, 1, 0, Phase.DRAFT, -1, now_ms, why="drafted")


def plan(policy: Policy, current: Blueprint, observed: Observed, now_ms: int) -> tuple[Blueprint, Report]:
    """The next intended state of a rollout whose subjects are known one by one, and why it is (or is not) different."""
    return decide(policy, current, summarise(policy, current, observed, now_ms), now_ms)


def decide(policy: Policy, current: Blueprint, seen: Summary, now_ms: int) -> tuple[Blueprint, Report]:
    """The same from numbers alone."""
    verdict = brake.judge(policy, seen, now_ms)
    stop = _stopped(current, seen, verdict.verdict)
    if stop is not None:
        phase, line = stop
        # Too few are proven: only another try by those who have not begun can end that, and it exposes nobody anew.
        retry = phase is Phase.HOLDING and line.data.get("unproven") is True
        told = hold_out.lines(policy, current, seen, now_ms, stands=True)
        return _move(current, policy, seen, now_ms, phase, line.text, retry), Report((line, *told, *verdict.lines))
    if current.phase is Phase.COMPLETED:
        line = Line("state", State.OK, "completed; every exposed endpoint is still watched")
        return current, Report((line, *hold_out.lines(policy, current, seen, now_ms), *verdict.lines))
    blueprint, lines = _go_on(policy, current, seen, verdict.dark, now_ms)
    return blueprint, Report((*lines, *hold_out.lines(policy, blueprint, seen, now_ms), *verdict.lines))


# --- reasons not to go on ---------------------------------------------------------------------------------------------


def _stopped(current: Blueprint, seen: Summary, verdict: Halt | Hold | Promote) -> tuple[Phase, Line] | None:
    """The phase in which the rollout stands still, with its reason; None = go on. Order: the more final first."""
    if current.phase is Phase.WITHDRAWN or seen.wish is Wish.WITHDRAW:
        return Phase.WITHDRAWN, Line("state", State.HALT, f"withdrawn by {seen.wish_by}: {seen.wish_reason}")
    if seen.wish is Wish.BRAKE:
        return Phase.HALTED, Line("state", State.HALT, f"halted: brake pressed by {seen.wish_by or 'somebody'}")
    if current.phase is Phase.HALTED and seen.resumed_generation != current.generation:
        return Phase.HALTED, Line("state", State.HALT, f"halted: {current.why.removeprefix('halted: ')}")
    if isinstance(verdict, Halt):
        return Phase.HALTED, Line("state", State.HALT, f"halted: {verdict.reason}")
    if current.phase is Phase.COMPLETED:
        return None
    if seen.wish is Wish.DRAFT:
        return Phase.DRAFT, Line("state", State.WAIT, "draft: waits to be started")
    bad = [] if seen.change.takes_back else sorted(set(seen.change.updates) & seen.quarantined)
    if bad:
        return Phase.HOLDING, Line(
            "state", State.HOLD, f"holding: {_pins(bad)} quarantined by a halt, or declined by people"
        )
    if seen.wish is Wish.PAUSE:
        text = f"holding: paused by {seen.wish_by}" + (f": {seen.wish_reason}" if seen.wish_reason else "")
        return Phase.HOLDING, Line("state", State.HOLD, text)
    if isinstance(verdict, Hold):
        return Phase.HOLDING, Line("state", State.HOLD, f"holding: {verdict.reason}", {"unproven": verdict.unproven})
    return None


def _pins(pins: list[Pin]) -> str:
    return ", ".join(f"{p.name} {p.version}" for p in pins[:3]) + (" …" if len(pins) > 3 else "")


def _move(current: Blueprint, policy: Policy, seen: Summary, now_ms: int, phase: Phase, why: str,
          retry: bool = False) -> Blueprint:  # fmt: skip
    """The same rollout in `phase` with every gate closed; unchanged if it is so already (a reason alone is no move)."""
    if current.phase is phase and not current.gates and current.retry is retry:
        return current
    return _next(current, policy, seen, now_ms, phase=phase, gates=(), why=why, retry=retry)


def _next(current: Blueprint, policy: Policy, seen: Summary, now_ms: int, **changes: object) -> Blueprint:
    total = spent(policy, seen.attributes)
    base = replace(
        current, generation=current.generation + 1, parent=current.generation, made_ms=now_ms, alpha_sum=total,
        retry=False,
    )  # fmt: skip
    moved = replace(base, **changes)  # type: ignore[arg-type]  # names are fields of Blueprint
    return replace(moved, turns=arms.turns_after(current.turns, moved.gates))


# --- going on ---------------------------------------------------------------------------------------------------------


def _go_on(
    policy: Policy, current: Blueprint, seen: Summary, dark: frozenset[str], now_ms: int
) -> tuple[Blueprint, list[Line]]:
    rings = arms.rings_for(policy, seen.change, seen.population)
    if not rings:
        line = Line("eligible", State.HOLD, "holding: no endpoint can take part" + _why_blocked(seen))
        return _move(current, policy, seen, now_ms, Phase.HOLDING, line.text), [line]
    if current.ring < 0:
        return open_ring(policy, current, seen, rings, 0, now_ms, [], dark)
    ring = rings[min(current.ring, len(rings) - 1)][0]
    ring = replace(ring, bake_s=arms.bake_s(policy, seen.change, seen.population, current.ring, now_ms))
    lines = passed(policy, current, seen, ring, now_ms)
    if any(x.state is not State.OK for x in lines):
        return _tick(policy, current, seen, ring, now_ms, lines, dark)
    if current.ring >= len(rings) - 1:
        done = Line("state", State.OK, "completed: the last ring is proven")
        moved = _next(current, policy, seen, now_ms, phase=Phase.COMPLETED, gates=(), why=done.text)
        return moved, [done, *lines]
    if current.ring + 1 == len(rings) - 1:
        hope = last_ring_gate(seen)
        if hope.state is not State.OK:
            return _move(current, policy, seen, now_ms, Phase.HOLDING, hope.text), [hope, *lines]
    return open_ring(policy, current, seen, rings, current.ring + 1, now_ms, lines, dark)


def _why_blocked(seen: Summary) -> str:
    return "".join(f"; {b.endpoint_id}: {b.reason}" for b in seen.blocked[:5])


def passed(policy: Policy, current: Blueprint, seen: Summary, ring: Ring, now_ms: int) -> list[Line]:
    """The gates of the ring in progress. All OK = passed."""
    return [
        _enrolled(policy, current, seen, ring, now_ms),
        _results(policy, current, seen, ring),
        _proof(policy, seen, ring),
        _bake(policy, seen, current, ring, now_ms),
        *restarts.gate(policy, current.ring, ring.name, seen),
    ]


def _enrolled(policy: Policy, current: Blueprint, seen: Summary, ring: Ring, now_ms: int) -> Line:
    treated = seen.treated_by_region()
    want = got = 0
    for goal in current.goals:
        there = treated.get(goal.region, 0)
        held = seen.places.untreated(goal.region).between(
            hold_out.limit(policy, seen, current, goal.region), arms.U_END
        )
        reachable = min(goal.treated, there + seen.places.eligible(goal.region) - held)
        want += max(reachable, 0)
        got += min(there, reachable)
    data = {"enrolled": got, "eligible": want}
    text = f"ring {ring.name}: {got} of {want} eligible endpoints were ready and got their offer"
    if left := hold_out.waiting(policy, current, seen, now_ms):
        return Line("enrolled", State.WAIT, f"{text}; of those held out {left:,} are here and have none yet", data)
    if got >= policy.enrolled * want - 1e-9 and want > 0:
        return Line("enrolled", State.OK, text + _declined(seen), data)
    return Line("enrolled", State.WAIT, text + _declined(seen) + _nobody_here(seen) + _why_blocked(seen), data)


def _declined(seen: Summary) -> str:
    """Whose places go to others: of restarts, whoever will not follow; else who was set aside or is not to be had."""
    aside = sum(p.set_aside for p in seen.parts)
    if aside and not seen.change.is_restart:
        return giving_way.told(aside)
    return f"; {aside} declined or set aside, their places go to others" if aside else ""


def _nobody_here(seen: Summary) -> str:
    """Said where everybody who is left is away: it is no fault, and nothing has to be done."""
    regions = tuple(seen.places.regions())
    left = sum(map(seen.places.eligible, regions))
    if not left or any(len(seen.places.untreated(r)) for r in regions):
        return ""
    return f"; none of the {left} that are left is here now, each gets its offer when it checks in"


def _results(policy: Policy, current: Blueprint, seen: Summary, ring: Ring) -> Line:
    """Every offer of a small ring must come to an end; in a large one somebody always is cut off before it tells."""
    waiting, mine = sum(p.open for p in seen.parts), sum(p.counted for p in seen.parts)
    if current.ring not in seen.small_rings(policy) and waiting <= (1 - policy.quorum) * mine:
        return Line("results", State.OK, f"ring {ring.name}: {mine - waiting} of {mine} offers came to an end")
    data = {"open": list(seen.names.open), "of": waiting}
    if not waiting:
        return Line("results", State.OK, f"ring {ring.name}: every offer came to an end", data)
    some = f": {', '.join(seen.names.open[:5])}" if seen.names.open else ""
    return Line("results", State.WAIT, f"waiting for the result of {waiting}{some}", data)


def _proof(policy: Policy, seen: Summary, ring: Ring) -> Line:
    """Rule 9 without the first checkpoint's grace: promotion needs the quorum of every exposed ring and class now."""
    small = seen.small_rings(policy)
    sums: dict[tuple[int, str], list[int]] = {}
    for p in seen.parts:
        mine = sums.setdefault((p.ring, p.machine_class), [0, 0])
        mine[0] += p.counted
        mine[1] += p.proven if p.ring in small else p.known
    short = any(good < policy.quorum * counted - 1e-9 for counted, good in sums.values())
    good, all_ = sum(good for _, good in sums.values()), sum(p.counted for p in seen.parts)
    text = f"{good} of {all_} treated endpoints are proven: installed, heard again, healthy"
    return Line("proof", State.WAIT if short else State.OK, text, {"proven": good, "of": all_, "ring": ring.name})


def _bake(policy: Policy, seen: Summary, current: Blueprint, ring: Ring, now_ms: int) -> Line:
    """Nine of ten have been watched for the ring's time: in a large ring somebody comes late every day."""
    opened_ms = current.ring_opened_ms[-1] if current.ring_opened_ms else now_ms
    mine = [p for p in seen.parts if p.ring == current.ring]
    counted, baked = sum(p.counted for p in mine), sum(p.baked for p in mine)
    last_ms = max((p.youngest_ms for p in seen.parts), default=opened_ms)
    left_s = ring.bake_s - (now_ms - last_ms) // 1000
    if left_s <= 0 or (counted and baked >= policy.enrolled * counted - 1e-9):
        return Line("bake", State.OK, f"ring {ring.name}: bake time is over", {"left_s": 0})
    text = f"ring {ring.name}: waiting for bake time: {brake.span(left_s)} of {brake.span(ring.bake_s)} left"
    return Line("bake", State.WAIT, text, {"left_s": left_s})


def last_ring_gate(seen: Summary) -> Line:
    """The last ring never opens on hope: somebody must have been proven, whatever was set aside."""
    proven = sum(p.seen for p in seen.parts)
    if proven:
        return Line("last ring", State.OK, f"{proven} endpoints are proven on the new version")
    return Line(
        "last ring", State.HOLD, "holding: nobody is proven on the new version; the last ring never opens on hope"
    )


# --- gates ------------------------------------------------------------------------------------------------------------


def open_ring(policy: Policy, current: Blueprint, seen: Summary, rings: tuple[tuple[Ring, int], ...], index: int,
               now_ms: int, lines: list[Line], dark: frozenset[str]) -> tuple[Blueprint, list[Line]]:  # fmt: skip
    ring, upto = rings[index]
    treated = seen.treated_by_region()
    sizes = {r: n + seen.places.eligible(r) for r, n in treated.items()}
    goals = tuple(Goal(r, n) for r, n in sorted(hold_out.goals(seen, rings, index, sizes).items()))
    opened = (*current.ring_opened_ms, now_ms)
    staged = replace(current, ring=index, goals=goals, ring_opened_ms=opened)
    gates = _gates(policy, staged, seen, now_ms, current.generation + 1, dark)
    why = f"ring {ring.name} opened: up to {upto} of {seen.population} endpoints"
    line = Line("state", State.OK, why)
    moved = _next(current, policy, seen, now_ms, phase=Phase.ROLLING, ring=index, goals=goals,
                  ring_opened_ms=opened, gates=gates, why=why)  # fmt: skip
    return moved, [line, *lines]


def _tick(policy: Policy, current: Blueprint, seen: Summary, ring: Ring, now_ms: int,
          lines: list[Line], dark: frozenset[str]) -> tuple[Blueprint, list[Line]]:  # fmt: skip
    """Within a ring: close ticks that are over, open the next where places are left."""
    gates = _gates(policy, current, seen, now_ms, current.generation + 1, dark)
    stuck = next(x for x in lines if x.state is not State.OK)
    state = Line("state", State.OK, f"rolling: ring {ring.name}; {stuck.text}")
    if gates == current.gates and current.phase is Phase.ROLLING:
        return current, [state, *lines]
    going = "next tick" if gates else "its tick is over"
    why = f"ring {ring.name}: " + (going if current.phase is Phase.ROLLING else "goes on")
    return _next(current, policy, seen, now_ms, phase=Phase.ROLLING, gates=gates, why=why), [state, *lines]


def _gates(
    policy: Policy, staged: Blueprint, seen: Summary, now_ms: int, tick: int, dark: frozenset[str]
) -> tuple[Gate, ...]:
    """One gate per region with places left; a running tick is kept as it is. `tick` = the generation that opens it."""
    treated, before = seen.treated_by_region(), _share_before(policy, staged, seen)
    live = open_ticks(staged, seen.ticks)
    ranges = arms.apart(staged.turns, staged.ring), arms.kept_apart(staged.turns, staged.ring)
    gates: list[Gate] = []
    for i, goal in enumerate(staged.goals):
        if goal.region in dark:
            continue
        old = staged.gate(goal.region)
        left = goal.treated - treated.get(goal.region, 0)
        places = min(left, policy.offers_per_tick, _places_of_tick(policy, goal.treated, left, before))
        runs = old is not None and old.tick in live and old.ring == staged.ring and now_ms < old.closes_ms
        if old is not None and runs and (places <= 0 or _waits_for_somebody(old, seen)):
            gates.append(old)
            continue
        late_ms = staged.ring_opened_ms[-1] + i * policy.region_stagger_s * 1000
        if places > 0 and now_ms >= late_ms:
            gate = _gate(policy, staged, seen, goal.region, places, now_ms, tick, *ranges)
            gates += [gate] if gate else []
    return tuple(gates)


def _share_before(policy: Policy, staged: Blueprint, seen: Summary) -> float:
    """The share of a region's goal that the rings before this one have."""
    uptos = [upto for _, upto in arms.rings_for(policy, seen.change, seen.population)]
    ring = min(staged.ring, len(uptos) - 1)
    return uptos[ring - 1] / uptos[ring] if ring else 0.0


def _places_of_tick(policy: Policy, goal: int, left: int, before: float) -> int:
    """How many of a region's `goal` the next tick may offer, so that what the ring adds is spread over its time: few
    at first, while nobody of the ring has been looked at, and more with each tick. After k of n ticks it is the square
    of k/n; how far it is, what is `left` tells.
    """
    ticks = policy.spread_s // policy.tick_s
    if ticks <= 1:
        return goal
    added = goal * (1 - before)
    done = min(1.0, max(0.0, 1 - left / added)) if added > 0 else 1.0
    return math.ceil(added * (1 / ticks**2 + 2 * math.sqrt(done) / ticks) - 1e-9)


def _waits_for_somebody(gate: Gate, seen: Summary) -> bool:
    """Whether somebody whom this tick would treat can still come; if not, places that are left need a new tick."""
    return seen.places.untreated(gate.region).at(0) < gate.treat_below


def _gate(policy: Policy, staged: Blueprint, seen: Summary, region: str, places: int, now_ms: int, tick: int,
          before: Mapping[str, int], keeps: bool | None) -> Gate | None:  # fmt: skip
    """`before`, `keeps`: `arms.apart` and `arms.kept_apart` of the ring, the same for all regions."""
    untreated, limit = seen.places.untreated(region), hold_out.limit(policy, seen, staged, region)
    if untreated.at(0) >= limit:  # nobody is here whom this ring may treat
        return None
    reserve = hold_out.reserve(policy, seen, staged, region)
    fresh, spare = seen.places.fresh(region), seen.places.spare(region, staged.ring)
    wanted = 0 if _only_harmed(seen, staged) else places * _controls_per_treated(policy, seen, staged)
    left = max(places, sum(g.treated for g in staged.goals if g.region == region) - seen.treated_by_region()[region])
    apart = before.get(region, arms.U_END)
    there = fresh.between(untreated.at(places), apart)
    if keeps or (keeps is None and 2 * there * places >= wanted * left):  # enough for all that this ring will treat
        wanted = min(wanted, math.ceil(there * places / left))
        below, start, until = arms.thresholds(untreated, fresh, spare, places, wanted, reserve, apart, limit)
    else:
        below, start, until = arms.thresholds(untreated, fresh, spare, places, wanted, reserve, limit=limit)
    closes = now_ms + policy.tick_s * 1000
    gate = Gate(region, staged.ring, tick, below, start, until, places, now_ms, closes)
    return arms.widened(gate, staged.turns)


def _controls_per_treated(policy: Policy, seen: Summary, staged: Blueprint) -> int:
    uptos = [upto for _, upto in arms.rings_for(policy, seen.change, seen.population)]
    return arms.controls_per_treated(policy, staged.ring, uptos, seen.population)


def _only_harmed(seen: Summary, staged: Blueprint) -> bool:
    """Whether a rollback's ring is of endpoints with proven harm alone: beside sound ones they would look bad."""
    return sum(g.treated for g in staged.goals) <= seen.change.places_of_harmed
