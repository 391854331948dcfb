"""Feeds and held content -> what the page of advisory data shows. Pure."""

from __future__ import annotations

from typing import Final

from brakeline.advisories.standing import Standing
from brakeline.console.present import ago, plural
from brakeline.console.views import Badge, Tone
from brakeline.console.views_content import ContentView, FeedRow, HeldCard
from brakeline.exposure.flips import ADDITIONS_WAIT_MS, LOSSES, Bound, Flips, HeldRow
from brakeline.exposure.holding import Content

NAMED: Final = 5
ORIGINS: Final = {"seed": "came with Brakeline", "file": "imported by hand", "url": "fetched"}


def content_view(content: Content, standings: tuple[Standing, ...], now_ms: int, *, may_decide: bool) -> ContentView:
    """The whole page."""
    loaded = {f.feed: f.loaded_ms for f in content.feeds}
    return ContentView(
        tuple(feed_row(s, loaded.get(s.feed, 0), now_ms) for s in standings),
        tuple(held_card(h, now_ms) for h in content.held), bounds(content.bound), may_decide,
    )  # fmt: skip


def feed_row(s: Standing, loaded_ms: int, now_ms: int) -> FeedRow:
    """One feed: what is live, how old it is, and that it is missing where it is."""
    if s.age_days is None:
        badge = Badge("?", "not loaded", Tone.WARN)
    elif s.problem:
        badge = Badge("▲", "kept back", Tone.WARN)
    else:
        badge = Badge("▲", "old", Tone.WARN) if s.old else Badge("●", "live", Tone.OK)
    loaded = ago(loaded_ms, now_ms) if loaded_ms and s.age_days is not None else ""
    origin = ORIGINS.get(s.origin, "") + (f", asks {s.address}" if s.address else "")
    return FeedRow(
        s.feed, badge, s.version, s.issued[:10], loaded, s.rows, s.problem, s.says, origin, bool(s.address), s.limits
    )


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
