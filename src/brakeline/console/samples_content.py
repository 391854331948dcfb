"""States of the page of advisory data, for the twin and the specimens."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.console.views import Badge, Tone
from brakeline.console.views_content import ContentView, FeedRow, HeldCard

LIVE, KEPT = Badge("●", "live", Tone.OK), Badge("▲", "kept back", Tone.WARN)
BOUNDS: Final = (
    "Held is content that takes away more than 5% of all findings of this fleet at once, or adds more than 25%; what "
    "is known to be exploited does not count as an addition."
)
KEV: Final = FeedRow(
    "cisa-kev", LIVE, "2026.11.19", "2026-11-19", "2 h ago", 1404, "", "of 2026-11-19, 3 days old",
    "fetched, asks https://feeds.example.org/kev.json", True,
)  # fmt: skip
DEBIAN: Final = FeedRow(
    "debian-changelog", LIVE, "2026-11-24", "2026-11-24", "2 h ago", 15100, "", "of 2026-11-24, 0 days old",
    "came with Brakeline",
)  # fmt: skip
CSAF: Final = FeedRow(
    "csaf-redhat-2026", LIVE, "2026-11-23", "2026-11-23", "1 h ago", 81_220, "", "of 2026-11-23, 1 day old",
    "imported by hand", limits="csaf-redhat-2026 of 2026-11-23 knows the ordinary streams of Red Hat Enterprise Linux; "
    "extended ones (EUS, AUS, TUS, E4S, ELS) and containers are left out, so what they fixed stays open. Left out of "
    "this file: 214,300 statements on others.",
)  # fmt: skip
EPSS: Final = FeedRow(
    "epss", Badge("?", "not loaded", Tone.WARN), "", "", "", 0, "",
    "Nothing says how likely exploitation is, except the catalogue of what is exploited already. "
    "brakeline content import epss FILE",
)  # fmt: skip
WHY: Final = "held: version 2026-11-24 would take away more findings at once than an organisation allows here"
HELD: Final = HeldCard(
    "debian-changelog", "2026-11-24", "ab" * 32,
    "it would take away 12,400 findings on 310 endpoints, 31% of what stands open",
    "40 min ago", "12,400 findings taken away on 310 endpoints, 41 added on 12 endpoints; 40,000 stand open now",
    "It waits until two people accept it, or newer content comes. Time alone does not make it live.",
    ("CVE-2026-1234 on 34 endpoints",),
)  # fmt: skip
CONTENT: Final = {
    "held": ContentView(
        (KEV, replace(DEBIAN, state=KEPT, version="2026-11-19", newest="2026-11-19", loaded="5 d ago", problem=WHY)),
        (HELD,), BOUNDS, may_decide=True,
    ),
    "calm": ContentView((KEV, DEBIAN, CSAF, EPSS), (), BOUNDS),
    "empty": ContentView((), (), BOUNDS),
}  # fmt: skip
