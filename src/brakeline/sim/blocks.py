"""Columns of numbers: endpoints of one class and region, ready in the same step, and what became of them. Pure.

A row is a part of a block (one class of it); rows with the same `block` were randomised together. Rows on which nothing
can happen any more are added up (`settle`), so that ten days cost little more than one. Next: `cohorts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Blocks:
    """`ints` and `floats` by name, a place a row.

    Treated and controls `n_t`, `n_c`, of these with the fault's attribute `m_t`, `m_c`; treated whom the fault will hit
    `prone`, on whom it shows `bitten`; `failed` by ordinary failures, `late` to tell, `idle`: take nothing of
    any change; `point`: checkpoints passed; `low`, `high`: the range of the controls' draws; `share`: of `prone`,
    expected to be bitten when last looked for.
    Of both arms `willing` are `restarted` (when) on order and some are `lost` by no fault of the change; `eager`: of
    the willing, whom the fault will hit at a restart; `ordered`: of these, whom it has hit.
    """

    INTS: Final = ("ring", "region", "kind", "block", "n_t", "n_c", "m_t", "m_c", "prone", "bitten", "failed", "late",
                   "willing", "willing_c", "eager", "ordered", "lost", "lost_c", "idle", "point")  # fmt: skip
    FLOATS: Final = ("ready_h", "low", "high", "share", "restarted")
    SUMS: Final = ("n_t", "n_c", "m_t", "m_c", "prone", "bitten", "failed", "late", "willing", "willing_c", "eager",
                   "ordered", "lost", "lost_c", "idle")  # fmt: skip

    def __init__(self) -> None:
        self.ints: dict[str, Ints] = {name: np.zeros(0, dtype=np.int64) for name in self.INTS}
        self.floats: dict[str, Floats] = {name: np.zeros(0) for name in self.FLOATS}

    def __len__(self) -> int:
        return len(self.ints["ring"])

    def grow(self, rows: Mapping[str, NDArray[Any]]) -> None:
        """Add rows; a column that is not named is 0."""
        count = len(rows["ring"])
        for name, ints in self.ints.items():
            self.ints[name] = np.concatenate([ints, rows.get(name, np.zeros(count)).astype(np.int64)])
        for name, floats in self.floats.items():
            self.floats[name] = np.concatenate([floats, rows.get(name, np.zeros(count)).astype(np.float64)])

    def settle(self, before_h: float, points: int) -> None:
        """Add up, by ring, region and class, the rows that were ready before and have passed so many checkpoints, but
        for those of whom somebody will still be bitten. Sums over rows stay what they are; so does the youngest's time.
        """
        i = self.ints
        done = (self.floats["ready_h"] < before_h) & (i["point"] >= points) & (i["prone"] == i["bitten"])
        where = np.flatnonzero(done)
        keys = np.column_stack([i[name][where] for name in ("ring", "region", "kind")])
        unique, place = np.unique(keys, axis=0, return_inverse=True)
        if len(unique) == where.size:
            return
        merged = self._merged(where, unique, place.ravel(), points)
        self.ints = {name: column[~done] for name, column in i.items()}
        self.floats = {name: column[~done] for name, column in self.floats.items()}
        self.grow(merged)

    def _merged(self, where: Ints, keys: Ints, place: Ints, points: int) -> dict[str, NDArray[Any]]:
        size = len(keys)
        ready = np.full(size, -np.inf)
        np.maximum.at(ready, place, self.floats["ready_h"][where])
        found: dict[str, NDArray[Any]] = {
            name: np.bincount(place, self.ints[name][where], minlength=size) for name in self.SUMS
        }
        found |= {"ring": keys[:, 0], "region": keys[:, 1], "kind": keys[:, 2]}
        return found | {"ready_h": ready, "point": np.full(size, points), "share": np.ones(size),
                        "restarted": np.ones(size)}  # fmt: skip
