"""Subjects of a rollout as columns of numbers, a place a subject, so that a hundred thousand are counted at once. Pure.

`put` writes a subject's row anew or adds one; `Columns.of` gives a column without its spare room. Words are kept as
numbers of the words seen so far (`Words`). Next: `tally`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from brakeline.rollout import untaken
from brakeline.rollout.model import CLASSES, Arm, Progress, Subject
from brakeline.rollout.summary import OPEN

Ints = NDArray[np.int64]
NAMES: Final = (
    "control", "ring", "region", "kind", "u", "ready", "last_heard", "asleep_now", "unhealthy_now", "open", "explicit",
    "proven", "crossed", "set_aside", "consents", "restarted", "refused", "heard", "wordless", "started",
)  # fmt: skip


class Words:
    """Numbers of words, in the order in which they were first seen."""

    def __init__(self, *known: str) -> None:
        self.all = list(known)
        self._places = {word: i for i, word in enumerate(known)}

    def number(self, word: str) -> int:
        if word not in self._places:
            self._places[word] = len(self.all)
            self.all.append(word)
        return self._places[word]


class Columns:
    """Numbers of every subject; times in milliseconds, 0 = never."""

    def __init__(self) -> None:
        self._room, self._size = np.zeros((len(NAMES), 1024), np.int64), 0
        self.regions, self.kinds = Words(), Words(*CLASSES)

    def __len__(self) -> int:
        return self._size

    def of(self, name: str) -> Ints:
        column: Ints = self._room[NAMES.index(name), : self._size]
        return column

    def put(self, place: int, s: Subject) -> None:
        """At the next place a subject is added."""
        if place >= self._room.shape[1]:
            self._room = np.concatenate([self._room, np.zeros_like(self._room)], axis=1)
        self._size = max(self._size, place + 1)
        self._room[:, place] = (
            s.arm is Arm.CONTROL, s.ring, self.regions.number(s.region), self.kinds.number(s.machine_class), s.u,
            s.ready_ms, s.last_heard_ms, s.asleep_now, s.unhealthy_now, s.progress in OPEN, s.explicit, s.proven_ms,
            s.crossed_ms, s.set_aside_ms, s.consents, s.restarted_ms, bool(s.restart_refused), s.heard,
            untaken.wordless(s), s.progress is Progress.STARTED,
        )  # fmt: skip
