"""Targets of a rollout as columns of numbers: who may still be treated, counted for all of them at once. No I/O.

`situation.eligible` walks over every target and says what the answer means; `TargetColumns.eligible` gives the same
from columns that are told who was heard, who was drawn, who is blocked (a property test holds the two together).
Targets only change in why they are blocked; their order is that of the draw. Next: `kept`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from brakeline.fleet.model import Presence
from brakeline.rollout.columns import Words
from brakeline.rollout.model import Arm, Blocked, Policy
from brakeline.rollout.situation import PASSING, Eligible, not_heard, says
from brakeline.rollout.store.arms import Target

Mask = NDArray[np.bool_]
NEVER: int = -(1 << 62)  # heard: later than any limit ago


class TargetColumns:
    """A place a target, by its draw."""

    def __init__(self, policy: Policy, targets: Sequence[Target]) -> None:
        self._policy, self.targets, self._regions = policy, list(targets), Words()
        self._places = {t.endpoint_id: i for i, t in enumerate(self.targets)}
        size = len(self.targets)
        self._u = np.array([t.u for t in self.targets], np.int64)
        self._region = np.array([self._regions.number(t.region) for t in self.targets], np.int64)
        self._heard_ms = np.full(size, NEVER, np.int64)
        self._asleep, self._treated, self._control = (np.zeros(size, np.bool_) for _ in range(3))
        self._blocked, self._stuck = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
        self._said: tuple[Blocked, ...] = ()
        self._said_of: tuple[bytes, bytes] | None = None  # whom `_said` is about; None = somebody's words have changed
        for t in self.targets:
            self._block(t)

    def __len__(self) -> int:
        return len(self.targets)

    def __contains__(self, endpoint_id: str) -> bool:
        return endpoint_id in self._places

    def of(self, endpoint_id: str) -> Target | None:
        """One target as it was told last."""
        place = self._places.get(endpoint_id)
        return self.targets[place] if place is not None else None

    def put(self, target: Target) -> None:
        """Its words of why it cannot start have changed."""
        self.targets[self._places[target.endpoint_id]] = target
        self._block(target)

    def _block(self, target: Target) -> None:
        place = self._places[target.endpoint_id]
        self._blocked[place] = bool(target.blocked_code)
        self._stuck[place] = bool(target.blocked_code) and target.blocked_code not in PASSING
        self._said_of = None

    def drawn(self, endpoint_id: str, arm: Arm) -> None:
        """It is in this arm."""
        if endpoint_id in self._places:
            (self._treated if arm is Arm.TREATED else self._control)[self._places[endpoint_id]] = True

    def see(self, endpoint_id: str, seen: Presence | None) -> None:
        """When it was heard last; None = never."""
        place = self._places[endpoint_id]
        self._heard_ms[place] = seen.last_check_in_ms if seen is not None else NEVER
        self._asleep[place] = seen is not None and seen.asleep

    @property
    def data_ms(self) -> int:
        """When any of them was heard last; 0 = none ever."""
        return max(int(self._heard_ms.max(initial=0)), 0)

    def eligible(self, now_ms: int) -> Eligible:
        """As `situation.eligible` has it."""
        left, away_ms = ~self._treated, now_ms - np.maximum(self._heard_ms, NEVER // 2)
        gone = left & (away_ms > self._policy.eligible_seen_s * 1000)
        may = left & ~gone & ~self._stuck
        here = may & ~self._asleep & (away_ms <= self._policy.grace_s("server") * 1000)
        counts = np.bincount(self._region[may], minlength=len(self._regions.all))
        names = self._regions.all
        untreated = {r: self._draws(here, i) for i, r in enumerate(names)}
        fresh = {r: self._draws(here & ~self._control, i) for i, r in enumerate(names)}
        return Eligible(
            untreated, {r: us for r, us in fresh.items() if us}, {r: int(counts[i]) for i, r in enumerate(names)},
            self._words(gone, left & ~gone & self._blocked),
        )  # fmt: skip

    def _draws(self, who: Mask, region: int) -> tuple[int, ...]:
        return tuple(self._u[who & (self._region == region)].tolist())

    def _words(self, gone: Mask, said: Mask) -> tuple[Blocked, ...]:
        """Made anew only when somebody comes, goes, or says something else."""
        about = gone.tobytes(), said.tobytes()
        if self._said_of != about:
            self._said_of = about
            self._said = tuple(
                not_heard(self.targets[i]) if gone[i] else says(self.targets[i]) for i in np.flatnonzero(gone | said)
            )
        return self._said
