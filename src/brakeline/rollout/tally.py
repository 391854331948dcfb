"""A rollout's numbers, kept between two evaluations: told who changed, it counts a hundred thousand in milliseconds.

`summary.summarise` counts every subject anew and says what the numbers mean; a `Tally` gives the same `Summary` from
columns and from comparisons that it has made before. It decides nothing. Invariants: after any updates it equals
`summarise` of the same subjects in the order in which they were ready (a property test with random histories); subjects
only join, nobody leaves; after a resume everything is compared anew. Next: `columns`, `ledger`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from functools import reduce
from operator import attrgetter, or_, xor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brakeline.rollout import arms, evidence, untaken
from brakeline.rollout.arms import Draws, SortedDraws
from brakeline.rollout.columns import Columns
from brakeline.rollout.ledger import Block, Ledger
from brakeline.rollout.model import Arm, Blueprint, Observed, Policy, Subject, Turn
from brakeline.rollout.summary import (
    ENDED,
    NAMES_MAX,
    ControlArm,
    Failed,
    Known,
    Lost,
    Names,
    Part,
    Summary,
    open_ticks,
    small_rings,
)

# What comparisons read: masks with a bit a checkpoint, and all fields but those that are only counted. A field that
# nobody has put here yet makes every comparison of the subject's block be made anew: slow, never wrong.
MASK_NAMES: Final = ("heard", "unhealthy", "asleep", "resources", "actions", "often", "patches", "blocks", "deletions",
                     "errors")  # fmt: skip
COUNTED_NAMES: Final = ("last_heard_ms", "asleep_now", "unhealthy_now", "progress", "explicit", "proven_ms",
                        "set_aside_ms", "detail", "consents", "restarted_ms", "restart_refused", "boot_id", "starts",
                        "last_boot", "troubles", "troubled_ms", "harms")  # fmt: skip
MASKS: Final = attrgetter(*MASK_NAMES)
OTHERS: Final = attrgetter(*(f.name for f in fields(Subject) if f.name not in {*MASK_NAMES, *COUNTED_NAMES}))
Key = tuple[str, Arm, int]  # endpoint, arm, tick: an endpoint may have been a control of several rings
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Tally:
    """The subjects of one rollout."""

    def __init__(self, policy: Policy, since_ms: int = 0) -> None:
        """`since_ms`: when a person last resumed; whoever was ready before was judged then."""
        self._policy = policy
        self._empty(since_ms)

    def _empty(self, since_ms: int) -> None:
        self._columns, self._ledger = Columns(), Ledger(self._policy, since_ms)
        self._places: dict[Key, int] = {}
        self._subjects: list[Subject] = []
        self._block: list[Block] = []
        self._members: dict[Block, list[int]] = defaultdict(list)
        self._unplaced: set[int] = set()  # no turn is known that brought these into range
        self._turns = 0
        self._ended: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def __len__(self) -> int:
        return len(self._subjects)

    # --- what changed -----------------------------------------------------------------------------------------------

    def update(self, changed: Iterable[Subject], turns: Sequence[Turn]) -> None:
        """Subjects that are new or differ from what was told before."""
        if len(turns) != self._turns:
            self._turns = len(turns)
            for place in sorted(self._unplaced):
                self._place_in_block(place, turns)
        for s in changed:
            place = self._places.setdefault((s.endpoint_id, s.arm, s.tick), len(self._subjects))
            if place == len(self._subjects):
                self._join(s, turns)
            else:
                self._change(place, s)
            self._columns.put(place, s)

    def subject(self, key: Key) -> Subject | None:
        """As it was told last."""
        place = self._places.get(key)
        return self._subjects[place] if place is not None else None

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """All of them, in the order in which they joined."""
        return tuple(self._subjects)

    def _join(self, s: Subject, turns: Sequence[Turn]) -> None:
        self._subjects.append(s)
        self._block.append((s.ring, s.tick, -1, s.region, s.facing))
        self._place_in_block(len(self._subjects) - 1, turns)
        self._count_ended(s, 1)

    def _place_in_block(self, place: int, turns: Sequence[Turn]) -> None:
        s, old = self._subjects[place], self._block[place]
        block = (s.ring, s.tick, arms.cohort(turns, s.region, s.ring, s.arm, s.u), s.region, s.facing)
        if block == old:
            return
        if place in self._members.get(old, ()):
            self._members[old].remove(place)
            self._ledger.left(old, [self._subjects[p].ready_ms for p in self._members[old]])
        self._block[place] = block
        (self._unplaced.discard if block[2] else self._unplaced.add)(place)
        if s.ready_ms >= self._ledger.since_ms:
            self._members[block].append(place)
            self._ledger.joined(block, s.ready_ms)

    def _change(self, place: int, s: Subject) -> None:
        old = self._subjects[place]
        self._subjects[place] = s
        bits = -1 if OTHERS(s) != OTHERS(old) else reduce(or_, map(xor, MASKS(s), MASKS(old)))
        if bits:
            self._ledger.changed(self._block[place], bits)
        if (s.progress, s.explicit) != (old.progress, old.explicit):
            self._count_ended(old, -1)
            self._count_ended(s, 1)

    def _count_ended(self, s: Subject, sign: int) -> None:
        over = s.progress in ENDED or s.explicit
        if s.arm is Arm.TREATED and over and s.ready_ms >= self._ledger.since_ms:
            for group in evidence.groups(s):
                self._ended[group][0] += sign
                self._ended[group][1] += sign * s.explicit

    # --- in numbers -------------------------------------------------------------------------------------------------

    def summary(self, current: Blueprint, observed: Observed, now_ms: int) -> Summary:
        """The numbers as they stand now. Of `observed` everything but its subjects is read."""
        if observed.resumed_ms != self._ledger.since_ms:
            self._anew(observed.resumed_ms, current.turns)
        places = _Places(observed, self._columns)
        mine = _View(self._policy, self._columns, now_ms)
        population = int(mine.counted.sum()) + sum(map(places.eligible, places.regions()))
        bake_s = arms.bake_s(self._policy, observed.change, population, current.ring, now_ms)
        small = small_rings(self._policy, observed.change, population)
        table = self._ledger.table(open_ticks(current, observed.ticks), self._of_block, now_ms)
        return Summary(
            observed.change, places, mine.parts(bake_s), mine.controls(), table,
            {g: (n, x) for g, (n, x) in self._ended.items() if n}, self._lost(mine, small), self._given_up(mine, small),
            bool(mine.control.any()), self._names(mine, small), observed.ticks, observed.blocked, observed.wish,
            observed.wish_by, observed.wish_reason, observed.data_ms, observed.resumed_generation,
            observed.quarantined, observed.attributes, arms.linked(current.turns),
        )  # fmt: skip

    def sample(self, now_ms: int) -> tuple[int, int, int, int]:
        """As `view.counts` has it: (treated, of them bad, controls, of them bad) at this moment."""
        mine = _View(self._policy, self._columns, now_ms)
        controls = mine.control & (self._columns.of("crossed") == 0)
        bad = mine.explicit | (self._columns.of("unhealthy_now") > 0) | mine.silent
        sides = (mine.treated, mine.treated & bad, controls, controls & bad)
        n_t, x_t, n_c, x_c = (int(np.count_nonzero(side)) for side in sides)
        return n_t, x_t, n_c, x_c

    def asleep_within(self, now_ms: int) -> list[Key]:
        """Who sleeps at this moment within a checkpoint's window: the only ones of whom time alone tells something."""
        mine = _View(self._policy, self._columns, now_ms)
        due = np.zeros(len(self._columns), np.bool_)
        for c in self._policy.checkpoints_s if mine.asleep.any() else ():
            due |= (mine.age_ms - 1 < c * 1000) & (mine.age_ms > c * 1000 - mine.grace_ms)
        found = [self._subjects[place] for place in np.flatnonzero(due & mine.asleep)]
        return [(s.endpoint_id, s.arm, s.tick) for s in found]

    def _anew(self, since_ms: int, turns: Sequence[Turn]) -> None:
        subjects = self._subjects
        self._empty(since_ms)
        self.update(subjects, turns)

    def _of_block(self, block: Block) -> list[Subject]:
        return [self._subjects[place] for place in self._members[block]]

    def _lost(self, mine: _View, small: frozenset[int]) -> tuple[Lost, ...]:
        checkpoints_s = self._policy.checkpoints_s[self._policy.early :]
        if len(checkpoints_s) < evidence.SILENCE_CHECKPOINTS or not small:
            return ()
        late = mine.age_ms >= checkpoints_s[evidence.SILENCE_CHECKPOINTS - 1] * 1000
        gone = mine.counted & late & ~mine.asleep & (mine.away_ms > mine.return_ms) & np.isin(mine.ring, list(small))
        return tuple(
            Lost(self._subjects[i].endpoint_id, self._subjects[i].region, int(mine.away_ms[i]) // 1000)
            for i in np.flatnonzero(gone)
        )

    def _given_up(self, mine: _View, small: frozenset[int]) -> tuple[Lost, ...]:
        checkpoints_s = self._policy.checkpoints_s[self._policy.early :]
        late = mine.age_ms >= checkpoints_s[: evidence.SILENCE_CHECKPOINTS][-1] * 1000
        away_s = np.minimum(mine.away_ms, mine.age_ms) // 1000
        limit_s = np.where(mine.asleep, self._policy.eligible_seen_s, mine.return_ms // 1000)
        gone = mine.counted & mine.open & late & (away_s > limit_s) & np.isin(mine.ring, list(small))
        return tuple(
            Lost(self._subjects[i].endpoint_id, self._subjects[i].region, int(away_s[i])) for i in np.flatnonzero(gone)
        )

    def _names(self, mine: _View, small: frozenset[int]) -> Names:
        explicit = np.flatnonzero(mine.treated & mine.explicit & np.isin(mine.ring, list(small)))
        failed = [self._subjects[i] for i in explicit]
        told = sorted((Failed(s.endpoint_id, s.detail, bool(s.set_aside_ms)) for s in failed),
                      key=lambda f: f.set_aside)  # fmt: skip
        waiting = np.flatnonzero(mine.counted & mine.open)
        missing = mine.passed & ~mine.proven
        unproven = {key: self._ids(np.flatnonzero(part & missing)) for key, part in mine.by_ring_and_class()}
        return Names(tuple(told[:NAMES_MAX]), unproven, self._ids(waiting), self._ids(np.flatnonzero(mine.untaken)))

    def _ids(self, places: Ints) -> tuple[str, ...]:
        return tuple(self._subjects[i].endpoint_id for i in places[:NAMES_MAX])


class _View:
    """Columns at one moment, and what follows from them for each subject."""

    def __init__(self, policy: Policy, columns: Columns, now_ms: int) -> None:
        of = columns.of
        self._columns = columns
        self.ring, self.region, self.kind = of("ring"), of("region"), of("kind")
        self.ready_ms, self.age_ms, self.away_ms = of("ready"), now_ms - of("ready"), now_ms - of("last_heard")
        self.control, self.asleep, self.explicit = of("control") > 0, of("asleep_now") > 0, of("explicit") > 0
        self.treated, set_aside, seen = ~self.control, of("set_aside") > 0, of("proven") > 0
        self.counted, self.seen, self.open = self.treated & ~set_aside, self.treated & seen, of("open") > 0
        classes = columns.kinds.all
        self.return_ms = np.array([policy.return_s(c) * 1000 for c in classes])[self.kind]
        self.grace_ms = np.array([policy.grace_s(c) * 1000 for c in classes])[self.kind]
        self.silent = ~self.asleep & (self.away_ms > self.grace_ms)
        self.known = self.counted & seen & (of("unhealthy_now") == 0)
        self.proven = self.known & (self.asleep | (self.away_ms <= self.return_ms))
        self.passed = self.counted & (self.age_ms >= policy.settled_s * 1000)
        self._consents, self._restarted = of("consents") > 0, of("restarted") > 0
        lapsed = of("last_heard") > self.ready_ms + policy.restarts.within_s * 1000
        self._excused = self._consents & ~self._restarted & ((of("refused") > 0) | lapsed)
        self.asked, later = self._heard_at(policy, 0), self._heard_at(policy, 1)
        self.untaken = self.asked & ((of("wordless") > 0) | (later & (of("started") > 0)))
        self._compared = self.control & (of("crossed") == 0) & ~self.asleep & ~set_aside
        self._heard = self._compared & (self.away_ms <= self.grace_ms)
        self._regions, self._classes = len(columns.regions.all) or 1, len(classes)

    def _heard_at(self, policy: Policy, later: int) -> Mask:
        """As `untaken` has it."""
        first, points = untaken.looked_at(policy), policy.checkpoints_s
        if first is None or first + later >= len(points):
            return np.zeros(len(self._columns), np.bool_)
        j = first + later
        return self.counted & (self._columns.of("heard") >> j & 1 > 0) & (self.age_ms >= points[j] * 1000)

    def parts(self, bake_s: int) -> tuple[Part, ...]:
        """Treated by ring, region and class."""
        columns = {
            "treated": self.treated, "set_aside": self.treated & ~self.counted, "known": self.known,
            "proven": self.proven, "passed": self.passed, "passed_known": self.passed & self.known,
            "passed_proven": self.passed & self.proven, "open": self.counted & self.open,
            "failed": self.treated & self.explicit, "failed_news": self.counted & self.explicit, "seen": self.seen,
            "baked": self.counted & (self.age_ms >= bake_s * 1000), "consenting": self.counted & self._consents,
            "restarted": self.counted & self._consents & self._restarted, "excused": self.counted & self._excused,
            "asked": self.asked, "untaken": self.untaken,
        }  # fmt: skip
        keys = (self.ring * self._regions + self.region) * self._classes + self.kind
        size = int(keys.max()) + 1 if keys.size else 0
        youngest = np.zeros(size, np.int64)
        np.maximum.at(youngest, keys[self.treated], self.ready_ms[self.treated])
        sums = {name: np.bincount(keys[rows], minlength=size) for name, rows in columns.items()}
        sums["youngest_ms"] = youngest
        found = [self._part(int(key), {name: int(sums[name][key]) for name in sums})
                 for key in np.flatnonzero(sums["treated"])]  # fmt: skip
        return tuple(sorted(found, key=lambda p: (p.ring, p.region, p.machine_class)))

    def _part(self, key: int, figures: dict[str, int]) -> Part:
        ring, region = divmod(key // self._classes, self._regions)
        words = self._columns
        return Part(ring, words.regions.all[region], words.kinds.all[key % self._classes], **figures)

    def controls(self) -> tuple[ControlArm, ...]:
        """Controls that are still compared, by region and class."""
        keys = self.region * self._classes + self.kind
        size = self._regions * self._classes
        n, heard = (np.bincount(keys[rows], minlength=size) for rows in (self._compared, self._heard))
        names, classes = self._columns.regions.all, self._columns.kinds.all
        found = [ControlArm(names[key // self._classes], classes[key % self._classes], int(n[key]), int(heard[key]))
                 for key in np.flatnonzero(n)]  # fmt: skip
        return tuple(sorted(found, key=lambda c: (c.region, c.machine_class)))

    def by_ring_and_class(self) -> Iterable[tuple[tuple[int, str], Mask]]:
        keys = self.ring * self._classes + self.kind
        for key in np.flatnonzero(np.bincount(keys[self.counted])) if self.counted.any() else ():
            yield (
                (int(key) // self._classes, self._columns.kinds.all[key % self._classes]),
                self.counted & (keys == key),
            )


class _Places(Known):
    """Those who may still be treated; who is a control of a ring already is looked up in the columns."""

    def __init__(self, observed: Observed, columns: Columns) -> None:
        super().__init__(replace(observed, subjects=()))
        self._columns = columns

    def spare(self, region: str, ring: int) -> Draws:
        of, regions = self._columns.of, self._columns.regions.all
        if region not in regions:
            return self.untreated(region)
        mine = (of("control") > 0) & (of("ring") == ring) & (of("region") == regions.index(region))
        here = np.array(self._observed.untreated.get(region, ()), dtype=np.int64)
        return SortedDraws(here[~np.isin(here, of("u")[mine])].tolist())
