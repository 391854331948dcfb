"""What pinned updates would close: the same matcher on the inventory as it is and as it would be. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from brakeline.advisories.ecosystems import order_of
from brakeline.exposure import kernels
from brakeline.exposure.answers import Closing
from brakeline.exposure.match import Book, judge
from brakeline.exposure.model import Installed, Role
from brakeline.exposure.offers import candidate_source
from brakeline.protocol.managers import is_found

Inventory = tuple[list[Installed], str, str]  # packages, release, running kernel


def updated(item: Installed, version: str) -> Installed | None:
    """`item` after its update to `version`; None where that version does not tell its source version, in which case
    the update is taken to bring the newest fixes."""
    source_version = candidate_source(item, version)
    return None if source_version is None else item._replace(version=version, source_version=source_version)


def _is_meant(item: Installed, wanted: Mapping[str, str]) -> bool:
    """Whether an update reaches it: what was found on the disk or in an image, nobody here updates."""
    return item.package in wanted and not is_found(item.architecture)


def _open(items: list[Installed], book: Book, release: str, kernel: str) -> dict[str, set[str]]:
    """CVE -> packages that can run it."""
    found: dict[str, set[str]] = {}
    for item, unit, role in judge(items, book, release, kernel)[0]:
        if role is Role.ACTIVE:
            for row in book.open_rows(unit):
                found.setdefault(row.cve, set()).add(item.package)
    return found


def _restarted(kernel: str, wanted: Mapping[str, str], release: str) -> str:
    """`uname -r` after the update and the restart that it asks for: not known, where the kernel is among the updates.

    Debian's images have names of their own and stay beside the new one: what runs there until the restart is told.
    """
    order = order_of(release)
    return "" if order != "deb" and any(kernels.is_image(name, order) for name in wanted) else kernel


NO_SCORES: Final[tuple[Mapping[str, float], Mapping[str, float]]] = ({}, {})


def closing(
    inventories: Mapping[str, Inventory], pins: Mapping[str, Mapping[str, str]], book: Book,
    scores: tuple[Mapping[str, float], Mapping[str, float]] = NO_SCORES,
) -> Closing:  # fmt: skip
    """Findings before and after; `pins` = endpoint id -> {package: version}; `scores` = EPSS and CVSS by CVE."""
    before: set[str] = set()
    after: set[str] = set()
    by_update: dict[str, set[str]] = {}
    findings = assessed = 0
    exposed: dict[str, frozenset[str]] = {}
    for endpoint_id, (items, release, kernel) in inventories.items():
        wanted = pins.get(endpoint_id, {})
        changed = [updated(item, wanted[item.package]) if _is_meant(item, wanted) else item for item in items]
        was = _open(items, book, release, kernel)
        left = _open([item for item in changed if item is not None], book, release, _restarted(kernel, wanted, release))
        before |= was.keys()
        after |= left.keys()
        findings += len(was.keys() - left.keys())
        exposed[endpoint_id] = frozenset(was.keys() - left.keys())
        assessed += bool(was) or bool(judge(items, book, release, kernel)[0])  # no data is not "nothing to close"
        for cve in was.keys() - left.keys():
            for package in was[cve] & wanted.keys():
                by_update.setdefault(package, set()).add(cve)
    closed = sorted(before - after, key=lambda cve: (cve not in book.kev, cve))
    exploited = book.kev.intersection(closed)
    return Closing(
        len(before), len(after), tuple(closed), tuple(cve for cve in closed if cve in exploited),
        {package: len(cves) for package, cves in sorted(by_update.items())}, findings,
        sum(bool(cves & exploited if exploited else cves) for cves in exposed.values()), assessed,
        _highest(closed, scores[0]), _highest(closed, scores[1]),
        sum(likeliest(cves, book.kev, scores[0]) for cves in exposed.values()),
    )  # fmt: skip


def likeliest(cves: Iterable[str], kev: frozenset[str], epss: Mapping[str, float]) -> float:
    """How likely the likeliest of these is exploited within 30 days: 1 for what is known to be, 0 where nothing says.

    Not the probability of *any*: with thousands of kernel CVEs that would be one, and says nothing of this endpoint.
    """
    return max((1.0 if cve in kev else epss.get(cve, 0.0) for cve in cves), default=0.0)


def _highest(cves: Iterable[str], scores: Mapping[str, float]) -> float | None:
    return max((scores[cve] for cve in cves if cve in scores), default=None)
