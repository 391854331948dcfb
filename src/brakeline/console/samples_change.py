"""Sample view-models of rollouts, deployments and policies: the states that a rollout can be looked at in."""

# ruff: noqa: E501 - one line per sample reads better
from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from brakeline.console.present_ahead import ahead_view
from brakeline.console.views import Badge, Fact, Kpi, Link, LogRow, RolloutRow, Tone
from brakeline.console.views_change import (
    BrakeControl,
    Choice,
    DeploymentForm,
    EndpointMark,
    ExcessPoint,
    ExcessSeries,
    GridCell,
    GridRing,
    GridRow,
    NewDeploymentView,
    PaceView,
    PinnedUpdate,
    PlanRing,
    PoliciesView,
    PolicyForm,
    PolicyRow,
    Preview,
    ReleaseControl,
    RolloutMember,
    RolloutMembersView,
    RolloutsView,
    RolloutView,
    SignalLine,
    Skipped,
    WhyLine,
)
from brakeline.console.views_settings import SettingsView, SheetRow, SheetView, Wider
from brakeline.remediation.ahead import ahead
from brakeline.rollout.alpha import questions
from brakeline.rollout.evidence import SILENT, UNHEALTHY
from brakeline.rollout.presets import policy_for
from brakeline.rollout.signals import DELETIONS, ERRORS, RESOURCES

ROLLING = Badge("▶", "rolling", Tone.INFO)
HALTED = Badge("■", "halted", Tone.BAD)
HELD = Badge("‖", "held", Tone.WARN)
DONE = Badge("✓", "completed", Tone.OK)
CELL_BADGES: Final = {
    "pending": Badge("○", "pending", Tone.IDLE),
    "active": Badge("▶", "active", Tone.INFO),
    "passed": Badge("✓", "passed", Tone.OK),
    "held": Badge("‖", "held", Tone.WARN),
    "failed": Badge("✕", "failed", Tone.BAD),
    "stopped": Badge("■", "stopped", Tone.BAD),
    "spared": Badge("–", "spared", Tone.IDLE),
    "empty": Badge("–", "none here", Tone.IDLE),
}

ROLLOUT_ROWS: Final = (
    RolloutRow("ro_halted", Link("debian-security 2026-11-22", "/rollouts/ro_halted"), HALTED, "4 updates", "1.4 %", "+1.9 points", Tone.BAD, "19:02"),
    RolloutRow("ro_live", Link("openssl 3.0.17", "/rollouts/ro_live"), ROLLING, "2 updates", "18.2 %", "−0.0 points", Tone.IDLE, "18:40"),
    RolloutRow("ro_done", Link("tzdata 2025b", "/rollouts/ro_done"), DONE, "1 update", "100 %", "+0.1 points", Tone.IDLE, "yesterday"),
)  # fmt: skip
PINS: Final = (
    PinnedUpdate("libssl3", "3.0.17-1~deb12u3", 6, True, "3 CVEs, 1 exploited"),
    PinnedUpdate("openssl", "3.0.17-1~deb12u3", 6, True, "3 CVEs, 1 exploited"),
)
RINGS: Final = (
    GridRing("canary", "0.1 %"), GridRing("early", "1 %"), GridRing("first", "5 %"), GridRing("wide", "20 %"),
    GridRing("most", "50 %"), GridRing("all", "100 %"),
)  # fmt: skip
REGIONS: Final = {
    "eu-north": (18, 165, 736, 2760, 5520, 9200),
    "eu-west": (31, 281, 1250, 4687, 9375, 15625),
    "us-east": (37, 341, 1516, 5685, 11370, 18950),
    "ap-south": (12, 112, 498, 1867, 3735, 6225),
}


def cell(region: str, ring: int, state: str, done: int, total: int, bad: int = 0) -> GridCell:
    """One cell of the grid with the link to its endpoints."""
    href = f"/rollouts/ro_live/endpoints?region={region}&ring={ring}"
    return GridCell(f"{region}-{ring}", state, CELL_BADGES[state], done, total, bad, href)


def grid(states: dict[str, tuple[tuple[str, int, int], ...]], rest: str) -> tuple[GridRow, ...]:
    """Rows of regions; `states`: (state, done, bad) of the first rings, `rest`: state of the others."""
    rows = []
    for region, totals in REGIONS.items():
        known = states[region]
        cells = [cell(region, i, *known[i][:2], totals[i], known[i][2]) for i in range(len(known))]
        cells += [cell(region, i, rest, 0, totals[i]) for i in range(len(known), len(totals))]
        rows.append(GridRow(region, tuple(cells)))
    return tuple(rows)


