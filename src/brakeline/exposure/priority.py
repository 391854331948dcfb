"""What first? The priority of an open vulnerability, from five questions in order, with a reason for each answer. Pure.

Not a score: a small tree in the manner of SSVC, so that each level can be told in sentences and nothing is a black box.

1. *Is it exploited?* In CISA's catalogue: yes. Else EPSS: very likely (0.5 on), likely (0.1 on), unlikely, not known.
2. *How bad would it be?* CVSS: critical (9 on), high (7 on), moderate; not known counts as high, never as moderate.
3. *Who can reach it?* An endpoint tagged `internet-facing`: everybody. Else: counts as inside, and that is said.
4. *Can it run there?* What is only carried (headers, documents, a kernel that does not run) is tracked, whatever else.
5. *For how long is it open?* What should be attended to is to be acted on after 14 days, what is planned is to be
   attended to after 90.

Invariants: more exploitation, more severity, more reach or more age never lowers a level; without any score the level
is `unrated`, which stands above what is known to be unlikely and moderate. Next: `ranking`, which asks for a fleet.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from brakeline.advisories.model import CRITICAL, HIGH, LIKELY, VERY_LIKELY, Epss, KnownExploited, Severity

INTERNET_TAG: Final = "internet-facing"
ATTEND_DAYS: Final = 14
PLAN_DAYS: Final = 90


class Level(StrEnum):
    """From the most urgent on. The words are SSVC's, but for `plan` (its Track*) and `unrated`."""

    ACT = "act"  # close it now
    ATTEND = "attend"  # sooner than the usual round
    UNRATED = "unrated"  # nothing says how likely or how bad
    PLAN = "plan"  # with the usual round
    TRACK = "track"  # when it comes along


ORDER: Final = {level: rank for rank, level in enumerate(Level)}


class Reason(NamedTuple):
    """One answer. `code` is stable: exploited | likelihood | severity | reach | role | age | level."""

    code: str
    text: str


class Priority(NamedTuple):
    """What to do, and every answer that led there, in the order of the questions; the last one says the rule."""

    level: Level
    reasons: tuple[Reason, ...]


UNJUDGED: Final = Priority(Level.UNRATED, ())


class Facts(NamedTuple):
    """What is known of one vulnerability where it stands open."""

    exploited: KnownExploited | None = None
    epss: Epss | None = None
    severity: Severity | None = None
    internet: bool = False  # an endpoint on which it can run is tagged so
    runs: bool = True  # somewhere; False = it is only carried
    open_days: int | None = None  # since when it is known to stand open, None = not known
    today: str = ""  # ISO day, for dates that are due


def prioritise(facts: Facts) -> Priority:
    """The five questions; see the module."""
    reasons = [_exploitation(facts), _severity(facts.severity), _reach(facts.internet), _age(facts.open_days)]
    if not facts.runs:
        role = Reason("role", "it is only carried (headers, documents, a kernel that does not run)")
        return Priority(Level.TRACK, (*reasons, role, Reason("level", "track: what does not run cannot be exploited")))
    base, rule = _base(facts)
    level, aged = _aged(base, facts)
    return Priority(level, (*reasons, Reason("level", f"{level.value}: {aged or rule}")))


def sort_key(priority: Priority, facts: Facts, endpoints: int) -> tuple[int, int, float, float, int]:
    """Worst first: by level, what is exploited, likelier, worse, more widespread."""
    return (
        ORDER[priority.level], 0 if facts.exploited else 1, -(facts.epss.score if facts.epss else 0.0),
        -(facts.severity.score if facts.severity else 0.0), -endpoints,
    )  # fmt: skip


def _base(facts: Facts) -> tuple[Level, str]:
    """The level before its age counts, and the rule that gave it."""
    if facts.exploited:
        return Level.ACT, "what is exploited is closed now, wherever it can run"
    score = facts.severity.score if facts.severity else None
    if facts.epss is None and score is None:
        return Level.UNRATED, "neither how likely nor how bad it is is known; it stands above what is known to be minor"
    severe = HIGH if score is None else score  # not known is never taken for moderate
    if facts.epss is None:
        return _by_severity(severe, facts.internet)
    if facts.epss.score >= LIKELY:
        return _likely(facts.epss.score, severe, facts.internet)
    if severe >= CRITICAL or (severe >= HIGH and facts.internet):
        return Level.PLAN, "unlikely, but bad where it stands: with the usual round"
    return Level.TRACK, "unlikely, and not bad enough where it stands"


def _likely(likelihood: float, severe: float, internet: bool) -> tuple[Level, str]:
    if likelihood >= VERY_LIKELY and internet:
        return Level.ACT, "very likely to be exploited, and reachable from the internet"
    if likelihood >= VERY_LIKELY:
        return Level.ATTEND, "very likely to be exploited, inside"
    if internet or severe >= HIGH:
        return Level.ATTEND, "likely to be exploited, and bad or reachable from the internet"
    return Level.PLAN, "likely to be exploited, but moderate and inside"


def _by_severity(severe: float, internet: bool) -> tuple[Level, str]:
    """How bad alone, where nothing says how likely: it never makes anybody act at once."""
    if severe >= CRITICAL and internet:
        return Level.ATTEND, "critical and reachable from the internet; how likely is not known"
    if severe >= HIGH:
        return Level.PLAN, "bad; how likely is not known"
    return Level.TRACK, "moderate; how likely is not known"


def _aged(base: Level, facts: Facts) -> tuple[Level, str]:
    """One step up for what stands open longer than its level allows; at most one."""
    days = facts.open_days or 0
    if base is Level.ATTEND and days > ATTEND_DAYS:
        return Level.ACT, f"it was to be attended to within {ATTEND_DAYS} days, and stands open for {days}"
    if base is Level.PLAN and days > PLAN_DAYS:
        return Level.ATTEND, f"it was planned within {PLAN_DAYS} days, and stands open for {days}"
    return base, ""


def _exploitation(facts: Facts) -> Reason:
    known = facts.exploited
    if known:
        late = ", which is past" if facts.today and known.due < facts.today else ""
        more = "; used by ransomware" if known.ransomware else ""
        return Reason("exploited", f"exploited: in CISA's catalogue since {known.added}, due {known.due}{late}{more}")
    if facts.epss is None:
        return Reason("likelihood", "not in CISA's catalogue; EPSS says nothing of it")
    score = facts.epss.score
    word = "very likely" if score >= VERY_LIKELY else "likely" if score >= LIKELY else "unlikely"
    return Reason(
        "likelihood",
        f"not in CISA's catalogue; EPSS {score:.1%} within 30 days: {word} "
        f"(likelier than {facts.epss.percentile:.1%} of all)",
    )


def _severity(severity: Severity | None) -> Reason:
    if severity is None:
        return Reason("severity", "no CVSS is known: taken for high")
    word = "critical" if severity.score >= CRITICAL else "high" if severity.score >= HIGH else "moderate or low"
    by = f", by {severity.source}" if severity.source else ""
    return Reason("severity", f"CVSS {severity.version} {severity.score:.1f}: {word}{by}")


def _reach(internet: bool) -> Reason:
    if internet:
        return Reason("reach", f"an endpoint is tagged {INTERNET_TAG}")
    return Reason("reach", f"no endpoint is tagged {INTERNET_TAG}: taken for inside")


def _age(days: int | None) -> Reason:
    if days is None:
        return Reason("age", "since when it stands open is not known")
    return Reason("age", f"open here for {days} {'day' if days == 1 else 'days'}")
