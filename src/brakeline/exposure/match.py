"""The whole decision of exposure, pure: installed packages x advisories -> findings and what was not judged.

Invariants: matched by *source* package and source version within one ecosystem and release; an advisory row is a
half-open interval of versions; nothing is looked up by version lists (a rebuild or a superseded point release is
simply a version between others). In distributions nearly every row begins at the first version, so the open rows
of a unit are a *suffix* of its source's rows sorted by fixed key: one `bisect` answers for all of them.
`Book` is what a service or a process keeps; `assess` answers for one inventory.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from brakeline.advisories.model import Advisory
from brakeline.core.debversion import BadVersion, deb_key
from brakeline.exposure.model import Assessment, Finding, Installed, NotAssessed, Role, Unit
from brakeline.exposure.units import is_installed, role_of, running_kernel_missing, unit_of


class Shelf:
    """The rows of one (ecosystem, source): simple ones (from the first version on) by fixed key, and the others."""

    __slots__ = ("fixed_keys", "others", "simple")

    def __init__(self, rows: Iterable[Advisory]) -> None:
        simple, self.others = [], []
        for row in rows:
            if row.state == "fixed" and not row.introduced:
                simple.append((deb_key(row.fixed), row.cve, row))
            elif row.state in ("fixed", "open"):
                self.others.append(row)
        simple.sort(key=lambda entry: entry[:2])
        self.fixed_keys = [key for key, _, _ in simple]
        self.simple = [row for _, _, row in simple]

    def cut(self, version: str) -> int:
        """The number of simple rows that `version` has the fix of; the rest is open. Raises `BadVersion`."""
        return bisect_right(self.fixed_keys, deb_key(version))

    def open_rows(self, version: str) -> list[Advisory]:
        """Every row that stands open for `version`, by CVE."""
        key = deb_key(version)
        rows = self.simple[bisect_right(self.fixed_keys, key) :]
        rows += [row for row in self.others if _within(row, key)]
        return sorted(rows, key=lambda row: row.cve)


def _within(row: Advisory, key: bytes) -> bool:
    return (not row.introduced or deb_key(row.introduced) <= key) and (not row.fixed or key < deb_key(row.fixed))


class Book:
    """All rows that are known, by (ecosystem, source); shelves are sorted when first used."""

    __slots__ = ("_cache", "_rows", "_shelves", "ecosystems", "kev")

    def __init__(
        self, rows: Iterable[Advisory], kev: frozenset[str] = frozenset(), ecosystems: frozenset[str] = frozenset()
    ) -> None:
        """`ecosystems`: releases that are known although no row of theirs is given."""
        self._rows: dict[tuple[str, str], list[Advisory]] = {}
        for row in rows:
            self._rows.setdefault((row.ecosystem, row.source), []).append(row)
        self._shelves: dict[tuple[str, str], Shelf] = {}
        self._cache: dict[Unit, tuple[Advisory, ...]] = {}
        self.ecosystems = ecosystems | {ecosystem for ecosystem, _ in self._rows}
        self.kev = kev

    def shelf(self, ecosystem: str, source: str) -> Shelf | None:
        """The rows of one source package; None if no advisory speaks of it."""
        name = (ecosystem, source)
        found = self._shelves.get(name)
        if found is None and name in self._rows:
            found = self._shelves[name] = Shelf(self._rows[name])
        return found

    def open_rows(self, unit: Unit) -> tuple[Advisory, ...]:
        """Rows that stand open for `unit`, by CVE; remembered, because a fleet has few distinct units."""
        found = self._cache.get(unit)
        if found is None:
            shelf = self.shelf(unit.ecosystem, unit.source)
            found = self._cache[unit] = tuple(shelf.open_rows(unit.version)) if shelf else ()
        return found


Judged = tuple[list[tuple[Installed, Unit, Role]], tuple[NotAssessed, ...]]


def judge(items: Iterable[Installed], book: Book, ecosystem: str, kernel: str = "") -> Judged:
    """Each installed package as its unit and role, or as not assessed; the step before the rows are looked up."""
    present = [item for item in items if is_installed(item.state)]
    judged: list[tuple[Installed, Unit, Role]] = []
    missing: list[NotAssessed] = []
    for item in present:
        unit = _unit(item, book, ecosystem)
        if isinstance(unit, NotAssessed):
            missing.append(unit)
        else:
            judged.append((item, unit, role_of(item.package, unit.source, kernel)))
    gap = running_kernel_missing(present, kernel)
    return judged, (*missing, gap) if gap else tuple(missing)


def _unit(item: Installed, book: Book, ecosystem: str) -> Unit | NotAssessed:
    if ecosystem not in book.ecosystems:
        return NotAssessed(item.package, item.version, "no_data", f"no advisory data for {ecosystem} is loaded")
    unit = unit_of(item, ecosystem)
    if isinstance(unit, Unit):
        try:
            book.open_rows(unit)
        except BadVersion as e:
            return NotAssessed(item.package, item.version, "bad_version", str(e))
    return unit


def assess(items: Iterable[Installed], book: Book, ecosystem: str, kernel: str = "") -> Assessment:
    """The findings of one inventory, in order of (package, cve). `kernel` = `uname -r`, "" = not known."""
    judged, missing = judge(items, book, ecosystem, kernel)
    kev, findings = book.kev, []
    for item, unit, role in sorted(judged, key=lambda entry: entry[0].package):
        for row in book.open_rows(unit):
            findings.append(
                Finding(
                    item.package, unit.source, unit.version, row.cve, row.fixed, row.dist, row.date,
                    unit.version, item.version, role.value, row.cve in kev,
                )
            )  # fmt: skip
    return Assessment(tuple(findings), missing, len(judged) + len(missing))
