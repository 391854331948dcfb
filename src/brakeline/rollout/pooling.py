"""Evidence of several fleets together: what one of twenty endpoints cannot see, fifty of them can. Pure.

Cells, or organisations that consent, roll out the same change, each with lots and controls of its own. Each tells for
every question of the alpha table the logs of its bets, six numbers a signal (a signal with a margin has 42), and no
endpoint's data: `Told`. Bets of independent draws multiply, so their logs are added, bet by bet. A fleet then judges by
the mean of its own e-value and the pool's: a mean of e-values is one whatever they share, so the bars and the alpha of
the fleet stay what they are, and listening to a pool that has nothing to tell costs at most log 2. Only release and
plan must be the same: rings are added ring by ring. Next: `brake` judges the table that comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from brakeline.rollout import evalue
from brakeline.rollout.evidence import Row
from brakeline.rollout.summary import Bets

Told = Mapping[Row, Mapping[int, Bets]]  # as in `Summary.table`: by question and ring
NOTHING_TOLD: Final = 0.0  # log e-value of whoever has no data


def pooled(fleets: Iterable[Told]) -> dict[Row, dict[int, Bets]]:
    """The bets of all fleets together."""
    total: dict[Row, dict[int, Bets]] = {}
    for told in fleets:
        for row, rings in told.items():
            mine = total.setdefault(row, {})
            for ring, bets in rings.items():
                mine[ring] = evalue.add((mine[ring], bets)) if ring in mine else tuple(bets)
    return total


def listening(own: Told, pool: Told) -> dict[Row, dict[int, Bets]]:
    """What a fleet judges by: question by question the mean of its own e-value and the pool's."""
    found: dict[Row, dict[int, Bets]] = {}
    for row in {*own, *pool}:
        mine, others = own.get(row, {}), pool.get(row, {})
        found[row] = {ring: (_mean(mine.get(ring), others.get(ring)),) for ring in {*mine, *others}}
    return found


def _mean(own: Bets | None, pool: Bets | None) -> float:
    return evalue.log_mean_exp([evalue.log_mean_exp(x) if x else NOTHING_TOLD for x in (own, pool)])
