"""Canaries that are restarted, over real check-ins and a real PostgreSQL: who is ordered, when, and what it shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_rollout import OWNER, SmallFleet, Twin, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Invalid
from brakeline.fleet.enrolment import checked_tags
from brakeline.platform.database import Database
from brakeline.protocol.messages import RESTART_CONTEXT
from brakeline.rollout.model import Policy, Restarts, State
from brakeline.rollout.restarts import CONSENTS, GATE, NEVER, SETTLE_S
from brakeline.rollout.view import RolloutView
from brakeline.trust import ed25519

ROUND_S = 20.0


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(8, regions=("eu",))
    return made


def policy(*counts: int, **restarts: object) -> Policy:
    return replace(quick_policy(*counts), restarts=Restarts(**restarts), data_age_max_s=600)  # type: ignore[arg-type]


async def rounds(fleet: SmallFleet, count: int) -> None:
    for _ in range(count):
        await fleet.round(ROUND_S)


async def view(fleet: SmallFleet, rollout: str) -> RolloutView:
    return await fleet.service.show(OWNER, rollout)


def gate(shown: RolloutView) -> tuple[State, str]:
    line = next(x for x in shown.lines if x.gate == GATE)
    return line.state, line.text


def restarted(fleet: SmallFleet) -> list[Twin]:
    return [t for t in fleet.twins if t.restarts]


async def test_a_ring_waits_for_its_canaries_to_come_back_and_then_goes_on(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.allows = True
    rollout = await fleet.create(policy(2, consent="all"))
    await rounds(fleet, 8)
    assert gate(await view(fleet, rollout)) == (
        State.WAIT, "ring ring 2: 0 of 2 that consent were restarted and heard again",
    )  # fmt: skip
    assert len(fleet.updated()) == 2
    await rounds(fleet, 20)
    assert (await view(fleet, rollout)).state == "completed"
    assert len(fleet.updated()) == 8
    canaries = [t for t in fleet.twins if t.restarts and t.applied]
    assert len(canaries) >= 2
    assert all(len(t.restarts) == 1 and t.boots == 2 for t in restarted(fleet))


async def test_controls_are_restarted_by_the_same_clock_and_the_last_ring_is_not(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.allows = True
    await fleet.create(policy(2, consent="all"))
    await rounds(fleet, 20)
    ages = {t.restarts[0].issued_ms: t for t in restarted(fleet)}
    assert ages
    assert len(restarted(fleet)) == 8  # two treated, six controls of the first ring
    for t in restarted(fleet):
        order = t.restarts[0]
        assert order.expires_ms - order.issued_ms == 6 * 3600 * 1000


@pytest.mark.parametrize(
    ("consent", "allows", "tags"), [("tagged", True, ()), ("all", True, ("restart-no",)), ("all", False, ())]
)
async def test_who_does_not_consent_is_never_restarted_and_the_report_says_what_is_not_seen(
    fleet: SmallFleet, consent: str, allows: bool, tags: tuple[str, ...]
) -> None:
    for t in fleet.twins:
        t.allows, t.identity = allows, replace(t.identity, tags=tags)
    rollout = await fleet.create(policy(2, consent=consent))
    await rounds(fleet, 4)
    state, text = gate(await view(fleet, rollout))
    assert state is State.OK
    assert text == "ring ring 2: nobody consents to a restart: a fault that shows at a restart is not seen here"
    await rounds(fleet, 20)
    assert restarted(fleet) == []
    assert (await view(fleet, rollout)).state == "completed"


async def test_a_policy_may_hold_where_nobody_consents(fleet: SmallFleet) -> None:
    rollout = await fleet.create(policy(2, without="hold"))
    await rounds(fleet, 24)
    assert gate(await view(fleet, rollout))[0] is State.HOLD
    assert len(fleet.updated()) == 2


async def test_a_canary_that_does_not_come_back_keeps_the_ring_shut(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.allows = True
    rollout = await fleet.create(policy(2, consent="all"))
    await rounds(fleet, 2)
    for t in fleet.twins:
        t.dies_at_restart = bool(t.applied)
    await rounds(fleet, 40)
    shown = await view(fleet, rollout)
    assert shown.state == "holding", shown.why
    assert len(fleet.updated()) == 2


async def test_an_endpoint_that_refuses_is_told_of_and_not_waited_for(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.allows, t.refuses = True, "limit: this machine allows 1 restarts by order a day, and had them"
    rollout = await fleet.create(policy(2, consent="all"))
    await rounds(fleet, int(SETTLE_S / ROUND_S) + 2)
    assert (await view(fleet, rollout)).state in ("rolling", "completed")
    assert restarted(fleet) == []
    await rounds(fleet, 6)
    assert len(fleet.updated()) == 8


@pytest.mark.parametrize("stop", ["brake", "pause"])
async def test_nobody_is_restarted_for_a_rollout_that_was_stopped(fleet: SmallFleet, stop: str) -> None:
    for t in fleet.twins:
        t.allows = True
    rollout = await fleet.create(policy(2, consent="all"))
    await rounds(fleet, 4)
    if stop == "brake":
        await fleet.service.brake(OWNER, rollout)
    else:
        await fleet.service.pause(OWNER, rollout, "enough")
    await rounds(fleet, 20)
    assert restarted(fleet) == []


async def test_the_order_is_the_same_bytes_each_time_and_can_be_no_offer(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.allows, t.refuses = True, ""
    await fleet.create(policy(2, consent="all"))
    await rounds(fleet, int(SETTLE_S / ROUND_S) - 1)
    fleet.clock.advance(60)
    await fleet.hear()
    await fleet.service.reconcile()
    canary = next(t for t in fleet.twins if t.applied)
    asked = fleet.check_in(canary, ())
    first = await fleet.restarting.restart_for(canary.identity, asked)
    assert first is not None
    assert first == await fleet.restarting.restart_for(canary.identity, asked)
    key, signature = bytes.fromhex(fleet.cell.public_hex), bytes.fromhex(first.signature)
    assert ed25519.verify(key, RESTART_CONTEXT + first.payload.encode(), signature)
    assert not ed25519.verify(key, b"brakeline-order-v1\n" + first.payload.encode(), signature)
    old_agent = replace(asked, restart=None)
    assert await fleet.restarting.restart_for(canary.identity, old_agent) is None


def test_the_words_of_consent_can_be_tags() -> None:
    assert checked_tags((CONSENTS, NEVER)) == tuple(sorted((CONSENTS, NEVER)))


async def test_a_frozen_organisation_restarts_nobody(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.allows = True
    await fleet.create(policy(2, consent="all"))
    await rounds(fleet, 4)
    await fleet.freezing.freeze(OWNER, "a bad day")
    await rounds(fleet, 20)
    assert restarted(fleet) == []


async def test_a_policy_with_words_that_mean_nothing_is_refused(fleet: SmallFleet) -> None:
    with pytest.raises(Invalid, match="tagged or all"):
        await fleet.create(policy(2, consent="everybody"))
