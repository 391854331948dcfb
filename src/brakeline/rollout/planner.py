"""The planner: policy, current blueprint, what is observed, and the time give the next blueprint and the reasons.

Level-triggered: the whole situation comes in, maybe stale; calling it twice gives the same answer; nothing is kept in
between. `plan` returns the current blueprint itself when nothing needs to change, else one with the next generation.
A ring is passed only on proof: offers made, nine of ten eligible enrolled, quorum proven, baked after the last offer,
no objection of the brake over *all* exposed rings. The next ring opens everywhere or nowhere; within a ring, regions
may be staggered. Every gate that is closed has a line in the report.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from brakeline.rollout import arms, brake
from brakeline.rollout.alpha import alpha_sum, alpha_table
from brakeline.rollout.model import (
    Arm,
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
    Progress,
    Promote,
    Report,
    Ring,
    State,
    Subject,
    Wish,
)


def first_blueprint(rollout_id: str, now_ms: int) -> Blueprint:
    """Generation 1: a draft that offers nothing."""
    return Blueprint(rollout_id, 1, 0, Phase.DRAFT, -1, now_ms, why="drafted")


def plan(policy: Policy, current: Blueprint, observed: Observed, now_ms: int) -> tuple[Blueprint, Report]:
    """The next intended state, and why it is (or is not) different."""
    verdict = brake.judge(policy, observed, current.turns, open_ticks(current, observed), now_ms)
    stop = _stopped(current, observed, verdict.verdict)
    if stop is not None:
        phase, line = stop
        # Too few are proven: only another try by those who have not begun can end that, and it exposes nobody anew.
        retry = phase is Phase.HOLDING and line.data.get("unproven") is True
        return _move(current, policy, observed, now_ms, phase, line.text, retry), Report((line, *verdict.lines))
    if current.phase is Phase.COMPLETED:
        line = Line("state", State.OK, "completed; every exposed endpoint is still watched")
        return current, Report((line, *verdict.lines))
    blueprint, lines = _go_on(policy, current, observed, verdict.dark, now_ms)
    return blueprint, Report((*lines, *verdict.lines))


def open_ticks(current: Blueprint, observed: Observed) -> frozenset[int]:
    """Ticks that may still enrol somebody: their blocks are not complete."""
    closed = {(t.region, t.tick) for t in observed.ticks if t.closed}
    return frozenset(g.tick for g in current.gates if (g.region, g.tick) not in closed)


# --- reasons not to go on ---------------------------------------------------------------------------------------------


def _stopped(current: Blueprint, observed: Observed, verdict: Halt | Hold | Promote) -> tuple[Phase, Line] | None:
    """The phase in which the rollout stands still, with its reason; None = go on. Order: the more final first."""
    if current.phase is Phase.WITHDRAWN or observed.wish is Wish.WITHDRAW:
        return Phase.WITHDRAWN, Line("state", State.HALT, f"withdrawn by {observed.wish_by}: {observed.wish_reason}")
    if observed.wish is Wish.BRAKE:
        return Phase.HALTED, Line("state", State.HALT, f"halted: brake pressed by {observed.wish_by or 'somebody'}")
    if current.phase is Phase.HALTED and observed.resumed_generation != current.generation:
        return Phase.HALTED, Line("state", State.HALT, f"halted: {current.why.removeprefix('halted: ')}")
    if isinstance(verdict, Halt):
        return Phase.HALTED, Line("state", State.HALT, f"halted: {verdict.reason}")
    if current.phase is Phase.COMPLETED:
        return None
    if observed.wish is Wish.DRAFT:
        return Phase.DRAFT, Line("state", State.WAIT, "draft: waits to be started")
    bad = sorted(set(observed.change.updates) & observed.quarantined)
    if bad:
        return Phase.HOLDING, Line("state", State.HOLD, f"holding: {_pins(bad)} quarantined by a halted rollout")
    if observed.wish is Wish.PAUSE:
        text = f"holding: paused by {observed.wish_by}" + (f": {observed.wish_reason}" if observed.wish_reason else "")
        return Phase.HOLDING, Line("state", State.HOLD, text)
    if isinstance(verdict, Hold):
        return Phase.HOLDING, Line("state", State.HOLD, f"holding: {verdict.reason}", {"unproven": verdict.unproven})
    return None


def _pins(pins: list[Pin]) -> str:
    return ", ".join(f"{p.name} {p.version}" for p in pins[:3]) + (" …" if len(pins) > 3 else "")


def _move(current: Blueprint, policy: Policy, observed: Observed, now_ms: int, phase: Phase, why: str,
          retry: bool = False) -> Blueprint:  # fmt: skip
    """The same rollout in `phase` with every gate closed; unchanged if it is so already (a reason alone is no move)."""
    if current.phase is phase and not current.gates and current.retry is retry:
        return current
    return _next(current, policy, observed, now_ms, phase=phase, gates=(), why=why, retry=retry)


def _next(current: Blueprint, policy: Policy, observed: Observed, now_ms: int, **changes: object) -> Blueprint:
    total = alpha_sum(alpha_table(policy, observed.attributes))
    base = replace(
        current, generation=current.generation + 1, parent=current.generation, made_ms=now_ms, alpha_sum=total,
        retry=False,
    )  # fmt: skip
    moved = replace(base, **changes)  # type: ignore[arg-type]  # names are fields of Blueprint
    return replace(moved, turns=arms.turns_after(current.turns, moved.gates))


# --- going on ---------------------------------------------------------------------------------------------------------


def _go_on(
    policy: Policy, current: Blueprint, observed: Observed, dark: frozenset[str], now_ms: int
) -> tuple[Blueprint, list[Line]]:
    rings = arms.rings_for(policy, observed.change, population(observed))
    if not rings:
        line = Line("eligible", State.HOLD, "holding: no endpoint can take part" + _why_blocked(observed))
        return _move(current, policy, observed, now_ms, Phase.HOLDING, line.text), [line]
    if current.ring < 0:
        return open_ring(policy, current, observed, rings, 0, now_ms, [], dark)
    ring, _ = rings[min(current.ring, len(rings) - 1)]
    lines = passed(policy, current, observed, ring, now_ms)
    if any(x.state is not State.OK for x in lines):
        return _tick(policy, current, observed, ring, now_ms, lines, dark)
    if current.ring >= len(rings) - 1:
        done = Line("state", State.OK, "completed: the last ring is proven")
        moved = _next(current, policy, observed, now_ms, phase=Phase.COMPLETED, gates=(), why=done.text)
        return moved, [done, *lines]
    if current.ring + 1 == len(rings) - 1:
        hope = last_ring_gate(observed)
        if hope.state is not State.OK:
            return _move(current, policy, observed, now_ms, Phase.HOLDING, hope.text), [hope, *lines]
    return open_ring(policy, current, observed, rings, current.ring + 1, now_ms, lines, dark)


def population(observed: Observed) -> int:
    """Endpoints that were treated or could be: what shares are shares of. Who was set aside counts no more."""
    treated = sum(s.arm is Arm.TREATED and not s.set_aside_ms for s in observed.subjects)
    return treated + sum(len(us) for us in observed.untreated.values())


def _why_blocked(observed: Observed) -> str:
    return "".join(f"; {b.endpoint_id}: {b.reason}" for b in observed.blocked[:5])


def treated_by_region(observed: Observed) -> dict[str, int]:
    """How many were treated so far, per region (regions with nobody left included).

    Endpoints that a person set aside prove nothing, so their places are filled again: another canary.
    """
    counts = dict.fromkeys(observed.untreated, 0)
    for s in observed.subjects:
        if s.arm is Arm.TREATED and not s.set_aside_ms:
            counts[s.region] = counts.get(s.region, 0) + 1
    return counts


def passed(policy: Policy, current: Blueprint, observed: Observed, ring: Ring, now_ms: int) -> list[Line]:
    """The gates of the ring in progress. All OK = passed."""
    mine = [s for s in observed.subjects if s.arm is Arm.TREATED]
    return [
        _enrolled(policy, current, observed, ring),
        _results(mine, ring),
        _proof(policy, mine, ring, now_ms),
        _bake(mine, current, ring, now_ms),
    ]


def _enrolled(policy: Policy, current: Blueprint, observed: Observed, ring: Ring) -> Line:
    treated = treated_by_region(observed)
    want = got = 0
    for goal in current.goals:
        there = treated.get(goal.region, 0)
        reachable = min(goal.treated, there + len(observed.untreated.get(goal.region, ())))
        want += max(reachable, 0)
        got += min(there, reachable)
    data = {"enrolled": got, "eligible": want}
    text = f"ring {ring.name}: {got} of {want} eligible endpoints were ready and got their offer"
    if got >= policy.enrolled * want - 1e-9 and want > 0:
        return Line("enrolled", State.OK, text, data)
    return Line("enrolled", State.WAIT, text + _why_blocked(observed), data)


def _results(mine: list[Subject], ring: Ring) -> Line:
    waiting = [s.endpoint_id for s in mine if s.progress in (Progress.OFFERED, Progress.STARTED) and not s.set_aside_ms]
    data = {"open": waiting}
    if not waiting:
        return Line("results", State.OK, f"ring {ring.name}: every offer came to an end", data)
    return Line("results", State.WAIT, f"waiting for the result of {len(waiting)}: {', '.join(waiting[:5])}", data)


def _proof(policy: Policy, mine: list[Subject], ring: Ring, now_ms: int) -> Line:
    """Rule 9 without the first checkpoint's grace: promotion needs the quorum of every exposed ring and class now."""
    parts: dict[tuple[int, str], list[bool]] = defaultdict(list)
    for s in mine:
        if not s.set_aside_ms:
            parts[(s.ring, s.machine_class)].append(brake.proven(policy, s, now_ms))
    short = {k: v for k, v in parts.items() if sum(v) < policy.quorum * len(v) - 1e-9}
    good, all_ = sum(sum(v) for v in parts.values()), sum(len(v) for v in parts.values())
    text = f"{good} of {all_} treated endpoints are proven: installed, heard again, healthy"
    return Line("proof", State.WAIT if short else State.OK, text, {"proven": good, "of": all_, "ring": ring.name})


