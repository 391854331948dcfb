"""The conductor's decision: counts of several cells give the next ring, or a stop, and a grant for each cell. Pure.

The shipped planner and brake decide on merged numbers, in which each cell is one region. On top of it: any cell that
halts halts all; the next ring opens only when every cell that takes part has passed this one, by itself and together;
cells open one after another; a cell that is lost, doubted or standing still holds the ring. Half of the chance of a
false halt is the pool's, the other half is shared by the cells. Next: `conducting` (doing), `led` (the other end).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from brakeline.cells.model import (
    CELLS_MAX,
    GRANT_S,
    REFUSALS,
    SILENT_MS,
    SUMMED,
    Cause,
    CellPhase,
    CellReport,
    Grant,
    GrantedRing,
    MemberState,
    Refusal,
    Stand,
)
from brakeline.core.draw import U_END
from brakeline.protocol.channels import STABLE
from brakeline.protocol.codec import encode_sparse
from brakeline.rollout import arms, brake, planner
from brakeline.rollout.arms import Draws, SortedDraws
from brakeline.rollout.granted import share
from brakeline.rollout.led import table_of
from brakeline.rollout.model import EXPOSED_NO_MORE, Blueprint, Change, Guard, Line, Phase, Policy, Report, State, Wish
from brakeline.rollout.summary import ControlArm, Part, Summary

GATE: Final = "cells"
CELL_ALPHA_MIN: Final = Guard().alpha / (2 * CELLS_MAX)  # no cell lets a conductor make its brake less sensitive
SETTINGS_LED: Final = 1  # what a cell has to know (`Standing.leads`) to be led in settings …
AGAIN_KNOWN: Final = 1  # … and to offer again in a hold: another would refuse the grant whole …
FIT_KNOWN: Final = 2  # … and to take a policy that was fitted to how many endpoints there are
CHANNELS_LED: Final = 3  # … and to be led in a release that does not go to everybody
STAGGER_OF_BAKE: Final = 26  # cells open a ring one after another: an hour each, where a ring bakes for 26


@dataclass(frozen=True, slots=True)
class PlannedRing:
    """One ring that was opened: its number for each cell, cumulative."""

    name: str
    bake_s: int
    uptos: dict[str, int]
    sizes: dict[str, int] = field(default_factory=dict)  # endpoints that each cell said to have then


@dataclass(frozen=True, slots=True)
class Lead:
    """One change led over several cells."""

    lead_id: str
    title: str
    change: Change
    policy: Policy
    filter: str
    cells: tuple[str, ...]  # in the order in which they open
    wish: Wish
    wish_by: str
    wish_reason: str
    blueprint: Blueprint
    plan: tuple[PlannedRing, ...] = ()
    opened: Mapping[str, int] = field(default_factory=dict)  # by cell: rings of the plan it was granted, never fewer
    created_ms: int = 0
    created_by: str = ""
    salt: str = ""  # of a release: hex, drawn when the lead was made
    told: tuple[str, ...] = ()  # change and policy word for word, since cells were told or the lead was taken over

    def granted(self, cell: str) -> int:
        """The most endpoints that a cell was ever granted."""
        return max((r.uptos.get(cell, 0) for r in self.plan[: self.opened.get(cell, 0)]), default=0)


@dataclass(frozen=True, slots=True)
class Standing:
    """One cell as the conductor knows it. `heard_ms`: when its report came."""

    cell: str
    link_id: str
    state: MemberState
    report: CellReport | None = None
    heard_ms: int = 0
    doubt: str = ""
    leads: int = 0  # what can be led there, as it said last

    @property
    def takes_part(self) -> bool:
        return self.state is MemberState.JOINED


def follows(lead: Lead, c: Standing) -> bool:
    """Whether the version of a cell knows this kind of change; whoever does not is granted nothing of it."""
    if lead.change.channel != STABLE and c.leads < CHANNELS_LED:
        return False
    return lead.change.wished is None or c.leads >= SETTINGS_LED


def pool_policy(policy: Policy) -> Policy:
    """What the conductor judges all cells together by."""
    return replace(policy, guard=replace(policy.guard, alpha=policy.guard.alpha / 2))


def cell_policy(policy: Policy, cells: int) -> Policy:
    """What each cell judges itself by: together they halt a harmless change no more often than the policy says."""
    return replace(policy, guard=replace(policy.guard, alpha=policy.guard.alpha / (2 * max(1, cells))))


class _Cells:
    """Places of cells: the conductor knows how many, never which."""

    def __init__(self, eligible: Mapping[str, int]) -> None:
        self._eligible = eligible

    def regions(self) -> Iterable[str]:
        return self._eligible.keys()

    def eligible(self, region: str) -> int:
        return self._eligible.get(region, 0)

    def untreated(self, region: str) -> Draws:  # noqa: ARG002 - draws stay in their cell, so no gate is made here
        return SortedDraws(())

    fresh = untreated

    def spare(self, region: str, ring: int) -> Draws:  # noqa: ARG002
        return SortedDraws(())


def merged(lead: Lead, cells: Iterable[Standing], now_ms: int) -> Summary:
    """All cells' numbers as one. Who takes no further part fills no place any more, and is still evidence of harm."""
    told = [(c, c.report) for c in cells if c.report is not None]
    taking = [(c, r) for c, r in told if c.takes_part]
    parts = [_part(c.cell, p, now_ms - c.heard_ms, now_ms) for c, r in taking for p in r.parts]
    controls = [ControlArm(c.cell, x.machine_class, x.controls, x.heard) for c, r in taking for x in r.controls]
    ended: dict[str, tuple[int, int]] = {}
    for _, r in told:
        for e in r.ended:
            n, x = ended.get(e.group, (0, 0))
            ended[e.group] = (n + e.ended, x + e.failed)
    heard = [c.heard_ms - r.data_age_s * 1000 for c, r in taking if r.treated]
    halted = next((c.cell for c, r in told if r.phase is CellPhase.HALTED and r.cause is not Cause.CONDUCTOR), "")
    wish, by = (
        (Wish.BRAKE, f"cell {halted}") if halted and lead.wish is not Wish.WITHDRAW else (lead.wish, lead.wish_by)
    )
    return Summary(
        lead.change, _Cells({c.cell: r.eligible for c, r in taking}), tuple(parts), tuple(controls),
        table_of(tuple(b for _, r in told for b in (*r.bets, *r.harms, *r.vitals))), ended,
        compared=any(r.compared for _, r in told), wish=wish, wish_by=by, wish_reason=lead.wish_reason,
        data_ms=max(heard, default=0),
    )  # fmt: skip