def said(log_e: float, signal: str) -> str:
    """So much of the evidence at which the question of everybody halts at the first checkpoint."""
    policy = policy_for(100_000)
    return f"{log_e} of {questions(policy, ())[(signal, policy.early, 'all')].bar:.1f}"


def excess(last: int, rise: float, step: int = 12) -> ExcessSeries:
    """A band that narrows with the root of the number of endpoints around an estimate that comes to `rise`."""
    points = []
    for exposed in range(step, last + 1, step):
        wave = 1.4 * math.sin(exposed / last * 9) * math.exp(-3 * exposed / last)
        estimate = wave + rise * (exposed / last) ** 2
        half = 46 / math.sqrt(exposed) / (1.6 if rise > 1 else 1)
        low, high = round(estimate - half, 2), round(estimate + half, 2)
        brake = round(half * 1.15, 2) if exposed > 60 else None
        points.append(ExcessPoint(exposed * 6.0, exposed, round(estimate, 2), low, high, brake))
    return ExcessSeries(tuple(points), "99 % band")


OK_MARK = Badge("✓", "passed", Tone.OK)
NO_MARK = Badge("✕", "harm", Tone.BAD)
ASK_MARK = Badge("?", "no data", Tone.WARN)
LOG: Final = tuple(
    LogRow(f"19:1{i}:0{i}", f"2026-11-22T19:1{i}:0{i}Z", Badge("·", "info", Tone.IDLE), text)
    for i, text in reversed(
        list(enumerate(("Created by alice", "Ring canary opened in eu-north", "Ring canary passed", "Ring early opened in eu-north")))
    )
)  # fmt: skip
STATISTICS: Final = (
    "At 100,000 endpoints an instant fault at 5 % of them is stopped after about 15 (median of the simulation).",
    "A harm below 0.1 points is not distinguished from noise.",
)


def kpis(state: Badge, exposed: int, treated: str, control: str, spared: int, detail: str) -> tuple[Kpi, ...]:
    """The four figures at the top of a rollout."""
    here = "/rollouts/ro_live/endpoints"
    bad = Tone.BAD if state is HALTED else None
    return (
        Kpi("state", "State", f"{state.glyph} {state.word}", detail, "/rollouts/ro_live#why", bad),
        Kpi("exposed", "Exposed", f"{exposed:,}", f"{exposed / 1000:.1f} % of 100,000", f"{here}?show=treated"),
        Kpi("failing", "Failing, treated", treated, f"control {control}", f"{here}?show=bad", bad),
        Kpi("spared", "Still spared", f"{spared:,}", "not offered to them", f"{here}?show=spared"),
    )


