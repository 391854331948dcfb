"""Releases of our own as rollouts: promote one, lease it while its rollout rolls, recall it when the brake halts it.

Leases follow the blueprint, which the brake governs: they reach who has an offer, by name, and all whose turn has come
where everybody who is left has a place (`budget.leased_within`); while the rollout holds, those alone who have their
offer already. They vanish with the rollout's leave to go on (journal first, database or not), and are made anew in
each round. A release is always promoted
to a tenant's whole fleet, because a lease names nobody; who shall not take it is pinned by a policy. `settle` is
level-triggered: run late, twice or after a crash, it comes to the same end. Next: `releases.service`, `offering`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from brakeline.cells.model import Grant
from brakeline.core.draw import U_END
from brakeline.core.errors import BrakelineError, Conflict, Invalid, NotFound
from brakeline.fleet.model import EndpointState
from brakeline.platform.database import Connection
from brakeline.platform.observe import logger
from brakeline.protocol.channels import channel_of
from brakeline.releases.model import LeaseWish, Release
from brakeline.releases.service import ReleasesService
from brakeline.rollout import arms, budget, granted, power
from brakeline.rollout.model import Blueprint, Change, Phase, Pin, Policy, Wish
from brakeline.rollout.presets import for_release, policy_for
from brakeline.rollout.service import RolloutService
from brakeline.rollout.store import rollouts
from brakeline.rollout.store.rollouts import RolloutRow
from brakeline.rollout.view import RingView
from brakeline.rollout.wording import of_release
from brakeline.tenancy.model import Principal, system_principal
from brakeline.trust.statements import ONLY_MAX

PACKAGES: Final = {  # how a product is named in a pin
    "agent": "brakeline-agent", "launcher": "brakeline-launcher", "content": "brakeline-content",
}  # fmt: skip
Place = tuple[str, int]  # region, draw
FINISHED_EVERY_S: Final = 10.0  # completed releases are asked for so often: they change when a rollout ends


@dataclass(frozen=True, slots=True)
class PromotionPlan:
    """What promoting a release would do. `endpoints` travels on as `expect_count`; those `without_launcher` are among
    them and take it once they have one."""

    release_id: str
    title: str
    pace: str
    endpoints: int
    without_launcher: int
    rings: tuple[RingView, ...]
    statistics: tuple[str, ...]


def change_of(release: Release) -> Change:
    """The release as something to roll out."""
    pin = Pin(PACKAGES[release.product], release.release_id)
    return Change((pin,), kind="release", title=f"{release.product} {release.version}", release=release.ref)


def wishes(tenant_id: str, rows: Iterable[RolloutRow], pressed: Iterable[str],
           asked: Mapping[str, Iterable[Place]] = MappingProxyType({})) -> tuple[LeaseWish, ...]:  # fmt: skip
    """What may be leased for rollouts that are under way: the draws whose turn has come, region by region. Pure.

    A hold makes no new offers but keeps those that were made: then only the places of `asked`, by rollout, are leased.
    So it is beyond what budgets and freeze windows allow (`budget.bounds`): a launcher takes what it is leased unasked.
    """
    braked, found = frozenset(pressed), list[LeaseWish]()
    for row in rows:
        release, plan = row.change.release, row.blueprint
        if release is None or row.rollout_id in braked:
            continue
        ranges: Iterable[tuple[str, int, tuple[int, ...] | None]] = ()
        if row.wish is Wish.RUN and plan.phase is Phase.ROLLING:
            ranges = _within(_reached(plan), budget.bounds(row.report.lines), asked.get(row.rollout_id, ()))
        elif row.wish in (Wish.RUN, Wish.PAUSE) and plan.phase in (Phase.ROLLING, Phase.HOLDING):
            ranges = _kept(asked.get(row.rollout_id, ()))
        found += [
            LeaseWish(row.rollout_id, plan.generation, release, channel_of(tenant_id), region, row.salt, below,
                      row.created_ms, only)
            for region, below, only in ranges
        ]  # fmt: skip
    return tuple(found)


def _reached(plan: Blueprint) -> list[tuple[str, int, None]]:
    reached: dict[str, int] = {}
    for turn in plan.turns:
        reached[turn.region] = max(reached.get(turn.region, 0), turn.treat_below)
    return [(region, below, None) for region, below in sorted(reached.items())]


def _within(reached: Iterable[tuple[str, int, None]], bounds: Mapping[str, int],
            asked: Iterable[Place]) -> list[tuple[str, int, tuple[int, ...] | None]]:  # fmt: skip
    """Ranges end where the limits over all rollouts begin; beyond, those alone who have their offer."""
    ranges: list[tuple[str, int, tuple[int, ...] | None]] = [
        (region, min(below, bounds.get(region, below)), None) for region, below, _ in reached
    ]
    beyond = [(region, u) for region, u in asked if region in bounds and u >= bounds[region]]
    return [r for r in ranges if r[1] > 0] + list(_kept(beyond))


def _kept(asked: Iterable[Place]) -> list[tuple[str, int, tuple[int, ...]]]:
    places: dict[str, list[int]] = {}
    for region, u in sorted(asked):
        places.setdefault(region, []).append(u)
    parts = [(region, us[i : i + ONLY_MAX]) for region, us in places.items() for i in range(0, len(us), ONLY_MAX)]
    return [(region, us[-1] + 1, tuple(us)) for region, us in parts]


def standing_wishes(tenant_id: str, rows: Iterable[RolloutRow], pressed: Iterable[str]) -> tuple[LeaseWish, ...]:
    """The newest completed release of each product is for everybody, also for who was away or is enrolled later. Pure.

    A region's name "" stands for all.
    """
    braked, newest = frozenset(pressed), dict[str, RolloutRow]()
    for row in rows:
        release = row.change.release
        if release is None or row.blueprint.phase is not Phase.COMPLETED or row.rollout_id in braked:
            continue
        best = newest.get(release.product)
        if best is None or best.change.release is None or release.sequence > best.change.release.sequence:
            newest[release.product] = row
    return tuple(
        LeaseWish(row.rollout_id, row.blueprint.generation, row.change.release, channel_of(tenant_id), "", row.salt,
                  U_END, 0)
        for _, row in sorted(newest.items()) if row.change.release is not None
    )  # fmt: skip


def harmful(rows: Iterable[RolloutRow], pressed: Iterable[str]) -> tuple[tuple[RolloutRow, str], ...]:
    """Rollouts of releases that the brake has halted, by evidence or by hand, and why. Pure."""
    braked = frozenset(pressed)
    return tuple(
        (row, row.blueprint.why if row.blueprint.phase is Phase.HALTED else "the brake was pressed")
        for row in rows
        if row.change.release is not None and (row.blueprint.phase is Phase.HALTED or row.rollout_id in braked)
    )


class Releasing:
    """Between rollouts and the repository of releases."""

    def __init__(self, service: RolloutService, releases: ReleasesService) -> None:
        self._rollouts, self._releases = service, releases
        self._finished: dict[str, tuple[RolloutRow, ...]] = {}
        self._finished_until_s = -1.0
        self.grants: dict[tuple[str, str], Grant] = {}  # by tenant and led rollout; `linked` puts and takes them
        service.releasing = self

    async def promote(
        self, principal: Principal, release_id: str, *, pace: str = "careful", policy: Policy | None = None,
        expect_count: int | None = None, start: bool = False,
    ) -> str:  # fmt: skip
        """Make the rollout of a published release to every endpoint of the tenant; its id. `pace` names a ready-made
        policy for rings and bake times; `policy` is one of one's own instead.

        Raises `NotFound`; `Conflict` for a release that is recalled or withdrawn, or whose rollout is under way;
        `Invalid` when nobody can take it or not `expect_count` endpoints are there.
        """
        principal.require("release.publish")
        if start:
            self._rollouts.refuse_if_frozen(principal.tenant_id)
        release = await self._of_this_cell(principal, release_id)
        found = [e for e in await self._rollouts.endpoints_of(principal) if e.state is EndpointState.ACTIVE]
        if expect_count is not None and len(found) != expect_count:
            raise Conflict(f"{len(found)} endpoints would be concerned now, not {expect_count}", found=len(found))
        if not found:
            raise Invalid("there is no active endpoint that could take a release")
        change = change_of(release)
        rings = for_release(policy or policy_for(len(found), pace))
        title = f"Release {change.title}"
        rollout_id = await self._rollouts.create(principal, title, change, rings, [e.id for e in found])
        if start:
            await self._rollouts.start(principal, rollout_id)
        return rollout_id

    async def plan(self, principal: Principal, release_id: str, *, pace: str = "careful") -> PromotionPlan:
        """What `promote` would do now; changes nothing. Raises as it would, except for an empty fleet."""
        principal.require("release.read")
        release = await self._of_this_cell(principal, release_id)
        found = [e for e in await self._rollouts.endpoints_of(principal) if e.state is EndpointState.ACTIVE]
        without = await self._rollouts.fleet.count_matching(principal, "state:active launcher:no")
        policy, change, count = for_release(policy_for(len(found), pace)), change_of(release), len(found)
        rings = arms.rings_for(policy, change, count) if count else ()
        regions = len({e.region for e in found})
        return PromotionPlan(
            release_id, change.title, pace, count, without,
            tuple(RingView(r.name, r.bake_s, upto) for r, upto in rings),
            tuple(of_release(s) for s in power.power(policy, change, count, regions).sentences) if count else (),
        )  # fmt: skip

    async def change_for(self, principal: Principal, release_id: str) -> Change:
        """For a lead: the release as something to roll out. Raises as `promote` would."""
        principal.require("release.publish")
        return change_of(await self._promotable(principal, release_id))

    async def follow(self, who: Principal, title: str, change: Change, policy: Policy, salt: bytes) -> str:
        """For `linked`: the draft of a release that a conductor leads, to every endpoint of the tenant; "" = it has
        none. The very same file must be published here: who holds the keys of a cell decides what may run there."""
        assert change.release is not None
        release = await self._promotable(who, change.release.release_id)
        if release.ref != change.release:
            raise Conflict(f"{release.release_id} is another file here", id=release.release_id)
        ids = [e.id for e in await self._rollouts.endpoints_of(who) if e.state is EndpointState.ACTIVE]
        return await self._rollouts.create(who, title, change, policy, ids, salt=salt) if ids else ""

    async def _of_this_cell(self, principal: Principal, release_id: str) -> Release:
        """One that this cell may promote by itself."""
        if self._releases.led:
            raise Conflict("the root names the key of a conductor elsewhere: lead this release there "
                           "(`brakeline lead create --release`)", id=release_id)  # fmt: skip
        return await self._promotable(principal, release_id)

    async def _promotable(self, principal: Principal, release_id: str) -> Release:
        release = await self._releases.get(release_id)
        if release is None:
            raise NotFound("no such release; `brakeline release list` has them", id=release_id[:60])
        if release.product not in PACKAGES:
            raise Invalid(f"a release of the product {release.product!r} is no rollout of its own yet", id=release_id)
        if release.state != "published":
            raise Conflict(f"{release_id} is {release.state}; publish a new release", id=release_id)
        for x in self._rollouts.live.of(principal.tenant_id) or ():
            under_way = x.row.blueprint.phase in (Phase.DRAFT, Phase.ROLLING, Phase.HOLDING)
            if under_way and x.row.change.release == release.ref:
                raise Conflict(f"rollout {x.row.rollout_id} of {release_id} is under way", id=x.row.rollout_id)
        return release

    def completed(self) -> frozenset[str]:
        """Ids of the releases that a rollout has completed and that nobody has braked since; in memory."""
        return frozenset(
            row.change.release.release_id
            for tenant_id, rows in self._finished.items()
            for row in rows
            if row.change.release is not None and row.blueprint.phase is Phase.COMPLETED
            and row.rollout_id not in self._rollouts.journal.all_pressed(tenant_id)
        )  # fmt: skip

    def lease(self) -> None:
        """Tell the repository what may be leased now. In memory: works while the database is away."""
        found: list[LeaseWish] = []
        for tenant_id, rows in self._rows().items():
            if self._rollouts.journal.frozen(tenant_id) is not None:
                continue
            pressed = self._rollouts.journal.all_pressed(tenant_id)
            asked = {x.row.rollout_id: x.asked for x in self._rollouts.live.of(tenant_id) or ()}
            mine = wishes(tenant_id, rows, pressed, asked)
            finished = self._finished.get(tenant_id, ())
            if not self._rollouts.limits.closed(tenant_id):
                mine += standing_wishes(tenant_id, finished, pressed)
            led = {row.rollout_id for row in (*rows, *finished) if row.policy.led}
            found += self._granted(tenant_id, mine, led)
        self._releases.set_leases(tuple(found))

    def _granted(self, tenant_id: str, mine: Iterable[LeaseWish], led: AbstractSet[str]) -> Iterator[LeaseWish]:
        """What a conductor leads is leased inside its grant, and without one not at all."""
        now_ms = self._rollouts.clock.now_ms()
        for wish in mine:
            if wish.rollout_id in led:
                yield from granted.within((wish,), self.grants.get((tenant_id, wish.rollout_id)), now_ms)
            else:
                yield wish

    async def settle(self) -> None:
        """Leases as they should be; whatever was halted is recalled. A recall that fails is tried in the next round."""
        await self._read_finished()
        self.lease()
        for tenant_id, rows in self._rows().items():
            for row, why in harmful(rows, self._rollouts.journal.all_pressed(tenant_id)):
                await self._recall(tenant_id, row, why)

    async def _recall(self, tenant_id: str, row: RolloutRow, why: str) -> None:
        assert row.change.release is not None
        release_id = row.change.release.release_id
        if release_id in self._releases.recalled():
            return
        try:
            await self._releases.recall(system_principal(tenant_id, "brake"), release_id, f"{row.rollout_id}: {why}")
        except BrakelineError as e:
            logger.error("recall-failed", release=release_id, rollout=row.rollout_id, reason=str(e))
            return
        await self._rollouts.record(tenant_id, row.rollout_id, "recall", f"recalled {release_id}")

    def _rows(self) -> dict[str, tuple[RolloutRow, ...]]:
        live = self._rollouts.live
        return {tenant_id: tuple(x.row for x in live.of(tenant_id) or ()) for tenant_id in live.tenants()}

    async def _read_finished(self) -> None:
        now_s = self._rollouts.clock.monotonic_s()
        if now_s < self._finished_until_s:
            return
        for tenant_id in self._rollouts.live.tenants():
            async with self._rollouts.db.tenant(tenant_id) as conn:
                self._finished[tenant_id] = await _finished(conn)
            if self._finished[tenant_id]:  # without a live rollout nobody else asks for its limits
                await self._rollouts.limits.of_tenant(tenant_id)
        self._finished_until_s = now_s + FINISHED_EVERY_S


async def _finished(conn: Connection) -> tuple[RolloutRow, ...]:
    return tuple(await rollouts.completed_releases(conn))
