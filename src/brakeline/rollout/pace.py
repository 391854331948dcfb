"""Which pace? What waiting costs against what hurrying costs, as a table and in sentences. Pure; expectations only.

Waiting leaves endpoints exposed to what the change closes; hurrying lets a bad change reach more of them before the
brake can tell, and more still where harm shows late. Invariants: without data on risk the answer is careful; how bad a
flaw is never hurries anything, only whether it is exploited does; nothing here starts anything, and whatever is less
careful than careful takes two people (`lanes`). `timeline` has the figures of one pace, `pace_text` the sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brakeline.advisories.model import LIKELY, VERY_LIKELY
from brakeline.core.errors import Invalid
from brakeline.rollout.lanes import why_fast
from brakeline.rollout.model import Change
from brakeline.rollout.presets import PACES, policy_for
from brakeline.rollout.timeline import Timeline, timeline

CAREFUL: Final = "careful"
CHOICES: Final = (CAREFUL, "fast", "emergency")  # from the slowest on; a rehearsal is none of them
BY_RISK: Final = "risk"  # a person's word for "as suggested"
FAST_FROM: Final = LIKELY  # EPSS: probability of attempts within 30 days from which on the fast pace is weighed
EMERGENCY_FROM: Final = VERY_LIKELY  # and the emergency lane
EXPLOITED_A_DAY: Final = 0.003  # of exposed endpoints are broken into a day where it is exploited; own assumption
BAD_CHANGES: Final = 0.001  # of changes harm those who take them, each of `FAULTS` as often; own assumption
CLEARLY: Final = 1.5  # by this factor a faster pace must cost less than a slower one
REASON_CHARS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Fault:
    """A bad change: the share of endpoints that it takes down, and how long after they took it that shows."""

    name: str
    share: float
    after_h: float = 0.0


FAULTS: Final = (
    Fault("all at once", 1.0), Fault("5 % at once", 0.05), Fault("1 % at once", 0.01), Fault("0.1 % at once", 0.001),
    Fault("all, a day later", 1.0, 24.0),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Risk:
    """What is known of what the change closes. `assessed` False = nothing is known, which is not "no risk"."""

    assessed: bool
    closes: int = 0  # vulnerabilities
    exploited: tuple[str, ...] = ()  # of them, known to be exploited
    exposed: int = 0  # endpoints on which any of them stands open
    epss: float | None = None  # the highest of theirs; None = no such data is loaded
    cvss: float | None = None  # the same; says how bad, never how likely
    at_risk: float | None = None  # endpoints, each by how likely the likeliest of what is closed there is exploited: 1
    # for what is known to be, EPSS for the rest; None = all that are exposed, by the likeliest of all
    epss_note: str = ""  # why `epss` is None, or of which day it is
    due: str = ""  # the earliest day by which any of it is to be closed; "" = none is known


@dataclass(frozen=True, slots=True)
class Harm:
    """What a fault is expected to do at one pace: to everybody who has the change when it is found, as it shows on all
    of them sooner or later. `found` False = not in time: not told from chance, or too late to spare anybody."""

    fault: str
    harmed: float
    taken: int  # endpoints that have the change when it is found
    found: bool


@dataclass(frozen=True, slots=True)
class Option:
    """One pace, weighed."""

    pace: str
    hours: float  # until its last ring has baked, if nothing goes wrong
    rings: tuple[int, ...]  # cumulative
    exposed_days: float  # endpoints times days that they stay exposed
    harms: tuple[Harm, ...]
    allowed: bool  # by what is known of the risk
    two_people: str = ""  # why it takes them, "" = it does not
    cost: float = 0.0  # endpoints expected to be lost either way, by the assumptions above: the sum of the next two
    waiting: float = 0.0  # broken into while they wait
    hurrying: float = 0.0  # taken down by a bad change


@dataclass(frozen=True, slots=True)
class Advice:
    """The pace that is suggested, why, and everything that was weighed."""

    suggested: str
    why: str
    risk: Risk
    options: tuple[Option, ...]
    sentences: tuple[str, ...] = ()

    def option(self, pace: str) -> Option | None:
        """The figures of a pace; None for one that is not weighed (a rehearsal)."""
        return next((o for o in self.options if o.pace == pace), None)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The pace that a rollout was made with, beside what was suggested then, and why a person chose otherwise."""

    pace: str
    suggested: str
    why: str  # of the suggestion
    reason: str = ""
    by: str = ""
    sentences: tuple[str, ...] = ()