def _part(cell: str, p: object, age_ms: int, now_ms: int) -> Part:
    """A cell's part as one of a region. Ages were told, so its clock does not matter."""
    figures = {name: getattr(p, name) for name in SUMMED}
    youngest = now_ms - max(0, age_ms) - p.youngest_age_s * 1000  # type: ignore[attr-defined]
    return Part(p.ring, cell, p.machine_class, youngest_ms=youngest, **figures)  # type: ignore[attr-defined]


def conduct(lead: Lead, cells: tuple[Standing, ...], now_ms: int) -> tuple[Lead, Report]:
    """The lead as it goes on, and why it does what it does. The same lead when nothing needs to change."""
    seen, current = merged(lead, cells, now_ms), lead.blueprint
    proposed, report = planner.decide(pool_policy(lead.policy), current, seen, now_ms)
    lines = tuple(_line(lead, c, now_ms) for c in cells)
    opens = proposed.ring > current.ring
    ends = proposed.phase is Phase.COMPLETED and current.phase is not Phase.COMPLETED
    waits = [x for x in lines if x.state is not State.OK]
    proposed, report = _halted_in_a_cell(proposed, current, report, cells)
    unknown = proposed.phase is Phase.HOLDING and not seen.population
    if (opens or ends or unknown) and waits:
        text = f"waits for {waits[0].text}"
        proposed = current if unknown else _on(current, text, now_ms)
        report = Report((replace(waits[0], text=text), *report.lines[1:]))
    elif opens and not any(c.takes_part for c in cells):
        proposed = current
    if proposed is not current:
        opened = proposed.ring > current.ring
        plan = (*lead.plan, _planned(lead, proposed, seen)) if opened else lead.plan
        lead = replace(lead, blueprint=proposed, plan=plan)
    return _opened(lead, cells, now_ms), Report((*report.lines, *lines))


def _on(current: Blueprint, why: str, now_ms: int) -> Blueprint:
    """Nothing but cells is waited for: a lead that held goes on, so that who has not had the open ring gets it."""
    if current.phase is not Phase.HOLDING:
        return current
    return replace(current, generation=current.generation + 1, parent=current.generation, made_ms=now_ms,
                   phase=Phase.ROLLING, retry=False, why=why)  # fmt: skip


def _halted_in_a_cell(
    proposed: Blueprint, current: Blueprint, report: Report, cells: tuple[Standing, ...]
) -> tuple[Blueprint, Report]:
    """A halt that came from a cell says which, and by what: evidence is no press."""
    first = report.lines[0]
    for c in cells:
        pressed = f"halted: brake pressed by cell {c.cell}"
        if c.report is not None and first.text == pressed:
            told = f"halted in cell {c.cell} ({c.report.cause.value}); its own page says why"
            report = Report((replace(first, text=told), *report.lines[1:]))
            if proposed is not current and proposed.why == pressed:
                proposed = replace(proposed, why=told)
    return proposed, report


