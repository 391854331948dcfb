"""Settings led over two cells: real services and databases; twins run by what their own cell has signed for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.integration.remediation.test_settings_rollout import World as Fleet
from tests.integration.remediation.test_settings_rollout import _remediation
from tests.postgres_clusters import Cluster
from tests.support_cells import Cell, Wire
from tests.support_rollout import OWNER

from brakeline.core.clock import ManualClock
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.messages import Conffiles, LocalLimits, Mode, Settings
from brakeline.remediation.led import wished_of
from brakeline.remediation.words import parsed
from brakeline.rollout.conducting import LeadView
from brakeline.rollout.wished import Wished

SECRET = "sat,sun 03:07/04:11"  # hours of a policy of Dallas' own, which nobody else may hear
EACH = 4
OFTEN = Wished("often", refresh_interval_s=3600)


class Side(Fleet):
    """One cell whose endpoints run by settings."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell, _remediation(cell.db, cell.clock, IdMaker(cell.clock), cell))
        self.cell, self.local = cell, LocalLimits()
        cell.linked.settings, self.remediation.conducting = self.remediation, cell.conducting

    async def beat(self) -> None:
        for t in self.cell.twins:
            if t.alive:
                await self.exchange(t.identity.endpoint_id)
        await self.cell.fleet.flush()
        await self.cell.service.reconcile()
        await self.cell.linked.reconcile()

    async def wakes(self) -> None:
        """A while later: what the process remembers of policies is read anew."""
        self.remediation._remembered.clear()
        for e in list(self.runs):
            await self.exchange(e)

    async def policies(self) -> list[tuple[str, bool]]:
        return [(p.name, bool(p.led)) for p in await self.remediation.policies(OWNER)]


class Two:
    """Berlin conducts and takes part, Dallas is led."""

    def __init__(self, sides: list[Side], wire: Wire) -> None:
        self.sides, self.wire, self.clock = sides, wire, sides[0].cell.clock
        self.berlin, self.dallas = sides
        self.lead = ""

    async def beats(self, count: int, seconds: float = 10) -> None:
        for _ in range(count):
            self.clock.advance(seconds)
            for side in self.sides:
                await side.beat()
            await self.berlin.cell.conducting.reconcile()

    async def draft(self, wished: Wished = OFTEN) -> LeadView:
        made = await self.berlin.remediation.lead_settings(OWNER, wished, (), "rehearsal")
        self.lead = made.id
        await self.beats(2)
        return await self.view()

    async def begin(self, wished: Wished = OFTEN) -> None:
        await self.draft(wished)
        await self.berlin.cell.conducting.start(OWNER, self.lead)

    async def view(self) -> LeadView:
        return await self.berlin.cell.conducting.show(OWNER, self.lead)

    async def until(self, state: str, most: int = 120) -> LeadView:
        for _ in range(most):
            await self.beats(1)
            view = await self.view()
            if view.state == state:
                return view
        raise AssertionError(f"not {state}: {view.lines}")

    def having(self, word: str, value: object) -> list[int]:
        return [sum(getattr(s, word) == value for s in side.runs.values()) for side in self.sides]


@pytest.fixture
async def two(postgres: Cluster, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Two]:
    wire, sides = Wire(), []
    async with AsyncExitStack() as stack:
        for name, region in (("berlin", "eu"), ("dallas", "us")):
            made = await postgres.new_database()
            stack.push_async_callback(postgres.drop, made.name)
            db = await Database.open(made.dsn_app, made.dsn_feed, pool_max=4)
            stack.push_async_callback(db.close)
            cell = Cell(name, region, db, clock, tmp_path / name, wire)
            await cell.enrol(EACH, (region,))
            await cell.hear()
            sides.append(Side(cell))
        for side in sides:
            clock.advance(1)  # cells open in the order in which they were added
            await side.cell.enlist(sides[0].cell)
            await side.remediation.create_policy(OWNER, name="patch", filter_text="", mode="patch")
        found = Two(sides, wire)
        await found.beats(2)
        assert found.having("mode", Mode.PATCH) == [EACH, EACH]
        yield found


async def test_settings_go_through_both_cells_ring_by_ring_and_are_a_policy_of_each_in_the_end(two: Two) -> None:
    draft = await two.draft()
    assert [c.eligible for c in draft.cells] == [EACH, EACH]
    assert (draft.kind, draft.settings) == ("settings", ("seconds between looks for newer package lists: 3600",))
    await two.berlin.cell.conducting.start(OWNER, two.lead)
    await two.beats(6)
    assert two.having("refresh_interval_s", 3600) == [1, 0], "one canary, in the cell that opens first"
    assert await two.dallas.policies() == [("patch", False)], "no policy before it has completed"
    await two.until("completed")
    await two.beats(3)
    assert two.having("refresh_interval_s", 3600) == [EACH, EACH]
    for side in two.sides:
        await side.wakes()
        assert await side.policies() == [("patch", False), ("often", True)]
        standing = await side.remediation.settings_standing(OWNER)
        assert (standing.version, standing.waiting) == (1, 0)
    assert two.having("refresh_interval_s", 3600) == [EACH, EACH]


