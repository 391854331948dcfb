"""A release goes to `early` first: offered, leased and shown to nobody else, by the launchers' own verifier."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support_releases import Endpoint, opened, release_bundle
from tests.support_rollout import OWNER, SmallFleet, Twin

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Invalid, Unavailable
from brakeline.platform.database import Database
from brakeline.protocol.channels import EARLY, STABLE, channel_of
from brakeline.releases.model import Release
from brakeline.releases.service import ReleasesService
from brakeline.rollout.releasing import FINISHED_EVERY_S, Releasing
from brakeline.trust.model import Documents, Who

FOLLOW = {"host-0", "host-1", "host-2"}


class World:
    """Six endpoints, of which the first three follow `early`, as policies would say."""

    def __init__(self, fleet: SmallFleet, cell: ReleasesService) -> None:
        self.fleet, self.cell = fleet, cell
        self.early = {t.identity.endpoint_id for t in fleet.twins[:3]}
        self.releasing = self.restart()

    def restart(self) -> Releasing:
        self.releasing = Releasing(self.fleet.service, self.cell)
        self.releasing.early.followers = self.followers
        return self.releasing

    async def followers(self, _: str) -> frozenset[str]:
        return frozenset(self.early)

    async def publish(self, version: str, sequence: int) -> Release:
        return await self.cell.publish(OWNER, release_bundle(version, sequence))

    async def promote(self, made: Release, channel: str) -> str:
        return await self.releasing.promote(OWNER, made.release_id, pace="rehearsal", start=True, channel=channel)

    async def settle(self) -> None:
        self.fleet.clock.advance(FINISHED_EVERY_S)
        await self.releasing.settle()

    async def until(self, rollout_id: str, state: str) -> None:
        for _ in range(120):
            await self.fleet.round()
            if (await self.fleet.service.show(OWNER, rollout_id)).state == state:
                await self.settle()
                return
        raise AssertionError((await self.fleet.service.show(OWNER, rollout_id)).why)

    async def take(self, made: Release, channel: str) -> str:
        """Promote it, and let it go through."""
        rollout_id = await self.promote(made, channel)
        await self.until(rollout_id, "completed")
        return rollout_id

    def look(self, t: Twin, asks: str = "", ordered: str = "") -> set[str]:
        """What the launcher of an endpoint would take now. `asks`: for which channel; `ordered`: what its signed follow
        order names; "" = what its policies say."""
        says = EARLY if t.identity.endpoint_id in self.early else STABLE
        tenant_id, i = OWNER.tenant_id, t.identity
        who = Who(i.endpoint_id, self.cell.cell, i.region, channel=channel_of(tenant_id))
        order = self.cell.follow_order(
            i.endpoint_id, 1, channel_of(tenant_id, ordered or says), self_update=True, pin=""
        )
        launcher = Endpoint(self.cell.root_json(), who, Documents(follow="" if ordered == "none" else order))
        seen = launcher.look(self.cell, self.fleet.clock.now_ms(), channel_of(tenant_id, asks or says))
        return {seen.offered.release_id} if seen.offered is not None else set()

    def takers(self) -> dict[str, set[str]]:
        return {t.hostname: found for t in self.fleet.twins if (found := self.look(t))}

    def run(self, made: Release) -> set[str]:
        return {t.hostname for t in self.fleet.twins if t.confirmed == made.release_id}


@pytest.fixture
async def world(database: Database, clock: ManualClock, tmp_path: Path) -> World:
    fleet = SmallFleet(database, clock, tmp_path)
    await fleet.enrol(6)
    await fleet.hear()
    return World(fleet, await opened(database, clock, tmp_path / "releases"))


async def test_early_first_and_then_the_same_release_to_everybody(world: World) -> None:
    made = await world.publish("1.4.0", 14)
    seen = await world.releasing.plan(OWNER, made.release_id, pace="rehearsal", channel=EARLY)
    assert (seen.endpoints, seen.channel, seen.title) == (3, EARLY, "agent 1.4.0 to early")
    early = await world.promote(made, EARLY)
    await world.fleet.rounds(4)
    await world.releasing.settle()
    assert set(world.takers()) <= FOLLOW
    with pytest.raises(Conflict, match=rf"rollout {early} of .* to early is under way, and .* wait until"):
        await world.promote(made, STABLE)
    await world.until(early, "completed")
    assert world.run(made) == FOLLOW
    assert set(world.takers()) == FOLLOW
    assert world.releasing.completed() == frozenset(), "no new machine begins with what early alone has tried"
    (line,) = await world.fleet.service.list(OWNER, release=made.release_id)
    assert (line.channel, line.targets, line.title) == (EARLY, 3, "Release agent 1.4.0 to early")

    stable = await world.take(made, STABLE)
    assert world.run(made) == {t.hostname for t in world.fleet.twins}
    view = await world.fleet.service.show(OWNER, stable)
    ahead = [m for m in view.members if m.hostname in FOLLOW]
    assert all(m.arm == "" and "early, which brings it" in m.note for m in ahead), ahead
    assert len(world.takers()) == 6, "who was away, or is enrolled later, takes it, too"
    with pytest.raises(Conflict, match=r"went to stable with .* promote a newer release"):
        await world.promote(made, EARLY)


async def test_nobody_takes_an_early_release_without_a_signed_order_to_follow_early(world: World) -> None:
    """Leases are public: whoever asks for the channel sees them, and its launcher obeys its own order all the same."""
    made = await world.publish("1.4.0", 14)
    await world.take(made, EARLY)
    first, other = world.fleet.twins[0], world.fleet.twins[5]
    assert world.look(first) == {made.release_id}
    assert world.look(first, asks=EARLY, ordered="none") == set(), "no order: the channel of its enrolment"
    assert world.look(first, asks=EARLY, ordered=STABLE) == set()
    assert world.look(other, asks=EARLY, ordered="none") == set()
    assert world.look(other, asks=STABLE, ordered=EARLY) == set(), "a stable document holds no early lease"
    assert world.look(other, asks=EARLY, ordered=EARLY) == set(), "each place is named, and this is not its rollout"


async def test_whoever_comes_to_early_later_takes_what_is_there_with_the_next_rollout(world: World) -> None:
    old, new = await world.publish("1.3.0", 13), await world.publish("1.4.0", 14)
    await world.take(old, STABLE)
    await world.take(new, EARLY)
    late = world.fleet.twins[3]
    world.early.add(late.identity.endpoint_id)
    await world.settle()
    assert world.look(late) == {old.release_id}, "what is stable, and nothing that no rollout has offered it"
    assert world.look(world.fleet.twins[0]) == {new.release_id}
    assert not world.releasing.early.brought(OWNER.tenant_id, new.release_id, late.identity.endpoint_id)
    await world.take(new, EARLY)
    assert world.look(late) == {new.release_id}
    assert late.confirmed == new.release_id
    assert world.releasing.early.brought(OWNER.tenant_id, new.release_id, late.identity.endpoint_id)
    world.restart()
    await world.settle()
    assert world.look(late) == {new.release_id}, "after a restart of the server, too"


async def test_whoever_leaves_early_keeps_what_it_runs_and_gets_what_is_newer(world: World) -> None:
    made = [await world.publish(f"1.{n}.0", 10 + n) for n in (3, 4, 5)]
    await world.take(made[1], EARLY)
    gone = world.fleet.twins[0]
    world.early.discard(gone.identity.endpoint_id)
    await world.settle()
    assert world.look(gone, asks=EARLY, ordered=EARLY) == set(), "nor by an order that it has from before"
    stable = await world.take(made[0], STABLE)
    assert gone.confirmed == made[1].release_id
    view = await world.fleet.service.show(OWNER, stable)
    why = next(m.note for m in view.members if m.hostname == gone.hostname)
    assert why == f"{made[1].release_id} is in use here; its launcher takes no older release"
    await world.take(made[2], STABLE)
    assert world.run(made[2]) == {t.hostname for t in world.fleet.twins}


async def test_whoever_leaves_early_before_its_turn_is_passed_over(world: World) -> None:
    made = await world.publish("1.4.0", 14)
    early = await world.promote(made, EARLY)
    gone = world.fleet.twins[0]
    gone.confirmed = "1.3.0-0123456789ab"  # a launcher runs its agent
    world.early.discard(gone.identity.endpoint_id)
    await world.until(early, "completed")
    assert world.run(made) == {"host-1", "host-2"}
    assert world.takers().keys() == {"host-1", "host-2"}
    view = await world.fleet.service.show(OWNER, early)
    assert next(m.note for m in view.members if m.hostname == gone.hostname).startswith("it follows stable by now")


async def test_a_halt_in_early_is_a_recall_everywhere(world: World) -> None:
    made = await world.publish("1.4.0", 14)
    early = await world.take(made, EARLY)
    await world.fleet.service.brake(OWNER, early)
    await world.settle()
    assert world.cell.recalled() == {made.release_id}
    assert world.takers() == {}
    with pytest.raises(Conflict, match="is recalled; publish a new release"):
        await world.promote(made, STABLE)


async def test_a_recall_waits_for_nobody_who_could_tell_who_follows_early(world: World) -> None:
    made = await world.publish("1.4.0", 14)
    early = await world.take(made, EARLY)

    async def away(_: str) -> frozenset[str]:
        raise Unavailable("the policies cannot be read")

    world.releasing.early.followers = away
    await world.settle()
    assert set(world.takers()) == FOLLOW, "as they were known last"
    await world.fleet.service.brake(OWNER, early)
    await world.settle()
    assert world.cell.recalled() == {made.release_id}


async def test_what_people_recall_is_held_ready_for_nobody_and_stands_in_nobody_s_way(world: World) -> None:
    old, new = await world.publish("1.3.0", 13), await world.publish("1.4.0", 14)
    await world.take(new, EARLY)
    away = world.fleet.twins[2]
    away.confirmed = ""  # as if it had never come to take it
    assert world.look(away) == {new.release_id}
    await world.cell.recall(OWNER, new.release_id, "it eats memory")
    await world.settle()
    assert world.takers() == {}
    stable = await world.take(old, STABLE)
    assert away.confirmed == old.release_id, "nothing newer is ready for it any more"
    view = await world.fleet.service.show(OWNER, stable)
    notes = {m.note for m in view.members if m.hostname in FOLLOW - {away.hostname}}
    assert notes == {f"{new.release_id} was recalled here; its launcher takes no older release"}
    assert {t.hostname for t in world.fleet.twins if world.look(t)} == {t.hostname for t in world.fleet.twins}


async def test_what_cannot_be_promoted_says_why(world: World) -> None:
    made, newer = await world.publish("1.4.0", 14), await world.publish("1.5.0", 15)
    with pytest.raises(Invalid, match="no channel 'nightly'; a release is promoted to stable or early"):
        await world.promote(made, "nightly")
    stable = await world.promote(made, STABLE)
    with pytest.raises(Conflict, match=f"rollout {stable} of {made.release_id} to stable is under way"):
        await world.promote(newer, EARLY)
    await world.fleet.service.withdraw(OWNER, stable, "not yet")
    world.early.clear()
    with pytest.raises(Invalid, match="no active endpoint follows early: a policy says which do"):
        await world.promote(newer, EARLY)
    seen = await world.releasing.plan(OWNER, newer.release_id, channel=EARLY)
    assert (seen.endpoints, seen.rings) == (0, ())
