"""One rollout as people see it: a typed view for console, CLI and API, made from plain values. Pure.

Rates are shares (0..1). `excess` = treated minus control with its 95 % band (Newcombe's, from Wilson intervals);
`brake_at` is the excess at which silence alone would halt at the present numbers, None while it cannot.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from brakeline.rollout import arms, power, telling
from brakeline.rollout.giving_way import GAVE
from brakeline.rollout.model import Arm, Blueprint, Change, Line, Phase, Policy, Progress, Subject, Wish
from brakeline.rollout.restart_change import DECLINED
from brakeline.rollout.summary import proven
from brakeline.rollout.telling import SignalRow
from brakeline.rollout.undo import Exposed

Z95: Final = 1.959964
HARMED: Final = frozenset({"failed", "unhealthy", "silent", "interrupted"})  # states of treated endpoints
NOT_BEGUN: Final = frozenset({Progress.OFFERED, Progress.REFUSED, Progress.EXPIRED})
GONE: Final = frozenset({Phase.HALTED, Phase.WITHDRAWN})


@dataclass(frozen=True, slots=True)
class Excess:
    """Treated against control at one moment."""

    at_ms: int
    n_t: int
    x_t: int
    n_c: int
    x_c: int
    rate_t: float
    rate_c: float
    excess: float
    low: float
    high: float
    brake_at: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """One ring in one region. `state`: pending, active, passed, held, stopped or empty."""

    region: str
    ring: str
    state: str
    planned: int
    offered: int
    installed: int
    proven: int
    failed: int
    silent: int
    spared: int


@dataclass(frozen=True, slots=True)
class Member:
    """An endpoint by name, and what happened to it. `arm` "" = in no arm."""

    endpoint_id: str
    hostname: str
    region: str
    ring: str
    arm: str
    state: str  # proven | installed | failed | refused | silent | offered | … | spared | waiting
    note: str


@dataclass(frozen=True, slots=True)
class LogLine:
    at_ms: int
    kind: str
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class RingView:
    name: str
    bake_s: int
    upto: int


@dataclass(frozen=True, slots=True)
class RolloutView:
    """Everything about one rollout at one moment."""

    id: str
    title: str
    state: str  # draft | rolling | holding | halted | completed | withdrawn
    wish: str
    why: str
    generation: int
    ring: int
    created_ms: int
    created_by: str
    updates: tuple[str, ...]
    rings: tuple[RingView, ...]
    regions: tuple[str, ...]
    grid: tuple[Cell, ...]
    now: Excess
    series: tuple[Excess, ...]
    lines: tuple[Line, ...]
    log: tuple[LogLine, ...]
    statistics: tuple[str, ...]
    members: tuple[Member, ...]
    targets: int
    exposed: int
    proven: int
    failed: int
    silent: int
    controls: int
    spared: tuple[str, ...]  # host names of those that keep their versions: never offered
    spared_ids: tuple[str, ...]
    release: str = ""  # id of the release of ours that it rolls out; "" = updates
    undoes: str = ""  # id of the rollout whose updates it takes back
    left_out: tuple[Exposed, ...] = ()  # reached by these, and without a way back
    signals: tuple[SignalRow, ...] = ()
    decided: str = ""  # which signal halted it, in words; "" = none of them did
    spared_total: int = 0  # how many those are, where `spared` has examples only (`brief`)
    drill: bool = False  # on real endpoints: nothing is changed, whatever it says
    restart: bool = False  # of machines: the one "update" names when it was planned


@dataclass(frozen=True, slots=True)
class TargetName:
    """A target as far as the view needs it."""

    endpoint_id: str
    hostname: str
    region: str
    blocked: str
    people: str = ""  # for whom its order to restart waits
    stopped: bool = False  # by a person, here alone


def wilson(x: int, n: int) -> tuple[float, float]:
    """95 % interval of a share."""
    if n == 0:
        return 0.0, 1.0
    p, z2 = x / n, Z95 * Z95
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def excess(at_ms: int, n_t: int, x_t: int, n_c: int, x_c: int, bar: float) -> Excess:
    """Treated minus control with its band."""
    p_t, p_c = x_t / n_t if n_t else 0.0, x_c / n_c if n_c else 0.0
    (lt, ht), (lc, hc) = wilson(x_t, n_t), wilson(x_c, n_c)
    low = (p_t - p_c) - math.hypot(p_t - lt, hc - p_c)
    high = (p_t - p_c) + math.hypot(ht - p_t, p_c - lc)
    needed = power.halting_count(n_t, n_c, x_c, bar)
    line = needed / n_t - p_c if needed is not None else None
    return Excess(at_ms, n_t, x_t, n_c, x_c, p_t, p_c, p_t - p_c, low, high, line)


def silent_now(policy: Policy, s: Subject, now_ms: int) -> bool:
    """Not heard within the grace, and did not say goodbye."""
    return not s.asleep_now and now_ms - s.last_heard_ms > policy.grace_s(s.machine_class) * 1000


def bad_now(policy: Policy, s: Subject, now_ms: int) -> bool:
    """Silent, unhealthy, or failed through the change."""
    return s.explicit or s.unhealthy_now or silent_now(policy, s, now_ms)


def counts(policy: Policy, subjects: Sequence[Subject], now_ms: int) -> tuple[int, int, int, int]:
    """(treated, of them bad, controls, of them bad) at this moment; crossed controls count as treated only."""
    treated = [s for s in subjects if s.arm is Arm.TREATED]
    controls = [s for s in subjects if s.arm is Arm.CONTROL and not s.crossed_ms]
    bad = [sum(bad_now(policy, s, now_ms) for s in side) for side in (treated, controls)]
    return len(treated), bad[0], len(controls), bad[1]


def member_state(policy: Policy, s: Subject, now_ms: int) -> str:
    """One word for what is known of a subject."""
    if s.arm is Arm.CONTROL:
        return "silent" if silent_now(policy, s, now_ms) else "control"
    if s.progress is Progress.FAILED:
        return "failed"
    if silent_now(policy, s, now_ms):
        return "silent"
    if s.progress is Progress.INSTALLED:
        return "proven" if proven(policy, s, now_ms) else ("unhealthy" if s.unhealthy_now else "installed")
    return s.progress.value


def grid(policy: Policy, blueprint: Blueprint, rings: Sequence[tuple[str, int]], names: Sequence[TargetName],
         subjects: Sequence[Subject], now_ms: int) -> tuple[Cell, ...]:  # fmt: skip
    """Rings x regions with their counts."""
    sizes = Counter(t.region for t in names)
    treated: dict[tuple[int, str], list[Subject]] = defaultdict(list)
    for s in subjects:
        if s.arm is Arm.TREATED:
            treated[s.ring, s.region].append(s)
    cells: list[Cell] = []
    before = dict.fromkeys(sizes, 0)
    for i, (name, upto) in enumerate(rings):
        shares = arms.allot(upto, sizes)
        for region in sorted(sizes):
            mine = treated.get((i, region), [])
            planned = max(shares[region] - before[region], len(mine))
            before[region] = max(shares[region], before[region])
            states = Counter(member_state(policy, s, now_ms) for s in mine)
            installed = sum(s.progress is Progress.INSTALLED for s in mine)
            spared = planned - len(mine) if blueprint.phase in GONE else 0
            state = _cell_state(blueprint, i, planned, len(mine))
            cells.append(Cell(region, name, state, planned, len(mine), installed, states["proven"], states["failed"],
                              states["silent"], spared))  # fmt: skip
    return tuple(cells)


def _cell_state(blueprint: Blueprint, ring: int, planned: int, offered: int) -> str:
    if planned == 0:
        return "empty"
    if blueprint.phase is Phase.COMPLETED or (ring < blueprint.ring and blueprint.phase not in GONE):
        return "passed"
    if blueprint.phase in GONE:
        return "stopped" if offered else "spared"
    if ring > blueprint.ring:
        return "pending"
    return "held" if blueprint.phase is Phase.HOLDING else "active"


def told_by(subjects: Iterable[Subject]) -> dict[str, Subject]:
    """Of each endpoint the subject that says what happened to it."""
    by_id: dict[str, Subject] = {}
    for s in subjects:
        if s.arm is Arm.TREATED or s.endpoint_id not in by_id:
            by_id[s.endpoint_id] = s
    return by_id


def member(policy: Policy, ring_names: Sequence[str], t: TargetName, s: Subject | None, phase: Phase,
            now_ms: int) -> Member:  # fmt: skip
    if s is None or s.arm is Arm.CONTROL:
        arm = "control" if s else ""
        state = "spared" if phase in GONE else "stopped" if t.stopped else "waiting"
        note = t.blocked or ("keeps its versions" if phase in GONE else "waits for its ring")
        return Member(t.endpoint_id, t.hostname, t.region, "", arm, state, note)
    ring = ring_names[s.ring] if s.ring < len(ring_names) else ""
    short = f"short of {', '.join(s.troubles)}" if s.troubles else ""
    waits = f"waits for people: {t.people}" if t.people and phase not in GONE else ""
    note = "; ".join(filter(None, (s.detail.removesuffix(": "), waits, short, *s.harms))) + (
        " (set aside by a person)" if s.set_aside_ms and not s.detail.startswith((DECLINED, GAVE)) else ""
    )
    if t.stopped and s.progress in NOT_BEGUN:
        return Member(t.endpoint_id, t.hostname, t.region, ring, "treated", "stopped", t.blocked)
    return Member(t.endpoint_id, t.hostname, t.region, ring, "treated", member_state(policy, s, now_ms), note)


def build(
    *, rollout_id: str, title: str, change: Change, policy: Policy, attributes: tuple[str, ...], created_ms: int,
    created_by: str, wish: Wish, blueprint: Blueprint, lines: tuple[Line, ...], names: Sequence[TargetName],
    subjects: Sequence[Subject], samples: Sequence[tuple[int, int, int, int, int]], log: tuple[LogLine, ...],
    population: int, now_ms: int, left_out: tuple[Exposed, ...] = (),
) -> RolloutView:  # fmt: skip
    """The view, from everything that was loaded."""
    bar = power.silence_bar(policy, attributes)
    rings = arms.rings_for(policy, change, population)
    ring_names = [r.name for r, _ in rings]
    by_id = told_by(subjects)
    treated = {i: member_state(policy, s, now_ms) for i, s in by_id.items() if s.arm is Arm.TREATED}
    untouched = [t for t in names if t.endpoint_id not in treated]
    regions = tuple(sorted({t.region for t in names}))
    states = Counter(treated.values())
    people = tuple(
        member(policy, ring_names, t, by_id.get(t.endpoint_id), blueprint.phase, now_ms) for t in names
    )  # fmt: skip
    signals = telling.table(policy, subjects, lines, now_ms)
    return RolloutView(
        id=rollout_id, title=title, state=blueprint.phase.value, wish=wish.value, why=_why(blueprint, lines),
        generation=blueprint.generation, ring=blueprint.ring, created_ms=created_ms, created_by=created_by,
        updates=tuple(f"{p.name} {p.version}" for p in change.updates),
        rings=tuple(RingView(r.name, r.bake_s, upto) for r, upto in rings), regions=regions,
        grid=grid(policy, blueprint, [(r.name, upto) for r, upto in rings], names, subjects, now_ms),
        now=excess(now_ms, *counts(policy, subjects, now_ms), bar), series=tuple(excess(*s, bar) for s in samples),
        lines=lines, log=log,
        statistics=(*power.power(policy, change, population, len(regions)).sentences, *_of_rollback(change)),
        members=people, targets=len(names), exposed=len(treated), proven=states["proven"], failed=states["failed"],
        silent=states["silent"], controls=len(by_id) - len(treated),
        spared=tuple(t.hostname for t in untouched), spared_ids=tuple(t.endpoint_id for t in untouched),
        release=change.release.release_id if change.release else "", undoes=change.undoes, left_out=left_out,
        signals=signals, decided=telling.decided(signals, lines), spared_total=len(untouched), drill=change.is_drill,
        restart=change.is_restart,
    )  # fmt: skip


def _of_rollback(change: Change) -> tuple[str, ...]:
    """What statistics cannot say of endpoints that are known to be harmed."""
    if not change.places_of_harmed:
        return ()
    return (
        f"the first {change.places_of_harmed} places are endpoints with proven harm: they are compared with nobody, "
        "and explicit failures alone can halt there",
    )


def _why(blueprint: Blueprint, lines: tuple[Line, ...]) -> str:
    return lines[0].text if lines else blueprint.why
