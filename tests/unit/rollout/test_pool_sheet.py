"""A sheet from another installation: believed whole or not at all; and what a pool's halt says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from brakeline.cells.decide import Doubt
from brakeline.cells.model import CellPart, CellPhase, CellReport, Signed
from brakeline.fleet.cell import CellIdentity
from brakeline.protocol.codec import encode
from brakeline.rollout import planner
from brakeline.rollout.calling import ageless
from brakeline.rollout.model import Change, Observed, Phase, Pin, Policy, Report, Ring, State, Wish
from brakeline.rollout.pool_sheet import AGE_MAX_MS, CONTEXT, ROWS_MAX, Sheet, SheetRow, read
from brakeline.rollout.pooled import GATE, Pooled, explained
from brakeline.rollout.summary import summarise

NOW = 1_795_400_000_000
KEY = CellIdentity(Ed25519PrivateKey.from_private_bytes(b"e" * 32))
ROW = SheetRow("ab" * 32, "silent", 0, "all", 0, (0.5,) * 6)
POLICY = Policy((Ring("one", 60, count=1), Ring("all", 60, share=1.0)))
FIRST = planner.first_blueprint("ro_1", NOW)
RUNNING = replace(FIRST, phase=Phase.ROLLING, ring=0)
OWN = summarise(
    POLICY, FIRST, Observed(Change((Pin("x", "1"),)), 10, (), {"eu": (1, 2)}, {"eu": (1, 2)}, data_ms=NOW), NOW
)
LOUD = replace(OWN, table={("silent", 0, "all"): {0: (40.0,)}})


def signed(*rows: SheetRow, made_ms: int = NOW) -> Signed:
    payload = encode(Sheet(made_ms, "0.1.0", rows))
    return Signed(payload.decode(), KEY.sign(CONTEXT + payload).hex())


def test_what_the_pinned_key_signed_is_believed() -> None:
    assert read(signed(ROW), KEY.public_hex, NOW - 1, NOW).rows == (ROW,)


@pytest.mark.parametrize(
    ("sheet", "why"),
    [
        (signed(ROW, made_ms=NOW - 1), "replayed"),
        (signed(ROW, made_ms=NOW + 60_000), "clock_skew"),
        (signed(ROW, ROW), "malformed"),
        (signed(*(replace(ROW, ring=0, checkpoint=n) for n in range(ROWS_MAX + 1))), "malformed"),
        (signed(replace(ROW, subject="libssl3")), "malformed"),
        (signed(replace(ROW, checkpoint=16)), "malformed"),
        (signed(replace(ROW, checkpoint=-1)), "malformed"),
        (signed(replace(ROW, group="tag:payroll")), "malformed"),
        (signed(replace(ROW, bets=(0.5,) * 7)), "malformed"),
        (signed(replace(ROW, bets=(1e300,) * 6)), "malformed"),
        (replace(signed(ROW), payload=signed().payload), "signature"),
        (Signed(signed(ROW).payload, "zz"), "signature"),
    ],
)
def test_anything_else_is_not_and_says_why(sheet: Signed, why: str) -> None:
    with pytest.raises(Doubt) as refused:
        read(sheet, KEY.public_hex, NOW - 1, NOW)
    assert refused.value.context["why"] == why


def test_a_sheet_counts_for_a_month() -> None:
    with pytest.raises(Doubt, match="older than a month"):
        read(signed(ROW), KEY.public_hex, 0, NOW + AGE_MAX_MS + 1)


def test_a_halt_that_is_the_pool_s_says_so_and_one_s_own_does_not() -> None:
    pooled = Pooled(OWN, LOUD, others=3)
    proposed, report = explained(pooled, POLICY, RUNNING, *planner.decide(POLICY, RUNNING, LOUD, NOW), NOW)
    assert proposed.phase is Phase.HALTED
    assert proposed.why == report.lines[0].text
    assert proposed.why.startswith("halted: evidence of 3 other organisations and this one together: silent (all at")
    mine = Pooled(LOUD, replace(LOUD), others=3)
    proposed, report = explained(mine, POLICY, RUNNING, *planner.decide(POLICY, RUNNING, LOUD, NOW), NOW)
    assert proposed.why.startswith("halted: silent (all at")
    assert report.lines[-1].gate == GATE


def test_a_pool_never_opens_what_one_s_own_gates_hold() -> None:
    calm = replace(OWN, wish=Wish.PAUSE)
    proposed, _ = planner.decide(POLICY, RUNNING, replace(calm, table={("silent", 0, "all"): {0: (-40.0,)}}), NOW)
    assert proposed.phase is Phase.HOLDING


def test_without_a_pool_nothing_is_said_of_one() -> None:
    report = Report(())
    assert explained(Pooled(OWN, OWN), POLICY, FIRST, FIRST, report, NOW) == (FIRST, report)
    _, said = explained(Pooled(OWN, OWN, alone="it was resumed after a halt"), POLICY, FIRST, FIRST, report, NOW)
    assert [(x.gate, x.state) for x in said.lines] == [(GATE, State.OK)]


def test_time_alone_is_no_reason_to_call_and_every_figure_is() -> None:
    report = CellReport("ld_1", 1, CellPhase.ROLLING, parts=(CellPart(0, "server", treated=1),))
    later = replace(report, data_age_s=9, parts=(replace(report.parts[0], youngest_age_s=9),))
    assert ageless(later) == ageless(report)
    for other in (replace(report, phase=CellPhase.HALTED), replace(report, parts=(CellPart(0, "server", treated=2),))):
        assert ageless(other) != ageless(report)
