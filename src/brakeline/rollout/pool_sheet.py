"""A sheet of evidence from one installation to another: signed sums, believed whole or not at all. Pure.

People carry it (a file, a pipe): no server calls another. Invariants: signed by the pinned key of the partner, newer
than the last, not from the future, nothing in it but subjects that are digests, known words and finite numbers. What is
not believed raises `Doubt` and changes nothing.

Versions: a sheet for a partner has the words that this partner's version knows (`told_to`), and says itself up to which
level its own goes, behind the version. Rows of signals that only a later version knows are passed over and counted
(`Read.left_out`); they stop nothing here, and the rest counts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from brakeline.cells import decide, residency
from brakeline.cells.decide import Doubt
from brakeline.cells.model import SKEW_MAX_MS, Signed
from brakeline.rollout import pooling
from brakeline.rollout.alpha import MARGINS

CONTEXT: Final = b"brakeline-pool-sheet-v1\n"
ROWS_MAX: Final = 20_000
AGE_MAX_MS: Final = 30 * 86_400_000
SUBJECT: Final = re.compile(r"[0-9a-f]{64}")
# what each level of words added
LEVELS: Final = (frozenset[str](), residency.SIGNALS, residency.LATER_SIGNALS, residency.LATEST_SIGNALS)
KNOWS: Final = len(LEVELS) - 1
LEVEL: Final = re.compile(r"/([1-9]\d{0,3})$")
SIGNALS_LATER_MAX: Final = 40  # signals of a later version: each is named to whoever takes the sheet in, and audited
SIGNAL: Final = re.compile(r"[a-z][a-z ]{0,39}")


@dataclass(frozen=True, slots=True)
class SheetRow:
    """The sum of one organisation's bets, of one change, row and ring."""

    subject: str
    signal: str
    checkpoint: int
    group: str
    ring: int
    bets: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """All that an organisation tells, at one moment of its clock."""

    made_ms: int
    version: str
    rows: tuple[SheetRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """A sheet that is believed. `knows`: the level of its maker; `left_out`: rows of signals that are unknown here, by
    signal."""

    sheet: Sheet
    knows: int
    left_out: Mapping[str, int] = field(default_factory=dict)


def version_of(product: str) -> str:
    """What a sheet says of whoever makes it. A partner of any version reads it as a text."""
    return f"{product}/{KNOWS}"


def told_to(knows: int, rows: Iterable[SheetRow]) -> tuple[tuple[SheetRow, ...], tuple[str, ...]]:
    """Rows that a partner of that level knows, and the signals of those that it would refuse the whole sheet for."""
    known = frozenset[str]().union(*LEVELS[: max(1, knows) + 1])
    found = tuple(rows)
    unknown = sorted({r.signal for r in found} - known)
    return tuple(r for r in found if r.signal in known), tuple(unknown)


def level_of(sheet: Sheet) -> int:
    """Up to which level its maker knows words: as it says, or as it uses them."""
    said = LEVEL.search(sheet.version)
    used = max((i for i, level in enumerate(LEVELS) if any(r.signal in level for r in sheet.rows)), default=1)
    return max(int(said.group(1)) if said else 1, used, 1)


def read(signed: Signed, key: str, last_ms: int, now_ms: int) -> Read:
    """The sheet in `signed`. `last_ms`: when the newest one was made that this partner is known by."""
    sheet = decide.opened(signed, CONTEXT, key, Sheet, counts=True)
    if sheet.made_ms <= last_ms:
        raise _doubt("replayed", "it is no newer than the sheet that was taken in last")
    if sheet.made_ms - now_ms > SKEW_MAX_MS:
        raise _doubt("clock_skew", "it comes from the future: one of the two clocks is wrong")
    if now_ms - sheet.made_ms > AGE_MAX_MS:
        raise _doubt("expired", "it is older than a month")
    if len(sheet.rows) > ROWS_MAX:
        raise _doubt("malformed", f"it has more than {ROWS_MAX} rows")
    if any(n > 1 for n in Counter((r.subject, r.signal, r.checkpoint, r.group, r.ring) for r in sheet.rows).values()):
        raise _doubt("malformed", "it says one thing twice")
    knows = level_of(sheet)
    later = Counter(r.signal for r in sheet.rows if _of_later(r.signal, knows))
    if len(later) > SIGNALS_LATER_MAX:
        raise _doubt("malformed", f"it has more than {SIGNALS_LATER_MAX} signals that are unknown here")
    rows = tuple(r for r in sheet.rows if r.signal not in later)
    if not all(map(_sound, rows)):
        raise _doubt("malformed", "it has a subject, word or number that is no evidence of ours")
    return Read(replace(sheet, rows=rows), knows, dict(later))


def _of_later(signal: str, knows: int) -> bool:
    return knows > KNOWS and signal not in MARGINS and SIGNAL.fullmatch(signal) is not None


def _sound(r: SheetRow) -> bool:
    known = SUBJECT.fullmatch(r.subject) and 0 <= r.checkpoint < pooling.CHECKPOINTS_MAX
    return bool(known) and pooling.sound((r.signal, r.checkpoint, r.group), r.ring, r.bets)


def _doubt(code: str, text: str) -> Doubt:
    return Doubt(f"the sheet is not believed: {text}", why=code)