def weigh(risk: Risk, change: Change, size: int, regions: int = 1) -> tuple[Option, ...]:
    """Every pace for `size` endpoints, the slowest first."""
    return tuple(_option(pace, risk, change, size, regions) for pace in CHOICES) if size else ()


def suggest(options: tuple[Option, ...]) -> str:
    """The slowest pace of those that the risk allows, unless a faster one costs clearly less."""
    best: Option | None = None
    for option in options:
        if option.allowed and (best is None or option.cost * CLEARLY < best.cost):
            best = option
    return best.pace if best else CAREFUL


def settle(advice: Advice, pace: str, reason: str, by: str) -> Chosen:
    """The pace that is taken. Raises `Invalid` for one that there is not, and for another one without a reason."""
    if pace not in (BY_RISK, *PACES):
        raise Invalid(f"no pace {pace[:40]!r}; there are {', '.join((BY_RISK, *PACES))}")
    if len(reason) > REASON_CHARS_MAX:
        raise Invalid(f"a reason has at most {REASON_CHARS_MAX} characters")
    wanted, reason = advice.suggested if pace == BY_RISK else pace, reason.strip()
    if wanted in CHOICES and wanted != advice.suggested and not reason:
        raise Invalid(
            f"{wanted} is not the pace that is suggested: {advice.suggested}, because {advice.why}. "
            "Say why (pace_reason, --why), or take the suggested one (risk)",
            suggested=advice.suggested,
        )
    return Chosen(wanted, advice.suggested, advice.why, reason, by, advice.sentences)


def _option(pace: str, risk: Risk, change: Change, size: int, regions: int) -> Option:
    policy = policy_for(size, pace)
    line = timeline(policy, change, size, regions)
    harms = tuple(_harm(line, fault) for fault in FAULTS)
    exposed_days = risk.exposed * line.mean_wait_h / 24
    waiting = a_day(risk) * line.mean_wait_h / 24
    hurrying = BAD_CHANGES * sum(h.harmed for h in harms) / len(harms)
    uptos = tuple(r.upto for r in line.rings)
    two = "" if pace == CAREFUL else why_fast(policy, change, size)
    return Option(pace, line.hours, uptos, exposed_days, harms, _allowed(pace, risk), two,
                  waiting + hurrying, waiting, hurrying)  # fmt: skip


def a_day(risk: Risk) -> float:
    """Endpoints expected to be broken into in a day of waiting. What nothing says is likely counts as nothing here,
    which is why it hurries nobody; it is not called safe."""
    if risk.at_risk is not None:
        return EXPLOITED_A_DAY * risk.at_risk
    return EXPLOITED_A_DAY * risk.exposed * (1.0 if risk.exploited else risk.epss or 0.0)


def _allowed(pace: str, risk: Risk) -> bool:
    """Whether what is known of the risk is reason enough to weigh this pace at all."""
    likely = 1.0 if risk.exploited else risk.epss or 0.0
    bound = {"careful": 0.0, "fast": FAST_FROM, "emergency": EMERGENCY_FROM}[pace]
    return pace == CAREFUL or (risk.assessed and likely >= bound)


def _harm(line: Timeline, fault: Fault) -> Harm:
    found_h = line.found_h(fault.share, fault.after_h)
    if found_h is None:
        return Harm(fault.name, fault.share * line.size, line.size, False)
    taken = line.taken_by(found_h)
    return Harm(fault.name, fault.share * taken, round(taken), True)