@pytest.mark.long
async def test_what_narrows_goes_by_rings_as_well_and_comes_back_at_once_when_its_policy_goes(two: Two) -> None:
    await two.begin(Wished("gentle", mode=Mode.ASSESS, nice=10))
    await two.beats(6)
    assert two.having("mode", Mode.ASSESS) == [1, 0]
    await two.until("completed")
    await two.beats(3)
    assert two.having("nice", 10) == [EACH, EACH]
    for side in two.sides:
        await side.wakes()
        (policy,) = [p for p in await side.remediation.policies(OWNER) if p.led]
        await side.remediation.delete_policy(OWNER, policy.id)
        await side.wakes()
    assert two.having("mode", Mode.PATCH) == [EACH, EACH]
    assert two.having("nice", 0) == [EACH, EACH]


@pytest.mark.long
async def test_a_halt_gives_every_endpoint_of_both_cells_what_it_had_and_leaves_no_policy(two: Two) -> None:
    await two.begin()
    for t in two.dallas.cell.twins:
        t.fate = "cannot_apply"
    view = await two.until("halted")
    assert "halted in cell dallas (evidence)" in view.why
    await two.beats(3)
    assert two.having("refresh_interval_s", 3600) == [0, 0]
    for side in two.sides:
        await side.wakes()
        assert await side.policies() == [("patch", False)]
    again = await two.draft()
    assert [c.text for c in again.cells if not c.ok] == [
        f"cell {name}: takes no part: the same settings were halted there; its people resume that rollout, or lead "
        "others" for name in ("berlin", "dallas")
    ]  # fmt: skip


@pytest.mark.long
async def test_without_a_grant_nothing_more_is_offered_and_it_heals_by_itself(two: Two) -> None:
    await two.begin()
    await two.beats(6)
    two.wire.cut.add("dallas")
    before = two.having("refresh_interval_s", 3600)
    await two.beats(60)
    view = await two.view()
    assert view.state != "completed"
    assert any("cell dallas: not heard for" in c.text for c in view.cells)
    assert two.having("refresh_interval_s", 3600)[1] == before[1] == 0
    two.wire.cut.clear()
    await two.until("completed")
    await two.beats(3)
    assert two.having("refresh_interval_s", 3600) == [EACH, EACH]


@pytest.mark.long
async def test_a_cell_s_own_policy_stays_the_narrower_and_no_word_of_it_leaves(two: Two) -> None:
    words = parsed(windows=(SECRET,), conffiles="hold")
    await two.dallas.remediation.create_policy(OWNER, name="own hours", filter_text="", mode="leave", words=words)
    await two.begin(wished_of("hours", "", "leave", parsed(windows=("daily 00:00/12:00",), conffiles="keep")))
    await two.until("completed")
    await two.beats(3)
    assert two.having("windows", ("daily 00:00/12:00",)) == [EACH, 0]
    assert two.having("conffiles", Conffiles.HOLD) == [0, EACH]
    said = b"\n".join(body for _, body in two.wire.passed).decode()
    for word in ("own hours", "03:07", 'hold\\"', "effective", "endpoint_id", "ep_0", "host-", "tx_", "ro_", "po_"):
        assert word not in said, word
    assert "daily 00:00/12:00" in said, "the change itself crosses, and nothing else"


@pytest.mark.long
async def test_a_cell_where_a_policy_of_its_own_has_the_name_takes_no_part_and_both_ends_say_why(two: Two) -> None:
    await two.dallas.remediation.create_policy(OWNER, name="often", filter_text="", mode="patch")
    await two.dallas.wakes()
    view = await two.draft()
    assert [c.text for c in view.cells if not c.ok] == [
        "cell dallas: takes no part: that name is a policy of its own there, or was led for other endpoints; lead it "
        "under another name"
    ]  # fmt: skip
    link = await two.dallas.cell.cells.link_of(OWNER.tenant_id)
    assert link is not None
    assert "policy 'often' is this cell's own" in link.trouble
    await two.berlin.cell.conducting.start(OWNER, two.lead)
    await two.beats(6)
    assert two.having("refresh_interval_s", 3600) == [0, 0], "a ring waits for whoever takes no part"
    (own,) = [p for p in await two.dallas.remediation.policies(OWNER) if p.name == "often"]
    await two.dallas.remediation.delete_policy(OWNER, own.id)
    await two.until("completed")


