"""What the planner proposes, cut down to what the limits over all rollouts leave, and said in its report. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from brakeline.rollout import budget
from brakeline.rollout.budget import FREEZE_WINDOW, Allowance
from brakeline.rollout.model import Arm, Blueprint, Line, Report, State
from brakeline.rollout.situation import Situation
from brakeline.rollout.store.arms import Target


def within(situation: Situation, proposed: Blueprint, report: Report, allowed: Allowance,
           now_ms: int) -> tuple[Blueprint, Report]:  # fmt: skip
    """What the planner proposes, with no gate that the limits do not cover; the report says so first. Pure."""
    row, seen = situation.row, situation.summary
    treated_in = {(t.region, t.tick): t.treated for t in seen.ticks}
    fitted, lines = budget.fit(
        row.blueprint, proposed, allowed, treated_in, lambda region, n: seen.places.untreated(region).at(n), now_ms,
        row.report.lines,
    )  # fmt: skip
    if row.change.release is not None:
        treated = {s.endpoint_id for s in situation.subjects if s.arm is Arm.TREATED}
        draws: dict[str, list[int]] = {t.region: [] for t in situation.targets}
        for t in situation.targets:
            if t.endpoint_id not in treated:
                draws[t.region].append(t.u)
        lines = budget.leased_within(lines, fitted, treated_in, draws)
    return fitted, Report(budget.waits_first(report.lines, lines))


def notes(targets: Iterable[Target], partly: Iterable[tuple[str, frozenset[str]]]) -> tuple[Line, ...]:
    """Which part of a rollout's endpoints waits for which limit."""
    targets = tuple(targets)
    lines = [
        Line(FREEZE_WINDOW, State.WAIT, f"{in_force}: {n} of {len(targets)} endpoints are offered nothing", {"n": n})
        for in_force, ids in partly if (n := sum(t.endpoint_id in ids for t in targets))
    ]  # fmt: skip
    reasons: dict[str, int] = {}
    for t in targets:
        if t.blocked_code == budget.GROUP_BUDGET:
            said = t.blocked_reason.partition(";")[0]
            reasons[said] = reasons.get(said, 0) + 1
    lines += [Line(budget.BUDGET, State.WAIT, f"{said}: {n} wait for it", {"n": n}) for said, n in reasons.items()]
    return tuple(lines)
