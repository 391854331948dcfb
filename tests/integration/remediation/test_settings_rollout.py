"""Settings that widen go by rings, arms and brake on a real database; twins obey as `agent.taking` does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.support_rollout import OWNER
from tests.support_rollout import SmallFleet as Fleet

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Invalid
from brakeline.exposure.service import ExposureService
from brakeline.fleet.model import Presence
from brakeline.platform.bus import MemoryBus
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.codec import decode
from brakeline.protocol.digests import settings_digest, transaction_digest
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    CheckIn,
    Health,
    LocalLimits,
    Mode,
    Offer,
    Outcome,
    Ready,
    Settings,
    Transaction,
    TransactionResult,
)
from brakeline.remediation.service import RemediationService
from brakeline.remediation.settling import Started
from brakeline.tenancy.faults import CountMoved

OLD, NEW = 6 * 3600, 3600  # refresh intervals
PATCH = Settings(Mode.PATCH)


@dataclass
class World:
    """Twins that run by settings, and everything that decides which."""

    fleet: Fleet
    remediation: RemediationService
    runs: dict[str, Settings] = field(default_factory=dict)
    old_agents: set[str] = field(default_factory=set)
    local: LocalLimits | None = None  # an agent that knows windows and limits tells its root's
    lies: dict[str, str] = field(default_factory=dict)  # what an endpoint says in its check-ins instead of the truth

    async def round(self, seconds: float = 5) -> None:
        self.fleet.clock.advance(seconds)
        for t in self.fleet.twins:
            if t.alive:
                await self.exchange(t.identity.endpoint_id)
        await self.fleet.fleet.flush()
        await self.fleet.service.reconcile()

    async def rounds(self, count: int) -> None:
        for _ in range(count):
            await self.round()

    async def exchange(self, endpoint_id: str) -> None:
        t = next(t for t in self.fleet.twins if t.identity.endpoint_id == endpoint_id)
        service, identity = self.fleet.service, t.identity
        if t.unsent:
            await service.record_results(identity, tuple(t.unsent))
            t.unsent.clear()
        mine = self.runs.get(endpoint_id, Settings())
        reported = "" if endpoint_id in self.old_agents else settings_digest(mine)
        seen = Presence(self.fleet.clock.now_ms(), "boot", settings=self.lies.get(endpoint_id, reported))
        self.fleet.fleet.presences.record(OWNER.tenant_id, endpoint_id, seen)
        ready = [
            Ready(c.rollout_id, c.generation, _transaction(c.updates[0].name, c.updates[0].version, mine))
            for c in await service.candidates_for(identity, settled=bool(reported))
            if c.settings is not None and settings_digest(c.settings) != reported
        ]
        said = CheckIn("1", 1, "", Health(), tuple(ready), settings=reported, local=self.local)
        orders, _ = await service.on_check_in(identity, said)
        told = await self.remediation.effective_settings(identity, reported)
        self.runs[endpoint_id] = told
        for order in orders:
            if order not in t.orders:
                t.orders.append(order)
                self._take(endpoint_id, t, decode(Offer, order.payload.encode()))

    def _take(self, endpoint_id: str, t: object, offer: Offer) -> None:
        twin = next(x for x in self.fleet.twins if x is t)
        assert offer.settings is not None
        failed = twin.fate == "cannot_apply"
        if not failed:
            self.runs[endpoint_id] = offer.settings
        if twin.fate == "falls silent":
            twin.alive = False
            return
        outcome, code = (Outcome.FAILED, "cannot_apply") if failed else (Outcome.INSTALLED, "ok")
        told = (offer.offer_id, offer.rollout_id, offer.generation, outcome, code, "")
        twin.unsent.append(TransactionResult("tx_" + offer.offer_id[3:], *told, started_ms=1, ended_ms=2))

    def with_refresh(self, seconds: int) -> list[str]:
        return [e for e, s in sorted(self.runs.items()) if s.refresh_interval_s == seconds]

    async def wish_shorter(self, seconds: int = NEW) -> None:
        """A policy that makes every agent refresh its lists more often: wider than what it has."""
        await self.remediation.create_policy(OWNER, name=f"often {seconds}", filter_text="", mode="leave",
                                             refresh_interval_s=seconds, self_update=True)  # fmt: skip

    async def start(self) -> Started:
        seen = await self.remediation.plan_settings(OWNER, "rehearsal")
        return await self.remediation.start_settings(OWNER, seen.endpoints, seen.digest, pace="rehearsal")

    async def state(self, started: Started) -> str:
        return (await self.fleet.service.show(OWNER, started.rollout_id)).state


def _transaction(name: str, version: str, runs: Settings) -> Transaction:
    actions = (Action(ActionKind.UPGRADE, name, "all", settings_digest(runs), version),)
    return Transaction(actions, transaction_digest(actions))


@pytest.fixture
async def world(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> World:
    """Twelve endpoints in patch mode, with settings of their own, and all heard."""
    fleet = Fleet(database, clock, tmp_path)
    await fleet.enrol(12, regions=("eu",))
    made = World(fleet, _remediation(database, clock, ids, fleet))
    await made.remediation.create_policy(OWNER, name="patch", filter_text="", mode="patch")
    await made.rounds(2)
    assert {s.mode for s in made.runs.values()} == {Mode.PATCH}
    return made


def _remediation(database: Database, clock: ManualClock, ids: IdMaker, fleet: Fleet) -> RemediationService:
    bus = MemoryBus()
    exposure = ExposureService(database, clock, bus, fleet.fleet)
    return RemediationService(database, clock, ids, bus, fleet.fleet).use(exposure, fleet.service)


async def test_what_is_wider_waits_and_says_so_until_somebody_starts_its_rollout(world: World) -> None:
    await world.wish_shorter()
    await world.rounds(3)
    assert world.with_refresh(NEW) == []
    seen = await world.remediation.plan_settings(OWNER)
    assert (seen.endpoints, [r.name for r in seen.rings][:2]) == (12, ["canary", "early"])
    (difference,) = seen.differences
    assert (difference.setting, difference.before, difference.after) == ("refresh_interval_s", str(OLD), str(NEW))
    told = await world.remediation.settings_standing(OWNER)
    assert (told.version, told.waiting) == (0, 12)
    assert "12 endpoints wait for a rollout of settings" in told.sentence
    with pytest.raises(CountMoved):
        await world.remediation.start_settings(OWNER, 11, seen.digest)
    with pytest.raises(CountMoved):
        await world.remediation.start_settings(OWNER, 12, "0" * 12)


async def test_rings_one_after_another_and_controls_keep_what_they_had_until_all_have_it(world: World) -> None:
    await world.wish_shorter()
    started = await world.start()
    await world.rounds(4)
    assert len(world.with_refresh(NEW)) == 1  # the canary; everybody else is as before
    assert len(world.with_refresh(OLD)) == 11
    told = await world.remediation.settings_standing(OWNER)
    assert told.sentence.startswith("version 1 is rolling out: ring canary, 1 of 12")
    with pytest.raises(Conflict, match="one at a time"):
        await world.start()
    for _ in range(200):
        await world.round()
        if await world.state(started) == "completed":
            break
    assert len(world.with_refresh(NEW)) == 12
    world.fleet.clock.advance(11)
    told = await world.remediation.settings_standing(OWNER)
    assert (told.version, told.waiting, told.sentence) == (1, 0, "version 1 is everywhere")
    with pytest.raises(Invalid, match="nothing waits"):
        await world.remediation.start_settings(OWNER, 0, "")


async def test_a_press_of_the_brake_gives_the_last_good_settings_back_at_once(world: World) -> None:
    await world.wish_shorter()
    started = await world.start()
    await world.rounds(4)
    (canary,) = world.with_refresh(NEW)
    await world.fleet.service.brake(OWNER, started.rollout_id)
    await world.exchange(canary)
    assert world.with_refresh(NEW) == []
    await world.rounds(20)
    assert world.with_refresh(NEW) == []
    told = await world.remediation.settings_standing(OWNER)
    assert "was halted, and whoever had it runs by what it had before" in told.sentence
    with pytest.raises(Conflict, match="were halted by rollout"):
        await world.start()
    await world.wish_shorter(1800)  # other settings may be tried
    assert (await world.start()).version == 2


async def test_one_that_cannot_apply_them_halts_and_nobody_else_gets_them(world: World) -> None:
    for t in world.fleet.twins:
        t.fate = "cannot_apply"
    await world.wish_shorter()
    started = await world.start()
    await world.rounds(6)
    assert await world.state(started) == "halted"
    assert world.with_refresh(NEW) == []
    assert sum(len(t.orders) for t in world.fleet.twins) == 1


@pytest.mark.long
async def test_a_canary_that_falls_silent_under_them_halts(world: World) -> None:
    for t in world.fleet.twins:
        t.fate = "falls silent"
    await world.wish_shorter()
    started = await world.start()
    await world.rounds(40)
    assert await world.state(started) == "halted"
    assert sum(not t.alive for t in world.fleet.twins) == 1
    assert len(world.with_refresh(NEW)) == 1  # the silent one still runs by them; its first check-in ends that
    silent = next(t for t in world.fleet.twins if not t.alive)
    silent.alive = True
    await world.exchange(silent.identity.endpoint_id)
    assert world.with_refresh(NEW) == []


async def test_whoever_says_installed_and_runs_by_other_settings_proves_nothing(world: World) -> None:
    for t in world.fleet.twins:
        world.lies[t.identity.endpoint_id] = "0" * 12
    await world.wish_shorter()
    started = await world.start()
    await world.rounds(60)
    seen = await world.fleet.service.show(OWNER, started.rollout_id)
    assert seen.state != "completed"
    assert sum(len(t.orders) for t in world.fleet.twins) == 1  # nobody after the canary
    world.lies.clear()
    for _ in range(200):
        await world.round()
        if await world.state(started) == "completed":
            break
    assert await world.state(started) == "completed"


async def test_what_narrows_is_immediate_also_while_a_rollout_is_under_way(world: World) -> None:
    await world.wish_shorter()
    await world.start()
    await world.rounds(4)
    assert len(world.with_refresh(NEW)) == 1
    policy = await world.remediation.create_policy(OWNER, name="stop", filter_text="", mode="assess")
    await world.round()
    assert {s.mode for s in world.runs.values()} == {Mode.ASSESS}
    assert len(world.with_refresh(NEW)) == 1  # narrowed, and still on trial
    await world.remediation.delete_policy(OWNER, policy.id)
    await world.round()
    assert {s.mode for s in world.runs.values()} == {Mode.PATCH}  # they had it before: a return, no change


async def test_what_a_policy_has_taken_back_meanwhile_is_offered_to_nobody_else(world: World) -> None:
    await world.wish_shorter()
    started = await world.start()
    await world.remediation.create_policy(OWNER, name="stop", filter_text="", mode="assess")
    await world.rounds(6)
    assert not [t for t in world.fleet.twins if t.orders]
    seen = await world.fleet.service.show(OWNER, started.rollout_id)
    assert any("taken away meanwhile" in str(line) for line in (seen, *seen.lines))


@pytest.mark.long
async def test_an_old_agent_gets_them_when_they_are_proven_and_is_named_until_then(world: World) -> None:
    old = world.fleet.twins[3].identity.endpoint_id
    world.old_agents.add(old)
    await world.wish_shorter()
    started = await world.start()
    for _ in range(200):
        await world.round()
        if await world.state(started) == "completed":
            break
        assert world.runs[old].refresh_interval_s == OLD
    seen = await world.fleet.service.show(OWNER, started.rollout_id)
    assert any("takes no settings by an offer yet" in str(line) for line in (seen, *seen.lines))
    world.fleet.clock.advance(11)
    await world.round()
    assert world.runs[old].refresh_interval_s == NEW


async def test_first_settings_are_at_once_for_few_and_by_a_rollout_for_many(
    database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path
) -> None:
    fleet = Fleet(database, clock, tmp_path)
    await fleet.enrol(21, regions=("eu",))
    remediation = _remediation(database, clock, ids, fleet)
    await remediation.create_policy(OWNER, name="patch", filter_text="", mode="patch")
    world = World(fleet, remediation)
    await world.rounds(2)
    assert Counter(s.mode for s in world.runs.values()) == {Mode.PATCH: 20, Mode.ASSESS: 1}
    assert (await remediation.plan_settings(OWNER)).endpoints == 1
    told = (await remediation.settings_standing(OWNER)).sentence
    assert told.startswith("the first policy began at once on 20 endpoints; 1 endpoint waits for a rollout of settings")
    (one,) = [e for e, s in world.runs.items() if s.mode is Mode.ASSESS]
    assert "rollout of settings" in (await remediation.patchable(OWNER.tenant_id, [one]))[one]

    async with database.tenant(
        OWNER.tenant_id
    ) as conn:  # as a policy of an installation before there were such rollouts
        await conn.execute("UPDATE brakeline.settings_policy SET kept = true")
    await world.rounds(4)
    assert {s.mode for s in world.runs.values()} == {Mode.PATCH}  # what it let them do, they go on doing
    await world.wish_shorter()
    await world.rounds(4)
    assert world.with_refresh(NEW) == []


async def test_without_the_database_an_endpoint_on_trial_is_told_to_look_only(world: World, database: Database) -> None:
    await world.wish_shorter()
    await world.start()
    await world.rounds(4)
    (canary,) = world.with_refresh(NEW)
    identity = next(t.identity for t in world.fleet.twins if t.identity.endpoint_id == canary)
    world.fleet.clock.advance(60)
    await database.close()
    told = await world.remediation.effective_settings(identity, settings_digest(world.runs[canary]))
    assert told.mode is Mode.ASSESS
    assert replace(told, check_in_interval_s=60) == Settings()
