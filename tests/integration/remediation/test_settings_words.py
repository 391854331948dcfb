"""Windows, restarts, conffiles and limits as settings on a real database, and grants that a real agent believes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.remediation.test_settings_rollout import World, _remediation
from tests.support_rollout import OWNER
from tests.support_rollout import SmallFleet as Fleet

from brakeline.agent import events
from brakeline.agent.decide import decide
from brakeline.agent.model import Durable, Instant, Self, State
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Invalid
from brakeline.fleet.model import EndpointIdentity, Presence
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.messages import (
    CheckInReply,
    Conffiles,
    LocalLimits,
    Mode,
    RestartConsent,
    Settings,
    SignedOrder,
)
from brakeline.protocol.settings import WIDEST
from brakeline.remediation.words import NeverOpen, parsed

NIGHTS, WEEKEND = "daily 22:00/06:00", "sat 00:00/sun 24:00"
PATCH = Settings(Mode.PATCH)


@pytest.fixture
async def world(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> World:
    """Four endpoints in patch mode, with settings of their own, and all heard."""
    fleet = Fleet(database, clock, tmp_path)
    await fleet.enrol(4, regions=("eu",))
    made = World(fleet, _remediation(database, clock, ids, fleet))
    await made.remediation.create_policy(OWNER, name="patch", filter_text="", mode="patch")
    await made.rounds(2)
    async with database.tenant(OWNER.tenant_id) as conn:  # the page of an endpoint shows its key
        for i, t in enumerate(fleet.twins):
            await conn.execute(
                "SELECT brakeline.register_endpoint_key($1, $2, 'tk', '{}')", t.identity.endpoint_id, bytes([i]) * 32
            )
    return made


async def says(world: World, name: str, **words: object) -> str:
    made = await world.remediation.create_policy(
        OWNER, name=name, filter_text="", mode="leave", words=parsed(**words)  # type: ignore[arg-type]
    )  # fmt: skip
    return made.id


def agent(world: World, identity: EndpointIdentity) -> State:
    """A real agent's mind, right after its first secret."""
    me = Self(identity.endpoint_id, world.fleet.service.cell.public_hex, "1", "boot", can_patch=True)
    state, _ = decide(State(me, Durable()), events.Started(Instant(0.0, 0), ()))
    return replace(state, link=replace(state.link, busy=True, ever=True))


def told(world: World, state: State, settings: Settings, granted: SignedOrder | None) -> State:
    reply = CheckInReply(world.fleet.clock.now_ms(), settings, granted=granted)
    state, _ = decide(state, events.CheckedIn(Instant(1.0, 0), 1.0, reply, '"e"'))
    return replace(state, link=replace(state.link, busy=True))


async def test_words_that_narrow_hold_at_once_and_removing_them_gives_back_what_was_there(world: World) -> None:
    nights = await says(world, "nights", windows=[NIGHTS], restart="window", conffiles="keep", nice=10)
    await world.round()
    runs = set(world.runs.values())
    assert {s.windows for s in runs} == {(NIGHTS,)}
    assert {(s.restart, s.conffiles, s.nice) for s in runs} == {(RestartConsent.WINDOW, Conffiles.KEEP, 10)}
    assert (await world.remediation.settings_standing(OWNER)).waiting == 0
    (stored,) = [p for p in await world.remediation.policies(OWNER) if p.id == nights]
    assert stored.words.windows == (NIGHTS,)
    await world.remediation.delete_policy(OWNER, nights)
    await world.round()
    assert {s.windows for s in world.runs.values()} == {()}


async def test_windows_without_a_common_minute_are_refused_and_the_other_policy_named(world: World) -> None:
    await says(world, "mondays", windows=["mon 01:00/03:00"])
    with pytest.raises(NeverOpen, match=r"'mondays' .* have no minute in common"):
        await says(world, "weekend", windows=[WEEKEND])
    with pytest.raises(Invalid, match="overlap"):
        await says(world, "twice", windows=["mon 01:00/03:00", "mon 02:00/04:00"])
    assert {p.name for p in await world.remediation.policies(OWNER)} == {"patch", "mondays"}


async def test_an_agent_runs_by_nothing_that_the_cell_has_not_signed_for_it(world: World) -> None:
    one, two = (t.identity for t in world.fleet.twins[:2])
    granted, others = await world.remediation.granted(one), await world.remediation.granted(two)
    assert granted is not None
    assert await world.remediation.granted(one) == granted  # the same bytes: the reply stays the same
    mind = agent(world, one)
    assert told(world, mind, WIDEST, None).durable.settings.mode is Mode.ASSESS
    assert told(world, mind, WIDEST, others).durable.settings.mode is Mode.ASSESS
    assert told(world, mind, WIDEST, granted).durable.settings.mode is Mode.PATCH
    assert told(world, mind, WIDEST, granted).durable.settings.inventory_interval_s == PATCH.inventory_interval_s


