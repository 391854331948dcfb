"""What a pool of organisations does to one rollout's plan and to what it says of itself. Pure; `pools` carries it.

A halt that its own evidence would not have made says whose it is, so that people know what to look at, and what they
refuse when two of them resume it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from brakeline.rollout import planner
from brakeline.rollout.model import Blueprint, Line, Phase, Policy, Report, State
from brakeline.rollout.summary import Summary

GATE: Final = "pool"


@dataclass(frozen=True, slots=True)
class Pooled:
    """What a rollout is judged by. `alone`: by its own evidence only, and why; "" = by the pool's too."""

    own: Summary
    seen: Summary
    others: int = 0
    alone: str = ""


def explained(pooled: Pooled, policy: Policy, current: Blueprint, proposed: Blueprint, report: Report,
              now_ms: int) -> tuple[Blueprint, Report]:  # fmt: skip
    """The plan that came of it, saying what the pool has to do with it."""
    line = _line(pooled)
    if line is None:
        return proposed, report
    if proposed.phase is Phase.HALTED and current.phase is not Phase.HALTED and pooled.seen is not pooled.own:
        by_itself, _ = planner.decide(policy, current, pooled.own, now_ms)
        if by_itself.phase is not Phase.HALTED:
            reason = proposed.why.removeprefix("halted: ")
            why = f"halted: evidence of {_organisations(pooled.others)} and this one together: {reason}"
            first = replace(report.lines[0], text=why)
            return replace(proposed, why=why), Report((first, line, *report.lines[1:]))
    return proposed, Report((*report.lines, line))


def _line(pooled: Pooled) -> Line | None:
    if pooled.alone:
        return Line(GATE, State.OK, f"judged by its own evidence alone: {pooled.alone}", {"others": 0})
    if pooled.seen is pooled.own:
        return None
    text = f"judged by its own evidence and that of {_organisations(pooled.others)} with the same change"
    if not pooled.others:
        text = "shares its evidence; no other organisation has told any of this change yet"
    return Line(GATE, State.OK, text, {"others": pooled.others})


def _organisations(n: int) -> str:
    return f"{n} other organisation{'' if n == 1 else 's'}"
