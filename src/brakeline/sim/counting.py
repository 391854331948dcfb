"""Blocks in numbers, as a conductor knows them: parts, control arms, offers that ended. Draws nothing, decides nothing.

What an endpoint of a block has told by a time follows from its age, its class and what the fault does to it; a healthy
one that is away has told before it went, unless it was `late`. Next: `cohorts`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import numpy as np

from brakeline.rollout import untaken
from brakeline.rollout.evidence import STATIONARY
from brakeline.rollout.model import CLASSES, Policy
from brakeline.rollout.summary import ControlArm, Part
from brakeline.sim.blocks import Blocks, Floats, Ints
from brakeline.sim.harm import Shows

HOUR_MS: Final = 3_600_000
STEP_H: Final = 0.25  # time between two decisions, so also the time that a halt takes to reach everybody
REPORTED_H: Final = 0.25  # an offer's result is told within a quarter of an hour
BACK_H: Final = 16.0  # who closed the lid before it could tell of the update is back the next morning
GOLDEN: Final = 0.6180339887
KINDS: Final = len(CLASSES)


@dataclass(frozen=True, slots=True)
class Telling:
    """What decides what is told: how the fault shows, whether who is bitten never tells a result, the subset's name."""

    shows: Shows
    at_once: bool
    attribute: str
    policy: Policy


def parts(b: Blocks, how: Telling, names: Sequence[str], gone: Floats, bake_h: float, at_h: float) -> tuple[Part, ...]:
    """Treated by ring, region and class. `gone`: probability to be away for longer than people are."""
    if not len(b):
        return ()
    age_h, n = at_h - b.floats["ready_h"], b.ints["n_t"]
    ill, bad = _unproven(b, how, gone, age_h)
    first = age_h >= how.policy.settled_s / 3600 - 1e-9
    silent = b.ints["bitten"] if how.shows is Shows.SILENCE and how.at_once else 0
    idle = idles(b, how)
    asked = np.maximum(n - b.ints["late"], idle) * (age_h >= _looked_at_h(how.policy) - 1e-9)
    keys = (b.ints["ring"] * KINDS + b.ints["kind"]) * len(names) + b.ints["region"]
    known, good = n - np.minimum(n, ill), n - np.minimum(n, bad)
    columns = {
        "treated": n, "known": known, "proven": good, "passed": n * first, "passed_known": known * first,
        "passed_proven": good * first, "open": np.where(age_h < REPORTED_H, n, silent + idle),
        "failed": failures(b, how), "baked": n * (age_h >= bake_h - 1e-9), "consenting": b.ints["willing"],
        "restarted": _back(b), "asked": asked, "untaken": np.minimum(idle, asked),
    }  # fmt: skip
    sums = {name: np.bincount(keys, values) for name, values in columns.items()}
    turn = at_h / STEP_H * GOLDEN % 1  # parts of endpoints are made whole, now of one, now of another: all come back
    for name in ("proven", "passed_proven"):
        sums[name] = np.diff(np.floor(np.cumsum(sums[name]) + turn + 1e-9), prepend=np.floor(turn))
    youngest = np.zeros(int(keys.max()) + 1)
    np.maximum.at(youngest, keys, b.floats["ready_h"])
    there = np.flatnonzero(sums["treated"])
    figures = np.stack([sums[name][there] for name in columns]).astype(np.int64).T.tolist()
    youngest_ms = np.rint(youngest[there] * HOUR_MS).astype(np.int64).tolist()
    return tuple(map(_part, there.tolist(), figures, youngest_ms, repeat(names)))


def _part(key: int, figures: Sequence[int], youngest_ms: int, names: Sequence[str]) -> Part:
    (
        treated,
        known,
        proven,
        passed,
        passed_known,
        passed_proven,
        open_,
        failed,
        baked,
        consenting,
        restarted,
        asked,
        idle,
    ) = figures
    ring_kind, region = divmod(key, len(names))
    ring, kind = divmod(ring_kind, KINDS)
    return Part(ring, names[region], CLASSES[kind], treated, 0, known, proven, passed, passed_known, passed_proven,
                open_, failed, failed, proven, youngest_ms, baked, consenting, restarted, 0, asked, idle)  # fmt: skip


