"""How much of a fleet's findings new content would flip, and whether that is held before it is applied. Pure.

Advisory data changes no endpoint, and yet it is content: a poisoned or broken feed can take findings away (false calm:
nobody patches what is exploited) or add them by thousands (everybody patches at once). So content is compared before it
is live: what each fleet's units have open under the old rows and under the new, and the difference in finding states
(endpoint x installed source x CVE, in what can run).

The two directions are not treated alike. *Losses* beyond the bound wait for people, and nothing ends the wait but them.
*Additions* beyond theirs wait six hours with a notice and are live then by themselves, unless somebody refuses: a real
flood of advisories must not wait for a weekend, and whatever installs a fix goes by rings anyway. What is known to be
exploited never counts as an addition, and is named while the content waits. Next: `holding`, which does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pyroaring import BitMap

from brakeline.exposure.index import Key, Name, TenantIndex
from brakeline.exposure.match import Book
from brakeline.exposure.model import Role, Unit

FEW: Final = 20  # finding states that may flip in any fleet: a share of next to nothing says nothing
ADDITIONS_WAIT_MS: Final = 6 * 3600 * 1000
NAMED_MAX: Final = 50  # exploited CVEs named while content waits
LOSSES, ADDITIONS = "losses", "additions"


@dataclass(frozen=True, slots=True)
class Bound:
    """Shares of a fleet's finding states that new content may flip at once."""

    losses: float = 0.05
    additions: float = 0.25


SHARES: Final = (0.01, 0.5)  # that a bound may be: never "anything", never so low that each feed waits


@dataclass(frozen=True, slots=True)
class Moved:
    """One unit: how many CVEs stand open for it, how many are new and gone, and which of the new are exploited."""

    was: int
    new: int
    gone: int
    exploited: frozenset[str]


@dataclass(frozen=True, slots=True)
class Named:
    """An exploited CVE that would be added."""

    cve: str
    endpoints: int


@dataclass(frozen=True, slots=True)
class Flips:
    """What would change in one fleet. States are (endpoint, unit, CVE) in what can run."""

    before: int = 0
    gained: int = 0  # of these, `exploited` states do not count against the bound
    lost: int = 0
    exploited: int = 0
    gaining: int = 0  # endpoints
    losing: int = 0
    named: tuple[Named, ...] = ()  # exploited CVEs that would be added, the most widespread first


@dataclass(frozen=True, slots=True)
class HeldRow:
    """New content of a feed as this organisation's fleet would feel it. `decision`: "" | accepted | refused."""

    feed: str
    sha256: str
    version: str
    flips: Flips
    kind: str
    reason: str
    held_ms: int
    decision: str = ""
    decided_ms: int = 0
    decided_by: str = ""
    live_ms: int = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """Why content waits. `until_ms` = when it is live by itself, 0 = people decide."""

    kind: str
    reason: str
    until_ms: int = 0


def changes(units: Iterable[Unit], before: Book, after: Book, *, only_kev: bool = False) -> dict[Unit, Moved]:
    """What is open for each unit, and what of it moves: the long part, which needs nothing but the two books.

    `only_kev`: new content is a catalogue, which flips flags and not findings.
    """
    found = {}
    for unit in units:
        rows = before.open_rows(unit)
        if not only_kev and rows == after.open_rows(unit):  # nearly all of them: one row for each CVE
            if rows:
                found[unit] = Moved(len(rows), 0, 0, frozenset())
            continue
        was, will = _open(before, unit, only_kev=only_kev), _open(after, unit, only_kev=only_kev)
        if was or will:
            new = will - was
            found[unit] = Moved(len(was), len(new), len(was - will), new & after.kev)
    return found


def marks(units: Iterable[Unit], book: Book, before: frozenset[str], after: frozenset[str]) -> dict[Unit, Moved]:
    """The same for marks that scores put on CVEs (likely, severe): no finding comes or goes, what people do first does.

    None of them is exempt: a file that calls everything likely is as wrong as one that calls nothing so.
    """
    found = {}
    for unit in units:
        cves = frozenset(row.cve for row in book.open_rows(unit))
        was, will = cves & before, cves & after
        if was or will:
            found[unit] = Moved(len(was), len(will - was), len(was - will), frozenset())
    return found


def _open(book: Book, unit: Unit, *, only_kev: bool) -> frozenset[str]:
    found = frozenset(row.cve for row in book.open_rows(unit))
    return found & book.kev if only_kev else found


def flips(holders: Mapping[Key, BitMap], moved: Mapping[Unit, Moved]) -> Flips:
    """The same for the fleet that `holders` says."""
    before = gained = lost = exploited = 0
    gaining, losing = BitMap(), BitMap()
    named: dict[str, BitMap] = {}
    for (unit, role), mine in holders.items():
        change = moved.get(unit) if role is Role.ACTIVE else None
        if change is None:
            continue
        before += change.was * len(mine)
        gained += change.new * len(mine)
        lost += change.gone * len(mine)
        exploited += len(change.exploited) * len(mine)
        if change.new:
            gaining |= mine
        if change.gone:
            losing |= mine
        for cve in change.exploited:
            named.setdefault(cve, BitMap()).update(mine)
    worst = sorted((Named(cve, len(ids)) for cve, ids in named.items()), key=lambda n: (-n.endpoints, n.cve))
    return Flips(before, gained, lost, exploited, len(gaining), len(losing), tuple(worst[:NAMED_MAX]))


def differing(names: Iterable[Name], before: Book, after: Book) -> frozenset[Name]:
    """Those of these names of which the two books may not say the same: their rows are not the same object."""
    return frozenset(
        name for name in names if name[2] is Role.ACTIVE and before.shelf(*name[:2]) is not after.shelf(*name[:2])
    )


def held_by(index: TenantIndex, names: Iterable[Name]) -> dict[Key, BitMap]:
    """Who has which version of these names, as it is now."""
    keys = index.keys
    ids = (one for name in names for _, one in index.orders.get(name, ()))
    return {keys.values[one]: keys.maps[one].copy() for one in ids if keys.maps[one]}


def in_all(found: Flips, holders: Mapping[Key, BitMap], before: Book, states: int) -> Flips:
    """What was found of the names that differ, with what stands open in all: `states`, as `memo` has counted them."""
    mine = sum(len(before.open_rows(unit)) * len(held) for (unit, _), held in holders.items())
    return replace(found, before=states - mine + found.before)


def verdict(
    found: Flips, bound: Bound, decision: str, held_ms: int, now_ms: int, what: str = "findings"
) -> Hold | None:
    """Why this content is not live in this fleet now; None = nothing against it. `decision`: accepted, refused."""
    if decision == "accepted":
        return None
    if found.lost > max(FEW, bound.losses * found.before):
        return Hold(LOSSES, _says("take away", found.lost, found.before, found.losing, what))
    counted = found.gained - found.exploited
    if counted <= max(FEW, bound.additions * found.before):
        return None
    until_ms = held_ms + ADDITIONS_WAIT_MS
    if decision != "refused" and now_ms >= until_ms:
        return None
    says = _says("add", counted, found.before, found.gaining, what)
    return Hold(ADDITIONS, says, 0 if decision == "refused" else until_ms)


def _says(does: str, states: int, before: int, endpoints: int, what: str) -> str:
    share = f", {states / before:.0%} of what stands open" if before else ""
    one = "endpoint" if endpoints == 1 else "endpoints"
    return f"it would {does} {states:,} {what} on {endpoints:,} {one}{share}"
