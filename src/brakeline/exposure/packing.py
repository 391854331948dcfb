"""Endpoints of the index as packed rows of the database, and a whole index from such rows.

Invariants: a row is written only after its values have ids, in one transaction; ids are the database's, so several
processes and a restart speak of the same; a row that names an id which is not there is `Damaged`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from brakeline.core.debversion import BadVersion
from brakeline.exposure import store_index, store_values
from brakeline.exposure.index import EndpointView, TenantIndex
from brakeline.exposure.packed import GAP, KINDS, OFFER, READERS, UNIT, Damaged, text_of
from brakeline.exposure.postings import Postings, joined_of
from brakeline.exposure.store_index import Found, Row, Value
from brakeline.platform.database import Connection


class Fresh(NamedTuple):
    """Values that got ids in one transaction, by kind; `times`: how often values had been taken away by then."""

    ids: dict[str, dict[Any, int]]
    times: int


FIELDS = {UNIT: "units", OFFER: "offers", GAP: "gaps"}


class Codes:
    """The database's ids of one tenant's values, as far as they are known here."""

    def __init__(self) -> None:
        self._known: dict[str, dict[Any, int]] = {kind: {} for kind in KINDS}
        self.times = 0  # how often values had been taken away when these were known

    async def pack(
        self, conn: Connection, tenant_id: str, views: Sequence[EndpointView], rules: str
    ) -> tuple[list[Row], Fresh]:
        """Rows of these endpoints, and the values that got ids in this transaction: `learn` them after its commit."""
        times = await store_values.share(conn)
        if times != self.times:  # some of these are gone
            self._known, self.times = {kind: {} for kind in KINDS}, times
        said = [_values(view) for view in views]
        wanted: dict[Value, Any] = {}
        for values in said:
            for kind, some in values.items():
                known = self._known[kind]
                wanted.update(((kind, text_of(kind, value)), value) for value in some if value not in known)
        fresh = Fresh({kind: {} for kind in KINDS}, times)
        if wanted:
            for value, one in (await store_index.ids_of(conn, tenant_id, sorted(wanted))).items():
                fresh.ids[value[0]][wanted[value]] = one
        return [self._row(view, values, rules, fresh) for view, values in zip(views, said, strict=True)], fresh

    def learn(self, fresh: Fresh) -> None:
        """What `pack` gave ids to is committed."""
        if fresh.times == self.times:
            for kind, some in fresh.ids.items():
                self._known[kind].update(some)

    def _row(self, view: EndpointView, values: dict[str, list[Any]], rules: str, fresh: Fresh) -> Row:
        packed = {}
        for kind, some in values.items():
            known, new = self._known[kind], fresh.ids[kind]
            ids = sorted({new[value] if value in new else known[value] for value in some})
            packed[FIELDS[kind]] = np.array(ids, "<u4").tobytes()
        return Row(view.endpoint_id, view.inventory_ms, rules, view.packages, view.missing, view.lists_known, **packed)

    def load(self, values: Iterable[tuple[int, str, str]]) -> Found:
        """All values and their ids by kind, in order of the ids. Raises `Damaged`."""
        found: Found = {kind: ([], []) for kind in KINDS}
        for one, kind, text in sorted(values):
            value = READERS[kind](text)
            found[kind][0].append(value)
            found[kind][1].append(one)
            self._known[kind][value] = one
        return found


def _values(view: EndpointView) -> dict[str, list[Any]]:
    return {UNIT: list(view.keys), OFFER: list(view.offered.items()), GAP: list(set(view.not_assessed))}


def index_of(found: Found, rows: Sequence[Row]) -> TenantIndex:
    """The index that these rows say; `found` as `Codes.load` gives it. Raises `Damaged`."""
    index = TenantIndex()
    for kind, postings in ((UNIT, index.keys), (OFFER, index.offers), (GAP, index.gaps)):
        _fill(postings, *found[kind], [getattr(row, FIELDS[kind]) for row in rows])
    known = BitMap(number for number, row in enumerate(rows) if row.lists_known)
    try:
        index.fill((r.endpoint_id for r in rows), ((r.packages, r.missing, r.inventory_ms) for r in rows), known)
    except BadVersion as e:
        raise Damaged("a unit of the index cannot be ordered", reason=str(e)[:80]) from e
    return index


def _fill(postings: Postings[Any], values: list[Any], ids: list[int], rows: list[bytes]) -> None:
    """Ids of the database become places in `values`; as both rise together, rows stay sorted."""
    places: NDArray[np.uint32] = np.full(max(ids, default=0) + 1, len(ids), np.uint32)
    places[np.array(ids, np.int64)] = np.arange(len(ids), dtype=np.uint32)
    flat, lengths = joined_of(rows)
    if len(flat) and (flat.max() >= len(places) or (places[flat] == len(ids)).any()):
        raise Damaged("a row of the index names a value that is not there")
    flat, ends = places[flat], np.cumsum(lengths)
    data, begun, mine = flat.tobytes(), 0, []
    for end in (ends * 4).tolist():
        mine.append(data[begun:end])
        begun = end
    postings.load_rows(values, mine)
