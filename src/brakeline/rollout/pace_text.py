"""The pace and what it trades, in sentences and a table for people: the same in console, command line and API. Pure.

Every sentence has the figures of `pace` in it and says which side it speaks of; the assumptions are said, too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.rollout.model import Change, Line, State
from brakeline.rollout.pace import (
    BAD_CHANGES,
    CAREFUL,
    CHOICES,
    EXPLOITED_A_DAY,
    Advice,
    Chosen,
    Harm,
    Option,
    Risk,
    a_day,
    suggest,
    weigh,
)

GATE: Final = "pace"
CVES_NAMED: Final = 3
HEAD: Final = ("pace", "earliest end", "rings", "endpoint-days exposed", "lost by waiting", "lost by a bad change", *(
    f"reached by: {n}" for n in (
    "all at once", "5 % at once", "1 % at once", "0.1 % at once", "all, a day later")))  # fmt: skip


def advise(risk: Risk, change: Change, size: int, regions: int = 1) -> Advice:
    """The suggestion for a change over `size` endpoints, with all that was weighed, told."""
    options = weigh(risk, change, size, regions)
    suggested = suggest(options)
    found = Advice(suggested, _why(risk, options, suggested), risk, options)
    return replace(found, sentences=sentences(found))


def sentences(advice: Advice) -> tuple[str, ...]:
    """What waiting costs, what hurrying costs, what follows, on what grounds."""
    said = [known(advice.risk)]
    if advice.options:
        said += [_waiting(advice), *_a_day(advice.risk), *(_hurrying(advice.options[0], o) for o in advice.options[1:])]
        said.append(_trade(advice.options))
        said.append(
            f"Expectations, not promises: {100 * EXPLOITED_A_DAY:g} % of exposed endpoints broken into a day where it "
            f"is exploited, one bad change in {round(1 / BAD_CHANGES):,}, everybody there when a ring opens, no budget "
            "or freeze window in the way."
        )
    said.append(f"Suggested: {advice.suggested}, because {advice.why}.")
    return tuple(said)


def known(risk: Risk) -> str:
    """What is known of the risk, and what is not."""
    if not risk.assessed:
        return "No data on risk: nobody knows what this closes, so the pace is careful."
    text = f"Closes {count(risk.closes, 'vulnerability', 'vulnerabilities')} on {count(risk.exposed, 'endpoint')}"
    if risk.exploited:
        more = len(risk.exploited) - CVES_NAMED
        names = ", ".join(risk.exploited[:CVES_NAMED]) + (f" and {more} more" if more > 0 else "")
        text += f"; known to be exploited: {names}"
    else:
        text += "; none is known to be exploited"
    text += f"; the first is due on {risk.due}" if risk.due else ""
    day = f" ({risk.epss_note})" if risk.epss_note else ""
    likely = risk.epss_note or "no EPSS is loaded" if risk.epss is None else f"EPSS up to {risk.epss:.2f}{day}"
    bad = "no CVSS is loaded" if risk.cvss is None else f"CVSS up to {risk.cvss:.1f}"
    return f"{text}. {likely[0].upper()}{likely[1:]}, {bad}."


def rows(advice: Advice) -> tuple[tuple[str, ...], ...]:
    """The trade-off as a table below `HEAD`."""
    return tuple(
        (
            o.pace + (" (suggested)" if o.pace == advice.suggested else ""), span(o.hours),
            " / ".join(f"{n:,}" for n in o.rings), f"{o.exposed_days:,.0f}",
            lost(o.waiting), lost(o.hurrying), *map(_reached, o.harms),
        )
        for o in advice.options
    )  # fmt: skip


def chosen_line(chosen: Chosen) -> Line:
    """The pace that was taken, as a line of the report."""
    data = {"pace": chosen.pace, "suggested": chosen.suggested, "reason": chosen.reason, "by": chosen.by,
            "sentences": list(chosen.sentences)}  # fmt: skip
    if chosen.pace == chosen.suggested:
        text = f"pace {chosen.pace}, as suggested: {chosen.why}"
    else:
        text = f"pace {chosen.pace}, chosen by {chosen.by}; {chosen.suggested} was suggested: {chosen.why}"
    return Line(GATE, State.OK, text + (f". {chosen.by}: {chosen.reason}" if chosen.reason else ""), data)


def span(hours: float) -> str:
    """As people say it."""
    if hours >= 36:
        return f"{hours / 24:.1f} d"
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"


def count(n: int, one: str, many: str = "") -> str:
    """With its noun."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _reached(harm: Harm) -> str:
    return f"{harm.taken:,}" if harm.found else f"{harm.taken:,} (all: not found in time)"


def lost(endpoints: float) -> str:
    """An expected number of endpoints, not more exact than it is."""
    return f"{endpoints:,.0f}" if endpoints >= 10 else f"{endpoints:.1f}" if endpoints >= 0.1 else f"{endpoints:.1g}"


def _a_day(risk: Risk) -> tuple[str, ...]:
    """What a day of waiting costs, with the sum that says so."""
    cost = a_day(risk)
    if not cost:
        return ("A day of waiting: nothing says that any of it is exploited or likely to be, so no cost is known.",)
    weight = cost / EXPLOITED_A_DAY
    return (
        f"A day of waiting is expected to cost {lost(cost)} endpoints: {weight:,.1f} endpoints (each counts as 1 where "
        f"it is exploited, else by its likeliest EPSS) times {100 * EXPLOITED_A_DAY:g} %.",
    )


def _trade(options: tuple[Option, ...]) -> str:
    """Both sides in one unit."""
    each = "; ".join(f"{o.pace} {lost(o.waiting)} and {lost(o.hurrying)}" for o in options)
    return f"Endpoints expected to be lost by waiting and by a bad change: {each}."


def _waiting(advice: Advice) -> str:
    slow, *faster = advice.options
    less = "; ".join(f"{o.pace} ends after {span(o.hours)} ({o.exposed_days:,.0f})" for o in faster)
    return (
        f"Waiting: careful ends after {span(slow.hours)} at the earliest and leaves {slow.exposed_days:,.0f} "
        f"endpoint-days exposed; {less}."
    )


def _hurrying(slow: Option, fast: Option) -> str:
    """The faults in which a faster pace is worse."""
    worse = [
        f"{h.taken:,} endpoints instead of {s.taken:,} ({h.fault})"
        for s, h in zip(slow.harms, fast.harms, strict=True)
        if h.taken > s.taken
    ]
    if not worse:
        return f"Hurrying: no fault that was weighed reaches more endpoints at pace {fast.pace}."
    return f"Hurrying: at pace {fast.pace} a bad change reaches more before it is found: {'; '.join(worse)}."


def _why(risk: Risk, options: tuple[Option, ...], suggested: str) -> str:
    if not risk.assessed:
        return "there is no data on risk"
    if not options:
        return "there is nobody to change"
    if suggested != CAREFUL:
        slow, fast = options[0], options[CHOICES.index(suggested)]
        grounds = "it is exploited now" if risk.exploited else f"EPSS says {risk.epss:.0%} within 30 days"
        saved = slow.exposed_days - fast.exposed_days
        return f"{grounds}, and it saves {saved:,.0f} endpoint-days of exposure for what a faster bad change could cost"
    if not any(o.allowed for o in options[1:]):
        return "nothing that it closes is known or likely to be exploited"
    return "a faster pace would risk about as much by a bad change as waiting does"
