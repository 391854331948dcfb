"""Numbers, starts and harms of endpoints become evidence in a real PostgreSQL, and a table that people can read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_rollout import OWNER, SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.platform.database import Database
from brakeline.protocol.codec import decode
from brakeline.protocol.messages import Harms, Health, Offer, Outcome, TransactionResult
from brakeline.rollout.telling import SignalRow

GIB = 1024**3
WELL = Health((), True, 50 * GIB, 0.2, 4 * GIB, 8 * GIB, 100 * GIB, 4, 15_000_000, 0, 0)
UNHARMED = Harms(5, 0, 0, 2, 0, (22, 443))
SHORT = replace(WELL, memory_available_bytes=GIB // 4)


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(8, regions=("eu",))
    for t in made.twins:
        t.health = WELL
    return made


async def rows(fleet: SmallFleet, rollout: str) -> dict[str, SignalRow]:
    return {r.signal: r for r in (await fleet.service.show(OWNER, rollout)).signals}


async def test_what_becomes_of_canaries_is_told_by_signal_and_by_name(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(2))
    await fleet.round()
    canaries = [t for t in fleet.twins if t.applied]
    for t in canaries:
        t.health, t.boots = SHORT, 4
    canaries[0].health = replace(SHORT, packages_removed=5)
    await fleet.rounds(12)
    found = await rows(fleet, rollout)
    assert (found["resources"].bad_treated, found["resources"].bad_controls) == (2, 0)
    assert (found["actions"].bad_treated, found["actions"].bad_controls) == (1, 0)
    assert found["resources"].treated == 2
    members = (await fleet.service.show(OWNER, rollout)).members
    assert {m.hostname for m in members if m.note.endswith("short of memory")} == {t.hostname for t in canaries}


async def test_what_was_so_at_ready_is_nobodys_harm(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.health = SHORT
    rollout = await fleet.create(quick_policy(2))
    await fleet.rounds(12)
    assert {(r.bad_treated, r.bad_controls) for r in (await rows(fleet, rollout)).values()} == {(0, 0)}


async def test_agents_that_tell_no_numbers_are_judged_as_before(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.health = Health()
    rollout = await fleet.create(quick_policy(2))
    await fleet.round()
    for t in fleet.twins:
        t.health = SHORT  # the update brought an agent that tells them
    await fleet.rounds(40)
    assert (await fleet.service.show(OWNER, rollout)).state == "completed"
    assert (await rows(fleet, rollout))["resources"].bad_treated == 0


async def test_blocks_deletions_and_closed_ports_are_told_by_signal_and_by_name(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.harms = UNHARMED
    rollout = await fleet.create(quick_policy(2))
    await fleet.round()
    canaries = [t for t in fleet.twins if t.applied]
    canaries[0].harms = replace(UNHARMED, refused=30, named=("refused: mysqld",))
    canaries[1].harms = replace(UNHARMED, files_gone=1, ports=(22,), named=("gone: /usr/bin/curl",))
    await fleet.rounds(12)
    found = await rows(fleet, rollout)
    told = {s: (found[s].bad_treated, found[s].bad_controls, found[s].which) for s in ("blocks", "deletions")}
    assert told == {"blocks": (1, 0, ("refused: mysqld (1)",)), "deletions": (1, 0, ("gone: /usr/bin/curl (1)",))}
    assert found["unhealthy"].which == ("port 443 closed (1)",)
    assert found["blocks"].told == found["blocks"].treated + found["blocks"].controls
    members = (await fleet.service.show(OWNER, rollout)).members
    assert "ok; port 443 closed; gone: /usr/bin/curl" in {m.note for m in members}


async def test_agents_that_tell_no_harms_are_in_no_comparison_of_them(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(2))
    await fleet.round()
    for t in fleet.twins:
        t.harms = replace(UNHARMED, files_gone=7, ports=())  # the update brought an agent that tells them
    await fleet.rounds(40)
    assert (await fleet.service.show(OWNER, rollout)).state == "completed"
    found = await rows(fleet, rollout)
    assert (found["deletions"].bad_treated, found["unhealthy"].bad_treated) == (0, 0)
    assert found["deletions"].told == 6  # the canaries said nothing when they were ready, and count as nothing


async def test_failed_transactions_stand_beside_dry_runs_that_fail(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(2))
    await fleet.round()
    controls = [t for t in fleet.twins if not t.applied]
    controls[0].cannot = "no_space"
    canaries = [t for t in fleet.twins if t.applied]
    offer = decode(Offer, canaries[0].orders[0].payload.encode())
    gone = TransactionResult("tx_1", offer.offer_id, offer.rollout_id, 1, Outcome.FAILED, "killed", "in its work")
    canaries[0].unsent[:] = [gone]
    await fleet.rounds(12)
    found = (await rows(fleet, rollout))["patches"]
    assert (found.bad_treated, found.bad_controls, found.which) == (1, 1, ("killed (1)",))


async def test_a_flood_a_failing_probe_and_a_slow_start_are_told_by_signal_and_by_name(fleet: SmallFleet) -> None:
    working = replace(UNHARMED, errors=3, boot_s=20, probes=("web",))
    for t in fleet.twins:
        t.harms = working
    rollout = await fleet.create(quick_policy(2))
    await fleet.round()
    canaries = [t for t in fleet.twins if t.applied]
    canaries[0].harms = replace(working, errors=300, named=("errors: app.service (297)",))
    canaries[1].harms = replace(working, boot_s=110, probes=(), probes_failed=("web: HTTP 500",))
    await fleet.rounds(12)
    found = await rows(fleet, rollout)
    told = {s: (found[s].bad_treated, found[s].bad_controls, found[s].which) for s in ("errors", "starts", "unhealthy")}
    assert told == {
        "errors": (1, 0, ("errors: app.service (1)",)),
        "starts": (1, 0, ("start took 110 s instead of 20 s (1)",)),
        "unhealthy": (1, 0, ("probe web (HTTP 500) failed (1)",)),
    }
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "holding", view.why  # neither canary is a proof, and the next ring waits for two
    assert {m.note for m in view.members if m.hostname in {t.hostname for t in canaries}} == {
        "ok; errors: app.service (297)", "ok; probe web (HTTP 500) failed; start took 110 s instead of 20 s",
    }  # fmt: skip
    for t in canaries:
        t.harms = replace(working, boot_s=110)
    await fleet.rounds(40)
    assert (await fleet.service.show(OWNER, rollout)).state == "completed"  # what was wrong passed by itself


async def test_agents_of_before_tell_none_of_these_and_are_judged_as_before(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.harms = UNHARMED
    rollout = await fleet.create(quick_policy(2))
    await fleet.round()
    for t in fleet.twins:  # the update brought an agent that tells them
        t.harms = replace(UNHARMED, errors=900, boot_s=900, probes=(), probes_failed=("web: HTTP 500",))
    await fleet.rounds(40)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "completed", view.why
    found = {r.signal: r for r in view.signals}
    assert {found[s].bad_treated for s in ("errors", "starts", "unhealthy")} == {0}
