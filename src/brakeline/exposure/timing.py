"""Watches inventories for findings that are closed, and writes down how long they stood open.

Invariants: in the transaction that moves the counts, so a closing is counted once, also when an inventory is looked at
twice or by two processes; the histograms name no endpoint and no CVE; a fault here is a fault of the assessment, which
is tried again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from brakeline.advisories.service import Knowledge
from brakeline.core.days import day_of
from brakeline.exposure import store_times
from brakeline.exposure.index import EndpointView
from brakeline.exposure.match import Book
from brakeline.exposure.model import FindingState, Role, Unit
from brakeline.exposure.offers import state_of
from brakeline.exposure.store_times import Standing
from brakeline.exposure.times import OUTSIDE, Key, Spread, Stood, Way, added, closed
from brakeline.platform.database import Connection

RingOf = Callable[[Connection, str], Awaitable[int | None]]  # endpoint -> ring in which it was treated lately
Noted = tuple[EndpointView, Mapping[Key, Spread]]  # what `note` found of one endpoint
Gone = list[tuple[Stood, dict[str, str]]]
NOTHING: Final[Mapping[Key, Spread]] = {}


async def nobody_s_ring(conn: Connection, endpoint_id: str) -> int | None:  # noqa: ARG001
    """Without rollouts nothing is closed by one."""
    return None


async def note(
    conn: Connection, view: EndpointView, book: Book, known: Knowledge, ring_of: RingOf, now_ms: int
) -> Mapping[Key, Spread]:
    """Before the new counts are written: what stood open and is gone."""
    before = await store_times.standing(conn, view.endpoint_id)
    gone = closings(before, view, book)
    if not gone:
        return NOTHING
    ring = await ring_of(conn, view.endpoint_id)
    return added(gone, known.exploited, known.cvss, OUTSIDE if ring is None else ring, now_ms)


async def write(conn: Connection, tenant_id: str, noted: Sequence[Noted], book: Book, now_ms: int) -> None:
    """After the new counts of all are written, because everybody adds to the same rows: what `note` found of each, and
    what is on offer since when."""
    together: dict[Key, Spread] = {}
    for view, gone in noted:
        await store_times.set_offered(conn, view.endpoint_id, fixable(view, book), now_ms)
        for key, spread in gone.items():
            together[key] = together[key].plus(spread) if key in together else spread
    await store_times.add(conn, tenant_id, day_of(now_ms), together)


def closings(before: tuple[Standing, ...], view: EndpointView, book: Book) -> Gone:
    """For each source whose version changed: when it stood open, and the CVEs that are closed."""
    now: dict[str, list[Unit]] = {}
    for unit, role in view.keys:
        if role is Role.ACTIVE:
            now.setdefault(unit.source, []).append(unit)
    found: Gone = []
    for stood in before:
        units = now.get(stood.source, [])
        if any(unit.version == stood.version for unit in units):
            continue
        old = _as_it_was(stood, units, view)
        if old is None:
            continue
        gone = closed(book.open_rows(old), [row for unit in units for row in book.open_rows(unit)])
        if gone:
            way = Way.PATCHED if units else Way.REMOVED
            found.append((Stood(stood.first_seen_ms, stood.offered_ms, way), gone))
    return found


def _as_it_was(stood: Standing, units: list[Unit], view: EndpointView) -> Unit | None:
    """The unit in its old version: where it is gone altogether, in the release that most of the endpoint is of."""
    if units:
        return units[0]._replace(version=stood.version)
    ecosystems = [unit.ecosystem for unit, _ in view.keys]
    return Unit(max(set(ecosystems), key=ecosystems.count), stood.source, stood.version) if ecosystems else None


def fixable(view: EndpointView, book: Book) -> set[str]:
    """Sources that have a fix on offer here."""
    found = set()
    for unit, role in view.keys:
        offered = view.offer(unit, role)
        if role is Role.ACTIVE and offered is not None and unit.source not in found:
            states = (state_of(row, offered, view.lists_known) for row in book.open_rows(unit))
            if any(state is FindingState.FIXABLE for state in states):
                found.add(unit.source)
    return found
