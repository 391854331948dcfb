"""A fleet for `bench.exposure`: real names, versions with their days, and advisories; who has what is drawn.

Debian 12 (lineage of uploads to bookworm, by source) and AlmaLinux 9 (the builds that its advisories name, by binary,
as its OSV data does). 40 images, each a choice of names; an endpoint has its image at the versions of some day, a tail
of names of its own, and 3 % of its packages held at an older day. Days behind: 60 % of the endpoints up to two weeks,
30 % up to half a year, 10 % up to three years. Synthetic: who has what. Real: names, versions, days, CVEs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import zstandard
from numpy.typing import NDArray
from pyroaring import BitMap

from brakeline.advisories import importers, seed
from brakeline.advisories.ecosystems import key_of
from brakeline.advisories.model import Advisory
from brakeline.advisories.osv.feeds import read
from brakeline.core.days import number
from brakeline.exposure.index import Key, Offer, TenantIndex
from brakeline.exposure.match import Book
from brakeline.exposure.model import FindingState, Role, Unit
from brakeline.exposure.offers import Offered
from brakeline.exposure.postings import EMPTY, joined_of
from brakeline.exposure.spans import rows_of

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
DEBIAN, ALMA = "debian:12", "almalinux:9"
IMAGES, TAIL, HELD = 40, 12, 0.03
ROWS_AT_ONCE = 50_000
NAMES_AN_IMAGE = (200, 400)
DAYS = 1100  # of history that endpoints may be behind
LAGS = ((0.6, 0, 14), (0.3, 14, 180), (0.1, 180, DAYS))
OFFERING = 0.9  # of endpoints have looked for updates
U4 = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Estate:
    """Names of one system, and the unit that each has on each day (0 = the newest day)."""

    ecosystem: str
    first: int  # id of its first unit
    by_day: U4  # [days behind, name] -> id of a unit


def advisories() -> list[Advisory]:
    """Debian's and AlmaLinux 9's rows, as a server has them."""
    entry = next(e for e in seed.manifest() if e.kind == "advisories")
    rows = list(importers.advisories(importers.unpacked(seed.read(entry), entry.file), entry.file,
                                     ecosystem=entry.ecosystem).advisories)  # fmt: skip
    said = read("osv-almalinux", (DATA / "osv" / "osv-almalinux.jsonl.zst").read_bytes())
    return rows + [row for row in rows_of(said.spans) if row.ecosystem.lower() == ALMA]


def estates(rows: list[Advisory]) -> tuple[list[Key], list[Estate], list[int]]:
    """All units, each system's names by day, and the newest unit of each unit's name."""
    text = zstandard.ZstdDecompressor().decompressobj().decompress(
        (DATA / "exposure" / "debian-bookworm-lineage.json.zst").read_bytes()
    )  # fmt: skip
    debian = {name: [(day, version) for day, version in some] for name, some in json.loads(text)["lineage"].items()}
    alma: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        if row.ecosystem.lower() == ALMA and row.fixed and row.date and ".module" not in row.fixed:
            alma.setdefault(row.source, []).append((row.date, row.fixed))
    units: list[Key] = []
    newest: list[int] = []
    made = [_estate(name, history, units, newest) for name, history in ((DEBIAN, debian), (ALMA, alma))]
    return units, made, newest


def _estate(ecosystem: str, names: dict[str, list[tuple[str, str]]], units: list[Key], newest: list[int]) -> Estate:
    key, begun = key_of(ecosystem), len(units)
    assert key is not None
    last = max(number(day) for history in names.values() for day, _ in history)
    by_day = np.zeros((DAYS, len(names)), np.uint32)
    for place, (name, history) in enumerate(sorted(names.items())):
        ordered = sorted({version: number(day) for day, version in sorted(history, reverse=True)}.items(),
                         key=lambda entry: key(entry[0]))  # fmt: skip
        days = np.maximum.accumulate([day for _, day in ordered])  # an older line may be built later
        at = np.clip(np.searchsorted(days, last - np.arange(DAYS), side="right") - 1, 0, None)
        by_day[:, place] = len(units) + at
        units += [(Unit(ecosystem, name, version), Role.ACTIVE) for version, _ in ordered]
        newest += [len(units) - 1] * len(ordered)
    return Estate(ecosystem, begun, by_day)


def rows_for(endpoints: int, made: list[Estate], draw: np.random.Generator) -> list[bytes]:
    """Units of each endpoint, packed."""
    found: list[bytes] = []
    for image in range(IMAGES):
        estate = made[image % 5 > 2]  # three fifths are Debian
        count = len(range(image, endpoints, IMAGES))
        names = draw.permutation(estate.by_day.shape[1])
        mine, others = np.split(names, [int(draw.integers(*NAMES_AN_IMAGE))])
        kinds = draw.choice(len(LAGS), count, p=[share for share, _, _ in LAGS])
        behind = np.array([draw.integers(*LAGS[kind][1:]) for kind in kinds])
        drawn = np.sort(draw.integers(0, len(others) - TAIL + 1, (count, TAIL)), axis=1)
        tails = others[drawn + np.arange(TAIL)]  # none twice
        wanted = np.concatenate([np.broadcast_to(mine, (count, len(mine))), tails], axis=1)
        held = draw.random(wanted.shape, np.float32) < HELD
        days = np.where(held, draw.integers(0, DAYS, wanted.shape), behind[:, None])
        ids = np.sort(estate.by_day[np.maximum(days, behind[:, None]), wanted], axis=1)
        found += [row.tobytes() for row in ids]
    return found


def index_for(endpoints: int, units: list[Key], made: list[Estate], newest: list[int], seed_of_it: int) -> TenantIndex:
    """The index of such a fleet, as one that was opened from packed rows."""
    draw = np.random.default_rng(seed_of_it)
    rows = rows_for(endpoints, made, draw)
    index = TenantIndex()
    index.keys.load_rows(units, rows)
    looked = draw.random(len(rows)) < OFFERING
    ahead = np.array(newest, np.uint32)
    places = {one: place for place, one in enumerate(sorted(set(newest)))}
    place_of = np.array([places[one] for one in newest], np.uint32)
    offered: list[bytes] = []
    for begun in range(0, len(rows), ROWS_AT_ONCE):
        some = slice(begun, begun + ROWS_AT_ONCE)
        offered += _offered(rows[some], looked[some], ahead, place_of)
    index.offers.load_rows([_offer(units[one]) for one in places], offered)
    index.gaps.load_rows([], [EMPTY] * len(rows))
    known = BitMap(np.flatnonzero(looked).astype(np.uint32))
    index.fill((f"ep_{n:07}" for n in range(len(rows))), ((len(row) // 4, 0, 1) for row in rows), known)
    return index


def _offered(rows: list[bytes], looked: NDArray[np.bool_], ahead: U4, place_of: U4) -> list[bytes]:
    """What is newer for each of these endpoints. An endpoint has a name once, so places come sorted, each once."""
    flat, lengths = joined_of(rows)
    mine = np.repeat(looked, lengths) & (ahead[flat] != flat)
    data = place_of[flat[mine]].tobytes()
    counts = np.concatenate(([0], np.cumsum(mine)))[np.concatenate(([0], np.cumsum(lengths)))] * 4
    return [data[begun:end] for begun, end in pairwise(counts.tolist())]


def _offer(key: Key) -> Offer:
    unit, role = key
    made = key_of(unit.ecosystem)
    assert made is not None
    name = (unit.ecosystem, unit.source, role)
    return name, Offered(made(unit.version), FindingState.FIXABLE, "", unit.version)


def book_of(rows: list[Advisory]) -> Book:
    return Book(rows, frozenset())
