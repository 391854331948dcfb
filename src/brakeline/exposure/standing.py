"""One CVE across a fleet: who has it, and in which state it stands there. Bitmaps that read as mappings and sets. Pure.

Invariants: an endpoint is in one state only, the worst of those that its sources give it: fixing one of two packages
is not enough. Whoever reads ids gets ids; whoever only counts or intersects never sees one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from pyroaring import BitMap

from brakeline.exposure.model import FindingState

SEVERITY: Final = {state: rank for rank, state in enumerate((
    FindingState.FIXABLE, FindingState.REBOOT, FindingState.BLOCKED, FindingState.NOT_OFFERED, FindingState.UNKNOWN,
    FindingState.DEFERRED, FindingState.NO_FIX,
))}  # fmt: skip
WORST_FIRST: Final = tuple(sorted(SEVERITY, key=lambda state: -SEVERITY[state]))
Where = Mapping[FindingState, BitMap]


class Roll:
    """Numbers of endpoints and their ids, for as long as an index lives."""

    __slots__ = ("ids", "numbers")

    def __init__(self) -> None:
        self.ids: list[str] = []  # by number; of one that is gone, too
        self.numbers: dict[str, int] = {}

    def add(self, endpoint_id: str) -> int:
        """Its number; a new one where it has none."""
        number = self.numbers.get(endpoint_id)
        if number is None:
            number = self.numbers[endpoint_id] = len(self.ids)
            self.ids.append(endpoint_id)
        return number

    def members(self, endpoint_ids: Iterable[str]) -> Members:
        """Those of `endpoint_ids` that are known here."""
        return Members(self, BitMap(self.numbers[one] for one in endpoint_ids if one in self.numbers))


class Members(AbstractSet[str]):
    """Endpoints, as a set of ids."""

    __slots__ = ("held", "roll")

    def __init__(self, roll: Roll, held: BitMap) -> None:
        self.roll, self.held = roll, held

    @classmethod
    def _from_iterable(cls, it: Iterable[str]) -> frozenset[str]:  # type: ignore[override]
        return frozenset(it)

    def __contains__(self, one: object) -> bool:
        number = self.roll.numbers.get(one) if isinstance(one, str) else None
        return number is not None and number in self.held

    def __iter__(self) -> Iterator[str]:
        ids = self.roll.ids
        return (ids[number] for number in self.held)

    def __len__(self) -> int:
        return len(self.held)


class Standing(Mapping[str, FindingState]):
    """Endpoint id -> the state in which a CVE stands there."""

    __slots__ = ("roll", "where")

    def __init__(self, roll: Roll, where: Where) -> None:
        self.roll, self.where = roll, where

    def __getitem__(self, endpoint_id: str) -> FindingState:
        number = self.roll.numbers[endpoint_id]
        for state, held in self.where.items():
            if number in held:
                return state
        raise KeyError(endpoint_id)

    def __iter__(self) -> Iterator[str]:
        ids = self.roll.ids
        return (ids[number] for number in self.held())

    def __len__(self) -> int:
        return sum(map(len, self.where.values()))

    def held(self) -> BitMap:
        """All of them."""
        maps = list(self.where.values())
        return BitMap.union(*maps) if len(maps) > 1 else maps[0] if maps else BitMap()


@dataclass(slots=True)
class Exposed:
    """One CVE across a fleet. Endpoints by the state in which it stands there; an endpoint is in one of them."""

    cve: str
    kev: bool
    sources: set[str] = field(default_factory=set)
    fixed: dict[str, str] = field(default_factory=dict)  # source -> version with the fix
    dated: dict[str, str] = field(default_factory=dict)  # source -> day of the fix: it was not open before
    endpoints: Mapping[str, FindingState] = field(default_factory=dict)  # active ones only
    carriers: AbstractSet[str] = field(default_factory=frozenset)
    ecosystems: set[str] = field(default_factory=set)

    def worst(self) -> FindingState:
        """Where it stands worst; only for one that some endpoint can run."""
        return max(self.states(), key=lambda state: SEVERITY[state])

    def states(self) -> dict[FindingState, int]:
        """How many endpoints in each state."""
        if isinstance(self.endpoints, Standing):
            return {state: len(held) for state, held in self.endpoints.where.items()}
        return dict(Counter(self.endpoints.values()))

    def among(self, ids: AbstractSet[str]) -> int:
        """On how many of these endpoints it stands open."""
        if isinstance(self.endpoints, Standing) and isinstance(ids, Members):
            return sum(held.intersection_cardinality(ids.held) for held in self.endpoints.where.values())
        return len(self.endpoints.keys() & ids)

    def only_carried(self) -> int:
        """How many endpoints carry it and do not run it."""
        if isinstance(self.endpoints, Standing) and isinstance(self.carriers, Members):
            return self.carriers.held.difference_cardinality(self.endpoints.held())
        return len(self.carriers - self.endpoints.keys())


def worst_of(one: Where, other: Where) -> Where:
    """Both together, an endpoint where it stands worst."""
    found: dict[FindingState, BitMap] = {}
    taken = BitMap()
    for state in WORST_FIRST:
        maps = [held for held in (one.get(state), other.get(state)) if held is not None]
        if maps:
            held = BitMap.union(*maps, BitMap()) - taken
            if held:
                found[state] = held
                taken |= held
    return found


def everywhere(entries: Sequence[Exposed]) -> int:
    """On how many endpoints any of these stands open."""
    maps = [held for e in entries if isinstance(e.endpoints, Standing) for held in e.endpoints.where.values()]
    return len(BitMap.union(*maps, BitMap(), BitMap()))
