"""A tenant's index as bytes, and back: so that a start loads what it would otherwise make of every row. Pure.

Layout: 8 bytes that name the format and its version, the length of a JSON head, the head (tenant, rules, when, sizes of
the parts), the parts, the SHA-256 of all of it. Invariants: bytes that are cut, changed, of another format, tenant or
rules are `Damaged` with the reason, and nothing of them is used; a snapshot holds no truth: whoever loads one compares
its inventories with the database's (`opening`).
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pyroaring import BitMap

from brakeline.core.debversion import BadVersion
from brakeline.exposure.index import TenantIndex
from brakeline.exposure.packed import GAP, KINDS, OFFER, READERS, UNIT, Damaged, text_of
from brakeline.exposure.postings import Postings, joined_of

MAGIC: Final = b"BLINDEX\x01"  # the last byte is the version of the format
DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Frozen:
    """What an index was at one moment; nothing of it changes any more, so a thread may write it down."""

    endpoints: list[str]
    numbers: list[int]
    figures: list[tuple[int, int, int]]
    known: BitMap
    parts: dict[str, tuple[list[Any], Sequence[BitMap], list[bytes]]]


def freeze(index: TenantIndex) -> Frozen:
    """The index as it is now: references, and bitmaps that are copied when they change."""
    return Frozen(
        list(index.roll.numbers), list(index.roll.numbers.values()), list(index.figures), index.lists_known.copy(),
        {kind: (list(p.values), p.view(), list(p.rows)) for kind, p in _postings(index)},
    )  # fmt: skip


def packed(frozen: Frozen, tenant_id: str, rules: str, made_ms: int) -> bytes:
    """The bytes of a snapshot. Numbers of endpoints that are gone, and values that nobody has, are given up."""
    order = np.argsort(np.array(frozen.numbers, np.int64), kind="stable").tolist()
    numbers = [frozen.numbers[place] for place in order]
    dense = numbers == list(range(len(numbers)))
    parts = [
        _json([frozen.endpoints[place] for place in order]),
        np.array([frozen.figures[n] for n in numbers], "<i8").tobytes(),
        BitMap(place for place, n in enumerate(numbers) if n in frozen.known).serialize(),
    ]
    for kind in KINDS:
        values, maps, rows = frozen.parts[kind]
        mine = rows[: len(numbers)] if dense else [rows[n] for n in numbers]
        if not dense:
            made: Postings[Any] = Postings()
            made.load_rows(values, mine)
            maps = made.maps
        flat, lengths = joined_of(mine)
        living = [one for one, held in enumerate(maps) if held]
        places = np.zeros(len(maps), "<u4")
        places[living] = np.arange(len(living), dtype="<u4")  # they keep their order, so rows stay sorted
        values, maps, flat = [values[one] for one in living], [maps[one] for one in living], places[flat]
        texts = [held.serialize() for held in maps]
        parts += [
            _json([text_of(kind, value) for value in values]), np.array(list(map(len, texts)), "<u4").tobytes(),
            b"".join(texts), lengths.astype("<u4").tobytes(), flat.tobytes(),
        ]  # fmt: skip
    head = _json({"tenant": tenant_id, "rules": rules, "made_ms": made_ms, "parts": list(map(len, parts))})
    whole, digest = [MAGIC, struct.pack("<I", len(head)), head, *parts], hashlib.sha256()
    for part in whole:
        digest.update(part)
    return b"".join((*whole, digest.digest()))


def unpacked(data: bytes, tenant_id: str, rules: str) -> tuple[TenantIndex, int]:
    """The index, and when its snapshot was made. Raises `Damaged`."""
    head, parts = _opened(data)
    for what, mine in (("tenant", tenant_id), ("rules", rules)):
        if head.get(what) != mine:
            raise Damaged(f"the snapshot is of another {what}")
    try:
        return _read(parts), int(head["made_ms"])
    except (ValueError, TypeError, IndexError, KeyError, BadVersion) as e:
        raise Damaged("the snapshot cannot be read", reason=str(e)[:80]) from e


def _opened(data: bytes) -> tuple[dict[str, Any], list[memoryview]]:
    if data[: len(MAGIC)] != MAGIC:
        raise Damaged("no snapshot, or of another version of the format")
    body = memoryview(data)[:-DIGEST_BYTES]
    if hashlib.sha256(body).digest() != data[-DIGEST_BYTES:]:
        raise Damaged("the snapshot is cut short or changed: its checksum does not fit")
    begun = len(MAGIC) + 4
    (length,) = struct.unpack("<I", body[len(MAGIC) : begun])
    head = json.loads(bytes(body[begun : begun + length]))
    begun += length
    parts = []
    for size in head["parts"]:
        parts.append(body[begun : begun + size])
        begun += size
    return head, parts


def _read(parts: list[memoryview]) -> TenantIndex:
    index = TenantIndex()
    for place, (kind, postings) in enumerate(_postings(index)):
        texts, sizes, maps, lengths, flat = parts[3 + 5 * place : 8 + 5 * place]
        values = list(map(READERS[kind], json.loads(bytes(texts))))
        held = [BitMap.deserialize(one) for one in _cut(bytes(maps), np.frombuffer(sizes, "<u4").tolist())]
        rows = list(_cut(bytes(flat), (np.frombuffer(lengths, "<u4").astype(np.int64) * 4).tolist()))
        if len(held) != len(values):
            raise ValueError("values and bitmaps do not fit")
        postings.load(values, held, rows)
    figures = np.frombuffer(parts[1], "<i8").reshape(-1, 3).tolist()
    index.fill(json.loads(bytes(parts[0])), map(tuple, figures), BitMap.deserialize(bytes(parts[2])))
    return index


def _cut(data: bytes, sizes: Iterable[int]) -> Iterable[bytes]:
    begun = 0
    for size in sizes:
        yield data[begun : begun + size]
        begun += size


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _postings(index: TenantIndex) -> tuple[tuple[str, Postings[Any]], ...]:
    return (UNIT, index.keys), (OFFER, index.offers), (GAP, index.gaps)
