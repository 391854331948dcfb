"""Policies and deployments over a real fleet, real exposure and real rollouts in a real database."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from tests.support_feeds import CRITICAL, cvss_file, day, epss_file, importing_of
from tests.support_fleet import OWNER, TENANT, SmallFleet, deb, update
from tests.support_people import wired
from tests.support_releases import opened

from brakeline.advisories.service import AdvisoriesService
from brakeline.core.clock import ManualClock
from brakeline.core.days import day_of
from brakeline.core.errors import Forbidden, Invalid, NotFound
from brakeline.exposure.service import ExposureService
from brakeline.fleet.query import InvalidQuery
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.messages import Mode, UpdateState
from brakeline.remediation.service import NothingToDo, RemediationService
from brakeline.remediation.store import PolicyNameTaken
from brakeline.rollout.service import RolloutService
from brakeline.server.following import FollowOrders
from brakeline.tenancy.faults import CountMoved
from brakeline.tenancy.model import Principal, system_principal

OLD, NEW = "7.88.1-10+deb12u14", "7.88.1-10+deb12u15"
CURL = [deb("curl", OLD), deb("libcurl4", OLD, "curl"), deb("tzdata", "2024a-0+deb12u1")]
UPDATES = [
    update("curl", OLD, NEW),
    update("libcurl4", OLD, NEW),
    update("tzdata", "2024a-0+deb12u1", "2026a-0+deb12u1", security=False),
]


@dataclasses.dataclass
class World:
    fleet: SmallFleet
    exposure: ExposureService
    rollouts: RolloutService
    remediation: RemediationService
    clock: ManualClock

    async def endpoint(self, host: str, **more: str) -> str:
        endpoint_id = await self.fleet.enrol(host, **more)
        await self.fleet.inventory(endpoint_id, CURL, UPDATES)
        return endpoint_id

    async def allow(self, filter_text: str = "", name: str = "patch") -> None:
        await self.remediation.create_policy(OWNER, name=name, filter_text=filter_text, mode="patch")

    async def mode(self, endpoint_id: str) -> Mode:
        session = await self.fleet.service.session(endpoint_id)
        return (await self.remediation.effective_settings(session.identity)).mode


@pytest.fixture
async def world(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> World:
    await AdvisoriesService(database, clock).load_seed()
    fleet = SmallFleet(database, clock, ids)
    exposure = ExposureService(database, clock, fleet.bus, fleet.service)
    fleet.service.on_inventory = exposure.on_inventory
    rollouts = RolloutService(database, clock, ids, fleet.bus, fleet.service, fleet.cell, tmp_path / "brake.journal")
    await wired(database, clock, ids, rollouts, OWNER.tenant_id)
    await rollouts.open()
    remediation = RemediationService(database, clock, ids, fleet.bus, fleet.service).use(exposure, rollouts)
    return World(fleet, exposure, rollouts, remediation, clock)


async def test_everybody_is_assessed_only_until_a_policy_says_otherwise(world: World) -> None:
    db1, web1 = await world.fleet.enrol("db1", tags=("db",)), await world.fleet.enrol("web1")
    assert await world.mode(web1) is Mode.ASSESS
    async with world.fleet.bus.subscribe(f"wake:{web1}") as wakes:
        await world.remediation.create_policy(
            OWNER, name="all", filter_text="os:debian", mode="patch", expect_count=2, refresh_interval_s=600
        )
        assert (await anext(wakes))[0] == f"wake:{web1}"  # a waiting check-in answers now
    assert [await world.mode(e) for e in (db1, web1)] == [Mode.PATCH, Mode.PATCH]
    careful = await world.remediation.create_policy(OWNER, name="databases", filter_text="tag:db", mode="assess")
    assert [await world.mode(e) for e in (db1, web1)] == [Mode.ASSESS, Mode.PATCH]
    settings, why = await world.remediation.explain_settings(OWNER, db1)
    assert (settings.refresh_interval_s, "databases" in why) == (600, True)
    await world.remediation.delete_policy(OWNER, careful.id)
    assert await world.mode(db1) is Mode.PATCH


async def test_what_a_policy_adds_to_settings_that_it_has_is_said_to_wait(world: World) -> None:
    endpoint = await world.fleet.enrol("web1")
    await world.allow()
    await world.remediation.create_policy(
        OWNER, name="often", filter_text="", mode="leave", self_update=True, refresh_interval_s=600
    )
    settings, why = await world.remediation.explain_settings(OWNER, endpoint)
    assert (settings.mode, settings.refresh_interval_s) == (Mode.PATCH, 6 * 3600)
    assert "comes by a rollout of settings" in why


async def test_a_policy_says_which_channel_its_endpoints_follow(world: World, tmp_path: Path) -> None:
    lab, web = await world.fleet.enrol("lab1", tags=("lab",)), await world.fleet.enrol("web1")
    create = world.remediation.create_policy
    with pytest.raises(Invalid, match="no channel 'nightly'; a policy says stable or early, or nothing of it"):
        await create(OWNER, name="x", filter_text="", mode="leave", channel="nightly")
    assert (await world.remediation.explain_self_update(OWNER, lab)).channel == "stable"
    made = await create(OWNER, name="trial", filter_text="tag:lab", mode="leave", channel="early", expect_count=1)
    assert [p.channel for p in await world.remediation.policies(OWNER)] == ["early"]
    found = await world.remediation.explain_self_update(OWNER, lab)
    assert (found.channel, found.channel_why) == ("early", "follows early, by the policy trial")
    assert await world.remediation.followers_of_early(TENANT) == {lab}

    releases = await opened(world.fleet.db, world.clock, tmp_path / "releases")
    orders = FollowOrders(world.remediation, releases)

    async def ordered(endpoint_id: str) -> str:
        text = await orders((await world.fleet.service.session(endpoint_id)).identity)
        said: dict[str, str] = json.loads(text)["signed"]
        return said["channel"]

    assert [await ordered(e) for e in (lab, web)] == [f"early/{TENANT}", f"stable/{TENANT}"]
    await create(OWNER, name="production", filter_text="", mode="leave", channel="stable")
    assert await ordered(lab) == f"stable/{TENANT}", "of two the more careful one wins"
    for policy in await world.remediation.policies(OWNER):
        await world.remediation.delete_policy(OWNER, policy.id)
    assert await ordered(lab) == f"stable/{TENANT}"
    assert await world.remediation.followers_of_early(TENANT) == frozenset()
    assert made.name == "trial"


async def test_a_tag_takes_effect_within_seconds(world: World) -> None:
    endpoint = await world.fleet.enrol("web1")
    await world.allow("tag:patched")
    assert await world.mode(endpoint) is Mode.ASSESS
    await world.fleet.service.set_tags(OWNER, endpoint, ("patched",))
    world.clock.advance(11)
    assert await world.mode(endpoint) is Mode.PATCH


async def test_policies_refuse_what_makes_no_sense(world: World) -> None:
    create = world.remediation.create_policy
    await create(OWNER, name="all", filter_text="", mode="patch")
    with pytest.raises(PolicyNameTaken):
        await create(OWNER, name="all", filter_text="", mode="patch")
    with pytest.raises(InvalidQuery, match="did you mean"):
        await create(OWNER, name="x", filter_text="oss:debian", mode="patch")
    with pytest.raises(Invalid, match="assess, patch or leave"):
        await create(OWNER, name="x", filter_text="", mode="panic")
    with pytest.raises(Invalid, match="interval"):
        await create(OWNER, name="x", filter_text="", mode="patch", refresh_interval_s=1)
    with pytest.raises(CountMoved, match="matches 0 endpoints now, not 6"):
        await create(OWNER, name="x", filter_text="", mode="patch", expect_count=6)
    with pytest.raises(NotFound):
        await world.remediation.delete_policy(OWNER, "po_nothing")
    viewer = Principal(TENANT, "v", "person", "v", frozenset({"policy.read", "rollout.read"}))
    with pytest.raises(Forbidden):
        await create(viewer, name="x", filter_text="", mode="patch")
    assert len(await world.remediation.policies(viewer)) == 1
    assert await world.remediation.policies(system_principal("te_other", "x")) == ()


async def test_without_the_database_nobody_is_patched(world: World, database: Database) -> None:
    endpoint = await world.endpoint("web1")
    await world.allow()
    assert await world.mode(endpoint) is Mode.PATCH
    session = await world.fleet.service.session(endpoint)
    world.clock.advance(60)
    await database.close()
    assert (await world.remediation.effective_settings(session.identity)).mode is Mode.ASSESS


async def test_a_preview_pins_versions_closes_findings_and_names_who_is_left_out(world: World) -> None:
    a, a2, b = await world.endpoint("a"), await world.endpoint("a2"), await world.endpoint("b")
    lab = await world.endpoint("lab", os_version="13")
    mute = await world.fleet.enrol("mute")
    held = await world.fleet.enrol("held")
    await world.fleet.inventory(held, CURL, [update("curl", OLD, NEW, state=UpdateState.HELD, reason="held by root")])
    await world.fleet.service.set_tags(OWNER, b, ("frozen",))
    await world.allow("-tag:frozen")
    seen = await world.remediation.preview(OWNER, "")
    assert [(u.name, u.version, u.endpoints, u.security) for u in seen.plan.updates] == [
        ("curl", NEW, 2, True), ("libcurl4", NEW, 2, True),
    ]  # fmt: skip
    assert {t.endpoint_id for t in seen.plan.targets} == {a, a2}
    assert seen.matched == 6 == seen.count + len(seen.plan.skipped)
    codes = {s.endpoint_id: s.code for s in seen.plan.skipped}
    assert codes == {b: "assess_only", mute: "no_data", held: "blocked", lab: "other_release"}
    assert seen.skipped_by_code() == {"assess_only": 1, "no_data": 1, "blocked": 1, "other_release": 1}
    assert "held by root" in next(s.reason for s in seen.plan.skipped if s.endpoint_id == held)


async def test_from_a_finding_to_a_deployment_that_closes_it(world: World) -> None:
    endpoints = [await world.endpoint(host) for host in "abc"]
    await world.allow()
    worst = (await world.exposure.vulnerabilities(OWNER, "state:fixable_now source:curl")).items[0]
    seen = await world.remediation.preview(OWNER, "", "cve", [worst.cve.lower()])
    assert [u.name for u in seen.plan.updates] == ["curl", "libcurl4"]
    assert worst.cve in seen.closing.closed
    due = {v.cve: v.due for v in (await world.exposure.vulnerabilities(OWNER, "", limit=500)).items}
    assert seen.closing.due == min(due[cve] for cve in seen.closing.closed if due[cve])
    made = await world.remediation.create(
        OWNER, "", "cve", [worst.cve], expect_count=3, digest=seen.plan.digest, pace="rehearsal", start=True
    )
    rollout = await world.rollouts.show(OWNER, made.rollout_id)
    assert (rollout.targets, rollout.title) == (3, made.title)
    async with world.rollouts.db.tenant(TENANT) as conn:
        kept = await conn.fetchval("SELECT change ->> 'due_ms' FROM brakeline.rollout")
    assert day_of(int(kept)) == seen.closing.due, "it is carried on the change"
    before = await world.remediation.deployment(OWNER, made.id)
    assert (before.state, before.closed, before.cves_now) == ("rolling", (), made.cves_before)
    assert before.still_open[worst.cve] == 3
    for endpoint in endpoints[:2]:
        await world.fleet.inventory(endpoint, [deb("curl", NEW), deb("libcurl4", NEW, "curl")])
    halfway = await world.remediation.deployment(OWNER, made.rollout_id)  # the rollout's id finds it too
    assert (halfway.still_open[worst.cve], halfway.closed) == (1, ())
    await world.fleet.inventory(endpoints[2], [deb("curl", NEW), deb("libcurl4", NEW, "curl")])
    done = await world.remediation.deployment(OWNER, made.id)
    assert (done.still_open, set(done.closed)) == ({}, set(made.closes))
    assert done.cves_now == made.cves_before - len(made.closes)
    items, more = await world.remediation.deployments(OWNER)
    assert ([d.id for d in items], more) == ([made.id], None)


async def test_the_pace_is_suggested_by_risk_and_another_takes_a_reason_that_stays(world: World) -> None:
    for host in "abc":
        await world.endpoint(host)
    await world.allow()
    advice = (await world.remediation.preview(OWNER, "")).pace
    assert (advice.risk.assessed, advice.risk.exposed) == (True, 3)
    assert advice.risk.closes > 0
    assert [o.pace for o in advice.options] == ["careful", "fast", "emergency"]
    create = world.remediation.create
    made = await create(OWNER, "", expect_count=3)
    line = next(x for x in await world.rollouts.explain(OWNER, made.rollout_id) if x.gate == "pace")
    assert line.text.startswith(f"pace {advice.suggested}, as suggested: {advice.why}")
    assert line.data["sentences"] == list(advice.sentences)
    other = next(o.pace for o in advice.options if o.pace != advice.suggested)
    with pytest.raises(Invalid, match=f"{advice.suggested}, because .* Say why"):
        await create(OWNER, "", expect_count=3, pace=other)
    with pytest.raises(Invalid, match="no pace 'warp'"):
        await create(OWNER, "", expect_count=3, pace="warp")
    made = await create(OWNER, "", expect_count=3, pace=other, pace_reason="the vendor calls it urgent")
    line = next(x for x in await world.rollouts.explain(OWNER, made.rollout_id) if x.gate == "pace")
    assert f"pace {other}, chosen by {OWNER.name}; {advice.suggested} was suggested" in line.text
    assert line.text.endswith("the vendor calls it urgent")


async def test_what_nothing_is_known_of_goes_carefully(world: World) -> None:
    await world.endpoint("lab", os_version="13")  # a release without advisory data
    await world.allow()
    seen = await world.remediation.preview(OWNER, "")
    assert (seen.count, seen.pace.risk.assessed, seen.pace.suggested) == (1, False, "careful")
    assert seen.pace.sentences[0].startswith("No data on risk")


async def test_an_endpoint_that_a_rollout_watches_keeps_up_with_it(world: World) -> None:
    watched, other = await world.endpoint("web1"), await world.fleet.enrol("web2")
    await world.allow()
    made = await world.remediation.create(OWNER, "", "security", expect_count=1, pace="rehearsal", start=True)
    settings, why = await world.remediation.explain_settings(OWNER, watched)
    assert (settings.check_in_interval_s, "while a rollout watches it" in why) == (10, True)
    told = await world.remediation.explain_settings(OWNER, other)
    assert told[0].check_in_interval_s == 60
    await world.rollouts.brake(OWNER, made.rollout_id)
    assert (await world.remediation.explain_settings(OWNER, watched))[0].check_in_interval_s == 60


async def test_create_refuses_what_was_not_seen(world: World) -> None:
    await world.endpoint("a")
    create = world.remediation.create
    with pytest.raises(NothingToDo, match="all are left out"):
        await create(OWNER, "")
    await world.allow()
    seen = await world.remediation.preview(OWNER, "")
    with pytest.raises(CountMoved, match="1 endpoints would be changed now, not 6"):
        await create(OWNER, "", expect_count=6)
    b = await world.endpoint("b")
    world.clock.advance(11)
    with pytest.raises(CountMoved):
        await create(OWNER, "", expect_count=seen.count, digest=seen.plan.digest)
    with pytest.raises(CountMoved, match="not those that you saw"):
        await create(OWNER, "host:b", expect_count=1, digest=seen.plan.digest)
    for selection, names, says in [("names", [], "at least one name"), ("security", ["curl"], "takes no names"),
                                   ("some", [], "selection is one of")]:  # fmt: skip
        with pytest.raises(Invalid, match=says):
            await create(OWNER, "", selection, names)
    with pytest.raises(Invalid, match="no pace"):
        await create(OWNER, "", pace="reckless")
    viewer = Principal(TENANT, "v", "person", "v", frozenset({"rollout.read", "endpoint.read"}))
    with pytest.raises(Forbidden):
        await create(viewer, "")
    assert (await world.remediation.deployments(OWNER))[0] == []
    assert await world.rollouts.list(OWNER) == ()
    assert (await world.remediation.preview(OWNER, f"id:{b}", "names", ["tzdata"])).plan.updates[0].security is False


async def test_epss_and_cvss_say_what_waiting_costs_and_what_is_too_old_says_so(
    world: World, database: Database
) -> None:
    for host in "abc":
        await world.endpoint(host)
    await world.allow()
    advisories = AdvisoriesService(database, world.clock)
    importing = importing_of(database, world.clock, advisories, TENANT)
    before = (await world.remediation.preview(OWNER, "")).pace
    assert "No EPSS is loaded, no CVSS is loaded." in before.sentences[0]
    closed = (await world.remediation.preview(OWNER, "")).closing.closed
    exploited = (await advisories.knowledge()).exploited
    plain = next(cve for cve in closed if cve not in exploited)
    await importing.import_file(OWNER, "epss", epss_file(world.clock, {plain: 0.4}))
    await importing.import_file(OWNER, "cvss", cvss_file(world.clock, {plain: CRITICAL}))
    advice = (await world.remediation.preview(OWNER, "")).pace
    assert (advice.risk.epss, advice.risk.cvss) == (0.4, 9.8)
    assert advice.risk.at_risk == pytest.approx(3.0 if advice.risk.exploited else 1.2)
    assert f"EPSS up to 0.40 (of {day(world.clock)}, 0 days old), CVSS up to 9.8." in advice.sentences[0]
    assert any(s.startswith("A day of waiting is expected to cost ") for s in advice.sentences)
    world.clock.advance(31 * 86400)
    late = (await world.remediation.preview(OWNER, "")).pace
    assert late.risk.epss is None
    assert "EPSS is too old to be used (of " in late.sentences[0]
