"""The brake: halt, hold or promote. Pure; asked before every step and for as long as anybody is exposed.

Invariants: it looks at every exposed ring, not only at the one in progress; silence counts as evidence; missing data
never promotes; absence of alarms never promotes either (that is the planner's further question). Order of the
questions: is my own data fresh, do explicit failures speak (small rings: one holds, two halt), do the e-values speak,
has anybody taken nothing though it is here (`untaken`),
is each exposed ring proven, is the control arm alive. It judges numbers (`summary`), whoever counted them. `alpha` says
at which figure a row halts, `evalue` computes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from brakeline.rollout import evalue, untaken
from brakeline.rollout.alpha import AlphaRow, questions
from brakeline.rollout.evidence import EXPLICIT
from brakeline.rollout.model import Halt, Hold, Line, Policy, Promote, State, Verdict
from brakeline.rollout.summary import Summary

QUORUM: Final = "quorum"
LOST: Final = "lost"
RETRIED: Final = frozenset({QUORUM, LOST, untaken.UNTAKEN})  # what offering it again can end
EVERYBODY: Final = "all classes"
UNPROVEN_MIN: Final = 2  # in a ring that statistics speak for one closed lid is no reason to hold
NEGLIGIBLE: Final = math.log(1e-4)  # of what halts: questions that say less are not added up
CONTROL_DARK_SHARE: Final = 0.5  # fewer controls heard than this: the comparison itself is gone


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict, and every question with its answer."""

    verdict: Verdict
    lines: tuple[Line, ...]
    dark: frozenset[str] = frozenset()  # regions whose control arm is dark: held alone, the others go on


def judge(policy: Policy, seen: Summary, now_ms: int) -> Judgement:
    """What the evidence says now."""
    controls = _controls(seen)
    dark = frozenset(x.data["region"] for x in controls if x.state is State.UNKNOWN)
    lines = (
        _fresh(policy, seen, now_ms),
        _small_rings(policy, seen),
        *_silence(policy, seen, dark),
        *_given_up(seen),
        *_statistics(policy, seen),
        *_untaken(policy, seen),
        *_quorum(policy, seen),
        _all_dark(seen, dark),
        *controls,
    )
    halts = [x for x in lines if x.state is State.HALT]
    holds = [x for x in lines if x.state is State.HOLD]
    verdict: Verdict = Promote()
    if halts:
        verdict = Halt(halts[0].text, halts[0].data)
    elif holds:
        verdict = Hold(holds[0].text, holds[0].data, unproven=all(x.gate in RETRIED for x in holds))
    return Judgement(verdict, lines, dark)


def _fresh(policy: Policy, seen: Summary, now_ms: int) -> Line:
    """Rule 11: a brake that does not hear the fleet holds."""
    if not seen.treated:
        return Line("own data", State.OK, "nobody is exposed yet")
    ahead_s = (seen.data_ms - now_ms) // 1000
    if ahead_s > policy.data_age_max_s:
        text = (
            f"the newest check-in lies {span(ahead_s)} in the future: this server's clock was put back. Nothing opens "
            "until it is right again, or that time has come"
        )
        return Line("own data", State.HOLD, text, {"ahead_s": ahead_s})
    age_s = max(0, now_ms - seen.data_ms) // 1000
    if age_s > policy.data_age_max_s:
        text = f"no check-in from any endpoint of this rollout for {age_s} s (limit {policy.data_age_max_s} s)"
        return Line("own data", State.HOLD, text, {"age_s": age_s})
    return Line("own data", State.OK, f"newest check-in is {age_s} s old", {"age_s": age_s})


def _small_rings(policy: Policy, seen: Summary) -> Line:
    """Rule 8: one explicit failure that cannot pre-exist the change holds, two halt; of a release one halts."""
    small = seen.small_rings(policy)
    failed = sum(p.failed for p in seen.parts if p.ring in small)
    news = sum(p.failed_news for p in seen.parts if p.ring in small)
    data = {"failed": [f.endpoint_id for f in seen.names.failed]}
    if not failed:
        return Line("explicit failures", State.OK, "no update failed in a way that the update must have caused", data)
    first = f"; {seen.names.failed[0].endpoint_id}: {seen.names.failed[0].detail}" if seen.names.failed else ""
    text = f"{failed} of {seen.treated} treated failed through the update itself{first}"
    if news and failed >= policy.small_halts:
        return Line("explicit failures", State.HALT, text, data)
    if news:
        return Line("explicit failures", State.HOLD, text + " (one holds, two halt; a person may resume)", data)
    return Line("explicit failures", State.OK, text + " (set aside by a person; the next one halts)", data)


def _silence(policy: Policy, seen: Summary, dark: frozenset[str]) -> list[Line]:
    """Releases of ours in small rings: who took one and stays away longer than its class does, while controls are
    heard, has lost its agent. Statistics cannot say so of a canary of one.
    """
    if not policy.silence_halts or not seen.compared:
        return []
    lost = [x for x in seen.lost if x.region not in dark]
    data = {"silent": [x.endpoint_id for x in lost]}
    if not lost:
        return [Line("silence", State.OK, "every endpoint that took the release is heard", data)]
    away = span(lost[0].away_s)
    text = f"{lost[0].endpoint_id} took the release and has not been heard for {away}, while controls are"
    return [Line("silence", State.HALT, text, data)]