ROLLING_VIEW: Final = RolloutView(
    id="ro_live", name="debian-security 2026-11-22", sub="started by alice · 4 regions × 6 rings",
    policy=Link("servers-standard", "/policies"), state=ROLLING, state_class="rolling", alert="", alert_tone=Tone.INFO,
    brake=BrakeControl("/rollouts/ro_live/brake", True, "BRAKE"),
    kpis=kpis(ROLLING, 221, "0.45 %", "0.90 %", 99779, "next gate in 00:42"), rings=RINGS,
    grid=grid(
        {"eu-north": (("passed", 18, 0), ("active", 123, 0)), "eu-west": (("passed", 31, 0),),
         "us-east": (("passed", 37, 1),), "ap-south": (("passed", 12, 0),)}, "pending",
    ),
    excess=excess(221, -0.45, 7), why_title="Why it is going on",
    why=(
        WhyLine(OK_MARK, "Excess failure −0.4 points, band −3.3 … +2.5: no harm shown"),
        WhyLine(OK_MARK, "Heard again: 99.98 % of treated endpoints checked in after the change"),
        WhyLine(ASK_MARK, "No control has reported from ap-south yet: counted as not proven, never as good"),
        WhyLine(Badge("○", "waiting", Tone.INFO), "Bake time 24 h per ring: 23 h 12 min left in this one"),
        WhyLine(OK_MARK, "497 held out as the last ring's comparison, until 2026-12-03, when what this closes is due, or "
                "its last checkpoint; never held out, and compared with each other only: 1,204 tagged internet-facing "
                "when this was drafted"),
    ),
    statistics=STATISTICS, log=LOG, log_more=0, harmed=(),
    spared=(Link("web-104", "/endpoints/ep_104"), Link("web-105", "/endpoints/ep_105")), spared_total=99779,
    spared_title="Not reached yet", updates=PINS, updates_note="exact versions, pinned when it was made; closes 3 CVEs, 0 of them closed everywhere by now", pause_action="/rollouts/ro_live/pause",
    signals=(
        SignalLine("silent", "not heard at a checkpoint", "0.45 %", "0.90 %", said(-0.4, SILENT)),
        SignalLine("resources", "memory, processor or disk short for ten minutes, or the agent itself greedy", "0.45 %",
                   "0.20 %", said(0.1, RESOURCES)),
        SignalLine("actions", "three packages or more went away", "0.00 %", "0.00 %", ""),
        SignalLine("deletions", "a file of another package went away, or three units were masked, or three accounts closed",
                   "0.45 %", "0.00 %", said(2.1, DELETIONS), "gone: /usr/bin/curl (1)", "told by 1,420 of 2,210"),
        SignalLine("unhealthy", "a service or a probe failed that had not failed before, or a port is listened on no more",
                   "0.90 %", "0.00 %", said(4.0, UNHEALTHY), "probe web (HTTP 500) failed (2)"),
        SignalLine("errors", "its journal takes sixty errors more in ten minutes, and four times as many as before",
                   "0.45 %", "0.30 %", said(0.2, ERRORS), "errors: app.service (1)", "told by 1,420 of 2,210"),
    ),
)  # fmt: skip
HALTED_VIEW: Final = replace(
    ROLLING_VIEW, state=HALTED, state_class="halted", alert_tone=Tone.BAD, way_back="/rollouts/ro_halted/rollback",
    alert="■ Halted. 1,365 endpoints received this change, 98,635 were spared. Nothing more is offered; "
    "going on needs a reason.",
    brake=BrakeControl("/rollouts/ro_live/brake", False, "BRAKED"),
    kpis=kpis(HALTED, 1365, "2.12 %", "0.73 %", 98635, "the brake took 0.3 s"),
    grid=grid(
        {"eu-north": (("passed", 18, 0), ("passed", 165, 1), ("stopped", 368, 7)),
         "eu-west": (("passed", 31, 0), ("passed", 281, 3)), "us-east": (("failed", 37, 1), ("failed", 341, 14)),
         "ap-south": (("passed", 12, 0), ("failed", 112, 3))}, "spared",
    ),
    excess=excess(1365, 1.9, 33), why_title="Why it stopped",
    decided="decided by unhealthy: a service failed that had not failed before, or a port is listened on no more, on 29 of "
    "1,365 treated and on 90 of 12,285 controls; most of all nginx.service failed (26), port 443 closed (24)",
    why=(
        WhyLine(NO_MARK, "Excess failure +1.9 points, band +1.1 … +2.7: above the brake line at +0.9"),
        WhyLine(OK_MARK, "Heard again: 99.98 % of treated endpoints checked in after the change"),
        WhyLine(ASK_MARK, "No control has reported from ap-south yet: counted as not proven, never as good"),
    ),
    log=(
        LogRow("19:15:11", "2026-11-22T19:15:11Z", Badge("■", "brake", Tone.BAD),
               "BRAKE (automatic): excess failure +1.9 points; even its lower bound +1.1 is above the line. "
               "No endpoint beyond 1,365 will receive this change"),
        *LOG,
    ),
    harmed_total=312, harmed=(
        EndpointMark(Link("web-07", "/endpoints/ep_07"), "libssl3: post-installation script returned 1", Badge("✕", "failed", Tone.BAD)),
        EndpointMark(Link("edge-12", "/endpoints/ep_12"), "last heard 19:09:40, 4 check-ins missed", Badge("?", "silent", Tone.WARN)),
    ),
    spared_title="Spared: never received it", pause_action="", withdraw_action="/rollouts/ro_live/withdraw",
    releases=(
        ReleaseControl("/rollouts/ro_live/resume", "Ask to resume", True,
                       "Resuming exposes more endpoints to the same change. It takes a reason and a second person.",
                       "Asked by alice 2 min ago, waits for a second person."),
    ),
)  # fmt: skip
SMALL_RINGS: Final = (GridRing("first", "1"), GridRing("half", "3"), GridRing("all", "6"))
SMALL_VIEW: Final = replace(
    ROLLING_VIEW, sub="6 endpoints in 2 regions · 3 rings", state=HELD, state_class="held", alert_tone=Tone.WARN,
    alert="‖ Held. One endpoint failed in a way that cannot have been there before; one more and it halts.",
    kpis=(
        Kpi("state", "State", "‖ held", "waits for a person", "/rollouts/ro_live#why", Tone.WARN),
        Kpi("exposed", "Exposed", "1", "of 6", "/rollouts/ro_live/endpoints?show=treated"),
        Kpi("failing", "Failing, treated", "1 of 1", "control 0 of 5", "/rollouts/ro_live/endpoints?show=bad", Tone.BAD),
        Kpi("spared", "Still spared", "5", "not offered to them", "/rollouts/ro_live/endpoints?show=spared"),
    ),
    rings=SMALL_RINGS,
    grid=(
        GridRow("eu", (cell("eu", 0, "held", 1, 1, 1), cell("eu", 1, "pending", 0, 1), cell("eu", 2, "pending", 0, 1))),
        GridRow("us", (cell("us", 0, "empty", 0, 0), cell("us", 1, "pending", 0, 1), cell("us", 2, "pending", 0, 2))),
    ),
    excess=ExcessSeries((), "99 % band", "6 endpoints are too few for a band; single failures are counted instead."),
    statistics=(
        "With 6 endpoints no statistic can tell harm from chance. One explicit failure holds, two halt.",
        "A harm that shows itself only as silence is seen, one that shows itself in one of a hundred machines is not.",
    ),
    why_title="Why it does not go on",
    why=(WhyLine(Badge("‖", "held", Tone.WARN), "web-01: libssl3 post-installation script returned 1"),),
    harmed_total=1, harmed=(EndpointMark(Link("web-01", "/endpoints/ep_01"), "maintainer script failed", Badge("✕", "failed", Tone.BAD)),),
    spared=tuple(Link(n, f"/endpoints/{n}") for n in ("db-01", "edge-07", "mail-01", "web-02", "web-03")), spared_total=5,
)  # fmt: skip
DONE_VIEW: Final = replace(
    ROLLING_VIEW, state=DONE, state_class="done", alert="✓ Completed. Every ring passed; 100,000 endpoints have it.",
    alert_tone=Tone.OK, brake=BrakeControl("/rollouts/ro_live/brake", False, "DONE"), pause_action="", spared=(),
    spared_total=0, why_title="Why it is completed",
)  # fmt: skip
DRAFT_VIEW: Final = replace(
    ROLLING_VIEW, state=Badge("○", "draft", Tone.IDLE), state_class="draft", log=(), policy=None, pause_action="",
    alert="○ Draft. Nothing has been offered.", excess=ExcessSeries((), "99 % band"), log_more=12, statistics=(),
    brake=BrakeControl("/rollouts/ro_live/brake", False, "NOT STARTED", "there is nothing to stop"),
    releases=(ReleaseControl("/rollouts/ro_live/start", "Start", False, "Opens the first ring."),),
)  # fmt: skip
RELEASE_VIEW: Final = replace(
    HALTED_VIEW, name="Release agent 1.4.0", policy=None, releases=(),
    alert="■ Halted: 1 of 1 treated failed through the release itself; web-07: the trial failed, it ended by itself: ended with "
    "code 1. 1 endpoint received this release, 5 were spared. It is recalled: who has it goes back to the last known good by "
    "itself. It is never resumed; publish a newer release.",
    harmed_total=1, harmed=(EndpointMark(Link("web-07", "/endpoints/ep_07"), "it ended by itself: ended with code 1. (executed 3 times)", Badge("✕", "trial failed", Tone.BAD)),),
    updates=(PinnedUpdate("brakeline-agent", "1.4.0-0d9e4a61c0b3", 6, False, ""),), release=Link("1.4.0-0d9e4a61c0b3", "/releases/1.4.0-0d9e4a61c0b3"),
    updates_note="a release of our own, for the launchers; each tries it beside one that works",
)  # fmt: skip
ROLLOUT_STATES: Final = {
    "rolling": ROLLING_VIEW, "halted": HALTED_VIEW, "held, six endpoints": SMALL_VIEW, "completed": DONE_VIEW,
    "draft": DRAFT_VIEW,
    "release, halted": RELEASE_VIEW,
}  # fmt: skip