def _bake(mine: list[Subject], current: Blueprint, ring: Ring, now_ms: int) -> Line:
    last_ms = max((s.ready_ms for s in mine), default=current.ring_opened_ms[-1] if current.ring_opened_ms else now_ms)
    left_s = ring.bake_s - (now_ms - last_ms) // 1000
    if left_s <= 0:
        return Line("bake", State.OK, f"ring {ring.name}: bake time is over", {"left_s": 0})
    text = f"ring {ring.name}: waiting for bake time: {brake.span(left_s)} of {brake.span(ring.bake_s)} left"
    return Line("bake", State.WAIT, text, {"left_s": left_s})


def last_ring_gate(observed: Observed) -> Line:
    """The last ring never opens on hope: somebody must have been proven, whatever was set aside."""
    proven = sum(bool(s.proven_ms) for s in observed.subjects if s.arm is Arm.TREATED)
    if proven:
        return Line("last ring", State.OK, f"{proven} endpoints are proven on the new version")
    return Line(
        "last ring", State.HOLD, "holding: nobody is proven on the new version; the last ring never opens on hope"
    )


# --- gates ------------------------------------------------------------------------------------------------------------


def open_ring(policy: Policy, current: Blueprint, observed: Observed, rings: tuple[tuple[Ring, int], ...], index: int,
               now_ms: int, lines: list[Line], dark: frozenset[str]) -> tuple[Blueprint, list[Line]]:  # fmt: skip
    ring, upto = rings[index]
    treated = treated_by_region(observed)
    sizes = {r: treated.get(r, 0) + len(observed.untreated.get(r, ())) for r in treated}
    goals = tuple(Goal(r, n) for r, n in sorted(arms.allot(upto, sizes).items()))
    opened = (*current.ring_opened_ms, now_ms)
    staged = replace(current, ring=index, goals=goals, ring_opened_ms=opened)
    gates = _gates(policy, staged, observed, now_ms, current.generation + 1, dark)
    why = f"ring {ring.name} opened: up to {upto} of {population(observed)} endpoints"
    line = Line("state", State.OK, why)
    moved = _next(current, policy, observed, now_ms, phase=Phase.ROLLING, ring=index, goals=goals,
                  ring_opened_ms=opened, gates=gates, why=why)  # fmt: skip
    return moved, [line, *lines]


