"""Organisations of one installation that consent judge the same change together: real services, one real database."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support_rollout import CHANGE, OWNER, SmallFleet, quick_policy

from brakeline.cells.decide import Doubt
from brakeline.cells.model import Signed
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden, Invalid, NotFound
from brakeline.fleet.cell import CellIdentity
from brakeline.platform.database import Database
from brakeline.protocol.codec import decode, encode
from brakeline.rollout import evalue
from brakeline.rollout.evidence import SILENT, Counts
from brakeline.rollout.model import Change, Pin, Policy
from brakeline.rollout.pool_sheet import CONTEXT, Sheet, SheetRow, read
from brakeline.rollout.pooling import size_of, subject_of
from brakeline.rollout.pools import Pools
from brakeline.rollout.store import pools as store
from brakeline.rollout.store.pools import Told
from brakeline.tenancy.model import READ, Principal
from brakeline.tenancy.two_people import Act, Request

POLICY = quick_policy(2, 4)
ROW = (SILENT, 0, "all")
BAD = evalue.add([evalue.bets(Counts(5, 45, 5, 0))] * 3)  # three fleets' worth of canaries that fell silent
MILD = evalue.bets(Counts(5, 45, 1, 0))


class World(SmallFleet):
    """One organisation with a fleet, and others that only tell."""

    def __init__(self, db: Database, clock: ManualClock, directory: Path) -> None:
        super().__init__(db, clock, directory)
        self.pools = Pools(self.service, self.tenancy.approvals)

    async def other_tells(self, tenant_id: str, bets: tuple[float, ...], *, change: Change = CHANGE,
                          policy: Policy = POLICY, consents: bool = True, ring: int = 0) -> None:  # fmt: skip
        now_ms = self.clock.now_ms()
        async with self.db.tenant(tenant_id) as conn:
            if consents:
                await store.give(conn, tenant_id, "Otto", now_ms)
            await store.tell(conn, subject_of(change, policy), f"ro_{tenant_id}", [Told(ROW, ring, bets)], now_ms)

    async def lines(self, rollout_id: str) -> list[str]:
        return [x.text for x in await self.service.explain(OWNER, rollout_id)]

    async def told(self) -> list[dict[str, object]]:
        """Everything that the pool keeps, as its owner sees it."""
        async with self.db.tenant("te_reader") as conn:
            await store.give(conn, "te_reader", "R", 0)
            said, _ = await store.hear(conn, subject_of(CHANGE, POLICY))
        return [{"row": x.row, "ring": x.ring, "bets": x.bets} for x in said]


@pytest.fixture
async def world(database: Database, clock: ManualClock, tmp_path: Path) -> World:
    found = World(database, clock, tmp_path)
    await found.enrol(12)
    return found


async def state(world: World, rollout_id: str) -> str:
    return (await world.service.show(OWNER, rollout_id)).state


async def test_evidence_of_others_halts_what_one_s_own_would_not_and_the_report_says_whose_it_is(world: World) -> None:
    assert await world.pools.consent(OWNER) is None  # the first week, few endpoints
    rollout_id = await world.create(POLICY)
    await world.rounds(3)
    assert await state(world, rollout_id) == "rolling"
    assert "shares its evidence; no other organisation has told any of this change yet" in await world.lines(rollout_id)
    await world.other_tells("te_2", BAD)
    await world.other_tells("te_3", MILD)
    await world.round()
    assert await state(world, rollout_id) == "halted"
    first = (await world.lines(rollout_id))[0]
    assert first.startswith("halted: evidence of 2 other organisations and this one together: silent (all at 40 s)")
    await world.rounds(2)
    assert (await world.lines(rollout_id))[0] == first


async def test_without_consent_nothing_is_told_and_nothing_heard(world: World) -> None:
    rollout_id = await world.create(POLICY)
    await world.other_tells("te_2", BAD)
    await world.rounds(30)
    assert await state(world, rollout_id) != "halted"
    assert not any("organisation" in x for x in await world.lines(rollout_id))
    assert [x["bets"] for x in await world.told()] == [pytest.approx(BAD)]


async def test_who_does_not_consent_cannot_tell(world: World) -> None:
    await world.other_tells("te_2", BAD, consents=False)
    assert await world.told() == []


@pytest.mark.parametrize(
    "other", [{"change": Change((Pin("libssl3", "3.0.18-1"),))}, {"policy": replace(POLICY, checkpoints_s=(41, 60))}]
)
async def test_another_change_or_other_checkpoints_are_another_pool(world: World, other: dict[str, object]) -> None:
    await world.pools.consent(OWNER)
    rollout_id = await world.create(POLICY)
    await world.other_tells("te_2", BAD, **other)  # type: ignore[arg-type]
    await world.rounds(3)
    assert await state(world, rollout_id) == "rolling"


async def test_what_is_told_are_sums_and_nothing_of_an_endpoint(world: World) -> None:
    await world.pools.consent(OWNER)
    await world.create(POLICY)
    for t in world.twins[:3]:
        t.alive = False
    await world.rounds(30)
    told = await world.told()
    assert told
    assert all(len(x["bets"]) in (6, 36, 42) for x in told)  # type: ignore[arg-type]
    assert {x["row"][2] for x in told} <= {"all", "class:stationary", "class:server"}  # type: ignore[index]
    text = json.dumps(told)
    for t in world.twins:
        assert t.identity.endpoint_id not in text
        assert t.hostname not in text
    for word in ("te_1", "ro_", "libssl3", "os:debian", "Olga"):
        assert word not in text


async def test_a_resume_refuses_the_pool_and_the_rollout_neither_hears_nor_tells_from_then_on(world: World) -> None:
    await world.pools.consent(OWNER)
    rollout_id = await world.create(POLICY)
    await world.rounds(2)
    await world.other_tells("te_2", BAD)
    await world.round()
    assert await state(world, rollout_id) == "halted"
    assert await world.service.resume(OWNER, rollout_id, "it is their fleet, not the update") is None  # the first week
    await world.rounds(30)
    assert await state(world, rollout_id) != "halted"
    assert "judged by its own evidence alone: it was resumed after a halt" in await world.lines(rollout_id)
    assert [x["bets"] for x in await world.told()] == [pytest.approx(BAD)]
    assert (await world.pools.view(OWNER)).rollouts[0].alone == "it was resumed after a halt"


async def test_withdrawing_takes_one_person_and_ends_the_listening_not_what_was_halted(world: World) -> None:
    await world.pools.consent(OWNER)
    rollout_id = await world.create(POLICY)
    await world.pools.withdraw(OWNER)
    await world.other_tells("te_2", BAD)
    await world.rounds(3)
    assert await state(world, rollout_id) == "rolling"
    assert (await world.pools.view(OWNER)).given_ms == 0


async def test_after_the_first_week_consent_takes_a_second_person(world: World) -> None:
    async with world.db.tenant(OWNER.tenant_id) as conn:
        await conn.execute("SELECT brakeline.tenant_create($1, 'default', $2)", OWNER.tenant_id,
                           datetime.fromtimestamp(world.clock.now_ms() / 1000, UTC))  # fmt: skip
    world.clock.advance(8 * 86_400)
    asked = await world.pools.consent(OWNER)
    assert isinstance(asked, Request)
    assert asked.act is Act.POOL
    assert "What was told stays told." in asked.says[0]
    assert (await world.pools.view(OWNER)).given_ms == 0


async def test_who_may_only_look_changes_nothing(world: World) -> None:
    viewer = Principal(OWNER.tenant_id, "pe_9", "person", "Vera", READ)
    assert (await world.pools.view(viewer)).rollouts == ()
    with pytest.raises(Forbidden):
        await world.pools.consent(viewer)
    with pytest.raises(Forbidden):
        await world.pools.withdraw(viewer)


async def test_what_nobody_could_have_told_is_not_counted(world: World) -> None:
    await world.pools.consent(OWNER)
    rollout_id = await world.create(POLICY)
    await world.other_tells("te_2", (1e9,) * 6)
    await world.other_tells("te_3", (50.0,) * 5)
    await world.rounds(3)
    assert await state(world, rollout_id) == "rolling"


async def test_the_page_says_with_how_many_each_is_compared(world: World) -> None:
    await world.pools.consent(OWNER)
    rollout_id = await world.create(POLICY)
    await world.other_tells("te_2", MILD)
    await world.round()
    view = await world.pools.view(OWNER)
    assert [(r.id, r.others, r.alone) for r in view.rollouts] == [(rollout_id, 1, "")]


async def test_what_was_told_is_forgotten_after_a_month(world: World) -> None:
    await world.other_tells("te_2", MILD)
    world.clock.advance(31 * 86_400)
    await world.other_tells("te_3", BAD)
    assert [x["bets"] for x in await world.told()] == [pytest.approx(BAD)]


async def test_the_application_reaches_nobody_s_figures_directly(world: World) -> None:
    async with world.db.tenant("te_2") as conn:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.fetch("SELECT * FROM brakeline.pool_bet")


# --- other installations ----------------------------------------------------------------------------------------------

ELSEWHERE = CellIdentity(Ed25519PrivateKey.from_private_bytes(b"e" * 32))


def sheet_of(made_ms: int, *rows: SheetRow, version: str = "0.1.0") -> Signed:
    payload = encode(Sheet(made_ms, version, rows))
    return Signed(payload.decode(), ELSEWHERE.sign(CONTEXT + payload).hex())


def bad_row(ring: int = 0) -> SheetRow:
    return SheetRow(subject_of(CHANGE, POLICY), *ROW, ring, BAD)


async def test_a_partner_s_sheet_halts_and_says_so_until_it_is_parted_from(world: World) -> None:
    await world.pools.consent(OWNER)
    assert await world.pools.add_partner(OWNER, "acme", ELSEWHERE.public_hex) is None
    rollout_id = await world.create(POLICY)
    await world.rounds(2)
    await world.pools.take_in(OWNER, "acme", sheet_of(world.clock.now_ms(), bad_row()))
    await world.round()
    assert (await world.lines(rollout_id))[0].startswith("halted: evidence of 1 other organisation and this one")
    await world.pools.remove_partner(OWNER, "acme")
    assert (await world.pools.view(OWNER)).partners == ()
    other = await world.create(POLICY, replace(CHANGE, title="again"))
    await world.rounds(2)
    assert not any("evidence of 1 other" in x for x in await world.lines(other))


async def test_what_one_installation_exports_another_takes_in_and_no_endpoint_is_in_it(world: World) -> None:
    await world.pools.consent(OWNER)
    await world.create(POLICY)
    for t in world.twins[:3]:
        t.alive = False
    await world.rounds(30)
    signed, left_out = await world.pools.sheet(OWNER)
    assert left_out == ("patches",), "a signal that came later is for whoever is known to know it"
    sheet = read(signed, world.service.cell.public_hex, 0, world.clock.now_ms()).sheet
    assert {r.subject for r in sheet.rows} == {subject_of(CHANGE, POLICY)}
    assert any(any(r.bets) for r in sheet.rows)
    for word in ("te_1", "ro_", "libssl3", "os:debian", "Olga", *(t.hostname for t in world.twins),
                 *(t.identity.endpoint_id for t in world.twins)):  # fmt: skip
        assert word not in signed.payload


async def test_a_partner_is_sent_the_words_that_its_version_knows_and_what_is_left_out_is_told(world: World) -> None:
    await world.pools.consent(OWNER)
    await world.pools.add_partner(OWNER, "acme", ELSEWHERE.public_hex)
    rollout_id = await world.create(POLICY)
    told = [Told((signal, 0, "all"), 0, (0.5,) * size_of(signal)) for signal in ("silent", "errors")]
    async with world.db.tenant(OWNER.tenant_id) as conn:
        await store.tell(conn, subject_of(CHANGE, POLICY), rollout_id, told, world.clock.now_ms())

    async def sent(partner: str) -> tuple[set[str], tuple[str, ...]]:
        signed, left_out = await world.pools.sheet(OWNER, partner)
        return {r.signal for r in decode(Sheet, signed.payload.encode()).rows}, left_out

    assert await sent("") == ({"silent"}, ("errors",)), "for nobody by name: what every version knows"
    assert await sent("acme") == ({"silent"}, ("errors",)), "nothing was heard of its version yet"
    await world.pools.take_in(OWNER, "acme", sheet_of(world.clock.now_ms(), version="0.1.0/3"))
    assert await sent("acme") == ({"silent", "errors"}, ())
    with pytest.raises(NotFound):
        await sent("nobody")


async def test_without_consent_there_is_no_sheet_and_a_partner_s_is_not_heard(world: World) -> None:
    with pytest.raises(Conflict, match="shares nothing"):
        await world.pools.sheet(OWNER)
    await world.pools.add_partner(OWNER, "acme", ELSEWHERE.public_hex)
    await world.pools.take_in(OWNER, "acme", sheet_of(world.clock.now_ms(), bad_row()))
    rollout_id = await world.create(POLICY)
    await world.rounds(3)
    assert await state(world, rollout_id) == "rolling"


async def test_a_sheet_that_is_old_repeated_or_of_nobody_changes_nothing(world: World) -> None:
    await world.pools.add_partner(OWNER, "acme", ELSEWHERE.public_hex)
    now_ms = world.clock.now_ms()
    await world.pools.take_in(OWNER, "acme", sheet_of(now_ms))
    wrong = {
        "no newer": sheet_of(now_ms, bad_row()),
        "from the future": sheet_of(now_ms + 3_600_000),
        "says one thing twice": sheet_of(now_ms + 1, bad_row(), bad_row()),
        "no evidence of ours": sheet_of(now_ms + 1, replace(bad_row(), group="os:debian-12")),
        "not signed by the key": replace(sheet_of(now_ms + 1), signature="00" * 64),
    }
    for says, signed in wrong.items():
        with pytest.raises(Doubt, match=says):
            await world.pools.take_in(OWNER, "acme", signed)
    with pytest.raises(NotFound):
        await world.pools.take_in(OWNER, "else", sheet_of(now_ms + 1))
    (partner,) = (await world.pools.view(OWNER)).partners
    assert partner.made_ms == now_ms


async def test_a_partner_needs_a_name_a_key_of_another_and_after_the_first_week_a_second_person(world: World) -> None:
    for name, key in (("Acme", ELSEWHERE.public_hex), ("acme", "no key"), ("acme", world.service.cell.public_hex)):
        with pytest.raises(Invalid):
            await world.pools.add_partner(OWNER, name, key)
    await world.pools.add_partner(OWNER, "acme", ELSEWHERE.public_hex)
    with pytest.raises(Conflict):
        await world.pools.add_partner(OWNER, "acme", ELSEWHERE.public_hex)
    world.clock.advance(8 * 86_400)
    asked = await world.pools.add_partner(OWNER, "other", ELSEWHERE.public_hex)
    assert isinstance(asked, Request)
    assert "It can only stop them." in asked.says[0]


async def test_another_organisation_has_its_own_partners(world: World) -> None:
    await world.pools.add_partner(OWNER, "acme", ELSEWHERE.public_hex)
    await world.pools.take_in(OWNER, "acme", sheet_of(world.clock.now_ms(), bad_row()))
    async with world.db.tenant("te_2") as conn:
        assert await store.partners(conn) == ()
        assert await store.hear_partners(conn, subject_of(CHANGE, POLICY), 0) == []