def _given_up(seen: Summary) -> list[Line]:
    """In a small ring every result counts, so one that does not come must not be waited for without an end: who is away
    for longer than its class ever is, is taken for lost. That holds; what to do about it is a person's question.
    """
    if not seen.given_up:
        return []
    names = [x.endpoint_id for x in seen.given_up]
    shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    away = span(max(x.away_s for x in seen.given_up))
    text = (
        f"taken for lost: {shown}, offered the change, told no result and not heard for {away}. Heard again it goes on "
        "by itself; else look at the machine, then resume, which sets it aside for another one, or brake"
    )
    return [Line(LOST, State.HOLD, text, {"lost": names})]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one question says. `together`: alpha x e-value summed over its checkpoint, told where that alone halts."""

    row: AlphaRow
    log_e: float
    together: float = 0.0

    @property
    def over(self) -> float:
        """log of its alpha x e-value: from 0 on it halts by itself."""
        return self.log_e - self.row.bar


def _statistics(policy: Policy, seen: Summary) -> list[Line]:
    """Rules 5 to 7: every row of the alpha table that has data. One line for the strongest of each signal."""
    lines = [_statistic_line(policy, answer) for answer in _told(list(_answers(policy, seen)))]
    if not seen.table:
        lines.append(Line("statistics", State.UNKNOWN, "no checkpoint has passed for a treated endpoint with controls"))
    return lines


def _answers(policy: Policy, seen: Summary) -> Iterator[_Answer]:
    """Those that can be the strongest of their signal, or are worth adding up."""
    strongest: dict[str, float] = {}
    rows, small = questions(policy, seen.attributes), seen.small_rings(policy)
    told = [*seen.table, *((EXPLICIT, -1, group) for group in seen.ended)]
    for key in sorted(k for k in told if k in rows):
        row, best = rows[key], strongest.get(key[0], -math.inf)
        if _ceiling(seen.table.get(key)) - row.bar <= min(best, NEGLIGIBLE):
            continue
        log_e = _row_value(policy, row, seen, small)
        if log_e is not None:
            strongest[row.signal] = max(best, log_e - row.bar)
            yield _Answer(row, log_e)


def _told(answers: Sequence[_Answer]) -> list[_Answer]:
    """The strongest of each signal, and of a checkpoint whose questions halt together the strongest of them.

    The questions of one checkpoint are asked of one draw of lots, so the mean of their e-values, weighted by alpha, is
    an e-value: they halt together when the sum of alpha x e-value reaches 1, which is never later than the loudest
    alone. Checkpoints follow one another, and what the first has shown says who is treated: they are not added.
    """
    found: dict[str, _Answer] = {}
    for answer in answers:
        found[answer.row.signal] = max(found.get(answer.row.signal, answer), answer, key=lambda x: x.over)
    if all(x.over < 0 for x in found.values()):
        for checkpoint in sorted({x.row.checkpoint for x in answers}):
            mine = [x for x in answers if x.row.checkpoint == checkpoint]
            together = math.fsum(math.exp(x.over) for x in mine)
            if together >= 1:
                lead = max(mine, key=lambda x: x.over)
                found[lead.row.signal] = replace(lead, together=together)
    return list(found.values())


def _ceiling(rings: Mapping[int, Sequence[float]] | None) -> float:
    """What the rings say, multiplied or averaged, is never above the product of those that speak for harm."""
    return math.fsum(max(0.0, *bets) for bets in rings.values()) if rings else math.inf


def _row_value(policy: Policy, row: AlphaRow, seen: Summary, small: frozenset[int]) -> float | None:
    if row.signal == EXPLICIT:
        n, x = seen.ended.get(row.group, (0, 0))
        speaks = n >= policy.small_ring or any(p.ring not in small for p in seen.parts)  # else rule 8 does
        return evalue.one_sample(n, x, policy.failure_baseline) if n and speaks else None
    rings = seen.table.get((row.signal, row.checkpoint, row.group))
    return over_rings(rings, seen.linked) if rings else None


def over_rings(rings: Mapping[int, Sequence[float]], linked: frozenset[int] = frozenset()) -> float:
    """log of the e-value of all rings together, from the logs of each ring's bets.

    A bet that begins with ring n is carried on, bet by bet, through the rings after it while these are `linked`: they
    share no controls, so e-values multiply. It ends before a ring that shares controls with earlier ones; there the
    next begins. Of those that begin with the n-th ring 2^-n of the stake is put on: a mean with fixed weights stays an
    e-value. The first rings are the cheapest to stop in and have the least evidence. What is staked on rings that have
    no data, and on all that are never opened, counts as 1.
    """
    terms, rest = [], 1.0
    for ring, bets in evalue.carried(rings, linked).items():
        terms.append(evalue.log_mean_exp(bets) - (ring + 1) * math.log(2))
        rest -= 0.5 ** (ring + 1)
    top = max([*terms, 0.0])
    return top + math.log(sum(math.exp(t - top) for t in terms) + max(rest, 0.0) * math.exp(-top))


def _statistic_line(policy: Policy, answer: _Answer) -> Line:
    row, log_e = answer.row, answer.log_e
    data = {"signal": row.signal, "checkpoint": row.checkpoint, "group": row.group, "log_e": round(log_e, 3),
            "bar": round(row.bar, 3)}  # fmt: skip
    text = says(policy, row, log_e)
    if answer.together:
        text += f"; all questions{_at(policy, row)} together: {answer.together:.2f} of what halts"
        data["together"] = round(answer.together, 3)
    halted = answer.over >= 0 or answer.together >= 1
    return Line(f"excess {row.signal}", State.HALT if halted else State.OK, text, data)


def says(policy: Policy, row: AlphaRow, log_e: float) -> str:
    """What one question says, in words."""
    evidence = f"log evidence {round(log_e, 1) + 0.0:.1f}, the brake acts at {row.bar:.1f}"
    return f"{row.signal} ({row.group}{_at(policy, row)}): {evidence}"


def _at(policy: Policy, row: AlphaRow) -> str:
    return "" if row.checkpoint < 0 else f" at {span(policy.checkpoints_s[row.checkpoint])}"


def _untaken(policy: Policy, seen: Summary) -> list[Line]:
    """Offered, in contact, and nothing taken. A restart that is put off is the people's business."""
    rings: dict[int, tuple[int, int]] = {}
    for p in seen.parts if not seen.change.is_restart else ():
        asked, idle = rings.get(p.ring, (0, 0))
        rings[p.ring] = asked + p.asked, idle + p.untaken
    row = questions(policy, seen.attributes)[(untaken.UNTAKEN, -1, "all")]
    found = untaken.line(rings, seen.small_rings(policy), seen.names.untaken, row.bar)
    return [found] if found else []


