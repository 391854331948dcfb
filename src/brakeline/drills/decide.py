"""Decisions of a drill: its policy and plan, what a simulated endpoint answers, what the report says. Pure.

A simulated endpoint is a protocol machine: `answer(twin, reply, fault, now) -> (twin, Act)`. It does what an agent in
mode *patch* does with one pinned update (says ready, takes the order, tells the result) and then what the fault says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from brakeline.core.errors import Invalid, NotFound
from brakeline.drills.model import (
    ENDPOINTS_MAX,
    ENDPOINTS_MIN,
    EVENTS_MAX,
    FAULTS,
    NAME,
    PACKAGE,
    REGIONS,
    Cell,
    Fault,
    Gate,
    Moment,
    Plan,
    Report,
    RingPlan,
    State,
    Symptom,
)
from brakeline.protocol.codec import decode
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    Candidate,
    CheckIn,
    CheckInReply,
    Health,
    Offer,
    Outcome,
    Ready,
    Transaction,
    TransactionResult,
)
from brakeline.rollout.model import Change, Pin, Policy, Wish
from brakeline.rollout.power import power
from brakeline.rollout.presets import policy_for, rehearsal
from brakeline.rollout.view import RolloutView
from brakeline.rollout.wording import named, reason

CHECK_IN_S: Final = 5  # the least; more endpoints check in more slowly, so that they take no more of the server
CHECK_INS_PER_S: Final = 40
VERSION: Final = "2.0-drill"
BEFORE: Final = "1.0-drill"
SERVICE: Final = "brakeline-drill.service"
CANARY_SHARE: Final = 25  # one of so many is a canary: enough to halt in the first ring, wherever the lots fall
AGENT: Final = "drill"
STARTED: Final = "rollout started"
SETTLE_S: Final = 60  # enrolling, the first tick, telling everybody


# --- what a drill would do --------------------------------------------------------------------------------------------


def fault_named(name: str) -> Fault:
    """`NotFound` says which there are."""
    if name not in FAULTS:
        raise NotFound(f"no live drill {name[:40]!r}; there are {', '.join(FAULTS)}", name=name[:40])
    return FAULTS[name]


def check_size(endpoints: int) -> None:
    if not ENDPOINTS_MIN <= endpoints <= ENDPOINTS_MAX:
        raise Invalid(
            f"a live drill has {ENDPOINTS_MIN} to {ENDPOINTS_MAX:,} simulated endpoints, not {endpoints:,}: fewer show "
            "nothing, more would take the server from real ones. `brakeline drill replay` simulates millions."
        )


def interval_s(endpoints: int) -> int:
    """How often a simulated endpoint checks in."""
    return max(CHECK_IN_S, math.ceil(endpoints / CHECK_INS_PER_S))


def policy_of(endpoints: int) -> Policy:
    """The rings of a fleet of that size at rehearsal pace, with twice its canaries; each bakes past all checkpoints."""
    every = interval_s(endpoints)
    policy = rehearsal(policy_for(endpoints, "rehearsal"), every)
    bake_s = policy.checkpoints_s[-1]
    canary = replace(policy.rings[0], count=max(policy.rings[0].count or 1, endpoints // CANARY_SHARE))
    return replace(policy, rings=tuple(replace(r, bake_s=bake_s) for r in (canary, *policy.rings[1:])))


def longest_s(policy: Policy) -> int:
    """When a drill ends at the latest: two rings and what goes before and after."""
    return 2 * policy.checkpoints_s[-1] + policy.tick_s + SETTLE_S


def change_of(fault: Fault) -> Change:
    return Change((Pin(PACKAGE, VERSION),), title=f"drill: {fault.name}")


def plan_of(fault: Fault, endpoints: int) -> Plan:
    """What is shown before it is run."""
    check_size(endpoints)
    policy = policy_of(endpoints)
    seen = power(policy, change_of(fault), endpoints, len(REGIONS))
    upto, rings = 0, list[RingPlan]()
    for ring in seen.rings:
        upto += ring.treated
        rings.append(RingPlan(ring.name, upto, ring.controls, ring.halts_at))
    return Plan(
        fault.name, fault.says, endpoints, tuple(rings), policy.check_in_interval_s, policy.checkpoints_s[0],
        longest_s(policy), seen.sentences,
    )  # fmt: skip


# --- a simulated endpoint ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Twin:
    """What one simulated endpoint knows of itself."""

    number: int
    endpoint_id: str = ""
    candidate: Candidate | None = None
    offer: Offer | None = None  # the one that it took; never a second one
    result: TransactionResult | None = None  # not acknowledged yet
    offered_ms: int = 0
    harmed_ms: int = 0
    silent: bool = False
    told_ms: int = 0  # it knows that the rollout is over

    @property
    def name(self) -> str:
        return NAME.format(self.number)

    @property
    def region(self) -> str:
        return REGIONS[self.number % len(REGIONS)]


def transaction_of() -> Transaction:
    """Exactly one upgrade of a package that does not exist."""
    action = Action(ActionKind.UPGRADE, PACKAGE, "all", BEFORE, VERSION)
    return Transaction((action,), transaction_digest((action,)))


def check_in_of(twin: Twin) -> CheckIn:
    """What it says now: ready while a candidate stands and nothing was taken."""
    ready: tuple[Ready, ...] = ()
    if twin.candidate is not None and twin.offer is None:
        ready = (Ready(twin.candidate.rollout_id, twin.candidate.generation, transaction_of()),)
    harmed = bool(twin.harmed_ms) and not twin.silent
    return CheckIn(AGENT, 0, "", Health((SERVICE,) if harmed else ()), ready)


def answer(twin: Twin, reply: CheckInReply, rollout_id: str, fault: Fault, now_ms: int) -> Twin:
    """What a reply makes of it."""
    over = rollout_id in reply.halted
    candidate = next((c for c in reply.candidates if c.rollout_id == rollout_id), None)
    twin = replace(twin, candidate=candidate, told_ms=twin.told_ms or (now_ms if over else 0))
    if over or twin.offer is not None or not reply.offers:
        return twin
    offer = decode(Offer, reply.offers[0].payload.encode())
    if offer.rollout_id != rollout_id or offer.transaction_digest != transaction_of().digest:
        return twin  # the agent's own rule: only what it has planned itself
    return _take(replace(twin, offer=offer, offered_ms=now_ms), offer, fault, now_ms)


def _take(twin: Twin, offer: Offer, fault: Fault, now_ms: int) -> Twin:
    harmed = fault.symptom is not Symptom.NONE and twin.number // len(REGIONS) % fault.every == 0
    if harmed and fault.symptom is Symptom.SILENT:
        return replace(twin, harmed_ms=now_ms, silent=True)
    bad = harmed and fault.symptom is Symptom.BREAKS
    result = TransactionResult(
        f"tx-{offer.offer_id}", offer.offer_id, offer.rollout_id, offer.generation,
        Outcome.FAILED if bad else Outcome.INSTALLED, "service_failed" if bad else "ok",
        f"{SERVICE} does not start (drill)" if bad else "installed (drill)",
        services_failed=(SERVICE,) if bad else (), started_ms=now_ms, ended_ms=now_ms,
    )  # fmt: skip
    return replace(twin, result=result, harmed_ms=now_ms if bad else 0)


# --- how it stands, what it came to -----------------------------------------------------------------------------------


def over(fault: Fault, view: RolloutView, twins: Iterable[Twin], held_s: float, policy: Policy) -> State | None:
    """How the drill has ended; None = not yet. A halt counts once everybody who lives was told; a hold once it has
    outlasted every checkpoint (`held_s`), so that nothing new can come to decide it."""
    if view.state == "halted":
        return State.HALTED if not [t for t in twins if not t.silent and not t.told_ms] else None
    if fault.symptom is Symptom.NONE and view.ring >= 1:
        return State.PASSED
    if fault.symptom is not Symptom.NONE and held_s > policy.checkpoints_s[-1]:
        return State.HELD
    return State.MISSED if view.state in ("completed", "withdrawn") else None


def told(state: State, report: Report) -> str:
    """The end of a drill in one sentence."""
    if state is State.PASSED:
        return "the good change passed its first ring, and was not halted"
    if state in (State.HALTED, State.HELD):
        where = "in the first ring" if report.first_ring else f"in ring {report.ring}"
        word = "BRAKED" if state is State.HALTED else "HELD"
        return f"{word} {where}: {report.harmed} harmed, {report.spared} of {report.endpoints} spared"
    return f"not halted in time: {report.why or 'nothing was decided'}"


def report_of(fault: Fault, policy: Policy, view: RolloutView | None, twins: Sequence[Twin], real: int,
              enrolled_ms: int) -> Report:  # fmt: skip
    """What is known by now. `view` None = the rollout is not made yet."""
    offered = [t for t in twins if t.offered_ms]
    harmed = [t for t in twins if t.harmed_ms]
    living = [t for t in twins if not t.silent]
    informed = [t for t in living if t.told_ms]
    first_harm = min((t.harmed_ms for t in harmed), default=0)
    late_ms = policy.grace_s("server") * 1000 if fault.symptom is Symptom.SILENT else 0
    halted = _halted_ms(view)
    ring = view.rings[view.ring].name if view and 0 <= view.ring < len(view.rings) else ""
    gates = tuple(Gate(x.gate, x.state.value, _named(x.text, twins)) for x in view.lines) if view else ()
    return Report(
        view.state if view else "", _named(view.why, twins) if view else "enrolling simulated endpoints", ring,
        view is not None and view.ring <= 0, len(twins), len(offered), len(harmed), len(twins) - len(offered), real,
        len(informed), len(living), enrolled_ms, _started_ms(view), min((t.offered_ms for t in offered), default=0),
        first_harm, first_harm + late_ms if first_harm else 0, halted,
        max((t.told_ms for t in informed), default=0) if halted else 0,
        tuple(r.name for r in view.rings) if view else (), _grid(view), gates, _moments(view, twins),
    )  # fmt: skip


def _started_ms(view: RolloutView | None) -> int:
    return min((x.at_ms for x in view.log if x.kind == "rolling"), default=0) if view else 0


def _halted_ms(view: RolloutView | None) -> int:
    return min((x.at_ms for x in view.log if x.kind == "halted"), default=0) if view else 0


def _grid(view: RolloutView | None) -> tuple[Cell, ...]:
    if view is None:
        return ()
    return tuple(Cell(c.region, c.ring, c.state, c.planned, c.offered, c.silent, c.failed, c.spared) for c in view.grid)


def _moments(view: RolloutView | None, twins: Sequence[Twin]) -> tuple[Moment, ...]:
    """The rollout's log, oldest first, without one line an endpoint."""
    if view is None:
        return ()
    names = _names(twins)
    found = [
        Moment(x.at_ms, STARTED if x.text == Wish.RUN else named(x.text, names))
        for x in reversed(view.log) if x.kind != "result"
    ]  # fmt: skip
    return tuple(found[-EVENTS_MAX:])


def _named(text: str, twins: Sequence[Twin]) -> str:
    return reason(text, _names(twins))


def _names(twins: Sequence[Twin]) -> dict[str, str]:
    return {t.endpoint_id: t.name for t in twins if t.endpoint_id}
