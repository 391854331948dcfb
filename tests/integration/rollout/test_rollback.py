"""A rollback over real endpoints' twins on a real PostgreSQL: who comes first, who is left out, what stays away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_rollout import CHANGE, OWNER, PIN, SmallFleet, quick_policy, transaction

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden, Invalid, NotFound
from brakeline.platform.database import Database
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import Action, ActionKind, Candidate, Ready, Transaction
from brakeline.rollout.declining import Declining
from brakeline.rollout.model import Change, Pin
from brakeline.rollout.undo import OLDER, UNTOLD
from brakeline.rollout.undoing import NotHalted, NoWayBack, Undoing
from brakeline.tenancy.faults import CountMoved
from brakeline.tenancy.model import PERMISSIONS, Principal

FORMER = "3.0.15-1"


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(8)
    return made


def undoing(fleet: SmallFleet) -> Undoing:
    return Undoing(fleet.service)


async def halted(fleet: SmallFleet, *bad: int, keep: tuple[int, ...] = (0, 1, 2, 3)) -> str:
    """Four endpoints take the update; by their draw the `bad` ones fail through it, and `keep` have a way back."""
    rollout = await fleet.create(quick_policy(4))
    drawn = draws(fleet)
    by_region = [
        sorted((t for t in fleet.twins if t.identity.region == r), key=lambda t: drawn[t.hostname])
        for r in ("eu", "us")
    ]
    for rank, t in enumerate((*by_region[0][:2], *by_region[1][:2])):
        t.fate = "postinst" if rank in bad else "good"
        t.keeps = rank in keep
    await fleet.rounds(4)
    if (await fleet.service.show(OWNER, rollout)).state != "halted":
        await fleet.service.brake(OWNER, rollout)
    for t in fleet.twins:
        t.fate = "good"
    await fleet.round()
    return rollout


def draws(fleet: SmallFleet) -> dict[str, int]:
    """Each endpoint's place in the draw of the newest rollout, by host name."""
    live = fleet.service.live.of(OWNER.tenant_id)
    assert live is not None
    return {t.hostname: t.u for t in live[-1].targets.values()}


def offered_back(fleet: SmallFleet) -> list[str]:
    """Host names of who got the way back, by who has an order with it."""
    return [t.hostname for t in fleet.twins if any('"undoes":"ro_' in o.payload for o in t.orders)]


async def test_the_harmed_come_first_then_the_exposed_and_the_version_is_back(fleet: SmallFleet) -> None:
    rollout = await halted(fleet, 1, 2)
    harmed = {t.hostname for t in fleet.twins if t.changed and t.version == FORMER}
    assert len(harmed) == 2
    exposed = {t.hostname for t in fleet.twins if t.changed}
    assert len(exposed) == 4
    log = [x.text for x in (await fleet.service.show(OWNER, rollout)).log if x.kind == "result"]
    assert all(text.endswith("way back: yes (1 package)") for text in log), log
    plan = await undoing(fleet).plan(OWNER, rollout, "rehearsal")
    assert {x.hostname for x in plan.first} == harmed
    assert all("maintainer_script_failed" in x.harm for x in plan.first)
    assert {x.hostname for x in plan.then} == exposed - harmed
    assert (plan.left_out, plan.updates) == ((), (f"{PIN.name} {PIN.version}",))
    assert plan.rings == (("canary", 1), ("proven harm", 2), ("early", 3), ("all", 4))
    back = await undoing(fleet).create(OWNER, rollout, pace="rehearsal", expect_count=4)
    assert await fleet.service.start(OWNER, back) is None
    seen = []
    for _ in range(120):
        await fleet.round()
        now = offered_back(fleet)
        seen += [name for name in now if name not in seen]
    assert set(seen[:2]) == harmed
    assert set(seen) == exposed
    view = await fleet.service.show(OWNER, back)
    assert view.state == "completed", view.lines
    assert (view.undoes, view.targets, view.exposed) == (rollout, 4, 4)
    assert all(t.version == FORMER and not t.changed for t in fleet.twins)
    left = await undoing(fleet).plan(OWNER, rollout)
    assert (left.takes_part, left.unchanged) == ((), 4), "what is back is not taken back again"
    assert [q.pin for q in await fleet.service.quarantined(OWNER)] == [PIN]


async def test_who_kept_no_way_back_is_named_and_left_alone(fleet: SmallFleet) -> None:
    rollout = await halted(fleet, 0, keep=(0, 2))
    without = {t.hostname for t in fleet.twins if t.changed and not t.former}
    able = {t.hostname for t in fleet.twins if t.former}
    plan = await undoing(fleet).plan(OWNER, rollout)
    assert {x.hostname for x in plan.left_out} == without
    assert all((x.code, x.reason) == ("gone", "libssl3 cannot be had any more") for x in plan.left_out)
    back = await undoing(fleet).create(OWNER, rollout, pace="rehearsal")
    await fleet.service.start(OWNER, back)
    await fleet.rounds(60)
    assert set(offered_back(fleet)) == able
    view = await fleet.service.show(OWNER, back)
    assert {x.hostname for x in view.left_out} == without
    line = next(x for x in view.lines if x.gate == "no way back")
    assert all(name in line.text for name in without)


