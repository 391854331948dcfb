"""Drills -> view-models of their pages. Pure: the present moment comes in as `now_ms`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from brakeline.console.present import clock_text, full_time, span
from brakeline.console.present_rollout import CELLS, LINES
from brakeline.console.views import Badge, Kpi, Link, LogRow, Tone
from brakeline.console.views_change import Choice, GridCell, GridRing, GridRow, WhyLine
from brakeline.console.views_drills import (
    DrillForm,
    DrillPlanView,
    DrillRow,
    DrillView,
    PlanRing,
    ReplayRow,
)
from brakeline.drills.model import FAULTS, Cell, Drill, Plan, Report, State
from brakeline.rollout.model import State as GateState

STATES: Final = {
    State.RUNNING: Badge("▶", "running", Tone.INFO),
    State.HALTED: Badge("■", "braked", Tone.OK),
    State.HELD: Badge("‖", "held", Tone.OK),
    State.PASSED: Badge("✓", "passed", Tone.OK),
    State.MISSED: Badge("✕", "not halted", Tone.BAD),
    State.STOPPED: Badge("–", "stopped", Tone.IDLE),
    State.BROKEN_OFF: Badge("?", "broken off", Tone.WARN),
}
ALERTS: Final = {
    State.HALTED: "ok", State.HELD: "ok", State.PASSED: "ok", State.MISSED: "bad",
    State.STOPPED: "info", State.BROKEN_OFF: "warn", State.RUNNING: "",
}  # fmt: skip
OUTCOMES: Final = {
    "halted": Badge("■", "halted", Tone.OK),
    "held": Badge("‖", "held", Tone.WARN),
    "completed": Badge("✕", "went through", Tone.BAD),
}
STEP: Final = Badge("·", "step", Tone.IDLE)
MARKS: Final = {False: "drill: simulated endpoints", True: "drill: real endpoints, nothing is changed"}
REAL_TOOK_PART: Final = (
    "{:,} real endpoints took part. The order could do nothing but have an end told: no package, file, service or "
    "setting was touched, no budget spent, nothing quarantined."
)
NOT_ASKED: Final = (
    "{:,} real endpoints are in this organisation; none of them was asked, offered anything, changed or counted."
)
ENDED_SIMULATED: Final = "simulated endpoints removed, report saved"
HARM: Final = Badge("✕", "harm", Tone.BAD)
BRAKE: Final = Badge("■", "brake", Tone.OK)


def href(drill_id: str) -> str:
    return f"/drills/{drill_id}"


def choices(form: DrillForm) -> tuple[Choice, ...]:
    chosen = form.fault or next(iter(FAULTS))
    return tuple(Choice(f.name, f.name, f.says, f.name == chosen) for f in FAULTS.values())


def moment(at_ms: int, now_ms: int) -> str:
    """When, as in lists."""
    return clock_text(at_ms, now_ms)


def row(d: Drill, now_ms: int) -> DrillRow:
    why = d.why or ("making its rollout" if d.real else "enrolling simulated endpoints")
    return DrillRow(
        d.id, Link(d.fault, href(d.id)), STATES[d.state], d.endpoints, clock_text(d.asked_ms, now_ms), d.asked_by, why
    )  # fmt: skip


def plan_view(p: Plan) -> DrillPlanView:
    """The step before."""
    rings = tuple(
        PlanRing(r.name, r.upto, r.controls, f"{r.halts_at} silent" if r.halts_at else "missing proof holds it")
        for r in p.rings
    )
    note = (
        f"They check in every {p.check_in_s} s. The first verdict comes {span(p.first_verdict_s)} after an endpoint is "
        f"ready, the end after {span(p.longest_s)} at most. No real endpoint is asked or changed, no budget is spent."
    )
    return DrillPlanView(f"{p.fault} on {p.endpoints:,}", f"Here {p.says}.", rings, note)


def view(d: Drill, now_ms: int, *, may_stop: bool) -> DrillView:
    """One drill, live or over."""
    report, running = d.report, d.state is State.RUNNING
    whom = "real" if d.real else "simulated"
    sub = f"{d.endpoints:,} {whom} endpoints · asked by {d.asked_by} at {clock_text(d.asked_ms, now_ms)}"
    alert = "" if running else d.why
    if report is None:
        return DrillView(
            d.id, d.fault, sub, STATES[d.state], alert or "No report was saved.", ALERTS[d.state] or "info", running,
            (), (), (), (), (), "Nothing was changed on any endpoint.", mark=MARKS[d.real],
        )  # fmt: skip
    real = REAL_TOOK_PART.format(report.endpoints) if d.real else NOT_ASKED.format(report.real_endpoints)
    return DrillView(
        d.id, d.fault, sub, STATES[d.state], alert, ALERTS[d.state], running, _kpis(report),
        tuple(GridRing(name, "") for name in report.rings), _grid(report), _why(report), _steps(d, report, now_ms),
        real,
        f"{href(d.id)}/stop" if running and may_stop else "", MARKS[d.real],
        Link("its rollout", f"/rollouts/{d.rollout_id}") if d.rollout_id else None,
    )  # fmt: skip


def _kpis(r: Report) -> tuple[Kpi, ...]:
    to_halt, to_told = r.to_halt_s, r.to_last_told_s
    return (
        Kpi("harmed", "Harmed", f"{r.harmed:,}", f"of {r.offered:,} that were offered it", "",
            Tone.BAD if r.harmed else None),
        Kpi("spared", "Spared", f"{r.spared:,}", f"of {r.endpoints:,} were never offered it", "", Tone.OK),
        Kpi("to-halt", "Evidence to halt", None if to_halt is None else f"{to_halt:.1f} s",
            "from the first evidence to the brake", ""),
        Kpi("to-told", "Halt to last told", None if to_told is None else f"{to_told:.1f} s",
            f"{r.told:,} of {r.to_tell:,} living endpoints know", ""),
    )  # fmt: skip


def _grid(r: Report) -> tuple[GridRow, ...]:
    regions = sorted({c.region for c in r.grid})
    return tuple(
        GridRow(region, tuple(_cell(c) for c in r.grid if c.region == region)) for region in regions
    )  # fmt: skip


def _cell(c: Cell) -> GridCell:
    return GridCell(
        f"{c.region}-{c.ring}".replace(" ", "-").replace("%", "pc"), c.state, CELLS[c.state], c.offered, c.planned,
        c.silent + c.failed, "",
    )  # fmt: skip


def _why(r: Report) -> tuple[WhyLine, ...]:
    return tuple(WhyLine(LINES[GateState(g.state)], g.text) for g in r.gates)


def _steps(d: Drill, r: Report, now_ms: int) -> tuple[LogRow, ...]:
    """Milestones and the rollout's own log in one line of time, newest first."""
    found = [
        (r.enrolled_ms, STEP, f"{r.endpoints:,} simulated endpoints enrolled and checked in"),
        (r.first_offer_ms, STEP, "the first one was ready and got its offer"),
        (
            r.first_harm_ms,
            HARM,
            "the first ordered failure was told" if d.real else "the fault showed on the first one",
        ),
        (r.evidence_ms, HARM, "from here on the brake could know"),
        (r.last_told_ms, BRAKE, "the last living endpoint was told to start nothing more of it"),
        (d.ended_ms, STEP, "rollout withdrawn, report saved" if d.real else ENDED_SIMULATED),
    ]
    found += [(m.at_ms, BRAKE if "halted" in m.what else STEP, m.what) for m in r.moments]
    said = sorted((x for x in found if x[0]), key=lambda x: x[0], reverse=True)
    return tuple(LogRow(clock_text(at, now_ms), full_time(at), badge, text) for at, badge, text in said)


