"""The brake: halt, hold or promote. Pure; asked before every step and for as long as anybody is exposed.

Invariants: it looks at every exposed ring, not only at the one in progress; silence counts as evidence; missing data
never promotes; absence of alarms never promotes either (that is the planner's further question). Order of the
questions: is my own data fresh, do explicit failures speak (small rings: one holds, two halt), do the e-values speak,
is each exposed ring proven, is the control arm alive. `alpha` says at which figure a row halts, `evalue` computes it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from brakeline.rollout import evalue
from brakeline.rollout.alpha import MARGINS, AlphaRow, alpha_table
from brakeline.rollout.evidence import EXPLICIT, Counts, Row, due, groups, tabulate
from brakeline.rollout.model import (
    Arm,
    Halt,
    Hold,
    Line,
    Observed,
    Policy,
    Progress,
    Promote,
    State,
    Subject,
    Turn,
    Verdict,
)

ENDED: Final = frozenset({Progress.INSTALLED, Progress.FAILED})
SILENCE_CHECKPOINTS: Final = 2  # passed since ready before one silent endpoint halts a release in a small ring
QUORUM: Final = "quorum"
CONTROL_DARK_SHARE: Final = 0.5  # fewer controls heard than this: the comparison itself is gone


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict, and every question with its answer."""

    verdict: Verdict
    lines: tuple[Line, ...]
    dark: frozenset[str] = frozenset()  # regions whose control arm is dark: held alone, the others go on


def judge(policy: Policy, observed: Observed, turns: tuple[Turn, ...], open_ticks: frozenset[int],
          now_ms: int) -> Judgement:  # fmt: skip
    """What the evidence says now."""
    treated = [s for s in observed.subjects if s.arm is Arm.TREATED]
    controls = _controls(policy, observed, now_ms)
    dark = frozenset(x.data["region"] for x in controls if x.state is State.UNKNOWN)
    lines = (
        _fresh(policy, observed, treated, now_ms),
        _small_rings(policy, treated),
        *_silence(policy, observed, treated, dark, now_ms),
        *_statistics(
            policy,
            observed,
            treated,
            tabulate(policy, observed.subjects, turns, open_ticks, observed.resumed_ms, now_ms),
        ),
        *_quorum(policy, treated, now_ms),
        _all_dark(observed, dark),
        *controls,
    )
    halts = [x for x in lines if x.state is State.HALT]
    holds = [x for x in lines if x.state is State.HOLD]
    verdict: Verdict = Promote()
    if halts:
        verdict = Halt(halts[0].text, halts[0].data)
    elif holds:
        verdict = Hold(holds[0].text, holds[0].data, unproven=all(x.gate == QUORUM for x in holds))
    return Judgement(verdict, lines, dark)


def _fresh(policy: Policy, observed: Observed, treated: list[Subject], now_ms: int) -> Line:
    """Rule 11: a brake that does not hear the fleet holds."""
    if not treated:
        return Line("own data", State.OK, "nobody is exposed yet")
    age_s = max(0, now_ms - observed.data_ms) // 1000
    if age_s > policy.data_age_max_s:
        text = f"no check-in from any endpoint of this rollout for {age_s} s (limit {policy.data_age_max_s} s)"
        return Line("own data", State.HOLD, text, {"age_s": age_s})
    return Line("own data", State.OK, f"newest check-in is {age_s} s old", {"age_s": age_s})


def in_small_rings(policy: Policy, treated: Iterable[Subject]) -> list[Subject]:
    """Treated endpoints of rings too small for statistics."""
    rings: dict[int, list[Subject]] = defaultdict(list)
    for s in treated:
        rings[s.ring].append(s)
    return [s for members in rings.values() if len(members) < policy.small_ring for s in members]