def _planned(lead: Lead, proposed: Blueprint, seen: Summary) -> PlannedRing:
    """What the ring that opens is for each cell: never less than it was granted before, never more together."""
    rings = arms.rings_for(pool_policy(lead.policy), seen.change, seen.population)
    ring, upto = rings[min(proposed.ring, len(rings) - 1)]
    before = lead.plan[-1].uptos if lead.plan else {}
    uptos = {g.region: max(g.treated, before.get(g.region, 0)) for g in proposed.goals}
    over = sum(uptos.values()) - max(upto, sum(before.get(cell, 0) for cell in uptos))
    for cell in sorted(uptos, key=lambda c: before.get(c, 0) - uptos[c]):
        give = min(max(over, 0), uptos[cell] - before.get(cell, 0))
        uptos[cell], over = uptos[cell] - give, over - give
    told = {cell: seen.places.eligible(cell) + n for cell, n in _counted(seen).items()}
    sizes = dict(lead.plan[-1].sizes) if lead.plan else {}
    sizes |= {cell: max(n, sizes.get(cell, 0)) for cell, n in told.items()}  # who shrinks gets no larger share
    return PlannedRing(ring.name, ring.bake_s, dict(before) | uptos, sizes)


def _counted(seen: Summary) -> dict[str, int]:
    treated = dict.fromkeys(seen.places.regions(), 0)
    for p in seen.parts:
        treated[p.region] = treated.get(p.region, 0) + p.counted
    return treated


# --- each cell --------------------------------------------------------------------------------------------------------


def _line(lead: Lead, c: Standing, now_ms: int) -> Line:
    """Whether a cell is ready for the next step. OK = nothing to wait for."""
    text, state, r = "", State.OK, c.report
    data = {"cell": c.cell, "treated": r.treated if r else 0, "granted": lead.granted(c.cell)}
    away_s = max(0, now_ms - c.heard_ms) // 1000
    if c.state in (MemberState.DRAINED, MemberState.ISOLATED):
        text = f"{c.state.value}: it takes no further part and holds by itself"
    elif c.doubt:
        text, state = f"it is not believed any more: {c.doubt}", State.HOLD
    elif not follows(lead, c):
        text, state = f"{_unknown(lead)}; update it, or drain it", State.HOLD
    elif r is None:
        text, state = "it has told nothing of this yet", State.UNKNOWN
    elif now_ms - c.heard_ms > SILENT_MS:
        text, state = f"not heard for {brake.span(away_s)}; it holds when its grant ends", State.HOLD
    elif r.refused:
        text, state = f"takes no part: {_refusal(r.refused)}", State.HOLD
    else:
        text, state = _where(lead, c.cell, r)
    return Line(GATE, state, f"cell {c.cell}: {text}", data | {"away_s": away_s if r else None})


def _unknown(lead: Lead) -> str:
    if lead.change.channel != STABLE:
        return f"its version knows no channel {lead.change.channel}, so it is granted nothing of it"
    return "its version takes no settings from a conductor"


def _refusal(number: int) -> str:
    """A later cell may have reasons that this version has no words for."""
    return REFUSALS.get(number, REFUSALS[Refusal.OTHER])


def _where(lead: Lead, cell: str, r: CellReport) -> tuple[str, State]:
    """What a cell that is heard says of itself."""
    ring, granted = lead.blueprint.ring, lead.granted(cell)
    planned = lead.plan[-1].uptos.get(cell, 0) if lead.plan else 0
    if r.phase is CellPhase.WITHDRAWN and r.cause is Cause.CONDUCTOR:
        return "its endpoints were concerned too late and had no ring; lead it again for them", State.HOLD
    if r.phase is CellPhase.NOBODY or (not planned and not r.treated):
        return _in_no_ring(r.eligible, over=lead.blueprint.phase is Phase.COMPLETED), State.OK
    if r.phase is CellPhase.HALTED:
        return f"halted ({r.cause.value}), {r.treated} treated", State.HALT
    if r.phase is CellPhase.WITHDRAWN:
        return "withdrawn by its people; drain it, or start anew", State.HOLD
    if r.phase is CellPhase.COMPLETED:
        return f"completed, {r.treated} treated", State.OK
    if r.phase is CellPhase.HOLDING and r.cause is not Cause.CONDUCTOR:
        return f"it holds by itself ({r.cause.value}), {r.treated} of {granted} treated", State.HOLD
    if r.ring < ring or not r.passed:
        return f"ring {max(r.ring, 0) + 1} goes on there: {r.treated} of {granted} treated", State.WAIT
    return f"has passed ring {r.ring + 1}: {r.treated} of {granted} treated", State.OK


