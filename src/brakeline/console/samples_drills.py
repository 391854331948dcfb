"""Samples of the pages of drills and of replayed incidents."""

from __future__ import annotations

from typing import Any, Final

from brakeline.console.views import Badge, Kpi, Link, LogRow, Tone
from brakeline.console.views_change import Choice, GridCell, GridRing, GridRow, WhyLine
from brakeline.console.views_drills import (
    DrillForm,
    DrillPlanView,
    DrillRow,
    DrillsView,
    DrillView,
    OwnReplayView,
    PlanRing,
    ReplayRow,
    ReplayView,
)
from brakeline.console.views_real_drill import RealDrillForm, RealDrillView, RealPlanView
from brakeline.rollout import brake, evalue
from brakeline.rollout.alpha import questions
from brakeline.rollout.evidence import SILENT, Counts
from brakeline.rollout.presets import policy_for, rehearsal


def loud() -> str:
    """What the brake says of six silent canaries in two regions, beside 54 controls that are heard."""
    policy = rehearsal(policy_for(300, "rehearsal"), 8)
    bets = evalue.add(evalue.bets(Counts(3, 27, 3, 0)) for _ in range(2))
    return brake.says(policy, questions(policy, ())[(SILENT, 0, "all")], brake.over_rings({0: bets}))


BRAKED = Badge("■", "braked", Tone.OK)
CUT = Badge("?", "broken off", Tone.WARN)
RUNNING = Badge("▶", "running", Tone.INFO)
FAULTS = (
    Choice(
        "bad-release", "bad-release", "every endpoint that takes it falls silent, as after a boot loop", chosen=True
    ),
    Choice("good-release", "good-release", "a good change: the brake must let it through its first ring"),
)
ROWS = (
    DrillRow("dr_2", Link("bad-release", "/drills/dr_2"), BRAKED, 300, "13:00:44", "Alice",
             "BRAKED in the first ring: 6 harmed, 294 of 300 spared"),
    DrillRow("dr_1", Link("good-release", "/drills/dr_1"), Badge("✓", "passed", Tone.OK), 300, "11-20 19:11", "Bob",
             "the good change passed its first ring, and was not halted"),
    DrillRow("dr_0", Link("bad-release", "/drills/dr_0"), CUT, 300, "11-20 19:01", "Bob",
             "the server ended while it ran"),
)  # fmt: skip
FORM = DrillForm("bad-release", "300")
PLAN = DrillPlanView(
    "bad-release on 300", "Here every endpoint that takes it falls silent, as after a boot loop.",
    (PlanRing("canary", 6, 54, "5 silent"), PlanRing("all", 300, 0, "missing proof holds it")),
    "They check in every 8 s. No real endpoint is asked or changed, no budget is spent.",
)  # fmt: skip
DRILLS: Final = {
    "empty": DrillsView((), FAULTS, FORM, may_run=True),
    "reports": DrillsView(ROWS, FAULTS, FORM, may_run=True, next_href="/drills?before=dr_0"),
    "plan": DrillsView(ROWS, FAULTS, FORM, PLAN, may_run=True),
    "running": DrillsView(ROWS, FAULTS, FORM, PLAN, "", Link("bad-release", "/drills/dr_3"), may_run=True),
    "refused": DrillsView(
        (), FAULTS, DrillForm("bad-release", "9"), None, "a live drill has 50 to 1,000 simulated endpoints",
        may_run=True,
    ),
    "viewer": DrillsView(ROWS, FAULTS, FORM),
}  # fmt: skip


def _grid(state: str, badge: Badge, bad: int) -> tuple[GridRow, ...]:
    spared = Badge("–", "spared", Tone.IDLE) if state == "stopped" else Badge("○", "pending", Tone.IDLE)
    later = "spared" if state == "stopped" else "pending"
    return tuple(
        GridRow(region, (
            GridCell(f"{region}-canary", state, badge, 3, 3, bad, ""),
            GridCell(f"{region}-early", later, spared, 0, 12, 0, ""),
            GridCell(f"{region}-all", later, spared, 0, 135, 0, ""),
        ))
        for region in ("drill-east", "drill-west")
    )  # fmt: skip