async def test_nobody_with_a_way_back_is_an_error_in_words(fleet: SmallFleet) -> None:
    rollout = await halted(fleet, 0, keep=())
    with pytest.raises(NoWayBack, match="none of 4 endpoints has a way back: host-"):
        await undoing(fleet).create(OWNER, rollout)


async def test_silent_ones_and_older_agents_are_left_out_with_their_reason(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(4))
    await fleet.round()
    takers = [t for t in fleet.twins if t.applied]
    takers[0].unsent.clear()
    takers[0].alive = False
    takers[1].unsent[:] = [replace(r, way_back=None) for r in takers[1].unsent]
    await fleet.round()
    await fleet.service.brake(OWNER, rollout)
    plan = await undoing(fleet).plan(OWNER, rollout)
    reasons = {x.hostname: x.reason for x in plan.left_out}
    assert reasons[takers[0].hostname].startswith(UNTOLD)
    assert reasons[takers[1].hostname] == OLDER


async def test_only_what_is_halted_and_what_was_seen(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(4))
    await fleet.rounds(2)
    with pytest.raises(NotHalted):
        await undoing(fleet).plan(OWNER, rollout)
    await fleet.service.brake(OWNER, rollout)
    with pytest.raises(CountMoved):
        await undoing(fleet).create(OWNER, rollout, expect_count=3)
    with pytest.raises(NotFound):
        await undoing(fleet).plan(OWNER, "ro_nothing")
    other = Principal("te_2", "pe_2", "person", "Eve", PERMISSIONS)
    with pytest.raises(NotFound):
        await undoing(fleet).plan(other, rollout)
    reader = Principal(OWNER.tenant_id, "pe_3", "person", "Rita", frozenset({"rollout.read"}))
    with pytest.raises(Forbidden):
        await undoing(fleet).create(reader, rollout)
    back = await undoing(fleet).create(OWNER, rollout, expect_count=4)
    with pytest.raises(Conflict, match=back):
        await undoing(fleet).create(OWNER, rollout)
    with pytest.raises(Invalid, match="rollback itself"):
        await undoing(fleet).plan(OWNER, back)
    with pytest.raises(Conflict, match=f"rollback {back} takes it back"):
        await fleet.service.resume(OWNER, rollout, "false alarm")


async def test_a_rollback_that_harms_is_halted_like_anything_else(fleet: SmallFleet) -> None:
    rollout = await halted(fleet, 0, 1)
    for t in fleet.twins:
        t.fate = "back_fails"
    back = await undoing(fleet).create(OWNER, rollout, pace="rehearsal")
    await fleet.service.start(OWNER, back)
    await fleet.rounds(20)
    view = await fleet.service.show(OWNER, back)
    assert view.state in ("holding", "halted"), view.why
    assert len(offered_back(fleet)) < 4
    assert [q.pin for q in await fleet.service.quarantined(OWNER)] == [PIN], "the former version is no bad update"


async def test_the_brake_stops_a_rollback_and_a_freeze_keeps_it_from_starting(fleet: SmallFleet) -> None:
    rollout = await halted(fleet, 0)
    back = await undoing(fleet).create(OWNER, rollout, pace="rehearsal")
    await fleet.freezing.freeze(OWNER, "look first")
    with pytest.raises(Conflict):
        await fleet.service.start(OWNER, back)
    assert offered_back(fleet) == []


# --- quarantine: never again by another path -----------------------------------------------------------------------


@pytest.mark.long
async def test_the_quarantined_version_comes_back_by_no_other_path(fleet: SmallFleet) -> None:
    rollout = await halted(fleet, 1, 2)
    back = await undoing(fleet).create(OWNER, rollout, pace="rehearsal")
    await fleet.service.start(OWNER, back)
    await fleet.rounds(120)
    assert all(t.version == FORMER for t in fleet.twins)
    later = await fleet.create(quick_policy(2))  # the same pin in a later deployment: held before its first offer
    await fleet.rounds(6)
    assert (await fleet.service.show(OWNER, later)).state == "holding"
    other = Change((Pin("openssl", "3.0.17-1~deb12u2"),))  # another update that would bring it as a dependency
    wanted = await fleet.create(quick_policy(8), other)
    twin = fleet.twins[0]
    candidates = await fleet.service.candidates_for(twin.identity)
    mine = next(c for c in candidates if c.rollout_id == wanted)
    assert [(u.name, u.version) for u in mine.without] == [(PIN.name, PIN.version)], (
        "the agent's own plan leaves it out"
    )
    check_in = replace(fleet.check_in(twin, ()), ready=(Ready(wanted, mine.generation, _with(PIN, mine)),))
    orders, _ = await fleet.service.on_check_in(twin.identity, check_in)
    assert orders == (), "and an agent that plans it all the same is offered nothing"
    view = await fleet.service.show(OWNER, wanted)
    note = next(m.note for m in view.members if m.hostname == twin.hostname)
    assert f"{PIN.name} {PIN.version}, which is quarantined" in note
    assert all(t.version == FORMER for t in fleet.twins)