@pytest.mark.long
async def test_led_again_under_its_name_it_is_replaced_and_without_a_word_taken_away(two: Two) -> None:
    await two.begin()
    await two.until("completed")
    await two.beats(3)
    await two.begin(Wished("often", refresh_interval_s=1800))
    await two.until("completed")
    await two.beats(3)
    assert two.having("refresh_interval_s", 1800) == [EACH, EACH]
    for side in two.sides:
        await side.wakes()
        assert await side.policies() == [("patch", False), ("often", True)]
    await two.begin(Wished("often"))
    assert (await two.view()).settings == ("policy often is taken away",)
    await two.until("completed")
    await two.beats(3)
    for side in two.sides:
        await side.wakes()
        assert await side.policies() == [("patch", False)]
    assert two.having("refresh_interval_s", Settings().refresh_interval_s) == [EACH, EACH]


@pytest.mark.long
async def test_a_cell_that_concerns_nobody_has_the_policy_when_all_are_done(two: Two) -> None:
    await two.dallas.remediation.create_policy(OWNER, name="own often", filter_text="", mode="patch",
                                               refresh_interval_s=3600)  # fmt: skip
    await two.dallas.wakes()
    view = await two.draft()
    assert [c.eligible for c in view.cells] == [EACH, 0]
    await two.berlin.cell.conducting.start(OWNER, two.lead)
    await two.until("completed")
    await two.beats(3)
    assert ("often", True) in await two.dallas.policies()
    (policy,) = [p for p in await two.dallas.remediation.policies(OWNER) if p.led]
    await two.dallas.remediation.delete_policy(OWNER, policy.id)
    await two.beats(3)
    assert ("often", True) not in await two.dallas.policies(), "what people of the cell take away stays away"


@pytest.mark.long
async def test_a_cell_of_the_version_before_is_granted_nothing_of_it_and_is_named(two: Two) -> None:
    async with two.berlin.cell.db.tenant(OWNER.tenant_id) as conn:
        await conn.execute("UPDATE brakeline.cell_member SET leads = 0 WHERE cell = 'dallas'")
    two.wire.cut.add("dallas")  # as it is heard anew it says what it knows
    view = await two.draft()
    assert [c.text for c in view.cells if c.cell == "dallas"] == [
        "cell dallas: its version takes no settings from a conductor; update it, or drain it"
    ]
    two.wire.cut.clear()
    await two.beats(2)
    assert all(c.ok for c in (await two.view()).cells)


@pytest.mark.long
async def test_a_cell_that_is_concerned_after_the_last_ring_was_planned_is_left_alone_and_free_for_others(
    two: Two,
) -> None:
    own = await two.dallas.remediation.create_policy(OWNER, name="own often", filter_text="", mode="patch",
                                                     refresh_interval_s=3600)  # fmt: skip
    await two.dallas.wakes()
    await two.begin()
    for _ in range(120):
        await two.beats(1)
        view = await two.view()
        if view.ring == 2:
            break
    await two.dallas.remediation.delete_policy(OWNER, own.id)
    await two.dallas.wakes()
    await two.until("completed")
    await two.beats(3)
    assert two.having("refresh_interval_s", 3600) == [EACH, 0], "nobody had a ring there"
    assert await two.dallas.policies() == [("patch", False)]
    (made,) = await two.dallas.cell.service.list(OWNER)
    assert (made.state, made.why.partition(": ")[2]) == (
        "withdrawn", "it has completed without this cell: it had no ring here"
    )  # fmt: skip
    link = await two.dallas.cell.cells.link_of(OWNER.tenant_id)
    assert link is not None
    assert "it has completed without 4 endpoints of this cell" in link.trouble
    assert "lead it again for them" in next(c.text for c in (await two.view()).cells if c.cell == "dallas")
    await two.begin()
    await two.until("completed")
    await two.beats(3)
    assert two.having("refresh_interval_s", 3600) == [EACH, EACH]


@pytest.mark.long
async def test_a_cell_that_took_part_with_nobody_and_cannot_follow_any_more_says_so(two: Two) -> None:
    """It was asked when it had no endpoint that differs; by now it has some, and a reason against them."""
    own = await two.dallas.remediation.create_policy(OWNER, name="own often", filter_text="", mode="patch",
                                                     refresh_interval_s=3600)  # fmt: skip
    await two.dallas.wakes()
    view = await two.draft()
    assert {c.cell: c.eligible for c in view.cells} == {"berlin": EACH, "dallas": 0}
    await two.dallas.remediation.delete_policy(OWNER, own.id)
    await two.dallas.remediation.create_policy(OWNER, name="often", filter_text="", mode="patch")
    await two.dallas.wakes()
    await two.beats(3)
    (dallas,) = [c for c in (await two.view()).cells if c.cell == "dallas"]
    assert (dallas.ok, dallas.state) == (False, "refused"), dallas.text
    assert "that name is a policy of its own there" in dallas.text
