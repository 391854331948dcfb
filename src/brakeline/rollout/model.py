"""The words of a rollout, as frozen types; no behaviour beyond reading them.

*Policy* is what an operator wishes; *Blueprint* is the next intended state in every detail (immutable, numbered by
generation); *Observed* is what is known now, perhaps stale; *Report* explains every move and every non-move. Times are
Unix milliseconds (`*_ms`), durations are seconds (`*_s`), `u` is an endpoint's place in the draw (`arms.draw`).
`planner.plan` turns the first three into a new blueprint; `brake.judge` gives the verdict; `lint.check` distrusts both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from brakeline.protocol.channels import STABLE
from brakeline.protocol.messages import PeopleTerms, ReleaseRef
from brakeline.rollout.wished import Wished

CLASSES: Final = ("server", "desktop", "laptop")  # the strata in which every signal is tested
DAY_S: Final = 86_400
CHECKPOINTS_S: Final = (1_800, 8_100, 22_500, 93_600)  # 30 min, 2 h 15, 6 h 15, 26 h after ready
SETTLED_S: Final = CHECKPOINTS_S[0]  # looks before it are early: by then a change may still be on its way
LAST_CHECKPOINT_S: Final = 72 * 3600  # the last ring is watched this long: a long weekend's return


class Arm(StrEnum):
    """What became of an endpoint at ready. Deferred ones are in no arm and count nowhere."""

    TREATED = "treated"
    CONTROL = "control"
    DEFERRED = "deferred"


class Phase(StrEnum):
    """Where a rollout stands. Only ROLLING ever has an open gate."""

    DRAFT = "draft"
    ROLLING = "rolling"
    HOLDING = "holding"
    HALTED = "halted"
    COMPLETED = "completed"
    WITHDRAWN = "withdrawn"


ROLLBACK: Final = "rollback"
DRILL: Final = "drill"  # kinds of change
RESTART: Final = "restart"
INTERNET_TAG: Final = "internet-facing"  # of an endpoint; `exposure.priority` reads the same tag
FINAL: Final = frozenset({Phase.WITHDRAWN})
EXPOSED_NO_MORE: Final = frozenset({Phase.HALTED, Phase.COMPLETED, Phase.WITHDRAWN})


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """One package at exactly one version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Harmed:
    """How many endpoints of a region a rolled-back update has harmed, of those that have a way back."""

    region: str
    endpoints: int


@dataclass(frozen=True, slots=True)
class Facing:
    """How many endpoints of a region face the internet, and so are never held out."""

    region: str
    endpoints: int


@dataclass(frozen=True, slots=True)
class Change:
    """What is rolled out: pinned updates, or a release of ours (then the one pin names it, kind is "release"), or the
    way back from another rollout's updates (kind is "rollback", the pins are those that are taken back), or a drill
    (kind is "drill"), which changes nothing: so many endpoints, the lowest draws, are told to report a failure, or
    restarts (kind is "restart", the one pin names when they were planned), or settings (kind is "settings"; `wished`
    where a conductor leads them).

    `exploited`: closes a finding that is exploited, so nobody is held out.
    """

    updates: tuple[Pin, ...]
    kind: str = "updates"
    exploited: bool = False
    conffile_policy: str = "keep"
    title: str = ""
    release: ReleaseRef | None = None
    undoes: str = ""  # the rollout that a rollback takes back
    harmed: tuple[Harmed, ...] = ()  # who comes first: the lowest draws of each region
    fails: int = 0  # of a drill
    wished: Wished | None = None  # of settings that are led: the words, the same for every cell
    facing: tuple[Facing, ...] = ()  # counted when it was drafted here; () = the draw alone says who is held out
    due_ms: int = 0  # the last day in time of what it closes begins; from then on nobody is held out; 0 = none is known
    channel: str = STABLE  # of a release: `early` concerns those alone who follow it

    @property
    def is_drill(self) -> bool:
        return self.kind == DRILL

    @property
    def is_restart(self) -> bool:
        return self.kind == RESTART

    @property
    def takes_back(self) -> bool:
        return self.kind == ROLLBACK

    @property
    def places_of_harmed(self) -> int:
        """So many places belong to endpoints with proven harm; nobody is like them, so they have no controls."""
        return sum(h.endpoints for h in self.harmed)

    @property
    def never_held(self) -> int:
        """Endpoints that face the internet."""
        return sum(f.endpoints for f in self.facing)


@dataclass(frozen=True, slots=True)
class Ring:
    """A cumulative part of the fleet: `count` endpoints or a `share` (0..1]; nine of ten are watched `bake_s`."""

    name: str
    bake_s: int
    share: float | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """How harm is told from noise. `alpha`: the chance, per rollout, that statistics halt a harmless change.

    Early rings have up to `controls_early` controls a treated endpoint, while all of a ring's controls are at most
    `controls_share` of the fleet.
    """

    controls_per_treated: int = 9
    controls_early: int = 99
    controls_share: float = 0.05
    holdout: float = 0.01
    alpha: float = 0.01
    no_data: str = "hold"  # there is no other value: missing data never promotes