# --- incidents --------------------------------------------------------------------------------------------------------


def replay_rows(answer: Mapping[str, Any]) -> tuple[ReplayRow, ...]:
    """What `sim.replay` answered, one line an incident."""
    return tuple(
        ReplayRow(
            i["id"], i["title"], OUTCOMES[i["outcome"]], _both(i["harmed"]), _both(i["exposed"]),
            _both(i["hours_to_halt"]), f"{i['hand_repairs']:,}", *_others(i["rules"]),
        )
        for i in answer["incidents"]
    )  # fmt: skip


def _others(rules: Mapping[str, Any]) -> Sequence[str]:
    return [f"{rules[name]['harmed']:,}" for name in ("naive", "hawkbit", "fixed_rings")]


def _both(spread: Mapping[str, float] | None) -> str:
    return f"{spread['median']:,.4g} ({spread['p95']:,.4g})" if spread else "–"


def benign(answer: Mapping[str, Any]) -> str:
    b = answer["benign"]
    took = f"; done in {b['days_to_complete']['median']:.1f} days" if b["days_to_complete"] else "; none was completed"
    histories = "one history" if answer["seeds"] == 1 else f"{answer['seeds']} histories"
    size = f"{answer['endpoints']:,} endpoints, {histories} each"
    return f"{size}. A harmless change beside them: {b['false_halts']} of {b['runs']} halted falsely{took}."


def rows(drills: Iterable[Drill], now_ms: int) -> tuple[DrillRow, ...]:
    return tuple(row(d, now_ms) for d in drills)