def _tick(policy: Policy, current: Blueprint, observed: Observed, ring: Ring, now_ms: int,
          lines: list[Line], dark: frozenset[str]) -> tuple[Blueprint, list[Line]]:  # fmt: skip
    """Within a ring: close ticks that are over, open the next where places are left."""
    gates = _gates(policy, current, observed, now_ms, current.generation + 1, dark)
    stuck = next(x for x in lines if x.state is not State.OK)
    state = Line("state", State.OK, f"rolling: ring {ring.name}; {stuck.text}")
    if gates == current.gates and current.phase is Phase.ROLLING:
        return current, [state, *lines]
    going = "next tick" if gates else "its tick is over"
    why = f"ring {ring.name}: " + (going if current.phase is Phase.ROLLING else "goes on")
    return _next(current, policy, observed, now_ms, phase=Phase.ROLLING, gates=gates, why=why), [state, *lines]


def _gates(
    policy: Policy, staged: Blueprint, observed: Observed, now_ms: int, tick: int, dark: frozenset[str]
) -> tuple[Gate, ...]:
    """One gate per region with places left; a running tick is kept as it is. `tick` = the generation that opens it."""
    treated = treated_by_region(observed)
    live = open_ticks(staged, observed)
    gates: list[Gate] = []
    for i, goal in enumerate(staged.goals):
        if goal.region in dark:
            continue
        old = staged.gate(goal.region)
        places = min(goal.treated - treated.get(goal.region, 0), policy.offers_per_tick)
        runs = old is not None and old.tick in live and old.ring == staged.ring and now_ms < old.closes_ms
        if old is not None and runs and (places <= 0 or _waits_for_somebody(old, observed)):
            gates.append(old)
            continue
        late_ms = staged.ring_opened_ms[-1] + i * policy.region_stagger_s * 1000
        if places > 0 and now_ms >= late_ms:
            gate = _gate(policy, staged, observed, goal.region, places, now_ms, tick)
            gates += [gate] if gate else []
    return tuple(gates)


