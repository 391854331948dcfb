"""An inverted index of anything: value -> roaring bitmap of endpoints, and back. Holds numbers, knows no words. Pure.

Invariants: a value has one id as long as the index lives, an endpoint one number, and neither is given twice; an
endpoint's row is replaced whole, and what is in the rows is what is in the bitmaps (`unlike` says where not). Bitmaps
are copied on write: whoever took `view` keeps what he saw, and only the bitmaps that change afterwards are copied.
A value that nobody has keeps its id and costs an empty bitmap until it is given up (`prune`): then nothing finds it any
more, its id is given to no other, and its place in `values` must not be read (`living` says which may).
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

T = TypeVar("T")
Ids = NDArray[np.uint32]
EMPTY = np.empty(0, np.uint32).tobytes()
ROWS_AT_ONCE: Final = 100_000  # 30 million ids: half a gigabyte while they are sorted
NARROW: Final = 1 << 16
NOBODY: Final = BitMap()  # of every value that was given up; never written to


class Postings(Generic[T]):
    """See the module. Rows are sorted ids, packed in four bytes each."""

    __slots__ = ("_ids", "_owned", "maps", "moved", "rows", "values")

    def __init__(self) -> None:
        self.values: list[T] = []
        self.maps: list[BitMap] = []  # by id
        self.rows: list[bytes] = []  # by number of the endpoint
        self._ids: dict[T, int] = {}
        self._owned: set[int] = set()  # ids whose bitmap nobody else has seen
        self.moved: set[int] = set()  # ids whose bitmap changed since somebody took this

    def id_of(self, value: T) -> int:
        """The id of a value; a new one where it has none."""
        found = self._ids.get(value)
        if found is None:
            found = self._ids[value] = len(self.values)
            self.values.append(value)
            self.maps.append(BitMap())
            self._owned.add(found)
        return found

    def known(self, value: T) -> int | None:
        """The id of a value, if it has one."""
        return self._ids.get(value)

    def put(self, number: int, values: Iterable[T]) -> bool:
        """Replace the row of one endpoint; whether it was another."""
        return self.put_row(number, np.unique(np.array([self.id_of(v) for v in values], np.uint32)).tobytes())

    def put_row(self, number: int, row: bytes) -> bool:
        """The same for a row that is packed already."""
        while len(self.rows) <= number:
            self.rows.append(EMPTY)
        before = self.rows[number]
        if before == row:
            return False
        was, now = frozenset(unpacked(before).tolist()), frozenset(unpacked(row).tolist())
        for one in was - now:
            self._own(one).discard(number)
        for one in now - was:
            self._own(one).add(number)
        self.rows[number] = row
        return True

    def exchange(self, number: int, gone: int, come: int) -> None:
        """One value that an endpoint has for one that it has not, by ids: what an update of one package does."""
        row = self.rows[number]
        ids = memoryview(row).cast("I")
        out, at = 4 * bisect_left(ids, gone), 4 * bisect_left(ids, come)
        new = come.to_bytes(4, sys.byteorder)
        if at > out:
            self.rows[number] = row[:out] + row[out + 4 : at] + new + row[at:]
        else:
            self.rows[number] = row[:at] + new + row[at:out] + row[out + 4 :]
        self._own(gone).discard(number)
        self._own(come).add(number)

    def _own(self, one: int) -> BitMap:
        self.moved.add(one)
        if one not in self._owned:
            self.maps[one] = self.maps[one].copy()
            self._owned.add(one)
        return self.maps[one]

    def of(self, number: int) -> Iterator[T]:
        """The values of one endpoint."""
        values = self.values
        return (values[one] for one in unpacked(self.rows[number]).tolist()) if number < len(self.rows) else iter(())

    def ids_of_row(self, number: int) -> list[int]:
        """Ids of the values of one endpoint."""
        return unpacked(self.rows[number]).tolist() if number < len(self.rows) else []

    def living(self) -> Iterator[tuple[int, T]]:
        """Every value that was not given up, by id."""
        return ((one, value) for one, value in enumerate(self.values) if self.maps[one] is not NOBODY)

    def prune(self) -> list[tuple[int, T]]:
        """Give up the values that nobody has; gives them, by the ids that they had."""
        gone = [(one, value) for one, value in self.living() if not self.maps[one]]
        for one, value in gone:
            del self._ids[value]
            self.values[one], self.maps[one] = cast("T", None), NOBODY
            self._owned.discard(one)
            self.moved.discard(one)
        return gone

    def view(self) -> tuple[BitMap, ...]:
        """All bitmaps as they are now, by id; they do not change any more."""
        self._owned.clear()
        return tuple(self.maps)

    def held(self) -> Iterator[tuple[T, BitMap]]:
        """Every value that some endpoint has, and who."""
        return ((value, held) for value, held in zip(self.values, self.maps, strict=True) if held)

    def union(self, ids: Iterable[int]) -> BitMap:
        """Who has any of these; a bitmap of its own."""
        maps = [self.maps[one] for one in ids]
        return BitMap.union(*maps) if len(maps) > 1 else maps[0].copy() if maps else BitMap()

    def load(self, values: Sequence[T], maps: list[BitMap], rows: list[bytes]) -> None:
        """Take what a snapshot or the database holds, whole."""
        self.values, self.maps, self.rows = list(values), maps, rows
        self._ids = {value: one for one, value in enumerate(self.values)}
        self._owned = set(range(len(maps)))
        self.moved = set(self._owned)

    def load_rows(self, values: Sequence[T], rows: list[bytes]) -> None:
        """The same from rows alone: the bitmaps are made of them, so many rows at once that memory stays bounded."""
        maps = [BitMap() for _ in values]
        for first in range(0, len(rows), ROWS_AT_ONCE):
            numbers, ends = _by_value(rows[first : first + ROWS_AT_ONCE], first, len(values))
            begun = 0
            for one, end in enumerate(ends.tolist()):
                if end > begun:
                    held = BitMap(numbers[begun:end])
                    maps[one] = maps[one] | held if maps[one] else held
                begun = end
        self.load(values, maps, rows)

    def joined(self) -> tuple[Ids, NDArray[np.int64]]:
        """All rows one after another, and how long each is."""
        return joined_of(self.rows)

    def size(self) -> int:
        """Bytes that the bitmaps take."""
        return sum(len(held.serialize()) for held in self.maps)

    def unlike(self, ids: Iterable[int]) -> list[int]:
        """Those of `ids` whose bitmap is not what the rows say; one pass over all rows."""
        wanted = np.unique(np.fromiter(ids, np.uint32))
        flat, lengths = self.joined()
        chosen = np.flatnonzero(np.isin(flat, wanted))
        numbers = np.repeat(np.arange(len(self.rows), dtype=np.uint32), lengths)[chosen]
        mine = flat[chosen]
        return [int(one) for one in wanted if BitMap(numbers[mine == one]) != self.maps[int(one)]]

    def mend(self, one: int) -> None:
        """Make one bitmap anew of what the rows say."""
        flat, lengths = self.joined()
        numbers = np.repeat(np.arange(len(self.rows), dtype=np.uint32), lengths)
        self.maps[one] = BitMap(numbers[flat == one])
        self._owned.add(one)
        self.moved.add(one)


def _by_value(rows: list[bytes], first: int, values: int) -> tuple[Ids, NDArray[np.int64]]:
    """Numbers of the endpoints of these rows, those of each value together, and where each value's end."""
    flat, lengths = joined_of(rows)
    numbers = np.repeat(np.arange(first, first + len(rows), dtype=np.uint32), lengths)
    narrow = flat.astype(np.uint16) if values <= NARROW else flat  # two bytes are sorted by digits, which is faster
    order = np.argsort(narrow, kind="stable")
    return numbers[order], np.cumsum(np.bincount(flat, minlength=values))


def unpacked(row: bytes) -> Ids:
    """The ids of a row."""
    return np.frombuffer(row, np.uint32)


def joined_of(rows: list[bytes]) -> tuple[Ids, NDArray[np.int64]]:
    """Rows one after another, and how long each is."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows)) // 4
    return np.frombuffer(b"".join(rows), np.uint32), lengths