@dataclass(frozen=True, slots=True)
class Restarts:
    """Which rings restart those of their canaries, and of their controls, who consent: some faults show at the next
    start only, and servers restart once a month.

    The first `rings` of them, while they end at `upto` endpoints at most, and never the last ring, after which nobody
    is left to be spared. `within_s` after ready the order lapses, in either arm. `consent`: who allows it in its own
    settings and is tagged `restart-yes`, or ("all") whoever allows it and is not tagged `restart-no`.
    """

    rings: int = 3
    upto: int = 10_000
    within_s: int = 6 * 3600
    consent: str = "tagged"  # tagged | all
    without: str = "pass"  # pass | hold: what a ring does in which nobody consents


NO_RESTARTS: Final = Restarts(rings=0)


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's wish. Every duration is in seconds, so a rehearsal can run in a minute."""

    rings: tuple[Ring, ...]
    guard: Guard = Guard()
    checkpoints_s: tuple[int, ...] = CHECKPOINTS_S
    check_in_interval_s: int = 60
    grace_intervals: int = 3  # servers and desktops: not heard in three intervals before a checkpoint = silent
    laptop_grace_s: int = 2 * 3600
    tick_s: int = 900  # a tick closes after this long even if its budget is not spent
    offers_per_tick: int = 500  # offers that one region may get in one tick
    spread_s: int = 0  # a ring's offers are spread over at least so long, tick by tick; 0 = as fast as the tick allows
    region_stagger_s: int = 0  # the n-th region opens a ring n times this much later
    quorum: float = 0.8  # share of treated, per class and ring, proven on the new version
    enrolled: float = 0.9  # share of the ring's eligible endpoints that were randomised
    eligible_seen_s: int = 7 * DAY_S
    data_age_max_s: int = 900
    people_return_s: int = 26 * 3600  # desktops and laptops: a night and the next morning in any time zone
    offer_lifetime_s: int = 600
    small_ring: int = 50  # below this one explicit failure holds and `small_halts` halt (outside the alpha claim)
    small_halts: int = 2
    silence_halts: bool = False  # one treated endpoint of a small ring that stays away halts, if controls are heard
    failure_baseline: float = 0.01  # ordinary failure rate of a package manager: only more than this is evidence
    led: bool = False  # `rings` are those that a conductor has granted so far, with exactly these counts
    restarts: Restarts = Restarts()
    people: PeopleTerms | None = None  # of a rollout of restarts: how people at the machines are asked before

    @property
    def early(self) -> int:
        """How many looks are early, and ask for silence alone: what endpoints tell of a change is told after it is
        over. A rehearsal, all of whose looks come sooner, has none."""
        return sum(c < SETTLED_S for c in self.checkpoints_s) if self.checkpoints_s[-1] >= SETTLED_S else 0

    @property
    def settled_s(self) -> int:
        """The first checkpoint by which a change is over and its result told."""
        return self.checkpoints_s[self.early]

    def grace_s(self, machine_class: str) -> int:
        """How long before a checkpoint an endpoint may last have been heard."""
        if machine_class == "laptop":
            return self.laptop_grace_s
        return self.grace_intervals * self.check_in_interval_s

    def return_s(self, machine_class: str) -> int:
        """How long an exposed endpoint may be away and still count as proven: people's machines sleep at night."""
        if machine_class == "server":
            return max(self.grace_s("server"), self.settled_s)
        return self.people_return_s


class Progress(StrEnum):
    """What is known of a treated endpoint's transaction. Controls stay at NONE."""

    NONE = "none"
    OFFERED = "offered"
    STARTED = "started"
    INSTALLED = "installed"
    FAILED = "failed"
    REFUSED = "refused"
    EXPIRED = "expired"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Subject:
    """One endpoint in one arm, with the evidence so far. Masks have one bit per checkpoint.

    Stratum and attributes were frozen before the offer. `heard`: a check-in fell into that checkpoint's window.
    `proven_ms`: first healthy check-in after INSTALLED. `crossed_ms`: a control whose turn to be treated came.
    `consents`: to being restarted, as frozen at ready. `restarted_ms`: heard again from another boot than that of the
    first check-in after INSTALLED (a control: than that of ready), whoever started it.
    """

    endpoint_id: str
    arm: Arm
    ring: int
    tick: int
    region: str
    machine_class: str
    u: int
    ready_ms: int
    generation: int
    attributes: tuple[str, ...] = ()
    heard: int = 0
    unhealthy: int = 0
    asleep: int = 0
    last_heard_ms: int = 0
    asleep_now: bool = False
    unhealthy_now: bool = False
    progress: Progress = Progress.NONE
    explicit: bool = False  # failed in a way that cannot pre-exist the change
    proven_ms: int = 0
    crossed_ms: int = 0
    set_aside_ms: int = 0  # a person resumed knowing of this endpoint's failure
    detail: str = ""
    consents: bool = False
    restarted_ms: int = 0
    restart_refused: str = ""  # in the endpoint's own words
    boot_id: str = ""  # of the first check-in after INSTALLED; of a control, after ready
    resources: int = 0  # masks, as `unhealthy`: see `signals`
    actions: int = 0
    patches: int = 0  # masks too: see `harms`
    blocks: int = 0
    deletions: int = 0
    errors: int = 0  # a mask too: see `vitals`
    tells: int = 0  # which of `evidence.TOLD_BY_SOME` it told at ready, a bit each
    facing: bool = False  # never held out, so compared with its like only (`facing`)
    harms: tuple[str, ...] = ()  # what was done to it since ready, in words and by name, now
    often: int = 0
    starts: int = 0  # boots seen since ready, beyond the first
    last_boot: str = ""
    troubles: tuple[str, ...] = ()  # in words, now
    troubled_ms: int = 0  # since when without a break


