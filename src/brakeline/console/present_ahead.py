"""What lies ahead of a policy -> what its page shows. Pure."""

from __future__ import annotations

from brakeline.console.present import span
from brakeline.console.views_ahead import AheadHarm, AheadRing, AheadView
from brakeline.remediation.ahead import Ahead, reached, smallest
from brakeline.rollout.forecast import RingForecast


def ahead_view(a: Ahead) -> AheadView:
    """Every figure beside its words."""
    return AheadView(
        a.pace, a.sentences, tuple(_ring(r) for r in a.forecast.rings),
        tuple(AheadHarm(h.fault, reached(h)) for h in a.harms), a.two_people,
    )  # fmt: skip


def _ring(r: RingForecast) -> AheadRing:
    opens = f"after {span(r.opens_s)}" if r.opens_s else "at once"
    exposed = f"{r.exposed:,}" if r.exposed is not None else f"{r.upto:,} at most"
    return AheadRing(r.name, opens, smallest(r), exposed)
