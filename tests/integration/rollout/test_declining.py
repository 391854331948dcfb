"""An update that people decline, over real endpoints' twins on a real PostgreSQL: offered to nobody, by no path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_rollout import CHANGE, OWNER, PIN, SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from brakeline.platform.database import Connection, Database
from brakeline.rollout.declining import Declining
from brakeline.rollout.model import Change, Pin
from brakeline.rollout.pooled import Pooled
from brakeline.rollout.situation import Situation
from brakeline.tenancy.model import Principal

WHY = "breaks the till's printer"


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(8)
    return made


def changed(fleet: SmallFleet) -> int:
    return sum(t.version == PIN.version for t in fleet.twins)


async def decline(fleet: SmallFleet, who: Principal = OWNER, pin: Pin = PIN, why: str = WHY) -> None:
    await Declining(fleet.service).decline(who, pin.name, pin.version, why)


async def test_what_is_declined_is_offered_to_nobody_until_it_is_allowed(fleet: SmallFleet) -> None:
    await decline(fleet)
    (kept,) = await fleet.service.quarantined(OWNER)
    assert (kept.pin, kept.declined, kept.told) == (PIN, True, f"was declined by {OWNER.name}: {WHY}")
    rollout = await fleet.create(quick_policy(8))
    await fleet.rounds(8)
    view = await fleet.service.show(OWNER, rollout)
    assert (view.state, changed(fleet)) == ("holding", 0)
    assert "declined by people" in view.why
    await Declining(fleet.service).allow(OWNER, PIN.name, PIN.version, "the printer has a new driver")
    await fleet.rounds(60)
    assert ((await fleet.service.show(OWNER, rollout)).state, changed(fleet)) == ("completed", 8)
    assert await fleet.service.quarantined(OWNER) == ()


async def test_a_rollout_in_its_middle_holds_at_once(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(2))
    while not changed(fleet):
        await fleet.round()
    reached = changed(fleet)
    await decline(fleet)
    assert (await fleet.service.show(OWNER, rollout)).state == "holding"  # told before anybody's next check-in
    await fleet.rounds(40)
    assert changed(fleet) == reached < 8


async def test_an_offer_that_is_out_and_was_not_heard_is_not_said_again(fleet: SmallFleet) -> None:
    """The answer that brought it was lost on its way, and by the next check-in people have declined the version."""
    await fleet.create(quick_policy(8))
    twin = fleet.twins[0]

    async def orders() -> int:
        candidates = await fleet.service.candidates_for(twin.identity)
        got, _ = await fleet.service.on_check_in(twin.identity, fleet.check_in(twin, candidates), twin.boot_id)
        return len(got)

    for _ in range(20):
        if await orders():
            break
        fleet.clock.advance(5)
        await fleet.hear()
        await fleet.service.reconcile()
    assert await orders() == 1, "until it says that it has begun"
    await decline(fleet)
    assert await orders() == 0
    await Declining(fleet.service).allow(OWNER, PIN.name, PIN.version, "the printer has a new driver")
    assert await orders() == 1


class NoStep:
    """Of the executor: nothing can be judged, so that no step comes to its end."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def judged_by(self, _conn: Connection, situation: Situation, _now_ms: int) -> Pooled:
        self.asked.append(situation.row.rollout_id)
        raise Unavailable("the pool does not answer")


async def test_what_is_declined_is_told_as_such_whatever_becomes_of_the_rollouts_that_have_it(
    fleet: SmallFleet,
) -> None:
    """The act is written: the next round makes them hold, and until then nobody is offered it."""
    both = {await fleet.create(quick_policy(8)), await fleet.create(quick_policy(8))}
    await fleet.hear()
    failing = NoStep()
    fleet.service.executor.pools = failing
    await decline(fleet)
    assert set(failing.asked) == both, "one that fails keeps no other from its step"
    (kept,) = await fleet.service.quarantined(OWNER)
    assert kept.declined
    live = fleet.service.live.of(OWNER.tenant_id)
    assert live is not None
    assert all(x.kept_out(fleet.twins[0].identity.endpoint_id) for x in live), "known where offers are said again"
    fleet.service.executor.pools = None
    await fleet.rounds(6)
    assert changed(fleet) == 0
    assert {(await fleet.service.show(OWNER, x)).state for x in both} == {"holding"}