def _back(b: Blocks) -> Ints:
    """Treated who were restarted on order and heard again."""
    back: Ints = np.where(b.floats["restarted"] > 0, b.ints["willing"] - b.ints["lost"] - b.ints["ordered"], 0)
    return np.maximum(back, 0)


def idles(b: Blocks, how: Telling) -> Ints:
    """Those who are here and take nothing."""
    bitten = b.ints["bitten"] if how.shows is Shows.UNTAKEN else 0
    found: Ints = np.minimum(b.ints["idle"] + bitten, b.ints["n_t"])
    return found


def _looked_at_h(policy: Policy) -> float:
    first = untaken.looked_at(policy)
    return math.inf if first is None else policy.checkpoints_s[first] / 3600


def failures(b: Blocks, how: Telling) -> Ints:
    """Explicit ones."""
    found: Ints = b.ints["failed"] + (b.ints["bitten"] if how.shows is Shows.REPORT else 0)
    return np.minimum(found, b.ints["n_t"])


def _unproven(b: Blocks, how: Telling, gone: Floats, age_h: Floats) -> tuple[Floats, Floats]:
    """(not known to be well on the new version: not told yet, failed or unhealthy; the same or away too long)."""
    bitten, n_t = b.ints["bitten"], b.ints["n_t"]
    ill = failures(b, how) + np.where(age_h < BACK_H, b.ints["late"], 0)
    ill = ill + (bitten if how.shows in (Shows.HEALTH, Shows.LOOP, Shows.PATCHES) else 0)
    ill = ill + idles(b, how)
    if how.shows is Shows.SILENCE and how.at_once:
        ill = ill + bitten  # who dies at once never says that it is well
    bad = ill.astype(np.float64)
    if how.shows is Shows.SILENCE and not how.at_once:
        limit = np.array([how.policy.return_s(c) / 3600 for c in CLASSES])[b.ints["kind"]]
        bad += np.where(age_h > limit, bitten, 0)
    away = gone[b.ints["region"], b.ints["kind"]] * (n_t - bitten)
    bad += np.where(age_h >= how.policy.people_return_s / 3600, away, 0.0)
    untold = age_h < REPORTED_H
    return np.where(untold, n_t, ill), np.where(untold, n_t, bad)


def controls(b: Blocks, ring: int, names: Sequence[str]) -> tuple[Ints, float] | None:
    """Controls of the ring in progress by region and class (those of earlier rings have moved to it), and when their
    blocks were ready on average; None = there are none.
    """
    mine = np.flatnonzero((b.ints["ring"] == ring) & (b.ints["n_c"] > 0))
    if not mine.size:
        return None
    keys = b.ints["region"][mine] * KINDS + b.ints["kind"][mine]
    n = np.bincount(keys, b.ints["n_c"][mine], minlength=len(names) * KINDS).reshape(-1, KINDS)
    return n.astype(np.int64), float(b.floats["ready_h"][mine].mean())


def control_arms(n: Ints, away: Floats, names: Sequence[str]) -> tuple[ControlArm, ...]:
    heard = np.rint(n * (1 - away)).astype(np.int64)
    return tuple(
        ControlArm(name, CLASSES[k], int(n[r, k]), int(heard[r, k]))
        for r, name in enumerate(names) for k in range(KINDS) if n[r, k]
    )  # fmt: skip


def ended(b: Blocks, how: Telling, at_h: float) -> dict[str, tuple[int, int]]:
    """Offers that came to an end by group, and how many of them failed through the change."""
    told = at_h - b.floats["ready_h"] >= REPORTED_H
    kind = b.ints["kind"]
    n = np.bincount(kind, b.ints["n_t"] * told, minlength=KINDS).astype(np.int64)
    x = np.bincount(kind, failures(b, how) * told, minlength=KINDS).astype(np.int64)
    found = {"all": (int(n.sum()), int(x.sum()))}
    found |= {f"class:{name}": (int(n[k]), int(x[k])) for k, name in enumerate(CLASSES)}
    fixed = [k for k, name in enumerate(CLASSES) if name != "laptop"]
    found[STATIONARY] = (int(n[fixed].sum()), int(x[fixed].sum()))
    if how.attribute:
        bitten = int((b.ints["bitten"] * told).sum()) if how.shows is Shows.REPORT else 0
        found[how.attribute] = (int((b.ints["m_t"] * told).sum()), bitten)
    return found
