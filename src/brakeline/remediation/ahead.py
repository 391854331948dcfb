"""What a policy leads to, before it is in force: a rollout of updates over those whom it concerns, foreseen. Pure.

The figures are those of a rollout's own page (`rollout.forecast`, `rollout.pace`), for as many endpoints at each pace
that people choose between: earliest finish, what each ring can see, how many have the change when a fault is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brakeline.core.errors import Invalid
from brakeline.rollout.forecast import Forecast, RingForecast, forecast
from brakeline.rollout.model import Change, Pin
from brakeline.rollout.pace import CHOICES, Harm, Risk, weigh
from brakeline.rollout.pace_text import count, span
from brakeline.rollout.presets import policy_for

UPDATE: Final = Change((Pin("update", "next"),))  # any update that closes nothing exploited


@dataclass(frozen=True, slots=True)
class Ahead:
    """One pace over `endpoints` endpoints in `regions` regions. `harms`: faults, and who has the change by then."""

    pace: str
    endpoints: int
    regions: int
    forecast: Forecast
    harms: tuple[Harm, ...]
    two_people: str  # why this pace takes them; "" = it does not
    sentences: tuple[str, ...]


def ahead(endpoints: int, regions: int, pace: str) -> Ahead:
    """Foresee it. `Invalid` for a pace that there is not."""
    if pace not in CHOICES:
        raise Invalid(f"no pace {pace[:40]!r} to look ahead at; there are {', '.join(CHOICES)}")
    if endpoints < 1:
        return Ahead(pace, 0, 0, Forecast((), 0, ""), (), "", ("It concerns nobody now, so there is nothing ahead.",))
    regions = max(1, regions)
    seen = forecast(policy_for(endpoints, pace), UPDATE, endpoints, regions)
    (weighed,) = (o for o in weigh(Risk(assessed=False), UPDATE, endpoints, regions) if o.pace == pace)
    return Ahead(
        pace, endpoints, regions, seen, weighed.harms, weighed.two_people,
        (_finish(seen, endpoints, pace), _sees(seen), _reached(weighed.harms)),
    )  # fmt: skip


def smallest(ring: RingForecast) -> str:
    """The smallest harm that a ring can tell from chance, in words."""
    if ring.smallest is None or ring.halts_at is None:
        return "proof decides"
    return f"{ring.halts_at:,} silent ({100 * ring.smallest:.2g} %)"


def reached(harm: Harm) -> str:
    """How many have the change when a fault is found."""
    return f"{harm.taken:,}" if harm.found else f"all {harm.taken:,}: not found in time"


def _finish(seen: Forecast, endpoints: int, pace: str) -> str:
    whom = "1 endpoint has" if endpoints == 1 else f"{endpoints:,} endpoints have"
    return (
        f"The next update that these may take is rolled out: {whom} it after {span(seen.finish_s / 3600)} at the "
        f"earliest, at pace {pace}, in {count(len(seen.rings), 'ring')}."
    )


def _sees(seen: Forecast) -> str:
    able = [r for r in seen.rings if r.smallest is not None]
    if not able:
        return (
            "No ring is large enough for statistics: a failure that is told, or proof that is missing, stops it there."
        )
    first = next(r for r in able if r.name == seen.first_seeing)
    best = min(able, key=lambda r: r.smallest or 1.0)
    return (
        f"Ring {first.name} is the first to tell harm from chance, from {smallest(first)} on; the finest look is ring "
        f"{best.name}'s: {smallest(best)}."
    )


def _reached(harms: tuple[Harm, ...]) -> str:
    told = "; ".join(f"{h.fault}: {reached(h)}" for h in harms)
    return f"Expected to have a bad change when it is found: {told}. Expectations with everybody there, not promises."