def _with(pin: Pin, candidate: Candidate) -> Transaction:
    extra = Action(ActionKind.UPGRADE, pin.name, "amd64", FORMER, pin.version)
    wanted = tuple(Action(ActionKind.UPGRADE, u.name, "amd64", "1", u.version) for u in candidate.updates)
    actions = (extra, *wanted)
    return Transaction(actions, transaction_digest(actions))


async def test_a_way_back_to_what_is_declined_is_planned_for_nobody(fleet: SmallFleet) -> None:
    rollout = await halted(fleet, 0)
    declining = Declining(fleet.service)
    await declining.decline(OWNER, PIN.name, FORMER, "it leaks")
    plan = await undoing(fleet).plan(OWNER, rollout)
    assert (plan.takes_part, len(plan.left_out)) == ((), 4)
    why = f"its way back leads to {PIN.name} {FORMER}, which was declined by {OWNER.name}: it leaks"
    assert {(x.code, x.reason) for x in plan.left_out} == {("quarantined", why)}
    with pytest.raises(NoWayBack, match="it leaks"):
        await undoing(fleet).create(OWNER, rollout)
    await declining.decline(OWNER, PIN.name, "1.0", "another version, to which nobody is led")
    await declining.allow(OWNER, PIN.name, FORMER, "it does not")
    assert len((await undoing(fleet).plan(OWNER, rollout)).takes_part) == 4


async def test_a_way_back_that_is_out_is_not_said_again_once_where_it_leads_is_declined(fleet: SmallFleet) -> None:
    """The answer that brought it was lost on its way."""
    rollout = await halted(fleet, 0)
    back = await undoing(fleet).create(OWNER, rollout, pace="rehearsal")
    await fleet.service.start(OWNER, back)
    exposed = [t for t in fleet.twins if t.changed]

    async def orders() -> int:
        told = [
            await fleet.service.on_check_in(
                t.identity, fleet.check_in(t, await fleet.service.candidates_for(t.identity)), t.boot_id
            )
            for t in exposed
        ]
        return sum(len(got) for got, _ in told)

    for _ in range(20):
        if await orders():
            break
        fleet.clock.advance(5)
        await fleet.hear()
        await fleet.service.reconcile()
    assert await orders() == 1, "until it says that it has begun"
    await Declining(fleet.service).decline(OWNER, PIN.name, FORMER, "it leaks")
    assert await orders() == 0
    await Declining(fleet.service).allow(OWNER, PIN.name, FORMER, "it does not")
    assert await orders() == 1


async def test_a_way_back_with_more_in_it_than_was_changed_is_not_offered(fleet: SmallFleet) -> None:
    rollout = await halted(fleet, 0)
    back = await undoing(fleet).create(OWNER, rollout, pace="rehearsal")
    await fleet.service.start(OWNER, back)
    await fleet.hear()
    await fleet.service.reconcile()
    twin = next(t for t in fleet.twins if t.changed and t.version == FORMER)
    (mine,) = await fleet.service.candidates_for(twin.identity)
    assert (mine.undoes, mine.updates) == (rollout, ()), "an agent that knows nothing of ways back has nothing to do"
    honest = transaction(twin, mine)
    actions = (*honest.actions, Action(ActionKind.REMOVE, "openssh-server", "amd64", "1", ""))
    forged = Transaction(actions, transaction_digest(actions))
    check_in = replace(fleet.check_in(twin, ()), ready=(Ready(back, mine.generation, forged),))
    assert (await fleet.service.on_check_in(twin.identity, check_in))[0] == ()
    view = await fleet.service.show(OWNER, back)
    note = next(m.note for m in view.members if m.hostname == twin.hostname)
    assert "more than the way back" in note
    assert "openssh-server" in note


async def test_changes_of_old_rollouts_are_read_as_they_were_stored(fleet: SmallFleet) -> None:
    """A rollout that was stored before there were rollbacks has neither of the new fields."""
    rollout = await fleet.create(quick_policy(4), CHANGE)
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        await conn.execute(
            "UPDATE brakeline.rollout SET change = change - 'undoes' - 'harmed' WHERE rollout_id = $1", rollout
        )
    view = await fleet.service.show(OWNER, rollout)
    assert (view.undoes, view.left_out) == ("", ())
