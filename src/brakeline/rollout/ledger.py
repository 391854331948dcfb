"""The comparisons of a rollout, kept between two evaluations: a block is compared once a checkpoint. No I/O.

`evidence.tabulate` compares all blocks each time it is asked; of a hundred thousand subjects that takes a second. A
`Ledger` is told which blocks have changed, compares those that have come to a checkpoint since and those that changed
after it, by the same rules, and adds their bets to what it has. Invariant: what it tells equals `summary.table` of the
same subjects (a test holds the two together). Next: `tally`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from brakeline.rollout import evidence
from brakeline.rollout.evidence import Row
from brakeline.rollout.model import Arm, Policy, Subject
from brakeline.rollout.summary import Bets, bets_of

Floats = NDArray[np.float64]
Block = tuple[int, int, int, str, bool]  # ring, tick, cohort, region, whether its members face the internet
Members = Callable[[Block], Sequence[Subject]]


class Ledger:
    """Bets by row, ring and block. `since_ms`: whoever was ready before was judged then."""

    def __init__(self, policy: Policy, since_ms: int) -> None:
        self._policy, self.since_ms = policy, since_ms
        self._youngest: dict[Block, int] = {}
        self._compared: dict[Block, int] = {}  # checkpoints compared, as bits
        self._said: dict[tuple[Block, int], dict[Row, Floats]] = {}
        self._sums: dict[tuple[Row, int], Floats] = {}
        self._told: dict[Row, dict[int, Bets]] = defaultdict(dict)

    def joined(self, block: Block, ready_ms: int) -> None:
        """Somebody is in this block who was not."""
        self._youngest[block] = max(ready_ms, self._youngest.get(block, 0))
        self.changed(block, -1)

    def left(self, block: Block, ready_ms: Sequence[int]) -> None:
        """Somebody is in this block no more; when those were ready who still are."""
        self.changed(block, -1)
        self._youngest[block] = max(ready_ms, default=0)

    def changed(self, block: Block, bits: int) -> None:
        """What is known of somebody at these checkpoints has changed: what was said of the block there is forgotten."""
        stale = self._compared.get(block, 0) & bits
        if not stale:
            return
        self._compared[block] &= ~bits
        for j in range(len(self._policy.checkpoints_s)):
            if stale >> j & 1:
                self._unsay(block, j)

    def _unsay(self, block: Block, j: int) -> None:
        """Sums are made anew from what is left: floats that are taken away again leave a trace."""
        for row in self._said.pop((block, j), {}):
            key = (row, block[0])
            rest = [said[row] for (b, _), said in self._said.items() if b[0] == block[0] and row in said]
            self._sums.pop(key)
            self._told[row].pop(block[0])
            for bets in rest:
                self._add(key, bets)

    def _add(self, key: tuple[Row, int], bets: Floats) -> None:
        self._sums[key] = total = self._sums[key] + bets if key in self._sums else bets
        self._told[key[0]][key[1]] = tuple(total.tolist())

    def table(self, open_ticks: frozenset[int], members: Members, now_ms: int) -> Mapping[Row, Mapping[int, Bets]]:
        """All comparisons that may be made now."""
        for block, youngest_ms in self._youngest.items():
            if block[1] in open_ticks:
                continue
            due = sum(1 << j for j, c in enumerate(self._policy.checkpoints_s) if now_ms >= youngest_ms + c * 1000)
            fresh = due & ~self._compared.get(block, 0)
            if fresh:
                self._compare(block, fresh, members(block))
        return {row: dict(rings) for row, rings in self._told.items() if rings}

    def _compare(self, block: Block, bits: int, members: Sequence[Subject]) -> None:
        self._compared[block] = self._compared.get(block, 0) | bits
        if len({s.arm is Arm.TREATED for s in members}) < 2:
            return  # nobody to compare with
        for j, c in enumerate(self._policy.checkpoints_s):
            if not bits >> j & 1:
                continue
            counts = evidence.compared(members, j, c * 1000)
            said = {(signal, j, group): np.array(bets_of(signal, x)) for (signal, group), x in counts.items()}
            self._said[(block, j)] = said
            for row, bets in said.items():
                self._add((row, block[0]), bets)
