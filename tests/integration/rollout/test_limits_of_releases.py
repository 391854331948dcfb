"""What a launcher is leased keeps the limits too: it takes a release unasked, before any agent is ready."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.rollout.test_content_promotion import look
from tests.support_releases import opened, release_bundle
from tests.support_rollout import OWNER, SmallFleet, Twin, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.platform.database import Database
from brakeline.releases.service import ReleasesService
from brakeline.rollout.presets import for_release
from brakeline.rollout.releasing import FINISHED_EVERY_S, Releasing
from brakeline.tenancy.approvals import Agreed
from brakeline.tenancy.two_people import Request

EVERYDAY = "daily 00:00/24:00"


class Releases:
    """A fleet, its releases, and what the launchers of its endpoints would be leased now."""

    def __init__(self, fleet: SmallFleet, cell: ReleasesService) -> None:
        self.fleet, self.cell = fleet, cell
        self.releasing = Releasing(fleet.service, cell)

    async def promote(self, version: str, sequence: int, *rings: int) -> str:
        made = await self.cell.publish(OWNER, release_bundle(version, sequence, product="content"))
        policy = for_release(quick_policy(*rings))
        await self.fleet.hear()
        return await self.releasing.promote(OWNER, made.release_id, policy=policy, start=True)

    async def leased(self) -> set[str]:
        await self.releasing.settle()
        return {t.hostname for t in self.fleet.twins if self.look(t)}

    def look(self, t: Twin) -> bool:
        return bool(look(self.cell, self.fleet.clock, t.identity.endpoint_id, t.identity.region).also)


def asked(fleet: SmallFleet) -> set[str]:
    return {t.hostname for t in fleet.twins if t.orders}


@pytest.fixture
async def releases(database: Database, clock: ManualClock, tmp_path: Path) -> Releases:
    fleet = SmallFleet(database, clock, tmp_path)
    await fleet.enrol(8, regions=("eu",))
    return Releases(fleet, await opened(database, clock, tmp_path / "releases"))


async def test_a_release_is_leased_to_no_more_than_the_budget_has_left(releases: Releases) -> None:
    limits = releases.fleet.service.limits
    await limits.set_budget(OWNER, endpoints=3)
    for t in releases.fleet.twins:
        t.fate = "idle"  # takes it and tells no end, so that it still needs its lease
    await releases.promote("1.4.0", 14, 8)
    assert await releases.leased() == set(), "not before somebody has asked: three places, eight who might look first"
    await releases.fleet.rounds(3)
    assert await releases.leased() == set(releases.fleet.offered())
    assert len(releases.fleet.offered()) == 3


async def test_everybody_is_leased_to_at_once_where_all_have_a_place(releases: Releases) -> None:
    """What is broken and cannot ask is healed by a newer release without a word."""
    await releases.promote("1.4.0", 14, 8)
    assert len(await releases.leased()) == 8


async def test_who_has_a_budget_besides_the_fleet_s_is_leased_to_by_name(releases: Releases) -> None:
    await releases.fleet.service.limits.set_budget(OWNER, group="region:*", endpoints=2)
    await releases.promote("1.4.0", 14, 8)
    assert await releases.leased() == set(), "nobody has an offer"
    for t in releases.fleet.twins:
        t.fate = "idle"
    await releases.fleet.rounds(2)
    assert await releases.leased() == set(releases.fleet.offered()) != set()
    assert len(releases.fleet.offered()) == 2


async def test_an_offer_by_name_is_leased_before_the_next_round(releases: Releases) -> None:
    """Else the launcher, which looks at once, would find nothing and be asked again 45 s later."""
    fleet = releases.fleet
    await fleet.service.limits.set_budget(OWNER, group="region:*", endpoints=1)
    await releases.promote("1.4.0", 14, 8)
    for t in fleet.twins:
        candidates = await fleet.service.candidates_for(t.identity)
        orders, _ = await fleet.service.on_check_in(t.identity, fleet.check_in(t, candidates))
        if orders:
            break
    assert releases.look(t)


async def test_who_is_away_takes_no_place_when_it_comes_back(releases: Releases) -> None:
    """Half the fleet was never heard; whoever of it looks first would take the release unasked, and nobody watch it."""
    fleet = releases.fleet
    for t in fleet.twins[::2]:
        t.alive = False
    await releases.promote("1.4.0", 14, 2)
    assert await releases.leased() == set()
    for t in fleet.twins:
        t.fate = "idle"
    await fleet.rounds(3)
    assert len(await releases.leased()) == 2
    assert await releases.leased() == set(fleet.offered())


@pytest.mark.long
async def test_in_a_freeze_window_only_offers_that_were_made_are_leased_and_nothing_that_stands(
    releases: Releases, clock: ManualClock
) -> None:
    fleet, limits = releases.fleet, releases.fleet.service.limits
    for t in fleet.twins:
        t.fate = "misses"  # its first offer goes by
    first = await releases.promote("1.4.0", 14, 1)
    await fleet.round()
    assert await releases.leased() == asked(fleet)
    await limits.add_window(OWNER, name="all", weekly=EVERYDAY)
    await fleet.rounds(2)
    assert await releases.leased() == asked(fleet) != set()

    await limits.remove_window(OWNER, "all", reason="to complete another")
    await fleet.service.withdraw(OWNER, first, "superseded")
    clock.advance(700)  # its offers are over
    for t in fleet.twins:
        t.fate = "good"
    other = await releases.promote("1.5.0", 15, 8)
    await fleet.rounds(40)
    assert (await fleet.service.show(OWNER, other)).state == "completed"
    assert len(await releases.leased()) == 8, "it stands for everybody"
    clock.advance(8 * 86_400)  # no rollout is watched any more
    await releases.cell.reconcile()
    assert len(await releases.leased()) == 8
    await limits.add_window(OWNER, name="all", weekly=EVERYDAY)
    clock.advance(FINISHED_EVERY_S + 1)
    assert await releases.leased() == set()
    waits = await limits.remove_window(OWNER, "all", reason="over")
    assert isinstance(waits, Request), "the first week is over: it takes a second person"
    await limits.agreed_to(Agreed(OWNER, "Olga and Sven", 2, waits.approval_id), waits.parameters, waits.situation)
    clock.advance(FINISHED_EVERY_S + 1)
    assert len(await releases.leased()) == 8
