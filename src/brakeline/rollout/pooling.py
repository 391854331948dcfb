"""Evidence of several fleets together: what one of twenty endpoints cannot see, fifty of them can. Pure.

Cells, or organisations that consent, roll out the same change, each with lots and controls of its own. Each tells for
every question of the alpha table the logs of its bets, six numbers a signal (a signal with a margin has 42), and no
endpoint's data: `Told`. Bets of independent draws multiply, so their logs are added, bet by bet. A fleet then judges by
the mean of its own e-value and the pool's: a mean of e-values is one whatever they share, so the bars and the alpha of
the fleet stay what they are, and listening to a pool that has nothing to tell costs at most log 2: half of each row's
alpha is its own, half the pool's. Only change and checkpoints must be the same (`subject_of`): rings are added ring by
ring. Rows of attributes are endpoint data and stay. Next: `brake` judges the table that comes out, `pools` carries it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Final

from brakeline.cells import residency
from brakeline.protocol.codec import encode
from brakeline.rollout import evalue
from brakeline.rollout.alpha import MARGINS
from brakeline.rollout.evidence import Row
from brakeline.rollout.model import Change, Policy
from brakeline.rollout.summary import Bets

Told = Mapping[Row, Mapping[int, Bets]]  # as in `Summary.table`: by question and ring
NOTHING_TOLD: Final = 0.0  # log e-value of whoever has no data
KINDS: Final = frozenset({"updates", "release", "content"})  # the same for everybody; a way back and settings are not
RINGS_MAX: Final = 32
CHECKPOINTS_MAX: Final = 16
LOG_MAX: Final = 1e7  # no sum of logs of bets comes near


def subject_of(change: Change, policy: Policy) -> str:
    """What evidence is about, the same wherever the same change is watched at the same checkpoints; "" = it is nobody
    else's: a way back, settings, and what a conductor leads, whose cells pool already."""
    if change.takes_back or policy.led or (change.release is None and change.kind not in KINDS):
        return ""
    release = change.release.release_id if change.release else ""
    pins = sorted((p.name, p.version) for p in change.updates)
    said = encode([change.kind, release, [list(p) for p in pins], list(policy.checkpoints_s)])
    return hashlib.sha256(b"brakeline-pool-v1\n" + said).hexdigest()


def tellable(table: Told) -> dict[Row, dict[int, Bets]]:
    """What of a rollout's comparisons may be told to others: sums over everybody and over classes."""
    return {
        (signal, checkpoint, group): {ring: tuple(bets) for ring, bets in rings.items() if 0 <= ring < RINGS_MAX}
        for (signal, checkpoint, group), rings in table.items()
        if residency.may_cross(group) and signal in MARGINS
    }


def sound(row: Row, ring: int, bets: Bets) -> bool:
    """Whether that can be told evidence: known words, as many finite numbers as the signal has."""
    signal, _, group = row
    return (
        signal in MARGINS and residency.may_cross(group) and 0 <= ring < RINGS_MAX and len(bets) == size_of(signal)
        and all(math.isfinite(x) and abs(x) <= LOG_MAX for x in bets)
    )  # fmt: skip


def size_of(signal: str) -> int:
    """How many bets a signal has."""
    return len(evalue.odds_beyond(MARGINS[signal]) if MARGINS[signal] else evalue.ODDS_RATIOS)


def heard(own: Told, others: Told, linked: frozenset[int] = frozenset()) -> dict[Row, dict[int, Bets]]:
    """The table of a fleet that listens: where others may tell, what it judges by; all else as it is. Its own bets are
    carried on through the rings that are `linked` here, and are in the table so; the pool's are not: which rings of
    others share controls, nobody tells. So nothing in it is carried on once more."""
    carried = {row: {n: tuple(bets) for n, bets in evalue.carried(rings, linked).items()} for row, rings in own.items()}
    return carried | listening(tellable(carried), pooled((tellable(own), others)))


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