STATE_TABS: Final = (
    Choice("", "All", "3"), Choice("rolling", "Live", "1", True), Choice("halted", "Halted", "1"),
    Choice("completed", "Completed"),
)  # fmt: skip
ROLLOUTS_PAGES: Final = {
    "rows": RolloutsView(ROLLOUT_ROWS, "rolling", STATE_TABS, next_href="/rollouts?after=x"),
    "none": RolloutsView((), "", STATE_TABS),
}
MEMBERS: Final = {
    "rows": RolloutMembersView(
        Link("debian-security 2026-11-22", "/rollouts/ro_live"), "eu-north, ring canary",
        (RolloutMember(Link("web-01", "/endpoints/ep_01"), "eu-north", "canary", "treated", OK_MARK, "installed in 41 s", Link("log", "/endpoints/ep_01/runs")),
         RolloutMember(Link("web-02", "/endpoints/ep_02"), "eu-north", "canary", "treated", Badge("▶", "installing", Tone.INFO), "", Link("log", "/endpoints/ep_02/runs"), "Setting up libssl3:amd64 (3.0.17-1~deb12u2) ...")),
        "/rollouts/ro_live/endpoints?ring=canary&after=ep_01", "/rollouts/ro_live/endpoints?ring=canary",
    ),
    "none": RolloutMembersView(Link("x", "/rollouts/ro_live"), "spared", ()),
}  # fmt: skip