def _waits_for_somebody(gate: Gate, observed: Observed) -> bool:
    """Whether somebody whom this tick would treat can still come; if not, places that are left need a new tick."""
    return min(observed.untreated.get(gate.region, ()), default=gate.treat_below) < gate.treat_below


def _gate(policy: Policy, staged: Blueprint, observed: Observed, region: str, places: int, now_ms: int,
          tick: int) -> Gate | None:  # fmt: skip
    untreated = observed.untreated.get(region, ())
    if not untreated:
        return None
    reserve = _reserve(policy, observed, staged, region)
    fresh = observed.fresh.get(region, ())
    wanted = places * policy.guard.controls_per_treated
    drawn = {s.u for s in observed.subjects if s.arm is Arm.CONTROL and s.ring == staged.ring and s.region == region}
    spare = tuple(u for u in untreated if u not in drawn)
    below, start, until = arms.thresholds(untreated, fresh, spare, places, wanted, reserve)
    closes = now_ms + policy.tick_s * 1000
    gate = Gate(region, staged.ring, tick, below, start, until, places, now_ms, closes)
    return arms.widened(gate, staged.turns)


def _reserve(policy: Policy, observed: Observed, staged: Blueprint, region: str) -> int:
    """The hold-out stays fresh until the last true ring, whose controls it is."""
    total = population(observed)
    rings = arms.rings_for(policy, observed.change, total)
    held = arms.held_out(policy, observed.change, total)
    if held == 0 or staged.ring >= len(rings) - 2:
        return 0
    sizes = {r: treated_by_region(observed).get(r, 0) + len(us) for r, us in observed.untreated.items()}
    return arms.allot(held, sizes).get(region, 0)
