"""The whole decision of exposure, pure: installed packages x advisories -> findings and what was not judged.

Invariants: matched by the package that the vendor's advisories name (nearly always the *source*) and its version, in
that ecosystem's own order; an advisory row is an interval of versions; nothing is looked up by version lists (a rebuild
or a superseded point release is simply a version between others). In distributions nearly every row begins at the first
version, so the open rows of a unit are a *suffix* of its source's rows sorted by fixed key: one `bisect` answers for
all of them. Rows with a beginning, with a last vulnerable version, of a module stream, or in an order that cannot be
sorted are asked one by one. `Book` is what a service or a process keeps; `assess` answers for one inventory.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from brakeline.advisories.ecosystems import SYSTEMS, UNSORTED, Key, canonical, key_of, name_of, order_of
from brakeline.advisories.model import DEBIAN_12, Advisory
from brakeline.core.debversion import BadVersion
from brakeline.exposure import kernels
from brakeline.exposure.authority import settled
from brakeline.exposure.model import UNREADABLE, Assessment, Dismissed, Finding, Installed, NotAssessed, Role, Unit
from brakeline.exposure.streams import is_modular, speaks_of
from brakeline.exposure.units import also_as, ecosystem_of, is_installed, role_of, unit_of
from brakeline.protocol.managers import OWN, is_found

if TYPE_CHECKING:
    from brakeline.advisories.osv.model import Span

KEPT_MAX = 500_000  # units whose answers go from book to book; more are versions that nobody has any more
OPEN = frozenset(("fixed", "open", "deferred"))  # states that make findings


class Interval(NamedTuple):
    """A row and the keys of its ends; None = it has no such end."""

    row: Advisory
    introduced: Any
    fixed: Any
    last: Any

    def holds(self, key: Any) -> bool:
        """Whether the version of `key` lies within."""
        if self.introduced is not None and key < self.introduced:
            return False
        return (self.fixed is None or key < self.fixed) and (self.last is None or not self.last < key)


class Shelf:
    """The rows of one (ecosystem, source): simple ones (from the first version on) by fixed key, and the others.

    `dismissed`: rows that make no finding, each with a code and the reason.
    """

    __slots__ = ("_key", "_rpm", "dismissed", "fixed_keys", "others", "repeats", "simple")

    def __init__(self, rows: Iterable[Advisory], ecosystem: str = DEBIAN_12) -> None:
        """Raises `BadVersion` if nobody knows how `ecosystem` orders versions."""
        key, order = key_of(ecosystem), order_of(ecosystem)
        if key is None:
            raise BadVersion("how this ecosystem orders its versions is not known", ecosystem=ecosystem)
        self._key, self._rpm = key, order == "rpm"
        self.dismissed: list[tuple[Advisory, str, str]] = []
        self.others: list[Interval] = []
        simple: list[Interval] = []
        for interval in self._intervals(settled(list(rows), order)):
            row = interval.row
            plain = interval.fixed is not None and interval.introduced is None and interval.last is None
            modular = self._rpm and is_modular(row.fixed, row.module)
            (simple if plain and not modular and order not in UNSORTED else self.others).append(interval)
        simple = sorted(_lowest(simple) if self._rpm else simple, key=lambda i: (i.fixed, i.row.cve))
        self.fixed_keys = [i.fixed for i in simple]
        self.simple = [i.row for i in simple]
        self.repeats = len({row.cve for row in self.simple}) != len(self.simple)  # one unit may have two of a CVE open

    def _intervals(self, rows: list[Advisory]) -> Iterable[Interval]:
        withdrawn = {(row.id, row.cve): row.reason for row in rows if row.state == "withdrawn"}
        for row in rows:
            taken_back = row.state == "withdrawn" or (row.id and (row.id, row.cve) in withdrawn)
            if taken_back:
                reason = withdrawn[row.id, row.cve] or "its makers have withdrawn it"
                self.dismissed.append((row, "withdrawn", reason))
            elif row.state not in OPEN:
                self.dismissed.append((row, row.state, row.reason or "the vendor says that it is not affected"))
            else:
                try:
                    yield interval_of(row, self._key)
                except BadVersion as e:
                    self.dismissed.append((row, UNREADABLE, str(e)))

    def cut(self, version: str) -> int:
        """The number of simple rows that `version` has the fix of; the rest is open. Raises `BadVersion`."""
        return bisect_right(self.fixed_keys, self._key(version))

    def cut_at(self, key: Any) -> int:
        """The same for the key of a version."""
        return bisect_right(self.fixed_keys, key)

    def open_rows(self, version: str, module: str = "") -> list[Advisory]:
        """Every row that stands open for `version`, by CVE; one for each. Raises `BadVersion`."""
        key = self._key(version)
        modular = self._rpm and is_modular(version, module)
        rows = [] if modular else self.simple[bisect_right(self.fixed_keys, key) :]
        others = self.others
        if others and self._rpm:
            others = _lowest([i for i in others if speaks_of(i.row, version, module)])
        rows += [i.row for i in others if i.holds(key)]
        rows.sort(key=lambda row: row.cve)
        return rows if len({row.cve for row in rows}) == len(rows) else self._one_for_each(rows)

    def _one_for_each(self, rows: list[Advisory]) -> list[Advisory]:
        """Of several rows that hold one CVE open, the one that closes it last: only then is it closed."""
        found: dict[str, Advisory] = {}
        for row in rows:
            other = found.get(row.cve)
            if other is None or (other.fixed and (not row.fixed or self._key(other.fixed) < self._key(row.fixed))):
                found[row.cve] = row
        return list(found.values())


def interval_of(row: Advisory, key: Key) -> Interval:
    """`row` with the keys of its ends. Raises `BadVersion`."""
    return Interval(
        row, key(row.introduced) if row.introduced else None, key(row.fixed) if row.fixed else None,
        key(row.last_affected) if row.last_affected else None,
    )  # fmt: skip


def _lowest(intervals: list[Interval]) -> list[Interval]:
    """An rpm advisory that names several builds with its fix (one for each minor release) is closed by any of them.

    Elsewhere several intervals of an advisory are branches, and a version is vulnerable in any of them.
    """
    if not any(interval.row.id for interval in intervals):
        return intervals
    found: dict[object, Interval] = {}
    for number, interval in enumerate(intervals):
        row = interval.row
        name = (row.id, row.cve, row.introduced, row.module) if row.id and row.fixed else number
        other = found.get(name)
        if other is None or interval.fixed < other.fixed:
            found[name] = interval
    return list(found.values())


Name = tuple[str, str]  # ecosystem, and source as units have it


class Book:
    """All rows that are known, by (ecosystem, source); shelves are sorted when first used.

    Spans become rows when somebody has their package: of a registry's hundred thousands a fleet has a few hundred.
    """

    __slots__ = ("_cache", "_merged", "_rows", "_shelves", "_spans", "ecosystems", "kev")

    def __init__(
        self,
        rows: Iterable[Advisory],
        kev: frozenset[str] = frozenset(),
        ecosystems: frozenset[str] = frozenset(),
        spans: Iterable[Span] = (),
    ) -> None:
        """`ecosystems`: releases that are known although no row of theirs is given. `spans`: under canonical names."""
        self._rows = by_name(rows)
        self._spans: dict[Name, list[Span]] = {}
        if spans:
            from brakeline.exposure.windows import laid  # most runs of `exposure assess` have none

            for span in laid(spans):
                self._spans.setdefault((span.ecosystem, span.name), []).append(span)
        self._merged: dict[Name, list[Advisory]] = {}  # of names with spans
        self._shelves: dict[Name, Shelf] = {}
        self._cache: dict[Unit, tuple[Advisory, ...]] = {}
        self.ecosystems = frozenset(map(canonical, ecosystems)).union(
            {ecosystem for ecosystem, _ in self._rows}, {ecosystem for ecosystem, _ in self._spans}
        )
        self.kev = kev

    @classmethod
    def of(
        cls, rows: dict[Name, list[Advisory]], spans: dict[Name, list[Span]], kev: frozenset[str],
        ecosystems: frozenset[str],
    ) -> Book:  # fmt: skip
        """The book of what stands under its names already (`books`)."""
        book = cls((), kev)
        book._rows, book._spans, book.ecosystems = rows, spans, ecosystems
        return book

    def contents(self) -> tuple[dict[Name, list[Advisory]], dict[Name, list[Span]]]:
        """Copies of what it has under each name; the lists are its own."""
        return self._rows.copy(), self._spans.copy()

    def shelf(self, ecosystem: str, source: str) -> Shelf | None:
        """The rows of one source package; None if no advisory speaks of it."""
        name = (ecosystem, source)
        found = self._shelves.get(name)
        if found is None and (rows := self.rows_of(*name)):
            found = self._shelves[name] = Shelf(rows, ecosystem)
        return found

    def rows_of(self, ecosystem: str, source: str) -> list[Advisory]:
        """Every row of one package, also those that make no finding; names are canonical."""
        name = (ecosystem, source)
        spans = self._spans.get(name)
        if spans is None:
            return self._rows.get(name, [])
        found = self._merged.get(name)
        if found is None:
            from brakeline.exposure.spans import rows_of  # most runs of `exposure assess` have none

            found = self._merged[name] = [*self._rows.get(name, ()), *rows_of(spans)]
        return found

    def differing(self, before: Book) -> frozenset[Name]:
        """Names of packages that the two do not say the same of."""
        return frozenset(
            name
            for mine, theirs in ((self._rows, before._rows), (self._spans, before._spans))
            for name in mine.keys() | theirs.keys()
            if mine.get(name) != theirs.get(name)
        )

    def keep(self, before: Book, changed: frozenset[Name] | None = None) -> frozenset[Name]:
        """Take over what `before` has worked out of every name that says the same; gives the others.

        So a corrected range costs what its one package costs, whatever else is known. `changed`: where it is known.
        """
        changed = self.differing(before) if changed is None else changed
        # Copies first: somebody may be asking `before` in another thread, which adds to it.
        merged, shelves = before._merged.copy(), before._shelves.copy()
        answers = before._cache.copy() if len(before._cache) < KEPT_MAX else {}
        for name in changed:
            merged.pop(name, None)
            shelves.pop(name, None)
        for unit in [unit for unit in answers if (unit.ecosystem, unit.source) in changed]:
            del answers[unit]
        self._merged |= merged
        self._shelves |= shelves
        self._cache |= answers
        return changed

    def open_rows(self, unit: Unit) -> tuple[Advisory, ...]:
        """Rows that stand open for `unit`, by CVE; remembered, because a fleet has few distinct units."""
        found = self._cache.get(unit)
        if found is None:
            shelf = self.shelf(unit.ecosystem, unit.source)
            found = self._cache[unit] = tuple(shelf.open_rows(unit.version, unit.module)) if shelf else ()
        return found


def by_name(rows: Iterable[Advisory]) -> dict[Name, list[Advisory]]:
    """Rows under the names that units have."""
    found: dict[Name, list[Advisory]] = {}
    plain = ""  # an ecosystem whose rows have the names of units already: nearly all rows of a system's feed
    for row in rows:
        named = row if row.ecosystem == plain else named_as(row)
        if named is row and row.ecosystem != plain and order_of(row.ecosystem) in SYSTEMS:
            plain = row.ecosystem
        found.setdefault((named.ecosystem, named.source), []).append(named)
    return found


def named_as(row: Advisory) -> Advisory:
    """`row` under the names that units have."""
    ecosystem = canonical(row.ecosystem)
    source = name_of(ecosystem, row.source)
    if ecosystem == row.ecosystem and source == row.source:
        return row
    return row._replace(ecosystem=ecosystem, source=source)


Judged = tuple[list[tuple[Installed, Unit, Role]], tuple[NotAssessed, ...]]


def judge(items: Iterable[Installed], book: Book, ecosystem: str, kernel: str = "") -> Judged:
    """Each installed package as its unit and role, or as not assessed; the step before the rows are looked up."""
    present = [item for item in items if is_installed(item.state)]
    gap = kernels.missing(present, kernel, order_of(ecosystem))
    runs = kernels.running(present, kernel, order_of(ecosystem)) if gap else None
    if runs is not None:  # judged by what it says of itself
        present, gap = [*present, runs], None
    judged: list[tuple[Installed, Unit, Role]] = []
    missing: list[NotAssessed] = []
    for item in present:
        unit = _unit(item, book, ecosystem)
        if isinstance(unit, NotAssessed):
            missing.append(unit)
        else:
            judged.append((item, unit, role_of(item, unit, kernel)))
            other = also_as(item, unit)
            if other is not None and _can_be_ordered(other):
                judged.append((item, other, role_of(item, other, kernel)))
    return judged, (*missing, gap) if gap else tuple(missing)


def looked_at(judged: Iterable[tuple[Installed, Unit, Role]]) -> int:
    """How many packages were judged; one may be judged under two names."""
    return len({id(item) for item, _, _ in judged})


def _can_be_ordered(unit: Unit) -> bool:
    try:
        (key_of(unit.ecosystem) or str)(unit.version)
    except BadVersion:
        return False
    return True


def _unit(item: Installed, book: Book, ecosystem: str) -> Unit | NotAssessed:
    own = ecosystem_of(item, ecosystem)
    if own == OWN:
        reason = "is an own package: no vendor's advisory speaks of it"
        return NotAssessed(item.package, item.version, "third_party", reason)
    if own not in book.ecosystems and not item.owner:
        if own.startswith("microsoft:"):
            why = f"no month of Microsoft that speaks of {item.package} is loaded (brakeline content import msrc-…)"
            return NotAssessed(item.package, item.version, "no_advisories", why)
        return NotAssessed(item.package, item.version, "no_data", f"no advisory data for {own} is loaded")
    unit = unit_of(item, ecosystem)
    if isinstance(unit, Unit):
        try:
            (key_of(unit.ecosystem) or str)(
                unit.version
            )  # also where no row speaks of it: what cannot be judged is said
            book.open_rows(unit)
        except BadVersion as e:
            return NotAssessed(item.package, item.version, "bad_version", str(e))
    return unit


def assess(items: Iterable[Installed], book: Book, ecosystem: str, kernel: str = "") -> Assessment:
    """The findings of one inventory, in order of (package, cve). `kernel` = `uname -r`, "" = not known."""
    judged, missing = judge(items, book, ecosystem, kernel)
    judged.sort(key=lambda entry: entry[0].package)
    kev, findings = book.kev, []
    said, before = set[str](), None  # of one package that is judged under two names, each CVE once
    for item, unit, role in judged:
        said = said if item is before else set()
        before = item
        for row in book.open_rows(unit):
            if row.cve in said:
                continue
            said.add(row.cve)
            findings.append(
                Finding(
                    item.package, unit.source, unit.version, row.cve, row.fixed, row.dist, row.date,
                    unit.version, item.version, role.value, row.cve in kev, unit.ecosystem, row.id,
                    is_found(item.architecture),
                )
            )  # fmt: skip
    packages = looked_at(judged)
    if packages < len(judged):
        findings.sort(key=lambda f: (f.package, f.cve))
    return Assessment(tuple(findings), missing, packages + len(missing), tuple(_dismissed(judged, book)))


def _dismissed(judged: list[tuple[Installed, Unit, Role]], book: Book) -> Iterable[Dismissed]:
    for item, unit, _ in judged:
        shelf = book.shelf(unit.ecosystem, unit.source)
        for row, code, reason in shelf.dismissed if shelf else ():
            yield Dismissed(item.package, unit.source, row.cve, code, reason)