def _small_rings(policy: Policy, treated: list[Subject]) -> Line:
    """Rule 8: one explicit failure that cannot pre-exist the change holds, two halt; of a release one halts."""
    failed = [s for s in in_small_rings(policy, treated) if s.explicit]
    news = [s for s in failed if not s.set_aside_ms]
    data = {"failed": [s.endpoint_id for s in failed]}
    if not failed:
        return Line("explicit failures", State.OK, "no update failed in a way that the update must have caused", data)
    first = news[0] if news else failed[0]
    text = (
        f"{len(failed)} of {len(treated)} treated failed through the update itself; {first.endpoint_id}: {first.detail}"
    )
    if news and len(failed) >= policy.small_halts:
        return Line("explicit failures", State.HALT, text, data)
    if news:
        return Line("explicit failures", State.HOLD, text + " (one holds, two halt; a person may resume)", data)
    return Line("explicit failures", State.OK, text + " (set aside by a person; the next one halts)", data)


def _silence(policy: Policy, observed: Observed, treated: list[Subject], dark: frozenset[str],
             now_ms: int) -> list[Line]:  # fmt: skip
    """Releases of ours in small rings: who took one and stays away longer than its class does, while controls are
    heard, has lost its agent. Statistics cannot say so of a canary of one.
    """
    if not policy.silence_halts or not any(s.arm is Arm.CONTROL for s in observed.subjects):
        return []
    lost = [
        s
        for s in in_small_rings(policy, treated)
        if due(policy, s, now_ms) >= SILENCE_CHECKPOINTS
        and not (s.set_aside_ms or s.asleep_now or s.region in dark)
        and now_ms - s.last_heard_ms > policy.return_s(s.machine_class) * 1000
    ]
    data = {"silent": [s.endpoint_id for s in lost]}
    if not lost:
        return [Line("silence", State.OK, "every endpoint that took the release is heard", data)]
    away_s = (now_ms - lost[0].last_heard_ms) // 1000
    text = f"{lost[0].endpoint_id} took the release and has not been heard for {span(away_s)}, while controls are"
    return [Line("silence", State.HALT, text, data)]


def _statistics(policy: Policy, observed: Observed, treated: list[Subject],
                table: dict[Row, dict[int, list[Counts]]]) -> list[Line]:  # fmt: skip
    """Rules 5 to 7: every row of the alpha table that has data. One line for the strongest of each signal."""
    ended = [s for s in treated if s.ready_ms >= observed.resumed_ms and (s.progress in ENDED or s.explicit)]
    strongest: dict[str, tuple[float, AlphaRow, float]] = {}
    for row in alpha_table(policy, observed.attributes):
        log_e = _row_value(policy, row, table, ended)
        if log_e is not None and (row.signal not in strongest or log_e - row.bar > strongest[row.signal][0]):
            strongest[row.signal] = (log_e - row.bar, row, log_e)
    lines = [_statistic_line(policy, row, log_e) for _, row, log_e in strongest.values()]
    if not table:
        lines.append(Line("statistics", State.UNKNOWN, "no checkpoint has passed for a treated endpoint with controls"))
    return lines


def _row_value(
    policy: Policy, row: AlphaRow, table: dict[Row, dict[int, list[Counts]]], ended: list[Subject]
) -> float | None:
    if row.signal == EXPLICIT:
        if len(ended) < policy.small_ring:
            return None  # rule 8 speaks for small rings
        done = [s for s in ended if row.group == "all" or row.group in groups(s)]
        if len(done) < policy.small_ring:
            return None
        return evalue.one_sample(len(done), sum(s.explicit for s in done), policy.failure_baseline)
    rings = table.get((row.signal, row.checkpoint, row.group))
    if not rings:
        return None
    margin = MARGINS[row.signal]
    values = [evalue.excess(b, margin) if margin else evalue.compare(b) for b in rings.values()]
    # Rings may share controls, so their e-values must not be multiplied; a mean with fixed weights stays an e-value.
    # Rings that have no data count as 1.
    places = len(policy.rings) + 1  # the hold-out is a ring of its own
    return evalue.log_mean_exp(values + [0.0] * (places - len(values)))


