"""A conductor of the version before knows no harms: what it refuses is told without them from then on."""

from __future__ import annotations

import json

import pytest

from brakeline.cells import decide
from brakeline.cells.model import CellBets, CellPhase, CellReport
from brakeline.protocol.codec import Malformed, encode
from brakeline.rollout.linked import refuses_harms, without_harms

BETS = CellBets("deletions", 0, "all", 0, (0.5,))


def test_the_refusal_is_known_by_what_a_conductor_says() -> None:
    said = json.loads(encode(BETS)) | {"harms": []}
    with pytest.raises(Malformed) as refused:
        decide.whole(CellBets, json.dumps(said))
    assert refuses_harms(f"the conductor refuses: What came over the link of a cell is not believed. {refused.value}")


@pytest.mark.parametrize("trouble", ["", "the conductor refuses with status 503", "it has a field 'salt' that this"])
def test_other_trouble_is_not_taken_for_it(trouble: str) -> None:
    assert not refuses_harms(trouble)


def test_nothing_else_is_left_out() -> None:
    report = CellReport("ld_1", 3, CellPhase.NOBODY, bets=(BETS,), harms=(BETS,))
    assert without_harms((report,)) == (CellReport("ld_1", 3, CellPhase.NOBODY, bets=(BETS,)),)
