"""A whole fleet at once: how many findings each endpoint has, by gathering one number per unit. Pure.

A unit's findings are a suffix of its name's rows, so one number says how many: `weights` looks each distinct unit up
once, `findings` adds the numbers along every endpoint's row. Nothing is written out: the answer of a large fleet has
hundreds of millions of findings.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from brakeline.advisories.ecosystems import UNSORTED, order_of
from brakeline.exposure.index import Name, TenantIndex
from brakeline.exposure.match import Book, Shelf
from brakeline.exposure.model import Role
from brakeline.exposure.postings import Postings, joined_of
from brakeline.exposure.streams import is_modular

PIECE: Final = 1000  # rows: 1.2 MB of ids


def weights(index: TenantIndex, book: Book, role: Role = Role.ACTIVE) -> NDArray[np.int32]:
    """By id of a unit: how many rows stand open for it, 0 for another role."""
    found = np.zeros(len(index.keys.values), np.int32)
    for name, line in index.orders.items():
        shelf = book.shelf(name[0], name[1]) if name[2] is role else None
        if shelf is not None:
            for key, one in line:
                found[one] = open_count(index, book, shelf, name, key, one)
    return found


def open_count(index: TenantIndex, book: Book, shelf: Shelf, name: Name, key: object, one: int) -> int:
    """How many rows stand open for one unit of a name; nothing is written out."""
    unit = index.keys.values[one][0]
    order = order_of(name[0])
    if shelf.others or shelf.repeats or order in UNSORTED or (order == "rpm" and is_modular(unit.version, unit.module)):
        return len(book.open_rows(unit))
    return len(shelf.simple) - shelf.cut_at(key)


def findings(postings: Postings[Any], weight: NDArray[np.int32]) -> NDArray[np.int64]:
    """By number of the endpoint: the sum of its units' weights. Rows are taken in pieces that stay in a cache."""
    rows, sums = postings.rows, np.zeros(len(postings.rows), np.int64)
    for begun in range(0, len(rows), PIECE):
        flat, lengths = joined_of(rows[begun : begun + PIECE])
        some = np.flatnonzero(lengths)
        starts = (np.cumsum(lengths) - lengths)[some]
        if len(some):
            sums[begun + some] = np.add.reduceat(weight.take(flat), starts)
    return sums