def _in_no_ring(eligible: int, *, over: bool) -> str:
    """A cell without a draft does not say whom it concerns there by now, so neither does this."""
    if not over:
        return f"{eligible} endpoints, none of them in a ring yet"
    if eligible:
        return f"{eligible} endpoints, whom it concerns only since its last ring was planned"
    return "it concerned nobody there while there were rings to plan; lead it again for whom it does since"


def _opened(lead: Lead, cells: tuple[Standing, ...], now_ms: int) -> Lead:
    """The newest ring of the plan is granted to one cell after the other, while nothing holds."""
    if lead.blueprint.phase is not Phase.ROLLING:
        return lead
    turns = {c.cell: len(lead.plan) for c in cells if _may_open(lead, c) and not later(lead, c.cell, cells, now_ms)}
    opened = dict(lead.opened) | {c: n for c, n in turns.items() if n > lead.opened.get(c, 0)}
    return replace(lead, opened=opened) if opened != dict(lead.opened) else lead


def _may_open(lead: Lead, c: Standing) -> bool:
    told = c.report is not None and not c.report.refused
    return c.takes_part and not c.doubt and told and follows(lead, c)


def later(lead: Lead, cell: str, cells: tuple[Standing, ...], now_ms: int) -> str:
    """Why the ring in progress is not opened to a cell yet; "" = it is its turn."""
    opened_ms = lead.blueprint.ring_opened_ms
    if not opened_ms or not lead.plan or cell not in lead.cells:
        return "no ring is open"
    ring, place = lead.plan[-1], lead.cells.index(cell)
    step_s = lead.policy.region_stagger_s or ring.bake_s // STAGGER_OF_BAKE
    turn_ms = opened_ms[-1] + place * step_s * 1000
    if now_ms < turn_ms:
        return f"ring {ring.name} opens here in {brake.span((turn_ms - now_ms) // 1000)}"
    unwell = (c.cell for c in cells if c.cell in lead.cells[:place] and _unwell(lead, c, now_ms))
    first = next(unwell, "")
    return f"ring {ring.name} waits for cell {first}, which opens it before" if first else ""


def _unwell(lead: Lead, c: Standing, now_ms: int) -> bool:
    return _line(lead, c, now_ms).state not in (State.OK, State.WAIT)


def grants(lead: Lead, cells: tuple[Standing, ...], report: Report, now_ms: int) -> dict[str, Grant]:
    """One grant for each cell that takes part and is believed. Signed by whoever calls."""
    made: dict[str, Grant] = {}
    for c in cells:
        if c.takes_part and not c.doubt and follows(lead, c):
            made[c.cell] = _grant(lead, c, cells, report, now_ms)
    return made


def _grant(lead: Lead, c: Standing, cells: tuple[Standing, ...], report: Report, now_ms: int) -> Grant:
    stand, why = _stand(lead, report)
    opened = lead.opened.get(c.cell, 0)
    if stand is Stand.GO and opened < len(lead.plan):
        why = later(lead, c.cell, cells, now_ms) or why
    rings = tuple(GrantedRing(r.name, r.bake_s, r.uptos.get(c.cell, 0)) for r in lead.plan[:opened])
    return Grant(
        lead.lead_id, c.link_id, c.cell, lead.blueprint.generation, stand, why, lead.title, lead.filter,
        *words(lead), rings, now_ms,
        now_ms + GRANT_S * 1000, lead.salt, _draw_below(lead, c.cell, stand, opened),
        retry=stand is Stand.HOLD and lead.blueprint.retry and c.leads >= AGAIN_KNOWN,
    )  # fmt: skip


def words(lead: Lead) -> tuple[str, str]:
    """Change and policy as cells get them: what they have once been told never changes by a letter."""
    if lead.told:
        return lead.told[0], lead.told[1]
    return (encode_sparse(lead.change).decode(),
            encode_sparse(cell_policy(lead.policy, len(lead.cells))).decode())  # fmt: skip


def _draw_below(lead: Lead, cell: str, stand: Stand, opened: int) -> int:
    """The share of a release's draw that a cell has: it never falls, and a halt has none."""
    if not lead.salt or stand is Stand.HALT:
        return 0
    if stand is Stand.DONE:
        return U_END
    return max((share(r.uptos.get(cell, 0), r.sizes.get(cell, 0)) for r in lead.plan[:opened]), default=0)


def _stand(lead: Lead, report: Report) -> tuple[Stand, str]:
    phase, why = lead.blueprint.phase, report.lines[0].text if report.lines else lead.blueprint.why
    if phase in (Phase.HALTED, Phase.WITHDRAWN):
        return Stand.HALT, why
    if phase is Phase.COMPLETED:
        return Stand.DONE, why
    return (Stand.GO if phase is Phase.ROLLING else Stand.HOLD), why


def over(lead: Lead) -> bool:
    """Whether nothing more is opened by this lead."""
    return lead.blueprint.phase in EXPOSED_NO_MORE
