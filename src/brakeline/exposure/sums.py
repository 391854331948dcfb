"""Figures over every open CVE of a fleet, and the order of their list, kept from look to look. Pure.

Most CVEs are the same from one look to the next; only those whose entry, rank or mark is another object are taken out
and put in again. Finding them is one comparison of identities for each CVE, so nobody has to say what moved.
Invariants: figures and order equal those made whole of the same entries, ranks and marks (tested over random
histories, and compared by the server's own checks); what was counted of a CVE is kept with it, so exactly that is taken
away; another day, a look that did not come to its end, or a place in the order that is not where it should be: all is
counted whole. Next: `marking`, which keeps one for each organisation.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from brakeline.exposure.due import SOON_DAYS, due_within
from brakeline.exposure.listing import ANY, Wanted, fits
from brakeline.exposure.marks import UNMARKED, Mark
from brakeline.exposure.priority import ORDER
from brakeline.exposure.ranks import Rank
from brakeline.exposure.standing import Exposed

PIECEMEAL: Final = 8  # where more than one in so many moved, the list is sorted whole
_INVERTED: Final = bytes(255 - byte for byte in range(256))
Word = tuple[str, str]  # what is counted: kind, value
Place = tuple[Any, ...]  # in the order of the list; its last part is the id, so no two are the same


class Line(NamedTuple):
    """One CVE as it was counted."""

    entry: Exposed
    rank: Rank
    mark: Mark
    words: tuple[Word, ...]
    place: Place


class Figures(NamedTuple):
    """Distinct CVEs of a fleet, as `answers.FleetExposure` says them."""

    cves: int
    kev: int
    carrier_cves: int
    states: dict[str, int]
    priorities: dict[str, int]
    ecosystems: dict[str, int]
    accepted: int
    partly_accepted: int
    overdue: int
    due_soon: int


class Sums:
    """See the module."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.order: list[Place] = []  # worst first
        self.counts = Counter[Word]()
        self.today = ""
        self.moved = 0  # CVEs that the last look counted anew
        self._of: tuple[object, object, object] | None = None  # None = the last look did not come to its end

    def look(
        self, entries: Mapping[str, Exposed], ranks: Mapping[str, Rank], marks: Mapping[str, Mark], today: str
    ) -> None:
        """Make them those of these."""
        before, self._of, self.moved = self._of, None, 0
        if before is None or today != self.today:
            self.lines, self.order, self.counts, self.today, before = {}, [], Counter(), today, None
        if before is None or not (before[0] is entries and before[1] is ranks and before[2] is marks):
            gone, come = self._exchanged(entries, ranks, marks)
            self._reorder(gone, come)
        self._of = (entries, ranks, marks)

    def _exchanged(
        self, entries: Mapping[str, Exposed], ranks: Mapping[str, Rank], marks: Mapping[str, Mark]
    ) -> tuple[list[Place], list[Place]]:
        """Count what moved; gives the places that are free, and those that are taken."""
        lines, gone, come = self.lines, list[Place](), list[Place]()
        for cve, entry in entries.items():
            rank, mark, was = ranks[cve], marks.get(cve, UNMARKED), lines.get(cve)
            if was is not None:
                if was[0] is entry and was[1] is rank and was[2] is mark:
                    continue
                gone.append(self._uncount(was))
            line = lines[cve] = line_of(entry, rank, mark, self.today)
            self.counts.update(line.words)
            come.append(line.place)
        if len(lines) > len(entries):
            gone += [self._uncount(lines.pop(cve)) for cve in lines.keys() - entries.keys()]
        self.moved = len(come)
        return gone, come

    def _uncount(self, was: Line) -> Place:
        for word in was.words:
            self.counts[word] -= 1
            if not self.counts[word]:
                del self.counts[word]
        return was.place

    def _reorder(self, gone: list[Place], come: list[Place]) -> None:
        order = self.order
        if (len(gone) + len(come)) * PIECEMEAL > len(order):
            self.order = sorted(line.place for line in self.lines.values())
            return
        for place in gone:
            at = bisect_left(order, place)
            if order[at : at + 1] != [place]:  # not where it should be: nothing of this order is believed
                self.order = sorted(line.place for line in self.lines.values())
                return
            del order[at]
        for place in come:
            insort(order, place)

    def figures(self) -> Figures:
        """See there."""
        counts, of = self.counts, self._of_kind
        levels = of("priority")
        return Figures(
            counts["cve", ""], counts["kev", ""], counts["carrier", ""], of("state"),
            {level.value: levels[level.value] for level in ORDER if level.value in levels},
            dict(sorted(of("ecosystem").items())), counts["accepted", ""], counts["partly", ""], counts["overdue", ""],
            counts["soon", ""],
        )  # fmt: skip

    def _of_kind(self, kind: str) -> dict[str, int]:
        return {value: count for (name, value), count in self.counts.items() if name == kind}

    def chosen(self, wanted: Wanted) -> list[Exposed]:
        """Those that match, worst first."""
        return [line.entry for line in self._matching(wanted)]

    def counted(self, wanted: Wanted) -> tuple[Counter[Word], list[Exposed]]:
        """What `counts` would be of those that match alone, and these."""
        counts, entries = Counter[Word](), list[Exposed]()
        for line in self._matching(wanted):
            counts.update(line.words)
            entries.append(line.entry)
        return counts, entries

    def _matching(self, wanted: Wanted) -> Iterator[Line]:
        for place in self.order:
            line = self.lines[place[-1]]
            if wanted == ANY or fits(line.entry, line.rank, line.mark, wanted, self.today):
                yield line

    def page(self, wanted: Wanted, after: str | None, limit: int) -> tuple[list[Exposed], int, bool]:
        """Some of those that match, behind `after`; how many match in all; whether more follow."""
        if wanted == ANY and not after:  # the page that most people look at
            shown, total = self.order[:limit], len(self.order)
            return [self.lines[place[-1]].entry for place in shown], total, limit < total
        chosen = self.chosen(wanted)
        start = next((i + 1 for i, entry in enumerate(chosen) if entry.cve == after), 0) if after else 0
        return chosen[start : start + limit], len(chosen), start + limit < len(chosen)

    def unlike(self, other: Sums) -> list[str]:
        """What is otherwise than in `other`, which was made whole of the same, in words."""
        found = [
            f"{kind} {value}: {self.counts[kind, value]} CVEs, should be {other.counts[kind, value]}"
            for kind, value in sorted(self.counts.keys() | other.counts.keys())
            if self.counts[kind, value] != other.counts[kind, value]
        ]  # fmt: skip
        return [*found, *(["another order of the list"] if self.order != other.order else [])]

    def copy(self) -> Sums:
        """As they are now, for a thread."""
        found = Sums()
        found.lines, found.order, found.counts = dict(self.lines), list(self.order), Counter(self.counts)
        found.today = self.today
        return found

    def again(self) -> Sums:
        """The same, made whole of what these are of."""
        whole = Sums()
        whole.look(*self._given(), self.today)
        return whole

    def _given(self) -> tuple[dict[str, Exposed], dict[str, Rank], dict[str, Mark]]:
        lines = self.lines.items()
        return {c: i.entry for c, i in lines}, {c: i.rank for c, i in lines}, {c: i.mark for c, i in lines}