async def test_a_wider_grant_comes_only_when_its_rollout_is_completed(world: World) -> None:
    one = world.fleet.twins[0].identity
    before = await world.remediation.granted(one)
    mind = told(world, agent(world, one), PATCH, before)
    await world.wish_shorter()
    started = await world.start()
    await world.rounds(4)
    assert await world.remediation.granted(one) == before
    for _ in range(200):
        await world.round()
        if await world.state(started) == "completed":
            break
    world.fleet.clock.advance(11)
    await world.round()
    after = await world.remediation.granted(one)
    assert after != before
    mind = told(world, mind, world.runs[one.endpoint_id], after)
    assert mind.durable.settings.refresh_interval_s == 3600
    mind = told(world, mind, WIDEST, before)  # an older one, kept by whoever could read replies
    assert mind.durable.settings.refresh_interval_s == 3600
    sheet = await world.remediation.settings_sheet(OWNER, one.endpoint_id)
    (line,) = [x for x in sheet.lines if x.name == "refresh_interval_s"]
    assert (line.value, line.version) == ("3600", 1)
    assert line.by == "policy often 3600"


async def test_the_sheet_says_what_decided_each_setting(world: World) -> None:
    one = world.fleet.twins[0].identity
    await says(world, "nights", windows=[NIGHTS])
    await world.rounds(2)
    older = await world.remediation.settings_sheet(OWNER, one.endpoint_id)
    assert any("too old" in note for note in older.notes)
    assert next(x.value for x in older.lines if x.name == "mode") == "assess"

    local = LocalLimits(replace(WIDEST, windows=(WEEKEND,)), "", "+02:00", ("mode",))
    world.fleet.fleet.presences.record(
        OWNER.tenant_id, one.endpoint_id, Presence(world.fleet.clock.now_ms() + 1, "boot", settings="x", local=local)
    )
    await world.fleet.fleet.flush()
    sheet = await world.remediation.settings_sheet(OWNER, one.endpoint_id)
    lines = {x.name: x for x in sheet.lines}
    assert lines["mode"].value == "patch"
    assert lines["windows"].by == "root's own limits"
    assert lines["windows"].value == "sat 00:00/06:00, sat 22:00/sun 06:00, sun 22:00/24:00"
    assert lines["conffiles"].by == "no policy speaks of it"
    assert "+02:00" in sheet.window
    assert any("does not follow this cell in: mode" in note for note in sheet.notes)


async def test_without_the_database_nothing_is_granted_anew(world: World, database: Database) -> None:
    one = world.fleet.twins[0].identity
    world.fleet.clock.advance(60)
    await database.close()
    assert await world.remediation.granted(one) is None
    assert (await world.remediation.effective_settings(one)).mode is Mode.ASSESS


async def test_probes_of_all_policies_count_and_are_tried_where_root_allows_them(world: World) -> None:
    one = world.fleet.twins[0].identity
    await says(world, "web", probes=["web http://127.0.0.1:8080/health"])
    await says(world, "db", probes=["db /usr/lib/checks/db -w 10", "web http://127.0.0.1:9/"])
    with pytest.raises(Invalid, match="two probes are called a"):
        await says(world, "twice", probes=["a /bin/true", "a /bin/false"])
    assert (await world.remediation.settings_standing(OWNER)).waiting == len(world.fleet.twins)
    started = await world.start()
    for _ in range(200):
        await world.round()
        if await world.state(started) == "completed":
            break
    world.fleet.clock.advance(11)
    await world.round()
    both = ("db /usr/lib/checks/db -w 10", "web http://127.0.0.1:8080/health")  # of two called web the first by text
    assert {s.probes for s in world.runs.values()} == {both}

    def sheet_under(*allowed: str) -> LocalLimits:
        return LocalLimits(replace(WIDEST, probes=allowed))

    for allowed, tried, kept in (((), "none", "db, web"), (("http",), both[1], "db")):
        world.fleet.clock.advance(1)
        world.fleet.fleet.presences.record(
            OWNER.tenant_id, one.endpoint_id,
            Presence(world.fleet.clock.now_ms() + 1, "boot", settings="x", local=sheet_under(*allowed)),
        )  # fmt: skip
        await world.fleet.fleet.flush()
        sheet = await world.remediation.settings_sheet(OWNER, one.endpoint_id)
        (line,) = [x for x in sheet.lines if x.name == "probes"]
        assert (line.value, line.by) == (tried, "root's own limits")
        assert any(note.endswith(f"not tried: {kept}.") for note in sheet.notes)
