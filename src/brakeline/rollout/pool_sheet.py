"""A sheet of evidence from one installation to another: signed sums, believed whole or not at all. Pure.

People carry it (a file, a pipe): no server calls another. Invariants: signed by the pinned key of the partner, newer
than the last, not from the future, nothing in it but subjects that are digests, known words and finite numbers. What is
not believed raises `Doubt` and changes nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

from brakeline.cells import decide
from brakeline.cells.decide import Doubt
from brakeline.cells.model import SKEW_MAX_MS, Signed
from brakeline.rollout import pooling

CONTEXT: Final = b"brakeline-pool-sheet-v1\n"
ROWS_MAX: Final = 20_000
AGE_MAX_MS: Final = 30 * 86_400_000
SUBJECT: Final = re.compile(r"[0-9a-f]{64}")


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


def read(signed: Signed, key: str, last_ms: int, now_ms: int) -> Sheet:
    """The sheet in `signed`. `last_ms`: when the newest one was made that this partner is known by."""
    sheet = decide.opened(signed, CONTEXT, key, Sheet)
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
    if not all(map(_sound, sheet.rows)):
        raise _doubt("malformed", "it has a subject, word or number that is no evidence of ours")
    return sheet


def _sound(r: SheetRow) -> bool:
    known = SUBJECT.fullmatch(r.subject) and 0 <= r.checkpoint < pooling.CHECKPOINTS_MAX
    return bool(known) and pooling.sound((r.signal, r.checkpoint, r.group), r.ring, r.bets)


def _doubt(code: str, text: str) -> Doubt:
    return Doubt(f"the sheet is not believed: {text}", why=code)
