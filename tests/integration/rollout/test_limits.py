"""Budgets and freeze windows over real rollouts: shared by all of them, fair to both arms, told in the same words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from tests.support_releases import opened, release_bundle
from tests.support_rollout import CHANGE, OWNER, PIN, SmallFleet, Twin, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden, Invalid, NotFound
from brakeline.fleet.model import EndpointIdentity
from brakeline.platform.database import Connection, Database
from brakeline.protocol.messages import Ready, ReleaseRef, Settings
from brakeline.rollout.limit_views import BudgetView, WindowView
from brakeline.rollout.model import Arm, Change, Pin, Policy, State
from brakeline.rollout.presets import for_release
from brakeline.rollout.releasing import Releasing
from brakeline.rollout.service import RolloutService
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store import budgets, offers
from brakeline.rollout.store.rollouts import RolloutRow
from brakeline.tenancy.model import READ, Principal

TENANT = OWNER.tenant_id
REF = ReleaseRef("agent", "2.0.0", "agent/2.0.0/any/bundle.tar", "ab" * 32, 1000, 2)
RELEASE = Change((Pin("brakeline-agent", REF.release_id),), kind="release", title="agent 2.0.0", release=REF)
CURL = Change((Pin("curl", "8.0-1"),))
HOUR_S = 3600


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(12)
    return made


def at_once(endpoints: int = 12) -> Policy:
    """One ring of everybody: only the limits hold it up."""
    return quick_policy(endpoints)


async def over(fleet: SmallFleet, twins: Iterable[Twin], change: Change, policy: Policy) -> str:
    """A started rollout over some."""
    await fleet.hear()
    found = [t.identity.endpoint_id for t in twins]
    rollout = await fleet.service.create(OWNER, "t", change, policy, found)
    await fleet.service.start(OWNER, rollout)
    return rollout


async def made(fleet: SmallFleet, rollout: str) -> int:
    async with fleet.db.tenant(TENANT) as conn:
        return len(await offers.of_rollout(conn, rollout))


async def arms(fleet: SmallFleet, rollout: str) -> dict[str, Arm]:
    async with fleet.db.tenant(TENANT) as conn:
        return {s.subject.endpoint_id: s.subject.arm for s in await arms_store.subjects(conn, rollout)}


async def blocked(fleet: SmallFleet, rollout: str) -> dict[str, tuple[str, str]]:
    async with fleet.db.tenant(TENANT) as conn:
        found = await arms_store.targets(conn, rollout)
    return {t.endpoint_id: (t.blocked_code, t.blocked_reason) for t in found if t.blocked_code}


async def audited(fleet: SmallFleet, action: str) -> list[str]:
    async with fleet.db.tenant(TENANT) as conn:
        rows = await conn.fetch("SELECT * FROM brakeline.audit_entry WHERE action = $1 ORDER BY sequence", action)
    return [f"{r['object_id']}: {r['before']} -> {r['after']}" for r in rows]


# --- budgets ----------------------------------------------------------------------------------------------------------


async def test_two_rollouts_and_a_release_spend_from_one_budget(fleet: SmallFleet) -> None:
    limits = fleet.service.limits
    await limits.set_budget(OWNER, endpoints=4)
    await limits.add_window(OWNER, name="until all are here", weekly="daily 00:00/24:00")
    thirds = fleet.twins[:4], fleet.twins[4:8], fleet.twins[8:]
    rollouts = [
        await over(fleet, thirds[0], CHANGE, at_once(4)), await over(fleet, thirds[1], CURL, at_once(4)),
        await over(fleet, thirds[2], RELEASE, for_release(at_once(4))),
    ]  # fmt: skip
    await limits.remove_window(OWNER, "until all are here", reason="they are")
    await fleet.rounds(12)
    counts = [await made(fleet, r) for r in rollouts]
    assert sum(counts) == 4
    assert min(counts) >= 1, "none of them starves"
    for rollout in rollouts:
        (line,) = [x for x in await fleet.service.explain(OWNER, rollout) if x.gate == "budget"]
        assert (line.state, line.text[:53]) == (State.WAIT, "budget: 4 of 4 endpoints per hour are spent; next in ")
        assert (await fleet.service.show(OWNER, rollout)).why == line.text
        assert {f.severity for f in await fleet.service.lint(OWNER, rollout)} == {"note"}
    for _ in range(3):  # three hours later all twelve had their turn
        fleet.clock.advance(HOUR_S + 300)
        await fleet.rounds(12)
    assert sum([await made(fleet, r) for r in rollouts]) == 12


async def test_who_is_refused_is_in_no_arm_and_told_nothing_and_its_line_has_the_report_s_words(
    fleet: SmallFleet,
) -> None:
    await fleet.service.limits.set_budget(OWNER, endpoints=2)
    rollout = await over(fleet, fleet.twins, CHANGE, at_once())
    await fleet.rounds(8)
    drawn = await arms(fleet, rollout)
    assert list(drawn.values()).count(Arm.TREATED) == 2
    waiting = await blocked(fleet, rollout)
    assert len(waiting) == 10
    assert not set(waiting) & set(drawn), "refused by the budget = deferred, whatever its draw"
    assert {code for code, _ in waiting.values()} == {"budget"}
    (line,) = [x for x in await fleet.service.explain(OWNER, rollout) if x.gate == "budget"]
    words = "budget: 2 of 2 endpoints per hour are spent; next in "
    assert line.text.startswith(words)
    assert all(reason.startswith(words) for _, reason in waiting.values())
    assert sum(t.orders != [] for t in fleet.twins) == 2
    notes = {m.endpoint_id: m.note for m in (await fleet.service.show(OWNER, rollout)).members}
    assert {e: notes[e] for e in waiting} == {e: reason for e, (_, reason) in waiting.items()}


async def test_a_tick_that_is_not_covered_any_more_is_over_for_both_arms(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    """The first who asks then, whether drawn for treatment or as a control, ends it and is in no arm."""
    fleet = SmallFleet(database, clock, tmp_path)
    await fleet.enrol(12, regions=("eu",))
    rollout = await over(fleet, fleet.twins, CHANGE, quick_policy(3))
    await fleet.service.limits.set_budget(OWNER, endpoints=1)  # less than its open tick may still offer
    await fleet.round()
    assert await arms(fleet, rollout) == {}
    async with fleet.db.tenant(TENANT) as conn:
        (tick, *_) = await arms_store.ticks(conn, rollout)
    assert (tick.treated, tick.closed) == (0, True)
    await fleet.rounds(4)  # a smaller tick, of one place, with controls
    drawn = list((await arms(fleet, rollout)).values())
    assert drawn.count(Arm.TREATED) == 1
    assert drawn.count(Arm.CONTROL) >= 1


async def test_offers_again_are_spent_too_and_wait_as_others_do(fleet: SmallFleet) -> None:
    for t in fleet.twins:
        t.fate = "misses"
    await fleet.service.limits.set_budget(OWNER, endpoints=1)
    rollout = await over(fleet, fleet.twins, CHANGE, quick_policy(1))
    await fleet.rounds(4)
    (asked,) = [t for t in fleet.twins if t.orders]
    fleet.clock.advance(700)  # its offer expired
    await fleet.rounds(6)
    assert len(asked.orders) == 1
    assert (await blocked(fleet, rollout))[asked.identity.endpoint_id][0] == "budget"
    fleet.clock.advance(HOUR_S)
    await fleet.rounds(6)
    assert len(asked.orders) == 2


async def test_a_group_at_once_defers_its_members_alone(fleet: SmallFleet) -> None:
    async with fleet.db.tenant(TENANT) as conn:
        await conn.execute(
            "UPDATE brakeline.endpoint SET tags = '{db}' WHERE endpoint_id = ANY($1)",
            [t.identity.endpoint_id for t in fleet.twins[:6]],
        )
    for t in fleet.twins[:6]:
        t.fate = "idle"  # takes its offer and tells no end of it
    await fleet.service.limits.set_budget(OWNER, group="tag:db", per="at_once", percent=34)
    rollout = await over(fleet, fleet.twins, CHANGE, at_once())
    await fleet.rounds(8)
    drawn = await arms(fleet, rollout)
    members = {t.identity.endpoint_id for t in fleet.twins[:6]}
    assert sum(e in members for e in drawn) == 2
    assert sum(e not in members for e in drawn) == 6
    waiting = await blocked(fleet, rollout)
    reason = "budget: 2 of 2 endpoints of tag:db at once are in change; next when one of them is done"
    assert waiting == dict.fromkeys(members - set(drawn), ("group_budget", reason))
    lines = [x.text for x in await fleet.service.explain(OWNER, rollout) if x.gate == "budget"]
    assert "budget: 2 of 2 endpoints of tag:db at once are in change: 4 wait for it" in lines


async def test_killed_between_spending_and_the_commit_nothing_is_lost_and_nothing_left(fleet: SmallFleet) -> None:
    class Killed(RolloutService):
        async def _offer(
            self,
            conn: Connection,
            identity: EndpointIdentity,
            ready: Ready,
            row: RolloutRow,
            attempt: int,
            settings: Settings | None,
        ) -> None:
            await super()._offer(conn, identity, ready, row, attempt, settings)
            raise KeyboardInterrupt

    await fleet.service.limits.set_budget(OWNER, endpoints=3)
    rollout = await over(fleet, fleet.twins, CHANGE, at_once())
    s = fleet.service
    fleet.service = Killed(s.db, s.clock, s.ids, s.bus, s.fleet, s.cell, fleet.directory / "brake.journal")
    with pytest.raises(KeyboardInterrupt):
        await fleet.rounds(2)
    async with fleet.db.tenant(TENANT) as conn:
        assert (await budgets.of_the_fleet(conn, fleet.clock.now_ms())).used == 0
    assert await made(fleet, rollout) == 0
    assert Arm.TREATED not in (await arms(fleet, rollout)).values()
    fleet.new_service()
    await fleet.service.open()
    await fleet.rounds(6)
    assert await made(fleet, rollout) == 3


async def test_killed_after_the_commit_the_offer_is_spent_once_and_sent_again(fleet: SmallFleet) -> None:
    await fleet.service.limits.set_budget(OWNER, endpoints=1)
    await over(fleet, fleet.twins, CHANGE, at_once())
    for t in fleet.twins:
        candidates = await fleet.service.candidates_for(t.identity)
        orders, _ = await fleet.service.on_check_in(t.identity, fleet.check_in(t, candidates))  # the reply is lost
        if orders:
            break
    fleet.new_service()
    await fleet.service.open()
    again, _ = await fleet.service.on_check_in(t.identity, fleet.check_in(t, candidates))
    assert again == orders != ()
    (view, *_) = await fleet.service.limits.budgets(OWNER)
    assert [(s.used, s.cap) for s in view.scopes] == [(1, 1)]


async def test_what_people_set_is_bounded_reasoned_and_in_the_audit_log(fleet: SmallFleet) -> None:
    limits = fleet.service.limits
    (standard,) = await limits.budgets(OWNER)
    assert (standard.limit, standard.standard, standard.scopes[0].cap) == ("10 %, at least 50", True, 50)
    lowered = await limits.set_budget(OWNER, endpoints=5)
    assert isinstance(lowered, BudgetView)
    assert lowered.limit == "5"
    with pytest.raises(Invalid, match="say why"):
        await limits.set_budget(OWNER, endpoints=6)
    await limits.set_budget(OWNER, endpoints=6, reason="a bigger site")
    await limits.set_budget(OWNER, endpoints=6)  # as it is: no act
    with pytest.raises(Invalid, match="say why"):
        await limits.remove_budget(OWNER)
    await limits.remove_budget(OWNER, reason="as everybody")
    with pytest.raises(NotFound):
        await limits.remove_budget(OWNER, reason="again")
    assert (await audited(fleet, "budget.set"))[1] == (
        'fleet: {"limit":"5"} -> {"limit":"6","per":"hour","persons":1,"reason":"a bigger site","widens":true}'
    )
    assert len(await audited(fleet, "budget.set")) == 2
    assert await audited(fleet, "budget.remove") == [
        'fleet: {"limit":"6","per":"hour"} -> {"persons":1,"reason":"as everybody","widens":true}'
    ]


async def test_groups_that_nobody_is_in_and_people_who_may_not_are_refused(fleet: SmallFleet) -> None:
    limits = fleet.service.limits
    with pytest.raises(Invalid, match="did you mean region:eu"):
        await limits.set_budget(OWNER, group="region:eue", endpoints=1)
    with pytest.raises(Invalid, match="there are: none"):
        await limits.set_budget(OWNER, group="tag:site-*", endpoints=1)
    with pytest.raises(Invalid, match="hour or at_once"):
        await limits.set_budget(OWNER, per="day", endpoints=1)
    await limits.set_budget(OWNER, group="region:*", per="hour", percent=50)
    viewer = Principal(TENANT, "pe_2", "person", "Vera", READ)
    assert len(await limits.budgets(viewer)) == 2
    for act in (
        limits.set_budget(viewer, endpoints=1), limits.remove_budget(viewer, group="region:*"),
        limits.add_window(viewer, name="x", weekly="daily 00:00/24:00"), limits.remove_window(viewer, "x"),
    ):  # fmt: skip
        with pytest.raises(Forbidden):
            await act
    stranger = Principal("te_2", "pe_3", "person", "Sam", OWNER.permissions)
    assert [b.group for b in await limits.budgets(stranger)] == [""]


# --- freeze windows ---------------------------------------------------------------------------------------------------


async def test_in_a_freeze_window_nobody_gets_a_new_offer_and_everybody_is_told_until_when(fleet: SmallFleet) -> None:
    rollout = await over(fleet, fleet.twins, CHANGE, quick_policy(1, 3))
    await fleet.round()
    assert await made(fleet, rollout) == 1
    end_ms = fleet.clock.now_ms() + HOUR_S * 1000
    window = await fleet.service.limits.add_window(
        OWNER, name="year end", ends=f"{_iso(end_ms)}+00:00", zone="Europe/Berlin"
    )
    await fleet.rounds(40)
    assert await made(fleet, rollout) == 1
    view = await fleet.service.show(OWNER, rollout)
    assert (view.state, view.proven) == ("rolling", 1), "whoever has it is judged on"
    (line,) = [x for x in view.lines if x.gate == "freeze window"]
    assert line.state is State.WAIT
    assert line.text == view.why == window.text
    assert line.text.startswith("freeze window 'year end' until 2026-11-23 ")
    assert {reason for code, reason in (await blocked(fleet, rollout)).values()} == {line.text}
    fleet.clock.advance(HOUR_S)
    await fleet.rounds(60)
    assert (await fleet.service.show(OWNER, rollout)).state == "completed"
    assert len(await audited(fleet, "freeze_window.add")) == 1


def _iso(ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@pytest.mark.long
async def test_a_window_over_some_leaves_the_others_alone(fleet: SmallFleet) -> None:
    await fleet.service.limits.add_window(OWNER, name="us", weekly="daily 00:00/24:00", filter_text="region:us")
    rollout = await over(fleet, fleet.twins, CHANGE, at_once())
    await fleet.rounds(8)
    regions = {t.identity.region for t in fleet.twins if t.orders}
    assert regions == {"eu"}
    assert await made(fleet, rollout) == 6
    drawn = await arms(fleet, rollout)
    assert all(e not in drawn for e in await blocked(fleet, rollout)), "frozen = in no arm"
    lines = [x.text for x in await fleet.service.explain(OWNER, rollout) if x.gate == "freeze window"]
    assert lines == ["freeze window 'us' until somebody removes it: 6 of 12 endpoints are offered nothing"]
    await fleet.service.limits.remove_window(OWNER, "us", reason="over")
    await fleet.rounds(8)
    assert await made(fleet, rollout) == 12


async def test_halts_brakes_and_recalls_are_never_held_up_by_a_window(
    fleet: SmallFleet, clock: ManualClock, tmp_path: Path
) -> None:
    for t in fleet.twins:
        t.fate = "postinst"
    by_harm = await over(fleet, fleet.twins[:6], CHANGE, quick_policy(2))
    cell = await opened(fleet.db, clock, tmp_path / "releases")
    releasing = Releasing(fleet.service, cell)
    release = await cell.publish(OWNER, release_bundle("2.0.0", 20))
    ref = replace(RELEASE, release=release.ref, updates=(Pin("brakeline-agent", release.release_id),))
    by_hand = await over(fleet, fleet.twins[6:], ref, for_release(quick_policy(2)))
    await fleet.round()  # the first offers are out, results to come
    await fleet.service.limits.add_window(OWNER, name="all", weekly="daily 00:00/24:00")
    await fleet.rounds(3)
    assert (await fleet.service.show(OWNER, by_harm)).state == "halted"
    assert PIN in {q.pin for q in await fleet.service.quarantined(OWNER)}
    await fleet.service.brake(OWNER, by_hand)
    await releasing.settle()
    assert (await fleet.service.show(OWNER, by_hand)).state == "halted"
    assert cell.recalled() == {release.release_id}


async def test_two_people_may_let_one_rollout_pass_and_one_alone_may_not(fleet: SmallFleet) -> None:
    await fleet.service.limits.add_window(OWNER, name="all", weekly="daily 00:00/24:00")
    rollout = await over(fleet, fleet.twins[:6], CHANGE, at_once(6))
    other = await over(fleet, fleet.twins[6:], CURL, at_once(6))
    await fleet.rounds(4)
    pass_ = "INSERT INTO brakeline.freeze_pass VALUES ($1, $2, $3, $4, 'exploited', now())"
    with pytest.raises(asyncpg.CheckViolationError):
        async with fleet.db.tenant(TENANT) as conn:
            await conn.execute(pass_, TENANT, rollout, "pe_1", "pe_1")
    async with fleet.db.tenant(TENANT) as conn:
        await conn.execute(pass_, TENANT, rollout, "pe_1", "pe_2")
    await fleet.rounds(4)
    assert (await made(fleet, rollout), await made(fleet, other)) == (6, 0)


async def test_a_filter_that_cannot_be_read_any_more_offers_nothing_and_holds_up_no_halt(fleet: SmallFleet) -> None:
    rollout = await over(fleet, fleet.twins, CHANGE, quick_policy(1, 3))
    await fleet.round()
    async with fleet.db.tenant(TENANT) as conn:
        await conn.execute(
            """INSERT INTO brakeline.freeze_window
               VALUES ($1, 'fw_x', 'x', 'gone:key', 'UTC', 'epoch', NULL, '', now(), 'me')""",
            TENANT,
        )
    await fleet.rounds(30)
    assert await made(fleet, rollout) == 1
    assert any("limits cannot be read" in x.text for x in await fleet.service.explain(OWNER, rollout))
    await fleet.service.brake(OWNER, rollout)
    assert (await fleet.service.show(OWNER, rollout)).state == "halted"


async def test_bad_windows_are_refused_with_what_to_do(fleet: SmallFleet) -> None:
    limits = fleet.service.limits
    await limits.add_window(OWNER, name="x", weekly="sat,sun 00:00/24:00")
    with pytest.raises(Conflict, match="of that name already"):
        await limits.add_window(OWNER, name="x", weekly="sat,sun 00:00/24:00")
    for problem, asked in {
        "not both": {"weekly": "sat 00:00/24:00", "ends": "2027-01-01"},
        "when?": {},
        "ends before it begins": {"begins": "2026-12-20", "ends": "2026-12-19"},
        "is over already": {"begins": "2020-12-20", "ends": "2020-12-21"},
        "no time zone": {"weekly": "sat 00:00/24:00", "zone": "Mars/Olympus"},
        "is empty": {"weekly": "sat 10:00/10:00"},
        "no endpoint matches": {"weekly": "sat 00:00/24:00", "filter_text": "tag:nobody"},
        "changes by itself": {"weekly": "sat 00:00/24:00", "filter_text": "missing:security"},
        "unknown key": {"weekly": "sat 00:00/24:00", "filter_text": "tags:x"},
    }.items():
        with pytest.raises(Invalid, match=f"(?i){problem}"):
            await limits.add_window(OWNER, **{"name": "y", **asked})
    with pytest.raises(Invalid, match="say why"):
        await limits.remove_window(OWNER, "x")
    gone = await limits.remove_window(OWNER, "x", reason="moved")
    assert isinstance(gone, WindowView)
    assert gone.name == "x"
    with pytest.raises(NotFound):
        await limits.remove_window(OWNER, "x", reason="moved")
    assert await limits.freeze_windows(OWNER) == ()
    assert len(await audited(fleet, "freeze_window.remove")) == 1


async def test_windows_in_lists_say_when_and_whether_they_hold_now(fleet: SmallFleet) -> None:
    limits = fleet.service.limits
    await limits.add_window(
        OWNER, name="soon", begins="2026-12-20 18:00", ends="2027-01-04 08:00", zone="Europe/Berlin"
    )
    await limits.add_window(OWNER, name="now", weekly="daily 00:00/24:00")
    assert [(w.name, w.state, w.when) for w in await limits.freeze_windows(OWNER)] == [
        ("now", "frozen", "daily 00:00/24:00 UTC"),
        ("soon", "to come", "2026-12-20 18:00 to 2027-01-04 08:00 Europe/Berlin"),
    ]
    fleet.clock.advance(60 * 86_400)
    assert [w.state for w in await limits.freeze_windows(OWNER)] == ["frozen", "over"]
