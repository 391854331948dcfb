"""Releases of our own as rollouts: promote one, lease it while its rollout rolls, recall it when the brake halts it.

What is leased is `leases`; it vanishes with the rollout's leave to go on (journal first, database or not), and is made
anew in each round. A release is always promoted to everybody who follows a channel, because a lease names nobody; who
shall not take it is pinned by a policy. `settle` is level-triggered: run late, twice or after a crash, it comes to the
same end. Next: `releases.service`, `offering`, `channels`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from brakeline.cells.model import Grant
from brakeline.core.errors import BrakelineError, Conflict, Invalid, NotFound
from brakeline.fleet.model import EndpointState, EndpointSummary
from brakeline.platform.database import Connection
from brakeline.platform.observe import logger
from brakeline.protocol.channels import EARLY, STABLE
from brakeline.releases.model import LeaseWish, Release
from brakeline.releases.service import ReleasesService
from brakeline.rollout import arms, channels, granted, leases, power
from brakeline.rollout.early import Follows
from brakeline.rollout.model import Change, Phase, Pin, Policy
from brakeline.rollout.presets import for_release, policy_for
from brakeline.rollout.service import RolloutService
from brakeline.rollout.store import rollouts
from brakeline.rollout.store.rollouts import RolloutRow
from brakeline.rollout.view import RingView
from brakeline.rollout.wording import of_release
from brakeline.tenancy.model import Principal, system_principal

PACKAGES: Final = {  # how a product is named in a pin
    "agent": "brakeline-agent", "launcher": "brakeline-launcher", "content": "brakeline-content",
}  # fmt: skip
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
    channel: str = STABLE


def change_of(release: Release, channel: str = STABLE) -> Change:
    """The release as something to roll out."""
    pin, title = Pin(PACKAGES[release.product], release.release_id), f"{release.product} {release.version}"
    title += "" if channel == STABLE else f" to {channel}"
    return Change((pin,), kind="release", title=title, release=release.ref, channel=channel)


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
        self.early = Follows(service, releases, self._finished)
        self._promoting = asyncio.Lock()  # two at once would each see no rollout of the other
        self.grants: dict[tuple[str, str], Grant] = {}  # by tenant and led rollout; `linked` puts and takes them
        service.releasing = self

    async def promote(
        self, principal: Principal, release_id: str, *, pace: str = "careful", policy: Policy | None = None,
        expect_count: int | None = None, start: bool = False, channel: str = STABLE,
    ) -> str:  # fmt: skip
        """Make the rollout of a published release to every endpoint of the tenant, or to those that follow `early`; its
        id. `pace` names a ready-made policy for rings and bake times; `policy` is one of one's own instead.

        Raises `NotFound`; `Conflict` for a release that is recalled or withdrawn, or whose rollout, or another of its
        product to another channel, is under way; `Invalid` when nobody can take it or not `expect_count` endpoints are
        there.
        """
        principal.require("release.publish")
        if start:
            self._rollouts.refuse_if_frozen(principal.tenant_id)
        async with self._promoting:
            release = await self._of_this_cell(principal, release_id, channel)
            found = await self.concerned(principal, channel)
            if expect_count is not None and len(found) != expect_count:
                raise Conflict(f"{len(found)} endpoints would be concerned now, not {expect_count}", found=len(found))
            if not found:
                raise Invalid(channels.nobody(channel))
            channels.refuse_too_many(channel, len(found))
            change = change_of(release, channel)
            rings, title = for_release(policy or policy_for(len(found), pace)), f"Release {change.title}"
            rollout_id = await self._rollouts.create(principal, title, change, rings, [e.id for e in found])
        if start:
            await self._rollouts.start(principal, rollout_id)
        return rollout_id

    async def plan(self, principal: Principal, release_id: str, *, pace: str = "careful", channel: str = STABLE,
                   ) -> PromotionPlan:  # fmt: skip
        """What `promote` would do now; changes nothing. Raises as it would, except for an empty fleet."""
        principal.require("release.read")
        release = await self._of_this_cell(principal, release_id, channel)
        found = await self.concerned(principal, channel)
        channels.refuse_too_many(channel, len(found))
        lacking = await self._rollouts.fleet.matching(principal.tenant_id, "state:active launcher:no")
        without = len({e.id for e in found}.intersection(lacking))
        policy, change, count = for_release(policy_for(len(found), pace)), change_of(release, channel), len(found)
        rings = arms.rings_for(policy, change, count) if count else ()
        regions = len({e.region for e in found})
        return PromotionPlan(
            release_id, change.title, pace, count, without,
            tuple(RingView(r.name, r.bake_s, upto) for r, upto in rings),
            tuple(of_release(s) for s in power.power(policy, change, count, regions).sentences) if count else (),
            channel,
        )  # fmt: skip

    async def concerned(self, principal: Principal, channel: str) -> list[EndpointSummary]:
        """The active endpoints that a promotion to this channel is for."""
        found = [e for e in await self._rollouts.endpoints_of(principal) if e.state is EndpointState.ACTIVE]
        if channel == STABLE:
            return found
        early = await self.early.now(principal.tenant_id)
        return [e for e in found if e.id in early]

    async def change_for(self, principal: Principal, release_id: str, channel: str = STABLE) -> Change:
        """For a lead: the release as something to roll out. Raises as `promote` would."""
        principal.require("release.publish")
        return change_of(await self._promotable(principal, release_id, channel), channel)

    async def follow(self, who: Principal, title: str, change: Change, policy: Policy, salt: bytes) -> str:
        """For `linked`: the draft of a release that a conductor leads, to every endpoint of the tenant that it
        concerns; "" = it has none. The very same file must be published here: who holds the keys of a cell decides what
        may run there."""
        assert change.release is not None
        async with self._promoting:
            release = await self._promotable(who, change.release.release_id, change.channel)
            if release.ref != change.release:
                raise Conflict(f"{release.release_id} is another file here", id=release.release_id)
            ids = [e.id for e in await self.concerned(who, change.channel)]
            channels.refuse_too_many(change.channel, len(ids))
            return await self._rollouts.create(who, title, change, policy, ids, salt=salt) if ids else ""

    async def _of_this_cell(self, principal: Principal, release_id: str, channel: str) -> Release:
        """One that this cell may promote by itself."""
        if self._releases.led:
            raise Conflict("the root names the key of a conductor elsewhere: lead this release there "
                           "(`brakeline lead create --release`)", id=release_id)  # fmt: skip
        return await self._promotable(principal, release_id, channel)

    async def _promotable(self, principal: Principal, release_id: str, channel: str) -> Release:
        channels.refuse_name(channel)
        release = await self._releases.get(release_id)
        if release is None:
            raise NotFound("no such release; `brakeline release list` has them", id=release_id[:60])
        if release.product not in PACKAGES:
            raise Invalid(f"a release of the product {release.product!r} is no rollout of its own yet", id=release_id)
        if release.state != "published":
            raise Conflict(f"{release_id} is {release.state}; publish a new release", id=release_id)
        tenant_id = principal.tenant_id
        channels.refuse_overlap(release.ref, channel, (x.row for x in self._rollouts.live.of(tenant_id) or ()))
        if channel == EARLY:
            async with self._rollouts.db.tenant(tenant_id) as conn:
                usable = self.early.usable(await _finished(conn))
            stands = leases.standing(usable, self._rollouts.journal.all_pressed(tenant_id))
            channels.refuse_older(release.ref, stands.get((STABLE, release.product)))
        return release

    def completed(self) -> frozenset[str]:
        """Ids of the releases that a rollout to everybody has completed and that nobody has braked since; in memory."""
        return frozenset(
            row.change.release.release_id
            for tenant_id, rows in self._finished.items()
            for row in rows
            if row.change.release is not None and row.blueprint.phase is Phase.COMPLETED
            and row.change.channel == STABLE and row.rollout_id not in self._rollouts.journal.all_pressed(tenant_id)
        )  # fmt: skip

    def lease(self) -> None:
        """Tell the repository what may be leased now. In memory: works while the database is away."""
        found: list[LeaseWish] = []
        for tenant_id, rows in self._rows().items():
            if self._rollouts.journal.frozen(tenant_id) is not None:
                continue
            pressed = self._rollouts.journal.all_pressed(tenant_id)
            asked = {x.row.rollout_id: x.asked for x in self._rollouts.live.of(tenant_id) or ()}
            early = self.early.known(tenant_id, self._rollouts.live.of(tenant_id) or ())
            mine = leases.wishes(tenant_id, rows, pressed, asked, early)
            finished = self._finished.get(tenant_id, ())
            if not self._rollouts.limits.closed(tenant_id):
                stands = [r for r in finished if r.change.channel == STABLE or r in early.ahead.values()]
                mine += leases.standing_wishes(tenant_id, stands, pressed, early)
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
                await self.early.read(conn, self._finished[tenant_id])
            await self.early.look(tenant_id)
            if self._finished[tenant_id]:  # without a live rollout nobody else asks for its limits
                await self._rollouts.limits.of_tenant(tenant_id)
        self._finished_until_s = now_s + FINISHED_EVERY_S


async def _finished(conn: Connection) -> tuple[RolloutRow, ...]:
    return tuple(await rollouts.completed_releases(conn))
