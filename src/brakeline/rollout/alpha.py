"""The alpha table: how the chance of a false halt (1 % per rollout) is spent, one row per question asked.

Rows: signal x checkpoint x {everybody, each class, each attribute value}; the sum never exceeds the policy's alpha
(union bound), which `lint` checks again; the brake adds up what the rows of one checkpoint say. Shares follow from
simulation: class rows matter most, because one pooled test lets a silent fault of one class through; servers are silent
most rarely, so they tell soonest; attributes find faults of a subset.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from brakeline.rollout.evidence import EXPLICIT, SIGNALS, SILENT, STATIONARY, UNHEALTHY
from brakeline.rollout.model import Policy
from brakeline.rollout.signals import ACTIONS, BLOCKS, DELETIONS, ERRORS, PATCHES, RESOURCES, STARTS
from brakeline.rollout.untaken import UNTAKEN

# Parts of alpha, in hundredths; silence is the one signal that a dead endpoint still sends.
SHARES: Final = (
    {SILENT: 0.52, UNHEALTHY: 0.02, RESOURCES: 0.025, EXPLICIT: 0.10}
    | dict.fromkeys((ERRORS, UNTAKEN), 0.01)
    | dict.fromkeys((ACTIONS, STARTS, PATCHES, BLOCKS, DELETIONS), 0.009)
)
# Of a signal's part, by checkpoint: the first stops before a ring has gone far; what shows late has the others.
FIRST: Final = {SILENT: 0.4}
EARLY: Final = 0.4  # and all early looks together, which ask for silence alone, of what silence may spend
# And by group: silence is loudest where nobody is silent anyway; what endpoints tell of themselves is so in any class.
GROUPS: Final = {"all": 0.4, STATIONARY: 0.15, "class:server": 0.15, "class:desktop": 0.15, "class:laptop": 0.15}
SILENT_GROUPS: Final = {"all": 0.15, STATIONARY: 0.25, "class:server": 0.4, "class:desktop": 0.1, "class:laptop": 0.1}
# The same for attributes, of 0.27: a question of silence costs as much as the one of explicit failures.
ATTRIBUTE_SHARES: Final = {SILENT: 0.27 * 4 / 9, EXPLICIT: 0.27 / 9} | dict.fromkeys(
    (UNHEALTHY, RESOURCES, ACTIONS, STARTS, PATCHES, BLOCKS, DELETIONS, ERRORS), 0.27 * 4 / 72
)
# Harmless excess; silence has none. A change may be a little hungry: it may not make one machine in two hundred short.
# Of patches it is what controls' dry runs cannot have: the ordinary failure rate of the provider (apt).
MARGINS: Final = {
    SILENT: 0.0, UNHEALTHY: 0.002, RESOURCES: 0.005, ACTIONS: 0.002, STARTS: 0.005, PATCHES: 0.01, BLOCKS: 0.005,
    DELETIONS: 0.002, ERRORS: 0.005,
}  # fmt: skip
ATTRIBUTES_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class AlphaRow:
    """One question: at `alpha` an e-value of 1/alpha halts."""

    signal: str
    checkpoint: int  # index; -1 for signals that are not read at checkpoints
    group: str
    alpha: float

    @property
    def bar(self) -> float:
        """log e-value at which this row halts."""
        return -math.log(self.alpha)


@lru_cache(maxsize=64)  # a live rollout asks for its own every second
def alpha_table(policy: Policy, attributes: tuple[str, ...]) -> tuple[AlphaRow, ...]:
    """Every question of a rollout, with its part of alpha."""
    alpha = policy.guard.alpha
    rows: list[AlphaRow] = []
    for signal in SIGNALS:
        groups = SILENT_GROUPS if signal is SILENT else GROUPS
        for j in _points(policy, signal):
            mine = alpha * SHARES[signal] * _part(policy, signal, j)
            rows += [AlphaRow(signal, j, g, mine * weight) for g, weight in groups.items()]
    rows += [AlphaRow(EXPLICIT, -1, g, alpha * SHARES[EXPLICIT] * weight) for g, weight in GROUPS.items()]
    rows.append(AlphaRow(UNTAKEN, -1, "all", alpha * SHARES[UNTAKEN]))
    named = attributes[:ATTRIBUTES_MAX]
    if named:
        for s, js in (*((s, _points(policy, s)) for s in SIGNALS), (EXPLICIT, (-1,))):
            each = alpha * ATTRIBUTE_SHARES[s] / (len(js) * len(named))
            rows += [AlphaRow(s, j, g, each) for j in js for g in named]
    return tuple(rows)


def _points(policy: Policy, signal: str) -> Sequence[int]:
    """The checkpoints at which a signal is asked for."""
    return range(0 if signal is SILENT else policy.early, len(policy.checkpoints_s))


def _part(policy: Policy, signal: str, checkpoint: int) -> float:
    """Of what a signal may spend, the part of one checkpoint."""
    early = policy.early if signal is SILENT else 0
    if checkpoint < early:
        return EARLY / early
    left, points = 1 - EARLY if early else 1.0, len(policy.checkpoints_s) - policy.early
    first = FIRST.get(signal, 1 / points) if points > 1 else 1.0
    return left * (first if checkpoint == policy.early else (1 - first) / (points - 1))


@lru_cache(maxsize=64)
def questions(policy: Policy, attributes: tuple[str, ...]) -> Mapping[tuple[str, int, str], AlphaRow]:
    """The same by signal, checkpoint and group, in the table's order."""
    return MappingProxyType({(r.signal, r.checkpoint, r.group): r for r in alpha_table(policy, attributes)})


@lru_cache(maxsize=64)
def spent(policy: Policy, attributes: tuple[str, ...]) -> float:
    """What a rollout's whole table spends."""
    return alpha_sum(alpha_table(policy, attributes))


def alpha_sum(rows: tuple[AlphaRow, ...]) -> float:
    """What the whole table spends."""
    return math.fsum(r.alpha for r in rows)
