"""Which of several statements about one CVE in one package of a distribution counts. Pure.

A distribution speaks of a CVE in several places: in its tracker or a record for each CVE, in the advisory that repairs
it (DSA, DLA, ALSA), in the changelog of the package. They are written on different days and do not always agree:
- *Open* in one place and *fixed* in another: the fix counts. Most fixes of Debian's long-term support stand in their
  advisories alone, and a record that has not heard of them would accuse what is patched. Nothing is lost: below the
  fix the row of the fix stands open.
- A row that was *derived* (from a changelog; it has no advisory's id) says nothing beside a record of the vendor's own.
Two fixes stay two rows: the later one closes (`match.Shelf`). Rows of other module streams speak of other packages.
"""

from __future__ import annotations

from collections.abc import Iterable

from brakeline.advisories.ecosystems import SYSTEMS
from brakeline.advisories.model import Advisory

_UNFIXED = frozenset(("open", "deferred"))
_SETTLED = frozenset(("fixed", "not_affected"))


def settled(rows: list[Advisory], order: str) -> list[Advisory]:
    """The rows that count, in their order. `order`: of the ecosystem's versions."""
    if order not in SYSTEMS or not any(row.id for row in rows):
        return rows
    fixed = {_name(row) for row in rows if row.state == "fixed" and row.fixed and not row.introduced}
    recorded = {_name(row) for row in rows if row.id and row.state in _SETTLED}
    return list(_counting(rows, fixed, recorded))


def _counting(
    rows: Iterable[Advisory], fixed: set[tuple[str, str]], recorded: set[tuple[str, str]]
) -> Iterable[Advisory]:
    for row in rows:
        boundless = not (row.introduced or row.fixed or row.last_affected)
        if boundless and row.state in _UNFIXED and _name(row) in fixed:
            continue
        if not row.id and row.state != "withdrawn" and _name(row) in recorded:
            continue
        yield row


def _name(row: Advisory) -> tuple[str, str]:
    return row.cve, row.module
