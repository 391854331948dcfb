"""What rollouts of releases wish to be leased: whose turn has come, in which channel. Pure.

Leases follow the blueprint, which the brake governs: they reach who has an offer, by name, and all whose turn has come
where everybody who is left has a place (`budget.leased_within`); while the rollout holds, those alone who have their
offer already. What is promoted to `stable` is leased in both channels. What is promoted to `early` is leased there
alone, and each place is named: of whom its rollout is for, and who follows `early` now, whatever order it still has.
Next: `releasing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from types import MappingProxyType
from typing import Final

from brakeline.core.draw import U_END, draw
from brakeline.protocol.channels import EARLY, STABLE, channel_of
from brakeline.protocol.messages import ReleaseRef
from brakeline.releases.model import LeaseWish
from brakeline.rollout import budget
from brakeline.rollout.model import Blueprint, Phase, Wish
from brakeline.rollout.store.rollouts import RolloutRow
from brakeline.trust.statements import ONLY_MAX

Place = tuple[str, int]  # region, draw
Range = tuple[str, int, tuple[int, ...] | None]  # region, below which draw, these draws alone


@dataclass(frozen=True, slots=True)
class Early:
    """What is known of the channel `early`. `places`: by rollout, where its targets stand; of one to everybody, those
    among them who follow `early`. `ahead`: by product, what was completed there and is not braked."""

    followers: frozenset[str] = frozenset()
    places: Mapping[str, Mapping[str, Place]] = field(default_factory=dict)
    ahead: Mapping[str, RolloutRow] = field(default_factory=dict)

    def brings(self, product: str, endpoint_id: str) -> ReleaseRef | None:
        """What `early` holds ready for an endpoint that follows it, whenever it was away."""
        row = self.ahead.get(product)
        mine = row is not None and endpoint_id in self.followers and endpoint_id in self.places.get(row.rollout_id, ())
        return row.change.release if row is not None and mine else None

    def not_ahead(self, release: ReleaseRef) -> frozenset[str] | None:
        """Of those who follow `early`, for whom nothing as new is ready there; None = for all of them."""
        row = self.ahead.get(release.product)
        if row is None or row.change.release is None or row.change.release.sequence < release.sequence:
            return None
        return self.followers - self.places.get(row.rollout_id, {}).keys()


NO_EARLY: Final = Early()


def standing(rows: Iterable[RolloutRow], pressed: Iterable[str]) -> dict[tuple[str, str], RolloutRow]:
    """By channel and product: the newest completed release that nobody has braked since."""
    braked, newest = frozenset(pressed), dict[tuple[str, str], RolloutRow]()
    for row in rows:
        release = row.change.release
        if release is None or row.blueprint.phase is not Phase.COMPLETED or row.rollout_id in braked:
            continue
        best = newest.get((row.change.channel, release.product))
        if best is None or best.change.release is None or release.sequence > best.change.release.sequence:
            newest[(row.change.channel, release.product)] = row
    return newest


def wishes(tenant_id: str, rows: Iterable[RolloutRow], pressed: Iterable[str],
           asked: Mapping[str, Iterable[Place]] = MappingProxyType({}), early: Early = NO_EARLY,
           ) -> tuple[LeaseWish, ...]:  # fmt: skip
    """What may be leased for rollouts that are under way: the draws whose turn has come, region by region.

    A hold makes no new offers but keeps those that were made: then only the places of `asked`, by rollout, are leased.
    So it is beyond what budgets and freeze windows allow (`budget.bounds`): a launcher takes what it is leased unasked.
    """
    braked, found = frozenset(pressed), list[LeaseWish]()
    for row in rows:
        plan = row.blueprint
        if row.change.release is None or row.rollout_id in braked:
            continue
        ranges: list[Range] = []
        if row.wish is Wish.RUN and plan.phase is Phase.ROLLING:
            ranges = _within(_reached(plan), budget.bounds(row.report.lines), asked.get(row.rollout_id, ()))
        elif row.wish in (Wish.RUN, Wish.PAUSE) and plan.phase in (Phase.ROLLING, Phase.HOLDING):
            ranges = list(_kept(asked.get(row.rollout_id, ())))
        found += _in_channels(tenant_id, row, row.change.release, ranges, early, row.created_ms)
    return tuple(found)


def standing_wishes(tenant_id: str, rows: Iterable[RolloutRow], pressed: Iterable[str], early: Early = NO_EARLY,
                    ) -> tuple[LeaseWish, ...]:  # fmt: skip
    """The newest completed release of each product is for everybody, also for who was away or is enrolled later; in
    `early` it is for whom its rollout was.

    A region's name "" stands for all.
    """
    found, newest = list[LeaseWish](), standing(rows, pressed)
    for (channel, product), row in sorted(newest.items()):
        release, stable = row.change.release, newest.get((STABLE, product))
        if release is None or (channel == EARLY and stable is not None and _older(row, stable)):
            continue  # whoever follows early gets what is stable
        found += _in_channels(tenant_id, row, release, [("", U_END, None)], early, 0)
    return tuple(found)


def _older(row: RolloutRow, than: RolloutRow) -> bool:
    mine, other = row.change.release, than.change.release
    return mine is not None and other is not None and mine.sequence < other.sequence


def _in_channels(tenant_id: str, row: RolloutRow, release: ReleaseRef, ranges: list[Range], early: Early,
                 enrolled_before_ms: int) -> Iterator[LeaseWish]:  # fmt: skip
    """The same ranges in every channel that the rollout is for, and that somebody follows."""
    stable = (STABLE, EARLY) if early.followers else (STABLE,)
    for name in stable if row.change.channel == STABLE else (EARLY,):
        for region, below, only in ranges if name == STABLE else _for_early(row, release, ranges, early):
            yield LeaseWish(row.rollout_id, row.blueprint.generation, release, channel_of(tenant_id, name), region,
                            row.salt, below, enrolled_before_ms, only)  # fmt: skip


def _for_early(row: RolloutRow, release: ReleaseRef, ranges: list[Range], early: Early) -> list[Range]:
    """Who of these follows `early` and gets nothing as new from there: named, unless that is everybody."""
    known = early.places.get(row.rollout_id, {})
    if row.change.channel == EARLY:
        return _named(ranges, [place for endpoint_id, place in known.items() if endpoint_id in early.followers])
    rest = early.not_ahead(release)
    if rest is None:
        return ranges
    if row.blueprint.phase is Phase.COMPLETED:  # its targets are not at hand, and it is for who came later, too
        return _named(ranges, [("", draw(row.salt, endpoint_id)) for endpoint_id in rest])
    return _named(ranges, [place for endpoint_id, place in known.items() if endpoint_id in rest])


def _named(ranges: list[Range], places: Iterable[Place]) -> list[Range]:
    """What of these ranges is somebody's place."""
    mine, found = list(places), set[Place]()
    for region, below, only in ranges:
        among = None if only is None else frozenset(only)
        found |= {(r, u) for r, u in mine if region in ("", r) and u < below and (among is None or u in among)}
    return list(_kept(found))


def _reached(plan: Blueprint) -> list[Range]:
    reached: dict[str, int] = {}
    for turn in plan.turns:
        reached[turn.region] = max(reached.get(turn.region, 0), turn.treat_below)
    return [(region, below, None) for region, below in sorted(reached.items())]


def _within(reached: Iterable[Range], bounds: Mapping[str, int], asked: Iterable[Place]) -> list[Range]:
    """Ranges end where the limits over all rollouts begin; beyond, those alone who have their offer."""
    ranges: list[Range] = [(region, min(below, bounds.get(region, below)), None) for region, below, _ in reached]
    beyond = [(region, u) for region, u in asked if region in bounds and u >= bounds[region]]
    return [r for r in ranges if r[1] > 0] + list(_kept(beyond))


def _kept(asked: Iterable[Place]) -> Iterator[Range]:
    for region, places in groupby(sorted(asked), key=lambda place: place[0]):
        us = [u for _, u in places]
        for part in (us[i : i + ONLY_MAX] for i in range(0, len(us), ONLY_MAX)):
            yield region, part[-1] + 1, tuple(part)
