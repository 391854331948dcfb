"""Samples of receivers of events."""

from __future__ import annotations

from typing import Final

from brakeline.console.present_events import sink_row
from brakeline.console.views_events import EventsView
from brakeline.events.model import Sink
from brakeline.events.service import SinkView

NOW: Final = 1_795_400_000_000
MADE: Final = NOW - 3 * 86_400_000
WORKS: Final = Sink(
    "sk_01", "siem", "https://siem.example.org/brakeline", (), MADE, "Alice", 1, 812, 0, 0, "", NOW - 40_000
)
AWAY: Final = Sink(
    "sk_02", "log host", "syslog+tls://log.example.org:6514", ("rollout.*", "risk.*"), MADE, "Alice", 1, 790, 4,
    NOW + 33_000, "log.example.org does not answer: timed out", NOW - 7_200_000,
)  # fmt: skip
DEAD: Final = Sink("sk_03", "chat", "https://chat.example.org/hook", ("rollout.state.halted",), MADE, "Bert", 1, 812)
NEW: Final = Sink("sk_04", "tickets", "https://tickets.example.org/", ("finding.*",), NOW, "Bert", 1, 812)
_ROWS: Final = tuple(
    sink_row(view, NOW)
    for view in (SinkView(WORKS, 0, 0), SinkView(AWAY, 22, 0), SinkView(DEAD, 0, 3), SinkView(NEW, 0, 0))
)
EVENTS: Final = {
    "some": EventsView(_ROWS, may_write=True),
    "fresh": EventsView(_ROWS, True, "whk_" + "3f" * 32),
    "wrong": EventsView((), True, "", "an address is https://HOST/PATH", "x", "ftp://x", "rollout.*"),
    "viewer": EventsView(_ROWS[:1]),
    "none": EventsView(()),
}