def span(seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    if seconds < 120:
        return f"{seconds} s"
    return f"{hours} h {minutes:02}" if hours else f"{minutes} min"


def _quorum(policy: Policy, seen: Summary) -> Iterable[Line]:
    """Rules 9, 11: of the treated past their first checkpoint, per ring and class, enough are known on the new version.

    In rings too small for statistics they must be there, too: nothing else would notice one that dies later. In larger
    ones who goes away is compared with controls, and a weekend holds nothing up.
    """
    small = seen.small_rings(policy)
    parts: dict[tuple[int, str], list[int]] = {}
    for p in seen.parts:
        good = p.passed_proven if p.ring in small else p.passed_known
        for group in (p.machine_class, *(() if p.ring in small else (EVERYBODY,))):
            sums = parts.setdefault((p.ring, group), [0, 0])
            sums[0] += p.passed
            sums[1] += good
    for (ring, group), (passed, good) in sorted(parts.items()):
        if not passed:
            continue
        missing = seen.names.unproven.get((ring, group), ())
        alone = ring not in small and passed - good < UNPROVEN_MIN
        enough = good >= policy.quorum * passed - 1e-9 or alone
        text = f"ring {ring + 1}, {group}: {good} of {passed} proven on the new version"
        if not enough and missing:
            text += f"; not proven: {', '.join(missing[:5])}{' …' if passed - good > 5 else ''}"
        data = {"ring": ring, "class": group, "proven": good, "of": passed, "missing": list(missing)}
        yield Line(QUORUM, State.OK if enough else State.HOLD, text, data)


def _all_dark(seen: Summary, dark: frozenset[str]) -> Line:
    """Regions fail alone; only when every one that could go on is dark does the rollout hold as a whole."""
    left = {r for r in seen.places.regions() if seen.places.eligible(r)}
    if left and left <= dark:
        return Line("control arms", State.HOLD, "the control arm is dark in every region", {"regions": sorted(dark)})
    return Line("control arms", State.OK, "at least one region can be compared", {"dark": sorted(dark)})


def _controls(seen: Summary) -> list[Line]:
    """Rule 11: a comparison needs both arms; when most controls are dark nobody can tell harm from an outage.

    A region is judged as a whole: that its laptops sleep at night is no outage, and who sleeps takes nothing.
    """
    sums: dict[str, list[int]] = {}
    for arm in seen.controls:
        mine = sums.setdefault(arm.region, [0, 0])
        mine[0] += arm.controls
        mine[1] += arm.heard
    lines = []
    for region, (controls, heard) in sorted(sums.items()):
        dark = heard < CONTROL_DARK_SHARE * controls
        text = f"{region or 'region unnamed'}: {heard} of {controls} controls heard"
        text += ": nothing is offered there until they are" if dark else ""
        data = {"region": region, "heard": heard, "of": controls}
        lines.append(Line("control arm", State.UNKNOWN if dark else State.OK, text, data))
    return lines
