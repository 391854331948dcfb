"""What freezes and requests for a second person look like. Pure: the present moment comes in as `now_ms`."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from brakeline.console.present import ago, full_time, plural, span
from brakeline.console.views import Badge, Fact, Link, Need, Tone
from brakeline.console.views_stop import ApprovalRow, ApprovalsView, ApprovalView, FreezeView
from brakeline.rollout.freezing import FreezeView as Freeze
from brakeline.tenancy.two_people import APPROVES, Act, Request

STATES: Final = {
    "open": Badge("‖", "waits", Tone.WARN), "approved": Badge("▶", "agreed, not done yet", Tone.INFO),
    "done": Badge("✓", "done", Tone.OK), "rejected": Badge("✕", "rejected", Tone.BAD),
    "overtaken": Badge("–", "overtaken", Tone.IDLE), "failed": Badge("✕", "failed", Tone.BAD),
    "expired": Badge("–", "expired", Tone.IDLE),
}  # fmt: skip
TITLES: Final = {
    Act.RESUME: "Resume a rollout that was halted", Act.FAST_LANE: "Start a rollout in the fast lane",
    Act.LIMITS: "Raise a limit", Act.UNFREEZE: "Lift the freeze", Act.ROLES: "Give somebody more roles",
    Act.PARDON: "Pardon a release", Act.CELLS: "Trust a cell or a conductor",
    Act.CONTENT: "Accept content that flips findings", Act.LEADS: "Lead a change over cells",
    Act.POOL: "Share evidence with other organisations",
    Act.ACCEPT: "Accept a vulnerability, or loosen the terms for closing",
}  # fmt: skip
WAITING: Final = ("open", "approved")
PAGES: Final = {"ro": "/rollouts/", "fz": "/freeze"}


def approval_href(approval_id: str) -> str:
    return f"/approvals/{quote(approval_id, safe='')}"


def takes(r: Request, now_ms: int) -> str:
    """`two people`, or how long somebody alone has to wait."""
    if not r.not_before_ms:
        return r.way.value
    left_s = (r.not_before_ms - now_ms) / 1000
    return f"{r.way.value}: {f'in {span(left_s)}' if left_s > 0 else 'can be confirmed now'}"


def approval_row(r: Request, now_ms: int) -> ApprovalRow:
    left_s = (r.expires_ms - now_ms) / 1000
    return ApprovalRow(
        r.approval_id, Link(r.says[0] if r.says else TITLES[r.act], approval_href(r.approval_id)),
        STATES[r.standing(now_ms)], takes(r, now_ms), f"{r.asked_by}, {ago(r.asked_ms, now_ms)}",
        f"in {span(left_s)}" if left_s > 0 else "over",
    )  # fmt: skip


def approvals_view(found: tuple[Request, ...], now_ms: int) -> ApprovalsView:
    waiting = tuple(r for r in found if r.standing(now_ms) in WAITING)
    over = tuple(r for r in found if r.standing(now_ms) not in WAITING)
    return ApprovalsView(
        tuple(approval_row(r, now_ms) for r in waiting), tuple(approval_row(r, now_ms) for r in over)
    )  # fmt: skip


def approval_view(
    r: Request, who_can: tuple[str, ...], person_id: str, permissions: frozenset[str], now_ms: int
) -> ApprovalView:
    """One request as this visitor sees it. Whether an agreement counts, the service decides."""
    waits = r.standing(now_ms) in WAITING
    may = APPROVES[r.act] in permissions
    alone = r.first == person_id and (bool(who_can) or not r.not_before_ms or now_ms < r.not_before_ms)
    refused = ""
    if waits and not may:
        refused = f"Agreeing takes the permission {APPROVES[r.act]}, which your role does not have."
    elif waits and alone:
        refused = "You asked for it yourself: somebody else has to agree" + (
            f" ({', '.join(who_can)})." if who_can else f", or time: {takes(r, now_ms)}."
        )
    href = approval_href(r.approval_id)
    facts = [
        Fact("Asked", f"by {r.asked_by}, {ago(r.asked_ms, now_ms)} ({full_time(r.asked_ms)})"),
        Fact("Takes", takes(r, now_ms)), Fact("Until", full_time(r.expires_ms)),
        Fact("Who can agree", ", ".join(who_can) or "nobody but time"),
    ]  # fmt: skip
    if r.decided_ms:
        facts[2:] = [Fact("Decided", f"by {r.decided_by}, {ago(r.decided_ms, now_ms)}")]
    page = PAGES.get(r.object_id.partition("_")[0], "")
    about = Link(r.object_id, page if page.endswith("freeze") else page + r.object_id) if page else None
    return ApprovalView(
        r.approval_id, TITLES[r.act], r.says, STATES[r.standing(now_ms)], tuple(facts), r.digest,
        f"{href}/approve" if waits and not refused else "", f"{href}/reject" if waits and r.state == "open" else "",
        refused, r.note, about,
    )  # fmt: skip


def freeze_view(f: Freeze, waiting: Request | None, may_press: bool, may_lift: bool, now_ms: int) -> FreezeView:
    """The page of FREEZE."""
    facts: tuple[Fact, ...] = ()
    if f.frozen:
        facts = (
            Fact("Frozen by", f.by), Fact("Since", f"{full_time(f.since_ms)}, {ago(f.since_ms, now_ms)}"),
            Fact("Reason", f.reason or "none was given yet"), Fact("Wanted by", plural(f.presses, "person")),
        )  # fmt: skip
    link = (
        Link(f"{waiting.asked_by} has asked for it to be lifted", approval_href(waiting.approval_id))
        if waiting
        else None
    )
    note = "" if may_lift else "Lifting it takes the permission rollout.resume, which your role does not have."
    return FreezeView(f.told, facts, may_press, may_lift and f.frozen, f.frozen and not f.reason, link, note)


def needs(freeze: Freeze, waiting: tuple[Request, ...], now_ms: int) -> tuple[Need, ...]:
    """What the overview says first."""
    found = []
    if freeze.frozen:
        found.append(Need(Badge("■", "frozen", Tone.BAD), Link("Everything is frozen", "/freeze"), f"– {freeze.told}"))
    for r in waiting:
        link = Link(r.says[0] if r.says else TITLES[r.act], approval_href(r.approval_id))
        found.append(Need(STATES[r.standing(now_ms)], link, f"asked by {r.asked_by}; takes {takes(r, now_ms)}"))
    return tuple(found)
