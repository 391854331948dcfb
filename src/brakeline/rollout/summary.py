"""A rollout in numbers: all that planner and brake judge by, whoever has counted. Pure.

A cell counts its subjects (`summarise`), a simulation of millions makes numbers up: the same planner decides on both.
Invariants: nothing but `Names` and `Lost` says who an endpoint is, and `Names` decide nothing, they are examples for
people; every number can be added up over regions. Next: `brake.judge`, `planner.decide`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final, Protocol

from brakeline.rollout import arms, evalue, evidence, restarts, untaken
from brakeline.rollout.alpha import MARGINS
from brakeline.rollout.arms import Draws, SortedDraws
from brakeline.rollout.evidence import Counts, Row
from brakeline.rollout.model import (
    Arm,
    Blocked,
    Blueprint,
    Change,
    Observed,
    Pin,
    Policy,
    Progress,
    Subject,
    TickState,
    Turn,
    Wish,
)

NAMES_MAX: Final = 50  # examples a list: more than a person reads on one screen
ENDED: Final = frozenset({Progress.INSTALLED, Progress.FAILED})
Bets = tuple[float, ...]  # logs of the bets on several sizes of harm: `evalue.log_mean_exp` of them is the evidence
OPEN: Final = frozenset({Progress.OFFERED, Progress.STARTED})


@dataclass(frozen=True, slots=True)
class Part:
    """Treated endpoints of one ring, region and class. A person has set `set_aside` of them aside; only `treated`,
    `failed` and `seen` count those too."""

    ring: int
    region: str
    machine_class: str
    treated: int = 0
    set_aside: int = 0
    known: int = 0  # installed, heard again, healthy when last heard
    proven: int = 0  # known, and not away for longer than their class is
    passed: int = 0  # past their first checkpoint
    passed_known: int = 0  # of these known
    passed_proven: int = 0  # of these proven
    open: int = 0  # whose offer has come to no end yet
    failed: int = 0  # in a way that the change itself must have caused
    failed_news: int = 0  # of these not set aside
    seen: int = 0  # proven at some time
    youngest_ms: int = 0  # when the last of them was ready
    baked: int = 0  # ready for as long as the ring in progress has to bake
    consenting: int = 0  # to a restart
    restarted: int = 0  # of these, and heard again
    excused: int = 0  # of these not restarted: it refused, or was there when the order lapsed
    asked: int = 0  # heard at the checkpoint at which their first offer is over (`untaken`)
    untaken: int = 0  # of these take nothing

    @property
    def counted(self) -> int:
        """Treated endpoints that fill a place of the ring."""
        return self.treated - self.set_aside


@dataclass(frozen=True, slots=True)
class ControlArm:
    """Controls of one region and class that are still compared: awake, not crossed over."""

    region: str
    machine_class: str
    controls: int
    heard: int  # within their grace


@dataclass(frozen=True, slots=True)
class Lost:
    """A treated endpoint that is past `evidence.SILENCE_CHECKPOINTS` and away for longer than its class
    is. Only those of rings too small for statistics are told, so there are few."""

    endpoint_id: str
    region: str
    away_s: int


@dataclass(frozen=True, slots=True)
class Failed:
    endpoint_id: str
    detail: str
    set_aside: bool


@dataclass(frozen=True, slots=True)
class Names:
    """Examples for people, `NAMES_MAX` a list."""

    failed: tuple[Failed, ...] = ()  # in small rings; those that nobody set aside first
    unproven: Mapping[tuple[int, str], tuple[str, ...]] = field(default_factory=dict)  # by ring and class
    open: tuple[str, ...] = ()
    untaken: tuple[str, ...] = ()


class Places(Protocol):
    """Who may still be treated, as sorted draws of a region."""

    def regions(self) -> Iterable[str]: ...

    def eligible(self, region: str) -> int:
        """How many may still be treated, those who are away included."""
        ...

    def untreated(self, region: str) -> Draws:
        """Those of them who are here now."""
        ...

    def fresh(self, region: str) -> Draws:
        """Those who are here and were in no arm yet."""
        ...

    def spare(self, region: str, ring: int) -> Draws:
        """Those who are here and are no controls of this ring."""
        ...


@dataclass(frozen=True)  # without slots, so that what planner and brake ask for again and again is added up once
class Summary:
    """Everything the planner may know, in numbers."""

    change: Change
    places: Places
    parts: tuple[Part, ...] = ()
    controls: tuple[ControlArm, ...] = ()
    table: Mapping[Row, Mapping[int, Bets]] = field(default_factory=dict)  # treated against controls, by row and ring
    ended: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # by group: offers that ended, of them failed
    lost: tuple[Lost, ...] = ()
    given_up: tuple[Lost, ...] = ()  # whose offer has no result and who are away for longer than their class ever is
    compared: bool = False  # anybody was ever drawn as a control
    names: Names = field(default_factory=Names)
    ticks: tuple[TickState, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    wish: Wish = Wish.RUN
    wish_by: str = ""
    wish_reason: str = ""
    data_ms: int = 0
    resumed_generation: int = 0
    quarantined: frozenset[Pin] = frozenset()
    attributes: tuple[str, ...] = ()
    linked: frozenset[int] = frozenset()  # rings whose bets go on with what earlier ones earned (`arms.linked`)

    @cached_property
    def treated(self) -> int:
        return sum(p.treated for p in self.parts)

    @cached_property
    def population(self) -> int:
        """Endpoints that were treated or could be: what shares are shares of. Who was set aside counts no more."""
        return sum(p.counted for p in self.parts) + sum(map(self.places.eligible, self.places.regions()))

    def treated_by_region(self) -> dict[str, int]:
        """How many were treated so far, per region (regions with nobody left included).

        Endpoints that a person set aside prove nothing, so their places are filled again: another canary.
        """
        return dict(self._by_region)

    @cached_property
    def _by_region(self) -> dict[str, int]:
        counts = dict.fromkeys(self.places.regions(), 0)
        for p in self.parts:
            counts[p.region] = counts.get(p.region, 0) + p.counted
        return counts

    def small_rings(self, policy: Policy) -> frozenset[int]:
        """Rings of which the plan makes too few endpoints for statistics."""
        return small_rings(policy, self.change, self.population)


@lru_cache(maxsize=64)
def small_rings(policy: Policy, change: Change, population: int) -> frozenset[int]:
    """Rings that add fewer endpoints than statistics need."""
    uptos = [0, *(upto for _, upto in arms.rings_for(policy, change, population))]
    return frozenset(i for i, upto in enumerate(uptos[1:]) if upto - uptos[i] < policy.small_ring)


def open_ticks(current: Blueprint, ticks: Iterable[TickState]) -> frozenset[int]:
    """Ticks that may still enrol somebody: their blocks are not complete."""
    closed = {(t.region, t.tick) for t in ticks if t.closed}
    return frozenset(g.tick for g in current.gates if (g.region, g.tick) not in closed)


# --- one cell counts its subjects -------------------------------------------------------------------------------------


def summarise(policy: Policy, current: Blueprint, observed: Observed, now_ms: int) -> Summary:
    """The numbers of `observed` as they stand now."""
    treated = [s for s in observed.subjects if s.arm is Arm.TREATED]
    bake_s = arms.bake_s(policy, observed.change, _population(observed, treated), current.ring, now_ms)
    parts = _parts(policy, treated, bake_s, now_ms)
    running = open_ticks(current, observed.ticks)
    small = small_rings(policy, observed.change, _population(observed, treated))
    few = [s for s in treated if s.ring in small]
    return Summary(
        observed.change, Known(observed), parts, _controls(policy, observed.subjects, now_ms),
        table(policy, observed.subjects, current.turns, running, observed.resumed_ms, now_ms),
        _ended(treated, observed.resumed_ms), _lost(policy, few, now_ms), _given_up(policy, few, now_ms),
        any(s.arm is Arm.CONTROL for s in observed.subjects), _names(policy, treated, few, now_ms),
        observed.ticks, observed.blocked, observed.wish, observed.wish_by, observed.wish_reason, observed.data_ms,
        observed.resumed_generation, observed.quarantined, observed.attributes, arms.linked(current.turns),
    )  # fmt: skip


def table(policy: Policy, subjects: Iterable[Subject], turns: Sequence[Turn], running: frozenset[int],
          since_ms: int, now_ms: int) -> dict[Row, dict[int, Bets]]:  # fmt: skip
    """All comparisons that may be made now, as bets."""
    counts = evidence.tabulate(policy, subjects, turns, running, since_ms, now_ms)
    return {
        row: {ring: evalue.add(bets_of(row[0], block) for block in blocks) for ring, blocks in rings.items()}
        for row, rings in counts.items()
    }


def bets_of(signal: str, block: Counts) -> Bets:
    """What one block says of one signal."""
    margin = MARGINS[signal]
    return evalue.bets_beyond(block, margin) if margin else evalue.bets(block)


def proven(policy: Policy, s: Subject, now_ms: int) -> bool:
    """Installed, checked in healthy since, and not gone away for longer than its class does."""
    away_ms = now_ms - s.last_heard_ms
    here = s.asleep_now or away_ms <= policy.return_s(s.machine_class) * 1000
    return bool(s.proven_ms) and here and not s.unhealthy_now


def _population(observed: Observed, treated: Iterable[Subject]) -> int:
    places = Known(observed)
    return sum(not s.set_aside_ms for s in treated) + sum(map(places.eligible, places.regions()))


def _parts(policy: Policy, treated: Iterable[Subject], bake_s: int, now_ms: int) -> tuple[Part, ...]:
    members: dict[tuple[int, str, str], list[Subject]] = defaultdict(list)
    for s in treated:
        members[(s.ring, s.region, s.machine_class)].append(s)
    return tuple(_part(policy, key, mine, bake_s, now_ms) for key, mine in sorted(members.items()))


def _part(policy: Policy, key: tuple[int, str, str], members: Sequence[Subject], bake_s: int, now_ms: int) -> Part:
    counted = [s for s in members if not s.set_aside_ms]
    known = [s for s in counted if s.proven_ms and not s.unhealthy_now]
    good = [s for s in counted if proven(policy, s, now_ms)]
    first_ms = policy.settled_s * 1000
    return Part(
        *key,
        treated=len(members),
        set_aside=len(members) - len(counted),
        known=len(known),
        proven=len(good),
        passed=sum(now_ms - s.ready_ms >= first_ms for s in counted),
        passed_known=sum(now_ms - s.ready_ms >= first_ms for s in known),
        passed_proven=sum(now_ms - s.ready_ms >= first_ms for s in good),
        open=sum(s.progress in OPEN for s in counted),
        failed=sum(s.explicit for s in members),
        failed_news=sum(s.explicit for s in counted),
        seen=sum(bool(s.proven_ms) for s in members),
        youngest_ms=max(s.ready_ms for s in members),
        baked=sum(now_ms - s.ready_ms >= bake_s * 1000 for s in counted),
        consenting=sum(s.consents for s in counted),
        restarted=sum(s.consents and s.restarted_ms > 0 for s in counted),
        excused=sum(restarts.excused(policy, s) for s in counted),
        asked=sum(untaken.asked(policy, s, now_ms) for s in counted),
        untaken=sum(untaken.takes_nothing(policy, s, now_ms) for s in counted),
    )


def _controls(policy: Policy, subjects: Iterable[Subject], now_ms: int) -> tuple[ControlArm, ...]:
    parts: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for s in subjects:
        if s.arm is Arm.CONTROL and not (s.crossed_ms or s.asleep_now or s.set_aside_ms):
            heard = now_ms - s.last_heard_ms <= policy.grace_s(s.machine_class) * 1000
            parts[(s.region, s.machine_class)].append(heard)
    return tuple(ControlArm(*key, len(heard), sum(heard)) for key, heard in sorted(parts.items()))


def _ended(treated: Iterable[Subject], since_ms: int) -> dict[str, tuple[int, int]]:
    """Whoever was ready before `since_ms` was judged then."""
    n: Counter[str] = Counter()
    x: Counter[str] = Counter()
    for s in treated:
        if s.ready_ms >= since_ms and (s.progress in ENDED or s.explicit):
            for group in evidence.groups(s):
                n[group] += 1
                x[group] += s.explicit
    return {group: (n[group], x[group]) for group in n}


def _lost(policy: Policy, few: Iterable[Subject], now_ms: int) -> tuple[Lost, ...]:
    from_s = policy.checkpoints_s[policy.early :][: evidence.SILENCE_CHECKPOINTS][-1]
    return tuple(
        Lost(s.endpoint_id, s.region, (now_ms - s.last_heard_ms) // 1000)
        for s in few
        if now_ms - s.ready_ms >= from_s * 1000
        and len(policy.checkpoints_s) - policy.early >= evidence.SILENCE_CHECKPOINTS
        and not (s.set_aside_ms or s.asleep_now)
        and now_ms - s.last_heard_ms > policy.return_s(s.machine_class) * 1000
    )


def _given_up(policy: Policy, few: Iterable[Subject], now_ms: int) -> tuple[Lost, ...]:
    """Waiting for a result ends where nobody of that class stays away for so long; who said goodbye has a week."""
    from_s = policy.checkpoints_s[policy.early :][: evidence.SILENCE_CHECKPOINTS][-1]
    return tuple(
        Lost(s.endpoint_id, s.region, away_s)
        for s in few
        if s.progress in OPEN and not s.set_aside_ms and now_ms - s.ready_ms >= from_s * 1000
        and (away_s := (now_ms - max(s.last_heard_ms, s.ready_ms)) // 1000)
        > (policy.eligible_seen_s if s.asleep_now else policy.return_s(s.machine_class))
    )  # fmt: skip


def _names(policy: Policy, treated: Sequence[Subject], few: Iterable[Subject], now_ms: int) -> Names:
    counted = [s for s in treated if not s.set_aside_ms]
    first_ms = policy.settled_s * 1000
    unproven: dict[tuple[int, str], list[str]] = defaultdict(list)
    for s in counted:
        mine = unproven[(s.ring, s.machine_class)]
        if len(mine) < NAMES_MAX and now_ms - s.ready_ms >= first_ms and not proven(policy, s, now_ms):
            mine.append(s.endpoint_id)
    failed = sorted((Failed(s.endpoint_id, s.detail, bool(s.set_aside_ms)) for s in few if s.explicit),
                    key=lambda f: f.set_aside)  # fmt: skip
    waiting = [s.endpoint_id for s in counted if s.progress in OPEN]
    idle = [s.endpoint_id for s in counted if untaken.takes_nothing(policy, s, now_ms)]
    return Names(tuple(failed[:NAMES_MAX]), {key: tuple(ids) for key, ids in unproven.items()},
                 tuple(waiting[:NAMES_MAX]), tuple(idle[:NAMES_MAX]))  # fmt: skip


class Known:
    """Places where every draw is known by itself."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def regions(self) -> Iterable[str]:
        return self._observed.untreated.keys()

    def eligible(self, region: str) -> int:
        return self._observed.eligible.get(region, len(self._observed.untreated.get(region, ())))

    def untreated(self, region: str) -> Draws:
        return SortedDraws(self._observed.untreated.get(region, ()))

    def fresh(self, region: str) -> Draws:
        return SortedDraws(self._observed.fresh.get(region, ()))

    def spare(self, region: str, ring: int) -> Draws:
        drawn = {s.u for s in self._observed.subjects if _is_control(s, region, ring)}
        return SortedDraws([u for u in self._observed.untreated.get(region, ()) if u not in drawn])


def _is_control(s: Subject, region: str, ring: int) -> bool:
    return s.arm is Arm.CONTROL and s.ring == ring and s.region == region
