"""One rollout's rows as they were last read, kept between two steps of the executor and told what changed. No I/O.

Subjects are looked at anew where their row was written or their endpoint heard since (and where they sleep within a
checkpoint's window: of everybody else time alone says nothing). Invariants: after any changes `situation` equals
`situation.load` of the same rows, but for the order of subjects (theirs is that in which they joined); nothing is
decided here; what is forgotten costs time, never truth. `differences` is how that is checked, row by row, for ever.
Next: `following`, which reads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from brakeline.fleet.model import Presence
from brakeline.rollout.model import Pin, Subject, TickState
from brakeline.rollout.situation import Lens, Situation, differs, observe
from brakeline.rollout.store.arms import SubjectRow, Target
from brakeline.rollout.store.rollouts import RolloutRow
from brakeline.rollout.tally import Key, Tally
from brakeline.rollout.target_columns import TargetColumns


class Kept:
    """See the module."""

    def __init__(self, row: RolloutRow, targets: Sequence[Target], subjects: Sequence[SubjectRow], moment: int) -> None:
        """Everything, as it was read at `moment` (`platform.changed`)."""
        self.policy, self.moment, self.upto = row.policy, moment, ""
        self._lens, self._targets = Lens.of(row), TargetColumns(row.policy, targets)
        self._tally = Tally(row.policy, row.resumed_ms)
        self._stored: dict[Key, SubjectRow] = {}
        self._of: dict[str, list[Key]] = defaultdict(list)
        self._news: dict[Key, None] = {}  # subjects to be looked at anew, in the order in which they were read
        self._heard: dict[str, None] = dict.fromkeys(t.endpoint_id for t in targets)
        self._unsaved: dict[Key, Subject] = {}
        self._taken: set[Key] = set()
        self.take((), subjects)

    def __len__(self) -> int:
        return len(self._targets)

    # --- what changed -----------------------------------------------------------------------------------------------

    def take(self, targets: Iterable[Target], subjects: Iterable[SubjectRow]) -> None:
        """Rows that were written since, or again."""
        for t in targets:
            self._targets.put(t)
            self._news.update(dict.fromkeys(self._of.get(t.endpoint_id, ())))
        for s in subjects:
            key = _key(s)
            if key not in self._stored:
                self._of[key[0]].append(key)
                self._targets.drawn(key[0], key[1])
            self._stored[key] = s
            self._news[key] = None

    def hear(self, endpoint_ids: Iterable[str]) -> None:
        """Endpoints of which there is something new, whoever they are."""
        for endpoint_id in endpoint_ids:
            if endpoint_id in self._targets:
                self._heard[endpoint_id] = None

    def look(self, row: RolloutRow, presence: Mapping[str, Presence], now_ms: int) -> None:
        """Everybody of whom there is news, as they are now."""
        for endpoint_id in self._heard:
            self._targets.see(endpoint_id, presence.get(endpoint_id))
            self._news.update(dict.fromkeys(self._of.get(endpoint_id, ())))
        self._heard.clear()
        self._news.update(dict.fromkeys(self._tally.asleep_within(now_ms)))
        self._tally.update([self._seen(key, presence, now_ms) for key in self._news], row.blueprint.turns)
        self._news.clear()

    def _seen(self, key: Key, presence: Mapping[str, Presence], now_ms: int) -> Subject:
        stored, seen = self._stored[key], presence.get(key[0])
        subject = self._lens.subject(stored, self._targets.of(key[0]), seen, now_ms)
        if differs(subject, stored.subject):
            self._unsaved[key] = subject
        else:
            self._unsaved.pop(key, None)
        (self._taken.add if self._lens.taken(stored, seen) else self._taken.discard)(key)
        return subject

    # --- as it is now -------------------------------------------------------------------------------------------------

    def situation(self, row: RolloutRow, ticks: tuple[TickState, ...], quarantined: frozenset[Pin],
                  pressed_by: str | None, now_ms: int) -> Situation:  # fmt: skip
        """What `situation.load` would read."""
        subjects, found = self._tally.subjects, self._targets.eligible(now_ms)
        observed = observe(
            row, len(self), subjects, found, ticks, quarantined, pressed_by, self._targets.data_ms
        )  # fmt: skip
        return Situation(
            row, tuple(self._targets.targets), subjects, tuple(self._unsaved.values()),
            tuple(endpoint_id for endpoint_id, _, _ in sorted(self._taken)), observed,
            self._tally.summary(row.blueprint, observed, now_ms),
        )  # fmt: skip

    def sample(self, now_ms: int) -> tuple[int, int, int, int]:
        """(treated, of them bad, controls, of them bad) at this moment."""
        return self._tally.sample(now_ms)

    # --- whether it is right ------------------------------------------------------------------------------------------

    def differences(self, targets: Iterable[Target], subjects: Iterable[SubjectRow], presence: Mapping[str, Presence],
                    now_ms: int) -> set[str]:  # fmt: skip
        """Endpoints of which these rows say something else than what is kept. `subjects` = all of these targets."""
        read = {_key(s): s for s in subjects}
        by_id = {t.endpoint_id: t for t in targets}
        wrong = {i for i, t in by_id.items() if self._targets.of(i) != t}
        mine = {key for i in by_id for key in self._of.get(i, ())}
        wrong |= {key[0] for key in mine ^ read.keys()}
        for key in mine & read.keys():
            anew = self._lens.subject(read[key], by_id[key[0]], presence.get(key[0]), now_ms)
            if self._stored[key] != read[key] or self._tally.subject(key) != anew:
                wrong.add(key[0])
        return wrong


def _key(s: SubjectRow) -> Key:
    return s.subject.endpoint_id, s.subject.arm, s.subject.tick