def line_of(entry: Exposed, rank: Rank, mark: Mark, today: str) -> Line:
    """One CVE, counted."""
    place = (*rank.key, -len(entry.carriers), _newest_first(entry.cve), entry.cve)
    return Line(entry, rank, mark, tuple(_words(entry, rank, mark, today)), place)


def _words(entry: Exposed, rank: Rank, mark: Mark, today: str) -> list[Word]:
    if not entry.endpoints:
        return [_word("carrier")]
    accepted, due = mark
    found = [_word("cve"), _word("state", entry.worst().value), _word("priority", rank.priority.level.value)]
    found += [_word("ecosystem", name) for name in entry.ecosystems]
    found += [_word("kev")] if entry.kev else []
    if accepted.whole:
        return [*found, _word("accepted")]
    found += [_word("partly")] if accepted.endpoints else []
    if due.overdue:
        found.append(_word("overdue"))
    elif due_within(due, today, SOON_DAYS):
        found.append(_word("soon"))
    return found


@cache
def _word(kind: str, value: str = "") -> Word:
    """Each word once: a fleet has tens of thousands of CVEs and a few dozen words."""
    return kind, value


def _newest_first(cve: str) -> bytes:
    """Sorts the other way round than the id does."""
    return cve.encode().translate(_INVERTED) + b"\xff"
