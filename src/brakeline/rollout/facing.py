"""Endpoints that face the internet are never held out: where they stand in the draw, and who waits instead. Pure.

Whoever is held out waits for a security update for days, as the last comparison. So each region's hold-out is drawn
from its other endpoints: their highest draws are moved to the very top (from `TOP` on), and whoever faces the internet
is moved below them, and below as many again, who would wait where a conductor's count asks one more of a cell.
Invariants: the order among endpoints that face the internet is the order of their draws, so is that of all others:
within each of the two kinds chance alone decides who is treated, and so they are compared within their kind only
(`evidence.tabulate`). Places are made once, when a rollout is drafted, and stay whatever becomes of a tag.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from brakeline.core.draw import U_END
from brakeline.rollout import arms
from brakeline.rollout.model import INTERNET_TAG, RESTART, Change, Facing, Policy

ATTRIBUTE: Final = f"tag:{INTERNET_TAG}"
TOP: Final = U_END - (U_END >> 20)  # the hold-out's millionth
KINDS: Final = frozenset({"updates", RESTART})  # what closes findings; a launcher draws a release's places by itself


class Drawn(NamedTuple):
    """One endpoint as the draw found it."""

    endpoint_id: str
    region: str
    u: int
    faces: bool


def faces(attributes: Iterable[str]) -> bool:
    """Whether these are the frozen attributes of an endpoint that faces the internet."""
    return ATTRIBUTE in attributes


def counted(policy: Policy, change: Change, drawn: Sequence[Drawn]) -> tuple[Facing, ...]:
    """By region how many are never held out; () = it makes no difference to this rollout."""
    if change.kind not in KINDS or not arms.held_out(policy, change, len(drawn)):
        return ()
    return tuple(Facing(region, n) for region, n in sorted(Counter(d.region for d in drawn if d.faces).items()))


def placed(policy: Policy, change: Change, drawn: Sequence[Drawn]) -> dict[str, int]:
    """Everybody's place, by id. `change` has counted who faces the internet; where nobody does, the draw stands."""
    if not change.facing:
        return {d.endpoint_id: d.u for d in drawn}
    held = arms.allot(arms.held_out(policy, change, len(drawn)), arms.holdable(change, sizes(drawn)))
    regions: dict[str, list[Drawn]] = defaultdict(list)
    for d in drawn:
        regions[d.region].append(d)
    return {i: u for region, mine in regions.items() for i, u in _in_region(mine, held.get(region, 0)).items()}


def sizes(drawn: Iterable[Drawn]) -> Mapping[str, int]:
    """Endpoints by region."""
    return Counter(d.region for d in drawn)


def _in_region(mine: Sequence[Drawn], held: int) -> dict[str, int]:
    others = sorted((d.u for d in mine if not d.faces), reverse=True)
    bottom = others[held - 1] if held else U_END
    first = others[min(2 * held, len(others) - 1)] if others else U_END
    found = {}
    for d in mine:
        below = d.u * first // U_END if d.faces else d.u
        top = not d.faces and d.u >= bottom
        found[d.endpoint_id] = TOP + d.u * (U_END - TOP) // U_END if top else below * TOP // U_END
    return found