RINGS = (GridRing("canary", ""), GridRing("early", ""), GridRing("all", ""))
REAL = "1,204 real endpoints are in this organisation; none of them was asked, offered anything, changed or counted."
STEPS = (
    LogRow("13:00:40", "2026-11-26T13:00:40Z", BRAKED, "the last living endpoint was told to start nothing more of it"),
    LogRow("13:00:39", "2026-11-26T13:00:39Z", BRAKED, "generation 5: halted: silent (all at 32 s)"),
    LogRow("13:00:00", "2026-11-26T13:00:00Z", Badge("✕", "harm", Tone.BAD), "the fault showed on the first one"),
)
DRILL: Final = {
    "enrolling": DrillView(
        "dr_3", "bad-release", "300 simulated endpoints · asked by Alice at 13:00:00", RUNNING, "", "", True,
        (Kpi("harmed", "Harmed", "0", "of 0 that were offered it", ""),
         Kpi("to-halt", "Evidence to halt", None, "from the first evidence to the brake", "")),
        (), (), (), (), REAL, "/drills/dr_3/stop",
    ),
    "running": DrillView(
        "dr_3", "bad-release", "300 simulated endpoints · asked by Alice at 13:00:00", RUNNING, "", "", True,
        (Kpi("harmed", "Harmed", "3", "of 6 that were offered it", "", Tone.BAD),
         Kpi("spared", "Spared", "294", "of 300 were never offered it", "", Tone.OK)),
        RINGS, _grid("active", Badge("▶", "active", Tone.INFO), 0),
        (WhyLine(Badge("○", "waiting", Tone.INFO), "ring canary: waiting for the result of 6"),), STEPS[2:], REAL,
        "/drills/dr_3/stop",
    ),
    "braked": DrillView(
        "dr_2", "bad-release", "300 simulated endpoints · asked by Alice at 13:00:00", BRAKED,
        "BRAKED in the first ring: 6 harmed, 294 of 300 spared", "ok", False,
        (Kpi("harmed", "Harmed", "6", "of 6 that were offered it", "", Tone.BAD),
         Kpi("spared", "Spared", "294", "of 300 were never offered it", "", Tone.OK),
         Kpi("to-halt", "Evidence to halt", "15.3 s", "from the first evidence to the brake", ""),
         Kpi("to-told", "Halt to last told", "0.7 s", "294 of 294 living endpoints know", "")),
        RINGS, _grid("stopped", Badge("■", "stopped", Tone.BAD), 3),
        (WhyLine(Badge("✕", "harm", Tone.BAD), loud()),),
        STEPS, REAL,
    ),
    "real": DrillView(
        "dr_4", "real", "1,204 real endpoints · asked by Alice at 13:00:00", BRAKED,
        "BRAKED in the first ring: 24 reported the ordered failure", "ok", False,
        (Kpi("harmed", "Harmed", "24", "of 24 that were offered it", "", Tone.BAD),),
        RINGS, _grid("stopped", Badge("■", "stopped", Tone.BAD), 3), (), STEPS, "1,204 real endpoints took part.",
        mark="drill: real endpoints, nothing is changed", rollout=Link("its rollout", "/rollouts/ro_1"),
    ),
    "no report": DrillView(
        "dr_0", "bad-release", "300 simulated endpoints · asked by Bob at 11-20 19:01", CUT,
        "the server ended while it ran", "warn", False, (), (), (), (), (), "No real endpoint was asked or changed.",
    ),
}  # fmt: skip
INCIDENT = ReplayRow(
    "crowdstrike-2024", "CrowdStrike Falcon channel file 291", Badge("■", "halted", Tone.OK), "8 (14)", "100 (100)",
    "2 (2.3)", "8", "8,500,000", "85,000", "84,000",
)  # fmt: skip
INCIDENTS: Final = {
    "idle": ReplayView("idle", "Nothing has been replayed since this server started.", may_run=True),
    "running": ReplayView("running", "Replaying 8,500,000 endpoints, now: crowdstrike-2024.", may_run=True),
    "done": ReplayView("done", "Simulated through the shipped planner and brake.", (INCIDENT,), "A harmless change.",
                       may_run=True),
    "refused": ReplayView("refused", "the replay came to nothing: it took too long", may_run=True),
    "viewer": ReplayView("idle", "Nothing has been replayed since this server started."),
}  # fmt: skip
REAL_PLAN = RealPlanView(
    1_204, ("1,204 real endpoints take part; all that take it are told to report a failure, so it must end braked.",),
    (PlanRing("canary", 24, 216, ""), PlanRing("all", 1_204, 0, "")), "It ends after 12 min at most, whatever happens.",
)  # fmt: skip
AGREED = "Olga agreed, 11-20 19:01."
REAL_DRILL: Final = {
    "nobody agreed": RealDrillView("", RealDrillForm(), REAL_PLAN, may_agree=True, may_take_back=True, may_run=True),
    "agreed": RealDrillView(AGREED, RealDrillForm("tag:web", "2"), REAL_PLAN, may_take_back=True, may_run=True),
    "running": RealDrillView(AGREED, RealDrillForm(), REAL_PLAN, running=Link("real", "/drills/dr_4"), may_run=True),
    "refused": RealDrillView(AGREED, RealDrillForm("tag:none"), error="no active endpoint matches", may_run=True),
    "viewer": RealDrillView(AGREED, RealDrillForm(), REAL_PLAN),
    "viewer, nobody agreed": RealDrillView("", RealDrillForm(), REAL_PLAN),
}  # fmt: skip
SHAPE = (
    "server: 412 endpoints, own history of 168 h: online 100% in office hours, 100% at night, 99% at the weekend.",
    "laptop: 90 endpoints; its history of 12 h is too short (a week is needed), so the defaults are used.",
)  # fmt: skip
OWN_PACES = (
    Choice("careful", "Careful", "26 h of watching per ring", chosen=True),
    Choice("fast", "Fast", "6 h 15 min"),
)
OWN: Final = {
    "idle": OwnReplayView("idle", "Nothing was replayed yet.", SHAPE, OWN_PACES, may_run=True),
    "running": OwnReplayView("running", "Replaying, now: crowdstrike-2024.", SHAPE, OWN_PACES, may_run=True),
    "busy": OwnReplayView("busy", "Another replay runs on this server.", SHAPE, OWN_PACES, may_run=True),
    "done": OwnReplayView("done", "Done.", SHAPE, OWN_PACES, (INCIDENT,), "A harmless change.", may_run=True),
    "refused": OwnReplayView("refused", "the replay came to nothing: it took too long", SHAPE, OWN_PACES, may_run=True),
    "viewer": OwnReplayView("idle", "Nothing was replayed yet.", SHAPE, OWN_PACES),
}  # fmt: skip
DRILL_PAGES: Final[dict[str, dict[str, Any]]] = {
    "own_incidents": OWN,
    "real_drill": REAL_DRILL,
    "drills": DRILLS,
    "drill": DRILL,
    "incidents": INCIDENTS,
}