@dataclass(frozen=True, slots=True)
class Gate:
    """An open tick of one region: who is treated, who is control, and how many offers at most.

    u < treat_below is treated; control_from <= u < control_until is control; everybody else is deferred.
    """

    region: str
    ring: int
    tick: int
    treat_below: int
    control_from: int
    control_until: int
    budget: int
    opened_ms: int
    closes_ms: int


@dataclass(frozen=True, slots=True)
class Goal:
    """How many endpoints of a region may be treated, cumulatively, up to the current ring."""

    region: str
    treated: int


@dataclass(frozen=True, slots=True)
class Turn:
    """The tick in which draws of a region first came into an arm's range; later ranges of the ring contain these."""

    region: str
    ring: int
    tick: int
    treat_below: int
    control_from: int
    control_until: int


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The intended state of one rollout. Becomes the target only if its parent is the target (compare and swap)."""

    rollout_id: str
    generation: int
    parent: int
    phase: Phase
    ring: int  # index of the ring in progress; -1 = none was opened yet
    made_ms: int
    gates: tuple[Gate, ...] = ()
    goals: tuple[Goal, ...] = ()
    ring_opened_ms: tuple[int, ...] = ()
    why: str = ""
    alpha_sum: float = 0.0
    turns: tuple[Turn, ...] = ()  # oldest first
    retry: bool = False  # while it holds: who was treated and has not begun may get its offer again

    def gate(self, region: str) -> Gate | None:
        """The open gate of a region, if any."""
        return next((g for g in self.gates if g.region == region), None)


@dataclass(frozen=True, slots=True)
class TickState:
    """What happened in one tick so far. `closed`: budget spent, time over or generation gone, for both arms."""

    region: str
    tick: int
    ring: int
    treated: int
    closed: bool


class Wish(StrEnum):
    """What a person last asked for."""

    DRAFT = "draft"
    RUN = "run"
    PAUSE = "pause"
    BRAKE = "brake"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class Blocked:
    """A target that cannot take part now, and why, in its own words."""

    endpoint_id: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything the planner may know.

    `eligible` counts, per region, endpoints that may still be treated. `untreated` and `fresh` are the sorted draws of
    those of them who are here now, and of those of these who were in no arm yet: places in a ring are for who can take
    them, so nobody who is away holds one up.
    """

    change: Change
    targets: int
    subjects: tuple[Subject, ...]
    untreated: Mapping[str, tuple[int, ...]]
    fresh: Mapping[str, tuple[int, ...]]
    ticks: tuple[TickState, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    wish: Wish = Wish.RUN
    wish_by: str = ""
    wish_reason: str = ""
    data_ms: int = 0  # newest check-in of any target
    resumed_ms: int = 0  # when a person last resumed after a halt: older statistics were judged then
    resumed_generation: int = 0  # the halted generation that was resumed; 0 = none
    quarantined: frozenset[Pin] = frozenset()
    attributes: tuple[str, ...] = ()  # values tested, frozen at start
    eligible: Mapping[str, int] = field(default_factory=dict)  # not told = all of them are here


class State(StrEnum):
    """How a line of the report is shown: passed, waiting for time, holding for evidence, harm, or no data."""

    OK = "ok"
    WAIT = "wait"
    HOLD = "hold"
    HALT = "halt"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Line:
    """One gate and what it says, with the figures behind the sentence."""

    gate: str
    state: State
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """Why the rollout does what it does: gates in the order in which they were asked."""

    lines: tuple[Line, ...]

    def stuck(self) -> tuple[Line, ...]:
        """The lines that keep it from going on."""
        return tuple(line for line in self.lines if line.state is not State.OK)


@dataclass(frozen=True, slots=True)
class Halt:
    """Harm is shown: nothing more is offered, the updates are quarantined."""

    reason: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hold:
    """Evidence is missing or doubtful: nothing new is offered until it is there."""

    reason: str
    data: Mapping[str, Any] = field(default_factory=dict)
    unproven: bool = False  # nothing else is wrong than that too few are proven


@dataclass(frozen=True, slots=True)
class Promote:
    """The brake does not object. (Whether a ring is passed is the planner's question.)"""


Verdict = Halt | Hold | Promote
