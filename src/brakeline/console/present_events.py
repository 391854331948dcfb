"""Receivers of events -> what their page shows. Pure."""

from __future__ import annotations

from brakeline.console.present import ago, plural, span
from brakeline.console.views import Badge, Tone
from brakeline.console.views_events import SinkRow
from brakeline.events.decide import TRIES_MAX
from brakeline.events.service import SinkView


def sink_row(view: SinkView, now_ms: int) -> SinkRow:
    """One receiver: whether it takes what it is sent, and what waits for a person."""
    s = view.sink
    if s.problem and s.tries:
        left = span(max(0.0, (s.next_ms - now_ms) / 1000))
        badge, note = Badge("▲", "not taking", Tone.WARN), f"{s.problem}; try {s.tries} of {TRIES_MAX}, again in {left}"
    elif view.dead:
        badge, note = Badge("!", "dead letters", Tone.BAD), f"{plural(view.dead, 'event')} given up: send them again"
    elif s.worked_ms:
        badge, note = Badge("●", "works", Tone.OK), f"took one {ago(s.worked_ms, now_ms)}"
    else:
        badge, note = Badge("?", "not known", Tone.WARN), "nothing for it has happened yet: try it"
    return SinkRow(
        s.id, s.name, s.address, ", ".join(s.kinds) or "everything", badge, note, view.behind, view.dead,
        f"{s.made_by}, {ago(s.made_ms, now_ms)}",
    )  # fmt: skip