async def test_it_comes_along_with_nothing_else(fleet: SmallFleet) -> None:
    """Another update that would bring it as a dependency: the endpoint's own plan leaves it out."""
    await decline(fleet)
    wanted = await fleet.create(quick_policy(8), Change((Pin("openssl", "3.0.17-1~deb12u2"),)))
    candidates = await fleet.service.candidates_for(fleet.twins[0].identity)
    mine = next(c for c in candidates if c.rollout_id == wanted)
    assert [(u.name, u.version) for u in mine.without] == [(PIN.name, PIN.version)]


async def test_a_newer_version_is_another_update(fleet: SmallFleet) -> None:
    await decline(fleet, pin=Pin(PIN.name, "0.9"))
    rollout = await fleet.create(quick_policy(8))
    await fleet.rounds(60)
    assert ((await fleet.service.show(OWNER, rollout)).state, changed(fleet)) == ("completed", 8)


async def test_what_a_halt_has_quarantined_is_not_allowed_by_this(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(4))
    for t in fleet.twins:
        t.fate = "postinst"
    await fleet.rounds(8)
    assert (await fleet.service.show(OWNER, rollout)).state == "halted"
    with pytest.raises(Conflict, match=f"rollout {rollout} has quarantined"):
        await Declining(fleet.service).allow(OWNER, PIN.name, PIN.version, "it is fine")
    await decline(fleet)  # both stand, and one does not lift the other
    await Declining(fleet.service).allow(OWNER, PIN.name, PIN.version, "it is fine")
    assert [q.rollout_id for q in await fleet.service.quarantined(OWNER)] == [rollout]


async def test_twice_is_once_and_every_act_is_in_the_audit_log(fleet: SmallFleet, database: Database) -> None:
    await decline(fleet)
    await decline(fleet, why="again")
    assert [q.reason for q in await fleet.service.quarantined(OWNER)] == [f"declined by {OWNER.name}: {WHY}"]
    await Declining(fleet.service).allow(OWNER, PIN.name, PIN.version, "new driver")
    with pytest.raises(NotFound, match="nobody has declined"):
        await Declining(fleet.service).allow(OWNER, PIN.name, PIN.version, "new driver")
    async with database.tenant(OWNER.tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT action FROM brakeline.audit_entry WHERE action LIKE 'update.%' ORDER BY sequence"
        )
    assert [r["action"] for r in rows] == ["update.decline", "update.allow"]


async def test_who_may_not_and_what_makes_no_sense_is_refused(fleet: SmallFleet) -> None:
    looker = replace(OWNER, permissions=frozenset({"rollout.read"}))
    with pytest.raises(Forbidden):
        await decline(fleet, looker)
    with pytest.raises(Forbidden):
        await Declining(fleet.service).allow(looker, PIN.name, PIN.version, WHY)
    for name, version, why in (("", "1", WHY), ("a b", "1", WHY), ("a", "", WHY), ("a", "1\n", WHY), ("a", "1", " "),
                               ("a", "1", "x" * 501), ("x" * 201, "1", WHY)):  # fmt: skip
        with pytest.raises(Invalid):
            await Declining(fleet.service).decline(OWNER, name, version, why)
    assert await fleet.service.quarantined(OWNER) == ()


async def test_another_organisation_sees_nothing_of_it(fleet: SmallFleet) -> None:
    await decline(fleet)
    other = replace(OWNER, tenant_id="te_other")
    assert await fleet.service.quarantined(other) == ()
    with pytest.raises(NotFound):
        await Declining(fleet.service).allow(other, PIN.name, PIN.version, WHY)
    assert len(await fleet.service.quarantined(OWNER)) == 1
    assert CHANGE.updates == (PIN,)
