"""From cells and leads as the services have them to what their page says. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from brakeline.cells.model import Link, Member, MemberState
from brakeline.console import present
from brakeline.console.views import Badge, Fact, Tone
from brakeline.console.views_cells import LeadCard, LeadCell, MemberRow, OrphanRow
from brakeline.rollout.conducting import CellView, LeadView
from brakeline.rollout.taking import OrphanView

MEMBERS: Final = {
    MemberState.INVITED: Badge("○", "invited", Tone.IDLE),
    MemberState.JOINED: Badge("●", "joined", Tone.OK),
    MemberState.DRAINED: Badge("–", "drained", Tone.IDLE),
    MemberState.ISOLATED: Badge("■", "isolated", Tone.WARN),
}
DOUBTED: Final = Badge("▲", "not believed", Tone.BAD)
STATES: Final = {
    "unknown": Badge("?", "not heard", Tone.IDLE),
    "nobody": Badge("–", "no endpoint", Tone.IDLE),
    "refused": Badge("▲", "takes no part", Tone.WARN),
    "draft": Badge("○", "draft", Tone.IDLE),
    "rolling": Badge("▸", "rolling", Tone.OK),
    "holding": Badge("‖", "holding", Tone.WARN),
    "halted": Badge("■", "halted", Tone.BAD),
    "completed": Badge("✓", "completed", Tone.OK),
    "withdrawn": Badge("–", "withdrawn", Tone.IDLE),
}
ACTS: Final = {
    MemberState.INVITED: ("isolate",),
    MemberState.JOINED: ("drain", "isolate"),
    MemberState.DRAINED: ("restore", "isolate"),
    MemberState.ISOLATED: (),
}
OVER: Final = ("halted", "completed", "withdrawn")
LEAD_ACTS: Final = {"draft": ("start", "rollout.create"), "run": ("pause", "rollout.brake"),
                    "pause": ("resume", "rollout.resume")}  # fmt: skip


def member_row(m: Member, now_ms: int, may_write: bool) -> MemberRow:
    acts = ("restore", *ACTS[m.state]) if m.doubt and m.state is MemberState.JOINED else ACTS[m.state]
    heard = present.ago(m.heard_ms, now_ms) if m.heard_ms else "never"
    return MemberRow(
        m.cell, m.region, DOUBTED if m.doubt else MEMBERS[m.state], heard, f"{m.skew_ms / 1000:+.1f} s", m.version,
        m.doubt, acts if may_write else (),
    )  # fmt: skip


def lead_card(x: LeadView, may: Callable[[str], bool]) -> LeadCard:
    act, permission = LEAD_ACTS.get(x.wish, ("", ""))
    rings = tuple(f"{'▸ ' if i == x.ring else ''}{name}" for i, name in enumerate(x.rings))
    return LeadCard(
        x.id, x.title, STATES[x.state], x.why, ", ".join(x.updates), rings,
        tuple(_cell(c, len(rings)) for c in x.cells), may("rollout.brake") and x.state not in OVER, x.settings,
        x.filter or "every endpoint", (act,) if act and x.state not in OVER and may(permission) else (),
    )  # fmt: skip


def orphan_row(x: OrphanView) -> OrphanRow:
    return OrphanRow(x.id, x.title, ", ".join(x.cells), x.treated, x.why_not)


def lead_updates(members: tuple[Member, ...]) -> str:
    """Address of the form with every cell ticked that could take part; "" where there is none."""
    joined = [m.cell for m in members if m.state is MemberState.JOINED]
    return f"/rollouts/new?{urlencode({'where': 'cells', 'cell': joined}, doseq=True)}" if joined else ""


def _cell(c: CellView, rings: int) -> LeadCell:
    planned = [f"{n:,}" for n in c.planned] + [""] * rings
    return LeadCell(
        c.cell, c.region, STATES[c.state], tuple(planned[:rings]), c.treated, c.proven, c.failed, c.text
    )  # fmt: skip


def link_facts(link: Link | None, now_ms: int) -> tuple[Fact, ...]:
    """Who conducts this cell; nothing where nobody does."""
    if link is None:
        return ()
    answered = present.ago(link.answered_ms, now_ms) if link.answered_ms else "never"
    trouble = "isolated: nothing of it is believed" if link.isolated else link.trouble
    return (
        Fact("Conductor", link.url),
        Fact("Known there as", link.cell),
        Fact("Generation", f"{link.generation}{'; may lead in the fast lane' if link.fast else ''}"),
        Fact("Answered", answered, None if link.answered_ms else Tone.WARN),
        Fact("Clock", f"{link.skew_ms / 1000:+.1f} s"),
        *((Fact("Trouble", trouble, Tone.WARN),) if trouble else ()),
    )
