"""Runs and changes of installed software as view-models. Pure."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlencode

from brakeline.console.present import ago, clock_text, endpoint_href, full_time, plural, span
from brakeline.console.present_rollout import member_badge, rollout_href
from brakeline.console.views import Badge, Link, Tone
from brakeline.console.views_runs import (
    ChangeRow,
    ChangesView,
    CommandRow,
    OutputRow,
    PlaceRow,
    RunRow,
    RunShown,
    RunsView,
)
from brakeline.core.errors import Invalid
from brakeline.protocol.messages import RunEntry, RunKind
from brakeline.rollout.view import Member, RolloutView
from brakeline.runlog.model import ChangedBy, Command, RunView, Story

LINES_SHOWN: Final = 400  # the newest; a page that is sent anew every two seconds stays below 60 KiB
CHANGES_SHOWN: Final = 1000
DAY_MS: Final = 86_400_000
STATES: Final = {
    "running": Badge("▶", "running", Tone.INFO), "silent": Badge("!", "not heard", Tone.WARN),
    "ended": Badge("●", "ended", Tone.IDLE),
}  # fmt: skip
OUTCOMES: Final = {
    "installed": Badge("✓", "installed", Tone.OK), "failed": Badge("✕", "failed", Tone.BAD),
    "refused": Badge("–", "refused", Tone.IDLE), "expired": Badge("–", "expired", Tone.IDLE),
    "interrupted": Badge("!", "interrupted", Tone.WARN),
}  # fmt: skip
KINDS: Final = {
    "installed": Badge("+", "installed", Tone.INFO), "removed": Badge("–", "removed", Tone.WARN),
    "changed": Badge("·", "changed", Tone.IDLE),
}  # fmt: skip
NOTHING: Final = (
    "No run is kept. One begins with the first package transaction of a rollout here; older agents send no log, and "
    "old logs are forgotten (run_log_days)."
)
STOPPABLE: Final = frozenset({"waiting", "offered", "control", "started", "silent"})
RETRIABLE: Final = frozenset({"failed", "refused", "expired", "interrupted", "stopped"})


def run_href(endpoint_id: str, transaction_id: str) -> str:
    return f"{endpoint_href(endpoint_id)}/runs?{urlencode({'q': transaction_id})}"


def took(ms: int) -> str:
    """`0.31 s`, `12.4 s`, `3 min`."""
    if ms < 10_000:
        return f"{ms / 1000:.2f} s"
    return f"{ms / 1000:.1f} s" if ms < 120_000 else span(ms / 1000)


def runs_view(found: tuple[RunView, ...], shown: RunView | None, places: tuple[PlaceRow, ...], now_ms: int) -> RunsView:
    current = shown.run.transaction_id if shown else ""
    rows = tuple(_row(v, current, now_ms) for v in found)
    return RunsView(rows, _shown(shown, now_ms) if shown else None, places, "" if rows else NOTHING)


def _state(v: RunView) -> Badge:
    return OUTCOMES.get(v.outcome.outcome) or STATES[v.state]


def _of(v: RunView) -> Link:
    return Link(v.outcome.title or v.run.rollout_id, rollout_href(v.run.rollout_id))


def _row(v: RunView, current: str, now_ms: int) -> RunRow:
    run = v.run
    end_ms = v.outcome.ended_ms or run.ended_ms or run.heard_ms
    return RunRow(
        Link(run.transaction_id, run_href(run.endpoint_id, run.transaction_id)), _state(v), _of(v),
        ago(run.began_ms, now_ms), took(max(0, end_ms - run.began_ms)), run.transaction_id == current,
    )  # fmt: skip


def _shown(v: RunView, now_ms: int) -> RunShown:
    lines = sum(e.kind == RunKind.OUTPUT for e in v.entries)
    output = v.entries[-LINES_SHOWN:]
    left = len(v.entries) - len(output)
    what = (
        f"began {ago(v.run.began_ms, now_ms)}, {plural(len(v.commands), 'command')}, {plural(lines, 'line')} of output"
    )
    result = f"{v.outcome.outcome}: {v.outcome.code}: {v.outcome.detail}" if v.outcome.outcome else ""
    return RunShown(
        v.run.transaction_id, _of(v), _state(v), what, result, v.note,
        tuple(_command(c, now_ms) for c in v.commands), tuple(_output(e, now_ms) for e in output),
        f"{left:,} earlier entries are not on this page" if left else "",
        f"/api/v1/endpoints/{quote(v.run.endpoint_id)}/runs/{quote(v.run.transaction_id)}",
    )  # fmt: skip


def _command(c: Command, now_ms: int) -> CommandRow:
    if c.rc is None:
        end = Badge("▶", "runs, or was cut off", Tone.INFO)
    elif c.rc == 0:
        end = Badge("✓", "0", Tone.OK)
    else:
        end = Badge("!", f"signal {-c.rc}" if c.rc < 0 else str(c.rc), Tone.WARN)
    lines = f"{c.lines:,}" if c.lines else ""
    return CommandRow(
        c.number,
        shlex.join(c.argv),
        clock_text(c.at_ms, now_ms),
        took(c.took_ms) if c.rc is not None else "",
        end,
        lines,
    )


def _output(e: RunEntry, now_ms: int) -> OutputRow:
    match e.kind:
        case RunKind.COMMAND:
            text = f"$ {shlex.join(e.argv)}"
        case RunKind.EXIT:
            how = f"signal {-e.rc}" if e.rc is not None and e.rc < 0 else f"exit code {e.rc}"
            text = f"{how} after {took(e.took_ms)}" + (f", {e.text}" if e.text else "")
        case RunKind.DROPPED:
            text = f"{e.lines:,} lines are not here: {e.text}"
        case _:
            text = e.text
    return OutputRow(e.n, clock_text(e.at_ms, now_ms), e.kind, text)


def place_row(view: RolloutView, m: Member, *, may_stop: bool, may_retry: bool) -> PlaceRow:
    """One rollout that goes on, and what may be done about this endpoint in it."""
    action, ours = f"/endpoints/{quote(m.endpoint_id)}/rollouts/{quote(view.id)}", not view.release
    return PlaceRow(
        Link(view.title, rollout_href(view.id)), member_badge(m), m.note,
        f"{action}/stop" if may_stop and ours and m.state in STOPPABLE else "",
        f"{action}/retry" if may_retry and ours and m.state in RETRIABLE else "",
    )  # fmt: skip


# --- changes ---------------------------------------------------------------------------------------------------------


def day_ms(text: str, *, end: bool = False) -> int:
    """Unix milliseconds at which a day begins (or ends), UTC; 0 of "". Raises `Invalid`."""
    if not text:
        return 0
    try:
        at = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Invalid(f"a day is written like 2026-11-26, not {text[:20]!r}") from None
    return round(at.timestamp() * 1000) + (DAY_MS if end else 0)


def changes_view(story: Story, since: str, until: str, *, net: bool, now_ms: int) -> ChangesView:
    rows = tuple(_change(c, now_ms) for c in story.changes[:CHANGES_SHOWN])
    left = len(story.changes) - len(rows)
    note = plural(len(story.changes), "difference" if net else "change") + (
        f", the first {CHANGES_SHOWN:,} here" if left else ""
    )
    asked = {"since_ms": story.since_ms, "until_ms": story.until_ms, "net": "true" if net else "false"}
    href = f"/api/v1/endpoints/{quote(story.endpoint_id)}/changes?{urlencode(asked)}&format="
    return ChangesView(since, until, net, rows, note, story.told, f"{href}csv", f"{href}ndjson")


def _change(c: ChangedBy, now_ms: int) -> ChangeRow:
    by = Link(c.author.title or c.author.rollout_id, rollout_href(c.author.rollout_id) if c.author.rollout_id else "")
    at = clock_text(c.at_ms, now_ms) if now_ms - c.at_ms < DAY_MS else full_time(c.at_ms)[:16].replace("T", " ")
    return ChangeRow(KINDS[c.kind], c.name, c.architecture, c.before, c.after, at, by)
