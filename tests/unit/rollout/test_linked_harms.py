"""A conductor of a version before knows no later signals: what it refuses is told without them from then on."""

from __future__ import annotations

import json

import pytest

from brakeline.cells import decide
from brakeline.cells.model import CellBets, CellPart, CellPhase, CellReport
from brakeline.protocol.codec import Malformed, encode
from brakeline.rollout.linked import LATER, LATER_FIELDS, refused_field, without

BETS = CellBets("deletions", 0, "all", 0, (0.5,))


@pytest.mark.parametrize("field", LATER)
def test_the_refusal_is_known_by_what_a_conductor_says(field: str) -> None:
    said = json.loads(encode(BETS)) | {field: []}
    with pytest.raises(Malformed) as refused:
        decide.whole(CellBets, json.dumps(said))
    told = f"the conductor refuses: What came over the link of a cell is not believed. {refused.value}"
    assert refused_field(told) == field


@pytest.mark.parametrize("trouble", ["", "the conductor refuses with status 503", "it has a field 'salt' that this"])
def test_other_trouble_is_not_taken_for_it(trouble: str) -> None:
    assert not refused_field(trouble)


def test_nothing_else_is_left_out() -> None:
    report = CellReport("ld_1", 3, CellPhase.NOBODY, bets=(BETS,), harms=(BETS,), vitals=(BETS,))
    assert without((report,), ()) == (report,)
    assert without((report,), ("vitals",)) == (CellReport("ld_1", 3, CellPhase.NOBODY, bets=(BETS,), harms=(BETS,)),)
    assert without((report,), LATER_FIELDS) == (CellReport("ld_1", 3, CellPhase.NOBODY, bets=(BETS,)),)


def test_a_figure_that_is_refused_is_left_out_of_every_part_and_no_other() -> None:
    parts = (CellPart(0, "server", treated=3, asked=3, untaken=1), CellPart(0, "laptop", treated=1))
    report = CellReport("ld_1", 3, CellPhase.ROLLING, parts=parts, harms=(BETS,))
    (told,) = without((report,), ("untaken",))
    assert told.parts == (CellPart(0, "server", treated=3, asked=3), parts[1])
    assert told.harms == report.harms