SELECTIONS: Final = (
    Choice("security", "Security updates", "everything that a security suite offers", True),
    Choice("all", "All updates"), Choice("names", "Only these packages"),
)  # fmt: skip
PREVIEW: Final = Preview(
    6, 6, (PlanRing("first", "1 endpoint", 1, "30 min", "at once", 5, "proof decides"), PlanRing("half", "3 endpoints", 2, "2 h", "after 30 min", 3, "proof decides"),
    PlanRing("all", "6 endpoints", 3, "3 d", "after 2 h 30 min", 0, "proof decides")),
    PINS, 2, tuple(Link(n, f"/endpoints/{n}") for n in ("db-01", "edge-07", "mail-01")), 3,
    (Skipped(Link("lab-03", "/endpoints/ep_9"), "mode assess: no policy lets it patch"),), 1,
    ("With 6 endpoints no statistic can tell harm from chance. One explicit failure holds, two halt.",),
    "Closes 3 CVEs. Earliest end 2026-11-28 21:40 UTC. Ring all opens on a Saturday: machines that people switch off "
    "for the weekend get it on Monday and are watched from then on, so where these are more than a tenth it ends about "
    "Monday, 2026-11-30 16:45 UTC.",
    pace=PaceView(
        "fast", ("pace", "earliest end", "rings"), (("careful", "3.2 d", "1 / 3 / 6"), ("fast (suggested)", "18.8 h", "1 / 3 / 6")),
        ("Closes 3 vulnerabilities on 6 endpoints; known to be exploited: CVE-2025-1.", "Suggested: fast, because it is exploited now."), "", "ring canary is watched for 6.25 h instead of 26 h",
    ),
)  # fmt: skip
HOW: Final = (
    Choice("risk", "By risk", "the pace that the preview suggests, from what waiting and hurrying cost", True),
    Choice("careful", "Careful", "26 h of watching per ring: a night and a next-day return"),
    Choice("fast", "Fast", "6 h 15 min per ring; takes two people"),
)
DEPLOYMENTS: Final = {
    "blank": NewDeploymentView(DeploymentForm(), SELECTIONS, HOW, None),
    "preview": NewDeploymentView(DeploymentForm(filter="os:debian"), SELECTIONS, (), PREVIEW),
    "across distributions": NewDeploymentView(
        DeploymentForm(across=True), SELECTIONS, (), replace(PREVIEW, across="debian:12, fedora:40"),
    ),
    "nothing to do": NewDeploymentView(
        DeploymentForm(), SELECTIONS, (), Preview(0, 0, (), (), 0, (), 0, PREVIEW.skipped, 0, (), "", "No endpoint that may patch misses such an update."),
    ),
    "another pace": NewDeploymentView(
        DeploymentForm(), SELECTIONS, (), replace(PREVIEW, pace=PaceView("careful", overrides="fast")),
    ),
    "viewer": NewDeploymentView(DeploymentForm(), SELECTIONS, (), PREVIEW, may_start=False),
    "unknown key": NewDeploymentView(
        DeploymentForm(filter="oss:debian"), SELECTIONS, (), None, "unknown key 'oss'.", Link("os:debian", "/rollouts/new?filter=os:debian"),
    ),
}  # fmt: skip
SHEET: Final = SheetView(
    (
        SheetRow("mode", "patch", "policy servers patch", "4 d ago, by version 6"),
        SheetRow("maintenance windows", "sat 00:00/04:00", "root's own limits", "–", "sat 00:00/sun 24:00"),
        SheetRow("restarts by order", "window", "policy nights", "2 h ago"),
        SheetRow("changed configuration files", "as the rollout says", "no policy speaks of it", "–"),
    ),
    "opens sat 00:00 (its local time, +02:00)",
    ("Root of this endpoint has set limits (limits.json) that are narrower; they hold.",),
)

