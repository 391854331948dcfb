"""The words of a drill, as frozen types: which faults there are, how one stands, what a report says. Pure.

Times are Unix milliseconds (`*_ms`), durations seconds (`*_s`). 0 = it did not happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ENDPOINTS_MIN: Final = 50  # fewer, and no comparison of arms can halt: nothing would be shown
ENDPOINTS_MAX: Final = 1_000  # they share this server with real endpoints
ENDPOINTS: Final = 300
REGIONS: Final = ("drill-east", "drill-west")
NAME: Final = "drill-{:04}"
PACKAGE: Final = "brakeline-drill"
REAL: Final = "real"  # the drill on real endpoints
REAL_MAX: Final = 5_000  # of them; each look at their rollout reads all
EVENTS_MAX: Final = 60  # of the rollout's log in a report


class Symptom(StrEnum):
    """What the bad change does to an endpoint that takes it."""

    SILENT = "silent"  # it is never heard again
    BREAKS = "breaks"  # it tells that a service does not come back
    NONE = "none"  # nothing: the drill of a good change


@dataclass(frozen=True, slots=True)
class Fault:
    """One bad change by name. Every `every`-th endpoint that takes it is harmed."""

    name: str
    symptom: Symptom
    says: str
    every: int = 1


FAULTS: Final = {
    f.name: f
    for f in (
        Fault("bad-release", Symptom.SILENT, "every endpoint that takes it falls silent, as after a boot loop"),
        Fault("half-bad", Symptom.SILENT, "every second endpoint that takes it falls silent", 2),
        Fault("broken-service", Symptom.BREAKS, "a service does not come back, and the endpoint says so"),
        Fault("good-release", Symptom.NONE, "a good change: the brake must let it through its first ring"),
    )
}


class State(StrEnum):
    """How a drill stands. HELD: nothing more was offered, for want of a second failure or of proof; PASSED: a good
    change went on; MISSED: its time was over and the bad change was neither halted nor held."""

    RUNNING = "running"
    HALTED = "halted"
    HELD = "held"
    PASSED = "passed"
    MISSED = "missed"
    STOPPED = "stopped"  # by a person
    BROKEN_OFF = "broken_off"  # the server ended, or something else went wrong


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened, for the report's line of time."""

    at_ms: int
    what: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One ring in one region."""

    region: str
    ring: str
    state: str
    planned: int
    offered: int
    silent: int
    failed: int
    spared: int


@dataclass(frozen=True, slots=True)
class Gate:
    """One line of the planner's report."""

    gate: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a drill came to; while it runs, what is known of it by now."""

    phase: str  # of its rollout; "" = it has none yet
    why: str
    ring: str  # in progress, or in which it was halted
    first_ring: bool  # nothing beyond the first ring was ever offered it
    endpoints: int
    offered: int
    harmed: int
    spared: int  # never offered
    real_endpoints: int  # of the organisation while it ran: none of them was ever asked
    told: int  # of those that live, who know that it is over
    to_tell: int
    enrolled_ms: int = 0
    started_ms: int = 0
    first_offer_ms: int = 0
    first_harm_ms: int = 0
    evidence_ms: int = (
        0  # from here on the brake could know: a failure was told, or a first silence outlasted its grace
    )
    halted_ms: int = 0
    last_told_ms: int = 0
    rings: tuple[str, ...] = ()
    grid: tuple[Cell, ...] = ()
    gates: tuple[Gate, ...] = ()
    moments: tuple[Moment, ...] = ()

    @property
    def to_halt_s(self) -> float | None:
        """From evidence to halt."""
        return (self.halted_ms - self.evidence_ms) / 1000 if self.halted_ms and self.evidence_ms else None

    @property
    def to_last_told_s(self) -> float | None:
        """From halt to the last endpoint that was told."""
        return (self.last_told_ms - self.halted_ms) / 1000 if self.halted_ms and self.last_told_ms else None


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill of an organisation. `report` None = none was saved."""

    id: str
    fault: str
    endpoints: int
    asked_ms: int
    asked_by: str
    state: State
    ended_ms: int
    why: str
    report: Report | None
    rollout_id: str = ""  # on real endpoints; "" = simulated ones took it

    @property
    def real(self) -> bool:
        return self.fault.split(" ")[0] == REAL


@dataclass(frozen=True, slots=True)
class Consent:
    """Somebody of the organisation agreed to drills on its real endpoints."""

    given_ms: int
    given_by: str


@dataclass(frozen=True, slots=True)
class RingPlan:
    name: str
    upto: int
    controls: int
    halts_at: int | None  # so many silent ones halt it; None = statistics cannot


@dataclass(frozen=True, slots=True)
class Plan:
    """What a drill would do, before it is run."""

    fault: str
    says: str
    endpoints: int
    rings: tuple[RingPlan, ...]
    check_in_s: int
    first_verdict_s: int  # the first checkpoint, counted from the moment at which an endpoint is ready
    longest_s: int  # by then it has ended, whatever happens
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RealPlan:
    """What a drill on real endpoints would do. `endpoints` travels on as `expect_count`."""

    filter: str
    endpoints: int
    fails: int  # told to report a failure
    rings: tuple[RingPlan, ...]
    check_in_s: int
    longest_s: int
    consent: bool
    sentences: tuple[str, ...]