def _statistic_line(policy: Policy, row: AlphaRow, log_e: float) -> Line:
    at = "" if row.checkpoint < 0 else f" at {span(policy.checkpoints_s[row.checkpoint])}"
    data = {"signal": row.signal, "checkpoint": row.checkpoint, "group": row.group, "log_e": round(log_e, 3),
            "bar": round(row.bar, 3)}  # fmt: skip
    text = f"{row.signal} ({row.group}{at}): log evidence {log_e:.1f}, the brake acts at {row.bar:.1f}"
    halted = log_e >= row.bar
    return Line(f"excess {row.signal}", State.HALT if halted else State.OK, text, data)


def span(seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    if seconds < 120:
        return f"{seconds} s"
    return f"{hours} h {minutes:02}" if hours else f"{minutes} min"


def proven(policy: Policy, s: Subject, now_ms: int) -> bool:
    """Installed, checked in healthy since, and not gone away for longer than its class does."""
    away_ms = now_ms - s.last_heard_ms
    here = s.asleep_now or away_ms <= policy.return_s(s.machine_class) * 1000
    return bool(s.proven_ms) and here and not s.unhealthy_now


def _quorum(policy: Policy, treated: list[Subject], now_ms: int) -> list[Line]:
    """Rules 9, 11: of the treated past their first checkpoint, per ring and class, enough are proven and there."""
    parts: dict[tuple[int, str], list[Subject]] = defaultdict(list)
    for s in treated:
        if not s.set_aside_ms and due(policy, s, now_ms) >= 1:
            parts[(s.ring, s.machine_class)].append(s)
    lines = []
    for (ring, machine_class), members in sorted(parts.items()):
        good = [s for s in members if proven(policy, s, now_ms)]
        missing = [s.endpoint_id for s in members if not proven(policy, s, now_ms)]
        enough = len(good) >= policy.quorum * len(members) - 1e-9
        text = f"ring {ring + 1}, {machine_class}: {len(good)} of {len(members)} proven on the new version"
        if not enough:
            text += f"; not proven: {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}"
        data = {"ring": ring, "class": machine_class, "proven": len(good), "of": len(members), "missing": missing}
        lines.append(Line(QUORUM, State.OK if enough else State.HOLD, text, data))
    return lines


def _all_dark(observed: Observed, dark: frozenset[str]) -> Line:
    """Regions fail alone; only when every one that could go on is dark does the rollout hold as a whole."""
    left = {r for r, us in observed.untreated.items() if us}
    if left and left <= dark:
        return Line("control arms", State.HOLD, "the control arm is dark in every region", {"regions": sorted(dark)})
    return Line("control arms", State.OK, "at least one region can be compared", {"dark": sorted(dark)})


def _controls(policy: Policy, observed: Observed, now_ms: int) -> list[Line]:
    """Rule 11: a comparison needs both arms; when most controls are dark nobody can tell harm from an outage."""
    parts: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for s in observed.subjects:
        if s.arm is Arm.CONTROL and not (s.crossed_ms or s.asleep_now or s.set_aside_ms):
            age_ms = now_ms - s.last_heard_ms
            parts[(s.region, s.machine_class)].append(age_ms <= policy.grace_s(s.machine_class) * 1000)
    lines = []
    for (region, machine_class), heard in sorted(parts.items()):
        dark = sum(heard) < CONTROL_DARK_SHARE * len(heard)
        text = f"{region or 'region unnamed'}, {machine_class}: {sum(heard)} of {len(heard)} controls heard"
        text += ": nothing is offered there until they are" if dark else ""
        state = State.UNKNOWN if dark else State.OK
        lines.append(Line("control arm", state, text, {"region": region, "heard": sum(heard), "of": len(heard)}))
    return lines
