"""What the rollout slice says -> view-models. Pure. Every number leads to the endpoints behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from brakeline.console.present import clock_text, endpoint_href, full_time, moment, plural, span
from brakeline.console.views import Badge, Kpi, Link, LogRow, Need, RolloutRow, Tone
from brakeline.console.views_change import (
    BrakeControl,
    EndpointMark,
    ExcessPoint,
    ExcessSeries,
    GridCell,
    GridRing,
    GridRow,
    PinnedUpdate,
    ReleaseControl,
    RolloutMember,
    RolloutView,
    SignalLine,
    WhyLine,
)
from brakeline.fleet.wording import trial_note, with_trials
from brakeline.remediation.model import DeploymentView
from brakeline.rollout.model import State
from brakeline.rollout.reading import RolloutSummary
from brakeline.rollout.telling import SignalRow
from brakeline.rollout.view import HARMED, Cell, Excess, LogLine, Member
from brakeline.rollout.view import RolloutView as Facts
from brakeline.rollout.wording import named, of_release, reason

STATES: Final = {
    "draft": Badge("○", "draft", Tone.IDLE),
    "rolling": Badge("▶", "rolling", Tone.INFO),
    "holding": Badge("‖", "holding", Tone.WARN),
    "halted": Badge("■", "halted", Tone.BAD),
    "completed": Badge("✓", "completed", Tone.OK),
    "withdrawn": Badge("–", "withdrawn", Tone.IDLE),
}
CELLS: Final = {
    "pending": Badge("○", "pending", Tone.IDLE),
    "active": Badge("▶", "active", Tone.INFO),
    "passed": Badge("✓", "passed", Tone.OK),
    "held": Badge("‖", "held", Tone.WARN),
    "failed": Badge("✕", "failed", Tone.BAD),
    "stopped": Badge("■", "stopped", Tone.BAD),
    "spared": Badge("–", "spared", Tone.IDLE),
    "empty": Badge("–", "none here", Tone.IDLE),
}
LINES: Final = {
    State.OK: Badge("✓", "passed", Tone.OK),
    State.WAIT: Badge("○", "waiting", Tone.INFO),
    State.HOLD: Badge("‖", "holding", Tone.WARN),
    State.HALT: Badge("✕", "harm", Tone.BAD),
    State.UNKNOWN: Badge("?", "no data", Tone.WARN),
}
RUNS: Final = frozenset({"proven", "installed", "started", "failed", "unhealthy", "interrupted"})  # it has begun
MEMBERS: Final = {
    "proven": Badge("✓", "proven", Tone.OK),
    "installed": Badge("✓", "installed", Tone.OK),
    "offered": Badge("▶", "offered", Tone.INFO),
    "started": Badge("▶", "installing", Tone.INFO),
    "failed": Badge("✕", "failed", Tone.BAD),
    "unhealthy": Badge("✕", "unhealthy", Tone.BAD),
    "silent": Badge("?", "silent", Tone.WARN),
    "interrupted": Badge("✕", "interrupted", Tone.BAD),
    "refused": Badge("–", "refused", Tone.WARN),
    "expired": Badge("–", "offer expired", Tone.WARN),
    "control": Badge("=", "control", Tone.IDLE),
    "spared": Badge("–", "spared", Tone.IDLE),
    "waiting": Badge("○", "waiting", Tone.IDLE),
}
TRIED: Final = {  # of a release, which launchers try and confirm
    "installed": Badge("✓", "confirmed", Tone.OK), "started": Badge("▶", "on probation", Tone.INFO),
    "failed": Badge("✕", "trial failed", Tone.BAD),
}  # fmt: skip
EVENTS: Final = {
    "brake": Badge("■", "brake", Tone.BAD), "halted": Badge("■", "halted", Tone.BAD),
    "holding": Badge("‖", "holding", Tone.WARN), "pause": Badge("‖", "pause", Tone.WARN),
    "rolling": Badge("▶", "rolling", Tone.INFO), "run": Badge("▶", "start", Tone.INFO),
    "resume": Badge("▶", "resume", Tone.INFO), "completed": Badge("✓", "completed", Tone.OK),
}  # fmt: skip
OVER: Final = ("halted", "withdrawn")
BRAKE_WORDS: Final = {
    "halted": "BRAKED", "completed": "DONE", "withdrawn": "WITHDRAWN", "draft": "NOT STARTED",
}  # fmt: skip
TITLES: Final = {
    "halted": "Why it stopped", "holding": "Why it does not go on", "rolling": "Why it is going on",
    "completed": "Why it is completed", "draft": "Why it has not begun", "withdrawn": "Why it stopped",
}  # fmt: skip
SPARED_TITLES: Final = {
    "halted": "Spared: they keep their versions", "withdrawn": "Spared: they keep their versions",
    "holding": "Spared so far: they keep their versions",
}  # fmt: skip
RELEASE_NOTE: Final = "a release of our own, for the launchers; each tries it beside one that works"
BACK_NOTE: Final = "each endpoint puts back what it had itself, from what it kept before the update began"
SPARED_SHOWN: Final = 60
HARMED_SHOWN: Final = 40
COUNTED_FROM: Final = 2_000  # from here on a page may show numbers that are some seconds old, and says of when
SMALL: Final = 50  # below this, counts are said instead of shares: "1 of 3"


def rollout_href(rollout_id: str) -> str:
    return f"/rollouts/{quote(rollout_id, safe='')}"


def members_href(rollout_id: str, **asked: str) -> str:
    return f"{rollout_href(rollout_id)}/endpoints?{urlencode(asked)}"


def share(bad: int, of: int) -> str:
    """`1 of 3` for a few, `0.45 %` for many, `none` of nobody."""
    if of == 0:
        return "none yet"
    return f"{bad} of {of}" if of < SMALL else f"{100 * bad / of:.2f} %"


def points(value: float) -> str:
    """Percentage points with a sign: `+1.9 points`."""
    shown = round(100 * value, 1)
    sign = "+" if shown > 0 else "−" if shown < 0 else ""
    return f"{sign}{abs(shown):.1f} points"


def names_of(v: Facts) -> dict[str, str]:
    """Endpoint id -> host name, of all whom the rollout concerns."""
    return {m.endpoint_id: m.hostname for m in v.members}


DRILL: Final = "drill: nothing is changed"


def rollout_row(r: RolloutSummary, view: Facts | None, now_ms: int) -> RolloutRow:
    """One line of a list. Without `view` (long lists) single failures stand for the comparison."""
    said, harm = plural(r.failed, "failure"), r.failed > 0
    if view is not None and view.now.n_t and view.now.n_c:
        said, harm = points(view.now.excess), view.now.low > 0
    return RolloutRow(
        r.id, Link(r.title, rollout_href(r.id)), STATES[r.state],
        _what(r),
        f"{r.exposed:,} of {r.targets:,}", said,
        Tone.BAD if harm or r.state == "halted" else Tone.IDLE, clock_text(r.created_ms, now_ms),
    )  # fmt: skip


def _what(r: RolloutSummary) -> str:
    if r.drill:
        return DRILL
    if r.restart:
        return "restart"
    return "release" if r.release else "rollback" if r.undoes else plural(r.updates, "update")


def rollout_needs(rows: tuple[RolloutRow, ...]) -> tuple[Need, ...]:
    """Halted and holding rollouts wait for a person."""
    texts = {"halted": "is halted: withdraw or resume", "holding": "holds: see why"}
    return tuple(
        Need(row.state, row.link, f"{texts[row.state.word]} ({row.reached} reached)")
        for row in rows if row.state.word in texts and row.what != DRILL
    )  # fmt: skip


def waiting_texts(view: Facts, endpoint_id: str) -> dict[str, str]:
    """Package -> why this endpoint has not got it in this rollout."""
    member = next((m for m in view.members if m.endpoint_id == endpoint_id), None)
    if member is None or member.state in ("proven", "installed"):
        return {}
    why = reason(view.why, names_of(view), release=bool(view.release))
    if view.state == "halted":
        text = f"spared: rollout {view.title} was halted"
    elif member.state in ("waiting", "control", "spared"):
        text = f"rollout {view.title} is {view.state}: {member.note or 'waits for its ring'}" + (
            f"; {why}" if why else ""
        )
    else:
        text = f"rollout {view.title}: {member.state}" + (f", {member.note}" if member.note else "")
    return {update.partition(" ")[0]: text for update in view.updates}


# --- the live page -------------------------------------------------------------------------------------------------


def rollout_view(v: Facts, now_ms: int, made: DeploymentView | None, may_resume: bool) -> RolloutView:
    """One moment of one rollout. `made`: the deployment behind it, if there is one."""
    state = STATES[v.state]
    harmed = [m for m in v.members if m.arm == "treated" and m.state in HARMED]
    names = names_of(v)
    has_a_way_back = not (v.release or v.undoes or v.drill or v.restart)
    pairs = sorted(zip(v.spared, v.spared_ids, strict=True))
    return RolloutView(
        id=v.id, name=v.title, sub=_sub(v), policy=None, state=state, state_class=v.state, alert=alert(v),
        alert_tone=state.tone, brake=brake_control(v), kpis=kpis(v), rings=_rings(v), grid=grid(v),
        excess=excess_series(v), why_title=TITLES[v.state],
        why=tuple(WhyLine(LINES[x.state], reason(x.text, names, release=bool(v.release))) for x in v.lines)
        or (_nothing(v),),
        statistics=tuple(map(of_release, v.statistics)) if v.release else v.statistics,
        log=tuple(_log_row(x, names, now_ms) for x in v.log), log_more=0,
        harmed=tuple(_mark(m, v.release) for m in harmed[:HARMED_SHOWN]),
        harmed_total=max(len(harmed), v.failed + v.silent),
        spared=tuple(Link(name, endpoint_href(i)) for name, i in pairs[:SPARED_SHOWN]), spared_total=v.spared_total,
        spared_title=SPARED_TITLES.get(v.state, "Not reached yet"),
        updates=_pins(v, made), updates_note=_note(v, made),
        releases=releases(v, may_resume),
        pause_action=f"{rollout_href(v.id)}/pause" if v.state == "rolling" and v.wish == "run" else "",
        withdraw_action=f"{rollout_href(v.id)}/withdraw" if v.state not in ("withdrawn", "completed") else "",
        release=Link(v.release, f"/releases/{quote(v.release, safe='')}") if v.release else None,
        undoes=Link(v.undoes, rollout_href(v.undoes)) if v.undoes else None,
        way_back=f"{rollout_href(v.id)}/rollback" if v.state == "halted" and has_a_way_back else "",
        drill=v.drill, signals=tuple(map(_signal, v.signals)), decided=v.decided,
    )  # fmt: skip


NOBODY_TELLS: Final = "not asked: no agent tells it"


def _signal(x: SignalRow) -> SignalLine:
    near = "" if x.evidence is None or x.bar is None else f"{x.evidence:.1f} of {x.bar:.1f}"
    near = near or (NOBODY_TELLS if x.told == 0 and x.treated else "")
    return SignalLine(x.signal, x.what, share(x.bad_treated, x.treated), share(x.bad_controls, x.controls), near,
                      ", ".join(x.which), _tellers(x))  # fmt: skip


def _tellers(x: SignalRow) -> str:
    """Who tells a signal at all, where not everybody does: not told is not zero."""
    both = x.treated + x.controls
    return f"told by {x.told:,} of {both:,}" if 0 < x.told < both else ""


def _sub(v: Facts) -> str:
    size = f"{plural(v.targets, 'endpoint')} in {plural(len(v.regions), 'region')}, {plural(len(v.rings), 'ring')}"
    counted = f" · counted at {moment(v.now.at_ms)}" if v.targets >= COUNTED_FROM else ""
    return f"made by {v.created_by} · {size} · generation {v.generation}{counted}"


def alert(v: Facts) -> str:
    """The sentence at the top, for every state in which somebody should read one."""
    reached = plural(v.exposed, "endpoint")
    why = reason(v.why, names_of(v), release=bool(v.release)).rstrip(".")
    if v.state == "halted" and v.release:
        return (
            f"■ Halted: {why}. {reached} received this release, {v.spared_total:,} were spared. It is recalled: who "
            "has it goes back to the last known good by itself. It is never resumed; publish a newer release."
        )
    if v.state == "halted":
        return (
            f"■ Halted: {why}. {reached} received this change, {v.spared_total:,} were spared and keep their versions. "
            "Nothing more is offered; going on needs a reason and a second person."
        )
    if v.state == "holding":
        return f"‖ Holding: {why}."
    if v.state == "completed":
        return f"✓ Completed: {reached} of {v.targets:,} have it."
    if v.state == "withdrawn":
        return f"– Withdrawn. {reached} received this change, {v.spared_total:,} keep their versions."
    return "○ Draft: nothing has been offered." if v.state == "draft" else ""


def brake_control(v: Facts) -> BrakeControl:
    """Enabled whenever there is something to stop."""
    word = BRAKE_WORDS.get(v.state, "BRAKE")
    return BrakeControl(f"{rollout_href(v.id)}/brake", v.state not in BRAKE_WORDS, word)


def releases(v: Facts, may_resume: bool) -> tuple[ReleaseControl, ...]:
    """Widening acts that make sense now."""
    base = rollout_href(v.id)
    if v.state == "draft":
        return (ReleaseControl(f"{base}/start", "Start", False, "Opens the first ring.", _pending(v)),)
    if v.release and v.state == "halted":
        return ()  # what was halted is recalled, and a recalled release goes on nowhere
    if may_resume and v.state in ("halted", "holding") and not any(x.gate == "freeze" for x in v.lines):
        explain = (
            "Resuming exposes more endpoints to the same change. Endpoints without proof are set aside, by name; "
            "the reason goes to the log."
        ) + (" After a halt a second person has to agree." if v.state == "halted" else "")
        return (ReleaseControl(f"{base}/resume", "Resume", True, explain, _pending(v)),)
    return ()


def _pending(v: Facts) -> str:
    """What waits for a second person, if this does."""
    return next((x.text for x in v.lines if x.gate == "second person"), "")


def kpis(v: Facts) -> tuple[Kpi, ...]:
    """State, exposed, failing, spared."""
    badge, n = STATES[v.state], v.now
    bad = v.failed + v.silent
    ring = v.rings[v.ring].name if 0 <= v.ring < len(v.rings) else "no ring open"
    tone = badge.tone if badge.tone in (Tone.BAD, Tone.WARN) else None
    return (
        Kpi("state", "State", f"{badge.glyph} {badge.word}", f"ring {ring}" if v.ring >= 0 else ring, "#why", tone),
        Kpi("exposed", "Exposed", f"{v.exposed:,}", f"of {v.targets:,}; {v.proven:,} proven good",
            members_href(v.id, show="treated")),
        Kpi("failing", "Bad, treated", share(n.x_t, n.n_t), f"control {share(n.x_c, n.n_c)}",
            members_href(v.id, show="bad"), Tone.BAD if bad else None),
        Kpi("spared", "Spared" if v.state in OVER else "Still spared", f"{v.spared_total:,}",
            "keep their versions" if v.state in OVER else "not offered to them", members_href(v.id, show="spared")),
    )  # fmt: skip


def _rings(v: Facts) -> tuple[GridRing, ...]:
    return tuple(GridRing(r.name, f"to {r.upto:,} · bake {span(r.bake_s)}") for r in v.rings)


def grid(v: Facts) -> tuple[GridRow, ...]:
    """Regions x rings."""
    cells = {(c.region, c.ring): c for c in v.grid}
    return tuple(
        GridRow(region, tuple(_cell(v.id, cells[region, r.name], i) for i, r in enumerate(v.rings)))
        for region in v.regions
    )


def _cell(rollout_id: str, c: Cell, ring: int) -> GridCell:
    bad = c.failed + c.silent
    state = c.state
    if state == "stopped" and bad:
        state = "failed"
    elif state == "stopped" and c.offered == c.planned == c.proven:
        state = "passed"  # what was reached here is proven good, whatever halted the rollout
    return GridCell(
        f"{c.region.replace('/', '_').replace('.', '_')}-{ring}", state, CELLS[state], c.offered, c.planned, bad,
        members_href(rollout_id, region=c.region, ring=c.ring),
    )  # fmt: skip


def excess_series(v: Facts) -> ExcessSeries:
    """Moments at which both arms had somebody; the present one last."""
    moments = [e for e in (*v.series, v.now) if e.n_t and e.n_c]
    if not moments:
        reason = "nobody has been treated yet." if not v.now.n_t else (
            f"{plural(v.now.n_t, 'endpoint')} treated and no control beside: there is nothing to compare with, "
            "so single failures and missing proof decide."
        )  # fmt: skip
        return ExcessSeries((), "95\u00a0% band", reason)
    start = moments[0].at_ms
    return ExcessSeries(tuple(_point(e, start) for e in moments), "95\u00a0% band")


def _point(e: Excess, start_ms: int) -> ExcessPoint:
    brake = None if e.brake_at is None else round(100 * e.brake_at, 3)
    return ExcessPoint(
        max(0.0, (e.at_ms - start_ms) / 1000), e.n_t, round(100 * e.excess, 3), round(100 * e.low, 3),
        round(100 * e.high, 3), brake,
    )  # fmt: skip


def _nothing(v: Facts) -> WhyLine:
    return WhyLine(LINES[State.UNKNOWN], v.why or "No decision has been written down yet.")


def _log_row(x: LogLine, names: Mapping[str, str], now_ms: int) -> LogRow:
    badge = EVENTS.get(x.kind, Badge("·", x.kind, Tone.IDLE))
    text = with_trials(named(x.text, names))
    return LogRow(clock_text(x.at_ms, now_ms), full_time(x.at_ms), badge, text, named(x.who, names))


def member_badge(m: Member, release: str = "") -> Badge:
    known = {**MEMBERS, **TRIED} if release else MEMBERS
    return known.get(m.state, Badge("·", m.state, Tone.IDLE))


def _mark(m: Member, release: str) -> EndpointMark:
    return EndpointMark(Link(m.hostname, endpoint_href(m.endpoint_id)), trial_note(m.note), member_badge(m, release))


def member_row(m: Member, release: str = "", line: str = "") -> RolloutMember:
    """`line`: what its run printed last."""
    href = endpoint_href(m.endpoint_id)
    return RolloutMember(
        Link(m.hostname, href), m.region, m.ring or "none yet", m.arm or "in no arm", member_badge(m, release),
        trial_note(m.note), Link("log", f"{href}/runs") if m.state in RUNS and not release else None, line,
    )  # fmt: skip


def members_title(region: str, ring: str, show: str) -> str:
    """What the endpoints behind one number or cell have in common."""
    shown = {"treated": "exposed", "bad": "failed or silent", "spared": "spared"}.get(show)
    where = ", ".join(t for t in (region, f"ring {ring}" if ring else "") if t)
    return shown or where or "all endpoints"


def _pins(v: Facts, made: DeploymentView | None) -> tuple[PinnedUpdate, ...]:
    """From the deployment's record, which knows more; else from the rollout itself."""
    if made is not None:
        return tuple(PinnedUpdate(u.name, u.version, u.endpoints, u.security, "") for u in made.deployment.updates)
    return tuple(PinnedUpdate(*text.partition(" ")[::2], v.targets, False, "") for text in v.updates)


def _note(v: Facts, made: DeploymentView | None) -> str:
    if v.restart:
        return "nothing is installed: each machine is restarted once"
    return RELEASE_NOTE if v.release else BACK_NOTE if v.undoes else _closing(made)


def _closing(made: DeploymentView | None) -> str:
    """What of the findings that it is to close stands open still."""
    if made is None or not made.deployment.closes:
        return "exact versions, pinned when it was made"
    of = plural(len(made.deployment.closes), "CVE")
    return (
        f"exact versions, pinned when it was made; closes {of}, {len(made.closed):,} of them closed everywhere by now"
    )
