"""A sheet from another installation: believed whole or not at all; and what a pool's halt says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from brakeline.cells.decide import Doubt
from brakeline.cells.model import CellPart, CellPhase, CellReport, Signed
from brakeline.fleet.cell import CellIdentity
from brakeline.protocol.codec import encode
from brakeline.rollout import planner, pooling
from brakeline.rollout.alpha import MARGINS
from brakeline.rollout.calling import ageless
from brakeline.rollout.model import Change, Observed, Phase, Pin, Policy, Report, Ring, State, Wish
from brakeline.rollout.pool_sheet import (
    AGE_MAX_MS,
    CONTEXT,
    KNOWS,
    LEVELS,
    ROWS_MAX,
    SIGNALS_LATER_MAX,
    Sheet,
    SheetRow,
    level_of,
    read,
    told_to,
    version_of,
)
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


def signed(*rows: SheetRow, made_ms: int = NOW, version: str = "0.1.0") -> Signed:
    payload = encode(Sheet(made_ms, version, rows))
    return Signed(payload.decode(), KEY.sign(CONTEXT + payload).hex())


def test_what_the_pinned_key_signed_is_believed() -> None:
    assert read(signed(ROW), KEY.public_hex, NOW - 1, NOW).sheet.rows == (ROW,)


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


ERRORS = replace(ROW, signal="errors", bets=(0.5,) * pooling.size_of("errors"))
DELETIONS = replace(ROW, signal="deletions", bets=(0.5,) * pooling.size_of("deletions"))


@pytest.mark.parametrize(
    ("knows", "sent", "left_out"),
    [(1, (ROW,), ("deletions", "errors")), (2, (ROW, DELETIONS), ("errors",)), (3, (ROW, DELETIONS, ERRORS), ()),
     (9, (ROW, DELETIONS, ERRORS), ()), (0, (ROW,), ("deletions", "errors"))],
)  # fmt: skip
def test_a_partner_is_told_what_its_version_knows_and_whoever_sends_what_was_left_out(
    knows: int, sent: tuple[SheetRow, ...], left_out: tuple[str, ...]
) -> None:
    assert told_to(knows, (ROW, DELETIONS, ERRORS)) == (sent, left_out)


def test_every_signal_of_a_pool_has_a_level_and_one_only() -> None:
    assert frozenset[str]().union(*LEVELS) == {*MARGINS, "explicit"}
    assert sum(map(len, LEVELS)) == len(MARGINS) + 1


def test_what_a_maker_knows_is_what_it_says_or_uses() -> None:
    assert level_of(Sheet(NOW, "0.1.0", (ROW,))) == 1, "a version that says nothing of it"
    assert level_of(Sheet(NOW, "0.1.0", (ROW, ERRORS))) == 3, "and one that uses later words knows them"
    assert level_of(Sheet(NOW, version_of("0.1.0"))) == KNOWS
    assert level_of(Sheet(NOW, "0.3.0/17")) == 17
    assert level_of(Sheet(NOW, "0.3.0/many")) == 1


def test_rows_of_a_signal_that_a_later_version_has_are_passed_over_and_the_rest_counts() -> None:
    later = replace(ROW, signal="screens", bets=(0.5,) * 4)
    found = read(signed(ROW, later, version="9.0/99"), KEY.public_hex, NOW - 1, NOW)
    assert (found.sheet.rows, dict(found.left_out), found.knows) == ((ROW,), {"screens": 1}, 99)
    for sheet in (signed(ROW, later), signed(ROW, replace(later, signal="ep_01JD"), version="9.0/99")):
        with pytest.raises(Doubt, match="no evidence of ours"):
            read(sheet, KEY.public_hex, NOW - 1, NOW)


def test_a_sheet_of_ever_new_signals_is_none_of_ours() -> None:
    """What is left out is told and audited by signal: a later version has some more, not thousands."""
    later = [replace(ROW, signal=f"{a}{b}", bets=(0.5,)) for a in "abcdefghij" for b in "abcdefghij"]
    found = read(signed(ROW, *later[:SIGNALS_LATER_MAX], version="9.0/99"), KEY.public_hex, NOW - 1, NOW)
    assert len(found.left_out) == SIGNALS_LATER_MAX
    with pytest.raises(Doubt, match="signals"):
        read(signed(ROW, *later[: SIGNALS_LATER_MAX + 1], version="9.0/99"), KEY.public_hex, NOW - 1, NOW)