POLICY_ROWS: Final = (
    PolicyRow("po_01", "servers patch", Link("os:debian -tag:lab", "/endpoints?q=os:debian+-tag:lab"), Badge("▶", "patch", Tone.INFO), 5, "alice, 2026-11-22", "/policies/po_01/delete", words=("maintenance windows: sat 00:00/sun 24:00", "changed configuration files: keep", "probes: web http://127.0.0.1:8080/health")),
    PolicyRow("po_02", "lab", Link("tag:lab", "/endpoints?q=tag:lab"), Badge("○", "assess", Tone.IDLE), None, "alice, 2026-11-20"),
)  # fmt: skip
SETTINGS: Final = {
    "rolling": SettingsView("version 7 is rolling out: ring canary, 3 of 40 (ring canary: waiting for bake time: 3 h 12 min of 26 h left)", Link("its rollout", "/rollouts/ro_1")),
    "waiting": SettingsView(
        "40 endpoints wait for a rollout of settings; nobody has started it: brakeline settings plan", None, 40,
        (Wider("mode", "assess", "patch", 40),), "canary: 2 endpoints, early: 4 endpoints", "0123456789ab",
    ),
}  # fmt: skip
PACES: Final = (
    Choice("careful", "Careful", "26 h of watching per ring", True), Choice("fast", "Fast", "6 h 15 min per ring; takes two people"),
)  # fmt: skip
AHEAD: Final = {
    "careful": ahead_view(ahead(5_000, 3, "careful")), "emergency": ahead_view(ahead(8_500_000, 8, "emergency")),
    "few": ahead_view(ahead(6, 1, "careful")), "nobody": ahead_view(ahead(0, 0, "careful")),
}  # fmt: skip
POLICIES: Final = {
    "rows": PoliciesView(POLICY_ROWS, PolicyForm(), may_write=True, settings=SETTINGS["rolling"], paces=PACES),
    "waiting": PoliciesView(POLICY_ROWS, PolicyForm(), may_write=True, settings=SETTINGS["waiting"], paces=PACES),
    "preview": PoliciesView(
        POLICY_ROWS, PolicyForm("all", "os:debian"), 5_000, (Link("web-01", "/endpoints/ep_01"),), may_write=True,
        facts=(Fact("Precedence", "assess wins"),), paces=PACES, ahead=AHEAD["careful"],
    ),
    "overlap": PoliciesView(POLICY_ROWS, PolicyForm("nights", "os:debian", windows="mon-fri 22:00/06:00; tue 05:00/07:00", restart="window"), error="the windows 'mon-fri 22:00/06:00' and 'tue 05:00/07:00' overlap; write what they are together once", may_write=True, paces=PACES),
    "millions": PoliciesView(POLICY_ROWS, PolicyForm("all", ""), 8_500_000, may_write=True, paces=PACES, ahead=AHEAD["emergency"]),
    "few": PoliciesView((), PolicyForm("", "tag:lab"), 6, may_write=True, paces=PACES, ahead=AHEAD["few"]),
    "nobody": PoliciesView((), PolicyForm("x", "tag:none"), 0, may_write=True, paces=PACES, ahead=AHEAD["nobody"]),
    "unknown key": PoliciesView((), PolicyForm("x", "oss:a"), error="unknown key 'oss'.", suggestion=Link("os:a", "/policies?filter=os:a"), may_write=True),
    "viewer": PoliciesView((), PolicyForm(), settings=SETTINGS["waiting"]),
}  # fmt: skip
