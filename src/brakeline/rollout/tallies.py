"""The tallies of rollouts that are being led, kept between two steps of the executor. No I/O; may forget any of them.

A `Tally` is worth keeping only while everything that it counted is still what is stored: another policy, or subjects
that are gone, and it is made anew. What it forgets costs time, never truth: `Tallies.count` always equals
`summary.summarise`, which everybody else calls. Next: `executor`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from brakeline.rollout.model import Blueprint, Observed, Policy
from brakeline.rollout.summary import Summary
from brakeline.rollout.tally import Tally

KEPT_MAX: Final = 32  # rollouts; at a hundred thousand subjects each holds some hundred megabytes with its subjects


class Tallies:
    """By rollout, the least recently asked for is forgotten first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Policy, Tally]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def count(self, policy: Policy, current: Blueprint, observed: Observed, now_ms: int) -> Summary:
        """The numbers of `observed` as they stand now."""
        tally = self._of(policy, current, observed)
        return tally.summary(current, observed, now_ms)

    def _of(self, policy: Policy, current: Blueprint, observed: Observed) -> Tally:
        known, tally = self._kept.pop(current.rollout_id, (policy, Tally(policy, observed.resumed_ms)))
        if known != policy or not tally.follow(observed.subjects, current.turns):
            tally = Tally(policy, observed.resumed_ms)
            tally.update(observed.subjects, current.turns)
        self._kept[current.rollout_id] = policy, tally
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return tally
