"""Feeds and held content -> what the page of advisory data shows. Pure."""

from __future__ import annotations

from typing import Final

from brakeline.advisories.model import FeedState
from brakeline.console.present import ago, plural
from brakeline.console.views import Badge, Tone
from brakeline.console.views_content import ContentView, FeedRow, HeldCard
from brakeline.exposure.flips import ADDITIONS_WAIT_MS, LOSSES, Bound, Flips, HeldRow
from brakeline.exposure.holding import Content

NAMED: Final = 5


def content_view(content: Content, now_ms: int, *, may_decide: bool) -> ContentView:
    """The whole page."""
    return ContentView(
        tuple(feed_row(f, now_ms) for f in content.feeds), tuple(held_card(h, now_ms) for h in content.held),
        bounds(content.bound), may_decide,
    )  # fmt: skip


def feed_row(f: FeedState, now_ms: int) -> FeedRow:
    """One feed: what is live, and how old it is."""
    badge = Badge("▲", "kept back", Tone.WARN) if f.problem else Badge("●", "live", Tone.OK)
    return FeedRow(f.feed, badge, f.version, f.content_day, ago(f.loaded_ms, now_ms), f.rows, f.problem)


def held_card(h: HeldRow, now_ms: int) -> HeldCard:
    """One content that waits."""
    named = tuple(f"{n.cve} on {plural(n.endpoints, 'endpoint')}" for n in h.flips.named[:NAMED])
    decided = f"{h.decision} by {h.decided_by}, {ago(h.decided_ms, now_ms)}" if h.decision else ""
    return HeldCard(
        h.feed, h.version, h.sha256, h.reason, ago(h.held_ms, now_ms), figures(h.flips), outlook(h, now_ms), named,
        decided,
    )  # fmt: skip


def figures(f: Flips) -> str:
    """Both directions, whatever it is held for."""
    return (
        f"{f.lost:,} findings taken away on {plural(f.losing, 'endpoint')}, {f.gained:,} added on "
        f"{plural(f.gaining, 'endpoint')}; {f.before:,} stand open now"
    )


def outlook(h: HeldRow, now_ms: int) -> str:
    """What ends the wait."""
    if h.decision == "refused":
        return "It stays out until newer content comes, or somebody accepts it after all."
    if h.kind == LOSSES:
        return "It waits until two people accept it, or newer content comes. Time alone does not make it live."
    left_min = max(0, h.held_ms + ADDITIONS_WAIT_MS - now_ms) // 60_000
    return f"It is live by itself in {left_min // 60} h {left_min % 60} min, unless somebody refuses it."


def bounds(b: Bound) -> str:
    """The rule, in one sentence."""
    return (
        f"Held is content that takes away more than {b.losses:.0%} of all findings of this fleet at once, or adds more "
        f"than {b.additions:.0%}; what is known to be exploited does not count as an addition."
    )
